"""Telegram as a Channel: frozen payload -> one Bot API call -> message IDs."""

import json
import logging
from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import Literal

from telegram import Bot, InlineKeyboardButton, InlineKeyboardMarkup, LinkPreviewOptions, MessageEntity
from telegram import Message as TelegramMessage

from bot.channels.pace import Pace
from bot.channels.telegram.api import (
    answered_within,
    is_unmodified,
    markup_is_refused,
    ours,
    preview_is_refused,
    topic_is_gone,
)
from bot.channels.telegram.check import findings
from bot.channels.telegram.render import Payload, render, resolved
from bot.errors import Outcome, SendError
from bot.interfaces import SEND_SECONDS, Clock, Thread
from bot.models import Address, Finding, Message, PartKind
from bot.report.document import Document

logger = logging.getLogger(__name__)

GENERAL_TOPIC = 1  # posting there works only without naming it
FIRST_SUPERGROUP = -1_000_000_000_000  # a supergroup or channel 123 has the chat ID -1000000000123
# https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this: about one message a second in a chat
# (short bursts pass), 20 a minute in a group, 30 a second in all. A burst and what follows stay within a minute's 20.
CHAT_SECONDS, CHAT_BURST = 1.0, 6
GROUP_SECONDS, GROUP_BURST = 5.0, 8
ALL_SECONDS, ALL_BURST = 1 / 15, 15
LONGEST_PAUSE = 3.0  # seconds waited inside a send; a longer wait is the caller's


def shared_pace(clock: Clock) -> Pace:
    """The pace of one bot over all its chats; every TelegramChannel of the bot gets the same one."""
    return Pace(clock, ALL_SECONDS, ALL_BURST)


