import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bot.daily import Daily, Job
from bot.delivery import LATE_AFTER, Courier, Trouble, day_settled
from bot.errors import ModelError, Outcome, SendError, SettingsError, SourceError
from bot.interfaces import Errand
from bot.models import (
    Address,
    ChannelPlan,
    DayList,
    DeliveryState,
    Finding,
    Message,
    PartKind,
    PartState,
    PlatformName,
)
from bot.report.document import Document, Links, text_of
from bot.store.sqlite import SqliteStore
from tests.fakes import DAY, NOW, FakeClock, a_day_list, a_plan, a_profile
from tests.test_reporter import ListedDays, ScriptedAnalyst, a_reporter

FRIDAY, MONDAY = date(2026, 2, 20), date(2026, 2, 23)


class RecordingChannel:
    """A place that keeps what it gets: a message a document."""

    def __init__(self, address: Address):
        self.address = address
        self.got: list[str] = []
        self.trouble: Exception | None = None

    def render(self, documents: Sequence[Document]) -> tuple[Message, ...]:
        return tuple(Message(PartKind.POST, document.key, _words(document)) for document in documents)

    async def turn(self, errand: Errand) -> float:
        return errand.since  # nothing is limited here

    async def send(self, key, message, thread) -> tuple[str, ...]:
        await asyncio.sleep(0)
        if self.trouble:
            raise self.trouble
        self.got.append(message.payload)
        return (str(len(self.got)),)

    async def find(self, key, thread, since):
        raise SendError("nobody can tell", Outcome.UNKNOWN)

    async def edit(self, message_id, message):
        raise SendError("nothing is edited", Outcome.NOT_SENT)

    async def preview(self, message) -> bool:
        return False

    async def check(self) -> Sequence[Finding]:
        return []


def _words(document: Document) -> str:
    notes = [text_of(block.spans) for block in document.blocks if hasattr(block, "spans")]
    return "\n".join([text_of(document.title), *notes])


class Town:
    """Everything around the day's job: a store, channels by address, a clock, and the days that are listed."""

    def __init__(self, store: SqliteStore, days: dict[date, DayList | SourceError] | None = None):
        self.store = store
        self.clock = FakeClock()
        self.channels: dict[Address, RecordingChannel] = {}
        self.told: list[Trouble] = []
        self.analyst = ScriptedAnalyst()
        self.source = ListedDays({DAY: a_day_list(5)} if days is None else days)
        reporter = a_reporter(store, self.analyst, source=self.source, clock=self.clock)
        self.daily = Daily(reporter, Courier(store, self.at, self.clock, self.tell), Links())

    def at(self, address: Address) -> RecordingChannel:
        if address.target == "unset":
            raise SettingsError("telegram.token: not set")
        return self.channels.setdefault(address, RecordingChannel(address))

    async def tell(self, trouble: Trouble) -> None:
        self.told.append(trouble)

    def got(self, plan: ChannelPlan) -> list[str]:
        return self.at(plan.address).got


@pytest.fixture
async def store(tmp_path):
    async with SqliteStore.open(tmp_path / "paperboy.db") as opened:
        yield opened


@pytest.fixture
def town(store):
    return Town(store)


def plan_at(target: str, name: str = "", **changes) -> ChannelPlan:
    return a_plan(name or target.strip("-"), address=Address(PlatformName.TELEGRAM, target), **changes)


TEAM, LAB = plan_at("-1001"), plan_at("-1002")


async def test_the_days_report_reaches_every_channel(town):
    summary = await town.daily.run(Job(DAY, (TEAM, LAB)))
    assert [line.state for line in summary.deliveries] == [DeliveryState.SENT] * 2
    assert town.got(TEAM)[0].startswith("🚀 CV 论文日报 | 2026-02-25")
    assert len(town.got(TEAM)) == len(town.got(LAB)) == 3
    assert (summary.usage.calls, len(summary.reports)) == (5, 1)
    assert summary.seconds.total >= summary.seconds.deliver >= 0


async def test_a_second_run_sends_nothing_and_costs_no_call(town):
    first = await town.daily.run(Job(DAY, (TEAM,)))
    town.analyst.scored.clear()
    second = await town.daily.run(Job(DAY, (TEAM,)))
    assert second.deliveries == first.deliveries
    assert (second.usage.calls, town.analyst.scored, len(town.got(TEAM))) == (0, [], 3)
    assert town.source.asked == [DAY]


