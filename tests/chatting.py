"""A real `paperboy run` that people ask in chats: how it is set up, started, watched, ended and killed."""

import asyncio
import contextlib
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.slack_standin import ALICE, Place
from tests.telegram_standin import ASKER, Chat
from tests.world import PROJECT, World, a_world

START_SECONDS = 40.0  # three of them at once, on a busy machine
END_SECONDS = 10.0  # what SIGTERM may take
STRANGE = -100999  # a group that nobody allowed
PRIVATE = Chat(ASKER, "private", title="Ada")
DIRECT = f"D{ALICE[1:]}"
WEBHOOK_SECRET = "a-secret_of-Telegram"
UNLIMITED = {"PAPERBOY_LIMITS__PER_USER_PER_DAY": "0", "PAPERBOY_LIMITS__COOLDOWN_SECONDS": "0"}


@dataclass(frozen=True)
class Ways:
    """How what people ask reaches the bot."""

    telegram: str = "polling"
    slack: str = "socket"


BY_ITSELF = Ways()  # no address of ours that a platform could reach


@dataclass
class Bot:
    """A running process. What it logs goes to a file: a pipe that nobody empties would stop it."""

    world: World
    process: asyncio.subprocess.Process
    log: Path

    @property
    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    @property
    def errors(self) -> list[str]:
        """The lines that tell of what went wrong with us."""
        return [line for line in self.said.splitlines() if '"level": "error"' in line or "Traceback" in line]

    async def ends(self) -> float:
        """Ends it as an operator does, and says how long that took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = await asyncio.wait_for(self.process.wait(), 2 * END_SECONDS)
        assert code == 0, self.said
        return time.monotonic() - started

    async def dies(self) -> None:
        """`kill -9`."""
        self.process.kill()
        await self.process.wait()


def a_free_port() -> int:
    with contextlib.closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@asynccontextmanager
async def a_town(
    folder: Path, ways: Ways = BY_ITSELF, chats: Sequence[Chat] = (), papers: int = 15, **model: Any
) -> AsyncIterator[World]:
    """A world whose people may ask without limits: in the group, in `chats` and privately, on Slack in two places."""
    async with a_world(folder, papers, **model) as world:
        port = a_free_port()
        served = [PRIVATE, *chats]
        world.telegram.chats += [*served, Chat(STRANGE, title="Strangers")]
        world.slack.places[DIRECT] = Place(DIRECT, "directmessage")
        if ways.slack == "http":
            world.slack.events_url = f"http://127.0.0.1:{port}/slack/events"
        world.variables |= UNLIMITED | {
            "PAPERBOY_SCHEDULE__ENABLED": "false",
            "PAPERBOY_WEB__PORT": str(port),
            "PAPERBOY_WEB__PUBLIC_URL": f"http://127.0.0.1:{port}",
            "PAPERBOY_TELEGRAM__MODE": ways.telegram,
            "PAPERBOY_TELEGRAM__WEBHOOK_SECRET": WEBHOOK_SECRET,
            "PAPERBOY_TELEGRAM__ALLOWED_CHATS": ",".join(str(chat.id) for chat in served),
            "PAPERBOY_SLACK__MODE": ways.slack,
            "PAPERBOY_SLACK__APP_TOKEN": world.slack.app_token,
            "PAPERBOY_SLACK__SIGNING_SECRET": world.slack.signing_secret,
            "PAPERBOY_SLACK__ALLOWED_CHANNELS": DIRECT,
        }
        yield world


@asynccontextmanager
async def a_bot(world: World) -> AsyncIterator[Bot]:
    """A process that hears on both platforms; it is killed when it is left running."""
    bot = await started(world, world.folder / "log.txt")
    try:
        await _hears(bot)
        yield bot
    finally:
        if bot.process.returncode is None:
            await bot.dies()


@asynccontextmanager
async def a_listener(world: World) -> AsyncIterator[Bot]:
    """One more process that hears on Slack; Telegram lets only one poll, so it need not hear there."""
    bot = await started(world, world.folder / "log.txt")
    try:
        await _hears(bot, "slack commands")
        yield bot
    finally:
        if bot.process.returncode is None:
            await bot.dies()


@asynccontextmanager
async def a_worker(world: World) -> AsyncIterator[Bot]:
    """A process that only works; it is killed when it is left running."""
    bot = await started(world, world.folder / "worker.txt", "worker")
    try:
        end = time.monotonic() + START_SECONDS
        while '"working"' not in bot.said:
            assert time.monotonic() < end, bot.said
            await asyncio.sleep(0.02)
        yield bot
    finally:
        if bot.process.returncode is None:
            await bot.dies()


async def started(world: World, log: Path, command: str = "run") -> Bot:
    """A process that logs to a file of its own."""
    with log.open("ab") as written:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bot",
            command,
            cwd=PROJECT,
            env=world.environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=written,
            stderr=written,
        )
    return Bot(world, process, log)


async def _hears(bot: Bot, *platforms: str) -> None:
    """Returns when both platforms' words reach the process, or those of the named ones."""
    platforms = platforms or ("telegram commands", "slack commands")
    end = time.monotonic() + START_SECONDS
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < end:
            assert bot.process.returncode is None, bot.said
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"{bot.world.variables['PAPERBOY_WEB__PUBLIC_URL']}/readyz") as answer:
                    states = await answer.json()
                    if all(states.get(platform) == "ok" for platform in platforms):
                        return
            await asyncio.sleep(0.02)
    raise AssertionError(bot.said)
