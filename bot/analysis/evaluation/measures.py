"""Measures of an order of papers, and how sure they are. Pure."""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

TOP = 5  # papers of a day that a team looks at ...
READ = 2  # ... and that it gets deep dives of
RESAMPLES = 2000
CONFIDENCE = 0.95
_SEED = 20260225  # any; the same days always give the same interval


@dataclass(frozen=True, slots=True)
class Measured:
    """A mean over days with its confidence interval."""

    value: float
    low: float
    high: float


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


def precision(relevances: Sequence[int], k: int = READ) -> float:
    """The share of relevant papers among the first `k`."""
    return fmean(relevance > 0 for relevance in relevances[:k])


def _gain(relevances: Iterable[int], k: int) -> float:
    return sum(relevance / math.log2(place + 1) for place, relevance in enumerate(list(relevances)[:k], start=1))


def tau(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Kendall's tau-b (Biometrika 1945, with ties) of two scorings of the same papers; None where one is all ties.

    A day has few papers, so the definition over all pairs is fast enough, and SciPy would be 100 MB for it.
    """
    pairs = [(_sign(one[i] - one[j]), _sign(other[i] - other[j])) for i, j in combinations(range(len(one)), 2)]
    untied = sum(a != 0 for a, _ in pairs) * sum(b != 0 for _, b in pairs)
    return sum(a * b for a, b in pairs) / math.sqrt(untied) if untied else None


def _sign(difference: float) -> int:
    return (difference > 0) - (difference < 0)


def mean(days: Sequence[float]) -> Measured:
    """The mean of a measure over days, with its percentile bootstrap interval (Efron 1979); days are what is drawn."""
    draw = random.Random(_SEED).choices  # noqa: S311 - resampling, no secret
    means = sorted(fmean(draw(days, k=len(days))) for _ in range(RESAMPLES))
    tail = round((1 - CONFIDENCE) / 2 * RESAMPLES)
    return Measured(fmean(days), means[tail], means[-1 - tail])
