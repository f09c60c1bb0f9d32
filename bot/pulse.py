"""Are the loops alive that see to it that nothing is forgotten? And is the process about to end?"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from bot.errors import StoreError
from bot.interfaces import Clock

logger = logging.getLogger(__name__)

PASS_SECONDS = 30.0  # between two passes of a loop (DESIGN section 4)
AGAIN_SECONDS = 5.0  # after one that failed: when the store is back, nobody should wait for half a minute more
LONGEST_SECONDS = 90.0  # without a pass: three that should have been


@dataclass(slots=True)
class Pulse:
    """When each loop that must run last made a pass, by the clock that never jumps."""

    clock: Clock
    is_ending: bool = False
    _expected: tuple[str, ...] = ()
    _passes: dict[str, float] = field(default_factory=dict)
    _down: set[str] = field(default_factory=set)

    def expect(self, *loops: str) -> None:
        """The process is not ready before each of these has made a pass, nor when one makes none any more."""
        self._expected = loops

    def beat(self, loop: str) -> None:
        """The loop has made a whole pass."""
        self._passes[loop] = self.clock.monotonic()

    def fall(self, work: str) -> None:
        """What must run for ever has ended: the process is not ready until it runs again."""
        self._down.add(work)

    def rise(self, work: str) -> None:
        """It runs again."""
        self._down.discard(work)

    def end(self) -> None:
        """The process was told to end."""
        self.is_ending = True

    def ages(self) -> Mapping[str, float]:
        """Seconds since the last pass of each loop that has made one."""
        now = self.clock.monotonic()
        return {loop: now - at for loop, at in self._passes.items()}

    def troubles(self) -> Mapping[str, str]:
        """What keeps the process from being ready, in a few words; empty when nothing does."""
        if self.is_ending:
            return {"process": "ending"}
        ages = self.ages()
        said = {loop: _trouble(ages.get(loop)) for loop in self._expected}
        down = dict.fromkeys(sorted(self._down), "not running")
        return {loop: trouble for loop, trouble in said.items() if trouble} | down


async def passes(look: Callable[[], Awaitable[None]], loop: str, clock: Clock, pulse: Pulse | None = None) -> None:
    """Looks again and again until it is cancelled; a pass that fails is logged, and the next one comes sooner.

    A store that is gone is said once, and once that it is back.
    """
    is_away = False
    while True:
        pause = AGAIN_SECONDS
        try:
            await look()
        except StoreError as error:
            if not is_away:
                logger.warning("store is away: %s", error, extra={"loop": loop})
            is_away = True
        except Exception:
            logger.exception("pass failed", extra={"loop": loop})
        else:
            pause = PASS_SECONDS
            if is_away:
                logger.info("store is back", extra={"loop": loop})
            is_away = False
            if pulse:
                pulse.beat(loop)
        await clock.sleep(pause)


def _trouble(age: float | None) -> str:
    if age is None:
        return "no pass yet"
    return f"no pass for {age:.0f} s" if age > LONGEST_SECONDS else ""
