"""Today's real list for the demo, where it comes fast."""

import asyncio

import aiohttp

from bot import schedule
from bot.app.wiring import user_agent
from bot.clock import SystemClock
from bot.errors import SourceError
from bot.lists import previous_weekday
from bot.models import DayList
from bot.sources.huggingface import HuggingFace
from config.settings import Settings

WAIT_SECONDS = 1.5  # a newcomer without a network should not wait for one


async def live_list(settings: Settings) -> DayList | None:
    """The newest list with papers, if all of it comes in time."""
    clock = SystemClock()
    day = schedule.default_day(clock.now(), settings.report.list_day)
    try:
        async with (
            asyncio.timeout(WAIT_SECONDS),
            aiohttp.ClientSession(headers={"User-Agent": user_agent(settings)}) as session,
        ):
            huggingface = HuggingFace(session, settings.sources.huggingface_url, clock, tries=1)
            for candidate in (day, previous_weekday(day)):
                found = await huggingface.list_day(candidate)
                if found.papers:
                    return found
    except (TimeoutError, SourceError):
        return None
    return None
