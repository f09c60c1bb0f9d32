"""The experiments. To add one: a file here with a function of `Ground` and `Trial`, and a line in the table."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tests.chaos import kills
from tests.chaos.results import Row
from tests.chaos.scene import Ground
from tests.chaos.trial import Trial

Run = Callable[[Ground, Trial], Awaitable[Sequence[Row]]]


@dataclass(frozen=True)
class Experiment:
    """`run` does one trial and gives its rows, which `quick` and `full` count by their `faults`."""

    name: str
    run: Run
    quick: int
    full: int


EXPERIMENTS = (
    Experiment("kills", kills.of_the_day, quick=24, full=1_000),
    Experiment("kills-requests", kills.of_requests, quick=12, full=300),
)
