"""What the Slack handlers need to know, and the names that they share with the app's manifest."""

from dataclasses import dataclass, field
from typing import Literal

from handlers.commands import COMMANDS, UMBRELLA

EVENTS_PATH = "/slack/events"
SHORTCUT = "paperboy_deepdive"  # the message shortcut's callback_id
ACTIONS = "paperboy:"  # how the action_id of a button begins that is an action
OWN_COMMANDS = (*(command.name for command in COMMANDS if command.slash), UMBRELLA)


@dataclass(frozen=True, slots=True)
class SlackOptions:
    """How events arrive. `commands` are the slash commands without their slash, `language` that of our own words.

    `api_url` ends in a slash, as in `https://slack.com/api/`.
    """

    mode: Literal["socket", "http"] = "socket"
    app_token: str | None = field(default=None, repr=False)
    signing_secret: str | None = field(default=None, repr=False)
    api_url: str = "https://slack.com/api/"
    commands: tuple[str, ...] = OWN_COMMANDS
    language: str = "en"

    @property
    def complete(self) -> bool:
        """Is there what the mode needs? Without it nothing arrives, and buttons that act would be dead."""
        return bool(self.app_token if self.mode == "socket" else self.signing_secret)
