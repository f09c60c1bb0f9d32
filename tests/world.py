"""Everything outside a real Paperboy process: stand-ins of every service, a settings file, and the process itself."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.schedule import default_day
from tests.arxiv_standin import ArxivStandIn, Entry
from tests.conftest import measuring
from tests.huggingface_standin import HuggingFaceStandIn, an_item
from tests.model_standin import ModelStandIn
from tests.slack_standin import SlackStandIn
from tests.telegram_standin import GROUP, Chat, TelegramStandIn

PROJECT = Path(__file__).resolve().parent.parent
SECONDS = 40.0  # no command of a test takes longer
TELEGRAM_TOKEN = "123456789:AAGfakefakefakefakefakefakefakefake"
KEY = "sk-test-0123456789abcdef"
TODAY = default_day(datetime.now(UTC), "previous")

CHANNELS = f"""
[[channels]]
name = "team"
platform = "telegram"
target = "{GROUP}"

[[channels]]
name = "lab"
platform = "slack"
target = "C0PAPERS"
language = "en"
"""


@dataclass(frozen=True)
class Ended:
    """A process that ended."""

    code: int
    out: str
    err: str

    @property
    def object(self) -> dict[str, Any]:
        """What `--json` printed: one object and nothing else."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def log(self) -> list[dict[str, Any]]:
        """What `run` logged: an object a line and nothing else."""
        return [json.loads(line) for line in self.err.splitlines()]


@dataclass
class World:
    """Stand-ins on loopback and a folder with the settings. `paperboy("report")` runs a real process to its end."""

    folder: Path
    huggingface: HuggingFaceStandIn
    arxiv: ArxivStandIn
    model: ModelStandIn
    telegram: TelegramStandIn
    slack: SlackStandIn
    variables: dict[str, str] = field(default_factory=dict)
    inside: pytest.MonkeyPatch | None = None  # sets the variables of this process, for commands that run inside it

    def write(self, *, model: bool = True, channels: str = CHANNELS, more: str = "", top: str = "") -> None:
        """The settings file. `more` are further tables, `top` keys before the first one."""
        llm = f'[llm]\nmodel = "openai/stand-in"\napi_base = "{self.model.url}/v1"\n' if model else ""
        (self.folder / "config.toml").write_text(
            f"""{top}
[sources]
huggingface_url = "{self.huggingface.url}"
arxiv_url = "{self.arxiv.url}"
arxiv_api_url = "{self.arxiv.api_url}"
arxiv_pause_seconds = 0
[telegram]
api_url = "{self.telegram.url}"
[slack]
api_url = "{self.slack.api_url}"
{llm}{more}{channels}""",
            encoding="utf-8",
        )

    def environment(self) -> Mapping[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.upper().startswith("PAPERBOY_")}
        return clean | {
            "PAPERBOY_CONFIG": str(self.folder / "config.toml"),
            "PAPERBOY_TELEGRAM__TOKEN": TELEGRAM_TOKEN,
            "PAPERBOY_SLACK__BOT_TOKEN": self.slack.token,
            "PAPERBOY_SLACK__APP_TOKEN": self.slack.app_token,
            "PAPERBOY_LLM__API_KEY": KEY,
            "COLUMNS": "100",
            **measuring,
            **self.variables,
        }

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """A running process of this checkout."""
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bot",
            *arguments,
            cwd=PROJECT,
            env=self.environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def paperboy(self, *arguments: str) -> Ended:
        """Runs a command to its end. Nothing that it prints may hold a secret."""
        process = await self.start(*arguments)
        return await self.end(process)

    async def end(self, process: asyncio.subprocess.Process) -> Ended:
        """Waits for the process's end."""
        try:
            out, err = await asyncio.wait_for(process.communicate(), SECONDS)
        except TimeoutError:
            process.kill()
            out, err = await process.communicate()
            raise AssertionError(f"still running:\n{out.decode()}\n{err.decode()}") from None
        ended = Ended(process.returncode or 0, out.decode(), err.decode())
        for secret in (TELEGRAM_TOKEN, self.slack.token, KEY):
            assert secret not in ended.out + ended.err
        return ended

    @asynccontextmanager
    async def running(self, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """A process that is killed when the test leaves it running."""
        process = await self.start(*arguments)
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()

    def texts(self) -> list[str]:
        """What the Telegram group shows, message by message."""
        return [message.text for message in self.telegram.messages()]


@asynccontextmanager
async def a_world(folder: Path, papers: int = 15, **model: Any) -> AsyncIterator[World]:
    """A world whose newest list has `papers` papers; settings for Telegram in Chinese and Slack in English."""
    items = [an_item(number) for number in range(1, papers + 1)]
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        world = World(
            folder,
            await enter(HuggingFaceStandIn(days={str(TODAY): items})),
            await enter(ArxivStandIn(known=[Entry(item["paper"]["id"]) for item in items])),
            await enter(ModelStandIn(**model)),
            await enter(TelegramStandIn(token=TELEGRAM_TOKEN, chats=[Chat(GROUP)])),
            await enter(SlackStandIn()),
        )
        world.write()
        yield world


def just_now() -> str:
    """A schedule's time of day that was due a moment ago, in UTC."""
    return f"{datetime.now(UTC) - timedelta(seconds=61):%H:%M}"
