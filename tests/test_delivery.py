"""A report reaches a channel once, whatever the channel, the store or the process does."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import delivery, texts
from bot.delivery import Courier, Ending, GivenUp, Patience, Settling, Trouble
from bot.errors import InputError, Outcome, SendError, StoreError
from bot.interfaces import Errand, Store, Thread
from bot.models import (
    Address,
    Delivery,
    DeliveryState,
    Finding,
    Message,
    Part,
    PartKind,
    PartState,
    PlatformName,
    ReportKey,
)
from bot.report.document import Document, Span
from bot.store.sqlite import SqliteStore
from bot.telemetry import Metrics
from tests.fakes import DAY, NOW, FakeClock, a_plan, a_request, wait_until
from tests.test_telemetry import value

PLAN = a_plan()
REPORT = ReportKey(DAY, "default", "zh")
KEY = delivery.delivery_key(REPORT, PLAN.address)
NOT_SENT = SendError("connection refused", Outcome.NOT_SENT)
UNKNOWN = SendError("read timeout", Outcome.UNKNOWN)
RUNS = 3  # in which an edit that is never answered is given up
REFUSED = SendError("bad request", Outcome.REFUSED)
GONE = SendError("bot was kicked", Outcome.GONE)
Answer = Exception | Callable[[], object] | None
FAST = "/dev/shm" if Path("/dev/shm").is_dir() else None  # many small stores, where syncing costs nothing


def a_document(key: str) -> Document:
    return Document(key, (Span(key),), (), key, "zh")


DOCUMENTS = (a_document("digest"), a_document("2602.00001"), a_document("2602.00002"))


@dataclass
class FakeChannel:
    """A channel that posts one message a document, then edits the digest.

    `answers` is the script of its sends: an error to raise, something to do first, or None for a plain success. An
    UNKNOWN error leaves its message posted when `posts_anyway`. `finds`: it can look messages up, as Slack can.
    """

    address: Address = PLAN.address
    answers: list[Answer] = field(default_factory=list)
    lookups: list[Answer] = field(default_factory=list)
    finds: bool = False
    posts_anyway: bool = False
    links: bool = True
    replaces: str = ""
    posted: list[str] = field(default_factory=list)
    edited: list[str] = field(default_factory=list)
    threads: list[Thread] = field(default_factory=list)
    since: list[datetime] = field(default_factory=list)

    def render(self, documents: Sequence[Document]) -> tuple[Message, ...]:
        first = documents[0].key
        link = (Message(PartKind.LINK, first, "{}"),) if self.links else ()
        # The edit first: delivery, not the adapter, puts posts before edits.
        posts = (Message(PartKind.POST, d.key, "{}", reply=d.key != first) for d in documents)
        return link + tuple(replace(m, replaces="" if m.reply else self.replaces) for m in posts)

    async def turn(self, errand: Errand) -> float:
        return errand.since  # nothing is limited here

    async def send(self, key: str, message: Message, thread: Thread) -> tuple[str, ...]:
        self.threads.append(thread)
        answer = self.answers.pop(0) if self.answers else None
        log = self.edited if message.kind is PartKind.LINK else self.posted
        if isinstance(answer, Exception):
            if self.posts_anyway:
                log.append(key)
            raise answer.with_traceback(None)
        if answer is not None:
            done = answer()
            if asyncio.iscoroutine(done):
                await done
        log.append(key)
        return (f"id-{key[-1]}",)

    async def find(self, key: str, thread: Thread, since: datetime) -> tuple[str, ...] | None:
        self.since.append(since)
        answer = self.lookups.pop(0) if self.lookups else None
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            done = answer()
            if asyncio.iscoroutine(done):
                await done
        if not self.finds:
            raise SendError("cannot look messages up", Outcome.UNKNOWN)
        return (f"id-{key[-1]}",) if key in self.posted else None

    async def edit(self, message_id: str, message: Message) -> None:
        self.edited.append(message_id)

    async def preview(self, message: Message) -> bool:
        return False

    async def check(self) -> Sequence[Finding]:
        return ()


class Post:
    """A report planned for one channel, and everything that delivers it."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.clock = FakeClock()
        self.channel = FakeChannel()
        self.told: list[Trouble] = []
        self.patience = Patience()
        self.addressed: list[Address] = []
        self.metrics = Metrics()

    async def plan(self, *, late: bool = False, report: ReportKey = REPORT) -> tuple[Part, ...]:
        now = self.clock.now()
        parts = delivery.plan(report, self.channel, DOCUMENTS, name=PLAN.name, now=now, late=late)
        await self.store.plan(report, parts)
        return parts

    async def tell(self, trouble: Trouble) -> None:
        self.told.append(trouble)

    def ending(self) -> Ending:
        return Ending(self.store, self.tell, self.metrics)

    def courier(self, store: Store | None = None) -> Courier:
        def channels(address: Address) -> FakeChannel:
            self.addressed.append(address)
            return self.channel

        return Courier(store or self.store, channels, self.clock, self.tell, self.patience)

    async def deliver(self, store: Store | None = None) -> Delivery:
        return await delivery.deliver(KEY, self.courier(store))

    async def states(self) -> Mapping[str, str]:
        """By the last digit of the part's key: 0 the edit, 1 the digest, 2 and 3 the deep dives."""
        return {part.key[-1]: part.state.value for part in await self.store.delivery(KEY)}

    def posts(self) -> list[str]:
        return [key[-1] for key in self.channel.posted]


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    async with SqliteStore.open(tmp_path / "paperboy.db") as store:
        yield Post(store)


def allsent(**changes: str) -> dict[str, str]:
    return {"0": "sent", "1": "sent", "2": "sent", "3": "sent"} | {key[1:]: state for key, state in changes.items()}


# --- the plain way


async def test_a_report_reaches_a_channel_only_once(post: Post):
    await post.plan()
    first = await post.deliver()
    again = await post.deliver()
    assert first == again == Delivery(KEY, "team", PLAN.address, DeliveryState.SENT, 3)
    assert post.posts() == ["1", "2", "3"]
    assert await post.states() == allsent()


async def test_posts_come_before_the_edit_that_links_them(post: Post):
    await post.plan()
    await post.deliver()
    assert len(post.channel.edited) == 1
    assert post.channel.threads[-1] == Thread("id-1", {"digest": "id-1", "2602.00001": "id-2", "2602.00002": "id-3"})
    assert post.channel.threads[0] == Thread(None, {})
    assert post.channel.threads[1] == Thread("id-1", {"digest": "id-1"})


