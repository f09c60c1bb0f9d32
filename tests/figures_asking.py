"""The figures of chats: how fast a whole `paperboy run` acknowledges and answers, and whether all are answered."""

import asyncio
import json
import random
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from urllib.parse import parse_qsl

from tests.arxiv_standin import Entry
from tests.chatting import BY_ITSELF, Bot, Ways, a_bot, a_town
from tests.fakes import wait_until
from tests.slack_sending import Sent
from tests.telegram_standin import ASKER, GROUP, Chat, TelegramStandIn, too_many
from tests.world import World

Say = Callable[[str, object, str], None]

AT_ONCE = 50
MODEL_SECONDS = 1.0
LONG_SECONDS = 5.0  # of a model that keeps sixteen deep dives running
PATIENCE = 60.0
REQUESTS, PAPERS, USERS, GROUPS = 1_000, 200, 100, 5
IN_GROUPS = 100  # of the requests: a group takes twenty messages a minute
SENDS_A_REFUSAL = 20  # one in so many is answered with 429
LONGEST = 300.0  # seconds for all of them
SEED = 20260225
FIRST_USER = 7_000
READY = "2602.00001"  # the first paper of the list


def private(count: int) -> list[Chat]:
    return [Chat(FIRST_USER + number, "private", title=f"User {number}") for number in range(count)]


def groups(count: int) -> list[Chat]:
    return [Chat(GROUP - 1 - number, title=f"Group {number}") for number in range(count)]


def unlisted(count: int) -> list[str]:
    """Papers that no list has, and arXiv knows."""
    return [f"2603.{number:05d}" for number in range(1, count + 1)]


@asynccontextmanager
async def a_warm_bot(
    ways: Ways = BY_ITSELF, chats: Sequence[Chat] = (), **town: Any
) -> AsyncIterator[tuple[World, Bot]]:
    """One that has answered before on both platforms."""
    with tempfile.TemporaryDirectory() as folder:
        async with a_town(Path(folder), ways, chats, **town) as world:
            world.arxiv.known += [Entry(paper) for paper in unlisted(PAPERS)]
            async with a_bot(world) as bot:
                world.telegram.types("/top", chat=ASKER)
                await answered(world.telegram, ASKER, 1)
                await world.slack.types(f"/deepdive {READY}")
                await wait_until(lambda: "Limitations" in world.slack.show(), PATIENCE)
                world.telegram.types(f"/deepdive {READY}", chat=ASKER)
                await answered(world.telegram, ASKER, 2)
                yield world, bot
                await bot.ends()
                if bot.errors:
                    print("\n".join(bot.errors[:5]))


async def answered(telegram: TelegramStandIn, chat: int, count: int) -> None:
    await wait_until(lambda: len(answers(telegram, chat)) >= count, PATIENCE)


def answers(telegram: TelegramStandIn, chat: int) -> dict[int, list[int]]:
    """The IDs of finished messages by the question that they answer, in the order in which they stand."""
    found = defaultdict(list)
    for message in telegram.messages(chat):
        if message.answers is not None and not message.text.startswith("⏳"):
            found[message.answers].append(message.id)
    return found


def moments(telegram: TelegramStandIn, method: str, name: str) -> dict[tuple[int, int], float]:
    """When `method` was first called for each chat and message (`name` tells of which parameter)."""
    found: dict[tuple[int, int], float] = {}
    for asked in telegram.asked:
        if asked.path.endswith(f"/{method}"):
            given = dict(parse_qsl(asked.body))
            number = json.loads(given[name])["message_id"] if given.get(name, "").startswith("{") else given.get(name)
            found.setdefault((int(given["chat_id"]), int(number or 0)), asked.at)
    return found


def p95(seconds: Sequence[float]) -> str:
    return f"p95 {1000 * quantiles(seconds, n=20)[-1]:.0f} ms (median {1000 * median(seconds):.0f})"


def now() -> float:
    return asyncio.get_running_loop().time()


# --- acknowledgements


