"""Stops calling a model that only fails, so that a bad day costs a handful of calls and not three for every paper."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from bot.interfaces import Clock
from bot.llm.failure import MODEL, Blame, CallError, Failure, NotCalledError

# Failures in a row, over all requests, without one valid reply. With c calls at a time an outage costs at most
# LIMIT - 1 + c calls: all that had begun when the last of them came back.
LIMIT = 5
COOL_DOWN = 60.0  # seconds until one call may find out whether the model is back


class Breaker:
    """Admits calls to one model: all of them (closed), none (open), or one that finds out (half open).

    - LIMIT failures in a row open it, a failure that blames the model at once; a valid reply closes it.
    - Calls in flight may still succeed, so an open breaker with calls in flight is undecided: whoever comes waits for
      them. Fifteen calls of which the first five met a rate limit are not an outage.
    - Where the service named a wait, its end decides, once: everybody waits, one call goes ahead.
    - `cautious` (a fallback, or an endpoint that has just refused how it was asked): at most LIMIT calls are at stake
      until the first valid reply.
    """

    def __init__(self, clock: Clock, *, cautious: bool = False) -> None:
        self.cautious = cautious
        self._clock = clock
        self._failures = 0
        self._in_flight = 0
        self._again_at = 0.0  # by the monotonic clock
        self._named_wait = False
        self._probing = False
        self._reason = Failure(MODEL, "the model failed")
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def admitted(self) -> AsyncIterator[None]:
        """The call is made inside; CallError counts as its outcome. Raises NotCalledError instead of entering."""
        await self._enter()
        try:
            yield
        except CallError as failed:
            self._failed(failed.failure)
            raise
        else:
            self._failures, self.cautious = 0, False
        finally:
            self._in_flight -= 1
            self._probing = False
            self._changed.set()
            self._changed = asyncio.Event()

    async def _enter(self) -> None:
        while not self._admits():
            if self._in_flight:
                await self._changed.wait()
            elif self._named_wait:
                await self._clock.sleep(max(self._again_at - self._clock.monotonic(), 0.0))
            else:
                raise NotCalledError(self._refusal())
        self._probing = self._open
        self._in_flight += 1

    @property
    def _open(self) -> bool:
        return self._failures >= LIMIT

    def _admits(self) -> bool:
        if self._open:
            return not self._in_flight and self._clock.monotonic() >= self._again_at
        return not self.cautious or self._failures + self._in_flight < LIMIT

    def _failed(self, failure: Failure) -> None:
        if failure.blame is Blame.REQUEST:
            return
        self._failures = self._failures + 1 if failure.blame is Blame.ATTEMPT else max(self._failures + 1, LIMIT)
        self._reason = failure
        if self._open:
            self._named_wait = failure.wait is not None and not self._probing
            pause = failure.wait if failure.wait is not None and self._named_wait else COOL_DOWN
            self._again_at = max(self._again_at, self._clock.monotonic() + pause)

    def _refusal(self) -> Failure:
        text = f"not called, the last {self._failures} calls failed: {self._reason.text}"
        return replace(self._reason, text=text, blame=Blame.REQUEST, refused=None, reply="", problems=(), cut=False)
