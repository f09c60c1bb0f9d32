"""The commands: settings and arguments -> use case -> words or JSON, and an exit code."""

import argparse
import logging
import sys
from collections.abc import Sequence
from datetime import date, datetime
from typing import TextIO

import config
from bot import delivery, schedule, texts
from bot.app import App, Parts, opened, posting
from bot.app.running import only_shared
from bot.app.running import run as run_until_told
from bot.app.running import work as work_until_told
from bot.app.watching import watched_by_the_operator
from bot.app.wiring import catch_up
from bot.daily import Job, Summary
from bot.errors import InputError, Outcome, SendError
from bot.interfaces import Brief
from bot.models import Address, ArxivId, ChannelPlan, Meter, PlatformName, Profile, Report
from bot.report import compose
from bot.report.document import Document
from bot.terminal import demonstration, objects, pages, status
from bot.terminal.deliveries import OPEN, listed, worth_reading
from bot.terminal.progress import shown
from handlers import parsing

logger = logging.getLogger(__name__)


async def demo(loaded: config.Loaded, arguments: argparse.Namespace) -> int:
    """A whole day with no account: whatever is configured, nothing is posted."""
    words = texts.load(loaded.settings.language)
    pages.make(arguments.output)
    source, origin = await demonstration.source(loaded.settings, arguments.list)
    store = arguments.output / demonstration.STORE
    parts = Parts(source=source, store=store, metadata=False, full_texts=demonstration.full_texts(origin))
    async with opened(loaded, parts) as app, posting(app) as daily:
        plan = demonstration.plan(app)
        with shown(words) as progress:
            summary = await daily.preview(Job(source.day_list.day, (plan,), exact=True), progress)
        [made] = summary.reports
        files = pages.write(arguments.output, daily, summary.reports)
        if arguments.json:
            print(objects.written(objects.of_summary(source.day_list.day, summary)))
        else:
            await show(daily.documents(made), sys.stdout)
        _note(words(f"cli.demo_{origin}", day=made.key.day))
        _note(words("cli.pages", files=", ".join(map(str, files))))
        _note(words("cli.demo_next"))
        return status.of_summary(summary, with_model=app.llm is not None)


async def run(loaded: config.Loaded, arguments: argparse.Namespace) -> int:
    """The bot, until a signal ends it."""
    del arguments
    async with watched_by_the_operator() as telemetry, opened(loaded, Parts(telemetry=telemetry)) as app:
        await run_until_told(app)
    return status.DONE


async def worker(loaded: config.Loaded, arguments: argparse.Namespace) -> int:
    """The work of others that run, until a signal ends it."""
    del arguments
    only_shared(loaded.settings)
    async with watched_by_the_operator() as telemetry, opened(loaded, Parts(telemetry=telemetry)) as app:
        await work_until_told(app)
    return status.DONE


async def report(loaded: config.Loaded, arguments: argparse.Namespace) -> int:
    """One day's job now."""
    words = texts.load(loaded.settings.language)
    stream = sys.stderr if arguments.json else sys.stdout
    async with opened(loaded, Parts()) as app, posting(app, stream) as daily:
        job, started = _job(app, arguments), app.clock.now()
        with shown(words) as progress:
            if arguments.preview is None:
                await _open(app, job.plans)
                summary = await daily.run(job, progress)
            else:
                summary = await daily.preview(job, progress)
        if arguments.preview is not None:
            _note(words("cli.pages", files=", ".join(map(str, pages.write(arguments.preview, daily, summary.reports)))))
        if arguments.json:
            print(objects.written(objects.of_summary(job.day, summary)))
        else:
            await _tell(summary, words, app, started)
        return status.of_summary(summary, with_model=app.llm is not None)


async def deliveries(loaded: config.Loaded, arguments: argparse.Namespace) -> int:
    """What was sent; or the operator's word on a part that nobody knows the fate of."""
    words = texts.load(loaded.settings.language)
    async with opened(loaded, Parts()) as app:
        if arguments.send:
            now = app.clock.now()
            key = await delivery.settle(app.store, arguments.send, delivery.Settling.SEND, now, catch_up(app))
            async with posting(app) as daily:
                done = await delivery.deliver(key, daily.courier)
            print(words("cli.delivery", channel=done.channel, state=words(f"cli.state_{done.state}"), parts=done.parts))
            return status.of_summary(Summary(deliveries=(done,)), with_model=False)
        if arguments.drop:
            await delivery.settle(app.store, arguments.drop, delivery.Settling.DROP, app.clock.now())
            print(words("cli.dropped", part=arguments.drop))
            return status.DONE
        listed(await worth_reading(app.store), words, sys.stdout)
        return status.DONE


async def deep_dive(loaded: config.Loaded, arguments: argparse.Namespace) -> int:
    """Reads one paper."""
    arxiv_id = ArxivId.parse(arguments.id)
    async with opened(loaded, Parts()) as app:
        profile, language = reader(app, arguments)
        with shown(texts.load(app.settings.language)) as progress:
            dive = await app.ondemand.deep_dive(arxiv_id, Brief(profile, language, Meter(), progress=progress))
        if arguments.json:
            print(objects.written(objects.of_deep_dive(dive)))
        else:
            words = texts.load(language)
            await show([compose.deep_dive(dive, words, links=app.links)], sys.stdout)
        return status.of_analyst(dive.analyst, with_model=app.llm is not None)


