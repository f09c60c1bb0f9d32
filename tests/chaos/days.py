"""Three replicas over two hundred days, with clock changes, wrong clocks, nights in which all are down, and kills.

Time jumps from one reader's hour to the next. What should come when is in `tests.chaos.calendars`.
"""

import asyncio
import re
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from bot import delivery
from bot.models import Address, Part, PartKind, PartState, PlatformName, ReportKey
from tests.chaos import book
from tests.chaos.calendars import CATCH_UP, LATE_MINUTES, WEEK, Due, Expectation, Reader, Wanted, dues
from tests.chaos.child import OWN_PACE
from tests.chaos.clock import NEVER
from tests.chaos.forks import Process
from tests.chaos.results import Row
from tests.chaos.scene import Ground, Scene, a_list, a_scene
from tests.chaos.trial import Trial
from tests.slack_people import Place
from tests.slack_rules import as_seen
from tests.telegram_standin import GROUP, Chat

FIRST = date(2025, 9, 20)  # in the 200 days from here on, every zone below that has clock changes has all of them
DAYS = 25  # of one trial
TRIALS = 8  # to see all days
REPLICAS = 3
EAST, WEST = -1001000000002, -1001000000003
READERS = (
    Reader("shanghai", "telegram", str(GROUP), "Asia/Shanghai", "09:30"),
    Reader("first", "telegram", str(WEST), "America/New_York", "01:30"),
    Reader("second", "slack", "C0SECOND", "America/New_York", "02:30"),
    Reader("london", "slack", "C0LONDON", "Europe/London", "01:15"),
    Reader("auckland", "telegram", str(EAST), "Pacific/Auckland", "02:45"),
    Reader("kolkata", "slack", "C0KOLKATA", "Asia/Kolkata", "23:45"),
)
WEEKS = (WEEK, tuple(day for day in WEEK if day != "sat"), tuple(day for day in WEEK if day != "tue"))
PAPERS = 3  # of a day's list
EMPTY = 0.08  # of weekdays have no list
LONG_HOLIDAY = (date(2025, 12, 24), date(2025, 12, 25), date(2025, 12, 26))
FAULTS = ("end", "all on", "all back", "one on", "one back", "night")
FAULTY = 0.08  # of the hours come after one of those, and as many with a kill
PROBED = 0.3  # of the times between two hours see a pass somewhere in the middle
BEYOND = timedelta(days=2)  # that a night may last, or a clock be wrong, at the end
HOUR = timedelta(hours=1)
PASS_SECONDS = 31.0  # simulated; every loop looks in these
KILL_SECONDS = 0.4  # real; a report is made, and sent by one of them, in these
DONE_SECONDS = 40.0  # real
NOTICED_SECONDS = 0.02  # real, until a process has seen that time has passed
MARGIN = timedelta(minutes=3)
_HEADER = re.compile(r"(?:日报|Digest) \| (\d{4}-\d\d-\d\d)")
LATE_SIGN = "⏰"


async def of_days(ground: Ground, trial: Trial) -> Sequence[Row]:
    """Some of the days, by the trial's number. Its faults are its days."""
    first = FIRST + DAYS * timedelta(days=trial.number % TRIALS)
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    lists = _lists(first, trial.random)
    row = trial.row(f"{REPLICAS} replicas on simulated days, with clock changes", faults=DAYS)
    chats = [Chat(EAST, title="East"), Chat(WEST, title="West")]
    async with a_scene(ground, "redis", start=start, lists=lists, chats=chats) as scene:
        scene.time.in_turn = True
        for reader in READERS:
            scene.slack.places.setdefault(reader.target, Place(reader.target, reader.name))
        scene.write(channels="".join(reader.settings for reader in READERS))
        scene.variables["PAPERBOY_REPORT__DEEP_DIVES"] = "1"
        week = WEEKS[trial.number % len(WEEKS)]
        scene.variables["PAPERBOY_SCHEDULE__WEEKDAYS"] = ",".join(week)
        scene.variables[OWN_PACE] = "1"  # a day takes some seconds: three messages a day are more than twenty a minute
        end = start + DAYS * timedelta(days=1)
        expected = Expectation(dues(READERS, week, start - CATCH_UP, end + BEYOND), lists)
        stay = Stay(scene, trial.random, expected, row, end)
        await stay.live()
        await _compare(scene, expected, row)
        row.figures |= {"first_day": str(first), "reports": len(expected.wanted), "missed": len(expected.missed)}
        row.figures |= {"faults": dict(stay.faults), "late": sum(bool(one.late) for one in expected.wanted.values())}
        if row.failures:
            row.failures.append(scene.said())
    return [row]


def _lists(first: date, random: Random) -> dict[str, list[dict[str, Any]]]:
    """Papers of no two days are the same."""
    days = [first + timedelta(days=n) for n in range(-10, DAYS + BEYOND.days + 1)]
    found: dict[str, list[dict[str, Any]]] = {}
    for number, day in enumerate(days):
        is_empty = day.weekday() >= 5 or day in LONG_HOLIDAY or random.random() < EMPTY
        found[str(day)] = [] if is_empty else a_list(PAPERS, first=1 + number * PAPERS)
    return found


