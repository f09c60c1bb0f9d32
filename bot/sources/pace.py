"""How Paperboy asks other people's services: one request at a time, a few tries, and never before it may."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TypeVar

from bot.errors import SourceError
from bot.interfaces import Clock

TRIES = 3
LONGEST_WAIT_SECONDS = 60.0  # a service that asks for more gets no further try from this job
FIRST_PAUSE_SECONDS = 1.0  # where the service names no wait; doubled with each try

_AGAIN = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
_SECONDS = re.compile(r"\s*([0-9]{1,9}(?:\.[0-9]+)?)\s*", re.ASCII)
_RESET = re.compile(r";\s*t=([0-9]{1,9})", re.ASCII)

T = TypeVar("T")


class RefusedError(SourceError):
    """A try that failed. `wait` is the pause in seconds that the service asked for, None when it named none."""

    def __init__(self, message: str, *, retryable: bool, wait: float | None = None) -> None:
        super().__init__(message, retryable=retryable)
        self.wait = wait


def refused(service: str, status: int, headers: Mapping[str, str], now: datetime) -> RefusedError:
    """What a reply that is not 200 means. `headers` must find names in any case."""
    again = status in _AGAIN or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return RefusedError(f"{service}: HTTP {status}", retryable=again, wait=wait_asked(headers, now) if again else None)


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


class Pace:
    """One service's queue: requests go one by one, at least `apart` seconds from the end of one to the next.

    What a service asked for holds for later requests too, not only for the one that it refused.
    """

    def __init__(self, service: str, clock: Clock, *, apart: float = 0.0, tries: int = TRIES) -> None:
        self._service = service
        self._clock = clock
        self._apart = apart
        self._tries = tries
        self._lock = asyncio.Lock()
        self._next = clock.monotonic()

    async def ask(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """The first success of up to `tries` attempts. Raises the last SourceError."""
        async with self._lock:
            for pause in (FIRST_PAUSE_SECONDS * 2**n for n in range(self._tries - 1)):
                try:
                    return await self._attempt(attempt, pause)
                except SourceError as error:
                    if not error.retryable:
                        raise
            return await self._attempt(attempt, FIRST_PAUSE_SECONDS)

    async def _attempt(self, attempt: Callable[[], Awaitable[T]], pause: float) -> T:
        await self._wait()
        rest = self._apart
        try:
            return await attempt()
        except SourceError as error:
            asked = error.wait if isinstance(error, RefusedError) else None
            rest = max(rest, pause if asked is None else asked)
            raise
        finally:
            self._next = self._clock.monotonic() + rest

    async def _wait(self) -> None:
        seconds = self._next - self._clock.monotonic()
        if seconds > LONGEST_WAIT_SECONDS:
            raise SourceError(f"{self._service}: must not be asked for another {seconds:.0f} seconds")
        if seconds > 0:
            await self._clock.sleep(seconds)
