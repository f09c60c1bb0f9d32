"""Whole processes asked in chats: every way in on both platforms, ends and kills in between, and nothing said twice."""

import asyncio
import os
import random
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import web

from bot.texts import load
from tests.chatting import DIRECT, END_SECONDS, PRIVATE, STRANGE, Ways, a_bot, a_town
from tests.fakes import wait_until
from tests.slack_sending import Sent
from tests.slack_standin import ALICE, Apply, Place
from tests.telegram_standin import GROUP, Chat, Posted, slow
from tests.world import TODAY, World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

ZH, EN = load("zh"), load("en")
LAB, ROOM = Chat(GROUP - 1, title="Lab"), Chat(GROUP - 2, title="Room")
LOUNGE = "C0LOUNGE"
ADMIN, BOSS = 1, "U0BOSS"
PATIENCE = 20.0  # seconds
SLOW_MODEL = 3.4  # seconds: longer than the time between two edits
STUCK_MODEL = 60.0
WAYS = (Ways("polling", "socket"), Ways("webhook", "http"))


# --- Telegram


async def says(world: World, question: int, chat: int = LAB.id) -> Posted:
    """The finished answer to a message."""
    found: list[Posted] = []

    def stands() -> bool:
        found[:] = [m for m in world.telegram.messages(chat) if m.answers == question and not m.text.startswith("⏳")]
        return bool(found)

    await wait_until(stands, PATIENCE)
    return found[0]


def button(message: Posted, label: str) -> str:
    return next(str(each["callback_data"]) for row in message.keyboard for each in row if each["text"] == label)


async def on_telegram(world: World) -> None:
    telegram, lab = world.telegram, LAB.id
    asked = telegram.types("/deepdive 2602.00001", chat=lab)
    await wait_until(lambda: telegram.reactions.get((lab, asked)) == ["👀"])
    await wait_until(lambda: bool(telegram.messages(lab)), PATIENCE)
    [place] = telegram.messages(lab)
    assert place.text.startswith("⏳ deepdive 2602.00001")
    dive = await says(world, asked)
    assert (dive.id, "核心创新点" in dive.text) == (place.id, True), "the placeholder became the answer"

    under = telegram.types("@paperboy_bot Which photographs?", chat=lab, reply_to=dive.id)
    assert "photographs" in (await says(world, under)).text
    assert world.model.by_name["answer"] == 1

    top = await says(world, telegram.types("/top@paperboy_bot", chat=ROOM.id), ROOM.id)
    first_page = top.text
    query = telegram.taps(top.id, button(top, "▶"), chat=ROOM.id)
    await wait_until(lambda: top.text != first_page and query in telegram.toasts, PATIENCE)
    telegram.taps(top.id, button(top, "🔎 7"), chat=ROOM.id)
    await wait_until(lambda: "核心创新点" in telegram.messages(ROOM.id)[-1].text, PATIENCE)

    query = telegram.taps(dive.id, button(dive, "👍"), chat=lab)
    await wait_until(lambda: telegram.toasts.get(query) == ZH("done.voted"), PATIENCE)
    assert ZH("status.title") in (await says(world, telegram.types("/status", chat=lab))).text

    line = await says(world, telegram.types("/top", chat=STRANGE), STRANGE)
    assert str(STRANGE) in line.text
    telegram.types("/top", chat=STRANGE)

    telegram.types("/report", user=ADMIN)
    await wait_until(lambda: len(telegram.messages()) >= 3, PATIENCE)
    digest = next(m for m in telegram.messages() if "CV 论文日报" in m.text)
    label = next(each["text"] for row in digest.keyboard for each in row if "🔎" in each["text"])
    query = telegram.taps(digest.id, button(digest, label))
    await wait_until(lambda: telegram.toasts.get(query) == ZH("done.noted"), PATIENCE)
    assert len(telegram.messages(STRANGE)) == 1, "silence after the first line"


# --- Slack


async def in_thread(world: World, root: str, count: int, channel: str = "C0PAPERS") -> str:
    """The text of the newest of `count` finished replies."""
    place = world.slack.places[channel]

    def replies() -> list[str]:
        return [str(m) for m in place.replies(root) if m.get("bot_id") and "⏳" not in str(m)]

    await wait_until(lambda: len(replies()) >= count, PATIENCE)
    return replies()[-1]


