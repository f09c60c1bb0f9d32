"""Where a trial takes place: stand-ins of every service, a store, a clock, and the processes of Paperboy in it.

A `Ground` is what one driver keeps over its trials (the server of forks, Redis); a `Scene` is made anew for each: no
trial sees anything of another.
"""

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from bot.delivery.sending import LEASE_SECONDS
from bot.store.entries import WholeStore
from bot.store.redis import RedisStore
from bot.store.sqlite import SqliteStore
from tests import latexml_pages, redis_standin
from tests.arxiv_standin import ArxivStandIn, Entry
from tests.chaos.child import ASKED, QUEUE_LEASE_SECONDS, Death, Order
from tests.chaos.clock import NEVER, Time, works
from tests.chaos.forks import Forks, Process
from tests.chaos.llm import AT_ONCE, Model, Script
from tests.huggingface_standin import HuggingFaceStandIn, an_item
from tests.redis_standin import RedisProcess
from tests.slack_standin import SlackStandIn
from tests.standin import StandIn, cut
from tests.telegram_standin import GROUP, TOKEN, Chat, TelegramStandIn

START = datetime(2026, 2, 26, 1, 30, 5, tzinfo=UTC)  # a Thursday, five seconds after the report's hour in Shanghai
DAY = date(2026, 2, 25)
PAPERS = 8
PLACE = "C0PAPERS"
STORES = ("sqlite", "redis")
ENOUGH_SECONDS = 180.0  # real; what has not happened by then never will
LOOK_SECONDS = 0.02  # real, between two looks at whether something has come true
LOG_LINES = 40  # of the last processes, beside a failure
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
SUBJECTS = ("fog", "snow", "rain", "dust", "smoke", "glare", "dusk", "spray", "haze", "frost", "soot", "sleet")

CHANNELS = f"""
[[channels]]
name = "team"
platform = "telegram"
target = "{GROUP}"

[[channels]]
name = "lab"
platform = "slack"
target = "{PLACE}"
language = "en"
"""


Watch = Callable[[web.Request, str], Awaitable[bool]]
"""Hears of each request when it has "arrived" and when it is "done", before the answer goes out; true cuts it off."""


async def nobody_watches(request: web.Request, moment: str) -> bool:
    return False


