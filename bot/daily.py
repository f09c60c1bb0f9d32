"""The use cases of the day: which reports are wanted, made now or taken from the store, and brought to the channels."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from weakref import WeakValueDictionary
from zoneinfo import ZoneInfo

from bot import delivery, texts
from bot.context import working_on
from bot.errors import BotError, ModelError, SettingsError, SourceError
from bot.interfaces import Progress, no_progress
from bot.lists import end_of
from bot.models import (
    AnalystKind,
    ChannelPlan,
    DayList,
    Delivery,
    DeliveryState,
    Part,
    PartState,
    Ranking,
    Report,
    ReportKey,
    Seconds,
    Usage,
)
from bot.report import compose
from bot.report.document import Document, Links
from bot.reporter import Edition, Reporter, Stopwatch

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """One day's work for some channels.

    `exact`: this very day was asked for, so an empty list is not replaced by an earlier one. `again` asks the model
    anew and posts a correction. `due` holds when a channel was to have its report, where that was by a schedule.
    `instead_of` is the day without a list that this day's report stands in for. `retry` sends again what had failed.
    """

    day: date
    plans: tuple[ChannelPlan, ...]
    exact: bool = False
    again: bool = False
    due: Mapping[str, datetime] = field(default_factory=dict)
    instead_of: date | None = None
    retry: bool = False


@dataclass(frozen=True, slots=True)
class Summary:
    """What a job did: the reports it stands for, how each channel stands, and what this run took."""

    reports: tuple[Report, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    usage: Usage = field(default_factory=Usage)
    seconds: Seconds = field(default_factory=Seconds)


@dataclass(frozen=True, slots=True)
class Planned:
    """A channel and the key of the delivery that brings it the report; None when that could not be planned."""

    plan: ChannelPlan
    key: str | None


@dataclass(frozen=True, slots=True)
class Made:
    """One report of a job, the channels that get it, and what making it took (nothing when it stood already)."""

    report: Report
    planned: tuple[Planned, ...] = ()
    usage: Usage = field(default_factory=Usage)
    seconds: Seconds = field(default_factory=Seconds)


Ready = Callable[[Planned], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Daily:
    """Does jobs. What was published is never made again, what was sent never sent again."""

    reporter: Reporter
    courier: delivery.Courier
    links: Links
    _days: WeakValueDictionary[tuple[date, str], asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def run(self, job: Job, progress: Progress = no_progress) -> Summary:
        """Makes and delivers. One channel's trouble is its own; raises SourceError and StoreError, which are all's."""
        watch = Stopwatch(self.reporter.clock)
        works: list[asyncio.Task[Delivery]] = []

        async def ready(planned: Planned) -> None:
            works.append(asyncio.create_task(self._deliver(planned)))

        try:
            made = await self.prepare(job, ready, progress)
            deliveries = await asyncio.gather(*works)
        except asyncio.CancelledError:
            for work in works:
                work.cancel()  # each finishes and records the send that it is in
            raise
        finally:
            await asyncio.gather(*works, return_exceptions=True)
        return _summary(made, tuple(deliveries), watch.total())

    async def prepare(self, job: Job, ready: Ready, progress: Progress = no_progress) -> tuple[Made, ...]:
        """Makes and plans; `ready` gets each channel's delivery as soon as its report is there."""
        by_profile: defaultdict[str, list[ChannelPlan]] = defaultdict(list)
        for plan in job.plans:
            by_profile[plan.profile.name].append(plan)
        works = [self._profile(replace(job, plans=tuple(plans)), ready, progress) for plans in by_profile.values()]
        done = await asyncio.gather(*works, return_exceptions=True)
        for result in done:
            if isinstance(result, BaseException):
                raise result
        return tuple(made for result in done if isinstance(result, tuple) for made in result)

    async def preview(self, job: Job, progress: Progress = no_progress) -> Summary:
        """The reports of the job, neither posted nor kept; a published one as it was published."""
        watch = Stopwatch(self.reporter.clock)
        made: list[Made] = []
        bases: dict[str, Ranking] = {}
        day = job.day if job.exact else (await self.reporter.lists.newest(job.day)).day
        for profile, language in dict.fromkeys((plan.profile, plan.language) for plan in job.plans):
            standing = None if job.again else await self.reporter.store.report(day, profile.name, language)
            if standing:
                one = Made(standing)
            else:
                edition = Edition(day, profile, language, fresh=job.again, base=bases.get(profile.name))
                one = _made(await self.reporter.report(edition, progress))
            bases.setdefault(profile.name, one.report.ranking)
            made.append(one)
        return _summary(made, (), watch.total())

    def documents(self, report: Report, *, late: str | None = None) -> tuple[Document, ...]:
        """What a reader of `report` sees, in its language. `late`: when it was due, by the reader's clock."""
        return compose.report(report, texts.load(report.key.language), links=self.links, late=late)

    async def _profile(self, job: Job, ready: Ready, progress: Progress) -> tuple[Made, ...]:
        """Its languages one after another: the first one's sub-scores and choice hold for the rest."""
        made: list[Made] = []
        for language in dict.fromkeys(plan.language for plan in job.plans):
            plans = tuple(plan for plan in job.plans if plan.language == language)
            base = made[0].report.ranking if made and job.again else None
            for day, some in (await self._days_of(replace(job, plans=plans))).items():
                its = replace(job, day=day, plans=some, instead_of=None if day == job.day else job.day)
                one = await self._planned(its, language, base, ready, progress)
                made += [one] if one else []
        return tuple(made)

    async def _planned(
        self, job: Job, language: str, base: Ranking | None, ready: Ready, progress: Progress
    ) -> Made | None:
        """One report and its channels. A broken prompt of one language is that language's trouble alone."""
        try:
            made = await self._report(job, language, base, progress)
        except SettingsError as error:
            logger.error("no report: %s", error, extra={"language": language})  # noqa: TRY400 - says it all
            for plan in job.plans:
                await ready(Planned(plan, None))
            return None
        if made.report.note and job.exact:
            return made
        planned = [await self._plan(made.report, plan, job) for plan in job.plans]
        for one in planned:
            await ready(one)
        return replace(made, planned=tuple(planned))

    async def _days_of(self, job: Job) -> Mapping[date, tuple[ChannelPlan, ...]]:
        """Which day's report each channel gets: an empty day walks back, unless the channel had that report already."""
        if job.exact:
            return {job.day: job.plans}
        days: defaultdict[date, list[ChannelPlan]] = defaultdict(list)
        found: DayList | None = None
        for plan in job.plans:
            day = await self._known_day(job.day, plan)
            if day is None:
                found = found or await self.reporter.lists.newest(job.day)
                day = await self._new_day(job.day, plan, found)
            days[day].append(plan)
        return {day: tuple(plans) for day, plans in days.items()}

    async def _known_day(self, day: date, plan: ChannelPlan) -> date | None:
        """The day whose report this channel got for `day` before."""
        if await self._had(day, plan):
            return day
        instead = await delivery.settled_with(self.reporter.store, plan, day)
        return date.fromisoformat(instead) if instead else None

    async def _new_day(self, day: date, plan: ChannelPlan, found: DayList) -> date:
        if found.day == day and found.papers:
            return day
        if self.reporter.clock.now() < end_of(day):
            raise SourceError(f"the list of {day} is not there yet")
        return found.day if found.papers and not await self._had(found.day, plan) else day

    async def _report(self, job: Job, language: str, base: Ranking | None, progress: Progress) -> Made:
        """The published report, or a new one, published. One at a time: what one language chose holds for all."""
        store, profile = self.reporter.store, job.plans[0].profile
        async with self._days.setdefault((job.day, profile.name), asyncio.Lock()):
            standing = await store.report(job.day, profile.name, language)
            if standing and not job.again:
                return Made(standing)
            number = standing.key.edition + 1 if standing else 1
            edition = Edition(job.day, profile, language, number, fresh=job.again, base=base)
            with working_on(report=str(edition.key)), self.courier.telemetry.span("report", edition=number):
                report = await self.reporter.report(edition, progress)
            if standing and _is_worse(report, standing):
                reason = report.ranking.fallback or "failure.model"
                raise ModelError("the model could score nothing; the published report stands", key=reason)
            return replace(_made(report), report=await store.keep_report(report))

    async def _plan(self, report: Report, plan: ChannelPlan, job: Job) -> Planned:
        """Freezes what the channel will be sent, unless it was planned before. Whatever goes wrong here stays here."""
        key = report.key if job.again else await self._delivered_key(report.key, plan)
        name = delivery.delivery_key(key, plan.address)
        try:
            parts = await self.courier.store.delivery(name)
            if not parts:
                await self._freeze(report, plan, job)
            elif job.retry:
                await self.retry(parts)
            if job.instead_of:
                await delivery.settle_day(self.reporter.store, plan, job.instead_of, job.day.isoformat())
        except BotError as error:
            logger.error("not planned: %s", error, extra={"channel": plan.name})  # noqa: TRY400 - says it all
            return Planned(plan, None)
        except Exception:
            logger.exception("not planned", extra={"channel": plan.name})
            return Planned(plan, None)
        return Planned(plan, name)

    async def retry(self, parts: Sequence[Part]) -> None:
        """Puts what had failed back to be sent, however old: it surely was not posted. The unknown is the operator's
        to settle.
        """
        for part in parts:
            if part.state is PartState.FAILED:
                await self.courier.store.settle(part.key, PartState.PLANNED, self.courier.clock.now())

    async def _freeze(self, report: Report, plan: ChannelPlan, job: Job) -> None:
        due, now = job.due.get(plan.name), self.reporter.clock.now()
        is_late = due is not None and now - due > delivery.LATE_AFTER
        late = f"{due.astimezone(ZoneInfo(plan.timezone)):%H:%M}" if due and is_late else None
        channel, documents = self.courier.channels(plan.address), self.documents(report, late=late)
        parts = delivery.plan(report.key, channel, documents, name=plan.name, now=now, late=is_late)
        await self.courier.store.plan(report.key, parts)

    async def _deliver(self, planned: Planned) -> Delivery:
        plan = planned.plan
        try:
            if planned.key is not None:
                return replace(await delivery.deliver(planned.key, self.courier), channel=plan.name)
        except BotError as error:
            logger.error("not delivered: %s", error, extra={"channel": plan.name})  # noqa: TRY400 - says it all
        except Exception:
            logger.exception("not delivered", extra={"channel": plan.name})
        return Delivery(planned.key or "", plan.name, plan.address, DeliveryState.FAILED, 0)

    async def _had(self, day: date, plan: ChannelPlan) -> bool:
        key = await self._delivered_key(ReportKey(day, plan.profile.name, plan.language), plan)
        return bool(await self.courier.store.delivery(delivery.delivery_key(key, plan.address)))

    async def _delivered_key(self, key: ReportKey, plan: ChannelPlan) -> ReportKey:
        """The newest edition that this channel has, else `key` itself."""
        store = self.reporter.store
        for number in reversed(await store.planned_editions(key.day, key.profile, key.language)):
            edition = replace(key, edition=number)
            if await store.delivery(delivery.delivery_key(edition, plan.address)):
                return edition
        return key


