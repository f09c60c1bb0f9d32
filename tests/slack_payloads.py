"""The bodies that Slack sends for what people do, after https://docs.slack.dev/reference/interaction-payloads."""

import itertools
import time
from typing import Any

Json = dict[str, Any]
_numbers = itertools.count(1)

TEAM = {"id": "T0TEAM", "domain": "team"}
BOT_USER = "U0BOT"


def stamp() -> str:
    return f"{time.time():.3f}{next(_numbers) % 1000:03d}"


def event(event: Json, **changes: Any) -> Json:
    """The wrapper of every event of the Events API."""
    return {
        "token": "verification",
        "team_id": TEAM["id"],
        "api_app_id": "A0APP",
        "event": {"event_ts": stamp(), **event},
        "type": "event_callback",
        "event_id": f"Ev0{next(_numbers):08d}",
        "event_time": int(time.time()),
        "authorizations": [
            {"enterprise_id": None, "team_id": TEAM["id"], "user_id": BOT_USER, "is_bot": True},
        ],
        "is_ext_shared_channel": False,
        **changes,
    }


def message(text: str, user: str, ts: str, thread: str = "") -> Json:
    return {
        "type": "message",
        "user": user,
        "text": text,
        "ts": ts,
        "team": TEAM["id"],
        "client_msg_id": f"cmid-{ts}",
        **({"thread_ts": thread} if thread else {}),
    }


def command(text: str, channel: str, user: str, response_url: str) -> Json:
    name, _, words = text.partition(" ")
    return {
        "token": "verification",
        "team_id": TEAM["id"],
        "team_domain": TEAM["domain"],
        "channel_id": channel,
        "channel_name": "directmessage" if channel.startswith("D") else "papers",
        "user_id": user,
        "user_name": user.lower(),
        "command": name,
        "text": words,
        "api_app_id": "A0APP",
        "is_enterprise_install": "false",
        "response_url": response_url,
        "trigger_id": f"{next(_numbers)}.{next(_numbers)}.abcdef",
    }


def _interaction(kind: str, user: str, response_url: str) -> Json:
    return {
        "type": kind,
        "token": "verification",
        "team": TEAM,
        "user": {"id": user, "username": user.lower(), "name": user.lower(), "team_id": TEAM["id"]},
        "api_app_id": "A0APP",
        "is_enterprise_install": False,
        "enterprise": None,
        "trigger_id": f"{next(_numbers)}.{next(_numbers)}.abcdef",
        "response_url": response_url,
    }


def tap(button: Json, under: Json, channel: str, user: str, response_url: str) -> Json:
    thread = {"thread_ts": under["thread_ts"]} if "thread_ts" in under else {}
    action = {name: button[name] for name in ("action_id", "text", "value", "url", "type") if name in button}
    return {
        **_interaction("block_actions", user, response_url),
        "container": {"type": "message", "message_ts": under["ts"], "channel_id": channel, **thread},
        "channel": {"id": channel, "name": "papers"},
        "message": {name: value for name, value in under.items() if name not in ("metadata", "reactions")},
        "state": {"values": {}},
        "actions": [{**action, "block_id": "b1", "action_ts": stamp()}],
    }


def shortcut(callback_id: str, on: Json, channel: str, user: str, response_url: str) -> Json:
    return {
        **_interaction("message_action", user, response_url),
        "callback_id": callback_id,
        "action_ts": stamp(),
        "message_ts": on["ts"],
        "channel": {"id": channel, "name": "papers"},
        "message": {name: value for name, value in on.items() if name not in ("metadata", "reactions")},
    }
