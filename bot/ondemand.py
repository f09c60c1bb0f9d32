"""The use cases of a request: a deep dive of any paper, an answer out of it, rankings, what was scored before."""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from bot.analysis import questions
from bot.errors import InputError, ModelError, NotFoundError, SourceError
from bot.extras import version_note
from bot.interfaces import Brief, Progress, no_progress
from bot.lists import end_of, previous_weekday
from bot.models import (
    AnalystKind,
    Answer,
    ArxivId,
    DeepDive,
    Exchange,
    FullText,
    Paper,
    Profile,
    Question,
    Ranked,
    Ranking,
)
from bot.reporter import Edition, Reporter

logger = logging.getLogger(__name__)

SEARCHED_DAYS = 200  # of those that hold the words somewhere; far more than anyone reads
WEEK_LISTS = 7  # lists that `week` ranks together
WHILE_FILLING = timedelta(minutes=15)  # before a list of today is asked for again
# Authors say it in the comment or the abstract; arXiv's API has no field for it.
_WITHDRAWN = re.compile(
    r"\b(?:paper|article|submission|manuscript|work|preprint|version)\b[^.]{0,40}\b(?:is|has been|was) withdrawn\b"
    r"|^\s*withdrawn\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class OnDemand:
    """Answers with the analysts, the cache and the rankings of the daily report."""

    reporter: Reporter

    async def deep_dive(self, arxiv_id: ArxivId, brief: Brief) -> DeepDive:
        """Reads one paper for a profile; extractive when the model fails. Raises NotFoundError, SourceError."""
        paper, full_text = await self._fetched(arxiv_id, brief)
        dive = await self._read(paper, full_text, brief)
        return replace(dive, paper=await self._in_version(dive.paper, arxiv_id, full_text))

    async def ask(self, arxiv_id: ArxivId, text: str, earlier: Sequence[Exchange], brief: Brief) -> Answer:
        """What a paper says to the question `text`, which may go on a talk (oldest exchange first).

        Extractive when the model fails. Raises InputError without a question, NotFoundError, SourceError.
        """
        if not questions.tidy(text):
            raise InputError("a question without words", key="ask.no_question")
        paper, full_text = await self._fetched(arxiv_id, brief)
        made = await self._answer(Question(paper, text, tuple(earlier)), full_text, brief)
        return replace(made, paper=await self._in_version(made.paper, arxiv_id, full_text))

    async def _fetched(self, arxiv_id: ArxivId, brief: Brief) -> tuple[Paper, FullText]:
        """The paper as it is known, and the text of the version that was asked for."""
        brief.progress("fetch", 0, 1)
        paper = await self._paper(arxiv_id)
        return paper, await self.reporter.full_texts.fetch(_as_asked(paper, arxiv_id))

    async def _in_version(self, paper: Paper, asked: ArxivId, full_text: FullText) -> Paper:
        """The paper under the version that was read, where it is known."""
        version = asked.version or full_text.arxiv_id.version or await self._listed_version(asked)
        return replace(paper, arxiv_id=ArxivId(asked.id, version))

    async def _answer(self, question: Question, full_text: FullText, brief: Brief) -> Answer:
        if self.reporter.analyst is None:
            return await self.reporter.extractive.answer(question, full_text, brief)
        try:
            return await self.reporter.analyst.answer(question, full_text, brief)
        except ModelError as error:
            logger.warning("answer failed", extra={"paper": str(question.paper.arxiv_id), "reason": str(error)})
            made = await self.reporter.extractive.answer(question, full_text, brief)
            return replace(made, flags=(*made.flags, error.key))

    async def kept_deep_dive(self, arxiv_id: ArxivId, brief: Brief) -> DeepDive | None:
        """The deep dive, where all of it is in the store: nobody is asked for anything."""
        paper = await self._kept_paper(arxiv_id)
        full_text = await self.reporter.full_texts.kept(_as_asked(paper, arxiv_id)) if paper else None
        if paper is None or full_text is None or self.reporter.analyst is None:
            return None
        dive = await self.reporter.analyst.kept_deep_dive(paper, full_text, brief)
        return replace(dive, paper=await self._in_version(dive.paper, arxiv_id, full_text)) if dive else None

    async def _read(self, paper: Paper, full_text: FullText, brief: Brief) -> DeepDive:
        if self.reporter.analyst is None:
            return await self.reporter.extractive.deep_dive(paper, full_text, brief)
        try:
            return await self.reporter.analyst.deep_dive(paper, full_text, brief)
        except ModelError as error:
            logger.warning("deep dive failed", extra={"paper": str(paper.arxiv_id), "reason": str(error)})
            dive = await self.reporter.extractive.deep_dive(paper, full_text, brief)
            return replace(dive, flags=(*dive.flags, error.key))

    async def top(self, profile: Profile, language: str, day: date, progress: Progress = no_progress) -> Ranking:
        """The ranking of `day`, scored now unless it is known. Raises SourceError; empty when there is no list."""
        if known := await self.known_top(profile, language, day):
            return known
        return await self.reporter.rank(Edition(day, profile, language), progress)

    async def known_top(self, profile: Profile, language: str, day: date) -> Ranking | None:
        """The ranking of `day`, where it needs no scoring."""
        known = await self.reporter.store.ranking(day, profile.name, language)
        if known is None or known.profile.hash != profile.hash or not self._stands(known):
            return None
        return known if await self._is_whole(known) else None

    async def week(
        self, profile: Profile, language: str, until: date, progress: Progress = no_progress
    ) -> tuple[Ranking, ...]:
        """The rankings of the last WEEK_LISTS lists up to `until`, newest first; what is not ranked yet is ranked now.

        A list that cannot be had is left out. Raises SourceError when none can.
        """
        days = await self._days_with_lists(until)
        total, rankings = len(days), []
        for done, day in enumerate(days):
            progress("week", done, total)
            ranking = await self.top(profile, language, day)
            rankings += [ranking] if ranking.entries else []
        return tuple(rankings)

    async def known_week(self, profile: Profile, language: str, until: date) -> tuple[Ranking, ...]:
        """Those of the week that need no scoring, newest first."""
        found, day = [], until + timedelta(days=1)
        for _ in range(2 * WEEK_LISTS):
            day = previous_weekday(day)
            ranking = await self.known_top(profile, language, day)
            found += [ranking] if ranking and ranking.entries else []
        return tuple(found[:WEEK_LISTS])

    async def _days_with_lists(self, until: date) -> tuple[date, ...]:
        """Holidays have no list, so it may take more weekdays than lists."""
        days: list[date] = []
        day = until + timedelta(days=1)
        for _ in range(2 * WEEK_LISTS):
            day = previous_weekday(day)
            try:
                if (await self.reporter.lists.of(day)).papers:
                    days.append(day)
            except SourceError as error:
                logger.info("no list for the week: %s", error, extra={"day": str(day)})
                if not days:
                    raise
                break
            if len(days) == WEEK_LISTS:
                break
        return tuple(days)

    async def search(self, profile: str, words: Sequence[str], most: int) -> tuple[tuple[date, Ranked], ...]:
        """Papers that reports for `profile` scored and that hold all `words` in title, abstract or a reason, newest and
        best first, up to about `most`.
        """
        folded = [word.casefold() for word in words]
        found: dict[str, tuple[date, Ranked]] = {}
        for day in await self.reporter.store.days_with(profile, words, SEARCHED_DAYS):
            for entry in _holding(folded, await self.reporter.store.rankings(day, profile)):
                found.setdefault(entry.paper.arxiv_id.id, (day, entry))
            if len(found) >= most:
                break
        return tuple(found.values())

    def _stands(self, ranking: Ranking) -> bool:
        """An extractive ranking is made anew once there is a model, unless a report has published its choice."""
        return ranking.analyst is AnalystKind.MODEL or self.reporter.analyst is None or bool(ranking.chosen)

    async def _is_whole(self, ranking: Ranking) -> bool:
        """A list fills during its day: what was ranked of it then holds for a while, or as long as a report does."""
        age = self.reporter.clock.now() - ranking.created_at
        if ranking.created_at >= end_of(ranking.day) or age < WHILE_FILLING:
            return True
        return await self.reporter.store.planned_report(ranking.day, ranking.profile.name, ranking.language)

    async def _listed_version(self, arxiv_id: ArxivId) -> int | None:
        """The version that a listed paper turned out to be, where arXiv has said so."""
        named = await self.reporter.store.note(version_note(arxiv_id))
        return int(named) if named else None

    async def _kept_paper(self, arxiv_id: ArxivId) -> Paper | None:
        kept = await self.reporter.store.paper(arxiv_id.id)
        if kept and arxiv_id.version in (None, kept.arxiv_id.version, await self._listed_version(arxiv_id)):
            return kept
        return None

    async def _paper(self, arxiv_id: ArxivId) -> Paper:
        if kept := await self._kept_paper(arxiv_id):
            return kept
        found = await self._known_to_arxiv(arxiv_id)
        if found is None:
            raise await self._not_found(arxiv_id)
        if _WITHDRAWN.search(f"{found.comment or ''} {found.abstract[:200]}"):
            raise _withdrawn(found.arxiv_id)
        if arxiv_id.version is None:  # as a list would name it: without its version, which may be outdone tomorrow
            await self.reporter.store.keep_note(version_note(arxiv_id), str(found.arxiv_id.version or ""))
            found = replace(found, arxiv_id=arxiv_id)
            await self.reporter.store.keep_paper(found)
        return found

    async def _known_to_arxiv(self, arxiv_id: ArxivId) -> Paper | None:
        found = await self.reporter.metadata.papers([arxiv_id]) if self.reporter.metadata else {}
        return found.get(arxiv_id.id)

    async def _not_found(self, arxiv_id: ArxivId) -> NotFoundError:
        """With the latest version, where it is only the version that arXiv does not know."""
        latest = await self._known_to_arxiv(ArxivId(arxiv_id.id)) if arxiv_id.version else None
        if latest is None or latest.arxiv_id.version is None:
            return NotFoundError(f"arXiv knows no paper {arxiv_id}", id=str(arxiv_id))
        version, newest = arxiv_id.version or 0, latest.arxiv_id.version
        message = f"no version {arxiv_id}"
        return NotFoundError(message, key="error.no_version", id=arxiv_id.id, version=version, latest=newest)


def _as_asked(paper: Paper, arxiv_id: ArxivId) -> Paper:
    return replace(paper, arxiv_id=arxiv_id if arxiv_id.version else paper.arxiv_id)


def _withdrawn(arxiv_id: ArxivId) -> NotFoundError:
    """What came before is still kept by arXiv, and can be read instead."""
    if (arxiv_id.version or 1) == 1:
        return NotFoundError(f"{arxiv_id} was withdrawn", key="error.withdrawn", id=arxiv_id.id)
    near = ArxivId(arxiv_id.id, (arxiv_id.version or 1) - 1)
    return NotFoundError(f"{arxiv_id} was withdrawn", key="error.withdrawn_earlier", id=arxiv_id.id, near=str(near))


def _holding(folded: Sequence[str], rankings: Sequence[Ranking]) -> Iterator[Ranked]:
    """The entries of one day in any of its languages that hold all words, best first."""
    texts: dict[str, list[str]] = {}
    entries: dict[str, Ranked] = {}
    for ranking in rankings:
        for entry in ranking.entries:
            name = entry.paper.arxiv_id.id
            entries.setdefault(name, entry)
            reason = entry.score.reason if entry.score else ""
            texts.setdefault(name, []).extend((entry.paper.title, entry.paper.abstract, reason))
    for name, entry in entries.items():
        text = "\n".join(texts[name]).casefold()
        if all(word in text for word in folded):
            yield entry
