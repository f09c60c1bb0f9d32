"""People who ask in two more chats while something breaks, and what became of what they asked.

Each asks for another paper, so that no two answers are alike. Who is told that Paperboy is busy has not lost anything:
nothing was promised.
"""

import asyncio
import re
from collections import Counter
from dataclasses import dataclass, field

from bot import delivery, texts
from bot.errors import StoreError
from bot.models import PartState
from tests.chaos import book
from tests.chaos.book import Outcome, Shown
from tests.chaos.scene import Scene, an_id
from tests.slack_standin import Place
from tests.telegram_standin import GROUP, Chat

LAB = Chat(GROUP - 1, title="Lab")
ROOM = "C0LAB"
PLATFORMS = ("telegram", "slack")
PAPERS = tuple(range(101, 109))  # in no list: a report reads the same, whatever was asked before
BUSY = {texts.load(language)(key) for language in ("zh", "en") for key in ("error.busy", "slack.busy")}


HELP = ("deepdive <",)  # stands in every language's
PROGRESS = "⏳"
HEADINGS = ("(Key Contribution)", "Key Contribution*")
_PAPER = re.compile(r"arxiv\.org/abs/2602\.(\d{5})")


@dataclass(frozen=True)
class Question:
    platform: str
    paper: int


ALL = tuple(Question(platform, paper) for platform in PLATFORMS for paper in PAPERS)


@dataclass
class Asking:
    """Makes the two chats known to a scene whose processes are not started yet, and asks there."""

    scene: Scene
    asked: list[Question] = field(default_factory=list)
    sends: list["asyncio.Task[object]"] = field(default_factory=list)
    left: int = 0  # messages about progress that no answer took the place of; the platform alone knew of them

    def __post_init__(self) -> None:
        if LAB not in self.scene.telegram.chats:
            self.scene.telegram.chats.append(LAB)
        self.scene.slack.places[ROOM] = Place(ROOM, "room")
        self.scene.variables["PAPERBOY_TELEGRAM__ALLOWED_CHATS"] = str(LAB.id)
        self.scene.variables["PAPERBOY_SLACK__ALLOWED_CHANNELS"] = ROOM

    def ask(self, *questions: Question) -> None:
        """Returns at once."""
        for question in questions:
            self.asked.append(question)
            self.says(question.platform, f"deepdive {an_id(question.paper)}")

    def says(self, platform: str, text: str) -> None:
        if platform == "telegram":
            self.scene.telegram.types(f"/{text}", chat=LAB.id)
        else:
            self.sends.append(asyncio.create_task(self.scene.slack.mentions(text, channel=ROOM)))

    def shown(self, platform: str) -> list[Shown]:
        return book.on_telegram(self.scene, LAB.id) if platform == "telegram" else book.on_slack(self.scene, ROOM)

    def told(self, platform: str) -> int:
        """How many times somebody was told to try again."""
        lines = [one.text for one in self.shown(platform)]
        if platform == "slack":
            lines += [whisper.text for whisper in self.scene.slack.whispers]
        return sum(any(busy in line for busy in BUSY) for line in lines)

    def is_busy(self) -> bool:
        """Waits Slack for a process to say that it has heard?"""
        return not all(send.done() for send in self.sends)

    async def is_settled(self) -> bool:
        """Has everything arrived, and is nothing open? A store that is gone says no."""
        if self.scene.telegram.inbox.pending or self.is_busy():
            return False
        try:
            unfinished = [key for key in await self.scene.store.unfinished() if delivery.is_answer(key)]
            return not unfinished and not await self.scene.store.open_requests()
        except StoreError:
            return False

    async def outcome(self) -> Outcome:
        """Every question is answered once, or its asker was told to try again."""
        for send in self.sends:
            send.cancel()
        total = Outcome()
        for platform in PLATFORMS:
            total += await self._of(platform)
        return total

    async def _of(self, platform: str) -> Outcome:
        outcome, asked = Outcome(), Counter(one.paper for one in self.asked if one.platform == platform)
        answers = Counter(_paper(one.text) for one in self.shown(platform))
        for paper, times in (answers - asked).items():
            if paper:
                outcome.duplicated += times
                outcome.failures.append(f"{platform}: {an_id(paper)} is answered {times} times too often")
        parts = [part for part in await self.scene.store.troubled(1000) if part.address.platform == platform]
        outcome.unknown = sum(delivery.is_answer(part.delivery) for part in parts if part.state is PartState.UNKNOWN)
        missing = asked - answers
        outcome.lost = max(0, missing.total() - self.told(platform) - outcome.unknown)
        if outcome.lost:
            outcome.failures.append(f"{platform}: {outcome.lost} of these have no answer: {sorted(missing.elements())}")
        if platform == "slack" and outcome.unknown:
            outcome.failures.append(f"{outcome.unknown} answers are unknown on Slack")
        outcome.failures += [
            f"{platform}: no answer and no help: {one.text[:200]!r}"
            for one in self.shown(platform)
            if not _paper(one.text) and not any(word in one.text for word in (*BUSY, *HELP, PROGRESS))
        ]
        self.left += sum(PROGRESS in one.text for one in self.shown(platform))
        return outcome


def _paper(text: str) -> int:
    """Which paper's deep dive this is, 0 for everything else: for a message about progress, too."""
    found = _PAPER.search(text)
    return int(found[1]) if found and any(heading in text for heading in HEADINGS) else 0
