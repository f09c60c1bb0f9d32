"""Lines in the order in which a person reads a page: down the left column, then the right one."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bot.sources.pdf.lines import MARGIN, Gutter, Line

BLOCK_GAP = 1.45  # of the leading; what stands further apart are two blocks
USUAL_LEADING = 1.2  # of the size


@dataclass(frozen=True, slots=True)
class Body:
    """How the paper's prose is set: size of type and distance of lines, in points."""

    size: float
    leading: float


@dataclass(frozen=True, slots=True)
class Block:
    """Lines right below one another in one column, or as wide as the page."""

    lines: tuple[Line, ...]
    x0: float
    x1: float

    @property
    def top(self) -> float:
        return max(line.y for line in self.lines)

    @property
    def middle(self) -> float:
        return (self.top + min(line.y for line in self.lines)) / 2


def body_of(pages: Sequence[Sequence[Line]]) -> Body:
    """The size that most characters have, and the leading that most of these lines have.

    References may be longer than the paper, and are smaller: its first half tells.
    """
    pages = pages[: max(2, (len(pages) + 1) // 2)]
    sizes: Counter[float] = Counter()
    for line in (line for page in pages for line in page):
        sizes[round(line.size, 1)] += len(line.text)
    size = sizes.most_common(1)[0][0] if sizes else 10.0
    gaps = Counter(
        round(above.y - below.y, 1)
        for page in pages
        for above, below in pairwise(page)
        if abs(below.size - size) < 0.5 and abs(above.x0 - below.x0) < MARGIN and 0 < above.y - below.y < 3 * size
    )
    return Body(size, gaps.most_common(1)[0][0] if gaps else USUAL_LEADING * size)


def in_reading_order(lines: Sequence[Line], body: Body, gutter: Gutter | None) -> list[Block]:
    """A page's blocks. In one column the file's order stands, unless it mostly goes upwards.

    In two, what is as wide as the page parts it into bands, and in each the left column comes first.
    """
    blocks = list(_blocks(lines, body, gutter))
    if gutter is None:
        upwards = sum(below.top > above.top for above, below in pairwise(blocks))
        return sorted(blocks, key=lambda block: -block.top) if 2 * upwards > len(blocks) else blocks
    sides = {id(block): _side(block.x0, block.x1, gutter) for block in blocks}
    wide = [block.middle for block in blocks if sides[id(block)] == WIDE]

    def place(block: Block) -> tuple[int, int, float]:
        side = sides[id(block)]
        above = sum(middle > block.middle for middle in wide)
        return 2 * above + (side == WIDE), side, -block.top

    ordered = [line for block in sorted(blocks, key=place) for line in block.lines]
    return list(_blocks(ordered, body, gutter))  # a file may have written every line apart


WIDE, LEFT, RIGHT = range(3)


def _side(x0: float, x1: float, gutter: Gutter) -> int:
    middle = (gutter[0] + gutter[1]) / 2
    if x0 < middle - 2 * MARGIN and x1 > middle + 2 * MARGIN:
        return WIDE
    return LEFT if (x0 + x1) / 2 < middle else RIGHT


def _blocks(lines: Sequence[Line], body: Body, gutter: Gutter | None) -> Iterator[Block]:
    block: list[Line] = []
    x0 = x1 = 0.0
    for line in lines:
        if block and not _belongs(line, block[-1], (x0, x1), body, gutter):
            yield Block(tuple(block), x0, x1)
            block = []
        x0, x1 = (min(x0, line.x0), max(x1, line.x1)) if block else (line.x0, line.x1)
        block.append(line)
    if block:
        yield Block(tuple(block), x0, x1)


def _belongs(line: Line, last: Line, span: tuple[float, float], body: Body, gutter: Gutter | None) -> bool:
    """Does a line belong to the block that spans `span` and ends with `last`?"""
    leading = body.leading * max(1.0, line.size / body.size, last.size / body.size)
    if not -0.7 * leading < last.y - line.y < BLOCK_GAP * leading or line.x0 > span[1] or line.x1 < span[0]:
        return False
    if gutter is None:
        return True
    side = _side(*span, gutter)
    is_short = side == WIDE and span[0] - MARGIN < line.x0 and abs(line.size - last.size) < 0.5
    return is_short or _side(line.x0, line.x1, gutter) == side
