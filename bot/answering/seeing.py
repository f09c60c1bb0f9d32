"""From a stored request to its answer: one job for all who asked the same, true progress, one answer each.

A request is open in the store until its answer is planned in the ledger, in one transaction; whatever process dies in
between, the next pass starts the work again, and what the ledger has is never sent twice. In a chat, what was asked
first stands first: where an answer takes a while, a message that says what is being done holds its place, and then
becomes the answer. Where nothing holds its place, later answers to the same command wait for it; no other command does.

Several processes may share a store and an engine. The one that was told of a request shows how far its work is; the
one that has done the work closes the request and delivers the answer, which becomes the other's message.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
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
from bot.interfaces import Channel, Engine, Progress, Store, no_progress
from bot.limits import Limits, Slots
from bot.models import Address, Part
from bot.pulse import Pulse, passes
from bot.requests import Closing, Request, RequestState

logger = logging.getLogger(__name__)

LOOP = "requests"  # by that name, `Pulse` knows the look for open ones
JOB = "answer"  # the engine's name for the work of this module
STORE_BACK = timedelta(minutes=2)  # what fails for the store's sake is tried again for so long, then the asker is told
STALE = timedelta(hours=12)  # who waited longer, because the bot was down, is told so and asks again
JOIN_AGAIN_SECONDS = 5.0  # a job that ended just as somebody joined it is submitted again after this
IN_ORDER_SECONDS = 120.0  # an answer waits no longer for one before it: the model gives up by then, too
LOOK_SECONDS = 0.5  # between two looks at what another process does
CANCEL_SECONDS = 1.0  # until a request that is cancelled is closed; its work is stopped then in any case
STOP_SECONDS = 4.0  # for sends in flight at the end; more than a delivery gives them


Costs = Callable[[Request], Awaitable[bool]]
"""Would the answer take a model or a source? Those that do wait for a free place; the others never wait for them."""


@dataclass(slots=True)
class Answering:
    """Sees requests through. `works` are the commands by name; the engine needs `job` under the name JOB.

    `costs` are those commands that may take a model or a source, `provider` whose it is: the engine asks each for so
    much at once. `is_alone`: no other process is told of requests; what an earlier one was told is ours now.
    """

    store: Store
    engine: Engine
    courier: Courier
    works: Mapping[str, Work]
    rhythm: Rhythm = field(default_factory=Rhythm)
    pulse: Pulse | None = None
    slots: Slots = field(default_factory=lambda: Slots(Limits()))
    costs: Mapping[str, Costs] = field(default_factory=dict)
    provider: str = ""
    is_alone: bool = True
    _entries: dict[str, Entry] = field(default_factory=dict)
    _made: dict[str, Answered] = field(default_factory=dict)  # what could not be stored yet: it is not made twice
    _ahead: dict[str, int] = field(default_factory=dict)
    _submitted: set[str] = field(default_factory=set)
    _doors: WeakValueDictionary[Address, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    _last: WeakValueDictionary[tuple[Address, str], asyncio.Event] = field(default_factory=WeakValueDictionary)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _has_ended: bool = False
    _holding: Holding = field(init=False)

    def __post_init__(self) -> None:
        self._holding = Holding(self.store, self.courier, self.engine, self.rhythm, self._entries, self._ahead)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Requests that an earlier process left open are worked on too; leaving the context ends all of it."""
        self._has_ended = False
        self._spawn(passes(self.reconcile, LOOP, self.courier.clock, self.pulse))
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
        self._begin(requests, is_ours=True)

    def _begin(self, requests: Sequence[Request], *, is_ours: bool) -> None:
        for request in requests:
            if request.key not in self._entries and not self._has_ended:
                future = asyncio.get_running_loop().create_future()
                queue = (request.address, request.command)
                entry = Entry(request, self.courier.clock.monotonic(), future, self._last.get(queue), is_ours=is_ours)
                self._entries[request.key], self._last[queue] = entry, entry.stands
                if made := self._made.pop(request.key, None):
                    future.set_result(made)
                with working_on(request=request.code):  # also what the task logs long after
                    self._spawn(self._see_through(entry))

    async def reconcile(self) -> None:
        """One look: what nobody works on is begun, what is too old is told so, and no message about progress stays."""
        now = self.courier.clock.now()
        waiting = await self.store.open_requests()
        still_open = {request.key for request in waiting}
        self._made = {key: made for key, made in self._made.items() if key in still_open}
        self._begin(waiting, is_ours=False)
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
        self._begin([request], is_ours=False)
        words = texts.load(request.language)
        self._give(request, line(words("request.cancelled"), request, RequestState.CANCELLED))
        if all(other.key == request.key for other in await self.store.waiting_for(request.job)):
            await self._closed_soon(request.key)  # as long as it is open, its work would be begun anew
            await self.engine.cancel(request.job)
        return request

    async def job(self, arguments: Mapping[str, str], progress: Progress = no_progress) -> None:
        """Does the work of a job once, for all who wait for it, also for those who join meanwhile.

        Ends when those that another process was told of are closed: that one would begin the work anew.
        """
        name, served = arguments["job"], set[str]()
        while waiting := [one for one in await self.store.waiting_for(name) if one.key not in served]:
            answered = await self._work(waiting[0], progress)
            waiting = list(await self.store.waiting_for(name))
            self._begin(waiting, is_ours=False)
            for request in waiting:
                self._give(request, answered)
                served.add(request.key)
            await self._closed_for_others(served)

    async def _closed_soon(self, key: str) -> None:
        if entry := self._entries.get(key):
            with suppress(TimeoutError):
                async with asyncio.timeout(CANCEL_SECONDS):
                    await entry.ended.wait()

    async def _closed_for_others(self, keys: set[str]) -> None:
        entries = [entry for key in keys if (entry := self._entries.get(key)) and not self._is_watched_here(entry)]
        await asyncio.gather(*(entry.ended.wait() for entry in entries))

    async def _work(self, request: Request, progress: Progress) -> Answered:
        """The answer, or in words why there is none. Raises StoreError where the store may be back in a moment."""
        try:
            with (
                working_on(request=request.code),
                self.courier.telemetry.span("request", command=request.command, language=request.language),
            ):
                return await self.works[request.command](request, progress)
        except BotError as error:
            waited = self.courier.clock.now() - request.asked_at
            if isinstance(error, StoreError) and error.retryable and waited < STORE_BACK:
                raise  # the engine tries again: whoever asked wants the answer, not to ask again
            logger.warning("request failed: %s", error, extra={"request": request.code, "command": request.command})
            return sorry(error, request)
        except Exception:
            logger.exception("request failed", extra={"request": request.code, "command": request.command})
            return sorry(BotError("a fault of ours"), request)

    async def _see_through(self, entry: Entry) -> None:
        """From the first sign in the chat to the delivered answer."""
        submitting = self._spawn(self._submit(entry))
        try:
            async with self._door(entry):
                if self._is_watched_here(entry):
                    entry.place = await self._holding.held_before(entry)
                if await self._comes_at_once(entry) and entry.is_next and self._is_watched_here(entry):
                    await self._end(entry)
                    return
                if await self._is_over(entry):
                    return
                if self._is_watched_here(entry):
                    await self._holding.hold(entry)
            while not await entry.answered_within(self.rhythm.progress):
                if await self._is_over(entry):
                    return
                if self._is_watched_here(entry) and await self._holding.show_progress(entry):
                    await self._repair(entry)
            await self._turn(entry)
            await self._end(entry)
        except BotError as error:
            logger.error("request not answered yet: %s", error, extra={"request": entry.request.code})  # noqa: TRY400 - says it all
            if entry.answered.done():
                self._made[entry.request.key] = entry.answered.result()
        except Exception:
            logger.exception("request not answered yet", extra={"request": entry.request.code})
        finally:
            submitting.cancel()
            entry.stands.set()
            entry.ended.set()
            del self._entries[entry.request.key]

    def _is_watched_here(self, entry: Entry) -> bool:
        """Do we show how far it is? What another process was told, that one shows, and only its answer is ours."""
        return entry.is_ours or self.is_alone

    async def _repair(self, entry: Entry) -> None:
        """Where another process has closed the request meanwhile, its answer may stand under our word on progress."""
        end = self.courier.clock.monotonic() + IN_ORDER_SECONDS
        while await self._is_over(entry) and self.courier.clock.monotonic() < end:
            parts = await self.store.delivery(delivery.answer_key(entry.request))
            if delivery.finished(parts) and await self._holding.repaired(entry, parts[0]):
                return
            await self.courier.clock.sleep(LOOK_SECONDS)

    async def _is_over(self, entry: Entry) -> bool:
        """Was it answered by another process, or before we began? Then no job of ours will ever answer it, and what
        held its place is its answer now, which no progress may be written over.
        """
        try:
            return not entry.answered.done() and not await self._is_open(entry.request.key)
        except StoreError:  # nobody knows; what is being worked on is not given up for that
            return False

    async def _submit(self, entry: Entry) -> None:
        """Starts the job or joins the one that runs. Of those here who wait for the same, one submits for all."""
        job = entry.request.job
        while not entry.answered.done():
            if job in self._submitted:
                await asyncio.wait({entry.answered}, timeout=JOIN_AGAIN_SECONDS)
                continue
            self._submitted.add(job)
            try:
                await self._submit_in_turn(entry)
            finally:
                self._submitted.discard(job)
                self._ahead.pop(job, None)

    async def _submit_in_turn(self, entry: Entry) -> None:
        """What takes a model or a source waits for a free place, fair between chats."""
        if not await self._costs(entry.request):
            await self._keep_submitted(entry, "")
            return
        job, chat = entry.request.job, str(entry.request.address.chat)
        async with self.slots.taken(chat, lambda ahead: self._ahead.update({job: ahead})):
            self._ahead.pop(job, None)
            await self._keep_submitted(entry, self.provider)

    async def _costs(self, request: Request) -> bool:
        """What cannot be known now is taken to be dear."""
        costs = self.costs.get(request.command)
        try:
            return costs is not None and await costs(request)
        except BotError:
            return True

    async def _keep_submitted(self, entry: Entry, provider: str) -> None:
        """Submits until there is an answer: again where a job ended as we joined it, or was lost with its queue."""
        job = entry.request.job
        while not entry.answered.done():
            try:
                await self.engine.submit(JOB, job, {"job": job, "provider": provider})
            except StoreError as error:
                logger.warning("not submitted yet: %s", error, extra={"request": entry.request.code})
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
        if not self._is_watched_here(entry):
            entry.place = await self._holding.taken_over(entry)
        if entry.place or is_cancelled:
            return
        if not self._is_watched_here(entry):
            await self._others_first(entry.request)
        if entry.before is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(IN_ORDER_SECONDS):
                await entry.before.wait()

    async def _others_first(self, request: Request) -> None:
        """Waits while the same chat waits for an earlier answer to the same command, in whatever process."""
        end = self.courier.clock.monotonic() + IN_ORDER_SECONDS
        while self.courier.clock.monotonic() < end:
            before = [
                one
                for one in await self.store.open_requests()
                if (one.address, one.command) == (request.address, request.command) and one.asked_at < request.asked_at
            ]
            if not before:
                return
            await self.courier.clock.sleep(LOOK_SECONDS)

    # --- the answer

    async def _end(self, entry: Entry) -> None:
        """Plans the answer and closes the request in one step, then sends."""
        request, answered = entry.request, entry.answered.result()
        counted = request.counted and not answered.free
        closing = Closing(answered.state, self.courier.clock.now(), answered.said, counted)
        key = delivery.answer_key(request)
        # Whoever asks here can be answered here, whatever was before.
        await delivery.reopen(request.address, self.store, self.courier.since)
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

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
