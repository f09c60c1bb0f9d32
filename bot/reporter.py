"""How a report comes to be: list, score, rank, choose, deep-dive. It publishes nothing."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from bot.errors import BotError, ModelError
from bot.interfaces import Analyst, Brief, Clock, FullTexts, Metadata, Store
from bot.lists import DayLists
from bot.models import (
    AnalystKind,
    DayList,
    DeepDive,
    Meter,
    Paper,
    Profile,
    Ranked,
    Ranking,
    Report,
    ReportKey,
    Seconds,
)
from bot.ranking import Rules, candidates, mark_chosen, mark_reported, order, take_over

logger = logging.getLogger(__name__)

TRIES_PER_DEEP_DIVE = 3  # candidates that may fail for each wanted deep dive before the extractive analyst steps in

Progress = Callable[[str, int, int], None]
"""Called with a step ("list", "score", "deep_dive"), how much of it is done, and how much there is."""


def no_progress(step: str, done: int, total: int) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class Edition:
    """Which report is wanted. `fresh` asks the model anew; `base` is the ranking whose sub-scores and choice hold."""

    day: date
    profile: Profile
    language: str
    number: int = 1
    fresh: bool = False
    base: Ranking | None = None

    @property
    def key(self) -> ReportKey:
        return ReportKey(self.day, self.profile.name, self.language, self.number)


class Stopwatch:
    """Seconds since the last lap, by the clock that was handed in."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.started = self._last = clock.monotonic()

    def lap(self) -> float:
        now = self._clock.monotonic()
        self._last, lap = now, now - self._last
        return lap

    def total(self) -> float:
        return self._clock.monotonic() - self.started


