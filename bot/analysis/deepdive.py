"""A paper read for a profile: the model writes points, code proves each, asks once for repairs and drops what fails."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from pydantic import BaseModel, ConfigDict, create_model

from bot.analysis import overview, points, proofs
from bot.analysis.asking import UNGROUNDED, Inquiry, Task, Written
from bot.analysis.points import PointReply
from bot.errors import ModelError
from bot.interfaces import LLM, Brief
from bot.models import AnalystKind, Basis, DeepDive, DeepDiveSection, FullText, Paper, Point, PointKind
from prompts import Prompt

MIN_SECTIONS = 3  # with fewer sections that stand, a deep dive has failed


async def deep_dive(paper: Paper, full_text: FullText, brief: Brief, llm: LLM, prompt: Prompt) -> DeepDive:
    """One call, and one more when something has to be repaired; as much of the paper as the model takes.

    Raises ModelError; its key is `failure.ungrounded` when fewer than MIN_SECTIONS sections stand.
    """
    # Looking for instructions takes a second for the longest papers, in which the event loop is wanted elsewhere.
    whole = await asyncio.to_thread(points.read, paper, full_text)
    drafts = await Inquiry(_task(full_text.basis, brief, prompt), brief, llm).drafts(whole)
    standing, counts = proofs.merged(drafts.first.proofs, drafts.second.proofs if drafts.second else {})
    sections = _sections(standing, prompt)
    if len(sections) < min(MIN_SECTIONS, len(prompt.sections)):
        raise ModelError(f"only {len(sections)} sections of the deep dive stand", key=UNGROUNDED)
    return DeepDive(
        paper=paper,
        language=brief.language,
        basis=full_text.basis,
        analyst=AnalystKind.MODEL,
        model=drafts.first.reply.model,
        prompt=prompt.ref,
        sections=sections,
        points=counts,
        outline=tuple(replace(section, text="", figures=()) for section in whole.sections),
        flags=drafts.flags,
        cost_usd=drafts.cost_usd,
        left_out=drafts.reading.left_out,
        figure=overview.overview([section for section in whole.sections if section.id not in whole.appendix]),
    )


@lru_cache(maxsize=32)
def reply_schema(keys: tuple[str, ...]) -> type[BaseModel]:
    """The schema of the reply: under each key of the prompt's header a list of points."""
    config = ConfigDict(json_schema_extra={"additionalProperties": False})
    fields = dict.fromkeys(keys, (list[PointReply], ...))
    return create_model("DeepDiveReply", __config__=config, **fields)  # type: ignore[call-overload,no-any-return]  # fields by name


def _task(basis: Basis, brief: Brief, prompt: Prompt) -> Task:
    profile = brief.profile
    return Task(
        prompt,
        {
            "interests": profile.interests,
            "exclude": profile.exclude,
            "audience": profile.audience,
            "basis": basis.value,
        },
        reply_schema(tuple(key for key, _ in prompt.sections)),
        _written,
        lambda written, reading: proofs.prove(written, reading, brief.language),
    )


def _written(reply: BaseModel) -> Written:
    return {key: getattr(reply, key) for key in type(reply).model_fields}


def _sections(standing: Mapping[str, tuple[Point, ...]], prompt: Prompt) -> tuple[DeepDiveSection, ...]:
    """Those of the prompt's header; sections without a point are left out."""
    return tuple(
        DeepDiveSection(key, title, _ordered(standing[key], stated_first=key in prompt.stated_first))
        for key, title in prompt.sections
        if standing.get(key)
    )


def _ordered(standing: tuple[Point, ...], *, stated_first: bool) -> tuple[Point, ...]:
    """In the model's order; where the prompt wants it, what the paper says before what is concluded."""
    return tuple(sorted(standing, key=lambda point: point.kind is PointKind.INFERRED)) if stated_first else standing
