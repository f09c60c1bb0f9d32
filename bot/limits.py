"""How much people may ask for: what counts for whom (pure over the store's counts), and how much is done at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta


@dataclass(frozen=True, slots=True)
class Limits:
    """What one person may ask for, and how many requests are worked on at once. 0 a day means no limit."""

    per_user_per_day: int = 20
    cooldown_seconds: float = 10.0
    jobs: int = 16
    jobs_per_chat: int = 4


@dataclass(frozen=True, slots=True)
class Refusal:
    """Not now: the key of the wording, and from when on it would be taken."""

    key: str
    again: datetime


def start_of_day(now: datetime) -> datetime:
    """Days of limits and budgets begin at midnight UTC."""
    return datetime.combine(now.astimezone(UTC).date(), time(), UTC)


def next_day(now: datetime) -> datetime:
    """When limits and budgets begin anew."""
    return start_of_day(now) + timedelta(days=1)


def refusal(limits: Limits, counted: Sequence[datetime], wanted: int, now: datetime) -> Refusal | None:
    """May a user who asked at `counted` moments (oldest first) ask for `wanted` things more?"""
    today = start_of_day(now)
    if limits.per_user_per_day and sum(at >= today for at in counted) + wanted > limits.per_user_per_day:
        return Refusal("limit.day", next_day(now))
    rested = counted[-1] + timedelta(seconds=limits.cooldown_seconds) if counted else now
    return Refusal("limit.cooldown", rested) if rested > now else None


@dataclass(slots=True)
class _Waiting:
    chat: str
    turn: "asyncio.Future[None]"
    waits: Callable[[int], None]


@dataclass(slots=True)
class Slots:
    """At most `jobs` pieces of work at once, and `jobs_per_chat` for one chat. Who has to wait is served in order, but
    for those whose own chat is full.
    """

    limits: Limits
    _busy: Counter[str] = field(default_factory=Counter)
    _waiting: list[_Waiting] = field(default_factory=list)

    @property
    def busy(self) -> int:
        return self._busy.total()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @asynccontextmanager
    async def taken(self, chat: str, waits: Callable[[int], None]) -> AsyncIterator[None]:
        """Work is done inside the context. `waits` hears how many wait before us, where we have to, and each change."""
        await self._take(chat, waits)
        try:
            yield
        finally:
            self._busy[chat] -= 1
            self._serve()

    async def _take(self, chat: str, waits: Callable[[int], None]) -> None:
        if self._has_room(chat):
            self._busy[chat] += 1
            return
        entry = _Waiting(chat, asyncio.get_running_loop().create_future(), waits)
        self._waiting.append(entry)
        waits(len(self._waiting) - 1)
        try:
            await entry.turn
        except asyncio.CancelledError:
            if entry in self._waiting:
                self._waiting.remove(entry)
                self._count()
            elif entry.turn.done() and not entry.turn.cancelled():  # the slot was ours already
                self._busy[chat] -= 1
                self._serve()
            raise

    def _has_room(self, chat: str) -> bool:
        return self.busy < self.limits.jobs and self._busy[chat] < self.limits.jobs_per_chat

    def _serve(self) -> None:
        self._busy += Counter()  # chats without work are forgotten
        for entry in [entry for entry in self._waiting if not entry.turn.done()]:
            if self._has_room(entry.chat):
                self._waiting.remove(entry)
                self._busy[entry.chat] += 1
                entry.turn.set_result(None)
        self._count()

    def _count(self) -> None:
        for ahead, entry in enumerate(self._waiting):
            entry.waits(ahead)
