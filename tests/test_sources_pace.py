"""One request at a time, a few tries, and never before the service allows it."""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.errors import SourceError, StoreError
from bot.sources.pace import Hold, Pace, RefusedError, UnreachedError, refused, wait_asked
from bot.store.sqlite import SqliteStore
from tests.fakes import NOW, FakeClock


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": " 1.5 "}, 1.5),
        ({"Retry-After": "Thu, 26 Feb 2026 01:30:30 GMT"}, 30.0),
        ({"Retry-After": "Thu, 26 Feb 2026 01:30:30 -0000"}, 30.0),
        ({"Retry-After": "Thu, 26 Feb 2026 01:00:00 GMT"}, 0.0),
        ({"RateLimit": '"api";r=0;t=55'}, 55.0),
        ({"Retry-After": "soon", "RateLimit": '"api";r=0; t=12'}, 12.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "9" * 400}, None),
        ({"Retry-After": "Thu, 26 Feb 2026 01:30:30 +" + "9" * 40}, None),
        ({"RateLimit": "nonsense"}, None),
        ({}, None),
    ],
)
def test_a_service_says_how_long_to_wait_in_several_ways(headers: dict[str, str], seconds: float | None):
    assert wait_asked(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        (400, False),
        (401, False),
        (404, False),
        (408, True),
        (425, True),
        (429, True),
        (500, True),
        (503, True),
        (304, False),
    ],
)
def test_a_status_says_whether_to_try_again(status: int, retryable: bool):
    error = refused("huggingface", status, {"Retry-After": "2"}, NOW)
    assert error.retryable is retryable
    assert error.wait == (2.0 if retryable else None)
    assert str(error) == f"huggingface: HTTP {status}"
    assert error.status == status


class Service:
    """Fails by script, and notes when it was asked."""

    def __init__(self, clock: FakeClock, *faults: SourceError) -> None:
        self.clock = clock
        self.faults = list(faults)
        self.asked: list[float] = []

    async def attempt(self) -> str:
        self.asked.append((self.clock.now() - NOW).total_seconds())
        if self.faults:
            raise self.faults.pop(0)
        return "list"


def busy(wait: float | None = None) -> RefusedError:
    return RefusedError("service: HTTP 429", retryable=True, wait=wait)


async def test_tries_are_spaced_ever_further_apart():
    clock = FakeClock()
    service = Service(clock, busy(), SourceError("service: half a reply"))
    assert await Pace("service", clock).ask(service.attempt) == "list"
    assert service.asked == [0, 1, 3]


async def test_a_wait_that_the_service_names_is_kept():
    clock = FakeClock()
    service = Service(clock, busy(wait=17))
    assert await Pace("service", clock).ask(service.attempt) == "list"
    assert service.asked == [0, 17]


async def test_three_tries_are_enough_and_the_last_error_tells():
    clock = FakeClock()
    service = Service(clock, busy(), busy(), SourceError("the last one"), busy())
    with pytest.raises(SourceError, match="the last one"):
        await Pace("service", clock).ask(service.attempt)
    assert len(service.asked) == 3


async def test_what_cannot_succeed_is_not_tried_again():
    clock = FakeClock()
    service = Service(clock, SourceError("service: HTTP 400", retryable=False))
    with pytest.raises(SourceError, match="400"):
        await Pace("service", clock).ask(service.attempt)
    assert service.asked == [0]


async def test_too_long_a_wait_is_not_sat_out_and_holds_for_the_next_request_too():
    clock = FakeClock()
    pace = Pace("service", clock)
    service = Service(clock, busy(wait=237))
    for _ in range(2):
        with pytest.raises(SourceError, match="service: must not be asked for another 237 seconds") as trouble:
            await pace.ask(service.attempt)
        assert trouble.value.retryable
    assert service.asked == [0]
    assert clock.slept == []
    clock.time = datetime.fromtimestamp(NOW.timestamp() + 200, UTC)
    assert await pace.ask(service.attempt) == "list"
    assert service.asked == [0, 237]


async def test_requests_keep_their_distance():
    clock = FakeClock()
    pace = Pace("service", clock, apart=3.0)
    service = Service(clock, busy())
    await pace.ask(service.attempt)
    await pace.ask(service.attempt)
    assert service.asked == [0, 3, 6]


async def test_what_is_not_there_needs_no_pause_beside_the_usual_one():
    clock = FakeClock()
    service = Service(clock, SourceError("service: HTTP 404", retryable=False))
    pace = Pace("service", clock)
    with pytest.raises(SourceError, match="404"):
        await pace.ask(service.attempt)
    await pace.ask(service.attempt)
    assert service.asked == [0, 0]


async def test_an_asker_may_allow_fewer_tries():
    clock = FakeClock()
    service = Service(clock, busy(), busy(), busy())
    with pytest.raises(SourceError, match="429"):
        await Pace("service", clock).ask(service.attempt, tries=2)
    assert len(service.asked) == 2


