"""Faults that the sources' stand-ins play on demand."""

import asyncio
import gzip
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web

from tests.standin import StandIn


@dataclass(frozen=True)
class Fault:
    """One reply that is not the true one. `body` None stands for the true reply's body.

    `way`: "whole" sends it all; "half" ends it early but correctly; "cut" breaks the connection in the middle, "torn"
    the same without having told the length; "drip" sends a byte now and then and never ends; "flood" sends it over and
    over again, without a length and without an end; "hang" never answers.
    """

    status: int = 200
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    way: Literal["whole", "half", "cut", "torn", "drip", "flood", "hang"] = "whole"


HANG = Fault(way="hang")
HALF = Fault(way="half")
CUT = Fault(way="cut")
TORN = Fault(way="torn")
DRIP = Fault(way="drip")
BLOCK_PAGE = Fault(
    body=b"<!doctype html><html><body>Access denied</body></html>", headers={"Content-Type": "text/html"}
)


def too_many(retry_after: str | None = "2", **headers: str) -> Fault:
    asked = {} if retry_after is None else {"Retry-After": retry_after}
    return Fault(429, b"Rate exceeded.", asked | headers)


def flood(megabyte: bytes = b"<p>" + b"x" * (2**20 - 3)) -> Fault:
    return Fault(body=megabyte, way="flood")


def moved(location: str, status: int = 302) -> Fault:
    return Fault(status, b"", {"Location": location})


def zipped(body: bytes, *, cut: int = 0) -> Fault:
    """`body` as a gzip reply, without its last `cut` bytes."""
    packed = gzip.compress(body, mtime=0)
    return Fault(body=packed[: len(packed) - cut], headers={"Content-Encoding": "gzip"})


def bomb(megabytes: int, start: bytes = b"<p>") -> Fault:
    """A thousandth of that many megabytes, which gzip unpacks to all of them."""
    return zipped(start + bytes(megabytes * 2**20))


@dataclass
class FaultyStandIn(StandIn):
    """A stand-in whose next replies are `faults`, one each, before it tells the truth again; `at` holds further ones
    for single paths.

    `ended` tells when replies were all sent (or broken off), `most_at_once` how many were under way at the same time.
    A reply takes `delay` seconds.
    """

    faults: deque[Fault] = field(default_factory=deque)
    at: dict[str, deque[Fault]] = field(default_factory=dict)
    ended: list[float] = field(default_factory=list)
    most_at_once: int = 0
    under_way: int = 0
    delay: float = 0.0

    async def reply(self, request: web.Request, status: int, body: bytes, content_type: str) -> web.StreamResponse:
        """The true reply, or the next fault."""
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            await asyncio.sleep(self.delay)
            response = await self._reply(request, status, body, content_type)
            if not response.prepared:
                await response.prepare(request)
                await response.write_eof()
        except ConnectionResetError:  # the asker has gone, as it may
            return web.Response()
        finally:
            self.under_way -= 1
            self.ended.append(asyncio.get_running_loop().time())
        return response

    async def _reply(self, request: web.Request, status: int, body: bytes, content_type: str) -> web.StreamResponse:
        waiting = self.at.get(request.path) or self.faults
        fault = waiting.popleft() if waiting else Fault(status)
        body = body if fault.body is None else fault.body
        headers = {"Content-Type": content_type, **fault.headers}
        match fault.way:
            case "whole":
                return web.Response(status=fault.status, body=body, headers=headers)
            case "half":
                return web.Response(status=fault.status, body=body[: len(body) // 2], headers=headers)
            case "hang":
                while not _left(request):  # noqa: ASYNC110  # the server tells nobody of a closed connection
                    await asyncio.sleep(0.01)
                raise ConnectionResetError
        return await self._unfinished(request, fault, body, headers)

    async def _unfinished(
        self, request: web.Request, fault: Fault, body: bytes, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=fault.status, headers=headers)
        if fault.way in ("cut", "drip"):
            response.content_length = len(body)
        await response.prepare(request)
        if fault.way in ("cut", "torn"):
            await response.write(body[: len(body) // 2])
            assert request.transport is not None
            request.transport.close()
            return response
        while fault.way == "flood":
            await response.write(body)
        for at in range(len(body)):
            await asyncio.sleep(0.02)
            await response.write(body[at : at + 1])
        return response


def _left(request: web.Request) -> bool:
    """Has the asker closed the connection?"""
    return request.transport is None or request.transport.is_closing()
