"""The operator hears of what went wrong: once where that can be, twice rather than never, never a thousand times."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from bot.app.jobs import Jobs
from bot.delivery import Teller, Trouble
from bot.delivery.telling import MOST_TOLD, TELLING_LASTS
from bot.errors import Outcome, SendError, SourceError, StoreError
from bot.models import ChannelPlan, PartState
from bot.schedule import ReportJob
from bot.store.sqlite import SqliteStore
from handlers.memberships import Memberships
from tests.fakes import DAY, NOW, FakeClock, a_plan
from tests.test_daily import TEAM, Town
from tests.test_schedule import Morning

MISSED = Trouble("delivery.trouble_missed", {"channel": "team", "day": "2026-02-25"})
DEAF = SendError("read timeout", Outcome.UNKNOWN)
MORE = "delivery.trouble_unknown_more"


class Operator:
    """Who is told; `trouble` is why that fails."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.heard: list[Trouble] = []
        self.tries = 0
        self.trouble = trouble

    async def tell(self, trouble: Trouble) -> None:
        self.tries += 1
        if self.trouble:
            raise self.trouble
        self.heard.append(trouble)

    @property
    def parts(self) -> list[str]:
        return [trouble.values["part"] for trouble in self.heard if "part" in trouble.values]


async def locked(*_: object) -> None:
    raise StoreError("locked")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore.open(tmp_path / "paperboy.db") as opened:
        yield opened


@pytest.fixture
def operator() -> Operator:
    return Operator()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def teller(operator: Operator, store: SqliteStore, clock: FakeClock) -> Teller:
    return Teller(operator.tell, store, clock)


# --- one trouble


async def test_a_trouble_is_told_once_for_all_processes(teller: Teller, operator: Operator):
    assert [await teller.once("missed", MISSED) for _ in range(3)] == [True] * 3
    assert operator.heard == [MISSED]


async def test_processes_that_find_the_same_trouble_at_once_do_not_all_tell_it(teller: Teller, operator: Operator):
    said = await asyncio.gather(*(teller.once("missed", MISSED) for _ in range(4)))
    assert True in said
    assert operator.heard == [MISSED]


async def test_what_could_not_be_told_is_told_a_minute_later(teller: Teller, operator: Operator, clock: FakeClock):
    operator.trouble = DEAF
    assert not await teller.once("missed", MISSED)
    operator.trouble = None
    clock.time += TELLING_LASTS - timedelta(seconds=1)
    assert not await teller.once("missed", MISSED), "another process may be telling it"
    clock.time += timedelta(seconds=1)
    assert await teller.once("missed", MISSED)
    assert operator.heard == [MISSED]


async def test_a_process_killed_before_it_noted_that_it_told_has_it_told_again(
    teller: Teller, operator: Operator, clock: FakeClock
):
    async def dies(trouble: Trouble) -> None:
        await operator.tell(trouble)
        raise asyncio.CancelledError  # what ends a process ends its tasks

    with pytest.raises(asyncio.CancelledError):
        await replace(teller, tell=dies).once("missed", MISSED)
    clock.time += TELLING_LASTS
    assert await teller.once("missed", MISSED)
    assert operator.heard == [MISSED, MISSED]


async def test_a_clock_that_was_put_back_keeps_no_trouble_untold(teller: Teller, operator: Operator, clock: FakeClock):
    operator.trouble = DEAF
    await teller.once("missed", MISSED)
    operator.trouble = None
    clock.time -= timedelta(days=1)
    assert await teller.once("missed", MISSED)


# --- parts whose fate nobody knows


async def unknown(morning: Morning, plan: ChannelPlan, *positions: int) -> list[str]:
    """Keys of parts that became unknown, and of which nobody was told."""
    key = await morning.plan(plan)
    for part in await morning.store.delivery(key):
        now = morning.clock.now()
        state = PartState.UNKNOWN if part.index in positions else PartState.SENT
        await morning.store.claim(part.key, "killed", now, now)
        await morning.store.record(part.key, "killed", state, error="read timeout")
    return [f"{key}~{position}" for position in positions]


def a_morning(store: SqliteStore, operator: Operator) -> Morning:
    morning = Morning(store)
    morning.schedule = replace(morning.schedule, tell=operator.tell)
    return morning


async def test_an_unknown_part_of_which_nobody_was_told_is_told_by_the_next_pass(
    store: SqliteStore, operator: Operator
):
    morning = a_morning(store, operator)
    keys = await unknown(morning, TEAM, 1, 2)
    for _ in range(3):
        await morning.look(2)
    assert operator.parts == keys
    assert {trouble.key for trouble in operator.heard} == {"delivery.trouble_unknown"}
    assert all(trouble.doubt is not None for trouble in operator.heard), "it can be settled by a button"
    assert {trouble.values["reason"] for trouble in operator.heard} == {"read timeout"}


async def test_replicas_tell_of_an_unknown_part_once(store: SqliteStore, operator: Operator):
    replicas = [a_morning(store, operator) for _ in range(3)]
    keys = await unknown(replicas[0], TEAM, 1)
    await asyncio.gather(*(morning.look() for morning in replicas))
    await asyncio.gather(*(morning.look(2) for morning in replicas))
    assert operator.parts == keys


async def test_an_operators_channel_that_is_down_hears_of_an_unknown_part_when_it_is_back(
    store: SqliteStore, operator: Operator
):
    morning = a_morning(store, operator)
    keys = await unknown(morning, TEAM, 1, 2, 3)
    operator.trouble = DEAF
    await morning.look()
    assert operator.tries == 1, "one try a pass: each may take half a minute"
    await morning.look(2)
    operator.trouble = None
    await morning.look(2)
    assert sorted(operator.parts) == keys


