"""What is due when, over zones and clock changes, and the loop that has it done."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import delivery
from bot.delivery import Trouble
from bot.errors import StoreError
from bot.models import Address, ChannelPlan, PartState, PlatformName, ReportKey
from bot.pulse import AGAIN_SECONDS, PASS_SECONDS
from bot.schedule import ListDay, ReportJob, Schedule, default_day, due
from bot.store.sqlite import SqliteStore
from tests.fakes import FakeClock, a_plan, a_profile, wait_until
from tests.test_delivery import DOCUMENTS, FakeChannel

HOURS = timedelta(hours=1)
CATCH_UP = 12 * HOURS
ZONES = st.sampled_from(
    [
        "Asia/Shanghai",
        "America/New_York",
        "Europe/Berlin",
        "Australia/Lord_Howe",  # a change of half an hour
        "America/Santiago",  # changes at midnight
        "Asia/Kathmandu",
        "Pacific/Kiritimati",  # 14 hours ahead
        "Pacific/Pago_Pago",  # 11 hours behind
        "Africa/Casablanca",
        "UTC",
    ]
)
TIMES = st.times().map(lambda moment: moment.replace(second=0, microsecond=0))
MOMENTS = st.integers(0, 3 * 365 * 86_400).map(lambda n: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=n))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def days_due(plan: ChannelPlan, now: str, catch_up: timedelta = CATCH_UP) -> list[str]:
    return [str(entry.day) for entry in due([plan], utc(now), catch_up, "previous")]


def scheduled(plan: ChannelPlan, now: str) -> list[str]:
    return [f"{entry.scheduled_at:%m-%d %H:%M}" for entry in due([plan], utc(now), CATCH_UP, "previous")]


# --- which day


@pytest.mark.parametrize(
    ("instant", "list_day", "day"),
    [
        ("2026-02-26 01:30", "previous", "2026-02-25"),  # Thursday -> Wednesday
        ("2026-02-23 01:30", "previous", "2026-02-20"),  # Monday -> Friday
        ("2026-02-22 01:30", "previous", "2026-02-20"),  # Sunday -> Friday
        ("2026-02-26 01:30", "current", "2026-02-26"),
        ("2026-02-21 23:59", "current", "2026-02-20"),  # Saturday -> Friday
    ],
)
def test_the_default_day_is_the_last_list_there_is(instant: str, list_day: ListDay, day: str):
    assert default_day(utc(instant), list_day) == date.fromisoformat(day)


def test_the_default_day_is_counted_in_utc():
    new_york = datetime(2026, 2, 25, 20, 0, tzinfo=ZoneInfo("America/New_York"))  # already the 26th in UTC
    assert default_day(new_york, "previous") == date(2026, 2, 25)


# --- what is due


def test_a_report_is_due_from_its_hour_until_the_catch_up_ends():
    plan = a_plan()  # 09:30 in Shanghai is 01:30 in UTC
    assert days_due(plan, "2026-02-26 01:29:59") == []
    assert days_due(plan, "2026-02-26 01:30") == ["2026-02-25"]
    assert days_due(plan, "2026-02-26 13:29:59") == ["2026-02-25"]
    assert days_due(plan, "2026-02-26 13:30") == []


def test_catching_up_after_midnight_keeps_the_day():
    plan = a_plan(time=time(22, 0), timezone="UTC")
    assert days_due(plan, "2026-02-27 03:00") == ["2026-02-25"]


def test_a_report_that_starts_more_than_ten_minutes_after_its_hour_is_late():
    entries = [due([a_plan()], utc(f"2026-02-26 01:{minute}"), CATCH_UP, "previous")[0] for minute in (30, 40, 41)]
    assert [entry.late for entry in entries] == [False, False, True]


def test_only_the_plans_weekdays_count_and_they_are_local():
    plan = a_plan(time=time(0, 30), weekdays=frozenset({0}))  # Monday 00:30 in Shanghai is Sunday in UTC
    assert days_due(plan, "2026-02-22 16:31") == ["2026-02-20"]
    assert days_due(plan, "2026-02-23 16:31") == []


def test_an_hour_that_a_clock_change_skips_comes_that_much_later_and_once():
    plan = a_plan(time=time(2, 30), timezone="America/New_York")
    assert scheduled(plan, "2026-03-08 07:29") == []
    assert scheduled(plan, "2026-03-08 07:30") == ["03-08 07:30"]  # 03:30 in summer time
    assert scheduled(plan, "2026-03-08 18:00") == ["03-08 07:30"]
    assert scheduled(plan, "2026-03-09 06:30") == ["03-09 06:30"]


def test_an_hour_that_a_clock_change_repeats_counts_the_first_time():
    plan = a_plan(time=time(1, 30), timezone="America/New_York")
    assert scheduled(plan, "2026-11-01 05:30") == ["11-01 05:30"]
    assert scheduled(plan, "2026-11-01 06:30") == ["11-01 05:30"]


def test_a_weekend_brings_no_second_day():
    assert days_due(a_plan(), "2026-02-22 01:30", 48 * HOURS) == ["2026-02-20"]
    [entry] = due([a_plan()], utc("2026-02-22 01:31"), 48 * HOURS, "previous")
    assert not entry.late


def test_every_channel_is_due_by_itself():
    other = a_plan("other", address=Address(PlatformName.SLACK, "C1"), timezone="Europe/Berlin")
    assert [entry.plan.name for entry in due([a_plan(), other], utc("2026-02-26 09:00"), CATCH_UP, "previous")] == [
        "team",
        "other",
    ]


@given(ZONES, TIMES, MOMENTS, st.sampled_from([1, 12, 24]))
def test_at_most_one_report_is_due_a_channel_and_local_date(zone: str, at: time, now: datetime, hours: int):
    plan = a_plan(time=at, timezone=zone)
    entries = due([plan], now, hours * HOURS, "previous")
    dates = Counter(entry.scheduled_at.astimezone(ZoneInfo(zone)).date() for entry in entries)
    assert all(count == 1 for count in dates.values())
    assert len({entry.day for entry in entries}) == len(entries)
    assert all(entry.day.weekday() < 5 and entry.day < entry.scheduled_at.date() for entry in entries)
    assert all(timedelta() <= now - entry.scheduled_at < hours * HOURS for entry in entries)


@given(
    ZONES,
    TIMES,
    st.frozensets(st.integers(0, 6), min_size=1),
    st.dates(date(2025, 1, 1), date(2027, 11, 30)),
    st.sampled_from(["previous", "current"]),
)
@settings(max_examples=15, deadline=None)
def test_looking_every_30_seconds_fires_every_scheduled_weekday_of_a_month_once(
    zone: str, at: time, weekdays: frozenset[int], start: date, list_day: ListDay
):
    plan = a_plan(time=at, timezone=zone, weekdays=weekdays)
    now = datetime.combine(start, time(), UTC)
    end = now + timedelta(days=30)
    fired: dict[datetime, date] = {}
    while now < end:
        # Nothing changes between two of its edges, so that only their neighbourhood has to be looked at densely.
        for entry in due([plan], now, CATCH_UP, list_day):
            assert fired.setdefault(entry.scheduled_at, entry.day) == entry.day
        now += timedelta(seconds=PASS_SECONDS * (1 if _near(plan, now) else 20))
    local = [moment.astimezone(ZoneInfo(zone)).date() for moment in fired]
    assert len(set(local)) == len(local)
    first, last = start + timedelta(days=2), start + timedelta(days=27)
    expected = [first + timedelta(days=n) for n in range((last - first).days)]
    assert [d for d in local if first <= d < last] == [d for d in expected if d.weekday() in weekdays]


def _near(plan: ChannelPlan, now: datetime) -> bool:
    local = now.astimezone(ZoneInfo(plan.timezone))
    minutes = (local.hour - plan.time.hour) * 60 + local.minute - plan.time.minute
    return abs(minutes) % 1440 < 90 or abs(minutes) > 1350


# --- the loop


def test_a_report_job_is_read_back_as_it_was_written():
    late = {"b,c": utc("2026-02-26 01:30")}
    job = ReportJob(date(2026, 2, 25), "default", "zh", {"a": "telegram:-1001", "b,c": "slack:C1"}, late)
    assert ReportJob.parse(job.arguments()) == job
    assert job.key == "report:2026-02-25:default:zh"
    assert all(isinstance(value, str) for value in job.arguments().values())


class Submissions:
    """An engine that runs nothing: it remembers, and says which keys it holds to be running."""

    def __init__(self) -> None:
        self.submitted: list[tuple[str, str, Mapping[str, str]]] = []
        self.busy: set[str] = set()
        self.error: Exception | None = None

    async def submit(self, job: str, key: str, arguments: Mapping[str, str]) -> bool:
        if self.error:
            raise self.error
        if key in self.busy:
            return False
        self.submitted.append((job, key, arguments))
        return True

    @property
    def keys(self) -> list[str]:
        return [key for _, key, _ in self.submitted]


SCHEDULED = utc("2026-02-26 01:30")
DAY = date(2026, 2, 25)
TEAM = a_plan()
SLACK = a_plan("slack", address=Address(PlatformName.SLACK, "C1"))


class Morning:
    """A schedule over a real store, at 09:30 in Shanghai."""

    def __init__(self, store: SqliteStore, *plans: ChannelPlan) -> None:
        self.store = store
        self.engine = Submissions()
        self.clock = FakeClock(SCHEDULED)
        self.told: list[Trouble] = []
        self.plans = plans or (TEAM,)
        self.schedule = self.a_schedule()

    def a_schedule(self) -> Schedule:
        async def tell(trouble: Trouble) -> None:
            self.told.append(trouble)

        engine = self.engine
        return Schedule(self.plans, CATCH_UP, "previous", self.store, engine, self.clock, tell)  # type: ignore[arg-type]  # it only submits

    async def look(self, minutes: float = 0) -> list[str]:
        """Looks `minutes` later; returns the keys that were submitted."""
        self.clock.time += timedelta(minutes=minutes)
        before = len(self.engine.keys)
        await self.schedule.reconcile()
        return self.engine.keys[before:]

    async def plan(self, plan: ChannelPlan = TEAM, edition: int = 1, day: date = DAY) -> str:
        """Plans a delivery as the report's job does; returns its key."""
        report = ReportKey(day, plan.profile.name, plan.language, edition)
        channel = FakeChannel(address=plan.address)
        parts = delivery.plan(report, channel, DOCUMENTS, name=plan.name, now=self.clock.now())
        await self.store.plan(report, parts)
        return parts[0].delivery

    async def finish(self, key: str) -> None:
        for part in await self.store.delivery(key):
            now = self.clock.now()
            await self.store.claim(part.key, "one", now, now)
            await self.store.record(part.key, "one", PartState.SENT, ["1"])


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore.open(tmp_path / "paperboy.db") as opened:
        yield opened


