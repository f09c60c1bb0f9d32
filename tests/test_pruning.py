"""Both stores keep everything for the same time, and nothing for ever that need not be."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.interfaces import Store
from bot.models import ArxivId, PartState, Ranking
from bot.requests import Closing, RequestState, Vote
from bot.schedule import Schedule
from bot.store import kept, sqlite_schema
from bot.store.content import micros, to_json
from bot.store.redis import RedisStore
from bot.store.sqlite import SqliteStore
from bot.store.sqlite_prune import FOR_GOOD, KEPT
from tests.fakes import DAY, NOW, FakeClock, a_day_list, a_paper, a_ranking, a_report, a_request
from tests.test_store import ADDRESS, LEASE, REPORT, STORES, a_kept_text, open_redis, some_parts

DAY_SECONDS = 86_400
PROFILE = "default"


@pytest.fixture(params=STORES)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    if request.param == "redis":
        async with open_redis(request.getfixturevalue("redis_server"))(tmp_path) as redis:
            yield redis
    else:
        async with SqliteStore.open(tmp_path / "paperboy.db") as sqlite:
            yield sqlite


@pytest.fixture
async def sqlite_store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore.open(tmp_path / "paperboy.db") as opened:
        yield opened


async def passes(store: Any, seconds: int) -> None:
    """As if so much time had passed since every write; then the store forgets what it would have forgotten."""
    if isinstance(store, RedisStore):
        for key in [key async for key in store._server.all_keys()]:
            name = f"{store._server.prefix}{key}"
            [left] = await store._server.ask(("TTL", name))
            if left > 0:
                await store._server.put(("EXPIRE", name, left - seconds))  # deletes it where that is none
    else:

        def age(connection: sqlite3.Connection) -> None:
            for table in KEPT:
                connection.execute(f"UPDATE {table} SET written_at = written_at - ?", (seconds,))

        await store._file.transaction(age)
    await store.prune()


async def a_delivery(store: Store, *states: PartState, edition: int = 1) -> str:
    """The key of a delivery whose parts came to these states; PLANNED ones are not begun."""
    parts = some_parts(len(states), replace(REPORT, edition=edition))
    await store.plan(replace(REPORT, edition=edition), parts)
    for part, state in zip(parts, states, strict=True):
        if state is not PartState.PLANNED:
            assert await store.claim(part.key, "me", NOW, LEASE)
        if state not in (PartState.PLANNED, PartState.SENDING):
            assert await store.record(part.key, "me", state, ("17",))
    return parts[0].delivery


async def a_closed_request(store: Store) -> None:
    assert await store.admit([a_request()])
    assert await store.close_request(a_request().key, Closing(RequestState.ANSWERED, NOW), ())


Write = Callable[[Store], Awaitable[Any]]
KINDS: dict[str, tuple[int, Write, Write]] = {
    "list": (kept.LISTS, lambda s: s.keep_list(a_day_list()), lambda s: s.list_of(DAY)),
    "paper": (kept.PAPERS, lambda s: s.keep_paper(a_paper()), lambda s: s.paper("2602.00001")),
    "ranking": (kept.REPORTS, lambda s: s.keep_ranking(a_ranking()), lambda s: s.ranking(DAY, PROFILE, "zh")),
    "report": (kept.REPORTS, lambda s: s.keep_report(a_report()), lambda s: s.report(DAY, PROFILE, "zh")),
    "archive": (kept.REPORTS, lambda s: s.keep_report(a_report()), lambda s: s.reports(5)),
    "search": (kept.REPORTS, lambda s: s.keep_ranking(a_ranking()), lambda s: s.days_with(PROFILE, ["rain"], 5)),
    "choice": (
        kept.CHOSEN,
        lambda s: s.keep_report(a_report()),
        lambda s: s.chosen_before(PROFILE, DAY + timedelta(days=1), DAY),
    ),
    "delivery": (
        kept.LEDGER,
        lambda s: a_delivery(s, PartState.SENT, PartState.FAILED),
        lambda s: s.delivery(f"{REPORT}@{ADDRESS}"),
    ),
    "message": (
        kept.LEDGER,
        lambda s: a_delivery(s, PartState.SENT),
        lambda s: s.part_posted_as(ADDRESS.chat, "17"),
    ),
    "request": (kept.REQUESTS, a_closed_request, lambda s: s.request(a_request().key)),
    "full text": (
        kept.TEXTS,
        lambda s: s.keep_full_text(a_kept_text(), NOW),
        lambda s: s.full_text(ArxivId("2602.00001")),
    ),
    "analysis": (kept.ANALYSES, lambda s: s.keep_analysis("key", "{}"), lambda s: s.analysis("key")),
    "spending": (kept.SPENDING, lambda s: s.reserve_spend(DAY, 1.0, 2.0), lambda s: s.spent(DAY)),
    "note": (kept.NOTES, lambda s: s.keep_note("key", "value"), lambda s: s.note("key")),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_everything_is_kept_for_its_time_and_no_longer(store: Store, kind: str):
    seconds, write, read = KINDS[kind]
    await write(store)
    await passes(store, seconds - DAY_SECONDS)
    assert await read(store)
    await passes(store, 2 * DAY_SECONDS)
    assert not await read(store)


@pytest.mark.parametrize("kind", ["note", "analysis", "full text", "spending", "list", "paper"])
async def test_what_is_written_again_begins_anew(store: Store, kind: str):
    seconds, write, read = KINDS[kind]
    await write(store)
    await passes(store, seconds - DAY_SECONDS)
    await write(store)
    await passes(store, seconds - DAY_SECONDS)
    assert await read(store)


async def test_votes_and_what_is_known_of_chats_stay_for_good(store: Store):
    vote = Vote("telegram:42", "2602.00001", PROFILE, 1, NOW)
    await store.keep_vote(vote)
    await store.close(ADDRESS, "kicked")
    await passes(store, 20 * 366 * DAY_SECONDS)
    assert await store.votes(PROFILE) == (vote,)
    assert await store.closed(ADDRESS) == "kicked"


@pytest.mark.parametrize("state", [PartState.PLANNED, PartState.SENDING, PartState.UNKNOWN])
async def test_a_delivery_that_waits_for_somebody_stays_whole_however_old(sqlite_store: SqliteStore, state: PartState):
    waiting = await a_delivery(sqlite_store, PartState.SENT, state)
    done = await a_delivery(sqlite_store, PartState.SENT, PartState.DROPPED, edition=2)
    await passes(sqlite_store, 10 * kept.LEDGER)
    assert len(await sqlite_store.delivery(waiting)) == 2
    assert await sqlite_store.delivery(done) == ()
    if state is PartState.UNKNOWN:
        assert len(await sqlite_store.troubled(5)) == 1
    else:
        assert await sqlite_store.unfinished() == (waiting,)


async def test_an_open_request_stays_however_old(sqlite_store: SqliteStore):
    assert await sqlite_store.admit([a_request()])
    await passes(sqlite_store, 10 * kept.REQUESTS)
    assert await sqlite_store.open_requests() == (a_request(),)


def test_every_table_has_an_end_or_is_kept_for_good():
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        sqlite_schema.migrate(connection)
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert tables == KEPT.keys() | FOR_GOOD


async def test_a_file_from_before_loses_nothing_and_begins_to_age(tmp_path: Path):
    with closing(sqlite3.connect(tmp_path / "paperboy.db", isolation_level=None)) as connection:
        sqlite_schema.migrate(connection, sqlite_schema.STEPS[:3])
        key = (DAY.isoformat(), PROFILE, "zh", 1)
        connection.execute("INSERT INTO report VALUES (?, ?, ?, ?, '{}')", key)
        connection.execute("INSERT INTO planned VALUES (?, ?, ?, ?)", key)
        connection.execute("INSERT INTO chosen VALUES (?, ?, ?, ?, '2602.00001')", key)
        connection.execute("INSERT INTO note VALUES ('key', 'value')")
        row = (*key[:3], micros(NOW), to_json(Ranking, a_ranking()))
        connection.execute("INSERT INTO ranking VALUES (?, ?, ?, ?, ?)", row)
    async with SqliteStore.open(tmp_path / "paperboy.db") as store:
        await store.prune()
        assert await store.note("key") == "value"
        assert await store.ranking(DAY, PROFILE, "zh") == a_ranking()
        after = DAY + timedelta(days=1)
        assert await store.chosen_before(PROFILE, after, DAY) == {"2602.00001": DAY}
        await passes(store, kept.REPORTS + DAY_SECONDS)
        assert (await store.note("key"), await store.ranking(DAY, PROFILE, "zh")) == (None, None)
        assert await store.chosen_before(PROFILE, after, DAY) == {"2602.00001": DAY}, "its report has gone"


async def test_the_schedule_prunes_at_the_start_and_then_once_a_day(sqlite_store: SqliteStore):
    clock, pruned = FakeClock(), []

    async def prune() -> None:
        pruned.append(clock.now().date())

    async def tell(_: object) -> None: ...

    sqlite_store.prune = prune  # type: ignore[method-assign]  # counted instead; what it does is tested above
    engine: Any = None  # nothing is due
    schedule = Schedule((), timedelta(hours=12), "previous", sqlite_store, engine, clock, tell)
    for _ in range(5):
        await schedule.reconcile()
        clock.time += timedelta(hours=12)
    assert pruned == [NOW.date() + timedelta(days=days) for days in range(3)]
