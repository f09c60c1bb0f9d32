"""Which sentences of a paper match the words of a question, in Chinese or in English (pure; data: questions.toml)."""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from bot.analysis.extractive.excerpts import SAME_WORDS, common
from bot.analysis.extractive.interests import Lexicon, Terms, lexicon, lexicon_of, pieces, vocabulary
from bot.analysis.extractive.prose import flaws
from bot.analysis.extractive.weighing import Candidate, candidates
from bot.analysis.extractive.words import Words, stems, words
from bot.analysis.extractive.zones import Zone
from bot.models import Section

MATCHED = 0.4  # of what a question's words tell, what a sentence has to hold of it
LEAST_TOLD = 1.5  # and at least as much as a word tells that stands in a fifth of all papers
TITLED = 0.8  # what a word counts that stands in the section's title alone
OF_THE_BEST = 0.6  # the share of what the best sentence weighs that a further one has to weigh
# What a sentence gains or loses, as a share of what the question tells.
FIGURED = 0.2  # a figure, where one was asked for
FLAW = 0.06  # each cue that it does not stand well alone
ANNOUNCED = 0.05  # standing in the abstract: the place where a thing is shown says more

_HAN = re.compile(r"[\u3400-\u9fff]")
_FIGURE_WANTED = re.compile(
    r"\bhow (?:many|much|long|fast|big|large|far|often)\b|\bwhat (?:number|share|percentage)\b"
    r"|多[少大快久长高]|几[个张块次步层天]",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Sought:
    """What a question looks for, what all of it tells, and whether it wants a figure."""

    parts: tuple[Terms, ...]
    told: float
    figure: bool


@dataclass(frozen=True, slots=True)
class _Weighed:
    """A sentence, and the share of the question that it answers to, its own merits included."""

    candidate: Candidate
    weight: float


def matches(question: str, sections: Sequence[Section], appendix: Collection[str], most: int) -> tuple[Candidate, ...]:
    """At most `most` sentences that match the question, best first, none that says what a better one says."""
    chosen: list[_Weighed] = []
    for one in _weighed(question, sections, appendix):
        if len(chosen) == most or (chosen and one.weight < OF_THE_BEST * chosen[0].weight):
            break
        if all(common(one.candidate, other.candidate) < SAME_WORDS for other in chosen):
            chosen.append(one)
    return tuple(one.candidate for one in chosen)


def touched(question: str, sections: Sequence[Section], appendix: Collection[str], most: int) -> frozenset[str]:
    """The IDs of the sections with the `most` best sentences."""
    return frozenset(one.candidate.section for one in _weighed(question, sections, appendix)[:most])


def _weighed(question: str, sections: Sequence[Section], appendix: Collection[str]) -> list[_Weighed]:
    """Every sentence that matches, best first."""
    paper = words("\n".join(section.text for section in sections))
    sought = _sought(question, paper)
    if sought.told < LEAST_TOLD:
        return []
    titles = {section.id: words(section.title) for section in sections}
    found = candidates(sections, appendix)
    held = ((one, _held(sought, words(one.text), titles[one.section], paper)) for one in found)
    matching = [
        _Weighed(one, share + _merits(one, sought))
        for one, share in held
        if share >= MATCHED and share * sought.told >= LEAST_TOLD
    ]
    return sorted(matching, key=lambda one: (-one.weight, one.candidate.order))


def _sought(question: str, paper: Words) -> _Sought:
    """Chinese words that nothing here translates are looked for where the paper has them, and else left aside."""
    parts = tuple(_parts(words(question).stems, paper))
    return _Sought(parts, sum(part.information for part in parts), _FIGURE_WANTED.search(question) is not None)


def _parts(wording: tuple[str, ...], paper: Words) -> Iterator[Terms]:
    for english, terms in dict(pieces(wording, _lexicon())).items():
        if _ignored().issuperset(english) or (_HAN.match(english[0]) and not paper.count(english)):
            continue
        yield terms


def _held(sought: _Sought, sentence: Words, title: Words, paper: Words) -> float:
    """The share of what the question tells that the sentence, or the title above it, tells as well."""
    told = 0.0
    for part in sought.parts:
        strength = part.found(sentence, paper).strength
        told += part.information * max(strength, TITLED * part.found(title, paper).strength)
    return told / sought.told


def _merits(one: Candidate, sought: _Sought) -> float:
    figured = FIGURED * (sought.figure and any(character.isdigit() for character in one.text))
    return figured - FLAW * flaws(one.text) - ANNOUNCED * (one.zone is Zone.ABSTRACT)


@cache
def _content() -> Mapping[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath("questions.toml").read_text(encoding="utf-8"))


@cache
def _lexicon() -> Lexicon:
    names, _ = lexicon()
    return lexicon_of({**names, **vocabulary(_content())})


@cache
def _ignored() -> frozenset[str]:
    return frozenset(stems(_content()["ignored"]))
