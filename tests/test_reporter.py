import asyncio
from dataclasses import replace
from datetime import date, timedelta

import pytest

from bot.errors import ModelError, SourceError
from bot.extras import version_note
from bot.interfaces import Brief
from bot.lists import DayLists
from bot.models import (
    AnalystKind,
    Answer,
    ArxivId,
    Basis,
    DayList,
    DeepDive,
    FullText,
    Paper,
    Question,
    Report,
    Score,
    Usage,
)
from bot.ranking import Rules
from bot.reporter import Edition, Reporter
from bot.sources.fulltext import AbstractTexts
from bot.store.sqlite import SqliteStore
from tests.fakes import (
    DAY,
    FakeClock,
    a_day_list,
    a_deep_dive,
    a_full_text,
    a_paper,
    a_profile,
    a_score,
    an_answer,
    wait_until,
)

EMPTY = a_day_list(0)


class ScriptedAnalyst:
    """Scores by a table of ID -> value or error; deep-dives everything but what is in `unreadable`."""

    def __init__(self, kind=AnalystKind.MODEL, values=None, unreadable=()):
        self.kind = kind
        self.model = "fake/model" if kind is AnalystKind.MODEL else ""
        self.values = values or {}
        self.unreadable = set(unreadable)
        self.scored: list[tuple[str, str, bool]] = []
        self.read: list[str] = []
        self.kept: dict[tuple[str, str], DeepDive] = {}
        self.questions: list[Question] = []

    def prompts(self, language: str) -> tuple[str, ...]:
        return (f"score.{language}@1#00000000",) if self.model else ()

    async def score(self, paper: Paper, brief: Brief) -> Score:
        self.scored.append((paper.arxiv_id.id, brief.language, brief.fresh))
        brief.meter.add(Usage(calls=1))
        value = self.values.get(paper.arxiv_id.id, 70)
        if isinstance(value, ModelError):
            raise value
        return a_score(value, reason=f"{self.kind} {brief.language}", analyst=self.kind, model=self.model)

    async def kept_deep_dive(self, paper: Paper, full_text: FullText, brief: Brief) -> DeepDive | None:
        return self.kept.get((paper.arxiv_id.id, brief.language))

    async def deep_dive(self, paper: Paper, full_text: FullText, brief: Brief) -> DeepDive:
        self.read.append(paper.arxiv_id.id)
        await asyncio.sleep(0)
        if paper.arxiv_id.id in self.unreadable or "*" in self.unreadable:
            raise ModelError("no", key="failure.ungrounded")
        return a_deep_dive(paper, language=brief.language, analyst=self.kind, basis=full_text.basis, model=self.model)

    async def answer(self, question: Question, full_text: FullText, brief: Brief) -> Answer:
        self.questions.append(question)
        if question.paper.arxiv_id.id in self.unreadable or "*" in self.unreadable:
            raise ModelError("no", key="failure.ungrounded")
        made = an_answer(question.paper, question=question.text, language=brief.language)
        return replace(made, analyst=self.kind, basis=full_text.basis, model=self.model)


class ListedDays:
    name = "huggingface"

    def __init__(self, days: dict[date, DayList | SourceError]):
        self.days = days
        self.asked: list[date] = []

    async def list_day(self, day: date) -> DayList:
        self.asked.append(day)
        found = self.days.get(day, EMPTY)
        if isinstance(found, SourceError):
            raise found
        return DayList(day, found.papers, found.captured_at, found.skipped)


class KnownPapers:
    """arXiv's metadata, that answers after `wait`."""

    def __init__(self, wait: float = 0.0, error: SourceError | None = None):
        self.wait, self.error = wait, error

    async def papers(self, ids):
        await asyncio.sleep(self.wait)
        if self.error:
            raise self.error
        return {i.id: a_paper(arxiv_id=ArxivId(i.id, 3), categories=("cs.CV",), comment="12 pages") for i in ids}


@pytest.fixture
async def store(tmp_path):
    async with SqliteStore.open(tmp_path / "paperboy.db") as opened:
        yield opened


def a_reporter(store, analyst=None, days=None, **changes) -> Reporter:
    values = {
        "metadata": None,
        "full_texts": AbstractTexts(),
        "analyst": analyst,
        "extractive": ScriptedAnalyst(AnalystKind.EXTRACTIVE),
        "store": store,
        "clock": FakeClock(),
        "rules": Rules(papers=5),
    }
    source = changes.pop("source", None) or ListedDays({DAY: a_day_list(5)} if days is None else days)
    values |= changes
    return Reporter(lists=DayLists(source, store, values["clock"]), **values)


