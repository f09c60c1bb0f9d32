"""Jobs run once a key, fail alone, are taken over from who dies, and end in good order: in process and on Redis."""

import asyncio
import contextlib
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from time import monotonic

import pytest
from redis.asyncio import Redis

from bot.engine import LEASE_SECONDS, Lane, Terms, on_docket
from bot.engine.on_docket import DocketEngine
from bot.errors import InputError, SourceError, StoreError
from bot.interfaces import Progress, no_progress
from tests import redis_standin
from tests.fakes import wait_until
from tests.redis_standin import RedisProcess

CHILD = Path(__file__).with_name("engine_child.py")
SHORT = 2.0  # a lease, in seconds
RECOVERY_SECONDS = 15.0  # after a server is back


class Work:
    """A job that runs until it is released, and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, str]] = []
        self.done: list[Mapping[str, str]] = []
        self.cut: list[Mapping[str, str]] = []
        self.now: Counter[str] = Counter()
        self.peak = 0
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.step: tuple[str, int, int] | None = None

    async def __call__(self, arguments: Mapping[str, str], progress: Progress = no_progress) -> None:
        self.asked.append(arguments)
        self.now["all"] += 1
        self.peak = max(self.peak, self.now["all"])
        if self.step:
            progress(*self.step)
        self.started.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cut.append(arguments)
            raise
        finally:
            self.now["all"] -= 1
        self.done.append(arguments)


class Failing:
    """Fails so many times."""

    def __init__(self, error: Exception, times: int = 99) -> None:
        self.error, self.times, self.tries = error, times, 0

    async def __call__(self, arguments: Mapping[str, str], progress: Progress) -> None:
        self.tries += 1
        if self.tries <= self.times:
            raise self.error


@pytest.fixture(params=["memory", "redis"])
def terms(request: pytest.FixtureRequest) -> Terms:
    """A queue of this test's own."""
    if request.param == "memory":
        return Terms(grace=0.2, cut=1.0, backoff=0.05)
    url = request.getfixturevalue("redis_server")
    return Terms(url, f"jobs-{redis_standin.namespace()}", lease=SHORT, grace=0.2, cut=1.0, backoff=0.05)


@pytest.fixture
def shared(redis_server: str) -> Terms:
    """A queue that two engines work on."""
    return Terms(redis_server, f"jobs-{redis_standin.namespace()}", lease=SHORT, grace=0.2, cut=1.0, backoff=0.05)


@pytest.fixture
def server() -> Iterator[RedisProcess]:
    if not redis_standin.INSTALLED:
        pytest.skip("Redis is not installed (Debian: apt-get install redis-server)")
    with redis_standin.running() as started:
        yield started


async def ended(engine: DocketEngine, job: str, key: str, seconds: float = 5.0) -> None:
    """Returns when the key is free: then a job of that name takes it."""
    async with asyncio.timeout(seconds):
        while not await engine.submit(job, key, {"again": "1"}):  # noqa: ASYNC110  # of a queue nobody is told
            await asyncio.sleep(0.01)


# --- one a key


async def test_a_queue_of_one_process_keeps_nothing_of_jobs_that_have_ended():
    work = Work()
    work.release.set()
    engine = DocketEngine({"work": work, "fail": Failing(SourceError("down"))}, terms=Terms(backoff=0.0))
    async with engine.running():
        for number in range(5):
            await engine.submit("work", f"ended-{number}", {})
        await engine.submit("fail", "ended-too", {})
        assert engine._docket  # whose keys nothing of ours counts
        async with engine._docket.redis() as redis:

            async def left() -> list[object]:
                return [key async for key in redis.scan_iter(match="*ended-*")]

            await wait_until(lambda: len(work.done) == 5)
            async with asyncio.timeout(5):
                while await left():  # noqa: ASYNC110 - the queue tells nobody
                    await asyncio.sleep(0.01)


async def test_a_key_that_waits_or_runs_is_not_started_twice(terms: Terms):
    work = Work()
    engine = DocketEngine({"report": work}, terms=terms)
    async with engine.running():
        assert await engine.submit("report", "report:today", {"day": "2026-02-25"})
        assert not await engine.submit("report", "report:today", {"day": "2026-02-25"})
        await work.started.wait()
        assert not await engine.submit("report", "report:today", {"day": "2026-02-25"})
        work.release.set()
        await wait_until(lambda: bool(work.done))
    assert work.done == [{"day": "2026-02-25"}]