async def test_parts_are_frozen_with_their_keys(post: Post):
    parts = await post.plan()
    assert [part.key for part in parts] == [f"{KEY}~{index}" for index in range(4)]
    assert KEY == "2026-02-25/default.zh@telegram:-1001234567890"
    assert {(part.delivery, part.channel, part.planned_at, part.late) for part in parts} == {(KEY, "team", NOW, False)}


async def test_a_late_report_is_late_when_it_is_sent(post: Post):
    await post.plan(late=True)
    assert (await post.deliver()).state is DeliveryState.LATE


async def test_a_delivery_that_was_never_planned_is_an_input_error(post: Post):
    with pytest.raises(InputError) as caught:
        await post.deliver()
    for language in texts.languages():
        assert KEY in texts.load(language).error(caught.value)


def test_a_send_longer_than_its_lease_is_refused():
    with pytest.raises(ValueError, match="lease"):
        Patience(lease=20, send=20)


# --- nothing was posted: try again


async def test_a_named_wait_is_waited_for(post: Post):
    post.channel.answers = [SendError("429", Outcome.NOT_SENT, retry_after=17.0)]
    await post.plan()
    assert (await post.deliver()).state is DeliveryState.SENT
    assert post.clock.slept == [17.0]
    assert post.posts() == ["1", "2", "3"]


async def test_named_waits_do_not_use_up_the_tries(post: Post):
    post.channel.answers = [SendError("429", Outcome.NOT_SENT, retry_after=1.0)] * 30
    await post.plan()
    assert (await post.deliver()).state is DeliveryState.SENT


async def test_no_wait_is_longer_than_the_longest_and_their_sum_is_bounded(post: Post):
    post.channel.answers = [SendError("429", Outcome.NOT_SENT, retry_after=7200.0)] * 9
    await post.plan()
    assert (await post.deliver()).state is DeliveryState.FAILED
    assert post.clock.slept == [300.0, 300.0]
    assert await post.states() == dict.fromkeys("0123", "planned")


async def test_a_channel_that_cannot_be_reached_is_tried_a_few_times_and_left_for_later(post: Post):
    post.channel.answers = [NOT_SENT] * 4
    await post.plan()
    found = await post.deliver()
    assert post.clock.slept == [1.0, 2.0, 4.0]
    assert found.state is DeliveryState.FAILED  # so far, nobody got it
    assert await post.states() == dict.fromkeys("0123", "planned")
    assert post.told == []
    assert (await post.deliver()).state is DeliveryState.SENT
    assert post.posts() == ["1", "2", "3"]


async def test_what_follows_never_overtakes_a_part_that_waits(post: Post):
    post.channel.answers = [None, *[NOT_SENT] * 4]
    await post.plan()
    await post.deliver()
    assert await post.states() == {"0": "planned", "1": "sent", "2": "planned", "3": "planned"}
    await post.deliver()
    assert post.posts() == ["1", "2", "3"]


# --- turns


async def an_answer(post: Post, parts: int = 2) -> str:
    """Planned for the same chat; gives its key."""
    request = a_request(address=PLAN.address)
    key = delivery.answer_key(request)
    messages = [Message(PartKind.POST, f"answer {number}", "{}") for number in range(parts)]
    await post.store.plan(None, delivery.plan_messages(key, post.channel, messages, request, post.clock.now()))
    return key


async def test_a_part_is_claimed_when_its_turn_is_near_and_sent_on_the_moment(post: Post):
    await post.plan()
    seen: list[str] = []

    async def turn(errand: Errand) -> float:
        seen.append(next(state for state in (await post.states()).values() if state != "sent"))
        return post.clock.monotonic() + 0.2

    post.channel.turn = turn  # type: ignore[method-assign]  # this channel's own
    await post.deliver()

    assert seen == ["planned"] * 4
    assert post.clock.slept == pytest.approx([0.2] * 4, abs=0.001)


async def test_reports_and_answers_are_different_errands(post: Post):
    await post.plan()
    key = await an_answer(post)
    errands: list[Errand] = []

    async def turn(errand: Errand) -> float:
        errands.append(errand)
        return errand.since

    post.channel.turn = turn  # type: ignore[method-assign]  # this channel's own
    await post.deliver()
    await delivery.deliver(key, post.courier())

    assert [errand.urgent for errand in errands] == [False] * 4 + [True] * 2


async def test_an_answer_does_not_wait_for_the_report_in_its_own_chat(post: Post):
    await post.plan()
    key, courier = await an_answer(post), post.courier()
    reports_go = asyncio.Event()

    async def turn(errand: Errand) -> float:
        if not errand.urgent and post.channel.posted:
            await reports_go.wait()
        return errand.since

    post.channel.turn = turn  # type: ignore[method-assign]  # this channel's own
    report = asyncio.create_task(delivery.deliver(KEY, courier))
    await wait_until(lambda: len(post.channel.posted) == 1)

    assert (await delivery.deliver(key, courier)).state is DeliveryState.SENT
    reports_go.set()

    assert (await report).state is DeliveryState.SENT
    assert post.channel.posted == [f"{KEY}~1", f"{key}~0", f"{key}~1", f"{KEY}~2", f"{KEY}~3"]


async def test_the_parts_of_an_answer_stay_together(post: Post):
    await post.plan()
    key, courier = await an_answer(post, parts=3), post.courier()

    await asyncio.gather(delivery.deliver(key, courier), delivery.deliver(KEY, courier))

    places = [post.channel.posted.index(f"{key}~{number}") for number in range(3)]
    assert places == list(range(places[0], places[0] + 3))


async def test_what_waits_for_its_turn_may_be_cancelled_and_nothing_is_lost(post: Post):
    await post.plan()

    async def turn(errand: Errand) -> float:
        await asyncio.Event().wait()
        return errand.since

    post.channel.turn = turn  # type: ignore[method-assign]  # this channel's own
    waiting = asyncio.create_task(post.deliver())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert set((await post.states()).values()) == {"planned"}
    assert [part.attempts for part in await post.store.delivery(KEY)] == [0] * 4


async def test_a_part_that_is_not_worth_the_wait_stays_planned(post: Post):
    await post.plan()

    async def turn(errand: Errand) -> float:
        raise SendError("the chat has no room now", Outcome.NOT_SENT, retry_after=60)

    post.channel.turn = turn  # type: ignore[method-assign]  # this channel's own
    await post.deliver()

    assert set((await post.states()).values()) == {"planned"}


# --- nobody knows whether it was posted


