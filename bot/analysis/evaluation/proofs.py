"""How well deep dives rest on their papers. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bot.analysis import grounding, outline
from bot.models import DeepDive, Point, Section

ABSTRACT = "S0"
# Appendices are lettered; where sections are, too (as in the IEEE's style), these are numerals.
_ROMAN = frozenset("IVX")
_APPENDIX = re.compile(r"\s*(?:appendi(?:x|ces)|supplement|附录|补充材料)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a deep dive rests on: `numbers` of its published points were looked up in the paper, at least one of them
    rests on each of `covered` of the paper's `sections` (of the main text, with all that is inside).
    """

    numbers: int
    covered: int
    sections: int


def grounds(dive: DeepDive) -> Grounds:
    """Counts what the published points rest on. Of a mere abstract, the abstract is the one section."""
    points = [point for section in dive.sections for point in section.points]
    main = [section for section in dive.outline if section.id != ABSTRACT] or list(dive.outline)
    tops = tuple(_tops(main))
    rested = {point.section for point in points if point.quote}
    covered = sum(any(each.id in rested for each in outline.with_subsections([top], main)) for top in tops)
    return Grounds(sum(map(_numbers, points)), covered, len(tops))


def _tops(sections: Sequence[Section]) -> Iterator[Section]:
    """The sections of the main text that stand inside no other."""
    for index, section in enumerate(sections):
        if _is_appendix(section):
            return
        if not outline.parents(index, sections):
            yield section


def _is_appendix(section: Section) -> bool:
    lettered = section.number[:1].isalpha() and section.number[:1] not in _ROMAN
    return lettered or re.match(r"A\d", section.anchor) is not None or _APPENDIX.match(section.title) is not None


def _numbers(point: Point) -> int:
    return len(grounding.claims(point.text))
