"""The message that holds an answer's place: it says what is being done, and then becomes the answer.

Where the platform can show something for a while without posting it, that is shown instead.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bot import delivery, texts
from bot.answering.entries import Entry
from bot.delivery import Courier, Patience, Trouble
from bot.errors import BotError, Outcome, SendError, StoreError
from bot.interfaces import Engine, Store
from bot.models import Address, Message, Part, PartState
from bot.report import compose

logger = logging.getLogger(__name__)

GRACE_SECONDS = 0.25  # an answer that takes longer gets a message that says what is being done
PROGRESS_SECONDS = 3.0  # between two edits in a chat; both platforms ask for that much
PREVIEW_SECONDS = 20.0  # what a platform only shows for a while is gone after 30
PLACES_HELD = 3  # messages about progress in one chat at once: it takes some 20 messages a minute, answers included
QUICKLY = Patience(tries=1, all_waits=0.0, turn=3.0)  # a message about progress is not worth a second try


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How long things take in a chat, in seconds."""

    grace: float = GRACE_SECONDS
    progress: float = PROGRESS_SECONDS
    preview: float = PREVIEW_SECONDS


@dataclass(slots=True)
class Holding:
    """Holds places. `entries` are those under way, `ahead` says how many wait for a free place before a job."""

    store: Store
    courier: Courier
    engine: Engine
    rhythm: Rhythm
    entries: Mapping[str, Entry]
    ahead: Mapping[str, int]
    _edited_at: dict[Address, float] = field(default_factory=dict)

    async def held_before(self, entry: Entry) -> str:
        """The message that an earlier process posted for this request."""
        key = delivery.placeholder_key(entry.request)
        return await self._posted(key) if await self.store.delivery(key) else ""

    async def taken_over(self, entry: Entry) -> str:
        """The message with which another process holds the place; where it has none yet, it never will.

        A delivery that was planned stays as it was planned, whoever comes later. So either the other's message is in
        the ledger before ours, and is seen and waited for, or ours is, and dropped: then the other finds it so.
        """
        key, now = delivery.placeholder_key(entry.request), self.courier.clock.now()
        channel, message = self.courier.channels(entry.request.address), await self._progress_message(entry)
        await self.store.plan(None, delivery.plan_messages(key, channel, [message], entry.request, now))
        if (await self.store.delivery(key))[0].state is PartState.PLANNED:
            await delivery.drop(key, self.store, now)
        return await self._posted(key)

    async def repaired(self, entry: Entry, answer: Part) -> bool:
        """Shows the answer again where our word on progress may have come after it; False where the chat has no room.

        Another process closed the request while ours was on its way; what it sends becomes, or became, the same
        message.
        """
        if answer.message.replaces == entry.place and answer.state is PartState.SENT:
            try:
                await self.courier.channels(entry.request.address).edit(entry.place, answer.message)
            except SendError as error:
                return error.outcome is not Outcome.NOT_SENT
        return True

    async def hold(self, entry: Entry) -> None:
        """Says what is being done, where the chat has room for that."""
        if entry.place:
            entry.stands.set()
        elif not entry.answered.done() and not await self._previewed(entry):
            if not entry.is_next or not self._has_room(entry):
                return
            key = delivery.placeholder_key(entry.request)
            channel, now = self.courier.channels(entry.request.address), self.courier.clock.now()
            entry.shown, entry.shown_at = await self._progress_message(entry), self.courier.clock.monotonic()
            self._edited_at[entry.request.address.chat] = entry.shown_at
            await self.store.plan(None, delivery.plan_messages(key, channel, [entry.shown], entry.request, now))
            entry.place = await self._posted(key)
            if entry.place:
                entry.stands.set()

    async def _posted(self, key: str) -> str:
        """The ID of a placeholder, posted now where it was not; "" where it could not be: then it never will."""
        quick = replace(self.courier, tell=_tell_nobody, patience=QUICKLY)
        try:
            await delivery.deliver(key, quick)
        except BotError as error:
            logger.info("no place held: %s", error, extra={"delivery": key})
        parts: tuple[Part, ...] = await self.store.delivery(key)
        if parts and parts[0].state is PartState.SENT and parts[0].message_ids:
            return parts[0].message_ids[0]
        await delivery.drop(key, self.store, self.courier.clock.now())
        return ""

    def _has_room(self, entry: Entry) -> bool:
        """One message for all who wait for the same in a chat, and not too many in all."""
        chat = entry.request.address.chat
        held = [other for other in self.entries.values() if other.place and other.request.address.chat == chat]
        return len(held) < PLACES_HELD and all(other.request.job != entry.request.job for other in held)

    async def show_progress(self, entry: Entry) -> bool:
        """True where the message that holds the place was changed, or may have been."""
        message, now = await self._progress_message(entry), self.courier.clock.monotonic()
        if entry.previewed:
            if message != entry.shown or now - entry.shown_at >= self.rhythm.preview:
                await self._previewed(entry)
            return False
        chat = entry.request.address.chat
        if not entry.place or message == entry.shown or now - self._edited_at.get(chat, 0.0) < self.rhythm.progress:
            return False
        self._edited_at[chat] = now
        try:
            await self.courier.channels(entry.request.address).edit(entry.place, message)
            entry.shown = message
        except SendError as error:
            logger.info("progress not shown: %s", error, extra={"request": entry.request.code})
        return True

    async def _previewed(self, entry: Entry) -> bool:
        message = await self._progress_message(entry)
        try:
            entry.previewed = await self.courier.channels(entry.request.address).preview(message)
        except SendError as error:
            logger.info("progress not shown: %s", error, extra={"request": entry.request.code})
        entry.shown, entry.shown_at = message, self.courier.clock.monotonic()
        return entry.previewed

    async def _progress_message(self, entry: Entry) -> Message:
        step, done, total = await self._step(entry.request.job)
        document = compose.waiting(entry.request, step, done, total, texts.load(entry.request.language))
        [message, *_] = self.courier.channels(entry.request.address).render([document])
        return replace(message, answers=entry.request.reply_to)

    async def _step(self, job: str) -> tuple[str, int, int]:
        """How far the job is, in whatever process."""
        if (ahead := self.ahead.get(job)) is not None:
            return "queue", ahead, 0
        try:
            return await self.engine.progress(job) or ("begun", 0, 0)
        except StoreError:
            return "begun", 0, 0


async def _tell_nobody(trouble: Trouble) -> None:
    """A lost message about progress is nobody's trouble."""
