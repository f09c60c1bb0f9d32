"""The floors under the coverage that the tests have just measured: most branches anywhere, all where it counts.

`--whole` looks at the latter alone, where nothing else was measured (`--cov-config=.ci/whole.ini`).
"""

import json
import sys
import tempfile
from configparser import ConfigParser
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from coverage import Coverage

BRANCHES_PERCENT = 90.0
WHOLE = Path(__file__).with_name("whole.ini")


def main(*, everything: bool) -> int:
    """Prints what lies below its floor; 0 when nothing does."""
    config = ConfigParser()
    config.read(WHOLE, encoding="utf-8")
    whole = config["run"]["include"].split()
    measured = _measured()
    totals = measured["totals"]
    branches = 100 * totals["covered_branches"] / totals["num_branches"]
    if everything:
        print(f"coverage: {branches:.1f} % of all branches, at least {BRANCHES_PERCENT:g} wanted")
    seen = {name: file for name, file in measured["files"].items() if any(fnmatch(name, one) for one in whole)}
    gaps = [_gap(name, file) for name, file in sorted(seen.items()) if file["summary"]["percent_covered"] < 100]
    gaps += [f"coverage: {one} was not measured" for one in whole if not any(fnmatch(name, one) for name in seen)]
    print("\n".join(gaps) if gaps else f"coverage: all of {', '.join(whole)}")
    return int((everything and branches < BRANCHES_PERCENT) or bool(gaps))


def _measured() -> Any:  # noqa: ANN401 - coverage's JSON
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "coverage.json"
        coverage = Coverage(messages=False)
        coverage.load()
        coverage.json_report(outfile=str(file))
        return json.loads(file.read_text(encoding="utf-8"))


def _gap(name: str, file: Any) -> str:  # noqa: ANN401 - as above
    return f"coverage: {name} must be covered whole; lines {file['missing_lines']}, branches {file['missing_branches']}"


if __name__ == "__main__":
    sys.exit(main(everything="--whole" not in sys.argv[1:]))
