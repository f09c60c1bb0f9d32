"""The article read from top to bottom: headings open parts, and what stands under them becomes their paragraphs."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from bot.models import Figure
from bot.sources.fulltext import sections
from bot.sources.fulltext.latexml import floats, inline, tables
from bot.sources.fulltext.latexml.floats import Images
from bot.sources.fulltext.latexml.tree import Node, empty, kind

MOST_PARTS = 2 * sections.MOST_SECTIONS  # what is dropped of them counts, too
MOST_CHARACTERS = 2 * sections.MOST_CHARACTERS
MOST_LINES = 1_000  # of a listing, MOST_ROWS of a group of formulas
MOST_ROWS = 200
DEEPEST = 8  # lists and floats in one another: what is nested deeper becomes one line
PROSE = 40  # characters of a box in a drawing: less is a label
_HEADINGS = tuple(
    f"ltx_title_{level}" for level in ("part", "chapter", "section", "subsection", "subsubsection", "appendix")
)
_BLOCK_TAGS = frozenset(
    ("p", "div", "section", "article", "blockquote", "center", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "main")
)
_BLOCK_CLASSES = ("ltx_p", "ltx_para", "ltx_block", "ltx_theorem", "ltx_proof", "ltx_quote", "ltx_minipage")
_LIST_CLASSES = ("ltx_itemize", "ltx_enumerate", "ltx_description")
_BULLETS = frozenset("•◦‣⁃∙·–—-*○●▪■►▶✓⋄⋆★")
_COUNT = re.compile(r"\d{1,3}\.")


@dataclass(slots=True)
class Draft:
    """A part in the making; the first one of a page has no heading."""

    title: str = ""
    number: str = ""
    anchor: str = ""
    appendix: bool = False
    paragraphs: list[str] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)

    @property
    def part(self) -> sections.Part:
        return sections.Part(
            self.title, tuple(self.paragraphs), self.number, self.anchor, tuple(self.figures), self.appendix
        )


@dataclass(slots=True)
class Writer:
    """Takes down an article. `line` is the paragraph being written, `lead` the title that runs into the next one."""

    images: Images
    drafts: list[Draft] = field(default_factory=lambda: [Draft()])
    abstract: list[str] = field(default_factory=list)
    line: list[str] = field(default_factory=list)
    lead: str = ""
    notes: list[str] = field(default_factory=list)
    appendix: bool = False
    left: int = MOST_CHARACTERS
    depth: int = 0  # of lists and floats in one another

    def flush(self) -> None:
        """Ends the paragraph."""
        text = inline.tidy("".join(self.line))
        self.line.clear()
        if text:
            self.paragraph(f"{self.lead} {text}" if self.lead else text)
            self.lead = ""
        notes, self.notes = self.notes, []
        for note in notes:
            self.paragraph(f"Footnote: {note}")

    def paragraph(self, text: str) -> None:
        self.left -= len(text)
        if text and self.left > 0:
            self.drafts[-1].paragraphs.append(text)

    def visit(self, node: Node) -> None:
        """Takes down what stands in `node`."""
        self.line.append(node.text or "")
        for child in node:
            self.take(child)
            self.line.append(child.tail or "")

    def take(self, node: Node) -> None:
        """Takes down `node` by what it is."""
        action = _action(node)
        if action is not None:
            self.flush()
            action(self, node)
            self.flush()
        elif _opens_blocks(node):
            self.visit(node)
        else:
            inline.collect(node, self.line, self.notes)

    def aside(self, node: Node) -> list[str]:
        """The paragraphs of `node` alone, as of a list's item. Headings do not count in there."""
        writer = Writer(self.images, left=self.left, depth=self.depth + 1)
        if writer.depth <= DEEPEST:
            writer.visit(node)
        else:
            writer.line.append(inline.text(node))
        writer.flush()
        self.left = writer.left
        self.drafts[-1].figures += [figure for draft in writer.drafts for figure in draft.figures]
        return [paragraph for draft in writer.drafts for paragraph in draft.paragraphs]


def _block(writer: Writer, node: Node) -> None:
    writer.visit(node)


