"""The lists of days: which there can be, and where each comes from."""

import logging
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from bot.errors import SourceError
from bot.interfaces import Clock, Lists, Source
from bot.models import DayList

logger = logging.getLogger(__name__)

SATURDAY = 5
LOOK_BACK = 5  # weekdays without a list that are walked over: longer than any holiday of the list so far


def previous_weekday(day: date) -> date:
    """The last Monday-Friday before `day`: there are lists on weekdays only."""
    day -= timedelta(days=1)
    while day.weekday() >= SATURDAY:
        day -= timedelta(days=1)
    return day


def end_of(day: date) -> datetime:
    """When the UTC day is over, and its list complete."""
    return datetime.combine(day + timedelta(days=1), time(), UTC)


@dataclass(frozen=True, slots=True)
class DayLists:
    """Lists from the store once they were captured complete, else from the source. Without a store none is kept."""

    source: Source
    store: Lists | None
    clock: Clock

    async def of(self, day: date) -> DayList:
        """The list of `day`, empty when there is none. Raises SourceError, unless an early capture is in the store."""
        kept = await self.store.list_of(day) if self.store else None
        if kept and kept.papers and kept.captured_at >= end_of(day):
            return kept
        try:
            fresh = await self.source.list_day(day)
        except SourceError:
            if kept and kept.papers:
                logger.warning("list taken from the store", extra={"day": str(day)})
                return kept
            raise
        if fresh.papers and self.store:
            await self.store.keep_list(fresh)
        return fresh

    async def newest(self, day: date) -> DayList:
        """The list of `day`, or of the last weekday before it that has one; the empty one of `day` when none has."""
        wanted = found = await self.of(day)
        for _ in range(LOOK_BACK):
            if found.papers:
                return found
            found = await self.of(previous_weekday(found.day))
        return found if found.papers else wanted