async def ask(loaded: config.Loaded, arguments: argparse.Namespace) -> int:
    """Answers a question out of one paper."""
    arxiv_id = ArxivId.parse(arguments.id)
    async with opened(loaded, Parts()) as app:
        profile, language = reader(app, arguments)
        question = " ".join(arguments.question)
        with shown(texts.load(app.settings.language)) as progress:
            brief = Brief(profile, language, Meter(), progress=progress)
            made = await app.ondemand.ask(arxiv_id, question, (), brief)
        if arguments.json:
            print(objects.written(objects.of_answer(made)))
        else:
            await show([compose.answer(made, texts.load(language), links=app.links)], sys.stdout)
        return status.of_analyst(made.analyst, with_model=app.llm is not None)


async def top(loaded: config.Loaded, arguments: argparse.Namespace) -> int:
    """The ranking of a day, scored now where it is not known."""
    async with opened(loaded, Parts()) as app:
        profile, language = reader(app, arguments)
        words = texts.load(language)
        day = arguments.date or await app.store.newest_ranking_day(profile.name)
        if day is None:
            day = (await app.reporter.lists.newest(_default_day(app))).day
        else:
            _refuse_days_without_lists(day, app)
        with shown(words) as progress:
            ranking = await app.ondemand.top(profile, language, day, progress)
        if arguments.json:
            print(objects.written(objects.of_ranking(ranking, arguments.count, words)))
        elif not ranking.entries:
            print(words("note.no_list", day=day))
        else:
            await show([compose.ranking(ranking, words, count=arguments.count)], sys.stdout)
        return status.of_ranking(ranking, with_model=app.llm is not None)


def _job(app: App, arguments: argparse.Namespace) -> Job:
    if arguments.date:
        _refuse_days_without_lists(arguments.date, app)
    day = arguments.date or _default_day(app)
    return Job(day, _wanted(app, arguments), exact=arguments.date is not None, again=arguments.again, retry=True)


def _wanted(app: App, arguments: argparse.Namespace) -> tuple[ChannelPlan, ...]:
    """The channels that the arguments name, all without any. Raises InputError for names that nobody has."""
    names = {plan.name for plan in app.plans}
    for name in arguments.channel or ():
        if name not in names:
            raise InputError(f"no channel {name!r}", key="cli.no_channel", name=name, names=", ".join(sorted(names)))
    plans = [plan for plan in app.plans if not arguments.channel or plan.name in arguments.channel]
    if arguments.profile is None:
        return tuple(plans)
    profile = _profile(app, arguments.profile)
    wanted = tuple(plan for plan in plans if plan.profile == profile)
    if not wanted and arguments.preview is not None:
        return (demonstration.plan(app, profile),)
    if not wanted:
        raise InputError("no channel of the profile", key="cli.no_channel_of_profile", name=arguments.profile)
    return wanted


def reader(app: App, arguments: argparse.Namespace) -> tuple[Profile, str]:
    """For whom and in which language the arguments ask. Raises InputError."""
    language = arguments.language or app.settings.language
    if language not in texts.languages():
        known = ", ".join(texts.languages())
        raise InputError(f"no language {language!r}", key="cli.no_language", name=language, names=known)
    return _profile(app, arguments.profile), language


def _profile(app: App, name: str | None) -> Profile:
    if name is None:
        return next(iter(app.profiles.values()))
    if name not in app.profiles:
        raise InputError(f"no profile {name!r}", key="cli.no_profile", name=name, names=", ".join(app.profiles))
    return app.profiles[name]


def _default_day(app: App) -> date:
    return schedule.default_day(app.clock.now(), app.settings.report.list_day)


def _refuse_days_without_lists(day: date, app: App) -> None:
    parsing.refuse_days_without_lists(day, app.clock.now().date())


async def _open(app: App, plans: Sequence[ChannelPlan]) -> None:
    """Whoever runs a report by hand wants channels tried again that were given up."""
    for plan in plans:
        await delivery.reopen(plan.address, app.store, app.clock.now() - catch_up(app))


async def show(documents: Sequence[Document], stream: TextIO) -> None:
    """Prints documents as a console channel would."""
    from bot.channels.console import ConsoleChannel
    from bot.interfaces import Thread

    channel = ConsoleChannel(Address(PlatformName.CONSOLE, ""), stream)
    for message in channel.render(documents):
        try:
            await channel.send("", message, Thread(None, {}))
        except SendError as error:
            if error.outcome is not Outcome.GONE:  # the reader of the pipe has seen enough
                raise
            return


async def _tell(summary: Summary, words: texts.Texts, app: App, started: datetime) -> None:
    """What the run did, a line a report and a channel, beside the report itself."""
    for made in summary.reports:
        _note(_about(made, words))
        if made.ranking.fallback:
            _note(words("digest.fallback", reason=words(made.ranking.fallback)))
    for line in summary.deliveries:
        parts = await app.store.delivery(line.key)
        new = any(part.updated_at and part.updated_at >= started for part in parts)
        state = words(f"cli.state_{line.state}")
        key = "cli.delivery" if new or not parts else "cli.delivery_before"
        _note(words(key, channel=line.channel, state=state, parts=line.parts))
        for error in dict.fromkeys(part.error for part in parts if part.state in OPEN and part.error):
            _note(f"    {error}")
        if any(part.state in OPEN for part in parts):
            _note(f"    {words('cli.settle', part=line.key)}")


def _about(made: Report, words: texts.Texts) -> str:
    if made.note:
        return words(made.note, day=made.key.day)
    ranking = made.ranking
    counts = {"listed": ranking.listed, "scored": ranking.scored, "chosen": len(ranking.chosen)}
    return f"{made.key}: {words('digest.scanned', **counts)}"


def _note(line: str) -> None:
    print(line, file=sys.stderr)
