"""Work that only one process may do at a time: it is done by the one that holds a lease in the store.

The others stand by. A leader that is told to end drops its lease, and is replaced at once; one that dies is replaced
when its lease has run out. While the store cannot be reached nobody can take a lease, and the leader goes on: the work
itself asks (`confirm`) where it sees that somebody else does it, too.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum, auto
from typing import Any

from bot.errors import StoreError
from bot.interfaces import Clock, Leases, Telemetry

logger = logging.getLogger(__name__)

LEASE_SECONDS = 30.0
RENEWALS = 3  # in the time of a lease: two may fail before it is over
LOOK_SECONDS = 1.0  # between two looks of who stands by, and between two tries where the store cannot be reached
LOOKS = 5  # in the time of a lease at least, where that is short
DROP_SECONDS = 0.5  # for a store that hangs at the end: the lease runs out by itself


@dataclass(frozen=True, slots=True)
class Candidate:
    """Who stands for the lease `name`: `owner` is this process, under a name that no other one has, ever.

    `has_ended` knows of an owner that it has surely ended: its lease need not be waited for.
    """

    name: str
    owner: str
    seconds: float = LEASE_SECONDS
    has_ended: Callable[[str], bool] = lambda _: False


class Standing(Enum):
    """How the last try to take or renew the lease ended."""

    MINE = auto()
    ANOTHERS = auto()
    UNKNOWN = auto()  # the store did not say


class Leading:
    """Runs work while this process holds the lease. For one `run` at a time."""

    def __init__(self, candidate: Candidate, store: Leases, clock: Clock, telemetry: Telemetry) -> None:
        self._candidate = candidate
        self._store = store
        self._clock = clock
        self._telemetry = telemetry
        self._standing: Standing | None = None
        self._ends = clock.monotonic()
        self._succeeded = ""  # from whom the lease that is held was taken over
        self._lost = asyncio.Event()
        self._leads = False

    @property
    def stands_by(self) -> bool:
        """Does another process do the work?"""
        return not self._leads and self._standing is Standing.ANOTHERS

    async def run(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Does the work whenever the lease is ours, until it is cancelled or the work raises or ends."""
        try:
            while True:
                await self._elected()
                if await self._led(work):
                    return
        finally:
            self._leads = False
            await self._step_down()

    async def check(self) -> None:
        """For the work, before each step that nobody else may do: returns when it may be done.

        At once while the lease lasts. A process that was stopped for so long that it ran out asks first, and never
        returns where another has it. A store that cannot be reached stops nothing.
        """
        if self._clock.monotonic() >= self._ends and self._standing is Standing.MINE:
            await self._try()
        if self._standing is Standing.ANOTHERS:
            await _for_ever()

    async def confirm(self) -> None:
        """For the work, when it sees that somebody else does it: returns when the store has said that we hold the
        lease, and never where another does.
        """
        while await self._try() is not Standing.MINE:
            if self._standing is Standing.ANOTHERS:
                await _for_ever()
            await self._clock.sleep(self._look)

    async def _elected(self) -> None:
        while await self._try() is not Standing.MINE:
            await self._clock.sleep(self._look)
        self._lost.clear()
        self._leads = True
        logger.info("leading", extra={"lease": self._candidate.name})

    async def _led(self, work: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Does the work until it is done (True) or the lease is another's (False)."""
        working, renewing, lost = (asyncio.ensure_future(one) for one in (work(), self._renew(), self._lost.wait()))
        try:
            await asyncio.wait({working, renewing, lost}, return_when=asyncio.FIRST_COMPLETED)
            is_done = working.done() or renewing.done()
        finally:
            self._leads = False
            for task in (working, renewing, lost):
                task.cancel()
            ends = await asyncio.gather(working, renewing, lost, return_exceptions=True)
        for end in ends[:2]:
            if isinstance(end, Exception):
                raise end
        return is_done

    async def _renew(self) -> None:
        while True:
            away = self._standing is Standing.UNKNOWN
            await self._clock.sleep(self._look if away else self._candidate.seconds / RENEWALS)
            await self._try()

    @property
    def _look(self) -> float:
        return min(LOOK_SECONDS, self._candidate.seconds / LOOKS)

    async def _try(self) -> Standing:
        """Takes the lease, or renews it, where that is possible."""
        # Counted from before the store is asked, so that it never lasts longer here than there.
        started, now = self._clock.monotonic(), self._clock.now()
        name, owner, seconds = self._candidate.name, self._candidate.owner, self._candidate.seconds
        before = self._standing
        until = now + timedelta(seconds=seconds)
        try:
            lease = await self._store.take_lease(name, owner, now, until)
            if lease.owner != owner and self._candidate.has_ended(dead := lease.owner):
                await self._store.drop_lease(name, dead)
                lease = replace(await self._store.take_lease(name, owner, now, until), before=dead)
        except StoreError as error:
            self._standing = Standing.UNKNOWN
            if before is not Standing.UNKNOWN:
                logger.warning("lease not renewed: %s", error, extra={"lease": name})
            return self._standing
        if lease.owner == owner:
            self._standing, self._ends = Standing.MINE, max(self._ends, started + seconds)
            self._tell_takeover(lease.before)
        else:
            self._standing, self._succeeded = Standing.ANOTHERS, ""
            self._tell_another(lease.owner, before)
        return self._standing

    def _tell_takeover(self, before: str) -> None:
        """Once, for the lease goes on saying from whom it was taken."""
        if before and before != self._succeeded:
            logger.warning("took over", extra={"lease": self._candidate.name, "from": before})
            self._telemetry.count("lease_takeovers", lease=self._candidate.name)
            self._succeeded = before

    def _tell_another(self, owner: str, before: Standing | None) -> None:
        if self._leads:
            logger.warning("no longer leading", extra={"lease": self._candidate.name, "leader": owner})
            self._lost.set()
        elif before is not Standing.ANOTHERS:
            logger.info("standing by", extra={"lease": self._candidate.name, "leader": owner})

    async def _step_down(self) -> None:
        """Whoever waits may go on at once."""
        if self._standing in (None, Standing.ANOTHERS):
            return
        try:
            async with asyncio.timeout(DROP_SECONDS):
                await self._store.drop_lease(self._candidate.name, self._candidate.owner)
            logger.info("stepped down", extra={"lease": self._candidate.name})
        except (StoreError, TimeoutError) as error:
            reason = str(error) or "no answer from the store"
            logger.warning("lease not dropped: %s", reason, extra={"lease": self._candidate.name})


async def _for_ever() -> None:
    """Until who waits is cancelled."""
    await asyncio.Event().wait()
