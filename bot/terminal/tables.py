"""Tables in a terminal: columns as wide as what stands in them, Chinese characters two cells each."""

from collections.abc import Sequence
from unicodedata import east_asian_width

GAP = "  "


def lines(rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """A line a row, the first column flush left, the others flush right."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return tuple(GAP.join(_row(row, widths)).rstrip() for row in rows)


def _row(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    padding = [" " * (wide - width(cell)) for cell, wide in zip(row, widths, strict=True)]
    return [row[0] + padding[0], *(pad + cell for pad, cell in zip(padding[1:], row[1:], strict=True))]


def width(text: str) -> int:
    """Cells that `text` takes."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)
