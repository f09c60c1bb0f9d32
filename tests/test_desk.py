"""Everything that people ask: understood, checked, stored, answered; each command, and who may use it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import pytest

from bot import delivery
from bot.answering import JOB, Answering, Rhythm
from bot.daily import Daily
from bot.delivery import Courier, Patience, Trouble
from bot.engine import Terms
from bot.engine.on_docket import DocketEngine
from bot.errors import Outcome, SendError, StoreError
from bot.interfaces import Brief, Job, Progress
from bot.limits import Limits, Slots
from bot.models import (
    Address,
    ArxivId,
    DeepDive,
    FullText,
    Message,
    Paper,
    Part,
    PartKind,
    PartState,
    PlatformName,
    ReportKey,
    Usage,
)
from bot.ondemand import OnDemand
from bot.report import compose
from bot.report.document import Links
from bot.requests import Request, RequestState
from bot.store.sqlite import SqliteStore
from bot.texts import load
from handlers.asked import Asked, Taken
from handlers.commands import COMMANDS, SAY, Command
from handlers.desk import FrontDesk
from handlers.means import UNDER_UMBRELLA, Chats, Means, Model, words_of
from handlers.settling import doubts
from handlers.standing import standing
from tests.fakes import (
    DAY,
    NOW,
    FakeClock,
    a_day_list,
    a_deep_dive,
    a_paper,
    a_plan,
    a_profile,
    a_ranking,
    a_report,
    a_request,
)
from tests.test_answering import CHAT, Room, until
from tests.test_reporter import ListedDays, ScriptedAnalyst, a_reporter

ZH, EN = load("zh"), load("en")
PRIVATE = Address(PlatformName.TELEGRAM, "42")
STRANGE = Address(PlatformName.TELEGRAM, "-100999")
ADMIN, USER = "telegram:1", "telegram:42"
MONDAY = date(2026, 2, 23)


class StillClock(FakeClock):
    """Stands still; sleeping takes real time."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Archive:
    """arXiv's metadata: what it knows, by ID with or without a version."""

    def __init__(self) -> None:
        self.known: dict[str, Paper] = {}
        self.asked: list[str] = []

    async def papers(self, ids: list[ArxivId]) -> dict[str, Paper]:
        self.asked += map(str, ids)
        return {one.id: self.known[str(one)] for one in ids if str(one) in self.known}


