"""People in the stand-in's workspace: what they type and tap is sent to the app as Slack sends it."""

from dataclasses import dataclass, field
from typing import Any

from tests import slack_payloads as payloads
from tests.slack_rules import Json
from tests.slack_sending import COMMANDS, EVENTS, INTERACTIVE, Sender, Sent

ALICE = "U0ALICE"


@dataclass
class Place:
    """A channel of the workspace."""

    id: str
    name: str
    private: bool = False
    member: bool = True
    archived: bool = False
    messages: list[Json] = field(default_factory=list)

    @property
    def roots(self) -> list[Json]:
        return [message for message in self.messages if message.get("thread_ts") in (None, message["ts"])]

    def replies(self, root: str) -> list[Json]:
        return [message for message in self.messages if message.get("thread_ts") == root and message["ts"] != root]


@dataclass
class People(Sender):
    """Acts in `places`; whoever mixes this in keeps them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.places: dict[str, Place] = {}

    def _stamp(self) -> str:
        raise NotImplementedError

    def _found(self, arguments: Json, error: str) -> Json:
        raise NotImplementedError

    def response_url(self, channel: str, user: str) -> str:
        raise NotImplementedError

    async def types(self, text: str, channel: str = "C0PAPERS", user: str = ALICE) -> Sent:
        """A slash command."""
        return await self.send(COMMANDS, payloads.command(text, channel, user, self.response_url(channel, user)))

    async def mentions(self, text: str, channel: str = "C0PAPERS", user: str = ALICE, thread: str = "") -> Sent:
        """A message in a channel that names the bot; `text` is without the name."""
        message = self.says(f"<@{payloads.BOT_USER}> {text}", channel, user, thread)
        return await self.send(EVENTS, payloads.event({**message, "type": "app_mention", "channel": channel}))

    async def direct(self, text: str, user: str = ALICE, thread: str = "") -> Sent:
        """A direct message to the bot."""
        channel = f"D{user[1:]}"
        self.places.setdefault(channel, Place(channel, "directmessage"))
        message = self.says(text, channel, user, thread)
        return await self.send(EVENTS, payloads.event({**message, "channel": channel, "channel_type": "im"}))

    async def taps(self, label: str, message: str, channel: str = "C0PAPERS", user: str = ALICE) -> Sent:
        """The button with this label or value under one of the bot's messages."""
        under = self._found({"channel": channel, "ts": message}, "message_not_found")
        buttons = [b for block in under.get("blocks", ()) if block["type"] == "actions" for b in block["elements"]]
        [button] = [b for b in buttons if label in (b["text"]["text"], b.get("value"))]
        url = self.response_url(channel, user)
        return await self.send(INTERACTIVE, payloads.tap(button, under, channel, user, url))

    async def shortcut(self, message: str, channel: str = "C0PAPERS", user: str = ALICE, **changes: Any) -> Sent:
        """The message menu."""
        on = self._found({"channel": channel, "ts": message}, "message_not_found")
        url = self.response_url(channel, user)
        body = payloads.shortcut(changes.pop("callback_id", "paperboy_deepdive"), on, channel, user, url)
        return await self.send(INTERACTIVE, body | changes)

    async def happens(self, kind: str, **event: Any) -> Sent:
        """Any other event."""
        return await self.send(EVENTS, payloads.event({"type": kind, **event}))

    def says(self, text: str, channel: str = "C0PAPERS", user: str = ALICE, thread: str = "") -> Json:
        """A person's message; nobody is told of it."""
        message = payloads.message(text, user, self._stamp(), thread)
        self.places[channel].messages.append(message)
        return message