async def of_acknowledging(say: Say) -> None:
    for ways in (BY_ITSELF, Ways("webhook", "http")):
        async with a_warm_bot(ways, private(AT_ONCE), delay=MODEL_SECONDS) as (world, _):
            papers = unlisted(2 * AT_ONCE)
            seconds = await telegram_acknowledges(world, papers[:AT_ONCE], [chat.id for chat in private(AT_ONCE)])
            say(f"Telegram by {ways.telegram}, {AT_ONCE} at once in as many chats", p95(seconds), "<= 300 ms")
        async with a_warm_bot(ways, delay=MODEL_SECONDS) as (world, _):
            seconds = await telegram_acknowledges(world, papers[:AT_ONCE], [GROUP] * AT_ONCE)
            say(f"Telegram by {ways.telegram}, {AT_ONCE} at once in one group", p95(seconds), "<= 300 ms")
            seconds = await slack_acknowledges(world, papers[AT_ONCE:])
            say(f"Slack by {ways.slack}, {AT_ONCE} commands and mentions at once", p95(seconds), "<= 300 ms")


async def telegram_acknowledges(world: World, papers: Sequence[str], chats: Sequence[int]) -> list[float]:
    telegram = world.telegram
    asked: dict[tuple[int, int], float] = {}
    for number, (paper, chat) in enumerate(zip(papers, chats, strict=True)):
        at = now()
        asked[chat, telegram.types(f"/deepdive {paper}", chat=chat, user=FIRST_USER + number)] = at
    await wait_until(lambda: all(key in telegram.reactions for key in asked), PATIENCE)
    seen = moments(telegram, "setMessageReaction", "message_id")
    return [seen[key] - at for key, at in asked.items()]


async def slack_acknowledges(world: World, papers: Sequence[str]) -> list[float]:
    asking = [
        (world.slack.types if number % 2 else world.slack.mentions)(f"/deepdive {paper}", user=f"U0{number}")
        for number, paper in enumerate(papers)
    ]
    sent: list[Sent] = await asyncio.gather(*asking)
    assert all(one.acknowledged and one.tries == 1 for one in sent)
    return [one.seconds for one in sent]


# --- answers


async def of_answering(say: Say) -> None:
    async with a_warm_bot(chats=private(AT_ONCE), delay=MODEL_SECONDS) as (world, _):
        await of_one_paper(say, world)
    async with a_warm_bot(chats=private(AT_ONCE), delay=MODEL_SECONDS) as (world, _):
        chats = [chat.id for chat in private(AT_ONCE)]
        seconds = [await telegram_answers(world, f"/deepdive {READY}", chat) for chat in chats[:20]]
        say("a cached deep dive, 20 times one after the other", worst(seconds), "<= 150 ms")
        listed = [f"2602.{number:05d}" for number in range(2, 8)]
        seconds = [await telegram_answers(world, f"/deepdive {p}", c) for p, c in zip(listed, chats, strict=False)]
        say(f"a listed paper's deep dive, the model taking {MODEL_SECONDS} s", worst(seconds), "<= 1600 ms")


async def of_one_paper(say: Say, world: World) -> None:
    [paper], telegram = unlisted(1), world.telegram
    before = world.model.by_name["deep_dive"]
    for chat in private(AT_ONCE):
        telegram.types(f"/deepdive {paper}", chat=chat.id, user=chat.id)
    for chat in private(AT_ONCE):
        await answered(telegram, chat.id, 1)
    calls = world.model.by_name["deep_dive"] - before
    found = sum(len(ids) for chat in private(AT_ONCE) for ids in answers(telegram, chat.id).values())
    say(f"{AT_ONCE} askers of one paper", f"{calls} model call, {found} answers", f"1, {AT_ONCE}")


async def telegram_answers(world: World, text: str, chat: int) -> float:
    at, number = now(), world.telegram.types(text, chat=chat, user=chat if chat > 0 else FIRST_USER)
    await wait_until(lambda: number in answers(world.telegram, chat), PATIENCE)
    return moments(world.telegram, "sendMessage", "reply_parameters")[chat, number] - at


def worst(seconds: Sequence[float]) -> str:
    return f"worst {1000 * max(seconds):.0f} ms (median {1000 * median(seconds):.0f})"


async def of_ranking_meanwhile(say: Say) -> None:
    await of_ranking_while(say, 16, private(4), private(8)[-1].id, "16 deep dives run in four other chats")
    await of_ranking_while(say, 4, [Chat()], GROUP, "4 deep dives run and 12 wait in the same group")


