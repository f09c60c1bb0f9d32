"""A paper read for a profile: the model writes points, code proves each, asks once for repairs and drops what fails."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from pydantic import BaseModel, ConfigDict, create_model

from bot.analysis import points
from bot.analysis.points import PointReply, Proof, Reading, Rule
from bot.errors import ModelError
from bot.interfaces import LLM, Brief, Reply, Turn
from bot.models import AnalystKind, Basis, DeepDive, DeepDiveSection, FullText, Paper, Point, PointCounts
from prompts import Prompt

MIN_SECTIONS = 3  # with fewer sections that stand, a deep dive has failed
MAX_POINTS = 10  # in a section; nobody reads more, and a runaway reply ends here
SUSPICIOUS = "flag.suspicious"

logger = logging.getLogger(__name__)

Proofs = Mapping[str, Sequence[Proof]]
"""The proofs of a reply's points, under the keys of its sections."""


@dataclass(frozen=True, slots=True)
class Violation:
    """Point `number` (from 1; 0 is the section itself) of the reply's section `key` breaks `rule`."""

    key: str
    number: int
    rule: Rule
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Draft:
    """A reply, proved."""

    proofs: Proofs
    model: str
    cost_usd: float | None


async def deep_dive(paper: Paper, full_text: FullText, brief: Brief, llm: LLM, prompt: Prompt) -> DeepDive:
    """One call, and one more when something has to be repaired.

    Raises ModelError; its key is `failure.ungrounded` when fewer than MIN_SECTIONS sections stand.
    """
    reading = points.read(paper, full_text)
    schema = reply_schema(tuple(key for key, _ in prompt.sections))
    turns = _turns(reading, full_text.basis, brief, prompt)
    reply = await llm.ask("deep_dive", turns, schema, brief.meter)
    first = _proved(reply, reading, brief.language)
    second = None
    if violations := tuple(_violations(first.proofs)):
        repair = (Turn("assistant", reply.text), Turn("user", prompt.repair(violations=violations)))
        second = await _repaired((*turns, *repair), schema, reading, brief, llm)
    sections, counts = _merged(prompt.sections, first.proofs, second.proofs if second else {})
    if len(sections) < min(MIN_SECTIONS, len(prompt.sections)):
        raise ModelError(f"only {len(sections)} sections of the deep dive stand", key="failure.ungrounded")
    return DeepDive(
        paper=paper,
        language=brief.language,
        basis=full_text.basis,
        analyst=AnalystKind.MODEL,
        model=first.model,
        prompt=prompt.ref,
        sections=sections,
        points=counts,
        outline=tuple(replace(section, text="") for section in reading.sections),
        flags=(SUSPICIOUS,) if reading.suspicious else (),
        cost_usd=_sum(draft.cost_usd for draft in (first, second) if draft),
    )


@lru_cache(maxsize=32)
def reply_schema(keys: tuple[str, ...]) -> type[BaseModel]:
    """The schema of the reply: under each key of the prompt's header a list of points."""
    config = ConfigDict(json_schema_extra={"additionalProperties": False})
    fields = dict.fromkeys(keys, (list[PointReply], ...))
    return create_model("DeepDiveReply", __config__=config, **fields)  # type: ignore[call-overload,no-any-return]  # fields by name


def _turns(reading: Reading, basis: Basis, brief: Brief, prompt: Prompt) -> tuple[Turn, ...]:
    system, user = prompt.render(
        interests=brief.profile.interests,
        exclude=brief.profile.exclude,
        audience=brief.profile.audience,
        title=reading.paper.title,
        authors=reading.paper.authors,
        abstract=reading.paper.abstract,
        basis=basis.value,
        text=reading.laid_out(),
    )
    return Turn("system", system), Turn("user", user)


def _proved(reply: Reply[BaseModel], reading: Reading, language: str) -> _Draft:
    proofs = {
        key: tuple(points.prove(point, reading, language) for point in getattr(reply.value, key))
        for key in type(reply.value).model_fields
    }
    return _Draft(proofs, reply.model, reply.cost_usd)


def _violations(proofs: Proofs) -> Iterator[Violation]:
    for key, section in proofs.items():
        if not section:
            yield Violation(key, 0, Rule.EMPTY)
        for number, proof in enumerate(section, start=1):
            yield from (Violation(key, number, fault.rule, fault.detail) for fault in proof.faults)


async def _repaired(
    turns: Sequence[Turn], schema: type[BaseModel], reading: Reading, brief: Brief, llm: LLM
) -> _Draft | None:
    """None when the model does not answer again: what stood in its first reply still stands."""
    try:
        reply = await llm.ask("deep_dive", turns, schema, brief.meter)
    except ModelError as error:
        logger.warning("repair failed", extra={"paper": str(reading.paper.arxiv_id), "why": error.key})
        return None
    return _proved(reply, reading, brief.language)


def _merged(
    headings: Sequence[tuple[str, str]], first: Proofs, second: Proofs
) -> tuple[tuple[DeepDiveSection, ...], PointCounts]:
    sections: list[DeepDiveSection] = []
    written = verified = repaired = 0
    for key, title in headings:
        standing, mended = _mended(first[key], second.get(key, ()))
        standing = standing[:MAX_POINTS]
        if standing:
            sections.append(DeepDiveSection(key, title, standing))
        written += len(first[key]) or len(second.get(key, ()))
        verified += len(standing)
        repaired += sum(point in standing for point in mended)
    return tuple(sections), PointCounts(written, verified, written - verified, repaired)


def _mended(first: Sequence[Proof], second: Sequence[Proof]) -> tuple[tuple[Point, ...], tuple[Point, ...]]:
    """The points that stand, those that fell replaced by repaired ones, and the repaired ones.

    A second reply of the same length is read by position; from another, what is new fills the gaps in its order.
    """
    kept = [proof.point for proof in first if proof.point]
    gaps = len(first) - len(kept) if first else len(second)
    same = len(first) == len(second)
    offered = [after for before, after in zip(first, second, strict=True) if not before.point] if same else second
    fresh = tuple(proof.point for proof in offered if proof.point and _is_new(proof.point, kept))[:gaps]
    if not first:
        return fresh, fresh
    fill = iter(fresh)
    filled = (proof.point or next(fill, None) for proof in first)
    return tuple(point for point in filled if point), fresh


def _is_new(point: Point, kept: Sequence[Point]) -> bool:
    return all(point.text != other.text and (not point.quote or point.quote != other.quote) for other in kept)


def _sum(costs: Iterator[float | None]) -> float | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known else None
