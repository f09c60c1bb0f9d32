"""A request that one process was told of and another worked on: answered once, in the message that held its place."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest
from docket import Docket

from bot import delivery
from bot.answering.entries import Entry
from bot.clock import SystemClock
from bot.engine import Terms
from bot.engine.on_docket import DocketEngine
from bot.errors import Outcome, SendError
from bot.interfaces import Store, Thread
from bot.models import Message, Part, PartKind, PartState
from bot.requests import Request, RequestState
from bot.store.redis import RedisStore
from tests import redis_standin
from tests.fakes import a_request, wait_until
from tests.test_answering import CHAT, RHYTHM, WORDS, House, Kitchen, Room, a_house, until

ANSWER = "answer to 2602.00001"


class Asking(DocketEngine):
    """Of a process that submits and does no work: all of it is done elsewhere."""

    async def _serve(self, docket: Docket) -> None:
        await asyncio.Event().wait()


@dataclass
class SlowRoom(Room):
    """A chat whose messages and edits are on their way until they may arrive."""

    posts: asyncio.Event = field(default_factory=asyncio.Event)
    edits: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: int = 0
    full: list[SendError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.posts.set()
        self.edits.set()

    async def send(self, key: str, message: Message, thread: Thread) -> tuple[str, ...]:
        self.under_way += 1
        if not message.replaces:
            await self.posts.wait()
        return await super().send(key, message, thread)

    async def edit(self, message_id: str, message: Message) -> None:
        self.under_way += 1
        await self.edits.wait()
        if message.payload == ANSWER and self.full:
            raise self.full.pop()
        await super().edit(message_id, message)


@dataclass
class Street:
    """Two processes on one store, one queue and one chat: `desk` hears what people ask, `shop` does the work."""

    store: Store
    terms: Terms
    room: SlowRoom = field(default_factory=SlowRoom)

    @asynccontextmanager
    async def desk(self) -> AsyncIterator[House]:
        async with a_house(self.store, {CHAT: self.room}, engine=Asking, terms=self.terms) as house:
            yield house

    @asynccontextmanager
    async def shop(self, kitchen: Kitchen | None = None) -> AsyncIterator[House]:
        async with a_house(self.store, {CHAT: self.room}, kitchen, terms=self.terms) as house:
            yield house

    async def waits(self, count: int = 1) -> None:
        await wait_until(lambda: len(self.room.seen) == count)

    def answers(self) -> list[str]:
        return [text for text in self.room.answers if text.startswith("answer")]


@pytest.fixture
async def street(redis_server: str) -> AsyncIterator[Street]:
    namespace = redis_standin.namespace()
    async with RedisStore.open(redis_server, namespace=namespace) as store:
        yield Street(store, Terms(redis_server, f"jobs-{namespace}", lease=2.0, grace=0, cut=1, backoff=0.05))


async def test_the_message_that_holds_the_place_becomes_the_answer_of_another_process(street: Street):
    async with street.desk() as desk, street.shop() as shop:
        shop.kitchen.steps = [("read", 1, 12)]
        request = await desk.ask()
        said = WORDS("step.read", done=1, total=12)
        await wait_until(lambda: any(said in text for text in street.room.answers))
        assert desk.kitchen.done == []
        shop.kitchen.gate.set()
        await shop.closed(request)
        await wait_until(lambda: not desk.answering._entries)
    assert street.room.answers == [ANSWER]
    assert len(shop.kitchen.done) == 1


async def test_a_quick_answer_of_another_process_is_one_message(street: Street):
    async with street.desk() as desk, street.shop() as shop:
        await shop.closed(await desk.ask(command="top", text="4", job="top:4"))  # warm
        before = len(street.room.log)
        request = await desk.ask(command="top", text="5", job="top:5")
        await shop.closed(request)
        await wait_until(lambda: not desk.answering._entries)
    assert street.room.log[before:] == ["post quick 5"]


async def test_fifty_askers_of_two_processes_are_one_piece_of_work_and_fifty_answers(street: Street):
    async with street.shop() as one, street.shop() as two:
        requests = [await (one, two)[number % 2].ask(key=f"telegram:{number}") for number in range(50)]
        await wait_until(lambda: len(one.kitchen.done) + len(two.kitchen.done) == 1)
        await street.waits(2)  # one for all in each process
        await asyncio.sleep(2 * RHYTHM.grace)
        one.kitchen.gate.set()
        two.kitchen.gate.set()
        await one.closed(*requests, seconds=30.0)
        assert len(one.kitchen.done) + len(two.kitchen.done) == 1
    assert street.room.answers == 50 * [ANSWER]


async def test_a_place_that_is_just_being_taken_is_waited_for(street: Street):
    street.room.posts.clear()
    async with street.desk() as desk, street.shop() as shop:
        request = await desk.ask()
        await wait_until(lambda: street.room.under_way == 1)
        shop.kitchen.gate.set()
        await wait_until(lambda: bool(shop.answering._entries))
        await asyncio.sleep(4 * RHYTHM.grace)
        assert await shop.state(request) is RequestState.OPEN
        street.room.posts.set()
        await shop.closed(request)
    assert street.room.answers == [ANSWER]


async def test_a_place_that_was_not_taken_in_time_never_will_be(street: Street):
    """The process that ends the request plans the message first, and drops it; the other one comes after that."""
    async with street.desk() as desk, street.shop() as shop:
        request = desk.request()
        entry = Entry(request, 0.0, asyncio.get_running_loop().create_future(), None, is_ours=False)
        assert await shop.answering._holding.taken_over(entry) == ""
        ours = Entry(request, 0.0, asyncio.get_running_loop().create_future(), None)
        await desk.answering._holding.hold(ours)
        assert (ours.place, street.room.seen) == ("", {})


async def test_the_place_of_a_process_that_died_becomes_the_answer(street: Street):
    async with street.desk() as desk:
        request = await desk.ask()
        await street.waits()
    async with street.shop() as shop:
        shop.kitchen.gate.set()
        await shop.closed(request)
    assert street.room.answers == [ANSWER]


async def test_a_place_that_a_process_planned_before_it_died_is_not_taken_any_more(street: Street):
    request = a_request(asked_at=SystemClock().now())
    await street.store.admit([request])
    await street.store.plan(None, placeholder(request))
    async with street.shop() as shop:
        shop.kitchen.gate.set()
        await shop.closed(request)
    assert street.room.log == [f"post {ANSWER}"]


async def test_a_place_whose_process_died_as_it_took_it_is_nobodys_and_the_answer_comes_anyway(street: Street):
    request, now = a_request(asked_at=SystemClock().now()), SystemClock().now()
    await street.store.admit([request])
    [part] = placeholder(request)
    await street.store.plan(None, [part])
    await street.store.claim(part.key, "dead", now, now)
    async with street.shop() as shop:
        shop.kitchen.gate.set()
        await shop.closed(request)
        assert [one.state for one in await street.store.delivery(part.delivery)] == [PartState.DROPPED]
    assert street.room.log == [f"post {ANSWER}"]


async def test_an_answer_whose_process_died_before_it_sent_it_takes_the_place_later(street: Street):
    async with street.desk() as desk:
        request = await desk.ask()
        await street.waits()
        street.room.faults = [SendError("refused", Outcome.NOT_SENT)] * 4  # all that one process tries
        async with street.shop() as shop:
            shop.kitchen.gate.set()
            await until(partial(shop.is_closed, request.key))
            await wait_until(lambda: not street.room.faults)
        await delivery.deliver(delivery.answer_key(request), desk.answering.courier)
    assert street.room.answers == [ANSWER]


@pytest.mark.parametrize("is_full", [False, True], ids=["with room", "in a full chat"])
async def test_progress_that_arrives_after_the_answer_does_not_stay(street: Street, *, is_full: bool):
    street.room.full = [SendError("no turn for an edit now", Outcome.NOT_SENT)] if is_full else []
    async with street.desk() as desk, street.shop() as shop:
        request = await desk.ask()
        await street.waits()
        street.room.edits.clear()
        await wait_until(lambda: bool(shop.kitchen.done))
        before = street.room.under_way
        shop.kitchen.report("read", 3, 12)
        await wait_until(lambda: street.room.under_way > before)
        shop.kitchen.gate.set()
        await wait_until(lambda: street.answers() == [ANSWER])
        street.room.edits.set()
        await wait_until(lambda: not desk.answering._entries)
    assert [ANSWER in line for line in street.room.log[-3:]] == [True, False, True], "it came, and was mended"
    assert street.room.answers == [ANSWER]
    assert await street.store.request(request.key)


async def test_who_cancels_in_another_process_ends_it_in_its_place(street: Street):
    async with street.desk() as desk, street.shop() as shop:
        request = await desk.ask()
        await street.waits()
        await wait_until(lambda: bool(shop.kitchen.done))
        async with street.desk() as third:
            assert await third.answering.cancel(request.code)
            await third.closed(request)
            await wait_until(lambda: not third.answering._entries)
        await wait_until(lambda: not desk.answering._entries)
    assert street.room.answers == [WORDS("request.cancelled")]


async def test_without_places_the_answers_to_a_command_stand_in_order_whoever_works(street: Street):
    street.room.previews = True
    async with street.desk() as desk, street.shop() as shop:
        first = await desk.ask(paper="2602.00001")
        second = await desk.ask(command="deepdive", paper="2602.00002", job="deepdive:2602.00002:default:zh")
        await wait_until(lambda: len(shop.kitchen.done) == 2)
        entries = [first, second]
        shop.kitchen.gate.set()
        await shop.closed(*entries)
    assert street.room.answers == [ANSWER, "answer to 2602.00002"]


async def test_work_is_not_done_again_while_its_answer_waits_for_its_turn(street: Street):
    """Nor by the process that was told of it, which knows only that there is no answer yet."""
    street.room.posts.clear()
    async with street.desk() as desk, street.shop() as shop:
        request = await desk.ask()
        await wait_until(lambda: street.room.under_way == 1)
        shop.kitchen.gate.set()
        await wait_until(lambda: bool(shop.answering._entries))
        assert not await desk.answering.engine.submit("answer", request.job, {"job": request.job})
        street.room.posts.set()
        await shop.closed(request)
        await until(partial(is_free, desk, request))
    assert len(shop.kitchen.done) == 1


async def is_free(house: House, request: Request) -> bool:
    return await house.answering.engine.submit("answer", request.job, {"job": request.job})


def placeholder(request: Request) -> Sequence[Part]:
    message = Message(PartKind.POST, "waiting", "hold on")
    return delivery.plan_messages(delivery.placeholder_key(request), Room(), [message], request, request.asked_at)