async def test_what_is_due_is_submitted_once_for_all_its_channels(store: SqliteStore):
    english = a_plan("english", address=Address(PlatformName.SLACK, "C2"), language="en")
    later = a_plan("later", address=Address(PlatformName.SLACK, "C3"), time=time(9, 31))
    morning = Morning(store, TEAM, SLACK, english, later)
    assert sorted(await morning.look()) == ["report:2026-02-25:default:en", "report:2026-02-25:default:zh"]
    [arguments] = [arguments for _, key, arguments in morning.engine.submitted if key.endswith("zh")]
    assert ReportJob.parse(arguments) == ReportJob(
        DAY,
        "default",
        "zh",
        {"team": str(TEAM.address), "slack": str(SLACK.address)},
        {"team": SCHEDULED, "slack": SCHEDULED},
    )


async def test_nothing_is_submitted_for_what_is_done(store: SqliteStore):
    morning = Morning(store)
    await morning.finish(await morning.plan())
    assert await morning.look() == []


async def test_a_day_that_was_settled_without_a_report_is_done(store: SqliteStore):
    morning = Morning(store)
    await delivery.settle_day(store, TEAM, DAY, "no list")
    assert await morning.look() == []


async def test_a_job_knows_when_each_of_its_channels_was_to_have_it(store: SqliteStore):
    morning = Morning(store, TEAM, replace(SLACK, time=time(10, 0)))
    await morning.look(30)
    [(_, _, arguments)] = morning.engine.submitted
    assert ReportJob.parse(arguments).due == {"team": SCHEDULED, "slack": SCHEDULED + timedelta(minutes=30)}