async def test_a_channel_that_comes_later_gets_the_same_report(town):
    await town.daily.run(Job(DAY, (TEAM,)))
    town.analyst.values = {"2602.00005": 99}
    await town.daily.run(Job(DAY, (TEAM, LAB)))
    assert town.got(LAB) == town.got(TEAM)


async def test_asked_again_a_corrected_report_is_posted(town):
    await town.daily.run(Job(DAY, (TEAM,)))
    town.analyst.values = {"2602.00005": 99}
    summary = await town.daily.run(Job(DAY, (TEAM,), again=True))
    assert len(town.got(TEAM)) == 6
    assert "更正" in town.got(TEAM)[3]
    assert summary.reports[0].ranking.chosen[0] == "2602.00005"
    assert (await town.daily.run(Job(DAY, (TEAM,)))).deliveries == summary.deliveries
    await town.daily.run(Job(DAY, (TEAM,), again=True))
    assert len(town.got(TEAM)) == 9


async def test_a_channel_without_the_correction_is_not_sent_it_unasked(town):
    await town.daily.run(Job(DAY, (TEAM, LAB)))
    await town.daily.run(Job(DAY, (TEAM,), again=True))
    await town.daily.run(Job(DAY, (TEAM, LAB)))
    assert (len(town.got(TEAM)), len(town.got(LAB))) == (6, 3)


async def test_asked_again_in_two_languages_one_judgement_holds_for_both(town):
    english = plan_at("-1003", language="en")
    await town.daily.run(Job(DAY, (TEAM, english)))
    town.analyst.values = {"2602.00005": 99}
    chinese, other = (await town.daily.run(Job(DAY, (TEAM, english), again=True))).reports
    assert chinese.ranking.chosen == other.ranking.chosen
    assert chinese.ranking.chosen[0] == "2602.00005"
    assert {entry.score.reason for entry in other.ranking.entries} == {"model en"}


async def test_one_channel_in_trouble_does_not_stop_another(town):
    town.at(TEAM.address).trouble = SendError("kicked", Outcome.GONE)
    summary = await town.daily.run(Job(DAY, (TEAM, LAB, plan_at("unset"))))
    assert [line.state for line in summary.deliveries] == [
        DeliveryState.FAILED,
        DeliveryState.SENT,
        DeliveryState.FAILED,
    ]
    assert [trouble.key for trouble in town.told] == ["delivery.trouble_closed"]


async def test_an_adapters_own_fault_stays_with_its_channel(town, monkeypatch):
    def broken(documents):
        raise RuntimeError("a fault in the adapter")

    town.at(TEAM.address).render = broken
    summary = await town.daily.run(Job(DAY, (TEAM, LAB)))
    assert [line.state for line in summary.deliveries] == [DeliveryState.FAILED, DeliveryState.SENT]


async def test_profiles_have_reports_of_their_own(town):
    other = plan_at("-1004", profile=a_profile(name="agents", interests=("Agents",)))
    summary = await town.daily.run(Job(DAY, (TEAM, other)))
    assert [str(made.key) for made in summary.reports] == ["2026-02-25/default.zh", "2026-02-25/agents.zh"]


async def test_a_late_report_names_the_hour_it_was_due(town):
    due = NOW - LATE_AFTER - timedelta(seconds=1)
    summary = await town.daily.run(Job(DAY, (TEAM, LAB), due={TEAM.name: due, LAB.name: NOW - LATE_AFTER}))
    assert [line.state for line in summary.deliveries] == [DeliveryState.LATE, DeliveryState.SENT]
    assert f"{due.astimezone(ZoneInfo(TEAM.timezone)):%H:%M}" in town.got(TEAM)[0]
    assert "⏰" not in town.got(LAB)[0]


async def test_an_empty_day_brings_the_last_list_that_was_not_reported(store):
    town = Town(store, {FRIDAY: a_day_list(5)})
    summary = await town.daily.run(Job(MONDAY, (TEAM,)))
    assert summary.reports[0].key.day == FRIDAY
    assert len(town.got(TEAM)) == 3
    assert await day_settled(store, TEAM, MONDAY)
    again = await town.daily.run(Job(MONDAY, (TEAM,)))
    assert (again.deliveries, len(town.got(TEAM))) == (summary.deliveries, 3)


