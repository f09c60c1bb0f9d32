"""What is due now and not done (pure), and the loop that asks and submits it.

Nothing here remembers what was sent: the settings, the clock and the store say it anew on every pass. So a missed
pass, a restart or a second replica changes nothing.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Literal, Self
from zoneinfo import ZoneInfo

from bot.delivery import (
    LATE_AFTER,
    TROUBLED_LOOKED_AT,
    Ending,
    GivenUp,
    Tell,
    Teller,
    Trouble,
    abandon,
    arguments_of,
    current_address,
    day_settled,
    delivery_key,
    give_up,
    is_answer,
    is_placeholder,
)
from bot.errors import StoreError
from bot.interfaces import Clock, Engine, NoTelemetry, Store, Telemetry
from bot.lists import SATURDAY, previous_weekday
from bot.models import Address, ChannelPlan, PartState, ReportKey
from bot.pulse import Pulse, passes

logger = logging.getLogger(__name__)

ListDay = Literal["previous", "current"]
_Report = tuple[str, date]  # a channel's name, and the day

LOOP = "schedule"  # by that name, `Pulse` knows it
FIRST_PAUSE_SECONDS = 60.0  # before a job that did not help is tried again; doubled each time
LONGEST_PAUSE_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Due:
    """A channel's report of `day`. `scheduled_at` is in UTC."""

    plan: ChannelPlan
    day: date
    scheduled_at: datetime
    late: bool = False


def default_day(instant: datetime, list_day: ListDay) -> date:
    """The day of the list that a report made at `instant` is about, in UTC.

    "previous": the last weekday before, whose list is complete. "current": today's list, still filling; on a weekend
    the last one there was.
    """
    today = instant.astimezone(UTC).date()
    return today if list_day == "current" and today.weekday() < SATURDAY else previous_weekday(today)


def due(plans: Sequence[ChannelPlan], now: datetime, catch_up: timedelta, list_day: ListDay) -> tuple[Due, ...]:
    """What is scheduled in the `catch_up` before `now`, whether it was done or not; at most once a channel and day."""
    found = {}
    for plan in plans:
        for instant in _instants(plan, now - catch_up, now):
            day = default_day(instant, list_day)
            found[plan.name, plan.address, day] = Due(plan, day, instant, late=now - instant > LATE_AFTER)
    return tuple(found.values())


def _instants(plan: ChannelPlan, after: datetime, until: datetime) -> Iterator[datetime]:
    """The plan's moments in (after, until], in UTC and in order: one a local date of its weekdays.

    An hour that a clock change skips comes as much later; one that it repeats counts the first time (PEP 495's fold=0).
    """
    zone = ZoneInfo(plan.timezone)
    local = after.astimezone(zone).date() - timedelta(days=1)
    last = until.astimezone(zone).date()
    while (local := local + timedelta(days=1)) <= last:
        instant = datetime.combine(local, plan.time, zone).astimezone(UTC)
        if local.weekday() in plan.weekdays and after < instant <= until:
            yield instant


def next_after(plan: ChannelPlan, now: datetime) -> datetime | None:
    """When the plan's next report is due, in UTC; None for one without weekdays."""
    return next(_instants(plan, now, now + timedelta(days=8)), None)


@dataclass(frozen=True, slots=True)
class ReportJob:
    """What the engine is asked to do: one report, for the channels that are due.

    `places` holds where each channel is, by its name: who comes to it may have other settings, in the middle of an
    update say, and must not post elsewhere. `due` holds when it was to be there: who comes to it says whether that is
    late.
    """

    day: date
    profile: str
    language: str
    places: Mapping[str, str]
    due: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"report:{self.day}:{self.profile}:{self.language}"

    def arguments(self) -> dict[str, str]:
        """As an engine carries them; `parse` reads them back."""
        return {
            "day": self.day.isoformat(),
            "profile": self.profile,
            "language": self.language,
            "places": json.dumps(dict(self.places)),
            "due": json.dumps({name: due.isoformat() for name, due in self.due.items()}),
        }

    def is_for(self, plan: ChannelPlan) -> bool:
        """Is the plan what the job was submitted for?"""
        wanted = (self.profile, self.language, self.places.get(plan.name))
        return wanted == (plan.profile.name, plan.language, str(plan.address))

    @classmethod
    def parse(cls, arguments: Mapping[str, str]) -> Self:
        """Reads what `arguments` wrote."""
        return cls(
            date.fromisoformat(arguments["day"]),
            arguments["profile"],
            arguments["language"],
            json.loads(arguments["places"]),
            {name: datetime.fromisoformat(due) for name, due in json.loads(arguments["due"]).items()},
        )


