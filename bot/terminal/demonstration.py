"""The demo's day: a saved list, today's real one where it comes fast, or the sample; and who it is made for."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from bot.app import App
from bot.app.demo import live_list
from bot.app.wiring import CONSOLE
from bot.clock import SystemClock
from bot.errors import InputError, SourceError
from bot.interfaces import FullTexts
from bot.models import Address, ChannelPlan, DayList, PlatformName, Profile
from bot.sources.fulltext import AbstractTexts
from bot.sources.huggingface import day_of, parse_list
from bot.sources.sample import DAY as SAMPLE_DAY
from bot.sources.sample import Sample, SampleTexts
from config.settings import Settings

STORE = "demo.db"


@dataclass(frozen=True, slots=True)
class Listed:
    """A source that has one list. Implements `bot.interfaces.Source`."""

    day_list: DayList
    name: str = "huggingface"

    async def list_day(self, day: date) -> DayList:
        del day
        return self.day_list


async def source(settings: Settings, file: Path | None) -> tuple[Listed, str]:
    """The list, and where it comes from: "file", "live" or "sample". Raises InputError for a file that is no list."""
    if file is not None:
        return Listed(_saved(file)), "file"
    found = await live_list(settings)
    if found:
        return Listed(found), "live"
    sample = Sample()
    return Listed(await sample.list_day(SAMPLE_DAY), sample.name), "sample"


def full_texts(origin: str) -> FullTexts | None:
    """What the day's papers are read from: the bundled pages, or for a live list (None) what the settings say.

    A saved list is replayed without any request.
    """
    if origin == "sample":
        return SampleTexts()
    return AbstractTexts() if origin == "file" else None


def plan(app: App, profile: Profile | None = None) -> ChannelPlan:
    """The terminal, in the settings' language."""
    return ChannelPlan(
        name=CONSOLE.name,
        address=Address(PlatformName.CONSOLE, ""),
        profile=profile or next(iter(app.profiles.values())),
        language=app.settings.language,
        time=app.settings.schedule.time,
        timezone=app.settings.schedule.timezone,
    )


def _saved(file: Path) -> DayList:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot read {file}", key="cli.no_file", file=str(file), reason=error.strerror or ""
        ) from None
    now = SystemClock().now()
    try:
        found = parse_list(content, day_of(content) or now.date(), now)
    except SourceError as error:
        raise InputError(f"{file}: {error}", key="cli.no_list_file", file=str(file)) from None
    if not found.papers:
        raise InputError(f"{file}: an empty list", key="cli.empty_list_file", file=str(file))
    return found
