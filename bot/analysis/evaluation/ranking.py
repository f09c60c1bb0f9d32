"""Ways to rank, compared on days of judged papers."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from bot.analysis.evaluation import measures
from bot.analysis.evaluation.measures import Measured
from bot.errors import ModelError
from bot.interfaces import Analyst, Brief
from bot.models import Paper, Profile


@dataclass(frozen=True, slots=True)
class Judged:
    """A paper and what people made of it: `relevance` is 0 where it is none of the team's business."""

    paper: Paper
    relevance: int


Days = Mapping[str, Sequence[Judged]]
"""The judged papers of each day."""

Worth = tuple[int, ...]
"""What a ranker orders by, more is better; () for a paper that it could not score, which comes last."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one ranker made of all days: the worth of each day's papers, in the days' own order."""

    days: tuple[tuple[Worth, ...], ...]

    @property
    def failed(self) -> int:
        """Papers without a score."""
        return sum(not worth for day in self.days for worth in day)


@dataclass(frozen=True, slots=True)
class Quality:
    """How good a ranker is. `repeat` is Kendall's tau of two of its runs, None where there was one."""

    ndcg: Measured
    precision: Measured
    repeat: float | None = None


def by_upvotes(days: Days) -> Run:
    """The order in which lists come."""
    return Run(tuple(tuple((judged.paper.upvotes,) for judged in papers) for papers in days.values()))


def by_phrases(days: Days, profile: Profile) -> Run:
    """Counts how often the interests stand there letter for letter: what a short script would do."""

    def counted(paper: Paper) -> int:
        text = f"{paper.title} {paper.abstract}".lower()
        return sum(text.count(interest.lower()) for interest in profile.interests)

    return Run(tuple(tuple((counted(judged.paper),) for judged in papers) for papers in days.values()))


async def by_analyst(days: Days, analyst: Analyst, brief: Brief, scored: Callable[[], None] = lambda: None) -> Run:
    """The order of a report: by score, ties by topic. Calls `scored` after every paper.

    How many papers are scored at once is the analyst's business.
    """

    async def worth(judged: Judged) -> Worth:
        try:
            score = await analyst.score(judged.paper, brief)
        except ModelError:
            return ()
        finally:
            scored()
        return score.value, score.sub.topic

    found = await asyncio.gather(*(asyncio.gather(*map(worth, papers)) for papers in days.values()))
    return Run(tuple(map(tuple, found)))


def quality(days: Days, run: Run, again: Run | None = None) -> Quality:
    """The measures of `run` and, with a second run of the same ranker, how alike the two are."""
    orders = [_order(papers, worths) for papers, worths in zip(days.values(), run.days, strict=True)]
    return Quality(
        measures.mean([measures.ndcg(order) for order in orders]),
        measures.mean([measures.precision(order) for order in orders]),
        agreement(run, again) if again else None,
    )


def chance(days: Days) -> Quality:
    """What a random order has on average."""
    found = [[judged.relevance for judged in papers] for papers in days.values()]
    relevant = [fmean(relevance > 0 for relevance in day) for day in found]
    return Quality(measures.mean([measures.chance(day) for day in found]), measures.mean(relevant))


def agreement(one: Run, other: Run) -> float | None:
    """Kendall's tau of two runs' scores, the mean over days; None where it is defined on no day.

    Papers that one of the two could not score are left out.
    """
    found = []
    for first, second in zip(one.days, other.days, strict=True):
        both = [(a[0], b[0]) for a, b in zip(first, second, strict=True) if a and b]
        found.append(measures.tau([a for a, _ in both], [b for _, b in both]))
    known = [tau for tau in found if tau is not None]
    return fmean(known) if known else None


def _order(papers: Sequence[Judged], worths: Sequence[Worth]) -> list[int]:
    """The relevances, best paper first; ties by upvotes, then ID, as in a report."""
    by_rest = sorted(
        zip(papers, worths, strict=True), key=lambda row: (-row[0].paper.upvotes, row[0].paper.arxiv_id.id)
    )
    return [judged.relevance for judged, _ in sorted(by_rest, key=lambda row: row[1], reverse=True)]