@dataclass
class Stay:
    """The time in one scene, until `end`. `skewed` is the replica whose clock is wrong."""

    scene: Scene
    random: Random
    expected: Expectation
    row: Row
    end: datetime
    replicas: list[Process] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    skewed: Process | None = None

    async def live(self) -> None:
        """Until nothing is due before the end; then all end."""
        started = time.monotonic()
        self.replicas = [await self._started() for _ in range(REPLICAS)]
        new = self._seen()
        await self._pass()
        await self._done(new)
        assert len(self.scene.alive) == REPLICAS, self.scene.said()
        while (due := self.expected.waiting[0]).at < self.end:
            await self._before(due)
            if self.expected.waiting[0] is due:
                await self._at(due)
        await self._pass()
        self.row.figures["seconds_a_day"] = round((time.monotonic() - started) / DAYS, 2)
        for process in self.replicas:
            await self._ended(process)

    async def _before(self, due: Due) -> None:
        """Some way to the hour, something happens, or every process just looks."""
        if self.random.random() < FAULTY:
            self._come_near(due)
            fault = self.random.choice(FAULTS)
            self.faults[fault] += 1
            await self._happens(fault)
        elif self.random.random() < PROBED:
            self._come_near(due)
            await self._pass()

    def _come_near(self, due: Due) -> None:
        left = due.at - self.scene.time.now() - MARGIN
        if left > timedelta():
            self.scene.time.jump(left.total_seconds() * self.random.random())

    async def _at(self, due: Due) -> None:
        """A reader's hour. A process may be killed in it, and comes back when the others have done the work."""
        self.scene.time.jump_to(due.at + timedelta(seconds=self.random.uniform(1, 25)))
        new = self._seen()
        killed = None
        if self.random.random() < FAULTY and not self.skewed:
            self.faults["kill"] += 1
            killed = self.random.randrange(REPLICAS)
            await asyncio.sleep(self.random.uniform(0, KILL_SECONDS))
            await self.replicas[killed].dies()
        seconds = await self._done(new)
        if killed is not None:
            self.row.recovery.append(seconds)
            self.replicas[killed] = await self._started()
        if self.skewed:
            await self._pass()
            self.scene.time.step_one(self.skewed.slot, timedelta())
            self.skewed = None

    async def _happens(self, fault: str) -> None:
        if fault == "end":
            number = self.random.randrange(REPLICAS)
            await self._ended(self.replicas[number])
            self.replicas[number] = await self._started()
        elif fault == "night":
            await self._night()
        elif fault.startswith("all"):
            self.scene.time.step(HOUR if fault == "all on" else -HOUR)
            await self._pass()
            await self._done(self._seen())
        else:
            self.skewed = self.skewed or self.random.choice(self.replicas)
            self.scene.time.step_one(self.skewed.slot, HOUR if fault == "one on" else -HOUR)
            await self._pass()

    async def _night(self) -> None:
        """All are down for some hours, and some of it may be too old then."""
        kills = self.random.random() < 0.5
        for process in self.replicas:
            await (process.dies() if kills else self._ended(process))
        self.skewed = None
        self.scene.time.jump(self.random.uniform(1, 14) * 3_600)
        while any(
            abs(self.scene.time.now() - due.at - bound) < MARGIN for due in self.expected.waiting for bound in _BOUNDS
        ):
            self.scene.time.jump(MARGIN.total_seconds())
        self.replicas = [await self._started() for _ in range(REPLICAS)]
        new = self._seen()
        await self._pass()
        await self._done(new)

    async def _started(self) -> Process:
        """A new one that has made its first pass: before, it dies of SIGTERM as any program does."""
        process = await self.scene.start()
        await self.scene.until(lambda: process.code is not None or 0 < self.scene.time.quiet(process.slot)[2] < NEVER)
        return process

    def _seen(self) -> list[Wanted]:
        now = self.scene.time.now()
        if self.skewed:
            self.expected.unsure_until = now + HOUR + MARGIN
        return self.expected.seen(now)

    async def _done(self, new: Sequence[Wanted]) -> float:
        """Returns when all of it was sent, and nobody does anything any more; simulated seconds."""
        began = self.scene.time.monotonic()
        async with self.scene.skipping():
            try:
                await self.scene.until(lambda: self._is_sent(new), DONE_SECONDS)
            except TimeoutError:
                names = [f"{one.due.reader.name} {one.day}" for one in new]
                self.row.failures.append(f"at {self.scene.time.now()}: not all sent of {names}\n{self.scene.said(15)}")
        for one in new:
            if self.scene.time.now() - one.due.at > timedelta(minutes=LATE_MINUTES) and not one.late:
                one.late = None  # it took so long that it may be marked
        seconds = round(self.scene.time.monotonic() - began, 1)
        await self._quiet()
        return seconds

    async def _is_sent(self, new: Sequence[Wanted]) -> bool:
        return all([delivery.finished(await self.scene.store.delivery(_key(one))) for one in new])

    async def _pass(self) -> None:
        """Every process looks at what is due, in one leap: in between, there is a sleep that ends every second."""
        self.scene.time.jump(PASS_SECONDS)
        await self._quiet()

    async def _quiet(self) -> None:
        """Nobody is in the middle of anything: each process did nothing for a moment, after what it has done now."""
        await asyncio.sleep(NOTICED_SECONDS)
        await asyncio.gather(*(self.scene.time.rest(process.slot) for process in self.scene.alive))

    async def _ended(self, process: Process) -> None:
        process.signal(signal.SIGTERM)
        if (code := await process.end()) != 0:
            self.row.failures.append(f"a process that was told to end did so with {code}")


