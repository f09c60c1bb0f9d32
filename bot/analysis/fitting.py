"""Which of a paper a model reads when it cannot read everything: a token budget filled by what matters most. Pure.

Every paragraph has one rank, whatever the budget, and a budget takes the paragraphs up to some rank: so a larger one
never loses a text that a smaller one kept. Within a kind of section the ranks go round: each section gives its
beginning before any gives its end, and a table stands by its own size, so that neither a long section nor a large table
starves the others.
"""

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from bot import tokens
from bot.analysis import anatomy, outline, untrusted
from bot.analysis.anatomy import Kind
from bot.analysis.points import Reading
from bot.models import Section

GAP = untrusted.REDACTED  # stands where something was left out: no quote can reach across, and the model sees it
GIANT_TABLE = 2_000  # tokens, some 60 rows of 8 numbers; what is larger waits until the conclusion is in
WANTED = Kind.ABSTRACT + 0.5  # where wanted sections stand among the kinds: right behind the abstract
FOR_HEADINGS = 50  # one in so many tokens is kept for the bare headings of sections that have no room

_BREAK = tokens.weight("\n\n")
_GAP = tokens.weight(GAP) + _BREAK
_PARAGRAPHS = re.compile(r"\n[^\S\n]*\n\s*")
_TABLE_CAPTION = re.compile(r"\W*(?:table|tab\.|表)\s*[\dIVX]", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?][\"'”’)\]]*(?=\s+[A-Z“\"(\[]|\s*\Z)|[。！？][”’）]*")
_SPACE = re.compile(r"(?<=\S)(?=\s)")
_HEAD_ROWS = 2  # of a Markdown table: its head, and the line under it

Taken = Mapping[int, str]
"""The paragraphs of a section that are given, the last one perhaps cut, under their places."""


@dataclass(frozen=True, slots=True)
class _Unit:
    """Paragraph `place` of section `index`, and its rank among all of the paper: lower ones are taken first."""

    index: int
    place: int
    text: str
    rank: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """A section, its paragraphs, the places of its tables with their captions, and the sections around it."""

    section: Section
    paragraphs: tuple[str, ...]
    tables: Mapping[int, tuple[int, ...]]
    parents: tuple[int, ...]

    @property
    def line(self) -> int:
        """What the line over the section weighs."""
        return tokens.weight(outline.line(self.section)) + _BREAK

    @property
    def gaps(self) -> int:
        """What the marks weigh at most: prose is taken in order, tables apart, so each opens at most one gap more."""
        return (1 + len(self.tables)) * _GAP


def fit(reading: Reading, limit: int, wanted: Collection[str] = ()) -> Reading:
    """What of `reading` takes at most `limit` tokens as it is laid out, by the upper estimate of bot.tokens.

    By kind: abstract, sections whose IDs are `wanted`, method, experiments with their tables, introduction,
    limitations, conclusion, the other main sections, the appendix. The first paragraph that does not fit is cut at a
    sentence (a table at a row), and there the text ends; what is left holds the bare headings of other sections, so
    that the model knows what it has not seen. `left_out` names, in reading order, the sections of which the result has
    nothing or not all.
    """
    if tokens.at_most(reading.laid_out()) <= limit:
        return reading
    parts = tuple(_part(index, reading.sections) for index in range(len(reading.sections)))
    taken = _taken(parts, sorted(_units(reading, parts, wanted), key=lambda unit: unit.rank), limit)
    given = {index: _given(parts[index], taken.get(index, {})) for index in range(len(parts))}
    short = [part.section.id for index, part in enumerate(parts) if given[index] is not part.section]
    return replace(
        reading,
        sections=tuple(given[index] for index in sorted(taken)),
        left_out=tuple(sorted({*short, *reading.left_out}, key=_order)),
    )


def _order(section_id: str) -> int:
    """IDs are numbered in reading order."""
    return int(section_id.removeprefix("S"))


def _part(index: int, sections: Sequence[Section]) -> _Part:
    paragraphs = tuple(filter(None, _PARAGRAPHS.split(sections[index].text.strip())))
    return _Part(sections[index], paragraphs, _tables(paragraphs), outline.parents(index, sections))


def _tables(paragraphs: Sequence[str]) -> Mapping[int, tuple[int, ...]]:
    """For each place of a table or of its caption, those of both; the caption stands before its table or behind it."""
    found: dict[int, tuple[int, ...]] = {}
    for place, text in enumerate(paragraphs):
        if not _is_table(text):
            continue
        beside = (at for at in (place - 1, place + 1) if 0 <= at < len(paragraphs) and at not in found)
        caption = next((at for at in beside if _TABLE_CAPTION.match(paragraphs[at])), None)
        both = (place,) if caption is None else (caption, place)
        found.update(dict.fromkeys(both, both))
    return found


