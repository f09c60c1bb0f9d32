"""A Slack channel as a place to post: one chat.postMessage a part, looked up when its answer was lost."""

import asyncio
import json
import logging
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.channels.pace import Pace
from bot.channels.slack import messages
from bot.channels.slack.api import SlackError, answer
from bot.channels.slack.check import check
from bot.channels.slack.lookup import EVENT_TYPE, NO_THREAD, Lookup
from bot.channels.slack.simple import TEXT_LIMIT, as_text, without_pictures
from bot.channels.slack.text import length
from bot.errors import Outcome
from bot.interfaces import SEND_SECONDS, Clock, Thread
from bot.models import Address, Finding, Message
from bot.report.document import Document

logger = logging.getLogger(__name__)

MESSAGE_SECONDS = 1.0  # Slack allows about one message a second in a channel, and short bursts beyond it:
BURST = 5  # a report goes out at once. https://docs.slack.dev/apis/web-api/rate-limits
LONGEST_WAIT = 4.0  # seconds in the pace before a send is handed back

_ID = re.compile(r"[CGD]\w+")  # names have no capitals
_BAD_BLOCKS = {"invalid_blocks", "invalid_blocks_format"}  # also said of a picture that Slack could not fetch
_TOO_MUCH = _BAD_BLOCKS | {"msg_blocks_too_long", "msg_too_long"}


class SlackChannel:
    """One channel of one workspace. `address.target` is its ID; a name can be posted to, but not looked into.

    A reply whose thread has no root (the root's fate is unknown, or it was deleted) is posted as a message of its own:
    out of place, but not lost.
    """

    def __init__(self, address: Address, client: AsyncWebClient, clock: Clock) -> None:
        self.address = address
        self._client = client
        self._pace = Pace(clock, MESSAGE_SECONDS, BURST)
        self._id = address.target if _ID.fullmatch(address.target) else None

    def render(self, documents: Sequence[Document]) -> tuple[Message, ...]:
        """See bot.channels.slack.messages."""
        return messages.render(documents)

    async def send(self, key: str, message: Message, thread: Thread) -> tuple[str, ...]:
        """Posts once: blocks, else those without pictures, else their text. Returns the message's time stamp."""
        if self._pace.wait > LONGEST_WAIT:
            raise SlackError("slack: the channel is paused", Outcome.NOT_SENT, retry_after=self._pace.wait)
        await self._pace.turn()
        try:
            async with asyncio.timeout(SEND_SECONDS - LONGEST_WAIT):
                return await self._post(_arguments(key, message, thread))
        except TimeoutError as error:
            raise SlackError("slack did not answer in time", Outcome.UNKNOWN) from error
        except SlackError as error:
            if error.retry_after is not None:
                self._pace.pause(error.retry_after)
            raise

    async def _post(self, arguments: dict[str, Any]) -> tuple[str, ...]:
        """A refusal is definite: nothing stands in the channel, so that a simpler form is no repeat."""
        try:
            return await self._call(arguments)
        except SlackError as error:
            if error.code in _BAD_BLOCKS and _has_picture(arguments):
                logger.warning("blocks refused (%s), sent without pictures: %s", error.code, _key(arguments))
                simpler = arguments | {"blocks": without_pictures(arguments["blocks"])}
            elif error.code in _TOO_MUCH and "blocks" in arguments:
                logger.warning("blocks refused (%s), sent as text: %s", error.code, _key(arguments))
                simpler = _as_text(arguments)
            elif error.code in NO_THREAD and "thread_ts" in arguments:
                logger.warning("thread is gone (%s), sent into the channel: %s", error.code, _key(arguments))
                simpler = {name: value for name, value in arguments.items() if name != "thread_ts"}
            else:
                raise
        return await self._post(simpler)

    async def _call(self, arguments: dict[str, Any]) -> tuple[str, ...]:
        posted = await answer(
            self._client.chat_postMessage(
                channel=self._id or self.address.target, unfurl_links=False, unfurl_media=False, **arguments
            )
        )
        stamp, channel = posted.data.get("ts"), posted.data.get("channel")
        if not isinstance(stamp, str):
            raise SlackError("slack accepted a message and named none", Outcome.UNKNOWN)
        if isinstance(channel, str):
            self._id = channel
        return (stamp,)

    async def find(self, key: str, thread: Thread, since: datetime) -> tuple[str, ...] | None:
        """See bot.channels.slack.lookup; a channel that is only known by its name cannot be looked into."""
        if self._id is None:
            raise SlackError("the target is a name, and only an ID can be looked into", Outcome.UNKNOWN)
        return await Lookup(self._client, self._id).find(key, thread, since)

    async def check(self) -> Sequence[Finding]:
        """See bot.channels.slack.check."""
        return await check(self._client, self.address)


def _arguments(key: str, message: Message, thread: Thread) -> dict[str, Any]:
    payload = json.loads(message.payload)
    arguments = {
        "text": payload["text"],
        "metadata": {"event_type": EVENT_TYPE, "event_payload": {"key": key}},
    }
    if payload["blocks"]:
        arguments["blocks"] = payload["blocks"]
    if message.reply and thread.root is not None:
        arguments["thread_ts"] = thread.root
    return arguments


def _has_picture(arguments: Mapping[str, Any]) -> bool:
    return any(block["type"] == "image" for block in arguments.get("blocks", ()))


def _as_text(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The same message without blocks. `mrkdwn` is off, so that no sign of the text is taken for markup."""
    text = as_text(arguments["blocks"])
    if length(text) > TEXT_LIMIT:
        raise SlackError("slack: too long even as text", Outcome.REFUSED, code="msg_too_long")
    return {name: value for name, value in arguments.items() if name != "blocks"} | {"text": text, "mrkdwn": False}


def _key(arguments: Mapping[str, Any]) -> str:
    return str(arguments["metadata"]["event_payload"]["key"])
