"""The commands that only read the store: what was scored before, and how things stand."""

import argparse
import sys
from datetime import datetime

import config
from bot import delivery, schedule, texts
from bot.app import App, Parts, opened
from bot.models import PartState
from bot.report import compose
from bot.requests import Request
from bot.terminal import objects
from bot.terminal.commands import reader, show
from bot.terminal.status import DONE
from handlers.papers import FOUND_COUNTED, FOUND_SHOWN, found_in, searched
from handlers.standing import SAID_AT_ONCE


async def search(loaded: config.Loaded, arguments: argparse.Namespace) -> int:
    """Among the papers that reports for a profile have scored."""
    async with opened(loaded, Parts()) as app:
        profile, language = reader(app, arguments)
        asked = " ".join(arguments.words)
        entries = await app.ondemand.search(profile.name, searched(asked), FOUND_COUNTED)
        if arguments.json:
            print(objects.written(objects.of_found(asked, entries)))
        else:
            shown = found_in(entries[:FOUND_SHOWN])
            await show([compose.found(asked, shown, len(entries), texts.load(language))], sys.stdout)
    return DONE


async def status(loaded: config.Loaded, arguments: argparse.Namespace) -> int:
    """What a bot that works on the same store has done and will do."""
    async with opened(loaded, Parts()) as app:
        profile, language = reader(app, arguments)
        made = await _standing(app, profile.name, language)
        if arguments.json:
            print(objects.written(objects.of_status(made)))
        else:
            await show([compose.status(made, texts.load(language))], sys.stdout)
    return DONE


async def _standing(app: App, profile: str, language: str) -> compose.Status:
    now, store = app.clock.now(), app.store
    waiting: tuple[Request, ...] = tuple(one for one in await store.open_requests() if one.command not in SAID_AT_ONCE)
    troubled = await store.troubled(delivery.TROUBLED_LOOKED_AT)
    day = await store.newest_ranking_day(profile)
    report = await store.report(day, profile, language) if day else None
    return compose.Status(
        profile=profile,
        timezone=app.settings.schedule.timezone,
        last=report.key.day if report else None,
        last_chosen=len(report.ranking.chosen) if report else 0,
        next_at=_next(app, profile, now),
        working=len(waiting),
        queued=0,
        requests=waiting,
        model=app.settings.llm.model,
        spent=await store.spent(now.date()),
        budget=app.settings.llm.daily_budget_usd,
        unknown=sum(part.state is PartState.UNKNOWN for part in troubled),
    )


def _next(app: App, profile: str, now: datetime) -> datetime | None:
    plans = [plan for plan in app.plans if plan.profile.name == profile] if app.settings.schedule.enabled else []
    return min((at for plan in plans if (at := schedule.next_after(plan, now)) is not None), default=None)