class Reader(ScriptedAnalyst):
    """An analyst whose deep dives wait for the gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()

    async def deep_dive(self, paper: Paper, full_text: FullText, brief: Brief) -> DeepDive:
        await self.gate.wait()
        brief.meter.add(Usage(calls=1))
        return await super().deep_dive(paper, full_text, brief)


@dataclass
class Lobby:
    """A desk with everything behind it, and the rooms in front."""

    store: SqliteStore
    clock: StillClock
    analyst: Reader
    archive: Archive
    source: ListedDays
    desk: FrontDesk
    answering: Answering
    rooms: dict[Address, Room]
    told: list[Trouble]
    count: int = 100

    async def ask(self, text: str = "", **changes: object) -> Taken:
        """Something typed in the chat, taken and begun."""
        self.count += 1
        values = {"key": f"t/{self.count}", "user": USER, "address": CHAT, "text": text, "message": str(self.count)}
        taken = await self.desk.take(Asked(**(values | changes)))  # type: ignore[arg-type]  # by name
        self.desk.begin(taken)
        return taken

    async def answered(self, text: str, **changes: object) -> list[str]:
        """What the chat shows once that is answered."""
        taken = await self.ask(text, **changes)
        await self.settle(taken)
        return self.room(taken.asked.address).answers

    async def settle(self, *taken: Taken) -> None:
        async def closed() -> bool:
            keys = [request.key for one in taken for request in one.requests]
            found = [await self.store.request(key) for key in keys]
            done = all(one is not None and one.state is not RequestState.OPEN for one in found)
            return done and not await self.store.unfinished()

        await until(closed)

    def room(self, address: Address = CHAT) -> Room:
        return self.rooms.setdefault(address, Room(address))


async def is_not_kept(command: Command, means: Means, request: Request) -> bool:
    return not (command.is_kept and await command.is_kept(means, request))


async def sent_again(courier: Courier, given: Mapping[str, str], progress: Progress) -> None:
    await delivery.deliver(given["delivery"], courier)


@asynccontextmanager
async def a_lobby(store: SqliteStore, limits: Limits | None = None, **changes: object) -> AsyncIterator[Lobby]:
    clock, analyst, archive = StillClock(), Reader(), Archive()
    source = ListedDays({DAY: a_day_list(5), MONDAY: a_day_list(2)})
    rooms: dict[Address, Room] = {}
    told: list[Trouble] = []
    limits = limits or Limits(cooldown_seconds=0)

    async def tell(trouble: Trouble) -> None:
        told.append(trouble)

    def room(address: Address) -> Room:
        return rooms.setdefault(address, Room(address))

    reporter = a_reporter(store, analyst, source=source, clock=clock, metadata=archive)
    courier = Courier(store, room, clock, tell, Patience(backoff=0.01, poll=0.01, settling=0.0))
    daily = Daily(reporter, courier, Links())
    works: dict[str, Job] = {"deliver": partial(sent_again, courier)}
    engine, slots = DocketEngine(works, terms=Terms(grace=0, cut=1)), Slots(limits)

    async def send(key: str) -> None:
        await engine.submit("deliver", f"deliver:{key}", {"delivery": key})

    answering = Answering(store, engine, courier, {}, Rhythm(grace=0.1, progress=0.1), slots=slots)
    means = Means(
        ondemand=OnDemand(reporter),
        daily=daily,
        chats=Chats(
            (a_plan(),), a_profile(), "zh", "Asia/Shanghai", frozenset(["telegram:-100555"]), frozenset([ADMIN])
        ),
        profiles={"default": a_profile()},
        slots=slots,
        limits=limits,
        model=Model("fake/model", 1.0),
        cancel=answering.cancel,
        send=send,
    )
    means = replace(means, **changes)  # type: ignore[arg-type]  # by name
    for command in (*COMMANDS, SAY):
        answering.works[command.name] = lambda request, progress, work=command.work: work(means, request, progress)  # type: ignore[index]  # a dict
        if command.costs:
            answering.costs[command.name] = partial(is_not_kept, command, means)  # type: ignore[index]  # a dict
    works[JOB] = answering.job
    desk = FrontDesk(means, tell, answering, room)
    async with engine.running(), answering.running():
        yield Lobby(store, clock, analyst, archive, source, desk, answering, rooms, told)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore.open(tmp_path / "paperboy.db") as opened:
        await opened.keep_list(a_day_list(5))
        yield opened


@pytest.fixture
async def lobby(store: SqliteStore) -> AsyncIterator[Lobby]:
    async with a_lobby(store) as made:
        yield made


def shown(room: Room) -> str:
    return "\n".join(room.answers)


# --- deep dives


async def test_a_listed_paper_is_deep_dived(lobby: Lobby):
    [answer] = await lobby.answered("/deepdive 2602.00001")
    assert answer == a_paper(1).title
    assert lobby.analyst.read == ["2602.00001"]
    assert lobby.archive.asked == []


async def test_any_paper_that_arxiv_knows_is_deep_dived_and_known_from_then_on(lobby: Lobby):
    lobby.archive.known["1706.03762"] = a_paper(arxiv_id=ArxivId("1706.03762", 7), title="Attention")
    assert await lobby.answered("/deepdive https://arxiv.org/abs/1706.03762") == ["Attention"]
    assert await lobby.answered("/deepdive 1706.03762") == ["Attention"] * 2
    assert lobby.archive.asked == ["1706.03762"]


async def test_several_papers_are_several_answers(lobby: Lobby):
    taken = await lobby.ask("/deepdive 2602.00001 2602.00002 en")
    assert [request.paper for request in taken.requests] == ["2602.00001", "2602.00002"]
    assert {request.language for request in taken.requests} == {"en"}
    await lobby.settle(taken)
    assert len(lobby.room().seen) == 2


async def test_a_reply_to_a_message_that_names_a_paper_needs_no_id(lobby: Lobby):
    taken = await lobby.ask("/deepdive", about="7", quoted="look: arxiv.org/abs/2602.00002")
    assert [request.paper for request in taken.requests] == ["2602.00002"]


async def test_a_paper_that_is_kept_takes_no_slot(store: SqliteStore):
    async with a_lobby(store, Limits(cooldown_seconds=0, jobs=1)) as lobby:
        lobby.analyst.kept["2602.00002", "zh"] = a_deep_dive(a_paper(2))
        lobby.analyst.gate.clear()
        slow = await lobby.ask("/deepdive 2602.00001")
        kept = await lobby.ask("/deepdive 2602.00002", address=Address(PlatformName.TELEGRAM, "-100555"))
        await until(lambda: _closed(lobby, kept))
        assert lobby.analyst.read == []
        lobby.analyst.gate.set()
        await lobby.settle(slow)


async def _closed(lobby: Lobby, taken: Taken) -> bool:
    found = await lobby.store.request(taken.requests[0].key)
    return found is not None and found.state is not RequestState.OPEN


@pytest.mark.parametrize(
    ("text", "key", "values"),
    [
        ("/deepdive", "error.no_id", {}),
        ("/deepdive hello", "error.arxiv_id", {"text": "hello"}),
        ("/deepdive 260200001", "error.arxiv_id_near", {"text": "260200001", "near": "2602.00001"}),
        ("/deepdive 2602.00001 2602.00002 2602.00003 2602.00004", "error.many_ids", {"most": 3, "count": 4}),
        ("/serach x", "error.unknown_command_near", {"name": "serach", "near": "search"}),
        ("/top soon", "error.top_usage", {"text": "soon"}),
        ("/top 2026-02-22", "error.weekend", {"day": "2026-02-22"}),
        ("/search ?!", "error.no_words", {}),
        ("/ask", "error.no_question", {}),
        ("why is that?", "error.no_paper_here", {}),
        ("/ask 2602.1908 why?", "error.arxiv_id_near", {"text": "2602.1908 why?", "near": "2602.01908"}),
        ("/top 1000", "error.top_count", {"most": 100}),
        ("/report", "error.admins_only", {}),
        ("/cancel abc", "error.admins_only", {}),
    ],
)
async def test_what_is_wrong_is_said_in_one_line(lobby: Lobby, text: str, key: str, values: dict[str, object]):
    assert await lobby.answered(text) == [ZH(key, **values)]


async def test_another_bots_command_is_not_ours_to_answer_in_a_group(lobby: Lobby):
    taken = await lobby.ask("/weather tomorrow", loose=True)
    assert (taken.requests, taken.line) == ((), "")
    assert await lobby.answered("/weather tomorrow") == [ZH("error.unknown_command", name="weather")]
    aside = await lobby.ask("/weather tomorrow", aside=True)
    assert aside.line == ZH("error.unknown_command", name="weather")


async def test_in_a_chat_what_came_first_begins_first(lobby: Lobby, monkeypatch: pytest.MonkeyPatch):
    order: list[str] = []
    admit = lobby.store.admit

    async def slow_for_the_first(requests: tuple[Request, ...]) -> bool:
        if requests[0].text == "1":
            await asyncio.sleep(0.1)
        return await admit(requests)

    monkeypatch.setattr(lobby.store, "admit", slow_for_the_first)  # a commit that takes its time

    async def take(text: str) -> Taken:
        taken = await lobby.ask(f"/top {text} 2026-02-25")
        order.append(text)
        return taken

    await lobby.settle(*await asyncio.gather(*(take(str(n)) for n in range(1, 5))))
    assert order == ["1", "2", "3", "4"]


async def test_a_refusal_can_be_said_aside(lobby: Lobby):
    taken = await lobby.ask("/deepdive", aside=True)
    assert taken.line == ZH("error.no_id")
    assert lobby.room().seen == {}


async def test_an_unknown_paper_is_said_with_the_code_of_the_log(lobby: Lobby):
    taken = await lobby.ask("/deepdive 2602.99999")
    await lobby.settle(taken)
    error = ZH("error.not_found", id="2602.99999")
    assert lobby.room().answers == [ZH("error.coded", error=error, code=taken.requests[0].code)]


async def test_a_version_that_does_not_exist_is_answered_with_the_latest(lobby: Lobby):
    lobby.archive.known["1706.03762"] = a_paper(arxiv_id=ArxivId("1706.03762", 7))
    [answer] = await lobby.answered("/deepdive 1706.03762v9")
    assert ZH("error.no_version", id="1706.03762", version=9, latest=7) in answer


async def test_a_withdrawn_paper_is_answered_with_what_can_still_be_read(lobby: Lobby):
    comment = "This paper has been withdrawn by the authors due to an error in Eq. 3"
    lobby.archive.known["1706.03762"] = a_paper(arxiv_id=ArxivId("1706.03762", 2), comment=comment)
    [answer] = await lobby.answered("/deepdive 1706.03762")
    assert ZH("error.withdrawn_earlier", id="1706.03762", near="1706.03762v1") in answer


async def test_half_a_character_is_no_trouble(lobby: Lobby):
    await lobby.answered("/search rain \ud83d", quoted="\ude00")
    assert ZH("search.title", words="rain ?") in lobby.room().answers


# --- once, and how often


async def test_the_same_update_again_is_the_same_request(lobby: Lobby):
    first = await lobby.ask("/deepdive 2602.00001", key="t/7")
    again = await lobby.ask("/deepdive 2602.00001", key="t/7")
    assert again.requests == ()
    await lobby.settle(first)
    assert len(lobby.room().seen) == 1


async def test_a_user_rests_between_requests_that_cost_and_hears_until_when(store: SqliteStore):
    async with a_lobby(store, Limits(cooldown_seconds=10)) as lobby:
        await lobby.answered("/deepdive 2602.00001")
        lobby.clock.time += timedelta(seconds=4)
        answers = await lobby.answered("/deepdive 2602.00002")
        assert answers[-1] == ZH("limit.cooldown", seconds=6, at="09:30 (Asia/Shanghai)")
        lobby.clock.time += timedelta(seconds=6)
        assert (await lobby.answered("/deepdive 2602.00002"))[-1] == a_paper(2).title


async def test_who_goes_on_asking_too_soon_does_not_fill_the_chat(store: SqliteStore):
    async with a_lobby(store, Limits(per_user_per_day=1, cooldown_seconds=0)) as lobby:
        await lobby.answered("/deepdive 2602.00001")
        for number in range(2, 5):
            await lobby.answered(f"/deepdive 2602.0000{number}")
        assert len(lobby.room().seen) == 2
        aside = await lobby.ask("/deepdive 2602.00005", aside=True)
        assert aside.line, "what only the user sees is always said"
        lobby.clock.time += timedelta(seconds=21)
        await lobby.answered("/deepdive 2602.00002")
        assert len(lobby.room().seen) == 3


async def test_a_source_that_was_asked_in_vain_was_asked(store: SqliteStore):
    async with a_lobby(store, Limits(per_user_per_day=1, cooldown_seconds=0)) as lobby:
        await lobby.answered("/deepdive 2602.77777")
        assert lobby.archive.asked == ["2602.77777"]
        answers = await lobby.answered("/deepdive 2602.88888")
        assert answers[-1] == ZH("limit.day", count=1, at="08:00 (Asia/Shanghai)")


async def test_a_day_holds_so_many_requests(store: SqliteStore):
    async with a_lobby(store, Limits(per_user_per_day=1, cooldown_seconds=0)) as lobby:
        await lobby.answered("/deepdive 2602.00001")
        answers = await lobby.answered("/deepdive 2602.00002")
        assert answers[-1] == ZH("limit.day", count=1, at="08:00 (Asia/Shanghai)")
        assert (await lobby.answered("/deepdive 2602.00002", user="telegram:43"))[-1] == a_paper(2).title
        assert (await lobby.answered("/deepdive 2602.00003", user=ADMIN))[-1] == a_paper(3).title
        assert (await lobby.answered("/deepdive 2602.00004", user=ADMIN))[-1] == a_paper(4).title


async def test_what_is_there_already_may_be_asked_for_at_the_limit_too(store: SqliteStore):
    async with a_lobby(store, Limits(per_user_per_day=1, cooldown_seconds=10)) as lobby:
        await lobby.answered("/deepdive 2602.00001")
        lobby.analyst.kept["2602.00002", "zh"] = a_deep_dive(a_paper(2))
        assert (await lobby.answered("/deepdive 2602.00002"))[-1] == a_paper(2).title


async def test_when_to_come_back_is_said_by_the_chats_own_clock(store: SqliteStore):
    plans = (a_plan(timezone="America/New_York"),)
    chats = Chats(plans, a_profile(), "zh", "Asia/Shanghai", frozenset(), frozenset())
    async with a_lobby(store, Limits(per_user_per_day=1, cooldown_seconds=0), chats=chats) as lobby:
        await lobby.answered("/deepdive 2602.00001")
        answers = await lobby.answered("/deepdive 2602.00002")
        assert answers[-1] == ZH("limit.day", count=1, at="19:00 (America/New_York)")


async def test_nobody_gets_more_by_asking_everything_at_once(store: SqliteStore):
    async with a_lobby(store, Limits(per_user_per_day=3, cooldown_seconds=0)) as lobby:
        taken = await asyncio.gather(*(lobby.ask(f"/deepdive 2602.{number:05d}") for number in range(1, 9)))
        assert sum(request.counted for one in taken for request in one.requests) == 3
        await lobby.settle(*taken)


async def test_what_cost_nothing_and_who_joins_does_not_count(store: SqliteStore):
    async with a_lobby(store, Limits(per_user_per_day=1, cooldown_seconds=0)) as lobby:
        lobby.analyst.kept["2602.00002", "zh"] = a_deep_dive(a_paper(2))
        await lobby.answered("/deepdive 2602.00002")
        lobby.analyst.gate.clear()
        first = await lobby.ask("/deepdive 2602.00001", user="telegram:43")
        joined = await lobby.ask("/deepdive 2602.00001")
        assert not joined.requests[0].counted
        lobby.analyst.gate.set()
        await lobby.settle(first, joined)
        assert (await lobby.answered("/deepdive 2602.00003"))[-1] == a_paper(3).title


async def test_a_ranking_that_is_known_does_not_count(store: SqliteStore):
    async with a_lobby(store, Limits(per_user_per_day=1, cooldown_seconds=10)) as lobby:
        await lobby.answered("/top 2026-02-25")
        for _ in range(3):
            taken = await lobby.ask("/top 2026-02-25")
            assert not taken.requests[0].counted
            await lobby.settle(taken)


# --- who is served


async def test_a_stranger_hears_once_which_chat_to_allow(lobby: Lobby):
    assert await lobby.answered("/top", address=STRANGE) == [
        ZH("error.stranger", chat="-100999", setting="telegram.allowed_chats")
    ]
    taken = await lobby.ask("/top", address=STRANGE)
    assert (taken.requests, taken.line) == ((), "")


async def test_administrators_are_served_in_private_and_others_are_not(lobby: Lobby):
    taken = await lobby.ask("/help", address=replace(PRIVATE, target="1"), user=ADMIN, private=True, language="en-GB")
    await lobby.settle(taken)
    assert lobby.room(replace(PRIVATE, target="1")).answers == [EN("help.title")]
    assert await lobby.answered("/help", address=PRIVATE, private=True, language="en") == [
        EN("error.stranger", chat="42", setting="telegram.allowed_chats")
    ]


async def test_a_chat_is_known_by_its_public_name_and_by_its_new_id(store: SqliteStore):
    named = a_plan(address=Address(PlatformName.TELEGRAM, "@vision"))
    chats = Chats((named, a_plan("team")), a_profile(), "zh", "UTC", frozenset(), frozenset())
    async with a_lobby(store, chats=chats) as lobby:
        assert await lobby.answered("/help", address=STRANGE, chat_name="@vision") == [ZH("help.title")]
        await lobby.desk.moved(CHAT, "-100888")
        moved = Address(PlatformName.TELEGRAM, "-100888")
        assert await lobby.answered("/help", address=moved) == [ZH("help.title")]


async def test_a_chat_that_was_allowed_stays_allowed_under_its_new_id(lobby: Lobby):
    await lobby.desk.moved(Address(PlatformName.TELEGRAM, "-100555"), "-100556")
    assert await lobby.answered("/help", address=Address(PlatformName.TELEGRAM, "-100556")) == [ZH("help.title")]


async def test_whoever_asks_where_nothing_could_be_posted_is_answered_there(lobby: Lobby):
    await lobby.store.close(CHAT, "the bot was blocked")
    assert await lobby.answered("/help") == [ZH("help.title")]


async def test_a_store_that_does_not_answer_is_said_within_a_second(lobby: Lobby, monkeypatch: pytest.MonkeyPatch):
    async def hang(requests: object) -> bool:
        await asyncio.sleep(60)
        return True

    monkeypatch.setattr(lobby.store, "admit", hang)  # a disk that hangs cannot be had otherwise
    started = asyncio.get_running_loop().time()
    taken = await lobby.ask("/deepdive 2602.00001")
    assert asyncio.get_running_loop().time() - started < 1
    assert taken.line == ZH("error.busy")
    await until(lambda: _says(lobby, ZH("error.busy")))


async def _says(lobby: Lobby, line: str) -> bool:
    return line in lobby.room().answers


# --- rankings


async def test_a_day_that_is_not_scored_yet_is_scored_now(lobby: Lobby):
    await lobby.answered("/top 2026-02-25")
    assert len(lobby.analyst.scored) == 5
    assert lobby.room().answers == [ZH("top.title", day="2026-02-25")]
    await lobby.answered("/top 3 2026-02-25")
    assert len(lobby.analyst.scored) == 5


async def test_a_day_without_a_list_is_said(lobby: Lobby):
    assert await lobby.answered("/top 2026-02-24") == [ZH("note.no_list", day="2026-02-24")]


async def test_the_week_ranks_all_its_lists_together(lobby: Lobby):
    await lobby.answered("/top week")
    assert lobby.room().answers == [ZH("top.title_week")]


async def test_a_week_whose_rankings_are_all_known_costs_nothing(store: SqliteStore):
    async with a_lobby(store, Limits(per_user_per_day=2, cooldown_seconds=0)) as lobby:
        for times in (1, 2, 3):
            assert await lobby.answered("/top week") == times * [ZH("top.title_week")]


async def test_a_list_of_today_is_ranked_again_when_it_has_grown(lobby: Lobby):
    today = lobby.clock.time.date()
    lobby.source.days[today] = replace(a_day_list(2), day=today, captured_at=lobby.clock.time)
    await lobby.answered("/top today")
    lobby.source.days[today] = replace(a_day_list(4), day=today, captured_at=lobby.clock.time)
    lobby.clock.time += timedelta(minutes=5)
    await lobby.answered("/top today")
    assert len(set(lobby.analyst.scored)) == 2, "five minutes later it is taken as it is"
    lobby.clock.time += timedelta(hours=5)
    await lobby.answered("/top today")
    assert len(set(lobby.analyst.scored)) == 4


async def test_a_page_is_turned_in_place(lobby: Lobby, store: SqliteStore):
    await store.keep_ranking(a_ranking(8, 0))
    await lobby.answered("/top")
    taken = await lobby.ask("page 2026-02-25 zh 0 5", tap=True, aside=True, about="1")
    assert taken.view is not None
    assert (taken.edits, taken.requests) == ("1", ())
    await until(lambda: _edited(lobby))


async def test_a_page_waits_for_its_turn(lobby: Lobby, store: SqliteStore):
    await store.keep_ranking(a_ranking(8, 0))
    await lobby.answered("/top")
    lobby.room().faults.append(SendError("no turn for an edit now", Outcome.NOT_SENT, retry_after=0.01))
    await lobby.ask("page 2026-02-25 zh 0 5", tap=True, aside=True, about="1")
    await until(lambda: _edited(lobby))


async def _edited(lobby: Lobby) -> bool:
    return any(line.startswith("edit") for line in lobby.room().log)


async def test_in_a_busy_chat_a_page_is_turned_when_there_is_room_and_only_to_the_last_tap(lobby: Lobby, store):
    await store.keep_ranking(a_ranking(15, 0))
    await lobby.answered("/top")
    lobby.room().faults = [SendError("no room for an edit now", Outcome.NOT_SENT, retry_after=0.05)]
    for first in (5, 10):
        await lobby.ask(f"page 2026-02-25 zh 0 {first}", tap=True, aside=True, about="1")
    await until(lambda: _edited(lobby))
    await asyncio.sleep(0.1)
    assert sum(line.startswith("edit") for line in lobby.room().log) == 1


async def test_a_digest_stays_when_its_ranking_is_asked_for(lobby: Lobby, store: SqliteStore):
    await store.keep_ranking(a_ranking(8, 0))
    digest = Message(PartKind.POST, compose.DIGEST, "digest")
    part = Part("d~0", "d", 0, "team", CHAT, digest, state=PartState.SENT, message_ids=("7",))
    await store.plan(None, [part])
    taken = await lobby.ask("page 2026-02-25 zh 3 0", tap=True, aside=True, about="7")
    assert taken.view is None
    assert [(one.command, one.text) for one in taken.requests] == [("top", "2026-02-25 zh 3")]
    await lobby.settle(taken)
    assert [line.partition(" ")[0] for line in lobby.room().log] == ["post"]


async def test_a_page_of_a_ranking_that_is_gone_says_so(lobby: Lobby, store: SqliteStore):
    await store.keep_ranking(a_ranking(8, 0))
    await lobby.answered("/top")
    taken = await lobby.ask("page 2025-02-25 zh 0 5", tap=True, aside=True, about="1")
    assert taken.line == ZH("error.page_gone")


# --- questions


async def test_a_question_is_answered_out_of_the_paper(lobby: Lobby):
    taken = await lobby.ask("/ask 2602.00001 用了多少张 GPU？")
    await lobby.settle(taken)
    found = await lobby.store.request(taken.requests[0].key)
    assert found
    assert (found.state, bool(found.said)) == (RequestState.ANSWERED, True)


async def test_under_a_deep_dive_a_question_needs_no_paper_and_the_talk_goes_on(lobby: Lobby):
    await lobby.answered("/deepdive 2602.00002")
    first = await lobby.ask("为什么？", about="1")
    assert first.requests[0].paper == "2602.00002"
    await lobby.settle(first)
    second = await lobby.ask("那又怎样？", about="2")
    assert second.requests[0].paper == "2602.00002"
    assert second.requests[0].conversation == first.requests[0].conversation
    await lobby.settle(second)


async def test_in_the_thread_that_an_answer_began_a_question_needs_no_paper(lobby: Lobby):
    under = Address(PlatformName.TELEGRAM, CHAT.target, thread="1700.1")
    await lobby.answered("/deepdive 2602.00002", address=under, message="1700.1")
    taken = await lobby.ask("为什么？", address=under, thread="1700.1", message="1700.9")
    assert [request.paper for request in taken.requests] == ["2602.00002"]
    await lobby.settle(taken)


async def test_in_a_thread_of_several_papers_the_question_has_to_name_one(lobby: Lobby, store: SqliteStore):
    report = a_report()
    await store.keep_report(report)
    parts = delivery.plan(report.key, lobby.room(), lobby.desk.means.daily.documents(report), name="team", now=NOW)
    await store.plan(report.key, parts)
    await delivery.deliver(parts[0].delivery, lobby.answering.courier)
    answers = await lobby.answered("为什么？", thread="1", about="1")
    assert answers[-1] == ZH("error.which_paper", near="2602.00001", question="为什么？")
    named = await lobby.ask("2602.00002 为什么？", thread="1", about="1")
    assert named.requests[0].paper == "2602.00002"
    await lobby.settle(named)
    later = await lobby.ask("那又怎样？", thread="1", about="1")
    assert later.requests[0].paper == "2602.00002", "the last paper of the talk"


async def test_a_thread_that_a_question_opens_is_its_talk(lobby: Lobby):
    thread = replace(CHAT, thread="77")
    first = await lobby.ask("/deepdive 2602.00001", address=thread, message="77")
    assert first.requests[0].conversation == f"{CHAT}/77"
    await lobby.settle(first)
    later = await lobby.ask("why?", address=thread, thread="77", message="80")
    assert later.requests[0].paper == "2602.00001"
    await lobby.settle(later)


# --- search, status, help


async def test_what_was_scored_is_found(lobby: Lobby, store: SqliteStore):
    await store.keep_ranking(a_ranking(5, 0))
    title = a_paper(2).title
    answers = await lobby.answered(f"/search {title.split()[0]}")
    assert answers == [ZH("search.title", words=title.split()[0])]


async def test_status_and_help_answer_everybody(lobby: Lobby):
    assert (await lobby.answered("/status"))[-1] == ZH("status.title")
    assert (await lobby.answered("/help"))[-1] == ZH("help.title")


async def test_status_counts_no_line_that_is_about_to_be_said(lobby: Lobby, store: SqliteStore):
    line = replace(a_request(), key="t/1", command=SAY.name, job="say:t/1", address=CHAT, asked_at=NOW)
    assert await store.admit([line])
    assert (await lobby.ask("/status")).requests
    await until(lambda: _says(lobby, ZH("status.title")))


# --- administrators


async def test_an_administrator_makes_the_report_now(lobby: Lobby):
    answers = await lobby.answered("/report 2026-02-25", user=ADMIN)
    assert ZH("done.reported", day="2026-02-25", state=ZH("cli.state_sent"), parts=3) in answers
    lobby.clock.time += timedelta(seconds=1)
    answers = await lobby.answered("/report 2026-02-25", user=ADMIN)
    assert answers[-1] == ZH("done.reported_before", day="2026-02-25", state=ZH("cli.state_sent"), parts=3)
    assert len([line for line in answers if "2026-02-25" in line and "CV" in line]) == 1, "posted once"


async def test_the_report_of_a_chat_that_the_settings_name_in_another_way_is_made(store: SqliteStore):
    named, before = Address(PlatformName.TELEGRAM, "@vision"), Address(PlatformName.TELEGRAM, "-9")
    plans = (a_plan("by-name", address=named), a_plan("before", address=before))
    chats = Chats(plans, a_profile(), "zh", "UTC", frozenset(), frozenset([ADMIN]))
    made = ZH("done.reported", day="2026-02-25", state=ZH("cli.state_sent"), parts=3)
    async with a_lobby(store, chats=chats) as lobby:
        await lobby.desk.moved(before, "-1009")
        for target, name in (("-1005", "@vision"), ("-1009", "")):
            address = Address(PlatformName.TELEGRAM, target)
            assert made in await lobby.answered("/report", user=ADMIN, address=address, chat_name=name)
        assert ZH("digest.title", day=DAY) in shown(lobby.room(named))


async def test_an_administrator_cancels_what_somebody_asked(lobby: Lobby):
    lobby.analyst.gate.clear()
    taken = await lobby.ask("/deepdive 2602.00001")
    await lobby.answered(f"/cancel {taken.requests[0].code}", user=ADMIN)
    await lobby.settle(taken)
    assert ZH("request.cancelled") in lobby.room().answers
    assert ZH("done.cancelled_other", code=taken.requests[0].code) in lobby.room().answers
    assert (await lobby.answered("/cancel nobody", user=ADMIN))[-1] == ZH("error.unknown_code", code="nobody")


async def test_an_administrator_sends_again_what_had_failed(lobby: Lobby, store: SqliteStore):
    answers = await lobby.answered("/retry", user=ADMIN)
    assert answers[-1] == ZH("done.retry_nothing")
    report = a_report()
    parts = delivery.plan(report.key, lobby.room(), lobby.desk.means.daily.documents(report), name="team", now=NOW)
    await store.plan(report.key, parts)
    later = NOW + timedelta(seconds=30)
    assert await store.claim(parts[1].key, "me", NOW, later)
    assert await store.record(parts[1].key, "me", PartState.FAILED, error="refused")
    answers = await lobby.answered("/retry", user=ADMIN)
    assert ZH("done.retried", count=1) in answers


async def in_doubt(lobby: Lobby, edition: int = 1) -> Part:
    """A report whose second part nobody knows of."""
    report = replace(a_report().key, edition=edition)
    documents = lobby.desk.means.daily.documents(a_report(key=report))
    parts = delivery.plan(report, lobby.room(), documents, name="team", now=NOW)
    await lobby.store.plan(report, parts)
    for part, end in zip(parts, (PartState.SENT, PartState.UNKNOWN, PartState.SENT), strict=True):
        assert await lobby.store.claim(part.key, "me", NOW, NOW + timedelta(seconds=30))
        assert await lobby.store.record(part.key, "me", end)
    found = await lobby.store.part(parts[1].key)
    assert found is not None
    return found


async def state_of(lobby: Lobby, part: Part) -> PartState:
    found = await lobby.store.part(part.key)
    assert found is not None
    return found.state


def on_the_button(word: str, part: Part, about: str = "77") -> dict[str, object]:
    return {"text": f"settle {word} {part.code} {part.attempts}", "tap": True, "aside": True, "about": about}


@pytest.mark.parametrize("word", ["send", "drop"])
async def test_only_administrators_settle_what_nobody_knows(lobby: Lobby, word: str):
    part = await in_doubt(lobby)
    taken = await lobby.ask(**on_the_button(word, part))  # type: ignore[arg-type]  # by name
    assert taken.line == ZH("error.admins_only")
    assert taken.view is None
    assert await state_of(lobby, part) is PartState.UNKNOWN


async def test_a_part_in_doubt_is_dropped_by_a_tap_and_tapped_again_nothing_happens(lobby: Lobby):
    part = await in_doubt(lobby)
    taken = await lobby.ask(**on_the_button("drop", part), user=ADMIN)  # type: ignore[arg-type]  # by name
    assert taken.line == ZH("done.settled_drop", code=part.code)
    assert taken.view is not None
    assert (taken.edits, taken.view.buttons) == ("77", ()), "the message says what was done, without its buttons"
    assert await state_of(lobby, part) is PartState.DROPPED
    for word in ("send", "drop"):
        again = await lobby.ask(**on_the_button(word, part), user=ADMIN)  # type: ignore[arg-type]  # by name
        assert (again.line, again.view) == (ZH("done.settled_before", code=part.code), None)
    assert await state_of(lobby, part) is PartState.DROPPED


async def test_a_part_in_doubt_is_sent_again_once_however_often_it_is_tapped(lobby: Lobby):
    part = await in_doubt(lobby)
    taps = [lobby.ask(**on_the_button("send", part), user=ADMIN) for _ in range(5)]  # type: ignore[arg-type]  # by name
    lines = [taken.line for taken in await asyncio.gather(*taps)]
    assert sorted(lines) == sorted(
        [ZH("done.settled_send", code=part.code), *[ZH("done.settled_before", code=part.code)] * 4]
    )
    await until_sent(lobby, part)
    assert lobby.room().log.count(f"post {part.message.payload}") == 1


async def until_sent(lobby: Lobby, part: Part) -> None:
    async def sent() -> bool:
        return await state_of(lobby, part) is PartState.SENT

    await until(sent)


async def test_a_button_is_about_the_doubt_that_it_stood_under_and_not_about_a_later_one(lobby: Lobby):
    part = await in_doubt(lobby)
    lobby.room().faults += [SendError("no answer", Outcome.UNKNOWN)] * 2  # the send, and showing what was said
    await lobby.ask(**on_the_button("send", part), user=ADMIN)  # type: ignore[arg-type]  # by name

    async def in_doubt_again() -> bool:
        found = await lobby.store.part(part.key)
        return found is not None and (found.state, found.attempts) == (PartState.UNKNOWN, part.attempts + 1)

    await until(in_doubt_again)
    late = await lobby.ask(**on_the_button("send", part), user=ADMIN)  # type: ignore[arg-type]  # by name
    assert late.line == ZH("done.settled_before", code=part.code)
    assert await in_doubt_again()


async def test_the_status_shows_administrators_what_nobody_knows_and_is_shown_anew_when_it_is_settled(lobby: Lobby):
    parts = [await in_doubt(lobby, number) for number in (1, 2)]
    request = a_request(command="status", user=ADMIN, address=CHAT)
    shown = await standing(lobby.desk.means, request)
    assert [button.action for button in shown.buttons] == [
        f"settle {word} {part.code} 1" for part in reversed(parts) for word in ("send", "drop")
    ]
    assert not (await standing(lobby.desk.means, replace(request, user=USER))).buttons
    await lobby.answered("/status", user=ADMIN)
    place = list(lobby.room().seen)[-1]
    taken = await lobby.ask(**on_the_button("drop", parts[0], place), user=ADMIN)  # type: ignore[arg-type]  # by name
    assert taken.view is not None
    assert (taken.edits, taken.view.key) == (place, compose.STATUS)
    assert {button.action.split()[2] for button in taken.view.buttons} == {parts[1].code}


async def test_a_forged_button_changes_no_message_of_a_report(lobby: Lobby):
    part = await in_doubt(lobby)
    await lobby.answered("/help")
    help_ = list(lobby.room().seen)[-1]
    taken = await lobby.ask(**on_the_button("drop", part, help_), user=ADMIN)  # type: ignore[arg-type]  # by name
    assert (taken.line, taken.view) == (ZH("done.settled_drop", code=part.code), None)


async def test_a_code_can_be_typed_to_send_again_or_to_drop(lobby: Lobby):
    part = await in_doubt(lobby)
    assert (await lobby.answered("/retry zzzzzz", user=ADMIN))[-1] == ZH("error.unknown_code", code="zzzzzz")
    answers = await lobby.answered(f"/retry {part.code.upper()}", user=ADMIN)
    assert ZH("done.settled_send", code=part.code) in answers
    await until_sent(lobby, part)
    other = await in_doubt(lobby, 2)
    assert ZH("done.settled_drop", code=other.code) in await lobby.answered(f"/cancel {other.code}", user=ADMIN)
    assert await state_of(lobby, other) is PartState.DROPPED


def test_what_other_chats_read_is_told_in_private_alone():
    [part] = [replace(one, message=Message(PartKind.POST, "digest", '{"text": "R&amp;D"}')) for one in [a_part()]]
    places = [CHAT, PRIVATE, STRANGE, Address(PlatformName.SLACK, "D0BOSS"), Address(PlatformName.SLACK, "C0LAB")]
    assert [doubts([part], place)[0].words for place in places] == ["R&D", "R&D", "", "R&D", ""]


def a_part() -> Part:
    return Part("2026-02-25/default.zh@x~0", "2026-02-25/default.zh@x", 0, "team", CHAT, Message(PartKind.POST, "", ""))


async def test_a_deep_dive_is_written_anew_for_administrators_only(lobby: Lobby):
    await lobby.answered("/deepdive 2602.00001")
    taken = await lobby.ask("again 2602.00001 zh", tap=True, aside=True, about="1")
    assert taken.line == ZH("error.admins_only")
    taken = await lobby.ask("again 2602.00001 zh", tap=True, aside=True, about="1", user=ADMIN)
    assert taken.requests[0].job.endswith(":again")
    await lobby.settle(taken)
    assert lobby.analyst.read == ["2602.00001", "2602.00001"]


@pytest.mark.parametrize(
    "text", ["ask 2602.00001 buy my coins?", "/search buy my coins", "top", "help", "deepdive 2602.00001 2602.00002 zh"]
)
async def test_a_forged_tap_does_no_more_than_our_buttons(lobby: Lobby, text: str):
    taken = await lobby.ask(text, tap=True, aside=True, about="1")
    assert (taken.line, taken.requests) == (ZH("error.input"), ())
    assert (await lobby.ask("deepdive 2602.00001 zh", tap=True, aside=True, about="1")).requests


async def test_a_button_that_is_tapped_twice_is_answered_once(lobby: Lobby):
    lobby.analyst.gate.clear()
    first = await lobby.ask("deepdive 2602.00001 zh", tap=True, aside=True, about="1")
    again = await lobby.ask("deepdive 2602.00001 zh", tap=True, aside=True, about="1", user="telegram:43")
    assert (again.requests, again.line) == ((), ZH("done.already"))
    lobby.analyst.gate.set()
    await lobby.settle(first)
    assert len(lobby.room().seen) == 1


async def test_in_slack_most_commands_are_typed_behind_the_umbrella(lobby: Lobby):
    place = Address(PlatformName.SLACK, "C0PAPERS")
    chats = replace(lobby.desk.means.chats, allowed=frozenset([str(place)]))
    lobby.desk.means = replace(lobby.desk.means, chats=chats)
    taken = await lobby.ask("/cancel", address=place, user="slack:U1", aside=True)
    assert taken.line == ZH("error.admins_only")
    assert "/paperboy status" in words_of("zh", PlatformName.SLACK)("error.unknown_code", code="x")
    assert "/paperboy help" in words_of("en", PlatformName.SLACK)("error.unknown_command", name="x")
    assert "/deepdive 2602.19089" in words_of("en", PlatformName.SLACK)("error.no_id")
    own = {command.name for command in COMMANDS if not command.slash}
    assert all(UNDER_UMBRELLA.fullmatch(f"/{name}") for name in own)
    assert not any(UNDER_UMBRELLA.fullmatch(f"/{command.name}") for command in COMMANDS if command.slash)


async def test_votes_are_kept(lobby: Lobby, store: SqliteStore):
    taken = await lobby.ask("vote up 2602.00001", tap=True, aside=True, about="1")
    assert taken.line == ZH("done.voted")
    await lobby.ask("vote down 2602.00001", tap=True, aside=True, about="1")
    assert [(vote.paper, vote.value) for vote in await store.votes("default")] == [("2602.00001", -1)]


# --- what happens to chats


async def test_a_removed_bot_is_noticed_once_and_posts_again_when_it_is_back(lobby: Lobby, store: SqliteStore):
    for _ in range(2):
        await lobby.desk.left(CHAT, "kicked")
    assert await store.closed(CHAT) == "kicked"
    assert [trouble.key for trouble in lobby.told] == ["operator.left"]
    await lobby.desk.arrived(CHAT, may_post=True)
    assert await store.closed(CHAT) is None


async def test_what_a_chat_missed_is_made_up_when_the_bot_is_back(lobby: Lobby, store: SqliteStore):
    key = await missed(lobby, store)
    await lobby.desk.arrived(CHAT, may_post=True)
    assert {part.state for part in await store.delivery(key)} == {PartState.PLANNED}


async def test_what_a_chat_missed_is_made_up_when_somebody_asks_there(lobby: Lobby, store: SqliteStore):
    key = await missed(lobby, store)
    taken = await lobby.ask("/help")

    async def made_up() -> bool:
        return {part.state for part in await store.delivery(key)} == {PartState.PLANNED}

    await until(made_up)
    assert await store.closed(CHAT) is None
    assert taken.requests


async def test_what_a_chat_missed_is_counted_and_sent_by_retry(lobby: Lobby, store: SqliteStore):
    key = await missed(lobby, store)
    answers = await lobby.answered("/retry", user=ADMIN)
    assert ZH("done.retried", count=1) in answers
    assert {part.state for part in await store.delivery(key)} == {PartState.SENT}


async def missed(lobby: Lobby, store: SqliteStore) -> str:
    """A report that came while the chat was closed; gives its delivery's key."""
    await store.close(CHAT, "kicked")
    parts = delivery.plan(
        ReportKey(DAY, "default", "zh"), lobby.room(), (compose.line("report", ZH),), name="team", now=lobby.clock.now()
    )
    await store.plan(None, parts)
    await delivery.deliver(parts[0].delivery, lobby.answering.courier)
    assert {part.state for part in await store.delivery(parts[0].delivery)} == {PartState.FAILED}
    return parts[0].delivery


