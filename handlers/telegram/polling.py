"""Long polling that loses nothing: updates are confirmed when they are taken, and not before.

python-telegram-bot's own Updater confirms them as soon as they are read, and so loses those that a crash interrupts;
and it does not start while Telegram is down.

Telegram gives updates to one poller alone, and ends the poll of any other with 409: who polls holds a lease.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

from telegram import Bot
from telegram.error import Conflict

from bot.leading import Leading
from handlers.telegram.intake import ALLOWED, Intake, Json, is_update
from handlers.telegram.retrying import Trouble, until_done

logger = logging.getLogger(__name__)

POLL_SECONDS = 25  # how long Telegram holds a poll that has nothing to say
READ_SECONDS = POLL_SECONDS + 10.0


async def poll(bot: Bot, intake: Intake, trouble: Trouble, leading: Leading) -> None:
    """Takes updates until it is cancelled. A batch is confirmed by the next poll's offset, when all of it is taken.

    What was read and not confirmed when the lease is lost is read again by the next leader; the desk knows it by its
    key.
    """
    await until_done(trouble, partial(_drop_webhook, bot))
    offset = 0
    while True:
        updates = await until_done(trouble, partial(_as_leader, leading, partial(_updates, bot, offset)))
        await asyncio.gather(*(intake.take(update) for update in updates))
        offset = max([offset, *(update["update_id"] + 1 for update in updates)])


async def _as_leader(leading: Leading, ask: Callable[[], Awaitable[Sequence[Json]]]) -> Sequence[Json]:
    """Polls while this is the process that may. After a 409 that has to be known, not assumed, before the next try."""
    await leading.check()
    try:
        return await ask()
    except Conflict:
        await leading.confirm()
        raise


async def _updates(bot: Bot, offset: int) -> Sequence[Json]:
    """Raw updates (https://core.telegram.org/bots/api#getupdates): one that the library cannot read must not hide the
    others of its batch, and get_updates would log all their texts.
    """
    asked = {"offset": offset, "timeout": POLL_SECONDS, "allowed_updates": json.dumps(ALLOWED)}
    url = f"{bot.base_url}/getUpdates?{urlencode(asked)}"
    found: Any = await bot.request.post(url, read_timeout=READ_SECONDS)
    if not isinstance(found, list) or not all(is_update(each) for each in found):
        raise TypeError("the answer to getUpdates is not the Bot API's")  # a proxy's
    return found


async def _drop_webhook(bot: Bot) -> None:
    """Removes a webhook, with which every poll would fail."""
    if (await bot.get_webhook_info()).url:
        await bot.delete_webhook()
        logger.warning("this bot had a webhook; it is removed, because telegram.mode is polling")
