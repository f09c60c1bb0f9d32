"""The channels that settings name, made when they are first wanted: a platform's trouble reaches nobody else."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TextIO

from bot.errors import SettingsError
from bot.interfaces import Channel, Clock
from bot.models import Address, PlatformName
from config.settings import Settings

Make = Callable[[Address], Channel]


class Places:
    """The channel at each address: one object an address, one connection a platform."""

    def __init__(self, makers: dict[PlatformName, Make]) -> None:
        self._makers = makers
        self._channels: dict[Address, Channel] = {}

    def at(self, address: Address) -> Channel:
        """The channel at `address`. Raises SettingsError when its platform has no token or is not in the settings."""
        if address not in self._channels:
            if address.platform not in self._makers:
                raise SettingsError(f"channels: no channel of platform {address.platform} is configured")
            self._channels[address] = self._makers[address.platform](address)
        return self._channels[address]

    @classmethod
    @asynccontextmanager
    async def opened(cls, settings: Settings, clock: Clock, stream: TextIO | None) -> AsyncIterator["Places"]:
        """Places of all platforms that the settings use; their connections end with the context."""
        platforms = {channel.platform for channel in settings.channels}
        async with AsyncExitStack() as stack:
            makers: dict[PlatformName, Make] = {PlatformName.CONSOLE: _console(stream or sys.stdout)}
            if "telegram" in platforms:
                makers[PlatformName.TELEGRAM] = _telegram(settings, clock, stack)
            if "slack" in platforms:
                makers[PlatformName.SLACK] = await _slack(settings, clock, stack)
            yield cls(makers)


def _console(stream: TextIO) -> Make:
    from bot.channels.console import ConsoleChannel

    return lambda address: ConsoleChannel(address, stream)


def _telegram(settings: Settings, clock: Clock, stack: AsyncExitStack) -> Make:
    token = settings.telegram.token
    if token is None:
        return _without("telegram.token", "the token that @BotFather gave you, in PAPERBOY_TELEGRAM__TOKEN")
    from bot.channels.telegram import TelegramChannel, shared_pace, telegram_bot

    try:
        bot = telegram_bot(token.get_secret_value(), settings.telegram.api_url)
    except SettingsError as error:
        return _refused(error)
    stack.push_async_callback(bot.request.shutdown)
    pace = shared_pace(clock)
    styles = {(c.target, c.topic): c.style for c in settings.channels if c.platform == "telegram"}
    return lambda address: TelegramChannel(
        address, bot, clock, styles.get((address.target, address.topic), "classic"), pace
    )


async def _slack(settings: Settings, clock: Clock, stack: AsyncExitStack) -> Make:
    token = settings.slack.bot_token
    if token is None:
        return _without("slack.bot_token", "the app's bot token (xoxb-…), in PAPERBOY_SLACK__BOT_TOKEN")
    from bot.channels.slack import SlackChannel, slack_client

    api_url = f"{settings.slack.api_url}/"
    client = await stack.enter_async_context(slack_client(token.get_secret_value(), api_url))
    return lambda address: SlackChannel(address, client, clock)


def _without(setting: str, cure: str) -> Make:
    return _refused(SettingsError(f"{setting}: not set; put {cure}"))


def _refused(error: SettingsError) -> Make:
    def make(_: Address) -> Channel:
        raise SettingsError(str(error))

    return make
