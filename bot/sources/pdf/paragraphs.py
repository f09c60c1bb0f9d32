"""Blocks made into paragraphs: prose, captions, tables' rows, notes; what a column's end had cut is whole again."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise

from bot.sources.pdf.columns import Block, Body
from bot.sources.pdf.glyphs import HYPHEN
from bot.sources.pdf.lines import MARGIN, Line

INDENT = (0.6, 4.0)  # of the size: how far the first line of a paragraph stands in
GAP = 1.25  # of the leading: what stands further apart are two paragraphs
OTHER_SIZE = 0.6  # points between two sizes of type that are meant to differ
SHORT = 0.85  # of a column's width: a line that ends before has ended its paragraph
ROW_NUMBERS, ROW_SHARE, ROW_CELLS = 2, 0.4, 3  # what makes a line a table's row
TABLE_SHARE = 0.3  # of the lines of a block, that are rows
TABLE_REACH = 3.0  # of the leading: how far from its rows a table's head may stand
LABEL_WORDS = 5  # of small type outside tables: anything shorter is a figure's label

CAPTION = re.compile(
    r"(?P<label>(?:Figure|Fig\.?|Table|Tab\.|Algorithm|Listing|Scheme|Chart|图|表)"
    r"\s*(?:[A-Z]?\.?\d{1,3}(?:\.\d{1,2})?[a-z]?|[IVX]{1,5}))\s*(?:[.:|–—]|$)",
    re.IGNORECASE,
)
_BULLET = re.compile(r"[•●▪◦∙■▶►–—]\s*\S")
_ITEM = re.compile(r"\(?(?:\d{1,2}|[a-z]|[ivx]{1,4})\)\s*\S|\d{1,2}\.\s+\S")
_NUMBER = re.compile(r"(?<!\S)(?:[-–+±~≈<>]?\d[\d.,]*(?:[eE][-–]?\d+)?\S{0,3}|[-–—✓✗×])(?!\S)")
_EQUATION_NUMBER = re.compile(r".*\(\d{1,3}(?:\.\d{1,2})?[a-z]?\)")
_ENDED = re.compile(r"[.!?:;。！？：；][\"'”’)\]]*$")
_ASIDE = re.compile(
    r"equal(?:ly)? (?:contribut|advis)|correspond(?:ing|ence)|work (?:was |is )?done|interns?(?:hip)?\b|project lead"
    r"|contact person",
    re.IGNORECASE,
)


class Kind(Enum):
    """What a paragraph is; a note is small type that is no caption."""

    PROSE, CAPTION, TABLE, NOTE = range(4)


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Lines that belong together. `indented`: its first line stands in; `apart`: no other stands right above it."""

    kind: Kind
    lines: tuple[Line, ...]
    indented: bool = False
    apart: bool = False


StandsOut = Callable[[Line], bool]
"""Is this line set as a heading is?"""


def paragraphs(blocks: Iterable[Block], body: Body, stands_out: StandsOut) -> list[Paragraph]:
    """All paragraphs in reading order. Labels out of figures are left out, and so is who did how much of the work."""
    found = [paragraph for block in blocks for paragraph in _of_block(block, body, stands_out)]
    kept = [paragraph for paragraph in _with_table_heads(found, body) if not _is_dropped(paragraph)]
    return list(_mended(kept, stands_out))


def _of_block(block: Block, body: Body, stands_out: StandsOut) -> Iterator[Paragraph]:
    def starts(above: Line, line: Line) -> bool:
        title = stands_out(line) - stands_out(above)
        borders = (title > 0 and not _is_row(line)) or (title < 0 and not _is_row(above))
        return borders or bool(CAPTION.match(line.text))

    for part in _split(block.lines, starts):
        if CAPTION.match(part[0].text):
            caption, *rest = _split(part, lambda above, line: not _same_look(above, line, body))
            yield Paragraph(Kind.CAPTION, tuple(caption))
            part = [line for lines in rest for line in lines]
        if part:
            yield from _of_part(part, block, body, stands_out)


def _of_part(part: Sequence[Line], block: Block, body: Body, stands_out: StandsOut) -> Iterator[Paragraph]:
    is_title = len(part) == 1 and stands_out(part[0])
    if not is_title and sum(map(_is_row, part)) >= TABLE_SHARE * len(part):
        yield Paragraph(Kind.TABLE, tuple(part))
        return

    apart = True
    for lines in _in_paragraphs(part, block, body, stands_out):
        kind = Kind.NOTE if lines[0].size < body.size - OTHER_SIZE else Kind.PROSE
        yield Paragraph(kind, tuple(lines), _is_indented(lines[0], block), apart)
        apart = stands_out(lines[-1])


