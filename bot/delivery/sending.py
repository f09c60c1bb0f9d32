"""The pipeline: for each part in order claim -> send -> record, until it needs nothing more."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4
from weakref import WeakValueDictionary

from bot.context import working_on
from bot.delivery.standing import UNFINISHED, finished, is_answer, is_placeholder, planned, summary, thread_of
from bot.delivery.telling import UNKNOWN, Tell, Teller, tell_operator, trouble_with
from bot.errors import Outcome, SendError, StoreError
from bot.interfaces import SEND_SECONDS, Channel, Clock, Errand, Ledger, NoTelemetry, Store, Telemetry, Thread
from bot.models import Address, Delivery, DeliveryState, Part, PartKind, PartState

logger = logging.getLogger(__name__)

T = TypeVar("T")

LEASE_SECONDS = 30.0  # DESIGN section 5; longer than a send, so that a live owner never loses its part
CLOCK_SKEW = timedelta(minutes=5)  # how far a platform's clock may be from ours when a message is looked up by time
STOP_SECONDS = 3.5  # what a run that is cancelled gives its send in flight; within the time that the engine has for it
CLOSED = "delivery.trouble_closed"
CATCH_UP = timedelta(hours=12)  # how old a part may be that is still made up, where no setting says it
MOST_MOVES = 5  # new IDs of one chat followed in a row; more is a circle


@dataclass(frozen=True, slots=True)
class Patience:
    """How long sending goes on; seconds where nothing else is said."""

    lease: float = LEASE_SECONDS
    send: float = SEND_SECONDS
    tries: int = 4  # sends of a part in one run before it is left `planned` for a later run
    backoff: float = 1.0  # before the second try, doubled before each further one
    longest_wait: float = 300.0  # for one Retry-After
    all_waits: float = 600.0  # for one part in one run
    turn: float = math.inf  # until the chat's limits let a part go
    # Of an edit, whatever ended them: a process that dies, too. Repeating one is harmless, doing so for ever is not.
    link_tries: int = 8
    settling: float = 2.0  # before an ambiguous send is looked up: the platform may still be posting it
    poll: float = 0.5  # between looks at a part that another process holds
    stop: float = STOP_SECONDS

    def __post_init__(self) -> None:
        if self.send >= self.lease:
            raise ValueError("a send must end before its lease does")


class Turns:
    """One delivery at a time in each chat, in the order in which they came: the parts of two answers or of two reports
    do not mix. An answer waits for no report: at most for one of its parts that is being posted.
    """

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[tuple[Address, bool], asyncio.Lock] = WeakValueDictionary()

    def delivery(self, chat: Address, errand: Errand) -> asyncio.Lock:
        """Held from the first part to the last."""
        return self._lock(chat, of_report=not errand.urgent)

    def part(self, chat: Address, errand: Errand) -> AbstractAsyncContextManager[object]:
        """Held from claim to record."""
        return nullcontext() if errand.urgent else self._lock(chat, of_report=False)

    def _lock(self, chat: Address, *, of_report: bool) -> asyncio.Lock:
        lock = self._locks.get((chat, of_report))
        if lock is None:
            self._locks[chat, of_report] = lock = asyncio.Lock()
        return lock


@dataclass(frozen=True, slots=True)
class Courier:
    """What sending needs. `channels` gives the channel of an address, also of one that a chat has moved to;
    `catch_up` is how long after its planning a part that failed is made up.
    """

    store: Store
    channels: Callable[[Address], Channel]
    clock: Clock
    tell: Tell
    patience: Patience = field(default_factory=Patience)
    turns: Turns = field(default_factory=Turns)
    telemetry: Telemetry = field(default_factory=NoTelemetry)
    catch_up: timedelta = CATCH_UP

    @property
    def since(self) -> datetime:
        """What was planned before this moment is not made up any more."""
        return self.clock.now() - self.catch_up

    @property
    def teller(self) -> Teller:
        return Teller(self.tell, self.store, self.clock)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of an attempt. SENDING: nobody could ask yet, the lease runs out first. `wait` is a Retry-After."""

    state: PartState
    ids: tuple[str, ...] = ()
    error: str = ""
    wait: float | None = None
    trouble: str | None = None


