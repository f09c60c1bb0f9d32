"""What arXiv itself says of papers, through the `arxiv` package.

The package has no timeouts, ignores Retry-After, tries a refused request again and takes every body for a feed, even a
block page or half a reply. So its transport is ours, and so are the tries. Manual and terms of the API:
https://info.arxiv.org/help/api/user-manual.html, https://info.arxiv.org/help/api/tou.html
"""

import asyncio
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from bot.errors import InputError, SourceError
from bot.interfaces import Clock
from bot.models import ArxivId, Paper
from bot.sources.pace import Pace, RefusedError, refused
from bot.sources.text import ABSTRACT, AUTHOR, AUTHORS, COMMENT, TITLE, one_line

if TYPE_CHECKING:
    import requests

NAME = "arxiv"
PAUSE_SECONDS = 3.0  # arXiv asks for at most one request every three seconds
AFTER_A_BAN_SECONDS = 86_400.0  # arXiv asks clients that got a 403 to stop
REPLY_BYTES = 10 * 2**20  # 2,000 papers, the most of one page, are about 4 MB
CHUNK_BYTES = 2**16
_ERROR_ENTRY = re.compile(rb"<id>\s*https?://arxiv\.org/api/errors")

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In seconds: to connect, between two pieces of the reply, and until its end."""

    connect: float = 3.0
    read: float = 20.0
    total: float = 30.0


class Arxiv:
    """The arXiv API at `url` (the whole address, without a query). `user_agent` names a contact, as arXiv asks."""

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        user_agent: str,
        pause_seconds: float = PAUSE_SECONDS,
        timeouts: Timeouts | None = None,
    ) -> None:
        self._url = url
        self._clock = clock
        self._user_agent = user_agent
        self._timeouts = timeouts or Timeouts()
        self._pace = Pace(NAME, clock, apart=pause_seconds)
        self._one_connection = threading.Lock()  # also against the thread of a request whose asker has gone

    async def papers(self, ids: Sequence[ArxivId]) -> Mapping[str, Paper]:
        # One malformed ID makes arXiv refuse all of them.
        asked = {arxiv_id.id: arxiv_id for arxiv_id in ids if _well_formed(arxiv_id)}
        if len(asked) < len({arxiv_id.id for arxiv_id in ids}):
            logger.warning("malformed IDs not asked for", extra={"asked": len(asked), "given": len(ids)})
        if not asked:
            return {}
        return await self._pace.ask(lambda: self._try(asked))

    async def _try(self, asked: Mapping[str, ArxivId]) -> Mapping[str, Paper]:
        found = await _in_daemon_thread(lambda: self._query([str(arxiv_id) for arxiv_id in asked.values()]))
        strangers = len(found.keys() - asked.keys())
        if strangers:
            logger.warning("papers that nobody asked for left out", extra={"source": NAME, "papers": strangers})
        return {name: found[name] for name in asked if name in found}

    def _query(self, ids: Sequence[str]) -> dict[str, Paper]:
        import arxiv  # type: ignore[import-untyped]  # the package ships no types

        client = arxiv.Client(page_size=len(ids), delay_seconds=0, num_retries=0)
        client.query_url_format = self._url + "?{}"
        client._session = _OnePage(self._user_agent, self._timeouts, self._clock)  # noqa: SLF001  # its only way in
        try:
            with self._one_connection:
                results = list(client.results(arxiv.Search(id_list=list(ids), max_results=len(ids))))
        except (arxiv.ArxivError, ValueError) as error:
            raise SourceError(f"{NAME}: the feed cannot be read", retryable=False) from error
        papers = [_paper(result) for result in results]
        return {paper.arxiv_id.id: paper for paper in papers if paper}


@dataclass(slots=True)
class _Page:
    """As much of a requests.Response as the arxiv package reads."""

    content: bytes
    status_code: int = HTTPStatus.OK


class _OnePage:
    """The requests.Session of one query: one request, with timeouts, and only a whole feed counts as its reply."""

    def __init__(self, user_agent: str, timeouts: Timeouts, clock: Clock) -> None:
        self._headers = {"User-Agent": user_agent, "Accept": "application/atom+xml"}
        self._timeouts = timeouts
        self._clock = clock
        self._asked = False

    def get(self, url: str, headers: Mapping[str, str]) -> _Page:  # noqa: ARG002  # the package's own User-Agent
        import requests
        import urllib3

        if self._asked:
            raise RefusedError(f"{NAME}: fewer papers than the feed counts", retryable=True)
        self._asked = True
        timeouts = (self._timeouts.connect, self._timeouts.read)
        try:
            with requests.get(url, headers=self._headers, timeout=timeouts, stream=True) as reply:
                self._judge(reply)
                return _Page(_feed(self._read(reply)))
        except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as error:
            raise RefusedError(f"{NAME}: no whole reply ({type(error).__name__})", retryable=True) from error
        except requests.RequestException as error:
            raise SourceError(f"{NAME}: the address cannot be used", retryable=False) from error

    def _judge(self, reply: "requests.Response") -> None:
        if reply.status_code == HTTPStatus.FORBIDDEN:
            raise RefusedError(f"{NAME}: HTTP 403, which asks us to stop", retryable=False, wait=AFTER_A_BAN_SECONDS)
        if reply.status_code != HTTPStatus.OK:
            raise refused(NAME, reply.status_code, reply.headers, self._clock.now())

    def _read(self, reply: "requests.Response") -> bytes:
        """The body. The socket's timeout allows a byte now and then for ever, so the end has a time of its own."""
        end = time.monotonic() + self._timeouts.total
        content = bytearray()
        while chunk := reply.raw.read1(CHUNK_BYTES, decode_content=True):
            content += chunk
            if time.monotonic() > end:
                raise RefusedError(f"{NAME}: no end within {self._timeouts.total:g} seconds", retryable=True)
            if len(content) > REPLY_BYTES:
                raise SourceError(f"{NAME}: the reply is longer than {REPLY_BYTES} bytes", retryable=False)
        return bytes(content)


