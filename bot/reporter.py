"""How a report comes to be: list, score, rank, choose, deep-dive. It publishes nothing."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from bot.errors import ModelError
from bot.extras import extras, version_note, versioned, with_extras, with_extras_of
from bot.interfaces import (
    Analyst,
    Brief,
    Clock,
    FullTexts,
    Metadata,
    NoTelemetry,
    Progress,
    Store,
    Telemetry,
    no_progress,
)
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
from bot.prefetch import Prefetch
from bot.ranking import Rules, candidates, mark_chosen, mark_reported, order, take_over

logger = logging.getLogger(__name__)

TRIES_PER_DEEP_DIVE = 3  # candidates that may fail for each wanted deep dive before the extractive analyst steps in


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


@dataclass(frozen=True, slots=True)
class _Run:
    """One making of a ranking or report; `texts` is None where nothing will be read."""

    edition: Edition
    meter: Meter
    progress: Progress
    texts: Prefetch | None = None

    @property
    def brief(self) -> Brief:
        return Brief(self.edition.profile, self.edition.language, self.meter, self.edition.fresh)


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
    telemetry: Telemetry = field(default_factory=NoTelemetry)

    async def rank(self, edition: Edition, progress: Progress = no_progress) -> Ranking:
        """Scores the day's list, chooses nothing, and keeps the ranking. Raises SourceError."""
        async with self._warm():
            edition = await self._based(edition)
            ranking = await self._score(_Run(edition, Meter(), progress), await self._papers(edition))
        if ranking.entries:
            await self.store.keep_ranking(ranking)
        return ranking

    async def report(self, edition: Edition, progress: Progress = no_progress) -> Report:
        """Makes the report and keeps nothing but its analyses. A day without a list gives one with a note.

        Raises SourceError, StoreError, SettingsError for a broken prompt.
        """
        async with self._warm():
            return await self._report(await self._based(edition), progress)

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
        with self.telemetry.span("list"):
            day_list = await self._papers(edition)
        listing = self._lap(watch, "list")
        texts = Prefetch(self.full_texts, self.extractive, self.rules)
        run = _Run(edition, meter, progress, texts)
        adding = asyncio.create_task(self._extras(day_list, texts))
        try:
            with self.telemetry.span("score", papers=len(day_list.papers)):
                ranking = await self._score(run, day_list)
            scoring = self._lap(watch, "score")
            with self.telemetry.span("deep_dive"):
                dives = await self._deep_dives(run, texts, ranking)
            known = adding.result() if adding.done() else {}
        finally:
            adding.cancel()
            await texts.end()
        chosen = [dive.paper.arxiv_id.id for dive in dives]
        ranking = replace(ranking, entries=mark_chosen(with_extras(ranking.entries, known), chosen))
        dives = tuple(with_extras_of(dive, known) for dive in dives)
        for dive in dives:
            if dive.paper.arxiv_id.version:
                await self.store.keep_note(version_note(dive.paper.arxiv_id), str(dive.paper.arxiv_id.version))
        return Report(
            key=edition.key,
            ranking=ranking,
            deep_dives=dives,
            analyst=ranking.analyst,
            model=", ".join(_models(ranking, dives)),
            prompts=self._prompts(ranking, dives, edition.language),
            usage=meter.usage,
            seconds=Seconds(total=watch.total(), list=listing, score=scoring, deep_dive=self._lap(watch, "deep_dive")),
            created_at=self.clock.now(),
            note=None if day_list.papers else "note.no_list",
            min_score=self.rules.min_score,
            wanted=self.rules.deep_dives,
        )

    def _lap(self, watch: Stopwatch, step: str) -> float:
        seconds = watch.lap()
        self.telemetry.observe("report_seconds", seconds, step=step)
        return seconds

    def _prompts(self, ranking: Ranking, dives: Sequence[DeepDive], language: str) -> tuple[str, ...]:
        return self.analyst.prompts(language) if self.analyst and any(_models(ranking, dives)) else ()

    async def _papers(self, edition: Edition) -> DayList:
        """The day's list, or just the papers whose judgement is taken over."""
        if edition.base is None:
            return await self.lists.of(edition.day)
        base = edition.base
        papers = tuple(entry.paper for entry in base.entries)
        return DayList(base.day, papers, base.created_at, base.skipped, base.origin)

    async def _based(self, edition: Edition) -> Edition:
        """With the published ranking of another language, whose sub-scores, order and choice hold for this one."""
        if edition.base or edition.fresh:
            return edition
        for ranking in await self.store.rankings(edition.day, edition.profile.name):
            if ranking.language == edition.language or ranking.profile.hash != edition.profile.hash:
                continue
            if await self.store.planned_report(ranking.day, ranking.profile.name, ranking.language):
                return replace(edition, base=ranking)
        return edition

    def _analyst(self, kind: AnalystKind) -> Analyst:
        return self.analyst if self.analyst and kind is AnalystKind.MODEL else self.extractive

    async def _extras(self, day_list: DayList, texts: Prefetch) -> dict[str, Paper]:
        """Asked once the full texts are served: arXiv's pace is for those first."""
        if self.rules.deep_dives:
            await texts.served.wait()
        return await extras(self.metadata, day_list.papers[: self.rules.papers])

    async def _score(self, run: _Run, day_list: DayList) -> Ranking:
        edition, base = run.edition, run.edition.base
        papers = day_list.papers[: self.rules.papers]
        since = edition.day - timedelta(days=self.rules.repeat_after_days)
        reported = await self.store.chosen_before(edition.profile.name, edition.day, since)
        analyst = self._analyst(base.analyst if base else AnalystKind.MODEL)
        if run.texts and not base and analyst is not self.extractive:
            run.texts.begin(papers, edition.profile, edition.language, reported)
        entries = await self._score_all(run, papers, analyst)
        fallback = base.fallback if base else None
        if analyst is not self.extractive and papers and not any(entry.score for entry in entries):
            fallback = _commonest(entry.failure for entry in entries)
            analyst = self.extractive
            entries = await self._score_all(run, papers, analyst)
        return Ranking(
            day=edition.day,
            profile=edition.profile,
            language=edition.language,
            entries=take_over(base, entries) if base else mark_reported(order(entries), reported),
            listed=base.listed if base else len(day_list.papers) + day_list.skipped,
            skipped=day_list.skipped,
            analyst=base.analyst if base else analyst.kind,
            created_at=self.clock.now(),
            origin=day_list.origin,
            fallback=fallback,
        )

    async def _score_all(self, run: _Run, papers: Sequence[Paper], analyst: Analyst) -> tuple[Ranked, ...]:
        done = 0
        run.progress("score", 0, len(papers))

        async def one(paper: Paper) -> Ranked:
            nonlocal done
            try:
                entry = Ranked(paper, await analyst.score(paper, run.brief))
            except ModelError as error:
                logger.warning("paper not scored", extra={"paper": str(paper.arxiv_id), "reason": str(error)})
                entry = Ranked(paper, failure=error.key)
            done += 1
            run.progress("score", done, len(papers))
            if run.texts:
                run.texts.scored(entry)
            return entry

        return tuple(await asyncio.gather(*(one(paper) for paper in papers)))

    async def _deep_dives(self, run: _Run, texts: Prefetch, ranking: Ranking) -> tuple[DeepDive, ...]:
        """Deep dives of the chosen papers, in ranking order; the extractive analyst reads what no model could."""
        fixed = [entry for entry in ranking.entries if entry.chosen]
        wanted = fixed or candidates(ranking.entries, self.rules)
        count = len(fixed) or min(self.rules.deep_dives, len(wanted))
        tries = count if fixed else count * TRIES_PER_DEEP_DIVE
        texts.settle({entry.paper.arxiv_id.id for entry in wanted[:count]})
        waiting = iter(wanted[:tries])
        run.progress("deep_dive", 0, count)
        dives = [dive for dive in await self._in_slots(run, texts, waiting, count) if dive]
        have = {dive.paper.arxiv_id.id for dive in dives}
        missing = [entry for entry in wanted if entry.paper.arxiv_id.id not in have][: count - len(dives)]
        dives += [await _read(self.extractive, entry.paper, run, texts) for entry in missing]
        positions = {entry.paper.arxiv_id.id: position for position, entry in enumerate(ranking.entries)}
        return tuple(sorted(dives, key=lambda dive: positions[dive.paper.arxiv_id.id]))

    async def _in_slots(
        self, run: _Run, texts: Prefetch, waiting: Iterator[Ranked], count: int
    ) -> Sequence[DeepDive | None]:
        """`count` at once, each slot falling through to the next waiting candidate when one fails."""
        done = 0

        async def slot(analyst: Analyst) -> DeepDive | None:
            nonlocal done
            for entry in waiting:
                try:
                    dive = await _read(analyst, entry.paper, run, texts)
                except ModelError as error:
                    paper = str(entry.paper.arxiv_id)
                    logger.warning("deep dive failed", extra={"paper": paper, "reason": str(error)})
                    continue
                done += 1
                run.progress("deep_dive", done, count)
                return dive
            return None

        return await asyncio.gather(*(slot(self.analyst or self.extractive) for _ in range(count)))


async def _read(analyst: Analyst, paper: Paper, run: _Run, texts: Prefetch) -> DeepDive:
    """The deep dive, its paper under the version that was read, where the full text named one."""
    full_text = await texts.fetch(paper)
    dive = await analyst.deep_dive(paper, full_text, run.brief)
    return versioned(dive, full_text.arxiv_id.version)


def _models(ranking: Ranking, dives: Sequence[DeepDive]) -> tuple[str, ...]:
    """The models that answered, in the order of the report."""
    scores = (entry.score for entry in ranking.entries if entry.score)
    return tuple(dict.fromkeys(name for name in (*(s.model for s in scores), *(d.model for d in dives)) if name))


def _commonest(failures: Iterable[str | None]) -> str | None:
    counted = Counter(failure for failure in failures if failure)
    return counted.most_common(1)[0][0] if counted else None
