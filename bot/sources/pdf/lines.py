"""Runs made into lines: what stands on one baseline, split where a file writes over both columns at once."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bot.sources.pdf.glyphs import Page, Run

Gutter = tuple[float, float]
"""Where the left column ends and the right one starts, in points."""

CELL_GAP = 0.9  # of the type's size; words of justified prose stand closer
WORD_GAP = 0.2  # of the size; what stands further apart are two words
SCRIPT = 0.85  # of a line's size; smaller type may stand above or under its neighbour
CAP_HEIGHT = 0.7  # of the size
ACCENT = 2  # characters of a piece that may stand on top of the last one
SAME_BASELINE = 0.25  # of the size
LEAST_OVERLAP = 0.25  # of the lower of two heights, for runs to stand on one line
COLUMN = (0.25, 0.52)  # of the page's width: how wide a line of one of two columns is
LEAST_SHARE = 0.15  # of all characters that stand in either column of a paper with two
INTERLEAVED = 3  # rows of prose over both columns, by which a file shows that it writes so
RAGGED = 0.02  # of a column's characters, that end at its right margin at least
MARGIN = 3.0  # points within which two margins are one


_EXPONENT = re.compile(r"\s*[-−–+]?\s*\d+\s*|[-−–+]\s*")
_SUPERSCRIPTS = str.maketrans("0123456789+-−–", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁻")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a column, or a table's row; `cells` are its pieces with wide gaps between.

    `y` and `size` are those of its main type. `bold` and `italic` hold for all of it, `lead` is the bold text that it
    opens with.
    """

    text: str
    cells: tuple[str, ...]
    x0: float
    x1: float
    y: float
    size: float
    bold: bool
    italic: bool
    lead: str
    page: int


@dataclass(frozen=True, slots=True)
class Written:
    """The lines of a paper by page, in the file's order, and the gutter between its columns (None for one column)."""

    pages: tuple[tuple[Line, ...], ...]
    gutter: Gutter | None


def written(pages: Sequence[Page]) -> Written:
    """The lines of `pages`, without turned text and without what stands in figures."""
    rows = [list(_rows(_upright(page))) for page in pages]
    width = max((page.box[2] - page.box[0] for page in pages), default=0.0)
    gutter = _gutter((part for page in rows for row in page for part in _split(row, _is_gap)), width)
    return Written(tuple(tuple(_lines(page, number, gutter)) for number, page in enumerate(rows, start=1)), gutter)


def hidden_text(page: Page) -> str:
    """What no reader sees, as one line: its letters may stand one by one."""
    return " ".join(_joined(row).strip() for row in _rows(page.hidden))


def _upright(page: Page) -> list[Run]:
    """Forms are figures, unless most of the page stands in them."""
    runs = [run for run in page.runs if not run.turned]
    outside = [run for run in runs if not run.inside]
    inside = sum(len(run.text) for run in runs if run.inside)
    return runs if inside > 2 * sum(len(run.text) for run in outside) else outside


def _rows(runs: Iterable[Run]) -> Iterator[list[Run]]:
    """Neighbours in the file that stand on one line and go on to the right."""
    row: list[Run] = []
    for run in runs:
        if row and not _goes_on(row, run):
            yield row
            row = []
        row.append(run)
    if row:
        yield row


def _goes_on(row: Sequence[Run], run: Run) -> bool:
    """Does a run stand behind the others of a row? Scripts may stand above one another, and accents on letters."""
    last = row[-1]
    main = max(row[-6:], key=lambda other: other.size)
    script = run.size < SCRIPT * main.size
    if not _level(main, run) and not (script and _level(last, run)):
        return False
    if last.x1 - run.x0 < 0.4 * main.size or (len(run.text.strip()) <= ACCENT and run.x0 > last.x0 - 0.2 * main.size):
        return True
    start = next((other.x0 for other in reversed(row) if other.size >= SCRIPT * main.size), last.x0)
    return script and run.x0 > start


def _level(left: Run, right: Run) -> bool:
    """Do two runs stand on one line? Type of one size has one baseline, scripts stand higher or lower."""
    if min(left.size, right.size) > SCRIPT * max(left.size, right.size):
        return abs(left.y - right.y) < SAME_BASELINE * left.size
    low, high = max(left.y, right.y), min(left.y + CAP_HEIGHT * left.size, right.y + CAP_HEIGHT * right.size)
    return high - low >= LEAST_OVERLAP * CAP_HEIGHT * min(left.size, right.size)


