"""How good an order of papers is: measures, and a runner that compares ways to rank on days of judged papers.

    python -m bot.analysis.evaluation JUDGED.jsonl --profile PROFILE.toml

A line of the file is {"day", "id", "title", "abstract", "upvotes", "relevant": 0 or 1}; the profile is a TOML file with
`name`, `interests` and, where wanted, `exclude` and `audience`.
"""

import argparse
import asyncio
import json
import math
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from bot.analysis.extractive import ExtractiveAnalyst
from bot.interfaces import Analyst, Brief
from bot.models import ArxivId, Meter, Paper, Profile

TOP = 5  # papers of a day that a team looks at


@dataclass(frozen=True, slots=True)
class Judged:
    """A paper and what people made of it: `relevance` is 0 where it is none of the team's business."""

    paper: Paper
    relevance: int


Ranker = Callable[[Sequence[Judged], Profile], Sequence[Judged]]
"""Puts the papers of a day in order, best first, without a look at the relevance."""


def ndcg(relevances: Sequence[int], k: int = TOP) -> float:
    """Normalised discounted cumulative gain of an order's first `k` (Järvelin and Kekäläinen, TOIS 2002).

    1 is the best order there is; a day without a relevant paper counts as 1, for no order of it is wrong.
    """
    best = _gain(sorted(relevances, reverse=True), k)
    return _gain(relevances, k) / best if best else 1.0


def chance(relevances: Sequence[int], k: int = TOP) -> float:
    """The nDCG that a random order has on average."""
    best = _gain(sorted(relevances, reverse=True), k)
    return _gain([1] * len(relevances), k) * fmean(relevances) / best if best else 1.0


def precision(relevances: Sequence[int], k: int = TOP) -> float:
    """The share of relevant papers among the first `k`."""
    return fmean(relevance > 0 for relevance in relevances[:k])


def _gain(relevances: Iterable[int], k: int) -> float:
    return sum(relevance / math.log2(place + 1) for place, relevance in enumerate(list(relevances)[:k], start=1))


def read_judged(path: Path) -> Mapping[str, tuple[Judged, ...]]:
    """The judged papers by day, days in order."""
    days: dict[str, list[Judged]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        paper = Paper(ArxivId(row["id"]), row["title"], row["abstract"], upvotes=row["upvotes"])
        days.setdefault(row["day"], []).append(Judged(paper, row["relevant"]))
    return {day: tuple(days[day]) for day in sorted(days)}


def read_profile(path: Path) -> Profile:
    """A profile from a TOML file of its own."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    interests, exclude = tuple(content["interests"]), tuple(content.get("exclude", ()))
    return Profile(content["name"], interests, exclude, content.get("audience", ""))


def ranked(days: Mapping[str, Sequence[Judged]], profile: Profile, rank: Ranker) -> tuple[tuple[int, ...], ...]:
    """The relevances of each day in the order of `rank`."""
    return tuple(tuple(judged.relevance for judged in rank(papers, profile)) for papers in days.values())


def by_upvotes(papers: Sequence[Judged], profile: Profile) -> Sequence[Judged]:  # noqa: ARG001 - a Ranker
    """The order in which lists come."""
    return sorted(papers, key=lambda judged: (-judged.paper.upvotes, judged.paper.arxiv_id.id))


def by_phrases(papers: Sequence[Judged], profile: Profile) -> Sequence[Judged]:
    """Counts how often the interests stand there letter for letter, ties by upvotes: what a short script would do."""

    def counted(judged: Judged) -> int:
        text = f"{judged.paper.title} {judged.paper.abstract}".lower()
        return sum(text.count(interest.lower()) for interest in profile.interests)

    return sorted(by_upvotes(papers, profile), key=counted, reverse=True)


def by_analyst(analyst: Analyst) -> Ranker:
    """The order of a report: by score, ties by topic, then upvotes, then ID."""

    async def scores(papers: Sequence[Judged], profile: Profile) -> list[tuple[int, int, int, str, Judged]]:
        brief = Brief(profile, "en", Meter())
        rows = [(await analyst.score(judged.paper, brief), judged) for judged in papers]
        return [
            (-score.value, -score.sub.topic, -judged.paper.upvotes, judged.paper.arxiv_id.id, judged)
            for score, judged in rows
        ]

    def rank(papers: Sequence[Judged], profile: Profile) -> Sequence[Judged]:
        return [row[-1] for row in sorted(asyncio.run(scores(papers, profile)), key=lambda row: row[:-1])]

    return rank


RANKERS: Mapping[str, Ranker] = {
    "upvotes": by_upvotes,
    "phrases": by_phrases,
    "extractive": by_analyst(ExtractiveAnalyst()),
}


def table(days: Mapping[str, Sequence[Judged]], profile: Profile) -> str:
    """One line a way to rank: nDCG and precision over all days, and nDCG over either half (every other day)."""
    found = [[judged.relevance for judged in papers] for papers in days.values()]
    rows = [f"{'':30}{f'nDCG@{TOP}':>9}{f'P@{TOP}':>9}{'half A':>9}{'half B':>9}"]
    rows.append(_row("chance", [chance(day) for day in found], fmean(fmean(day) for day in found)))
    for name, rank in RANKERS.items():
        rows.append(_measured(name, ranked(days, profile, rank)))
    return "\n".join(rows)


def without_each(days: Mapping[str, Sequence[Judged]], profile: Profile) -> str:
    """The extractive analyst with one interest left out at a time: no single one should carry the ranking."""
    rows = []
    for left_out in profile.interests:
        rest = tuple(interest for interest in profile.interests if interest != left_out)
        orders = ranked(days, replace(profile, interests=rest), RANKERS["extractive"])
        rows.append(_measured(f"without {left_out}", orders))
    return "\n".join(rows)


def _measured(name: str, orders: Sequence[Sequence[int]]) -> str:
    return _row(name, [ndcg(order) for order in orders], fmean(precision(order) for order in orders))


def _row(name: str, gains: Sequence[float], precise: float) -> str:
    figures = (fmean(gains), precise, fmean(gains[::2]), fmean(gains[1::2] or gains))
    return f"{name:30}" + "".join(f"{figure:9.3f}" for figure in figures)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(prog="python -m bot.analysis.evaluation", description="Compare ways to rank.")
    parser.add_argument("judged", type=Path, help="judged papers, JSON lines")
    parser.add_argument("--profile", type=Path, required=True, help="the profile they are judged for, TOML")
    parser.add_argument("--without-each", action="store_true", help="also leave out one interest at a time")
    given = parser.parse_args(arguments)
    days, profile = read_judged(given.judged), read_profile(given.profile)
    print(table(days, profile))  # noqa: T201 - a command's output
    if given.without_each:
        print(without_each(days, profile))  # noqa: T201 - a command's output


if __name__ == "__main__":
    main()
