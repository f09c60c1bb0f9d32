"""The use cases of a request: a deep dive of any paper, the ranking of any day."""

import logging
from dataclasses import dataclass, replace
from datetime import date

from bot.errors import ModelError, NotFoundError
from bot.extras import version_note
from bot.interfaces import Brief
from bot.models import AnalystKind, ArxivId, DeepDive, FullText, Paper, Profile, Ranking
from bot.reporter import Edition, Progress, Reporter, no_progress

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OnDemand:
    """Answers with the analysts, the cache and the rankings of the daily report."""

    reporter: Reporter

    async def deep_dive(self, arxiv_id: ArxivId, brief: Brief) -> DeepDive:
        """Reads one paper for a profile; extractive when the model fails. Raises NotFoundError, SourceError."""
        paper = await self._paper(arxiv_id)
        asked = arxiv_id if arxiv_id.version else paper.arxiv_id
        full_text = await self.reporter.full_texts.fetch(replace(paper, arxiv_id=asked))
        dive = await self._read(paper, full_text, brief)
        version = asked.version or full_text.arxiv_id.version or await self._listed_version(asked)
        return replace(dive, paper=replace(dive.paper, arxiv_id=ArxivId(asked.id, version)))

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
        known = await self.reporter.store.ranking(day, profile.name, language)
        if known and known.profile.hash == profile.hash and self._stands(known):
            return known
        return await self.reporter.rank(Edition(day, profile, language), progress)

    def _stands(self, ranking: Ranking) -> bool:
        """An extractive ranking is made anew once there is a model, unless a report has published its choice."""
        return ranking.analyst is AnalystKind.MODEL or self.reporter.analyst is None or bool(ranking.chosen)

    async def _listed_version(self, arxiv_id: ArxivId) -> int | None:
        """The version that a listed paper turned out to be, where arXiv has said so."""
        named = await self.reporter.store.note(version_note(arxiv_id))
        return int(named) if named else None

    async def _paper(self, arxiv_id: ArxivId) -> Paper:
        kept = await self.reporter.store.paper(arxiv_id.id)
        if kept and arxiv_id.version in (None, kept.arxiv_id.version, await self._listed_version(arxiv_id)):
            return kept
        found = await self.reporter.metadata.papers([arxiv_id]) if self.reporter.metadata else {}
        if arxiv_id.id not in found:
            raise NotFoundError(f"arXiv knows no paper {arxiv_id}", id=str(arxiv_id))
        return found[arxiv_id.id]
