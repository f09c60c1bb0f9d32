r"""The text of a piece of a page on one line: formulas as $TeX$, citations as printed, notes set aside."""

import re

from bot.sources.fulltext.latexml.tree import Node, kind

LEAST_WORDS = 4  # of a footnote worth reading; less is an address
MOST_TEX = 5_000  # characters of a formula; a longer one is a drawing
# What LaTeXML adds to a formula that says how it is set, not what it says.
_NOISE = re.compile(
    r"%\s*\n|\\(?:displaystyle|textstyle|displaylimits|limits|nolimits|leavevmode|nobreak|ignorespaces|protect|mathstrut)"
    r"(?![A-Za-z])|\\(?:color|definecolor|pagecolor)\s*(?:\[[^\[\]]*\]\s*)?(?:\{[^{}]*\}){1,3}"
    r"|\\(?:label|vphantom|hphantom|phantom)\s*\{[^{}]*\}"
)
_NUMBER = re.compile(r"[-+]?\d[\d,.]*(?:\s*\\?%)?")
_SIGNED = re.compile(
    r"(?:\\(?P<before>pm|times|sim|approx)\s*)?(?P<number>\d[\d.]*(?:\\?%)?)(?:\s*\\(?P<after>times))?"
)
_SIGNS = {
    r"\uparrow": "↑",
    r"\downarrow": "↓",
    r"\rightarrow": "→",
    r"\to": "→",
    r"\bullet": "•",
    r"\times": "×",
    r"\pm": "±",
    r"\checkmark": "✓",
    r"\approx": "≈",
    r"\sim": "~",
    r"\dagger": "†",
    r"\ddagger": "‡",
    r"\star": "⋆",
    r"\ast": "*",
    r"\%": "%",
}
_BLOCKS = ("p", "div", "section", "li", "ul", "ol", "dl", "dt", "dd", "figure", "figcaption", "blockquote", "pre", "br")
_CELLS = ("table", "thead", "tbody", "tr", "td", "th")
_SPACED = frozenset((*_BLOCKS, *_CELLS, "h1", "h2", "h3", "h4", "h5", "h6", "center", "foreignobject", "hr"))
_BEFORE_MARK = re.compile(r"(?<=\S) +(?=[,.;:)\]](?:\s|$|[,.;:)\]]))")
_EMPTY_CITATION = re.compile(r"[(\[]\s*(?:[;,]\s*)*[)\]]")
_SPACES = re.compile(r"\s+")
_LOOSE = re.compile(r"([(\[])\s*[;,]\s*|\s*[;,]\s*([)\]])")


def text(node: Node, notes: list[str] | None = None) -> str:
    """All that `node` says. The texts of footnotes go to `notes`, or nowhere."""
    pieces: list[str] = []
    collect(node, pieces, notes)
    return tidy("".join(pieces))


def tidy(raw: str) -> str:
    """On one line, without the space that a dropped note or citation leaves before a mark."""
    return _BEFORE_MARK.sub("", " ".join(raw.split()))


def collect(node: Node, pieces: list[str], notes: list[str] | None) -> None:
    """Appends what `node` says to `pieces`, without the text that follows it."""
    if node.tag == "math":
        pieces.append(formula(node))
    elif kind(node, "ltx_note"):
        note(node, notes)
    elif node.tag in ("svg", "object", "embed"):
        pieces.append(" ")
    elif node.tag == "cite":
        cited = citation(node)
        if not cited and pieces:
            pieces[-1] = pieces[-1].rstrip(" \u00a0\n,;")
        pieces.append(cited)
    elif node.tag == "sup" and (raised := _exponent(node, pieces)):
        pieces.append(raised)
    else:
        space = " " if node.tag in _SPACED else ""
        pieces.append(space + (node.text or ""))
        for child in node:
            collect(child, pieces, notes)
            pieces.append(child.tail or "")
        pieces.append(space)


def citation(node: Node) -> str:
    """A citation as printed; nothing where LaTeXML found no entry for any of its keys."""
    raw = _SPACES.sub(" ", "".join(node.itertext()))  # the patterns below look at every space once more
    if not any(character.isalnum() for character in raw):
        return ""
    return _LOOSE.sub(r"\1\2", _EMPTY_CITATION.sub("", raw))


def note(node: Node, notes: list[str] | None) -> None:
    """Sets the text of a footnote aside, unless it is a mere address."""
    if notes is None or not kind(node, "ltx_role_footnote", "ltx_role_footnotetext", "ltx_role_endnote"):
        return
    body = tidy("".join(_inside(node)))
    if sum("/" not in word for word in body.split()) >= LEAST_WORDS:
        notes.append(body)


def _inside(node: Node) -> list[str]:
    pieces = [node.text or ""]
    for child in node:
        collect(child, pieces, None)
        pieces.append(child.tail or "")
    return pieces


def formula(node: Node) -> str:
    """$TeX$ in a line, $$TeX$$ where it stands alone; a mere number or sign as itself."""
    bare = tex(node)
    if not bare:
        return ""
    if node.get("display") == "block":
        return f" $${bare}$$ "
    return _plain(bare) or f"${bare}$"


def tex(node: Node) -> str:
    """A formula's TeX without delimiters and without what only sets it."""
    source = node.get("alttext")
    if source is None:
        source = next(("".join(annotation.itertext()) for annotation in node.iter("annotation")), "")
    return " ".join(_NOISE.sub("", source).replace("$", "").split()) if len(source) <= MOST_TEX else ""


def _plain(bare: str) -> str:
    """A formula that needs no TeX: "28.4", "12%", "8×", "±0.3", "↑"."""
    bare = bare.replace("{,}", ",").replace(r"\,", "").strip()
    if bare in _SIGNS:
        return _SIGNS[bare]
    if _NUMBER.fullmatch(bare):
        return bare.replace("\\%", "%").replace(" ", "")
    found = _SIGNED.fullmatch(bare)
    if not found:
        return ""
    before = _SIGNS[f"\\{found['before']}"] if found["before"] else ""
    return before + found["number"].replace("\\%", "%") + ("×" if found["after"] else "")


def _exponent(node: Node, pieces: list[str]) -> str:
    """What a raised -4 behind a digit is written as: without a mark, 10 to the minus fourth would read as 10-4."""
    raised = "".join(node.itertext()).strip()
    before = "".join(pieces[-2:])[-1:]
    return f"^{raised}" if before.isdigit() and re.fullmatch(r"[-−+]?\d{1,3}", raised) else ""
