"""Who settles what nobody knows finds its key, however much was sent since."""

import io
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot import check, delivery, texts
from bot.models import Address, PartState, PlatformName, ReportKey
from bot.store.sqlite import SqliteStore
from bot.terminal.deliveries import SHOWN, listed, worth_reading
from tests.fakes import DAY, NOW
from tests.test_delivery import DOCUMENTS, FakeChannel

REPORT = ReportKey(DAY, "default", "zh")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore.open(tmp_path / "paperboy.db") as opened:
        yield opened


async def sent(store: SqliteStore, channel: int, state: PartState = PartState.SENT) -> str:
    """The key of a delivery of which one part ended so."""
    place = FakeChannel(address=Address(PlatformName.SLACK, f"C{channel}"), links=False)
    parts = delivery.plan(REPORT, place, DOCUMENTS, name=f"c{channel}", now=NOW)
    await store.plan(REPORT, parts)
    for part in parts:
        await store.claim(part.key, "one", NOW, NOW)
        await store.record(part.key, "one", state if part.index == 1 else PartState.SENT, ["1"])
    return parts[0].delivery


async def table(store: SqliteStore) -> list[str]:
    stream = io.StringIO()
    listed(await worth_reading(store), texts.load("en"), stream)
    return stream.getvalue().splitlines()


async def test_what_nobody_knows_is_listed_before_the_newest_however_old_it_is(store: SqliteStore):
    old = [await sent(store, number, PartState.UNKNOWN) for number in range(3)]
    new = [await sent(store, number) for number in range(3, 3 + SHOWN)]
    lines = await table(store)
    assert [line.split()[-1] for line in lines if not line.startswith("    ")] == [*reversed(old), *reversed(new)]
    for key in old:
        assert sum(f"{key}~1" in line for line in lines) == 1


async def test_what_nobody_knows_is_listed_once_where_it_is_new(store: SqliteStore):
    before = await sent(store, 1)
    key = await sent(store, 2, PartState.UNKNOWN)
    assert [line.split()[-1] for line in await table(store) if not line.startswith("    ")] == [key, before]


async def test_the_check_says_of_how_many_nobody_knows_and_what_lists_them(store: SqliteStore):
    assert await check.check_ledger(store) == []
    await sent(store, 1, PartState.FAILED)
    keys = [await sent(store, number, PartState.UNKNOWN) for number in (2, 3)]
    [found] = await check.check_ledger(store)
    assert (found.level, found.subject) == ("warning", "deliveries")
    assert found.text.startswith(f"2 unknown, the newest {keys[1]}~1;")
    assert "`paperboy deliveries`" in found.text
