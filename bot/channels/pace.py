"""The turns of messages: whose is next, and when the platform's limits let it go."""

import asyncio
import heapq
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count

from bot.errors import Outcome, SendError
from bot.interfaces import Booking, Clock, Errand, Pace, Pacing, Window

logger = logging.getLogger(__name__)

# Seconds of what all chats share that may be booked at once. Reports: a part is claimed meanwhile, and goes out on the
# moment. What somebody waits for books further ahead, and so before every report of every process.
REPORTS_AHEAD = 0.25
URGENT_AHEAD = 3.0
NOW_AHEAD = 0.35  # before reports, and hardly a wait
REFUSED_ON_END = 5  # chats, and no message accepted in between: it is the bot that has to wait, not they


class Line:
    """Whoever waits one behind the other: the oldest errand first, whenever it came."""

    def __init__(self) -> None:
        self._is_taken = False
        self._numbers = count()
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def first(self, since: float) -> AsyncIterator[None]:
        """Inside is who stands at the head of the line."""
        if self._is_taken:
            await self._stand(since)
        self._is_taken = True
        try:
            yield
        finally:
            self._next()

    async def _stand(self, since: float) -> None:
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (since, next(self._numbers), called))
        try:
            await called
        except asyncio.CancelledError:
            if called.done() and not called.cancelled():  # called and cancelled at the same moment
                self._next()
            raise

    def _next(self) -> None:
        while self._waiting:
            *_, called = heapq.heappop(self._waiting)
            if not called.done():
                called.set_result(None)
                return
        self._is_taken = False


class Gate:
    """What all messages of one bot go through. `shared` is the limit over all its chats, None where there is none."""

    def __init__(self, pacing: Pacing, clock: Clock, shared: Pace | None = None) -> None:
        self._pacing = pacing
        self._clock = clock
        self._shared = shared
        self._urgent, self._others = Line(), Line()
        self._refused: set[str] = set()

    async def turn(self, own: Sequence[Pace | Window], errand: Errand) -> float:
        """The moment at which the next message may go, close at hand. Who waits for its own limits stands in no line.

        Raises SendError where that would take longer than the errand may.
        """
        line = self._urgent if errand.urgent else self._others
        while True:
            async with line.first(errand.since) if self._shared else _nobody_else():
                booking = await self._booking(own, URGENT_AHEAD if errand.urgent else REPORTS_AHEAD, errand.within)
            if booking.full and booking.wait > errand.within:
                raise SendError("the chat has no room now", Outcome.NOT_SENT, retry_after=booking.wait)
            moment = self._clock.monotonic() + booking.wait
            if (wait := booking.wait if booking.full else booking.wait - REPORTS_AHEAD) > 0:
                await self._clock.sleep(wait)
            if not booking.full:
                return moment

    async def _booking(self, own: Sequence[Pace | Window], ahead: float, within: float) -> Booking:
        """Waits, at the head of the line, for what all share; a chat that is full itself makes room for the next, and
        so does an errand that may not wait so long.
        """
        while True:
            booking = await self._pacing.book(own, self._shared, ahead=ahead)
            if self._shared is None or booking.full != self._shared.name or booking.wait > within:
                return booking
            await self._clock.sleep(booking.wait)

    async def now(self, own: Sequence[Pace | Window], room: int = 1) -> float:
        """Counts a message that goes now or never. 0.0 where it may, else the seconds until it is worth asking again.

        `room`: places that the chat must have, this one among them.
        """
        booking = await self._pacing.book(own, self._shared, ahead=NOW_AHEAD, room=room)
        if booking.full:
            return booking.wait
        if booking.wait:
            await self._clock.sleep(booking.wait)
        return 0.0

    def accepted(self) -> None:
        """The platform took a message."""
        self._refused.clear()

    async def refused(self, seconds: float, pace: Pace, *others: Pace) -> None:
        """The platform asked for a pause. It does not say whether the chat or the whole bot is meant.

        It is the chat's (`pace` and `others`), unless one chat after the other is refused.
        """
        for each in (pace, *others):
            await self._pacing.pause(each, seconds)
        self._refused.add(pace.name)
        if self._shared and len(self._refused) >= REFUSED_ON_END:
            logger.warning("the whole bot has to wait", extra={"limit": self._shared.name, "seconds": seconds})
            self._refused.clear()
            await self._pacing.pause(self._shared, seconds)


@asynccontextmanager
async def _nobody_else() -> AsyncIterator[None]:
    yield
