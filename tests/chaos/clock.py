"""Time as an experiment wants it: a small file that is mapped by the experiment and by every process it starts.

The experiment moves it (`Time`), the processes read it (`SharedClock`, their `bot.interfaces.Clock`). Each process has
a slot in which it says whether it has anything to do now and when the next of its sleeps ends: so time in which nobody
does anything can be skipped (`skipping`), and a wait of 30 s costs some milliseconds.
"""

import asyncio
import heapq
import itertools
import mmap
import selectors
import struct
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

_HEAD = struct.Struct("<Qdddd")  # version, real time and simulated time at the last change, speed, wall minus monotonic
_SLOT = struct.Struct("<QQQdd")  # process ID, times it had something to do, is it waiting, end of its next sleep, step
_SLOTS_AT = 64
SLOTS = 64
SIZE = _SLOTS_AT + SLOTS * _SLOT.size
NEVER = float("inf")
TICK_SECONDS = 0.004  # real, between two looks of a process at the file
LOOK_SECONDS = 0.003  # real, between two looks of the experiment at the processes
AT_ONCE_SECONDS = 5.0  # simulated; may always be skipped
WORKING = (b"R", b"D")
QUIET_SECONDS = 0.015  # real; a process that waits so long for nothing but its sleeps has nothing else to do


class Sleeper(Protocol):
    """A process with a slot."""

    pid: int
    slot: int


class _Face:
    """The mapped file. One process writes the head; who reads it while it is written reads again."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self.map = mmap.mmap(file.fileno(), SIZE)

    def head(self) -> tuple[float, float, float, float]:
        while True:
            version, *head = _HEAD.unpack_from(self.map, 0)
            if version % 2 == 0 and _HEAD.unpack_from(self.map, 0)[0] == version:
                return head[0], head[1], head[2], head[3]

    def set_head(self, real: float, simulated: float, speed: float, wall: float) -> None:
        (version,) = struct.unpack_from("<Q", self.map, 0)
        struct.pack_into("<Q", self.map, 0, version + 1)
        struct.pack_into("<dddd", self.map, 8, real, simulated, speed, wall)
        struct.pack_into("<Q", self.map, 0, version + 2)

    def slot(self, number: int) -> tuple[int, int, bool, float]:
        pid, busy, waiting, wake, _ = _SLOT.unpack_from(self.map, _SLOTS_AT + number * _SLOT.size)
        return pid, busy, bool(waiting), wake

    def step(self, number: int) -> float:
        """Seconds by which the wall clock of one process differs from everybody's."""
        return float(_SLOT.unpack_from(self.map, _SLOTS_AT + number * _SLOT.size)[4])

    def set_slot(self, number: int, field: str, offset: int, value: Any) -> None:
        struct.pack_into(field, self.map, _SLOTS_AT + number * _SLOT.size + offset, value)

    def monotonic(self) -> float:
        real, simulated, speed, _ = self.head()
        return simulated + (time.monotonic() - real) * speed

    def now(self) -> datetime:
        real, simulated, speed, wall = self.head()
        return datetime.fromtimestamp(simulated + (time.monotonic() - real) * speed + wall, UTC)


