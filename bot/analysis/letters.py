"""A text reduced to what a quotation has to keep: its letters, digits and signs of comparison. Pure.

Typography, hyphenation, ligatures, line breaks, accents, TeX marks and the looks of formulas all go, so that two
spellings of one sentence are equal; where each letter stood is kept, to find the way back to the paper's own print.
"""

import re
import unicodedata
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from bot.analysis import tex

CJK = 0x2E80  # from here on scripts without spaces: every character is a word

# U+0338 strikes a relation through (≠ is "=" with it); a plus is kept because a minus cannot be: it may be a hyphen.
_KEPT = frozenset("<>=%‰+±\u0338")
_ALIKE = {"×": "x", "✕": "x", "≤": "<=", "⩽": "<=", "≥": ">=", "⩾": ">=", "≪": "<<", "≫": ">>", "∆": "δ"}
_TOKEN = re.compile(r"[A-Za-z0-9]+|\\[A-Za-z]+|[<>=%+]|[^\s\x00-\x7f]")
# As pandoc has it: no space inside the dollars, no digit behind the second, which tells formulas from sums of money.
_FORMULA = re.compile(r"(?<![\\$])\$(?=[^\s$])[^$]{0,400}?(?<=[^\s\\])\$(?!\d)")


@dataclass(frozen=True, slots=True)
class Letters:
    """The folded `text` of an `original`: letter k is what original[starts[k]:ends[k]] says."""

    text: str
    starts: "array[int]"
    ends: "array[int]"

    def begins_word(self, at: int) -> bool:
        """Does a word begin with letter `at`? The end of the text counts."""
        if at == 0 or at >= len(self.text):
            return True
        return self.starts[at] > self.ends[at - 1] or ord(self.text[at]) >= CJK or ord(self.text[at - 1]) >= CJK

    def word_ends(self, at: int, words: int) -> Iterator[int]:
        """Where the next `words` words end that begin at `at`."""
        for end in range(at + 1, len(self.text) + 1):
            if self.begins_word(end):
                yield end
                words -= 1
                if not words:
                    return

    def words(self) -> int:
        """How many words there are."""
        return sum(map(self.begins_word, range(len(self.text))))


@lru_cache(maxsize=64)
def fold(text: str) -> Letters:
    """The letters of `text`."""
    folded: list[str] = []
    starts, ends = array("I"), array("I")
    for token in _TOKEN.finditer(text):
        start, end = token.span()
        first = text[start]
        if first.isalnum() and first.isascii():
            folded.append(token[0].lower())
            starts.extend(range(start, end))
            ends.extend(range(start + 1, end + 1))
        else:
            letters = _command(token[0][1:]) if first == "\\" else _character(first)
            folded.append(letters)
            starts.extend([start] * len(letters))
            ends.extend([end] * len(letters))
    return Letters("".join(folded), starts, ends)


@lru_cache(maxsize=1024)
def _command(name: str) -> str:
    return "".join(map(_character, tex.said(name)))


@lru_cache(maxsize=4096)
def _character(character: str) -> str:
    if character in _ALIKE:
        return _ALIKE[character]
    plain = unicodedata.normalize("NFKD", character).casefold()
    return "".join(c for c in plain if c.isalnum() or c in _KEPT)


@lru_cache(maxsize=64)
def formulas(text: str) -> tuple[tuple[int, int], ...]:
    """Where the $formulas$ of `text` begin and end."""
    return tuple(found.span() for found in _FORMULA.finditer(text))


# --- words that differ in spelling alone

ARTICLES = frozenset({"a", "an", "the", "的"})
_ENDING = re.compile(r"(?<=...)(?:ing|ed|es|(?<!s)s|e)\Z")  # not -er, -est, -less, -able: they change what is said
_IES = re.compile(r"ie[sd]\Z")
_LIGATURES = ("ffi", "ffl", "ff", "fi", "fl")  # PDFs lose them: "e cient"
_LEAST_MISSPELT = 5  # letters; in a shorter word another letter makes another word ...
_LEAST_SUBSTITUTED = (
    10  # ... and so where one letter stands for another ("confirm", "conform"; but s for z is spelling)
)
_HEAD = 3  # first letters that have to be right: opposites differ there (increase, decrease; macro, micro)


def same_word(printed: str, quoted: str) -> bool:
    """Is `quoted` the word `printed` in another spelling or inflection, or with one wrong letter?"""
    if not (printed.isalpha() and quoted.isalpha()):
        return False
    return (
        _stem(printed) == _stem(quoted)
        or printed.replace("rn", "m") == quoted.replace("rn", "m")
        or _lacks_ligature(printed, quoted)
        or _misspelt(printed, quoted)
    )


def inflected(printed: str, quoted: str) -> bool:
    """Is it one word with two endings ("scene", "scenes")?"""
    return _stem(printed) == _stem(quoted)


def _stem(word: str) -> str:
    return _ENDING.sub("", _IES.sub("y", word))


def _lacks_ligature(printed: str, quoted: str) -> bool:
    places = ((found.start(), form) for form in _LIGATURES for found in re.finditer(form, quoted))
    return any(quoted[:at] + quoted[at + len(form) :] == printed for at, form in places)


def _misspelt(one: str, other: str) -> bool:
    """One letter too many, too few or wrong, or two swapped; neither in the first letters nor the last."""
    short, long = sorted((one, other), key=len)
    if len(short) < _LEAST_MISSPELT or short[:_HEAD] != long[:_HEAD] or short[-1] != long[-1]:
        return False
    at = next((k for k, letter in enumerate(short) if letter != long[k]), len(short))
    if len(short) < len(long):
        return short[at:] == long[at + 1 :]
    swapped = short[at : at + 2] == long[at : at + 2][::-1]
    if swapped and short[at + 2 :] == long[at + 2 :]:
        return True
    spelling = {short[at : at + 1], long[at : at + 1]} == {"s", "z"}
    return (spelling or len(short) >= _LEAST_SUBSTITUTED) and short[at + 1 :] == long[at + 1 :]