def _is_gap(left: Run, right: Run) -> bool:
    return right.x0 - left.x1 > CELL_GAP * max(left.size, right.size)


def _split(row: Sequence[Run], apart: Callable[[Run, Run], bool]) -> Iterator[list[Run]]:
    part = [row[0]]
    for left, right in pairwise(row):
        if apart(left, right):
            yield part
            part = []
        part.append(right)
    yield part


def _gutter(parts: Iterable[Sequence[Run]], width: float) -> Gutter | None:
    """The two margins that most lines of column width share."""
    ends: Counter[int] = Counter()
    starts: Counter[int] = Counter()
    total = 0
    for part in parts:
        x0, x1, characters = part[0].x0, part[-1].x1, sum(len(run.text) for run in part)
        total += characters
        if COLUMN[0] * width < x1 - x0 < COLUMN[1] * width:
            if x1 < 0.56 * width:
                ends[round(x1)] += characters
            elif x0 > 0.44 * width:
                starts[round(x0)] += characters
    if not total or min(ends.total(), starts.total()) < LEAST_SHARE * total:
        return None
    right = starts.most_common(1)[0][0]
    left = max(
        (end for end, characters in ends.items() if end < right and characters > RAGGED * ends.total()), default=0
    )
    return (float(left), float(right)) if left else None


def _lines(rows: Sequence[Sequence[Run]], page: int, gutter: Gutter | None) -> Iterator[Line]:
    if gutter is not None:
        pieces = [list(_split(row, lambda left, right: _crosses(left, right, gutter))) for row in rows]
        if sum(_is_two_columns(parts, gutter) for parts in pieces) >= INTERLEAVED:
            rows = [part for parts in pieces for part in parts]
    for row in rows:
        line = _line(row, page)
        if line.cells:
            yield line


def _crosses(left: Run, right: Run, gutter: Gutter) -> bool:
    return left.x1 <= gutter[0] + 2 * MARGIN and right.x0 >= gutter[1] - MARGIN


def _is_two_columns(parts: Sequence[Sequence[Run]], gutter: Gutter) -> bool:
    """Prose on both sides: a table's cells are narrower, or do not start at the margin."""
    widths = [part[-1].x1 - part[0].x0 for part in parts]
    return len(parts) == 2 and min(widths) > 0.3 * gutter[1] and abs(parts[1][0].x0 - gutter[1]) < 2 * MARGIN


def _line(row: Sequence[Run], page: int) -> Line:
    main = max(row, key=lambda run: (round(run.size), len(run.text)))
    words = [run for run in row if run.text.strip()]
    row = list(_with_exponents(row, main))
    cells = tuple(filter(None, (_joined(part).strip() for part in _split(row, _is_gap))))
    return Line(
        " ".join(cells),
        cells,
        row[0].x0,
        max(run.x1 for run in row),
        main.y,
        main.size,
        all(run.bold for run in words),
        all(run.italic for run in words),
        _lead(row),
        page,
    )


def _with_exponents(row: Sequence[Run], main: Run) -> Iterator[Run]:
    """A number above the line must not become digits of the one before: 10² is not 102."""
    formula = False
    for run in row:
        raised = run.size < SCRIPT * main.size and run.y > main.y + 0.2 * main.size
        if raised and not formula and _EXPONENT.fullmatch(run.text):
            run = run._replace(text=run.text.translate(_SUPERSCRIPTS))
        else:
            formula = raised
        yield run


def _joined(part: Sequence[Run]) -> str:
    """Spaces where PDFium has none between words that stand apart."""
    text = part[0].text
    for left, right in pairwise(part):
        apart = right.x0 - left.x1 > WORD_GAP * max(left.size, right.size)
        text += " " * (apart and not text.endswith(" ") and not right.text.startswith(" ")) + right.text
    return text


def _lead(row: Sequence[Run]) -> str:
    """What a line says in bold before it goes on in plain type, "" where it does not."""
    bold = []
    for run in row:
        if run.bold:
            bold.append(run)
        elif run.text.strip():
            return _joined(bold).strip() if bold else ""
    return ""
