"""Slack's app manifest, made from COMMANDS: `python -m handlers.manifest > app_manifest.yaml`.

Written line by line, so that every scope and event carries its reason. Fields and their limits:
https://docs.slack.dev/reference/app-manifest
"""

import json
import sys
from collections.abc import Iterator

from bot import texts
from handlers.commands import COMMANDS, UMBRELLA, Command
from handlers.slack.options import EVENTS_PATH, SHORTCUT

PUBLIC_URL = f"https://papers.example.org{EVENTS_PATH}"  # shown where HTTP mode needs the bot's own address
HINT_CHARACTERS = 1_000  # https://docs.slack.dev/reference/app-manifest

SCOPES = {
    "app_mentions:read": "questions to @Paperboy",
    "channels:history": "did a message whose answer was lost reach a public channel?",
    "channels:read": "hears that a public channel was archived, deleted or left, and that it is back",
    "chat:write": "reports and answers",
    "commands": "slash commands and the message menu",
    "groups:history": "did it reach a private channel?",
    "groups:read": "hears the same of a private channel",
    "im:history": "commands and questions in a direct message to Paperboy",
    "reactions:write": "👀 under a question, at once",
}
EVENTS = {
    "app_home_opened": "shows the last report, the ranking and the settings there",
    "app_mention": "the same words as the slash commands, also in threads, where Slack allows no slash commands",
    "channel_archive": "",
    "channel_deleted": "",
    "channel_id_changed": "",
    "channel_left": "",
    "channel_unarchive": "",
    "group_archive": "",
    "group_deleted": "",
    "group_left": "",
    "group_unarchive": "",
    "member_joined_channel": "Paperboy itself was invited: it may post there again",
    "message.im": "direct messages",
}

_HEAD = """\
# Paperboy's Slack app: https://api.slack.com/apps -> Create New App -> From a manifest.
# Made by `python -m handlers.manifest`; change it there.
# Then: Install App -> Bot User OAuth Token (slack.bot_token, xoxb-...), Basic Information -> App-Level Tokens -> one
# with connections:write (slack.app_token, xapp-...), and /invite @Paperboy in the channel.
# Without Socket Mode (slack.mode = "http"): set socket_mode_enabled to false, take the `# http:` lines in with the
# address of your own server, and set slack.signing_secret (Basic Information -> App Credentials).
_metadata:
  major_version: 1
  minor_version: 1
display_information:
  name: Paperboy
  description: The day's papers, scored for your team and deep-dived.
  background_color: "#1f3a5f"
features:
  bot_user:
    display_name: Paperboy
    always_online: true
  app_home:
    home_tab_enabled: true
    messages_tab_enabled: true
    messages_tab_read_only_enabled: false # commands and questions can be typed there
"""
_SETTINGS_END = """\
  org_deploy_enabled: false
  socket_mode_enabled: true # no public address is needed
  token_rotation_enabled: false
"""


def manifest() -> str:
    """The whole file."""
    return "".join(_lines())


def _lines() -> Iterator[str]:
    words = texts.load("en")
    yield _HEAD
    yield "  slash_commands:\n"
    for command in COMMANDS:
        if command.slash:
            yield from _slash(command.name, words(f"command.{command.name}.about"), _hint(command, words))
    yield from _slash(UMBRELLA, words("slack.umbrella"), "[" + "|".join(each.name for each in COMMANDS) + "]")
    yield "  shortcuts:\n"
    yield f"    - name: {_quoted(words('slack.shortcut'))}\n"
    yield "      type: message\n"
    yield f"      callback_id: {SHORTCUT}\n"
    yield f"      description: {_quoted(words('slack.shortcut_about'))}\n"
    yield "oauth_config:\n  scopes:\n    bot:\n"
    yield from (f"      - {name} # {reason}\n" for name, reason in SCOPES.items())
    yield "      # chat:write.public is left out: with it the bot posts to public channels without an invitation.\n"
    yield "settings:\n  event_subscriptions:\n"
    yield f"    # http: request_url: {PUBLIC_URL}\n"
    yield "    bot_events:\n"
    yield from (f"      - {name}{f' # {reason}' if reason else ''}\n" for name, reason in EVENTS.items())
    yield "  interactivity:\n    is_enabled: true # buttons and the message menu\n"
    yield f"    # http: request_url: {PUBLIC_URL}\n"
    yield _SETTINGS_END


def _slash(name: str, about: str, hint: str) -> Iterator[str]:
    yield f"    - command: /{name}\n"
    yield f"      description: {_quoted(about)}\n"
    yield f"      usage_hint: {_quoted(hint)}\n"
    yield "      should_escape: false\n"
    yield f"      # http: url: {PUBLIC_URL}\n"


def _hint(command: Command, words: texts.Texts) -> str:
    """The arguments alone: what stands between the command and the dash in its line of the help."""
    usage = words(f"command.{command.name}.usage").removeprefix(f"/{command.name}")
    return usage.partition(" — ")[0].strip()[:HINT_CHARACTERS]


def _quoted(text: str) -> str:
    """A YAML string; JSON's are."""
    return json.dumps(text, ensure_ascii=False)


if __name__ == "__main__":
    sys.stdout.write(manifest())