def _made(report: Report) -> Made:
    return Made(report, usage=report.usage, seconds=report.seconds)


def _is_worse(report: Report, standing: Report) -> bool:
    """Would a correction replace a model's work by the extractive analyst's?"""
    return report.analyst is AnalystKind.EXTRACTIVE and standing.analyst is AnalystKind.MODEL


def _summary(made: Sequence[Made], deliveries: tuple[Delivery, ...], total: float) -> Summary:
    by_profile: defaultdict[str, list[Seconds]] = defaultdict(list)
    for one in made:
        by_profile[one.report.key.profile].append(one.seconds)
    sums = [_in_turn(seconds) for seconds in by_profile.values()] or [Seconds()]
    slowest = max(sums, key=lambda one: one.list + one.score + one.deep_dive)
    making = slowest.list + slowest.score + slowest.deep_dive
    seconds = replace(slowest, total=total, deliver=max(0.0, total - making) if deliveries else 0.0)
    usage = sum((one.usage for one in made), start=Usage())
    return Summary(tuple(one.report for one in made), deliveries, usage, seconds)


def _in_turn(seconds: Sequence[Seconds]) -> Seconds:
    """Languages of a profile come one after another."""
    return Seconds(
        list=sum(one.list for one in seconds),
        score=sum(one.score for one in seconds),
        deep_dive=sum(one.deep_dive for one in seconds),
    )
