"""What is left when something has broken: whether each channel has its report nevertheless, and how it all ended."""

import signal
from collections.abc import Sequence

from bot import delivery
from bot.errors import StoreError
from bot.models import Part
from tests.chaos import book, day
from tests.chaos.book import Outcome, Shown
from tests.chaos.day import SCRIPT, Undisturbed, deliveries, outcome
from tests.chaos.results import Row
from tests.chaos.scene import Ground, Scene

__all__ = ["AFTER_SECONDS", "REPORTS", "SCRIPT", "Undisturbed", "ends", "enter", "is_done", "outcome"]

REPORTS = 2  # channels
AFTER_SECONDS = 70.0  # simulated; two passes of every loop, in which nothing more may be sent
ENDS_SECONDS = 15.0  # real; a process that is told to end has 10


async def undisturbed(ground: Ground) -> Undisturbed:
    """The same on every store."""
    return await day.undisturbed(ground, "sqlite")


async def is_done(scene: Scene, reports: int = REPORTS) -> bool:
    """Has each channel what it is to get? A store that is gone says no."""
    try:
        found = await deliveries(scene)
    except StoreError:
        return False
    return len(found) == reports and all(delivery.finished(parts) for parts in found.values())


async def outcome_by_itself(scene: Scene) -> Outcome:
    """Compares a chat with nothing but itself: as many posts as are planned for it, each once, whatever they say."""
    total, found = Outcome(), await deliveries(scene)
    for address in {parts[0].address for parts in found.values()}:
        parts = [part for some in found.values() for part in some if part.address == address]
        shown = _shown(scene, parts)
        total += await _of(scene, parts, shown, tuple(dict.fromkeys(shown)))
    return total


async def _of(scene: Scene, parts: Sequence[Part], shown: Sequence[Shown], wanted: Sequence[Shown]) -> Outcome:
    one = book.of_delivery(parts[0].channel, shown, wanted, parts)
    if parts[0].address.platform == "slack" and one.unknown:
        one.failures.append(f"{one.unknown} parts are unknown on Slack")
    one.failures += await book.hidden(scene.store, parts)
    return one


def _shown(scene: Scene, parts: Sequence[Part]) -> list[Shown]:
    return book.on_slack(scene) if parts[0].address.platform == "slack" else book.on_telegram(scene)


def enter(row: Row, found: Outcome) -> None:
    """Adds it to the row."""
    row.lost += found.lost
    row.duplicated += found.duplicated
    row.unknown += found.unknown
    row.failures += found.failures


async def ends(scene: Scene, row: Row) -> None:
    """Tells every process to end; each has to, well and in time. What failed gets the end of the log."""
    for process in scene.alive:
        process.signal(signal.SIGTERM)
        try:
            if (code := await process.end(ENDS_SECONDS)) != 0:
                row.failures.append(f"a process ended with {code}")
        except TimeoutError:
            row.failures.append(f"a process that was told to end still runs after {ENDS_SECONDS} s")
    if row.failures:
        row.failures.append(scene.said())
