"""From a stored request to its answer: once for all who asked, in order, whatever dies in between."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from bot import delivery
from bot.answering import JOB, Answered, Answering, Rhythm
from bot.answering.seeing import STORE_BACK
from bot.clock import SystemClock
from bot.delivery import Courier, Patience, Trouble
from bot.engine import Terms
from bot.engine.on_docket import DocketEngine
from bot.errors import InputError, Outcome, SendError, SettingsError, StoreError
from bot.interfaces import Errand, Job, Progress, Store, Thread, no_progress
from bot.models import Address, Finding, Message, PartKind, PartState, PlatformName
from bot.report import compose
from bot.report.document import Document, text_of
from bot.requests import Request, RequestState
from bot.store.sqlite import SqliteStore
from bot.texts import load
from tests.fakes import a_request, wait_until

CHAT = Address(PlatformName.TELEGRAM, "-1001234567890")
OTHER = Address(PlatformName.TELEGRAM, "-100777")
RHYTHM = Rhythm(grace=0.05, progress=0.05, preview=0.2)
WORDS = load("zh")
TERMS = Terms(grace=0, cut=1)


@dataclass
class Room:
    """A chat as its readers see it: `seen` are the messages by ID, in their order; `log` all that was done to them."""

    address: Address = CHAT
    previews: bool = False
    faults: list[Exception] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    replies: dict[str, str] = field(default_factory=dict)
    drafts: list[str] = field(default_factory=list)
    broken: int = 0

    def render(self, documents: Sequence[Document]) -> tuple[Message, ...]:
        if self.broken:
            self.broken -= 1
            raise ValueError("cannot be rendered")
        return tuple(
            Message(PartKind.POST, one.key, text_of(one.title) or one.summary, reply=number > 0)
            for number, one in enumerate(documents)
        )

    async def turn(self, errand: Errand) -> float:
        return errand.since  # nothing is limited here

    async def send(self, key: str, message: Message, thread: Thread) -> tuple[str, ...]:
        await asyncio.sleep(0)
        if self.faults:
            raise self.faults.pop(0)
        if message.replaces in self.seen:
            return self._becomes(message.replaces, message)
        number = str(len(self.seen) + 1)
        self.seen[number] = message.payload
        self.replies[number] = message.answers
        self.log.append(f"post {message.payload}")
        return (number,)

    def _becomes(self, number: str, message: Message) -> tuple[str, ...]:
        self.seen[number] = message.payload
        self.log.append(f"edit {message.payload}")
        return (number,)

    async def find(self, key: str, thread: Thread, since: datetime) -> tuple[str, ...] | None:
        raise SendError("nobody can tell", Outcome.UNKNOWN)

    async def edit(self, message_id: str, message: Message) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self._becomes(message_id, message)

    async def preview(self, message: Message) -> bool:
        if self.previews:
            self.drafts.append(message.payload)
        return self.previews

    async def check(self) -> Sequence[Finding]:
        return ()

    @property
    def answers(self) -> list[str]:
        return list(self.seen.values())


@dataclass
class Kitchen:
    """A command whose work is told when to end, and says how often it was done."""

    done: list[str] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    steps: list[tuple[str, int, int]] = field(default_factory=list)
    error: Exception | None = None
    report: Progress = no_progress

    async def work(self, request: Request, progress: Progress) -> Answered:
        self.done.append(request.job)
        self.report = progress
        for step in self.steps:
            progress(*step)
        await self.gate.wait()
        if self.error:
            raise self.error
        document = Document("2602.00001", (), (), f"answer to {request.paper}", "zh")
        return Answered((document,), said="said", free=False)


async def quick(request: Request, progress: Progress) -> Answered:
    return Answered((compose.line(f"quick {request.text}", WORDS),))


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not await holds():  # noqa: ASYNC110  # of a store nobody is told
            await asyncio.sleep(0.005)


@dataclass
class House:
    """One process: store, engine, rooms and what is asked in them."""

    store: Store
    rooms: dict[Address, Room]
    kitchen: Kitchen
    answering: Answering
    told: list[Trouble]
    asked: int = 0

    def request(self, **changes: object) -> Request:
        self.asked += 1
        address = changes.get("address", CHAT)
        values = {"key": f"{address}/{self.asked}", "reply_to": str(self.asked), "asked_at": SystemClock().now()}
        return a_request(**(values | changes))

    async def ask(self, **changes: object) -> Request:
        request = self.request(**changes)
        assert await self.store.admit([request])
        self.answering.begin([request])
        return request

    async def closed(self, *requests: Request, seconds: float = 5.0) -> None:
        for request in requests:
            await until(partial(self.is_closed, request.key), seconds)
        await self.settled()

    async def is_closed(self, key: str) -> bool:
        found = await self.store.request(key)
        return found is not None and found.state is not RequestState.OPEN

    async def settled(self) -> None:
        async def nothing_left() -> bool:
            return not await self.store.unfinished()

        await until(nothing_left)

    async def state(self, request: Request) -> RequestState:
        found = await self.store.request(request.key)
        assert found
        return found.state


@asynccontextmanager
async def a_house(
    store: Store,
    rooms: dict[Address, Room],
    kitchen: Kitchen | None = None,
    engine: type[DocketEngine] = DocketEngine,
    terms: Terms = TERMS,
) -> AsyncIterator[House]:
    """With a queue on Redis, it is one process of several."""
    told: list[Trouble] = []
    kitchen = kitchen or Kitchen()

    async def tell(trouble: Trouble) -> None:
        told.append(trouble)

    def room(address: Address) -> Room:
        return rooms.setdefault(address, Room(address))

    works: dict[str, Job] = {}
    runs = engine(works, terms=terms)
    courier = Courier(store, room, SystemClock(), tell, Patience(backoff=0.01, poll=0.01, settling=0.0))
    answering = Answering(store, runs, courier, {"deepdive": kitchen.work, "top": quick}, RHYTHM)
    answering.is_alone = not terms.url
    works[JOB] = answering.job
    async with runs.running(), answering.running():
        yield House(store, rooms, kitchen, answering, told)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore.open(tmp_path / "paperboy.db") as opened:
        yield opened


@pytest.fixture
async def house(store: SqliteStore) -> AsyncIterator[House]:
    async with a_house(store, {}) as made:
        yield made


def room(house: House, address: Address = CHAT) -> Room:
    return house.rooms.setdefault(address, Room(address))


async def test_a_quick_answer_is_one_message_that_replies_to_the_question(house: House):
    request = await house.ask(command="top", text="5", job="top:1")
    await house.closed(request)
    assert room(house).log == ["post quick 5"]
    assert room(house).replies == {"1": request.reply_to}
    assert await house.state(request) is RequestState.ANSWERED


async def test_a_message_says_what_is_being_done_and_becomes_the_answer(house: House):
    house.kitchen.steps = [("read", 0, 12)]
    request = await house.ask()
    await wait_until(lambda: any("12" in line for line in room(house).log))
    assert room(house).log[0].startswith("post deepdive 2602.00001")
    house.kitchen.gate.set()
    await house.closed(request)
    assert room(house).answers == ["answer to 2602.00001"]
    assert room(house).replies == {"1": request.reply_to}


async def test_progress_that_does_not_change_is_not_edited(house: House):
    request = await house.ask()
    await wait_until(lambda: len(room(house).log) == 1)
    await asyncio.sleep(4 * RHYTHM.progress)
    assert len(room(house).log) == 1
    house.kitchen.gate.set()
    await house.closed(request)


async def test_fifty_askers_are_one_piece_of_work_and_fifty_answers(house: House):
    requests = [house.request(user=f"telegram:{number}") for number in range(50)]
    for request in requests:
        assert await house.store.admit([request])
        house.answering.begin([request])
    await wait_until(lambda: bool(house.kitchen.done))
    house.kitchen.gate.set()
    await house.closed(*requests)
    assert house.kitchen.done == [requests[0].job]
    assert room(house).answers == ["answer to 2602.00001"] * 50
    assert sorted(room(house).replies.values(), key=int) == [request.reply_to for request in requests]


async def test_who_joins_while_the_answer_is_being_sent_gets_it_too(house: House):
    house.kitchen.gate.set()
    first = await house.ask()
    second = await house.ask(user="telegram:2")
    await house.closed(first, second)
    assert room(house).answers == ["answer to 2602.00001"] * 2


async def test_in_a_chat_what_was_asked_first_stands_first(house: House):
    slow = await house.ask()
    fast = await house.ask(command="top", text="5", job="top:1")
    await house.closed(fast)
    house.kitchen.gate.set()
    await house.closed(slow)
    assert room(house).answers == ["answer to 2602.00001", "quick 5"]


async def test_where_nothing_holds_a_place_the_answers_to_a_command_still_stand_in_order(house: House):
    room(house).previews = True  # a private chat, where drafts are shown
    first = await house.ask()
    await wait_until(lambda: bool(house.kitchen.done))
    kitchen, house.kitchen.gate = house.kitchen.gate, asyncio.Event()
    second = await house.ask(job="deepdive:2", paper="2602.00002")
    await wait_until(lambda: len(house.kitchen.done) == 2)
    house.kitchen.gate.set()
    await asyncio.sleep(4 * RHYTHM.grace)
    assert room(house).answers == []
    fast = await house.ask(command="top", text="5", job="top:1")
    await house.closed(fast)
    assert room(house).answers == ["quick 5"], "no other command waits"
    kitchen.set()
    await house.closed(first, second)
    assert room(house).answers == ["quick 5", "answer to 2602.00001", "answer to 2602.00002"]


async def test_what_is_cancelled_is_said_at_once(house: House):
    room(house).previews = True
    await house.ask()
    second = await house.ask(job="deepdive:2", paper="2602.00002")
    await wait_until(lambda: len(house.kitchen.done) == 2)
    await house.answering.cancel(second.code)
    await house.closed(second)
    assert room(house).answers == [WORDS("request.cancelled")]
    house.kitchen.gate.set()


async def test_one_chat_does_not_wait_for_another(house: House):
    await house.ask()
    started = asyncio.get_running_loop().time()
    fast = await house.ask(command="top", text="5", job="top:1", address=OTHER)
    await house.closed(fast)
    assert room(house, OTHER).answers == ["quick 5"]
    assert asyncio.get_running_loop().time() - started < 1
    house.kitchen.gate.set()


async def test_a_chat_is_not_filled_with_messages_about_progress(house: House):
    requests = [await house.ask(job=f"deepdive:{n}", paper=f"2602.0000{n}") for n in range(1, 7)]
    await wait_until(lambda: len(house.kitchen.done) == 6)
    await asyncio.sleep(4 * RHYTHM.grace)
    assert len(room(house).seen) == 3
    house.kitchen.gate.set()
    await house.closed(*requests)
    assert sorted(room(house).answers) == [f"answer to 2602.0000{n}" for n in range(1, 7)]


async def test_where_the_platform_can_preview_nothing_is_posted_before_the_answer(house: House):
    room(house).previews = True
    house.kitchen.steps = [("fetch", 0, 1)]
    request = await house.ask()
    await wait_until(lambda: len(room(house).drafts) >= 2, 2)
    assert room(house).log == []
    house.kitchen.gate.set()
    await house.closed(request)
    assert room(house).log == ["post answer to 2602.00001"]


async def test_an_error_is_one_line_with_a_code_in_the_askers_language(house: House, caplog: pytest.LogCaptureFixture):
    house.kitchen.gate.set()
    house.kitchen.error = InputError("provider said: sk-secret", key="error.not_found", id="2602.99999")
    request = await house.ask(language="en")
    await house.closed(request)
    assert room(house).answers == [f"No such paper: 2602.99999. Please check the ID. (code {request.code})"]
    assert await house.state(request) is RequestState.FAILED


async def test_work_that_the_store_broke_is_done_again_when_it_is_back(house: House):
    house.kitchen.gate.set()
    house.kitchen.error = StoreError("the server is gone")
    request = await house.ask()
    await wait_until(lambda: len(house.kitchen.done) == 1)
    house.kitchen.error = None
    await house.closed(request, seconds=15.0)
    assert await house.state(request) is RequestState.ANSWERED
    assert room(house).answers == [f"answer to {request.paper}"]


async def test_a_store_that_breaks_the_work_for_long_is_told(house: House):
    house.kitchen.gate.set()
    house.kitchen.error = StoreError("the server is gone")
    request = await house.ask(language="en", asked_at=SystemClock().now() - STORE_BACK)
    await house.closed(request)
    assert "try again later" in room(house).answers[0]


async def test_a_fault_of_ours_is_told_without_its_details(house: House, caplog: pytest.LogCaptureFixture):
    house.kitchen.gate.set()
    house.kitchen.error = ZeroDivisionError("secret details")
    request = await house.ask(language="en")
    await house.closed(request)
    assert "secret" not in "".join(room(house).answers)
    assert request.code in room(house).answers[0]
    assert "request failed" in caplog.text


async def test_the_place_holder_of_a_failure_becomes_the_failure(house: House):
    request = await house.ask()
    await wait_until(lambda: len(room(house).seen) == 1)
    house.kitchen.error = InputError("gone", key="error.source")
    house.kitchen.gate.set()
    await house.closed(request)
    assert len(room(house).seen) == 1
    assert request.code in room(house).answers[0]


async def test_an_answer_that_cannot_be_rendered_is_a_failure_in_words(house: House):
    house.kitchen.gate.set()
    room(house).previews = True
    room(house).broken = 1
    request = await house.ask()
    await house.closed(request)
    assert request.code in "".join(room(house).answers)


async def test_what_cost_nothing_does_not_count(house: House):
    free = await house.ask(command="top", text="5", job="top:1", counted=True)
    house.kitchen.gate.set()
    dear = await house.ask(counted=True)
    await house.closed(free, dear)
    counted = await house.store.counted_since("telegram:42", dear.asked_at - timedelta(hours=1))
    assert counted == (dear.asked_at,)


async def test_a_cancelled_request_stops_its_work_and_says_so(house: House):
    request = await house.ask()
    await wait_until(lambda: len(room(house).seen) == 1)
    assert (await house.answering.cancel(request.code)) is not None
    await house.closed(request)
    assert room(house).answers == [WORDS("request.cancelled")]
    assert await house.state(request) is RequestState.CANCELLED
    again = await house.ask(user="telegram:7")
    house.kitchen.gate.set()
    await house.closed(again)
    assert len(house.kitchen.done) == 2, "the first piece of work was stopped"


async def test_cancelling_one_of_two_askers_leaves_the_other_its_answer(house: House):
    first, second = await house.ask(), await house.ask(user="telegram:2")
    await wait_until(lambda: bool(house.kitchen.done))
    await house.answering.cancel(first.code)
    await house.closed(first)
    house.kitchen.gate.set()
    await house.closed(second)
    assert len(house.kitchen.done) == 1
    assert "answer to 2602.00001" in room(house).answers


async def test_nobody_is_cancelled_under_a_code_that_nobody_has(house: House):
    assert await house.answering.cancel("zzzzz") is None


# --- restarts


async def test_a_request_that_was_only_stored_is_answered_after_a_restart(store: SqliteStore):
    request = a_request(asked_at=SystemClock().now())
    assert await store.admit([request])
    async with a_house(store, {}) as house:
        house.kitchen.gate.set()
        await house.closed(request)
        assert room(house).answers == ["answer to 2602.00001"]


async def test_work_that_ends_while_everything_ends_leaves_its_answer_to_the_next_process(store: SqliteStore):
    async with a_house(store, {}) as house:
        request = await house.ask()
        await wait_until(lambda: bool(house.kitchen.done))
    house.kitchen.gate.set()
    await house.answering.job({"job": request.job})
    await asyncio.sleep(RHYTHM.grace)
    assert await house.state(request) is RequestState.OPEN


async def test_a_message_about_progress_from_before_the_restart_becomes_the_answer(store: SqliteStore):
    rooms = {CHAT: Room()}
    async with a_house(store, rooms) as before:
        request = await before.ask()
        await wait_until(lambda: len(rooms[CHAT].seen) == 1)
    async with a_house(store, rooms) as house:
        house.kitchen.gate.set()
        await house.closed(request)
    assert rooms[CHAT].answers == ["answer to 2602.00001"]


async def test_a_planned_answer_is_sent_by_the_next_process_and_the_work_is_not_done_again(store: SqliteStore):
    rooms = {CHAT: Room(faults=[SendError("refused", Outcome.NOT_SENT)] * 4)}
    async with a_house(store, rooms) as before:
        before.kitchen.gate.set()
        room(before).previews = True
        request = await before.ask()
        await until(lambda: before.is_closed(request.key))
    rooms[CHAT].faults.clear()
    assert await store.unfinished() == (delivery.answer_key(request),)
    async with a_house(store, rooms) as house:
        await delivery.deliver(delivery.answer_key(request), house.answering.courier)
        assert house.kitchen.done == []
    assert rooms[CHAT].answers == ["answer to 2602.00001"]


async def test_a_request_that_waited_too_long_is_told_so(store: SqliteStore):
    request = a_request(asked_at=SystemClock().now() - timedelta(hours=13), job="deepdive:old")
    assert await store.admit([request])
    async with a_house(store, {}) as house:
        await house.closed(request)
        assert room(house).answers == [WORDS("request.stale")]


async def test_a_placeholder_whose_request_is_closed_is_never_posted(store: SqliteStore):
    request = a_request(asked_at=SystemClock().now())
    message = Message(PartKind.POST, "waiting", "hold on")
    parts = delivery.plan_messages(delivery.placeholder_key(request), Room(), [message], request, request.asked_at)
    await store.plan(None, parts)
    async with a_house(store, {}) as house:
        await house.answering.reconcile()
        await house.settled()
        assert room(house).seen == {}
    [part] = await store.delivery(delivery.placeholder_key(request))
    assert part.state is PartState.DROPPED
    assert await store.troubled(10) == (), "it is nobody's business"


async def test_a_placeholder_that_could_not_be_posted_costs_nothing(house: House):
    room(house).faults = [SendError("slow down", Outcome.NOT_SENT, retry_after=30)]
    request = await house.ask()
    await wait_until(lambda: bool(house.kitchen.done) and not room(house).faults)
    house.kitchen.gate.set()
    await house.closed(request)
    assert room(house).log == ["post answer to 2602.00001"]
    assert house.told == []


async def test_progress_that_cannot_be_shown_costs_nothing(house: House):
    house.kitchen.steps = []
    request = await house.ask()
    await wait_until(lambda: len(room(house).seen) == 1)
    room(house).faults = [SendError("no room", Outcome.NOT_SENT)]
    house.kitchen.report("read", 0, 3)
    await wait_until(lambda: not room(house).faults)
    house.kitchen.gate.set()
    await house.closed(request)
    assert room(house).answers == ["answer to 2602.00001"]


class BrokenOnce:
    """A store that fails once where the answer is planned."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.faults = 1

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def close_request(self, *arguments: object) -> bool:
        if self.faults:
            self.faults -= 1
            raise StoreError("the disk is full")
        return await self._store.close_request(*arguments)  # type: ignore[arg-type]  # handed through


