"""Several whole processes on one store: one polls Telegram, another follows when it ends, dies or hangs."""

import asyncio
import contextlib
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests import redis_standin
from tests.chatting import START_SECONDS, Bot, a_free_port, a_town, started
from tests.fakes import wait_until
from tests.slack_standin import Place
from tests.telegram_standin import GROUP, Chat
from tests.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

LAB = Chat(GROUP - 1, title="Lab")
LEASE = 2.0  # seconds
SOON = 5.0  # seconds that a takeover may take beside the lease


@dataclass
class Replica:
    """A process with a port of its own."""

    bot: Bot
    port: int

    async def ready(self) -> tuple[int, dict[str, str]]:
        """What /readyz says; (0, {}) where nobody answers."""
        with contextlib.suppress(aiohttp.ClientError):
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{self.port}/readyz") as answer,
            ):
                return answer.status, await answer.json()
        return 0, {}

    async def is_ready(self, telegram: str) -> None:
        end = time.monotonic() + START_SECONDS
        while True:
            assert self.bot.process.returncode is None, self.bot.said
            status, states = await self.ready()
            hears = (states.get("telegram commands"), states.get("slack commands"))
            if (status, hears) == (200, (telegram, "ok")):
                return
            assert time.monotonic() < end, (states, self.bot.said)
            await asyncio.sleep(0.02)

    def gets(self, number: signal.Signals) -> None:
        os.kill(self.bot.process.pid, number)


@asynccontextmanager
async def a_replica(world: World, telegram: str) -> AsyncIterator[Replica]:
    """Started, and ready; it is killed when it is left running."""
    port = a_free_port()
    world.variables["PAPERBOY_WEB__PORT"] = str(port)
    replica = Replica(await started(world, world.folder / f"log-{port}.txt"), port)
    try:
        await replica.is_ready(telegram)
        yield replica
    finally:
        if replica.bot.process.returncode is None:
            replica.gets(signal.SIGCONT)
            await replica.bot.dies()


@asynccontextmanager
async def two_on(place: str, folder: Path, lease: float = LEASE) -> AsyncIterator[tuple[World, Replica, Replica]]:
    """The first one polls, the second one stands by."""
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(a_town(folder, chats=[LAB]))
        world.write(model=False)
        world.variables["PAPERBOY_TELEGRAM__LEASE_SECONDS"] = str(lease)
        if place == "redis":
            server = stack.enter_context(redis_standin.running())
            world.variables["PAPERBOY_STORE__URL"] = server.url
        first = await stack.enter_async_context(a_replica(world, "ok"))
        second = await stack.enter_async_context(a_replica(world, "standby"))
        yield world, first, second


async def answered(world: World, question: int, seconds: float = 10.0) -> None:
    await wait_until(lambda: answers(world)[question] == 1, seconds)


def answers(world: World) -> Counter[int]:
    return Counter(message.answers for message in world.telegram.messages(LAB.id) if message.answers)


def asks(world: World) -> int:
    return world.telegram.types("/help", chat=LAB.id)


async def test_a_bot_that_is_killed_and_started_again_hears_at_once(tmp_path: Path):
    async with a_town(tmp_path, chats=[LAB]) as world:
        world.write(model=False)
        async with a_replica(world, "ok") as first:
            await first.bot.dies()
        started_again = time.monotonic()
        async with a_replica(world, "ok"):
            await answered(world, asks(world))
            assert time.monotonic() - started_again < 10, "and waits for no lease of 30 s"


STORES = pytest.mark.parametrize(
    "place",
    ["sqlite", pytest.param("redis", marks=pytest.mark.skipif(not redis_standin.INSTALLED, reason="no server"))],
)


@STORES
async def test_when_the_poller_is_killed_another_answers_within_its_lease_and_five_seconds(place: str, tmp_path: Path):
    async with two_on(place, tmp_path) as (world, first, second):
        before = asks(world)
        await answered(world, before)
        assert world.telegram.inbox.conflicts == 0
        await first.bot.dies()
        died = time.monotonic()
        after = asks(world)
        await answered(world, after, LEASE + SOON)
        print(f"takeover on {place} after {time.monotonic() - died:.1f} s of a {LEASE} s lease")
        await second.is_ready("ok")
        assert "took over" in second.bot.said
        assert answers(world) == {before: 1, after: 1}
        assert world.telegram.inbox.conflicts <= 1, "at most the poll that the dead one left behind"
        assert await second.bot.ends() < 10


@STORES
async def test_a_poller_that_is_told_to_end_is_replaced_at_once(place: str, tmp_path: Path):
    async with two_on(place, tmp_path, lease=30) as (world, first, _):
        assert await first.bot.ends() < 10
        ended = time.monotonic()
        await answered(world, asks(world), SOON)
        print(f"handed over on {place} after {time.monotonic() - ended:.1f} s")
        assert "stepped down" in first.bot.said
        assert world.telegram.inbox.conflicts <= 1


@STORES
async def test_a_poller_that_was_stopped_past_its_lease_does_not_poll_when_it_goes_on(place: str, tmp_path: Path):
    async with two_on(place, tmp_path) as (world, first, second):
        first.gets(signal.SIGSTOP)
        asked = [asks(world)]
        await answered(world, asked[0], LEASE + SOON)
        await second.is_ready("ok")
        conflicts = world.telegram.inbox.conflicts
        first.gets(signal.SIGCONT)
        await first.is_ready("standby")
        for _ in range(5):
            asked.append(asks(world))
            await answered(world, asked[-1])
        assert world.telegram.inbox.conflicts <= conflicts + 1
        assert answers(world) == dict.fromkeys(asked, 1)
        await second.bot.dies()
        asked.append(asks(world))
        await answered(world, asked[-1], LEASE + SOON)  # and it leads again when it is its turn
        await first.is_ready("ok")


async def test_at_the_real_lease_a_poller_of_which_nobody_hears_is_replaced_within_thirty_five_seconds(tmp_path: Path):
    """Stopped, not killed: of a process of this machine it would be known that it has ended."""
    async with two_on("redis" if redis_standin.INSTALLED else "sqlite", tmp_path, lease=30) as (world, first, _):
        await answered(world, asks(world))
        first.gets(signal.SIGSTOP)
        died = time.monotonic()
        await answered(world, asks(world), 35)
        print(f"takeover after {time.monotonic() - died:.1f} s of a 30 s lease")


@STORES
async def test_an_event_that_slack_sends_to_both_sockets_is_answered_once(place: str, tmp_path: Path):
    async with two_on(place, tmp_path) as (world, *_):
        slack = world.slack
        assert len(slack.sockets) == 2
        slack.places["C0PAPERS"] = slack.places.get("C0PAPERS") or Place("C0PAPERS", "papers")
        for count in range(1, 6):
            slack.lose_acks = 1
            sent = await slack.mentions("help")
            assert sent.tries == 2
            await wait_until(lambda count=count: said(world) >= count, 10)  # type: ignore[misc]  # mypy wants no default here
        await asyncio.sleep(1)  # time for a second answer
        assert said(world) == 5


def said(world: World) -> int:
    return sum(bool(message.get("bot_id")) for message in world.slack.places["C0PAPERS"].messages)
