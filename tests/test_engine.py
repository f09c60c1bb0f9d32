"""Jobs run once a key, fail alone, and end in good order."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from time import monotonic

import pytest

from bot.engine import LocalEngine
from bot.errors import SourceError
from tests.fakes import wait_until


class Work:
    """A job that runs until it is released, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, str]] = []
        self.done: list[Mapping[str, str]] = []
        self.cut: list[Mapping[str, str]] = []
        self.started = asyncio.Event()
        self.release = asyncio.Event()

    async def __call__(self, arguments: Mapping[str, str]) -> None:
        self.asked.append(arguments)
        self.started.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cut.append(arguments)
            raise
        self.done.append(arguments)


async def fails(_: Mapping[str, str]) -> None:
    raise SourceError("the list is down")


async def breaks(_: Mapping[str, str]) -> None:
    raise ZeroDivisionError


def ended(key: str) -> Callable[[], bool]:
    """Has the job of that key ended, so that its task is gone?"""
    return lambda: key not in {task.get_name() for task in asyncio.all_tasks()}


async def test_a_key_that_runs_is_not_started_twice():
    work = Work()
    engine = LocalEngine({"report": work})
    async with engine.running():
        assert await engine.submit("report", "report:today", {"day": "2026-02-25"})
        assert not await engine.submit("report", "report:today", {"day": "2026-02-25"})
        await work.started.wait()
        assert not await engine.submit("report", "report:today", {"day": "2026-02-25"})
        work.release.set()
        await wait_until(ended("report:today"))
    assert work.done == [{"day": "2026-02-25"}]


async def test_a_key_is_free_again_when_its_job_has_ended():
    work = Work()
    work.release.set()
    engine = LocalEngine({"report": work})
    async with engine.running():
        for _ in range(2):
            assert await engine.submit("report", "key", {})
            await wait_until(ended("key"))
    assert len(work.done) == 2


async def test_jobs_of_different_keys_run_side_by_side():
    work = Work()
    engine = LocalEngine({"report": work})
    async with engine.running():
        for number in range(5):
            await engine.submit("report", str(number), {"number": str(number)})
        await wait_until(lambda: len(work.asked) == 5)
        work.release.set()
        await wait_until(lambda: len(work.done) == 5)


async def test_a_job_that_fails_is_logged_and_disturbs_no_other(caplog: pytest.LogCaptureFixture):
    work = Work()
    engine = LocalEngine({"report": work, "bad": fails})
    async with engine.running():
        await engine.submit("report", "good", {})
        await engine.submit("bad", "bad", {"day": "2026-02-25"})
        await wait_until(ended("bad"))
        assert "job failed: the list is down" in caplog.text
        assert "Traceback" not in caplog.text  # it says all that there is to say
        work.release.set()
    assert work.done == [{}]


async def test_a_fault_in_a_job_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture):
    engine = LocalEngine({"breaks": breaks})
    async with engine.running():
        await engine.submit("breaks", "key", {})
        await wait_until(ended("key"))
    assert "ZeroDivisionError" in caplog.text


async def test_a_job_submitted_early_starts_with_the_engine():
    work = Work()
    work.release.set()
    engine = LocalEngine({"report": work})
    assert await engine.submit("report", "key", {})
    await asyncio.sleep(0)
    assert work.asked == []
    async with engine.running():
        await wait_until(lambda: work.done == [{}])


async def test_leaving_lets_a_running_job_finish():
    work = Work()
    engine = LocalEngine({"report": work})
    async with engine.running():
        await engine.submit("report", "key", {})
        await work.started.wait()
        asyncio.get_running_loop().call_soon(work.release.set)
    assert (work.done, work.cut) == ([{}], [])


async def test_a_job_that_does_not_end_in_the_grace_is_cancelled(caplog: pytest.LogCaptureFixture):
    work = Work()
    engine = LocalEngine({"report": work}, grace=0.02)
    async with engine.running():
        await engine.submit("report", "key", {})
        await work.started.wait()
    assert (work.done, work.cut) == ([], [{}])
    assert "job cut short" in caplog.text


async def test_a_job_that_does_not_end_when_it_is_cancelled_holds_nobody_up(caplog: pytest.LogCaptureFixture):
    release = asyncio.Event()

    async def deaf(_: Mapping[str, str]) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await release.wait()

    engine = LocalEngine({"deaf": deaf}, grace=0.01, cut=0.02)
    started = monotonic()
    async with engine.running():
        await engine.submit("deaf", "key", {})
        await asyncio.sleep(0)
    assert monotonic() - started < 1
    assert "job does not end" in caplog.text
    release.set()
    await wait_until(ended("key"))


async def test_a_job_submitted_at_the_end_waits_for_a_later_start_and_is_dropped():
    work = Work()

    async def submits(_: Mapping[str, str]) -> None:
        await work.release.wait()
        await engine.submit("report", "late", {})

    engine = LocalEngine({"report": work, "submits": submits}, grace=0.1)
    async with engine.running():
        await engine.submit("submits", "key", {})
        asyncio.get_running_loop().call_later(0.02, work.release.set)
    assert work.asked == []


async def test_an_error_inside_the_context_still_ends_the_jobs():
    work = Work()
    engine = LocalEngine({"report": work}, grace=0.01)

    async def ends_badly() -> None:
        async with engine.running():
            await engine.submit("report", "key", {})
            await work.started.wait()
            raise SourceError("broken")

    with pytest.raises(SourceError):
        await ends_badly()
    assert work.cut == [{}]


async def test_a_job_that_waits_can_be_cancelled():
    work = Work()
    engine = LocalEngine({"report": work})
    await engine.submit("report", "key", {})
    assert not await engine.submit("report", "key", {})
    assert await engine.cancel("key")
    async with engine.running():
        await asyncio.sleep(0)
    assert work.asked == []


async def test_a_job_can_be_cancelled():
    work = Work()
    engine = LocalEngine({"report": work})
    async with engine.running():
        assert not await engine.cancel("key")
        await engine.submit("report", "key", {})
        await work.started.wait()
        assert await engine.cancel("key")
        assert work.cut == [{}]
        assert await engine.submit("report", "key", {})
        work.release.set()


async def test_a_job_that_nobody_registered_is_a_programming_error():
    with pytest.raises(KeyError):
        await LocalEngine({}).submit("nonsense", "key", {})
