"""Points as a model writes them, and the proof of each against what the model was given to read. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bot.analysis import grounding, untrusted
from bot.models import FullText, Paper, Point, PointKind, Section

MIN_TEXT = 4  # characters; less says nothing
TEXT_LENGTH = 1200  # characters; a longer point is cut
_LEAST_CHINESE = 0.15  # share of Chinese characters among these and Latin words, in a text full of method names
_MOST_CHINESE = 0.2  # in an English text
_NOT_PROSE = re.compile(r"\$[^$]*\$|`[^`]*`|“[^”]*”|\"[^\"]*\"")  # formulas, code and quotations


class PointReply(BaseModel):
    """A point as the model gives it. An inferred one leaves section and quote empty."""

    model_config = ConfigDict(json_schema_extra={"additionalProperties": False})

    section: str
    quote: str
    kind: Literal["stated", "inferred"]
    text: str


class Rule(StrEnum):
    """What a reply can break; the repair turn of a prompt has the wording of each."""

    SECTION = "section"  # the paper has no such section
    UNQUOTED = "unquoted"  # stated, without a quote
    QUOTE = "quote"  # the quote stands nowhere in the paper
    ELSEWHERE = "elsewhere"  # the quote stands in the section that `detail` names
    NUMBERS = "numbers"  # neither quote nor section has the numbers that `detail` names
    RESTATED = "restated"  # the abstract over again
    PREAMBLE = "preamble"
    ERROR = "error"  # an error message or a refusal
    LANGUAGE = "language"
    SHORT = "short"
    EMPTY = "empty"  # a section of the reply has no points


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule that a point breaks, and what about it."""

    rule: Rule
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Proof:
    """A point that stands, or None and why it does not."""

    point: Point | None
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model is given of a paper, cleaned and redacted; quotes are proved against exactly this."""

    paper: Paper
    sections: tuple[Section, ...]
    suspicious: bool

    @property
    def by_id(self) -> Mapping[str, Section]:
        return {section.id: section for section in self.sections}

    def laid_out(self) -> str:
        """Every section under a line `[[S3]] <title>`."""
        return "\n\n".join(f"[[{section.id}]] {_heading(section)}\n{section.text}" for section in self.sections)


def read(paper: Paper, full_text: FullText) -> Reading:
    """The paper without what a reader model must not see."""
    title, abstract = untrusted.redact(paper.title), untrusted.redact(paper.abstract)
    authors = tuple(untrusted.redact(author) for author in paper.authors)
    titles = tuple(untrusted.redact(section.title) for section in full_text.sections)
    texts = tuple(untrusted.redact(section.text) for section in full_text.sections)
    sections = tuple(
        replace(section, title=" ".join(heading.text.split()), text=text.text)
        for section, heading, text in zip(full_text.sections, titles, texts, strict=True)
    )
    names = tuple(author.text for author in authors)
    return Reading(
        paper=replace(paper, title=title.text, abstract=abstract.text, authors=names),
        sections=sections,
        suspicious=any(seen.suspicious for seen in (title, abstract, *authors, *titles, *texts)),
    )


def prove(reply: PointReply, reading: Reading, language: str) -> Proof:
    """Holds a point to the rules. The published quote is the paper's span, the published text is defanged."""
    text = untrusted.defang(reply.text, TEXT_LENGTH)
    faults = tuple(_faults_of_text(text, reading, language))
    if reply.kind == "inferred":
        section = _section(reply.section, reading)
        everything = [part for s in reading.sections for part in (_heading(s), s.text)]
        faults += tuple(_faults_of_numbers(text, [*everything, reading.paper.title, reading.paper.abstract]))
        point = Point(PointKind.INFERRED, section.id if section else "", "", text)
        return Proof(None if faults else point, faults)
    return _prove_stated(reply, text, reading, faults)


def _prove_stated(reply: PointReply, text: str, reading: Reading, faults: tuple[Fault, ...]) -> Proof:
    section = _section(reply.section, reading)
    if section is None:
        return Proof(None, (*faults, Fault(Rule.SECTION, untrusted.plain(reply.section, 40))))
    # The title counts as well: it holds the method's name, digits and all, on which every section builds.
    faults += tuple(_faults_of_numbers(text, [section.text, _heading(section), reading.paper.title]))
    span = grounding.find_quote(reply.quote, section.text)
    if span is None:
        faults += (_fault_of_quote(reply.quote, reading),)
    if faults or span is None:
        return Proof(None, faults)
    return Proof(Point(PointKind.STATED, section.id, span, text))


def _section(name: str, reading: Reading) -> Section | None:
    """The section that a model means by "S3", "[[S3]]" or "s3 Method"."""
    found = re.search(r"[\w.-]+", name)
    return reading.by_id.get(found[0].upper() if found else "")


def _heading(section: Section) -> str:
    return f"{section.number} {section.title}".strip()


def _faults_of_text(text: str, reading: Reading, language: str) -> Iterator[Fault]:
    if untrusted.is_error_text(text):
        yield Fault(Rule.ERROR)
    if untrusted.is_preamble(text):
        yield Fault(Rule.PREAMBLE)
    if len(text) < MIN_TEXT:
        yield Fault(Rule.SHORT)
    elif not in_language(text, language):
        yield Fault(Rule.LANGUAGE)
    if grounding.restates(text, reading.paper.abstract):
        yield Fault(Rule.RESTATED)


def _faults_of_numbers(text: str, sources: Sequence[str]) -> Iterator[Fault]:
    missing = grounding.unsupported_numbers(text, sources)
    if missing:
        yield Fault(Rule.NUMBERS, ", ".join(dict.fromkeys(missing)))


def _fault_of_quote(quote: str, reading: Reading) -> Fault:
    if not quote.strip():
        return Fault(Rule.UNQUOTED)
    for section in reading.sections:
        if grounding.find_quote(quote, section.text):
            return Fault(Rule.ELSEWHERE, section.id)
    return Fault(Rule.QUOTE)


def in_language(text: str, language: str) -> bool:
    """Is `text` written in `language`? Languages without a rule pass."""
    prose = _NOT_PROSE.sub(" ", text)
    chinese = len(re.findall(r"[\u3400-\u9fff]", prose))
    letters = chinese + len(re.findall(r"[^\W\d_\u3400-\u9fff]{2,}", prose))
    if not letters:
        return True
    return {"zh": chinese >= _LEAST_CHINESE * letters, "en": chinese <= _MOST_CHINESE * letters}.get(language, True)
