"""Who is told that a request is taken can rely on it: after `kill -9` it is there, and of two processes one took it."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from pathlib import Path

import pytest

from bot.requests import RequestState
from tests.admission_child import answer
from tests.admission_child import request as asked
from tests.stores import in_sqlite, on_redis, opened

ROOT = Path(__file__).parents[1]
MANY = 100_000  # requests: more than a child gets to before it is killed
RACED = 40  # requests that every process of a race tries to admit
BEFORE_THE_KILL = 101  # lines that the child may say; the last of them is an admission


@pytest.fixture(params=["sqlite", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return on_redis(request.getfixturevalue("redis_server")) if request.param == "redis" else in_sqlite(tmp_path)


async def a_process(place: str, count: int) -> Process:
    """A child that has the store open and waits for its starting signal."""
    arguments = ("-m", "tests.admission_child", place, str(count))
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=ROOT, stdin=PIPE, stdout=PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


async def start(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"go\n")
    await process.stdin.drain()


async def test_what_was_acknowledged_before_a_real_kill_is_still_there(place: str):
    child = await a_process(place, MANY)
    assert child.stdout is not None
    await start(child)
    said = [(await child.stdout.readline()).split() for _ in range(BEFORE_THE_KILL)]
    child.send_signal(signal.SIGKILL)
    said += [line.split() for line in (await child.stdout.read()).splitlines(keepends=True) if line.endswith(b"\n")]
    assert await child.wait() == -signal.SIGKILL
    async with opened(place) as store:
        await store.check()
        for what, number, done in said:
            found = await store.request(asked(int(number)).key)
            assert done == b"1"
            assert found is not None
            if what == b"closed":
                assert found.state is RequestState.ANSWERED
                assert await store.delivery(answer(int(number)).delivery) == (answer(int(number)),)
        unsaid = await store.open_requests()
        assert len(unsaid) <= 1  # the one that it was at
        assert [await store.delivery(f"{lost.key}@{lost.address}") for lost in unsaid] == [()] * len(unsaid)
        assert not await store.admit([asked(0)])


async def test_processes_that_admit_and_close_the_same_requests_at_once_do_each_once(place: str):
    processes = [await a_process(place, RACED) for _ in range(2)]
    await asyncio.gather(*map(start, processes))
    said = [(await process.communicate())[0].splitlines() for process in processes]
    done = Counter(tuple(line.split()[:2]) for lines in said for line in lines if line.endswith(b" 1"))
    assert done == {(what, b"%d" % number): 1 for number in range(RACED) for what in (b"admitted", b"closed")}
    async with opened(place) as store:
        assert await store.open_requests() == ()
        assert len(await store.deliveries(2 * RACED)) == RACED