async def deliver(key: str, courier: Courier) -> Delivery:
    """Sends what the delivery still lacks, in order, and says how it stands. Safe to run twice, also at once.

    A part that cannot be sent now stays `planned`, and so does what follows it: a later run goes on from there.
    Raises InputError for a key that was never planned, StoreError, and what `channels` raises.
    """
    parts = await planned(key, courier.store)
    errand = Errand(courier.clock.monotonic(), urgent=is_answer(key), within=courier.patience.turn)
    platform = parts[0].address.platform.value
    with working_on(delivery=key), courier.telemetry.span("deliver", platform=platform, parts=len(parts)):
        async with courier.turns.delivery(parts[0].address.chat, errand):
            standing = await planned(key, courier.store)
            for part in sorted(standing, key=_posts_before_links):
                if not await _bring_to_an_end(part, courier, errand):
                    break
        done = await courier.store.delivery(key)
        if finished(done) and not finished(standing):
            count(done, courier.telemetry, courier.clock.now())
    return summary(done)


def count(done: Sequence[Part], telemetry: Telemetry, now: datetime) -> None:
    """What a dashboard learns of a delivery that has just come to its end."""
    first, state = done[0], summary(done).state
    platform = first.address.platform.value
    if is_placeholder(first.delivery):
        return
    if first.planned_at is not None:
        seconds = (now - first.planned_at).total_seconds()
        kind = "answer" if is_answer(first.delivery) else "report"
        telemetry.observe("delivery_seconds", seconds, kind=kind, platform=platform)
    if not is_answer(first.delivery):
        telemetry.count("reports_delivered", state=state.value, platform=platform)
        if state is DeliveryState.LATE:
            telemetry.count("reports_late")


async def _bring_to_an_end(part: Part, courier: Courier, errand: Errand) -> bool:
    """Attempts a part until it needs nothing more; False leaves it to a later run."""
    waits = _Waits(courier.patience)
    while part.state in UNFINISHED:
        try:
            moment = await _turn(part, courier, errand) if part.state is PartState.PLANNED else errand.since
        except SendError as error:
            logger.info("part waits: %s", error, extra={"channel": part.channel, "part": part.key})
            return False
        async with courier.turns.part(part.address.chat, errand):
            verdict = await _uninterrupted(_attempt(part, courier, moment), courier.patience.stop)
        wait = courier.patience.poll if verdict is None else waits.after(verdict)
        if wait is None:
            return False
        if wait:
            await courier.clock.sleep(wait)
        part = await courier.store.part(part.key) or part
    return True


async def _turn(part: Part, courier: Courier, errand: Errand) -> float:
    """The moment at which the part may go; one that will not be sent waits for none. Raises SendError."""
    address = await current_address(part.address, courier.store)
    if await courier.store.closed(address) is not None:
        return errand.since
    return await courier.channels(address).turn(errand)


async def _attempt(part: Part, courier: Courier, moment: float) -> Verdict | None:
    """One attempt at a part, not before its moment; None when another process holds it."""
    address = await current_address(part.address, courier.store)
    attempt = _Attempt(part, uuid4().hex, courier, address, courier.channels(address), moment)
    # Before the claim: what is claimed and then not sent, because the store went away, looks as if nobody knew.
    closed, thread = await courier.store.closed(address), thread_of(await courier.store.delivery(part.delivery))
    if not await attempt.take():
        return None
    is_planned = part.state is PartState.PLANNED
    verdict = await (attempt.send(closed, thread) if is_planned else attempt.look_up("the process that sent it ended"))
    if verdict is not None and verdict.state is not PartState.SENDING:
        await attempt.record(verdict)
        if verdict.trouble == CLOSED or (is_planned and closed is not None):
            await _unless_open(part, address, courier.store)
    return verdict


async def _unless_open(part: Part, address: Address, store: Ledger) -> None:
    """Puts back a part that failed because its address was closed, where that was opened before the failure showed:
    `reopen` has not seen it.
    """
    if await store.closed(address) is None:
        await store.settle(part.key, PartState.PLANNED)