async def test_an_ambiguous_send_that_cannot_be_looked_up_is_unknown_and_never_repeated(post: Post):
    post.channel.answers = [None, UNKNOWN]
    await post.plan()
    found = await post.deliver()
    await post.deliver()
    assert found.state is DeliveryState.UNKNOWN
    assert await post.states() == allsent(_2="unknown")
    assert post.posts() == ["1", "3"]
    [trouble] = post.told
    assert trouble == Trouble(
        "delivery.trouble_unknown", {"channel": "team", "part": f"{KEY}~2", "reason": "read timeout"}
    )


async def test_an_ambiguous_send_that_is_found_counts_as_sent(post: Post):
    post.channel = FakeChannel(answers=[UNKNOWN], finds=True, posts_anyway=True)
    await post.plan()
    assert (await post.deliver()).state is DeliveryState.SENT
    assert post.posts() == ["1", "2", "3"]
    assert post.channel.since == [NOW - timedelta(minutes=5)]
    assert post.channel.threads[1].root == "id-1"


async def test_an_ambiguous_send_that_is_surely_not_there_is_sent_again(post: Post):
    post.channel = FakeChannel(answers=[UNKNOWN, UNKNOWN], finds=True)
    await post.plan()
    assert (await post.deliver()).state is DeliveryState.SENT
    assert post.posts() == ["1", "2", "3"]
    assert post.told == []


async def test_a_send_that_never_answers_is_ambiguous(post: Post):
    post.patience = Patience(lease=0.06, send=0.05)
    post.channel.answers = [asyncio.Event().wait]
    await post.plan()
    assert (await post.deliver()).state is DeliveryState.UNKNOWN
    assert await post.states() == allsent(_0="failed", _1="unknown")


async def test_a_fault_in_an_adapter_is_ambiguous_and_stops_nothing(post: Post, caplog: pytest.LogCaptureFixture):
    post.channel.answers = [ZeroDivisionError("token 123")]
    await post.plan()
    await post.deliver()
    assert await post.states() == allsent(_0="failed", _1="unknown")
    part = await post.store.part(f"{KEY}~1")
    assert part is not None
    assert part.error == "ZeroDivisionError in the telegram adapter"
    assert "send broke" in caplog.text


async def test_a_fault_in_a_look_up_leaves_the_part_unknown(post: Post, caplog: pytest.LogCaptureFixture):
    post.channel = FakeChannel(answers=[UNKNOWN], lookups=[ZeroDivisionError()], finds=True)
    await post.plan()
    await post.deliver()
    assert await post.states() == allsent(_0="failed", _1="unknown")
    assert "look-up broke" in caplog.text


@pytest.mark.parametrize("lookup", [NOT_SENT, asyncio.Event().wait])
async def test_a_look_up_that_could_not_be_made_is_made_again(post: Post, lookup: Answer):
    post.patience = Patience(lease=0.06, send=0.05, poll=0.02, settling=0)
    post.channel = FakeChannel(answers=[UNKNOWN], lookups=[lookup], finds=True, posts_anyway=True)
    await post.plan()
    assert (await post.deliver()).state is DeliveryState.SENT
    assert post.posts() == ["1", "2", "3"]
    assert len(post.channel.since) == 2


async def test_a_part_that_can_never_be_looked_up_is_left_to_a_later_run(post: Post):
    post.patience = Patience(lease=0.06, send=0.05, poll=0.02, settling=0, tries=2)
    post.channel = FakeChannel(answers=[UNKNOWN], lookups=[NOT_SENT] * 2, finds=True, posts_anyway=True)
    await post.plan()
    assert (await post.deliver()).state is DeliveryState.FAILED
    assert (await post.states())["1"] == "sending"
    post.clock.time += timedelta(minutes=1)
    assert (await post.deliver()).state is DeliveryState.SENT


# --- it will never be posted


async def test_a_refused_part_fails_and_does_not_block_what_follows(post: Post):
    post.channel.answers = [REFUSED]
    await post.plan()
    assert (await post.deliver()).state is DeliveryState.FAILED
    assert await post.states() == allsent(_0="failed", _1="failed")  # no digest, so nothing to edit
    assert post.channel.edited == []
    assert [trouble.key for trouble in post.told] == ["delivery.trouble_failed"]


async def test_a_channel_that_is_gone_is_closed_and_the_operator_told_once(post: Post):
    post.channel.answers = [None, GONE]
    await post.plan()
    assert (await post.deliver()).state is DeliveryState.FAILED
    assert await post.states() == {"0": "failed", "1": "sent", "2": "failed", "3": "failed"}
    assert await post.store.closed(PLAN.address) == "bot was kicked"
    assert [trouble.key for trouble in post.told] == ["delivery.trouble_closed"]
    assert post.posts() == ["1"]
    assert len(post.channel.threads) == 2  # a closed channel is not even tried


async def test_an_operator_who_cannot_be_told_stops_nothing(post: Post, caplog: pytest.LogCaptureFixture):
    async def tell(_: Trouble) -> None:
        raise SendError("kicked there too", Outcome.GONE)

    post.channel.answers = [REFUSED]
    await post.plan()
    await delivery.deliver(KEY, replace(post.courier(), tell=tell))
    assert post.posts() == ["2", "3"]
    assert "operator not told" in caplog.text