async def test_a_key_is_free_again_when_its_job_has_ended(terms: Terms):
    work = Work()
    work.release.set()
    engine = DocketEngine({"report": work}, terms=terms)
    async with engine.running():
        assert await engine.submit("report", "key", {})
        await ended(engine, "report", "key")
        await wait_until(lambda: len(work.done) == 2)


async def test_the_queue_is_as_deep_as_jobs_wait_or_run(terms: Terms):
    work = Work()
    engine = DocketEngine({"report": work}, terms=terms)
    async with engine.running():
        assert await engine.depth() == 0
        await engine.submit("report", "one", {})
        await engine.submit("report", "two", {})
        assert await engine.depth() == 2
        work.release.set()
        async with asyncio.timeout(5):
            while await engine.depth():  # noqa: ASYNC110  # of a queue nobody is told
                await asyncio.sleep(0.01)


async def test_jobs_of_different_keys_run_side_by_side(terms: Terms):
    work = Work()
    engine = DocketEngine({"report": work}, terms=terms)
    async with engine.running():
        for number in range(40):
            await engine.submit("report", str(number), {"number": str(number)})
        await wait_until(lambda: work.peak == 40)
        work.release.set()
        await wait_until(lambda: len(work.done) == 40)


async def test_a_job_that_nobody_registered_is_a_programming_error(terms: Terms):
    engine = DocketEngine({}, terms=terms)
    with pytest.raises(KeyError):
        await engine.submit("nonsense", "key", {})


async def test_before_it_runs_and_after_it_has_ended_nothing_is_taken(terms: Terms):
    engine = DocketEngine({"report": Work()}, terms=terms)
    for _ in range(2):
        with pytest.raises(StoreError):
            await engine.submit("report", "key", {})
        async with engine.running():
            pass


async def test_two_engines_of_one_process_share_nothing():
    mine, others = Work(), Work()
    one, two = (DocketEngine({"report": work}, terms=Terms(grace=0.0)) for work in (mine, others))
    async with one.running(), two.running():
        assert await one.submit("report", "key", {})
        assert await two.submit("report", "key", {})
        await wait_until(lambda: len(mine.asked) == len(others.asked) == 1)


# --- failures


async def test_a_job_that_fails_for_good_is_logged_once_and_disturbs_no_other(
    terms: Terms, caplog: pytest.LogCaptureFixture
):
    work, bad = Work(), Failing(InputError("nobody can mend it"))
    engine = DocketEngine({"report": work, "bad": bad}, terms=terms)
    async with engine.running():
        await engine.submit("report", "good", {})
        await engine.submit("bad", "bad", {})
        await wait_until(lambda: "job failed: nobody can mend it" in caplog.text)
        await ended(engine, "report", "bad")
        work.release.set()
        await wait_until(lambda: len(work.done) == 2)
    assert bad.tries == 1
    assert "Traceback" not in caplog.text, "it says all that there is to say"


async def test_what_may_pass_is_tried_again_and_its_key_is_taken_meanwhile(terms: Terms):
    flaky = Failing(SourceError("the list is down"), times=2)
    engine = DocketEngine({"report": flaky}, terms=terms)
    async with engine.running():
        await engine.submit("report", "key", {})
        await wait_until(lambda: flaky.tries == 1)
        assert not await engine.submit("report", "key", {})
        await wait_until(lambda: flaky.tries == 3)


async def test_what_does_not_pass_is_given_up_after_a_few_tries(terms: Terms, caplog: pytest.LogCaptureFixture):
    down = Failing(StoreError("the disk is full"))
    engine = DocketEngine({"report": down}, terms=terms)
    async with engine.running():
        await engine.submit("report", "key", {})
        await wait_until(lambda: "job failed, tried again by who wants it: the disk is full" in caplog.text, 10.0)
        assert down.tries == 4


async def test_a_fault_in_a_job_is_logged_with_its_traceback(terms: Terms, caplog: pytest.LogCaptureFixture):
    broken = Failing(ZeroDivisionError())
    engine = DocketEngine({"breaks": broken}, terms=terms)
    async with engine.running():
        await engine.submit("breaks", "key", {})
        await wait_until(lambda: "ZeroDivisionError" in caplog.text)
    assert broken.tries == 1


# --- lanes