async def test_a_store_that_fails_at_the_end_leaves_the_request_open_for_the_next_look(store: SqliteStore):
    broken = BrokenOnce(store)
    async with a_house(broken, {}) as house:  # type: ignore[arg-type]  # a store in all but name
        house.kitchen.gate.set()
        request = await house.ask()
        await wait_until(lambda: broken.faults == 0)
        await asyncio.sleep(0.05)
        assert await house.state(request) is RequestState.OPEN
        await house.answering.reconcile()
        await house.closed(request)
        assert room(house).answers == ["answer to 2602.00001"]
        assert len(house.kitchen.done) == 1, "what was made is not paid for twice"


async def test_a_request_of_a_platform_that_the_settings_no_longer_name_ends_when_it_is_stale(store: SqliteStore):
    async with a_house(store, {}) as house:
        house.answering.courier = replace(house.answering.courier, channels=nowhere)
        fresh, stale = house.request(), house.request(asked_at=SystemClock().now() - timedelta(hours=13))
        await store.admit([fresh, stale])
        await house.answering.reconcile()
        await house.closed(stale)
        assert await house.state(stale) is RequestState.FAILED
        assert await house.state(fresh) is RequestState.OPEN


def nowhere(address: Address) -> Room:
    raise SettingsError(f"no channel of platform {address.platform} is configured")