class Watched(StandIn):
    """A stand-in whose `watch` an experiment may set."""

    watch: Watch = staticmethod(nobody_watches)

    @web.middleware
    async def _remember(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        async def watched(request: web.Request) -> web.StreamResponse:
            if await self.watch(request, "arrived"):
                return _cut(request)
            answer = await handler(request)
            return _cut(request) if await self.watch(request, "done") else answer

        return await super()._remember(request, watched)


def _cut(request: web.Request) -> web.StreamResponse:
    """Who asked may be gone already."""
    return cut(request) if request.transport else web.Response()


class Telegram(Watched, TelegramStandIn):
    """Telegram, watched."""


class Slack(Watched, SlackStandIn):
    """Slack, watched. It stamps messages by the experiment's clock: a bot that looks one up says since when."""

    time: Time

    def _stamp(self) -> str:
        self._last_ts = max(self._last_ts + 0.000001, self.time.now().timestamp())
        return f"{self._last_ts:.6f}"


def a_title(number: int) -> str:
    return f"Seeing Through {SUBJECTS[number % len(SUBJECTS)].title()} {number}"


def an_abstract(number: int) -> str:
    """Of an invented paper; no two are alike, so that no two are scored or read alike."""
    subject = SUBJECTS[number % len(SUBJECTS)]
    return (
        f"Photographs taken through {subject} lose the detail that diffusion models then invent. "
        f"We restore them with a flow-matching model whose mask network number {number} finds the spoilt pixels. "
        f"On the {subject.title()}Drop-{number} benchmark our model reaches {20 + number}.4 dB PSNR. "
        f"It needs {10 + number} GB of memory and fails on everything but {subject}."
    )


def a_page(number: int) -> bytes:
    """Its full text, in arXiv's markup."""
    return latexml_pages.page(
        front=latexml_pages.abstract(an_abstract(number)),
        back=latexml_pages.section(4, "Limitations", latexml_pages.para(an_abstract(number))),
        mark=f"arXiv:{an_id(number)}v1 [cs.CV] 20 Feb 2026",
    )


def an_id(number: int) -> str:
    return f"2602.{number:05d}"


def a_list(papers: int = PAPERS, first: int = 1) -> list[dict[str, Any]]:
    """A day's list, as Hugging Face gives it."""
    return [
        an_item(number, summary=an_abstract(number), title=a_title(number)) for number in range(first, first + papers)
    ]


@dataclass
class Ground:
    """What one driver keeps over its trials. `kept` is for what an experiment wants to know again."""

    folder: Path
    forks: Forks
    redis: RedisProcess
    kept: dict[Any, Any] = field(default_factory=dict)

    @classmethod
    @asynccontextmanager
    async def opened(cls) -> "AsyncIterator[Ground]":
        # A kill leaves what was written, whether it is on a disk or not; only a power cut asks for a disk.
        with tempfile.TemporaryDirectory(dir=MEMORY, prefix="chaos-") as folder, redis_standin.running() as redis:
            async with Forks.opened() as forks:
                yield cls(Path(folder), forks, redis)


@dataclass
class Scene:
    """One trial's world. `processes` are all that were started here, oldest first."""

    ground: Ground
    folder: Path
    store_url: str
    time: Time
    model: Model
    huggingface: HuggingFaceStandIn
    arxiv: ArxivStandIn
    telegram: Telegram
    slack: Slack
    store: WholeStore
    variables: dict[str, str] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)
    queue_lease: float = QUEUE_LEASE_SECONDS
    rate: float = NEVER  # simulated seconds in a real one, at most, where time is skipped

    def write(self, *, channels: str = CHANNELS, more: str = "", top: str = "") -> None:
        """The settings file. `more` are further tables, `top` keys before the first one."""
        (self.folder / "config.toml").write_text(
            f"""{top}
[report]
papers = {PAPERS}
[store]
url = "{self.store_url}"
[sources]
huggingface_url = "{self.huggingface.url}"
arxiv_url = "{self.arxiv.url}"
arxiv_api_url = "{self.arxiv.api_url}"
arxiv_pause_seconds = 0
[telegram]
api_url = "{self.telegram.url}"
[slack]
api_url = "{self.slack.api_url}"
[limits]
per_user_per_day = 0
cooldown_seconds = 0
[web]
port = 0
{more}{channels}""",
            encoding="utf-8",
        )

    async def start(self, command: str = "run", death: Death | None = None, *, scripted: bool = True) -> Process:
        """A process of Paperboy, forked and under way."""
        slot = self.time.new_slot()
        variables = {
            "PAPERBOY_TELEGRAM__TOKEN": TOKEN,
            "PAPERBOY_SLACK__BOT_TOKEN": self.slack.token,
            "PAPERBOY_SLACK__APP_TOKEN": self.slack.app_token,
            **self.variables,
        }
        log = str(self.folder / "log")
        process = await self.ground.forks.start(
            Order(command, str(self.folder), slot, variables, death, log, scripted, self.queue_lease), slot
        )
        self.processes.append(process)
        return process

    @property
    def alive(self) -> list[Process]:
        return [process for process in self.processes if process.code is None]

    def is_busy(self) -> bool:
        """Has any server something to do?"""
        return works(self.ground.redis.process.pid) or any(
            one.in_work for one in (self.huggingface, self.arxiv, self.telegram, self.slack)
        )

    @asynccontextmanager
    async def skipping(self) -> AsyncIterator[None]:
        """Inside, time passes at once whenever nobody does anything."""
        async with self.time.skipping(lambda: self.alive, self.is_busy, self.rate):
            yield

    async def until(self, holds: Callable[[], Any], seconds: float = ENOUGH_SECONDS) -> None:
        """Returns when `holds()`, plain or to be awaited, is true. Raises TimeoutError (`seconds` are real)."""
        try:
            async with asyncio.timeout(seconds):
                while not await _true(holds):  # noqa: ASYNC110 - what is looked at lies in other processes
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise TimeoutError(f"not in {seconds:.0f} s:\n{self.said()}") from None

    def said(self, lines: int = LOG_LINES) -> str:
        """The end of what the processes logged."""
        log = self.folder / "log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""

    async def ends(self, process: Process, number: signal.Signals = signal.SIGTERM, seconds: float = 15.0) -> int:
        """The code of a process that was told to end. Raises AssertionError with what it does instead."""
        process.signal(number)
        try:
            return await process.end(seconds)
        except TimeoutError:
            process.signal(ASKED)
            await asyncio.sleep(1.0)
            raise AssertionError(f"{number.name} ended nothing in {seconds} s:\n{self.said(200)}") from None

    async def end(self) -> None:
        """No process outlives its scene."""
        for process in self.alive:
            process.signal(signal.SIGKILL)
        for process in self.processes:
            await process.end()


