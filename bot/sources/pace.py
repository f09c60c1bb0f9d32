"""How Paperboy asks other people's services: one request at a time, a few tries, and never before it may."""

import asyncio
import logging
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TypeVar

from bot.errors import SourceError, StoreError
from bot.interfaces import Clock, Notes

TRIES = 3
LONGEST_WAIT_SECONDS = 60.0  # a service that asks for more gets no further try from this job
FIRST_PAUSE_SECONDS = 1.0  # where the service names no wait; doubled with each try
LOOK_AGAIN_SECONDS = 1.0  # while another process may be asking
LONGEST_HOLD_SECONDS = 86_400.0  # what a service may ask of later requests, and how far ahead a clock can be believed
IN_FLIGHT_SECONDS = 20.0  # other processes wait this long for the end of a request of a process that was killed

_AGAIN = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_SECONDS = re.compile(r"\s*([0-9]{1,9}(?:\.[0-9]+)?)\s*", re.ASCII)
_RESET = re.compile(r";\s*t=([0-9]{1,9})", re.ASCII)

logger = logging.getLogger(__name__)
T = TypeVar("T")


class RefusedError(SourceError):
    """A try that failed. `wait` is the pause in seconds that the service asked for, None when it named none.

    `status` is the reply's, None where there was no (whole) reply.
    """

    def __init__(self, message: str, *, retryable: bool, wait: float | None = None, status: int | None = None) -> None:
        super().__init__(message, retryable=retryable)
        self.wait = wait
        self.status = status


class UnreachedError(RefusedError):
    """A try that surely never arrived: no such name, a refused connection, nobody there."""


def refused(service: str, status: int, headers: Mapping[str, str], now: datetime) -> RefusedError:
    """What a reply that is not 200 means. `headers` must find names in any case."""
    again = status in _AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    wait = wait_asked(headers, now) if again else None
    return RefusedError(f"{service}: HTTP {status}", retryable=again, wait=wait, status=status)


