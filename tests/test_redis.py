"""The Redis store where it differs from a file: lost replies, lost servers, replicas, and what ends by itself."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from fnmatch import fnmatch
from itertools import count
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bot.errors import SettingsError, StoreError
from bot.interfaces import SEND_SECONDS
from bot.models import Lease, PartState
from bot.requests import RequestState, Vote
from bot.store import kept
from bot.store import redis_server as server
from bot.store.redis import RedisStore
from bot.store.redis_check import findings
from bot.store.redis_url import password_in, place
from tests import redis_standin
from tests.fakes import DAY, NOW, a_day_list, a_paper, a_ranking, a_report, a_request, wait_until
from tests.redis_standin import Proxy, RedisProcess
from tests.test_store import (
    ADDRESS,
    ANSWERED,
    LEASE,
    REPORT,
    LeasesMachine,
    LedgerMachine,
    RequestsMachine,
    StoreMachine,
    a_kept_text,
    passes,
    play,
    said,
    some_parts,
    some_requests,
    take,
)

SECRET = "hush-hush-0123456789"


@pytest.fixture
def name() -> str:
    return redis_standin.namespace()


@pytest.fixture
async def store(redis_server: str, name: str) -> AsyncIterator[RedisStore]:
    async with RedisStore.open(redis_server, namespace=name) as opened:
        yield opened


@pytest.fixture
def own_server(request: pytest.FixtureRequest, redis_server: str) -> Iterator[RedisProcess]:
    """A server that the test may break, with options of its own."""
    with redis_standin.running(*getattr(request, "param", ())) as process:
        yield process


def with_options(*options: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("own_server", [options], indirect=True, ids=["own"])


@asynccontextmanager
async def cut(redis_server: str, name: str) -> AsyncIterator[tuple[Proxy, RedisStore]]:
    """A store behind a proxy, and the proxy."""
    proxy = Proxy(redis_server)
    async with proxy.running() as url, RedisStore.open(url, namespace=name) as opened:
        yield proxy, opened


async def fill(store: RedisStore) -> None:
    """Something of every kind."""
    await store.keep_list(a_day_list())
    await store.keep_paper(a_paper(7))
    await store.keep_ranking(a_ranking(day=DAY - timedelta(days=1)))
    await store.keep_report(a_report())
    await store.keep_full_text(a_kept_text(), NOW)
    await store.keep_analysis("score:1", "{}")
    assert await store.reserve_spend(DAY, 0.5, 1.0)
    await store.settle_spend(DAY, -0.25)
    await store.plan(REPORT, some_parts())
    parts = some_parts()
    await store.claim(parts[0].key, "one", NOW, LEASE)
    await store.record(parts[0].key, "one", PartState.SENT, ["17", "18"])
    await store.claim(parts[1].key, "one", NOW, LEASE)
    await store.record(parts[1].key, "one", PartState.UNKNOWN, error="nobody knows")
    await store.close(ADDRESS, "the bot was kicked")
    await store.move(ADDRESS, "C0456")
    await store.admit(some_requests(3, conversation="slack:C0123/1.2"))
    await store.close_request("telegram:-100/0", ANSWERED, some_parts(2, replace(REPORT, edition=2)))
    await store.keep_vote(Vote("telegram:42", "2602.00001", "default", 1, NOW))
    await store.keep_note("told", "yes")
    assert await store.swap_note("turn", None, "甲")
    await store.take_lease("poll", "one", NOW, LEASE)
    await store.ping()


# --- what ends by itself


async def test_whatever_may_end_has_an_end(store: RedisStore):
    await fill(store)
    keys = [key async for key in store._server.all_keys()]
    ends = dict(zip(keys, await store._server.ask(*(("TTL", store._server.prefix + key) for key in keys)), strict=True))
    for_good = {key for key, seconds in ends.items() if seconds < 0}
    assert {key for key in for_good if not any(fnmatch(key, pattern) for pattern in kept.FOR_GOOD)} == set()
    unused = {pattern for pattern in kept.FOR_GOOD if not any(fnmatch(key, pattern) for key in for_good)}
    assert unused == set(), "this is kept for good, and nothing is"
    kinds = {key.partition(":")[0] for key in keys}
    assert kinds >= {"list", "paper", "ranking", "report", "text", "analysis", "spend", "part", "request", "note"}


async def test_everything_is_kept_as_long_as_it_says(store: RedisStore):
    await fill(store)
    expected = {
        f"list:{DAY}": kept.LISTS,
        "paper:2602.00007": kept.PAPERS,
        f"ranking:{DAY}:default": kept.REPORTS,
        f"ranked:{DAY}:default": kept.REPORTS,
        "days:default": kept.REPORTS,
        f"report:{DAY},default,zh": kept.REPORTS,
        f"planned:{DAY},default,zh": kept.REPORTS,
        "chosen:default": kept.CHOSEN,
        "text:2602.00001": kept.TEXTS,
        "analysis:score:1": kept.ANALYSES,
        f"spend:{DAY}": kept.SPENDING,
        f"part:{some_parts()[0].key}": kept.LEDGER,
        f"delivery:{some_parts()[0].delivery}": kept.LEDGER,
        "posted:slack:C0123:17": kept.LEDGER,
        "request:telegram:-100/0": kept.REQUESTS,
        "counted:telegram:42": kept.REQUESTS,
        "note:told": kept.NOTES,
        "lease:poll": kept.LEASES,
    }
    asked = [("TTL", store._server.prefix + key) for key in expected]
    assert dict(zip(expected, await store._server.ask(*asked), strict=True)) == pytest.approx(expected, abs=60)


async def test_indexes_forget_what_has_ended(store: RedisStore):
    for number in range(20):
        report = replace(REPORT, day=DAY + timedelta(days=number))
        await store.plan(report, some_parts(1, report))
        await store.keep_report(a_report(key=report, ranking=a_ranking(day=report.day)))
        await store.admit([a_request(key=f"telegram:-100/{number}", asked_at=NOW + timedelta(seconds=number))])
    for pattern in ("part:*", "delivery:*", "report:*", "ranking:*", "ranked:*", "request:*"):
        gone = [key async for key in store._server.all_keys() if fnmatch(key, pattern)]
        await store._server.put(*(("DEL", store._server.prefix + key) for key in gone))
    assert [await store.deliveries(99), await store.unfinished(), await store.open_requests()] == [(), (), ()]
    assert await store.troubled(99) == ()
    assert await store.reports(99) == ()
    assert await store.newest_ranking_day("default") is None
    assert await store.days_with("default", ["rain"], 5) == ()
    assert await store.part_posted_as(ADDRESS, "17") is None
    for number in range(3):
        report = replace(REPORT, day=DAY + timedelta(days=99 + number))
        await store.plan(report, some_parts(1, report))
        await store.keep_report(a_report(key=report, ranking=a_ranking(day=report.day)))
        await store.admit([a_request(key=f"slack:{number}", asked_at=NOW + timedelta(days=9))])
    for index in ("deliveries", "unfinished", "open", "days:default"):
        [members] = await store._server.ask(("ZCARD", store._server.prefix + index))
        assert members == 3, index


# --- a reply that is lost


class Case:
    """What is done, what it returns, and what holds afterwards: once, whatever was lost."""

    def __init__(self, do: Callable[[RedisStore], Awaitable[object]], after: Callable[[RedisStore], Awaitable[object]]):
        self.do, self.after = do, after


[PART] = some_parts(1)


async def claimed(store: RedisStore) -> None:
    await store.plan(REPORT, [PART])
    await store.claim(PART.key, "one", NOW, LEASE)


async def unknown(store: RedisStore) -> None:
    await claimed(store)
    await store.record(PART.key, "one", PartState.UNKNOWN)


async def nothing(store: RedisStore) -> None:
    del store


async def left_behind(store: RedisStore) -> None:
    await take(store, "one")
    await passes(store, 31)


async def whose(taken: Awaitable[Lease]) -> tuple[str, str]:
    lease = await taken
    return lease.owner, lease.before


async def standing(store: RedisStore) -> tuple[str, str] | None:
    lease = await store.lease("poll")
    return (lease.owner, lease.before) if lease else None


LATER = LEASE + timedelta(seconds=1)
BEFORE: dict[str, Callable[[RedisStore], Awaitable[object]]] = {
    "claim": lambda store: store.plan(REPORT, [PART]),
    "recover": claimed,
    "record": claimed,
    "give back": claimed,
    "settle": unknown,
    "close_request": lambda store: store.admit([a_request()]),
    "renew_lease": lambda store: take(store, "one"),
    "take_over_lease": left_behind,
    "drop_lease": lambda store: take(store, "one"),
}
INTENTS: dict[str, Case] = {
    "plan": Case(lambda store: store.plan(REPORT, some_parts()), lambda store: store.deliveries(9)),
    "claim": Case(lambda store: store.claim(PART.key, "one", NOW, LEASE), lambda store: store.part(PART.key)),
    "recover": Case(lambda store: store.recover(PART.key, "two", LATER, LATER), lambda store: store.part(PART.key)),
    "record": Case(
        lambda store: store.record(PART.key, "one", PartState.SENT, ["17"]), lambda store: store.part(PART.key)
    ),
    "give back": Case(
        lambda store: store.record(PART.key, "one", PartState.PLANNED), lambda store: store.part(PART.key)
    ),
    "settle": Case(lambda store: store.settle(PART.key, PartState.PLANNED, LEASE), lambda store: store.part(PART.key)),
    "admit": Case(lambda store: store.admit(some_requests(2)), lambda store: store.open_requests()),
    "close_request": Case(
        lambda store: store.close_request(a_request().key, ANSWERED, some_parts()), lambda store: store.deliveries(9)
    ),
    "reserve_spend": Case(lambda store: store.reserve_spend(DAY, 0.6, 1.0), lambda store: store.spent(DAY)),
    "settle_spend": Case(lambda store: store.settle_spend(DAY, 0.25), lambda store: store.spent(DAY)),
    "take_lease": Case(lambda store: whose(take(store, "one")), standing),
    "renew_lease": Case(lambda store: whose(take(store, "one")), standing),
    "take_over_lease": Case(lambda store: whose(take(store, "two")), standing),
    "drop_lease": Case(lambda store: store.drop_lease("poll", "one"), standing),
    "swap_note": Case(lambda store: store.swap_note("turn", None, "甲"), lambda store: store.note("turn")),
    "keep_report": Case(lambda store: store.keep_report(a_report()), lambda store: store.reports(9)),
    "keep_vote": Case(
        lambda store: store.keep_vote(Vote("telegram:42", "2602.00001", "default", 1, NOW)),
        lambda store: store.votes("default"),
    ),
}


@pytest.mark.parametrize("intent", INTENTS)
@pytest.mark.parametrize("lost", [1, 2])
async def test_a_lost_reply_doubles_nothing_and_loses_nothing(redis_server: str, name: str, intent: str, lost: int):
    case, before = INTENTS[intent], BEFORE.get(intent, nothing)
    async with RedisStore.open(redis_server, namespace=redis_standin.namespace()) as undisturbed:
        await before(undisturbed)
        expected = await case.do(undisturbed), await case.after(undisturbed)
    async with cut(redis_server, name) as (proxy, store):
        await before(store)
        proxy.lose = lost  # of the replies to the script, which the server knows by now
        assert await case.do(store) == expected[0]
        assert proxy.lost == lost
        assert await case.after(store) == expected[1]


@pytest.mark.slow
@pytest.mark.parametrize("machine", [LedgerMachine, LeasesMachine, RequestsMachine])
def test_with_every_fifth_reply_lost_the_store_still_does_what_the_model_does(
    redis_server: str, machine: type[StoreMachine], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(server, "PAUSE_SECONDS", 0.001)
    lost = 0

    @asynccontextmanager
    async def opener(_: Path) -> AsyncIterator[RedisStore]:
        nonlocal lost
        async with cut(redis_server, redis_standin.namespace()) as (proxy, opened):
            proxy.every = 5
            yield opened
            lost += proxy.lost

    play(machine, opener, examples=15)
    assert lost > 10


async def test_a_claim_whose_reply_was_lost_is_not_taken_by_another(redis_server: str, name: str):
    async with cut(redis_server, name) as (proxy, store):
        await store.plan(REPORT, [PART])
        proxy.lose = 1
        claims = await asyncio.gather(*(store.claim(PART.key, f"owner{n}", NOW, LEASE) for n in range(5)))
        assert proxy.lost == 1
        assert sorted(claims) == [False] * 4 + [True]
        part = await store.part(PART.key)
        assert part is not None
        assert (part.owner, part.attempts) == (f"owner{claims.index(True)}", 1)


async def test_reservations_whose_replies_are_lost_never_pass_the_limit(redis_server: str, name: str):
    async with cut(redis_server, name) as (proxy, store):
        await store.reserve_spend(DAY, 0.1, 9.9)
        proxy.lose = 3
        granted = await asyncio.gather(*(store.reserve_spend(DAY, 0.1, 0.6) for _ in range(10)))
        assert proxy.lost == 3
        assert sum(granted) == 5
        assert await store.spent(DAY) == pytest.approx(0.6)


# --- replicas


async def test_two_clients_see_each_others_writes_and_share_the_work(redis_server: str, name: str):
    async with (
        RedisStore.open(redis_server, namespace=name) as one,
        RedisStore.open(redis_server, namespace=name) as two,
    ):
        stores = [one, two] * 10
        assert sum(await asyncio.gather(*(store.admit([a_request()]) for store in stores))) == 1
        ends = [replace(ANSWERED, said=str(n)) for n in range(len(stores))]
        done = [
            store.close_request(a_request().key, end, some_parts()) for store, end in zip(stores, ends, strict=True)
        ]
        assert sum(await asyncio.gather(*done)) == 1
        assert await one.deliveries(9) == await two.deliveries(9) == some_parts()
        claims = [store.claim(PART.key, f"{n}", NOW, LEASE) for n, store in enumerate(stores)]
        assert sum(await asyncio.gather(*claims)) == 1
        swaps = [store.swap_note("poller", None, str(n)) for n, store in enumerate(stores)]
        assert sum(await asyncio.gather(*swaps)) == 1
        reports = await asyncio.gather(*(store.keep_report(a_report(model=str(n))) for n, store in enumerate(stores)))
        assert len({report.model for report in reports}) == 1


async def test_a_lease_ends_by_the_servers_clock_whatever_that_of_a_replica_shows(store: RedisStore):
    hour = timedelta(hours=1)
    await store.take_lease("poll", "one", NOW, NOW + timedelta(milliseconds=300))
    assert (await take(store, "fast", NOW + hour, 0.3)).owner == "one"
    await asyncio.sleep(0.35)  # the server's time is no test's to set
    assert (await take(store, "slow", NOW - hour, 30)).owner == "slow"


async def test_more_calls_than_connections_wait_for_one_another(store: RedisStore):
    await asyncio.gather(*(store.keep_note(str(n), str(n)) for n in range(20 * server.CONNECTIONS)))
    assert await store.note("319") == "319"


async def test_a_cancelled_call_leaves_no_connection_with_anothers_answer(store: RedisStore):
    await store.keep_note("a", "1")
    await store.keep_note("b", "2")
    for turn in range(30):
        task = asyncio.create_task(store.note("a"))
        for _ in range(turn % 6):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await store.note("b") == "2"


# --- a server that ends, or does not do what it should


async def test_a_call_that_is_cancelled_at_any_moment_ends_cancelled(store: RedisStore):
    """Else a loop that is told to end goes on, and so does its process."""
    await store.keep_note("note", "kept")

    async def loop() -> None:
        while True:
            await store.note("note")
            await store.keep_note("note", "kept")

    for rounds in range(60):  # of the event loop, until it is cancelled: each moment of a call is met
        task = asyncio.create_task(loop())
        for _ in range(rounds):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=1.0)
        assert done, f"cancelled after {rounds} rounds, it goes on"


async def test_a_killed_server_keeps_everything_that_was_acknowledged(own_server: RedisProcess):
    async with RedisStore.open(own_server.url) as store:
        await fill(store)
        acknowledged = 0
        while acknowledged < 200:
            await store.keep_note(str(acknowledged), "kept")
            acknowledged += 1
        before = [entry async for entry in store.entries()]
        own_server.kill()
        own_server.start()
        assert [entry async for entry in store.entries()] == before
        assert [await store.note(str(number)) for number in range(acknowledged)] == ["kept"] * acknowledged
        [again] = some_parts(1)
        assert not await store.claim(again.key, "two", NOW, LEASE)


async def test_a_server_killed_in_the_middle_of_work_keeps_all_that_was_acknowledged(own_server: RedisProcess):
    acknowledged: list[str] = []

    async def work(store: RedisStore, worker: int) -> None:
        for number in count():
            request = a_request(key=f"telegram:{worker}/{number}")
            delivery = f"{request.key}@{ADDRESS}"
            answer = replace(PART, key=f"{delivery}~0", delivery=delivery)
            try:
                assert await store.admit([request])
                assert await store.close_request(request.key, ANSWERED, [answer])
            except StoreError:
                return
            acknowledged.append(request.key)

    async with RedisStore.open(own_server.url) as store:
        workers = asyncio.gather(*(work(store, worker) for worker in range(8)))
        await wait_until(lambda: len(acknowledged) > 200)
        own_server.kill()
        await workers
        own_server.start()
        for key in acknowledged:
            request = await store.request(key)
            assert request is not None
            assert request.state is RequestState.ANSWERED
            assert len(await store.delivery(f"{key}@{ADDRESS}")) == 1
            assert not await store.admit([a_request(key=key)])
        unanswered = await store.open_requests()
        assert len(unanswered) <= 8
        assert [await store.delivery(f"{request.key}@{ADDRESS}") for request in unanswered] == [()] * len(unanswered)


async def test_a_server_that_is_gone_is_a_clear_error_soon_and_works_again_when_it_is_back(own_server: RedisProcess):
    async with RedisStore.open(own_server.url) as store:
        await store.keep_note("told", "yes")
        own_server.kill()
        start = time.monotonic()
        with pytest.raises(StoreError, match="cannot be reached") as caught:
            await store.note("told")
        assert caught.value.retryable
        assert time.monotonic() - start < 2
        own_server.start()
        assert await store.note("told") == "yes"
        assert await store.admit([a_request()])


async def test_a_server_that_hangs_is_a_clear_error_within_seconds(
    redis_server: str, name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(server, "REPLY_SECONDS", 0.1)
    async with cut(redis_server, name) as (proxy, store):
        proxy.held = True
        start = time.monotonic()
        with pytest.raises(StoreError, match="does not answer in time") as caught:
            await store.claim(PART.key, "one", NOW, LEASE)
        assert caught.value.retryable
        assert time.monotonic() - start < server.TRIES * 0.1 + 1
        proxy.held = False
        await store.plan(REPORT, [PART])
        assert await store.claim(PART.key, "one", NOW, LEASE)


def test_all_tries_together_are_shorter_than_what_a_sender_has():
    assert server.TRIES * server.REPLY_SECONDS < server.OPERATION_SECONDS < SEND_SECONDS


async def test_nobody_there_is_a_clear_error_when_opened():
    url = f"redis://:{SECRET}@127.0.0.1:{redis_standin.free_port()}/0"
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        await RedisStore.open(url).__aenter__()
    assert SECRET not in str(caught.value)
    assert "redis://127.0.0.1:" in str(caught.value)


@with_options("--requirepass", SECRET)
async def test_a_wrong_password_is_named_and_never_shown(own_server: RedisProcess):
    wrong = own_server.url.replace("redis://", "redis://:wrong-one@")
    for url, what in ((own_server.url, "asks for a password"), (wrong, "refuses the user or the password")):
        with pytest.raises(StoreError, match=what) as caught:
            await RedisStore.open(url).__aenter__()
        assert not caught.value.retryable
        assert "wrong-one" not in str(caught.value)
    async with RedisStore.open(own_server.url, SECRET) as store:
        await store.ping()
    async with RedisStore.open(own_server.url.replace("redis://", f"redis://:{SECRET}@"), "another") as store:
        await store.ping()  # the URL's own comes first


async def test_a_password_for_a_server_without_one_is_named(own_server: RedisProcess):
    with pytest.raises(StoreError, match=r"has no password|refuses"):
        await RedisStore.open(own_server.url, SECRET).__aenter__()


async def test_a_user_who_may_too_little_is_told_what_to_grant(own_server: RedisProcess):
    async with Redis.from_url(own_server.url) as admin:
        await admin.acl_setuser(
            "reader", enabled=True, passwords=[f"+{SECRET}"], keys=["*"], commands=["+get", "+info"]
        )
    with pytest.raises(StoreError, match="all commands on the keys and channels") as caught:
        await RedisStore.open(own_server.url.replace("redis://", f"redis://reader:{SECRET}@")).__aenter__()
    assert not caught.value.retryable


@with_options("--maxmemory", "3mb")
async def test_a_full_server_changes_nothing_and_passes_when_there_is_room(own_server: RedisProcess):
    async with RedisStore.open(own_server.url) as store, Redis.from_url(own_server.url) as admin:
        await store.plan(REPORT, [PART])
        await store.claim(PART.key, "one", NOW, LEASE)
        await store.admit([a_request()])
        await store.keep_report(a_report())
        before = [entry async for entry in store.entries()]
        with pytest.raises(StoreError, match="is full"):
            await asyncio.gather(*(store.keep_analysis(str(number), "x" * 100_000) for number in range(99)))
        attempts: list[Awaitable[object]] = [
            store.record(PART.key, "one", PartState.SENT, ["17"]),
            store.close_request(a_request().key, ANSWERED, some_parts(2, replace(REPORT, edition=2))),
            store.admit(some_requests(2)),
            store.reserve_spend(DAY, 0.1, 1.0),
            store.settle_spend(DAY, 0.1),
            store.plan(replace(REPORT, edition=3), some_parts(2, replace(REPORT, edition=3))),
            store.keep_report(a_report(key=replace(REPORT, edition=4))),
            store.keep_vote(Vote("telegram:42", "2602.00001", "default", 1, NOW)),
            store.swap_note("turn", None, "甲"),
            store.ping(),
        ]
        for attempt in attempts:
            with pytest.raises(StoreError, match="is full") as caught:
                await attempt
            assert caught.value.retryable
        assert [entry async for entry in store.entries() if entry.kind != "analysis"] == before
        await admin.config_set("maxmemory", 0)
        assert await store.record(PART.key, "one", PartState.SENT, ["17"])
        assert await store.close_request(a_request().key, ANSWERED, ())


async def test_a_replica_is_named(own_server: RedisProcess):
    async with RedisStore.open(own_server.url) as store, Redis.from_url(own_server.url) as admin:
        await admin.replicaof("127.0.0.1", redis_standin.free_port())
        with pytest.raises(StoreError, match="is a replica"):
            await store.ping()
        with pytest.raises(StoreError, match="is a replica"):
            await store.plan(REPORT, [PART])
        assert [finding.text for finding in await store.check() if finding.level == "error"] == [
            "the server is a replica; name the primary"
        ]


async def test_a_store_of_a_newer_program_is_refused(store: RedisStore, redis_server: str, name: str):
    await store._server.put(("SET", f"{name}:version", 99))
    with pytest.raises(StoreError, match=r"newer Paperboy \(layout 99") as caught:
        await RedisStore.open(redis_server, namespace=name).__aenter__()
    assert not caught.value.retryable


async def test_what_was_kept_of_another_kind_is_a_clear_error(store: RedisStore, name: str):
    await store._server.put(("SET", f"{name}:part:{PART.key}", "no hash"))
    with pytest.raises(StoreError, match="unexpected error") as caught:
        await store.claim(PART.key, "one", NOW, LEASE)
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "url",
    [
        f"redis://:{SECRET}@host:{SECRET}/0",
        f"redis://:{SECRET}@host:6379/{SECRET}",
        f"redis://:{SECRET}@[host/0",
        f"redis://:{SECRET}@host/0?nonsense={SECRET}",
        f"redis://:{SECRET}@host/0?socket_timeout={SECRET}",
        f"http://:{SECRET}@host",
    ],
)
async def test_a_url_that_cannot_be_meant_is_named_without_what_it_holds(url: str):
    with pytest.raises(SettingsError, match=r"store\.url: must be redis://") as caught:
        await RedisStore.open(url).__aenter__()
    assert SECRET not in str(caught.value)


def test_of_a_url_only_the_place_is_shown():
    assert place(f"redis://user:{SECRET}@redis.internal:6380/2?ssl_ca_certs=x") == "redis://redis.internal:6380/2"
    assert place(f"rediss://:{SECRET}@[::1]:6379") == "rediss://[::1]:6379"
    assert place(f"unix://:{SECRET}@/run/redis.sock?db=1") == "unix:///run/redis.sock"
    assert password_in("redis://:p%40ss@host") == "p@ss"
    assert password_in("redis://host") is None


async def test_a_unix_socket_is_as_good(tmp_path, redis_server: str):
    with redis_standin.running("--unixsocket", str(tmp_path / "redis.sock")):
        async with RedisStore.open(f"unix://{tmp_path}/redis.sock?db=3") as store:
            await store.ping()


# --- what `check` says


async def test_a_server_that_keeps_everything_is_fine(store: RedisStore):
    assert list(await store.check()) == []


@with_options("--appendonly", "no", "--maxmemory-policy", "allkeys-lru")
async def test_a_server_that_forgets_is_an_error_with_its_cure(own_server: RedisProcess):
    async with RedisStore.open(own_server.url) as store:
        found = list(await store.check())
    assert [finding.level for finding in found] == ["error", "error"]
    assert "set `appendonly yes`" in found[0].text
    assert "(allkeys-lru); set `maxmemory-policy noeviction`" in found[1].text


@with_options("--appendfsync", "everysec")
async def test_a_server_that_writes_once_a_second_is_a_warning(own_server: RedisProcess):
    async with RedisStore.open(own_server.url) as store:
        [finding] = await store.check()
    assert finding.level == "warning"
    assert "set `appendfsync always`" in finding.text


@with_options("--appendonly", "no", "--rename-command", "CONFIG", "")
async def test_a_service_that_hides_its_settings_is_warned_of(own_server: RedisProcess):
    async with RedisStore.open(own_server.url) as store:
        found = list(await store.check())
    assert [finding.level for finding in found] == ["warning", "warning"]
    assert "make sure that the service keeps every write" in found[0].text
    assert "does not show its settings" in found[1].text


@pytest.mark.parametrize(
    ("told", "level", "text"),
    [
        ({"redis_version": "6.0.16"}, "error", "is Redis 6.0.16; upgrade it to 6.2"),
        ({"redis_version": "5.0"}, "error", "is Redis 5.0"),
        ({"redis_mode": "cluster"}, "error", "is a cluster"),
        ({"aof_last_write_status": "err"}, "error", "cannot write its append-only file"),
    ],
)
async def test_other_faults_are_found_in_what_the_server_tells(told: dict[str, str], level: str, text: str):
    class Told:
        async def info(self) -> dict[str, object]:
            return {"redis_version": "7.4.1", "redis_mode": "standalone", "role": "master", "aof_enabled": 1} | told

        async def setting(self, name: str) -> str:
            return "always"

    [finding] = await findings(Told())  # type: ignore[arg-type]  # as much of a server as is asked
    assert finding.level == level
    assert text in finding.text


# --- many entries


@pytest.mark.slow
async def test_two_years_are_searched_in_no_time(store: RedisStore):
    reason = "用流匹配复原雨中照片，三步采样。" * 4
    for number in range(2 * 365):
        day = DAY - timedelta(days=number)
        for language in ("zh", "en"):
            entries = tuple(said("Restoration by Flow Matching", a_paper().abstract * 4, reason) * 15)
            await store.keep_ranking(a_ranking(day=day, language=language, entries=entries))
    await store.keep_ranking(a_ranking(day=DAY - timedelta(days=900), entries=said("Snowflake", "", "雪花")))
    for words in (["雪花"], ["snowflake"], ["flow", "snowflake"], ["nowhere"]):
        start = time.monotonic()
        found = await store.days_with("default", words, 5)
        assert time.monotonic() - start < 0.3 * 3  # three times what it may take, for a machine that is busy
        assert found == ((DAY - timedelta(days=900),) if words in (["雪花"], ["snowflake"]) else ())