def _section(writer: Writer, node: Node) -> None:
    """A section with its heading; thanks are left out with all that belongs to them."""
    heading = next((child for child in node if kind(child, "ltx_title")), None)
    before = writer.appendix
    writer.appendix = before or kind(node, "ltx_appendix")
    if heading is not None and sections.dropped(_numbered(heading)[1]) and not kind(node, "ltx_appendix"):
        _references(writer, node)
    else:
        writer.visit(node)
    writer.appendix = before


def _references(writer: Writer, node: Node) -> None:
    """The references are not read; a part without text says where they stood."""
    heading = next((child for child in node if kind(child, "ltx_title")), None)
    title = _numbered(heading)[1] if heading is not None else "References"
    if kind(node, "ltx_bibliography") or sections.is_references(title):
        writer.drafts.append(Draft("References"))


def _heading(writer: Writer, node: Node) -> None:
    number, title = _numbered(node)
    if (title or number) and len(writer.drafts) < MOST_PARTS:
        writer.lead = ""
        writer.drafts.append(Draft(title or number, number if title else "", _anchor(node), writer.appendix))


def _run_in(writer: Writer, node: Node) -> None:
    """The title of a paragraph, a theorem or a proof opens the paragraph that follows."""
    title = inline.text(node)
    title = title if not title or title[-1] in ".:?!。：？！" else f"{title}."
    writer.lead = f"{writer.lead} {title}".strip()


def _abstract(writer: Writer, node: Node) -> None:
    title = next((child for child in node if kind(child, "ltx_title")), None)
    paragraphs = writer.aside(node)
    opening = inline.text(title) if title is not None else ""
    if paragraphs and opening and paragraphs[0] == opening:
        del paragraphs[0]
    writer.abstract += paragraphs


def _equations(writer: Writer, node: Node) -> None:
    lines = list(_equation_lines(node))
    if len(lines) == 1 and writer.lead:
        writer.line.append(lines[0])
    else:
        writer.paragraph("\n".join(lines))


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


def _list(writer: Writer, node: Node) -> None:
    lines: list[str] = []
    for item in node:
        if item.tag == "dt" or kind(item, "ltx_tag"):
            writer.lead = inline.text(item)
        else:
            lines += _item(writer, item)
    writer.lead = ""
    writer.paragraph("\n".join(lines))


def _item(writer: Writer, item: Node) -> Iterator[str]:
    """An item's lines: its own on one line, those of a list in it indented below."""
    tag = next((child for child in item if kind(child, "ltx_tag_item", "ltx_tag")), None)
    mark = inline.text(tag) if tag is not None else ""
    if tag is not None:
        tag.clear(keep_tail=True)
    mark = writer.lead or ("" if mark in _BULLETS else mark)
    writer.lead = ""
    paragraphs = writer.aside(item)
    nested = [paragraph for paragraph in paragraphs if paragraph.startswith(("- ", "1. "))]
    own = " ".join(paragraph for paragraph in paragraphs if paragraph not in nested)
    if own or mark:
        yield f"{mark} {own}" if _COUNT.fullmatch(mark) else f"- {mark} {own}".replace("  ", " ")
    for paragraph in nested:
        yield from (f"  {line}" for line in paragraph.splitlines())


def _float(writer: Writer, node: Node) -> None:
    """Captions first, then tables and listings; floats inside with a label of their own follow."""
    notes: list[str] = []
    said = [floats.caption_text(caption, notes) for caption in floats.captions(node)]
    main = [(name, body) for name, body in said if re.search(r"[^\W\d_]{3,}", name)]
    if len(main) > 1:
        for name, body in main:
            _caption(writer, node, name, body, image=False)
        said = []
    if said:
        name = said[0][0] if main else ""
        body = " ".join(
            " ".join(filter(None, pair)) if place or not main else pair[1] for place, pair in enumerate(said)
        )
        _caption(writer, node, name, body, image=True)
    for child in floats.own(node):
        if child.tag == "figcaption" or kind(child, "ltx_caption"):
            child.clear(keep_tail=True)
    inner = writer.aside(node)
    for paragraph in inner:
        if "\n" in paragraph or not (said and kind(node, "ltx_figure")):
            writer.paragraph(paragraph)
    for note in notes:
        writer.paragraph(f"Footnote: {note}")


