"""Order and choice: which papers of a day come first, and which of them are deep-dived (pure)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from bot.models import Ranked, Ranking, Score


@dataclass(frozen=True, slots=True)
class Rules:
    """How much of a day is scored and read. Scores are 0-100."""

    papers: int = 15
    deep_dives: int = 2
    min_score: int = 60
    repeat_after_days: int = 60


def order(entries: Sequence[Ranked]) -> tuple[Ranked, ...]:
    """Best first; ties by topic, then upvotes, then ID. Failed papers stand last, in the order of the list."""
    scored = sorted(((_worth(e.score, e), e) for e in entries if e.score), key=lambda pair: pair[0])
    return (*(entry for _, entry in scored), *(entry for entry in entries if not entry.score))


def _worth(score: Score, entry: Ranked) -> tuple[int, int, int, str]:
    return -score.value, -score.sub.topic, -entry.paper.upvotes, entry.paper.arxiv_id.id


def candidates(entries: Sequence[Ranked], rules: Rules) -> tuple[Ranked, ...]:
    """The papers that may be deep-dived, best first: good enough, and chosen by no earlier report."""
    return tuple(
        entry for entry in entries if entry.score and entry.score.value >= rules.min_score and entry.reported_on is None
    )


def mark_reported(entries: Sequence[Ranked], reported: Mapping[str, date]) -> tuple[Ranked, ...]:
    """The entries, each with the earlier day whose report had chosen it."""
    return tuple(replace(entry, reported_on=reported.get(entry.paper.arxiv_id.id)) for entry in entries)


def mark_chosen(entries: Sequence[Ranked], chosen: Sequence[str]) -> tuple[Ranked, ...]:
    """The entries, those with an ID in `chosen` marked."""
    return tuple(replace(entry, chosen=entry.paper.arxiv_id.id in chosen) for entry in entries)


def take_over(base: Ranking, entries: Sequence[Ranked]) -> tuple[Ranked, ...]:
    """The order, sub-scores and choice of `base`, with the wording that `entries` have in another language.

    A paper that was scored in `base` and not now keeps its score and has no reason.
    """
    words = {entry.paper.arxiv_id.id: entry.score for entry in entries}
    return tuple(
        replace(entry, score=_reworded(entry.score, words.get(entry.paper.arxiv_id.id))) for entry in base.entries
    )


def _reworded(score: Score | None, words: Score | None) -> Score | None:
    if score is None:
        return None
    if words is None:
        return replace(score, reason="")
    return replace(words, value=score.value, sub=score.sub, suspicious=score.suspicious)