async def test_a_chat_with_a_new_id_is_still_the_one_of_the_settings(lobby: Lobby, store: SqliteStore):
    moved = Address(PlatformName.TELEGRAM, "-100888")
    await lobby.desk.moved(CHAT, moved.target)
    await lobby.desk.left(moved, "the bot was removed")
    assert await store.closed(moved) == "the bot was removed"
    await lobby.desk.arrived(moved, may_post=True)
    assert await store.closed(moved) is None
    assert [trouble.key for trouble in lobby.told] == ["operator.moved", "operator.left"]


async def test_a_channel_that_the_settings_name_is_known_when_the_bot_comes_and_goes(store: SqliteStore):
    named = a_plan(address=Address(PlatformName.TELEGRAM, "@vision"))
    chats = Chats((named,), a_profile(), "zh", "UTC", frozenset(), frozenset())
    async with a_lobby(store, chats=chats) as lobby:
        await lobby.desk.arrived(STRANGE, may_post=True, name="@vision")
        assert lobby.told == []
        await lobby.desk.left(STRANGE, "kicked", name="@vision")
        assert await store.closed(named.address) == "kicked"


async def test_a_chat_that_nobody_set_up_is_told_to_the_operator_once(lobby: Lobby):
    for _ in range(2):
        await lobby.desk.arrived(STRANGE, may_post=True)
    assert [trouble.key for trouble in lobby.told] == ["operator.stranger"]


async def test_a_store_in_trouble_breaks_no_event(lobby: Lobby, monkeypatch: pytest.MonkeyPatch, caplog):
    async def broken(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(lobby.store, "move", broken)  # a full disk cannot be had otherwise
    await lobby.desk.moved(CHAT, "-100888")
    assert "chat event not handled" in caplog.text


async def test_the_home_page_shows_the_last_digest_and_the_settings(lobby: Lobby, store: SqliteStore):
    assert ZH("home.none") in str(await lobby.desk.home("slack:U1", "zh"))
    await store.keep_report(a_report())
    page = await lobby.desk.home("slack:U1", "en-US")
    assert page.language == "en"
    assert EN("digest.ranking") in str(page)
    assert "Image Restoration" in str(page)


def test_the_menu_names_admin_commands_to_administrators_only():
    desk = FrontDesk.__new__(FrontDesk)
    names = [name for name, _ in FrontDesk.menu(desk, "en", admin=False)]
    assert names == ["deepdive", "top", "ask", "search", "status", "help"]
    assert [name for name, _ in FrontDesk.menu(desk, "zh", admin=True)][-3:] == ["report", "retry", "cancel"]