@dataclass(frozen=True, slots=True)
class Reporter:
    """Makes rankings and reports. `analyst` is None when no model is configured.

    `warm_up` gets the model ready while the list is asked for; it is called only when there is work for the model.
    """

    lists: DayLists
    metadata: Metadata | None
    full_texts: FullTexts
    analyst: Analyst | None
    extractive: Analyst
    store: Store
    clock: Clock
    rules: Rules
    warm_up: Callable[[], Awaitable[None]] | None = None
    _days: defaultdict[tuple[date, str], asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def rank(self, edition: Edition, progress: Progress = no_progress) -> Ranking:
        """Scores the day's list, chooses nothing, and keeps the ranking. Raises SourceError."""
        async with self._warm():
            day_list = await self.lists.of(edition.day)
            ranking = await self._score(edition, day_list, Meter(), progress)
        if ranking.entries:
            await self.store.keep_ranking(ranking)
        return ranking

    async def report(self, edition: Edition, progress: Progress = no_progress) -> Report:
        """Makes and keeps the report. A day without a list gives one with a note. Raises SourceError, StoreError.

        One at a time for a (day, profile): what the first language chose holds for the others.
        """
        async with self._days[edition.day, edition.profile.name]:
            async with self._warm():
                report = await self._report(edition, progress)
            if report.ranking.entries:
                await self.store.keep_ranking(report.ranking)
            await self.store.keep_report(report)
            return report

    @asynccontextmanager
    async def _warm(self) -> AsyncIterator[None]:
        """The model gets ready beside the work, and its trouble shows when it is asked."""
        work = asyncio.ensure_future(self.warm_up()) if self.analyst and self.warm_up else None
        try:
            yield
        finally:
            if work:
                await asyncio.gather(work, return_exceptions=True)

    async def _report(self, edition: Edition, progress: Progress) -> Report:
        watch, meter = Stopwatch(self.clock), Meter()
        progress("list", 0, 1)
        day_list = await self.lists.of(edition.day)
        listing = watch.lap()
        extras = asyncio.create_task(self._extras(day_list.papers[: self.rules.papers]))
        try:
            ranking = await self._score(edition, day_list, meter, progress)
            scoring = watch.lap()
            dives = await self._deep_dives(
                ranking, Brief(edition.profile, edition.language, meter, edition.fresh), progress
            )
            known = extras.result() if extras.done() else {}
        finally:
            extras.cancel()
        chosen = [dive.paper.arxiv_id.id for dive in dives]
        ranking = replace(ranking, entries=mark_chosen(_with_extras(ranking.entries, known), chosen))
        return Report(
            key=edition.key,
            ranking=ranking,
            deep_dives=tuple(replace(dive, paper=known.get(dive.paper.arxiv_id.id, dive.paper)) for dive in dives),
            analyst=ranking.analyst,
            model=self.analyst.model if self.analyst and ranking.analyst is AnalystKind.MODEL else "",
            prompts=self._analyst(ranking.analyst).prompts(edition.language),
            usage=meter.usage,
            seconds=Seconds(total=watch.total(), list=listing, score=scoring, deep_dive=watch.lap()),
            created_at=self.clock.now(),
            note=None if day_list.papers else "note.no_list",
        )

    def _analyst(self, kind: AnalystKind) -> Analyst:
        return self.analyst if self.analyst and kind is AnalystKind.MODEL else self.extractive

    async def _extras(self, papers: Sequence[Paper]) -> dict[str, Paper]:
        """What arXiv adds to `papers`; its trouble costs nothing but the added fields."""
        if self.metadata is None or not papers:
            return {}
        try:
            found = await self.metadata.papers([paper.arxiv_id for paper in papers])
        except BotError as error:
            logger.info("no arXiv metadata", extra={"reason": str(error)})
            return {}
        return {
            paper.arxiv_id.id: replace(
                paper,
                arxiv_id=found[paper.arxiv_id.id].arxiv_id,
                categories=found[paper.arxiv_id.id].categories,
                comment=found[paper.arxiv_id.id].comment,
            )
            for paper in papers
            if paper.arxiv_id.id in found
        }

    async def _score(self, edition: Edition, day_list: DayList, meter: Meter, progress: Progress) -> Ranking:
        brief = Brief(edition.profile, edition.language, meter, edition.fresh)
        papers = day_list.papers[: self.rules.papers]
        base = edition.base or await self._base(edition, papers)
        analyst = self._analyst(base.analyst if base else AnalystKind.MODEL)
        entries = await self._score_all(papers, analyst, brief, progress)
        if analyst is not self.extractive and papers and not any(entry.score for entry in entries):
            analyst = self.extractive
            entries = await self._score_all(papers, analyst, brief, progress)
        since = edition.day - timedelta(days=self.rules.repeat_after_days)
        reported = await self.store.chosen_before(edition.profile.name, edition.day, since)
        entries = take_over(base, entries) if base else mark_reported(order(entries), reported)
        return Ranking(
            day=edition.day,
            profile=edition.profile,
            language=edition.language,
            entries=entries,
            listed=len(day_list.papers) + day_list.skipped,
            skipped=day_list.skipped,
            analyst=analyst.kind,
            created_at=self.clock.now(),
            origin=day_list.origin,
        )

    async def _base(self, edition: Edition, papers: Sequence[Paper]) -> Ranking | None:
        """The ranking of the same day, profile and papers in another language, whose sub-scores and choice hold."""
        if edition.fresh:
            return None
        ids = {paper.arxiv_id.id for paper in papers}
        for ranking in await self.store.rankings(edition.day, edition.profile.name):
            same = (
                ranking.profile.hash == edition.profile.hash and {e.paper.arxiv_id.id for e in ranking.entries} == ids
            )
            if ranking.language != edition.language and same and await self._stands(ranking):
                return ranking
        return None

    async def _stands(self, ranking: Ranking) -> bool:
        """Was it published, or is it at least a model's whole work? Anything less is made anew."""
        if await self.store.planned_report(ranking.day, ranking.profile.name, ranking.language):
            return True
        return ranking.analyst is AnalystKind.MODEL and bool(ranking.chosen or not ranking.failed)

    async def _score_all(
        self, papers: Sequence[Paper], analyst: Analyst, brief: Brief, progress: Progress
    ) -> tuple[Ranked, ...]:
        done = 0
        progress("score", 0, len(papers))

        async def one(paper: Paper) -> Ranked:
            nonlocal done
            try:
                entry = Ranked(paper, await analyst.score(paper, brief))
            except ModelError as error:
                logger.warning("paper not scored", extra={"paper": str(paper.arxiv_id), "reason": str(error)})
                entry = Ranked(paper, failure=error.key)
            done += 1
            progress("score", done, len(papers))
            return entry

        return tuple(await asyncio.gather(*(one(paper) for paper in papers)))

    async def _deep_dives(self, ranking: Ranking, brief: Brief, progress: Progress) -> tuple[DeepDive, ...]:
        """Deep dives of the chosen papers, in ranking order; the extractive analyst reads what no model could."""
        fixed = [entry for entry in ranking.entries if entry.chosen]
        wanted = fixed or candidates(ranking.entries, self.rules)
        count = len(fixed) or min(self.rules.deep_dives, len(wanted))
        tries = count if fixed else count * TRIES_PER_DEEP_DIVE
        waiting = iter(wanted[:tries])
        progress("deep_dive", 0, count)
        dives = [dive for dive in await self._in_slots(waiting, count, brief, progress) if dive]
        have = {dive.paper.arxiv_id.id for dive in dives}
        missing = [entry for entry in wanted if entry.paper.arxiv_id.id not in have][: count - len(dives)]
        dives += [await self._read(self.extractive, entry.paper, brief) for entry in missing]
        positions = {entry.paper.arxiv_id.id: position for position, entry in enumerate(ranking.entries)}
        return tuple(sorted(dives, key=lambda dive: positions[dive.paper.arxiv_id.id]))

    async def _in_slots(
        self, waiting: Iterator[Ranked], count: int, brief: Brief, progress: Progress
    ) -> Sequence[DeepDive | None]:
        """`count` at once, each slot falling through to the next waiting candidate when one fails."""
        done = 0

        async def slot(analyst: Analyst) -> DeepDive | None:
            nonlocal done
            for entry in waiting:
                try:
                    dive = await self._read(analyst, entry.paper, brief)
                except ModelError as error:
                    paper = str(entry.paper.arxiv_id)
                    logger.warning("deep dive failed", extra={"paper": paper, "reason": str(error)})
                    continue
                done += 1
                progress("deep_dive", done, count)
                return dive
            return None

        return await asyncio.gather(*(slot(self.analyst or self.extractive) for _ in range(count)))

    async def _read(self, analyst: Analyst, paper: Paper, brief: Brief) -> DeepDive:
        return await analyst.deep_dive(paper, await self.full_texts.fetch(paper), brief)


def _with_extras(entries: Sequence[Ranked], known: dict[str, Paper]) -> tuple[Ranked, ...]:
    return tuple(replace(entry, paper=known.get(entry.paper.arxiv_id.id, entry.paper)) for entry in entries)
