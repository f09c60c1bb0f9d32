"""One repetition of an experiment, which the seed and its number make the same again."""

from dataclasses import dataclass, field
from random import Random

from tests.chaos.results import Row


@dataclass(frozen=True)
class Trial:
    """`random` decides everything that is decided by chance in it. `quick`: a small one will do."""

    experiment: str
    seed: int
    number: int
    quick: bool = False
    random: Random = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "random", Random(f"{self.seed}/{self.experiment}/{self.number}"))

    def row(self, fault: str, faults: int = 1) -> Row:
        """An empty row of the table."""
        return Row(self.experiment, self.number, fault, self.seed, faults)