async def posted(world: World, words: str, channel: str = "C0PAPERS") -> str:
    """The time stamp of the newest message of the bot that says so."""

    def found() -> list[str]:
        return [m["ts"] for m in world.slack.posted(channel) if m.get("bot_id") and words in str(m)]

    await wait_until(lambda: bool(found()), PATIENCE)
    return found()[-1]


async def on_slack(world: World) -> None:
    slack = world.slack
    sent = await slack.types("/deepdive 2602.00001")
    assert (sent.answer, sent.tries) == ({"response_type": "in_channel"}, 1)
    dive = await posted(world, "Key Contribution")

    await slack.mentions("deepdive 2602.00002", LOUNGE)
    mention = slack.places[LOUNGE].roots[-1]["ts"]
    assert "Key Contribution" in await in_thread(world, mention, 1, LOUNGE)
    await slack.mentions("Which photographs?", LOUNGE, thread=mention)
    assert "photographs" in await in_thread(world, mention, 2, LOUNGE)
    assert "eyes" in str(slack.places[LOUNGE].roots[-1])

    pointed = slack.says("look at https://arxiv.org/abs/2602.00003", LOUNGE)["ts"]
    await slack.shortcut(pointed, LOUNGE)
    assert "Key Contribution" in await in_thread(world, pointed, 1, LOUNGE)

    await slack.types("/top")
    top = await posted(world, EN("top.title", day=TODAY))
    await slack.taps("▶", top)
    await wait_until(lambda: "6–10" in slack.show(), PATIENCE)
    await slack.taps("👍", dive)
    await wait_until(lambda: any(w.text == EN("done.voted") for w in slack.whispers), PATIENCE)

    await slack.types("/paperboy status", LOUNGE)
    await posted(world, ZH("status.title"), LOUNGE)
    await slack.direct("/help")
    await posted(world, "/deepdive", DIRECT)

    slack.places["C0OTHER"] = Place("C0OTHER", "other")
    stranger = await slack.types("/top", channel="C0OTHER")
    assert "C0OTHER" in str(stranger.answer)
    assert not (await slack.types("/top", channel="C0OTHER")).answer

    await slack.types("/paperboy report", user=BOSS)
    digest = await posted(world, EN("digest.ranking"))
    count = len(slack.whispers)
    await slack.taps("🔎 4", digest)
    await wait_until(lambda: len(slack.whispers) > count, PATIENCE)
    await slack.happens("app_home_opened", user=ALICE, tab="home", channel=DIRECT)
    await wait_until(lambda: ALICE in slack.homes, PATIENCE)
    assert all(one.acknowledged and one.tries == 1 for one in slack.sent), (
        "within three seconds; `figures asking` has more"
    )


@pytest.mark.parametrize("ways", WAYS, ids=lambda ways: f"{ways.telegram}-{ways.slack}")
async def test_every_way_of_asking_is_answered(tmp_path: Path, ways: Ways):
    async with a_town(tmp_path, ways, [LAB, ROOM], delay=0.4) as world:
        world.slack.places[LOUNGE] = Place(LOUNGE, "lounge")
        world.variables["PAPERBOY_SLACK__ALLOWED_CHANNELS"] = f"{DIRECT},{LOUNGE}"
        world.variables |= {"PAPERBOY_TELEGRAM__ADMINS": str(ADMIN), "PAPERBOY_SLACK__ADMINS": BOSS}
        async with a_bot(world) as bot:
            await asyncio.gather(on_telegram(world), on_slack(world))
            await settled(world)
            assert await bot.ends() < END_SECONDS
            assert bot.errors == []


async def settled(world: World) -> None:
    """Returns when nothing is open and nothing is to be sent."""
    await wait_until(lambda: not open_requests(world) and not unfinished(world), 2 * PATIENCE)


def rows(world: World, query: str) -> list[Any]:
    with sqlite3.connect(f"file:{world.folder}/paperboy.db?mode=ro", uri=True) as connection:
        return connection.execute(query).fetchall()


def open_requests(world: World) -> list[str]:
    return [key for (key,) in rows(world, "SELECT key FROM request WHERE state = 'open'")]


def unfinished(world: World) -> list[str]:
    return [key for (key,) in rows(world, "SELECT key FROM part WHERE state IN ('planned', 'sending')")]


# --- progress, drafts, an end in the middle


