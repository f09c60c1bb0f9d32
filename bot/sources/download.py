"""Other people's pages, whatever they send: paced, capped in bytes and seconds, and only from where they were asked."""

import asyncio
import io
import math
import zlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

import aiohttp
from yarl import URL

from bot.errors import SourceError
from bot.interfaces import Clock
from bot.sources.pace import Pace, RefusedError, UnreachedError, refused

CHUNK_BYTES = 2**16
MOST_REDIRECTS = 5
AFTER_A_BAN_SECONDS = 86_400.0  # arXiv asks clients that got a 403 to stop
_MOVED = frozenset({301, 302, 303, 307, 308})
_GZIP = 16 + zlib.MAX_WBITS  # what tells zlib to expect gzip's header and sum

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for, and what it may cost.

    `most_bytes` counts the body as it is after decompression. `seconds` are those of downloading, of all tries and
    redirects together, `one_try` those of each; waiting for our turn is not counted. `connect` (with the name's
    look-up) and `read` (between two pieces of a reply) are seconds too.
    """

    accept: str
    most_bytes: int
    seconds: float
    one_try: float = math.inf
    connect: float = 6.0
    read: float = 10.0
    tries: int | None = None


class _MovedError(SourceError):
    """Not here, but at `url`."""

    retryable = False

    def __init__(self, message: str, url: URL) -> None:
        super().__init__(message)
        self.url = url


class Downloads:
    """What one service serves. `session` brings the User-Agent. Whoever shares `pace` shares the service's patience.

    `ban_seconds`: a 403 asks us to stop for so long; None where it says no more than that this page is not for us.
    """

    def __init__(
        self,
        service: str,
        session: aiohttp.ClientSession,
        pace: Pace,
        clock: Clock,
        *,
        ban_seconds: float | None = None,
    ) -> None:
        self._service = service
        self._session = session
        self._pace = pace
        self._clock = clock
        self._ban_seconds = ban_seconds

    async def get(self, url: str, wanted: Wanted, read: Callable[[bytes], Awaitable[T]], *, by: float = math.inf) -> T:
        """What `read` makes of the body at `url`; a retryable SourceError of it costs a try, like a broken connection.

        Every redirect is a request and waits for its turn. `by` as in Pace.ask. Raises SourceError.
        """
        budget = _Budget(wanted.seconds)
        address = self._address(url)
        for _ in range(MOST_REDIRECTS + 1):
            try:
                return await self._pace.ask(lambda: self._try(address, wanted, read, budget), tries=wanted.tries, by=by)  # noqa: B023  # asked before the next round
            except _MovedError as moved:
                address = moved.url
        raise SourceError(f"{self._service}: more than {MOST_REDIRECTS} redirects", retryable=False)

    def _address(self, url: str, base: URL | None = None) -> URL:
        try:
            return base.join(URL(url)) if base else URL(url)
        except ValueError as error:
            raise SourceError(f"{self._service}: the address cannot be used", retryable=False) from error

    async def _try(self, url: URL, wanted: Wanted, read: Callable[[bytes], Awaitable[T]], budget: "_Budget") -> T:
        seconds = min(budget.left(), wanted.one_try)
        if seconds <= 0:
            raise RefusedError(f"{self._service}: no end within {wanted.seconds:.3g} seconds", retryable=False)
        started = asyncio.get_running_loop().time()
        try:
            content = await self._body(url, wanted, seconds)
        finally:
            budget.spent += asyncio.get_running_loop().time() - started
        return await read(content)

    async def _body(self, url: URL, wanted: Wanted, seconds: float) -> bytes:
        timeout = aiohttp.ClientTimeout(total=seconds, connect=wanted.connect, sock_read=wanted.read)
        headers = {"Accept": wanted.accept, "Accept-Encoding": "gzip"}
        try:
            async with self._session.get(
                url, headers=headers, timeout=timeout, allow_redirects=False, auto_decompress=False
            ) as reply:
                self._judge(reply, wanted)
                return await self._read(reply, wanted.most_bytes)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise UnreachedError(f"{self._service}: not reached ({type(error).__name__})", retryable=True) from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise SourceError(f"{self._service}: the address cannot be used", retryable=False) from error
        except (aiohttp.ClientError, zlib.error) as error:
            message = f"{self._service}: no whole reply ({type(error).__name__})"
            raise RefusedError(message, retryable=True) from error
        except TimeoutError as error:
            raise RefusedError(f"{self._service}: no end within {seconds:.3g} seconds", retryable=True) from error

    def _judge(self, reply: aiohttp.ClientResponse, wanted: Wanted) -> None:
        if reply.status in _MOVED and "Location" in reply.headers:
            raise _MovedError(f"{self._service}: HTTP {reply.status}", self._next_address(reply))
        if reply.status == HTTPStatus.FORBIDDEN and self._ban_seconds:
            message = f"{self._service}: HTTP 403, which asks us to stop"
            raise RefusedError(message, retryable=False, wait=self._ban_seconds, status=reply.status)
        if reply.status != HTTPStatus.OK:
            raise refused(self._service, reply.status, reply.headers, self._clock.now())
        if (reply.content_length or 0) > wanted.most_bytes:
            raise self._too_long(wanted.most_bytes)

    def _next_address(self, reply: aiohttp.ClientResponse) -> URL:
        """Where a redirect leads, if that is the same place: a page must not send us to other hosts or to our own."""
        found = self._address(reply.headers["Location"], reply.url)
        if not at_home(reply.url, found):
            raise SourceError(f"{self._service}: redirected elsewhere", retryable=False)
        return found

    async def _read(self, reply: aiohttp.ClientResponse, most: int) -> bytes:
        encoding = reply.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip", "x-gzip"):
            raise SourceError(f"{self._service}: an encoding that nobody asked for", retryable=False)
        inflated = _Inflated() if encoding != "identity" else None
        content, received = io.BytesIO(), 0
        async for chunk in reply.content.iter_any():
            received += len(chunk)
            for piece in inflated.pieces(chunk) if inflated else (chunk,):
                if max(received, content.tell() + len(piece)) > most:
                    raise self._too_long(most)
                content.write(piece)
        if inflated and not inflated.whole:
            raise RefusedError(f"{self._service}: no whole reply (gzip ends early)", retryable=True)
        return content.getvalue()

    def _too_long(self, most: int) -> SourceError:
        return SourceError(f"{self._service}: the reply is longer than {most} bytes", retryable=False)


def at_home(here: URL, there: URL) -> bool:
    """Are these the same origin, or `there` the same host over https, where plain http often leads?"""
    secured = (here.scheme, here.port, there.scheme, there.port) == ("http", 80, "https", 443)
    same = (there.scheme, there.port) == (here.scheme, here.port)
    return there.host == here.host and (same or secured)


@dataclass(slots=True)
class _Budget:
    """Seconds of downloading that all requests for one page share."""

    seconds: float
    spent: float = 0.0

    def left(self) -> float:
        return self.seconds - self.spent


class _Inflated:
    """gzip, a chunk at a time: what a few bytes swell to is counted before it can fill the memory."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(wbits=_GZIP)

    @property
    def whole(self) -> bool:
        return self._inflate.eof

    def pieces(self, chunk: bytes) -> Iterator[bytes]:
        """What `chunk` adds, at most CHUNK_BYTES at once. Raises zlib.error, also for anything behind the end."""
        while True:
            if self._inflate.eof and chunk:
                raise zlib.error("data after the end")
            piece = self._inflate.decompress(chunk, CHUNK_BYTES)
            yield piece
            chunk = self._inflate.unconsumed_tail or self._inflate.unused_data
            if not chunk and len(piece) < CHUNK_BYTES:
                return
