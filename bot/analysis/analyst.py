"""The analyst that asks a language model, and asks it once: analyses are kept under everything that they depend on."""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from bot.analysis import answer, deepdive, questions, scoring
from bot.errors import StoreError
from bot.interfaces import LLM, Analyses, Brief
from bot.models import AnalystKind, Answer, DeepDive, FullText, Paper, Question, Score, Usage
from prompts import Prompt, load

OF_REPORTS = ("score", "deep_dive")
PROMPTS = (*OF_REPORTS, "answer")
HASH_DIGITS = 16

logger = logging.getLogger(__name__)

AnalysisT = TypeVar("AnalysisT", Score, DeepDive, Answer)
_SCORES = TypeAdapter(Score)
_DEEP_DIVES = TypeAdapter(DeepDive)
_ANSWERS = TypeAdapter(Answer)


@dataclass(slots=True)
class _Running:
    """An analysis being made and how many wait for it; the task returns it and whether it was a kept one."""

    task: "asyncio.Task[tuple[Any, bool]]"
    waiting: int = 0


class ModelAnalyst:
    """Judges and reads with `llm`; implements interfaces.Analyst.

    An analysis is kept under the model that was asked for and names the one that answered (a fallback). Who asks for
    the same analysis in this process at the same time shares one call, on the bill of who asked first.
    """

    kind = AnalystKind.MODEL

    def __init__(self, llm: LLM, analyses: Analyses) -> None:
        self.model = llm.model
        self._llm = llm
        self._analyses = analyses
        self._running: dict[tuple[str, bool], _Running] = {}

    def prompts(self, language: str) -> tuple[str, ...]:
        """Those that a report is made with."""
        return tuple(load(name, language).ref for name in OF_REPORTS)

    async def score(self, paper: Paper, brief: Brief) -> Score:
        prompt = load("score", brief.language)
        key = self._key(paper, (paper.title, paper.abstract), brief, prompt)
        return await self._once(key, _SCORES, brief, lambda: scoring.score(paper, brief, self._llm, prompt))

    async def kept_deep_dive(self, paper: Paper, full_text: FullText, brief: Brief) -> DeepDive | None:
        key = self._key(paper, self._read(paper, full_text), brief, load("deep_dive", brief.language))
        return None if brief.fresh else await self._kept(key, _DEEP_DIVES)

    async def deep_dive(self, paper: Paper, full_text: FullText, brief: Brief) -> DeepDive:
        prompt = load("deep_dive", brief.language)
        key = self._key(paper, self._read(paper, full_text), brief, prompt)
        return await self._once(
            key, _DEEP_DIVES, brief, lambda: deepdive.deep_dive(paper, full_text, brief, self._llm, prompt)
        )

    async def answer(self, question: Question, full_text: FullText, brief: Brief) -> Answer:
        prompt = load("answer", brief.language)
        question = questions.tidied(question)
        talk = (question.text, *(part for each in question.earlier for part in (each.question, each.answer)))
        key = self._key(question.paper, (*self._read(question.paper, full_text), *talk), brief, prompt)
        return await self._once(
            key, _ANSWERS, brief, lambda: answer.answer(question, full_text, brief, self._llm, prompt)
        )

    def _read(self, paper: Paper, full_text: FullText) -> tuple[str, ...]:
        """Everything that a model is given of a paper, and how much of it at most.

        The model's own context needs no place: the key names the model, and asking it would load its library.
        """
        return (paper.title, paper.abstract, *paper.authors, str(self._llm.max_input_tokens), *_content(full_text))

    def _key(self, paper: Paper, content: Sequence[str], brief: Brief, prompt: Prompt) -> str:
        digest = hashlib.sha256("\0".join(content).encode(errors="replace")).hexdigest()[:HASH_DIGITS]
        parts = (prompt.name, paper.arxiv_id, digest, brief.profile.hash, brief.language, prompt.ref, self.model)
        return "|".join(map(str, parts))

    async def _once(
        self,
        key: str,
        adapter: TypeAdapter[AnalysisT],
        brief: Brief,
        make: Callable[[], Awaitable[AnalysisT]],
    ) -> AnalysisT:
        """The kept analysis, or the one being made, or a new one; whoever gets one without a call is told so."""
        running = self._running.get((key, brief.fresh))
        first = running is None
        if running is None:
            running = _Running(asyncio.create_task(self._kept_or_made(key, adapter, make, fresh=brief.fresh)))
            self._running[key, brief.fresh] = running
        analysis, kept = await self._wait((key, brief.fresh), running)
        if kept or not first:
            brief.meter.add(Usage(cached=1))
        return analysis  # type: ignore[no-any-return]  # what stands under a key has one type

    async def _wait(self, key: tuple[str, bool], running: _Running) -> tuple[Any, bool]:
        """Waits for the task; one asker who gives up does not take it from the others, the last one does."""
        running.waiting += 1
        try:
            return await asyncio.shield(running.task)
        finally:
            running.waiting -= 1
            if running.task.done() or not running.waiting:
                running.task.cancel()
                if self._running.get(key) is running:
                    del self._running[key]

    async def _kept_or_made(
        self, key: str, adapter: TypeAdapter[AnalysisT], make: Callable[[], Awaitable[AnalysisT]], *, fresh: bool
    ) -> tuple[AnalysisT, bool]:
        if not fresh and (kept := await self._kept(key, adapter)) is not None:
            return kept, True
        made = await make()
        try:
            await self._analyses.keep_analysis(key, adapter.dump_json(made).decode())
        except StoreError:
            logger.warning("analysis not kept", extra={"key": key}, exc_info=True)
        return made, False

    async def _kept(self, key: str, adapter: TypeAdapter[AnalysisT]) -> AnalysisT | None:
        """None also for what an earlier version kept in another form, or when the store is down."""
        try:
            content = await self._analyses.analysis(key)
            return None if content is None else adapter.validate_json(content)
        except (StoreError, ValidationError):
            logger.warning("kept analysis not readable, made anew", extra={"key": key})
            return None


def _content(full_text: FullText) -> Iterator[str]:
    """Everything of a full text that a deep dive depends on or shows."""
    yield from (full_text.basis, str(full_text.suspicious))
    for place, sections in (("main", full_text.sections), ("appendix", full_text.appendix)):
        for section in sections:
            yield from (place, section.id, section.number, section.title, section.text, section.anchor)
            yield from (part for figure in section.figures for part in (figure.label, figure.caption, figure.url))
