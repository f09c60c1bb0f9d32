"""Whole processes on one Redis server: two that hear and one that only works, ended and killed in the middle."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.engine import LEASE_SECONDS, NAME
from bot.store.redis import RedisStore
from bot.texts import load
from tests import redis_standin
from tests.chatting import END_SECONDS, Ways, a_bot, a_free_port, a_listener, a_town, a_worker
from tests.fakes import wait_until
from tests.slack_standin import Place
from tests.telegram_standin import GROUP, Chat, Posted
from tests.world import World, a_world

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

ZH = load("zh")
LAB = Chat(GROUP - 1, title="Lab")
PATIENCE = 30.0  # seconds
SLOW_MODEL = 3.4
STUCK_MODEL = 60.0
ROOMS = tuple(f"C0ROOM{number}" for number in range(8))


@asynccontextmanager
async def a_shared_town(folder: Path, **model: Any) -> AsyncIterator[World]:
    """People who ask on Slack, whose events may reach any process, and a Redis store."""
    if not redis_standin.INSTALLED:
        pytest.skip("Redis is not installed (Debian: apt-get install redis-server)")
    with redis_standin.running() as server:
        async with a_town(folder, Ways(), [LAB], **model) as world:
            world.slack.places |= {name: Place(name, name.lower()) for name in ROOMS}
            world.variables["PAPERBOY_SLACK__ALLOWED_CHANNELS"] = ",".join(ROOMS)
            world.variables["PAPERBOY_STORE__URL"] = server.url
            yield world


@asynccontextmanager
async def a_replica(world: World) -> AsyncIterator[World]:
    """The same world, seen by a process with a port and a log of its own."""
    before = dict(world.variables)
    folder = world.folder / f"replica{time.monotonic_ns()}"
    folder.mkdir()
    (folder / "config.toml").write_text((world.folder / "config.toml").read_text())
    port = a_free_port()
    other = World(folder, world.huggingface, world.arxiv, world.model, world.telegram, world.slack, before)
    other.variables |= {"PAPERBOY_WEB__PORT": str(port), "PAPERBOY_WEB__PUBLIC_URL": f"http://127.0.0.1:{port}"}
    yield other


def answers(world: World, room: str) -> list[str]:
    return [str(message) for message in world.slack.places[room].messages if message.get("bot_id")]


def answered(world: World) -> bool:
    return all(len(answers(world, room)) == 1 and "⏳" not in answers(world, room)[0] for room in ROOMS)


async def asks_everywhere(world: World, text: str) -> None:
    await asyncio.gather(*(world.slack.types(text, channel=room) for room in ROOMS))


async def nothing_is_open(world: World) -> bool:
    async with RedisStore.open(world.variables["PAPERBOY_STORE__URL"]) as store:
        return not await store.open_requests() and not await store.unfinished()


async def warm(world: World) -> None:
    """Returns when the model's library is loaded, which holds a busy machine up: nobody is heard in time meanwhile."""
    delay, world.model.delay = world.model.delay, 0.0
    await says(world, world.telegram.types("/deepdive 2602.00009", chat=LAB.id))
    world.model.delay = delay


async def says(world: World, asked: int) -> Posted:
    """The finished answer to a message, which is the only one."""
    await wait_until(lambda: any(not one.text.startswith("⏳") for one in shown(world, asked)), 3 * PATIENCE)
    [answer] = shown(world, asked)
    return answer


