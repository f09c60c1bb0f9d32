"""What people ask in chats as an experiment sees it: who asks what where, what undisturbed answers look like, and how
each request ended.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from random import Random

from bot import delivery
from bot.models import PartState
from tests.chaos import book
from tests.chaos.book import Outcome, Shown
from tests.chaos.llm import Script
from tests.chaos.scene import PLACE, Ground, Scene, a_scene, an_id
from tests.slack_people import Place
from tests.slack_sending import Sent
from tests.telegram_standin import GROUP, Chat

SCRIPT = Script(seconds=(0.05, 0.6))
PRIVATE = (8_000, 8_001)
ROOM = "C0ROOM"
PAPERS = (101, 102, 103)  # that no list has: what is known of a paper is the same, whatever was asked before
TEXTS = tuple(text for n in PAPERS for text in (f"/deepdive {an_id(n)}", f"/ask {an_id(n)} Which photographs?", "/top"))
# Who asks in the second Slack channel is answered in Chinese: it has no settings of its own.
WAYS = ("group", "private", *(f"{kind} in {channel}" for kind in ("command", "mention") for channel in (PLACE, ROOM)))
MANY = 1_000
ALL = 10**6  # lines of a log
ACK_SECONDS = 0.5  # real; Slack gives three
WAITING = "⏳"
VARIABLES = {
    "PAPERBOY_SCHEDULE__ENABLED": "false",
    "PAPERBOY_TELEGRAM__ALLOWED_CHATS": ",".join(map(str, PRIVATE)),
    "PAPERBOY_SLACK__ALLOWED_CHANNELS": ROOM,
}
CHATS = tuple(Chat(id_, "private", title=f"User {id_}") for id_ in PRIVATE)


def furnish(scene: Scene) -> None:
    """People may ask here, and no report comes in between. The scene has to have been made with CHATS and PAPERS."""
    scene.variables |= VARIABLES
    scene.slack.places[ROOM] = Place(ROOM, "room")
    scene.slack.ack_seconds = ACK_SECONDS


@dataclass
class Crowd:
    """People who ask, and what they asked: by chat and message on Telegram, as Slack sent it on Slack."""

    scene: Scene
    typed: list[tuple[str, str, int, int]] = field(default_factory=list)  # way, text, chat, message
    sending: list[tuple[str, str, "asyncio.Task[Sent]"]] = field(default_factory=list)

    def ask(self, way: str, text: str, random: Random) -> None:
        telegram, slack = self.scene.telegram, self.scene.slack
        if way in ("group", "private"):
            chat = GROUP if way == "group" else random.choice(PRIVATE)
            self.typed.append((way, text, chat, telegram.types(text, chat=chat, user=random.randrange(1, 99))))
        else:
            kind, _, channel = way.split()
            send = slack.types(text, channel) if kind == "command" else slack.mentions(text, channel)
            self.sending.append((way, text, asyncio.create_task(send)))

    async def asks(self, random: Random, count: int, seconds: float) -> None:
        """So many requests, one after another within so many (real) seconds."""
        for _ in range(count):
            self.ask(random.choice(WAYS), random.choice(TEXTS), random)
            await asyncio.sleep(random.uniform(0, 2 * seconds / count))

    async def is_served(self) -> bool:
        """Has everybody an answer, as far as anybody can bring it, and is nothing under way?"""
        store = self.scene.store
        if self.scene.telegram.inbox.pending or not all(task.done() for _, _, task in self.sending):
            return False
        return not await store.open_requests() and not await store.unfinished()

    async def leave(self) -> None:
        for _, _, task in self.sending:
            task.cancel()
        await asyncio.gather(*(task for _, _, task in self.sending), return_exceptions=True)


async def undisturbed(ground: Ground, store: str) -> dict[tuple[str, str], Shown]:
    """The answer to each text in each way, where nothing happens; made once."""
    if (known := ground.kept.get(("asking", store))) is not None:
        assert isinstance(known, dict)
        return known
    found: dict[tuple[str, str], Shown] = {}
    async with a_scene(ground, store, chats=CHATS, beside=PAPERS) as scene, scene.skipping():
        furnish(scene)
        process = await scene.start()
        crowd, random = Crowd(scene), Random(0)
        for way in WAYS:
            for text in dict.fromkeys(TEXTS):
                crowd.ask(way, text, random)
                await scene.until(crowd.is_served)
        for way, text, chat, message in crowd.typed:
            [found[way, text]] = _replies(scene, chat, message)
        for way, text, task in crowd.sending:
            [found[way, text]] = _answers(scene)[_key(task.result())]
        await process.dies()
    ground.kept["asking", store] = found
    return found


async def outcomes(crowd: Crowd, expected: dict[tuple[str, str], Shown]) -> dict[str, Outcome]:
    """By platform: one answer a request, as in the undisturbed run; where there is none, it says that nobody knows."""
    return {"telegram": await _on_telegram(crowd, expected), "slack": await _on_slack(crowd, expected)}


async def _on_telegram(crowd: Crowd, expected: dict[tuple[str, str], Shown]) -> Outcome:
    outcome, scene = Outcome(), crowd.scene
    for way, text, chat, message in crowd.typed:
        key = f"telegram:{chat}/{message}"
        if await _was_put_off(scene, key):
            continue
        name, shown = f"telegram {way} {text!r} ({chat}/{message})", _replies(scene, chat, message)
        answer = await scene.store.delivery(f"ask/{key}@telegram:{chat}")
        state = answer[0].state if answer else None
        outcome.unknown += state is PartState.UNKNOWN
        outcome.failures += await book.hidden(scene.store, answer)
        outcome += _judged(name, shown, expected[way, text], may_miss=state is PartState.UNKNOWN)
        if state not in (PartState.SENT, PartState.UNKNOWN):
            outcome.failures.append(f"{name}: {state}")
    waiting = sum(one.text.startswith(WAITING) for chat in (GROUP, *PRIVATE) for one in scene.telegram.messages(chat))
    parts = [part for part in await scene.store.deliveries(MANY) if part.key.startswith("wait/telegram")]
    lost = sum(part.state is PartState.UNKNOWN or "ended" in part.error for part in parts)
    if waiting > lost:
        outcome.failures.append(f"{waiting} messages about progress stay, and only of {lost} nobody knows")
    return outcome


async def _on_slack(crowd: Crowd, expected: dict[tuple[str, str], Shown]) -> Outcome:
    outcome, scene, answers = Outcome(), crowd.scene, _answers(crowd.scene)
    for way, text, task in crowd.sending:
        sent = task.result()
        key, shown = _key(sent), answers.pop(_key(sent), [])
        taken = await scene.store.request(key) or (sent.acknowledged and not await _was_put_off(scene, key))
        outcome += _judged(f"slack {way} {text!r} ({key})", shown, expected[way, text], may_miss=not taken)
    if answers:
        outcome.failures.append(f"answers on Slack to nobody: {sorted(answers)}")
    parts = [part for part in await scene.store.deliveries(MANY) if part.key.startswith("ask/slack")]
    outcome.failures += [f"{part.key} is {part.state}" for part in parts if part.state is not PartState.SENT]
    if WAITING in scene.slack.show(PLACE) + scene.slack.show(ROOM):
        outcome.failures.append("a message about progress stays on Slack")
    return outcome


async def _was_put_off(scene: Scene, key: str) -> bool:
    """Where the desk has no second for a request, on a machine that is too busy, its asker is told to try again."""
    if await scene.store.request(key) is not None:
        return False
    return any("not taken" in line and key in line for line in scene.said(ALL).splitlines())


def _judged(name: str, shown: list[Shown], wanted: Shown, *, may_miss: bool) -> Outcome:
    outcome = Outcome(duplicated=max(0, len(shown) - 1))
    if len(shown) > 1:
        outcome.failures.append(f"{name}: answered {len(shown)} times")
    if not shown and not may_miss:
        outcome.lost += 1
        outcome.failures.append(f"{name}: not answered")
    if other := [one for one in shown if one != wanted]:
        outcome.failures.append(f"{name}: other than undisturbed:\n{other[0]}\n{wanted}")
    return outcome


def _replies(scene: Scene, chat: int, message: int) -> list[Shown]:
    """The finished answers to a message."""
    posted = [one for one in scene.telegram.messages(chat) if one.answers == message]
    return [book.telegram_shown(one) for one in posted if not one.text.startswith(WAITING)]


def _answers(scene: Scene) -> dict[str, list[Shown]]:
    """Everything that Slack shows as an answer, by the key of the request."""
    found: dict[str, list[Shown]] = {}
    for message in [one for channel in (PLACE, ROOM) for one in scene.slack.posted(channel) if one.get("bot_id")]:
        part = str(message["metadata"]["event_payload"]["key"])
        if delivery.is_answer(part) and not delivery.is_placeholder(part):
            found.setdefault(delivery.request_of(part), []).append(book.slack_shown(message))
    return found


def _key(sent: Sent) -> str:
    return f"slack:{sent.body.get('event_id') or sent.body['trigger_id']}"


def counted(crowd: Crowd) -> dict[str, int]:
    """How many asked in which way."""
    return dict(Counter([way for way, *_ in crowd.typed] + [way for way, *_ in crowd.sending]))