# --- who waits, and for how long


async def test_askers_get_their_turn_in_the_order_they_came_and_never_two_at_once():
    clock = FakeClock()
    pace = Pace("service", clock, apart=3.0)
    order: list[int] = []
    under_way = 0

    async def attempt(number: int) -> None:
        nonlocal under_way
        under_way += 1
        assert under_way == 1
        await asyncio.sleep(0)
        under_way -= 1
        order.append(number)

    async def ask(number: int) -> None:
        await pace.ask(lambda: attempt(number))

    await asyncio.gather(*(ask(number) for number in range(8)))
    assert order == list(range(8))
    assert clock.slept == [3.0] * 7


async def test_a_turn_that_would_come_too_late_is_given_up_at_once():
    clock = FakeClock()
    pace = Pace("service", clock, apart=3.0)
    service = Service(clock)
    await pace.ask(service.attempt)
    with pytest.raises(SourceError, match="must not be asked for another 3 seconds"):
        await pace.ask(service.attempt, by=clock.monotonic() + 2.9)
    assert clock.slept == []
    await pace.ask(service.attempt, by=clock.monotonic() + 3.1)
    assert service.asked == [0, 3]


async def test_a_wait_that_the_service_names_is_not_begun_where_it_ends_too_late():
    clock = FakeClock()
    service = Service(clock, busy(wait=20))
    with pytest.raises(SourceError, match="must not be asked for another 20 seconds"):
        await Pace("service", clock).ask(service.attempt, by=clock.monotonic() + 10)
    assert service.asked == [0]


async def test_who_waits_behind_others_gives_up_in_time_and_the_next_one_gets_the_turn():
    clock = FakeClock()
    pace = Pace("service", clock)
    service, free = Service(clock), asyncio.Event()

    async def long() -> str:
        await free.wait()
        return "long"

    first = asyncio.create_task(pace.ask(long))
    await asyncio.sleep(0)
    with pytest.raises(SourceError, match="our turn did not come"):
        await pace.ask(service.attempt, by=clock.monotonic() + 0.02)
    last = asyncio.create_task(pace.ask(service.attempt))
    await asyncio.sleep(0)
    free.set()
    assert [await first, await last] == ["long", "list"]


@pytest.mark.parametrize("steps", range(6))
async def test_an_asker_who_leaves_at_any_moment_takes_the_turn_from_nobody(steps: int):
    clock = FakeClock()
    pace = Pace("service", clock, apart=3.0)
    service = Service(clock)

    async def slow() -> str:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return await service.attempt()

    await pace.ask(service.attempt)
    leaving, staying = (asyncio.create_task(pace.ask(slow)) for _ in range(2))
    for _ in range(steps):
        await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == "list"
    assert leaving.done()
    assert all(later - earlier >= 3 for earlier, later in zip(service.asked, service.asked[1:], strict=False))
    assert clock.slept.count(3.0) == len(clock.slept)


# --- who cannot be reached


def unreached() -> UnreachedError:
    return UnreachedError("service: not reached (ClientConnectorError)", retryable=True)


async def test_a_service_that_cannot_be_reached_is_left_alone_for_a_while(caplog: pytest.LogCaptureFixture):
    clock = FakeClock()
    pace = Pace("service", clock, apart=3.0, unreachable_seconds=30.0)
    service = Service(clock, unreached())
    with caplog.at_level(logging.INFO):
        with pytest.raises(SourceError, match="service: not reached"):
            await pace.ask(service.attempt)
        for _ in range(5):
            with pytest.raises(SourceError, match="could not be reached a moment ago") as trouble:
                await pace.ask(service.attempt)
            assert trouble.value.retryable
    assert clock.slept == []
    assert [record.message for record in caplog.records] == [
        "service left alone: service: not reached (ClientConnectorError)"
    ]
    clock.time += timedelta(seconds=30)
    assert await pace.ask(service.attempt) == "list"
    assert service.asked == [0, 30]
    assert clock.slept == []  # a request that never arrived needs no pause


async def test_without_such_a_rule_it_is_tried_again():
    clock = FakeClock()
    service = Service(clock, unreached(), unreached())
    assert await Pace("service", clock).ask(service.attempt) == "list"
    assert service.asked == [0, 1, 3]


# --- other processes


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore.open(tmp_path / "paperboy.db") as opened:
        yield opened


def a_process(store: SqliteStore, clock: FakeClock, apart: float = 3.0) -> Pace:
    """A pace as another process would have it: nothing in common but the store and the time."""
    return Pace("service", clock, apart=apart, hold=Hold("service", store, clock))


async def test_a_later_process_keeps_the_distance_too(store: SqliteStore):
    clock = FakeClock()
    service = Service(clock)
    for _ in range(3):
        await a_process(store, clock).ask(service.attempt)
    assert service.asked == [0, 3, 6]