async def test_progress_is_true_and_a_private_chat_sees_drafts_alone(tmp_path: Path):
    async with a_town(tmp_path, chats=[LAB], delay=0.0) as world, a_bot(world):
        await says(world, world.telegram.types("/deepdive 2602.00009", chat=LAB.id))  # warm
        world.model.delay = SLOW_MODEL
        group = world.telegram.types("/deepdive 2602.00001", chat=LAB.id)
        private = world.telegram.types("/deepdive 2602.00002", chat=PRIVATE.id)
        await says(world, group)
        answer = await says(world, private, PRIVATE.id)
        assert [message.id for message in world.telegram.messages(PRIVATE.id)] == [answer.id]
        assert answer.edits == 0
        assert steps(world, "sendMessageDraft", PRIVATE.id)[-1] == ZH("step.read", total=1)
        assert steps(world, "sendMessage", LAB.id)[-1] == ZH("step.read", total=1)


def steps(world: World, method: str, chat: int) -> list[str]:
    """What was said to be done, in order."""
    given = [dict(parse_qsl(asked.body)) for asked in world.telegram.asked if asked.path.endswith(f"/{method}")]
    texts = [each["text"] for each in given if each["chat_id"] == str(chat) and each["text"].startswith("⏳")]
    return [text.split("\n\n")[1].rpartition(" · ")[0] for text in texts]


async def test_an_end_with_requests_in_flight_is_quick_and_they_are_answered_after_the_restart(tmp_path: Path):
    async with a_town(tmp_path, chats=[LAB], delay=STUCK_MODEL) as world:
        async with a_bot(world) as bot:
            asked = world.telegram.types("/deepdive 2602.00001", chat=LAB.id)
            private = world.telegram.types("/deepdive 2602.00002", chat=PRIVATE.id)
            await world.slack.types("/deepdive 2602.00003")
            await world.slack.mentions("/ask 2602.00004 Which photographs?")
            await wait_until(lambda: len(open_requests(world)) == 4 and bool(world.telegram.messages(LAB.id)), PATIENCE)
            assert await bot.ends() < END_SECONDS
        [place] = world.telegram.messages(LAB.id)
        world.model.delay = 0.0
        async with a_bot(world) as bot:
            assert (await says(world, asked)).id == place.id
            await says(world, private, PRIVATE.id)
            await posted(world, "Key Contribution")
            await settled(world)
            await bot.ends()
        assert "⏳" not in world.slack.show()
        assert bot.errors == []


# --- kill -9


