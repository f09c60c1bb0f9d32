"""The gate of a platform for one test."""

from bot.channels.pace import Gate
from bot.interfaces import Clock, Errand, Pace
from bot.pacing import LocalPacing
from tests.fakes import FakeClock

REPORT, ANSWER = Errand(since=0.0), Errand(since=0.0, urgent=True)


def a_gate(clock: Clock | None = None, shared: Pace | None = None) -> Gate:
    """Counts for itself, on a clock that moves only by sleeping."""
    clock = clock or FakeClock()
    return Gate(LocalPacing(clock), clock, shared)