class TelegramChannel:
    """A chat, channel or forum topic. Implements `bot.interfaces.Channel`."""

    def __init__(
        self,
        address: Address,
        bot: Bot,
        clock: Clock,
        style: Literal["classic", "rich"] = "classic",
        pace: Pace | None = None,
    ) -> None:
        self.address = address
        self._bot = bot
        self._chat: int | str = address.target if address.target.startswith("@") else int(address.target)
        self._topic = None if address.topic == GENERAL_TOPIC else address.topic
        self._paces = [Pace(clock, CHAT_SECONDS, CHAT_BURST), *([pace] if pace else [])]
        if not (isinstance(self._chat, int) and self._chat > 0):
            self._paces.append(Pace(clock, GROUP_SECONDS, GROUP_BURST))
        if style == "rich":
            logger.warning("rich messages are not supported yet; posting classic ones", extra={"address": str(address)})

    def render(self, documents: Sequence[Document]) -> tuple[Message, ...]:
        return render(documents, linkable=self._message_url("0") is not None)

    async def send(self, key: str, message: Message, thread: Thread) -> tuple[str, ...]:  # noqa: ARG002 - no place for a key
        payload = json.loads(message.payload)
        if message.kind is PartKind.LINK:
            return await self._link(message.document, payload, thread)
        await self._turn()
        async with answered_within(SEND_SECONDS - LONGEST_PAUSE):
            return await self._post(payload, self._topic)

    async def find(self, key: str, thread: Thread, since: datetime) -> tuple[str, ...] | None:  # noqa: ARG002 - never asked
        raise SendError("Telegram cannot tell what a bot has posted", Outcome.UNKNOWN)

    async def check(self) -> Sequence[Finding]:
        return await findings(self._bot, self.address)

    async def _turn(self) -> None:
        wait = max(pace.wait for pace in self._paces)
        if wait > LONGEST_PAUSE:
            raise SendError("this chat has to wait", Outcome.NOT_SENT, retry_after=wait)
        for pace in self._paces:
            await pace.turn()

    async def _post(self, payload: Payload, topic: int | None) -> tuple[str, ...]:
        """Posts once; a definite refusal of topic, picture or markup, which posted nothing, leads to a plainer call."""
        try:
            return await self._request(self._message_of(payload, topic))
        except SendError as error:
            if topic is not None and topic_is_gone(error):
                logger.warning("topic is gone, posting to General", extra={"address": str(self.address)})
                return await self._post(payload, None)
            if preview_is_refused(error) and "preview" in payload:
                logger.warning("picture refused, posting without it", extra={"address": str(self.address)})
                return await self._post(_without_preview(payload), topic)
            if markup_is_refused(error) and (payload["entities"] or payload["keyboard"]):
                logger.warning("markup refused, posting plain text", extra={"address": str(self.address)})
                return await self._post(payload | {"entities": [], "keyboard": []}, topic)
            raise

    async def _link(self, document: str, payload: Payload, thread: Thread) -> tuple[str, ...]:
        """Edits the links into a posted message. The edit is idempotent, so an ambiguous one may be repeated."""
        urls = {key: url for key, sent in thread.sent.items() if (url := self._message_url(sent)) is not None}
        linked = resolved(payload, urls)
        posted = thread.sent.get(document)
        if posted is None or linked is None:
            logger.info("nothing to link", extra={"address": str(self.address), "document": document})
            return ()
        await self._turn()
        try:
            async with answered_within(SEND_SECONDS - LONGEST_PAUSE):
                return await self._edit(linked, int(posted))
        except SendError as error:
            if is_unmodified(error):
                return (posted,)
            if error.outcome is Outcome.UNKNOWN:
                raise SendError(str(error), Outcome.NOT_SENT) from error
            raise

    async def _edit(self, payload: Payload, message_id: int) -> tuple[str, ...]:
        try:
            return await self._request(self._edit_of(payload, message_id))
        except SendError as error:
            if preview_is_refused(error) and "preview" in payload:
                return await self._request(self._edit_of(_without_preview(payload), message_id))
            raise

    async def _request(self, call: Awaitable[TelegramMessage | bool]) -> tuple[str, ...]:
        try:
            async with ours():
                posted = await call
        except SendError as error:
            if error.retry_after is not None:
                self._paces[0].pause(error.retry_after)
            raise
        return (str(posted.message_id),) if isinstance(posted, TelegramMessage) else ()

    def _message_of(self, payload: Payload, topic: int | None) -> Awaitable[TelegramMessage]:
        return self._bot.send_message(
            self._chat,
            payload["text"],
            entities=_entities(payload),
            reply_markup=_keyboard(payload),
            message_thread_id=topic,
            disable_notification=payload["silent"],
            link_preview_options=_preview(payload),
        )

    def _edit_of(self, payload: Payload, message_id: int) -> Awaitable[TelegramMessage | bool]:
        return self._bot.edit_message_text(
            payload["text"],
            self._chat,
            message_id,
            entities=_entities(payload),
            reply_markup=_keyboard(payload),
            link_preview_options=_preview(payload),
        )

    def _message_url(self, message_id: str) -> str | None:
        """Where the message can be opened; None in private chats and basic groups, whose messages have no address.

        https://core.telegram.org/api/links#message-links
        """
        if isinstance(self._chat, str):
            place = self._chat.removeprefix("@")
        elif self._chat < FIRST_SUPERGROUP:
            place = f"c/{FIRST_SUPERGROUP - self._chat}"
        else:
            return None
        return "/".join(["https://t.me", place, *([str(self._topic)] if self._topic else []), message_id])


def _entities(payload: Payload) -> list[MessageEntity]:
    return [MessageEntity(**entity) for entity in payload["entities"]]


def _preview(payload: Payload) -> LinkPreviewOptions:
    """The picture large above the text, else none: no link of a paper is to be previewed."""
    url = payload.get("preview")  # parts that an earlier version froze have none
    if url is None:
        return LinkPreviewOptions(is_disabled=True)
    return LinkPreviewOptions(url=url, prefer_large_media=True, show_above_text=True)


def _without_preview(payload: Payload) -> Payload:
    return {name: value for name, value in payload.items() if name != "preview"}


def _keyboard(payload: Payload) -> InlineKeyboardMarkup | None:
    rows = [[InlineKeyboardButton(**button) for button in row] for row in payload["keyboard"]]
    return InlineKeyboardMarkup(rows) if rows else None
