"""The places of a platform's limits, counted in one process: of a bot that is one, and while no other count answers."""

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from bot.errors import StoreError
from bot.interfaces import LONGEST_PAUSE, Booking, Clock, Pace, Pacing, Window

logger = logging.getLogger(__name__)

KEPT = 4_096  # limits, before those that are as good as new are forgotten
SHARES = 3  # of what all chats share, while replicas cannot count together: as many of them go at the allowed speed
GRAIN = 1e-5  # seconds; a wait that is shorter is rounding, and a clock might not see it
ALONE_SECONDS = 5.0  # until a count that could not be reached is asked again


class LocalPacing:
    """Pacing on the clock that is handed in."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._full_at: dict[str, float] = {}  # when a pace's burst is whole again
        self._used_until: dict[str, deque[float]] = {}  # of a window's places, the oldest first

    async def book(self, own: Sequence[Pace | Window], shared: Pace | None, *, ahead: float, room: int = 1) -> Booking:
        now = self._clock.monotonic()
        for limit in own:
            if (free := self._free_at(limit, room)) > now + GRAIN:
                return Booking(free - now, limit.name)
        at = now if shared is None else max(now, self._free_at(shared, room))
        if shared is not None and at > now + ahead + GRAIN:
            return Booking(at - now - ahead, shared.name)
        for limit in (*own, *([shared] if shared else ())):
            self._take(limit, at)
        self._forget(now)
        return Booking(at - now)

    async def pause(self, pace: Pace, seconds: float) -> None:
        whole = self._clock.monotonic() + min(seconds, LONGEST_PAUSE) + (pace.burst - 1) * pace.interval
        self._full_at[pace.name] = max(whole, self._full_at.get(pace.name, whole))

    def _free_at(self, limit: Pace | Window, room: int) -> float:
        if isinstance(limit, Pace):
            full_at = self._full_at.get(limit.name, float("-inf"))
            return full_at - max(0, limit.burst - room) * limit.interval
        used = self._used_until.get(limit.name, ())
        over = len(used) - (limit.most - room) - 1  # the last of those that have to be free
        return used[over] if over >= 0 else float("-inf")

    def _take(self, limit: Pace | Window, at: float) -> None:
        if isinstance(limit, Pace):
            self._full_at[limit.name] = max(self._full_at.get(limit.name, at), at) + limit.interval
        else:
            used = self._used_until.setdefault(limit.name, deque(maxlen=limit.most))
            used.append(at + limit.seconds)

    def _forget(self, now: float) -> None:
        if len(self._full_at) + len(self._used_until) > KEPT:
            self._full_at = {name: at for name, at in self._full_at.items() if at > now}
            self._used_until = {name: used for name, used in self._used_until.items() if used[-1] > now}


class Fallback:
    """Pacing that never raises: where the shared count cannot be reached, each process takes its part of the limits."""

    def __init__(self, pacing: Pacing, clock: Clock) -> None:
        self._pacing = pacing
        self._clock = clock
        self._alone = LocalPacing(clock)
        self._alone_until: float | None = None

    async def book(self, own: Sequence[Pace | Window], shared: Pace | None, *, ahead: float, room: int = 1) -> Booking:
        if not self._is_alone:
            try:
                booking = await self._pacing.book(own, shared, ahead=ahead, room=room)
            except StoreError as error:
                self._go_alone(error)
            else:
                self._go_together()
                return booking
        part = replace(shared, interval=shared.interval * SHARES) if shared else None
        return await self._alone.book(own, part, ahead=ahead, room=room)

    async def pause(self, pace: Pace, seconds: float) -> None:
        await self._alone.pause(pace, seconds)
        if not self._is_alone:
            try:
                await self._pacing.pause(pace, seconds)
            except StoreError as error:
                self._go_alone(error)

    @property
    def _is_alone(self) -> bool:
        return self._alone_until is not None and self._clock.monotonic() < self._alone_until

    def _go_alone(self, error: StoreError) -> None:
        if self._alone_until is None:
            logger.warning("sending limits are counted alone, a third of them: %s", error)
        self._alone_until = self._clock.monotonic() + ALONE_SECONDS

    def _go_together(self) -> None:
        if self._alone_until is not None:
            logger.info("sending limits are counted together again")
            self._alone_until = None
