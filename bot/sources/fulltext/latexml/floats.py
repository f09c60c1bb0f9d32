"""What floats: figures with their images, tables with their captions, algorithms."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from urllib.parse import quote, unquote, urljoin, urlsplit

from bot.models import ARXIV, ArxivId, Figure
from bot.sources.fulltext.latexml import inline
from bot.sources.fulltext.latexml.tree import Node, kind

MOST_ADDRESS = 500  # characters
MOST_CAPTIONS = 30  # of a float, its panels' included
WHOLE = 0.8  # of the area of a figure's images: one that takes more of it is the figure
_RASTER = re.compile(r"\.(?:png|jpe?g|gif|webp)", re.IGNORECASE)
_SAFE_PATH = re.compile(r"[\w./+~%@=:,()-]+", re.ASCII)
_WORD_LABEL = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True, slots=True)
class Images:
    """Where a page's images are: `arxiv_id` with the version that the page names, `base` of its <base> element."""

    arxiv_id: ArxivId
    base: str = ""

    def url(self, source: str) -> str:
        """The absolute address on arxiv.org of one of this paper's raster images, "" for anything else.

        Pages without <base> name their own folder in front ("1706.03762v7/x1.png"); older ones do not.
        """
        home = f"{ARXIV}/html/"
        source = source.strip()
        if not source or len(source) > MOST_ADDRESS or (not self.base and self.arxiv_id.version is None):
            return ""
        named = re.match(rf"(?:\./)?{re.escape(self.arxiv_id.id)}(?:v\d+)?/", source)
        base = urljoin(home, self.base) if self.base else home if named else f"{home}{self.arxiv_id}/"
        try:
            parts = urlsplit(urljoin(base, source))
        except ValueError:
            return ""
        path = quote(unquote(parts.path), safe="/+~@=:,()")
        ours = re.match(rf"/html/{re.escape(self.arxiv_id.id)}(?:v\d+)?/(?!.*\.\.)", path)
        raster = _RASTER.fullmatch("." + path.rpartition(".")[2])
        plain = parts.scheme == "https" and parts.netloc == "arxiv.org" and _SAFE_PATH.fullmatch(path)
        return f"{ARXIV}{path}" if ours and raster and plain else ""


def is_float(node: Node) -> bool:
    """Is it a figure, a table or an algorithm with its caption?"""
    return node.tag == "figure" or kind(node, "ltx_figure", "ltx_table", "ltx_float")


def own(node: Node) -> Iterator[Node]:
    """The nodes of a float without those of the floats in it that carry a label of their own ("Figure 3")."""
    for child in node:
        if is_float(child) and _has_label(child):
            continue
        yield child
        yield from own(child)


def _has_label(node: Node) -> bool:
    return any(_WORD_LABEL.search(label(caption)) for caption in islice(node.iter("figcaption"), MOST_CAPTIONS))


def captions(node: Node) -> tuple[Node, ...]:
    """The captions of a float, its own before those of its panels."""
    every = (child for child in own(node) if child.tag == "figcaption" or kind(child, "ltx_caption"))
    found = list(islice(every, MOST_CAPTIONS))
    found = [caption for caption in found if caption.getparent() is None or not _inside(caption, found)]
    return tuple(sorted(found, key=lambda caption: not _WORD_LABEL.search(label(caption))))


def _inside(node: Node, others: list[Node]) -> bool:
    parent = node.getparent()
    return parent is not None and any(parent is other for other in others)


def label(caption: Node) -> str:
    """The number of a caption as printed: "Figure 2", of a panel's "(a)", else ""."""
    tag = next((node for node in caption.iter() if kind(node, "ltx_tag")), None)
    return inline.text(tag).strip(" .:|") if tag is not None else ""


def caption_text(caption: Node, notes: list[str]) -> tuple[str, str]:
    """(label, text) of a caption."""
    name = label(caption)
    whole = inline.text(caption, notes)
    body = whole[len(name) :].lstrip(" .:|") if name and whole.startswith(name) else whole
    return name, body


def figure(node: Node, name: str, body: str, images: Images) -> Figure:
    """The figure, with the address of its image where one image is the figure, or nearly."""
    drawn = [child for child in own(node) if child.tag in ("img", "svg") or kind(child, "ltx_graphics")]
    areas = [_area(child) for child in drawn]
    largest = max(range(len(drawn)), key=areas.__getitem__, default=None)
    if largest is None or (len(drawn) > 1 and areas[largest] < WHOLE * sum(areas)) or drawn[largest].tag != "img":
        return Figure(name, body)
    return Figure(name, body, images.url(drawn[largest].get("src") or ""))


def _area(node: Node) -> float:
    sides = [re.match(r"\d{1,5}", node.get(side) or "") for side in ("width", "height")]
    return float(sides[0][0]) * float(sides[1][0]) if sides[0] and sides[1] else 1.0
