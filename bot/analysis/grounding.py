"""Are the quotes in the paper, are the numbers in the quotes: the proof that a point rests on the text. Pure.

Quotes are compared by their letters and digits alone, so that typography, hyphenation, ligatures, line breaks and TeX
braces never matter; numbers are then compared one by one on what is really printed, because "28.45" and "29.45" are
alike to any measure of similarity.
"""

import difflib
import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import takewhile

from bot.analysis import numerals

MIN_QUOTE = 10  # letters and digits; less is found anywhere
MAX_QUOTE = 1000  # characters; more is not a quote but a copy, and would make the search slow
NEAR = 0.92  # difflib's ratio from which a quote counts as the same sentence, numbers apart
COPIED = 0.6  # of a text's five-word runs: with more of them from the abstract, the text is a copy ...
RESTATED = 0.4  # ... and with more than this of the abstract's runs in it, a copy of the abstract
_RUN = 5  # words
_SEED = 8  # a text within 8 % of a quote shares at least one of its pieces of eight characters
_WINDOWS = 6  # places looked at for a near match, best first
_HITS = 40  # occurrences of one piece that are looked at
_WORD = 40  # a span grows by this much at most to end with a whole word

_COMPARISONS = frozenset("<>=%")
_SIGN = re.compile(r"(?<![\w)\]])[-−－]\Z")  # a minus, not the dash of "10-20"
_OPENERS = frozenset("$\\([{\"'“‘«*`")
_CLOSERS = frozenset("$)]}\"'”’»*`%.!?。！？")
_FIGURE = re.compile(r"(?<![\w)\]])-?(?:[0-9]+[.,])*[0-9]+|[0-9]+(?:[.,][0-9]+)*")
_NEGATION = re.compile(
    r"\b(?:not?|never|without|cannot|nor|neither|fail(?:s|ed)?)\b|n['’]t\b|[不没未无]", re.IGNORECASE
)
_ENUMERATION = re.compile(r"[(（]([1-9])[)）]")
_CJK = 0x2E80  # from here on scripts without spaces: a word has no border to extend a span to


def find_quote(quote: str, text: str) -> str | None:
    """The span of `text` that `quote` copies, as the text prints it (whole words); None when it is not there.

    A near match (ratio of at least NEAR) counts when every number and every negation is the same.
    """
    if len(quote) > MAX_QUOTE:
        return None
    wanted, _ = _fold(quote)
    if len(wanted) < MIN_QUOTE:
        return None
    folded, offsets = _fold(text)
    for start, end in _places(wanted, folded):
        span = _span(text, quote, offsets[start], offsets[end - 1] + 1)
        exact = folded[start:end] == wanted
        if _figures(span) == _figures(quote) and (exact or _negations(span) == _negations(quote)):
            return span
    return None


def unsupported_numbers(text: str, sources: Sequence[str]) -> tuple[str, ...]:
    """The numbers of `text`, as written there, that none of `sources` states. "(1) … (2) …" only counts points."""
    known = frozenset[Decimal]().union(*(numerals.values(source) for source in sources))
    return tuple(
        number.written
        for number in numerals.numbers(_without_enumeration(text))
        if number.claim and not number.values & known and not (number.loose and number.loose <= known)
    )


def _without_enumeration(text: str) -> str:
    marks = [int(found[1]) for found in _ENUMERATION.finditer(text)]
    counts = len(marks) > 1 and marks == list(range(1, len(marks) + 1))
    return _ENUMERATION.sub(" ", text) if counts else text


def restates(text: str, abstract: str) -> bool:
    """Is `text` the abstract over again: mostly its words, and much of it? Languages that write words apart only."""
    said, there = set(_runs(_words(text))), set(_runs(_words(abstract)))
    shared = len(said & there)
    return shared > COPIED * len(said) and shared > RESTATED * len(there)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold())


