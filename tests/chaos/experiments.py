"""The experiments. To add one: a file here with a function of `Ground` and `Trial`, and a line in the table."""

import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tests.chaos import days, disk, kills, limited, lines, redis_down, soak, stopped, takeover, upstreams_down
from tests.chaos.results import Row
from tests.chaos.scene import Ground
from tests.chaos.trial import Trial

Run = Callable[[Ground, Trial], Awaitable[Sequence[Row]]]


@dataclass(frozen=True)
class Experiment:
    """`run` does one trial and gives its rows, which `quick` and `full` count by their `faults`.

    What has a `quick` of 0 takes minutes, and is left out of a quick round.

    There are never more than `most` trials: for those that are long, where a worker would begin one too many.
    """

    name: str
    run: Run
    quick: int
    full: int
    most: int = sys.maxsize


EXPERIMENTS = (
    Experiment("kills", kills.of_the_day, quick=4, full=1_000),
    Experiment("kills-requests", kills.of_requests, quick=1, full=300),
    Experiment("stopped", stopped.of_the_day, quick=0, full=100),
    Experiment("redis-restart", redis_down.restarts, quick=0, full=60),
    Experiment("redis-gone", redis_down.gone, quick=0, full=6),
    Experiment("cut", lines.cut, quick=0, full=150),
    Experiment("limited", limited.sends, quick=0, full=300),
    Experiment("disk-full", disk.full, quick=0, full=20),
    Experiment("model-down", upstreams_down.model, quick=0, full=8),
    Experiment("source-down", upstreams_down.source, quick=0, full=8),
    Experiment("takeover", takeover.kills, quick=0, full=12),
    Experiment("sigterm", takeover.ends, quick=0, full=60),
    Experiment("days", days.of_days, quick=0, full=200),
    Experiment("soak", soak.of_a_day, quick=0, full=48, most=2),
)
