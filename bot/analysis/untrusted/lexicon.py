"""The words and rules of lexicon.toml, ready for comparing: which concepts a word stands for, also a disguised one."""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from importlib import resources
from string import ascii_lowercase
from typing import Any

from bot.analysis.untrusted.characters import folded

CJK = (  # scripts that are searched, not split, for words
    "\u0600-\u06ff\u0900-\u097f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"
)
LONGEST = 28  # letters of a word or phrase that is looked up
LEAST_JOINED = 5  # letters of a word that may be put together from pieces: shorter ones come about by chance
LEAST_RUN_ON = 12  # letters from which an unknown word may be several written together
_MOST_OF_RUN_ON = 0.6  # of its letters have to belong to known words
_LEAST_STEM = 3  # letters
_WORDS_KEPT = 32_768
_LEET = (str.maketrans("0134578@$9", "oieastbasg"), str.maketrans("0134578@$9", "oleastbasg"))  # 1 is an i or an l
_IS_CJK = re.compile(f"[{CJK}]")


@dataclass(frozen=True, slots=True)
class Rule:
    """Groups of concepts (bits) that different words have to meet, all of them within so many words of text."""

    groups: tuple[int, ...]
    within: float
    ordered: bool
    concepts: int


@dataclass(frozen=True, slots=True)
class Word:
    """What a word stands for: its concepts, those that it has besides as an order; may a known word begin with it?"""

    concepts: int
    as_order: int
    begins: bool


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Words by their folded spelling without spaces. Concepts are bits; a cipher is one more."""

    exact: Mapping[str, int]
    stems: Mapping[str, int]
    orders: Mapping[str, int]
    mixed: Mapping[str, str]
    coded: Mapping[str, int]
    beginnings: frozenset[str]
    leads: frozenset[str]
    joints: frozenset[str]
    subjects: frozenset[str]
    told_of: int
    cjk: re.Pattern[str]
    rules: tuple[Rule, ...]
    neighbours: int
    codes: tuple[int, ...]

    def concepts(self, word: str) -> int:
        found = self.exact.get(word, 0)
        for length in range(_LEAST_STEM, min(len(word), LONGEST) + 1):
            found |= self.stems.get(word[:length], 0)
        return found


@cache
def lexicon() -> Lexicon:
    """The file, read once."""
    content = tomllib.loads(resources.files(__package__).joinpath("lexicon.toml").read_text(encoding="utf-8"))
    bits = {name: 1 << index for index, name in enumerate(_names(content["words"]))}
    exact, stems, orders = _entries(content["words"], bits)
    codes = {name: 1 << (len(bits) + index) for index, name in enumerate(_CIPHERS)}
    coded = {
        cipher(folded(word)): codes[name]
        for name, cipher in _CIPHERS.items()
        for word in content["telling"]
        if name == "reversed" or not _IS_CJK.search(word)
    }
    known = (*exact, *stems)
    searched = sorted((word for word in (*known, *coded) if _IS_CJK.search(word)), key=len, reverse=True)
    return Lexicon(
        exact=exact,
        stems=stems,
        orders=orders,
        mixed={_mix(word): word for word in known if _mix(word)},
        coded=coded,
        beginnings=frozenset(word[:end] for word in known for end in range(1, len(word))),
        leads=frozenset(content["leads"]),
        joints=frozenset(content["joints"]),
        subjects=frozenset(content["subjects"]),
        told_of=_union(bits[name] for name in content["told_of"]),
        cjk=re.compile("|".join(map(re.escape, searched))),
        rules=tuple(_rule(rule, bits) for rule in content["rules"]),
        neighbours=_union(bits[name] for name in content["neighbours"]),
        codes=tuple(codes.values()),
    )


@lru_cache(maxsize=_WORDS_KEPT)
def look_up(word: str) -> Word:
    """A folded word, also in leetspeak, with its inner letters mixed up, or in a simple cipher."""
    known = lexicon()
    concepts = known.concepts(word)
    if not concepts:
        word = _meant(word, known)
        concepts = known.concepts(word) or known.coded.get(word, 0)
    return Word(concepts, known.orders.get(word, 0), word in known.beginnings)


@lru_cache(maxsize=_WORDS_KEPT)
def run_on(word: str) -> tuple[str, ...]:
    """The known words of a long unknown one that is mostly made of such: "ignoreallpreviousinstructions"."""
    found, at, known = [], 0, lexicon()
    while at < len(word):
        ends = range(min(len(word), at + LONGEST), at + 1, -1)
        end = next((end for end in ends if word[at:end] in known.exact or word[at:end] in known.coded), at + 1)
        if end > at + 1:
            found.append(word[at:end])
        at = end
    return tuple(found) if len(found) > 1 and sum(map(len, found)) >= _MOST_OF_RUN_ON * len(word) else ()


def _meant(word: str, known: Lexicon) -> str:
    """The known word that an unknown one disguises, else itself."""
    bare = word.strip("@$")
    spellings = (bare,) if bare.isalpha() else (bare, *(bare.translate(table) for table in _LEET))
    for spelled in spellings:
        if known.concepts(spelled):
            return spelled
        if meant := known.mixed.get(_mix(spelled)):
            return meant
    return word


def _mix(word: str) -> str:
    """The word with its inner letters sorted, under which "ignroe" finds "ignore"; "" for short ones."""
    return f"{word[0]}{''.join(sorted(word[1:-1]))}{word[-1]}" if LEAST_JOINED < len(word) <= LONGEST else ""


# --- reading the file ---


def _names(words: Mapping[str, Any]) -> Iterator[str]:
    for name in words:
        yield from (name, f"{name}!")


def _entries(
    words: Mapping[str, Mapping[str, Sequence[str]]], bits: Mapping[str, int]
) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    exact: dict[str, int] = {}
    stems: dict[str, int] = {}
    orders: dict[str, int] = {}
    for name, kinds in words.items():
        for kind, entries in kinds.items():
            concepts = bits[name] | (bits[f"{name}!"] if kind == "always" else 0)
            for entry in entries:
                word = folded(entry.rstrip("*")).replace(" ", "").replace("'", "")
                table = stems if entry.endswith("*") else exact
                table[word] = table.get(word, 0) | concepts
                if kind == "orders":
                    orders[word] = orders.get(word, 0) | bits[f"{name}!"]
    return exact, stems, orders


def _rule(rule: Mapping[str, Any], bits: Mapping[str, int]) -> Rule:
    groups = tuple(_union(bits[name] for name in group.split("|")) for group in rule["all"])
    return Rule(groups, rule["within"], rule.get("ordered", False), _union(groups))


def _union(masks: Iterable[int]) -> int:
    result = 0
    for mask in masks:
        result |= mask
    return result


# --- ciphers that hide nothing from a model ---


def _shifted(by: int) -> dict[int, int]:
    return str.maketrans(ascii_lowercase, ascii_lowercase[by:] + ascii_lowercase[:by])


def _translated(word: str, table: Mapping[int, int]) -> str:
    return word.translate(table)


_MIRRORED = str.maketrans(ascii_lowercase, ascii_lowercase[::-1])
_CIPHERS: Mapping[str, Callable[[str], str]] = {
    **{f"shift{by}": partial(_translated, table=_shifted(by)) for by in range(1, 26)},
    "mirrored": lambda word: word.translate(_MIRRORED),
    "reversed": lambda word: word[::-1],
}
