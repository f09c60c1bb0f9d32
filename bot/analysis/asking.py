"""A model asked about a paper: it gets as much as it takes, half of that when it proves too long, one repair turn."""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from pydantic import BaseModel

from bot import tokens
from bot.analysis import proofs
from bot.analysis.fitting import fit
from bot.analysis.points import PointReply, Reading
from bot.analysis.proofs import Proofs
from bot.errors import ModelError
from bot.interfaces import LLM, Brief, Reply, Turn
from prompts import Prompt

SUSPICIOUS = "flag.suspicious"
TOO_LONG = "failure.too_long"
UNGROUNDED = "failure.ungrounded"

# Tokens by the upper estimate of bot.tokens, which is 1.6 times what models count in English papers: the main text of a
# long paper (some 100,000 characters) fits, and of most the appendix as well. A deep dive with its repair so reads at
# most some 60,000 real tokens, a cent with a small model; a model's context may be twenty times as long, and the bill.
CEILING = 48_000
REPAIR = 7_000  # for the repair turn: a reply (4,000 tokens as models count) and the list of what is wrong with it
MARGIN = 1_500  # for the schema in words, where a model is not held to it, and for what surrounds each turn
LEAST = 600  # given to the paper however little the limit leaves: the model may count much less than the estimate

Written = Mapping[str, list[PointReply]]
"""The points of a reply, under the keys of its sections."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Draft:
    """A reply, and the proofs of its points."""

    reply: Reply[BaseModel]
    proofs: Proofs


@dataclass(frozen=True, slots=True)
class Drafts:
    """What came of asking: the part of the paper that was read, the first reply, and the repaired one, if any."""

    reading: Reading
    first: Draft
    second: Draft | None = None

    @property
    def last(self) -> Draft:
        return self.second or self.first

    @property
    def flags(self) -> tuple[str, ...]:
        return (SUSPICIOUS,) if self.reading.suspicious else ()

    @property
    def cost_usd(self) -> float | None:
        """Of both calls, as far as it is known."""
        costs = [draft.reply.cost_usd for draft in (self.first, self.second) if draft]
        known = [cost for cost in costs if cost is not None]
        return sum(known) if known else None


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked for: the prompt with its values, the schema of the reply, where its points stand, their proof.

    `wanted` names the sections of a paper that does not fit which are read before others.
    """

    prompt: Prompt
    values: Mapping[str, object]
    schema: type[BaseModel]
    written: Callable[[BaseModel], Written]
    prove: Callable[[Written, Reading], Proofs]
    wanted: Callable[[Reading], Collection[str]] = lambda _: ()


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the model was given of a paper, in which turns."""

    reading: Reading
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What the calls about one paper share."""

    task: Task
    brief: Brief
    llm: LLM

    async def drafts(self, whole: Reading) -> Drafts:
        """One call, and one more when something has to be repaired; as much of the paper as the model takes.

        A paper that proves too long is asked about once more with half of it. Raises ModelError.
        """
        asked, first = await self._first(whole)
        return Drafts(asked.reading, first, await self._second(asked, first))

    async def _first(self, whole: Reading) -> tuple[_Asked, Draft]:
        asked = self._asked(self._fitted(whole, await self._room(whole)))
        try:
            return asked, await self._read(asked)
        except ModelError as error:
            if error.key != TOO_LONG:
                raise
            logger.warning("too long, asked again with half", extra={"paper": str(whole.paper.arxiv_id)})
        asked = self._asked(self._fitted(whole, tokens.at_most(asked.reading.laid_out()) // 2))
        return asked, await self._read(asked)

    async def _second(self, asked: _Asked, first: Draft) -> Draft | None:
        """After one repair turn; None when nothing is to be repaired or no answer comes: what stood still stands."""
        violations = tuple(proofs.violations(first.proofs))
        if not violations:
            return None
        repair = self.task.prompt.repair(violations=violations)
        turns = (*asked.turns, Turn("assistant", first.reply.text), Turn("user", repair))
        try:
            return await self._draft(replace(asked, turns=turns))
        except ModelError as error:
            logger.warning("repair failed", extra={"paper": str(asked.reading.paper.arxiv_id), "why": error.key})
            return None

    async def _read(self, asked: _Asked) -> Draft:
        self.brief.progress("read", 0, sum(bool(section.text) for section in asked.reading.sections))
        return await self._draft(asked)

    async def _draft(self, asked: _Asked) -> Draft:
        reply = await self.llm.ask(self.task.prompt.name, asked.turns, self.task.schema, self.brief.meter)
        written = self.task.written(reply.value)
        stated = [point for section in written.values() for point in section if point.kind == "stated"]
        self.brief.progress("check", 0, len(stated))
        return Draft(reply, self.task.prove(written, asked.reading))

    def _asked(self, reading: Reading) -> _Asked:
        system, user = self.task.prompt.render(
            **self.task.values,
            title=reading.paper.title,
            authors=reading.paper.authors,
            abstract=reading.paper.abstract,
            text=reading.laid_out(),
        )
        return _Asked(reading, (Turn("system", system), Turn("user", user)))

    def _fitted(self, whole: Reading, limit: int) -> Reading:
        if tokens.at_most(whole.laid_out()) <= limit:
            return whole
        return fit(whole, limit, self.task.wanted(whole))

    async def _room(self, reading: Reading) -> int:
        """Tokens for the paper's text: the model's limit without the prompt, the repair turn and a margin."""
        limit = await input_budget(self.llm)
        bare = self._asked(replace(reading, sections=()))
        frame = sum(tokens.at_most(turn.content) for turn in bare.turns)
        return max(LEAST, limit - frame - min(REPAIR, limit // 4) - min(MARGIN, limit // 8))


async def input_budget(llm: LLM) -> int:
    """The most input tokens of one call: what the settings say, else what the model takes, up to CEILING."""
    if llm.max_input_tokens is not None:
        return llm.max_input_tokens
    known = await llm.context()
    return CEILING if known is None else min(known, CEILING)
