"""What every reader of full texts agrees on: which parts of a paper count, and what their IDs are. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bot.errors import SourceError
from bot.models import ArxivId, Basis, Figure, FullText, Section

LEAST_HEADINGS, LEAST_CHARACTERS = 3, 6_000  # what makes a page a paper and not a stub or an apology

# Heading numbers as papers print them: "3", "3.2", "IV", "IV-B", "A", "A.1", "Appendix B".
_NUMBER = re.compile(
    r"^(?:appendix\s+)?(?P<number>\d{1,2}(?:\.\d{1,2}){0,3}|[A-Z](?:\.\d{1,2}){1,3}|[A-Z](?=[.:\s])"
    r"|[IVX]{1,5}(?:-[A-Z](?:-?\d{1,2})?)?)[.:]?(?:\s+|$)",
    re.IGNORECASE,
)
_ROMAN = re.compile(r"[IVX]+(?:-[A-Z](?:-?\d{1,2})?)?")  # IEEE's sections; "I" and "V" are hardly ever appendices
_DROPPED = re.compile(
    r"references|bibliography|literature cited|works cited|acknowledge?ments?|funding|thanks"
    r"|(?:author|credit) contributions?(?: statement)?|competing interests?|conflicts? of interests?"
    r"|(?:neurips |icml |acl |paper |reproducibility )*checklist|参考文献|致谢",
    re.IGNORECASE,
)
_APPENDIX = re.compile(r"^(?:appendi(?:x|ces)|supplement(?:ary|al)?\b|附录)", re.IGNORECASE)


class UnreadableError(SourceError):
    """A page, Markdown or PDF that is not the paper, or not all of it."""

    retryable = False


@dataclass(frozen=True, slots=True)
class Part:
    """A heading and what stands under it before the next heading, as a reader of a format found it.

    `number` is "" where the format has it inside `title` or there is none. `paragraphs` are prose, tables as Markdown
    and captions, in order. `appendix`: the format itself says so.
    """

    title: str
    paragraphs: tuple[str, ...]
    number: str = ""
    anchor: str = ""
    figures: tuple[Figure, ...] = ()
    appendix: bool = False


def assembled(
    arxiv_id: ArxivId, basis: Basis, abstract: str, parts: Sequence[Part], *, suspicious: bool = False
) -> FullText:
    """The full text of what a reader found, `parts` in reading order. Raises UnreadableError for too little of one."""
    kept = tuple(_kept(parts))
    if len(kept) < LEAST_HEADINGS:
        raise UnreadableError(f"{arxiv_id}: {len(kept)} headings are no paper")
    first = Section("S0", "", "Abstract", abstract)
    rest = tuple(_section(index, part) for index, part in enumerate(kept, start=1))
    if sum(len(section.text) for section in rest) < LEAST_CHARACTERS:
        raise UnreadableError(f"{arxiv_id}: less text than a paper has")
    ends = next((index for index, part in enumerate(kept) if part.appendix), len(kept))
    return FullText(arxiv_id, basis, (first, *rest[:ends]), rest[ends:], suspicious)


def numbered(title: str) -> tuple[str, str]:
    """("3.2", "Training") of "3.2 Training"; the number is "" where there is none."""
    found = _NUMBER.match(title)
    return (found["number"], title[found.end() :].strip()) if found and title[found.end() :].strip() else ("", title)


def _kept(parts: Sequence[Part]) -> Iterator[Part]:
    """Without references and thanks; from the first heading of an appendix on, everything belongs to it."""
    appendix = False
    for part in parts:
        number, title = (part.number, part.title) if part.number else numbered(part.title)
        if _DROPPED.fullmatch(title.strip(" .:")):
            continue
        lettered = bool(number) and number[0].isalpha() and not _ROMAN.fullmatch(number)
        appendix = appendix or part.appendix or lettered or bool(_APPENDIX.match(part.title))
        yield replace(part, number=number, title=title, appendix=appendix)


def _section(index: int, part: Part) -> Section:
    text = "\n\n".join(paragraph for paragraph in part.paragraphs if paragraph.strip())
    return Section(f"S{index}", part.number, part.title, text, part.anchor, part.figures)
