"""What is written down of an article while it is read: paragraphs, figures and the parts that they belong to."""

from collections.abc import Callable
from dataclasses import dataclass, field

from bot.models import Figure
from bot.sources.fulltext import sections
from bot.sources.fulltext.latexml import inline
from bot.sources.fulltext.latexml.floats import Images
from bot.sources.fulltext.latexml.tree import Node, kind

MOST_CHARACTERS = 2 * sections.MOST_CHARACTERS  # what is dropped of them counts, too
DEEPEST = 8  # lists and floats in one another: what is nested deeper becomes one line

_INLINE = frozenset(("math", "cite", "sup", "img", "object", "embed"))
_OPENING = ("table", "ul", "ol", "dl", "figure", "p", "div", "svg", "pre", "section")


def opens_blocks(node: Node) -> bool:
    """Does an element of a line hold what cannot stand in one (LaTeXML's boxes round tables and lists)?"""
    if node.tag in _INLINE or kind(node, "ltx_note") or len(node) == 0:
        return False
    return any(True for _ in node.iter(*_OPENING)) or any(
        kind(inner, "ltx_p", "ltx_tabular") for inner in node.iter("span")
    )


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
    action: Callable[[Node], "Action | None"]
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

    def settle(self) -> None:
        """Ends the paragraph; a title that none follows stands alone."""
        self.flush()
        if self.lead:
            self.paragraph(self.lead)
            self.lead = ""

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
        action = self.action(node)
        if action is not None:
            self.flush()
            action(self, node)
            self.flush()
        elif opens_blocks(node):
            self.visit(node)
        else:
            inline.collect(node, self.line, self.notes)

    def aside(self, node: Node) -> list[str]:
        """The paragraphs of `node` alone, as of a list's item. A heading is one more paragraph there."""
        writer = Writer(self.images, self.action, left=self.left, depth=self.depth + 1)
        if writer.depth <= DEEPEST:
            writer.visit(node)
        else:
            writer.line.append(inline.text(node))
        writer.settle()
        self.left = writer.left
        self.drafts[-1].figures += [figure for draft in writer.drafts for figure in draft.figures]
        return [text for draft in writer.drafts for text in (draft.title, *draft.paragraphs) if text]


Action = Callable[[Writer, Node], None]
