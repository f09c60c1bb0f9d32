"""`kill -9` at any step, then a restart: no part twice, none missing, and what nobody can know is `unknown`."""

import asyncio
import gc
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from bot.models import PartKind, PartState
from tests.delivery_child import KEY, LINK, POSTS, posted, run_with_file
from tests.standin import StandIn
from tests.stores import in_sqlite, on_redis, opened
from tests.test_delivery import FAST

ROOT = Path(__file__).parents[1]
LEASE = 2.0

PlaceIn = Callable[[Path], str]


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder in memory where there is one: what a killed process wrote stays; only a power cut asks for a disk."""
    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        yield Path(folder)


def in_a_child(folder: Path, place: str, *, finds: bool, die_at: int, ahead: timedelta) -> int:
    """Runs the delivery in a forked process; returns its exit code: 9 when it died where it should."""
    gc.freeze()  # a collection in the child would copy all of pytest's memory
    if (pid := os.fork()) == 0:
        try:
            asyncio.run(run_with_file(folder, place, finds=finds, die_at=die_at, ahead=ahead))
            os._exit(0)
        finally:
            os._exit(1)  # whatever it was: never back into pytest
    gc.unfreeze()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


async def states(place: str) -> dict[str, PartState]:
    async with opened(place) as store:
        return {part.key: part.state for part in await store.delivery(KEY)}


@pytest.fixture(params=["sqlite", "redis"])
def place_in(request: pytest.FixtureRequest) -> PlaceIn:
    """Where the store of a folder is: a file in it, or on a server, and then the folder holds what was posted alone."""
    if request.param == "sqlite":
        return in_sqlite
    url = request.getfixturevalue("redis_server")
    return lambda _: on_redis(url)


def runs(tmp_path: Path, place_in: PlaceIn) -> list[tuple[int, Path, str]]:
    """A fresh folder and a fresh store for every step at which the process is to die."""
    whole = tmp_path / "whole"
    whole.mkdir()
    steps = asyncio.run(run_with_file(whole, place_in(whole), finds=True))
    assert steps == 2 + 6 * len((*POSTS, LINK))
    folders = [(step, tmp_path / str(step)) for step in range(1, steps + 1)]
    for _, folder in folders:
        folder.mkdir()
    return [(step, folder, place_in(folder)) for step, folder in folders]


def die_and_restart(folder: Path, place: str, *, finds: bool, deaths: list[int]) -> None:
    """Dies at each of `deaths` in turn (an hour apart, so that leases have run out), then runs to the end in here."""
    for number, step in enumerate(deaths):
        code = in_a_child(folder, place, finds=finds, die_at=step, ahead=timedelta(hours=number))
        assert code == 9 if number == 0 else code in (0, 9)  # a restart may have fewer steps
    asyncio.run(run_with_file(folder, place, finds=finds, ahead=timedelta(hours=len(deaths))))


def test_killed_at_any_step_a_channel_that_can_be_searched_gets_everything_once(tmp_path: Path, place_in: PlaceIn):
    for step, folder, place in runs(tmp_path, place_in):
        die_and_restart(folder, place, finds=True, deaths=[step])
        assert posted(folder) == list(POSTS), f"killed at step {step}"
        assert set(asyncio.run(states(place)).values()) == {PartState.SENT}, f"killed at step {step}"


def test_killed_at_any_step_a_channel_that_cannot_gets_nothing_twice_and_every_gap_is_shown(
    tmp_path: Path, place_in: PlaceIn
):
    unknown_steps = 0
    for step, folder, place in runs(tmp_path, place_in):
        die_and_restart(folder, place, finds=False, deaths=[step])
        found = asyncio.run(states(place))
        unknown = [key for key in POSTS if found[key] is PartState.UNKNOWN]
        assert max(Counter(posted(folder)).values()) == 1, f"killed at step {step}"
        assert set(POSTS) - set(posted(folder)) <= set(unknown), f"killed at step {step}"
        assert all(found[key] is PartState.SENT for key in POSTS if key not in unknown), f"killed at step {step}"
        assert len(unknown) <= 1
        unknown_steps += bool(unknown)
    assert unknown_steps == 4 * len(POSTS)  # after claim, before send, after send, before record


def test_killed_again_during_the_restart_it_still_gets_everything_once(tmp_path: Path, place_in: PlaceIn):
    for step, folder, place in runs(tmp_path, place_in)[3::4]:
        die_and_restart(folder, place, finds=True, deaths=[step, 2 + step % 7, 4])
        assert posted(folder) == list(POSTS), f"killed at step {step}"
        assert set(asyncio.run(states(place)).values()) == {PartState.SENT}, f"killed at step {step}"


class ChatServer(StandIn):
    """Takes posts over HTTP. `hold_at`: that post is taken, and its answer withheld."""

    hold_at: int | None = None

    def routes(self, app: web.Application) -> None:
        self.posted: list[str] = []
        self.edited: list[str] = []
        self.held = asyncio.Event()
        app.router.add_post(f"/{PartKind.POST}", self.post)
        app.router.add_post(f"/{PartKind.LINK}", self.edit)
        app.router.add_get("/find", self.find)

    async def post(self, request: web.Request) -> web.Response:
        self.posted.append(await request.text())
        if len(self.posted) == self.hold_at:
            self.held.set()
            await asyncio.sleep(LEASE)
        return web.Response(text=f"id {len(self.posted)}")

    async def edit(self, request: web.Request) -> web.Response:
        self.edited.append(await request.text())
        return web.Response(text="edited")

    async def find(self, request: web.Request) -> web.Response:
        key = request.query["key"]
        return web.json_response([f"id {self.posted.index(key) + 1}"] if key in self.posted else None)


async def a_process(place: str, server: ChatServer) -> asyncio.subprocess.Process:
    arguments = ("-m", "tests.delivery_child", place, server.url, str(LEASE))
    return await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=ROOT)


async def test_a_real_kill_in_the_middle_of_a_send_loses_and_repeats_nothing(tmp_path: Path, place_in: PlaceIn):
    place = place_in(tmp_path)
    async with ChatServer() as server:
        server.hold_at = 3
        first = await a_process(place, server)
        await server.held.wait()
        first.send_signal(signal.SIGKILL)
        assert await first.wait() == -signal.SIGKILL
        assert set((await states(place)).values()) == {PartState.SENT, PartState.SENDING, PartState.PLANNED}
        second = await a_process(place, server)
        assert await second.wait() == 0
        assert server.posted == list(POSTS)
        assert server.edited == [LINK]
        assert set((await states(place)).values()) == {PartState.SENT}


async def test_processes_that_deliver_the_same_report_at_once_send_each_part_once(tmp_path: Path, place_in: PlaceIn):
    place = place_in(tmp_path)
    async with ChatServer() as server:
        processes = [await a_process(place, server) for _ in range(3)]
        assert [await process.wait() for process in processes] == [0, 0, 0]
        assert server.posted == list(POSTS)
        assert server.edited == [LINK]
