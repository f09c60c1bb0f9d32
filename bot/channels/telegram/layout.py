"""A Document as lines of Telegram text, and the lines as the texts of one or more messages: pure.

A section's content stands in a quote under its bold title, folded ("expandable") where it is long: a deep dive is then
skimmed in one screen and read with a tap. Quotes cannot be nested, so the title stays outside.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from bot.channels.split import Border, Piece, cut, merged, pack
from bot.channels.telegram.entities import Styled, bold, styled, units
from bot.report.document import (
    Block,
    Divider,
    Document,
    Fields,
    Footer,
    Heading,
    Item,
    Items,
    Mark,
    Note,
    Paragraph,
    Picture,
    Ranking,
    RankingRow,
    Section,
    Span,
    Spans,
    text_of,
)

TEXT_UNITS = 4000  # UTF-16 units; Telegram's limit is 4,096
ENTITIES = 100  # Telegram silently drops what is above
PIECE_UNITS, PIECE_ENTITIES = 1000, 25  # what is longer may be broken between sentences
FOLD_UNITS = 200  # a quote longer than this (about eight lines on a phone) is folded
AIRY_UNITS = 60  # an item longer than this takes three lines on a phone: such lists get blank lines between the items
FOLD_ROWS = 5  # a ranking of more papers is folded
FIELDS_UNITS = 60  # labelled facts up to this length share a line
REPEATED_UNITS = 160  # the title over a later part is shortened to this; the first part shows all of it
REPEATED_ENTITIES = 4  # title, part label, section title, the rest of its quote
MANY = 99  # parts; what a part label has room for
RULE = "──────────"


@dataclass(frozen=True, slots=True)
class Line:
    """What is not broken: its text, line breaks before it, and the titled quote that it is part of."""

    text: Styled
    gap: int = 2
    quote: str = ""
    quote_title: Spans = ()


Pieces = tuple[Piece[Line], ...]


def messages(document: Document) -> tuple[Styled, ...]:
    """The texts of the document's messages, at least one; each repeats the title, numbered, where there are several."""
    pieces = tuple(_pieces(document)) or tuple(_cut(bold(_title(document)), Line(Styled())))
    chunks = pack(pieces, (TEXT_UNITS, ENTITIES))
    if len(chunks) == 1:
        return (_assemble(chunks[0]),)
    room = max(_overhead(document, piece.content) for piece in pieces)
    chunks = pack(pieces, (TEXT_UNITS - room, ENTITIES - REPEATED_ENTITIES))
    return tuple(_part(document, chunk, part, len(chunks)) for part, chunk in enumerate(chunks, 1))


def _overhead(document: Document, line: Line) -> int:
    """UTF-16 units of what a later part repeats before `line`."""
    label = _label(document, MANY, MANY)
    return units((styled((*_shortened(_title(document)), *line.quote_title)) + label).text) + len("\n\n… \n")


def _label(document: Document, part: int, parts: int) -> Styled:
    return styled((Span(" " + document.part_label.format(part=part, parts=parts), bold=True),))


def _part(document: Document, chunk: Sequence[Line], part: int, parts: int) -> Styled:
    label = _label(document, part, parts)
    if part == 1:
        return _assemble((replace(chunk[0], text=chunk[0].text + label), *chunk[1:]))
    head = [Line(styled(bold(_shortened(_title(document)))) + label)]
    first = replace(chunk[0], text=_stripped(chunk[0].text), gap=2)
    if first.quote_title:  # the section goes on from the message before
        head.append(Line(styled((Span("… " + text_of(first.quote_title), bold=True),))))
        first = replace(first, gap=1)
    return _assemble((*head, first, *chunk[1:]))


def _title(document: Document) -> Spans:
    candidates = (document.title, (Span(document.summary),), (Span(RULE),))
    return next(spans for spans in candidates if _stripped(styled(spans)).text)


def _shortened(spans: Spans) -> Spans:
    text = " ".join(text_of(spans).split())
    first, *rest = cut((Span(text),), lambda run: units(text_of(run)) <= REPEATED_UNITS)
    return (Span(text_of(first).rstrip() + "…"),) if rest else first


def _assemble(lines: Sequence[Line]) -> Styled:
    """The lines under one another, those of a quote inside one entity."""
    result = Styled()
    for quote, group in groupby(lines, key=lambda line: line.quote):
        run = list(group)
        text = _stack(run)
        if quote:
            text = text.within("expandable_blockquote" if units(text.text) > FOLD_UNITS else "blockquote")
        result = result + Styled("\n" * run[0].gap) + text if result.text else text
    return result


def _stack(lines: Sequence[Line]) -> Styled:
    result = lines[0].text
    for line in lines[1:]:
        result = result + Styled("\n" * line.gap) + line.text
    return result


def _pieces(document: Document) -> Iterator[Piece[Line]]:
    below: Literal["title", "heading"] | None = None
    if document.title:  # a mere line has none
        yield from _cut(bold(_title(document)), Line(Styled()))
        # What follows a heading belongs to it, and so do the first words to the title; under one they stand close.
        below = "title"
    quote = ""
    for number, block in enumerate(document.blocks):
        for piece in _block(block, str(number), document.language):
            line = piece.content if below != "heading" else replace(piece.content, gap=min(1, piece.content.gap))
            opens = line.quote not in ("", quote)  # one more entity in this message
            border = Border.NEVER if below else piece.border
            yield Piece(line, (piece.sizes[0], piece.sizes[1] + opens), border)
            below, quote = "heading" if _is_heading(line, block) else None, line.quote


