"""`paperboy run`: schedule, engine and web in one loop, until a signal ends it; `paperboy worker`: the engine alone."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

from bot import __version__, answering, schedule
from bot.app.chatting import Chatting, answering_of
from bot.app.ending import ENDING
from bot.app.jobs import Jobs, engine_of
from bot.app.places import Places
from bot.app.platforms import Platforms
from bot.app.watching import metrics_page
from bot.app.wiring import App, catch_up, daily_of
from bot.errors import SettingsError, StoreError
from bot.interfaces import Engine, RunningModel
from bot.pulse import AGAIN_SECONDS
from bot.schedule import Schedule
from bot.store.redis_url import is_redis
from bot.web import Health, Site, serving
from config.settings import Settings

logger = logging.getLogger(__name__)


async def run(app: App) -> None:
    """Runs until SIGTERM or SIGINT. Raises SettingsError when the web port is taken."""
    load_prompts(app)
    await look_at_store(app)
    app.pulse.expect(schedule.LOOP, answering.LOOP)
    async with AsyncExitStack() as stack:
        places = await stack.enter_async_context(
            Places.opened(app.settings, app.clock, None, app.pacing, app.telemetry)
        )
        daily = daily_of(app, places)
        jobs, platforms = Jobs(app, daily), Platforms(app, daily)
        engine = engine_of(app, jobs)
        chatting = Chatting.of(app, places, daily, engine)
        jobs.answering = chatting.answering
        platforms.handlers = chatting.handlers
        port = await stack.enter_async_context(
            serving(
                _site(app, platforms.states, engine), app.settings.web.host, app.settings.web.port, chatting.doors()
            )
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
            known=app.plans if app.settings.channels else (),
            telemetry=app.telemetry,
            pulse=app.pulse,
        )
        lasting = {schedule.LOOP: loop.run, "channels": platforms.watch}
        lasting |= {f"{name} commands": handlers.run for name, handlers in chatting.handlers.items()}
        beside = [for_ever(name, work, app) for name, work in lasting.items()]
        if app.llm:
            beside.append(warm_up(app.llm))
        _background(stack, beside)
        web = f"http://{app.settings.web.host}:{port}"
        logger.info("running", extra={"version": __version__, "channels": len(app.plans), "web": web})
        await _ending()
        app.pulse.end()
        logger.info("stopping")


def only_shared(settings: Settings) -> None:
    """Raises SettingsError where no other process could share the work."""
    if not is_redis(settings.store.url):
        raise SettingsError(
            "store.url: `worker` shares the work of `run` and needs a store that both reach, redis://host:6379/0;"
            " with SQLite, `run` does all of it by itself"
        )


async def work(app: App) -> None:
    """Runs jobs that other processes submit, until SIGTERM or SIGINT.

    Its page is that of `run`, where the port is free.
    """
    load_prompts(app)
    await look_at_store(app)
    app.pulse.expect(answering.LOOP)
    async with AsyncExitStack() as stack:
        places = await stack.enter_async_context(
            Places.opened(app.settings, app.clock, None, app.pacing, app.telemetry)
        )
        daily = daily_of(app, places)
        jobs = Jobs(app, daily)
        engine = engine_of(app, jobs)
        jobs.answering = answering_of(app, daily, engine)[0]
        web = app.settings.web
        try:
            await stack.enter_async_context(serving(_site(app, _no_platforms, engine), web.host, web.port))
        except SettingsError as error:  # `run` has it, on the same machine
            logger.warning("no page of this worker: %s", error)
        await stack.enter_async_context(_together(engine.running(), jobs.answering.running()))
        if app.llm:
            _background(stack, [warm_up(app.llm)])
        logger.info("working", extra={"version": __version__})
        await _ending()
        app.pulse.end()
        logger.info("stopping")


async def _no_platforms() -> Mapping[str, str]:
    return {}


@asynccontextmanager
async def _together(*contexts: AbstractAsyncContextManager[None]) -> AsyncIterator[None]:
    """Contexts that end at the same time: what each has to finish does not wait for the others."""
    for context in contexts:
        await context.__aenter__()
    try:
        yield
    finally:
        await asyncio.gather(*(context.__aexit__(None, None, None) for context in contexts), return_exceptions=True)


async def look_at_store(app: App) -> None:
    """Says what a server of Redis may lose of what it is told, as `paperboy check` does; it stops nobody.

    A SQLite file keeps what it is told, and to look through a long one takes its time.
    """
    if not is_redis(app.settings.store.url):
        return
    try:
        findings = await app.store.check()
    except StoreError as error:
        logger.warning("store not looked at: %s", error)
        return
    for finding in findings:
        logger.warning("%s: %s", finding.subject, finding.text)


def load_prompts(app: App) -> None:
    """Reads the prompts before the morning needs them; a broken one costs its language's reports, and is said now."""
    for language in {plan.language for plan in app.plans}:
        try:
            if app.reporter.analyst:
                app.reporter.analyst.prompts(language)
        except SettingsError as error:
            logger.error("broken prompt: %s", error)  # noqa: TRY400 - says it all


def _site(app: App, health: Health, engine: Engine) -> Site:
    token = app.settings.web.token
    return Site(
        store=app.store,
        links=app.links,
        language=app.settings.language,
        token=token.get_secret_value() if token else None,
        health=health,
        troubles=app.pulse.troubles,
        metrics=metrics_page(app, engine),
    )


async def for_ever(name: str, work: Callable[[], Awaitable[None]], app: App) -> None:
    """Does what must go on until it is cancelled: begins anew when it ends, and says on `/readyz` that it has."""
    while True:
        app.pulse.rise(name)
        try:
            await work()
        except Exception:
            logger.exception("ended, and begins again", extra={"work": name})
        else:
            logger.error("ended, and begins again", extra={"work": name})
        app.pulse.fall(name)
        await app.clock.sleep(AGAIN_SECONDS)


async def warm_up(llm: RunningModel) -> None:
    """The first call does it where this fails."""
    try:
        await llm.warm_up()
    except Exception:
        logger.exception("model not warmed up")


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
