"""How well each sentence of a paper suits each heading of a deep dive (pure)."""

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from bot.analysis.extractive.cues import Role, count, has, roles
from bot.analysis.extractive.interests import RARE_SHARE, Interest, shares
from bot.analysis.extractive.prose import flaws, quotable
from bot.analysis.extractive.words import words
from bot.analysis.extractive.zones import Zone, zones
from bot.models import Section

# What the zone of its section counts for a sentence, in cues. The others are asked where these have nothing.
PLACES: Mapping[str, Mapping[Zone, float]] = {
    "contribution": {Zone.ABSTRACT: 3.0, Zone.INTRODUCTION: 2.0, Zone.CLOSING: 1.0},
    "method": {Zone.METHOD: 2.0},
    "takeaways": {Zone.EVIDENCE: 2.0, Zone.DISCUSSION: 1.0, Zone.CLOSING: 1.0},
    "limitations": {
        Zone.LIMITED: 4.0,
        Zone.MIXED: 4.0,
        Zone.DISCUSSION: 2.0,
        Zone.CLOSING: 2.0,
        Zone.EVIDENCE: 1.0,
    },
}
FACETS = {
    "limitations": ("future",),
    "takeaways": ("ablation", "cost"),
    "method": ("structure", "objective", "inference"),
}
_AHEAD = frozenset({Zone.DISCUSSION, Zone.CLOSING})  # where papers say what is left to do
MOST_CUES = 2  # more cues tell no more
LISTED = 1.5  # what standing in the list of contributions counts
LIST_LENGTH = 5  # sentences behind "our contributions are"
TITLED = 1.0  # what naming what the section is about counts for the method
TITLE_SHARE = 0.6  # of what a title tells, which a sentence that names it tells as well
LEFT_OVER = 0.5  # what a sentence of an abstract counts for the method when it is nothing else
MOTIVATES = 1.0  # what a sentence loses that tells why and not how
MEASURED = 2.0  # what a figure counts in a sentence on results
SETS_UP = 2.0  # what a sentence loses that tells how something was measured, and not what came out
INTEREST, INTEREST_IN_FULL = 2.0, 1.0  # what naming an interest counts in an abstract, and where most sentences do
CLEARLY_NAMED = 0.5  # the strength from which a sentence is about an interest
CENTRAL = 1.5  # what a sentence gains at most by the words of the abstract, and ...
MANY_WORDS = 15.0  # ... how much these have to tell for that: four rare words
SHORT_WORD = 3  # letters; words as short tell nothing
NAMED_MODELS = 0.5  # what a result gains by saying which models it compares
_MODEL = re.compile(r"\b[A-Z][\w-]*[A-Z0-9][\w-]*")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A sentence of section `section` (an ID), the `order`th of the paper. `late`: in the second half of its section;
    `listed`: in a list of contributions; `titled`: it names what its section's title names, or stands
    behind a heading that runs in.
    """

    order: int
    section: str
    zone: Zone
    text: str
    role: Role
    late: bool
    listed: bool
    titled: bool


@dataclass(frozen=True, slots=True)
class Subject:
    """What is asked for, and what the paper is about: the words of its abstract and how much each tells."""

    interests: Sequence[Interest]
    told: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Weighed:
    """A candidate for a heading: what it weighs, in cues, and what it would add."""

    candidate: Candidate
    weight: float
    facets: frozenset[str]


def candidates(sections: Sequence[Section], appendix: Collection[str]) -> tuple[Candidate, ...]:
    """The sentences that may be quoted, in reading order."""
    return tuple(_candidates(sections, appendix))


def subject(found: Iterable[Candidate], interests: Sequence[Interest]) -> Subject:
    """Of a paper's candidates, those of the abstract say what it is about."""
    return Subject(interests, told(" ".join(one.text for one in found if one.zone is Zone.ABSTRACT)))


@lru_cache(maxsize=512)  # the sentences of a paper that are compared
def told(text: str) -> Mapping[str, float]:
    """The words of a text and how much each tells: -ln of the share of papers that hold it."""
    return {
        stem: -math.log(shares().get(stem, RARE_SHARE)) for stem in set(words(text).stems) if len(stem) > SHORT_WORD
    }


def ranked(heading: str, found: Sequence[Candidate], about: Subject) -> tuple[Weighed, ...]:
    """Those that belong under the heading, best first: from where such things stand, else from anywhere in the main
    text, else from the appendix.
    """
    weigh = _WEIGH[heading]
    right = [one for one in found if one.zone in PLACES[heading]]
    main = [one for one in found if one.zone is not Zone.APPENDIX]
    for group in (right, main, found):
        weighed = ((weigh(one, about), one) for one in group)
        best = [Weighed(one, weight - flaws(one.text), _facets(heading, one)) for weight, one in weighed if weight > 0]
        if best:
            return tuple(sorted(best, key=lambda one: (-one.weight, one.candidate.order)))
    return ()


