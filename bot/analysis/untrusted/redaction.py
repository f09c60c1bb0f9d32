"""Instructions to a reader model, found in text that is meant for people, and taken out of it. Pure.

A piece of text (a sentence, a table cell, a heading ...) goes when it has the marks of a forged turn or reply, when it
hides readable text in an encoding, or when its words meet a rule of lexicon.toml; where only several pieces together
meet the rule, all of them go. Short pieces and those that end in the middle of a sentence count as one with their
neighbours, so that an instruction that is spread over sentences, lines, cells or sections is found as well.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from bot.analysis.untrusted import encoded
from bot.analysis.untrusted.characters import clean
from bot.analysis.untrusted.forged import forged
from bot.analysis.untrusted.lexicon import Rule, lexicon
from bot.analysis.untrusted.sentences import Reading, plainly, read, split

REDACTED = "[…]"
_SHORT = 8  # words: a piece of at most so many is a fragment, which may belong to what stands beside it
_APART = 7  # words that the border between two whole sentences counts for
_CODED_WITHIN = 12  # words
_TAGS = re.compile("[\U000e0020-\U000e007e]")
_LEAST_TAGGED = 12  # characters; a flag emoji has at most six
_DEPTH = 2  # encodings inside one another
_MOST_NEIGHBOURS = 3  # pieces on either side of an instruction that may be more of it


@dataclass(frozen=True, slots=True)
class Redaction:
    """What a model may see of a text, and whether something addressed to a reader model was taken out."""

    text: str
    suspicious: bool


@dataclass(frozen=True, slots=True)
class _Telling:
    """A telling word: its place in the whole text (in words), its piece, its concepts."""

    at: float
    piece: int
    concepts: int


def redact(text: str) -> Redaction:
    """`text`, cleaned, with every passage that gives a reader model instructions replaced by REDACTED."""
    return redact_all((text,))[0]


def redact_all(texts: Sequence[str]) -> tuple[Redaction, ...]:
    """The same for texts that a model reads one after the other: finds what only several of them together say."""
    cleaned = [clean(text) for text in texts]
    decoded = [_without_blobs(text, _DEPTH) for text in cleaned]
    parts = [split(text) for text in decoded]
    flagged = _flagged([part[::2] for part in parts])
    return tuple(
        _redaction(part, gone, suspicious=text != before or _is_tagged(raw))
        for part, gone, text, before, raw in zip(parts, flagged, decoded, cleaned, texts, strict=True)
    )


def instructs(sentence: str) -> bool:
    """Does this tell a reader model what to do? Knows English and Chinese well, some other languages a little."""
    return redact(sentence).suspicious


def _redaction(parts: Sequence[str], gone: frozenset[int], *, suspicious: bool) -> Redaction:
    seen = [REDACTED if index % 2 == 0 and index // 2 in gone else part for index, part in enumerate(parts)]
    return Redaction("".join(seen), suspicious or bool(gone))


def _is_tagged(raw: str) -> bool:
    """Does it say something in tag characters, which nobody sees (and which are taken out in any case)?"""
    return not raw.isascii() and len(_TAGS.findall(raw)) >= _LEAST_TAGGED


def _without_blobs(text: str, depth: int) -> str:
    """`text` without passages that say something readable in an encoding."""
    if not depth:
        return text
    kept: list[str] = []
    at = 0
    for blob in sorted(encoded.blobs(text), key=lambda blob: blob.start):
        if blob.start >= at:
            kept.extend((text[at : blob.start], REDACTED))
            at = blob.end
    return "".join((*kept, text[at:])) if kept else text


def _flagged(texts: Sequence[Sequence[str]]) -> list[frozenset[int]]:
    """By text, the numbers of the pieces that have to go."""
    plain = [plainly(piece) for pieces in texts for piece in pieces]
    readings = [read(piece) for piece in plain]
    gone = {number for number, piece in enumerate(plain) if forged(piece)}
    told = _told(readings)
    for piece in _by_piece(told):
        gone.update(_ruled(piece))
    gone.update(_ruled([one for one in told if one.piece not in gone]))
    gone.update(tuple(_beside(gone, readings)))
    result, start = [], 0
    for pieces in texts:
        result.append(frozenset(number - start for number in gone if start <= number < start + len(pieces)))
        start += len(pieces)
    return result


def _told(readings: Sequence[Reading]) -> list[_Telling]:
    """All telling words on one scale of places."""
    told: list[_Telling] = []
    at, before = 0.0, None
    for number, reading in enumerate(readings):
        if before is not None and before.closed and min(before.length, reading.length) > _SHORT:
            at += _APART
        told.extend(_Telling(at + found.at, number, found.concepts) for found in reading.found)
        at += reading.length
        before = reading if reading.length else before
    return told


def _by_piece(told: Sequence[_Telling]) -> Iterator[list[_Telling]]:
    for _, words in groupby(told, key=lambda one: one.piece):
        yield list(words)


def _ruled(told: Sequence[_Telling]) -> Iterator[int]:
    """The pieces over which a rule or a cipher stretches."""
    known, present = lexicon(), _union(one.concepts for one in told)
    for rule in known.rules:
        if all(group & present for group in rule.groups):
            words = [one for one in told if one.concepts & rule.concepts]
            for first, last in (_in_order if rule.ordered else _together)(words, rule):
                yield from range(first, last + 1)
    for code in known.codes:
        if code & present:
            yield from _coded([one for one in told if one.concepts & code])


def _together(told: Sequence[_Telling], rule: Rule) -> Iterator[tuple[int, int]]:
    """First and last piece of every place where each group is met by a word of its own, in any order."""
    latest: list[_Telling | None] = [None] * len(rule.groups)
    for one in told:
        # A word that meets several groups is taken for the one whose word lies furthest back.
        open_groups = [index for index, group in enumerate(rule.groups) if one.concepts & group]
        chosen = min(open_groups, key=lambda index: -1.0 if (seen := latest[index]) is None else seen.at)
        latest[chosen] = one
        seen = [word for word in latest if word is not None]
        if len(seen) == len(latest) and one.at - min(word.at for word in seen) <= rule.within:
            yield min(word.piece for word in seen), one.piece


def _in_order(told: Sequence[_Telling], rule: Rule) -> Iterator[tuple[int, int]]:
    """The same for groups that are met one after the other."""
    starts: list[_Telling | None] = [None] * len(rule.groups)
    for one in told:
        for index in reversed(range(len(rule.groups))):
            if not one.concepts & rule.groups[index]:
                continue
            start = one if index == 0 else starts[index - 1]
            if start is None or one.at - start.at > rule.within or (index and start.at == one.at):
                continue
            starts[index] = start
            if index == len(rule.groups) - 1:
                yield start.piece, one.piece


def _coded(told: Sequence[_Telling]) -> Iterator[int]:
    for first, second in pairwise(told):
        if second.at - first.at <= _CODED_WITHIN:
            yield from range(first.piece, second.piece + 1)


def _beside(gone: set[int], readings: Sequence[Reading]) -> Iterator[int]:
    """Pieces next to an instruction that look like more of it."""
    weak = lexicon().neighbours
    for number in gone:
        for step in (-1, 1):
            for other in range(number + step, number + step * (_MOST_NEIGHBOURS + 1), step):
                if not 0 <= other < len(readings) or not any(one.concepts & weak for one in readings[other].found):
                    break
                yield other


def _union(masks: Iterable[int]) -> int:
    result = 0
    for mask in masks:
        result |= mask
    return result
