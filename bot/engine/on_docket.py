"""The one file that imports docket (https://docket.lol): keyed jobs with leases, retries, lanes and progress.

Its queue is disposable (DESIGN section 4): what is lost is submitted again by the next look at the store. A job's
message stays pending until the job has ended, and is given to another process when nobody renews its lease. So a job
may run twice, one after the other, and each asks the store first what is left to do.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import uuid4

from docket import ConcurrencyLimit, CurrentExecution, Docket, Execution, ExponentialRetry, Worker
from docket.dependencies import Dependency
from docket.execution import Disposition, ExecutionState
from redis.exceptions import RedisError

from bot.engine import CLOSE_SECONDS, Lane, Terms
from bot.errors import BotError, StoreError
from bot.interfaces import Job

logger = logging.getLogger(__name__)

# docket gives a message away after its timeout, and up to 5/16 of that later; where the dead process held a place in
# a lane, a second timeout may pass. Both together are the lease.
TIMEOUTS_IN_A_LEASE = 2
AT_ONCE = 1_000  # jobs in one process: they wait for networks, and what must not be many has a lane
TAKEN_AT_ONCE = 8  # messages: the rest is for other processes
LOOK = timedelta(milliseconds=250)  # between two looks at retries that are due; new jobs come by themselves
TRIES = 4  # of a job that fails in a way that may pass; then the schedule's longer pauses take over
RECONNECT = timedelta(seconds=1)
RESTART_SECONDS = 1.0
SUBMIT_SECONDS = 5.0  # for all tries to reach the server
DRAIN_SECONDS = 5.0  # for jobs whose lease nobody renews, because the server is gone
CANCEL_SECONDS = 0.5  # for the word to go through the server and back
PROGRESS_SECONDS = 0.3  # between two writes of how far a job is
KEPT = timedelta(minutes=1)  # what a shared queue knows of a job that has ended
KEPT_HERE = timedelta()  # burner-redis 0.1.7 hides a key whose time is over, and frees its memory never
LOST = timedelta(minutes=10)  # a job that waits longer may have lost its place to an accident: it gets a new one

Step = tuple[str, int, int]
_WAITING = (ExecutionState.SCHEDULED, ExecutionState.QUEUED)


class Reporting:
    """How far a job is: known here at once, and elsewhere a moment later."""

    def __init__(self, execution: Execution) -> None:
        self.step: Step | None = None
        self._execution = execution
        self._changed = asyncio.Event()

    def __call__(self, step: str, done: int, total: int) -> None:
        self.step = (step, done, total)
        self._changed.set()

    @asynccontextmanager
    async def told(self) -> AsyncIterator[None]:
        telling = asyncio.create_task(self._tell())
        try:
            yield
        finally:
            telling.cancel()

    async def _tell(self) -> None:
        while await self._changed.wait():
            self._changed.clear()
            try:
                await self._execution.progress.set_message(json.dumps(self.step))
            except (RedisError, OSError):
                logger.debug("progress not told", exc_info=True)
            await asyncio.sleep(PROGRESS_SECONDS)


@dataclass(frozen=True, slots=True, eq=False)
class _Running:
    """A job of this process: its task, its message in the queue, and how far it is."""

    task: "asyncio.Task[Any]"
    message: bytes
    reporting: Reporting


class _Leases(Dependency[None]):
    """Tells when the worker begins to renew leases, and when it has stopped, before it waits for the jobs that run."""

    def __init__(self, held: Callable[[], Awaitable[None]], lost: Callable[[], None]) -> None:
        self.held, self.lost = held, lost

    async def __aenter__(self) -> None:
        """Nothing is needed for a single job."""

    @classmethod
    @asynccontextmanager
    async def worker_lifecycle(cls, docket: Docket, worker: Worker) -> AsyncIterator[None]:
        """It is entered around the worker's loop, once for each connection."""
        del docket
        ours = [each for each in worker.dependencies.values() if isinstance(each, cls)]
        for each in ours:
            await each.held()
        try:
            yield
        finally:
            for each in ours:
                each.lost()