def an_edition(**changes) -> Edition:
    return Edition(**({"day": DAY, "profile": a_profile(), "language": "zh"} | changes))  # type: ignore[arg-type]  # builder: callers pass fields by name


def ids(report: Report) -> list[str]:
    return [entry.paper.arxiv_id.id for entry in report.ranking.entries]


def scores(report: Report) -> list[Score]:
    return [entry.score for entry in report.ranking.entries if entry.score]


async def publish(store: SqliteStore, report: Report) -> Report:
    return await store.keep_report(report)


async def test_a_report_scores_ranks_and_reads_the_best(store):
    analyst = ScriptedAnalyst(values={"2602.00003": 95, "2602.00002": 90, "2602.00001": 10})
    report = await a_reporter(store, analyst).report(an_edition())
    assert report.ranking.chosen == ("2602.00003", "2602.00002")
    assert [dive.paper.arxiv_id.id for dive in report.deep_dives] == ["2602.00003", "2602.00002"]
    assert report.analyst is AnalystKind.MODEL
    assert report.usage.calls == 5
    assert report.model == "fake/model"
    assert await store.report(DAY, "default", "zh") is None


async def test_a_paper_whose_score_fails_is_listed_as_failed(store):
    analyst = ScriptedAnalyst(values={"2602.00002": ModelError("slow", key="failure.timeout")})
    report = await a_reporter(store, analyst).report(an_edition())
    assert (report.ranking.scored, report.ranking.failed) == (4, 1)
    assert report.ranking.entries[-1].failure == "failure.timeout"


async def test_a_failing_deep_dive_falls_through_to_the_next_candidate(store):
    analyst = ScriptedAnalyst(values={"2602.00005": 95}, unreadable={"2602.00005"})
    report = await a_reporter(store, analyst).report(an_edition())
    assert report.ranking.chosen == ("2602.00001", "2602.00002")


async def test_when_no_deep_dive_succeeds_the_extractive_analyst_reads_the_best(store):
    analyst = ScriptedAnalyst(values={"2602.00005": 95}, unreadable={"*"})
    report = await a_reporter(store, analyst).report(an_edition())
    assert report.ranking.chosen == ("2602.00005", "2602.00001")
    assert {dive.analyst for dive in report.deep_dives} == {AnalystKind.EXTRACTIVE}
    assert report.analyst is AnalystKind.MODEL


async def test_when_no_paper_can_be_scored_the_extractive_analyst_takes_over(store):
    values = {f"2602.0000{n}": ModelError("down", key="failure.unavailable") for n in range(1, 6)}
    report = await a_reporter(store, ScriptedAnalyst(values=values)).report(an_edition())
    assert report.analyst is AnalystKind.EXTRACTIVE
    assert report.ranking.fallback == "failure.unavailable"
    assert (report.ranking.scored, report.ranking.failed) == (5, 0)


async def test_without_a_model_everything_is_extractive(store):
    report = await a_reporter(store).report(an_edition())
    assert (report.analyst, report.model, report.prompts) == (AnalystKind.EXTRACTIVE, "", ())


async def test_nothing_below_the_minimum_is_chosen(store):
    analyst = ScriptedAnalyst(values={f"2602.0000{n}": 59 for n in range(1, 6)})
    report = await a_reporter(store, analyst).report(an_edition())
    assert report.deep_dives == ()
    assert analyst.read == []


async def test_what_an_earlier_day_published_is_not_chosen_again(store):
    earlier = DAY - timedelta(days=1)
    reporter = a_reporter(store, ScriptedAnalyst(), {DAY: a_day_list(5), earlier: a_day_list(5)})
    previewed = await reporter.report(an_edition(day=earlier))
    assert (await reporter.report(an_edition())).ranking.chosen == previewed.ranking.chosen
    await publish(store, previewed)
    report = await reporter.report(an_edition())
    assert not set(report.ranking.chosen) & set(previewed.ranking.chosen)
    assert {e.reported_on for e in report.ranking.entries if e.paper.arxiv_id.id in previewed.ranking.chosen} == {
        earlier
    }


async def test_a_second_language_shares_scores_and_choice(store):
    analyst = ScriptedAnalyst(values={"2602.00003": 95})
    reporter = a_reporter(store, analyst)
    chinese = await publish(store, await reporter.report(an_edition()))
    analyst.values = {"2602.00001": 99}
    english = await reporter.report(an_edition(language="en"))
    assert english.ranking.chosen == chinese.ranking.chosen
    assert [score.value for score in scores(english)] == [score.value for score in scores(chinese)]
    assert {score.reason for score in scores(english)} == {"model en"}