async def test_an_empty_day_after_a_reported_one_is_said_in_one_line(store):
    town = Town(store, {FRIDAY: a_day_list(5)})
    await town.daily.run(Job(FRIDAY, (TEAM,)))
    summary = await town.daily.run(Job(MONDAY, (TEAM, LAB)))
    assert {str(made.key.day) for made in summary.reports} == {"2026-02-20", "2026-02-23"}
    assert len(town.got(TEAM)) == 4
    assert "2026-02-23" in town.got(TEAM)[3]
    assert len(town.got(LAB)) == 3
    assert await day_settled(store, TEAM, MONDAY)
    again = await town.daily.run(Job(MONDAY, (TEAM, LAB)))
    assert {line.channel: line.state for line in again.deliveries} == {"1001": "sent", "1002": "sent"}
    assert (len(town.got(TEAM)), len(town.got(LAB))) == (4, 3)


async def test_a_list_that_still_fills_is_waited_for(store):
    town = Town(store, {})
    town.clock.time = datetime(2026, 2, 25, 1, 30, tzinfo=UTC)
    with pytest.raises(SourceError, match="not there yet"):
        await town.daily.run(Job(DAY, (TEAM,)))
    assert town.got(TEAM) == []


async def test_a_day_that_was_asked_for_by_name_is_not_replaced(store):
    town = Town(store, {FRIDAY: a_day_list(5)})
    summary = await town.daily.run(Job(MONDAY, (TEAM,), exact=True))
    assert summary.reports[0].note == "note.no_list"
    assert (summary.deliveries, town.got(TEAM)) == ((), [])


async def test_a_source_that_is_down_stops_the_job_with_its_reason(store):
    town = Town(store, {DAY: SourceError("huggingface: 503")})
    with pytest.raises(SourceError, match="503"):
        await town.daily.run(Job(DAY, (TEAM,)))


async def test_a_preview_posts_nothing_and_plans_nothing(town):
    english = plan_at("-1003", language="en")
    summary = await town.daily.preview(Job(DAY, (TEAM, english)))
    assert [made.key.language for made in summary.reports] == ["zh", "en"]
    assert town.got(TEAM) == []
    assert not await town.store.planned_report(DAY, "default", "zh")


async def test_a_preview_asks_the_model_anew_when_told_to(town):
    english = plan_at("-1003", language="en")
    await town.daily.preview(Job(DAY, (TEAM, english), again=True))
    assert {fresh for _, _, fresh in town.analyst.scored} == {True}


async def test_a_preview_of_an_empty_day_shows_the_last_list(store):
    town = Town(store, {FRIDAY: a_day_list(5)})
    [made] = (await town.daily.preview(Job(MONDAY, (TEAM,)))).reports
    assert made.key.day == FRIDAY


async def test_a_preview_leaves_nothing_that_a_later_run_would_post(town):
    await town.daily.run(Job(DAY, (TEAM,)))
    town.analyst.values = {"2602.00005": 99}
    [preview] = (await town.daily.preview(Job(DAY, (TEAM,), again=True))).reports
    assert preview.ranking.chosen[0] == "2602.00005"
    summary = await town.daily.run(Job(DAY, (TEAM, LAB)))
    assert str(summary.reports[0].key) == "2026-02-25/default.zh"
    assert town.got(LAB) == town.got(TEAM)
    assert (await town.store.ranking(DAY, "default", "zh")).chosen[0] != "2602.00005"


async def test_a_preview_shows_a_published_report_as_it_was(town):
    published = (await town.daily.run(Job(DAY, (TEAM,)))).reports
    town.analyst.values = {"2602.00005": 99}
    assert (await town.daily.preview(Job(DAY, (TEAM,)))).reports == published


async def test_two_processes_at_once_publish_and_send_one_report(town, tmp_path):
    async with SqliteStore.open(tmp_path / "paperboy.db") as second:
        other = Town(second)
        other.channels, other.analyst.values = town.channels, {"2602.00005": 99}
        one, two = await asyncio.gather(town.daily.run(Job(DAY, (TEAM,))), other.daily.run(Job(DAY, (TEAM, LAB))))
    standing = await town.store.report(DAY, "default", "zh")
    assert one.reports[0].ranking.chosen == two.reports[0].ranking.chosen == standing.ranking.chosen
    assert len(town.got(TEAM)) == 3
    assert town.got(TEAM) == town.got(LAB)