async def test_a_store_that_cannot_say_whether_the_operator_knows_stops_nothing(
    post: Post, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    async def down(self: SqliteStore, key: str) -> str | None:
        raise StoreError("locked")

    monkeypatch.setattr(SqliteStore, "note", down)  # the store has trouble with its notes alone
    post.channel.answers = [UNKNOWN]
    await post.plan()
    await post.deliver()
    assert await post.states() == allsent(_0="failed", _1="unknown")
    assert post.posts() == ["2", "3"]
    assert "operator not told yet" in caplog.text


@pytest.mark.parametrize("count", ["unknown_more", "missed_more"])
def test_what_is_told_in_one_line_names_its_number(count: str):
    for language in texts.languages():
        assert "995" in texts.load(language)(f"delivery.trouble_{count}", count="995")


@pytest.mark.parametrize("trouble", ["unknown", "failed", "closed", "expired", "unwanted", "missed"])
def test_every_trouble_has_its_wording(trouble: str):
    values = {"channel": "team", "part": KEY, "reason": "read timeout", "day": "2026-02-25"}
    for language in texts.languages():
        assert "team" in texts.load(language)(f"delivery.trouble_{trouble}", **values)


# --- the chat has moved


async def test_a_moved_chat_is_followed(post: Post):
    post.channel.answers = [SendError("migrated", Outcome.MOVED, moved_to="-100777")]
    await post.plan()
    assert (await post.deliver()).state is DeliveryState.SENT
    assert await post.store.moved(PLAN.address) == "-100777"
    assert post.addressed[-1] == Address(PlatformName.TELEGRAM, "-100777")
    assert post.posts() == ["1", "2", "3"]


async def test_a_chat_that_moves_in_circles_is_left_for_later(post: Post):
    post.channel.answers = [SendError("migrated", Outcome.MOVED, moved_to=PLAN.address.target)] * 4
    await post.plan()
    assert (await post.deliver()).state is DeliveryState.FAILED
    assert set((await post.states()).values()) == {"planned"}


async def test_a_move_to_nowhere_is_a_failure(post: Post):
    post.channel.answers = [SendError("migrated", Outcome.MOVED)]
    await post.plan()
    await post.deliver()
    assert (await post.states())["1"] == "failed"


# --- edits


async def test_an_ambiguous_edit_is_repeated_because_that_is_harmless(post: Post):
    post.channel.answers = [None, None, None, UNKNOWN, UNKNOWN]
    await post.plan()
    assert (await post.deliver()).state is DeliveryState.SENT
    assert await post.states() == allsent()
    assert post.channel.since == []


@pytest.mark.parametrize("answers", [[UNKNOWN] * Patience().link_tries, [REFUSED]])
async def test_an_edit_that_fails_does_not_make_the_delivery_worse(post: Post, answers: list[Answer]):
    post.channel.answers = [None, None, None, *answers]
    await post.plan()
    for _ in range(RUNS):
        assert (await post.deliver()).state is DeliveryState.SENT
    assert await post.states() == allsent(_0="failed")
    assert post.told == []


async def test_an_edit_that_a_dead_process_began_is_made_again(post: Post):
    await post.plan()
    await post.store.claim(f"{KEY}~0", "dead", NOW, NOW - timedelta(seconds=1))
    assert (await post.deliver()).state is DeliveryState.SENT
    assert await post.states() == allsent()
    assert post.channel.edited == [f"{KEY}~0"]


async def test_an_edit_outlives_many_processes_that_die_of_it(post: Post):
    await post.plan()
    for number in range(5):
        await post.store.claim(f"{KEY}~0", f"dead {number}", NOW, NOW - timedelta(seconds=1))
        if number < 4:  # the next one has only looked into it when it dies, too
            await post.store.recover(f"{KEY}~0", f"dead {number}, too", NOW, NOW - timedelta(seconds=1))
            await post.store.record(f"{KEY}~0", f"dead {number}, too", PartState.PLANNED)
    assert (await post.deliver()).state is DeliveryState.SENT
    assert await post.states() == allsent()
    assert post.channel.edited == [f"{KEY}~0"]


async def test_a_message_that_replaces_another_is_edited_again_when_nobody_knows_whether_it_was(post: Post):
    post.channel = FakeChannel(links=False, answers=[OSError("adapter broke"), NOT_SENT], replaces="7")
    await post.plan()
    assert (await post.deliver()).state is DeliveryState.SENT
    assert post.posts() == ["0", "1", "2"]
    assert post.told == []


async def test_a_replacement_that_had_to_be_posted_anew_is_not_posted_twice(post: Post):
    post.channel = FakeChannel(links=False, replaces="7", finds=True, posted=[f"{KEY}~0"])
    await post.plan()
    await post.store.claim(f"{KEY}~0", "dead", NOW, NOW - timedelta(seconds=1))
    assert (await post.deliver()).state is DeliveryState.SENT
    assert post.posts() == ["0", "1", "2"]


async def test_a_replacement_that_a_dead_process_began_is_made_again(post: Post):
    post.channel = FakeChannel(links=False, replaces="7")
    await post.plan()
    await post.store.claim(f"{KEY}~0", "dead", NOW, NOW - timedelta(seconds=1))
    assert (await post.deliver()).state is DeliveryState.SENT
    assert post.posts() == ["0", "1", "2"]


async def test_a_replacement_is_not_repeated_for_ever_and_then_nobody_knows(post: Post):
    broken = [OSError("adapter broke")] * Patience().link_tries
    post.channel = FakeChannel(links=False, answers=[*broken], replaces="7")
    await post.plan()
    for _ in range(RUNS):
        await post.deliver()
    assert (await post.deliver()).state is DeliveryState.UNKNOWN
    assert (await post.states())["0"] == "unknown"
    assert post.posts() == ["1", "2"]
    assert [trouble.key for trouble in post.told] == ["delivery.trouble_unknown"]


@pytest.mark.parametrize(("finds", "state"), [(False, "unknown"), (True, "sent")])
async def test_a_replacement_that_had_to_be_posted_anew_is_never_repeated_blindly(
    post: Post, state: str, *, finds: bool
):
    channel = FakeChannel(links=False, answers=[UNKNOWN], replaces="7", finds=finds, posts_anyway=True)
    post.channel = channel
    await post.plan()
    await post.deliver()
    assert (await post.states())["0"] == state
    assert post.posts() == ["0", "1", "2"]


async def test_a_refused_replacement_is_a_failure_that_the_operator_hears_of(post: Post):
    post.channel = FakeChannel(links=False, answers=[REFUSED], replaces="7")
    await post.plan()
    assert (await post.deliver()).state is DeliveryState.FAILED
    assert [trouble.key for trouble in post.told] == ["delivery.trouble_failed"]


# --- several processes, and processes that die


async def test_two_deliveries_at_once_send_each_part_once(post: Post):
    await post.plan()
    found = await asyncio.gather(*(post.deliver() for _ in range(4)))
    assert {entry.state for entry in found} == {DeliveryState.SENT}
    assert post.posts() == ["1", "2", "3"]
    assert len(post.channel.edited) == 1


async def test_a_part_that_another_process_holds_is_waited_for(post: Post):
    await post.plan()
    await post.store.claim(f"{KEY}~1", "other", NOW, NOW + timedelta(seconds=30))

    async def other_ends() -> None:
        await wait_until(lambda: len(post.clock.slept) > 3)
        await post.store.record(f"{KEY}~1", "other", PartState.SENT, ["17"])

    found, _ = await asyncio.gather(post.deliver(), other_ends())
    assert found.state is DeliveryState.SENT
    assert post.posts() == ["2", "3"]
    assert post.channel.threads[0].root == "17"


async def test_a_part_of_a_dead_process_is_looked_up_and_sent_when_it_is_not_there(post: Post):
    post.channel = FakeChannel(finds=True)
    await post.plan()
    await post.store.claim(f"{KEY}~1", "dead", NOW, NOW + timedelta(seconds=30))
    assert (await post.deliver()).state is DeliveryState.SENT
    assert post.posts() == ["1", "2", "3"]
    assert post.clock.now() >= NOW + timedelta(seconds=30)


async def test_a_part_of_a_dead_process_is_unknown_where_nothing_can_be_looked_up(post: Post):
    await post.plan()
    await post.store.claim(f"{KEY}~1", "dead", NOW, NOW + timedelta(seconds=30))
    assert (await post.deliver()).state is DeliveryState.UNKNOWN
    assert post.posts() == ["2", "3"]
    [trouble] = post.told
    assert trouble.values["reason"] == "the process that sent it ended"


class Meddling:
    """The real store, where something happens around one method first."""

    def __init__(self, store: Store, method: str, before: Callable[[], object]) -> None:
        self._store, self._method, self._before = store, method, before

    def __getattr__(self, name: str) -> object:
        real = getattr(self._store, name)
        if name != self._method:
            return real

        async def meddled(*args: object, **kwargs: object) -> object:
            done = self._before()
            if asyncio.iscoroutine(done):
                await done
            return await real(*args, **kwargs)

        return meddled


async def test_a_claim_that_took_too_long_is_renewed_before_sending(post: Post):
    delays = [25.0, 0.0, 0.0, 0.0, 0.0]
    leases = []

    def slow() -> None:
        post.clock.time += timedelta(seconds=delays.pop(0))

    async def note_lease() -> None:
        part = await post.store.part(f"{KEY}~1")
        assert part is not None
        assert part.lease is not None
        leases.append(part.lease - post.clock.now())

    post.channel.answers = [note_lease]
    await post.plan()
    await post.deliver(Meddling(post.store, "claim", slow))  # type: ignore[arg-type]  # passes everything on
    assert leases == [timedelta(seconds=30)]
    assert delays == []


async def test_who_was_stopped_between_its_lease_and_its_post_leaves_the_part_to_who_took_it_over(
    post: Post, monkeypatch: pytest.MonkeyPatch
):
    async def turn(errand: Errand) -> float:
        return post.clock.monotonic() + 0.2

    async def stopped(seconds: float) -> None:
        """For minutes, in the wait for the moment that comes last before a post."""
        part = await post.store.part(f"{KEY}~1")
        if part is not None and part.state is PartState.SENDING and part.owner != "other":
            post.clock.time += timedelta(minutes=5)
            later = post.clock.now()
            await post.store.recover(part.key, "other", later, later + timedelta(seconds=30))
            await post.store.record(part.key, "other", PartState.SENT, ("by the other",))
        post.clock.time += timedelta(seconds=seconds)

    post.channel.turn = turn  # type: ignore[method-assign]  # this channel's own
    monkeypatch.setattr(post.clock, "sleep", stopped)
    await post.plan()
    await post.deliver()
    assert await post.states() == allsent()
    assert post.posts() == ["2", "3"]


@pytest.mark.parametrize("method", ["closed", "delivery"])
async def test_what_was_surely_not_sent_because_the_store_went_away_is_never_unknown(post: Post, method: str):
    """On Telegram nobody could look it up any more."""
    await post.plan()
    left = {"closed": 1, "delivery": 2}[method]  # calls that are answered: those before the first part's attempt

    def away() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise StoreError("connection lost")

    with pytest.raises(StoreError):
        await post.deliver(Meddling(post.store, method, away))  # type: ignore[arg-type]  # passes everything on
    assert await post.states() == dict.fromkeys("0123", "planned")
    await post.deliver()
    assert post.posts() == ["1", "2", "3"]


async def test_who_was_frozen_between_claim_and_send_sends_nothing_that_another_has_taken_over(post: Post):
    async def turn(errand: Errand) -> float:
        return post.clock.monotonic() + 0.2

    async def frozen(seconds: float) -> None:
        post.clock.time += timedelta(minutes=1)
        later = post.clock.now() + timedelta(minutes=1)
        if await post.store.recover(f"{KEY}~1", "other", post.clock.now(), later):
            await post.store.record(f"{KEY}~1", "other", PartState.SENT, ["17"])

    post.channel.turn, post.clock.sleep = turn, frozen  # type: ignore[method-assign]  # this test's own
    await post.plan()
    await post.deliver()
    assert post.posts() == ["2", "3"]


async def test_who_was_held_up_past_its_lease_leaves_the_part_to_who_took_it_over(
    post: Post, caplog: pytest.LogCaptureFixture
):
    async def taken_over() -> None:
        later = post.clock.now() + timedelta(minutes=5)
        part = await post.store.part(f"{KEY}~1")
        if part is not None and part.state is PartState.SENDING and part.owner != "other":
            await post.store.recover(f"{KEY}~1", "other", later, later)
            await post.store.record(f"{KEY}~1", "other", PartState.UNKNOWN)

    await post.plan()
    await post.deliver(Meddling(post.store, "record", taken_over))  # type: ignore[arg-type]  # passes everything on
    assert (await post.states())["1"] == "unknown"
    assert "part taken over" in caplog.text


async def test_who_lost_a_part_during_a_look_up_decides_nothing(post: Post):
    async def taken_over() -> None:
        later = post.clock.now() + timedelta(minutes=5)
        await post.store.recover(f"{KEY}~1", "other", later, later + timedelta(seconds=30))
        await post.store.record(f"{KEY}~1", "other", PartState.SENT, ["17"])
        raise SendError("read timeout", Outcome.UNKNOWN)

    post.channel = FakeChannel(answers=[taken_over], finds=True)
    await post.plan()
    assert (await post.deliver()).state is DeliveryState.SENT
    assert post.channel.since == []
    assert post.posts() == ["2", "3"]


async def test_a_record_is_written_as_soon_as_the_store_is_back(post: Post):
    troubles: list[Exception] = [StoreError("disk full"), StoreError("disk full")]

    def full() -> None:
        if troubles:
            raise troubles.pop()

    await post.plan()
    found = await post.deliver(Meddling(post.store, "record", full))  # type: ignore[arg-type]  # passes everything on
    assert found.state is DeliveryState.SENT
    assert post.posts() == ["1", "2", "3"]


@pytest.mark.parametrize("retryable", [True, False])
async def test_a_store_that_stays_broken_ends_the_run_with_its_error(post: Post, *, retryable: bool):
    def broken() -> None:
        raise StoreError("disk full", retryable=retryable)

    await post.plan()
    with pytest.raises(StoreError):
        await post.deliver(Meddling(post.store, "record", broken))  # type: ignore[arg-type]  # passes everything on
    assert post.posts() == ["1"]
    assert (post.clock.now() > NOW) is retryable


async def test_a_part_is_claimed_as_soon_as_the_store_is_back(post: Post):
    troubles: list[Exception] = [StoreError("connection lost"), StoreError("connection lost")]

    def away() -> None:
        if troubles:
            raise troubles.pop()

    await post.plan()
    found = await post.deliver(Meddling(post.store, "claim", away))  # type: ignore[arg-type]  # passes everything on
    assert found.state is DeliveryState.SENT
    assert post.clock.slept == [post.patience.poll] * 2


@pytest.mark.parametrize("retryable", [True, False])
async def test_a_part_that_cannot_be_claimed_is_not_sent(post: Post, *, retryable: bool):
    def broken() -> None:
        raise StoreError("disk full", retryable=retryable)

    await post.plan()
    with pytest.raises(StoreError):
        await post.deliver(Meddling(post.store, "claim", broken))  # type: ignore[arg-type]  # passes everything on
    assert post.posts() == []
    assert (post.clock.now() > NOW) is retryable


async def test_a_delivery_of_unknown_age_is_counted_and_not_timed(post: Post):
    parts = delivery.plan(REPORT, post.channel, DOCUMENTS, name=PLAN.name, now=NOW)
    await post.store.plan(REPORT, [replace(part, planned_at=None) for part in parts])
    await delivery.deliver(KEY, replace(post.courier(), telemetry=post.metrics))
    assert value(post.metrics, "reports_delivered_total", state="sent", platform="telegram") == 1
    assert value(post.metrics, "delivery_seconds_count", kind="report", platform="telegram") == 0


# --- being stopped


async def test_a_send_in_flight_is_finished_and_recorded_before_a_cancellation_goes_on(post: Post):
    started, release = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        started.set()
        await release.wait()

    post.channel.answers = [slow]
    await post.plan()
    task = asyncio.create_task(post.deliver())
    await started.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await post.states() == {"0": "planned", "1": "sent", "2": "planned", "3": "planned"}


async def test_a_send_that_hangs_is_given_up_after_its_time(post: Post):
    started = asyncio.Event()

    async def hangs() -> None:
        started.set()
        await asyncio.Event().wait()

    post.patience = replace(post.patience, stop=0.02)
    post.channel.answers = [hangs]
    await post.plan()
    task = asyncio.create_task(post.deliver())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await post.states())["1"] == "sending"  # the next start looks into it when the lease has run out


