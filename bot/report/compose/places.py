"""Where in the paper: the mark behind each point, and the sections that were not read in full."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from bot.models import ARXIV, Answer, ArxivId, Basis, DeepDive, Point, PointKind, Section
from bot.report import document
from bot.report.compose.parts import beginning
from bot.report.document import is_web_url
from bot.report.inline import visible
from bot.texts import Texts

LABEL_LENGTH = 24  # characters; a section title that stands for a missing number is cut to a label
LEFT_OUT_CHARACTERS = 80  # of the small print; what is beyond is counted
ABSTRACT = "S0"  # the abstract's ID in every full text
_NUMBER = re.compile(r"(\d{1,2}|[A-Z])(\.\d{1,2}){0,2}")
_LEVELS = (".SS", ".SSS")  # LaTeXML's anchors of subsections
_ROMAN = re.compile(r"[IVX]+(?![A-Za-z.])")  # "IV-B" is a section of the paper; every other letter names an appendix
_SUBSECTION = re.compile(r"(?P<parent>.+)[.\-][^.\-]+")

Made = DeepDive | Answer
"""What was read of a paper and said of it, point by point."""


def mark(point: Point, made: Made, texts: Texts) -> document.Mark:
    """What the point rests on, and where that stands."""
    if point.kind is PointKind.INFERRED:
        return document.Mark(texts("mark.inferred"), inferred=True)
    quote = visible(point.quote) or None
    if made.basis is Basis.ABSTRACT or point.section == ABSTRACT:
        return document.Mark(texts("mark.abstract"), inferred=False, quote=quote, href=made.paper.arxiv_id.abs_url)
    place = next((section for section in made.outline if section.id == point.section), None)
    if place is None:
        return document.Mark(point.section, inferred=False, quote=quote)
    # A PDF opens on its first page whatever the link says, and Markdown is no page at all.
    href = section_url(made.paper.arxiv_id, place) if made.basis is Basis.HTML else None
    return document.Mark(_label(place, texts), inferred=False, quote=quote, href=href)


def section_url(arxiv_id: ArxivId, place: Section) -> str | None:
    """The section on arXiv's HTML page; where its anchor is unknown, LaTeXML's for its number: #S3.SS2, #A1.SS1."""
    anchor = place.anchor or _computed(place.number)
    url = f"{ARXIV}/html/{arxiv_id}#{anchor}"
    return url if anchor and is_web_url(url) else None


def _computed(number: str) -> str:
    if _NUMBER.fullmatch(number) is None:
        return ""
    first, *deeper = number.split(".")
    anchor = f"S{first}" if first.isdigit() else f"A{ord(first) - ord('A') + 1}"
    return anchor + "".join(f"{level}{part}" for level, part in zip(_LEVELS, deeper, strict=False))


def left_out(made: Made, texts: Texts) -> str | None:
    """The sections that were not read in full, neighbours as one range: "not read in full: §2, App. A–C"."""
    missing = {section.id for section in made.outline} & set(made.left_out)
    names = [_name(run, texts) for run in _runs(made.outline, missing)]
    if not names:
        return None
    joint = texts("digest.listing")
    shown = [name for end, name in enumerate(names, 1) if len(joint.join(names[:end])) <= LEFT_OUT_CHARACTERS]
    if len(shown) == len(names):
        return texts("dive.left_out", places=joint.join(names))
    return texts("dive.left_out_more", places=joint.join(shown), count=len(missing))


@dataclass(frozen=True, slots=True)
class _Unit:
    """A section, or a whole chapter named by its number. Only units of the same `parent` make a range."""

    parent: str | None
    place: Section
    missing: bool


def _runs(outline: Sequence[Section], missing: Collection[str]) -> Iterator[Sequence[_Unit]]:
    """Neighbours that are missing."""
    units = [unit for _, chapter in groupby(outline, _chapter) for unit in _units(list(chapter), missing)]
    for (is_missing, parent), run in groupby(units, lambda unit: (unit.missing, unit.parent)):
        if is_missing:
            yield from ([list(run)] if parent is not None else ([unit] for unit in run))


def _units(chapter: Sequence[Section], missing: Collection[str]) -> Iterator[_Unit]:
    """One for a chapter whose subsections share one fate: its heading may have no text of its own."""
    head, *subsections = chapter
    fates = {section.id in missing for section in subsections} or {head.id in missing}
    if head.number and head.number == _chapter(head) and len(fates) == 1:
        parent = "appendix" if _is_appendix(head.number) else "paper"
        yield _Unit(parent, head, head.id in missing or True in fates)
        return
    for section in chapter:
        found = _SUBSECTION.fullmatch(section.number)
        yield _Unit(found["parent"] if found else None, section, section.id in missing)


def _chapter(section: Section) -> str:
    """What is before the first dot ("3" of "3.2.1"); an unnumbered section is one by itself."""
    return re.split(r"[.\-]", section.number)[0] or section.id


def _name(run: Sequence[_Unit], texts: Texts) -> str:
    first, last = run[0].place, run[-1].place
    return _label(first if first is last else replace(first, number=f"{first.number}–{last.number}"), texts)


def _label(place: Section, texts: Texts) -> str:
    number = visible(place.number)
    if not number:
        return beginning(visible(place.title), LABEL_LENGTH) or place.id
    return texts("mark.appendix" if _is_appendix(number) else "mark.section", number=number)


def _is_appendix(number: str) -> bool:
    return number[0].isalpha() and _ROMAN.match(number) is None
