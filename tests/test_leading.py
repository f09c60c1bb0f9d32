"""Work that one process does at a time: who does it, and what becomes of it when that process ends, dies or is late."""

import asyncio
import logging
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bot.app.process import process_name, surely_ended
from bot.clock import SystemClock
from bot.errors import StoreError
from bot.interfaces import Leases, NoTelemetry
from bot.leading import LOOK_SECONDS, RENEWALS, Candidate, Leading
from bot.models import Lease
from bot.store.sqlite import SqliteStore
from tests.fakes import wait_until

SECONDS = 0.6  # of a lease: as short as a busy machine allows


class Counting(NoTelemetry):
    def __init__(self) -> None:
        self.counted: list[tuple[str, str]] = []

    def count(self, name: str, by: float = 1.0, **labels: str) -> None:
        self.counted.append((name, labels["lease"]))


class StoppedClock(SystemClock):
    """The clock of a process that was stopped for a while: its durations go on, its loop has noticed nothing yet."""

    def __init__(self) -> None:
        self.missed = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.missed


class SomeLeases:
    """Those of a store, while it is there."""

    def __init__(self, store: Leases) -> None:
        self.store = store
        self.gone = False
        self.taken = 0

    async def take_lease(self, name: str, owner: str, now: datetime, until: datetime) -> Lease:
        self.taken += 1
        if self.gone:
            raise StoreError("the store is gone", retryable=True)
        return await self.store.take_lease(name, owner, now, until)

    async def drop_lease(self, name: str, owner: str) -> None:
        if self.gone:
            await asyncio.Event().wait()
        await self.store.drop_lease(name, owner)

    async def lease(self, name: str) -> Lease | None:
        return await self.store.lease(name)


