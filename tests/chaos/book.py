"""The book of outcomes: what chats show against what the ledger says and what an undisturbed run showed."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from bot.delivery import UNFINISHED
from bot.models import Part, PartKind, PartState
from bot.store.entries import WholeStore
from tests.chaos.scene import PLACE, Scene
from tests.slack_rules import Json, as_seen
from tests.telegram_standin import GROUP, Posted

TROUBLED = 1_000
# What making a report took is another run's another time; a late one says so.
_TOOK = re.compile(r"(?<=scripted/model).*(?:次模型调用|LLM calls|用时|\d s\b).*")
_LATE = re.compile(r"^.*⏰.*\n+", re.MULTILINE)


@dataclass(frozen=True)
class Shown:
    """A message as its readers see it. `links` is how many links it has."""

    text: str
    links: int


@dataclass
class Outcome:
    """How one delivery ended. `failures` say in words what must not be."""

    lost: int = 0
    duplicated: int = 0
    unknown: int = 0
    failures: list[str] = field(default_factory=list)

    def __add__(self, other: Self) -> "Outcome":
        return Outcome(
            self.lost + other.lost,
            self.duplicated + other.duplicated,
            self.unknown + other.unknown,
            [*self.failures, *other.failures],
        )


def on_telegram(scene: Scene, chat: int = GROUP) -> list[Shown]:
    """What the bot's messages show in a chat, oldest first."""
    return [telegram_shown(one) for one in scene.telegram.messages(chat)]


def telegram_shown(message: Posted) -> Shown:
    return Shown(_comparable(message.text), len(message.links))


def on_slack(scene: Scene, channel: str = PLACE) -> list[Shown]:
    return [slack_shown(one) for one in scene.slack.posted(channel) if one.get("bot_id")]


def slack_shown(message: Json) -> Shown:
    return Shown(_comparable("\n".join(as_seen(message))), str(message.get("blocks")).count("'link'"))


def _comparable(text: str) -> str:
    return _LATE.sub("", _TOOK.sub("", text))


def of_delivery(name: str, shown: Sequence[Shown], expected: Sequence[Shown], parts: Sequence[Part]) -> Outcome:
    """Compares a chat with an undisturbed run's, post by post. `parts` are what the ledger says of the delivery."""
    outcome = Outcome()
    posts = [part for part in parts if part.message.kind is PartKind.POST]
    if len(posts) != len(expected):
        outcome.failures.append(f"{name}: {len(posts)} posts are planned, {len(expected)} were in the undisturbed run")
    seen = Counter(one.text for one in shown)
    for number, (part, wanted) in enumerate(zip(posts, expected, strict=False)):
        times = seen.pop(wanted.text, 0)
        outcome.duplicated += max(times - 1, 0)
        if times > 1:
            outcome.failures.append(f"{name}: post {number} is shown {times} times")
        if part.state is PartState.UNKNOWN:
            outcome.unknown += 1
        elif times == 0:
            outcome.lost += 1
            outcome.failures.append(f"{name}: post {number} is {part.state} and not shown")
        elif part.state is not PartState.SENT:
            outcome.failures.append(f"{name}: post {number} is {part.state} and shown")
    for text, times in seen.items():
        outcome.failures.append(f"{name}: shown {times} times, and in no undisturbed run: {text[:300]!r}")
    if unfinished := [part.key for part in parts if part.state in UNFINISHED]:
        outcome.failures.append(f"{name}: unfinished: {unfinished}")
    if not outcome.unknown and not outcome.failures and list(shown) != list(expected):
        outcome.failures.append(f"{name}: other links, or another order: {[(s.text[:40], s.links) for s in shown]}")
    return outcome


async def hidden(store: WholeStore, parts: Sequence[Part]) -> list[str]:
    """Failures: parts that are unknown, and that the operator is not shown."""
    listed = {part.key for part in await store.troubled(TROUBLED)}
    return [
        f"{part.key} is unknown and nowhere shown"
        for part in parts
        if part.state is PartState.UNKNOWN and part.key not in listed
    ]
