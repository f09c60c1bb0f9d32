"""A PDF's bytes made into what the parent process asks for: headings with their paragraphs, and what was hidden."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from bot.sources.pdf import columns, furniture, glyphs, headings, lines
from bot.sources.pdf.paragraphs import Kind, Paragraph, paragraphs
from bot.sources.pdf.words import Vocabulary, tidy

HIDDEN_CHARACTERS = 20_000  # of hidden text that are worth a look
ONE_ROW = 2.0  # points between the lines of one row of a table

_ABSTRACT = re.compile(r"(?:abstract|summary|摘\s*要)\s*[.:：—–-]*\s*(?=\S)", re.IGNORECASE)
_FRONT = re.compile(r"abstract|摘\s*要|contents|index terms|keywords", re.IGNORECASE)
_KEYWORDS = re.compile(r"(?:index terms|key\s?words(?: and phrases)?|ccs concepts)\s*[.:—–-]", re.IGNORECASE)
_ABSTRACT_TITLE = re.compile(r"abstract|摘\s*要", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A heading and the paragraphs under it. A table is one paragraph, a line for each row."""

    number: str
    title: str
    appendix: bool = False
    paragraphs: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Found:
    """A paper as its PDF shows it. `stamp` is the ID that arXiv printed on it, "" where it printed none."""

    stamp: str
    abstract: str
    parts: tuple[Part, ...]
    hidden: str


def answer(content: bytes, pages: int, characters: int) -> bytes:
    """What `found` finds, as the JSON that the parent process asks for."""
    read = found(content, pages, characters)
    said = {
        "stamp": read.stamp,
        "abstract": read.abstract,
        "parts": [[part.number, part.title, part.appendix, part.paragraphs] for part in read.parts],
        "hidden": read.hidden,
    }
    return json.dumps(said, ensure_ascii=False).encode("utf-8", "replace")  # a lone surrogate is no character


def found(content: bytes, pages: int, characters: int) -> Found:
    """What the first `pages` pages hold, as far as `characters` reach. Raises UnreadablePdfError."""
    read = list(glyphs.pages(content, pages, characters))
    written = lines.written(read)
    kept = furniture.without_furniture(written.pages, [page.box for page in read])
    body = columns.body_of(kept)
    blocks = [block for page in kept for block in columns.in_reading_order(page, body, written.gutter)]
    every = [line for page in kept for line in page]
    whole = paragraphs(blocks, body, headings.stands_out(body, every))
    vocabulary = Vocabulary(line.text for line in every)
    texts = [_text(paragraph, vocabulary) for paragraph in whole]
    titles = headings.headings(whole, texts, body)
    for place in range(len(whole) - 1):
        if _opens_next(whole[place], whole[place + 1], body) and not {place, place + 1} & titles.keys():
            texts[place], texts[place + 1] = "", f"{texts[place]} {texts[place + 1]}"
    abstract, parts = _parts(whole, texts, titles)
    hidden = tidy(" ".join(map(lines.hidden_text, read)))[:HIDDEN_CHARACTERS]
    return Found(furniture.stamp(read[0]) if read else "", abstract, parts, hidden)


def _opens_next(paragraph: Paragraph, below: Paragraph, body: columns.Body) -> bool:
    """Bold words that fill their line and are no heading open the paragraph below."""
    last, first = paragraph.lines[-1], below.lines[0]
    near = last.page == first.page and 0 < last.y - first.y < columns.BLOCK_GAP * body.leading
    return near and last.bold and not first.bold and abs(last.size - first.size) < 0.5 and below.kind is paragraph.kind


def _parts(
    whole: Sequence[Paragraph], texts: Sequence[str], titles: dict[int, headings.Heading]
) -> tuple[str, tuple[Part, ...]]:
    """The abstract that the paper prints, and its parts. Before the first heading stand the title and the authors.

    A figure or table of the first page belongs to the first part.
    """
    front, abstract = Part("", ""), Part("", "Abstract")
    floating: list[str] = []
    parts = [front]
    for place, text in enumerate(texts):
        heading = titles.get(place)
        if heading:
            is_front = bool(_FRONT.fullmatch(heading.title))
            is_abstract = bool(_ABSTRACT_TITLE.fullmatch(heading.title))
            if is_front:
                parts.append(abstract if is_abstract else front)
            else:
                parts.append(Part(heading.number, heading.title, heading.appendix, floating))
                floating = []
            text = heading.rest
        elif parts[-1] is front and (opening := _ABSTRACT.match(text)) and not abstract.paragraphs:
            parts.append(abstract)
            text = text[opening.end() :]
        elif parts[-1] is abstract and _KEYWORDS.match(text):
            parts.append(front)
        if text:
            is_float = parts[-1] in (front, abstract) and _floats(whole, place)
            (floating if is_float else parts[-1].paragraphs).append(text)
    return " ".join(abstract.paragraphs).strip(), tuple(part for part in parts if part not in (front, abstract))


def _floats(whole: Sequence[Paragraph], place: int) -> bool:
    """Is this a caption, or a table that has one? A list of authors looks like a table too."""
    around = whole[max(0, place - 1) : place + 2]
    captioned = any(paragraph.kind is Kind.CAPTION for paragraph in around)
    return captioned and whole[place].kind in (Kind.CAPTION, Kind.TABLE)


def _text(paragraph: Paragraph, vocabulary: Vocabulary) -> str:
    if paragraph.kind is Kind.TABLE:
        return "\n".join(_rows(paragraph.lines))
    return vocabulary.joined([line.text for line in paragraph.lines])


def _rows(table: Sequence[lines.Line]) -> Iterator[str]:
    """A table's lines from top to bottom; a file may write the cells of one row as several."""
    downwards = sorted(table, key=lambda line: -line.y)
    heights = {id(line): round(line.y / ONE_ROW) for line in downwards}
    for _, row in groupby(downwards, key=lambda line: heights[id(line)]):
        cells = [tidy(cell) for line in sorted(row, key=lambda line: line.x0) for cell in line.cells]
        if any(cells):
            yield " ".join(filter(None, cells))
