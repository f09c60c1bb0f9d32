"""The commands in Telegram's menus: for private chats, for groups, and with the administrators' own for those."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from telegram import (
    Bot,
    BotCommand,
    BotCommandScope,
    BotCommandScopeAllGroupChats,
    BotCommandScopeAllPrivateChats,
    BotCommandScopeChat,
    BotCommandScopeChatMember,
)
from telegram.error import TelegramError

from bot.interfaces import Clock
from handlers.asked import Desk

logger = logging.getLogger(__name__)

RETRY_SECONDS = 600.0  # an administrator who never wrote to the bot has no chat with it yet
DESCRIPTION_CHARACTERS = 256  # https://core.telegram.org/bots/api#botcommand


@dataclass(frozen=True, slots=True)
class Menu:
    """What one scope shows to clients of one language ("" for all those without a menu of their own)."""

    scope: BotCommandScope
    language: str
    commands: tuple[BotCommand, ...]


def menus(languages: Sequence[str], admins: Sequence[int], chats: Sequence[int], desk: Desk) -> Iterator[Menu]:
    """Every menu. `languages`: the first one is also for clients of all others. `chats`: those that are served."""
    everyone = (BotCommandScopeAllPrivateChats(), BotCommandScopeAllGroupChats())
    groups = [chat for chat in chats if chat < 0]
    private = [BotCommandScopeChat(admin) for admin in admins]
    theirs = [*private, *(BotCommandScopeChatMember(chat, admin) for chat in groups for admin in admins)]
    for code, language in (("", languages[0]), *((each, each) for each in languages)):
        for admin, scopes in ((False, everyone), (True, theirs)):
            lines = desk.menu(language, admin=admin)
            commands = tuple(BotCommand(name, about[:DESCRIPTION_CHARACTERS]) for name, about in lines)
            yield from (Menu(scope, code, commands) for scope in scopes)


async def set_menus(bot: Bot, wanted: Sequence[Menu], clock: Clock) -> None:
    """Sets them all; those that fail are tried again later. That they fail stops nothing."""
    told = False
    while failed := [menu for menu in wanted if not await _is_set(bot, menu)]:
        if not told:
            told = True
            logger.warning("%s of the command menus not set, trying again later", len(failed))
        wanted = failed
        await clock.sleep(RETRY_SECONDS)


async def _is_set(bot: Bot, menu: Menu) -> bool:
    try:
        return await bot.set_my_commands(menu.commands, menu.scope, menu.language or None)
    except TelegramError as error:
        details = {"scope": menu.scope.to_dict(), "language": menu.language, "error": type(error).__name__}
        logger.info("command menu not set", extra=details)
        return False
