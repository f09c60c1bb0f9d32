"""Jobs run once a key, fail alone, and end in good order."""

import asyncio
from collections.abc import Mapping

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


async def test_a_key_that_runs_is_not_started_twice():
    work = Work()
    engine = LocalEngine({"report": work})
    async with engine.running():
        assert await engine.submit("report", "report:today", {"day": "2026-02-25"})
        assert not await engine.submit("report", "report:today", {"day": "2026-02-25"})
        await work.started.wait()
        assert not await engine.submit("report", "report:today", {"day": "2026-02-25"})
        work.release.set()
        await engine.wait("report:today")
    assert work.done == [{"day": "2026-02-25"}]


async def test_a_key_is_free_again_when_its_job_has_ended():
    work = Work()
    work.release.set()
    engine = LocalEngine({"report": work})
    async with engine.running():
        for _ in range(2):
            assert await engine.submit("report", "key", {})
            await engine.wait("key")
        await engine.wait("key")
    assert len(work.done) == 2


async def test_jobs_of_different_keys_run_side_by_side():
    work = Work()
    engine = LocalEngine({"report": work})
    async with engine.running():
        for number in range(5):
            await engine.submit("report", str(number), {"number": str(number)})
        await wait_until(lambda: len(work.asked) == 5)
        work.release.set()
        await engine.idle()
        assert len(work.done) == 5


async def test_a_job_that_fails_is_logged_and_disturbs_no_other(caplog: pytest.LogCaptureFixture):
    work = Work()
    engine = LocalEngine({"report": work, "bad": fails})
    async with engine.running():
        await engine.submit("report", "good", {})
        await engine.submit("bad", "bad", {"day": "2026-02-25"})
        await engine.wait("bad")
        assert "job failed" in caplog.text
        assert "the list is down" in caplog.text
        work.release.set()
        await engine.wait("good")
    assert work.done == [{}]


async def test_a_job_submitted_early_starts_with_the_engine():
    work = Work()
    work.release.set()
    engine = LocalEngine({"report": work})
    assert await engine.submit("report", "key", {})
    await asyncio.sleep(0)
    assert work.asked == []
    async with engine.running():
        await engine.idle()
    assert work.done == [{}]


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

    async def breaks() -> None:
        async with engine.running():
            await engine.submit("report", "key", {})
            await work.started.wait()
            raise SourceError("broken")

    with pytest.raises(SourceError):
        await breaks()
    assert work.cut == [{}]


async def test_a_job_that_waits_can_be_cancelled():
    work = Work()
    engine = LocalEngine({"report": work})
    await engine.submit("report", "key", {})
    assert not await engine.submit("report", "key", {})
    assert await engine.cancel("key")
    async with engine.running():
        await engine.idle()
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
