import asyncio
from datetime import date

import pytest

from bot.models import AnalystKind, FullText, Paper, Ranked
from bot.prefetch import SPARE, Prefetch
from bot.ranking import Rules
from tests.fakes import a_full_text, a_paper, a_profile, a_score, wait_until
from tests.test_reporter import ScriptedAnalyst

PAPERS = [a_paper(number) for number in range(1, 7)]


class SlowTexts:
    """Full texts that come when the test lets them, shared as the port promises."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.cancelled: list[str] = []
        self.gate = asyncio.Event()

    async def kept(self, paper: Paper) -> FullText | None:
        return None

    async def fetch(self, paper: Paper) -> FullText:
        name = paper.arxiv_id.id
        self.asked.append(name)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.append(name)
            raise
        return a_full_text(paper)


def entry(number: int, value: int | None) -> Ranked:
    return Ranked(a_paper(number), a_score(value)) if value is not None else Ranked(a_paper(number), failure="x")


@pytest.fixture
async def texts():
    made = SlowTexts()
    yield made
    made.gate.set()


def a_prefetch(texts: SlowTexts, guesses: dict[int, int], deep_dives: int = 2) -> Prefetch:
    values = {f"2602.{number:05d}": value for number, value in guesses.items()}
    return Prefetch(texts, ScriptedAnalyst(AnalystKind.EXTRACTIVE, values), Rules(deep_dives=deep_dives))


async def test_the_best_guesses_are_fetched_first_and_no_more_than_are_wanted_and_one_spare(texts):
    prefetch = a_prefetch(texts, {1: 10, 2: 90, 3: 20, 4: 80, 5: 30, 6: 40})
    prefetch.begin(PAPERS, a_profile(), "zh", {})
    await wait_until(lambda: len(texts.asked) == 2)
    assert texts.asked == ["2602.00002", "2602.00004"]
    texts.gate.set()
    await wait_until(lambda: len(texts.asked) == 2 + SPARE)
    assert texts.asked[-1] == "2602.00006"
    await prefetch.end()


async def test_a_paper_that_an_earlier_report_had_is_not_fetched(texts):
    prefetch = a_prefetch(texts, {2: 90, 4: 80})
    prefetch.begin(PAPERS, a_profile(), "zh", {"2602.00002": date(2026, 2, 1)})
    await wait_until(lambda: len(texts.asked) == 2)
    assert "2602.00002" not in texts.asked
    await prefetch.end()


async def test_real_scores_count_more_than_guesses(texts):
    prefetch = a_prefetch(texts, {1: 50, 2: 90, 3: 80, 4: 70, 5: 60, 6: 10}, deep_dives=1)
    prefetch.begin(PAPERS, a_profile(), "zh", {})
    await wait_until(lambda: texts.asked == ["2602.00002"])
    prefetch.scored(entry(3, 20))
    prefetch.scored(entry(4, None))
    prefetch.scored(entry(6, 99))
    texts.gate.set()
    await wait_until(lambda: len(texts.asked) == 2)
    assert texts.asked[-1] == "2602.00006"
    await prefetch.end()


async def test_what_was_not_chosen_is_given_up_and_nothing_new_begun(texts):
    prefetch = a_prefetch(texts, {2: 90, 4: 80})
    prefetch.begin(PAPERS, a_profile(), "zh", {})
    await wait_until(lambda: len(texts.asked) == 2)
    prefetch.settle({"2602.00004"})
    await wait_until(lambda: texts.cancelled == ["2602.00002"])
    texts.gate.set()
    assert (await prefetch.fetch(a_paper(4))).arxiv_id.id == "2602.00004"
    assert texts.asked == ["2602.00002", "2602.00004", "2602.00004"]
    await prefetch.end()


async def test_the_end_leaves_nothing_running(texts):
    prefetch = a_prefetch(texts, {2: 90, 4: 80})
    prefetch.begin(PAPERS, a_profile(), "zh", {})
    await wait_until(lambda: len(texts.asked) == 2)
    await prefetch.end()
    assert sorted(texts.cancelled) == ["2602.00002", "2602.00004"]
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_without_deep_dives_nothing_is_fetched(texts):
    prefetch = a_prefetch(texts, {2: 90}, deep_dives=0)
    prefetch.begin(PAPERS, a_profile(), "zh", {})
    await asyncio.sleep(0)
    await prefetch.end()
    assert texts.asked == []


async def test_it_is_told_when_the_deep_dives_have_their_texts(texts):
    prefetch = a_prefetch(texts, {})
    texts.gate.set()
    await prefetch.fetch(a_paper(1))
    assert not prefetch.served.is_set()
    await prefetch.fetch(a_paper(2))
    assert prefetch.served.is_set()
    await prefetch.end()