# --- how a delivery stands


@pytest.mark.parametrize(
    ("states", "late", "expected"),
    [
        ("sent sent", False, DeliveryState.SENT),
        ("sent sent", True, DeliveryState.LATE),
        ("sent unknown", True, DeliveryState.UNKNOWN),
        ("unknown failed", False, DeliveryState.FAILED),
        ("sent dropped", False, DeliveryState.SENT),
        ("unknown dropped", False, DeliveryState.UNKNOWN),
        ("dropped dropped", False, DeliveryState.FAILED),
        ("sent planned", False, None),
        ("failed sending", False, None),
    ],
)
def test_a_delivery_is_as_good_as_its_worst_post(states: str, expected: DeliveryState | None, *, late: bool):
    channel = FakeChannel(links=False)
    planned = delivery.plan(REPORT, channel, DOCUMENTS[:2], name="team", now=NOW, late=late)
    parts = [replace(part, state=PartState(state)) for part, state in zip(planned, states.split(), strict=True)]
    assert delivery.state_of(parts) is expected
    assert delivery.summary(parts).state is (expected or DeliveryState.FAILED)
    assert delivery.finished(parts) is (expected is not None)


def test_edits_do_not_count_but_must_be_made():
    parts = delivery.plan(REPORT, FakeChannel(), DOCUMENTS[:1], name="team", now=NOW)
    parts = (parts[0], replace(parts[1], state=PartState.SENT))
    assert delivery.state_of(parts) is DeliveryState.SENT
    assert delivery.summary(parts).parts == 1
    assert not delivery.finished(parts)
    assert delivery.state_of(parts[:1]) is None
    assert not delivery.finished(())