def named(text: str, interests: Sequence[Interest]) -> tuple[str, ...]:
    """The interests that a sentence is about."""
    read = words(text)
    return tuple(interest.name for interest in interests if interest.found(read, read).strength >= CLEARLY_NAMED)


def _candidates(sections: Sequence[Section], appendix: Collection[str]) -> Iterator[Candidate]:
    places = zones(sections, appendix)
    order = 0
    for section in sections:
        zone = places[section.id]
        if zone is Zone.NEVER:
            continue
        found = tuple(quotable(section.text))
        spoken = roles([one.text for one in found], opening=zone is Zone.ABSTRACT)
        list_ends = 0
        title = told(section.title)
        for number, (one, role) in enumerate(zip(found, spoken, strict=True)):
            if one.shown:
                late = 2 * number >= len(found)
                listed = number < list_ends and zone is Zone.INTRODUCTION
                titled = one.opens or _names(title, one.text)
                yield Candidate(order, section.id, zone, one.text, role, late, listed, titled)
                order += 1
            if has("sentence.list", one.text):
                list_ends = number + 1 + LIST_LENGTH


def _names(title: Mapping[str, float], text: str) -> bool:
    if not title:
        return False
    stems = told(text)
    return sum(tells for stem, tells in title.items() if stem in stems) >= TITLE_SHARE * sum(title.values())


def _facets(heading: str, one: Candidate) -> frozenset[str]:
    return frozenset(facet for facet in FACETS.get(heading, ()) if has(f"facet.{facet}", one.text))


def _cues(kind: str, one: Candidate) -> float:
    return min(MOST_CUES, count(f"sentence.{kind}", one.text))


def _place(heading: str, one: Candidate) -> float:
    return PLACES[heading].get(one.zone, 0.0)


def _of_others(one: Candidate) -> bool:
    return one.role is Role.EARLIER or has("sentence.cited", one.text[:60])


def _centrality(one: Candidate, about: Subject) -> float:
    common = sum(tells for stem, tells in told(one.text).items() if stem in about.told)
    return CENTRAL * min(1.0, common / MANY_WORDS)


def _contribution(one: Candidate, _: Subject) -> float:
    cues = _cues("contribution", one)
    if _of_others(one) or not (cues or (one.listed and not flaws(one.text))) or has("sentence.outline", one.text):
        return 0.0
    return cues + (one.role is Role.OWN) + LISTED * one.listed + _place("contribution", one)


def _method(one: Candidate, about: Subject) -> float:
    """In an abstract, what is no result and no announcement tells how it is done, also without a cue."""
    if _of_others(one):
        return 0.0
    if one.zone is Zone.ABSTRACT:
        other = any(has(kind, one.text) for kind in ("sentence.takeaways", "sentence.contribution", "rigor.open"))
        return _cues("method", one) or LEFT_OVER * (not other)
    cues = _cues("method", one) + TITLED * one.titled
    if not cues:
        return 0.0
    motivates = MOTIVATES * min(MOST_CUES, count("sentence.motivation", one.text))
    measures = MOTIVATES * has("sentence.takeaways", one.text)
    return cues + _place("method", one) + _centrality(one, about) - motivates - measures


def _takeaways(one: Candidate, about: Subject) -> float:
    if _of_others(one):
        return 0.0
    if one.zone is Zone.ABSTRACT:
        return _cues("takeaways", one) + INTEREST * bool(named(one.text, about.interests))
    cues = _cues("result", one)
    if not cues:
        return 0.0
    figures = MEASURED * has("sentence.measured", one.text) + NAMED_MODELS * bool(_MODEL.search(one.text))
    weight = cues + figures - SETS_UP * has("sentence.setup", one.text) + _place("takeaways", one)
    weight -= MOTIVATES * has("sentence.contribution", one.text)
    return weight + INTEREST_IN_FULL * bool(named(one.text, about.interests))


def _limitations(one: Candidate, _: Subject) -> float:
    """Only what the paper admits of itself; better no sentence than one about the limits of others."""
    place = _place("limitations", one) or float(one.zone is Zone.ABSTRACT and one.late)
    if not place or _of_others(one) or has("sentence.others", one.text):
        return 0.0
    limits = min(MOST_CUES, count("sentence.limits", one.text))
    if one.zone is Zone.LIMITED or (one.zone is Zone.MIXED and limits):
        return place + limits
    if has("sentence.limitations", one.text):
        return _cues("limitations", one) + place
    return 1.0 if one.zone in _AHEAD and has("sentence.future", one.text) else 0.0


_WEIGH: Mapping[str, Callable[[Candidate, Subject], float]] = {
    "contribution": _contribution,
    "limitations": _limitations,
    "takeaways": _takeaways,
    "method": _method,
}