def _caption(writer: Writer, node: Node, name: str, body: str, *, image: bool) -> None:
    writer.paragraph(f"{name}: {body}" if name and body else name or body)
    if re.match(r"(?:fig|abb|图)", name, re.IGNORECASE):
        found = floats.figure(node, name, body, writer.images) if image else Figure(name, body)
        writer.drafts[-1].figures.append(found)


def _table(writer: Writer, node: Node) -> None:
    table = tables.markdown(node)
    if table:
        writer.paragraph(table)
    else:
        for row in tables.rows_of(node):
            for cell in tables.cells_of(row):
                _block(writer, cell)
                writer.flush()


def _listing(writer: Writer, node: Node) -> None:
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


def _drawing(writer: Writer, node: Node) -> None:
    """Of a drawing only the boxes that hold prose, such as a prompt in a frame."""
    for box in list(node.iter("foreignobject")):
        paragraphs = writer.aside(box)
        empty(box)  # with the boxes in it
        if sum(map(len, paragraphs)) >= PROSE:
            for paragraph in paragraphs:
                writer.paragraph(paragraph)


def _action(node: Node) -> Callable[[Writer, Node], None] | None:
    """What to do with a block; None for what stands in a line."""
    tag = node.tag
    if tag in ("math", "span", "a", "cite", "em", "sup", "sub", "b", "i") and node.get("class") is None:
        return None
    if kind(node, *_HEADINGS):
        return _heading
    if kind(node, "ltx_title_document", "ltx_subtitle"):
        return _nothing
    if kind(node, "ltx_title") and not kind(node, "ltx_title_abstract"):
        return _run_in
    if kind(node, "ltx_abstract"):
        return _abstract
    if kind(node, "ltx_bibliography", "ltx_biblist"):
        return _references
    if tables.is_equation(node):
        return _equations
    if floats.is_float(node):
        return _float
    if tables.is_table(node):
        return _table
    if tag in ("ul", "ol", "dl") or kind(node, *_LIST_CLASSES):
        return _list
    if kind(node, "ltx_listing") or tag == "pre":
        return _listing
    if tag == "svg":
        return _drawing
    if tag == "section":
        return _section
    return _block if tag in _BLOCK_TAGS or kind(node, *_BLOCK_CLASSES) else None


def _nothing(_writer: Writer, _node: Node) -> None:
    """The paper's title is known."""


_INLINE = frozenset(("math", "cite", "sup", "img", "object", "embed"))
_OPENING = ("table", "ul", "ol", "dl", "figure", "p", "div", "svg", "pre", "section")


def _opens_blocks(node: Node) -> bool:
    """Does an element of a line hold what cannot stand in one (LaTeXML's boxes round tables and lists)?"""
    if node.tag in _INLINE or kind(node, "ltx_note") or len(node) == 0:
        return False
    return any(True for _ in node.iter(*_OPENING)) or any(
        kind(inner, "ltx_p", "ltx_tabular") for inner in node.iter("span")
    )


def _numbered(heading: Node) -> tuple[str, str]:
    """(number, title) of a heading as printed: ("3.2", "Training"), ("A", "Proofs")."""
    tag = next((node for node in heading.iter() if kind(node, "ltx_tag")), None)
    mark = inline.text(tag) if tag is not None else ""
    whole = inline.text(heading)
    title = whole[len(mark) :] if whole.startswith(mark) else whole
    number = re.sub(r"^(?:appendix|chapter|part|附录)\s*", "", mark, flags=re.IGNORECASE).strip(" .:")
    return number, title.strip(" .:|") if mark else title.strip()


def _anchor(heading: Node) -> str:
    """The ID of the section that a heading opens, for links into the page."""
    node: Node | None = heading
    while node is not None:
        identity = node.get("id")
        if identity and node.tag in ("section", "div", "article"):
            return identity if re.fullmatch(r"[\w.:-]{1,80}", identity, re.ASCII) else ""
        node = node.getparent()
    return ""