async def test_two_processes_that_answer_the_same_request_send_one_answer(store: SqliteStore):
    rooms = {CHAT: Room()}
    async with a_house(store, rooms) as one, a_house(store, rooms) as two:
        one.kitchen.gate.set()
        two.kitchen.gate.set()
        request = await one.ask()
        two.answering.begin([request])
        await one.closed(request)
        await asyncio.sleep(0.1)
    assert rooms[CHAT].answers.count("answer to 2602.00001") == 1
    assert replace(request, state=RequestState.OPEN) == request


async def test_a_job_that_ends_while_the_process_ends_begins_nothing_anew(house: House):
    request = await house.ask()
    await wait_until(lambda: len(house.kitchen.done) == 1)
    async with house.answering.running():
        pass
    house.kitchen.gate.set()
    await asyncio.sleep(4 * RHYTHM.grace)
    assert await house.state(request) is RequestState.OPEN
    assert not house.answering._tasks


async def test_no_progress_of_another_process_is_written_over_an_answer(store: SqliteStore):
    rooms = {CHAT: Room()}
    slow = Kitchen(steps=[("read", 0, 12)])
    async with a_house(store, rooms) as one, a_house(store, rooms, slow) as two:
        request = await one.ask()
        await wait_until(lambda: len(rooms[CHAT].log) == 1)
        two.answering.begin([request])
        await wait_until(lambda: [entry.place for entry in two.answering._entries.values()] == ["1"])
        one.kitchen.gate.set()
        await one.closed(request)
        slow.gate.set()
        await wait_until(lambda: not two.answering._entries)
    assert rooms[CHAT].answers == ["answer to 2602.00001"]


async def test_a_request_that_was_answered_before_it_began_here_shows_nothing_more(house: House):
    request = await house.ask(command="top", text="5", job="top:1")
    await house.closed(request)
    await wait_until(lambda: not house.answering._entries)
    house.answering.begin([request])
    await wait_until(lambda: not house.answering._entries)
    assert room(house).log == ["post quick 5"]