def _is_heading(line: Line, block: Block) -> bool:
    return isinstance(block, Heading) or (isinstance(block, Section) and not line.quote)


def _block(block: Block, name: str, language: str) -> Iterator[Piece[Line]]:
    match block:
        case Picture():
            # The picture itself is the message's preview, which has no caption; its words lead there if it fails.
            yield from _cut(_italic(block.caption), Line(Styled()))
        case Heading(spans):
            yield from _cut(bold(spans), Line(Styled()), Border.GOOD)
        case Paragraph(spans) | Footer(spans):
            yield from _cut(spans, Line(Styled()))
        case Note(spans, tone):
            yield from _cut((Span("⚠️ "), *spans) if tone == "warning" else spans, Line(Styled()))
        case Items():
            yield from _items(block, Line(Styled()), language)
        case Section():
            yield from _section(block, name, language)
        case Ranking(rows):
            quote = f"ranking {name}" if len(rows) > FOLD_ROWS else ""
            for row in rows:
                yield from _cut(_row(row, language), Line(Styled(), quote=quote))
        case Fields(pairs):
            yield from _fields(pairs)
        case Divider():
            yield _piece(Line(Styled(RULE)))


def _italic(spans: Spans) -> Spans:
    """The same words in italics, formulas among them: each look takes an entity, and they are few."""
    return merged(tuple(replace(span, italic=True, tex=None) for span in spans))


def _section(section: Section, name: str, language: str) -> Iterator[Piece[Line]]:
    title = (Span(section.title),)
    yield from _cut(bold(title), Line(Styled()), Border.GOOD)
    line = Line(Styled(), quote=f"section {name}", quote_title=_shortened(title))
    for block in section.blocks:
        yield from _items(block, line, language) if isinstance(block, Items) else _cut(block.spans, line)


def _items(items: Items, line: Line, language: str) -> Iterator[Piece[Line]]:
    airy = any(units(text_of(item.spans)) > AIRY_UNITS for item in items.items)
    for number, item in enumerate(items.items, 1):
        bullet = Span(f"{number}. " if items.ordered else "• ")
        gap = 2 if airy or number == 1 else 1
        yield from _cut((bullet, *_item(item, language)), replace(line, gap=gap))


def _item(item: Item, language: str) -> Spans:
    return item.spans if item.mark is None else (*item.spans, _mark(item.mark, language))


def _mark(mark: Mark, language: str) -> Span:
    return Span(_remark(mark.label, language), href=mark.href)


def _remark(text: str, language: str) -> str:
    """Chinese and Japanese set small remarks in tortoise-shell brackets, which bring their own space."""
    return f"〔{text}〕" if language.startswith(("zh", "ja")) else f" [{text}]"


def _row(row: RankingRow, language: str) -> Spans:
    place = (
        (Span("— · "),)
        if row.score is None
        else (Span(f"{row.position}. "), Span(str(row.score), bold=True), Span(" · "))
    )
    tags = (Span(_remark(tag, language), document=row.document) for tag in row.tags)
    reason = (Span("\n"), *row.reason) if row.reason else ()
    return (*place, Span(row.title, href=row.href), *tags, *reason)


def _fields(pairs: Sequence[tuple[str, Spans]]) -> Iterator[Piece[Line]]:
    facts = [(Span(label, bold=True), Span(" "), *spans) for label, spans in pairs]
    one_line = sum(units(text_of(spans)) for spans in facts) <= FIELDS_UNITS
    if one_line:
        facts = [tuple(span for fact in facts for span in (Span(" · "), *fact))[1:]]
    for number, spans in enumerate(facts):
        yield from _cut(spans, Line(Styled(), gap=1 if number else 2))


def _cut(spans: Spans, line: Line, border: Border = Border.POOR) -> Iterator[Piece[Line]]:
    """`spans` laid out like `line`, in several pieces where they are too long for one.

    The pieces of a text stand behind one another, its blanks kept, until a new message begins between them.
    """
    blank = ""
    for run in cut(spans, _fits):
        text = styled(run)
        inner = _stripped(text)
        if inner.text:
            lead = text.text[: len(text.text) - len(text.text.lstrip())]
            yield _piece(replace(line, text=Styled(blank + lead if not line.gap else "") + inner), border)
            line, border = replace(line, gap=0), Border.POOR
            blank = ""
        blank += text.text[len(text.text.rstrip()) :]


def _fits(spans: Spans) -> bool:
    text = styled(spans)
    return units(text.text) <= PIECE_UNITS and len(text.entities) <= PIECE_ENTITIES


def _stripped(text: Styled) -> Styled:
    """Without blanks at the ends: Telegram would remove them, and all offsets with them."""
    lead = units(text.text) - units(text.text.lstrip())
    moved = tuple(replace(entity, offset=entity.offset - lead) for entity in text.entities)
    return Styled(text.text.strip(), moved)


def _piece(line: Line, border: Border = Border.POOR) -> Piece[Line]:
    return Piece(line, (units(line.text.text) + line.gap, len(line.text.entities)), border)
