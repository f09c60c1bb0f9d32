"""Faults that the sources' stand-ins play on demand."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web

from tests.standin import StandIn


@dataclass(frozen=True)
class Fault:
    """One reply that is not the true one. `body` None stands for the true reply's body.

    `way`: "whole" sends it all; "half" ends it early but correctly; "cut" breaks the connection in the middle; "drip"
    sends a byte now and then and never ends; "hang" never answers.
    """

    status: int = 200
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    way: Literal["whole", "half", "cut", "drip", "hang"] = "whole"


HANG = Fault(way="hang")
HALF = Fault(way="half")
CUT = Fault(way="cut")
DRIP = Fault(way="drip")
BLOCK_PAGE = Fault(
    body=b"<!doctype html><html><body>Access denied</body></html>", headers={"Content-Type": "text/html"}
)


def too_many(retry_after: str | None = "2", **headers: str) -> Fault:
    asked = {} if retry_after is None else {"Retry-After": retry_after}
    return Fault(429, b"Rate exceeded.", asked | headers)


@dataclass
class FaultyStandIn(StandIn):
    """A stand-in whose next replies are `faults`, one each, before it tells the truth again."""

    faults: deque[Fault] = field(default_factory=deque)

    async def reply(self, request: web.Request, status: int, body: bytes, content_type: str) -> web.StreamResponse:
        """The true reply, or the next fault."""
        fault = self.faults.popleft() if self.faults else Fault(status)
        body = body if fault.body is None else fault.body
        headers = {"Content-Type": content_type, **fault.headers}
        match fault.way:
            case "whole":
                return web.Response(status=fault.status, body=body, headers=headers)
            case "half":
                return web.Response(status=fault.status, body=body[: len(body) // 2], headers=headers)
            case "hang":
                await asyncio.Event().wait()
        return await self._unfinished(request, fault, body, headers)

    async def _unfinished(
        self, request: web.Request, fault: Fault, body: bytes, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=fault.status, headers=headers)
        response.content_length = len(body)
        await response.prepare(request)
        if fault.way == "cut":
            await response.write(body[: len(body) // 2])
            assert request.transport is not None
            request.transport.close()
            return response
        for at in range(len(body)):
            await response.write(body[at : at + 1])
            await asyncio.sleep(0.02)
        return response