async def test_a_job_that_failed_is_tried_again_with_growing_pauses_until_the_window_ends(store: SqliteStore):
    morning = Morning(store)
    tried = [minutes / 2 for minutes in range(13 * 120) if await morning.look(0.5 if minutes else 0)]
    assert tried[:7] == [0, 1, 3, 7, 15, 25, 35]
    assert tried[-1] < 12 * 60
    assert len(tried) < 80
    assert [trouble.key for trouble in morning.told] == ["delivery.trouble_missed"]


async def test_a_job_that_still_runs_is_not_counted_as_tried(store: SqliteStore):
    morning = Morning(store)
    morning.engine.busy = {"report:2026-02-25:default:zh"}
    assert [await morning.look(minutes) for minutes in (0, 5, 5, 5)] == [[], [], [], []]
    morning.engine.busy = set()
    assert await morning.look(1) == ["report:2026-02-25:default:zh"]
    assert await morning.look(1) == ["report:2026-02-25:default:zh"]


async def test_a_channel_whose_hour_comes_does_not_wait_for_anothers_pause(store: SqliteStore):
    morning = Morning(store, TEAM, replace(SLACK, time=time(10, 16)))
    for minutes in (0, 1, 2, 4, 8, 10, 20.5):
        await morning.look(minutes)
    assert await morning.look(0.5) == ["report:2026-02-25:default:zh"]


