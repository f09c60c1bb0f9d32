"""What the commands work with: the use cases, the settings that matter to them, and who may ask from where."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from zoneinfo import ZoneInfo

from bot import schedule, texts
from bot.answering import Answered
from bot.daily import Daily
from bot.interfaces import Clock, Progress, Store
from bot.limits import Limits, Slots
from bot.lists import previous_weekday
from bot.models import Address, ArxivId, ChannelPlan, PlatformName, Profile, Report
from bot.ondemand import OnDemand
from bot.requests import Request
from bot.schedule import ListDay
from bot.texts import Texts
from handlers.asked import Asked

UMBRELLA = "paperboy"  # the slash command in Slack behind which every command can be typed
UNDER_UMBRELLA = re.compile(r"(?<![\w./])/(search|status|help|report|retry|cancel)\b")
REPORT_LOOK_BACK = 7  # weekdays
LINE = "say"  # the command, which nobody types, of a request that only brings a line


@cache
def words_of(language: str, platform: PlatformName) -> Texts:
    """The words of `language` with commands as they are typed there: in Slack, most stand behind `/paperboy`."""
    plain = texts.load(language)
    return plain.spelled(_behind_the_umbrella) if platform is PlatformName.SLACK else plain


def _behind_the_umbrella(wording: str) -> str:
    return UNDER_UMBRELLA.sub(rf"/{UMBRELLA} \1", wording)


def clock_time(moment: datetime, timezone: str) -> str:
    """A moment as the clocks of a zone show it, with the zone's name."""
    return f"{moment.astimezone(ZoneInfo(timezone)):%H:%M} ({timezone})"


@dataclass(frozen=True, slots=True)
class Chat:
    """How a chat is served: for which profile, in which language and zone, and with which reports."""

    profile: Profile
    language: str
    timezone: str
    platform: PlatformName
    plans: tuple[ChannelPlan, ...] = ()

    @property
    def texts(self) -> Texts:
        return words_of(self.language, self.platform)


@dataclass(frozen=True, slots=True)
class Chats:
    """Which chats are served: those of the plans, those allowed besides, and the administrators' own.

    `allowed` are "telegram:-100123" and "slack:C0123", `admins` "telegram:42" and "slack:U0123". What is in no plan
    gets the first profile, and in private the language of the user's client where there are words in it.
    """

    plans: tuple[ChannelPlan, ...]
    profile: Profile
    language: str
    timezone: str
    allowed: frozenset[str]
    admins: frozenset[str]

    def is_admin(self, user: str) -> bool:
        return user in self.admins

    async def of(self, asked: Asked, store: Store) -> Chat | None:
        """None for a chat that is not served. The store is asked only about chats that no setting names."""
        chat = asked.address.chat
        if plans := self._named(chat, asked.chat_name):
            return self._with(plans, asked)
        if str(chat) in self.allowed or (asked.private and self.is_admin(asked.user)):
            return Chat(self.profile, self._language(asked), self.timezone, asked.address.platform)
        if plans := await self._moved(chat, store):
            return self._with(plans, asked)
        if await self.is_allowed(chat, store):
            return Chat(self.profile, self._language(asked), self.timezone, asked.address.platform)
        return None

    async def is_allowed(self, chat: Address, store: Store) -> bool:
        """Is it allowed besides the plans, under its ID or the one that it had before?"""
        return str(chat) in self.allowed or any(
            [await _moved_to(_address(old), chat, store) for old in sorted(self.allowed)]
        )

    async def plans_in(self, chat: Address, name: str, store: Store) -> tuple[ChannelPlan, ...]:
        """The plans of a whole chat, whether the settings have its ID, its public `name` or the ID it had before."""
        return tuple(self._named(chat, name) or await self._moved(chat, store))

    def _named(self, chat: Address, name: str) -> list[ChannelPlan]:
        ours = [plan for plan in self.plans if plan.address.platform is chat.platform]
        return [plan for plan in ours if plan.address.target in (chat.target, name)]

    async def _moved(self, chat: Address, store: Store) -> list[ChannelPlan]:
        return [plan for plan in self.plans if await _moved_to(plan.address.chat, chat, store)]

    def _with(self, plans: Sequence[ChannelPlan], asked: Asked) -> Chat:
        """That of the topic where there is one, else of the chat."""
        here = [plan for plan in plans if plan.address.topic == asked.address.topic] or plans
        return Chat(here[0].profile, here[0].language, here[0].timezone, asked.address.platform, tuple(here))

    def _language(self, asked: Asked) -> str:
        """Clients name theirs as "zh-hans" or "en-GB"."""
        own = asked.language.lower().partition("-")[0]
        return own if asked.private and own in texts.languages() else self.language

    def language_of(self, asked: Asked) -> str:
        """For a chat that is not served, too."""
        return self._language(asked)


