"""How fast a channel may be posted to, on a clock that is handed in: by the second and by the minute."""

from collections import deque

from bot.interfaces import Clock


class Window:
    """At most `most` messages in any `seconds`: what a platform counts by the minute. A Pace in all but its rule."""

    def __init__(self, clock: Clock, most: int, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._free_at = deque([clock.monotonic()] * most, maxlen=most)  # when each place is free again, oldest first
        self._paused_until = clock.monotonic()

    @property
    def wait(self) -> float:
        """Seconds until the next message may go, 0.0 when it may go now."""
        return self.wait_for(1)

    def wait_for(self, room: int) -> float:
        """Seconds until `room` messages may go at once, 0.0 when they may go now."""
        return max(0.0, max(self._free_at[room - 1], self._paused_until) - self._clock.monotonic())

    async def turn(self) -> None:
        """Returns when the next message may go, and counts it."""
        wait = self.wait
        self._free_at.append(self._clock.monotonic() + wait + self._seconds)
        if wait:
            await self._clock.sleep(wait)

    def pause(self, seconds: float) -> None:
        """No message for `seconds`."""
        self._paused_until = max(self._paused_until, self._clock.monotonic() + seconds)


class Pace:
    """`burst` messages at once, then one every `interval` seconds; a pause that the platform asked for holds them all.

    One object for one limit of the platform (a channel, a bot). Safe for concurrent tasks of one loop: a turn is
    reserved before it is waited for.
    """

    def __init__(self, clock: Clock, interval: float, burst: int = 1) -> None:
        self._clock = clock
        self._interval = interval
        self._slack = interval * (burst - 1)
        self._full_at = clock.monotonic()  # when the bucket is full again

    @property
    def wait(self) -> float:
        """Seconds until the next message may go, 0.0 when it may go now."""
        return self.wait_for(1)

    def wait_for(self, room: int) -> float:
        """Seconds until `room` messages may go at once, 0.0 when they may go now. More than a burst never may."""
        return max(0.0, self._full_at - self._slack + (room - 1) * self._interval - self._clock.monotonic())

    async def turn(self) -> None:
        """Returns when the next message may go, and counts it."""
        wait = self.wait
        self._full_at = max(self._full_at, self._clock.monotonic()) + self._interval
        if wait:
            await self._clock.sleep(wait)

    def pause(self, seconds: float) -> None:
        """No message for `seconds`, and no burst after them."""
        self._full_at = max(self._full_at, self._clock.monotonic() + seconds + self._slack)