@dataclass(slots=True)
class _Attempt:
    """One attempt at one part: its owner token, and the channel of where its address is now."""

    part: Part
    owner: str
    courier: Courier
    address: Address
    channel: Channel
    moment: float
    lease: datetime | None = None

    async def take(self) -> bool:
        """Claims a planned part or recovers an abandoned one; True only with time left for a whole send."""
        if self.part.state is PartState.PLANNED:
            return await self._hold(self.courier.store.claim)
        has_taken_over = await self._hold(self.courier.store.recover)
        if has_taken_over:
            self.courier.telemetry.count("lease_takeovers", lease="part")
        return has_taken_over

    async def _hold(self, take: Callable[[str, str, datetime, datetime], Awaitable[bool]]) -> bool:
        patience, clock = self.courier.patience, self.courier.clock
        end = clock.monotonic() + patience.lease - patience.send
        while True:
            now = clock.now()
            lease = now + timedelta(seconds=patience.lease)
            try:
                if not await take(self.part.key, self.owner, now, lease):
                    return False
            except StoreError as error:
                # Perhaps it is ours, and the answer alone was lost: given up now, it would look as if it might be sent.
                if not error.retryable or clock.monotonic() >= end:
                    raise
                await clock.sleep(patience.poll)
                continue
            self.lease = lease
            if self._has_time:
                return True

    @property
    def _has_time(self) -> bool:
        """Is enough left of the lease for a whole send?"""
        send = timedelta(seconds=self.courier.patience.send)
        return self.lease is not None and self.courier.clock.now() + send <= self.lease

    async def send(self, closed: str | None, thread: Thread) -> Verdict | None:
        if closed is not None:
            return Verdict(PartState.FAILED, error=closed)
        if self._is_link and self.part.message.document not in thread.sent:
            return Verdict(PartState.FAILED, error="the message to edit was not posted")
        if (wait := self.moment - self.courier.clock.monotonic()) > 0:
            await self.courier.clock.sleep(wait)
        # A process that was held up since it took the part, stopped even, may have lost it: nothing may lie between
        # this look and the post.
        if not self._has_time and not await self._hold(self.courier.store.claim):
            return None
        try:
            with self.courier.telemetry.span("send", platform=self.address.platform.value, part=self.part.index):
                async with asyncio.timeout(self.courier.patience.send):
                    return Verdict(PartState.SENT, await self.channel.send(self.part.key, self.part.message, thread))
        except TimeoutError:
            return await self.look_up("no answer in time")
        except SendError as error:
            return await self._judge(error)
        except Exception as error:
            logger.exception(
                "send broke", extra={"part": self.part.key}
            )  # an adapter's fault: before or after the post?
            return await self.look_up(f"{type(error).__name__} in the {self.address.platform} adapter")

    async def _judge(self, error: SendError) -> Verdict | None:
        match error.outcome:
            case Outcome.NOT_SENT:
                return Verdict(PartState.PLANNED, error=str(error), wait=error.retry_after)
            case Outcome.MOVED if error.moved_to:
                await self.courier.store.move(self.address, error.moved_to)
                return Verdict(PartState.PLANNED, error=str(error))
            case Outcome.UNKNOWN if self._is_link:
                return await self.look_up(str(error))
            case Outcome.UNKNOWN:  # of an edit, too: its channel has posted anew, for there was nothing to edit
                return await self._look_for_post(str(error))
            case Outcome.GONE:
                await self.courier.store.close(self.address, str(error))
                return Verdict(PartState.FAILED, error=str(error), trouble=CLOSED)
            case _:
                trouble = None if self._is_link else "delivery.trouble_failed"
                return Verdict(PartState.FAILED, error=str(error), trouble=trouble)

    async def look_up(self, error: str) -> Verdict | None:
        """What became of a send that may have been posted; None when the part was taken over meanwhile."""
        again = self._is_edit and self.part.attempts + 1 < self.courier.patience.link_tries
        if self._is_link:
            return Verdict(PartState.PLANNED if again else PartState.FAILED, error=error)
        # An edit, too: its channel posts anew where there is nothing to edit, and that must not be repeated.
        found = await self._look_for_post(error)
        if found and found.state is PartState.UNKNOWN and again:
            return Verdict(PartState.PLANNED, error=error)
        return found

    async def _look_for_post(self, error: str) -> Verdict | None:
        await self.courier.clock.sleep(self.courier.patience.settling)
        if not await self._hold(self.courier.store.claim):
            return None
        return await self._find(error)

    async def _find(self, error: str) -> Verdict:
        thread = thread_of(await self.courier.store.delivery(self.part.delivery))
        since = (self.part.planned_at or datetime.fromtimestamp(0, UTC)) - CLOCK_SKEW
        unknown = Verdict(PartState.UNKNOWN, error=error, trouble=UNKNOWN)
        try:
            async with asyncio.timeout(self.courier.patience.send):
                ids = await self.channel.find(self.part.key, thread, since)
        except SendError as cause:
            # A search that could not be made is made later; where there is none, nobody will ever know.
            return Verdict(PartState.SENDING) if cause.outcome is Outcome.NOT_SENT else unknown
        except TimeoutError:
            return Verdict(PartState.SENDING)
        except Exception:
            logger.exception("look-up broke", extra={"part": self.part.key})
            return unknown
        return Verdict(PartState.SENT, ids) if ids else Verdict(PartState.PLANNED, error=error)

    async def record(self, verdict: Verdict) -> None:
        if not await self._write(verdict):
            logger.warning("part taken over", extra={"part": self.part.key, "state": verdict.state.value})
            return
        logger.info("part %s", verdict.state, extra={"channel": self.part.channel, "part": self.part.key})
        if verdict.state is PartState.UNKNOWN:
            self.courier.telemetry.count("parts_unknown", platform=self.address.platform.value)
        if verdict.trouble is not None:
            await self._tell(verdict.trouble, verdict.error)

    async def _tell(self, trouble: str, error: str) -> None:
        part = await self.courier.store.part(self.part.key) or self.part  # with the attempt that this was
        if trouble != UNKNOWN:
            await tell_operator(self.courier.tell, trouble_with(part, trouble, error))
            return
        try:
            await self.courier.teller.of_unknown([part])
        except StoreError as cause:
            logger.warning("operator not told yet: %s", cause, extra={"part": part.key})  # a pass of the schedule does

    async def _write(self, verdict: Verdict) -> bool:
        """A lost record would make a sent part unknown: a store that has trouble is asked again within the lease."""
        clock = self.courier.clock
        end = clock.monotonic() + self.courier.patience.lease - self.courier.patience.send
        while True:
            try:
                return await self.courier.store.record(
                    self.part.key, self.owner, verdict.state, verdict.ids, verdict.error
                )
            except StoreError as error:
                if not error.retryable or clock.monotonic() >= end:
                    raise
                await clock.sleep(self.courier.patience.poll)

    @property
    def _is_edit(self) -> bool:
        """May it be repeated without harm?"""
        return self._is_link or bool(self.part.message.replaces)

    @property
    def _is_link(self) -> bool:
        return self.part.message.kind is PartKind.LINK