async def test_a_second_language_reads_what_was_chosen_even_when_the_model_cannot(store):
    reporter = a_reporter(store, ScriptedAnalyst())
    chinese = await publish(store, await reporter.report(an_edition()))
    unable = a_reporter(store, ScriptedAnalyst(unreadable={"2602.00001"}))
    english = await unable.report(an_edition(language="en"))
    assert english.ranking.chosen == chinese.ranking.chosen
    assert [dive.analyst for dive in english.deep_dives] == [AnalystKind.EXTRACTIVE, AnalystKind.MODEL]


async def test_a_second_language_takes_the_first_ones_papers_too(store):
    days: dict[date, DayList | SourceError] = {DAY: a_day_list(3, captured_at=FakeClock().now() - timedelta(days=1))}
    reporter = a_reporter(store, ScriptedAnalyst(), days)
    chinese = await publish(store, await reporter.report(an_edition()))
    days[DAY] = a_day_list(5)
    english = await reporter.report(an_edition(language="en"))
    assert ids(english) == ids(chinese)
    assert english.ranking.listed == 3


async def test_a_second_language_without_its_model_keeps_the_models_scores_and_says_so(store):
    chinese = await publish(store, await a_reporter(store, ScriptedAnalyst()).report(an_edition()))
    down = ScriptedAnalyst(values={f"2602.0000{n}": ModelError("down", key="failure.timeout") for n in range(1, 6)})
    english = await a_reporter(store, down).report(an_edition(language="en"))
    assert [score.value for score in scores(english)] == [score.value for score in scores(chinese)]
    assert english.ranking.analyst is AnalystKind.MODEL
    assert {score.analyst for score in scores(english)} == {AnalystKind.EXTRACTIVE}
    assert english.ranking.fallback == "failure.timeout"


async def test_what_was_not_published_binds_no_other_language(store):
    failing = ScriptedAnalyst(values={f"2602.0000{n}": ModelError("down") for n in range(2, 6)} | {"2602.00001": 10})
    await a_reporter(store, failing).rank(an_edition())
    english = await a_reporter(store, ScriptedAnalyst()).report(an_edition(language="en"))
    assert english.ranking.failed == 0


async def test_another_profile_of_the_same_name_binds_nothing(store):
    await publish(store, await a_reporter(store, ScriptedAnalyst()).report(an_edition()))
    analyst = ScriptedAnalyst(values={"2602.00005": 99})
    changed = an_edition(language="en", profile=a_profile(interests=("Agents",)))
    assert (await a_reporter(store, analyst).report(changed)).ranking.chosen[0] == "2602.00005"


async def test_the_models_that_answered_are_named(store):
    mixed = ScriptedAnalyst()
    mixed.model = "other/model"
    report = await a_reporter(store, mixed).report(an_edition())
    assert report.model == "other/model"


async def test_asking_anew_ignores_what_other_languages_have(store):
    reporter = a_reporter(store, ScriptedAnalyst(values={"2602.00003": 95}))
    await publish(store, await reporter.report(an_edition()))
    analyst = ScriptedAnalyst(values={"2602.00001": 99})
    english = await a_reporter(store, analyst).report(an_edition(language="en", fresh=True, number=2))
    assert english.ranking.chosen[0] == "2602.00001"
    assert {fresh for _, _, fresh in analyst.scored} == {True}
    assert str(english.key).endswith("#2")


async def test_a_complete_list_is_asked_for_once(store):
    reporter = a_reporter(store, ScriptedAnalyst())
    await reporter.report(an_edition())
    await reporter.report(an_edition())
    assert reporter.lists.source.asked == [DAY]  # type: ignore[attr-defined]  # the scripted source


async def test_a_list_that_was_still_filling_is_asked_for_again_and_kept_for_bad_times(store):
    early = a_day_list(2, captured_at=FakeClock().now() - timedelta(days=1))
    days: dict[date, DayList | SourceError] = {DAY: early}
    reporter = a_reporter(store, ScriptedAnalyst(), days)
    assert len((await reporter.lists.of(DAY)).papers) == 2
    days[DAY] = SourceError("down")
    assert len((await reporter.lists.of(DAY)).papers) == 2
    days[DAY] = a_day_list(5)
    assert len((await reporter.lists.of(DAY)).papers) == 5


