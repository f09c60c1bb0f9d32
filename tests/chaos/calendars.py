"""What a reader should get and when, worked out without `bot.schedule`: by a walk over the clock on the wall."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

STEP = timedelta(minutes=5)  # of the walk; every reader's hour and every clock change is a multiple of it
WALKED_BACK = 5  # weekdays, where a day has no list
LATE_MINUTES = 10
CATCH_UP = timedelta(hours=12)  # the setting's default
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Reader:
    """A channel, and when it wants its report."""

    name: str
    platform: str
    target: str
    zone: str
    time: str

    @property
    def language(self) -> str:
        return "zh" if self.platform == "telegram" else "en"

    @property
    def settings(self) -> str:
        return f"""
[[channels]]
name = "{self.name}"
platform = "{self.platform}"
target = "{self.target}"
language = "{self.language}"
timezone = "{self.zone}"
time = "{self.time}"
"""


@dataclass(frozen=True)
class Due:
    """A moment (UTC) at which a reader wants the report of `day`."""

    at: datetime
    reader: Reader
    day: date


def dues(readers: Sequence[Reader], weekdays: Sequence[str], first: datetime, last: datetime) -> list[Due]:
    """All in [first, last), on these days of the reader's own week, in order."""
    found = [
        Due(at, reader, weekday_before(at.date()))
        for reader in readers
        for at, weekday in _moments(reader, first, last)
        if weekday in weekdays
    ]
    return sorted(found, key=lambda due: (due.at, due.reader.name))


def weekday_before(day: date) -> date:
    """There are lists on weekdays."""
    return day - timedelta(days={0: 3, 6: 2}.get(day.weekday(), 1))


def _moments(reader: Reader, first: datetime, last: datetime) -> list[tuple[datetime, str]]:
    """Once a date: when the clock on the wall first comes to the hour, or, where it leaps over it, as much later."""
    zone, hour = ZoneInfo(reader.zone), time.fromisoformat(reader.time)
    found: dict[date, datetime] = {}
    moment = first - timedelta(days=1)
    before = _on_the_wall(moment, zone)
    while moment < last:
        after = _on_the_wall(moment + STEP, zone)
        wanted = datetime.combine(after.date(), hour)
        if before < wanted <= after:
            found.setdefault(after.date(), moment + (wanted - before))
        moment, before = moment + STEP, after
    return [(at, WEEK[day.weekday()]) for day, at in found.items() if first <= at < last]


def _on_the_wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None)


@dataclass
class Wanted:
    """A report that a reader should get: of `day`, which is an earlier one where the due day has no list.

    `late` is None where it may be marked so or not. `since` is when somebody was there to send it.
    """

    due: Due
    day: date
    since: datetime
    late: bool | None
    early: bool = False  # somebody's clock was wrong: it may come before its hour


LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass
class Expectation:
    """What should have been sent so far, by the clock on the wall.

    `lists` are the days' lists by date; `waiting` is what is not due yet.
    """

    waiting: list[Due]
    lists: Mapping[str, Sequence[Any]]
    wanted: dict[tuple[str, date], Wanted] = field(default_factory=dict)
    missed: list[Due] = field(default_factory=list)
    unsure_until: datetime = LONG_AGO  # somebody's clock was wrong by so much
    _settled: set[tuple[str, date]] = field(default_factory=set)

    def seen(self, now: datetime) -> list[Wanted]:
        """Somebody is there at `now`, by the clock on the wall: what is wanted from now on."""
        new = []
        while self.waiting and self.waiting[0].at <= now:
            due = self.waiting.pop(0)
            if now - due.at >= CATCH_UP:
                self.missed.append(due)
            elif (one := self._one(due, now)) is not None:
                self.wanted[due.reader.name, one.day] = one
                new.append(one)
        return new

    def _one(self, due: Due, now: datetime) -> Wanted | None:
        name = due.reader.name
        if (name, due.day) in self._settled or (name, due.day) in self.wanted:
            return None
        self._settled.add((name, due.day))
        skewed = due.at <= self.unsure_until
        late = now - due.at > timedelta(minutes=LATE_MINUTES)
        return Wanted(due, self._list_for(name, due.day), now, None if skewed else late, early=skewed)

    def _list_for(self, name: str, day: date) -> date:
        """An earlier list that the reader has not had, where the day has none."""
        found = day
        for _ in range(1 + WALKED_BACK):
            if self.lists.get(str(found)):
                return day if (name, found) in self.wanted else found
            found = weekday_before(found)
        return day
