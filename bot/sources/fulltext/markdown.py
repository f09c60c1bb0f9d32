r"""The reader of Hugging Face's Markdown (huggingface.co/papers/<id>.md), where that is the text of arXiv's page. Pure.

Their converter has had three shapes, and papers stand there in the one of their day: Markdown headings with bare TeX
("a policy \pi_{\theta}"); the same with each formula said three times (as characters, as TeX, in words); the page's
plain text with "3.1Setting" for a heading and formulas of one sign a line.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from bot.errors import InputError
from bot.models import ARXIV, ArxivId, Basis, Figure, FullText
from bot.sources.fulltext import formulas, sections
from bot.sources.fulltext.sections import UnreadableError

MOST_CHARACTERS = 3_000_000  # what is read of a text; the longest surveys have 700,000
MOST_LINE = 20_000  # characters of a paragraph; the rest of a longer one is left out
SIGN = 6  # characters: a line that is no longer is a sign or a number of a formula
HEAD_LINES = 40  # within which a text says where it comes from

_SOURCE = re.compile(r"URL Source:\s*https?://arxiv\.org/html/(\S+)\s*")
_VERSION = re.compile(r"arXiv:(\S+v\d{1,3})\s+\[")
_CONTENT = "Markdown Content:"
_HEADING = re.compile(r"(#{1,6})\s+(\S.*?)\s*#*")
_UNDERLINE = re.compile(r"[=-]{3,}")
_IMAGE = re.compile(r"!\[[^\[\]]{0,300}\]\(([^()\s]{1,500})[^()]{0,300}\)")
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\[\]]{0,300}\]){0,500})\]\((?:[^()]|\([^()]{0,300}\)){0,1000}\)")
_EMPHASIS = re.compile(r"(?<![\w*_\\{}])(\*\*|__|\*|_)(?=\S)([^*_\n]{1,300}?)(?<=\S)\1(?![\w{}^_])")
_BULLET = re.compile(r"(?P<indent>\s{0,8})(?:[*+-]\s{1,4}(?:•\s*)?|•\s*)(?P<text>.*)")
_CAPTION = re.compile(
    r"(?P<label>(?:Figure|Fig\.?|Table|Algorithm|图|表)\s*[A-Z]?\.?\d{1,3})\s*[:.|：]\s*(?P<text>.*)", re.DOTALL
)
_RASTER = re.compile(r"https://arxiv\.org/html/[\w./+~%@-]+\.(?:png|jpe?g|gif|webp)", re.IGNORECASE | re.ASCII)
_RUN_TOGETHER = re.compile(
    r"(?P<number>\d{1,2}(?:\.\d{1,2}){0,3}|[A-Z](?:\.\d{1,2}){0,3})(?P<title>[^\W\d_a-z].{0,150})"
)
_CHROME = ("License:", "Report Issue", "Back to Abstract", "Download PDF", "Why HTML?", "Back to arXiv", "Learn more")
_ABSTRACT = ("abstract", "摘要")


@dataclass(slots=True)
class _Draft:
    title: str = ""
    paragraphs: list[str] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)

    @property
    def part(self) -> sections.Part:
        """An image without a caption is an ornament."""
        return sections.Part(self.title, tuple(self.paragraphs), figures=tuple(f for f in self.figures if f.label))


def read(content: str, arxiv_id: ArxivId, abstract: str) -> FullText:
    """The paper, with the version that the text names; `abstract` where it has none of its own.

    Raises UnreadableError where the text is not that of this paper's page on arXiv: Hugging Face answers with the
    abstract and its own comments when it has none.
    """
    head, found, body = content[:MOST_CHARACTERS].replace("\r", "").partition(_CONTENT)
    if not found or len(head.splitlines()) > HEAD_LINES:
        raise UnreadableError(f"{arxiv_id}: no text of a page")
    named = _named(head, body, arxiv_id)
    lines = body.split("\n")
    drafts = list(_drafts(_marked(lines) if not _has_headings(lines) else lines, named))
    own = next((draft for draft in drafts if draft.title.casefold().strip(" .:—-") in _ABSTRACT), None)
    kept = [draft for draft in drafts if draft.title and draft is not own]
    said = _abstract(own, kept) if own else ""
    return sections.assembled(named, Basis.MARKDOWN, said or abstract, [draft.part for draft in kept])


def _abstract(own: _Draft, others: Sequence[_Draft]) -> str:
    """The abstract without a figure that stands there: it goes to the first section."""
    captions = [paragraph for paragraph in own.paragraphs if _CAPTION.fullmatch(paragraph)]
    if others:
        others[0].paragraphs[:0], others[0].figures[:0] = captions, own.figures
    return "\n\n".join(paragraph for paragraph in own.paragraphs if paragraph not in captions)


def _named(head: str, body: str, arxiv_id: ArxivId) -> ArxivId:
    """The ID and version of the page that the text was made from."""
    source = next((found for line in head.splitlines() if (found := _SOURCE.fullmatch(line))), None)
    try:
        named = ArxivId.parse(source[1]) if source else None
    except InputError:
        named = None
    if named is None or named.id != arxiv_id.id:
        raise UnreadableError(f"{arxiv_id}: not the text of its page")
    mark = _VERSION.search(body[:20_000])
    if mark and named.version is None and mark[1].startswith(f"{arxiv_id.id}v"):
        named = replace(named, version=int(mark[1].rpartition("v")[2]))
    if named.version and arxiv_id.version and named.version != arxiv_id.version:
        raise UnreadableError(f"{arxiv_id}: the text of version {named.version}")
    return replace(named, version=named.version or arxiv_id.version)


# --- headings ---


def _has_headings(lines: Sequence[str]) -> bool:
    marked = sum(bool(_HEADING.fullmatch(line)) for line in lines)
    return marked + sum(bool(_UNDERLINE.fullmatch(line)) for line in lines) >= sections.LEAST_HEADINGS


def _marked(lines: Sequence[str]) -> Iterator[str]:
    """Plain text with its headings marked: those that the contents at its top name, and the numbered ones in between.

    "3Method" is a heading where the contents name it; "3.1Setting" where the section is 3.
    """
    end = next((index for index, line in enumerate(lines[:400]) if line.startswith("License:")), 0)
    contents = {line.strip() for line in lines[:end] if line.strip()} - set(_CHROME)
    current = ""
    for line in lines[end:]:
        text = line.strip()
        number = _RUN_TOGETHER.fullmatch(text)
        top = text in contents or text in ("Abstract", "References")
        inner = number is not None and current and number["number"].startswith(f"{current}.")
        if top or inner:
            if top:
                current = number["number"] if number else ""
            yield ""
            yield f"# {number['number']} {number['title']}" if number else f"# {text}"
            yield ""
        else:
            yield line


def _drafts(lines: Iterator[str] | Sequence[str], arxiv_id: ArxivId) -> Iterator[_Draft]:
    """Headings with their paragraphs. A line of dashes makes a heading of the line above."""
    draft, block = _Draft(), list[str]()
    for line in lines:
        heading = _HEADING.fullmatch(line)
        underlined = (
            _UNDERLINE.fullmatch(line) and len(block) == 1 and block[0].strip() and not block[0].startswith("|")
        )
        if heading or underlined:
            title = heading[2] if heading else block.pop()
            _add(draft, block, arxiv_id)
            yield draft
            draft, block = _Draft(_prose(title)), []
        elif line.strip():
            block.append(line)
        else:
            _add(draft, block, arxiv_id)
            block = []
    _add(draft, block, arxiv_id)
    yield draft


# --- paragraphs ---


def _add(draft: _Draft, block: Sequence[str], arxiv_id: ArxivId) -> None:
    """Takes a block in: an image waits for its caption, which makes them a figure."""
    image = next((found[1] for line in block if (found := _IMAGE.search(line))), "")
    if image:
        ours = _RASTER.fullmatch(image) and image.startswith(f"{ARXIV}/html/{arxiv_id.id}") and ".." not in image
        draft.figures.append(Figure("", "", image if ours else ""))
    rest = [line for line in (_IMAGE.sub("", line) for line in block) if line.strip()]
    text = _paragraph(rest)
    if not text or text.strip() in _CHROME:
        return
    caption = _CAPTION.fullmatch(text)
    waiting = bool(draft.figures) and not draft.figures[-1].label
    if caption and caption["label"].startswith(("F", "图")):
        several = len(draft.figures) > 1 and waiting and not draft.figures[-2].label
        url = draft.figures[-1].url if waiting and not several else ""
        while draft.figures and not draft.figures[-1].label:
            draft.figures.pop()
        draft.figures.append(Figure(caption["label"], caption["text"], url))
    draft.paragraphs.append(text)


def _paragraph(lines: Sequence[str]) -> str:
    """A block as one paragraph: tables and lists keep their lines."""
    if not lines:
        return ""
    if all(line.lstrip().startswith("|") for line in lines):
        return "\n".join(_prose(line) for line in lines)
    if _BULLET.fullmatch(lines[0]):
        return "\n".join(_items(lines))
    if _is_table(lines):
        return "\n".join(_prose(line) for line in lines)
    return _prose(_joined(lines))


def _joined(lines: Sequence[str]) -> str:
    """Lines as one. In plain text the signs of a formula stand one a line, and spaces only where the text has them."""
    text = lines[0]
    for above, line in pairwise(lines):
        apart = min(len(above), len(line)) > SIGN and not above.endswith(" ") and not line.startswith(" ")
        text += f" {line}" if apart else line
    return text


def _is_table(lines: Sequence[str]) -> bool:
    """Are these the rows of a table without its bars? The signs of a formula, one a line, are shorter."""
    numeric = sum(len(line) < 100 and bool(re.search(r"\d", line)) for line in lines)
    return len(lines) > 2 and numeric > len(lines) / 2 and any(len(line) > 12 for line in lines[1:])


def _items(lines: Sequence[str]) -> Iterator[str]:
    item = ""
    for line in lines:
        bullet = _BULLET.fullmatch(line)
        if bullet:
            if item:
                yield f"- {_prose(item)}"
            item = bullet["text"]
        else:
            item = f"{item} {line.strip()}"
    if item.strip():
        yield f"- {_prose(item)}"


def _prose(text: str) -> str:
    """A line without links and emphasis, each formula once and as $TeX$."""
    text = _LINK.sub(r"\1", text[:MOST_LINE])
    text = _EMPHASIS.sub(r"\2", text)
    return " ".join(formulas.delimited(formulas.said_once(text)).split())