async def test_a_source_that_is_down_is_an_error_when_nothing_is_kept(store):
    with pytest.raises(SourceError):
        await a_reporter(store, days={DAY: SourceError("down")}).report(an_edition())


async def test_an_empty_day_walks_back_to_the_last_weekday_with_a_list(store):
    monday, friday = date(2026, 2, 23), date(2026, 2, 20)
    reporter = a_reporter(store, days={friday: a_day_list(3)})
    assert (await reporter.lists.newest(monday)).day == friday
    assert (await a_reporter(store, days={}).lists.newest(date(2026, 1, 5))).papers == ()


async def test_a_day_without_a_list_is_a_report_with_a_note(store):
    report = await a_reporter(store, days={}).report(an_edition())
    assert (report.note, report.ranking.entries, report.deep_dives) == ("note.no_list", (), ())
    assert await store.ranking(DAY, "default", "zh") is None


async def test_ranking_alone_chooses_nothing(store):
    ranking = await a_reporter(store, ScriptedAnalyst()).rank(an_edition())
    assert ranking.chosen == ()
    assert await store.ranking(DAY, "default", "zh") == ranking
    assert (await a_reporter(store, days={}).rank(an_edition(day=date(2026, 1, 6)))).entries == ()


async def test_arxiv_adds_what_the_list_lacks_without_being_waited_for(store):
    quick = await a_reporter(store, ScriptedAnalyst(), metadata=KnownPapers()).report(an_edition())
    assert quick.ranking.entries[0].paper.categories == ("cs.CV",)
    assert quick.ranking.entries[0].paper.arxiv_id.version is None
    assert quick.deep_dives[0].paper.arxiv_id.version == 3
    assert await store.note(version_note(quick.deep_dives[0].paper.arxiv_id)) == "3"
    slow = await a_reporter(store, ScriptedAnalyst(), metadata=KnownPapers(wait=30)).report(an_edition())
    assert slow.ranking.entries[0].paper.categories == ()


async def test_arxiv_being_down_costs_nothing_but_its_fields(store):
    metadata = KnownPapers(error=SourceError("429"))
    report = await a_reporter(store, ScriptedAnalyst(), metadata=metadata).report(an_edition())
    assert report.ranking.scored == 5


async def test_progress_is_told_step_by_step(store):
    steps = []
    await a_reporter(store, ScriptedAnalyst()).report(an_edition(), lambda *step: steps.append(step))
    assert steps[0] == ("list", 0, 1)
    assert ("score", 5, 5) in steps
    assert steps[-1] == ("deep_dive", 2, 2)


class Pages:
    """Whole papers of version 2, and when each was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.analyst: ScriptedAnalyst | None = None

    async def fetch(self, paper: Paper) -> FullText:
        self.asked.append((str(paper.arxiv_id), len(self.analyst.scored) if self.analyst else 0))
        return replace(a_full_text(paper), arxiv_id=ArxivId(paper.arxiv_id.id, 2), basis=Basis.HTML)


class SlowAnalyst(ScriptedAnalyst):
    """Scores only once the best guess was fetched, so a report that reads after scoring would never end."""

    def __init__(self, pages: Pages, **values) -> None:
        super().__init__(**values)
        self.pages = pages

    async def score(self, paper: Paper, brief: Brief) -> Score:
        await wait_until(lambda: bool(self.pages.asked))
        return await super().score(paper, brief)


async def test_full_texts_of_likely_papers_are_fetched_while_scoring_still_runs(store):
    pages = Pages()
    guesses = ScriptedAnalyst(AnalystKind.EXTRACTIVE, {"2602.00004": 99})
    pages.analyst = analyst = SlowAnalyst(pages, values={"2602.00004": 95})
    report = await a_reporter(store, analyst, full_texts=pages, extractive=guesses).report(an_edition())
    assert pages.asked[0] == ("2602.00004", 0)
    assert report.ranking.chosen[0] == "2602.00004"


async def test_a_deep_dive_names_the_version_that_was_read(store):
    report = await a_reporter(store, ScriptedAnalyst(), full_texts=Pages(), metadata=KnownPapers()).report(an_edition())
    assert [str(dive.paper.arxiv_id) for dive in report.deep_dives] == ["2602.00001v2", "2602.00002v2"]
    assert report.ranking.entries[0].paper.arxiv_id.version is None
    assert await store.note(version_note(ArxivId("2602.00001"))) == "2"
