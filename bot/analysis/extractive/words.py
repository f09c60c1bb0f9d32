"""Text as the extractive analyst reads it: words with their stems, phrases, and sentences as exact spans (pure)."""

import re
import threading
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Protocol

WINDOW = 3  # words that may stand between those of a phrase: "generation of images", "image and video generation"
PHRASE, NEARBY = 1.0, 0.5  # what a phrase counts, word for word and within the window (in any order)
_AND = frozenset({"and", "or"})

_HAN = r"\u3400-\u9fff"
_WORD = re.compile(rf"[{_HAN}]|[^\W_{_HAN}]+")
_IZE = re.compile(r"(?P<stem>\w{3,}iz)(?:e[drs]?|ers|ing|ations?)")
_TEX = re.compile(r"\$\$[^$]+\$\$|\$[^$\n]+\$")
_BULLET = "•‣▪●◦■–—*-"
_END = re.compile(
    rf"[.!?]+[\"'”’)\]$]*(?=\s+(?:[{_BULLET}]\s+)?[\"'“‘(\[]*[A-Z0-9\u0370-\u03ff\u3400-\u9fff$])"
    r"|[.!?]+[\"'”’)\]$]*\s*\Z|[。！？]+[”’」）]*|\n\s*\n"
    r"|\[…\](?=\s)"  # where untrusted.redact took a sentence out
)
# Dots that end no sentence. "etc." and "al." may, but then the next word is as often a name.
_ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|cf|vs|al|ca|approx|resp|incl|esp|w\.r\.t|i\.i\.d|a\.k\.a|viz|Figs?|Eqs?|Eqns?|Secs?|Sects?|Tabs?|Refs?"
    r"|Algs?|Apps?|Appx|Supp|Suppl|Chap|Ch|Thm|Lem|Cor|Prop|Def|Nos?|Vol|pp|Dr|Prof|Mr|Ms|St|Jr|Inc|Ltd|Dept|Univ)|(?:\A|\.\s?-?|[,;:(&]\s?|\b(?:and|by|of|from|with|to|[A-Z]\w*)\s)[A-Z])\.\Z"
)

_LOOKING_BACK = 24  # characters: the longest abbreviation, or a name before an initial; more takes long in odd texts


class _Stemmer(Protocol):
    def stemWord(self, word: str) -> str: ...  # noqa: N802  # the library's own name


_of_thread = threading.local()


def _stemmer() -> _Stemmer:
    """One for each thread: a stemmer keeps the word that it works on in itself."""
    if not hasattr(_of_thread, "stemmer"):
        import snowballstemmer  # type: ignore[import-untyped]  # it has no type hints

        _of_thread.stemmer = snowballstemmer.stemmer("english")
    stemmer: _Stemmer = _of_thread.stemmer
    return stemmer


@lru_cache(maxsize=50_000)  # the words of a few months
def _stem(word: str) -> str:
    """Snowball's English stem, but for "-ize": Snowball makes one word of "color" and "colorization"."""
    if verb := _IZE.fullmatch(word):
        return verb["stem"]
    return _stemmer().stemWord(word)


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text: as written, their stems, and where each stem stands."""

    written: tuple[str, ...]
    stems: tuple[str, ...]
    places: Mapping[str, tuple[int, ...]]

    def count(self, stems: Sequence[str]) -> int:
        """How often the phrase stands there word for word."""
        return sum(self.stems[at : at + len(stems)] == tuple(stems) for at in self.places.get(stems[0], ()))


def words(text: str) -> Words:
    """Splits at everything that is no letter or digit; Han characters are words of their own."""
    written = tuple(_WORD.findall(unicodedata.normalize("NFKC", text)))
    stems = tuple(_stem(word.lower()) for word in written)
    places: dict[str, list[int]] = {}
    for at, stem in enumerate(stems):
        places.setdefault(stem, []).append(at)
    return Words(written, stems, {stem: tuple(at) for stem, at in places.items()})


@cache
def stems(text: str) -> tuple[str, ...]:
    """The stems of a phrase."""
    return words(text).stems


def find(phrase: Sequence[str], text: Words) -> tuple[float, tuple[int, int]]:
    """How surely `text` holds the phrase (stems), and the span of words where: PHRASE, NEARBY or 0.

    Ordered phrases and, at half of their weight, unordered windows: Metzler and Croft's sequential dependence model
    (SIGIR 2005). "image generation and editing" holds "image editing" in full.
    """
    if any(stem not in text.places for stem in phrase):
        return 0.0, (0, 0)
    places = [text.places[stem] for stem in phrase]
    for at in places[0]:
        if end := _phrase_end(tuple(phrase), text.stems, at):
            return PHRASE, (at, end)
    return _nearby(places)


def _phrase_end(phrase: tuple[str, ...], found: tuple[str, ...], at: int) -> int | None:
    """Where the phrase that starts at `at` ends: word for word, or with "and" and one more word behind its first."""
    end = at + len(phrase)
    if found[at:end] == phrase:
        return end
    coordinated = found[at + 3 : end + 2] == phrase[1:] and not _AND.isdisjoint(found[at + 1 : at + 3])
    return end + 2 if coordinated and len(phrase) > 1 else None


def _nearby(places: Sequence[Sequence[int]]) -> tuple[float, tuple[int, int]]:
    for at in places[0]:
        nearest = [min(positions, key=lambda position: abs(position - at)) for positions in places]
        first, last = min(nearest), max(nearest)
        if len(set(nearest)) == len(places) and last - first < len(places) + WINDOW:
            return NEARBY, (first, last + 1)
    return 0.0, (0, 0)


def sentences(text: str) -> tuple[str, ...]:
    """The sentences of `text`, each an exact span of it without the space around it."""
    spans = (text[start:end].strip() for start, end in _spans(text))
    return tuple(span for span in spans if span)


def _spans(text: str) -> Iterator[tuple[int, int]]:
    formulas = [match.span() for match in _TEX.finditer(text)]
    starts = [first for first, _ in formulas]
    start = 0
    for match in _END.finditer(text):
        end = match.end()
        before = bisect_left(starts, end) - 1  # the last formula that begins before the end
        if (before >= 0 and end < formulas[before][1]) or _abbreviates(text, match.start() + 1):
            continue
        yield start, end
        start = end
    yield start, len(text)


def _abbreviates(text: str, end: int) -> bool:
    return _ABBREVIATION.search(text, max(0, end - _LOOKING_BACK), end) is not None