async def test_a_restart_tries_at_once(store: SqliteStore):
    morning = Morning(store)
    await morning.look()
    assert await morning.look(0.5) == []
    morning.schedule = morning.a_schedule()
    assert await morning.look() == ["report:2026-02-25:default:zh"]


async def test_a_closed_channel_gets_no_report_made(store: SqliteStore):
    morning = Morning(store)
    await store.move(TEAM.address, "-100777")
    await store.close(replace(TEAM.address, target="-100777"), "kicked")
    assert await morning.look() == []
    await store.reopen(replace(TEAM.address, target="-100777"))
    assert await morning.look(1) == ["report:2026-02-25:default:zh"]


async def test_a_delivery_that_a_crash_left_is_finished_by_its_reports_job(store: SqliteStore):
    morning = Morning(store)
    await morning.plan()
    assert await morning.look() == ["report:2026-02-25:default:zh"]


async def test_a_delivery_that_no_schedule_wants_is_finished_by_itself(store: SqliteStore):
    morning = Morning(store)
    await morning.finish(await morning.plan())
    correction = await morning.plan(edition=2)
    older = await morning.plan(day=date(2026, 2, 20))
    assert await morning.look() == [f"deliver:{correction}", f"deliver:{older}"]
    assert morning.engine.submitted[0][::2] == (
        "deliver",
        {"delivery": correction, "chat": correction.partition("@")[2]},
    )
    assert await morning.look(0.5) == []
    assert len(await morning.look(0.5)) == 2


async def test_a_delivery_left_for_too_long_is_given_up_and_told(store: SqliteStore):
    morning = Morning(store)
    key = await morning.plan(day=date(2026, 2, 20))
    morning.clock.time += timedelta(days=3)
    morning.schedule.plans = ()
    assert await morning.look() == []
    assert {part.state for part in await store.delivery(key)} == {PartState.FAILED}
    assert [trouble.key for trouble in morning.told] == ["delivery.trouble_expired"]
    assert await morning.look(1) == []


async def test_nothing_is_given_up_that_the_newer_settings_of_another_process_may_want(store: SqliteStore):
    morning = Morning(store, TEAM)
    morning.schedule.plans = morning.schedule.known = (TEAM,)
    await morning.look()
    morning.clock.time += timedelta(seconds=20)
    new = await morning.plan(SLACK)
    await morning.look(0.5)
    assert {part.state for part in await store.delivery(new)} == {PartState.PLANNED}
    assert not morning.told


async def test_what_a_crash_left_for_a_channel_that_was_removed_since_is_given_up_and_told_once(store: SqliteStore):
    morning = Morning(store, TEAM, SLACK)
    removed = await morning.plan(SLACK)
    await store.claim(f"{removed}~1", "killed", SCHEDULED, SCHEDULED + timedelta(seconds=30))
    morning.schedule.plans = morning.schedule.known = (TEAM,)
    for minutes in (0, 0.5, 0.5):
        assert f"deliver:{removed}" not in await morning.look(minutes)
    parts = await store.delivery(removed)
    assert {part.state for part in parts} == {PartState.FAILED, PartState.UNKNOWN}
    assert "no channel wants it any more" in {part.error for part in parts}
    assert [(trouble.key, trouble.values["channel"]) for trouble in morning.told] == [
        ("delivery.trouble_unwanted", "slack"),
        ("delivery.trouble_unknown", "slack"),
    ]


async def test_what_was_being_sent_when_everything_went_down_for_long_is_looked_up_and_the_rest_given_up(
    store: SqliteStore,
):
    morning = Morning(store)
    morning.schedule.plans = ()
    key = await morning.plan()
    await store.claim(f"{key}~2", "killed", SCHEDULED, SCHEDULED + timedelta(seconds=30))
    assert await morning.look(13 * 60) == [f"deliver:{key}"]
    assert [part.state.value for part in await store.delivery(key)] == ["failed", "failed", "sending", "failed"]
    assert [trouble.key for trouble in morning.told] == ["delivery.trouble_expired"]


