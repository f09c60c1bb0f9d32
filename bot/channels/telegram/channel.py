"""Telegram as a Channel: frozen payload -> one Bot API call -> message IDs."""

import asyncio
import json
import logging
import zlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Literal

from telegram import (
    Bot,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    MessageEntity,
    ReplyParameters,
)
from telegram import Message as TelegramMessage
from telegram.error import BadRequest, InvalidToken

from bot.channels.pace import Gate
from bot.channels.telegram import rates
from bot.channels.telegram.api import (
    answered_within,
    is_not_to_edit,
    is_unmodified,
    markup_is_refused,
    ours,
    preview_is_refused,
    topic_is_gone,
)
from bot.channels.telegram.check import findings
from bot.channels.telegram.render import Payload, render, resolved
from bot.errors import Outcome, SendError
from bot.interfaces import SEND_SECONDS, Errand, Thread
from bot.models import Address, Finding, Message, PartKind
from bot.report.document import Document

logger = logging.getLogger(__name__)

GENERAL_TOPIC = 1  # posting there works only without naming it
FIRST_SUPERGROUP = -1_000_000_000_000  # a supergroup or channel 123 has the chat ID -1000000000123
REST_SECONDS = 3.0  # of SEND_SECONDS, for what stands round a send
EDIT_ROOM = 3  # messages that could go now, for an edit to go: progress never takes the last turns from the answers
PREVIEW_SECONDS = 5.0  # one that takes longer shows what is over
DRAFT_IDS = 2**31 - 1  # a draft's ID is a signed number of 32 bits and not 0