def _feed(content: bytes) -> bytes:
    """`content`, if it is a whole Atom feed of papers."""
    start, end = content.lstrip()[:5], content.rstrip()[-7:]
    if start not in (b"<?xml", b"<feed") or end != b"</feed>":
        raise RefusedError(f"{NAME}: no whole feed came", retryable=True)
    if _ERROR_ENTRY.search(content):
        raise SourceError(f"{NAME}: the request was refused by an error entry", retryable=False)
    return content


def _paper(result: Any) -> Paper | None:  # noqa: ANN401  # an arxiv.Result, which has no types
    try:
        arxiv_id = ArxivId.parse(result.entry_id)
    except InputError:
        return None
    return Paper(
        arxiv_id=arxiv_id,
        title=one_line(result.title, TITLE),
        abstract=one_line(result.summary, ABSTRACT),
        authors=tuple(name for author in result.authors[:AUTHORS] if (name := one_line(author.name, AUTHOR))),
        published=result.published,
        source=NAME,
        categories=tuple(dict.fromkeys(filter(None, (result.primary_category, *result.categories)))),
        comment=one_line(result.comment or "", COMMENT) or None,
    )


def _well_formed(arxiv_id: ArxivId) -> bool:
    try:
        return ArxivId.parse(str(arxiv_id)) == arxiv_id
    except InputError:
        return False


async def _in_daemon_thread(call: Callable[[], T]) -> T:
    """Like asyncio.to_thread, but a request that hangs doesn't hold up the end of the process."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # without an error there is a result

    def run() -> None:
        outcome: tuple[T | None, BaseException | None]
        try:
            outcome = call(), None
        except BaseException as error:  # noqa: BLE001  # handed to the asker, whatever it is
            outcome = None, error
        with suppress(RuntimeError):  # the loop may have ended meanwhile, and nobody waits any more
            loop.call_soon_threadsafe(settle, *outcome)

    threading.Thread(target=run, name=NAME, daemon=True).start()
    return await future