async def test_a_lane_takes_so_many_at_once_and_the_others_wait_for_nobody(terms: Terms):
    slow, quick = Work(), Work()
    quick.release.set()
    engine = DocketEngine({"answer": slow, "status": quick}, {"answer": Lane(("provider",), 2)}, terms)
    async with engine.running():
        for number in range(6):
            await engine.submit("answer", f"model{number}", {"provider": "openai"})
        await wait_until(lambda: slow.peak == 2)
        assert not await engine.submit("answer", "model5", {"provider": "openai"}), "it waits"
        started = monotonic()
        await engine.submit("status", "quick", {})
        await engine.submit("answer", "kept", {"provider": ""})
        await wait_until(lambda: bool(quick.done) and slow.now["all"] == 3)
        assert monotonic() - started < 0.5
        slow.peak = 0
        slow.release.set()
        await wait_until(lambda: len(slow.done) == 7)
        assert slow.peak <= 3


async def test_two_hundred_deliveries_that_wait_for_their_turn_hold_no_answer_up(terms: Terms):
    slow, quick = Work(), Work()
    quick.release.set()
    engine = DocketEngine({"deliver": slow, "answer": quick}, {"deliver": Lane(("chat",))}, terms)
    async with engine.running():
        for number in range(200):
            await engine.submit("deliver", f"deliver{number}", {"chat": "telegram:-1"})
        await engine.submit("answer", "behind all of them", {})
        await wait_until(lambda: bool(quick.done), 20.0)
        started = monotonic()
        await engine.submit("answer", "quick", {})
        await wait_until(lambda: len(quick.done) == 2)
        assert monotonic() - started < 0.5
        assert slow.peak == 1


async def test_a_lane_holds_across_engines(shared: Terms):
    one, two = Work(), Work()
    lanes = {"report": Lane(("day", "profile"))}
    engines = [DocketEngine({"report": work}, lanes, shared) for work in (one, two)]
    async with engines[0].running(), engines[1].running():
        for language in ("zh", "en"):
            await engines[0].submit("report", language, {"day": "2026-02-25", "profile": "p", "language": language})
        await engines[0].submit("report", "other", {"day": "2026-02-24", "profile": "p", "language": "zh"})
        await wait_until(lambda: one.now["all"] + two.now["all"] == 2)
        await asyncio.sleep(0.3)
        assert len(one.asked) + len(two.asked) == 2
        one.release.set()
        two.release.set()
        await wait_until(lambda: len(one.done) + len(two.done) == 3)


# --- across engines


async def test_a_key_is_one_in_all_engines_and_its_progress_is_seen_in_each(shared: Terms):
    work = Work()
    work.step = ("read", 2, 5)
    both = [DocketEngine({"report": work}, terms=shared) for _ in range(2)]
    async with both[0].running(), both[1].running():
        taken = [await engine.submit("report", "key", {}) for engine in (*both, *both)]
        assert taken == [True, False, False, False]
        await work.started.wait()

        async def seen() -> bool:
            return [await engine.progress("key") for engine in both] == 2 * [("read", 2, 5)]

        async with asyncio.timeout(5):
            while not await seen():  # noqa: ASYNC110  # of a queue nobody is told
                await asyncio.sleep(0.01)
        work.release.set()
        await wait_until(lambda: bool(work.done))
        async with asyncio.timeout(5):
            while any([await engine.progress("key") for engine in both]):  # noqa: ASYNC110  # the same
                await asyncio.sleep(0.01)
    assert len(work.asked) == 1


async def test_a_job_is_cancelled_by_whoever_wants_it(shared: Terms):
    work = Work()
    here, there = DocketEngine({"report": work}, terms=shared), DocketEngine({"report": work}, terms=shared)
    async with here.running(), there.running():
        assert not await there.cancel("key")
        await here.submit("report", "key", {})
        await work.started.wait()
        assert await (there if here._running else here).cancel("key"), "by the one where it does not run"
        await wait_until(lambda: len(work.cut) == 1)
        work.release.set()
        await ended(here, "report", "key")


