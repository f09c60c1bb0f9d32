"""One update at a time: read, translated, taken by the desk, then acknowledged while the work begins."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from telegram import Bot, CallbackQuery, ChatMemberUpdated, Message, Update, User
from telegram.error import TelegramError

from handlers.asked import Asked, Desk, Taken
from handlers.telegram.translation import (
    address_of,
    asked_by_tap,
    asked_in,
    membership,
    place_of,
    public_name,
    units,
)

logger = logging.getLogger(__name__)

# A bot that does not say what it wants gets edited messages and the posts of channels, too.
ALLOWED = ("message", "callback_query", "my_chat_member")
SEEN = "👀"
TOAST_UNITS = 200  # https://core.telegram.org/bots/api#answercallbackquery
TAKES_AT_ONCE = 32  # the others wait: a poll brings a hundred updates, and the desk gives each a second and no more
ACKS_AT_ONCE = 32  # the others wait a little, so that a burst leaves connections to the answers
ACK_SECONDS = 5.0  # one that comes later says nothing any more
STOP_SECONDS = 0.5  # for acknowledgements under way at the end

Json = dict[str, Any]


def is_update(raw: object) -> bool:
    """Does it look like one, whatever is in it?"""
    return isinstance(raw, dict) and type(raw.get("update_id")) is int


class Intake:
    """Brings updates to the desk. Safe for concurrent updates."""

    def __init__(self, bot: Bot, desk: Desk) -> None:
        self._bot = bot
        self._desk = desk
        self._me: User | None = None
        self._acks: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(ACKS_AT_ONCE)
        self._taking = asyncio.Semaphore(TAKES_AT_ONCE)

    async def meet(self) -> User:
        """Who the bot is, which has to be known before the first update. Raises TelegramError."""
        if self._me is None:
            self._me = await self._bot.get_me()
        return self._me

    async def take(self, raw: Json) -> None:
        """Returns when what the update says is taken, so that Telegram may forget it."""
        try:
            me = await self.meet()
            async with self._taking:
                await self._take(Update.de_json(raw, self._bot), me)
        except Exception:
            # Brought again, it would fail again, and keep all later ones waiting.
            logger.exception("update dropped", extra={"update": raw.get("update_id")})

    async def close(self) -> None:
        """Gives acknowledgements under way a moment."""
        acks = set(self._acks)
        try:
            if acks:
                await asyncio.wait(acks, timeout=STOP_SECONDS)
        finally:
            for task in acks:
                task.cancel()
            await asyncio.gather(*acks, return_exceptions=True)

    async def _take(self, update: Update, me: User) -> None:
        match update:
            case Update(message=Message() as message):
                await self._take_message(message, me)
            case Update(callback_query=CallbackQuery() as query):
                await self._take_tap(query)
            case Update(my_chat_member=ChatMemberUpdated() as change):
                await self._take_change(change)

    async def _take_message(self, message: Message, me: User) -> None:
        if message.migrate_to_chat_id is not None:
            await self._desk.moved(address_of(message.chat), str(message.migrate_to_chat_id))
        elif message.forum_topic_closed is not None:
            await self._desk.topic_closed(place_of(message))
        elif asked := asked_in(message, me):
            taken = await self._begin(asked)
            if taken.requests:
                self._acknowledge(self._show_seen(message))

    async def _take_tap(self, query: CallbackQuery) -> None:
        asked = asked_by_tap(query)
        taken = await self._begin(asked) if asked else None
        self._acknowledge(self._answer(query, taken.line if taken else ""))

    async def _take_change(self, change: ChatMemberUpdated) -> None:
        now = membership(change)
        if now.reason:
            await self._desk.left(address_of(change.chat), now.reason, name=public_name(change.chat))
        else:
            await self._desk.arrived(address_of(change.chat), may_post=now.may_post, name=public_name(change.chat))

    async def _begin(self, asked: Asked) -> Taken:
        taken = await self._desk.take(asked)
        self._desk.begin(taken)
        return taken

    # --- acknowledgements: beside the work, and one that fails costs nothing

    def _acknowledge(self, call: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(self._quietly(call))
        self._acks.add(task)
        task.add_done_callback(self._acks.discard)

    async def _quietly(self, call: Coroutine[Any, Any, object]) -> None:
        try:
            async with asyncio.timeout(ACK_SECONDS), self._turns:
                await call
        except (TelegramError, TimeoutError) as error:  # a chat without this reaction, a tap of an hour ago, a 429
            logger.info("not acknowledged", extra={"error": type(error).__name__})
        except Exception:
            logger.exception("acknowledgement broke")
        finally:
            call.close()  # where its turn never came

    def _show_seen(self, message: Message) -> Coroutine[Any, Any, bool]:
        return self._bot.set_message_reaction(message.chat.id, message.message_id, SEEN)

    def _answer(self, query: CallbackQuery, line: str) -> Coroutine[Any, Any, bool]:
        """Also without a line: until it is answered, the button shows that it waits."""
        return self._bot.answer_callback_query(query.id, _toast(line) or None)


def _toast(line: str) -> str:
    """`line`, shortened to what a toast may hold."""
    if units(line) <= TOAST_UNITS:
        return line
    return line.encode("utf-16-le")[: 2 * (TOAST_UNITS - 1)].decode("utf-16-le", "ignore") + "…"
