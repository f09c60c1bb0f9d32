"""The calendar that `make chaos` compares two hundred days with: right by hand, and the same as the schedule's."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from bot.interfaces import Clock
from bot.models import Address, ChannelPlan, PlatformName, Profile
from bot.schedule import default_day, next_after
from tests.chaos.calendars import CATCH_UP, WEEK, Due, Expectation, Reader, dues
from tests.chaos.clock import SharedClock, Time
from tests.chaos.days import DAYS, FIRST, READERS, TRIALS
from tests.fakes import NOW

NEW_YORK = Reader("ny", "slack", "C0", "America/New_York", "02:30")
START = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC)
END = START + DAYS * TRIALS * timedelta(days=1)


def moments(reader: Reader, first: date, days: int) -> list[str]:
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    return [f"{due.at:%m-%d %H:%M}" for due in dues([reader], WEEK, start, start + timedelta(days=days))]


def test_an_hour_that_the_clock_leaps_over_comes_as_much_later():
    assert moments(NEW_YORK, date(2026, 3, 7), 3) == ["03-07 07:30", "03-08 07:30", "03-09 06:30"]


def test_an_hour_that_comes_twice_counts_the_first_time():
    twice = Reader("ny", "slack", "C0", "America/New_York", "01:30")
    assert moments(twice, date(2025, 11, 1), 3) == ["11-01 05:30", "11-02 05:30", "11-03 06:30"]


def test_the_schedule_says_the_same_over_all_days_and_clock_changes():
    for reader in READERS:
        hour = datetime.strptime(reader.time, "%H:%M").time()  # noqa: DTZ007 - an hour of some zone
        address = Address(PlatformName(reader.platform), reader.target)
        plan = ChannelPlan(reader.name, address, Profile("default", ()), reader.language, hour, reader.zone)
        found, moment = [], START - timedelta(microseconds=1)
        while (after := next_after(plan, moment)) and after < END:
            found.append(Due(after, reader, default_day(after, "previous")))
            moment = after
        assert found == dues([reader], WEEK, START, END)


def test_what_was_due_long_ago_is_missed_and_what_was_due_lately_is_late():
    waiting = dues([NEW_YORK], WEEK, START, START + timedelta(days=3))
    calendar = Expectation(list(waiting), {})
    seen_at = waiting[1].at + timedelta(hours=1)
    new = calendar.seen(seen_at)
    assert [(one.due, one.late) for one in new] == [(waiting[1], True)]
    assert calendar.missed == [waiting[0]]
    assert seen_at - waiting[0].at > CATCH_UP


def test_one_process_may_have_another_hour_than_the_rest(tmp_path: Path):
    hand = Time(tmp_path / "clock", NOW)
    clocks: list[Clock] = [SharedClock(hand.path, hand.new_slot()) for _ in range(2)]
    hand.step_one(0, timedelta(hours=1))
    assert timedelta(minutes=59) < clocks[0].now() - clocks[1].now() < timedelta(minutes=61)
    hand.step_one(0, timedelta())
    assert abs(clocks[0].now() - clocks[1].now()) < timedelta(minutes=1)