def _runs(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    return (tuple(words[i : i + _RUN]) for i in range(len(words) - _RUN + 1))


@lru_cache(maxsize=64)
def _fold(text: str) -> "tuple[str, array[int]]":
    """The letters, digits and comparison signs of `text` in one case, and where in `text` each one stands."""
    characters: list[str] = []
    offsets = array("I")
    for index, character in enumerate(text):
        for folded in _letters(character):
            characters.append(folded)
            offsets.append(index)
    return "".join(characters), offsets


@lru_cache(maxsize=4096)
def _letters(character: str) -> str:
    plain = unicodedata.normalize("NFKD", character).casefold()
    return "".join(c for c in plain if c.isalnum() or c in _COMPARISONS)


def _places(wanted: str, folded: str) -> Iterator[tuple[int, int]]:
    """Where `wanted` stands in `folded`: exact places first, then near ones."""
    for start in _occurrences(wanted, folded):
        yield start, start + len(wanted)
    for start in _candidates(wanted, folded):
        place = _aligned(wanted, folded, start)
        if place is not None:
            yield place


def _occurrences(piece: str, folded: str) -> Iterator[int]:
    start = folded.find(piece)
    for _ in range(_HITS):
        if start < 0:
            return
        yield start
        start = folded.find(piece, start + 1)


def _candidates(wanted: str, folded: str) -> tuple[int, ...]:
    """Likely starts of a near match: where most pieces of `wanted` stand in the right place to one another.

    At least one piece stands whole in what `_aligned` looks at.
    """
    votes: Counter[int] = Counter()
    for at in range(0, len(wanted) - _SEED + 1, _SEED):
        for hit in _occurrences(wanted[at : at + _SEED], folded):
            votes[max(0, hit - at) // _SEED] += 1
    return tuple(bin_ * _SEED for bin_, _ in votes.most_common(_WINDOWS))


def _aligned(wanted: str, folded: str, start: int) -> tuple[int, int] | None:
    slack = _SEED + len(wanted) // 10
    low = max(0, start - slack)
    window = folded[low : start + len(wanted) + slack]
    matcher = difflib.SequenceMatcher(None, window, wanted, autojunk=False)
    blocks = [block for block in matcher.get_matching_blocks() if block.size >= 3]  # not by chance
    first, last = blocks[0], blocks[-1]
    begin = max(0, first.a - first.b)
    end = min(len(window), last.a + len(wanted) - last.b)
    ratio = difflib.SequenceMatcher(None, window[begin:end], wanted, autojunk=False).ratio()
    return (low + begin, low + end) if ratio >= NEAR else None


def _span(text: str, quote: str, start: int, end: int) -> str:
    """text[start:end] widened to whole words and numbers, and to the marks that the quote has at its ends."""
    first, last = max(0, start - _WORD), min(len(text), end + _WORD)
    while start > first and _belongs(text, start - 1, start, -1):
        start -= 1
    while end < last and _belongs(text, end, end - 1, 1):
        end += 1
    if text[start].isdigit() and _SIGN.search(text, max(0, start - 2), start):
        start -= 1
    head, tail = _OPENERS & _marks(quote), _CLOSERS & _marks(quote[::-1])
    while start > first and text[start - 1] in head:
        start -= 1
    while end < last and text[end] in tail:
        end += 1
    return text[start:end]


def _belongs(text: str, outer: int, inner: int, step: int) -> bool:
    """Is text[outer] of the same word or number as its neighbour text[inner]?"""
    if text[outer] in ".," and text[inner].isdigit():
        return 0 <= outer + step < len(text) and text[outer + step].isdigit()
    if text[inner] in ".,":  # reached over the line above
        return True
    return all(text[at].isalnum() and ord(text[at]) < _CJK for at in (outer, inner))


def _marks(quote: str) -> frozenset[str]:
    """The characters before the first letter or digit."""
    return frozenset(takewhile(lambda character: not character.isalnum(), quote))


def _figures(text: str) -> Counter[str]:
    """The numbers of `text` as they are printed, with their signs."""
    return Counter(_FIGURE.findall(numerals.plain(text)))


def _negations(text: str) -> int:
    return len(_NEGATION.findall(text))
