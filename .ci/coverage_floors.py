"""The floors under the coverage that the tests have just measured: most branches anywhere, all where it counts."""

import json
import sys
import tempfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from coverage import Coverage

BRANCHES_PERCENT = 90.0
# What decides who gets a message, whether a quote is real, and what a paper is worth.
WHOLE = (
    "bot/delivery/*",
    "bot/analysis/grounding.py",
    "bot/analysis/letters.py",
    "bot/analysis/numerals.py",
    "bot/analysis/points.py",
    "bot/analysis/scoring.py",
    "bot/analysis/tex.py",
)


def main() -> int:
    """Prints what lies below its floor; 0 when nothing does."""
    measured = _measured()
    totals = measured["totals"]
    branches = 100 * totals["covered_branches"] / totals["num_branches"]
    print(f"coverage: {branches:.1f} % of all branches, at least {BRANCHES_PERCENT:g} wanted")
    gaps = [_gap(name, file) for name, file in sorted(measured["files"].items()) if _has_gap(name, file)]
    print("\n".join(gaps) if gaps else f"coverage: all of {', '.join(WHOLE)}")
    return int(branches < BRANCHES_PERCENT or bool(gaps))


def _measured() -> Any:  # noqa: ANN401 - coverage's JSON
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "coverage.json"
        coverage = Coverage(messages=False)
        coverage.load()
        coverage.json_report(outfile=str(file))
        return json.loads(file.read_text(encoding="utf-8"))


def _has_gap(name: str, file: Any) -> bool:  # noqa: ANN401 - as above
    return any(fnmatch(name, pattern) for pattern in WHOLE) and file["summary"]["percent_covered"] < 100


def _gap(name: str, file: Any) -> str:  # noqa: ANN401 - as above
    return f"coverage: {name} must be covered whole; lines {file['missing_lines']}, branches {file['missing_branches']}"


if __name__ == "__main__":
    sys.exit(main())
