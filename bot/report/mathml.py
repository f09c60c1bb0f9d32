"""LaTeX as MathML for pages, safe to insert as markup whatever the formula holds."""

import re
from xml.etree import ElementTree

from bot.report.formula import FUNCTIONS, MAX_LENGTH

_MATHML = "http://www.w3.org/1998/Math/MathML"
_ELEMENTS = frozenset(
    (
        "math", "mrow", "mi", "mn", "mo", "ms", "mtext", "mspace", "mfrac", "msqrt", "mroot", "mstyle", "mpadded",
        "mphantom", "msub", "msup", "msubsup", "munder", "mover", "munderover", "mtable", "mtr", "mtd",
    )
)  # fmt: skip
_ATTRIBUTES = frozenset(
    (
        "display", "mathvariant", "stretchy", "fence", "form", "separator", "lspace", "rspace", "minsize", "maxsize",
        "symmetric", "largeop", "movablelimits", "accent", "accentunder", "linethickness", "columnalign", "rowspacing",
        "columnspacing", "width", "height", "depth", "displaystyle", "scriptlevel",
    )
)  # fmt: skip
_VALUE = re.compile(r"[\w.%+\- ]*")


def convert(tex: str) -> str | None:
    r"""`tex` as a MathML element, safe to insert as markup; None when it cannot be converted.

    latex2mathml passes the content of \text and attributes on unescaped, so its output is parsed as XML and rebuilt
    from the elements and attributes of MathML Core alone.
    """
    from latex2mathml import converter

    if len(tex) > MAX_LENGTH:
        return None
    try:
        markup = converter.convert(re.sub(r"\\arg(?![A-Za-z])", r"\\operatorname{arg}", tex))  # \arg is unknown to it
        # What would be a document type or a comment is refused before any XML reader sees it.
        root = None if "<!" in markup or "<?" in markup else ElementTree.fromstring(markup)  # noqa: S314 - no DTD here
    except Exception:  # noqa: BLE001 - the library raises a dozen kinds of its own, and RecursionError
        return None
    return None if root is None else _rebuilt(root)


def _rebuilt(root: ElementTree.Element) -> str | None:
    for element in root.iter():
        tag = element.tag.removeprefix(f"{{{_MATHML}}}")
        if tag not in _ELEMENTS:
            return None
        # An unknown macro comes out as its source: the Unicode form reads better than "\foo".
        if "\\" in (element.text or ""):
            return None
        element.tag = tag
        kept = {
            name: value for name, value in element.attrib.items() if name in _ATTRIBUTES and _VALUE.fullmatch(value)
        }
        element.attrib.clear()
        element.attrib.update(kept)
        _mend(element)
        if len(element) and element[-1].text == "×":  # "3×": an operator with nothing behind it wants no space round it
            element[-1].attrib.update(lspace="0", rspace="0")
    root.set("xmlns", _MATHML)
    return ElementTree.tostring(root, encoding="unicode")


def _mend(element: ElementTree.Element) -> None:
    """latex2mathml calls relations and function names identifiers, which loses the space around them."""
    if element.tag != "mi":
        return
    if element.text == "~":
        element.tag, element.text = "mo", "∼"
    elif element.text in FUNCTIONS:
        element.tag = "mo"
        element.attrib.update(lspace="0.17em", rspace="0.17em", form="infix")