def wait_asked(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds by `Retry-After` (RFC 9110, a number or a date), else by the `t` of Hugging Face's `RateLimit`
    (https://huggingface.co/docs/hub/rate-limits); None where neither says anything that can be understood.
    """
    asked = headers.get("Retry-After", "")
    if match := _SECONDS.fullmatch(asked) or _RESET.search(headers.get("RateLimit", "")):
        return float(match[1])
    try:
        date = parsedate_to_datetime(asked)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds())


class Hold:
    """The moment before which a service must not be asked, kept in the store for other processes and later ones.

    A store that fails costs only what the others would have known: this process remembers for itself.
    """

    def __init__(self, service: str, notes: Notes, clock: Clock) -> None:
        self._key = f"pace:{service}"
        self._notes = notes
        self._clock = clock
        self._reserved: datetime | None = None
        self._seen: str | None = None  # the note as we last read it
        self._readable = True

    async def seconds(self) -> float:
        """How long to wait still; 0.0 or less for not at all."""
        until = await self._until()
        return (until - self._clock.now()).total_seconds() if until else 0.0

    async def reserve(self) -> bool:
        """A request is about to be sent; other processes wait for its end.

        False when one of them reserved since we last looked: of several that see the same free moment, one gets it.
        """
        self._reserved = self._clock.now() + timedelta(seconds=IN_FLIGHT_SECONDS)
        if not self._readable:
            return True
        try:
            return await self._notes.swap_note(self._key, self._seen, self._reserved.isoformat())
        except StoreError:
            logger.warning("pace not kept in the store", extra={"key": self._key})
            return True

    async def rest(self, seconds: float) -> None:
        """The next request may come in `seconds`, or when another process's word allows it, if that is later."""
        until = self._clock.now() + timedelta(seconds=seconds)
        standing = await self._until()
        if standing is None or standing == self._reserved or standing < until:
            await self._keep(until)
        self._reserved = None

    async def _until(self) -> datetime | None:
        try:
            self._readable = True
            self._seen = await self._notes.note(self._key)
            until = datetime.fromisoformat(self._seen or "")
            ahead = (until - self._clock.now()).total_seconds()
        except StoreError:
            self._readable = False
            logger.warning("pace not read from the store", extra={"key": self._key})
            return None
        except (ValueError, TypeError):  # no note yet, or not one of ours
            return None
        return until if ahead <= LONGEST_HOLD_SECONDS else None

    async def _keep(self, until: datetime) -> None:
        try:
            await self._notes.keep_note(self._key, until.isoformat())
        except StoreError:
            logger.warning("pace not kept in the store", extra={"key": self._key})


class Pace:
    """One service's queue: requests go one by one in the order they came, at least `apart` seconds from the end of one
    to the next.

    What a service asked for holds for later requests too, not only for the one that it refused; with `hold`, for those
    of other processes as well. A service that cannot be reached is left alone for `unreachable_seconds`.
    """

    def __init__(
        self,
        service: str,
        clock: Clock,
        *,
        apart: float = 0.0,
        tries: int = TRIES,
        hold: Hold | None = None,
        unreachable_seconds: float = 0.0,
    ) -> None:
        self._service = service
        self._clock = clock
        self._apart = apart
        self._tries = tries
        self._hold = hold
        self._unreachable_seconds = unreachable_seconds
        self._lock = asyncio.Lock()
        self._next = clock.monotonic()
        self._reachable = clock.monotonic()

    async def ask(self, attempt: Callable[[], Awaitable[T]], *, tries: int | None = None, by: float = math.inf) -> T:
        """The first success of up to `tries` attempts, none of which begins after `by` (the clock's monotonic time).

        Raises the last SourceError, at once where the wait for an attempt would be too long.
        """
        async with self._turn(by):
            for pause in (FIRST_PAUSE_SECONDS * 2**n for n in range((tries or self._tries) - 1)):
                await self._wait(by)
                try:
                    return await self._attempt(attempt, pause)
                except SourceError as error:
                    if not error.retryable or self._left_alone:
                        raise
            await self._wait(by)
            return await self._attempt(attempt, FIRST_PAUSE_SECONDS)

    @asynccontextmanager
    async def _turn(self, by: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(None if math.isinf(by) else by - self._clock.monotonic()):
                await self._lock.acquire()
        except TimeoutError as error:
            raise SourceError(f"{self._service}: others were asked for so long that our turn did not come") from error
        try:
            yield
        finally:
            self._lock.release()

    async def _attempt(self, attempt: Callable[[], Awaitable[T]], pause: float) -> T:
        rest = self._apart
        try:
            return await attempt()
        except SourceError as error:
            asked = error.wait if isinstance(error, RefusedError) else None
            unnamed = pause if error.retryable else 0.0
            rest = max(rest, unnamed if asked is None else min(asked, LONGEST_HOLD_SECONDS))
            if isinstance(error, UnreachedError) and self._unreachable_seconds:
                rest = 0.0
                self._leave_alone(error)
            raise
        finally:
            self._next = self._clock.monotonic() + rest
            if self._hold and (rest or self._apart):
                await self._hold.rest(rest)

    @property
    def _left_alone(self) -> bool:
        return self._clock.monotonic() < self._reachable

    def _leave_alone(self, error: UnreachedError) -> None:
        self._reachable = self._clock.monotonic() + self._unreachable_seconds
        logger.warning("service left alone: %s", error, extra={"seconds": self._unreachable_seconds})

    async def _wait(self, by: float) -> None:
        """Returns when the request may be sent, reserved against other processes."""
        await self._free(by)
        while self._hold and self._apart and not await self._hold.reserve():
            await self._free(by)

    async def _free(self, by: float) -> None:
        while (seconds := await self._seconds()) > 0:
            if self._too_long(seconds, by):
                raise SourceError(f"{self._service}: must not be asked for another {seconds:.0f} seconds")
            await self._clock.sleep(min(seconds, LOOK_AGAIN_SECONDS) if self._hold else seconds)
        if self._left_alone:
            raise SourceError(f"{self._service}: could not be reached a moment ago")

    def _too_long(self, seconds: float, by: float) -> bool:
        return seconds > LONGEST_WAIT_SECONDS or self._clock.monotonic() + seconds > by

    async def _seconds(self) -> float:
        own = self._next - self._clock.monotonic()
        return max(own, await self._hold.seconds()) if self._hold else own
