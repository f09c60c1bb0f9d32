"""How a command ended, as an exit code (DESIGN section 6)."""

from collections.abc import Iterable

from bot.daily import Summary
from bot.models import AnalystKind, DeliveryState, Ranking, Report

DONE, FAILED, USAGE, DEGRADED = 0, 1, 2, 3
SIGNALLED = 128  # plus the signal's number, as shells say it


def of_summary(summary: Summary, *, with_model: bool) -> int:
    """Failed when a channel got nothing or not all; degraded when less was published than was asked for."""
    states = {delivery.state for delivery in summary.deliveries}
    if DeliveryState.FAILED in states:
        return FAILED
    degraded = DeliveryState.UNKNOWN in states or any(_is_degraded(made, with_model) for made in summary.reports)
    return DEGRADED if degraded else DONE


def of_ranking(ranking: Ranking, *, with_model: bool) -> int:
    """Degraded when a paper is unscored, or when the model could score none."""
    return DEGRADED if ranking.failed or _fell_back([ranking.analyst], with_model) else DONE


def of_analyst(kind: AnalystKind, *, with_model: bool) -> int:
    """Degraded when there is a model and the extractive analyst had to help out."""
    return DEGRADED if _fell_back([kind], with_model) else DONE


def _is_degraded(made: Report, with_model: bool) -> bool:  # noqa: FBT001 - one of the two arguments
    if made.note:
        return False
    scores = [entry.score for entry in made.ranking.entries if entry.score]
    kinds = [made.analyst, *(dive.analyst for dive in made.deep_dives), *(score.analyst for score in scores)]
    return bool(made.ranking.failed) or not all(score.reason for score in scores) or _fell_back(kinds, with_model)


def _fell_back(kinds: Iterable[AnalystKind], with_model: bool) -> bool:  # noqa: FBT001 - one of the two arguments
    return with_model and AnalystKind.EXTRACTIVE in kinds