async def test_a_day_is_settled_when_any_edition_was_delivered(post: Post):
    assert not await delivery.day_settled(post.store, PLAN, DAY)
    await post.plan()
    assert not await delivery.day_settled(post.store, PLAN, DAY)
    await post.deliver()
    assert await delivery.day_settled(post.store, PLAN, DAY)
    await post.plan(report=replace(REPORT, edition=2))
    assert await delivery.day_settled(post.store, PLAN, DAY)
    elsewhere = replace(PLAN, address=replace(PLAN.address, topic=5))
    assert not await delivery.day_settled(post.store, elsewhere, DAY)


async def test_a_day_without_a_list_is_settled_by_a_word(post: Post):
    await delivery.settle_day(post.store, PLAN, DAY, "no list")
    assert await delivery.day_settled(post.store, PLAN, DAY)
    assert not await delivery.day_settled(post.store, replace(PLAN, language="en"), DAY)


# --- what the operator says, and what time says


async def test_an_unknown_part_is_sent_again_when_the_operator_says_so(post: Post):
    post.channel.answers = [UNKNOWN]
    await post.plan()
    await post.deliver()
    assert await delivery.settle(post.store, f"{KEY}~1", Settling.SEND, NOW) == KEY
    assert (await post.deliver()).state is DeliveryState.SENT
    assert post.posts() == ["2", "3", "1"]


async def test_a_dropped_part_is_settled(post: Post):
    post.channel.answers = [UNKNOWN]
    await post.plan()
    await post.deliver()
    await delivery.settle(post.store, f"{KEY}~1", Settling.DROP, NOW)
    assert (await post.deliver()).state is DeliveryState.SENT
    assert post.posts() == ["2", "3"]


async def test_a_whole_delivery_is_sent_again_and_its_channel_opened(post: Post):
    post.channel.answers = [GONE]
    await post.plan()
    await post.deliver()
    assert await delivery.settle(post.store, KEY, Settling.SEND, NOW) == KEY
    assert await post.store.closed(PLAN.address) is None
    assert (await post.deliver()).state is DeliveryState.SENT
    assert post.posts() == ["1", "2", "3"]


