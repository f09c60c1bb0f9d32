"""Slack's payloads -> what was asked. Pure; None for what is nobody's question to us.

Payloads: https://docs.slack.dev/reference/interaction-payloads, https://docs.slack.dev/reference/events
"""

import re
from collections.abc import Mapping
from typing import Any

from bot.models import Address, PlatformName
from handlers.asked import Asked
from handlers.commands import COMMANDS, UMBRELLA
from handlers.slack.text import first_mentioned, quoted, typed

Payload = Mapping[str, Any]

_NAMES = frozenset(command.name for command in COMMANDS)
_FOREIGN = re.compile(r"[^A-Za-z0-9:./_-]")
_DIRECT = "D"  # how the IDs of direct messages begin


def command(body: Payload) -> Asked:
    """A slash command; the umbrella's first word becomes the command where it is one."""
    channel, name = _word(body, "channel_id"), _word(body, "command").removeprefix("/")
    return Asked(
        key=_key(_word(body, "trigger_id") or f"{channel}/{_word(body, 'user_id')}"),
        user=_user(_word(body, "user_id")),
        address=chat(channel),
        text=_spoken(name, typed(_word(body, "text"))),
        private=channel.startswith(_DIRECT),
        aside=True,
    )


def mention(body: Payload, bot: str) -> Asked | None:
    """A message that names the bot; the answer goes into its thread."""
    event = _part(body, "event")
    if not _is_somebodys(event, bot):
        return None
    channel, stamp, thread = _word(event, "channel"), _word(event, "ts"), _word(event, "thread_ts")
    text = _word(event, "text")
    return Asked(
        key=_event_key(body),
        user=_user(_word(event, "user")),
        address=_answered(channel, thread, stamp),
        text=typed(text, bot or first_mentioned(text)),
        message=stamp,
        thread=thread,
        private=channel.startswith(_DIRECT),
    )


def direct(body: Payload, bot: str) -> Asked | None:
    """A direct message to the bot."""
    event = _part(body, "event")
    if event.get("channel_type") != "im" or "subtype" in event or not _is_somebodys(event, bot):
        return None
    channel, thread = _word(event, "channel"), _word(event, "thread_ts")
    return Asked(
        key=_event_key(body),
        user=_user(_word(event, "user")),
        address=_answered(channel, thread, ""),
        text=typed(_word(event, "text"), bot),
        message=_word(event, "ts"),
        thread=thread,
        private=True,
    )


def tap(body: Payload) -> Asked | None:
    """A button that is an action, under a message or on the bot's own page (then the answer is a direct message)."""
    actions = body.get("actions")
    action = actions[0] if isinstance(actions, list) and actions and isinstance(actions[0], dict) else {}
    text, user = _word(action, "value"), _word(_part(body, "user"), "id")
    if not text or not user:
        return None
    message = _part(body, "message")
    container = _part(body, "container")
    channel = _word(_part(body, "channel"), "id") or _word(container, "channel_id")
    stamp = _word(message, "ts") or _word(container, "message_ts")
    thread = _word(message, "thread_ts") or _word(container, "thread_ts")
    return Asked(
        key=_key(f"{_word(action, 'action_ts')}/{user}/{stamp}"),
        user=_user(user),
        address=_answered(channel or user, thread, stamp),
        text=text,
        about=stamp,
        thread=thread,
        quoted=quoted(message),
        private=not channel or channel.startswith(_DIRECT),
        tap=True,
        aside=True,
    )


def shortcut(body: Payload) -> Asked | None:
    """The message menu's "deep dive": a question about what the message names."""
    message, channel = _part(body, "message"), _word(_part(body, "channel"), "id")
    stamp, user = _word(message, "ts") or _word(body, "message_ts"), _word(_part(body, "user"), "id")
    if not channel or not user:
        return None
    thread = _word(message, "thread_ts")
    return Asked(
        key=_key(_word(body, "trigger_id") or f"{_word(body, 'action_ts')}/{user}/{stamp}"),
        user=_user(user),
        address=_answered(channel, thread, stamp),
        text="/deepdive",
        about=stamp,
        thread=thread,
        quoted=quoted(message),
        private=channel.startswith(_DIRECT),
        aside=True,
    )


def chat(channel: str) -> Address:
    """A whole channel."""
    return Address(PlatformName.SLACK, channel)


def own_id(body: Payload) -> str:
    """The bot's user ID as an event names it, "" where it does not."""
    found = body.get("authorizations")
    entries = [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
    return next((_word(entry, "user_id") for entry in entries if entry.get("is_bot")), "")


def _is_somebodys(event: Payload, bot: str) -> bool:
    """No bot's, not our own, and no later state of a message that was answered before."""
    user = _word(event, "user")
    return (
        bool(user and _word(event, "channel"))
        and user != bot
        and not any(event.get(sign) for sign in ("bot_id", "bot_profile", "edited", "hidden"))
    )


def _answered(channel: str, thread: str, stamp: str) -> Address:
    """In a channel under the message itself; a direct message has threads only where somebody began one."""
    root = thread or ("" if channel[:1] in (_DIRECT, "U", "W") else stamp)
    return Address(PlatformName.SLACK, channel, thread=root or None)


def _spoken(name: str, text: str) -> str:
    if name != UMBRELLA:
        return f"/{name} {text}".rstrip()
    first, *rest = text.split(maxsplit=1)[:2] or ("help",)
    word = first.removeprefix("/").lower()
    return " ".join((f"/{word}", *rest)) if word in _NAMES else text


def _event_key(body: Payload) -> str:
    event = _part(body, "event")
    return _key(_word(body, "event_id") or f"{_word(event, 'channel')}/{_word(event, 'ts')}")


def _key(text: str) -> str:
    return "slack:" + _FOREIGN.sub("_", text)


def _user(user: str) -> str:
    return f"slack:{user}"


def _part(payload: Payload, name: str) -> Payload:
    found = payload.get(name)
    return found if isinstance(found, dict) else {}


def _word(payload: Payload, name: str) -> str:
    found = payload.get(name)
    return found if isinstance(found, str) else ""