async def _moved_to(old: Address, chat: Address, store: Store) -> bool:
    """Telegram gives a group that becomes a supergroup a new ID; the settings still have the old one."""
    return old.platform is chat.platform and await store.moved(old) == chat.target


def _address(name: str) -> Address:
    """Reads `str(Address)` of a whole chat."""
    platform, _, target = name.partition(":")
    return Address(PlatformName(platform), target)


@dataclass(frozen=True, slots=True)
class Model:
    """What `/status` says of the model: its name ("" for none) and what it may cost a UTC day, in USD."""

    name: str = ""
    budget: float | None = None


@dataclass(frozen=True, slots=True)
class Means:
    """What a command works with. `cancel` ends the open request of a code, `send` has a delivery
    sent that lacks something; `default_day` is that of the newest list.
    """

    ondemand: OnDemand
    daily: Daily
    chats: Chats
    profiles: Mapping[str, Profile]
    slots: Slots
    limits: Limits
    model: Model
    cancel: Callable[[str], Awaitable[Request | None]]
    send: Callable[[str], Awaitable[None]]
    list_day: ListDay = "previous"

    @property
    def store(self) -> Store:
        return self.daily.reporter.store

    @property
    def clock(self) -> Clock:
        return self.daily.reporter.clock

    def profile(self, request: Request) -> Profile:
        """That of the request; the first one where the settings no longer name it."""
        return self.profiles.get(request.profile, self.chats.profile)

    async def newest_day(self, profile: Profile) -> date:
        """The newest ranked day, else that of the newest list. Raises SourceError."""
        if day := await self.store.newest_ranking_day(profile.name):
            return day
        day = schedule.default_day(self.clock.now(), self.list_day)
        return (await self.daily.reporter.lists.newest(day)).day

    async def newest_report(self, profile: str, language: str) -> Report | None:
        """The last one that was published, of the days around the newest ranking."""
        day = await self.store.newest_ranking_day(profile)
        if day is None:
            return None
        for _ in range(REPORT_LOOK_BACK):
            if made := await self.store.report(day, profile, language):
                return made
            day = previous_weekday(day)
        return None

    async def plans_of(self, request: Request) -> tuple[ChannelPlan, ...]:
        """The reports that come to the chat of a request."""
        return await self.chats.plans_in(request.address.chat, request.chat_name, self.store)

    async def timezone_of(self, request: Request) -> str:
        """That of its chat's reports, else that of the schedule."""
        plans = await self.plans_of(request)
        return plans[0].timezone if plans else self.chats.timezone

    @asynccontextmanager
    async def slot(self, request: Request, progress: Progress) -> AsyncIterator[None]:
        """What takes a model or a source is done inside: only so much of it at once, in all and for a chat."""
        async with self.slots.taken(str(request.address.chat), lambda ahead: progress("queue", ahead, 0)):
            yield


Work = Callable[[Means, Request, Progress], Awaitable[Answered]]


@dataclass(frozen=True, slots=True)
class Draft:
    """A request to be: the paper it is about, the job that it shares with others ("" for none), its talk.

    `costs` False: it surely takes neither a model nor a source. `language` "" is the chat's.
    """

    text: str
    paper: str = ""
    job: str = ""
    language: str = ""
    conversation: str = ""
    costs: bool = True


Drafting = Callable[[Means, Asked, Chat, str], Awaitable[tuple[Draft, ...]]]
"""Reads what is typed behind a command (the last argument) before anything is stored. Raises InputError."""


@dataclass(frozen=True, slots=True)
class Place:
    """The paper that a message or a thread is about, and the talk that goes on there."""

    papers: tuple[ArxivId, ...] = ()
    conversation: str = ""
