"""The commands about papers: deep dives, rankings, questions, and what was scored before."""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from bot import delivery, schedule, texts
from bot.answering import Answered
from bot.errors import InputError
from bot.interfaces import Brief, Progress
from bot.limits import next_day
from bot.models import ArxivId, DeepDive, Exchange, Meter, Ranked, Ranking
from bot.ranking import order
from bot.report import compose
from bot.report.document import Document, Note, Span
from bot.requests import Request
from handlers import parsing
from handlers.asked import Asked
from handlers.means import Chat, Draft, Means, Place, clock_time, words_of

AGAIN = "again"  # a deep dive that is to be written anew
SPENT = "failure.budget"
REMEMBERED = 4  # exchanges of a talk
FOUND_SHOWN = 10  # papers that a search shows
FOUND_COUNTED = 200  # more than that nobody counts
WORDS_SEARCHED = 8


# --- /deepdive


async def draft_deepdive(means: Means, asked: Asked, chat: Chat, rest: str) -> tuple[Draft, ...]:
    """One request a paper."""
    del means
    again = parsing.again(asked.text) if asked.tap else None
    dives = again or parsing.deepdive(rest, asked.quoted)
    language = dives.language or chat.language
    return tuple(
        Draft(
            AGAIN if again else "",
            paper=str(paper),
            job=f"deepdive:{paper}:{chat.profile.name}:{language}" + (f":{AGAIN}" if again else ""),
            language=language,
        )
        for paper in dives.papers
    )


async def is_kept(means: Means, request: Request) -> bool:
    """Is the deep dive there already? Then whoever asks for it spends nothing."""
    brief = Brief(means.profile(request), request.language, Meter())
    found = None if request.text == AGAIN else await means.ondemand.kept_deep_dive(ArxivId.parse(request.paper), brief)
    return found is not None


async def deepdive(means: Means, request: Request, progress: Progress) -> Answered:
    """Reads a paper for the chat's team; what was read before is not read again."""
    anew = request.text == AGAIN
    brief = Brief(means.profile(request), request.language, Meter(), fresh=anew, progress=progress)
    paper = ArxivId.parse(request.paper)
    kept = None if anew else await means.ondemand.kept_deep_dive(paper, brief)
    dive = kept or await means.ondemand.deep_dive(paper, brief)
    words = words_of(request.language, request.address.platform)
    document = compose.deep_dive(dive, words)
    if SPENT in dive.flags:
        document = await _with_budget_note(document, means, request)
    return Answered((document,), said=_gist(dive), free=kept is not None)


def _gist(dive: DeepDive) -> str:
    first = next((point.text for section in dive.sections for point in section.points), "")
    return f"{dive.paper.title}: {first}"[:600]


async def _with_budget_note(document: Document, means: Means, request: Request) -> Document:
    """When there is money again."""
    at = clock_time(next_day(means.clock.now()), await means.timezone_of(request))
    note = Note((Span(words_of(request.language, request.address.platform)("limit.budget", at=at)),), "warning")
    return replace(document, blocks=(document.blocks[0], note, *document.blocks[1:]))


# --- /top


async def draft_top(means: Means, asked: Asked, chat: Chat, rest: str) -> tuple[Draft, ...]:
    """What cannot be understood is said before anything is stored."""
    del asked
    wanted = parsing.top(rest, means.clock.now().date())
    language = wanted.language or chat.language
    day = wanted.day or await means.store.newest_ranking_day(chat.profile.name)
    is_known = day and not wanted.week and await means.ondemand.known_top(chat.profile, language, day)
    return (Draft(rest, language=language, costs=not is_known),)


async def is_ranked(means: Means, request: Request) -> bool:
    """Is the ranking there already?"""
    wanted, profile = parsing.top(request.text, request.asked_at.date()), means.profile(request)
    day = wanted.day or await means.store.newest_ranking_day(profile.name)
    return (
        not wanted.week
        and day is not None
        and await means.ondemand.known_top(profile, request.language, day) is not None
    )


async def top(means: Means, request: Request, progress: Progress) -> Answered:
    """The first page of a ranking, of a day or of the last seven lists."""
    wanted = parsing.top(request.text, request.asked_at.date())
    words, profile = words_of(request.language, request.address.platform), means.profile(request)
    if wanted.week:
        return await _week(means, request, wanted.count, progress)
    day = wanted.day or await means.newest_day(profile)
    known = await means.ondemand.known_top(profile, request.language, day)
    ranking = known or await means.ondemand.top(profile, request.language, day, progress)
    if not ranking.entries:
        return Answered((compose.line(words("note.no_list", day=ranking.day), words),))
    shown = compose.Page(str(day), count=wanted.count)
    return Answered((compose.page(ranking, words, shown),), free=known is not None)


async def _week(means: Means, request: Request, count: int | None, progress: Progress) -> Answered:
    until = schedule.default_day(request.asked_at, means.list_day)
    profile, words = means.profile(request), words_of(request.language, request.address.platform)
    known = await means.ondemand.known_week(profile, request.language, until)
    rankings = await means.ondemand.week(profile, request.language, until, progress)
    if not rankings:
        raise InputError("no list this week", key="note.no_list", day=str(until))
    ranking, days = merged(rankings)
    shown = compose.Page(compose.week_of(until), count=count, days=days)
    return Answered((compose.page(ranking, words, shown),), free=len(known) == len(rankings))


