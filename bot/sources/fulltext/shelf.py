"""Full texts that were fetched before: which one serves an asker, and for how long."""

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from bot.errors import StoreError
from bot.interfaces import Clock, KeptTexts, Notes
from bot.models import ArxivId, Basis, FullText, KeptText

FRESH = timedelta(hours=24)  # arXiv asks to cache for a day

logger = logging.getLogger(__name__)


class Keeping(KeptTexts, Notes, Protocol):
    """As much of the store as is wanted here."""


@dataclass(frozen=True, slots=True)
class OnShelf:
    """A text that was fetched before. `serves`: nothing better needs to be looked for today."""

    text: FullText
    serves: bool


class Shelf:
    """Full texts in the store. One that fails costs a new fetch and nothing else."""

    def __init__(self, store: Keeping, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def look(self, asked: ArxivId) -> OnShelf | None:
        """The text of the version asked for; without one, of what was the latest, else of any.

        The HTML of a version never changes. Anything else may be outdone, and is looked for once a day.
        """
        try:
            kept, as_asked = await self._kept(asked)
        except StoreError:
            logger.warning("kept text not readable, fetched anew", extra={"paper": str(asked)})
            return None
        if kept is None:
            return None
        final = asked.version is not None and kept.full_text.basis is Basis.HTML
        fresh = self._clock.now() - kept.fetched_at < FRESH
        return OnShelf(kept.full_text, as_asked and (final or fresh))

    async def _kept(self, asked: ArxivId) -> tuple[KeptText | None, bool]:
        """What the store has, and whether that is what was asked for."""
        if asked.version:
            return await self._store.full_text(asked), True
        noted = await self._store.note(_latest_note(asked))
        latest = ArxivId(asked.id, int(noted) if noted else None)
        kept = await self._store.full_text(latest) or await self._store.full_text(asked)
        return kept, noted is not None and kept is not None and kept.full_text.arxiv_id == latest

    async def keep(self, text: FullText, *, latest: bool) -> None:
        """`latest`: this came when no version was asked for."""
        try:
            await self._store.keep_full_text(text, self._clock.now())
            if latest:
                await self._store.keep_note(_latest_note(text.arxiv_id), str(text.arxiv_id.version or ""))
        except StoreError:
            logger.warning("full text not kept", extra={"paper": str(text.arxiv_id)}, exc_info=True)


def _latest_note(arxiv_id: ArxivId) -> str:
    """The note that holds which version came when none was asked for, "" for one that does not say."""
    return f"latest:{arxiv_id.id}"
