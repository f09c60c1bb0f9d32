"""What every reader of full texts agrees on: which parts of a paper count, and what their IDs are. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bot.errors import SourceError
from bot.models import ArxivId, Basis, Figure, FullText, Section

LEAST_HEADINGS, LEAST_CHARACTERS = 3, 6_000  # what makes a page a paper and not a stub or an apology
MOST_SECTIONS, MOST_CHARACTERS = 400, 400_000  # a long survey has 150 and 300,000; beyond, the end is left out

# Heading numbers that cannot be anything else: "3", "3.2", "A.1", "II.", "IV-B", "A.", "Appendix B".
_PLAIN_NUMBER = re.compile(
    r"(?:Appendix|APPENDIX)\s+(?P<appendix>[A-Z]|[IVX]{1,5}|\d{1,2})(?:[.:]|\s*[-–—])?(?:\s+|$)"
    r"|(?P<number>\d{1,2}(?:\.\d{1,2}){0,3}|[A-Z](?:\.\d{1,2}){1,3}|[IVX]{1,5}-[A-Z](?:-?\d{1,2})?)[.:)]?\s+"
    r"|(?P<stopped>[A-Z]|[IVX]{1,5})[.:]\s+"
)
# "A Proofs" or "A Survey", "I Introduction" or "I Believe": only the other headings can tell.
_BARE_NUMBER = re.compile(r"(?P<number>[A-Z]|[IVX]{2,5})\s+(?=\S)")
_ROMAN = re.compile(r"[IVX]{1,5}(?:-[A-Z](?:-?\d{1,2})?)?")
_REFERENCES = re.compile(
    r"(?:references|bibliography|(?:literature|works) cited|参考文献)(?: (?:and|&) notes)?|notes (?:and|&) references",
    re.IGNORECASE,
)
_THANKS = re.compile(
    r"(?:contributions? (?:and|&) )?acknowledge?ments?(?: (?:and|&) .{1,40})?"
    r"|funding(?: (?:statement|information|sources))?|disclosure of funding|thanks"
    r"|(?:author|credit) (?:author )?(?:contributions?|roles)(?: statement)?|contributors?"
    r"|(?:declarations? of )?(?:competing|conflicts? of) interests?(?: statement)?|致谢|作者贡献|利益冲突(?:声明)?",
    re.IGNORECASE,
)
_CHECKLIST = re.compile(
    r"(?:(?:neurips|icml|iclr|acl|aaai|paper|reproducibility|responsible nlp) )*checklist", re.IGNORECASE
)
_APPENDIX = re.compile(
    r"(?:appendi(?:x|ces)|supplement(?:s|ary|al|ary materials?)?|附录|补充材料)(?:\b|$)", re.IGNORECASE
)
# What some journals print behind the references although it belongs to the paper.
_BODY = re.compile(
    r"(?:online )?(?:methods?|materials and methods)|limitations?|conclusions?|discussion", re.IGNORECASE
)


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
    kept = tuple(_kept(parts))[:MOST_SECTIONS]
    if len(kept) < LEAST_HEADINGS:
        raise UnreadableError(f"{arxiv_id}: {len(kept)} headings are no paper")
    first = Section("S0", "", "Abstract", abstract)
    rest = tuple(_sections(kept))
    if sum(len(section.text) for section in rest) < LEAST_CHARACTERS:
        raise UnreadableError(f"{arxiv_id}: less text than a paper has")
    ends = next((index for index, part in enumerate(kept) if part.appendix), len(kept))
    return FullText(arxiv_id, basis, (first, *rest[:ends]), rest[ends:], suspicious)


def numbered(title: str) -> tuple[str, str]:
    """("3.2", "Training") of "3.2 Training", whatever the other headings are; the number is "" where there is none."""
    found = _PLAIN_NUMBER.match(title)
    rest = title[found.end() :].strip() if found else ""
    if not found or not (rest or found["appendix"]):
        return "", title.strip()
    return found["appendix"] or found["number"] or found["stopped"], rest or title.strip()


def dropped(title: str) -> bool:
    """Is this the heading (without its number) of what no reader of a paper needs: references, thanks, a checklist?"""
    title = title.strip(" .:")
    return any(pattern.fullmatch(title) for pattern in (_REFERENCES, _THANKS, _CHECKLIST))


def is_references(title: str) -> bool:
    """Is this the heading (without its number) of the references?"""
    return bool(_REFERENCES.fullmatch(title.strip(" .:")))


def _kept(parts: Sequence[Part]) -> Iterator[Part]:
    """Without references, thanks and their subsections; from the first heading of an appendix on, all belongs to it."""
    roman = any(_numeral(part) in ("II", "II.") for part in parts)
    appendix = behind = checklist = False
    gone = letter = ""
    for index, part in enumerate(parts):
        number, title = _number_of(index, parts, letter=letter, roman=roman, behind=behind)
        letter = number if re.fullmatch(r"[A-Z]", number) else letter
        opens = bool(_APPENDIX.match(part.title)) or part.appendix or (_is_letter(number) and (behind or not roman))
        checklist = checklist and not opens
        if dropped(title) or (gone and number.startswith(gone)) or checklist:
            gone = f"{number}." if dropped(title) and number else gone
            behind = behind or is_references(title)
            checklist = checklist or bool(_CHECKLIST.fullmatch(title.strip(" .:")))
            continue
        gone = ""
        appendix = appendix or opens or (behind and not _BODY.fullmatch(title.strip(" .:")))
        yield replace(part, number=number, title=title, appendix=appendix)


def _number_of(index: int, parts: Sequence[Part], *, letter: str, roman: bool, behind: bool) -> tuple[str, str]:
    """Number and title of a heading. `letter` is the last heading's that was one; a letter alone needs company."""
    part = parts[index]
    if part.number:
        return part.number, part.title
    number, title = numbered(part.title)
    bare = _BARE_NUMBER.match(part.title)
    if number or not bare:
        return number, title
    number, rest = bare["number"], part.title[bare.end() :].strip()
    if roman and _ROMAN.fullmatch(number):
        return number, rest
    follows = letter and ord(number[0]) == ord(letter) + 1
    begins = number == "A" and (behind or any(_goes_on(later.title) for later in parts[index + 1 :]))
    return (number, rest) if len(number) == 1 and (follows or begins) else ("", part.title.strip())


def _goes_on(title: str) -> bool:
    """Does this heading follow one that begins with the letter A as its number?"""
    return bool(re.match(r"A\.1\b|B[.:]?\s+\S|Appendix B\b", title))


def _numeral(part: Part) -> str:
    return part.number or part.title.partition(" ")[0]


def _is_letter(number: str) -> bool:
    return bool(re.fullmatch(r"[A-Z](?:\.\d{1,2}){0,3}", number))


def _sections(parts: Sequence[Part]) -> Iterator[Section]:
    left = MOST_CHARACTERS
    for index, part in enumerate(parts, start=1):
        paragraphs = []
        for paragraph in filter(str.strip, part.paragraphs):
            left -= len(paragraph) + 2
            if left < 0:
                break
            paragraphs.append(paragraph)
        yield Section(f"S{index}", part.number, part.title, "\n\n".join(paragraphs), part.anchor, part.figures)
