"""Where jobs run: for now tasks of this process, behind the Engine port.

The queue is disposable (DESIGN section 4): what dies with the process is submitted again by the next reconcile.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from bot.errors import BotError
from bot.interfaces import Job

logger = logging.getLogger(__name__)

# Both are parts of the 10 s that an end by SIGTERM may take; `bot.app.ending` adds them up.
GRACE_SECONDS = 1.5  # for jobs to end by themselves
CUT_SECONDS = 4.0  # for cancelled jobs to end: more than a delivery gives its send in flight


class LocalEngine:
    """Runs jobs as tasks, one a key at a time. A job that fails is logged and disturbs no other.

    At the end, jobs get `grace` seconds to end by themselves and `cut` seconds once they are cancelled.
    """

    def __init__(self, jobs: Mapping[str, Job], grace: float = GRACE_SECONDS, cut: float = CUT_SECONDS) -> None:
        self._jobs = dict(jobs)
        self._grace = grace
        self._cut = cut
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._waiting: dict[str, tuple[str, Mapping[str, str]]] = {}
        self._is_running = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Jobs run inside this context; those submitted earlier start with it. Leaving it ends them all."""
        self._is_running = True
        for key, (job, arguments) in self._waiting.items():
            self._start(job, key, arguments)
        self._waiting.clear()
        try:
            yield
        finally:
            self._is_running = False
            await self._end()

    async def submit(self, job: str, key: str, arguments: Mapping[str, str]) -> bool:
        """False when a job with `key` runs or waits already. Raises KeyError for a job that nobody registered."""
        if job not in self._jobs:
            raise KeyError(job)
        if key in self._tasks or key in self._waiting:
            return False
        if self._is_running:
            self._start(job, key, arguments)
        else:
            self._waiting[key] = (job, arguments)
        return True

    async def cancel(self, key: str) -> bool:
        """Stops the job and waits for its end; False when there is none."""
        if self._waiting.pop(key, None) is not None:
            return True
        if (task := self._tasks.get(key)) is None:
            return False
        task.cancel()
        await asyncio.wait({task})
        return True

    def _start(self, job: str, key: str, arguments: Mapping[str, str]) -> None:
        self._tasks[key] = task = asyncio.create_task(self._run(job, dict(arguments)), name=key)
        task.add_done_callback(lambda _: self._tasks.pop(key))

    async def _run(self, job: str, arguments: Mapping[str, str]) -> None:
        try:
            await self._jobs[job](arguments)
        except BotError as error:
            logger.error("job failed: %s", error, extra={"job": job, "arguments": arguments})  # noqa: TRY400 - says it all
        except Exception:
            logger.exception("job failed", extra={"job": job, "arguments": arguments})

    async def _end(self) -> None:
        """Lets jobs finish for the grace, cancels what is left, and waits for that, too, only so long."""
        try:
            await self._ended(self._grace)
        finally:
            for task in self._tasks.values():
                logger.warning("job cut short", extra={"job": task.get_name()})
                task.cancel()
            await self._ended(self._cut)
            for task in self._tasks.values():
                logger.error("job does not end", extra={"job": task.get_name()})

    async def _ended(self, seconds: float) -> None:
        if self._tasks:
            await asyncio.wait(set(self._tasks.values()), timeout=seconds)
