"""How fast a channel may be posted to: a token bucket on a clock that is handed in, shared by the platforms."""

from bot.interfaces import Clock


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
        return max(0.0, self._full_at - self._slack - self._clock.monotonic())

    async def turn(self) -> None:
        """Returns when the next message may go, and counts it."""
        wait = self.wait
        self._full_at = max(self._full_at, self._clock.monotonic()) + self._interval
        if wait:
            await self._clock.sleep(wait)

    def pause(self, seconds: float) -> None:
        """No message for `seconds`, and no burst after them."""
        self._full_at = max(self._full_at, self._clock.monotonic() + seconds + self._slack)
