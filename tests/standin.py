"""The ground of every stand-in server: a real aiohttp server on a free loopback port that remembers its requests."""

import asyncio
from dataclasses import dataclass, field
from typing import Self

from aiohttp import web
from aiohttp.typedefs import Handler

LONG = ("/getUpdates", "/socket")  # requests that wait for something to happen


@dataclass(frozen=True)
class Asked:
    """One request as it arrived. `body` is the raw text."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str
    at: float


@dataclass
class StandIn:
    """`async with StandIn() as server:` serves `self.app()` on loopback at `server.url` (no slash at the end).

    Faults are scripted by subclasses; `asked` lists every request in order of arrival, and `in_work` counts those that
    are not answered yet, long polls and websockets left out.
    """

    asked: list[Asked] = field(default_factory=list)
    port: int = 0
    in_work: int = 0

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._remember], client_max_size=64 * 2**20)
        self.routes(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def routes(self, app: web.Application) -> None:
        """Adds the handlers; subclasses override it."""

    @web.middleware
    async def _remember(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        body = await request.text()
        now = asyncio.get_running_loop().time()
        self.asked.append(Asked(request.method, request.path, dict(request.query), dict(request.headers), body, now))
        counts = not request.path.endswith(LONG)
        self.in_work += counts
        try:
            return await handler(request)
        finally:
            self.in_work -= counts


def cut(request: web.Request) -> web.Response:
    """Drops the connection after the request was read: the client cannot know whether it was handled."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()
