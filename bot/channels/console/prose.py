"""Lines of mixed Chinese and English, which rich breaks at spaces only."""

import re
from collections.abc import Iterator

from rich.cells import cell_len, chop_cells
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

_CHINESE = "\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_OPENING = "（「『《【“‘〔"
_CLOSING = "，。！？；：、）」』》】”’〕…—"
# What stays on one line: a Chinese character or a word, with the punctuation that opens before and closes behind it.
_UNIT = re.compile(
    rf"[{_OPENING}]*(?:[{_CHINESE}]|[^\s{_CHINESE}{_CLOSING}{_OPENING}]+)?[{_CLOSING}]*\s*|\s+|.", re.DOTALL
)


class Prose:
    """A text that is broken between Chinese characters as well as at spaces, never before a closing mark."""

    def __init__(self, text: Text) -> None:
        self.text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """One line after the other."""
        for line in self.text.divide(breaks(self.text.plain, options.max_width)):
            line.rstrip()
            line.no_wrap = True
            yield line

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Any width will do."""
        widest = max(map(cell_len, self.text.plain.splitlines()), default=0)
        return Measurement(min(2, options.max_width), min(widest, options.max_width) or 1)


def breaks(text: str, width: int) -> list[int]:
    """Where lines of at most `width` columns begin, the first line's beginning left out."""
    begins: list[int] = []
    used = 0
    for start, unit in _pieces(text, width):
        if used and used + cell_len(unit.rstrip()) > width:
            begins.append(start)
            used = 0
        used += cell_len(unit)
    return begins


def _pieces(text: str, width: int) -> Iterator[tuple[int, str]]:
    """Units of the text with their offsets; one that is wider than a line is cut where it must be."""
    for found in _UNIT.finditer(text):
        start = found.start()
        for piece in chop_cells(found[0], width) if cell_len(found[0].rstrip()) > width else [found[0]]:
            if piece:
                yield start, piece
                start += len(piece)
