"""What counts for a user, when to come back, and who is worked for first."""

import asyncio
from datetime import timedelta

import pytest

from bot.limits import Limits, Refusal, Slots, refusal, start_of_day
from tests.fakes import NOW

LIMITS = Limits(per_user_per_day=3, cooldown_seconds=10, jobs=3, jobs_per_chat=2)


def ago(seconds: float):
    return NOW - timedelta(seconds=seconds)


def test_nobody_waits_who_asked_nothing_yet():
    assert refusal(LIMITS, (), 1, NOW) is None


def test_a_user_rests_between_two_requests_and_hears_until_when():
    assert refusal(LIMITS, (ago(4),), 1, NOW) == Refusal("limit.cooldown", NOW + timedelta(seconds=6))
    assert refusal(LIMITS, (ago(10),), 1, NOW) is None


def test_a_day_holds_so_many_and_ends_at_midnight_utc():
    counted = (ago(300), ago(200), ago(100))
    midnight = start_of_day(NOW) + timedelta(days=1)
    assert refusal(LIMITS, counted, 1, NOW) == Refusal("limit.day", midnight)
    assert refusal(LIMITS, counted, 1, midnight) is None


def test_what_was_asked_yesterday_does_not_count():
    yesterday = start_of_day(NOW) - timedelta(seconds=1)
    assert refusal(LIMITS, (yesterday,) * 9, 3, NOW) is None


def test_several_papers_at_once_count_each():
    assert refusal(LIMITS, (ago(100),), 2, NOW) is None
    assert refusal(LIMITS, (ago(100),), 3, NOW) is not None


def test_without_a_daily_limit_only_the_cooldown_holds():
    free = Limits(per_user_per_day=0, cooldown_seconds=0)
    assert refusal(free, (ago(0),) * 1000, 3, NOW) is None


class Works:
    """Pieces of work that end when they are told, and who is at work."""

    def __init__(self, limits: Limits) -> None:
        self.slots = Slots(limits)
        self.at_work: list[str] = []
        self.heard: list[tuple[str, int]] = []
        self.ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self, name: str, chat: str) -> None:
        self.ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._work(name, chat))

    async def _work(self, name: str, chat: str) -> None:
        async with self.slots.taken(chat, lambda ahead: self.heard.append((name, ahead))):
            self.at_work.append(name)
            try:
                await self.ends[name].wait()
            finally:
                self.at_work.remove(name)

    async def end(self, *names: str) -> None:
        for name in names:
            self.ends[name].set()
            await self.tasks[name]
        await self.settle()

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


async def test_a_full_chat_waits_while_others_are_served():
    works = Works(LIMITS)
    for name, chat in (("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("c1", "c")):
        works.begin(name, chat)
    await works.settle()
    assert works.at_work == ["a1", "a2", "b1"]
    assert works.heard == [("a3", 0), ("c1", 1)]
    assert (works.slots.busy, works.slots.waiting) == (3, 2)
    await works.end("b1")
    assert works.at_work == ["a1", "a2", "c1"], "a's own room is full, so c goes first"
    await works.end("a1")
    assert works.at_work == ["a2", "c1", "a3"]
    await works.end("a2", "c1", "a3")
    assert (works.slots.busy, works.slots.waiting) == (0, 0)


async def test_who_waits_hears_how_the_line_gets_shorter():
    works = Works(Limits(jobs=1, jobs_per_chat=1))
    for name in ("first", "second", "third", "fourth"):
        works.begin(name, name)
    await works.settle()
    await works.end("first")
    assert [ahead for name, ahead in works.heard if name == "fourth"][-1] == 1
    works.tasks["third"].cancel()
    await works.settle()
    assert works.heard[-1] == ("fourth", 0)
    await works.end("second", "fourth")


async def test_who_gives_up_takes_no_place():
    works = Works(Limits(jobs=1, jobs_per_chat=1))
    for name in ("first", "second", "third"):
        works.begin(name, name)
    await works.settle()
    works.tasks["second"].cancel()
    with pytest.raises(asyncio.CancelledError):
        await works.tasks["second"]
    await works.end("first")
    assert works.at_work == ["third"]
    await works.end("third")


async def test_a_place_given_to_who_just_gave_up_is_passed_on():
    works = Works(Limits(jobs=1, jobs_per_chat=1))
    for name in ("first", "second", "third"):
        works.begin(name, name)
    await works.settle()
    works.ends["first"].set()
    while works.slots.waiting == 2:  # noqa: ASYNC110  # until the place is given, and not one step longer
        await asyncio.sleep(0)
    works.tasks["second"].cancel()
    await works.settle()
    assert works.at_work == ["third"]
    await works.end("third")
    assert works.slots.busy == 0
