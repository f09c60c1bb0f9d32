"""The Telegram handlers as a process that dies: a desk over a file, which ends the process in mid-work."""

import asyncio
import os
import sys
from pathlib import Path

from bot.channels.telegram import telegram_bot
from bot.clock import SystemClock
from handlers.asked import Asked, Taken
from handlers.telegram import TelegramHandlers, TelegramOptions
from tests.telegram_standin import TOKEN
from tests.test_telegram_handlers import FakeDesk, a_request, alone


class FileDesk(FakeDesk):
    """Keeps keys in a file, one a line; after `last` of them the process is gone, before anything is confirmed."""

    def __init__(self, path: Path, last: int) -> None:
        super().__init__()
        self.path = path
        self.last = last

    async def take(self, asked: Asked) -> Taken:
        known = self.path.read_text().splitlines() if self.path.exists() else []
        if asked.key in known:
            return Taken(asked)
        with self.path.open("a") as file:
            file.write(f"{asked.key}\n")
        if len(known) + 1 == self.last:
            os._exit(9)
        return Taken(asked, (a_request(asked),))


async def main(url: str, path: str, last: str) -> None:
    bot = telegram_bot(TOKEN, url)
    await TelegramHandlers(bot, FileDesk(Path(path), int(last)), SystemClock(), TelegramOptions(), alone()).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
