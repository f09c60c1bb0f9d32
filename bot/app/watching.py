"""How an operator sees what a serving process does: metrics, traces, and log lines that say on which job they are."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC

from bot import delivery
from bot.app.wiring import App
from bot.context import working_on
from bot.errors import StoreError
from bot.interfaces import Clock, Engine, Job, Progress, Telemetry
from bot.models import PartState
from bot.schedule import ReportJob
from bot.telemetry import Metrics
from bot.tracing import tracing

logger = logging.getLogger(__name__)


@asynccontextmanager
async def watched_by_the_operator() -> AsyncIterator[Telemetry]:
    """The telemetry of one process; what was traced is on its way when the context ends."""
    async with tracing() as spans:
        yield Metrics(spans)


def watched(jobs: Mapping[str, Job], telemetry: Telemetry, clock: Clock) -> dict[str, Job]:
    """The engine's jobs, counted, timed and named in the log."""
    running = Counter[str]()
    return {name: _Watched(name, job, telemetry, clock, running) for name, job in jobs.items()}


class _Watched:
    def __init__(self, name: str, job: Job, telemetry: Telemetry, clock: Clock, running: Counter[str]) -> None:
        self._name, self._job = name, job
        self._telemetry, self._clock, self._running = telemetry, clock, running

    async def __call__(self, arguments: Mapping[str, str], progress: Progress) -> None:
        started, outcome = self._clock.monotonic(), "failed"
        self._run(+1)
        try:
            with working_on(job=_key(self._name, arguments)), self._telemetry.span(f"job {self._name}"):
                await self._job(arguments, progress)
            outcome = "done"
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            self._run(-1)
            self._telemetry.count("jobs", job=self._name, outcome=outcome)
            self._telemetry.observe("job_seconds", self._clock.monotonic() - started, job=self._name)

    def _run(self, change: int) -> None:
        self._running[self._name] += change
        self._telemetry.gauge("jobs_running", self._running[self._name], job=self._name)


def _key(name: str, arguments: Mapping[str, str]) -> str:
    """The engine's key of a job, of what the job is given."""
    match name:
        case "report":
            return ReportJob.parse(arguments).key
        case "deliver":
            return f"deliver:{arguments['delivery']}"
    return arguments.get("job", name)


def metrics_page(app: App, engine: Engine) -> Callable[[], Awaitable[bytes]] | None:
    """What `/metrics` answers, with what the store and the loops say at that moment; None where nobody counts."""
    telemetry = app.telemetry
    if not isinstance(telemetry, Metrics):
        return None

    async def page() -> bytes:
        for loop, age in app.pulse.ages().items():
            telemetry.gauge("pass_age_seconds", age, loop=loop)
        try:
            await _look(app)
            telemetry.gauge("queue_depth", await engine.depth())
        except StoreError:  # counted where it happened; the rest is as true as before
            logger.info("metrics without the store")
        return telemetry.page()

    return page


async def _look(app: App) -> None:
    store, telemetry = app.store, app.telemetry
    telemetry.gauge("requests_open", len(await store.open_requests()))
    telemetry.gauge("deliveries_open", len(await store.unfinished()))
    troubled = await store.troubled(delivery.TROUBLED_LOOKED_AT)
    telemetry.gauge("parts_unknown_open", sum(part.state is PartState.UNKNOWN for part in troubled))
    telemetry.gauge("model_spent_usd", await store.spent(app.clock.now().astimezone(UTC).date()))
    if (budget := app.settings.llm.daily_budget_usd) is not None:
        telemetry.gauge("model_budget_usd", budget)
