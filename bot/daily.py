"""The use cases of the day: which reports are wanted, made now or taken from the store, and brought to the channels."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from bot import delivery, texts
from bot.errors import BotError, SourceError
from bot.lists import end_of
from bot.models import ChannelPlan, Delivery, DeliveryState, Profile, Ranking, Report, ReportKey, Seconds, Usage
from bot.report import compose
from bot.report.document import Document, Links
from bot.reporter import Edition, Progress, Reporter, Stopwatch, no_progress

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """One day's work for some channels.

    `exact`: this very day was asked for, so an empty list is not replaced by an earlier one. `again` asks the model
    anew and posts a correction. `late` holds when a channel's report was due, for channels that get it late.
    `instead_of` is the day without a list that this day's report stands in for.
    """

    day: date
    plans: tuple[ChannelPlan, ...]
    exact: bool = False
    again: bool = False
    late: Mapping[str, datetime] = field(default_factory=dict)
    instead_of: date | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """What a job did: the reports it stands for, how each channel stands, and what this run took."""

    reports: tuple[Report, ...] = ()
    deliveries: tuple[Delivery, ...] = ()
    usage: Usage = field(default_factory=Usage)
    seconds: Seconds = field(default_factory=Seconds)

    def __add__(self, other: "Summary") -> "Summary":
        return Summary(
            self.reports + other.reports,
            self.deliveries + other.deliveries,
            self.usage + other.usage,
            _slowest(self.seconds, other.seconds),
        )


@dataclass(frozen=True, slots=True)
class Daily:
    """Does jobs. What is in the store is never made again, what was sent never sent again."""

    reporter: Reporter
    courier: delivery.Courier
    links: Links

    async def run(self, job: Job, progress: Progress = no_progress) -> Summary:
        """Makes and delivers. One channel's trouble is its own; raises SourceError and StoreError, which are all's."""
        watch = Stopwatch(self.reporter.clock)
        by_profile: defaultdict[str, list[ChannelPlan]] = defaultdict(list)
        for plan in job.plans:
            by_profile[plan.profile.name].append(plan)
        works = [self._profile(replace(job, plans=tuple(plans)), progress) for plans in by_profile.values()]
        results = await asyncio.gather(*works, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        done = _sum(result for result in results if isinstance(result, Summary))
        total = watch.total()
        made = done.seconds.list + done.seconds.score + done.seconds.deep_dive
        return replace(done, seconds=replace(done.seconds, total=total, deliver=max(0.0, total - made)))

    async def preview(self, job: Job, progress: Progress = no_progress) -> Summary:
        """The reports of the job, posted nowhere; a published one as it was published."""
        made = Summary()
        bases: dict[str, Ranking] = {}
        day = job.day if job.exact else (await self.reporter.lists.newest(job.day)).day
        for profile, language in dict.fromkeys((plan.profile, plan.language) for plan in job.plans):
            base = bases.get(profile.name)
            made += await self._report(replace(job, day=day), profile, language, base, progress)
            if job.again:
                bases.setdefault(profile.name, made.reports[-1].ranking)
        return made

    def documents(self, report: Report, *, late: str | None = None) -> tuple[Document, ...]:
        """What a reader of `report` sees, in its language. `late`: when it was due, by the reader's clock."""
        words = texts.load(report.key.language)
        return compose.report(report, words, links=self.links, late=late, min_score=self.reporter.rules.min_score)

    async def _profile(self, job: Job, progress: Progress) -> Summary:
        """Its languages one after another: the first one's sub-scores and choice hold for the rest."""
        works: list[asyncio.Task[Summary]] = []
        base: Ranking | None = None
        try:
            for language in dict.fromkeys(plan.language for plan in job.plans):
                plans = tuple(plan for plan in job.plans if plan.language == language)
                for day, some in (await self._days(replace(job, plans=plans), language)).items():
                    made = await self._report(replace(job, day=day), some[0].profile, language, base, progress)
                    base = (base or made.reports[0].ranking) if job.again else None
                    instead_of = None if day == job.day else job.day
                    its = replace(job, day=day, plans=some, instead_of=instead_of)
                    works.append(asyncio.create_task(self._deliver(made, its)))
        finally:
            done = await asyncio.gather(*works)
        return _sum(done)

    async def _days(self, job: Job, language: str) -> Mapping[date, tuple[ChannelPlan, ...]]:
        """Which day's report each channel gets: an empty day walks back, unless the channel had that report already."""
        profile = job.plans[0].profile
        if job.exact or await self.reporter.store.planned_report(job.day, profile.name, language):
            return {job.day: job.plans}
        found = await self.reporter.lists.newest(job.day)
        if found.day == job.day and found.papers:
            return {job.day: job.plans}
        if self.reporter.clock.now() < end_of(job.day):
            raise SourceError(f"the list of {job.day} is not there yet")
        behind = []
        if found.papers:
            behind = [plan for plan in job.plans if not await self._had(found.day, plan)]
        rest = tuple(plan for plan in job.plans if plan not in behind)
        return {day: plans for day, plans in ((found.day, tuple(behind)), (job.day, rest)) if plans}

    async def _report(
        self, job: Job, profile: Profile, language: str, base: Ranking | None, progress: Progress
    ) -> Summary:
        store = self.reporter.store
        editions = await store.planned_editions(job.day, profile.name, language)
        if editions and not job.again:
            published = await store.report(job.day, profile.name, language)
            if published:
                return Summary(reports=(published,))
        number = editions[-1] + 1 if editions else 1
        edition = Edition(job.day, profile, language, number, fresh=job.again, base=base)
        report = await self.reporter.report(edition, progress)
        return Summary(reports=(report,), usage=report.usage, seconds=report.seconds)

    async def _deliver(self, made: Summary, job: Job) -> Summary:
        [report] = made.reports
        if report.note and job.exact:
            return made
        deliveries = await asyncio.gather(*(self._to_channel(report, plan, job) for plan in job.plans))
        return replace(made, deliveries=tuple(deliveries))

    async def _to_channel(self, report: Report, plan: ChannelPlan, job: Job) -> Delivery:
        """Brings the report to one channel. Whatever goes wrong here stays here."""
        key = report.key if job.again else await self._delivered_key(report.key, plan)
        name = delivery.delivery_key(key, plan.address)
        try:
            if not await self.courier.store.delivery(name):
                await self._plan(report, plan, job)
            if job.instead_of:
                reason = f"no list; {job.day} instead"
                await delivery.settle_day(self.reporter.store, plan, job.instead_of, reason)
            return await delivery.deliver(name, self.courier)
        except BotError as error:
            logger.error("not delivered: %s", error, extra={"channel": plan.name})  # noqa: TRY400 - says it all
        except Exception:
            logger.exception("not delivered", extra={"channel": plan.name})
        return Delivery(name, plan.name, plan.address, DeliveryState.FAILED, 0)

    async def _plan(self, report: Report, plan: ChannelPlan, job: Job) -> None:
        due = job.late.get(plan.name)
        late = f"{due.astimezone(ZoneInfo(plan.timezone)):%H:%M}" if due else None
        documents = self.documents(report, late=late)
        channel = self.courier.channels(plan.address)
        now = self.reporter.clock.now()
        parts = delivery.plan(report.key, channel, documents, name=plan.name, now=now, late=due is not None)
        await self.courier.store.plan(report.key, parts)

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


def _sum(summaries: Iterable[Summary]) -> Summary:
    return sum(summaries, start=Summary())


def _slowest(one: Seconds, other: Seconds) -> Seconds:
    """Works that ran side by side took as long as the slower one."""
    return Seconds(
        max(one.total, other.total),
        max(one.list, other.list),
        max(one.score, other.score),
        max(one.deep_dive, other.deep_dive),
        max(one.deliver, other.deliver),
    )
