"""What both counts of the limits promise, in memory and on Redis, and who goes first where several wait."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.channels.pace import NOW_AHEAD, Gate
from bot.clock import SystemClock
from bot.delivery import Trouble
from bot.errors import Outcome, SendError, StoreError
from bot.interfaces import LONGEST_PAUSE, Booking, Errand, Pace, Pacing, Window
from bot.operator import Operator
from bot.pacing import GRAIN, LocalPacing
from bot.pacing import Fallback as WithFallback
from bot.store.redis import RedisStore
from tests import redis_standin
from tests.fakes import FakeClock, a_plan
from tests.redis_standin import Proxy
from tests.test_delivery import FakeChannel

ALL = Pace("all", 1 / 20)
CHAT = Pace("chat", 1.0, 3)
GROUP = Window("chat", 4, 60.0)
OTHER = Pace("other", 1.0, 3)


@pytest.fixture(params=["memory", "redis"])
async def pacing(request: pytest.FixtureRequest) -> AsyncIterator[Pacing]:
    if request.param == "memory":
        yield LocalPacing(SystemClock())
        return
    url = request.getfixturevalue("redis_server")
    async with RedisStore.open(url, namespace=redis_standin.namespace()) as store:
        yield store.pacing


async def taken(pacing: Pacing, *own: Pace | Window, shared: Pace | None = None, ahead: float = 0.0) -> int:
    """How many places there are at once, and no more than ten."""
    bookings = [await pacing.book(own, shared, ahead=ahead) for _ in range(10)]
    return sum(not booking.full for booking in bookings)


async def test_a_burst_goes_at_once_and_then_one_an_interval(pacing: Pacing) -> None:
    assert await taken(pacing, CHAT) == 3
    booking = await pacing.book([CHAT], None, ahead=0.0)
    assert booking.full == "chat"
    assert 0.5 < booking.wait <= 1.0


async def test_a_window_takes_so_many_and_then_none_for_its_time(pacing: Pacing) -> None:
    assert await taken(pacing, GROUP) == 4
    booking = await pacing.book([GROUP], None, ahead=0.0)
    assert booking.full == "chat"
    assert 50 < booking.wait <= 60


async def test_limits_of_other_names_are_other_limits(pacing: Pacing) -> None:
    assert await taken(pacing, CHAT) == 3
    assert await taken(pacing, OTHER) == 3


async def test_where_one_limit_is_full_no_other_loses_a_place(pacing: Pacing) -> None:
    assert await taken(pacing, OTHER, CHAT, GROUP, shared=ALL, ahead=10) == 3

    assert await taken(pacing, GROUP) == 1
    booking = await pacing.book([], ALL, ahead=10)
    assert booking.wait <= 3 * ALL.interval


async def test_what_all_share_is_booked_ahead_one_after_the_other(pacing: Pacing) -> None:
    bookings = [await pacing.book([], ALL, ahead=0.18) for _ in range(10)]

    given_ = [booking.wait for booking in bookings if not booking.full]
    assert 4 <= len(given_) <= 6
    assert given_ == sorted(given_)
    assert given_[-1] <= 0.18 + GRAIN


async def test_who_may_book_further_ahead_gets_the_next_place(pacing: Pacing) -> None:
    assert await taken(pacing, shared=ALL, ahead=0.1) >= 2
    assert (await pacing.book([], ALL, ahead=0.0)).full == "all"

    urgent = await pacing.book([], ALL, ahead=3.0)

    assert (urgent.full, urgent.wait <= 0.2) == ("", True)


async def test_room_is_asked_for_and_not_taken(pacing: Pacing) -> None:
    assert not (await pacing.book([CHAT, GROUP], None, ahead=0, room=3)).full
    assert (await pacing.book([CHAT, GROUP], None, ahead=0, room=3)).full
    assert await taken(pacing, CHAT, GROUP) == 2


async def test_a_pause_stops_its_limit_and_no_burst_comes_after_it(pacing: Pacing) -> None:
    await pacing.pause(CHAT, 0.2)
    booking = await pacing.book([CHAT, GROUP], None, ahead=0)
    assert (booking.full, 0.1 < booking.wait <= 0.2) == ("chat", True)
    assert await taken(pacing, OTHER) == 3

    await asyncio.sleep(booking.wait)

    assert await taken(pacing, CHAT) == 1


async def test_a_shorter_pause_ends_no_longer_one_and_none_lasts_for_ever(pacing: Pacing) -> None:
    await pacing.pause(CHAT, 7_200)
    await pacing.pause(CHAT, 1)

    wait = (await pacing.book([CHAT], None, ahead=0)).wait

    assert LONGEST_PAUSE - 5 < wait <= LONGEST_PAUSE


# In memory, on a clock that is set


@given(st.lists(st.tuples(st.floats(0, 2), st.sampled_from(["a", "b"]), st.sampled_from([0.0, 0.1, 3.0])), max_size=80))
def test_no_window_of_time_ever_holds_more_than_its_limit(asks: list[tuple[float, str, float]]) -> None:
    went = asyncio.run(_went(asks))

    for moments, most, seconds in (
        ([at for at, _ in went], 1 + 20, 1.0),
        ([at for at, chat in went if chat == "a"], 3 + 10, 10.0),
        ([at for at, chat in went if chat == "a"], 4, 60.0),
    ):
        in_order = sorted(moments)
        for first, last in zip(in_order, in_order[most:], strict=False):
            assert last - first >= seconds - 1e-3


async def _went(asks: list[tuple[float, str, float]]) -> list[tuple[float, str]]:
    """The moments that were booked; who was refused comes back when told, and finds a place or the next wait."""
    clock, went = FakeClock(), list[tuple[float, str]]()
    pacing = LocalPacing(clock)
    for pause, chat, ahead in asks:
        await clock.sleep(pause)
        own = (Pace(chat, 1.0, 3), Window(chat, 4, 60.0))
        booking = await pacing.book(own, ALL, ahead=ahead)
        if booking.full and booking.wait < 1:
            await clock.sleep(booking.wait)
            booking = await pacing.book(own, ALL, ahead=ahead)
        if not booking.full:
            went.append((clock.monotonic() + booking.wait, chat))
    return went


@given(st.integers(1, 40), st.floats(0.01, 2.0), st.integers(1, 6))
def test_nobody_who_comes_back_when_told_is_sent_away_twice(count: int, interval: float, burst: int) -> None:
    async def run() -> None:
        clock = FakeClock()
        pacing = LocalPacing(clock)
        for _ in range(count):
            booking = await pacing.book([Pace("p", interval, burst)], None, ahead=0)
            if booking.full:
                await clock.sleep(booking.wait + 1e-6)  # the clock's own rounding
                assert not (await pacing.book([Pace("p", interval, burst)], None, ahead=0)).full

    asyncio.run(run())


# The line


@dataclass
class Steps:
    """A clock on which nobody moves time but the test."""

    at: float = 0.0

    def __post_init__(self) -> None:
        self.sleeping: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> object:
        raise NotImplementedError

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sleeping.append((self.at + seconds, woken))
        await woken

    async def run(self, until: Callable[[], bool], limit: float = 1_000.0) -> None:
        while not until():
            for _ in range(50):
                await asyncio.sleep(0)
            if until():
                return
            assert self.sleeping, "everybody waits, and nobody for a time"
            self.at = min(at for at, _ in self.sleeping)
            assert self.at < limit
            due = [each for each in self.sleeping if each[0] <= self.at]
            self.sleeping = [each for each in self.sleeping if each[0] > self.at]
            for _, woken in due:
                if not woken.done():
                    woken.set_result(None)


class Crowd:
    """Chats that send at one gate; `went` tells who, and when."""

    def __init__(self) -> None:
        self.clock = Steps()
        self.pacing = LocalPacing(self.clock)  # type: ignore[arg-type]  # a clock without a date
        self.gate = Gate(self.pacing, self.clock, ALL)  # type: ignore[arg-type]  # as above
        self.went: list[tuple[str, float]] = []
        self.tasks: list[asyncio.Task[None]] = []

    def sends(self, chat: str, parts: int, errand: Errand) -> asyncio.Task[None]:
        task = asyncio.create_task(self._send(chat, parts, errand))
        self.tasks.append(task)
        return task

    async def _send(self, chat: str, parts: int, errand: Errand) -> None:
        for _ in range(parts):
            moment = await self.gate.turn((Pace(chat, 1.0, 6),), errand)
            self.went.append((chat, moment))
            await asyncio.sleep(0)

    async def all_went(self) -> None:
        await self.clock.run(lambda: all(task.done() for task in self.tasks))
        await asyncio.gather(*self.tasks)


async def test_two_hundred_reports_take_what_the_limit_dictates_and_each_is_soon_whole() -> None:
    crowd = Crowd()
    for number in range(200):
        crowd.sends(f"chat {number}", 4, Errand(since=number))

    await crowd.all_went()

    assert len(crowd.went) == 800
    assert crowd.went[-1][1] == pytest.approx(799 * ALL.interval, abs=0.01)
    moments: dict[str, list[float]] = {}
    for chat, moment in crowd.went:
        moments.setdefault(chat, []).append(moment)
    assert max(times[-1] - times[0] for times in moments.values()) < 1.5


async def test_an_answer_goes_before_two_hundred_reports() -> None:
    crowd = Crowd()
    for number in range(200):
        crowd.sends(f"chat {number}", 4, Errand(since=0.0))
    await crowd.clock.run(lambda: crowd.clock.at > 5)
    asked = crowd.clock.at

    crowd.sends("asker", 1, Errand(since=asked, urgent=True))
    await crowd.all_went()

    [answered] = [moment for chat, moment in crowd.went if chat == "asker"]
    assert answered - asked < 0.5


async def test_a_chat_that_was_told_to_wait_holds_up_no_other() -> None:
    crowd = Crowd()
    await crowd.gate.refused(60, Pace("slow", 1.0, 6))
    crowd.sends("slow", 2, Errand(since=0.0))
    for number in range(40):
        crowd.sends(f"chat {number}", 4, Errand(since=1.0))

    await crowd.all_went()

    others = [moment for chat, moment in crowd.went if chat != "slow"]
    assert max(others) < 161 * ALL.interval
    assert [moment >= 60 for chat, moment in crowd.went if chat == "slow"] == [True, True]


async def test_who_is_cancelled_in_the_line_loses_nobody_a_turn() -> None:
    crowd = Crowd()
    doomed = [crowd.sends(f"chat {number}", 3, Errand(since=0.0)) for number in range(30)]
    for number in range(30):
        crowd.sends(f"late {number}", 1, Errand(since=1.0))
    await crowd.clock.run(lambda: len(crowd.went) > 10)
    for task in doomed:
        task.cancel()
    crowd.tasks = [task for task in crowd.tasks if task not in doomed]

    await crowd.all_went()

    assert sum(chat.startswith("late") for chat, _ in crowd.went) == 30


async def test_what_is_not_worth_a_wait_does_not_wait() -> None:
    crowd = Crowd()
    await crowd.gate.refused(60, Pace("slow", 1.0, 6))

    with pytest.raises(SendError) as caught:
        await crowd.gate.turn((Pace("slow", 1.0, 6),), Errand(since=0.0, within=3.0))

    assert caught.value.outcome is Outcome.NOT_SENT
    assert caught.value.retry_after == pytest.approx(60)


async def test_what_goes_now_or_never_is_counted_and_told_when_to_ask_again() -> None:
    clock = FakeClock()
    gate = Gate(LocalPacing(clock), clock, ALL)

    assert [await gate.now((CHAT,)) for _ in range(3)] == [0.0] * 3
    assert 0 < await gate.now((CHAT,)) <= 1.0
    assert sum(clock.slept) <= NOW_AHEAD


# Replicas


async def test_two_replicas_never_take_more_than_one_may(redis_server: str) -> None:
    namespace = redis_standin.namespace()
    went: list[float] = []
    async with (
        RedisStore.open(redis_server, namespace=namespace) as one,
        RedisStore.open(redis_server, namespace=namespace) as other,
    ):

        async def replica(pacing: Pacing, name: str) -> None:
            gate = Gate(pacing, SystemClock(), Pace("all", 1 / 100))
            turns = (gate.turn((Pace(f"{name} {number}", 1.0, 3),), Errand(since=0.0)) for number in range(30))
            went.extend(await asyncio.gather(*turns))

        await asyncio.gather(replica(one.pacing, "one"), replica(other.pacing, "other"))

    went.sort()
    assert len(went) == 60
    assert went[-1] - went[0] >= 59 / 100 - 0.05


async def test_a_lost_reply_costs_a_place_and_gives_none_twice(redis_server: str) -> None:
    proxy = Proxy(redis_server)
    async with proxy.running() as url, RedisStore.open(url, namespace=redis_standin.namespace()) as store:
        await store.pacing.book([OTHER], None, ahead=0)  # the script is known from here on
        proxy.lose = 1

        assert 1 <= await taken(store.pacing, CHAT) <= 2

        assert proxy.lost == 1


async def test_every_key_of_the_limits_ends_by_itself(redis_server: str) -> None:
    async with RedisStore.open(redis_server, namespace=redis_standin.namespace()) as store:
        await store.pacing.book([CHAT, GROUP], ALL, ahead=1)
        await store.pacing.pause(OTHER, 60)
        server = store._server
        keys = [key async for key in server.all_keys() if key.startswith(("pace:", "window:"))]
        assert len(keys) == 4
        lives = await server.ask(*(("PTTL", f"{server.prefix}{key}") for key in keys))
        assert all(0 < each <= 65_000 for each in lives)


async def test_a_server_whose_clock_was_put_back_stops_nobody(redis_server: str) -> None:
    async with RedisStore.open(redis_server, namespace=redis_standin.namespace()) as store:
        await store.pacing.book([CHAT], None, ahead=0)
        hour = 3_600_000_000
        key = f"{store._server.prefix}pace:chat"
        [at] = await store._server.ask(("GET", key))
        await store._server.put(("SET", key, str(int(at) + hour)))

        assert await taken(store.pacing, CHAT) == 3


class Gone:
    """A count that cannot be reached, for as long as it is `gone`."""

    def __init__(self) -> None:
        self.gone = True
        self.asked = 0

    async def book(self, own: object, shared: object, *, ahead: float, room: int = 1) -> Booking:
        self.asked += 1
        if self.gone:
            raise StoreError("the store cannot be reached", retryable=True)
        return Booking(0.0)

    async def pause(self, pace: Pace, seconds: float) -> None:
        await self.book((), None, ahead=0)


async def test_without_the_shared_count_each_process_takes_a_part_and_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    clock, shared = FakeClock(), Gone()
    gate = Gate(WithFallback(shared, clock), clock, ALL)
    started = clock.monotonic()

    for number in range(101):
        moment = await gate.turn((Pace(f"{number}", 1.0),), Errand(since=0.0))

    assert moment - started == pytest.approx(100 * 3 * ALL.interval, rel=0.01)
    assert shared.asked <= 4
    assert [record.levelname for record in caplog.records] == ["WARNING"]

    shared.gone = False
    await clock.sleep(6)
    await gate.turn((CHAT,), Errand(since=0.0))
    assert caplog.records[-1].message == "sending limits are counted together again"


async def test_who_tells_the_operator_waits_for_no_pause_of_that_chat() -> None:
    """It is told in the middle of other channels' deliveries, and of the schedule's pass."""
    clock = FakeClock()
    pacing = LocalPacing(clock)
    gate, channel = Gate(pacing, clock), FakeChannel()
    channel.turn = partial(gate.turn, [CHAT])  # type: ignore[method-assign]  # this channel's own
    await pacing.pause(CHAT, 200.0)
    operator = Operator(a_plan("operator"), lambda _: channel)
    with pytest.raises(SendError):
        await operator.tell(Trouble("delivery.trouble_missed", {"channel": "lab", "day": "2026-02-25"}))
    assert clock.slept == []
