"""How long to wait before Telegram is asked again, and what the log says of it: each kind of trouble once."""

import logging
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from telegram.error import Conflict, InvalidToken, RetryAfter, TelegramError

from bot.interfaces import Clock

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Seconds.
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
CONFLICT_WAIT = (
    20.0  # another poller took over; as long as its own poll, or the two would push each other out all the time
)
TOKEN_WAIT = 60.0  # nothing but another token helps, but @BotFather may give this one back
LONGEST_NAMED_WAIT = 300.0  # for one Retry-After
QUIET_SECONDS = 1800.0  # a trouble that was away for so long is told again; two pollers push each other out for ever


class Trouble:
    """The run of failures of one thing that is tried again and again."""

    def __init__(self, what: str, clock: Clock) -> None:
        self._what = what
        self._clock = clock
        self._failures = 0
        self._seen_at: dict[str, float] = {}
        self._told = False
        self.was_well = False
        """Did it ever work?"""

    @property
    def lasts(self) -> bool:
        """Did the last try fail?"""
        return self._failures > 0

    async def wait(self, error: Exception) -> None:
        """Returns when it may be tried again."""
        self._failures += 1
        self._tell(error)
        await self._clock.sleep(self._seconds(error))

    def ends(self) -> None:
        if self._told:
            logger.info("%s works again", self._what)
        self.was_well = True
        self._failures = 0
        self._told = False

    def _tell(self, error: Exception) -> None:
        """No error's own words: some hold the URL, and the URL holds the token."""
        kind = type(error.__cause__ or error).__name__
        now = self._clock.monotonic()
        was_told = now - self._seen_at.get(kind, -QUIET_SECONDS) < QUIET_SECONDS
        self._seen_at[kind] = now
        if was_told:
            return
        self._told = True
        match error:
            case InvalidToken():
                logger.error("%s fails: Telegram does not know this token (telegram.token)", self._what)
            case Conflict(message=message):
                reason = "another process with this token is listening, or has set a webhook"
                logger.error("%s fails: %s", self._what, reason, extra={"reason": message})
            case TelegramError():
                logger.warning("%s fails, trying again", self._what, extra={"error": kind})
            case _:
                logger.error("%s broke, trying again", self._what, extra={"error": kind})

    def _seconds(self, error: Exception) -> float:
        match error:
            case RetryAfter(retry_after=named):
                seconds = named.total_seconds() if isinstance(named, timedelta) else float(named)
                return min(seconds, LONGEST_NAMED_WAIT)
            case Conflict():
                return _about(CONFLICT_WAIT)
            case InvalidToken():
                return TOKEN_WAIT
            case _:
                return _about(min(FIRST_WAIT * 2.0 ** (self._failures - 1), LONGEST_WAIT))


async def until_done(trouble: Trouble, call: Callable[[], Awaitable[T]]) -> T:
    """The result of `call`, tried until it works."""
    while True:
        try:
            result = await call()
        except Exception as error:  # noqa: BLE001 - Telegram's, a proxy's, the library's: `wait` tells and waits
            await trouble.wait(error)
        else:
            trouble.ends()
            return result


def _about(seconds: float) -> float:
    """Half to one and a half of it: bots that lost Telegram together must not all come back in the same second."""
    return seconds * random.uniform(0.5, 1.5)  # noqa: S311 - not for a secret
