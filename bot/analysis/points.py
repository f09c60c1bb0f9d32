"""Points as a model writes them, and the proof of each against what the model was given to read. Pure."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bot.analysis import grounding, outline, untrusted, wording
from bot.analysis.untrusted import Redaction
from bot.models import Figure, FullText, Paper, Point, PointKind, Section

MIN_TEXT = 4  # characters; less says nothing
TEXT_LENGTH = 1200  # characters; a longer point is cut
NUMBER_LENGTH = 16  # characters of a section's printed number; longer ones are no numbers
_APART = "\n|\n"  # between texts that are searched together: no number reads across it


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
    SLIGHT = "slight"  # the quote is a heading, a reference or a scrap of words
    NUMBERS = "numbers"  # neither quote nor section has the numbers that `detail` names
    RESTATED = "restated"  # the title or the abstract over again
    DUPLICATE = "duplicate"  # an earlier point over again
    POSED = "posed"  # inferred, but worded as the paper's own finding
    ALONE = "alone"  # inferred, and nothing that the paper states stands beside it
    ECHO = "echo"  # what whoever asked wanted to hear, word for word
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
    """What a model is given of a paper, cleaned and redacted; quotes are proved against exactly this.

    `sections` are those of the main text and then those of the appendix, whose IDs are in `appendix`. `left_out` are
    the IDs of sections that are not here or not whole.
    """

    paper: Paper
    sections: tuple[Section, ...]
    suspicious: bool
    appendix: frozenset[str] = frozenset()
    left_out: tuple[str, ...] = ()

    def laid_out(self) -> str:
        """Every section under a line `[[S3]] 3.2 Title`, which stands alone where the section has no text."""
        return "\n\n".join(
            f"{outline.line(section)}\n{section.text}" if section.text else outline.line(section)
            for section in self.sections
        )


def read(paper: Paper, full_text: FullText) -> Reading:
    """All of the paper, without what a reader model must not see. A figure with a suspicious caption is left out."""
    sections = (*full_text.sections, *full_text.appendix)
    parts = [part for section in sections for part in (section.number, section.title, section.text)]
    # All at once and in the order of reading: an instruction may be spread over headings and paragraphs.
    head = (paper.title, *paper.authors, paper.abstract)
    seen = untrusted.redact_all((*head, *parts))
    (title, *authors, abstract), rest = seen[: len(head)], seen[len(head) :]
    figures = tuple(tuple(map(_seen_figure, section.figures)) for section in sections)
    cleaned = zip(sections, (rest[at : at + 3] for at in range(0, len(rest), 3)), figures, strict=True)
    return Reading(
        paper=replace(paper, title=title.text, abstract=abstract.text, authors=tuple(one.text for one in authors)),
        sections=tuple(_seen(section, texts, shown) for section, texts, shown in cleaned),
        suspicious=full_text.suspicious or any(one.suspicious for one in seen) or any(None in few for few in figures),
        appendix=frozenset(section.id for section in full_text.appendix),
    )


def _seen(section: Section, seen: Sequence[Redaction], figures: Sequence[Figure | None]) -> Section:
    number, title, text = seen
    return replace(
        section,
        number="" if number.suspicious else "".join(number.text.split())[:NUMBER_LENGTH],
        title=" ".join(title.text.split()),
        text=text.text,
        figures=tuple(figure for figure in figures if figure),
    )


def _seen_figure(figure: Figure) -> Figure | None:
    label, caption = untrusted.redact_all((figure.label, figure.caption))
    if label.suspicious or caption.suspicious:
        return None
    return replace(figure, label=label.text, caption=caption.text)


def prove(reply: PointReply, reading: Reading, language: str, exempt: Collection[Rule] = ()) -> Proof:
    """Holds a point to the rules. The published quote is the paper's span, the published text is defanged.

    `exempt` names rules for the words of a point that this one need not keep.
    """
    text = untrusted.defang(reply.text, TEXT_LENGTH)
    faults = tuple(fault for fault in _faults_of_text(text, reading, language) if fault.rule not in exempt)
    if reply.kind == "stated":
        return _prove_stated(reply, text, reading, faults)
    if wording.is_posed(text):
        faults += (Fault(Rule.POSED),)
    faults += tuple(_faults_of_numbers(text, [_everything(reading), reading.paper.title, reading.paper.abstract]))
    about = outline.named(reply.section, reading.sections)
    point = Point(PointKind.INFERRED, about[0].id if about else "", "", text)
    return Proof(None if faults else point, faults)


def _prove_stated(reply: PointReply, text: str, reading: Reading, faults: tuple[Fault, ...]) -> Proof:
    named = outline.named(reply.section, reading.sections)
    if not named:
        return Proof(None, (*faults, Fault(Rule.SECTION, untrusted.plain(reply.section, 40))))
    there = _found(reply.quote, outline.with_subsections(named, reading.sections))
    elsewhere = None if there else _elsewhere(reply.quote, reading)
    place = there[0] if there else elsewhere or named[0]
    # The title counts as well: it holds the method's name, digits and all, on which every section builds.
    sources = [place.text, named[0].text, outline.heading(place), outline.heading(named[0]), reading.paper.title]
    faults += tuple(_faults_of_numbers(text, sources))
    if there is None:
        return Proof(None, (*faults, _fault_of_quote(reply.quote, elsewhere)))
    section, span = there
    headings = {text for one in reading.sections for text in (one.title, outline.heading(one))}
    if wording.is_slight(span, headings):
        faults += (Fault(Rule.SLIGHT),)
    return Proof(None if faults else Point(PointKind.STATED, section.id, span, text), faults)


def _found(quote: str, sections: Sequence[Section]) -> tuple[Section, str] | None:
    """The first section in which the quote stands, and its span there; one that reaches over a gap is none."""
    spans = ((section, _span(quote, section.text)) for section in sections)
    return next(((section, span) for section, span in spans if span and untrusted.REDACTED not in span), None)


def _span(quote: str, text: str) -> str | None:
    """The span of `text` that the quote copies; of a table also a row that is too short to be looked for as prose."""
    if span := grounding.find_quote(quote, text):
        return span
    cells = _cells(quote)
    rows = (line for line in text.splitlines() if line.startswith("|") and _cells(line) == cells)
    return next(rows, None) if len(cells) > 1 else None


def _cells(row: str) -> tuple[str, ...]:
    return tuple(" ".join(cell.split()) for cell in row.strip().strip("|").split("|"))


def _elsewhere(quote: str, reading: Reading) -> Section | None:
    """The section in which the quote stands; looked for in all at once, as most such quotes stand nowhere."""
    span = _span(quote, _everything(reading))
    found = _found(quote, [section for section in reading.sections if span and span in section.text])
    return found[0] if found else None


def _everything(reading: Reading) -> str:
    return _APART.join(part for section in reading.sections for part in (outline.heading(section), section.text))


def _faults_of_text(text: str, reading: Reading, language: str) -> Iterator[Fault]:
    if untrusted.is_error_text(text):
        yield Fault(Rule.ERROR)
    if untrusted.is_preamble(text):
        yield Fault(Rule.PREAMBLE)
    if len(text) < MIN_TEXT:
        yield Fault(Rule.SHORT)
    elif not wording.in_language(text, language):
        yield Fault(Rule.LANGUAGE)
    if _restates(text, reading.paper):
        yield Fault(Rule.RESTATED)


def _restates(text: str, paper: Paper) -> bool:
    if wording.folded(text) == wording.folded(paper.title):
        return True
    return any(grounding.restates(text, source) for source in (paper.title, paper.abstract))


def _faults_of_numbers(text: str, sources: Sequence[str]) -> Iterator[Fault]:
    missing = grounding.unsupported_numbers(text, sources)
    if missing:
        yield Fault(Rule.NUMBERS, ", ".join(dict.fromkeys(missing)))


def _fault_of_quote(quote: str, elsewhere: Section | None) -> Fault:
    if not quote.strip():
        return Fault(Rule.UNQUOTED)
    return Fault(Rule.ELSEWHERE, elsewhere.id) if elsewhere else Fault(Rule.QUOTE)
