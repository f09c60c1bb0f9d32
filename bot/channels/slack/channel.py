"""A Slack channel as a place to post: one message a part, looked up when its answer was lost, or changed in place."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.channels.pace import Gate
from bot.channels.slack import messages
from bot.channels.slack.api import SlackError, answer
from bot.channels.slack.check import check
from bot.channels.slack.lookup import EVENT_TYPE, NO_THREAD, Lookup
from bot.channels.slack.rates import Rates
from bot.channels.slack.simple import TEXT_LIMIT, as_text, without_pictures
from bot.channels.slack.text import fitted, length
from bot.errors import Outcome
from bot.interfaces import SEND_SECONDS, Errand, Thread
from bot.models import Address, Finding, Message
from bot.report.document import Document

logger = logging.getLogger(__name__)

REST_SECONDS = 4.0  # of SEND_SECONDS, for what stands round a send
UPDATE_BYTES = 4_000  # of text in chat.update; the documentation says characters, and Slack counts UTF-8

_ID = re.compile(r"[CGD]\w+")  # names have no capitals
_BAD_BLOCKS = {"invalid_blocks", "invalid_blocks_format"}  # also said of a picture that Slack could not fetch
_TOO_LONG = "msg_too_long"
_TOO_MUCH = _BAD_BLOCKS | {"msg_blocks_too_long", _TOO_LONG}
_UNCHANGEABLE = {"cant_update_message", "edit_window_closed", "message_not_found", _TOO_LONG}


class SlackChannel:
    """One channel of one workspace. `address.target` is its ID; a name can be posted to, but not looked into.

    With `address.thread` everything goes into that thread. A reply whose thread has no root (the root's fate is
    unknown, or it was deleted) is posted as a message of its own: out of place, but not lost. `interactive`: somebody
    listens to buttons that are actions. `gate` is the app's.
    What a message answers is nothing to Slack, where threads show it.
    """

    def __init__(
        self,
        address: Address,
        client: AsyncWebClient,
        gate: Gate,
        *,
        interactive: bool = True,
    ) -> None:
        self.address = address
        self._client = client
        self._interactive = interactive
        self._gate = gate
        self._rates = Rates.of(address.target)
        self._id = address.target if _ID.fullmatch(address.target) else None

    def render(self, documents: Sequence[Document]) -> tuple[Message, ...]:
        """See bot.channels.slack.messages."""
        return messages.render(documents, interactive=self._interactive)

    async def turn(self, errand: Errand) -> float:
        return await self._gate.turn((self._rates.messages,), errand)

    async def send(self, key: str, message: Message, thread: Thread) -> tuple[str, ...]:
        """Posts once: blocks, else those without pictures, else their text. Returns the message's time stamp.

        What replaces a message becomes that one; where it can be changed no more, it is posted.
        """
        async with self._heeding_pauses():
            return await self._put(self._arguments(key, message, thread), message.replaces)

    async def edit(self, message_id: str, message: Message) -> None:
        """One chat.update, where there is room for it now."""
        if self._id is None:
            raise SlackError("slack: a channel known by its name has no edits", Outcome.NOT_SENT)
        if wait := await self._gate.now((self._rates.edits,)):
            raise SlackError("slack: no room for an edit now", Outcome.NOT_SENT, retry_after=wait)
        until = asyncio.get_running_loop().time() + SEND_SECONDS
        async with self._heeding_pauses(), _ending(until, Outcome.NOT_SENT):
            await self._call(_update(_content(message), message_id))

    async def preview(self, message: Message) -> bool:
        """Slack shows nothing for a while."""
        del message
        return False

    @asynccontextmanager
    async def _heeding_pauses(self) -> AsyncIterator[None]:
        try:
            yield
        except SlackError as error:
            if error.retry_after is not None:
                await self._gate.refused(error.retry_after, self._rates.messages, self._rates.edits)
            raise
        self._gate.accepted()

    async def _put(self, arguments: dict[str, Any], replaces: str) -> tuple[str, ...]:
        until = asyncio.get_running_loop().time() + SEND_SECONDS - REST_SECONDS
        if not replaces or self._id is None:
            async with _ending(until, Outcome.UNKNOWN):
                return await self._say(arguments)
        try:
            # Changing a message twice is changing it once: whatever is unclear may be repeated.
            async with _ending(until, Outcome.NOT_SENT):
                return await self._say(_update(arguments, replaces))
        except SlackError as error:
            if error.code not in _UNCHANGEABLE:
                raise
            logger.warning("message cannot be changed (%s), posted anew: %s", error.code, _key(arguments))
            too_long = error.code == _TOO_LONG
        async with _ending(until, Outcome.UNKNOWN):
            posted = await self._say(arguments)
        if too_long:
            await self._remove(replaces)
        return posted

    async def _remove(self, stamp: str) -> None:
        """The placeholder of what stands below it now; one that stays is untidy, and no more."""
        try:
            await answer(self._client.chat_delete(channel=self._id or self.address.target, ts=stamp))
        except SlackError as error:
            logger.info("placeholder stays: %s", error)

    async def _say(self, arguments: dict[str, Any]) -> tuple[str, ...]:
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
        return await self._say(simpler)

    async def _call(self, arguments: dict[str, Any]) -> tuple[str, ...]:
        channel = self._id or self.address.target
        if "ts" in arguments:
            await answer(self._client.chat_update(channel=channel, **arguments))
            return (arguments["ts"],)
        posted = await answer(
            self._client.chat_postMessage(channel=channel, unfurl_links=False, unfurl_media=False, **arguments)
        )
        stamp, named = posted.data.get("ts"), posted.data.get("channel")
        if not isinstance(stamp, str):
            raise SlackError("slack accepted a message and named none", Outcome.UNKNOWN)
        if isinstance(named, str):
            self._id = named
        return (stamp,)

    def _arguments(self, key: str, message: Message, thread: Thread) -> dict[str, Any]:
        metadata = {"event_type": EVENT_TYPE, "event_payload": {"key": key}}
        root = self.address.thread or (thread.root if message.reply else None)
        within = {} if root is None else {"thread_ts": root}
        return _content(message) | {"metadata": metadata} | within

    async def find(self, key: str, thread: Thread, since: datetime) -> tuple[str, ...] | None:
        """See bot.channels.slack.lookup; a channel that is only known by its name cannot be looked into."""
        if self._id is None:
            raise SlackError("the target is a name, and only an ID can be looked into", Outcome.UNKNOWN)
        within = thread if self.address.thread is None else replace(thread, root=self.address.thread)
        return await Lookup(self._client, self._id).find(key, within, since)

    async def check(self) -> Sequence[Finding]:
        """See bot.channels.slack.check."""
        return await check(self._client, self.address)


@asynccontextmanager
async def _ending(until: float, unclear: Outcome) -> AsyncIterator[None]:
    """What is done in here ends at `until`; what Slack left open is `unclear`."""
    try:
        async with asyncio.timeout_at(until):
            yield
    except TimeoutError as error:
        raise SlackError("slack did not answer in time", unclear) from error
    except SlackError as error:
        if error.outcome is not Outcome.UNKNOWN or unclear is Outcome.UNKNOWN:
            raise
        raise SlackError(str(error), unclear, code=error.code) from error


def _content(message: Message) -> dict[str, Any]:
    payload = json.loads(message.payload)
    return {"text": payload["text"]} | ({"blocks": payload["blocks"]} if payload["blocks"] else {})


def _update(arguments: Mapping[str, Any], stamp: str) -> dict[str, Any]:
    """The same for chat.update. Metadata that is not named stays as it was."""
    kept = {name: value for name, value in arguments.items() if name != "thread_ts"}
    return kept | {"ts": stamp, "text": fitted(arguments["text"], UPDATE_BYTES)}


def _has_picture(arguments: Mapping[str, Any]) -> bool:
    return any(block["type"] == "image" for block in arguments.get("blocks", ()))


def _as_text(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The same message without blocks. `mrkdwn` is off, so that no sign of the text is taken for markup."""
    text = as_text(arguments["blocks"])
    changes = "ts" in arguments
    if length(text) > TEXT_LIMIT or (changes and len(text.encode()) > UPDATE_BYTES):
        raise SlackError("slack: too long even as text", Outcome.REFUSED, code=_TOO_LONG)
    plain = {name: value for name, value in arguments.items() if name != "blocks"} | {"text": text}
    return plain if changes else plain | {"mrkdwn": False}  # which chat.update does not know


def _key(arguments: Mapping[str, Any]) -> str:
    return str(arguments["metadata"]["event_payload"]["key"])