def _is_table(text: str) -> bool:
    return text.startswith("|")


def _units(reading: Reading, parts: Sequence[_Part], wanted: Collection[str]) -> Iterator[_Unit]:
    """Every paragraph. Within its kind, prose ranks by how far in its section it stands, a table by its size."""
    kinds = anatomy.kinds(reading.sections, reading.appendix)
    for index, (part, own) in enumerate(zip(parts, kinds, strict=True)):
        kind = min(own, WANTED) if part.section.id in wanted else own
        read = 0
        for place, text in enumerate(part.paragraphs):
            if both := part.tables.get(place):
                size = sum(tokens.weight(part.paragraphs[at]) for at in both)
                giant = size > GIANT_TABLE * tokens.PARTS and kind < Kind.CONCLUSION
                late = Kind.CONCLUSION + 0.5 if giant else kind
                yield _Unit(index, place, text, (late, size, index, both[0], _is_table(text)))
            else:
                read += tokens.weight(text)
                yield _Unit(index, place, text, (kind, read, index, place))


def _taken(parts: Sequence[_Part], units: Sequence[_Unit], limit: int) -> dict[int, dict[int, str]]:
    """The paragraphs that fit into `limit` tokens, by section; nothing under a bare heading."""
    taken: dict[int, dict[int, str]] = {}
    kept = limit // FOR_HEADINGS * tokens.PARTS
    room = limit * tokens.PARTS - kept
    for unit in units:
        part = parts[unit.index]
        new = [at for at in (*part.parents, unit.index) if at not in taken]
        opening = sum(parts[at].line for at in new) + (0 if taken.get(unit.index) else part.gaps)
        space = room - opening - _BREAK
        text = unit.text if tokens.weight(unit.text) <= space else _beginning(unit.text, space)
        if text:
            for at in new:
                taken[at] = {}
            taken[unit.index][unit.place] = text
            room = space - tokens.weight(text)
        if text != unit.text:
            break
    room += kept
    for index, part in enumerate(parts):
        if index not in taken and part.line <= room:
            taken[index] = {}
            room -= part.line
    return taken


def _given(part: _Part, taken: Taken) -> Section:
    """The section with what was taken of it, a mark in every gap; the section itself where that is everything."""
    if tuple(taken.get(place) for place in range(len(part.paragraphs))) == part.paragraphs:
        return part.section
    texts: list[str] = []
    for place, whole in enumerate(part.paragraphs):
        text = taken.get(place, "")
        texts += [text] if text else []
        if taken and text != whole and texts[-1:] != [GAP]:
            texts.append(GAP)
    return replace(part.section, text="\n\n".join(texts))


def _beginning(text: str, room: int) -> str:
    """As many of its first sentences (of a table, rows) as weigh at most `room`; "" when nothing does.

    Where not even one sentence fits, its first words, and where nothing parts words, its first characters.
    """
    if _is_table(text):
        rows = [found.start() for found in re.finditer(r"\n|\Z", text)]
        return _cut(text, rows[_HEAD_ROWS:], room)
    sentences = list(_outside_formulas((found.end() for found in _SENTENCE_END.finditer(text)), text, room))
    words = list(_outside_formulas((found.start() for found in _SPACE.finditer(text)), text, room))
    within = range(1, min(len(text), _reach(room)))
    return _cut(text, sentences, room) or _cut(text, words if _SPACE.search(text) else within, room)


def _cut(text: str, ends: Sequence[int], room: int) -> str:
    fitting = bisect_right(ends, room, key=lambda end: tokens.weight(text[:end]))
    return text[: ends[fitting - 1]] if fitting else ""


def _outside_formulas(ends: Iterable[int], text: str, room: int) -> Iterator[int]:
    """Those of `ends` that may fit and stand in no formula; all, where a dollar is a dollar and nobody can tell."""
    at = dollars = 0
    paired = text.count("$") % 2 == 0
    for end in takewhile(lambda end: end < _reach(room), ends):
        dollars += text.count("$", at, end)
        at = end
        if dollars % 2 == 0 or not paired:
            yield end


def _reach(room: int) -> int:
    """No text that weighs `room` is longer."""
    return max(room, 0) // tokens.LEAST + 1
