"""Tables as Markdown: spans expanded, heading rows joined, empty columns dropped, bounded whatever the spans say."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from bot.sources.fulltext.latexml import inline
from bot.sources.fulltext.latexml.tree import Node, kind

MOST_ROWS, MOST_COLUMNS, MOST_CELLS = 400, 60, 8_000  # what is read of a table
MOST_HEADING_ROWS = 4
MOST_REPEATED = 3  # columns: what spans more is a remark on the row, not a value of each column

_FORMULA = re.compile(r"(\$[^$]+\$)")


@dataclass(slots=True)
class _Cell:
    """A place of the grid. `heading`: the page calls it a column's; `again`: it says what stands left of it."""

    text: str = ""
    heading: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class _Row:
    cells: list[_Cell]
    headed: bool  # stands in the page's table head
    depth: int  # rows that its deepest cell spans
    parted: bool  # some cell spans columns, or down although it is not the first


def is_table(node: Node) -> bool:
    """Is it a table of data, not of formulas?"""
    return (node.tag == "table" or kind(node, "ltx_tabular")) and not is_equation(node)


def is_equation(node: Node) -> bool:
    """Is it a formula set apart, or a group of them?"""
    return kind(node, "ltx_equation", "ltx_equationgroup", "ltx_eqn_table") and node.tag != "tr"


def markdown(table: Node) -> str:
    """The table in Markdown; "" for one without two cells that say something."""
    rows = [row for row in _expanded(table) if any(cell.text for cell in row.cells)]
    width = max((len(row.cells) for row in rows), default=0)
    for row in rows:
        row.cells.extend(_Cell() for _ in range(width - len(row.cells)))
    used = [column for column in range(width) if any(row.cells[column].text for row in rows)]
    if sum(bool(row.cells[column].text) for row in rows for column in used) < 2:
        return ""
    headings = _headings(rows)
    top = [_joined([row.cells[column].text for row in rows[:headings]]) for column in used]
    lines = [top, ["---"] * len(used), *(_said(row, used) for row in rows[headings:])]
    return "\n".join(f"| {' | '.join(map(_escaped, line))} |" for line in lines)


def _said(row: _Row, columns: Sequence[int]) -> list[str]:
    cells = [row.cells[column] for column in columns]
    return ["" if cell.again else cell.text for cell in cells]


def rows_of(table: Node, of: Callable[[Node], bool] | None = None) -> Iterator[Node]:
    """The rows of a table, not those of the tables in its cells."""
    is_row = of or _is_row
    for node in table:
        if is_row(node):
            yield node
        elif not (node.tag == "table" or kind(node, "ltx_tabular", "ltx_td", "ltx_th")):
            yield from rows_of(node, is_row)


def cells_of(row: Node) -> list[Node]:
    """The cells of a row."""
    return [node for node in row if node.tag in ("td", "th") or kind(node, "ltx_td", "ltx_th")]


def _is_row(node: Node) -> bool:
    return node.tag == "tr" or kind(node, "ltx_tr")


def _expanded(table: Node) -> Iterator[_Row]:
    """The grid, row by row. `below` holds what spans down into the rows to come: cell and rows left, by column."""
    below: dict[int, tuple[_Cell, int]] = {}
    left = MOST_CELLS
    for _, row in zip(range(MOST_ROWS), rows_of(table), strict=False):
        line: list[_Cell] = []
        deepest, parted = 1, False
        cells = cells_of(row)
        for node in cells:
            _fill(line, below)
            cell = _Cell(inline.text(node), kind(node, "ltx_th_column"))
            across, down = _span(node, "colspan", MOST_COLUMNS), _span(node, "rowspan", MOST_ROWS)
            deepest, parted = max(deepest, down), parted or across > 1 or (down > 1 and bool(line))
            for place in range(min(across, MOST_COLUMNS - len(line))):
                shown = replace(cell, again=place > 0 and (across > MOST_REPEATED or len(cells) == 1))
                line.append(shown)
                if down > 1:
                    below[len(line) - 1] = (shown, down - 1)
        _fill(line, below)
        left -= len(line)
        if left < 0:
            return
        parent = row.getparent()
        yield _Row(line, parent is not None and parent.tag == "thead", deepest, parted)


def _fill(line: list[_Cell], below: dict[int, tuple[_Cell, int]]) -> None:
    """Adds the cells that span down to here, up to the next free column."""
    while (column := len(line)) in below:
        cell, rows = below.pop(column)
        line.append(cell)
        if rows > 1:
            below[column] = (cell, rows - 1)


def _span(node: Node, name: str, most: int) -> int:
    digits = (node.get(name) or "1").strip()
    return max(1, min(int(digits), most)) if digits.isdecimal() and len(digits) < 10 else 1


def _headings(rows: Sequence[_Row]) -> int:
    """How many rows stand above the data: the page's word where it has one, else as deep as the first row spans."""
    count = sum(row.headed for row in rows[:MOST_HEADING_ROWS])
    if count or any(cell.heading for cell in rows[0].cells):
        count = max(count, rows[0].depth)
        while count < min(len(rows) - 1, MOST_HEADING_ROWS) and _is_heading(rows[count]):
            count += 1
    else:
        count = rows[0].depth if rows[0].depth > 1 and rows[0].parted else 1
    return min(count, MOST_HEADING_ROWS, max(1, len(rows) - 1))


def _is_heading(row: _Row) -> bool:
    said = [cell for cell in row.cells if cell.text]
    return bool(said) and all(cell.heading for cell in said)


def _joined(texts: Sequence[str]) -> str:
    """A heading above a heading as one ("BLEU EN-DE"), each said once."""
    return " ".join(dict.fromkeys(filter(None, texts)))


def _escaped(text: str) -> str:
    """Without bars that would end the cell: a formula's become TeX commands."""
    pieces = _FORMULA.split(text)
    return "".join(
        piece.replace("\\|", "\\Vert ").replace("|", "\\vert ") if place % 2 else piece.replace("|", "\\|")
        for place, piece in enumerate(pieces)
    )
