"""A process that is told to end finishes the send in flight, and is gone before it is killed."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import monotonic

import aiohttp
import pytest

from bot import delivery, engine
from bot.app.ending import ENDING, RUN_ENDS_SECONDS, EndedError, until_ended
from bot.engine import Terms
from bot.engine.on_docket import DocketEngine
from bot.errors import SourceError
from bot.models import Address, PartState, PlatformName, ReportKey
from bot.store.sqlite import SqliteStore
from bot.terminal import THREAD_SECONDS
from bot.web import serving
from bot.web.server import CLOSE_SECONDS
from tests.fakes import DAY, FakeClock, wait_until
from tests.slack_standin import hang as slack_hangs
from tests.telegram_standin import hang as telegram_hangs
from tests.test_delivery import DOCUMENTS, FakeChannel
from tests.test_web import a_site
from tests.world import PROJECT, a_world, just_now

KILLED_AFTER_SECONDS = 10.0  # https://docs.docker.com/reference/cli/docker/container/stop/
REPORT = ReportKey(DAY, "default", "zh")
ADDRESSES = (Address(PlatformName.TELEGRAM, "-1001"), Address(PlatformName.SLACK, "C1"))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore.open(tmp_path / "paperboy.db") as opened:
        yield opened


@dataclass
class SlowChannel(FakeChannel):
    """A channel whose first send takes until `release` is set."""

    started: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.answers = [self.wait]

    async def wait(self) -> None:
        self.started.set()
        await self.release.wait()


async def a_delivery(store: SqliteStore, channel: SlowChannel, stop: float = 3.5) -> tuple[str, delivery.Courier]:
    """Plans a report for the channel; returns its key and who brings it."""

    async def hear(_: delivery.Trouble) -> None:
        """The operator, who only listens."""

    clock = FakeClock()
    parts = delivery.plan(REPORT, channel, DOCUMENTS, name="team", now=clock.now())
    await store.plan(REPORT, parts)
    courier = delivery.Courier(store, lambda _: channel, clock, hear, replace(delivery.Patience(), stop=stop))
    return parts[0].delivery, courier


async def states(store: SqliteStore, key: str) -> set[PartState]:
    return {part.state for part in await store.delivery(key)}


# --- `run`: one sum that is surely below what a container gets


def test_all_that_may_hang_at_the_end_of_run_adds_up_to_less_than_what_it_gets():
    assert delivery.Patience().stop < engine.CUT_SECONDS
    assert RUN_ENDS_SECONDS + THREAD_SECONDS <= KILLED_AFTER_SECONDS - 0.5


async def test_jobs_and_readers_that_all_hang_end_within_their_sum(store: SqliteStore):
    """Jobs, deliveries and the web as `run` stacks them, with the delivery's times a tenth of the real ones."""
    channels = [SlowChannel(address=address) for address in ADDRESSES]
    works = dict([await a_delivery(store, channel, stop=0.35) for channel in channels])

    async def deliver(arguments, progress) -> None:
        await delivery.deliver(arguments["delivery"], works[arguments["delivery"]])

    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        async with AsyncExitStack() as run:
            port = await run.enter_async_context(serving(a_site(store), "127.0.0.1", 0))
            running = DocketEngine({"deliver": deliver}, terms=Terms(grace=0.15, cut=0.4))
            await run.enter_async_context(running.running())
            (await session.get(f"http://127.0.0.1:{port}/healthz")).release()
            for key in works:
                await running.submit("deliver", key, {"delivery": key})
            await asyncio.gather(*(channel.started.wait() for channel in channels))
            started = monotonic()
        assert monotonic() - started < 0.15 + 0.4 + CLOSE_SECONDS + engine.CLOSE_SECONDS + 0.3
    for key in works:
        assert await states(store, key) == {PartState.SENDING, PartState.PLANNED}  # a restart recovers it


@pytest.mark.slow
@pytest.mark.timeout(90)
async def test_run_ends_in_time_when_both_platforms_and_a_reader_hang(tmp_path: Path):
    async with a_world(tmp_path) as world, aiohttp.ClientSession() as session:
        port = free_port()
        world.write(more=f'[schedule]\ntime = "{just_now()}"\ntimezone = "UTC"\n[web]\nport = {port}\n')
        world.telegram.faults.extend(telegram_hangs() for _ in range(4))
        world.slack.fail("chat.postMessage", *[slack_hangs] * 4)
        async with world.running("run") as process:
            await wait_until(lambda: world.telegram.sends > 0 and bool(world.slack.calls("chat.postMessage")), 45.0)
            (await session.get(f"http://127.0.0.1:{port}/healthz")).release()  # and keeps the connection
            started = monotonic()
            process.send_signal(signal.SIGTERM)
            ended = await world.end(process)
            took = monotonic() - started
    assert ended.code == 0, ended.err
    assert took < KILLED_AFTER_SECONDS


def free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


# --- commands that end by themselves


async def test_a_command_that_nobody_ends_returns_what_it_returns():
    async def command() -> int:
        return 3

    assert await until_ended(command()) == 3


async def test_an_error_of_a_command_is_its_error():
    async def command() -> int:
        raise SourceError("down")

    with pytest.raises(SourceError):
        await until_ended(command())


@pytest.mark.parametrize("number", ENDING)
async def test_a_signal_lets_the_send_in_flight_be_recorded_and_sends_nothing_more(
    store: SqliteStore, number: signal.Signals
):
    channel = SlowChannel(address=ADDRESSES[0])
    key, courier = await a_delivery(store, channel)
    command = asyncio.ensure_future(until_ended(delivery.deliver(key, courier)))
    await channel.started.wait()
    os.kill(os.getpid(), number)
    asyncio.get_running_loop().call_later(0.05, channel.release.set)
    with pytest.raises(EndedError, match=number.name) as caught:
        await command
    assert caught.value.number is number
    assert len(channel.posted) == 1
    assert await states(store, key) == {PartState.SENT, PartState.PLANNED}


async def test_a_command_that_finishes_although_it_is_told_to_end_has_its_answer():
    started = asyncio.Event()

    async def command() -> int:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            return 0  # noqa: B012 - it is done in spite of the cancellation

    ending = asyncio.ensure_future(until_ended(command()))
    await started.wait()
    os.kill(os.getpid(), signal.SIGTERM)
    assert await ending == 0


async def test_being_cancelled_by_the_caller_is_no_signal():
    started = asyncio.Event()

    async def command() -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(until_ended(command()))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


async def test_a_second_signal_ends_the_process_at_once():
    script = """
import asyncio
from bot.app.ending import until_ended

async def command():
    print("started", flush=True)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        print("told", flush=True)
        await asyncio.Event().wait()

asyncio.run(until_ended(command()))
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, cwd=PROJECT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    for line in (b"started\n", b"told\n"):
        assert await process.stdout.readline() == line
        process.send_signal(signal.SIGTERM)
    assert await process.wait() == -signal.SIGTERM
