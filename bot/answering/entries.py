"""A request on its way to its answer, and what the answer is."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from bot import texts
from bot.errors import BotError, ModelError, SourceError
from bot.interfaces import Progress
from bot.models import Message
from bot.report import compose
from bot.report.document import Document
from bot.requests import Request, RequestState


@dataclass(frozen=True, slots=True)
class Answered:
    """What a piece of work came to, the same for all who asked for it. `free`: it was there already, so it counts for
    nobody.

    `said` is the same in plain words, for the next question of the talk.
    """

    documents: tuple[Document, ...]
    state: RequestState = RequestState.ANSWERED
    said: str = ""
    free: bool = True


Work = Callable[[Request, Progress], Awaitable[Answered]]
"""Does what a request asks for. Raises BotError, whose wording the asker gets."""


@dataclass(slots=True)
class Entry:
    """A request that this process sees through. `place` is the ID of the message that holds its place, "" for none.

    `is_ours`: nobody but this process was told of it, so nobody else holds its place.

    `stands` is set when its place or its answer is in the chat, `before` is that of the one asked before.
    """

    request: Request
    arrived: float
    answered: "asyncio.Future[Answered]"
    before: asyncio.Event | None
    stands: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    place: str = ""
    is_ours: bool = True
    previewed: bool = False
    shown: Message | None = None
    shown_at: float = 0.0

    @property
    def is_next(self) -> bool:
        """Does all that was asked before it stand in the chat, or have its place there?"""
        return self.before is None or self.before.is_set()

    async def answered_within(self, seconds: float) -> bool:
        """Is there an answer, at once or before the time is over?"""
        if seconds > 0 and not self.answered.done():
            await asyncio.wait({self.answered}, timeout=seconds)
        return self.answered.done()


def line(text: str, request: Request, state: RequestState) -> Answered:
    """An answer of one line."""
    return Answered((compose.line(text, texts.load(request.language)),), state)


def sorry(error: BotError, request: Request) -> Answered:
    """What the asker is told of a failure: one line in their language and the code under which the log has more.

    A source or a model that was asked in vain was asked all the same, and counts.
    """
    words = texts.load(request.language)
    told = line(words("error.coded", error=words.error(error), code=request.code), request, RequestState.FAILED)
    return replace(told, free=not isinstance(error, SourceError | ModelError))