async def test_a_correction_without_its_model_is_not_posted(town):
    await town.daily.run(Job(DAY, (TEAM,)))
    town.analyst.values = {f"2602.0000{n}": ModelError("down", key="failure.unavailable") for n in range(1, 6)}
    with pytest.raises(ModelError) as caught:
        await town.daily.run(Job(DAY, (TEAM,), again=True))
    assert caught.value.key == "failure.unavailable"
    assert len(town.got(TEAM)) == 3


async def test_a_broken_prompt_costs_its_language_alone(town):
    def broken(paper, brief):
        if brief.language == "zh":
            raise SettingsError("prompts/score.zh.md: broken")
        return real(paper, brief)

    real, town.analyst.score = town.analyst.score, broken
    summary = await town.daily.run(Job(DAY, (TEAM, plan_at("-1003", language="en"))))
    assert [line.state for line in summary.deliveries] == [DeliveryState.FAILED, DeliveryState.SENT]


async def test_what_failed_is_sent_when_it_is_run_again_by_hand(town):
    town.at(TEAM.address).trouble = SendError("kicked", Outcome.GONE)
    assert (await town.daily.run(Job(DAY, (TEAM,)))).deliveries[0].state is DeliveryState.FAILED
    town.at(TEAM.address).trouble = None
    assert (await town.daily.run(Job(DAY, (TEAM,)))).deliveries[0].state is DeliveryState.FAILED
    await town.store.reopen(TEAM.address)
    assert (await town.daily.run(Job(DAY, (TEAM,), retry=True))).deliveries[0].state is DeliveryState.SENT
    assert len(town.got(TEAM)) == 3


async def test_what_is_run_again_by_hand_is_as_new_as_that(town):
    town.at(TEAM.address).trouble = SendError("refused", Outcome.REFUSED)
    [done] = (await town.daily.run(Job(DAY, (TEAM,)))).deliveries
    town.clock.time += timedelta(days=1)
    town.at(TEAM.address).trouble = SendError("no route", Outcome.NOT_SENT)
    before = town.clock.now()
    await town.daily.run(Job(DAY, (TEAM,), retry=True))
    posts = [part for part in await town.store.delivery(done.key) if part.state is PartState.PLANNED]
    assert posts
    assert all(part.planned_at >= before for part in posts)


async def test_two_channels_at_one_place_are_told_apart(town):
    twice = await town.daily.run(Job(DAY, (TEAM, plan_at("-1001", name="again"))))
    assert [line.channel for line in twice.deliveries] == ["1001", "again"]
    assert len(town.got(TEAM)) == 3


async def test_the_steps_of_two_languages_add_up(town):
    summary = await town.daily.run(Job(DAY, (TEAM, plan_at("-1003", language="en"))))
    made = [report.seconds for report in summary.reports]
    assert summary.seconds.score == pytest.approx(sum(seconds.score for seconds in made))
    assert summary.usage.calls == 10


async def test_a_failed_paper_is_scored_when_the_previewed_day_is_reported(town):
    town.analyst.values = {"2602.00002": ModelError("slow", key="failure.timeout")}
    assert (await town.daily.preview(Job(DAY, (TEAM,)))).reports[0].ranking.failed == 1
    town.analyst.values = {}
    assert (await town.daily.run(Job(DAY, (TEAM,)))).reports[0].ranking.failed == 0


async def test_no_channel_is_no_work(town):
    assert (await town.daily.run(Job(DAY, ()))).reports == ()


async def test_cancelled_in_the_middle_it_ends_and_leaves_no_send_behind(town):
    """The one channel's send is in flight, the other's is over."""
    started, go_on = asyncio.Event(), asyncio.Event()

    async def slow(key, message, thread):
        started.set()
        await go_on.wait()
        town.got(TEAM).append(message.payload)
        return ("1",)

    town.at(TEAM.address).send = slow
    work = asyncio.create_task(town.daily.run(Job(DAY, (TEAM, LAB))))
    await started.wait()
    work.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await work
    parts = [part.state for part in await town.store.deliveries(9) if part.channel == TEAM.name]
    assert parts.count("sent") == 1
    assert "sending" not in parts
