"""Settings -> objects, closed in reverse order."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TextIO

import aiohttp

import config
from bot import __version__, delivery
from bot.analysis.analyst import ModelAnalyst
from bot.analysis.extractive import ExtractiveAnalyst
from bot.app.places import Places
from bot.app.stores import opened_store, pacing_with
from bot.app.upstreams import Upstreams
from bot.clock import SystemClock
from bot.daily import Daily
from bot.interfaces import Clock, FullTexts, NoTelemetry, Pacing, RunningModel, Source, Store, Telemetry
from bot.lists import DayLists
from bot.llm import LiteLLM, ModelOptions
from bot.models import Address, ChannelPlan, PlatformName, Profile
from bot.ondemand import OnDemand
from bot.operator import Operator
from bot.pulse import Pulse
from bot.ranking import Rules
from bot.report.document import Links
from bot.reporter import Reporter
from bot.store.redis_url import secrets_in
from bot.store.sqlite import SqliteStore
from config.settings import ChannelSettings, LLMSettings, ProfileSettings, Settings

CONSOLE = ChannelSettings(name="console", platform="console")


@dataclass(frozen=True, slots=True)
class Parts:
    """What a command may replace: list source, store file, arXiv API, full texts, model, clock,
    telemetry.

    `metadata` False: arXiv's API is not asked.
    """

    source: Source | None = None
    store: Path | None = None
    metadata: bool = True
    full_texts: FullTexts | None = None
    llm: RunningModel | None = None
    clock: Clock = field(default_factory=SystemClock)
    telemetry: Telemetry = field(default_factory=NoTelemetry)


@dataclass(frozen=True, slots=True)
class App:
    """The objects of one process."""

    settings: Settings
    plans: tuple[ChannelPlan, ...]
    profiles: Mapping[str, Profile]
    clock: Clock
    store: Store
    session: aiohttp.ClientSession
    llm: RunningModel | None
    reporter: Reporter
    ondemand: OnDemand
    links: Links
    pulse: Pulse
    pacing: Pacing
    telemetry: Telemetry = field(default_factory=NoTelemetry)


@asynccontextmanager
async def opened(loaded: config.Loaded, parts: Parts) -> AsyncIterator[App]:
    """What every command needs, closed in reverse order. Raises SettingsError, StoreError."""
    settings, clock, telemetry = loaded.settings, parts.clock, parts.telemetry
    async with AsyncExitStack() as stack:
        store: Store = await stack.enter_async_context(
            SqliteStore.open(parts.store) if parts.store else opened_store(loaded, telemetry=telemetry)
        )
        upstreams = await stack.enter_async_context(
            Upstreams.opened(settings.sources, clock, store, user_agent(settings), telemetry)
        )
        llm = parts.llm or (
            LiteLLM(model_options(settings.llm), store, clock, telemetry) if settings.llm.model else None
        )
        if llm:
            stack.push_async_callback(llm.aclose)
        reporter = Reporter(
            lists=_lists(parts, upstreams.lists, store),
            metadata=upstreams.metadata if parts.metadata else None,
            full_texts=parts.full_texts or upstreams.full_texts,
            analyst=ModelAnalyst(llm, store) if llm else None,
            extractive=ExtractiveAnalyst(),
            store=store,
            clock=clock,
            rules=rules(settings),
            warm_up=llm.warm_up if llm else None,
            telemetry=telemetry,
        )
        yield App(
            settings=settings,
            plans=plans(settings),
            profiles=profiles(settings),
            clock=clock,
            store=store,
            session=upstreams.session,
            llm=llm,
            reporter=reporter,
            ondemand=OnDemand(reporter),
            links=Links(settings.web.public_url),
            telemetry=telemetry,
            pulse=Pulse(clock),
            pacing=pacing_with(store, clock),
        )


def _lists(parts: Parts, source: Source, store: Store) -> DayLists:
    """Lists as they are; those of a source that a command brought along are not kept."""
    if parts.source:
        return DayLists(parts.source, None, parts.clock)
    return DayLists(source, store, parts.clock)


@asynccontextmanager
async def posting(app: App, stream: TextIO | None = None) -> AsyncIterator[Daily]:
    """The day's use cases with every channel that the settings name within reach."""
    async with Places.opened(app.settings, app.clock, stream, app.pacing, app.telemetry) as places:
        yield daily_of(app, places)


def daily_of(app: App, places: Places) -> Daily:
    """The day's use cases at `places`."""
    operator = Operator.of(app.settings.operator.channel, app.plans, places.at)
    courier = delivery.Courier(
        app.store, places.at, app.clock, operator.tell, telemetry=app.telemetry, catch_up=catch_up(app)
    )
    return Daily(app.reporter, courier, app.links)


def catch_up(app: App) -> timedelta:
    """How long after its hour a missed report is still sent, and after its planning what failed is made up."""
    return timedelta(hours=app.settings.schedule.catch_up_hours)


def user_agent(settings: Settings) -> str:
    """Who asks, as arXiv wants to know, with the owner's contact where one is set."""
    contact = settings.sources.contact
    return f"Paperboy/{__version__}" + (f" ({contact})" if contact else "")


def model_options(llm: LLMSettings) -> ModelOptions:
    """The `[llm]` settings as the adapter takes them."""
    return ModelOptions(
        model=llm.model,
        fallbacks=llm.fallbacks,
        api_base=llm.api_base,
        api_key=llm.api_key.get_secret_value() if llm.api_key else None,
        structured=llm.structured,
        concurrency=llm.concurrency,
        timeout_seconds=llm.timeout_seconds,
        daily_budget_usd=llm.daily_budget_usd,
        max_input_tokens=llm.max_input_tokens,
    )


def rules(settings: Settings) -> Rules:
    """The `[report]` settings that choosing goes by."""
    report = settings.report
    return Rules(report.papers, report.deep_dives, report.min_score, report.repeat_after_days)


def profiles(settings: Settings) -> dict[str, Profile]:
    """Every profile by its name."""
    return {profile.name: _profile(profile) for profile in settings.profiles}


def _profile(profile: ProfileSettings) -> Profile:
    return Profile(profile.name, profile.interests, profile.exclude, profile.audience)


def plans(settings: Settings) -> tuple[ChannelPlan, ...]:
    """What every channel wants; without any channel, the terminal wants the first profile's report."""
    known = profiles(settings)
    first = settings.profiles[0].name
    return tuple(
        ChannelPlan(
            name=channel.name,
            address=Address(PlatformName(channel.platform), channel.target, channel.topic),
            profile=known[channel.profile or first],
            language=channel.language or settings.language,
            time=channel.time or settings.schedule.time,
            timezone=channel.timezone or settings.schedule.timezone,
            weekdays=frozenset(settings.schedule.weekdays),
            style=channel.style,
        )
        for channel in settings.channels or (CONSOLE,)
    )


def secrets(settings: Settings) -> tuple[str, ...]:
    """Every configured secret, for the log to blot out."""
    sections = (settings.llm, settings.store, settings.telegram, settings.slack, settings.web)
    found = (value for section in sections for _, value in section)
    named = (value.get_secret_value() for value in found if hasattr(value, "get_secret_value"))
    return (*named, *secrets_in(settings.store.url))
