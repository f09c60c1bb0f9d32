"""The channels that settings name, made when they are first wanted: a platform's trouble reaches nobody else."""

import sys
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TextIO

from bot.app.counting import http_trace
from bot.channels.pace import Gate
from bot.errors import SettingsError
from bot.interfaces import Channel, Clock, NoTelemetry, Pacing, Telemetry
from bot.models import Address, PlatformName
from config.settings import Settings

if TYPE_CHECKING:  # their libraries are imported where they are needed
    from slack_sdk.web.async_client import AsyncWebClient
    from telegram import Bot

Make = Callable[[Address], Channel]

KEPT = 2_000  # channels; threads come and go, and one that is made anew has forgotten nothing but its last seconds


@dataclass(frozen=True, slots=True)
class Clients:
    """The platforms' own clients, for the handlers; None for a platform without a (readable) token."""

    telegram: "Bot | None" = None
    slack: "AsyncWebClient | None" = None


class Places:
    """The channel at each address: one object an address, one connection a platform."""

    def __init__(self, makers: dict[PlatformName, Make], clients: Clients = Clients()) -> None:
        self._makers = makers
        self._channels: OrderedDict[Address, Channel] = OrderedDict()
        self.clients = clients

    def at(self, address: Address) -> Channel:
        """The channel at `address`. Raises SettingsError when its platform has no token or is not in the settings."""
        if address not in self._channels:
            if address.platform not in self._makers:
                raise SettingsError(f"channels: no channel of platform {address.platform} is configured")
            self._channels[address] = self._makers[address.platform](address)
        self._channels.move_to_end(address)
        if len(self._channels) > KEPT:
            self._channels.popitem(last=False)
        return self._channels[address]

    @classmethod
    @asynccontextmanager
    async def opened(
        cls,
        settings: Settings,
        clock: Clock,
        stream: TextIO | None,
        pacing: Pacing,
        telemetry: Telemetry = NoTelemetry(),
    ) -> AsyncIterator["Places"]:
        """Places of all platforms that the settings use; their connections end with the context.

        `pacing` counts what their limits have left, in all processes that share the store.
        """
        gates = partial(Gate, pacing, clock)
        platforms = {channel.platform for channel in settings.channels}
        telegram: Bot | None = None
        slack: AsyncWebClient | None = None
        async with AsyncExitStack() as stack:
            makers: dict[PlatformName, Make] = {PlatformName.CONSOLE: _console(stream or sys.stdout)}
            if "telegram" in platforms or settings.telegram.token:
                makers[PlatformName.TELEGRAM], telegram = _telegram(settings, gates, stack, telemetry)
            if "slack" in platforms or settings.slack.bot_token:
                makers[PlatformName.SLACK], slack = await _slack(settings, gates, stack, telemetry)
            yield cls(makers, Clients(telegram, slack))


def _console(stream: TextIO) -> Make:
    from bot.channels.console import ConsoleChannel

    return lambda address: ConsoleChannel(address, stream)


def _telegram(
    settings: Settings, gates: Callable[..., Gate], stack: AsyncExitStack, telemetry: Telemetry
) -> "tuple[Make, Bot | None]":
    token = settings.telegram.token
    if token is None:
        return _without("telegram.token", "the token that @BotFather gave you, in PAPERBOY_TELEGRAM__TOKEN"), None
    from bot.channels.telegram import ALL, TelegramChannel, telegram_bot

    try:
        bot = telegram_bot(token.get_secret_value(), settings.telegram.api_url, telemetry)
    except SettingsError as error:
        return _refused(error), None
    stack.push_async_callback(bot.request.shutdown)
    gate = gates(ALL)
    styles = {(c.target, c.topic): c.style for c in settings.channels if c.platform == "telegram"}

    def make(address: Address) -> Channel:
        style = styles.get((address.target, address.topic), "classic")
        return TelegramChannel(address, bot, gate, style)

    return make, bot


async def _slack(
    settings: Settings, gates: Callable[..., Gate], stack: AsyncExitStack, telemetry: Telemetry
) -> "tuple[Make, AsyncWebClient | None]":
    token = settings.slack.bot_token
    if token is None:
        return _without("slack.bot_token", "the app's bot token (xoxb-…), in PAPERBOY_SLACK__BOT_TOKEN"), None
    from bot.channels.slack import SlackChannel, slack_client

    api_url = f"{settings.slack.api_url}/"
    traces = [http_trace(telemetry, "slack")]
    client = await stack.enter_async_context(slack_client(token.get_secret_value(), api_url, traces))
    gate = gates()
    hears = (settings.slack.app_token if settings.slack.mode == "socket" else settings.slack.signing_secret) is not None
    return lambda address: SlackChannel(address, client, gate, interactive=hears), client


def _without(setting: str, cure: str) -> Make:
    return _refused(SettingsError(f"{setting}: not set; put {cure}"))


def _refused(error: SettingsError) -> Make:
    def make(_: Address) -> Channel:
        raise SettingsError(str(error))

    return make
