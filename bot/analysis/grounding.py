"""Are the quotes in the paper, are the numbers in the quotes: the proof that a point rests on the text. Pure.

Quotes are compared by their letters and digits alone, so that typography, hyphenation, ligatures, line breaks and TeX
never matter; numbers are then compared one by one on what is really printed, because "28.45" and "29.45" are alike to
any measure of similarity. For the same reason a quote that is not exact is followed word by word: "increases" and
"decreases" are alike too.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import takewhile

from bot.analysis import numerals
from bot.analysis.letters import ARTICLES, CJK, Letters, fold, formulas, inflected, same_word

MIN_QUOTE = 10  # letters and digits; less is found anywhere
MAX_QUOTE = 1000  # characters; more is not a quote but a copy, and would make the search slow
WORDS_PER_CHANGE = 8  # a near quote may change one word in so many, and one in a short quote
COPIED = 0.6  # of a text's five-word runs: with more of them from the abstract, the text is a copy ...
RESTATED = 0.4  # ... and with more than this of the abstract's runs in it, a copy of the abstract
_RUN = 5  # words
_SEED = 8  # letters that a near quote shares with its place, somewhere
_WINDOWS = 6  # places looked at for a near quote, best first
_HITS = 40  # occurrences of one piece that are looked at
_SHIFT = 12  # letters by which changed words before a shared piece may have moved it
_GROWTH = 40  # characters; a span grows by this much at most, at either end
_PIECES = 2  # parts of a word that a line break, a hyphen or a lost ligature made

_SIGN = re.compile(r"(?<![\w)\]])[-−－]\$?\Z")  # a minus, not the dash of "10-20"
_OPENERS = frozenset("([{\"'“‘«*`")
_CLOSERS = frozenset(")]}\"'”’»*`%.!?。！？")
_FIGURE = re.compile(r"(?<![\w)\]])-?(?:[0-9]+[.,])*[0-9]+|[0-9]+(?:[.,][0-9]+)*")
_LOST_POWER = re.compile(r"(?<![\d.])10-(?=\d(?![\d.]))")  # of PDFs: "10-4" is no range, it runs downwards
_NEGATIVE_POWER = re.compile(r"(?<=\d)e-(?=\d)", re.IGNORECASE)  # "1e-6", whose minus stands behind a letter
_NEGATION = re.compile(
    r"\b(?:not?|never|without|cannot|nor|neither|fail(?:s|ed)?)\b|n['’]t\b|[不没未无]", re.IGNORECASE
)
_NEGATED = re.compile(
    r"(?:\b(?:not?|never|without|cannot|nor|neither|hardly|barely|non|un|anti)|n['’]t)[\s\"'“‘*-]*\Z|[不没未无非]\Z",
    re.IGNORECASE,
)
_LINE_BREAK = re.compile(r"-\s*\n\s*")
_ENUMERATION = re.compile(r"[(（]([1-9])[)）]")


def find_quote(quote: str, text: str) -> str | None:
    """The span of `text` that `quote` copies, as the text prints it (whole words); None when it is not there.

    A quote may differ in articles, inflection and single letters of long words, once in WORDS_PER_CHANGE words, and
    in nothing else: every number, sign, comparison and negation is the same, and none was cut off at an end.
    """
    if len(quote) > MAX_QUOTE:
        return None
    wanted = fold(quote)
    if len(wanted.text) < MIN_QUOTE:
        return None
    source = fold(text)
    for start, end in _places(wanted, source):
        span = _span(text, quote, source, (start, end))
        if span is not None and _figures(span) == _figures(quote) and _negations(span) == _negations(quote):
            return span
    return None


def unsupported_numbers(text: str, sources: Sequence[str]) -> tuple[str, ...]:
    """The numbers of `text`, as written there, that none of `sources` states. "(1) … (2) …" only counts points."""
    known = frozenset[numerals.Said]().union(*(numerals.said(source) for source in sources))
    return tuple(number.written for number in claims(text) if not number.rests_on(known))


def claims(text: str) -> tuple[numerals.Number, ...]:
    """The numbers of `text` that want proof."""
    return tuple(number for number in numerals.numbers(_without_enumeration(text)) if number.claim)


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


# --- places: where the letters of a quote stand


def _places(wanted: Letters, source: Letters) -> Iterator[tuple[int, int]]:
    """Where `wanted` stands in `source`: exact places first, then near ones."""
    for start in _occurrences(wanted.text, source.text):
        yield start, start + len(wanted.text)
    changes = max(1, wanted.words() // WORDS_PER_CHANGE)
    for start in _candidates(wanted, source):
        end = _followed(wanted, source, start, changes)
        if end is not None:
            yield start, end


def _occurrences(piece: str, letters: str) -> Iterator[int]:
    start = letters.find(piece)
    for _ in range(_HITS):
        if start < 0:
            return
        yield start
        start = letters.find(piece, start + 1)


def _candidates(wanted: Letters, source: Letters) -> Iterator[int]:
    """Likely starts of a near quote: words near where most pieces of it stand in the right place to one another."""
    votes: Counter[int] = Counter()
    for at in range(0, len(wanted.text) - _SEED + 1, _SEED):
        for hit in _occurrences(wanted.text[at : at + _SEED], source.text):
            votes[max(0, hit - at) // _SEED] += 1
    for bin_, _ in votes.most_common(_WINDOWS):
        low, high = max(0, bin_ * _SEED - _SHIFT), min(len(source.text), (bin_ + 1) * _SEED + _SHIFT)
        yield from (start for start in range(low, high) if source.begins_word(start))


def _followed(wanted: Letters, source: Letters, start: int, changes: int) -> int | None:
    """Where the quote ends that is followed from letter `start` on with at most `changes` changes; None: it is lost."""
    at, place = 0, start
    border = (0, start)
    while at < len(wanted.text):
        if wanted.begins_word(at) and source.begins_word(place):
            border = (at, place)
        if place < len(source.text) and wanted.text[at] == source.text[place]:
            at, place = at + 1, place + 1
            continue
        beyond = _reworded(wanted, source, *border) if changes else None
        if beyond is None:
            return None
        at, place = beyond
        changes -= 1
    return place


def _reworded(wanted: Letters, source: Letters, at: int, place: int) -> tuple[int, int] | None:
    """The places behind a word that the quote has in another spelling, or behind an article that only one has."""
    quoted = [(end, wanted.text[at:end]) for end in wanted.word_ends(at, _PIECES)]
    printed = [(end, source.text[place:end]) for end in source.word_ends(place, _PIECES)]
    # Whole words, or pieces on one side: two words at once would hide where one ends ("larger mask", "large mask").
    pairs = [(one, other) for one in printed[:1] for other in quoted] + [(one, quoted[0]) for one in printed[1:]]
    for (there, word), (here, other) in pairs:
        if same_word(word, other) or {word, other} <= ARTICLES:
            return here, there
    if at and quoted and quoted[0][1] in ARTICLES:  # a quote's first article would hide the word behind it
        return quoted[0][0], place
    if printed and printed[0][1] in ARTICLES:
        return at, printed[0][0]
    return None


# --- spans: what the paper prints there


def _span(text: str, quote: str, source: Letters, place: tuple[int, int]) -> str | None:
    """The print of the letters at `place`: whole words and formulas, with the marks that the quote has at its ends.

    None where the quote cuts a word so that it says something else: "un|supervised", "can|not", "1.2|k".
    """
    first, last = place
    end = _whole(text, source, last)
    if (first and _joined(text, source, first)) or not _ends_well(source, last, end):
        return None
    begin, stop = _with_formulas(text, source.starts[first], source.ends[end - 1])
    if text[begin].isdigit() and (sign := _SIGN.search(text, max(0, begin - 3), begin)):
        begin = sign.start()
    if _NEGATED.search(text, max(0, begin - _GROWTH), begin):
        return None
    head, tail = _OPENERS & _marks(quote), _CLOSERS & _marks(quote[::-1])
    while begin and text[begin - 1] in head:
        begin -= 1
    while stop < len(text) and text[stop] in tail:
        stop += 1
    return text[begin:stop]


def _joined(text: str, source: Letters, at: int) -> bool:
    """Is letter `at` of the same word or number as the one before it?"""
    before, after = source.text[at - 1], source.text[at]
    gap = text[source.ends[at - 1] : source.starts[at]]
    if after in "%‰":
        return before.isdigit() and not gap.strip(" \\$~\u00a0\u2009\u202f")
    if gap:
        return gap in (".", ",", "{,}") and before.isdigit() and after.isdigit()
    return before.isalnum() and after.isalnum() and max(ord(before), ord(after)) < CJK


def _whole(text: str, source: Letters, end: int) -> int:
    """`end`, moved on to the end of the word."""
    last = min(len(source.text), end + _GROWTH)
    while end < last and _joined(text, source, end):
        end += 1
    return end


def _ends_well(source: Letters, cut: int, end: int) -> bool:
    """Was no word cut, or only its ending?"""
    begin = cut
    while begin > 0 and not source.begins_word(begin):
        begin -= 1
    return cut == end or inflected(source.text[begin:end], source.text[begin:cut])


def _with_formulas(text: str, begin: int, stop: int) -> tuple[int, int]:
    """Widened to whole formulas: half of one cannot be shown."""
    for opening, closing in formulas(text):
        if opening < begin < closing and begin - opening <= _GROWTH:
            begin = opening
        if opening < stop < closing and closing - stop <= _GROWTH:
            stop = closing
    return begin, stop


def _marks(quote: str) -> frozenset[str]:
    """The characters before the first letter or digit."""
    return frozenset(takewhile(lambda character: not character.isalnum(), quote))


def _figures(text: str) -> list[str]:
    """The numbers of `text` as they are printed, with their signs, in order."""
    return _FIGURE.findall(_NEGATIVE_POWER.sub("^-", _LOST_POWER.sub("10^-", numerals.plain(text))))


def _negations(text: str) -> int:
    return len(_NEGATION.findall(_LINE_BREAK.sub("", text)))
