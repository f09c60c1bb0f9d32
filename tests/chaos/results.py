"""What experiments found: a row a trial, appended to a file, so that a run that was stopped goes on; and the table."""

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

HEADINGS = ("fault", "trials", "lost", "duplicated", "unknown", "recovery p50", "recovery max", "failed")


@dataclass
class Row:
    """One trial under one fault, which came `faults` times; `recovery` holds seconds on the bot's clock.

    `lost` and `duplicated` count messages, `unknown` those that the ledger shows as such. `failures` say in words what
    must not be; `figures` are anything else worth keeping.
    """

    experiment: str
    trial: int
    fault: str
    seed: int
    faults: int = 1
    lost: int = 0
    duplicated: int = 0
    unknown: int = 0
    recovery: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    code: str = ""


class Results:
    """The file of one seed. Several processes append to it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path

    def keep(self, rows: Iterable[Row]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows))

    def rows(self) -> list[Row]:
        """Whole lines alone: a process may be in the middle of one."""
        if not self.path.exists():
            return []
        written = self.path.read_text(encoding="utf-8")
        return [Row(**json.loads(line)) for line in written[: written.rfind("\n") + 1].splitlines()]

    def faults_of(self, experiment: str) -> int:
        """How often anything was done to it; a trial with several rows looks at the same faults from several sides."""
        by_trial: dict[int, int] = {}
        for row in self.rows():
            if row.experiment == experiment:
                by_trial[row.trial] = max(row.faults, by_trial.get(row.trial, 0))
        return sum(by_trial.values())

    def trials_of(self, experiment: str) -> set[int]:
        return {row.trial for row in self.rows() if row.experiment == experiment}


def lines_of(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """The table's lines, a fault each, in order of appearance."""
    by_fault: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row.experiment, row.fault)):
        by_fault.setdefault(row.fault, []).append(row)
    return [_line(fault, some) for fault, some in by_fault.items()]


def _line(fault: str, rows: Sequence[Row]) -> tuple[str, ...]:
    recovery = [seconds for row in rows for seconds in row.recovery]
    return (
        fault,
        str(sum(row.faults for row in rows)),
        str(sum(row.lost for row in rows)),
        str(sum(row.duplicated for row in rows)),
        str(sum(row.unknown for row in rows)),
        f"{statistics.median(recovery):.1f} s" if recovery else "-",
        f"{max(recovery):.1f} s" if recovery else "-",
        str(sum(bool(row.failures) for row in rows)),
    )


def plain(rows: Sequence[Row]) -> str:
    """For a terminal."""
    lines = [HEADINGS, *lines_of(rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def markdown(rows: Sequence[Row]) -> str:
    """For a page of the documentation."""
    lines = [HEADINGS, ("---", *["---:"] * (len(HEADINGS) - 1)), *lines_of(rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def figures(rows: Sequence[Row]) -> Mapping[str, Mapping[str, list[Any]]]:
    """What else was measured, by fault."""
    found: dict[str, dict[str, list[Any]]] = {}
    for row in rows:
        for name, value in row.figures.items():
            found.setdefault(row.fault, {}).setdefault(name, []).append(value)
    return found
