"""From a stored request to its answer: one job for all who asked the same, true progress, one answer each.

A request is open in the store until its answer is planned in the ledger, in one transaction; whatever process dies in
between, the next pass starts the work again, and what the ledger has is never sent twice. In a chat, what was asked
first stands first: where an answer takes a while, a message that says what is being done holds its place, and then
becomes the answer. Where nothing holds its place, later answers to the same command wait for it; no other command does.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from weakref import WeakValueDictionary

from bot import delivery, texts
from bot.answering.entries import Answered, Entry, Work, line, sorry
from bot.answering.holding import Holding, Rhythm
from bot.context import working_on
from bot.delivery import Courier
from bot.errors import BotError, SettingsError, StoreError
from bot.interfaces import Channel, Engine, Store
from bot.models import Address, Part
from bot.pulse import Pulse
from bot.requests import Closing, Request, RequestState

logger = logging.getLogger(__name__)

LOOP = "requests"  # by that name, `Pulse` knows the look for open ones
JOB = "answer"  # the engine's name for the work of this module
PASS_SECONDS = 30.0  # between two looks for requests that nobody works on
STALE = timedelta(hours=12)  # who waited longer, because the bot was down, is told so and asks again
JOIN_AGAIN_SECONDS = 5.0  # a job that ended just as somebody joined it is submitted again after this
IN_ORDER_SECONDS = 120.0  # an answer waits no longer for one before it: the model gives up by then, too
STOP_SECONDS = 4.0  # for sends in flight at the end; more than a delivery gives them


@dataclass(slots=True)
class Answering:
    """Sees requests through. `works` are the commands by name; the engine needs `job` under the name JOB."""

    store: Store
    engine: Engine
    courier: Courier
    works: Mapping[str, Work]
    rhythm: Rhythm = field(default_factory=Rhythm)
    pulse: Pulse | None = None
    _entries: dict[str, Entry] = field(default_factory=dict)
    _made: dict[str, Answered] = field(default_factory=dict)  # what could not be stored yet: it is not made twice
    _steps: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    _doors: WeakValueDictionary[Address, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    _last: WeakValueDictionary[tuple[Address, str], asyncio.Event] = field(default_factory=WeakValueDictionary)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _has_ended: bool = False
    _holding: Holding = field(init=False)

    def __post_init__(self) -> None:
        self._holding = Holding(self.store, self.courier, self.rhythm, self._entries, self._steps)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Requests that an earlier process left open are worked on too; leaving the context ends all of it."""
        self._has_ended = False
        self._spawn(self._look_for_open_ones())
        try:
            yield
        finally:
            self._has_ended = True  # a job that ends now leaves its requests to the next process
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                await asyncio.wait(set(self._tasks), timeout=STOP_SECONDS)

    def begin(self, requests: Sequence[Request]) -> None:
        """Starts work on stored requests and returns at once. In a chat, the order of calls is the order of answers."""
        for request in requests:
            if request.key not in self._entries and not self._has_ended:
                future = asyncio.get_running_loop().create_future()
                queue = (request.address, request.command)
                entry = Entry(request, self.courier.clock.monotonic(), future, self._last.get(queue))
                self._entries[request.key], self._last[queue] = entry, entry.stands
                if made := self._made.pop(request.key, None):
                    future.set_result(made)
                with working_on(request=request.code):  # also what the task logs long after
                    self._spawn(self._see_through(entry))

    async def reconcile(self) -> None:
        """One look: what nobody works on is begun, what is too old is told so, and no message about progress stays."""
        now = self.courier.clock.now()
        waiting = await self.store.open_requests()
        self.begin(waiting)
        for request in waiting:
            if now - request.asked_at > STALE:
                words = texts.load(request.language)
                self._give(request, line(words("request.stale"), request, RequestState.FAILED))
        for key in await self.store.unfinished():
            if delivery.is_placeholder(key) and not await self._is_open(delivery.request_of(key)):
                await delivery.drop(key, self.store, now)

    async def cancel(self, code: str) -> Request | None:
        """Ends the open request that people call `code`; the work stops when nobody else waits for it."""
        request = next((one for one in await self.store.open_requests() if one.code == code), None)
        if request is None:
            return None
        self.begin([request])
        words = texts.load(request.language)
        self._give(request, line(words("request.cancelled"), request, RequestState.CANCELLED))
        if all(other.key == request.key for other in await self.store.waiting_for(request.job)):
            await self.engine.cancel(request.job)
        return request

    async def job(self, arguments: Mapping[str, str]) -> None:
        """Does the work of a job once, for all who wait for it, also for those who join meanwhile."""
        name, served = arguments["job"], set[str]()
        try:
            while waiting := [one for one in await self.store.waiting_for(name) if one.key not in served]:
                answered = await self._work(waiting[0])
                waiting = list(await self.store.waiting_for(name))
                self.begin(waiting)
                for request in waiting:
                    self._give(request, answered)
                    served.add(request.key)
        finally:
            self._steps.pop(name, None)

    async def _work(self, request: Request) -> Answered:
        """The answer, or in words why there is none."""

        def progress(step: str, done: int, total: int) -> None:
            self._steps[request.job] = (step, done, total)

        try:
            with (
                working_on(request=request.code),
                self.courier.telemetry.span("request", command=request.command, language=request.language),
            ):
                return await self.works[request.command](request, progress)
        except BotError as error:
            logger.warning("request failed: %s", error, extra={"request": request.code, "command": request.command})
            return sorry(error, request)
        except Exception:
            logger.exception("request failed", extra={"request": request.code, "command": request.command})
            return sorry(BotError("a fault of ours"), request)

    async def _see_through(self, entry: Entry) -> None:
        """From the first sign in the chat to the delivered answer."""
        try:
            self._spawn(self._submit(entry))
            async with self._door(entry):
                entry.place = await self._holding.held_before(entry)
                if await self._comes_at_once(entry) and entry.is_next:
                    await self._end(entry)
                    return
                if await self._is_over(entry):
                    return
                await self._holding.hold(entry)
            while not await entry.answered_within(self.rhythm.progress):
                if await self._is_over(entry):
                    return
                await self._holding.show_progress(entry)
            await self._turn(entry)
            await self._end(entry)
        except BotError as error:
            logger.error("request not answered yet: %s", error, extra={"request": entry.request.code})  # noqa: TRY400 - says it all
            if entry.answered.done():
                self._made[entry.request.key] = entry.answered.result()
        except Exception:
            logger.exception("request not answered yet", extra={"request": entry.request.code})
        finally:
            entry.stands.set()
            del self._entries[entry.request.key]

    async def _is_over(self, entry: Entry) -> bool:
        """Was it answered by another process, or before we began? Then no job of ours will ever answer it, and what
        held its place is its answer now, which no progress may be written over.
        """
        try:
            return not entry.answered.done() and not await self._is_open(entry.request.key)
        except StoreError:  # nobody knows; what is being worked on is not given up for that
            return False

    async def _submit(self, entry: Entry) -> None:
        """Starts the job or joins the one that runs, and once more where that one ended as we joined."""
        job = entry.request.job
        while not entry.answered.done() and entry.request.key in self._entries:
            await self.engine.submit(JOB, job, {"job": job})
            await asyncio.wait({entry.answered}, timeout=JOIN_AGAIN_SECONDS)

    def _give(self, request: Request, answered: Answered) -> None:
        entry = self._entries.get(request.key)
        if entry and not entry.answered.done():
            entry.answered.set_result(answered)

    async def _comes_at_once(self, entry: Entry) -> bool:
        return await entry.answered_within(entry.arrived + self.rhythm.grace - self.courier.clock.monotonic())

    async def _turn(self, entry: Entry) -> None:
        """Returns when the answer may stand in the chat. Nobody waits to hear that something is cancelled."""
        is_cancelled = entry.answered.result().state is RequestState.CANCELLED
        if entry.before is None or entry.place or is_cancelled:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(IN_ORDER_SECONDS):
                await entry.before.wait()

    # --- the answer

    async def _end(self, entry: Entry) -> None:
        """Plans the answer and closes the request in one step, then sends."""
        request, answered = entry.request, entry.answered.result()
        counted = request.counted and not answered.free
        closing = Closing(answered.state, self.courier.clock.now(), answered.said, counted)
        key = delivery.answer_key(request)
        if await self.store.closed(request.address) is not None:
            await self.store.reopen(request.address)  # whoever asks here can be answered here, whatever was before
        if not await self.store.close_request(request.key, closing, self._parts(entry, answered)):
            logger.info("answered before", extra={"request": request.code})
            return
        logger.info("request %s", answered.state, extra={"request": request.code, "command": request.command})
        try:
            await delivery.deliver(key, self.courier)
        except BotError as error:  # what is planned is sent by a later pass
            logger.error("answer not sent yet: %s", error, extra={"delivery": key})  # noqa: TRY400 - says it all
        waited = (self.courier.clock.now() - request.asked_at).total_seconds()
        self.courier.telemetry.observe("request_seconds", waited, command=request.command, state=answered.state.value)

    def _parts(self, entry: Entry, answered: Answered) -> tuple[Part, ...]:
        request, now = entry.request, self.courier.clock.now()
        try:
            channel = self._channel(entry)
        except SettingsError:
            if now - request.asked_at <= STALE:
                raise
            return ()  # its platform has not been in the settings for so long that nobody waits any more
        try:
            messages = channel.render(answered.documents)
        except Exception:
            logger.exception("answer not rendered", extra={"request": request.code})
            messages = channel.render(sorry(BotError("a fault of ours"), request).documents)
        first = replace(messages[0], answers=request.reply_to, replaces=entry.place)
        return delivery.plan_messages(delivery.answer_key(request), channel, (first, *messages[1:]), request, now)

    # --- odds

    def _channel(self, entry: Entry) -> Channel:
        return self.courier.channels(entry.request.address)

    def _door(self, entry: Entry) -> asyncio.Lock:
        """Through it, requests go in their order."""
        return self._doors.setdefault(entry.request.address.chat, asyncio.Lock())

    async def _is_open(self, key: str) -> bool:
        request = await self.store.request(key)
        return request is not None and request.state is RequestState.OPEN

    async def _look_for_open_ones(self) -> None:
        while True:
            try:
                await self.reconcile()
                if self.pulse:
                    self.pulse.beat(LOOP)
            except Exception:
                logger.exception("open requests not looked at")
            await self.courier.clock.sleep(PASS_SECONDS)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