def _jobs(wanted: Sequence[Due]) -> tuple[ReportJob, ...]:
    def report(entry: Due) -> tuple[date, str, str]:
        return entry.day, entry.plan.profile.name, entry.plan.language

    return tuple(
        ReportJob(*key, {e.plan.name: str(e.plan.address) for e in group}, {e.plan.name: e.scheduled_at for e in group})
        for key, group in ((key, tuple(entries)) for key, entries in groupby(sorted(wanted, key=report), key=report))
    )


@dataclass(frozen=True, slots=True)
class _Pause:
    """When a job may be tried again (monotonic seconds), and how often it was."""

    until: float
    tries: int


@dataclass(slots=True)
class Schedule:
    """The loop. `plans` may be empty: then it only ends what a crash left behind.

    `known` are the plans of all channels that the settings name, scheduled or not: what was planned for nobody among
    them is given up. Without any, nothing is given up for that reason.
    The engine needs the jobs "report" (ReportJob's arguments) and "deliver" (`arguments_of` a delivery's key).
    """

    plans: Sequence[ChannelPlan]
    catch_up: timedelta
    list_day: ListDay
    store: Store
    engine: Engine
    clock: Clock
    tell: Tell
    known: Sequence[ChannelPlan] = ()
    telemetry: Telemetry = field(default_factory=NoTelemetry)
    pulse: Pulse | None = None
    _pauses: dict[str, _Pause] = field(default_factory=dict)
    _wanted: dict[_Report, Due] = field(default_factory=dict)
    _pruned_on: date | None = None
    _began: datetime | None = None

    async def run(self) -> None:
        """Makes its passes until it is cancelled."""
        await passes(self.reconcile, LOOP, self.clock, self.pulse)

    async def reconcile(self) -> None:
        """One pass: submits the reports that are due and not done, and the deliveries that a crash left unfinished.

        Last, it tells of parts whose fate nobody knows, where who found that out could not.
        """
        now = self.clock.now()
        self._began = self._began or now
        wanted = await self._open(now)
        seen = [await self._submit("report", job.key, job.arguments()) for job in _jobs(wanted)]
        covered = {delivery_key(ReportKey(e.day, e.plan.profile.name, e.plan.language), e.plan.address) for e in wanted}
        for key in await self.store.unfinished():
            if is_placeholder(key) or _any_edition(key) in covered:
                continue  # whoever answers the request looks after it, or the report's job delivers it
            if await self._goes_on(key, now):
                seen.append(await self._submit("deliver", f"deliver:{key}", arguments_of(key)))
        self._pauses = {name: pause for name, pause in self._pauses.items() if name in seen}
        await self._prune(now.date())
        await self._teller.of_unknown(await self.store.troubled(TROUBLED_LOOKED_AT))

    @property
    def _teller(self) -> Teller:
        return Teller(self.tell, self.store, self.clock)

    async def _prune(self, today: date) -> None:
        """Once a day, and at the start."""
        if today == self._pruned_on:
            return
        try:
            await self.store.prune()
        except StoreError as error:  # too little room for its transaction, say: what was submitted is submitted
            logger.warning("nothing forgotten yet: %s", error)
        self._pruned_on = today

    async def _open(self, now: datetime) -> tuple[Due, ...]:
        """What is due, not settled, and can be posted."""
        entries = due(self.plans, now, self.catch_up, self.list_day)
        still_open = {(e.plan.name, e.day): e for e in entries if not await day_settled(self.store, e.plan, e.day)}
        self.telemetry.gauge("reports_overdue", sum(entry.late for entry in still_open.values()))
        due_now = {(e.plan.name, e.day) for e in entries}
        over = {name: entry for name, entry in self._wanted.items() if name not in due_now}
        self._wanted = still_open | await self._miss(over)
        return tuple([entry for entry in still_open.values() if not await self._is_closed(entry.plan)])

    async def _miss(self, over: Mapping[_Report, Due]) -> dict[_Report, Due]:
        """Says which reports were wanted until their window ended, once for all replicas; gives those not said yet."""
        missed = {name: e for name, e in over.items() if not await day_settled(self.store, e.plan, e.day)}
        told = await self._teller.each(
            {_note_of(e): _missed(e) for e in missed.values()}, "delivery.trouble_missed_more"
        )
        for entry in missed.values():
            if _note_of(entry) in told:
                logger.warning("report missed", extra={"channel": entry.plan.name, "day": entry.day})
        return {name: entry for name, entry in missed.items() if _note_of(entry) not in told}

    async def _is_closed(self, plan: ChannelPlan) -> bool:
        return await self.store.closed(await current_address(plan.address, self.store)) is not None

    async def _goes_on(self, key: str, now: datetime) -> bool:
        """Is a delivery still worked on? What of it is hopeless is given up.

        What was being sent when its process died is looked up, however old it is, for as long as what is new is sent:
        perhaps no process ran since. Where no channel wants it, nobody looks.
        """
        if (reason := await self._hopeless(key, now)) is None:
            return True
        ending = Ending(self.store, self.tell, self.telemetry)
        await give_up(key, ending, now, reason)
        if reason is GivenUp.EXPIRED and self._began is not None and now - self._began <= self.catch_up:
            states = {part.state for part in await self.store.delivery(key)}
            return PartState.SENDING in states and PartState.PLANNED not in states
        await abandon(key, ending, now)
        return False

    async def _hopeless(self, key: str, now: datetime) -> GivenUp | None:
        """Why the rest of a delivery is not sent any more, None when it is."""
        parts = await self.store.delivery(key)
        planned = parts[0].planned_at
        # What was planned since we started may be wanted by newer settings than ours: another process has them.
        is_older = planned is None or (self._began is not None and planned <= self._began)
        if self.known and is_older and not is_answer(key) and not await self._is_wanted(key, parts[0].address):
            return GivenUp.UNWANTED
        too_old = all(part.planned_at is not None and now - part.planned_at > self.catch_up for part in parts)
        return GivenUp.EXPIRED if too_old else None

    async def _is_wanted(self, key: str, address: Address) -> bool:
        """Does a channel still want such reports at this address, or at the one where that chat is now?

        A channel's name does not matter: one that was renamed gets the rest of its report.
        """
        plans = [(ReportKey(date.min, plan.profile.name, plan.language), plan.address) for plan in self.known]
        readers = {_any_day(delivery_key(*plan)) for plan in plans}
        report, moved = key.partition("@")[0], await current_address(address, self.store)
        return any(_any_day(f"{report}@{place}") in readers for place in (address, moved))

    async def _submit(self, job: str, key: str, arguments: Mapping[str, str]) -> str:
        """Submits unless it was tried a short while ago; returns the name under which its pause is remembered.

        Other channels make it another attempt: a channel whose hour has come does not wait for another's trouble.
        """
        name = f"{key} {arguments.get('places', '')}"
        pause = self._pauses.get(name, _Pause(self.clock.monotonic(), 0))
        if self.clock.monotonic() >= pause.until:
            started = await self.engine.submit(job, key, arguments)
            tries = pause.tries + started
            seconds = min(FIRST_PAUSE_SECONDS * 2.0 ** max(tries - 1, 0), LONGEST_PAUSE_SECONDS)
            self._pauses[name] = _Pause(self.clock.monotonic() + seconds, tries)
        return name


def _note_of(missed: Due) -> str:
    return f"told:missed:{missed.day}:{missed.plan.name}"


def _missed(entry: Due) -> Trouble:
    return Trouble("delivery.trouble_missed", {"channel": entry.plan.name, "day": entry.day.isoformat()})


def _any_edition(key: str) -> str:
    """The delivery's key as the first edition would have it."""
    report, _, address = key.partition("@")
    return f"{report.partition('#')[0]}@{address}"


def _any_day(key: str) -> str:
    """Profile, language and address of a delivery's key: who reads it."""
    return _any_edition(key).partition("/")[2]