KILLS = int(os.environ.get("PAPERBOY_KILLS", "6"))
SEED = int(os.environ.get("PAPERBOY_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
LONGEST_LIFE = 1.2  # seconds between the first request and a kill
ASKED_IN_A_LIFE = 8
LEASE_MICROS = 30_000_000  # after which a part in its send may be looked at by others
TOWNSPEOPLE = [Chat(8_000 + number, "private", title=f"User {number}") for number in range(10)]
SLACK_PLACES = tuple(f"C0ROOM{number}" for number in range(6))


async def slowly(request: web.Request, apply: Apply) -> web.Response:
    """Posted at once, and told a little later: long enough to die in between."""
    response = apply()
    await asyncio.sleep(0.05)
    return response


@dataclass
class Crowd:
    """People who ask at random, and what they asked."""

    world: World
    chance: random.Random
    typed: list[tuple[int, int]] = field(default_factory=list)
    sending: list["asyncio.Task[Sent]"] = field(default_factory=list)

    async def asks(self) -> None:
        """A few requests within the longest life, on both platforms."""
        for _ in range(ASKED_IN_A_LIFE):
            paper = f"2602.{self.chance.randrange(1, 16):05d}"
            text = self.chance.choice([f"/deepdive {paper}", f"/ask {paper} rain?", "/top", "/help", "/deepdive 17"])
            if self.chance.random() < 0.5:
                chat = self.chance.choice([LAB, *TOWNSPEOPLE]).id
                self.typed.append((chat, self.world.telegram.types(text, chat=chat, user=self.chance.randrange(1, 99))))
            else:
                send = self.chance.choice([self.world.slack.mentions, self.world.slack.types])
                if send == self.world.slack.types:
                    text = text.replace("/help", "/paperboy help")  # Slack has a command of that name itself
                channel = self.chance.choice(SLACK_PLACES)
                self.sending.append(asyncio.create_task(send(text, channel=channel)))
            await asyncio.sleep(self.chance.uniform(0, 2 * LONGEST_LIFE / ASKED_IN_A_LIFE))


async def test_killed_at_random_moments_it_answers_everything_once(tmp_path: Path):
    print(f"PAPERBOY_SEED={SEED} PAPERBOY_KILLS={KILLS}")
    chance = random.Random(SEED)
    async with a_town(tmp_path, chats=[LAB, *TOWNSPEOPLE]) as world:
        world.write(model=False)
        world.variables["PAPERBOY_SLACK__ALLOWED_CHANNELS"] = ",".join(SLACK_PLACES)
        world.slack.places |= {name: Place(name, name.lower()) for name in SLACK_PLACES}
        world.slack.ack_seconds = 0.5
        world.arxiv.delay = world.huggingface.delay = 0.15
        crowd = Crowd(world, chance)
        for _ in range(KILLS):
            world.telegram.faults.extend([slow(0.05)] * 40)
            world.slack.fail("chat.postMessage", *[slowly] * 40)
            async with a_bot(world) as bot:
                asking = asyncio.create_task(crowd.asks())
                await asyncio.sleep(chance.uniform(0, LONGEST_LIFE))
                await bot.dies()
            await asking
            half_a_minute_passes(world)
        world.telegram.faults.clear()
        world.slack.faults.clear()
        async with a_bot(world) as bot:
            sent = await asyncio.gather(*crowd.sending)
            await wait_until(lambda: not world.telegram.inbox.pending, PATIENCE)
            await settled(world)
            await bot.ends()
        assert bot.errors == []
        assert rows(world, "SELECT key FROM request WHERE state NOT IN ('answered', 'failed')") == []
        check_telegram(world, crowd)
        check_slack(world, sent)


def half_a_minute_passes(world: World) -> None:
    """For who looks at the leases of a dead process."""
    with sqlite3.connect(world.folder / "paperboy.db") as connection:
        connection.execute("UPDATE part SET lease = lease - ? WHERE state = 'sending'", (LEASE_MICROS,))


def check_telegram(world: World, crowd: Crowd) -> None:
    """One request a message, one answer a request; where there is none, the ledger says that nobody knows."""
    requests = [key for (key,) in rows(world, "SELECT key FROM request WHERE user LIKE 'telegram:%'")]
    assert sorted(requests) == sorted(f"telegram:{chat}/{number}" for chat, number in crowd.typed)
    shown = Counter(
        (chat, message.answers)
        for chat in {chat for chat, _ in crowd.typed}
        for message in world.telegram.messages(chat)
        if not message.text.startswith("⏳")
    )
    states = dict(rows(world, "SELECT key, state FROM part WHERE platform = 'telegram'"))
    for chat, number in crowd.typed:
        state = states[f"ask/telegram:{chat}/{number}@telegram:{chat}~0"]
        assert state in ("sent", "unknown")
        assert shown[chat, number] == 1 or (shown[chat, number] == 0 and state == "unknown"), (chat, number, state)
    waiting = sum(
        m.text.startswith("⏳") for chat in {chat for chat, _ in crowd.typed} for m in world.telegram.messages(chat)
    )
    unknown = len(
        rows(
            world,
            "SELECT key FROM part WHERE platform = 'telegram' AND key LIKE 'wait/%'"
            " AND (state = 'unknown' OR state = 'dropped' AND error = 'the process that sent it ended')",
        )
    )
    assert waiting <= unknown, "no message about progress stays, but those whose fate nobody knows"


def key_of(sent: Sent) -> str:
    return f"slack:{sent.body.get('event_id') or sent.body['trigger_id']}"


def check_slack(world: World, sent: Sequence[Sent]) -> None:
    """Everything that was acknowledged is there, and every answer stands in its channel exactly once."""
    states = dict(rows(world, "SELECT key, state FROM part WHERE platform = 'slack'"))
    shown = Counter(
        message["metadata"]["event_payload"]["key"]
        for place in world.slack.places.values()
        for message in place.messages
        if message.get("bot_id")
    )
    requests = {key for (key,) in rows(world, "SELECT key FROM request WHERE user LIKE 'slack:%'")}
    taken = {key_of(one) for one in sent if one.acknowledged and (one.answer or {}).get("response_type") != "ephemeral"}
    assert taken <= requests
    assert max(shown.values()) == 1
    answers = {key for key in states if key.startswith("ask/")}
    assert {key.removeprefix("ask/").partition("@")[0] for key in answers} == requests
    assert answers == {key for key in shown if key.startswith("ask/")}
    assert {states[key] for key in answers} == {"sent"}
    assert not [key for key in shown if key.startswith("wait/")], "no message about progress stays"