def _in_paragraphs(part: Sequence[Line], block: Block, body: Body, stands_out: StandsOut) -> Iterator[list[Line]]:
    paragraph = [part[0]]
    for line in part[1:]:
        above, opening = paragraph[-1], paragraph[0]
        if (
            not _same_look(above, line, body)
            or stands_out(above) != stands_out(line)
            or _is_item(line, above)
            or (_opens(above, line, block) and not stands_out(line) and not _is_item(opening))
        ):
            yield paragraph
            paragraph = []
        paragraph.append(line)
    yield paragraph


def _is_item(line: Line, above: Line | None = None) -> bool:
    """Numbers in brackets also stand in sentences; an item of a list has an end above it."""
    text = line.text
    return bool(_BULLET.match(text) or (_ITEM.match(text) and (above is None or _ENDED.search(above.text))))


def _opens(above: Line, line: Line, block: Block) -> bool:
    """Does a paragraph start with `line`, by its indent or by the end of the line above?"""
    if _is_indented(line, block) and not _is_indented(above, block):
        return True
    ended = above.x1 < block.x0 + SHORT * (block.x1 - block.x0) and bool(_ENDED.search(above.text))
    return ended and not line.text[:1].islower()


def _split(lines: Sequence[Line], starts: Callable[[Line, Line], bool]) -> Iterator[list[Line]]:
    part = [lines[0]]
    for above, line in pairwise(lines):
        if starts(above, line):
            yield part
            part = []
        part.append(line)
    yield part


def _same_look(above: Line, line: Line, body: Body) -> bool:
    down = above.y - line.y
    return abs(above.size - line.size) < OTHER_SIZE and down < GAP * body.leading * max(1.0, line.size / body.size)


def _is_indented(line: Line, block: Block) -> bool:
    return INDENT[0] * line.size < line.x0 - block.x0 < INDENT[1] * line.size


def _is_row(line: Line) -> bool:
    numbers = len(_NUMBER.findall(line.text))
    if (len(line.cells) < ROW_CELLS and numbers < ROW_NUMBERS) or _EQUATION_NUMBER.fullmatch(line.cells[-1]):
        return False
    return len(line.cells) >= ROW_CELLS or numbers >= ROW_SHARE * len(line.text.split())


def _with_table_heads(found: Sequence[Paragraph], body: Body) -> Iterator[Paragraph]:
    """A table's head may stand in blocks of its own, a few words each."""
    table: Paragraph | None = None
    for paragraph in found:
        is_part = paragraph.kind is Kind.TABLE or _is_label(paragraph)
        if table and is_part and _is_near(table, paragraph, body):
            kind = Kind.TABLE if Kind.TABLE in (table.kind, paragraph.kind) else Kind.NOTE
            table = replace(table, kind=kind, lines=table.lines + paragraph.lines)
            continue
        if table:
            yield table
        table = paragraph if is_part else None
        if not is_part:
            yield paragraph
    if table:
        yield table


def _is_near(table: Paragraph, other: Paragraph, body: Body) -> bool:
    first, last = other.lines[0], table.lines[-1]
    return first.page == last.page and abs(last.y - first.y) < TABLE_REACH * body.leading


def _is_label(paragraph: Paragraph) -> bool:
    return paragraph.kind is Kind.NOTE and all(len(line.text.split()) < LABEL_WORDS for line in paragraph.lines)


def _is_dropped(paragraph: Paragraph) -> bool:
    text = " ".join(line.text for line in paragraph.lines)
    on_first = paragraph.lines[0].page == 1 and bool(_ASIDE.search(text))
    return paragraph.kind is Kind.NOTE and (_is_label(paragraph) or on_first)


def _mended(found: Iterable[Paragraph], stands_out: StandsOut) -> Iterator[Paragraph]:
    """Prose that goes on behind a figure or note, or in the next column, is one paragraph; a heading never goes on."""
    prose: Paragraph | None = None
    between: list[Paragraph] = []
    for paragraph in found:
        if paragraph.kind is not Kind.PROSE:
            between.append(paragraph)
        elif prose and not any(map(stands_out, (prose.lines[-1], paragraph.lines[0]))) and _goes_on(prose, paragraph):
            prose = replace(prose, lines=prose.lines + paragraph.lines)
        else:
            yield from filter(None, (prose, *between))
            prose, between = paragraph, []
    yield from filter(None, (prose, *between))


def _goes_on(above: Paragraph, below: Paragraph) -> bool:
    last, first = above.lines[-1], below.lines[0]
    if last.text.endswith(HYPHEN):
        return True
    if _is_item(first, last):
        return False
    if not _ENDED.search(last.text):
        return not below.indented or first.text[:1].islower() or _is_item(above.lines[0])
    # A sentence may end where its column does; where first lines stand in, one that does not goes on.
    elsewhere = first.page != last.page or first.y > last.y
    right = max(line.x1 for line in above.lines)
    is_full = len(above.lines) > 1 and last.x1 > right - MARGIN
    return elsewhere and is_full and above.indented and not below.indented
