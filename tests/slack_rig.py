"""The Slack handlers before the stand-in, over either transport, with a desk that remembers what it was asked."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from bot.channels.slack import home, slack_client
from bot.models import Address
from bot.report.document import Button, Document, Paragraph, Span
from bot.requests import Request
from handlers.asked import Asked, Taken
from handlers.slack import SlackHandlers, SlackOptions
from tests.slack_standin import SlackStandIn

NOW = datetime(2026, 2, 26, 1, 30, tzinfo=UTC)
SOCKET, HTTP = "socket", "http"


def a_request(asked: Asked) -> Request:
    return Request(asked.key, "top", asked.text, asked.user, asked.address, "default", "zh", "top:x", NOW)


def accepts(asked: Asked) -> Taken:
    return Taken(asked, requests=(a_request(asked),))


@dataclass
class FakeDesk:
    """Takes everything at once; `takes` decides what becomes of it, `hangs` keeps it waiting."""

    takes: Callable[[Asked], Taken] = accepts
    hangs: asyncio.Event | None = None
    fails: bool = False
    fails_to_begin: bool = False
    page: Document | None = None
    asked: list[Asked] = field(default_factory=list)
    begun: list[Taken] = field(default_factory=list)
    chats: list[tuple[Any, ...]] = field(default_factory=list)
    homes: list[tuple[str, str]] = field(default_factory=list)

    async def take(self, asked: Asked) -> Taken:
        self.asked.append(asked)
        if self.hangs:
            await self.hangs.wait()
        if self.fails:
            raise RuntimeError("secret detail")
        return self.takes(asked)

    def begin(self, taken: Taken) -> None:
        self.begun.append(taken)
        if self.fails_to_begin:
            raise RuntimeError("after the acknowledgement")

    async def arrived(self, chat: Address, *, may_post: bool, name: str = "") -> None:
        self.chats.append(("arrived", str(chat), may_post))

    async def left(self, chat: Address, reason: str, *, name: str = "") -> None:
        self.chats.append(("left", str(chat), reason))

    async def moved(self, chat: Address, target: str) -> None:
        self.chats.append(("moved", str(chat), target))

    async def topic_closed(self, place: Address) -> None:
        raise AssertionError("Slack has no topics")

    async def home(self, user: str, language: str) -> Document:
        self.homes.append((user, language))
        buttons = (Button("Next", action="top 5 2"), Button("arXiv", url="https://arxiv.org"))
        return self.page or Document(
            "home", (Span("Paperboy"),), (Paragraph((Span("hello"),)),), "hello", "zh", buttons=buttons
        )

    def menu(self, language: str, *, admin: bool) -> tuple[tuple[str, str], ...]:
        return ()


@dataclass
class Rig:
    slack: SlackStandIn
    desk: FakeDesk
    handlers: SlackHandlers
    running: asyncio.Task[None]


@asynccontextmanager
async def listening(transport: str, desk: FakeDesk | None = None, **options: Any) -> AsyncIterator[Rig]:
    """A Slack, and handlers that listen to it."""
    desk = desk or FakeDesk()
    async with SlackStandIn(**options) as slack, handled(slack, transport, desk) as rig:
        yield rig


@asynccontextmanager
async def handled(slack: SlackStandIn, transport: str, desk: FakeDesk, **changes: Any) -> AsyncIterator[Rig]:
    """Handlers that listen to a Slack that is there (or not)."""
    values: dict[str, Any] = {
        "mode": transport,
        "app_token": slack.app_token,
        "signing_secret": slack.signing_secret,
        "api_url": slack.api_url,
    }
    async with slack_client(slack.token, slack.api_url) as client:
        handlers = SlackHandlers(client, desk, home, SlackOptions(**(values | changes)))
        running = asyncio.create_task(handlers.run())
        try:
            async with _serving(handlers) as url:
                slack.events_url = f"{url}/slack/events" if transport == HTTP else ""
                yield Rig(slack, desk, handlers, running)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def _serving(handlers: SlackHandlers) -> AsyncIterator[str]:
    app = web.Application()
    app.add_routes(handlers.routes())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