_BOUNDS = (CATCH_UP, timedelta(minutes=LATE_MINUTES))


def _key(one: Wanted) -> str:
    reader = one.due.reader
    address = Address(PlatformName(reader.platform), reader.target)
    return delivery.delivery_key(ReportKey(one.day, "default", reader.language), address)


async def _compare(scene: Scene, expected: Expectation, row: Row) -> None:
    """The ledger and the chats against the calendar."""
    parts: dict[str, list[Part]] = {}
    for part in await scene.store.deliveries(100_000):
        parts.setdefault(part.delivery, []).append(part)
    wanted = {_key(one): one for one in expected.wanted.values()}
    for key in sorted(parts.keys() - wanted.keys()):
        row.failures.append(f"on a wrong day: {key}, planned at {parts[key][0].planned_at}")
    for key in sorted(wanted.keys() - parts.keys()):
        row.lost += 1
        row.failures.append(f"never sent: {key}, due at {wanted[key].due.at}")
    for key, one in wanted.items():
        row.failures += _untimely(key, one, parts.get(key, ()))
    for reader in READERS:
        its = _posts(parts, wanted, reader)
        row.unknown += sum(part.state is PartState.UNKNOWN for part in its)
        row.failures += await book.hidden(scene.store, its)
        _compare_chat(reader, _texts(scene, reader), its, expected, row)


def _posts(parts: Mapping[str, Sequence[Part]], wanted: Mapping[str, Wanted], reader: Reader) -> list[Part]:
    keys = [key for key, one in wanted.items() if one.due.reader is reader]
    return [part for key in keys for part in parts.get(key, ()) if part.message.kind is PartKind.POST]


def _untimely(key: str, one: Wanted, parts: Sequence[Part]) -> list[str]:
    failures = []
    for part in parts[:1]:
        assert part.planned_at
        if part.planned_at < one.due.at and not one.early:
            failures.append(f"before its hour: {key}, due at {one.due.at}, planned at {part.planned_at}")
        if one.late is not None and part.late is not one.late:
            failures.append(f"late is {part.late}: {key}, due at {one.due.at}, planned at {part.planned_at}")
    return failures


def _texts(scene: Scene, reader: Reader) -> list[str]:
    if reader.platform == "telegram":
        return [one.text for one in scene.telegram.messages(int(reader.target))]
    return ["\n".join(as_seen(one)) for one in scene.slack.posted(reader.target) if one.get("bot_id")]


def _compare_chat(reader: Reader, texts: Sequence[str], posts: Sequence[Part], expected: Expectation, row: Row) -> None:
    states = Counter(part.state for part in posts)
    shown = Counter(texts)
    row.duplicated += sum(times - 1 for times in shown.values())
    row.failures += [f"{reader.name}: shown {n} times: {text[:80]!r}" for text, n in shown.items() if n > 1]
    if not states[PartState.SENT] <= len(texts) <= states[PartState.SENT] + states[PartState.UNKNOWN]:
        row.lost += max(0, states[PartState.SENT] - len(texts))
        row.failures.append(f"{reader.name}: {len(texts)} messages are shown; the ledger says {dict(states)}")
    if strange := states.keys() - {PartState.SENT, PartState.UNKNOWN}:
        row.failures.append(f"{reader.name}: {sorted(strange)} in {dict(states)}")
    headed = Counter(found[1] for text in texts if (found := _HEADER.search(text)))
    due = {str(day): one for (name, day), one in expected.wanted.items() if name == reader.name}
    for day in sorted(headed.keys() - due.keys()):
        row.failures.append(f"{reader.name}: a report of {day} is shown")
    unsure = {part.delivery[:10] for part in posts if part.state is PartState.UNKNOWN}
    for day in sorted(due.keys() - headed.keys() - unsure):
        row.lost += 1
        row.failures.append(f"{reader.name}: no report of {day} is shown")
    for text in texts:
        found = _HEADER.search(text)
        one = due.get(found[1]) if found else None
        if one and one.late is not None and (LATE_SIGN in text) is not one.late:
            row.failures.append(
                f"{reader.name}: the report of {found and found[1]} is {'' if one.late else 'not '}late"
            )
