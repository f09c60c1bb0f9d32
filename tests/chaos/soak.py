"""A day of people who ask, twenty a minute, and what the process holds at its end that it did not hold at its start."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import redis.asyncio

from bot.engine import NAME as QUEUE
from bot.store.kept import FOR_GOOD
from bot.store.redis_server import NAMESPACE
from tests.chaos.child import OWN_PACE
from tests.chaos.clock import NEVER
from tests.chaos.forks import Process
from tests.chaos.inside import Held, held
from tests.chaos.kills import NAMES
from tests.chaos.results import Row
from tests.chaos.scene import PLACE, STORES, Ground, Scene, a_list, a_scene
from tests.chaos.trial import Trial
from tests.slack_people import Place
from tests.telegram_standin import GROUP, Chat

START = datetime(2026, 2, 26, 0, 0, 5, tzinfo=UTC)  # the day's report comes at half past one
HOURS, QUICK_HOURS = 24, 1
A_MINUTE = 20  # requests
MOST_GROWTH = 1.05  # of memory, from the end of the second hour, after the report, to the end
NEWEST, OLDEST = date(2026, 2, 25), date(2025, 8, 1)
GROUPS = (GROUP, *range(-1001000000018, -1001000000010))  # so many that no platform's limits are in the way for long
PEOPLE = tuple(range(1001, 1009))
PLACES = (PLACE, *(f"C0PLACE{number}" for number in range(8)))
SHARES = {"deepdive": 6, "new": 1, "top": 5, "ask": 4, "search": 5, "status": 4}  # "new": of a paper that nobody read
WORDS = ("rain", "snow", "fog", "diffusion", "flow matching", "restoration", "PSNR", "mask")
NO_END = -1  # of a key, https://redis.io/docs/latest/commands/ttl/
QUEUE_KEYS = ("stream", "workers", "task-workers")  # one each, or one a kind of job, whatever was done
POOLED = 4  # connections that a pool may keep open or not, from one look to the other
ANSWER_SECONDS = 60.0  # real
SETTLE_SECONDS = 130.0  # simulated; every loop has looked, and what was kept open for a while is closed
KEPT_MESSAGES = 60  # of a chat of the stand-ins, which nobody needs to be slow


async def of_a_day(ground: Ground, trial: Trial) -> Sequence[Row]:
    """24 hours on SQLite or, with an odd number, on Redis. Its faults are its hours."""
    store = STORES[trial.number % 2]
    hours = QUICK_HOURS if trial.quick else HOURS
    row = trial.row(f"{hours} simulated hours, {A_MINUTE} requests a minute, {NAMES[store]}", faults=hours)
    lists, number, day = {}, 1, NEWEST + timedelta(days=1)
    while day >= OLDEST:
        lists[str(day)] = [] if day.weekday() >= 5 else a_list(first=number)
        number += len(lists[str(day)])
        day -= timedelta(days=1)
    chats = [*(Chat(group) for group in GROUPS[1:]), *(Chat(user, "private", title="Ada") for user in PEOPLE)]
    async with a_scene(ground, store, start=START, lists=lists, chats=chats) as scene:
        scene.slack.places |= {name: Place(name, name.lower()) for name in PLACES[1:]}
        scene.variables |= {
            "PAPERBOY_TELEGRAM__ALLOWED_CHATS": ",".join(map(str, [*GROUPS[1:], *PEOPLE])),
            "PAPERBOY_SLACK__ALLOWED_CHANNELS": ",".join(PLACES[1:]),
            "TMPDIR": str(scene.folder / "tmp"),
        }
        (scene.folder / "tmp").mkdir()
        scene.rate = NEVER  # of one process, nobody takes a job over
        scene.variables[OWN_PACE] = "1"
        soak = Soak(scene, trial.random, row, await scene.start(), number)
        # The first report of a day takes more memory than what people ask, once.
        await soak.live(hours, warm_up=timedelta(minutes=20 if trial.quick else 120))
        if row.failures:
            row.failures.append(scene.said())
    return [row]


@dataclass
class Soak:
    """One process and who asks it. `papers` is how many there are."""

    scene: Scene
    random: Random
    row: Row
    process: Process
    papers: int
    asked: Counter[str] = field(default_factory=Counter)
    read: int = 8  # papers whose deep dives are there already, about
    looks: list[Mapping[str, Any]] = field(default_factory=list)

    async def live(self, hours: int, warm_up: timedelta) -> None:
        started, first = time.monotonic(), None
        for minute in range(hours * 60):
            self.scene.time.jump_to(START + timedelta(minutes=minute))
            await self._a_minute()
            if timedelta(minutes=minute + 1) == warm_up:
                first = await self._look()
            elif (minute + 1) % 60 == 0:
                await self._look()
        seconds = time.monotonic() - started
        last = await self._look()
        assert first
        self.row.failures += _growth(first, last)
        requests = self.asked.total()
        self.row.figures |= {"requests": requests, "seconds": round(seconds), "a_second": round(requests / seconds, 1)}
        self.row.figures |= {"looks": self.looks, "growth": round(last.rss / first.rss - 1, 4)}
        self.row.figures |= {"asked": dict(self.asked), "own_growth": round(last.own / first.own - 1, 4)}
        if self.scene.store_url.startswith("redis"):
            await self._endless()

    async def _a_minute(self) -> None:
        before = self._answers()
        async with self.scene.skipping():
            for _ in range(A_MINUTE // 2):
                self._on_telegram()
                await self._in_slack()
            try:
                await self.scene.until(self._is_idle, ANSWER_SECONDS)
            except TimeoutError:
                self.row.failures.append(f"at {self.scene.time.now()}: not all is answered\n{self.scene.said(15)}")
        if (answers := self._answers() - before) < A_MINUTE:
            self.row.lost += A_MINUTE - answers
            self.row.failures.append(f"at {self.scene.time.now()}: {answers} answers to {A_MINUTE} requests")
        self._forget()

    def _answers(self) -> int:
        """Messages of the bot in all chats."""
        bot = sum(bool(one.get("bot_id")) for place in self.scene.slack.places.values() for one in place.messages)
        return bot + sum(len(posted) for posted in self.scene.telegram.posted.values())

    async def _is_idle(self) -> bool:
        pending = self.scene.telegram.inbox.pending
        return not pending and not await self.scene.store.open_requests() and not await self.scene.store.unfinished()

    def _words(self) -> str:
        """What somebody types, without the slash."""
        [kind] = self.random.choices(tuple(SHARES), tuple(SHARES.values()))
        self.asked[kind] += 1
        known = self.random.randrange(1, self.read)
        if kind == "new" and self.read < self.papers - 1:
            self.read += 1
            return f"deepdive {_id(self.read)}"
        if kind in ("deepdive", "new"):
            return f"deepdive {_id(known)}"
        if kind == "top":
            return self.random.choice(("top", "top 5", "top week", f"top 3 {NEWEST}"))
        if kind == "ask":
            return f"ask {_id(known)} How much memory does number {self.random.randrange(10**6)} need?"
        return f"search {self.random.choice(WORDS)}" if kind == "search" else "status"

    def _on_telegram(self) -> None:
        user = self.random.choice(PEOPLE)
        self.scene.telegram.types(f"/{self._words()}", chat=self.random.choice((*GROUPS, user)), user=user)

    async def _in_slack(self) -> None:
        words, place = self._words(), self.random.choice(PLACES)
        if self.random.random() < 0.5:
            sent = await self.scene.slack.mentions(words, place)
        elif words.startswith(("search", "status")):
            sent = await self.scene.slack.types(f"/paperboy {words}", place)
        else:
            sent = await self.scene.slack.types(f"/{words}", place)
        if not sent.acknowledged:
            self.row.failures.append(f"at {self.scene.time.now()}: Slack waits in vain for {words!r}")

    def _forget(self) -> None:
        """The stand-ins keep all they ever heard, and look through it all the time."""
        scene = self.scene
        for one in (scene.telegram, scene.slack, scene.arxiv, scene.huggingface):
            one.asked.clear()
        scene.slack.sent.clear()
        for posted in scene.telegram.posted.values():
            for old in list(posted)[:-KEPT_MESSAGES]:
                del posted[old]
        for place in scene.slack.places.values():
            del place.messages[:-KEPT_MESSAGES]

    async def _look(self) -> Held:
        async with self.scene.skipping():
            await self.scene.time.sleep(SETTLE_SECONDS)
        found = await held(self.scene.folder, self.process.pid)
        left = sorted(str(path) for path in (self.scene.folder / "tmp").rglob("*"))
        if left:
            self.row.failures.append(f"temporary files at {self.scene.time.now()}: {left[:10]}")
        at = self.scene.time.now()
        print(
            f"{self.row.fault}: {at:%d %H:%M}, {self.asked.total()} requests, {found.rss} KiB, own {found.own} KiB,",
            end=" ",
        )
        print(f"{sum(found.tasks.values())} tasks, {found.files} files, {found.sockets} sockets", flush=True)
        self.looks.append({"at": f"{at:%d %H:%M}", **asdict(found)})
        return found

    async def _endless(self) -> None:
        """Redis keys that no end is set for and that are not kept for good."""
        async with redis.asyncio.from_url(self.scene.store_url, decode_responses=True) as client:
            found = [key async for key in client.scan_iter(count=1_000) if await client.ttl(key) == NO_END]
        named = Counter(_shape(key) for key in found if not _is_for_good(key))
        self.row.figures["endless_keys"] = dict(named)
        self.row.failures += [f"{n} Redis keys like {shape} have no end" for shape, n in named.items()]


def _id(number: int) -> str:
    return f"2602.{number:05d}"


def _shape(key: str) -> str:
    return ":".join(key.split(":")[:2])


def _is_for_good(key: str) -> bool:
    name = key.removeprefix(f"{NAMESPACE}:")
    if name.startswith(f"{QUEUE}:"):
        return name.split(":")[1] in QUEUE_KEYS
    return any(name == kept or (kept.endswith("*") and name.startswith(kept[:-1])) for kept in FOR_GOOD)


def _growth(first: Held, last: Held) -> list[str]:
    """In words, what there is more of."""
    failures = []
    if last.rss > MOST_GROWTH * first.rss:
        failures.append(f"memory grew from {first.rss} to {last.rss} KiB")
    if last.files > first.files or last.sockets > first.sockets + POOLED:
        failures.append(f"open files and sockets grew from {first.files, first.sockets} to {last.files, last.sockets}")
    for name in ("tasks", "threads"):
        more = Counter(getattr(last, name)) - Counter(getattr(first, name))
        if more:
            failures.append(f"more {name}: {dict(more)}")
    return failures
