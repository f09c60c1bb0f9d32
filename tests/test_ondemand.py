from dataclasses import replace

import pytest

from bot.errors import InputError, NotFoundError
from bot.interfaces import Brief
from bot.models import AnalystKind, ArxivId, Basis, Exchange, FullText, Meter, Paper
from bot.ondemand import OnDemand
from bot.store.sqlite import SqliteStore
from tests.fakes import a_day_list, a_full_text, a_profile
from tests.test_reporter import KnownPapers, ScriptedAnalyst, a_reporter


class Versions:
    """Every version that is asked for, the latest being 4."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def fetch(self, paper: Paper) -> FullText:
        self.asked.append(str(paper.arxiv_id))
        read = replace(paper.arxiv_id, version=paper.arxiv_id.version or 4)
        return replace(a_full_text(paper), arxiv_id=read, basis=Basis.HTML)


@pytest.fixture
async def store(tmp_path):
    async with SqliteStore.open(tmp_path / "paperboy.db") as opened:
        await opened.keep_list(a_day_list(2))
        yield opened


def a_brief() -> Brief:
    return Brief(a_profile(), "zh", Meter())


async def test_a_listed_paper_is_read_in_its_latest_version(store):
    texts = Versions()
    ondemand = OnDemand(a_reporter(store, ScriptedAnalyst(), full_texts=texts))
    dive = await ondemand.deep_dive(ArxivId("2602.00001"), a_brief())
    assert texts.asked == ["2602.00001"]
    assert str(dive.paper.arxiv_id) == "2602.00001v4"


async def test_a_version_that_is_asked_for_is_the_one_that_is_read(store):
    texts = Versions()
    ondemand = OnDemand(a_reporter(store, ScriptedAnalyst(), full_texts=texts, metadata=KnownPapers()))
    dive = await ondemand.deep_dive(ArxivId("2602.00001", 2), a_brief())
    assert texts.asked[-1] == "2602.00001v2"
    assert str(dive.paper.arxiv_id) == "2602.00001v2"


async def test_a_question_is_answered_from_the_version_that_is_read_with_the_talk_before_it(store):
    analyst = ScriptedAnalyst()
    ondemand = OnDemand(a_reporter(store, analyst, full_texts=Versions()))
    talk = [Exchange("Which loss?", "An L1 loss.")]
    made = await ondemand.ask(ArxivId("2602.00001"), "How many GPUs?", talk, a_brief())
    [question] = analyst.questions
    assert (question.text, question.earlier) == ("How many GPUs?", tuple(talk))
    assert str(made.paper.arxiv_id) == "2602.00001v4"
    assert (made.analyst, made.basis, made.flags) == (AnalystKind.MODEL, Basis.HTML, ())


async def test_an_answer_that_the_model_cannot_give_is_extractive_and_says_why(store):
    ondemand = OnDemand(a_reporter(store, ScriptedAnalyst(unreadable={"2602.00001"})))
    made = await ondemand.ask(ArxivId("2602.00001"), "How many GPUs?", (), a_brief())
    assert (made.analyst, made.flags) == (AnalystKind.EXTRACTIVE, ("failure.ungrounded",))


async def test_without_a_model_an_answer_is_extractive_and_nothing_is_amiss(store):
    made = await OnDemand(a_reporter(store)).ask(ArxivId("2602.00001"), "How many GPUs?", (), a_brief())
    assert (made.analyst, made.flags) == (AnalystKind.EXTRACTIVE, ())


async def test_a_question_without_words_and_a_paper_that_nobody_knows_are_refused(store):
    ondemand = OnDemand(a_reporter(store, ScriptedAnalyst()))
    with pytest.raises(InputError) as caught:
        await ondemand.ask(ArxivId("2602.00001"), " \u200b\n", (), a_brief())
    assert caught.value.key == "ask.no_question"
    with pytest.raises(NotFoundError):
        await ondemand.ask(ArxivId("2602.09999"), "How many GPUs?", (), a_brief())


async def test_whoever_waits_hears_of_the_fetching(store):
    told = []
    brief = replace(a_brief(), progress=lambda *step: told.append(step))
    ondemand = OnDemand(a_reporter(store, ScriptedAnalyst()))
    await ondemand.deep_dive(ArxivId("2602.00001"), brief)
    await ondemand.ask(ArxivId("2602.00001"), "How many GPUs?", (), brief)
    assert told == [("fetch", 0, 1)] * 2
