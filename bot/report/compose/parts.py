"""Pieces that every document of the report is put together from."""

import re
from collections.abc import Iterable
from typing import Literal

from bot.analysis import scoring
from bot.models import Band, Score
from bot.report import document
from bot.report.document import Span, Spans
from bot.texts import Texts

SEPARATOR = " · "
TRAILING = " ,;:([–—-，、；：（"  # what does not stand before an ellipsis
_WORD_END = re.compile(r"(?=\s)|(?<=[\u3400-\u9fff，、；：])")  # before a blank, behind a Chinese character


def band(score: Score | None) -> Band:
    """The word for a score's height; "failed" for a paper without one."""
    return "failed" if score is None else scoring.band(score.value)


def plain(text: str) -> Spans:
    """One span without a look."""
    return (Span(text),)


def notice(text: str, tone: Literal["info", "warning"] = "info") -> document.Note:
    """A note of plain words."""
    return document.Note(plain(text), tone)


def footer(parts: Iterable[str]) -> document.Footer:
    """The small print, its parts on one line."""
    return document.Footer(plain(SEPARATOR.join(parts)))


def page_button(texts: Texts, url: str | None) -> tuple[document.Button, ...]:
    """The button to a web page, where there is one."""
    return () if url is None else (document.Button(texts("button.page"), url),)


def part_label(texts: Texts) -> str:
    """The wording of "part 2 of 3", still with its places: the platform that splits fills them in."""
    return texts("digest.part", part="{part}", parts="{parts}")


def beginning(text: str, limit: int) -> str:
    """`text`, or as many of its words as fit into `limit` characters with an ellipsis."""
    if len(text) <= limit:
        return text
    end = max((found.end() for found in _WORD_END.finditer(text[:limit])), default=0) or limit - 1
    return text[: min(end, limit - 1)].rstrip(TRAILING) + "…"
