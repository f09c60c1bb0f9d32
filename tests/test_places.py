"""Every address that the settings name leads to a channel; any other says which setting is missing."""

import io

import pytest

from bot.app.places import Places
from bot.channels.console import ConsoleChannel
from bot.errors import SettingsError
from bot.models import Address, PlatformName
from bot.pacing import LocalPacing
from config.settings import Settings
from tests.fakes import FakeClock

TELEGRAM = Address(PlatformName.TELEGRAM, "-1001234567890")
SLACK = Address(PlatformName.SLACK, "C0PAPERS")
CONSOLE = Address(PlatformName.CONSOLE, "")
TOKENS = {
    "telegram": {"token": "123456789:AAGfakefakefakefakefakefakefakefake"},
    "slack": {"bot_token": "xoxb-fake"},
}


def settings_of(*platforms: str, **more: object) -> Settings:
    targets = {"telegram": TELEGRAM.target, "slack": SLACK.target, "console": ""}
    channels = [{"name": name, "platform": name, "target": targets[name]} for name in platforms]
    return Settings.model_validate({"channels": channels, **more})


def opened(settings: Settings):
    clock = FakeClock()
    return Places.opened(settings, clock, io.StringIO(), LocalPacing(clock))


async def test_every_platform_of_the_settings_has_one_channel_an_address():
    async with opened(settings_of("telegram", "slack", "console", **TOKENS)) as places:
        for address in (TELEGRAM, SLACK, CONSOLE):
            assert places.at(address).address == address
            assert places.at(address) is places.at(address)


async def test_without_any_channel_there_is_the_terminal():
    async with opened(settings_of()) as places:
        assert isinstance(places.at(CONSOLE), ConsoleChannel)


@pytest.mark.parametrize("address", [TELEGRAM, SLACK])
async def test_a_platform_that_left_the_settings_is_named(address: Address):
    async with opened(settings_of("console")) as places:
        with pytest.raises(
            SettingsError, match=rf"^channels: no channel of platform {address.platform} is configured$"
        ):
            places.at(address)


@pytest.mark.parametrize(("address", "setting"), [(TELEGRAM, "telegram.token"), (SLACK, "slack.bot_token")])
async def test_a_missing_token_is_named_each_time_and_costs_the_other_platform_nothing(address: Address, setting: str):
    tokens = {name: values for name, values in TOKENS.items() if not setting.startswith(name)}
    async with opened(settings_of("telegram", "slack", **tokens)) as places:
        for _ in range(2):
            with pytest.raises(SettingsError, match=f"^{setting}: not set; .*PAPERBOY_"):
                places.at(address)
        other = SLACK if address is TELEGRAM else TELEGRAM
        assert places.at(other).address == other


async def test_an_empty_token_is_a_missing_one():
    async with opened(settings_of("telegram", telegram={"token": ""})) as places:
        with pytest.raises(SettingsError, match=r"^telegram\.token: "):
            places.at(TELEGRAM)


async def test_a_chat_that_moved_has_a_channel_at_its_new_address():
    async with opened(settings_of("telegram", **TOKENS)) as places:
        moved = Address(PlatformName.TELEGRAM, "-100777")
        assert places.at(moved).address == moved
