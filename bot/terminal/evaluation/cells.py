"""What stands in the cells of the tables, and the line under them."""

from bot.models import Usage
from bot.texts import Texts

DIGITS = 3  # of measures
NOTHING = "-"


def spent(usage: Usage, took: float, words: Texts) -> str:
    """What the model and the clock were asked for."""
    return words("eval.spent", calls=usage.calls, cached=usage.cached, cost=cost(usage), seconds=seconds(took))


def figure(value: float | None) -> str:
    """A measure."""
    return NOTHING if value is None else f"{value:.{DIGITS}f}"


def share(part: int, whole: int) -> str:
    """A part of a count."""
    return f"{part}/{whole} ({part / whole:.0%})" if whole else NOTHING


def seconds(value: float) -> str:
    """Wall time."""
    return f"{value:.1f}"


def cost(usage: Usage) -> str:
    """US dollars, where a price is known."""
    return NOTHING if usage.cost_usd is None else f"${usage.cost_usd:.4f}"
