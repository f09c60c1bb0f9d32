"""The article read from top to bottom: headings open parts, and what stands under them becomes their paragraphs."""

import re

from bot.models import Figure
from bot.sources.fulltext import sections
from bot.sources.fulltext.latexml import floats, inline, passages, tables
from bot.sources.fulltext.latexml.floats import Images
from bot.sources.fulltext.latexml.tree import Node, kind
from bot.sources.fulltext.latexml.writer import Action, Draft, Writer

MOST_PARTS = 2 * sections.MOST_SECTIONS  # what is dropped of them counts, too
_LEVELS = ("part", "chapter", "section", "subsection", "subsubsection", "appendix")
_HEADINGS = tuple(f"ltx_title_{level}" for level in _LEVELS)
_BLOCK_TAGS = frozenset(
    ("p", "div", "section", "article", "blockquote", "center", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "main")
)
_BLOCK_CLASSES = ("ltx_p", "ltx_para", "ltx_block", "ltx_theorem", "ltx_proof", "ltx_quote", "ltx_minipage")
_LIST_CLASSES = ("ltx_itemize", "ltx_enumerate", "ltx_description")


def written(article: Node, images: Images) -> Writer:
    """The article, taken down."""
    writer = Writer(images, action)
    writer.visit(article)
    writer.settle()
    return writer


def action(node: Node) -> Action | None:
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
        return passages.equations
    if floats.is_float(node):
        return _float
    if tables.is_table(node):
        return _table
    if tag in ("ul", "ol", "dl") or kind(node, *_LIST_CLASSES):
        return passages.listed
    if kind(node, "ltx_listing") or tag == "pre":
        return passages.listing
    if tag == "svg":
        return passages.drawing
    if tag == "section":
        return _section
    return _block if tag in _BLOCK_TAGS or kind(node, *_BLOCK_CLASSES) else None


def _nothing(_writer: Writer, _node: Node) -> None:
    """The paper's title is known."""


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
        writer.settle()
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
    writer.settle()
    table = tables.markdown(node)
    if table:
        writer.paragraph(table)
    else:
        for row in tables.rows_of(node):
            for cell in tables.cells_of(row):
                _block(writer, cell)
                writer.flush()


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
