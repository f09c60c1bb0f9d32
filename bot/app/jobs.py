"""What the engine runs, in `run` and in `worker`, and the terms on which it does."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from bot import delivery
from bot.answering import JOB, Answering
from bot.app.watching import watched
from bot.app.wiring import App
from bot.daily import Daily, Job, Planned
from bot.delivery import Trouble
from bot.engine import Lane, Terms
from bot.errors import BotError, SettingsError, StoreError
from bot.interfaces import Engine, Progress, no_progress
from bot.schedule import ReportJob
from bot.store.redis_url import is_redis, with_password
from config.settings import Settings

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Jobs:
    """What the engine runs. A report's job hands each channel to a job of its own: no channel waits for another."""

    app: App
    daily: Daily
    engine: Engine | None = None
    answering: Answering | None = None
    told: set[str] = field(default_factory=set)

    async def report(self, arguments: Mapping[str, str], progress: Progress = no_progress) -> None:
        """Makes and plans one report, for the channels that are due."""
        wanted = ReportJob.parse(arguments)
        plans = tuple(plan for plan in self.app.plans if wanted.is_for(plan))
        try:
            if plans:
                await self.daily.prepare(Job(wanted.day, plans, due=wanted.due), self._hand_over, progress)
            if others := wanted.places.keys() - {plan.name for plan in plans}:
                raise SettingsError(f"settings differ between processes: {', '.join(sorted(others))}", retryable=True)
        except BotError as error:
            logger.error("no report yet: %s", error, extra={"day": wanted.day})  # noqa: TRY400 - says it all
            await self._tell_once(wanted, error)
            raise  # the engine tries again where that may help

    async def _tell_once(self, wanted: ReportJob, error: BotError) -> None:
        """The operator hears of the first failure of a day's report; the schedule tries on."""
        if wanted.key in self.told:
            return
        values = {"day": str(wanted.day), "channels": ", ".join(wanted.places), "reason": str(error)}
        trouble, courier = Trouble("operator.no_report", values), self.daily.courier
        try:
            is_told = await courier.teller.once(f"told:{wanted.key}", trouble)
        except StoreError:  # where the store is the trouble, each process tells for itself
            is_told = await delivery.tell_operator(courier.tell, trouble)
        if is_told:
            self.told.add(wanted.key)

    async def _hand_over(self, planned: Planned) -> None:
        if self.engine and planned.key:
            await self.engine.submit("deliver", f"deliver:{planned.key}", delivery.arguments_of(planned.key))

    async def answer(self, arguments: Mapping[str, str], progress: Progress = no_progress) -> None:
        """Works on what was asked in chats."""
        if self.answering:
            await self.answering.job(arguments, progress)

    async def deliver(self, arguments: Mapping[str, str], progress: Progress = no_progress) -> None:
        """Brings one channel what its delivery still lacks."""
        del progress
        courier = self.daily.courier
        done = await delivery.deliver(arguments["delivery"], courier)
        values = {"delivery": done.key, "parts": done.parts}
        if not delivery.finished(await courier.store.delivery(done.key)):
            logger.info("delivery waits", extra=values)
            return
        what = "answer" if delivery.is_answer(done.key) else "report"
        logger.info("%s delivered", what, extra={**values, "state": done.state})


def engine_of(app: App, jobs: Jobs) -> Engine:
    """The engine that runs `jobs`, on the server of the store where that is one that processes share."""
    from bot.engine.on_docket import DocketEngine  # with docket, which takes a third of a second

    works = {"report": jobs.report, "deliver": jobs.deliver, JOB: jobs.answer}
    jobs.engine = engine = DocketEngine(
        watched(works, app.telemetry, app.clock), lanes(app.settings), terms(app.settings)
    )
    return engine


def lanes(settings: Settings) -> Mapping[str, Lane]:
    """What waits for its turn: a second language takes over the first one's choice, a chat hears one thing at a time,
    and a provider of models is asked for so much at once.
    """
    return {
        "report": Lane(("day", "profile")),
        "deliver": Lane(("chat",)),
        JOB: Lane(("provider",), settings.limits.jobs),
    }


def terms(settings: Settings) -> Terms:
    """Where the queue is."""
    store = settings.store
    if not is_redis(store.url):
        return Terms()
    return Terms(with_password(store.url, store.password.get_secret_value() if store.password else None))