@dataclass(slots=True)
class DocketEngine:
    """Runs jobs by name, one a key at a time in all processes of one queue. A job that fails disturbs no other.

    At the end, jobs get `terms.grace` seconds to end by themselves and `terms.cut` seconds once they are cancelled;
    what was cut short is given back to the queue.
    """

    jobs: Mapping[str, Job]
    lanes: Mapping[str, Lane] = field(default_factory=dict)
    terms: Terms = field(default_factory=Terms)
    _me: str = field(default_factory=lambda: uuid4().hex)
    _docket: Docket | None = None
    _running: dict[str, _Running] = field(default_factory=dict)
    _held_since: datetime | None = None
    _is_ending: bool = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Jobs run inside this context; leaving it ends them all."""
        self._is_ending = False
        async with AsyncExitStack() as stack:
            url, kept = (self.terms.url, KEPT) if self.terms.url else (f"memory://{self._me}", KEPT_HERE)
            docket = Docket(self.terms.name, url, execution_ttl=kept)
            await docket.__aenter__()
            stack.push_async_callback(_closed, docket)
            for name in self.jobs:
                docket.register(self._free(name), names=[name])
                if name in self.lanes:
                    docket.register(self._in_lane(name, self.lanes[name].most), names=[_lane_name(name)])
            self._docket = docket
            serving = asyncio.create_task(self._serve(docket), name="engine")
            try:
                yield
            finally:
                await self._end(docket, serving)
                self._docket = None

    async def submit(self, job: str, key: str, arguments: Mapping[str, str]) -> bool:
        """False when a job with `key` runs or waits anywhere. Raises KeyError for a job nobody registered, StoreError.

        Arguments travel as text: docket unpickles what it finds in the queue.
        """
        if job not in self.jobs:
            raise KeyError(job)
        lane = self._lane(job, arguments)
        async with self._reached() as docket:
            known = await docket.get_execution(key)
            if known and _is_open(known) and not await self._is_lost(known, docket):
                return False
            name, given = (_lane_name(job) if lane else job), json.dumps(dict(arguments))
            now = datetime.now(UTC)
            put = docket.replace(name, now, key) if known and _is_open(known) else docket.add(name, now, key)
            put_in = await (put(given, lane) if lane else put(given))
            return put_in.disposition is Disposition.SCHEDULED

    async def cancel(self, key: str) -> bool:
        """Stops the job, wherever it is, and waits for its end where that is here; False when there is none."""
        async with self._reached() as docket:
            known = await docket.get_execution(key)
            if known is None or not _is_open(known):
                return False
            await docket.cancel(key)
        if running := self._running.get(key):
            await asyncio.wait({running.task}, timeout=CANCEL_SECONDS)
            if not running.task.done() and not running.task.cancelling():
                running.task.cancel()  # the word was lost
            await asyncio.wait({running.task}, timeout=self.terms.cut)
        return True

    async def progress(self, key: str) -> Step | None:
        """How far the job is, wherever it runs; None where it has said nothing, or does not run."""
        if running := self._running.get(key):
            return running.reporting.step
        async with self._reached() as docket:
            known = await docket.get_execution(key)
        if known is None or known.state is not ExecutionState.RUNNING or not known.progress.message:
            return None
        step, done, total = json.loads(known.progress.message)
        return step, done, total

    async def depth(self) -> int:
        """Messages of jobs that may run or do, and jobs that wait for their time."""
        async with self._reached() as docket, docket.redis() as redis:
            return int(await redis.xlen(docket.stream_key)) + int(await redis.zcard(docket.queue_key))

    # --- what docket is given

    def _free(self, name: str) -> Callable[..., Awaitable[None]]:
        retry, current = self._retry(), CurrentExecution()

        async def job(arguments: str, execution: Execution = current, retry: ExponentialRetry = retry) -> None:
            await self._run(name, arguments, execution, is_last=retry.attempt >= TRIES)

        return job

    def _in_lane(self, name: str, most: int) -> Callable[..., Awaitable[None]]:
        retry, current = self._retry(), CurrentExecution()

        async def job(
            arguments: str,
            lane: Annotated[str, ConcurrencyLimit(most, scope=name)],
            execution: Execution = current,
            retry: ExponentialRetry = retry,
        ) -> None:
            del lane
            await self._run(name, arguments, execution, is_last=retry.attempt >= TRIES)

        return job

    def _retry(self) -> ExponentialRetry:
        return ExponentialRetry(attempts=TRIES, minimum_delay=timedelta(seconds=self.terms.backoff))

    def _lane(self, job: str, arguments: Mapping[str, str]) -> str:
        """Where the job waits for its turn, "" where it waits for nobody."""
        values = [arguments.get(name, "") for name in self.lanes[job].by] if job in self.lanes else [""]
        return json.dumps(values) if all(values) else ""

    async def _run(self, name: str, arguments: str, execution: Execution, *, is_last: bool) -> None:
        """One try. What may pass is raised, for docket to try again; all else ends here."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - docket runs each job as a task
        if earlier := self._running.get(execution.key):  # cancelled, and not at its end yet
            await asyncio.wait({earlier.task})
        running = _Running(task, execution.message_id or b"", Reporting(execution))
        self._running[execution.key] = running
        extra = {"job": execution.key}
        try:
            async with running.reporting.told():
                await self.jobs[name](json.loads(arguments), running.reporting)
        except BotError as error:
            if error.retryable and not is_last:
                logger.warning("job failed, tried again soon: %s", error, extra=extra)
                raise
            again = ", tried again by who wants it" if error.retryable else ""
            logger.error("job failed%s: %s", again, error, extra=extra)  # noqa: TRY400 - says it all
        except Exception:
            logger.exception("job failed", extra=extra)
        finally:
            del self._running[execution.key]

    # --- the worker

    async def _serve(self, docket: Docket) -> None:
        """The worker waits out a server that is gone; what else ends it is a fault, and it starts anew."""
        while not self._is_ending:
            try:
                async with self._worker(docket) as worker:
                    await worker.run_forever()
            except Exception:
                logger.exception("worker broke, starts anew")
                await asyncio.sleep(RESTART_SECONDS)

    def _worker(self, docket: Docket) -> Worker:
        return Worker(
            docket,
            name=self._me,
            concurrency=AT_ONCE,
            message_batch=TAKEN_AT_ONCE,
            redelivery_timeout=timedelta(seconds=self.terms.lease / TIMEOUTS_IN_A_LEASE),
            reconnection_delay=RECONNECT,
            minimum_check_interval=LOOK,
            scheduling_resolution=LOOK,
            schedule_automatic_tasks=False,
            dependencies={"leases": _Leases(self._hold, self._lose)},
        )

    async def _hold(self) -> None:
        """On a new connection: takes up at once what the last one left behind, for nothing of ours runs now."""
        was_held, self._held_since = self._held_since, datetime.now(UTC)
        if was_held is None or self._docket is None or not self.terms.url:
            return
        try:
            async with asyncio.timeout(SUBMIT_SECONDS), self._docket.redis() as redis:
                # Those to a server that has ended look whole, and each would break the first call that gets it.
                await redis.connection_pool.disconnect(inuse_connections=False)  # type: ignore[attr-defined]  # not in memory
                stream, group = self._docket.stream_key, self._docket.worker_group_name
                left = await redis.xpending_range(stream, group, "-", "+", AT_ONCE, self._me)
            await self._give_back([message["message_id"] for message in left], self._docket)
        except (RedisError, OSError):
            logger.debug("jobs not taken up, their leases run out", exc_info=True)

    def _lose(self) -> None:
        """Without leases others take our jobs over: those that do not end soon are cut, and nothing is done twice."""
        if self._is_ending or not self._running:
            return
        logger.warning("queue lost: jobs that do not end soon are cut", extra={"jobs": len(self._running)})
        asyncio.get_running_loop().call_later(DRAIN_SECONDS, _cut, tuple(self._running.values()))

    async def _end(self, docket: Docket, serving: "asyncio.Task[None]") -> None:
        """Takes nothing new, lets jobs finish for the grace, cancels what is left, and waits only so long for that."""
        self._is_ending = True
        serving.cancel()  # docket's way to end: it waits for the jobs that run
        try:
            await asyncio.wait({serving}, timeout=self.terms.grace)
        finally:
            rest = dict(self._running)
            for key, running in rest.items():
                logger.warning("job cut short", extra={"key": key})
                running.task.cancel()
            await asyncio.wait({serving}, timeout=self.terms.cut)
            for key in self._running:
                logger.error("job does not end", extra={"key": key})
            serving.cancel()
            await self._give_back([running.message for running in rest.values()], docket)

    async def _give_back(self, messages: list[bytes], docket: Docket) -> None:
        """Makes messages look abandoned, so that another process takes them with its next look."""
        if not messages:
            return
        try:
            async with asyncio.timeout(CLOSE_SECONDS / 2), docket.redis() as redis:
                await redis.xclaim(
                    docket.stream_key,
                    docket.worker_group_name,
                    self._me,
                    min_idle_time=0,
                    message_ids=messages,
                    idle=int(1000 * self.terms.lease),
                    justid=True,
                )
        except (RedisError, OSError):
            logger.debug("jobs not given back, their leases run out", exc_info=True)

    # --- the queue

    @asynccontextmanager
    async def _reached(self) -> AsyncIterator[Docket]:
        """The queue, its trouble in our words. Nothing of it names the server: the URL may hold a password."""
        if self._docket is None:
            raise StoreError("the engine does not run")
        with _in_our_words():
            async with asyncio.timeout(SUBMIT_SECONDS):
                yield self._docket

    async def _is_lost(self, known: Execution, docket: Docket) -> bool:
        """Was it left behind by an accident, a queue wiped under a running worker say? Then nobody will ever run it."""
        if known.key in self._running:
            return False
        now = datetime.now(UTC)
        if known.state in _WAITING:
            return now - known.when > LOST
        if self._held_since is None:
            return False
        # Where the server was gone, no worker has said for a while that it lives, and who does takes up what is left.
        since = max(known.started_at or known.when, self._held_since)
        if now - since < timedelta(seconds=TIMEOUTS_IN_A_LEASE * self.terms.lease):
            return False
        return known.worker not in {worker.name for worker in await docket.workers()}


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:  # TimeoutError is an OSError
        raise StoreError("the queue of jobs cannot be reached") from error


def _is_open(known: Execution) -> bool:
    """Does it wait or run, as far as the queue knows?"""
    return known.state in (*_WAITING, ExecutionState.RUNNING)


def _lane_name(job: str) -> str:
    """The name under which docket knows a job that waits for its turn."""
    return f"{job}:in-lane"


def _cut(jobs: tuple[_Running, ...]) -> None:
    for running in jobs:
        running.task.cancel()


async def _closed(docket: Docket) -> None:
    """Closes within its time: a server that is gone holds nobody up."""
    closing = asyncio.ensure_future(docket.__aexit__(None, None, None))
    await asyncio.wait({closing}, timeout=CLOSE_SECONDS / 2)
    closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)
