"""A paper read for a profile: the model writes points, code proves each, asks once for repairs and drops what fails."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from pydantic import BaseModel, ConfigDict, create_model

from bot import tokens
from bot.analysis import overview, points, proofs
from bot.analysis.fitting import fit
from bot.analysis.points import PointReply, Reading
from bot.analysis.proofs import Proofs
from bot.errors import ModelError
from bot.interfaces import LLM, Brief, Reply, Turn
from bot.models import AnalystKind, Basis, DeepDive, FullText, Paper
from prompts import Prompt

MIN_SECTIONS = 3  # with fewer sections that stand, a deep dive has failed
SUSPICIOUS = "flag.suspicious"
TOO_LONG = "failure.too_long"

# Tokens by the upper estimate of bot.tokens, which is 1.6 times what models count in English papers: the main text of a
# long paper (some 100,000 characters) fits, and of most the appendix as well. A deep dive with its repair so reads at
# most some 60,000 real tokens, a cent with a small model; a model's context may be twenty times as long, and the bill.
CEILING = 48_000
REPAIR = 7_000  # for the repair turn: a reply (4,000 tokens as models count) and the list of what is wrong with it
MARGIN = 1_500  # for the schema in words, where a model is not held to it, and for what surrounds each turn
LEAST = 600  # given to the paper however little the limit leaves: the model may count much less than the estimate

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A reply, and the proofs of its points."""

    reply: Reply[BaseModel]
    proofs: Proofs


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question about a paper: what the model was given of it, in which turns."""

    reading: Reading
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class _Dive:
    """What the calls of one deep dive share."""

    basis: Basis
    brief: Brief
    llm: LLM
    prompt: Prompt

    @property
    def schema(self) -> type[BaseModel]:
        return reply_schema(tuple(key for key, _ in self.prompt.sections))

    async def ask(self, reading: Reading, turns: Sequence[Turn]) -> _Draft:
        reply = await self.llm.ask("deep_dive", turns, self.schema, self.brief.meter)
        return _Draft(reply, proofs.prove(reply.value, reading, self.brief.language))

    def asked(self, reading: Reading) -> _Asked:
        system, user = self.prompt.render(
            interests=self.brief.profile.interests,
            exclude=self.brief.profile.exclude,
            audience=self.brief.profile.audience,
            title=reading.paper.title,
            authors=reading.paper.authors,
            abstract=reading.paper.abstract,
            basis=self.basis.value,
            text=reading.laid_out(),
        )
        return _Asked(reading, (Turn("system", system), Turn("user", user)))

    async def room(self, reading: Reading) -> int:
        """Tokens for the paper's text: the model's limit without the prompt, the repair turn and a margin."""
        limit = await input_budget(self.llm)
        bare = self.asked(replace(reading, sections=()))
        frame = sum(tokens.at_most(turn.content) for turn in bare.turns)
        return max(LEAST, limit - frame - min(REPAIR, limit // 4) - min(MARGIN, limit // 8))


async def deep_dive(paper: Paper, full_text: FullText, brief: Brief, llm: LLM, prompt: Prompt) -> DeepDive:
    """One call, and one more when something has to be repaired; as much of the paper as the model takes.

    A paper that proves too long is asked about once more with half of it. Raises ModelError; its key is
    `failure.ungrounded` when fewer than MIN_SECTIONS sections stand.
    """
    # Looking for instructions takes a second for the longest papers, in which the event loop is wanted elsewhere.
    whole = await asyncio.to_thread(points.read, paper, full_text)
    dive = _Dive(full_text.basis, brief, llm, prompt)
    asked, first = await _first(dive, whole)
    second = await _second(dive, asked, first)
    sections, counts = proofs.merged(prompt, first.proofs, second.proofs if second else {})
    if len(sections) < min(MIN_SECTIONS, len(prompt.sections)):
        raise ModelError(f"only {len(sections)} sections of the deep dive stand", key="failure.ungrounded")
    return DeepDive(
        paper=paper,
        language=brief.language,
        basis=full_text.basis,
        analyst=AnalystKind.MODEL,
        model=first.reply.model,
        prompt=prompt.ref,
        sections=sections,
        points=counts,
        outline=tuple(replace(section, text="", figures=()) for section in whole.sections),
        flags=(SUSPICIOUS,) if whole.suspicious else (),
        cost_usd=_sum([draft.reply.cost_usd for draft in (first, second) if draft]),
        left_out=asked.reading.left_out,
        figure=overview.overview([section for section in whole.sections if section.id not in whole.appendix]),
    )


async def input_budget(llm: LLM) -> int:
    """The most input tokens of one call: what the settings say, else what the model takes, up to CEILING."""
    if llm.max_input_tokens is not None:
        return llm.max_input_tokens
    known = await llm.context()
    return CEILING if known is None else min(known, CEILING)


@lru_cache(maxsize=32)
def reply_schema(keys: tuple[str, ...]) -> type[BaseModel]:
    """The schema of the reply: under each key of the prompt's header a list of points."""
    config = ConfigDict(json_schema_extra={"additionalProperties": False})
    fields = dict.fromkeys(keys, (list[PointReply], ...))
    return create_model("DeepDiveReply", __config__=config, **fields)  # type: ignore[call-overload,no-any-return]  # fields by name


async def _first(dive: _Dive, whole: Reading) -> tuple[_Asked, _Draft]:
    asked = dive.asked(fit(whole, await dive.room(whole)))
    try:
        return asked, await dive.ask(asked.reading, asked.turns)
    except ModelError as error:
        if error.key != TOO_LONG:
            raise
        logger.warning("too long, asked again with half", extra={"paper": str(whole.paper.arxiv_id)})
    asked = dive.asked(fit(whole, tokens.at_most(asked.reading.laid_out()) // 2))
    return asked, await dive.ask(asked.reading, asked.turns)


async def _second(dive: _Dive, asked: _Asked, first: _Draft) -> _Draft | None:
    """The reply after one repair turn; None when there is nothing to repair or no answer: what stood still stands."""
    violations = tuple(proofs.violations(first.proofs))
    if not violations:
        return None
    repair = (Turn("assistant", first.reply.text), Turn("user", dive.prompt.repair(violations=violations)))
    try:
        return await dive.ask(asked.reading, (*asked.turns, *repair))
    except ModelError as error:
        logger.warning("repair failed", extra={"paper": str(asked.reading.paper.arxiv_id), "why": error.key})
        return None


def _sum(costs: Sequence[float | None]) -> float | None:
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known else None