async def test_a_job_that_runs_or_waits_in_a_lane_can_be_cancelled(terms: Terms):
    work = Work()
    engine = DocketEngine({"report": work}, {"report": Lane(("day",))}, terms)
    async with engine.running():
        assert not await engine.cancel("first")
        await engine.submit("report", "first", {"day": "today"})
        await work.started.wait()
        await engine.submit("report", "second", {"day": "today"})
        await asyncio.sleep(0.1)
        assert await engine.cancel("second")
        assert await engine.cancel("first")
        assert len(work.cut) == 1
        work.release.set()
        assert await engine.submit("report", "third", {"day": "today"})
        await wait_until(lambda: len(work.done) == 1)
        assert len(work.asked) == 2


# --- ends


async def test_leaving_lets_a_running_job_finish(terms: Terms):
    work = Work()
    engine = DocketEngine({"report": work}, terms=terms)
    async with engine.running():
        await engine.submit("report", "key", {})
        await work.started.wait()
        asyncio.get_running_loop().call_later(0.05, work.release.set)
    assert (work.done, work.cut) == ([{}], [])


async def test_a_job_that_does_not_end_in_the_grace_is_cancelled(terms: Terms, caplog: pytest.LogCaptureFixture):
    work = Work()
    engine = DocketEngine({"report": work}, terms=terms)
    async with engine.running():
        await engine.submit("report", "key", {})
        await work.started.wait()
    assert (work.done, work.cut) == ([], [{}])
    assert "job cut short" in caplog.text


async def test_a_job_that_does_not_end_when_it_is_cancelled_holds_nobody_up(
    terms: Terms, caplog: pytest.LogCaptureFixture
):
    release, started = asyncio.Event(), asyncio.Event()
    ended = asyncio.Event()

    async def deaf(arguments: Mapping[str, str], progress: Progress) -> None:
        started.set()
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()
        ended.set()

    engine = DocketEngine({"deaf": deaf}, terms=terms)
    async with engine.running():
        await engine.submit("deaf", "key", {})
        await started.wait()
        leaving = monotonic()
    assert monotonic() - leaving < terms.grace + terms.cut + 1.0
    assert "job does not end" in caplog.text
    release.set()
    await ended.wait()
    await asyncio.sleep(0.05)


async def test_an_error_inside_the_context_still_ends_the_jobs(terms: Terms):
    work = Work()
    engine = DocketEngine({"report": work}, terms=terms)

    async def ends_badly() -> None:
        async with engine.running():
            await engine.submit("report", "key", {})
            await work.started.wait()
            raise SourceError("broken")

    with pytest.raises(SourceError):
        await ends_badly()
    assert work.cut == [{}]


async def test_a_job_cut_short_is_given_to_another_engine_at_once(shared: Terms):
    """Long before its lease runs out."""
    patient = Terms(shared.url, shared.name, lease=8.0, grace=0.0, cut=1.0)
    first, second = Work(), Work()
    one, two = DocketEngine({"report": first}, terms=patient), DocketEngine({"report": second}, terms=patient)
    second.release.set()
    async with contextlib.AsyncExitStack() as later:
        async with one.running():
            await one.submit("report", "key", {"day": "today"})
            await first.started.wait()
            await later.enter_async_context(two.running())
        assert first.cut
        await wait_until(lambda: second.done == [{"day": "today"}], 3.0)


# --- accidents


