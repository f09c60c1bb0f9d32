"""The paper's own key sentences under the headings of a deep dive: which sentence belongs where (pure)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bot.analysis import untrusted
from bot.analysis.extractive.cues import Role, count, has, roles
from bot.analysis.extractive.interests import Interest, understand
from bot.analysis.extractive.words import sentences, words
from bot.models import Basis, Section

HEADINGS = ("contribution", "limitations", "takeaways", "method")  # in the order in which they choose
MIN_LENGTH, MAX_LENGTH = 40, 420  # characters of a sentence worth quoting; longer ones are lists, or badly split
MIN_PROSE = 0.7  # share of letters and spaces; tables and formulas have fewer
FROM_ABSTRACT, FROM_FULL_TEXT = 2, 4  # most sentences under a heading
RIGHT_SECTION = 2.0  # what the title of its section counts for a sentence, in cues
INTEREST = 2.0  # what naming an interest counts, in cues
LEFT_OVER = 0.5  # what a sentence of an abstract counts for the method when it is nothing else
CLEARLY_NAMED = 0.5  # the strength from which a sentence is about an interest
MOST_CUES = 2  # more cues tell no more
SAME_WORDS = 0.8  # share of common words from which two sentences say the same: papers repeat their abstract


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A sentence of section `section` (an ID), and the interests that it names."""

    section: str
    text: str
    interests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Candidate:
    order: int
    section: Section
    text: str
    role: Role
    late: bool
    """In the second half of its section."""


def excerpts(sections: Sequence[Section], basis: Basis, interests: Sequence[str]) -> Mapping[str, tuple[Excerpt, ...]]:
    """By heading, sentences in reading order; none stands under two headings. Headings without any are missing."""
    candidates = tuple(_candidates(sections))
    understood = tuple(understand(name) for name in interests)
    most = FROM_ABSTRACT if basis is Basis.ABSTRACT else FROM_FULL_TEXT
    ranked = {heading: _ranked(heading, candidates, understood) for heading in HEADINGS}
    chosen: dict[str, list[_Candidate]] = {}
    taken: list[frozenset[str]] = []
    for _ in range(most):
        for heading in HEADINGS:
            new = next((one for one in ranked[heading] if not _said(one, taken)), None)
            if new is not None:
                taken.append(_content(new))
                chosen.setdefault(heading, []).append(new)
    return {heading: tuple(_excerpt(one, understood) for one in _in_order(found)) for heading, found in chosen.items()}


def _candidates(sections: Sequence[Section]) -> Iterator[_Candidate]:
    order = 0
    for section in sections:
        if has("section.never", section.title):
            continue
        found = sentences(section.text)
        spoken = roles(found, opening=has("section.abstract", section.title))
        for number, (text, role) in enumerate(zip(found, spoken, strict=True)):
            if _is_prose(text):
                yield _Candidate(order, section, text, role, late=2 * number >= len(found))
                order += 1


def _is_prose(text: str) -> bool:
    """A whole sentence in words that a reader may be shown, not a table, a listing or something said to a model."""
    if not MIN_LENGTH <= len(text) <= MAX_LENGTH or text[-1] not in ".!?。！？" or text[0].islower():
        return False
    prose = sum(character.isalpha() or character == " " for character in text)
    return prose >= MIN_PROSE * len(text) and not has("sentence.caption", text) and untrusted.REDACTED not in text


def _ranked(heading: str, candidates: Sequence[_Candidate], interests: Sequence[Interest]) -> tuple[_Candidate, ...]:
    """Those that belong under the heading, best first; from the sections that are about it, if these have any."""
    weigh = _WEIGH[heading]
    right = [one for one in candidates if _place(heading, one)]
    for group in (right, candidates):
        weighed = ((weigh(one, interests), one) for one in group)
        best = sorted((pair for pair in weighed if pair[0] > 0), key=lambda pair: (-pair[0], pair[1].order))
        if best:
            return tuple(one for _, one in best)
    return ()


def _cues(heading: str, one: _Candidate) -> float:
    return min(MOST_CUES, count(f"sentence.{heading}", one.text))


def _place(heading: str, one: _Candidate) -> float:
    return RIGHT_SECTION if has(f"section.{heading}", one.section.title) else 0.0


def _contribution(one: _Candidate, _: Sequence[Interest]) -> float:
    cues = _cues("contribution", one)
    return 0.0 if not cues or one.role is Role.EARLIER else cues + (one.role is Role.OWN) + _place("contribution", one)


def _method(one: _Candidate, _: Sequence[Interest]) -> float:
    """In an abstract, what is no result and no announcement tells how it is done, also without a cue."""
    if one.role is Role.EARLIER:
        return 0.0
    other = any(has(kind, one.text) for kind in ("sentence.takeaways", "sentence.contribution", "rigor.open"))
    told = _cues("method", one) or LEFT_OVER * (has("section.abstract", one.section.title) and not other)
    return told + _place("method", one) if told else 0.0


def _takeaways(one: _Candidate, interests: Sequence[Interest]) -> float:
    cues = _cues("takeaways", one)
    abstract = has("section.abstract", one.section.title)
    if one.role is Role.EARLIER or not (cues or abstract):
        return 0.0
    told = cues + INTEREST * bool(_named(one, interests))
    return told + _place("takeaways", one) if told else 0.0


def _limitations(one: _Candidate, _: Sequence[Interest]) -> float:
    """Only what the paper admits of itself; better no sentence than one about the limits of others."""
    if one.role is Role.EARLIER or has("sentence.others", one.text):
        return 0.0
    if has("section.limited", one.section.title):
        return 2 * RIGHT_SECTION + min(MOST_CUES, count("sentence.limits", one.text))
    place = _place("limitations", one) or (has("section.abstract", one.section.title) and one.late)
    return _cues("limitations", one) + place if place and has("sentence.limitations", one.text) else 0.0


_WEIGH: Mapping[str, Callable[[_Candidate, Sequence[Interest]], float]] = {
    "contribution": _contribution,
    "limitations": _limitations,
    "takeaways": _takeaways,
    "method": _method,
}


def _named(one: _Candidate, interests: Sequence[Interest]) -> tuple[str, ...]:
    text = words(one.text)
    return tuple(interest.name for interest in interests if interest.found(text, text).strength >= CLEARLY_NAMED)


def _content(one: _Candidate) -> frozenset[str]:
    return frozenset(words(one.text).stems)


def _said(one: _Candidate, taken: Sequence[frozenset[str]]) -> bool:
    content = _content(one)
    return any(len(content & other) >= SAME_WORDS * min(len(content), len(other)) for other in taken)


def _in_order(found: Sequence[_Candidate]) -> list[_Candidate]:
    return sorted(found, key=lambda one: one.order)


def _excerpt(one: _Candidate, interests: Sequence[Interest]) -> Excerpt:
    return Excerpt(one.section.id, one.text, _named(one, interests))