class _Waits:
    """How long to wait after an attempt that did not end a part, within one run's patience."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._tries = 0
        self._waited = 0.0

    def after(self, verdict: Verdict) -> float | None:
        """Seconds, 0 when nothing is left to do, None when this run should stop."""
        if verdict.state not in UNFINISHED:
            return 0.0
        if verdict.wait is None:
            self._tries += 1
        wait = self._next(verdict.wait)
        self._waited += wait
        return None if self._tries >= self._patience.tries or self._waited > self._patience.all_waits else wait

    def _next(self, named: float | None) -> float:
        if named is None:
            return self._patience.backoff * 2.0 ** (self._tries - 1)
        return min(max(named, self._patience.backoff), self._patience.longest_wait)


async def _uninterrupted(work: Coroutine[Any, Any, T], seconds: float) -> T:
    """Lets `work` end when we are cancelled: a send in flight is recorded before the cancellation goes on."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    finally:
        if not task.done():
            try:
                await asyncio.wait({task}, timeout=seconds)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


async def current_address(address: Address, store: Ledger) -> Address:
    """Where a chat is now that was at `address` when its parts were planned."""
    for _ in range(MOST_MOVES):
        if (target := await store.moved(address)) is None:
            break
        address = replace(address, target=target)
    return address


def _posts_before_links(part: Part) -> tuple[bool, int]:
    return part.message.kind is PartKind.LINK, part.index
