"""What no reader of the page sees is taken out of the tree before anything is read, and what it said is looked at.

Authors have hidden instructions to reviewing models in white, tiny or undisplayed text (arXiv/html_feedback#4318).
`aria-hidden` hides nothing from the eye, and LaTeXML uses it.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bot.analysis import untrusted
from bot.sources.fulltext.latexml import style
from bot.sources.fulltext.latexml.style import Rules, Setting
from bot.sources.fulltext.latexml.tree import Node, classes, empty
from bot.sources.fulltext.sections import UnreadableError

MOST_NODES = 80_000  # outside formulas; a page of 800 kB has 6,000
DEEPEST = 150  # levels below the article; LaTeXML's drawings reach 60
MOST_HIDDEN = 20_000  # characters of hidden text that are looked at
MOST_PIECES = 40  # pieces of it that are also looked at one by one
MOST_CHECKS = 200  # drawings, and formulas with words, that are looked into
# What the page's own style sheet (LaTeXML.css) or everybody's custom hides.
_HIDDEN_CLASSES = frozenset(("ltx_nodisplay", "ltx_phantom", "ltx_rdf", "sr-only", "is-sr-only", "visually-hidden"))
_MACHINERY = ("script", "style", "noscript", "template", "dialog", "button", "form", "input", "textarea", "select")
_FRAME = ("nav", "header", "footer", "iframe", "audio", "video", "canvas", "head", "title", "meta", "link")
_SILENT_TAGS = frozenset((*_MACHINERY, *_FRAME))
# What LaTeXML or arXiv adds to a paper, and who wrote it when: none of it is what the paper says.
_FAULTS = ("ltx_ERROR", "ltx_FATAL", "ltx_WARNING", "ltx_INFO", "ltx_missing_citation", "package-alerts")
_CHROME = (
    "ltx_TOC",
    "ltx_page_navbar",
    "ltx_page_header",
    "ltx_page_footer",
    "ltx_page_logo",
    "ltx_pagination",
    "infobox",
)
_AUTHORS = ("ltx_authors", "ltx_creator", "ltx_author_notes", "ltx_role_institutetext", "ltx_role_thanks", "ltx_dates")
_BACK = (
    "ltx_acknowledgements",
    "ltx_acknowledgments",
    "ltx_keywords",
    "ltx_classification",
    "ltx_index",
    "ltx_glossary",
)
_MARKS = ("ltx_note_mark", "ltx_note_type", "ltx_tag_note", "ltx_role_footnotemark", "ltx_listing_data", "ltx_pubnotes")
_SILENT_CLASSES = frozenset((*_FAULTS, *_CHROME, *_AUTHORS, *_BACK, *_MARKS, "ltx_date"))
_DARK = 160  # of 255, the mean of the channels: white text can be read on this


@dataclass(slots=True)
class _Found:
    """The hidden pieces, in order, up to MOST_HIDDEN characters; and how much may still be looked into."""

    pieces: list[str] = field(default_factory=list)
    left: int = MOST_HIDDEN
    drawings: int = MOST_CHECKS
    formulas: int = MOST_CHECKS

    def add(self, texts: Iterator[str]) -> None:
        for text in texts:
            if self.left <= 0:
                return
            self.pieces.append(text[: self.left])
            self.left -= len(self.pieces[-1])


def strip(article: Node, rules: Rules) -> bool:
    """Empties what is not the paper or cannot be seen. True when what was hidden gave a reader model instructions.

    Raises UnreadableError for a page of more nodes than a paper's.
    """
    found = _Found()
    waiting: list[tuple[Node, Setting, int]] = [(article, Setting(), 0)]
    count = 0
    while waiting:
        node, around, depth = waiting.pop()
        count += 1
        if count > MOST_NODES:
            raise UnreadableError("more elements than a paper has")
        setting = _seen(node, around, rules, found)
        if setting is None:
            continue
        if node.tag == "math":
            if _deceives(node, found):
                found.add(iter((node.get("alttext") or "", *node.itertext())))
                empty(node)
            continue
        if depth >= DEEPEST:
            empty(node)
            continue
        waiting += [(child, setting, depth + 1) for child in reversed(list(node))]
    return _instruct(found.pieces)


def _seen(node: Node, around: Setting, rules: Rules, found: _Found) -> Setting | None:
    """How things look inside `node`, None where nothing is left to look at."""
    names = classes(node)
    if node.tag in _SILENT_TAGS or not _SILENT_CLASSES.isdisjoint(names):
        empty(node)
        return None
    declared = rules.declarations(node.tag, node.get("id") or "", names, node.get("style") or "") + _presented(node)
    look = style.look(declared) if declared else style.PLAIN
    if look.gone or node.get("hidden") is not None or not _HIDDEN_CLASSES.isdisjoint(names):
        found.add(node.itertext())
        empty(node)
        return None
    setting = around if look is style.PLAIN else around.inside(look)
    if node.tag == "svg" and found.drawings > 0:
        found.drawings -= 1
        setting = Setting(setting.size, setting.ink, ()) if _has_dark_ground(node) else setting
    if setting.unseen:
        _hush(node, found)
    return setting


def _presented(node: Node) -> str:
    """Colours that stand in attributes of their own, as drawings and old HTML have them."""
    ink, ground = node.get("color"), node.get("bgcolor")
    return (f";color:{ink}" if ink else "") + (f";background-color:{ground}" if ground else "")


def _hush(node: Node, found: _Found) -> None:
    """Takes out the text that stands in `node` itself; what is in its children may be set differently."""
    found.add(iter((node.text or "",)))
    node.text = None
    for child in node:
        if child.tag == "math":
            found.add(child.itertext())
            empty(child)
        found.add(iter((child.tail or "",)))
        child.tail = " "
    if node.tag == "math":
        found.add(node.itertext())
        empty(node)


def _has_dark_ground(svg: Node) -> bool:
    """Does the drawing paint a surface that light text could stand on (a box around a prompt, with its title)?"""
    for _, shape in zip(range(2_000), svg.iter("path", "rect", "g"), strict=False):
        fill = (shape.get("fill") or "").lower()
        colour = style.look(f"color:{fill}").ink if fill not in ("", "none") else None
        if colour is not None and sum(colour) < 3 * _DARK:
            return True
    return False


def _instruct(pieces: Sequence[str]) -> bool:
    text = " ".join(" ".join(pieces).split())
    longest = sorted(set(pieces), key=len, reverse=True)[:MOST_PIECES]
    return bool(text) and (untrusted.redact(text).suspicious or any(map(untrusted.instructs, longest)))


_WHITE_TEX = re.compile(
    r"\\(?:text)?color\s*(?:\[[^\[\]]*\]\s*)?\{\s*(?:white|1(?:\.0*)?(?:\s*,\s*1(?:\.0*)?){0,2}|fff(?:fff)?)\s*\}",
    re.IGNORECASE,
)
_TEX_WORD = re.compile(r"(?<![\\A-Za-z])[^\W\d_]{2,}")
MOST_DRAWN = 5_000  # elements of a formula
_ADDRESSED = 4  # words that a sentence to a reader model has at least


def _deceives(formula: Node, found: _Found) -> bool:
    """Is a formula set in white, or does its TeX, which is read, give orders that its drawn form does not show?"""
    source = formula.get("alttext") or next(("".join(note.itertext()) for note in formula.iter("annotation")), "")
    if _WHITE_TEX.search(source):
        return True
    words = _TEX_WORD.findall(source)
    if len(words) < _ADDRESSED or found.formulas <= 0:
        return False
    found.formulas -= 1
    shown = "".join(text for _, node in zip(range(MOST_DRAWN), formula.iter(), strict=False) for text in _drawn(node))
    letters = "".join(filter(str.isalpha, unicodedata.normalize("NFKC", shown)))
    return not all(word in letters for word in words) and untrusted.instructs(" ".join(words))


def _drawn(node: Node) -> Iterator[str]:
    if node.tag not in ("annotation", "annotation-xml"):
        yield node.text or ""