class Time:
    """The experiment's hand on the clock. `speed` is simulated seconds a real one; 0 stops it."""

    def __init__(self, path: Path, start: datetime, speed: float = 1.0) -> None:
        path.write_bytes(bytes(SIZE))
        self.path = path
        self._face = _Face(path)
        self._slots = itertools.count()
        self.skipped = 0.0  # seconds that nobody needed
        self.in_turn = False  # several processes whose queues look for work all the time are hardly ever quiet together
        self._face.set_head(time.monotonic(), 10_000.0, speed, start.timestamp() - 10_000.0)

    def now(self) -> datetime:
        return self._face.now()

    def monotonic(self) -> float:
        return self._face.monotonic()

    def jump(self, seconds: float) -> None:
        """Time passes at once: sleeps end, leases run out."""
        real, simulated, speed, wall = self._face.head()
        self._face.set_head(real, simulated + seconds, speed, wall)

    def jump_to(self, moment: datetime) -> None:
        """Never back: time that is over stays over."""
        self.jump(max(0.0, (moment - self.now()).total_seconds()))

    def step(self, by: timedelta) -> None:
        """Somebody sets the machine's clock: the hour changes, and no time passes."""
        real, simulated, speed, wall = self._face.head()
        self._face.set_head(real, simulated, speed, wall + by.total_seconds())

    def step_one(self, slot: int, by: timedelta) -> None:
        """The same on the machine of one process alone: its hour is `by` off everybody's; zero sets it right."""
        self._face.set_slot(slot, "<d", 32, by.total_seconds())

    def run(self, speed: float) -> None:
        _, _, _, wall = self._face.head()
        self._face.set_head(time.monotonic(), self.monotonic(), speed, wall)

    def new_slot(self) -> int:
        """For one more process. A slot is used again after SLOTS processes."""
        number = next(self._slots) % SLOTS
        self._face.map[_SLOTS_AT + number * _SLOT.size : _SLOTS_AT + (number + 1) * _SLOT.size] = bytes(_SLOT.size)
        return number

    def quiet(self, slot: int) -> tuple[int, bool, float]:
        """How often the process of `slot` had something to do, whether it waits now, and when its next sleep ends."""
        _, busy, waiting, wake = self._face.slot(slot)
        return busy, waiting, wake

    async def rest(self, slot: int) -> None:
        """Returns when the process of `slot` has had nothing to do for a moment."""
        mark, since = -1, 0.0
        while mark < 0 or time.monotonic() - since < QUIET_SECONDS:
            busy, waiting, _ = self.quiet(slot)
            if busy != mark or not waiting:
                mark, since = busy if waiting else -1, time.monotonic()
            await asyncio.sleep(LOOK_SECONDS)

    async def sleep(self, seconds: float) -> None:
        """Simulated seconds."""
        end = self.monotonic() + seconds
        while self.monotonic() < end:  # noqa: ASYNC110 - nothing but the file tells the time
            await asyncio.sleep(LOOK_SECONDS)

    @asynccontextmanager
    async def skipping(
        self,
        sleepers: Callable[[], Sequence[Sleeper]],
        is_busy: Callable[[], bool] = lambda: False,
        rate: float = NEVER,
    ) -> AsyncIterator[None]:
        """Inside, time that nobody needs is left out: whenever all of `sleepers()` only wait for the end of a sleep and
        `is_busy` (of servers with a request in work) is false, the next sleep ends at once.

        At most `rate` simulated seconds pass in a real one, but for a few: for processes that also wait for something
        that keeps to another clock.
        """
        skip = self._skip_in_turn(sleepers, is_busy) if self.in_turn else self._skip(sleepers, is_busy, rate)
        task = asyncio.create_task(skip)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _skip(self, sleepers: Callable[[], Sequence[Sleeper]], is_busy: Callable[[], bool], rate: float) -> None:
        seen: object = None
        since = 0.0
        allowed, counted = AT_ONCE_SECONDS, time.monotonic()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            found = sleepers()
            states = {one.slot: self.quiet(one.slot) for one in found}
            marks = {slot: busy for slot, (busy, _, _) in states.items()}
            waits = bool(found) and not is_busy() and all(waiting for _, waiting, _ in states.values())
            if not waits or marks != seen or any(works(one.pid) for one in found):
                seen, since = marks if waits else None, time.monotonic()
                continue
            if time.monotonic() - since < QUIET_SECONDS:
                continue
            wake = min((wake for _, _, wake in states.values() if wake), default=NEVER)
            left_out = wake - self.monotonic()
            allowed = min(allowed + rate * (time.monotonic() - counted), max(AT_ONCE_SECONDS, left_out))
            counted = time.monotonic()
            if 0 < left_out < NEVER and left_out <= allowed:
                self._skip_to(wake)
                allowed -= left_out
            seen = None

    async def _skip_in_turn(self, sleepers: Callable[[], Sequence[Sleeper]], is_busy: Callable[[], bool]) -> None:
        """Each process was quiet for a while since the last skip, and waits now; not all for the same while."""
        seen: dict[int, tuple[int, float]] = {}
        rested: set[int] = set()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            found, now = sleepers(), time.monotonic()
            states = {one.slot: self.quiet(one.slot) for one in found}
            for one in found:
                busy, waiting, _ = states[one.slot]
                mark, since = seen.get(one.slot, (-1, now))
                if not waiting or busy != mark or works(one.pid):
                    seen[one.slot] = (busy if waiting else -1, now)
                elif now - since >= QUIET_SECONDS:
                    rested.add(one.slot)
            waits = bool(found) and not is_busy() and all(waiting for _, waiting, _ in states.values())
            if waits and rested >= states.keys():
                self._skip_to(min((wake for _, _, wake in states.values() if wake), default=NEVER))
                seen, rested = {}, set()

    def _skip_to(self, wake: float) -> None:
        if NEVER > wake > self.monotonic():
            left_out = wake - self.monotonic()
            self.jump(left_out)
            self.skipped += left_out


def works(pid: int) -> bool:
    """Does any thread of the process compute, wait for a processor to do so, or wait for a disk? proc_pid_stat(5)"""
    try:
        states = [path.read_bytes().rpartition(b")")[2].split()[0] for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    except (OSError, IndexError):  # it has ended meanwhile
        return False
    return any(state in WORKING for state in states)


@dataclass
class SharedClock:
    """`bot.interfaces.Clock` of a process, read from the file at `path`."""

    path: Path
    slot: int

    def __post_init__(self) -> None:
        self._face = _Face(self.path)
        self._sleeps: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        self._is_ticking = False

    def now(self) -> datetime:
        return self._face.now() + timedelta(seconds=self._face.step(self.slot))

    def monotonic(self) -> float:
        return self._face.monotonic()

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleeps, (self.monotonic() + seconds, next(self._numbers), future))
        self._announce()
        if not self._is_ticking:
            self._is_ticking = True
            self._tick()
        await future

    def _tick(self) -> None:
        now = self.monotonic()
        while self._sleeps and (self._sleeps[0][0] <= now or self._sleeps[0][2].done()):
            _, _, future = heapq.heappop(self._sleeps)
            if not future.done():
                future.set_result(None)
        self._announce()
        self._is_ticking = bool(self._sleeps)
        if self._sleeps:
            asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)

    def _announce(self) -> None:
        self._face.set_slot(self.slot, "<d", 24, self._sleeps[0][0] if self._sleeps else NEVER)

    def watched_loop(self) -> asyncio.AbstractEventLoop:
        """An event loop that says in the slot whether it has anything to do."""
        return asyncio.SelectorEventLoop(_WatchedSelector(self._face, self.slot))


class _WatchedSelector(selectors.DefaultSelector):
    """Counts the rounds in which something happened; a timer of ours alone is nothing."""

    def __init__(self, face: _Face, slot: int) -> None:
        super().__init__()
        self._face = face
        self._slot = slot
        self._busy = 0

    def select(self, timeout: float | None = None) -> Any:
        self._face.set_slot(self._slot, "<Q", 16, 1)
        events = super().select(timeout)
        self._face.set_slot(self._slot, "<Q", 16, 0)
        if events or (timeout is not None and timeout <= 0):
            self._busy += 1
            self._face.set_slot(self._slot, "<Q", 8, self._busy)
        return events
