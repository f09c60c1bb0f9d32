"""A process that delivers one report and can be made to die at any step; `tests/test_crash.py` starts it.

Its channel is a server on loopback or, in the kill matrix, a file: what stands there was posted. The store is the real
one. Steps are counted at the ports: before and after planning, and before and after every claim, send and record.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from bot import delivery
from bot.delivery import Courier, Patience, Trouble
from bot.errors import Outcome, SendError
from bot.interfaces import Errand, Store, Thread
from bot.models import Address, Finding, Message, PartKind, PlatformName, ReportKey
from bot.report.document import Document, Span
from tests.fakes import DAY, NOW
from tests.stores import opened

REPORT = ReportKey(DAY, "default", "zh")
ADDRESS = Address(PlatformName.SLACK, "C0123")
KEY = delivery.delivery_key(REPORT, ADDRESS)
DOCUMENTS = [Document(key, (Span(key),), (), key, "zh") for key in ("digest", "one", "two", "three")]
POSTS = tuple(f"{KEY}~{index}" for index in range(4))
LINK = f"{KEY}~4"

Step = Callable[[], None]


class Dying:
    """Counts steps and ends the process, without any clean-up, at the one that is asked for."""

    def __init__(self, at: int | None) -> None:
        self.at = at
        self.steps = 0

    def __call__(self) -> None:
        self.steps += 1
        if self.steps == self.at:
            os._exit(9)


class DyingStore:
    """The real store; planning, claiming and recording are steps."""

    def __init__(self, store: Store, step: Step) -> None:
        self._store, self._step = store, step

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._store, name)
        return self._around(real) if name in ("plan", "claim", "recover", "record") else real

    def _around(self, real: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def stepped(*args: Any, **kwargs: Any) -> Any:
            self._step()
            result = await real(*args, **kwargs)
            self._step()
            return result

        return stepped


@dataclass
class FileChannel:
    """A channel whose messages are the lines of a file; edits go to another one. `finds`: it can look them up."""

    folder: Path
    finds: bool
    step: Step = lambda: None
    address: Address = ADDRESS

    def render(self, documents: Sequence[Document]) -> tuple[Message, ...]:
        posts = tuple(Message(PartKind.POST, d.key, "{}", reply=d.key != "digest") for d in documents)
        return (*posts, Message(PartKind.LINK, "digest", "{}"))

    async def turn(self, errand: Errand) -> float:
        return errand.since  # nothing is limited here

    async def send(self, key: str, message: Message, thread: Thread) -> tuple[str, ...]:
        self.step()
        with (self.folder / message.kind).open("a", encoding="utf-8") as file:
            file.write(key + "\n")
        self.step()
        return (f"id of {key}",)

    async def find(self, key: str, thread: Thread, since: datetime) -> tuple[str, ...] | None:
        if not self.finds:
            raise SendError("no look-up here", Outcome.UNKNOWN)
        return (f"id of {key}",) if key in posted(self.folder) else None

    async def check(self) -> Sequence[Finding]:
        return ()


def posted(folder: Path, kind: PartKind = PartKind.POST) -> list[str]:
    path = folder / kind
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


@dataclass
class Clock:
    """The real clock, some hours later; sleeping costs nothing where `ahead` is set."""

    ahead: timedelta = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def monotonic(self) -> float:
        return self.now().timestamp()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0 if self.ahead else seconds)


async def hear(_: Trouble) -> None:
    """The operator, who only listens."""


async def plan_and_deliver(store: Store, channel: Any, clock: Clock, patience: Patience) -> None:
    await store.plan(REPORT, delivery.plan(REPORT, channel, DOCUMENTS, name="team", now=NOW))
    await delivery.deliver(KEY, Courier(store, lambda _: channel, clock, hear, patience))


async def run_with_file(
    folder: Path, place: str, *, finds: bool, die_at: int | None = None, ahead: timedelta = timedelta()
) -> int:
    """Returns how many steps there were."""
    dying = Dying(die_at)
    async with opened(place) as store:
        channel = FileChannel(folder, finds, dying)
        await plan_and_deliver(DyingStore(store, dying), channel, Clock(ahead), Patience(settling=0, poll=0.01))
    return dying.steps


async def answer(method: str, url: str, body: str = "") -> str:
    """One exchange of HTTP/1.0. To import a client library would take longer than all that this process does."""
    server = urlsplit(url)
    reader, writer = await asyncio.open_connection(server.hostname, server.port)
    target, content = url.partition(server.netloc)[2], body.encode()
    writer.write(f"{method} {target} HTTP/1.0\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)
    head, _, answered = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    assert " 200 " in head.splitlines()[0], head
    return answered


async def run_with_server(place: str, url: str, *, lease: float) -> None:
    """Posts to a server (`tests/test_crash.py`), whatever its answer takes."""

    class ServerChannel(FileChannel):
        async def send(self, key: str, message: Message, thread: Thread) -> tuple[str, ...]:
            return (await answer("POST", f"{url}/{message.kind}", key),)

        async def find(self, key: str, thread: Thread, since: datetime) -> tuple[str, ...] | None:
            found: list[str] | None = json.loads(await answer("GET", f"{url}/find?key={quote(key, safe='')}"))
            return tuple(found) if found else None

    async with opened(place) as store:
        patience = Patience(lease=lease, send=lease * 0.9, settling=0.01, poll=0.02)
        await plan_and_deliver(store, ServerChannel(Path(), finds=True), Clock(), patience)


if __name__ == "__main__":
    asyncio.run(run_with_server(sys.argv[1], sys.argv[2], lease=float(sys.argv[3])))
