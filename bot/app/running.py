"""`paperboy run`: schedule, engine and web in one loop, until a signal ends it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from bot import answering, delivery, schedule
from bot.answering import JOB
from bot.app.chatting import Chatting, Handlers
from bot.app.ending import ENDING
from bot.app.places import Places
from bot.app.watching import metrics_page, watched
from bot.app.wiring import App, daily_of
from bot.daily import Daily, Job, Planned
from bot.delivery import Trouble
from bot.engine import LocalEngine
from bot.errors import BotError, SettingsError
from bot.interfaces import Engine
from bot.models import ChannelPlan
from bot.schedule import ReportJob, Schedule
from bot.web import Site, serving

logger = logging.getLogger(__name__)

CHECK_AGAIN_SECONDS = 120.0  # between two looks at a channel that is in trouble
TROUBLED_LOOKED_AT = 1_000  # parts that are unknown or failed


@dataclass(slots=True)
class Jobs:
    """What the engine runs. A report's job hands each channel to a job of its own: no channel waits for another."""

    app: App
    daily: Daily
    engine: Engine | None = None
    chatting: Chatting | None = None
    told: set[str] = field(default_factory=set)

    async def report(self, arguments: Mapping[str, str]) -> None:
        """Makes and plans one report, for the channels that are due."""
        wanted = ReportJob.parse(arguments)
        plans = tuple(plan for plan in self.app.plans if plan.name in wanted.channels)
        try:
            await self.daily.prepare(Job(wanted.day, plans, late=wanted.late), self._hand_over)
        except BotError as error:
            logger.error("no report yet: %s", error, extra={"day": wanted.day})  # noqa: TRY400 - says it all
            await self._tell_once(wanted, error)

    async def _tell_once(self, wanted: ReportJob, error: BotError) -> None:
        """The operator hears of the first failure of a day's report; the schedule tries on."""
        if wanted.key in self.told:
            return
        self.told.add(wanted.key)
        values = {"day": str(wanted.day), "channels": ", ".join(wanted.channels), "reason": str(error)}
        await self.daily.courier.tell(Trouble("operator.no_report", values))

    async def _hand_over(self, planned: Planned) -> None:
        if self.engine and planned.key:
            await self.engine.submit("deliver", f"deliver:{planned.key}", {"delivery": planned.key})

    async def answer(self, arguments: Mapping[str, str]) -> None:
        """Works on what was asked in chats."""
        if self.chatting:
            await self.chatting.answering.job(arguments)

    async def deliver(self, arguments: Mapping[str, str]) -> None:
        """Brings one channel what its delivery still lacks."""
        done = await delivery.deliver(arguments["delivery"], self.daily.courier)
        logger.info("report delivered", extra={"delivery": done.key, "state": done.state, "parts": done.parts})


@dataclass(slots=True)
class Platforms:
    """How the channels are: all are looked at once at the start, and those in trouble or closed again and again."""

    app: App
    daily: Daily
    health: dict[str, str] = field(default_factory=dict)
    handlers: Mapping[str, Handlers] = field(default_factory=dict)

    async def watch(self) -> None:
        """Looks until it is cancelled; what cannot be reached now stops nobody, and is noticed when it is back."""
        waiting: Sequence[ChannelPlan] = self.app.plans
        while True:
            await asyncio.gather(*(self._look(plan) for plan in waiting))
            await self.app.clock.sleep(CHECK_AGAIN_SECONDS)
            waiting = [plan for plan in self.app.plans if await self._wants_a_look(plan)]

    async def _wants_a_look(self, plan: ChannelPlan) -> bool:
        try:
            address = await delivery.current_address(plan.address, self.app.store)
            closed = await self.app.store.closed(address) is not None
        except BotError:
            return True  # the look itself says what is wrong with the store
        return closed or self.health.get(plan.name) != "ok"

    async def _look(self, plan: ChannelPlan) -> None:
        try:
            channel = self.daily.courier.channels(plan.address)
            errors = [finding for finding in await channel.check() if finding.level == "error"]
            found = "; ".join(f"{finding.subject}: {finding.text}" for finding in errors)
            if not errors and await delivery.reopen(channel, self.app.store):
                await self._make_up(plan)
        except BotError as error:
            found = str(error)
        except Exception:
            logger.exception("channel check failed", extra={"channel": plan.name})
            found = "the check itself failed"
        if found and self.health.get(plan.name) != "in trouble":
            logger.error("channel in trouble: %s", found, extra={"channel": plan.name})
        self.health[plan.name] = "in trouble" if found else "ok"

    async def _make_up(self, plan: ChannelPlan) -> None:
        """What failed while the channel was closed is sent now, unless it is too old for that."""
        since = self.app.clock.now() - catch_up(self.app)
        parts = await self.app.store.troubled(TROUBLED_LOOKED_AT)
        await self.daily.retry(
            [p for p in parts if p.address == plan.address and p.planned_at and p.planned_at >= since]
        )

    async def states(self) -> Mapping[str, str]:
        """For `/readyz`: a word a channel, no details."""
        hearing = {f"{name} commands": handlers.state for name, handlers in self.handlers.items()}
        return {plan.name: self.health.get(plan.name, "unknown") for plan in self.app.plans} | hearing


