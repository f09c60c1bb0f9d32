"""Where a paper speaks of what: its sections as the places to look for each kind of sentence (pure).

`bot.analysis.anatomy` tells the parts of a paper apart; here it matters as well whether a part is about this paper's
own work, and whether it speaks of limits alone.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import Enum

from bot.analysis import anatomy, outline
from bot.analysis.anatomy import Kind
from bot.analysis.extractive.cues import has
from bot.models import Section


class Zone(Enum):
    """A place to look for sentences."""

    ABSTRACT = "abstract"
    INTRODUCTION = "introduction"
    GROUNDWORK = "groundwork"  # preliminaries, motivation: what everybody knows, or why this work was done
    METHOD = "method"
    EVIDENCE = "evidence"
    DISCUSSION = "discussion"  # also applications and impact
    CLOSING = "closing"  # conclusion
    LIMITED = "limited"  # limitations and nothing else
    MIXED = "mixed"  # limitations beside something else
    APPENDIX = "appendix"
    NEVER = "never"  # the work of others


_OF_KIND = {
    Kind.ABSTRACT: Zone.ABSTRACT,
    Kind.INTRODUCTION: Zone.INTRODUCTION,
    Kind.METHOD: Zone.METHOD,
    Kind.EXPERIMENTS: Zone.EVIDENCE,
    Kind.CONCLUSION: Zone.CLOSING,
    Kind.OTHER: Zone.DISCUSSION,
    Kind.RELATED: Zone.NEVER,
    Kind.APPENDIX: Zone.APPENDIX,
}
_BEFORE_THE_METHOD = frozenset({Zone.INTRODUCTION, Zone.METHOD, Zone.NEVER})


def zones(sections: Sequence[Section], appendix: Collection[str]) -> Mapping[str, Zone]:
    """The zone of each section by its ID; `appendix` are IDs."""
    return dict(_zones(sections, appendix))


def _zones(sections: Sequence[Section], appendix: Collection[str]) -> Iterator[tuple[str, Zone]]:
    for index, kind in enumerate(anatomy.kinds(sections, appendix)):
        around = [sections[at].title for at in outline.parents(index, sections)]
        yield sections[index].id, _zone(kind, [*around, sections[index].title])


def _zone(kind: Kind, titles: Sequence[str]) -> Zone:
    """`titles` are those of the sections around and, last, its own."""
    if any(has("section.never", title) for title in titles):
        return Zone.NEVER
    if kind is Kind.LIMITATIONS:
        return Zone.MIXED if has("section.beside", titles[-1]) else Zone.LIMITED
    zone = _OF_KIND[kind]
    grounds = zone in _BEFORE_THE_METHOD and any(has("section.groundwork", title) for title in titles)
    return Zone.GROUNDWORK if grounds else zone