async def test_a_part_that_becomes_unknown_again_is_told_again(store: SqliteStore, operator: Operator):
    morning = a_morning(store, operator)
    [key] = await unknown(morning, TEAM, 1)
    await morning.look()
    await store.settle(key, PartState.PLANNED)
    now = morning.clock.now()
    await store.claim(key, "killed", now, now)
    await store.record(key, "killed", PartState.UNKNOWN)
    await morning.look(1)
    assert operator.parts == [key, key]


async def test_a_flood_of_unknown_parts_is_five_messages_and_a_line_with_the_number_of_the_others(
    store: SqliteStore, operator: Operator
):
    morning = a_morning(store, operator)
    plans = [a_plan(f"c{n}", address=replace(TEAM.address, target=f"-100{n}")) for n in range(5)]
    keys = [key for plan in plans for key in await unknown(morning, plan, 1, 2, 3)]
    for minutes in (0, 1, 1):
        await morning.look(minutes)
    assert operator.parts == keys[:MOST_TOLD]
    assert operator.heard[MOST_TOLD:] == [Trouble(MORE, {"count": "10"})]


async def test_the_line_about_the_others_is_said_again_where_it_failed(
    teller: Teller, operator: Operator, clock: FakeClock
):
    async def short_of_breath(trouble: Trouble) -> None:
        if trouble.key == MORE:
            raise DEAF
        await operator.tell(trouble)

    troubles = {str(n): MISSED for n in range(MOST_TOLD + 2)}
    assert len(await replace(teller, tell=short_of_breath).each(troubles, MORE)) == MOST_TOLD
    clock.time += TELLING_LASTS
    assert await teller.each(troubles, MORE) == troubles.keys()
    assert operator.heard == [MISSED] * (MOST_TOLD + 2)


# --- reports that were missed


async def test_a_missed_report_is_told_when_the_operators_channel_is_back(store: SqliteStore, operator: Operator):
    morning = a_morning(store, operator)
    await morning.look()
    operator.trouble = DEAF
    await morning.look(12 * 60)
    operator.trouble = None
    for _ in range(3):
        await morning.look(1)
    assert [trouble.key for trouble in operator.heard] == ["delivery.trouble_missed"]


async def test_a_store_that_fails_while_a_report_is_missed_makes_nobody_forget_it(
    store: SqliteStore, operator: Operator, monkeypatch: pytest.MonkeyPatch
):
    morning = a_morning(store, operator)
    await morning.look()
    with monkeypatch.context() as patch:
        patch.setattr(SqliteStore, "note", locked)  # the moment of the trouble
        with pytest.raises(StoreError):
            await morning.look(12 * 60)
    await morning.look()
    assert [trouble.key for trouble in operator.heard] == ["delivery.trouble_missed"]


# --- reports that cannot be made yet


def arguments(due: datetime = NOW) -> dict[str, str]:
    return dict(ReportJob(DAY, "default", "zh", {TEAM.name: str(TEAM.address)}, {TEAM.name: due}).arguments())


def jobs(store: SqliteStore, operator: Operator) -> tuple[Jobs, FakeClock]:
    town = Town(store, {DAY: SourceError("no route to the list")})
    town.daily = replace(town.daily, courier=replace(town.daily.courier, tell=operator.tell))
    return Jobs(SimpleNamespace(plans=(TEAM,)), town.daily), town.clock  # type: ignore[arg-type]  # the part of an App that a report needs


async def test_a_report_that_cannot_be_made_is_told_once(store: SqliteStore, operator: Operator):
    for made, _ in (jobs(store, operator), jobs(store, operator)):
        for _ in range(2):
            with pytest.raises(SourceError):
                await made.report(arguments())
    assert [trouble.key for trouble in operator.heard] == ["operator.no_report"]


async def test_an_operator_who_cannot_be_told_hides_no_error_and_is_told_later(store: SqliteStore, operator: Operator):
    made, clock = jobs(store, operator)
    operator.trouble = DEAF
    with pytest.raises(SourceError, match="no route"):
        await made.report(arguments())
    operator.trouble = None
    clock.time += TELLING_LASTS
    for _ in range(2):
        with pytest.raises(SourceError, match="no route"):
            await made.report(arguments())
    assert [trouble.key for trouble in operator.heard] == ["operator.no_report"]


async def test_where_the_store_is_the_trouble_each_process_tells_for_itself(
    store: SqliteStore, operator: Operator, monkeypatch: pytest.MonkeyPatch
):
    made, _ = jobs(store, operator)

    monkeypatch.setattr(SqliteStore, "swap_note", locked)  # it can be read and not written
    for _ in range(2):
        with pytest.raises(SourceError):
            await made.report(arguments())
    assert [trouble.key for trouble in operator.heard] == ["operator.no_report"]


# --- chats that change


async def test_a_chat_that_moved_is_told_at_its_next_event_where_the_operator_could_not_hear_of_the_first(
    store: SqliteStore, operator: Operator, clock: FakeClock
):
    means = SimpleNamespace(store=store, clock=clock, chats=SimpleNamespace(plans=(TEAM,)))
    memberships = Memberships(means, operator.tell)  # type: ignore[arg-type]  # the means that a move needs
    for trouble in (DEAF, None, None):
        operator.trouble = trouble
        await memberships.moved(TEAM.address, "-1009")
        clock.time += TELLING_LASTS
    assert [trouble.key for trouble in operator.heard] == ["operator.moved"]