async def test_what_is_still_to_be_sent_can_be_dropped(post: Post):
    post.channel.answers = [NOT_SENT] * 4
    await post.plan()
    await post.deliver()
    await delivery.settle(post.store, f"{KEY}~2", Settling.DROP, NOW)
    assert await post.states() == {"0": "planned", "1": "planned", "2": "dropped", "3": "planned"}
    await post.deliver()
    assert post.posts() == ["1", "3"]


async def test_the_whole_rest_of_a_delivery_can_be_dropped(post: Post):
    post.channel.answers = [None, *[NOT_SENT] * 4]
    await post.plan()
    await post.deliver()
    assert await delivery.settle(post.store, KEY, Settling.DROP, NOW) == KEY
    assert await post.states() == {"0": "dropped", "1": "sent", "2": "dropped", "3": "dropped"}
    assert (await post.deliver()).state is DeliveryState.SENT
    assert post.posts() == ["1"]


@pytest.mark.parametrize("key", [KEY, f"{KEY}~1"])
async def test_what_is_still_to_be_sent_simply_goes_on_when_the_operator_says_send(post: Post, key: str):
    await post.plan()
    assert await delivery.settle(post.store, key, Settling.SEND, NOW) == KEY
    assert (await post.deliver()).state is DeliveryState.SENT
    assert post.posts() == ["1", "2", "3"]


async def test_a_part_whose_sender_died_can_be_dropped_when_its_lease_has_run_out(post: Post):
    await post.plan()
    await post.store.claim(f"{KEY}~1", "dead", NOW, NOW + timedelta(seconds=30))
    with pytest.raises(InputError):
        await delivery.settle(post.store, f"{KEY}~1", Settling.DROP, NOW)
    await delivery.settle(post.store, f"{KEY}~1", Settling.DROP, NOW + timedelta(seconds=31))
    assert (await post.states())["1"] == "dropped"


async def test_a_part_whose_sender_died_is_looked_up_before_it_is_sent_again(post: Post):
    post.channel = FakeChannel(finds=True, posted=[f"{KEY}~1"])
    await post.plan()
    await post.store.claim(f"{KEY}~1", "dead", NOW, NOW)
    await delivery.settle(post.store, f"{KEY}~1", Settling.SEND, NOW)
    post.clock.time += timedelta(seconds=1)
    assert (await post.deliver()).state is DeliveryState.SENT
    assert post.posts() == ["1", "2", "3"]


@pytest.mark.parametrize("settling", Settling)
async def test_what_cannot_be_settled_is_explained(post: Post, settling: Settling):
    await post.plan()
    await post.deliver()
    with pytest.raises(InputError) as sent:
        await delivery.settle(post.store, f"{KEY}~1", settling, NOW)
    with pytest.raises(InputError) as nothing:
        await delivery.settle(post.store, "2026-01-01/default.zh@telegram:1~0", settling, NOW)
    for language in texts.languages():
        assert "sent" in texts.load(language).error(sent.value)
        assert "2026-01-01" in texts.load(language).error(nothing.value)
    assert await post.states() == allsent()


async def test_what_is_sent_again_by_hand_is_as_new_as_the_word_that_said_so(post: Post):
    post.channel.answers = [UNKNOWN]
    await post.plan()
    await post.deliver()
    later = NOW + timedelta(days=3)
    await delivery.settle(post.store, f"{KEY}~1", Settling.SEND, later)
    assert [part.planned_at for part in await post.store.delivery(KEY)] == [NOW, later, NOW, NOW]


async def test_a_delivery_that_is_too_late_is_given_up_and_can_still_be_sent(post: Post):
    post.channel.answers = [None, *[NOT_SENT] * 4]
    await post.plan()
    await post.deliver()
    for _ in range(2):
        await delivery.give_up(KEY, post.ending(), NOW + timedelta(hours=13))
    assert await post.states() == {"0": "failed", "1": "sent", "2": "failed", "3": "failed"}
    assert [trouble.key for trouble in post.told] == ["delivery.trouble_expired"]
    assert value(post.metrics, "reports_delivered_total", state="failed", platform="telegram") == 1
    await delivery.settle(post.store, KEY, Settling.SEND, NOW)
    await post.deliver()
    assert post.posts() == ["1", "2", "3"]


async def test_giving_up_leaves_a_living_send_alone(post: Post):
    await post.plan()
    await post.store.claim(f"{KEY}~1", "alive", NOW, NOW + timedelta(seconds=30))
    await delivery.give_up(KEY, post.ending(), NOW)
    await delivery.abandon(KEY, post.ending(), NOW)
    assert await post.states() == {"0": "planned", "1": "sending", "2": "planned", "3": "planned"}
    assert post.told == []


async def test_giving_up_leaves_what_was_being_sent_to_be_looked_up(post: Post):
    post.channel = FakeChannel(finds=True, posted=[f"{KEY}~1"])
    await post.plan()
    await post.store.claim(f"{KEY}~1", "dead", NOW, NOW)
    later = post.clock.time = NOW + timedelta(hours=13)
    await delivery.give_up(KEY, post.ending(), later)
    assert await post.states() == {"0": "failed", "1": "sending", "2": "failed", "3": "failed"}
    assert value(post.metrics, "reports_delivered_total", state="failed", platform="telegram") == 0, "not at its end"
    await post.deliver()
    assert (await post.states())["1"] == "sent"
    assert post.posts() == ["1"]


async def test_what_nobody_can_look_up_is_abandoned_and_counted(post: Post):
    await post.plan()
    await post.store.claim(f"{KEY}~1", "dead", NOW, NOW)
    later = NOW + timedelta(seconds=31)
    await delivery.give_up(KEY, post.ending(), later, GivenUp.UNWANTED)
    for _ in range(2):
        await delivery.abandon(KEY, post.ending(), later)
    assert await post.states() == {"0": "failed", "1": "unknown", "2": "failed", "3": "failed"}
    assert [trouble.key for trouble in post.told] == ["delivery.trouble_unwanted"], "of the unknown, the pass tells"
    assert value(post.metrics, "parts_unknown_total", platform="telegram") == 1
    assert value(post.metrics, "reports_delivered_total", state="failed", platform="telegram") == 1


# --- a channel that works again

SINCE = NOW - timedelta(hours=12)


class Killed(BaseException):
    """The end of a process."""


class Dying:
    """A store whose process is killed after so many calls, each of which counts."""

    def __init__(self, store: SqliteStore, calls: int) -> None:
        self._store, self.left = store, calls

    def __getattr__(self, name: str) -> Any:
        async def call(*given: object) -> object:
            if self.left == 0:
                raise Killed
            self.left -= 1
            return await getattr(self._store, name)(*given)

        return call


