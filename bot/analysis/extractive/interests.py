"""What a text has to do with an interest: the lexicon, interests made of its concepts and of plain words (pure)."""

import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any

from bot.analysis.extractive.words import PHRASE, Words, find, stems, words

CORE, PART, NEAR = 1.0, 0.95, 0.3  # the interest itself, one of its sub-tasks, an idea beside it
SAME_SENTENCE = 0.8  # the parts of an interest, all in one sentence but not together
RARE_SHARE = 0.02  # share of papers that hold a word which common.toml does not list
CONCEPT_SHARE = 0.05  # share of papers that a concept of the lexicon is about
EMPTY_SHARE = 0.9  # a word in as many papers tells nothing

_ALTERNATIVES = re.compile(r"[/|,;、，；()（）]+|\bor\b")
_HAN = re.compile(r"[\u3400-\u9fff]")

Stems = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """How strongly (0 to 1) a text names an interest, and the words of the text that do."""

    strength: float
    words: str = ""


NOTHING = Found(0.0)


@dataclass(frozen=True, slots=True)
class Terms:
    """Phrases (stems) with grades that all mean one thing, and what tells them from other meanings.

    `information` is -ln of the share of papers that hold it; `data` the field it works on ("" where it is any).
    """

    graded: tuple[tuple[Stems, float], ...]
    ambiguous: frozenset[str] = frozenset()
    others: tuple[Stems, ...] = ()
    data: str = ""
    information: float = -math.log(CONCEPT_SHARE)
    starts: Mapping[str, tuple[int, ...]] = field(init=False, repr=False, compare=False)
    """Which of `graded` begin with a stem."""

    def __post_init__(self) -> None:
        starts: dict[str, tuple[int, ...]] = {}
        for place, (phrase, _) in enumerate(self.graded):
            starts[phrase[0]] = (*starts.get(phrase[0], ()), place)
        object.__setattr__(self, "starts", starts)

    def found(self, text: Words, paper: Words) -> Found:
        """What `text`, a sentence or title of `paper`, says of it."""
        if any(text.count(other) for other in self.others):
            return NOTHING
        return max(self._clear(text), self._ambiguous(text, paper), key=lambda found: found.strength)

    def with_name(self, name: Stems) -> "Terms":
        """The same, also found by the name that a profile uses."""
        others = tuple(term for term in self.graded if term[0] != name)
        return replace(self, graded=((name, CORE), *others), ambiguous=self.ambiguous - set(name))

    def _clear(self, text: Words) -> Found:
        best = NOTHING
        for place in sorted(place for stem in text.places for place in self.starts.get(stem, ())):
            phrase, grade = self.graded[place]
            nearness, (start, end) = find(phrase, text)
            # What only suggests the interest has to stand there word for word.
            if nearness * grade > best.strength and (nearness == PHRASE or grade == CORE):
                best = Found(nearness * grade, " ".join(text.written[start:end]))
        return best

    def _ambiguous(self, text: Words, paper: Words) -> Found:
        pairs = zip(text.written, text.stems, strict=True)
        word = next((word for word, stem in pairs if not self.ambiguous.isdisjoint((word, stem))), None)
        if word is None:
            return NOTHING
        return Found(PART if self._clear(paper).strength > NEAR else NEAR, word)


Vocabulary = Mapping[Stems, tuple[Stems, Terms]]
"""What each known name stands for, as English stems and as terms."""

Lexicon = tuple[Vocabulary, int]
"""A vocabulary, and how many words its longest name has."""