async def _true(holds: Callable[[], Any]) -> bool:
    found = holds()
    return bool(await found if asyncio.iscoroutine(found) else found)


@asynccontextmanager
async def a_scene(
    ground: Ground,
    store: str = "sqlite",
    *,
    start: datetime = START,
    lists: Mapping[str, Sequence[dict[str, Any]]] | None = None,
    chats: Sequence[Chat] = (),
    beside: Sequence[int] = (),
    script: Script = AT_ONCE,
    speed: float = 1.0,
) -> AsyncIterator[Scene]:
    """A world at `start`, with settings for a Telegram group in Chinese and a Slack channel in English.

    `lists` are those of Hugging Face by day (`a_list`), `beside` the numbers of papers that arXiv alone knows.
    """
    lists = lists if lists is not None else {str(DAY): a_list()}
    listed = {item["paper"]["id"] for items in lists.values() for item in items}
    numbers = {id_: int(id_.partition(".")[2]) for id_ in (*sorted(listed), *map(an_id, beside))}
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=ground.folder)))
        time = Time(folder / "clock", start, speed)
        slack = Slack()
        slack.time = time
        scene = Scene(
            ground=ground,
            folder=folder,
            store_url=ground.redis.url if store == "redis" else f"sqlite:///{folder}/paperboy.db",
            time=time,
            model=Model(folder, script),
            huggingface=await enter(HuggingFaceStandIn(days=dict(lists))),
            arxiv=await enter(
                ArxivStandIn(
                    known=[
                        Entry(id_, title=a_title(number), summary=an_abstract(number))
                        for id_, number in numbers.items()
                    ],
                    pages={f"/html/{id_}": a_page(number) for id_, number in numbers.items()},
                )
            ),
            telegram=await enter(Telegram(token=TOKEN, chats=[Chat(GROUP), *chats])),
            slack=await enter(slack),
            store=await enter(_a_store(ground, store, folder)),
            # Where processes share a queue on Redis, time passes as fast as the queue's leases do, which are shortened.
            rate=LEASE_SECONDS / QUEUE_LEASE_SECONDS if store == "redis" else NEVER,
        )
        scene.write()
        try:
            yield scene
        finally:
            await scene.end()


@asynccontextmanager
async def _a_store(ground: Ground, kind: str, folder: Path) -> AsyncIterator[WholeStore]:
    """The store as the driver reads it; on Redis the server is emptied first."""
    if kind == "sqlite":
        async with SqliteStore.open(folder / "paperboy.db") as sqlite:
            yield sqlite
        return
    async with RedisStore.open(ground.redis.url) as redis:
        await redis._server._client.flushall()
        yield redis