async def test_what_cannot_be_looked_up_for_as_long_as_what_is_new_is_sent_is_unknown(store: SqliteStore):
    morning = Morning(store)
    morning.schedule.plans = ()
    key = await morning.plan()
    await store.claim(f"{key}~2", "killed", SCHEDULED, SCHEDULED + timedelta(seconds=30))
    assert await morning.look(13 * 60) == [f"deliver:{key}"]
    assert await morning.look(12 * 60) == [f"deliver:{key}"]
    assert await morning.look(1) == []
    assert [part.state.value for part in await store.delivery(key)] == ["failed", "failed", "unknown", "failed"]
    assert [trouble.key for trouble in morning.told] == ["delivery.trouble_expired", "delivery.trouble_unknown"]


async def test_a_late_delivery_that_a_process_is_sending_is_left_to_it(store: SqliteStore):
    morning = Morning(store)
    morning.schedule.plans = ()
    key = await morning.plan()
    later = SCHEDULED + timedelta(hours=13)
    await store.claim(f"{key}~1", "alive", later, later + timedelta(seconds=30))
    assert await morning.look(13 * 60) == []
    assert {part.state for part in await store.delivery(key)} == {PartState.SENDING, PartState.PLANNED}


async def test_what_was_sent_again_by_hand_is_not_given_up_by_the_next_pass(store: SqliteStore):
    morning = Morning(store)
    morning.schedule.plans = ()
    key = await morning.plan()
    await morning.look(13 * 60)
    await delivery.settle(store, f"{key}~1", delivery.Settling.SEND, morning.clock.now())
    assert await morning.look(1) == [f"deliver:{key}"]
    assert await morning.look(13 * 60) == []


async def test_with_the_schedule_off_what_was_left_for_a_known_channel_is_still_finished(store: SqliteStore):
    morning = Morning(store)
    key = await morning.plan()
    morning.schedule.plans, morning.schedule.known = (), (TEAM,)
    assert await morning.look() == [f"deliver:{key}"]


@pytest.mark.parametrize(
    ("changes", "goes_on"),
    [
        ({"name": "renamed"}, True),
        ({"time": time(18, 0), "style": "rich"}, True),
        ({"profile": a_profile(name="other")}, False),
        ({"language": "en"}, False),
        ({"address": replace(TEAM.address, topic=5)}, False),
        ({"address": replace(TEAM.address, target="-100777")}, True),  # where Telegram moved the chat to
    ],
)
async def test_a_delivery_goes_on_as_long_as_a_channel_wants_that_report_there(
    store: SqliteStore, changes: dict[str, object], *, goes_on: bool
):
    morning = Morning(store)
    key = await morning.plan(edition=2)
    await store.move(TEAM.address, "-100777")
    morning.schedule.plans, morning.schedule.known = (), (replace(TEAM, **changes),)  # type: ignore[arg-type]  # fields by name
    assert await morning.look() == ([f"deliver:{key}"] if goes_on else [])
    assert len(morning.told) == (not goes_on)


async def test_a_report_that_was_missed_is_told_by_one_of_the_replicas(store: SqliteStore):
    replicas = [Morning(store), Morning(store)]
    for minutes in (0, 12 * 60, 1):
        for morning in replicas:
            await morning.look(minutes)
    assert [trouble.key for morning in replicas for trouble in morning.told] == ["delivery.trouble_missed"]


async def test_a_report_that_was_sent_at_last_is_not_missed(store: SqliteStore):
    morning = Morning(store)
    await morning.look()
    await morning.finish(await morning.plan())
    await morning.look(13 * 60)
    assert morning.told == []


async def test_pauses_of_what_is_done_are_forgotten(store: SqliteStore):
    morning = Morning(store)
    await morning.look()
    assert len(morning.schedule._pauses) == 1
    await morning.finish(await morning.plan())
    await morning.look(1)
    assert morning.schedule._pauses == {}


async def test_the_loop_survives_a_pass_that_fails_and_stops_when_cancelled(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
):
    morning = Morning(store)
    morning.engine.error = StoreError("Redis is gone")
    running = asyncio.create_task(morning.schedule.run())
    await wait_until(lambda: len(morning.clock.slept) > 2)
    assert "store is away: Redis is gone" in caplog.text
    morning.engine.error = None
    await wait_until(lambda: bool(morning.engine.keys) and PASS_SECONDS in morning.clock.slept)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert set(morning.clock.slept[:3]) == {AGAIN_SECONDS}, "the store may be back in a moment"