async def gone(post: Post) -> None:
    """A report of which the first post found the channel closed."""
    post.channel.answers = [GONE]
    await post.plan()
    await post.deliver()
    assert await post.states() == dict.fromkeys("0123", "failed")


async def test_what_failed_while_a_channel_was_closed_is_sent_when_it_opens(post: Post):
    await gone(post)
    assert await delivery.reopen(PLAN.address, post.store, SINCE)
    assert await post.store.closed(PLAN.address) is None
    assert await post.store.unfinished() == (KEY,)
    assert (await post.deliver()).state is DeliveryState.SENT
    assert post.posts() == ["1", "2", "3"]


async def test_opening_what_is_open_sends_nothing_again(post: Post):
    post.channel.answers = [REFUSED]
    await post.plan()
    await post.deliver()
    assert not await delivery.reopen(PLAN.address, post.store, SINCE)
    assert (await post.states())["1"] == "failed"


async def test_what_is_too_old_unknown_elsewhere_or_held_a_place_stays_when_a_channel_opens(post: Post):
    [old, *_] = await post.plan(report=replace(REPORT, edition=3))
    post.clock.time += timedelta(seconds=1)
    post.channel.address = replace(PLAN.address, topic=5)
    [other, *_] = await post.plan(report=replace(REPORT, edition=2))
    post.channel.address = PLAN.address
    [lost, young, *_] = await post.plan()
    request = a_request(address=PLAN.address)
    [place] = delivery.plan_messages(
        delivery.placeholder_key(request), post.channel, [Message(PartKind.POST, "", "{}")], request, post.clock.now()
    )
    await post.store.plan(None, [place])
    for part in (other, old, lost, young, place):
        await post.store.claim(part.key, "one", NOW, NOW)
        await post.store.record(part.key, "one", PartState.UNKNOWN if part == lost else PartState.FAILED)
    await post.store.close(PLAN.address, "kicked")
    assert await delivery.reopen(PLAN.address, post.store, post.clock.now())
    found = [await post.store.part(part.key) for part in (other, old, lost, young, place)]
    assert [part.state.value for part in found if part] == ["failed", "failed", "unknown", "planned", "failed"]


async def test_what_is_put_back_by_an_opening_is_as_old_as_it_was(post: Post):
    await gone(post)
    await delivery.reopen(PLAN.address, post.store, SINCE)
    assert {part.planned_at for part in await post.store.delivery(KEY)} == {NOW}


async def test_a_chat_that_has_moved_opens_where_it_is_now(post: Post):
    await post.store.move(PLAN.address, "-100777")
    await gone(post)
    assert await post.store.closed(replace(PLAN.address, target="-100777")) is not None
    assert await delivery.reopen(PLAN.address, post.store, SINCE)
    assert await post.store.closed(replace(PLAN.address, target="-100777")) is None
    assert await post.states() == dict.fromkeys("0123", "planned")


async def test_whoever_is_killed_while_opening_leaves_it_to_the_next_one(post: Post):
    await gone(post)
    for calls in count():
        await post.store.close(PLAN.address, "kicked")
        await delivery.deliver(KEY, post.courier())  # a pass meanwhile
        dying = Dying(post.store, calls)
        with suppress(Killed):
            await delivery.reopen(PLAN.address, dying, SINCE)
            break
        assert await delivery.is_closed(PLAN.address, post.store)
        assert await delivery.reopen(PLAN.address, post.store, SINCE)
        assert not await delivery.is_closed(PLAN.address, post.store)
        assert await post.states() == dict.fromkeys("0123", "planned"), f"killed after {calls} calls"
    assert calls > 8


@pytest.mark.parametrize("name", ["claim", "record"])
async def test_a_part_that_fails_as_closed_just_when_its_channel_opens_is_sent(post: Post, name: str):
    await post.plan()
    await post.store.close(PLAN.address, "kicked")
    opening = Meddling(post.store, name, lambda: delivery.reopen(PLAN.address, post.store, SINCE))
    assert (await post.deliver(opening)).state is DeliveryState.SENT  # type: ignore[arg-type]  # passes everything on
    assert post.posts() == ["1", "2", "3"]


async def test_a_part_that_finds_its_channel_gone_just_when_that_opens_is_sent(post: Post):
    post.channel.answers = [GONE]
    await post.plan()
    opening = Meddling(post.store, "record", lambda: delivery.reopen(PLAN.address, post.store, SINCE))
    assert (await post.deliver(opening)).state is DeliveryState.SENT  # type: ignore[arg-type]  # passes everything on
    assert post.posts() == ["1", "2", "3"]


# --- any sequence of troubles

FAULTS = {
    "ok": None,
    "refused connection": NOT_SENT,
    "429": SendError("429", Outcome.NOT_SENT, retry_after=2.0),
    "lost": UNKNOWN,
    "posted, then lost": UNKNOWN,
    "400": REFUSED,
    "fault": ValueError("an adapter's fault"),
}


class FaultyChannel(FakeChannel):
    """A channel with a script of FAULTS' names."""

    def script(self, names: list[str]) -> None:
        self.names = names

    async def send(self, key: str, message: Message, thread: Thread) -> tuple[str, ...]:
        name = self.names.pop(0) if self.names else "ok"
        self.posts_anyway = name == "posted, then lost"
        self.answers = [FAULTS[name]]
        return await super().send(key, message, thread)


@given(st.lists(st.sampled_from(sorted(FAULTS)), max_size=12), st.booleans())
@settings(max_examples=40, deadline=None)
def test_whatever_goes_wrong_nothing_is_posted_twice_or_out_of_order_and_every_gap_is_shown(
    names: list[str], finds: bool
):
    async def scenario(folder: str) -> None:
        async with SqliteStore.open(Path(folder) / "paperboy.db") as store:
            post = Post(store)
            post.channel = channel = FaultyChannel(finds=finds, links=False)
            channel.script(names)
            await post.plan()
            while not delivery.finished(await store.delivery(KEY)):
                await post.deliver()
            assert channel.posted == sorted(set(channel.posted))
            for part in await store.delivery(KEY):
                times = channel.posted.count(part.key)
                expected = {PartState.SENT: (1,), PartState.FAILED: (0,), PartState.UNKNOWN: (0, 1)}[part.state]
                assert times in expected
                assert not (finds and part.state is PartState.UNKNOWN)

    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        asyncio.run(scenario(folder))