@dataclass(frozen=True, slots=True)
class Interest:
    """An interest (or exclusion) of a profile, ready to be looked for: alternatives, each made of parts."""

    name: str
    alternatives: tuple[tuple[Terms, ...], ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """The data that its concepts work on."""
        return tuple(dict.fromkeys(part.data for parts in self.alternatives for part in parts if part.data))

    def found(self, text: Words, paper: Words) -> Found:
        """The best of its alternatives in `text`, a sentence or title of `paper`."""
        found = (_together(parts, text, paper) for parts in self.alternatives)
        return max(found, key=lambda one: one.strength, default=NOTHING)


def _together(parts: Sequence[Terms], text: Words, paper: Words) -> Found:
    """One part as it is; of several, what is there counts by the square of its share of the information."""
    if len(parts) == 1:
        return parts[0].found(text, paper)
    found = [part.found(text, paper) for part in parts]
    whole = sum(part.information for part in parts)
    told = sum(part.information * one.strength for part, one in zip(parts, found, strict=True)) / whole
    return Found(SAME_SENTENCE * told**2, " … ".join(one.words for one in found if one.words))


def understand(name: str) -> Interest:
    """Reads an interest as a profile names it, in Chinese, English or both: "图像复原 (Image Restoration)"."""
    wordings = (words(wording).stems for wording in _ALTERNATIVES.split(name))
    return Interest(name, tuple(reading for wording in wordings for reading in _readings(wording)))


def _readings(wording: Stems) -> Iterator[tuple[Terms, ...]]:
    """The parts of the wording; where there are several, also the whole as one phrase."""
    found = tuple(pieces(wording, lexicon()))
    if found:
        yield tuple(terms for _, terms in found)
    if len(found) > 1:
        yield (Terms(((tuple(stem for stems_, _ in found for stem in stems_), CORE),)),)


def pieces(wording: Stems, known: Lexicon) -> Iterator[tuple[Stems, Terms]]:
    """Cuts the wording into the longest names of the lexicon and, between them, words; each in English stems."""
    vocabulary, longest = known
    at = 0
    while at < len(wording):
        for end in range(min(len(wording), at + longest), at, -1):
            if piece := vocabulary.get(wording[at:end]):
                yield piece[0], piece[1].with_name(wording[at:end])
                at = end
                break
        else:
            end = _word_end(wording, at, vocabulary)
            if (share := shares().get(wording[at], RARE_SHARE)) < EMPTY_SHARE:
                yield wording[at:end], _plain(wording[at:end], share)
            at = end


def _word_end(wording: Stems, at: int, vocabulary: Vocabulary) -> int:
    """Han characters up to the next known name belong together: a word that nobody here knows."""
    end = at + 1
    while end < len(wording) and _HAN.match(wording[at]) and _HAN.match(wording[end]):
        if wording[end] in shares() or any(wording[end:after] in vocabulary for after in range(end, len(wording) + 1)):
            break
        end += 1
    return end


def _plain(word: Stems, share: float) -> Terms:
    return Terms(((word, CORE),), information=-math.log(share))


@cache
def lexicon() -> Lexicon:
    """What profiles name."""
    content = tomllib.loads(resources.files(__package__).joinpath("lexicon.toml").read_text(encoding="utf-8"))
    return lexicon_of(vocabulary(content))


def lexicon_of(names: Vocabulary) -> Lexicon:
    """`names`, to be looked up in a wording."""
    return names, max(map(len, names))


def vocabulary(content: Mapping[str, Any]) -> Vocabulary:
    """The names in a file with the tables `words` and `concepts`, as lexicon.toml explains them."""
    names = {stems(han): _translated(english) for han, english in content["words"].items()}
    for entry in content["concepts"].values():
        terms = _terms(entry)
        names |= {stems(name): (stems(entry["names"][0]), terms) for name in (*entry["names"], *entry["aliases"])}
    return names


def _translated(english: str) -> tuple[Stems, Terms]:
    word = stems(english)
    return word, _plain(word, min(shares().get(stem, RARE_SHARE) for stem in word))


def _terms(entry: Mapping[str, Sequence[str]]) -> Terms:
    grades = (("names", CORE), ("core", CORE), ("part", PART), ("near", NEAR))
    graded = {stems(phrase): grade for key, grade in reversed(grades) for phrase in entry.get(key, ())}
    return Terms(
        graded=tuple(sorted(graded.items(), key=lambda term: -term[1])),
        ambiguous=frozenset(word if word.lower() != word else stems(word)[0] for word in entry.get("ambiguous", ())),
        others=tuple(stems(phrase) for phrase in entry.get("not", ())),
        data=str(entry.get("field", "")),
    )


@cache
def shares() -> Mapping[str, float]:
    """The share of papers that hold a word, by stem; rarer words than the file's are missing."""
    content = tomllib.loads(resources.files(__package__).joinpath("common.toml").read_text(encoding="utf-8"))
    classes = ((float(share.replace("_", ".")), line.split()) for share, line in content["shares"].items())
    return {stem: share for share, line in classes for word in line for stem in stems(word)}