async def test_two_that_hear_and_one_that_works_answer_everybody_once(tmp_path: Path):
    async with (
        a_shared_town(tmp_path, delay=SLOW_MODEL) as world,
        a_replica(world) as second,
        a_replica(world) as third,
    ):
        async with a_worker(third) as worker, a_bot(world) as one, a_listener(second) as two:
            await warm(world)
            calls = world.model.by_name["deep_dive"]
            await asks_everywhere(world, "/deepdive 2602.00001")
            await wait_until(lambda: answered(world), 3 * PATIENCE)
            assert world.model.by_name["deep_dive"] == calls + 1
            asked = world.telegram.types("/deepdive 2602.00002", chat=LAB.id)
            await wait_until(lambda: bool(shown(world, asked)), PATIENCE)
            [place] = shown(world, asked)
            assert place.text.startswith("⏳")
            assert await says(world, asked) == place
            assert await worker.ends() < END_SECONDS
            assert await two.ends() < END_SECONDS
            assert await one.ends() < END_SECONDS
            # Telegram refuses one of two that poll.
            assert [line for line in worker.errors + one.errors + two.errors if "Conflict" not in line] == []
        assert await nothing_is_open(world)


def shown(world: World, question: int) -> list[Posted]:
    return [message for message in world.telegram.messages(LAB.id) if message.answers == question]


async def test_the_work_of_a_killed_worker_is_done_by_another_in_the_same_message(tmp_path: Path):
    async with (
        a_shared_town(tmp_path, delay=STUCK_MODEL) as world,
        a_replica(world) as second,
        a_worker(second) as worker,
        a_bot(world) as bot,
    ):
        await warm(world)
        asked = world.telegram.types("/deepdive 2602.00001", chat=LAB.id)
        calls = world.model.calls
        await wait_until(lambda: bool(shown(world, asked)) and world.model.calls > calls, PATIENCE)
        world.model.delay = 0.0
        await worker.dies()
        await bot.dies()
        died = time.monotonic()
        async with a_bot(world) as later:
            await says(world, asked)
            assert time.monotonic() - died < LEASE_SECONDS + 5
            await later.ends()


async def test_a_wiped_queue_in_the_middle_loses_no_answer(tmp_path: Path):
    from redis.asyncio import Redis

    async with a_shared_town(tmp_path, delay=SLOW_MODEL) as world, a_bot(world) as bot:
        await warm(world)
        calls = world.model.calls
        await asks_everywhere(world, "/deepdive 2602.00003")
        await wait_until(lambda: world.model.calls > calls, PATIENCE)
        async with Redis.from_url(world.variables["PAPERBOY_STORE__URL"]) as redis:
            keys = [key async for key in redis.scan_iter(f"{NAME}:*")]
            assert keys
            await redis.delete(*keys)
        await world.slack.types("/deepdive 2602.00004", channel=ROOMS[0])
        await wait_until(lambda: len(answers(world, ROOMS[0])) == 2, 3 * PATIENCE)
        await wait_until(lambda: all("⏳" not in text for room in ROOMS for text in answers(world, room)), PATIENCE)
        await bot.ends()


async def test_worker_needs_a_store_that_others_reach(tmp_path: Path):
    async with a_world(tmp_path) as world:
        ended = await world.paperboy("worker")
    assert ended.code == 2
    assert "store.url" in ended.err
    assert "redis://" in ended.err
    assert len(ended.err.splitlines()) == 1


async def test_a_worker_says_how_it_is_and_works_without_a_page_where_its_port_is_taken(tmp_path: Path):
    async with a_shared_town(tmp_path) as world, a_replica(world) as other, a_worker(other):
        page = other.variables["PAPERBOY_WEB__PUBLIC_URL"]
        async with aiohttp.ClientSession() as session:
            end = time.monotonic() + PATIENCE
            while not await is_ready(session, page):
                assert time.monotonic() < end
                await asyncio.sleep(0.1)
            async with session.get(f"{page}/metrics") as answer:
                assert 'paperboy_pass_age_seconds{loop="requests"}' in await answer.text()
        async with a_worker(other) as second:
            await wait_until(lambda: "no page of this worker: web.port: cannot listen" in second.said, PATIENCE)
            assert not second.errors


async def is_ready(session: aiohttp.ClientSession, page: str) -> bool:
    async with session.get(f"{page}/readyz") as answer:
        return answer.status == 200
