"""What stands between the paragraphs of prose: formulas set apart, lists, code and algorithms, boxes in drawings."""

import re
from collections.abc import Iterator
from itertools import islice

from bot.sources.fulltext.latexml import inline, tables
from bot.sources.fulltext.latexml.tree import Node, empty, kind
from bot.sources.fulltext.latexml.writer import Writer

MOST_LINES = 1_000  # of a listing
MOST_ROWS = 200  # of a group of formulas
PROSE = 40  # characters of a box in a drawing: less is a label
_BULLETS = frozenset("•◦‣⁃∙·–—-*○●▪■►▶✓⋄⋆★")
_COUNT = re.compile(r"\d{1,3}\.")


def equations(writer: Writer, node: Node) -> None:
    """Formulas set apart: one paragraph, a line each, with their printed numbers."""
    writer.settle()
    writer.paragraph("\n".join(_equation_lines(node)))


def _equation_lines(node: Node) -> Iterator[str]:
    """One line a formula; a row that goes on with what stands left of it is one with the row above."""
    lines: list[tuple[str, str, bool]] = []
    for row in islice(tables.rows_of(node), MOST_ROWS) if node.tag == "table" else (node,):
        tag = next((inline.text(part) for part in row.iter() if kind(part, "ltx_tag_equation")), "")
        tex, prose = _row_tex(row)
        if not tex:
            continue
        if (
            lines
            and not prose
            and not lines[-1][2]
            and re.match(r"[=<>+]|\\(?:leq?|geq?|approx|equiv|times|cdot)\b", tex)
        ):
            lines[-1] = (f"{lines[-1][0]} {tex}", lines[-1][1] or tag, False)
        else:
            lines.append((tex, tag, prose))
    for tex, tag, prose in lines:
        yield f"{tex if prose else f'$${tex}$$'}{f' {tag}' if tag else ''}"


def _row_tex(row: Node) -> tuple[str, bool]:
    """(TeX, False) of a row of formulas, (text with formulas, True) where words stand between them."""
    pieces: list[str] = []
    formulas: list[str] = []
    for cell in tables.cells_of(row) or [row]:
        if kind(cell, "ltx_eqn_eqno"):
            continue
        formulas += [inline.tex(formula) for formula in cell.iter("math")]
        pieces.append(inline.text(cell))
    said = inline.tidy(" ".join(pieces))
    words = re.sub(r"\$\$?[^$]*\$\$?", "", said)
    prose = bool(re.search(r"[^\W\d_]{2,}", words))
    return (said, True) if prose else ("".join(formulas) if formulas else words.strip(), False)


def listed(writer: Writer, node: Node) -> None:
    """A list as one paragraph of lines."""
    writer.settle()
    lines: list[str] = []
    term = ""
    for item in node:
        if item.tag == "dt" or kind(item, "ltx_tag"):
            term = inline.text(item)
        else:
            lines += _item(writer, item, term)
            term = ""
    writer.paragraph("\n".join(lines))


def _item(writer: Writer, item: Node, term: str) -> Iterator[str]:
    """An item's lines: its own on one line, those of a list in it indented below."""
    tag = next((child for child in item if kind(child, "ltx_tag_item", "ltx_tag")), None)
    mark = inline.text(tag) if tag is not None else ""
    if tag is not None:
        tag.clear(keep_tail=True)
    mark = term or ("" if mark in _BULLETS else mark)
    paragraphs = writer.aside(item)
    nested = [paragraph for paragraph in paragraphs if paragraph.startswith(("- ", "1. "))]
    own = " ".join(paragraph for paragraph in paragraphs if paragraph not in nested)
    if own or mark:
        yield f"{mark} {own}" if _COUNT.fullmatch(mark) else f"- {mark} {own}".replace("  ", " ")
    for paragraph in nested:
        yield from (f"  {line}" for line in paragraph.splitlines())


def listing(writer: Writer, node: Node) -> None:
    """Code or an algorithm, line by line."""
    writer.settle()
    lines = list(islice((line for line in node.iter() if kind(line, "ltx_listingline")), MOST_LINES))
    raw = [_listing_line(line) for line in lines] if lines else "".join(node.itertext()).splitlines()
    writer.paragraph("\n".join(line.rstrip() for line in raw if line.strip()))


def _listing_line(line: Node) -> str:
    """A line of code or of an algorithm, its indentation and number kept."""
    start = re.match(r"[ \u00a0\t]*", "".join(line.itertext()).lstrip("\n"))
    tag = next((child for child in line if kind(child, "ltx_tag_listingline")), None)
    number = inline.text(tag) if tag is not None else ""
    if tag is not None:
        tag.clear(keep_tail=True)
    text = inline.text(line)
    return f"{number} {text}" if number and text else " " * len(start[0] if start else "") + text


def drawing(writer: Writer, node: Node) -> None:
    """Of a drawing only the boxes that hold prose, such as a prompt in a frame."""
    for box in list(node.iter("foreignobject")):
        paragraphs = writer.aside(box)
        empty(box)  # with the boxes in it
        if sum(map(len, paragraphs)) >= PROSE:
            for paragraph in paragraphs:
                writer.paragraph(paragraph)