def merged(rankings: Sequence[Ranking]) -> tuple[Ranking, dict[str, date]]:
    """Rankings of several days as one, each paper once, and the day of each; `rankings` are newest first."""
    days: dict[str, date] = {}
    entries: dict[str, Ranked] = {}
    for ranking in rankings:
        for entry in ranking.entries:
            name = entry.paper.arxiv_id.id
            if name not in entries or (entries[name].score is None and entry.score):
                entries[name], days[name] = entry, ranking.day
    return (
        replace(
            rankings[0],
            entries=order(tuple(entries.values())),
            listed=sum(ranking.listed for ranking in rankings),
            skipped=sum(ranking.skipped for ranking in rankings),
        ),
        days,
    )


async def turned(means: Means, chat: Chat, turn: parsing.PageTurn) -> Document | None:
    """Another page of a ranking that is known; None where it is not (the message is older than the store)."""
    words, days = texts.load(turn.language), dict[str, date]()
    if turn.week:
        known = await means.ondemand.known_week(chat.profile, turn.language, turn.day)
        ranking, days = merged(known) if known else (None, days)
    else:
        ranking = await means.store.ranking(turn.day, chat.profile.name, turn.language)
    if ranking is None or not ranking.entries:
        return None
    return compose.page(ranking, words, compose.Page(turn.of, turn.first, turn.count, days=days))


# --- /ask


async def draft_ask(means: Means, asked: Asked, chat: Chat, rest: str) -> tuple[Draft, ...]:
    """The paper is named, or it is the one that the message or thread is about."""
    del chat
    asking = parsing.ask(rest)
    place = await _place(means, asked)
    named = (asking.paper,) if asking.paper else place.papers or ArxivId.all_in(asked.quoted)
    if not named and ArxivId.near(rest):
        raise parsing.unknown_id(rest)
    if not named:
        raise InputError("no paper", key="error.no_paper_here")
    if len(named) > 1:
        raise InputError("several papers", key="error.which_paper", near=str(named[0]), question=asking.question[:60])
    return (Draft(asking.question, paper=str(named[0]), conversation=place.conversation),)


async def _place(means: Means, asked: Asked) -> Place:
    """What the message that is replied to, or the thread, is about: its own paper, else that of the talk so far."""
    chat, anchor = asked.address.chat, asked.about if asked.about != asked.message else ""
    anchor = anchor or asked.thread
    part = await means.store.part_posted_as(chat, anchor) if anchor else None
    earlier = await means.store.request(delivery.request_of(part.delivery)) if part else None
    conversation = conversation_of(asked)
    if earlier:
        talk = earlier.conversation or conversation
        return Place((ArxivId.parse(earlier.paper),) if earlier.paper else (), talk)
    if part and (own := ArxivId.all_in(part.message.document)):
        return Place(own, conversation)
    if conversation and (said := await means.store.talk(conversation, REMEMBERED)) and said[-1].paper:
        return Place((ArxivId.parse(said[-1].paper),), conversation)
    parts = await means.store.delivery(part.delivery) if part else ()
    ids = dict.fromkeys(paper for one in parts for paper in ArxivId.all_in(one.message.document))
    return Place(tuple(ids), conversation)


def conversation_of(asked: Asked) -> str:
    """The talk that a message belongs to: its thread or the one it opens, what it replies to, or a private chat."""
    within = asked.thread or asked.address.thread or asked.about
    if within:
        return f"{asked.address.chat}/{within}"
    return str(asked.address.chat) if asked.private else ""


async def ask(means: Means, request: Request, progress: Progress) -> Answered:
    """Answers from the paper's full text, with what was said in the same talk before."""
    brief = Brief(means.profile(request), request.language, Meter(), progress=progress)
    paper = ArxivId.parse(request.paper)
    talk = await means.store.talk(request.conversation, REMEMBERED) if request.conversation else ()
    earlier = tuple(
        Exchange(one.text, one.said)
        for one in talk
        if one.command == "ask" and ArxivId.parse(one.paper).id == paper.id and one.said
    )
    answer = await means.ondemand.ask(paper, request.text, earlier, brief)
    words = words_of(request.language, request.address.platform)
    document = compose.answer(answer, words)
    if SPENT in answer.flags:
        document = await _with_budget_note(document, means, request)
    return Answered((document,), said=compose.said(answer, words), free=brief.meter.usage.cached > 0)


# --- /search


async def draft_search(means: Means, asked: Asked, chat: Chat, rest: str) -> tuple[Draft, ...]:
    """Words as they would be folded in the store."""
    del means, asked, chat
    if not searched(rest):
        raise InputError("no words", key="error.no_words")
    return (Draft(rest[: parsing.QUESTION_CHARACTERS]),)


def searched(text: str) -> tuple[str, ...]:
    """The words that are looked for, without signs around them."""
    words = (word.strip("“”\"'，,。.;；:：!?！？()（）[]【】") for word in unicodedata.normalize("NFKC", text).split())
    return tuple(dict.fromkeys(word for word in words if any(map(str.isalnum, word))))[:WORDS_SEARCHED]


async def search(means: Means, request: Request, progress: Progress) -> Answered:
    """Among the papers that this profile's reports ever scored."""
    del progress
    words = words_of(request.language, request.address.platform)
    entries = await means.ondemand.search(request.profile, searched(request.text), FOUND_COUNTED)
    shown = found_in(entries[:FOUND_SHOWN])
    return Answered((compose.found(request.text, shown, len(entries), words),))


def found_in(entries: Sequence[tuple[date, Ranked]]) -> tuple[compose.Found, ...]:
    """What a list of papers shows of each."""
    return tuple(
        compose.Found(
            day,
            entry.paper.arxiv_id.id,
            entry.paper.arxiv_id.abs_url,
            entry.paper.title,
            entry.score.value if entry.score else None,
        )
        for day, entry in entries
    )