async def of_ranking_while(say: Say, running: int, places: Sequence[Chat], chat: int, meanwhile: str) -> None:
    async with a_warm_bot(chats=private(8), delay=LONG_SECONDS) as (world, _):
        for number, paper in enumerate(unlisted(16)):
            place = places[number % len(places)].id
            world.telegram.types(f"/deepdive {paper}", chat=place, user=FIRST_USER + number)
        await wait_until(lambda: world.model.running >= running, PATIENCE)
        seconds = [await telegram_answers(world, "/top", chat) for _ in range(3)]
        assert world.model.running >= running
        say(f"/top while {meanwhile}", worst(seconds), "<= 500 ms")


# --- a thousand requests


async def of_a_thousand(say: Say) -> None:
    async with a_warm_bot(chats=[*private(USERS), *groups(GROUPS)], delay=MODEL_SECONDS) as (world, _):
        telegram, refused = world.telegram, list[int]()
        refusing = asyncio.create_task(refuses_now_and_then(telegram, refused))
        started, wanted = now(), defaultdict[int, list[int]](list)
        for user, chat, paper in thousand(random.Random(SEED)):
            wanted[chat].append(telegram.types(f"/deepdive {paper}", chat=chat, user=user))
            await asyncio.sleep(0)
        took = await seconds_until_answered(telegram, wanted, started)
        refusing.cancel()
        found = {chat: answers(telegram, chat) for chat in wanted}
        doubled = sum(len(ids) > 1 for chat in found.values() for ids in chat.values())
        kept = sum(in_order(found[chat], asked) for chat, asked in wanted.items())
        figure = f"{REQUESTS} requests for {PAPERS} papers by {USERS} users, {len(refused)} times 429"
        say(figure, f"{sum(map(len, found.values()))} answers, {doubled} doubled", f"{REQUESTS}, 0")
        say("  chats in which answers stand in the order of the questions", f"{kept} of {len(wanted)}", "all")
        say("  the last answer in a private chat, and in a group", took, "")


async def seconds_until_answered(telegram: TelegramStandIn, wanted: dict[int, list[int]], started: float) -> str:
    """How long those in private chats took, and those in groups, which take twenty messages a minute."""
    took: dict[bool, float] = {}
    while len(took) < 2 and now() - started < LONGEST:
        await asyncio.sleep(0.25)
        for is_group in {False, True} - took.keys():
            here = {chat: asked for chat, asked in wanted.items() if (chat < 0) == is_group}
            if all(len(answers(telegram, chat)) == len(asked) for chat, asked in here.items()):
                took[is_group] = now() - started
    return " and ".join(f"{took[is_group]:.0f} s" if is_group in took else "never" for is_group in (False, True))


async def refuses_now_and_then(telegram: TelegramStandIn, refused: list[int]) -> None:
    """One 429 for every few sends; `refused` are their counts so far."""
    while True:
        await asyncio.sleep(0.05)
        sends = telegram.sends
        if sends - (refused[-1] if refused else 0) >= SENDS_A_REFUSAL:
            telegram.fail("sendMessage", too_many(1))
            refused.append(sends)


def thousand(chance: random.Random) -> Iterator[tuple[int, int, str]]:
    """Who asks, where, for which paper: everybody ten times, most of them in private."""
    users = [chat.id for chat in private(USERS)]
    places = [*users * ((REQUESTS - IN_GROUPS) // USERS), *[chat.id for chat in groups(GROUPS)] * (IN_GROUPS // GROUPS)]
    papers = unlisted(PAPERS) * (REQUESTS // PAPERS)
    chance.shuffle(places)
    chance.shuffle(papers)
    for chat, paper in zip(places, papers, strict=True):
        yield (chat if chat > 0 else chance.choice(users)), chat, paper


def in_order(found: dict[int, list[int]], asked: Sequence[int]) -> bool:
    ids = [found[number][0] for number in asked if number in found]
    return ids == sorted(ids)


async def of_asking(say: Say) -> None:
    await of_acknowledging(say)
    await of_answering(say)
    await of_ranking_meanwhile(say)
    await of_a_thousand(say)
