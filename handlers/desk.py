"""Where everything that people ask arrives: understood, checked, stored, and only then worked on."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from weakref import WeakValueDictionary

from bot import texts
from bot.answering import Answering
from bot.errors import BotError, InputError, Outcome, SendError, StoreError
from bot.interfaces import Channel, Errand, Thread
from bot.limits import refusal
from bot.models import Address, PlatformName
from bot.report import compose
from bot.report.document import Document
from bot.requests import Request, Vote
from handlers import parsing
from handlers.asked import Asked, Taken
from handlers.commands import COMMANDS, SAY, Command
from handlers.home import home
from handlers.means import Chat, Draft, clock_time
from handlers.memberships import Memberships
from handlers.papers import conversation_of, turned
from handlers.standing import settled_by_tap

logger = logging.getLogger(__name__)

REFUSED_SECONDS = 20.0  # before a user is told again in a chat that it is too soon
TAKE_SECONDS = 0.7  # Slack wants its acknowledgement within three seconds and shows a fault after them
SHOW_SECONDS = 90.0  # a busy chat has room again within a minute; who tapped longer ago has gone on
SHOW_AGAIN_SECONDS = 1.0  # where the platform names no time
SETTINGS = {PlatformName.TELEGRAM: "telegram.allowed_chats", PlatformName.SLACK: "slack.allowed_channels"}
_Mark = asyncio.Future[None]  # of what was asked last
_BY_NAME = {command.name: command for command in COMMANDS}


class RefusedError(BotError):
    """Not you: the wording says who."""


class LimitedError(RefusedError):
    """Not now: the wording says when."""


@dataclass(slots=True)
class FrontDesk(Memberships):
    """Implements handlers.asked.Desk."""

    answering: Answering
    channels: Callable[[Address], Channel]
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _last: WeakValueDictionary[Address, _Mark] = field(default_factory=WeakValueDictionary)
    _views: WeakValueDictionary[tuple[Address, str], _Mark] = field(default_factory=WeakValueDictionary)
    _counting: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    _refused_at: dict[tuple[str, Address], float] = field(default_factory=dict)

    # --- what is asked

    async def take(self, asked: Asked) -> Taken:
        """All at the same time; but in a chat, one that came later returns later, so that it begins later too."""
        chat, done = asked.address.chat, asyncio.get_running_loop().create_future()
        before, self._last[chat] = self._last.get(chat), done
        try:
            taken = await self._understood(asked)
            if before is not None and not before.done():
                await asyncio.wait({before})
        finally:
            done.set_result(None)
        return taken

    async def _understood(self, asked: Asked) -> Taken:
        asked = replace(asked, text=_whole(asked.text), quoted=_whole(asked.quoted))
        language = self.means.chats.language_of(asked)
        try:
            async with asyncio.timeout(TAKE_SECONDS):
                return await self._take(asked)
        except (TimeoutError, StoreError) as error:
            logger.warning("not taken: %s", str(error) or "no answer from the store", extra={"update": asked.key})
            return Taken(asked, line=texts.load(language)("error.busy"))
        except Exception:
            logger.exception("not taken", extra={"update": asked.key})
            return Taken(asked, line=texts.load(language)("error.internal"))

    async def _take(self, asked: Asked) -> Taken:
        chat = await self.means.chats.of(asked, self.means.store)
        if chat is None:
            return await self._stranger(asked)
        try:
            if asked.tap and (taken := await self._tapped(asked, chat)):
                return taken
            return await self._commanded(asked, chat)
        except parsing.ForeignError as error:
            return Taken(asked) if asked.loose else await self._refused(asked, chat, chat.texts.error(error))
        except LimitedError as error:
            if not asked.aside and not self._is_first_refusal(asked):
                return Taken(asked)  # who goes on asking fills the chat for everybody else
            return await self._refused(asked, chat, chat.texts.error(error))
        except (InputError, RefusedError) as error:
            return await self._refused(asked, chat, chat.texts.error(error))

    def _is_first_refusal(self, asked: Asked) -> bool:
        """Has this user not been told in this chat for a while?"""
        now = self.means.clock.monotonic()
        self._refused_at = {who: at for who, at in self._refused_at.items() if now - at < REFUSED_SECONDS}
        who = (asked.user, asked.address.chat)
        if who in self._refused_at:
            return False
        self._refused_at[who] = now
        return True

    async def _commanded(self, asked: Asked, chat: Chat) -> Taken:
        anew = parsing.again(asked.text) if asked.tap else None
        if asked.tap and not anew and not parsing.is_dive(asked.text):
            # Taps can be forged, also by who may not write in a chat: a channel's readers, somebody who was muted.
            raise InputError("no button of ours", key="error.input")
        typed = parsing.Typed("deepdive", "") if anew else parsing.read(asked.text, _BY_NAME)
        command = _BY_NAME[typed.command]
        if (command.admin or anew) and not self.means.chats.is_admin(asked.user):
            raise RefusedError("not an administrator", key="error.admins_only")
        drafts = await command.draft(self.means, asked, chat, typed.rest)
        requests = [await self._request(asked, chat, command, draft, number) for number, draft in enumerate(drafts)]
        line = chat.texts("done.noted") if asked.aside else ""
        if await self._is_under_way(asked, requests):
            return Taken(asked, line=chat.texts("done.already"))
        if self.means.chats.is_admin(asked.user) or not any(request.counted for request in requests):
            return await self._admitted(asked, requests, line)  # who joins what is being done waits for nothing new
        # What is counted is stored before the same user's next request is counted: nobody gets more by asking at once.
        async with self._counting.setdefault(asked.user, asyncio.Lock()):
            return await self._admitted(asked, await self._within_limits(asked, chat, command, requests), line)

    async def _is_under_way(self, asked: Asked, requests: Sequence[Request]) -> bool:
        """Was the same button tapped before, and is its answer still being prepared?"""
        if not asked.tap:
            return False
        waiting = [other for request in requests for other in await self.means.store.waiting_for(request.job)]
        return any(other.address == asked.address for other in waiting)

    async def _request(self, asked: Asked, chat: Chat, command: Command, draft: Draft, number: int) -> Request:
        key = asked.key if number == 0 else f"{asked.key}.{number + 1}"
        is_joined = bool(draft.job) and bool(await self.means.store.waiting_for(draft.job))
        return Request(
            key=key,
            command=command.name,
            text=draft.text,
            user=asked.user,
            address=asked.address,
            profile=chat.profile.name,
            language=draft.language or chat.language,
            job=draft.job or f"{command.name}:{key}",
            asked_at=self.means.clock.now(),
            chat_name=asked.chat_name,
            paper=draft.paper,
            reply_to=asked.message,
            conversation=draft.conversation or conversation_of(asked),
            counted=command.costs and draft.costs and not is_joined,
        )

    async def _within_limits(
        self, asked: Asked, chat: Chat, command: Command, requests: list[Request]
    ) -> list[Request]:
        """Raises LimitedError. Whoever asks for what is there already takes nothing."""
        now, limits = self.means.clock.now(), self.means.limits
        counted = await self.means.store.counted_since(asked.user, now - timedelta(days=1))
        refused = refusal(limits, counted, sum(request.counted for request in requests), now)
        if refused is None:
            return requests
        # Only now: looking for kept answers takes longer than an acknowledgement may.
        if command.is_kept and all([await command.is_kept(self.means, request) for request in requests]):
            return [replace(request, counted=False) for request in requests]
        seconds = max(1, round((refused.again - now).total_seconds()))
        at, count = clock_time(refused.again, chat.timezone), limits.per_user_per_day
        raise LimitedError("limited", key=refused.key, seconds=seconds, at=at, count=count)

    async def _admitted(self, asked: Asked, requests: Sequence[Request], line: str = "") -> Taken:
        """Stored, all or none; what is known already was asked by the same update."""
        if not await self.means.store.admit(requests):
            return Taken(asked)
        for request in requests:
            logger.info("request taken", extra={"request": request.code, "command": request.command})
        return Taken(asked, tuple(requests), line)

    async def _refused(self, asked: Asked, chat: Chat, line: str) -> Taken:
        """A line for the user alone, else one in the chat."""
        if asked.aside:
            return Taken(asked, line=line)
        return await self._admitted(asked, [self._line(asked, chat.profile.name, chat.language, line)])

    def _line(self, asked: Asked, profile: str, language: str, line: str) -> Request:
        return Request(
            key=asked.key,
            command=SAY.name,
            text=line,
            user=asked.user,
            address=asked.address,
            profile=profile,
            language=language,
            job=f"{SAY.name}:{asked.key}",
            asked_at=self.means.clock.now(),
            reply_to=asked.message,
        )

    async def _stranger(self, asked: Asked) -> Taken:
        """One polite line for whoever may allow the chat, and then silence."""
        chat, language = asked.address.chat, self.means.chats.language_of(asked)
        if not await self.means.store.swap_note(f"stranger:{chat}", None, asked.key):
            return Taken(asked)
        setting = SETTINGS.get(chat.platform, "")
        line = texts.load(language)("error.stranger", chat=chat.target, setting=setting)
        if asked.aside:
            return Taken(asked, line=line)
        return await self._admitted(asked, [self._line(asked, self.means.chats.profile.name, language, line)])

    # --- what is tapped

    async def _tapped(self, asked: Asked, chat: Chat) -> Taken | None:
        """What a button does beside commands; None for a command."""
        if turn := parsing.page_turn(asked.text):
            if not await self._is_ranking(asked):
                return await self._commanded(replace(asked, text=parsing.as_command(turn), tap=False), chat)
            view = await turned(self.means, chat, turn)
            if view is None:
                raise InputError("a page that is gone", key="error.page_gone")
            return Taken(asked, view=view, edits=asked.about)
        if vote := parsing.vote(asked.text):
            value, paper = vote
            now = self.means.clock.now()
            await self.means.store.keep_vote(Vote(asked.user, paper.id, chat.profile.name, value, now))
            return Taken(asked, line=chat.texts("done.voted"))
        return await settled_by_tap(self.means, asked, chat)

    async def _is_ranking(self, asked: Asked) -> bool:
        """Was a page of a ranking tapped? A digest offers one, too, and must not become it; and taps can be forged."""
        part = await self.means.store.part_posted_as(asked.address.chat, asked.about)
        return part is not None and part.message.document == compose.TOP

    # --- what begins

    def begin(self, taken: Taken) -> None:
        self.answering.begin(taken.requests)
        if taken.view is not None:
            self._spawn(self._show(taken, taken.view))
        elif taken.line and not taken.requests and not taken.asked.aside:
            self._spawn(self._say(taken.asked, taken.line))

    async def _show(self, taken: Taken, view: Document) -> None:
        """As soon as the chat has room for it; of several taps under one message, only the last one is."""
        where, clock = (taken.asked.address.chat, taken.edits), self.means.clock
        channel = self.channels(taken.asked.address)
        [message, *_] = channel.render([view])
        end = clock.monotonic() + SHOW_SECONDS
        this = self._views[where] = asyncio.get_running_loop().create_future()
        while self._views[where] is this:
            try:
                await channel.edit(taken.edits, message)
                break
            except SendError as error:
                wait = error.retry_after or SHOW_AGAIN_SECONDS
                if error.outcome is not Outcome.NOT_SENT or clock.monotonic() + wait > end:
                    raise
                await clock.sleep(wait)

    async def _say(self, asked: Asked, line: str) -> None:
        """What could not be stored is said at once, or never."""
        channel = self.channels(asked.address)
        errand = Errand(self.means.clock.monotonic(), urgent=True)
        for message in channel.render([compose.line(line, texts.load(self.means.chats.language_of(asked)))]):
            await channel.turn(errand)
            await channel.send(asked.key, message, Thread(None, {}))

    # --- what is shown

    async def home(self, user: str, language: str) -> Document:
        own = language.lower().partition("-")[0]
        words = texts.load(own if own in texts.languages() else self.means.chats.language)
        return await home(self.means, user, words)

    def menu(self, language: str, *, admin: bool) -> tuple[tuple[str, str], ...]:
        words = texts.load(language)
        return tuple((one.name, words(f"command.{one.name}.about")) for one in COMMANDS if admin or not one.admin)

    # --- odds

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _logged(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except BotError as error:
            logger.warning("not shown: %s", error)
        except Exception:
            logger.exception("not shown")


def _whole(text: str) -> str:
    """JSON can hold half a character, which no store and no platform takes."""
    return text.encode("utf-8", "replace").decode()