@contextlib.asynccontextmanager
async def a_process(shared: Terms, file: Path, lane: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A worker that writes what it begins and never ends it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(CHILD), shared.url, shared.name, str(shared.lease), str(file), lane, cwd=CHILD.parent.parent
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("lane", [False, True], ids=["free", "in a lane"])
async def test_a_killed_workers_job_is_taken_over_within_the_lease(shared: Terms, tmp_path: Path, *, lane: bool):
    work, lanes = Work(), {"report": Lane(("day",))} if lane else {}
    work.release.set()
    async with a_process(shared, tmp_path / "begun", "day" if lane else "") as process:
        await wait_until((tmp_path / "begun").exists, 20.0)
        async with DocketEngine({"report": work}, lanes, shared).running():
            await wait_until(lambda: "day" in (tmp_path / "begun").read_text(), 20.0)
            os.kill(process.pid, signal.SIGKILL)
            await process.wait()
            died = monotonic()
            await wait_until(lambda: bool(work.done), 2 * SHORT + 5)
            assert monotonic() - died < SHORT + 1.5, "the lease, and the time of two processes on a busy machine"


def test_a_lease_is_as_long_as_the_takeover_may_take():
    assert LEASE_SECONDS + 1.5 < 35.0


async def test_a_wiped_queue_stops_nobody_and_what_was_lost_can_be_submitted_again(shared: Terms):
    work = Work()
    engine = DocketEngine({"report": work}, {"report": Lane(("day",))}, shared)
    async with engine.running(), Redis.from_url(shared.url) as redis:
        for number in range(3):
            await engine.submit("report", f"key{number}", {"day": "today"})
        await work.started.wait()
        keys = [key async for key in redis.scan_iter(f"{shared.name}:*")]
        assert keys
        await redis.delete(*keys)
        work.release.set()
        await wait_until(lambda: len(work.done) == 1)
        for number in range(1, 3):
            await ended(engine, "report", f"key{number}", 20.0)
        await wait_until(lambda: len(work.done) == 3, 20.0)


async def test_it_goes_on_when_a_killed_server_is_back(server: RedisProcess, caplog: pytest.LogCaptureFixture):
    held, later = Work(), Work()
    engine = DocketEngine(
        {"held": held, "later": later}, terms=Terms(server.url, lease=SHORT, grace=0.2, cut=1.0, backoff=0.05)
    )
    later.release.set()
    async with engine.running():
        await engine.submit("held", "held", {})
        await held.started.wait()
        server.kill()
        with pytest.raises(StoreError, match="cannot be reached"):
            await engine.submit("later", "key", {})
        with pytest.raises(StoreError):
            await engine.progress("key")
        server.start()
        back = monotonic()
        await ended(engine, "later", "key", RECOVERY_SECONDS)
        await wait_until(lambda: bool(later.done), RECOVERY_SECONDS)
        assert monotonic() - back < RECOVERY_SECONDS
        held.release.set()
        await wait_until(lambda: bool(held.done), RECOVERY_SECONDS)


async def test_what_was_cut_because_the_server_was_gone_goes_on_when_it_is_back(
    server: RedisProcess, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(on_docket, "DRAIN_SECONDS", 0.1)
    work = Work()
    engine = DocketEngine({"report": work}, terms=Terms(server.url, grace=0.2, cut=1.0))
    async with engine.running():
        for number in range(3):
            await engine.submit("report", f"key{number}", {})
        await wait_until(lambda: work.now["all"] == 3)
        server.kill()
        await wait_until(lambda: len(work.cut) == 3)
        work.release.set()
        server.start()
        back = monotonic()
        await wait_until(lambda: len(work.done) == 3, RECOVERY_SECONDS)
        assert monotonic() - back < LEASE_SECONDS / 4, "nobody waits for a lease"


async def test_a_server_that_is_gone_holds_no_end_up(server: RedisProcess):
    engine = DocketEngine({"held": Work()}, terms=Terms(server.url, grace=0.2, cut=0.5))
    async with engine.running():
        await engine.submit("held", "key", {})
        server.kill()
        leaving = monotonic()
    assert monotonic() - leaving < 2.0
    server.start()


async def test_all_its_keys_begin_with_its_name_and_those_of_ended_jobs_go(shared: Terms):
    work, flaky = Work(), Failing(SourceError("down"), times=1)
    work.release.set()
    engine = DocketEngine({"report": work, "flaky": flaky}, {"report": Lane(("day",))}, shared)
    async with engine.running(), Redis.from_url(shared.url) as redis:
        before = {key async for key in redis.scan_iter("*")}
        for number in range(5):
            await engine.submit("report", f"a{number}", {"day": "today"})
        await engine.submit("flaky", "b", {})
        await wait_until(lambda: len(work.done) == 5 and flaky.tries == 2)
        await asyncio.sleep(0.5)
        new = {key async for key in redis.scan_iter("*")} - before
        assert new
        assert {key for key in new if not key.startswith(f"{shared.name}:".encode())} == set()
        lasting = {key.decode().removeprefix(f"{shared.name}:") for key in new if await redis.ttl(key) == -1}
        assert {key for key in lasting if not key.startswith("task-workers:")} <= {"stream", "workers"}


async def test_docket_does_not_log_arguments_or_passwords(shared: Terms, caplog: pytest.LogCaptureFixture):
    caplog.set_level("DEBUG")
    work = Work()
    work.release.set()
    engine = DocketEngine({"report": work}, terms=shared)
    async with engine.running():
        await engine.submit("report", "key", {"day": "hunter2hunter2"})
        await wait_until(lambda: bool(work.done))
    assert "hunter2hunter2" not in caplog.text
