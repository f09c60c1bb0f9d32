"""A day's report: what an undisturbed run shows of it, when it is done, and how it ended under a fault."""

import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot import delivery
from bot.errors import StoreError
from bot.models import Part
from tests.chaos import book
from tests.chaos.book import Outcome, Shown
from tests.chaos.llm import Script
from tests.chaos.results import Row
from tests.chaos.scene import Ground, Scene, a_scene

SCRIPT = Script(seconds=(0.1, 4.0))
REPORTS = 2  # channels
AFTER_SECONDS = 70.0  # simulated; two passes of every loop, in which nothing more may be sent
ENDS_SECONDS = 15.0  # real; a process that is told to end has 10


@dataclass(frozen=True)
class Undisturbed:
    """What the chats show, by delivery, and how many real seconds it took to come there."""

    shown: Mapping[str, Sequence[Shown]]
    seconds: float


async def undisturbed(ground: Ground) -> Undisturbed:
    """The same on every store; found out once."""
    if (known := ground.kept.get("undisturbed day")) is not None:
        assert isinstance(known, Undisturbed)
        return known
    async with a_scene(ground, script=SCRIPT) as scene, scene.skipping():
        started = time.monotonic()
        await scene.start()
        await scene.until(lambda: is_done(scene))
        seconds = time.monotonic() - started
        shown = {key: _shown(scene, parts) for key, parts in (await deliveries(scene)).items()}
    assert [len(posts) for posts in shown.values()] == [3, 3], shown
    ground.kept["undisturbed day"] = found = Undisturbed(shown, seconds)
    return found


async def deliveries(scene: Scene) -> dict[str, tuple[Part, ...]]:
    """Those of reports, by key."""
    parts = [part for part in await scene.store.deliveries(100) if not delivery.is_answer(part.delivery)]
    return {key: tuple(part for part in parts if part.delivery == key) for key in sorted({p.delivery for p in parts})}


async def is_done(scene: Scene, reports: int = REPORTS) -> bool:
    """Has each channel what it is to get? A store that is gone says no."""
    try:
        found = await deliveries(scene)
    except StoreError:
        return False
    return len(found) == reports and all(delivery.finished(parts) for parts in found.values())


async def outcome(scene: Scene, expected: Undisturbed) -> Outcome:
    total, found = Outcome(), await deliveries(scene)
    if set(found) != set(expected.shown):
        total.failures.append(f"deliveries: {sorted(found)}")
    for key, parts in found.items():
        total += await _of(scene, parts, _shown(scene, parts), expected.shown.get(key, ()))
    return total


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