async def test_a_ban_holds_for_later_processes(store: SqliteStore):
    clock = FakeClock()
    banned = RefusedError("service: HTTP 403", retryable=False, wait=86_400)
    service = Service(clock, banned)
    with pytest.raises(SourceError, match="403"):
        await a_process(store, clock).ask(service.attempt)
    clock.time += timedelta(hours=23)
    with pytest.raises(SourceError, match="must not be asked for another 3600 seconds"):
        await a_process(store, clock, apart=0.0).ask(service.attempt)
    clock.time += timedelta(hours=1)
    assert await a_process(store, clock).ask(service.attempt) == "list"


async def test_a_process_waits_for_the_end_of_anothers_request(store: SqliteStore):
    clock = FakeClock()
    service, free, begun = Service(clock), asyncio.Event(), asyncio.Event()

    async def long() -> str:
        begun.set()
        await free.wait()
        return "long"

    first = asyncio.create_task(a_process(store, clock).ask(long))
    await begun.wait()
    second = asyncio.create_task(a_process(store, clock).ask(service.attempt))
    while len(clock.slept) < 7:  # noqa: ASYNC110  # seconds that the second one waited, by a clock that nobody awaits
        await asyncio.sleep(0)
    assert service.asked == []
    free.set()
    assert [await first, await second] == ["long", "list"]
    assert service.asked[0] >= 7 + 3


async def test_a_process_that_was_killed_in_the_middle_holds_nobody_up_for_long(store: SqliteStore):
    clock = FakeClock()
    service = Service(clock)
    await Hold("service", store, clock).reserve()
    await a_process(store, clock).ask(service.attempt)
    assert service.asked == [20]


async def test_of_processes_that_see_the_same_free_moment_one_gets_it(store: SqliteStore):
    """Both look before either reserves: looking and reserving are two steps, and the second one tells."""
    clock = FakeClock()
    holds = [Hold("service", store, clock) for _ in range(2)]
    assert [await hold.seconds() for hold in holds] == [0.0, 0.0]
    assert [await hold.reserve() for hold in holds] == [True, False]
    assert await holds[1].seconds() == 20
    clock.time += timedelta(seconds=21)
    assert [await hold.seconds() for hold in holds] == [-1.0, -1.0]
    assert [await hold.reserve() for hold in reversed(holds)] == [True, False]


async def test_processes_that_wait_for_the_same_moment_go_one_after_the_other(store: SqliteStore):
    clock = FakeClock()
    service = Service(clock)
    await asyncio.gather(*(a_process(store, clock).ask(service.attempt) for _ in range(5)))
    apart = [later - earlier for earlier, later in itertools.pairwise(service.asked)]
    assert min(apart) >= 3


async def test_the_end_of_a_request_does_not_undo_what_another_process_was_told(store: SqliteStore):
    clock = FakeClock()
    service = Service(clock)
    hold, other = (Hold("service", store, clock) for _ in range(2))
    await hold.reserve()
    await other.rest(1_000)
    await hold.rest(3)
    with pytest.raises(SourceError, match="another 1000 seconds"):
        await a_process(store, clock).ask(service.attempt)


@pytest.mark.parametrize("note", ["nonsense", "2026-02-26T01:30:30", "2026-02-28T01:30:01+00:00", ""])
async def test_a_note_that_cannot_be_meant_is_passed_over(store: SqliteStore, note: str):
    clock = FakeClock()
    service = Service(clock)
    await store.keep_note("pace:service", note)
    await a_process(store, clock).ask(service.attempt)
    assert service.asked == [0]


async def test_a_wait_beyond_a_day_is_a_day(store: SqliteStore):
    clock = FakeClock()
    service = Service(clock, busy(wait=999_999))
    with pytest.raises(SourceError, match="another 86400 seconds"):
        await a_process(store, clock).ask(service.attempt)


class BrokenNotes:
    async def note(self, key: str) -> str | None:
        raise StoreError("the disk is full")

    async def keep_note(self, key: str, value: str) -> None:
        raise StoreError("the disk is full")

    async def swap_note(self, key: str, standing: str | None, value: str) -> bool:
        raise StoreError("the disk is full")


async def test_a_broken_store_costs_only_what_others_would_have_known(caplog: pytest.LogCaptureFixture):
    clock = FakeClock()
    service = Service(clock)
    pace = Pace("service", clock, apart=3.0, hold=Hold("service", BrokenNotes(), clock))
    for _ in range(2):
        await pace.ask(service.attempt)
    assert service.asked == [0, 3]
    assert "pace not kept in the store" in caplog.text


async def test_without_a_distance_the_store_is_not_written_for_every_request(store: SqliteStore):
    clock = FakeClock()
    service = Service(clock)
    await a_process(store, clock, apart=0.0).ask(service.attempt)
    assert await store.note("pace:service") is None