def catch_up(app: App) -> timedelta:
    """How long after its hour a missed report is still sent."""
    return timedelta(hours=app.settings.schedule.catch_up_hours)


async def run(app: App) -> None:
    """Runs until SIGTERM or SIGINT. Raises SettingsError when the web port is taken."""
    load_prompts(app)
    app.pulse.expect(schedule.LOOP, answering.LOOP)
    async with AsyncExitStack() as stack:
        places = await stack.enter_async_context(
            Places.opened(app.settings, app.clock, None, app.telemetry, app.pacing)
        )
        daily = daily_of(app, places)
        jobs, platforms = Jobs(app, daily), Platforms(app, daily)
        named = {"report": jobs.report, "deliver": jobs.deliver, JOB: jobs.answer}
        jobs.engine = engine = LocalEngine(watched(named, app.telemetry, app.clock))
        jobs.chatting = chatting = Chatting.of(app, places, daily, engine)
        platforms.handlers = chatting.handlers
        port = await stack.enter_async_context(
            serving(_site(app, platforms), app.settings.web.host, app.settings.web.port, chatting.doors())
        )
        await stack.enter_async_context(_together(engine.running(), chatting.answering.running()))
        loop = Schedule(
            app.plans if app.settings.schedule.enabled else (),
            catch_up(app),
            app.settings.report.list_day,
            app.store,
            engine,
            app.clock,
            daily.courier.tell,
            known=app.plans,
            telemetry=app.telemetry,
            pulse=app.pulse,
        )
        work = [loop.run(), platforms.watch(), *(handlers.run() for handlers in chatting.handlers.values())]
        if app.llm:
            work.append(app.llm.warm_up())
        _background(stack, work)
        logger.info("running", extra={"channels": len(app.plans), "web": f"http://{app.settings.web.host}:{port}"})
        await _ending()
        app.pulse.end()
        logger.info("stopping")


@asynccontextmanager
async def _together(*contexts: AbstractAsyncContextManager[None]) -> AsyncIterator[None]:
    """Contexts that end at the same time: what each has to finish does not wait for the others."""
    for context in contexts:
        await context.__aenter__()
    try:
        yield
    finally:
        await asyncio.gather(*(context.__aexit__(None, None, None) for context in contexts), return_exceptions=True)


def load_prompts(app: App) -> None:
    """Reads the prompts before the morning needs them; a broken one costs its language's reports, and is said now."""
    for language in {plan.language for plan in app.plans}:
        try:
            if app.reporter.analyst:
                app.reporter.analyst.prompts(language)
        except SettingsError as error:
            logger.error("broken prompt: %s", error)  # noqa: TRY400 - says it all


def _site(app: App, platforms: Platforms) -> Site:
    token = app.settings.web.token
    return Site(
        store=app.store,
        links=app.links,
        language=app.settings.language,
        token=token.get_secret_value() if token else None,
        health=platforms.states,
        troubles=app.pulse.troubles,
        metrics=metrics_page(app),
    )


def _background(stack: AsyncExitStack, works: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Tasks that end before everything they use."""
    tasks = [asyncio.create_task(work) for work in works]

    async def end() -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    stack.push_async_callback(end)


async def _ending() -> None:
    """Returns at the first signal; a second one ends the process at once."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in ENDING:
        loop.add_signal_handler(number, ended.set)
    await ended.wait()
    for number in ENDING:
        loop.remove_signal_handler(number)
