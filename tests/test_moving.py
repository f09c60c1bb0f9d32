"""An installation moves between stores, by a file or at once, and loses nothing."""

import json
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.errors import InputError
from bot.models import ArxivId, PartState, ReportKey
from bot.requests import Vote
from bot.store import moving
from bot.store.entries import KINDS, Entry, Named, Spent, Verdict, WholeStore, verdict
from bot.store.redis import RedisStore
from bot.store.sqlite import SqliteStore
from tests import redis_standin
from tests.fakes import DAY, NOW, a_day_list, a_paper, a_ranking, a_report
from tests.test_store import ADDRESS, ANSWERED, LEASE, REPORT, a_kept_text, said, some_parts, some_requests

YESTERDAY = DAY - timedelta(days=1)
PROFILES = ("default", "lab-2", "lab")
USERS = ("telegram:42", "slack:U1")


async def live(store: WholeStore) -> None:
    """What some days leave behind: something of every kind and state."""
    await store.keep_list(a_day_list(papers=(a_paper(1, title='"雨" \\ 😀\x00\n'), a_paper(2)), skipped=3))
    await store.keep_list(a_day_list(day=YESTERDAY))
    for profile in PROFILES:
        ranking = a_ranking(entries=said(f"Fog over {profile}", "", "雾"))
        named = replace(ranking, profile=replace(ranking.profile, name=profile))
        await store.keep_ranking(replace(named, day=YESTERDAY))
        for edition in (1, 2):
            key = ReportKey(DAY, profile, "zh", edition)
            await store.keep_report(a_report(key=key, ranking=replace(a_ranking(), profile=named.profile)))
    await store.keep_ranking(a_ranking(language="en"))
    await store.keep_full_text(a_kept_text(2), NOW)
    await store.keep_full_text(a_kept_text(None), NOW + timedelta(microseconds=1))
    await store.keep_analysis("score:1", '{"a": "乙"}')
    await store.keep_note("told", "yes")
    await store.reserve_spend(DAY, 0.1, 1.0)
    await store.reserve_spend(YESTERDAY, 123.456789012, 999.0)
    for number in range(4):
        report = replace(REPORT, day=DAY - timedelta(days=number))
        await store.plan(report if number else None, some_parts(3, report))
    posted, unknown, settled = some_parts(3, replace(REPORT, day=YESTERDAY))
    for part, state in ((posted, PartState.SENT), (unknown, PartState.UNKNOWN), (settled, PartState.FAILED)):
        await store.claim(part.key, "one", NOW, LEASE)
        await store.record(part.key, "one", state, ["17", "18"] if part is posted else (), "why")
    await store.settle(settled.key, PartState.DROPPED)
    await store.claim(some_parts(1)[0].key, "two", NOW, LEASE)
    await store.close(ADDRESS, "the bot was kicked")
    await store.close(ADDRESS.chat, "once")
    await store.reopen(ADDRESS.chat)
    await store.move(replace(ADDRESS, topic=None, thread="1.2"), "C0456")
    at_once = some_requests(4, asked_at=NOW, conversation="slack:C0123/1.2")
    await store.admit(at_once[::-1])
    await store.close_request(at_once[2].key, ANSWERED, some_parts(1, replace(REPORT, edition=9)))
    await store.close_request(at_once[1].key, ANSWERED, ())
    for number, user in enumerate(USERS * 2):
        at = NOW + timedelta(seconds=number // 2)
        await store.keep_vote(Vote(user, f"2602.0000{number // 2}", PROFILES[number // 2], 1 - 2 * (number % 2), at))
    await store.ping()


async def read(store: WholeStore) -> dict[str, Any]:
    """Everything that the port can tell."""
    days = (DAY, YESTERDAY, DAY + timedelta(days=1))
    found: dict[str, Any] = {
        "deliveries": await store.deliveries(99),
        "unfinished": await store.unfinished(),
        "troubled": await store.troubled(99),
        "open": await store.open_requests(),
        "waiting": await store.waiting_for(some_requests(1)[0].job),
        "talk": await store.talk("slack:C0123/1.2", 9),
        "reports": await store.reports(99),
        "analysis": await store.analysis("score:1"),
        "notes": await store.note("told"),
        "posted": [await store.part_posted_as(ADDRESS, message) for message in ("17", "18", "19")],
        "closed": [await store.closed(address) for address in (ADDRESS, ADDRESS.chat)],
        "moved": [await store.moved(address) for address in (ADDRESS, replace(ADDRESS, topic=None, thread="1.2"))],
        "requests": [await store.request(request.key) for request in some_requests(5)],
        "counted": [await store.counted_since(user, NOW - timedelta(days=1)) for user in USERS],
        "votes": [await store.votes(profile) for profile in PROFILES],
        "papers": [await store.paper(f"2602.0000{number}") for number in range(9)],
        "lists": [await store.list_of(day) for day in days],
        "spent": [await store.spent(day) for day in days],
        "texts": [await store.full_text(ArxivId("2602.00001", version)) for version in (None, 1, 2)],
    }
    for profile in PROFILES:
        found[profile] = [
            await store.newest_ranking_day(profile),
            await store.chosen_before(profile, DAY + timedelta(days=9), YESTERDAY),
            [await store.days_with(profile, [word], 9) for word in ("fog", "雾", "rain", "lab")],
            [await store.rankings(day, profile) for day in days],
            [await store.ranking(day, profile, "zh") for day in days],
            [await store.planned_editions(day, profile, "zh") for day in days],
        ]
    return found


async def everything(store: WholeStore) -> list[Entry]:
    return [entry async for entry in store.entries()]


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[WholeStore]:
    async with SqliteStore.open(tmp_path / "one.db") as opened:
        yield opened


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[WholeStore]:
    async with SqliteStore.open(tmp_path / "other.db") as opened:
        yield opened


@pytest.fixture
async def redis(redis_server: str) -> AsyncIterator[WholeStore]:
    async with RedisStore.open(redis_server, namespace=redis_standin.namespace()) as opened:
        yield opened


def ends(moved: moving.Moved) -> dict[Verdict, int]:
    return {end: count for end in Verdict if (count := sum(counted.get(end, 0) for counted in moved.values()))}


async def test_an_installation_moves_to_redis_and_back_without_loss(
    sqlite: WholeStore, redis: WholeStore, other: WholeStore
):
    await live(sqlite)
    before, entries = await read(sqlite), await everything(sqlite)
    assert {entry.kind for entry in entries} == set(KINDS)
    assert ends(await moving.migrate(sqlite, redis)) == {Verdict.NEW: len(entries)}
    assert await read(redis) == before
    assert await everything(redis) == entries
    assert ends(await moving.migrate(redis, other)) == {Verdict.NEW: len(entries)}
    assert await read(other) == before
    assert await everything(other) == entries


async def test_both_stores_tell_the_same_of_the_same_life(sqlite: WholeStore, redis: WholeStore):
    for store in (sqlite, redis):
        await live(store)
    assert await read(sqlite) == await read(redis)
    assert await everything(sqlite) == await everything(redis)


async def test_what_was_moved_goes_on_where_it_was(sqlite: WholeStore, redis: WholeStore):
    await live(sqlite)
    await moving.migrate(sqlite, redis)
    held, waiting, _ = some_parts()
    assert await redis.record(held.key, "two", PartState.SENT, ["21"])
    assert await redis.claim(waiting.key, "three", NOW, LEASE)
    assert await redis.part_posted_as(ADDRESS, "21") is not None
    assert not await redis.admit(some_requests(1))
    assert await redis.close_request(some_requests(1)[0].key, ANSWERED, ())
    assert (await redis.keep_report(a_report(model="another"))).model == "fake/model"
    newer = replace(REPORT, day=DAY + timedelta(days=3))
    await redis.plan(newer, some_parts(1, newer))
    assert (await redis.deliveries(1)) == some_parts(1, newer)


async def test_a_file_carries_everything_and_may_be_read_twice(sqlite: WholeStore, redis: WholeStore, tmp_path: Path):
    await live(sqlite)
    file, count = tmp_path / "paperboy.jsonl", len(await everything(sqlite))
    assert sum((await moving.export(sqlite, file)).values()) == count
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not file.with_name("paperboy.jsonl.part").exists()
    assert ends(await moving.import_(file, redis)) == {Verdict.NEW: count}
    assert ends(await moving.import_(file, redis)) == {Verdict.SAME: count}
    assert await read(redis) == await read(sqlite)
    again = tmp_path / "again.jsonl"
    await moving.export(redis, again)
    assert again.read_text(encoding="utf-8") == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("target", ["sqlite", "redis"])
async def test_what_happened_since_stays_and_what_is_newer_comes(
    target: str, sqlite: WholeStore, redis: WholeStore, other: WholeStore
):
    """The source went on after the first move, and so did the target: neither's later word is lost."""
    store = redis if target == "redis" else sqlite
    done_there, done_here, _ = some_parts()
    asked_there, asked_here = some_requests(2)
    await other.plan(REPORT, some_parts())
    await other.admit([asked_there, asked_here])
    await other.keep_note("told", "before")
    await moving.migrate(other, store)
    for place, part in ((store, done_there), (other, done_here)):
        await place.claim(part.key, "one", NOW, LEASE)
        await place.record(part.key, "one", PartState.SENT, [part.key[-1]])
    await store.close_request(asked_there.key, ANSWERED, ())
    await other.close_request(asked_here.key, ANSWERED, ())
    await store.keep_note("told", "since")
    vote = Vote("telegram:42", "2602.00001", "default", 1, NOW)
    await store.keep_vote(vote)
    await other.keep_vote(replace(vote, value=-1, at=NOW - timedelta(days=1)))
    moved = await moving.migrate(other, store)
    assert ends(moved)[Verdict.NEWER] == 2
    assert {kind: counted[Verdict.LEFT] for kind, counted in moved.items() if counted.get(Verdict.LEFT)} == {
        "part": 1,
        "request": 1,
        "vote": 1,
        "note": 1,
    }
    for part in (done_there, done_here):
        found = await store.part(part.key)
        assert found is not None
        assert (found.state, found.message_ids) == (PartState.SENT, (part.key[-1],))
        posted = await store.part_posted_as(ADDRESS, part.key[-1])
        assert posted is not None
        assert posted.key == part.key
    assert await store.open_requests() == ()
    assert await store.note("told") == "since"
    assert await store.votes("default") == (vote,)


async def test_a_part_that_ended_is_never_planned_again_by_an_old_export(
    sqlite: WholeStore, redis: WholeStore, tmp_path: Path
):
    await sqlite.plan(REPORT, some_parts())
    await moving.export(sqlite, tmp_path / "old.jsonl")
    await moving.migrate(sqlite, redis)
    for part in some_parts():
        await redis.claim(part.key, "one", NOW, LEASE)
        await redis.record(part.key, "one", PartState.SENT, ["17"])
    moved = await moving.import_(tmp_path / "old.jsonl", redis)
    assert moved["part"] == {Verdict.LEFT: 3}
    assert await redis.unfinished() == ()


def test_in_doubt_what_is_there_stays():
    [part] = some_parts(1)
    sent = replace(part, state=PartState.SENT, attempts=1, updated_at=NOW)
    unknown = replace(sent, state=PartState.UNKNOWN)
    assert verdict(Entry("part", sent), None) is Verdict.NEW
    assert verdict(Entry("part", sent), sent) is Verdict.SAME
    assert verdict(Entry("part", sent), unknown) is Verdict.NEWER
    assert verdict(Entry("part", unknown), sent) is Verdict.LEFT
    assert verdict(Entry("part", replace(sent, state=PartState.PLANNED)), unknown) is Verdict.LEFT
    assert verdict(Entry("part", replace(unknown, attempts=2)), sent) is Verdict.NEWER
    assert verdict(Entry("note", Named("a", "1")), Named("a", "2")) is Verdict.LEFT
    assert verdict(Entry("spent", Spent("d", 2)), Spent("d", 1)) is Verdict.NEWER
    assert verdict(Entry("spent", Spent("d", 1)), Spent("d", 2)) is Verdict.LEFT
    newer = a_day_list(captured_at=NOW + timedelta(hours=1))
    assert verdict(Entry("list", newer), a_day_list()) is Verdict.NEWER


@pytest.fixture
async def exported(sqlite: WholeStore, tmp_path: Path) -> Path:
    await sqlite.plan(REPORT, some_parts())
    await moving.export(sqlite, tmp_path / "paperboy.jsonl")
    return tmp_path / "paperboy.jsonl"


def lines_of(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


def spoil(file: Path, how: str) -> None:
    header, *rest = lines = lines_of(file)
    broken: dict[str, str | bytes] = {
        "empty": "",
        "no export": "To whom it may concern.\n",
        "binary": b"\xff\xfe\x00",
        "cut off": "\n".join(lines[:-1]),
        "cut off in a line": "\n".join(lines)[:-30],
        "a line lost": "\n".join([header, *rest[1:]]),
        "newer": "\n".join([header.replace('"version": 1', '"version": 2'), *rest]),
        "of another kind": "\n".join([header, rest[0].replace('"planned"', '"weather"'), *rest[1:]]),
        "not of its kind": "\n".join([header, rest[0].replace('"day"', '"night"'), *rest[1:]]),
    }
    content = broken[how]
    file.write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.mark.parametrize(
    ("how", "key"),
    [
        ("empty", "cli.store_no_file"),
        ("no export", "cli.store_no_file"),
        ("binary", "cli.store_no_file"),
        ("cut off", "cli.store_cut_file"),
        ("cut off in a line", "cli.store_cut_file"),
        ("a line lost", "cli.store_cut_file"),
        ("newer", "cli.store_newer_file"),
        ("of another kind", "cli.store_newer_file"),
        ("not of its kind", "cli.store_no_file"),
    ],
)
async def test_a_file_that_is_not_whole_is_refused_before_anything_is_written(
    exported: Path, other: WholeStore, how: str, key: str
):
    spoil(exported, how)
    with pytest.raises(InputError) as caught:
        await moving.import_(exported, other)
    assert caught.value.key == key
    assert await everything(other) == []


async def test_a_place_that_cannot_be_read_or_written_is_named(sqlite: WholeStore, tmp_path: Path):
    with pytest.raises(InputError) as caught:
        await moving.import_(tmp_path / "none.jsonl", sqlite)
    assert caught.value.key == "cli.no_file"
    with pytest.raises(InputError) as caught:
        await moving.export(sqlite, tmp_path / "none" / "here.jsonl")
    assert caught.value.key == "cli.no_folder"


async def test_lines_are_json_that_names_what_it_is(exported: Path):
    header, *entries, last = map(json.loads, lines_of(exported))
    assert header == {"paperboy": "store", "version": 1}
    assert last == {"entries": len(entries)}
    assert [entry["kind"] for entry in entries] == ["planned", "part", "part", "part"]