class TelegramChannel:
    """A chat, channel or forum topic. Implements `bot.interfaces.Channel`.

    `interactive`: handlers listen to this bot's updates, so its buttons may be more than links. `gate` is the bot's.
    """

    def __init__(
        self,
        address: Address,
        bot: Bot,
        gate: Gate,
        style: Literal["classic", "rich"] = "classic",
        *,
        interactive: bool = True,
    ) -> None:
        self.address = address
        self._bot = bot
        self._chat: int | str = address.target if address.target.startswith("@") else int(address.target)
        self._topic = None if address.topic == GENERAL_TOPIC else address.topic
        self._interactive = interactive
        self._is_private = isinstance(self._chat, int) and self._chat > 0
        self._has_drafts = self._is_private
        self._gate = gate
        self._limits = rates.own(address.target, is_private=self._is_private)
        if style == "rich":
            logger.warning("rich messages are not supported yet; posting classic ones", extra={"address": str(address)})

    def render(self, documents: Sequence[Document]) -> tuple[Message, ...]:
        return render(documents, linkable=self._message_url("0") is not None, interactive=self._interactive)

    async def turn(self, errand: Errand) -> float:
        return await self._gate.turn(self._limits, errand)

    async def send(self, key: str, message: Message, thread: Thread) -> tuple[str, ...]:  # noqa: ARG002 - no place for a key
        payload = json.loads(message.payload)
        if message.kind is PartKind.LINK:
            return await self._link(message.document, payload, thread)
        time = asyncio.get_running_loop().time
        end = time() + SEND_SECONDS - REST_SECONDS
        if message.replaces and await self._replace(payload, message.replaces):
            return (message.replaces,)
        async with answered_within(end - time()):
            return await self._post(payload, self._topic, message.answers)

    async def edit(self, message_id: str, message: Message) -> None:
        if wait := await self._gate.now(self._limits, EDIT_ROOM):
            raise SendError("no turn for an edit now", Outcome.NOT_SENT, retry_after=wait)
        await self._repeatable(self._edit(json.loads(message.payload), message_id))

    async def preview(self, message: Message) -> bool:
        """https://core.telegram.org/bots/api#sendmessagedraft, in private chats alone; shown for half a minute."""
        if not self._has_drafts:
            return False
        try:
            async with answered_within(PREVIEW_SECONDS), ours():
                return await self._draft(message)
        except SendError as error:
            if not isinstance(error.__cause__, BadRequest | InvalidToken):
                raise
            # A server older than drafts (404), or a bot that may not make them (400): no later try would do better.
            logger.info("no drafts here", extra={"address": str(self.address), "reason": str(error.__cause__)})
            self._has_drafts = False
            return False

    async def find(self, key: str, thread: Thread, since: datetime) -> tuple[str, ...] | None:  # noqa: ARG002 - never asked
        raise SendError("Telegram cannot tell what a bot has posted", Outcome.UNKNOWN)

    async def check(self) -> Sequence[Finding]:
        return await findings(self._bot, self.address)

    async def _post(self, payload: Payload, topic: int | None, answers: str) -> tuple[str, ...]:
        try:
            return await self._or_plainer(payload, lambda each: self._message_of(each, topic, answers))
        except SendError as error:
            if topic is None or not topic_is_gone(error):
                raise
            logger.warning("topic is gone, posting to General", extra={"address": str(self.address)})
            return await self._post(payload, None, answers)

    async def _replace(self, payload: Payload, message_id: str) -> bool:
        """Edits a posted message into `payload`; False when there is nothing to edit any more."""
        try:
            edit = self._or_plainer(payload, lambda each: self._edit_of(each, int(message_id)))
            await self._repeatable(edit)
        except SendError as error:
            if not is_not_to_edit(error):
                raise
            logger.info("message to replace is gone, posting anew", extra={"address": str(self.address)})
            return False
        return True

    async def _or_plainer(
        self, payload: Payload, call: Callable[[Payload], Awaitable[TelegramMessage | bool]]
    ) -> tuple[str, ...]:
        """Calls once; a definite refusal of picture or markup, which changed nothing, leads to a plainer call."""
        try:
            return await self._request(call(payload))
        except SendError as error:
            if is_unmodified(error):  # its words name the markup, too
                raise
            if preview_is_refused(error) and "preview" in payload:
                logger.warning("picture refused, posting without it", extra={"address": str(self.address)})
                return await self._or_plainer(_without_preview(payload), call)
            if markup_is_refused(error) and (payload["entities"] or payload["keyboard"]):
                logger.warning("markup refused, posting plain text", extra={"address": str(self.address)})
                return await self._or_plainer(payload | {"entities": [], "keyboard": []}, call)
            raise

    async def _link(self, document: str, payload: Payload, thread: Thread) -> tuple[str, ...]:
        """Edits the links into a posted message."""
        urls = {key: url for key, sent in thread.sent.items() if (url := self._message_url(sent)) is not None}
        linked = resolved(payload, urls)
        posted = thread.sent.get(document)
        if posted is None or linked is None:
            logger.info("nothing to link", extra={"address": str(self.address), "document": document})
            return ()
        await self._repeatable(self._edit(linked, posted))
        return (posted,)

    async def _repeatable(self, edit: Awaitable[tuple[str, ...]]) -> None:
        """Makes an edit. It is idempotent: an ambiguous one may be repeated, and one that changes nothing is made."""
        try:
            async with answered_within(SEND_SECONDS - REST_SECONDS):
                await edit
        except SendError as error:
            if is_unmodified(error):
                return
            if error.outcome is Outcome.UNKNOWN:
                raise SendError(str(error), Outcome.NOT_SENT) from error
            raise

    async def _edit(self, payload: Payload, message_id: str) -> tuple[str, ...]:
        try:
            return await self._request(self._edit_of(payload, int(message_id)))
        except SendError as error:
            if preview_is_refused(error) and "preview" in payload:
                return await self._request(self._edit_of(_without_preview(payload), int(message_id)))
            raise

    def _draft(self, message: Message) -> Awaitable[bool]:
        payload = json.loads(message.payload)
        name = f"{message.document}\n{message.answers}".encode()
        return self._bot.send_message_draft(
            int(self._chat),
            zlib.crc32(name) % DRAFT_IDS + 1,  # the same for the same message: its changes are animated
            payload["text"],
            message_thread_id=self._topic,
            entities=_entities(payload),
        )

    async def _request(self, call: Awaitable[TelegramMessage | bool]) -> tuple[str, ...]:
        try:
            async with ours():
                posted = await call
        except SendError as error:
            if error.retry_after is not None:
                await self._gate.refused(error.retry_after, rates.pace(self.address.target))
            raise
        self._gate.accepted()
        return (str(posted.message_id),) if isinstance(posted, TelegramMessage) else ()

    def _message_of(self, payload: Payload, topic: int | None, answers: str) -> Awaitable[TelegramMessage]:
        return self._bot.send_message(
            self._chat,
            payload["text"],
            entities=_entities(payload),
            reply_markup=_keyboard(payload),
            message_thread_id=topic,
            disable_notification=payload["silent"],
            link_preview_options=_preview(payload),
            reply_parameters=ReplyParameters(int(answers), allow_sending_without_reply=True) if answers else None,
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
