"""Pieces that every document of the report is put together from."""

from collections.abc import Iterable
from typing import Literal

from bot.analysis import scoring
from bot.models import Band, Score
from bot.report import document
from bot.report.document import Span, Spans
from bot.texts import Texts

SEPARATOR = " · "


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
