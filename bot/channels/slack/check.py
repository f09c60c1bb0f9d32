"""What `paperboy check` asks of Slack: the token, its scopes, the channel. Posts nothing."""

from collections.abc import Sequence
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.channels.slack.api import Answer, SlackError, answer, slack_client
from bot.models import Address, Finding

_TOKEN = "slack.bot_token"  # noqa: S105 - the setting's name
_APP_TOKEN = "slack.app_token"  # noqa: S105 - the setting's name
_API = "slack.api_url"
_HISTORY = ("channels:history", "groups:history")
_REINSTALL = "add it under OAuth & Permissions (app_manifest.yaml has all) and install the app again"
_OTHER_TOKENS = {
    "xapp-": "the app-level token (xapp-…), which belongs to slack.app_token",
    "xoxp-": "a person's token (xoxp-…), which would post in that person's name",
}
_NO_RIGHT_TO_LOOK = {"missing_scope", "unknown_method", "no_permission"}


async def check(client: AsyncWebClient, address: Address) -> Sequence[Finding]:
    """Findings in the order in which they are mended; a token that does not work ends the list."""
    token = client.token or ""
    for start, what in _OTHER_TOKENS.items():
        if token.startswith(start):
            return (Finding("error", _TOKEN, f"this is {what}; the bot token starts with xoxb-"),)
    try:
        identity = await answer(client.auth_test())
    except SlackError as error:
        return (_token_refused(error) if error.code else _unreachable(error),)
    name = f"@{identity.data.get('user') or 'paperboy'}"
    ok = Finding("ok", _TOKEN, f"{name} in {identity.data.get('team') or 'the workspace'}")
    return (ok, *_missing_scopes(identity), *await _channel(client, address, name, identity))


async def check_app_token(token: str, api_url: str) -> Sequence[Finding]:
    """Would Slack open a websocket for it? Opens none."""
    async with slack_client(token, api_url) as client:
        try:
            await answer(client.apps_connections_open(app_token=token))
        except SlackError as error:
            if not error.code:
                return (_unreachable(error),)
            text = f"Slack refuses it ({error.code}): make an app-level token (xapp-…) with connections:write again"
            return (Finding("error", _APP_TOKEN, text),)
    return (Finding("ok", _APP_TOKEN, "commands and buttons arrive over Socket Mode"),)


def _token_refused(error: SlackError) -> Finding:
    return Finding("error", _TOKEN, f"Slack refuses it ({error.code}): copy the Bot User OAuth Token (xoxb-…) again")


def _unreachable(error: SlackError) -> Finding:
    text = f"{error}; check the address (it ends in /api/), the network and the proxy"
    return Finding("error", _API, text)


def _missing_scopes(identity: Answer) -> Sequence[Finding]:
    """Nothing is said where the answer names no scopes."""
    if identity.scopes is None:
        return ()
    findings = []
    if "chat:write" not in identity.scopes:
        findings.append(Finding("error", _TOKEN, f"scope chat:write is missing: {_REINSTALL}"))
    if not identity.scopes.intersection(_HISTORY):
        text = f"without {' and '.join(_HISTORY)} a message whose answer was lost stays unknown: {_REINSTALL}"
        findings.append(Finding("warning", _TOKEN, text))
    return findings


async def _channel(client: AsyncWebClient, address: Address, bot: str, identity: Answer) -> Sequence[Finding]:
    """conversations.info needs channels:read, which an older app has not; history tells all but `is_archived`."""
    try:
        info = await answer(client.conversations_info(channel=address.target))
        return _membership(info.data.get("channel") or {}, address, bot, identity)
    except SlackError as error:
        if error.code not in _NO_RIGHT_TO_LOOK:
            return (_no_channel(error, address, bot),)
    try:
        await answer(client.conversations_history(channel=address.target, limit=1))
    except SlackError as error:
        if error.code not in _NO_RIGHT_TO_LOOK:
            return (_no_channel(error, address, bot),)
        text = f"no scope to see the channel ({error.needed or 'channels:history'}): not checked"
        return (Finding("warning", str(address), text),)
    return (Finding("ok", str(address), f"{bot} is in the channel"),)


def _membership(channel: dict[str, Any], address: Address, bot: str, identity: Answer) -> Sequence[Finding]:
    if channel.get("is_archived"):
        return (Finding("error", str(address), "the channel is archived: unarchive it or choose another target"),)
    public_posting = "chat:write.public" in (identity.scopes or ()) and not channel.get("is_private")
    if channel.get("is_member") is False and not public_posting:
        return (Finding("error", str(address), f"the bot is not in the channel: type /invite {bot} there"),)
    return (Finding("ok", str(address), f"{bot} can post there"),)


def _no_channel(error: SlackError, address: Address, bot: str) -> Finding:
    if error.code == "not_in_channel":
        return Finding("error", str(address), f"the bot is not in the channel: type /invite {bot} there")
    if error.code == "channel_not_found":
        text = f"no such channel, or a private one without the bot: copy the ID (C…) and type /invite {bot} there"
        return Finding("error", str(address), text)
    return Finding("error" if error.code else "warning", str(address), f"the channel could not be checked: {error}")