@dataclass
class Replica:
    """A process that would do the work, and what of it it does."""

    name: str
    store: SomeLeases
    clock: StoppedClock = field(default_factory=StoppedClock)
    telemetry: Counting = field(default_factory=Counting)
    works: bool = False
    steps: int = 0

    def __post_init__(self) -> None:
        self.leading = Leading(Candidate("poll", self.name, SECONDS), self.store, self.clock, self.telemetry)

    async def work(self) -> None:
        self.works = True
        try:
            await asyncio.Event().wait()
        finally:
            self.works = False

    def starts(self) -> None:
        self.task = asyncio.create_task(self.leading.run(self.work))

    async def ends(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    def dies(self) -> None:
        """`kill -9`: nothing is dropped."""
        self.store.gone = True
        self.task.cancel()

    async def leads(self) -> None:
        await wait_until(lambda: self.works)


@asynccontextmanager
async def replicas(store: SqliteStore, *names: str) -> AsyncIterator[list[Replica]]:
    """The first one leads, the others stand by."""
    made = [Replica(name, SomeLeases(store)) for name in names]
    try:
        for replica in made:
            replica.starts()
            await wait_until(lambda replica=replica: replica.works or replica.leading.stands_by)  # type: ignore[misc]  # mypy wants no default here
        yield made
    finally:
        await asyncio.gather(*(replica.ends() for replica in made))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore.open(tmp_path / "paperboy.db") as opened:
        yield opened


async def test_one_of_many_works_and_goes_on_working(store: SqliteStore):
    async with replicas(store, "one", "two", "three") as (one, two, three):
        until = asyncio.get_running_loop().time() + 3 * SECONDS
        while asyncio.get_running_loop().time() < until:
            assert (one.works, two.works, three.works) == (True, False, False)
            await asyncio.sleep(0.02)
        assert not one.leading.stands_by
        assert two.leading.stands_by
        assert one.store.taken <= 3 * RENEWALS + 2, "a lease is renewed every third of its time"


async def test_who_is_told_to_end_is_replaced_at_once_and_that_is_no_takeover(store: SqliteStore):
    async with replicas(store, "one", "two") as (one, two):
        await one.ends()
        assert await store.lease("poll") is None or two.works
        await asyncio.wait_for(two.leads(), SECONDS / 2)
        assert two.telemetry.counted == []


async def test_who_dies_is_replaced_when_the_lease_has_run_out_and_that_is_counted_once(
    store: SqliteStore, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    async with replicas(store, "one", "two") as (one, two):
        one.dies()
        started = asyncio.get_running_loop().time()
        await two.leads()
        assert SECONDS / 3 < asyncio.get_running_loop().time() - started < 2 * SECONDS + LOOK_SECONDS
        renewed = two.store.taken
        await wait_until(lambda: two.store.taken > renewed + 2)
        assert two.telemetry.counted == [("lease_takeovers", "poll")]
        [record] = [record for record in caplog.records if record.message == "took over"]
        assert record.__dict__["from"] == "one"


async def test_a_lease_of_a_process_that_has_surely_ended_is_not_waited_for(store: SqliteStore):
    """The same machine's: a bot that was killed and started again."""
    now = SystemClock().now()
    await store.take_lease("poll", "dead", now, now + timedelta(hours=1))
    telemetry = Counting()
    candidate = Candidate("poll", "one", SECONDS, has_ended=lambda owner: owner == "dead")
    leading = Leading(candidate, store, SystemClock(), telemetry)
    works = asyncio.Event()

    async def work() -> None:
        works.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(leading.run(work))
    await asyncio.wait_for(works.wait(), SECONDS)
    await asyncio.sleep(SECONDS)  # renewed meanwhile
    assert telemetry.counted == [("lease_takeovers", "poll")]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_of_a_process_it_is_known_here_alone_whether_it_has_ended():
    mine = process_name()
    assert process_name() != mine
    with subprocess.Popen(["/bin/true"]) as child:
        child.wait()
    place, _, _ = mine.rpartition("/")[0].rpartition("/")
    assert surely_ended(f"{place}/{child.pid}/abcd"), "gone"
    assert surely_ended(mine), "before us, under our number"
    assert not surely_ended(f"{place}/{os.getppid()}/abcd"), "alive"
    assert not surely_ended(f"elsewhere/00000000/{child.pid}/abcd")
    assert not surely_ended("nonsense")


async def test_who_wakes_after_its_lease_takes_no_further_step_and_stops(store: SqliteStore):
    async with replicas(store, "one", "two") as (one, two):
        one.store.gone = True  # stopped: it renews nothing
        await two.leads()
        one.clock.missed = 2 * SECONDS  # and awake: its next step comes before its renewal
        one.leading._standing, one.leading._ends = one.leading._standing.MINE, 0.0  # type: ignore[union-attr]  # it has noticed nothing
        one.store.gone = False
        step = asyncio.create_task(one.leading.check())
        await wait_until(lambda: not one.works)
        assert not step.done()
        step.cancel()
        assert two.works
        assert one.leading.stands_by


async def test_while_the_lease_lasts_a_step_asks_nobody(store: SqliteStore):
    async with replicas(store, "one") as (one,):
        taken = one.store.taken
        for _ in range(100):
            await one.leading.check()
        assert one.store.taken == taken


async def test_without_a_store_the_leader_goes_on_and_others_wait(store: SqliteStore):
    async with replicas(store, "one", "two") as (one, two):
        one.store.gone = two.store.gone = True
        await asyncio.sleep(1.5 * SECONDS)  # longer than the lease
        assert (one.works, two.works) == (True, False)
        await asyncio.wait_for(one.leading.check(), SECONDS)
        one.store.gone = False
        taken = one.store.taken
        await wait_until(lambda: one.store.taken > taken + 1)
        two.store.gone = False
        await wait_until(lambda: two.leading.stands_by)
        assert (one.works, two.works) == (True, False)


async def test_a_leader_that_sees_another_at_its_work_waits_for_what_the_store_says(store: SqliteStore):
    async with replicas(store, "one") as (one,):
        one.store.gone = True
        sure = asyncio.create_task(one.leading.confirm())
        await asyncio.sleep(SECONDS / 2)
        assert not sure.done()
        one.store.gone = False
        await asyncio.wait_for(sure, 2 * LOOK_SECONDS)
        assert one.works


async def test_a_leader_that_another_has_replaced_learns_it_when_it_asks(store: SqliteStore):
    async with replicas(store, "one") as (one,):
        await store.drop_lease("poll", "one")
        await store.take_lease("poll", "two", one.clock.now(), one.clock.now() + timedelta(minutes=1))
        sure = asyncio.create_task(one.leading.confirm())
        await wait_until(lambda: not one.works)
        assert not sure.done()
        sure.cancel()


async def test_an_end_waits_no_longer_than_a_second_for_a_store_that_hangs(store: SqliteStore):
    async with replicas(store, "one") as (one,):
        one.store.gone = True
        started = asyncio.get_running_loop().time()
        await one.ends()
        assert asyncio.get_running_loop().time() - started < 1.5
        assert not one.works


async def test_work_that_breaks_is_not_hidden_and_leaves_the_lease_to_others(store: SqliteStore):
    leading = Leading(Candidate("poll", "one", SECONDS), store, SystemClock(), NoTelemetry())

    async def work() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await leading.run(work)
    assert await store.lease("poll") is None
