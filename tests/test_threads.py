"""Threads that nobody has to wait for."""

import asyncio
import gc
import threading
import weakref

import pytest

from bot.sources.threads import in_daemon_thread
from tests.fakes import wait_until


class Tree:
    """Something large."""


async def test_the_result_and_the_error_come_to_the_asker():
    assert await in_daemon_thread(lambda: 7, "work") == 7
    with pytest.raises(ZeroDivisionError):
        await in_daemon_thread(lambda: 1 // 0, "work")


async def test_an_error_keeps_nothing_of_what_was_worked_on():
    seen: list[weakref.ref[Tree]] = []

    def work() -> None:
        tree = Tree()
        seen.append(weakref.ref(tree))
        raise ValueError

    gc.disable()
    try:
        with pytest.raises(ValueError) as trouble:  # noqa: PT011  # nothing but the class is known
            await in_daemon_thread(work, "work")
        assert seen[0]() is None
        assert trouble.traceback[-1].name == "work"
    finally:
        gc.enable()


async def test_its_end_is_told_also_when_the_asker_has_gone():
    release, ended = threading.Event(), asyncio.Event()
    asker = asyncio.create_task(in_daemon_thread(lambda: release.wait(5), "work", ended=ended.set))
    await asyncio.sleep(0)
    asker.cancel()
    await asyncio.wait([asker])
    assert not ended.is_set()
    release.set()
    await wait_until(ended.is_set)


async def test_where_no_thread_is_to_be_had_the_end_is_told_too(monkeypatch: pytest.MonkeyPatch):
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    ended = asyncio.Event()
    monkeypatch.setattr(threading.Thread, "start", refuse)  # a machine without threads left would run no tests
    with pytest.raises(RuntimeError, match="new thread"):
        await in_daemon_thread(lambda: 7, "work", ended=ended.set)
    assert ended.is_set()


def test_a_thread_that_outlives_the_loop_ends_quietly():
    done, release = threading.Event(), threading.Event()

    def call() -> None:
        release.wait(5)
        done.set()

    async def leave() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(in_daemon_thread(call, "outliving"), 0.01)

    asyncio.run(leave())
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "outliving")
    release.set()
    thread.join(5)
    assert done.is_set()
