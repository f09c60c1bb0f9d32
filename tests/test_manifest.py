"""The Slack app's manifest: generated, within Slack's limits, and about what the handlers listen to."""

from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # the stubs are no dependency of ours, and safe_load needs none

from handlers import manifest
from handlers.commands import COMMANDS, UMBRELLA
from handlers.slack import service
from handlers.slack.options import OWN_COMMANDS, SHORTCUT, SlackOptions

FILE = Path(__file__).parents[1] / "app_manifest.yaml"
# What each bot event needs, https://docs.slack.dev/reference/events; none for what is sent without a scope.
NEEDED = {
    "app_mention": "app_mentions:read",
    "channel_archive": "channels:read",
    "channel_deleted": "channels:read",
    "channel_id_changed": "channels:read",
    "channel_left": "channels:read",
    "channel_unarchive": "channels:read",
    "group_archive": "groups:read",
    "group_deleted": "groups:read",
    "group_left": "groups:read",
    "group_unarchive": "groups:read",
    "member_joined_channel": "channels:read",
    "message.im": "im:history",
}


@pytest.fixture(scope="module")
def app() -> Any:
    return yaml.safe_load(manifest.manifest())


def test_the_file_is_what_the_table_says() -> None:
    assert FILE.read_text(encoding="utf-8") == manifest.manifest(), "python -m handlers.manifest > app_manifest.yaml"


def test_it_asks_for_what_the_bot_uses_and_no_more(app: Any) -> None:
    scopes = app["oauth_config"]["scopes"]["bot"]
    events = app["settings"]["event_subscriptions"]["bot_events"]
    posting = {"chat:write", "channels:history", "groups:history", "reactions:write", "commands", "groups:read"}
    assert set(scopes) == posting | {NEEDED[name] for name in events if name in NEEDED}
    assert scopes == sorted(scopes)
    assert set(events) == set(service.EVENTS)
    assert app["settings"]["interactivity"]["is_enabled"] is True
    assert app["settings"]["socket_mode_enabled"] is True


def test_every_scope_says_why() -> None:
    assert all(manifest.SCOPES.values())


def test_its_commands_are_those_that_the_handlers_take(app: Any) -> None:
    commands = app["features"]["slash_commands"]
    names = [command["command"] for command in commands]
    assert names == [f"/{command.name}" for command in COMMANDS if command.slash] + [f"/{UMBRELLA}"]
    assert names == [f"/{name}" for name in SlackOptions().commands] == [f"/{name}" for name in OWN_COMMANDS]
    for command in commands:
        assert 1 <= len(command["description"]) <= 2_000
        assert 1 <= len(command["usage_hint"]) <= 1_000
        assert "/" not in command["usage_hint"][:1]
        assert command["should_escape"] is False
    [shortcut] = app["features"]["shortcuts"]
    assert (shortcut["type"], shortcut["callback_id"]) == ("message", SHORTCUT)
    assert len(shortcut["name"]) <= 24
    assert len(shortcut["description"]) <= 150


def test_it_stays_within_slacks_limits(app: Any) -> None:
    assert set(app) == {"_metadata", "display_information", "features", "oauth_config", "settings"}
    assert len(app["display_information"]["name"]) <= 35
    assert len(app["display_information"]["description"]) <= 140


def test_the_lines_for_http_mode_make_it_one_for_http_mode(app: Any) -> None:
    text = (
        manifest.manifest().replace("# http: ", "").replace("socket_mode_enabled: true", "socket_mode_enabled: false")
    )
    over_http = yaml.safe_load(text)
    assert {command["url"] for command in over_http["features"]["slash_commands"]} == {manifest.PUBLIC_URL}
    settings = over_http["settings"]
    assert settings["event_subscriptions"]["request_url"] == settings["interactivity"]["request_url"]
    assert settings["socket_mode_enabled"] is False
