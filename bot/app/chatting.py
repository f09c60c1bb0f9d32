"""What answers in chats: the desk, and on each platform the handlers that hand things to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from aiohttp import web

from bot import texts
from bot.answering import Answering, Costs, Work
from bot.app.places import Clients, Places
from bot.app.process import process_name, surely_ended
from bot.app.wiring import App
from bot.daily import Daily
from bot.delivery import arguments_of
from bot.interfaces import Engine, Progress
from bot.leading import Candidate, Leading
from bot.limits import Limits, Slots
from bot.models import PlatformName
from bot.requests import Request
from bot.store.redis_url import is_redis
from config.settings import Settings
from handlers.commands import COMMANDS, SAY, Command
from handlers.desk import FrontDesk
from handlers.means import Chats, Means, Model

TELEGRAM_POLLER = "telegram"  # the lease of the process that polls


class Handlers(Protocol):
    """A platform's."""

    @property
    def state(self) -> str:
        """For `/readyz`: ok, standby, in trouble, or unknown."""

    async def run(self) -> None:
        """Hears what is asked until it is cancelled."""

    def routes(self) -> Sequence[web.RouteDef]:
        """Where the platform tells us, when it calls us."""


@dataclass(frozen=True, slots=True)
class Chatting:
    """All of it; `handlers` by platform, of those that have a token."""

    answering: Answering
    desk: FrontDesk
    handlers: Mapping[str, Handlers]

    def doors(self) -> list[web.RouteDef]:
        return [route for handlers in self.handlers.values() for route in handlers.routes()]

    @classmethod
    def of(cls, app: App, places: Places, daily: Daily, engine: Engine) -> "Chatting":
        answering, means = answering_of(app, daily, engine)
        desk = FrontDesk(means, daily.courier.tell, answering, daily.courier.channels)
        return cls(answering, desk, _handlers(app, desk, places))


def answering_of(app: App, daily: Daily, engine: Engine) -> tuple[Answering, Means]:
    """What answers requests, whoever has heard them, and what the commands work with."""
    limits = _limits(app.settings)
    works: dict[str, Work] = {}
    costs: dict[str, Costs] = {}
    slots = Slots(limits)
    answering = Answering(
        app.store,
        engine,
        daily.courier,
        works,
        pulse=app.pulse,
        slots=slots,
        costs=costs,
        provider=provider(app.settings),
        is_alone=not is_redis(app.settings.store.url),
    )
    means = Means(
        ondemand=app.ondemand,
        daily=daily,
        chats=chats(app),
        profiles=app.profiles,
        slots=slots,
        limits=limits,
        model=Model(app.settings.llm.model, app.settings.llm.daily_budget_usd),
        cancel=answering.cancel,
        send=partial(_send, engine),
        list_day=app.settings.report.list_day,
    )
    works.update({command.name: _work(command, means) for command in (*COMMANDS, SAY)})
    costs.update({command.name: _costs(command, means) for command in COMMANDS if command.costs})
    return answering, means


def provider(settings: Settings) -> str:
    """Who is asked for the model's answers ("openai"); without a model, the papers' sources are what must not be
    overrun.
    """
    return settings.llm.model.partition("/")[0] or "sources"


def chats(app: App) -> Chats:
    """Who may ask, and from where."""
    settings = app.settings
    return Chats(
        plans=app.plans,
        profile=next(iter(app.profiles.values())),
        language=settings.language,
        timezone=settings.schedule.timezone,
        allowed=frozenset(
            [
                *(f"telegram:{chat}" for chat in settings.telegram.allowed_chats),
                *(f"slack:{channel}" for channel in settings.slack.allowed_channels),
            ]
        ),
        admins=frozenset(
            [
                *(f"telegram:{user}" for user in settings.telegram.admins),
                *(f"slack:{user}" for user in settings.slack.admins),
            ]
        ),
    )


def _limits(settings: Settings) -> Limits:
    limits = settings.limits
    return Limits(limits.per_user_per_day, limits.cooldown_seconds, limits.jobs, limits.jobs_per_chat)


async def _send(engine: Engine, key: str) -> None:
    await engine.submit("deliver", f"deliver:{key}", arguments_of(key))


def _work(command: Command, means: Means) -> Work:
    async def work(request: Request, progress: Progress) -> Any:  # noqa: ANN401 - what the command's own work says
        return await command.work(means, request, progress)

    return work


def _costs(command: Command, means: Means) -> Costs:
    async def costs(request: Request) -> bool:
        return not (command.is_kept and await command.is_kept(means, request))

    return costs


def _handlers(app: App, desk: FrontDesk, places: Places) -> dict[str, Handlers]:
    found: dict[str, Handlers] = {}
    if places.clients.telegram:
        found["telegram"] = _telegram(app, desk, places.clients)
    if places.clients.slack:
        found["slack"] = _slack(app, desk, places.clients)
    return found


def _telegram(app: App, desk: FrontDesk, clients: Clients) -> Handlers:
    from handlers.telegram import TelegramHandlers, TelegramOptions

    assert clients.telegram  # noqa: S101 - the caller has looked
    settings = app.settings.telegram
    public, secret = app.settings.web.public_url, settings.webhook_secret
    options = TelegramOptions(
        mode=settings.mode,
        webhook_url=f"{public}/telegram" if public else "",
        webhook_secret=secret.get_secret_value() if secret else "",
        languages=(app.settings.language, *(one for one in texts.languages() if one != app.settings.language)),
        admins=settings.admins,
        chats=_telegram_chats(app),
    )
    candidate = Candidate(TELEGRAM_POLLER, process_name(), settings.lease_seconds, surely_ended)
    leading = Leading(candidate, app.store, app.clock, app.telemetry)
    return TelegramHandlers(clients.telegram, desk, app.clock, options, leading)


def _telegram_chats(app: App) -> tuple[int, ...]:
    """The served ones that the settings name by their IDs."""
    targets = [plan.address.target for plan in app.plans if plan.address.platform is PlatformName.TELEGRAM]
    named = (int(target) for target in targets if not target.startswith("@"))
    return tuple(dict.fromkeys((*named, *app.settings.telegram.allowed_chats)))


def _slack(app: App, desk: FrontDesk, clients: Clients) -> Handlers:
    from bot.channels.slack import home
    from handlers.slack import SlackHandlers, SlackOptions

    assert clients.slack  # noqa: S101 - the caller has looked
    settings = app.settings.slack
    options = SlackOptions(
        mode=settings.mode,
        app_token=settings.app_token.get_secret_value() if settings.app_token else None,
        signing_secret=settings.signing_secret.get_secret_value() if settings.signing_secret else None,
        api_url=f"{settings.api_url}/",
        language=app.settings.language,
    )
    return SlackHandlers(clients.slack, desk, home, options)
