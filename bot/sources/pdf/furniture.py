"""What stands around the text of every page: running heads and feet, page and line numbers, arXiv's stamp."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from bot.sources.pdf.glyphs import Page
from bot.sources.pdf.lines import Line

EDGE = 0.12  # of the page's height, at the top and at the bottom, where heads and feet stand
DEPTH = 3  # lines from the edge that may belong to them
LEAST_PAGES = 2  # a head that stands on one page only is taken for text
OFTEN = 0.25  # of the pages: heads of left and right pages differ, and some pages have none

_PAGE_NUMBER = re.compile(
    r"[-–—\s]*(?:page\s+)?(?:\d{1,4}|[ivxl]{1,6})(?:\s*(?:of|/)\s*\d{1,4})?[-–—\s]*", re.IGNORECASE
)
_IMPRINT = re.compile(
    r"preprint|under review|accepted (?:at|by|to|for)|published (?:as|in|at)|to appear in|proceedings of|copyright|©"
    r"|arxiv:|\d+(?:st|nd|rd|th) (?:conference|international)|this (?:work|article) (?:is|has been)|.{0,40}\bIEEE\b",
    re.IGNORECASE,
)
_STAMP = re.compile(r"arXiv:\s*(\S+)")


def without_furniture(
    pages: Sequence[Sequence[Line]], boxes: Sequence[tuple[float, float, float, float]]
) -> list[list[Line]]:
    """The pages' lines without heads, feet and numbers at the edge."""
    edges = [list(_edge(lines, box)) for lines, box in zip(pages, boxes, strict=True)]
    repeated = Counter(key for edge in edges for key in {_key(line) for line in edge})
    often = max(LEAST_PAGES, OFTEN * len(pages))
    dropped = {id(line) for edge in edges for line in edge if repeated[_key(line)] >= often or _is_furniture(line)}
    return [[line for line in lines if id(line) not in dropped] for lines in pages]


def stamp(page: Page) -> str:
    """The ID that arXiv printed along the side of the first page ("2404.00722v5"), "" without one."""
    turned = " ".join(run.text for run in page.runs if run.turned)
    found = _STAMP.search(turned)
    return found[1] if found else ""


def _edge(lines: Sequence[Line], box: tuple[float, float, float, float]) -> Iterator[Line]:
    bottom, top = box[1], box[3]
    by_height = sorted(lines, key=lambda line: line.y)
    yield from (line for line in by_height[:DEPTH] if line.y < bottom + EDGE * (top - bottom))
    yield from (line for line in by_height[-DEPTH:] if line.y > top - EDGE * (top - bottom))


def _key(line: Line) -> tuple[str, int]:
    """A line as it repeats: page numbers differ, the height does not."""
    return re.sub(r"\d+", "#", line.text).casefold(), round(line.y / 4)


def _is_furniture(line: Line) -> bool:
    return bool(_PAGE_NUMBER.fullmatch(line.text)) or (line.page == 1 and bool(_IMPRINT.match(line.text)))
