"""Where a text may be broken so that it fits a chat message: shared by the platforms, each with its limits. Pure."""

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import groupby, pairwise
from typing import Generic, TypeVar

from bot.report.document import Span, Spans, text_of

ContentT = TypeVar("ContentT")

# Borders at which a text may be cut, best first: after a sentence, after a clause, after a word or between two Chinese
# characters, anywhere but before a character that joins the one before it.
_SENTENCE = re.compile(r"[。！？；…]+[”’」』）】]*|[.!?]+[\"”’)\]]*\s+|\n+")
_CLAUSE = re.compile(r"[，、：]|[,;:]\s+|——")
_WORD = re.compile(r"\s+|[\u3400-\u9fff](?![，。、；：！？”’」』）】…])")
_CHARACTER = re.compile(r".(?![\u0300-\u036f\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff])(?<!\u200d)", re.DOTALL)
_BORDERS = (_SENTENCE, _CLAUSE, _WORD, _CHARACTER)
# A good border is taken unless it leaves more than half of the room empty.
_LEAST_FILL = 0.5


class Border(IntEnum):
    """How good it is to start a new message before a piece."""

    GOOD = 0  # a new section, a new paper
    POOR = 1  # the next point of the same section
    NEVER = 2  # it belongs to the heading before it; broken only when the two do not fit together


@dataclass(frozen=True, slots=True)
class Piece(Generic[ContentT]):
    """What is not broken any further. `sizes` is what it takes of each limit, in the limits' order."""

    content: ContentT
    sizes: tuple[int, ...]
    border: Border = Border.POOR


def pack(pieces: Sequence[Piece[ContentT]], limits: Sequence[int]) -> tuple[tuple[ContentT, ...], ...]:
    """The fewest messages that hold all pieces in order; among those the best borders, then the most even lengths.

    Borders marked NEVER count before the number of messages. A piece that is too large by itself gets its own message:
    callers cut it first (`cut`).
    """
    if not pieces:
        return ()
    # best[end] is the cheapest way to lay out pieces[:end]: (never-borders, messages, poor borders, squared lengths).
    best: list[tuple[tuple[int, int, int, int], int]] = [((0, 0, 0, 0), 0)]
    for end in range(1, len(pieces) + 1):
        best.append(min(_layouts(pieces, limits, best, end)))
    ends = [len(pieces)]
    while ends[-1]:
        ends.append(best[ends[-1]][1])
    ends.reverse()
    return tuple(tuple(piece.content for piece in pieces[a:b]) for a, b in pairwise(ends))


def _layouts(
    pieces: Sequence[Piece[ContentT]],
    limits: Sequence[int],
    best: Sequence[tuple[tuple[int, int, int, int], int]],
    end: int,
) -> Iterator[tuple[tuple[int, int, int, int], int]]:
    """Every last message that may end before `end`, as (cost of the whole, start of the message)."""
    sizes = tuple(0 for _ in limits)
    for start in range(end - 1, -1, -1):
        sizes = tuple(a + b for a, b in zip(sizes, pieces[start].sizes, strict=True))
        if start < end - 1 and any(size > limit for size, limit in zip(sizes, limits, strict=True)):
            return
        never, messages, poor, squares = best[start][0]
        border = pieces[start].border if start else Border.GOOD
        yield (
            (
                never + (border is Border.NEVER),
                messages + 1,
                poor + (border is Border.POOR),
                squares + sizes[0] ** 2,
            ),
            start,
        )


def cut(spans: Spans, fits: Callable[[Spans], bool]) -> tuple[Spans, ...]:
    """`spans` in runs that each fit, broken at sentences, else clauses, else words, else characters.

    `fits` must hold for every shorter beginning of what it holds for. The runs' texts joined are the text of `spans`.
    """
    runs = []
    while len(text_of(spans)) > 1 and not fits(spans):
        position = _border(spans, fits)
        runs.append(_part(spans, 0, position))
        spans = _part(spans, position, len(text_of(spans)))
    return (*runs, spans)


def _border(spans: Spans, fits: Callable[[Spans], bool]) -> int:
    """Where the best border is among those whose beginning of `spans` fits."""
    text = text_of(spans)
    room = _room(spans, fits)
    for pattern in _BORDERS:
        # One more character than there is room for: what follows a border decides whether it is one.
        ends = [match.end() for match in pattern.finditer(text, 0, room + 1) if match.end() <= room]
        if ends and (ends[-1] >= room * _LEAST_FILL or pattern is _CHARACTER):
            return ends[-1]
    return room


def _room(spans: Spans, fits: Callable[[Spans], bool]) -> int:
    """How many characters fit, at least one."""
    length = len(text_of(spans))
    reach = 1
    while reach < length and fits(_part(spans, 0, reach)):
        reach *= 2
    lower, upper = max(1, reach // 2), min(reach, length)
    return lower + bisect_left(range(lower + 1, upper + 1), 1, key=lambda end: int(not fits(_part(spans, 0, end))))


def _part(spans: Spans, start: int, end: int) -> Spans:
    """The spans of text[start:end]. A formula that is cut keeps its readable form and loses its source."""
    parts, position = [], 0
    for span in spans:
        text = span.text[max(0, start - position) : max(0, end - position)]
        position += len(span.text)
        if text:
            parts.append(span if text == span.text else replace(span, text=text, tex=None))
    return tuple(parts)


def merged(spans: Spans) -> Spans:
    """Neighbours of the same look as one span (formulas stay apart), so that they count once against a limit."""
    result: list[Span] = []
    for look, group in groupby(spans, key=lambda span: replace(span, text="")):
        run = list(group)
        result.extend(run if look.tex is not None else [replace(look, text=text_of(run))])
    return tuple(result)
