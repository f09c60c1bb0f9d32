"""One bot's ears: everything that a process needs to hear what people ask on Telegram."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from aiohttp import web
from telegram import Bot

from bot.interfaces import Clock
from bot.leading import Leading
from handlers.asked import Desk
from handlers.telegram.intake import Intake
from handlers.telegram.menu import menus, set_menus
from handlers.telegram.polling import poll
from handlers.telegram.retrying import Trouble, until_done
from handlers.telegram.webhook import Webhook

logger = logging.getLogger(__name__)

State = Literal["ok", "in trouble", "unknown", "standby"]


@dataclass(frozen=True, slots=True)
class TelegramOptions:
    """How updates come, and whose menus are set. `webhook_url` is the whole address, which ends in /telegram.

    `languages`: the first one is also for everybody whose client speaks none of them. `chats` are the served ones.
    """

    mode: Literal["polling", "webhook"] = "polling"
    webhook_url: str = ""
    webhook_secret: str = ""
    languages: tuple[str, ...] = ("zh", "en")
    admins: tuple[int, ...] = ()
    chats: tuple[int, ...] = ()


class TelegramHandlers:
    """Listens to one bot. In polling mode one process does, the one that leads; `routes` are for all of them."""

    def __init__(self, bot: Bot, desk: Desk, clock: Clock, options: TelegramOptions, leading: Leading) -> None:
        self._bot = bot
        self._desk = desk
        self._clock = clock
        self._options = options
        self._leading = leading
        self._intake = Intake(bot, desk)
        self._webhook = Webhook(options.webhook_url, options.webhook_secret, self._intake)
        self._trouble = Trouble("hearing from Telegram", clock)

    @property
    def state(self) -> State:
        """Do updates come? "standby" where another process gets them, "unknown" before the first try, and in a process
        that does not run.
        """
        if self._options.mode == "polling" and self._leading.stands_by:
            return "standby"
        if self._trouble.lasts:
            return "in trouble"
        return "ok" if self._trouble.was_well else "unknown"

    async def run(self) -> None:
        """Listens until it is cancelled, whatever Telegram does."""
        try:
            if self._options.mode == "polling":
                await self._leading.run(self._hear)
            else:
                await self._hear()
        finally:
            await self._intake.close()

    def routes(self) -> Sequence[web.RouteDef]:
        """POST /telegram, in webhook mode."""
        return [web.post("/telegram", self._webhook.receive)] if self._options.mode == "webhook" else []

    async def _hear(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen())
                tasks.create_task(self._set_menus())
        finally:
            self._trouble = Trouble("hearing from Telegram", self._clock)

    async def _listen(self) -> None:
        await until_done(self._trouble, self._intake.meet)
        if self._options.mode == "polling":
            await poll(self._bot, self._intake, self._trouble, self._leading)
        else:
            await self._webhook.keep(self._bot, self._trouble, self._clock)

    async def _set_menus(self) -> None:
        options = self._options
        try:
            wanted = tuple(menus(options.languages, options.admins, options.chats, self._desk))
            await set_menus(self._bot, wanted, self._clock)
        except Exception:
            logger.exception("command menus not set")  # a bot without a menu answers all the same
