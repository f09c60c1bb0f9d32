"""A day's report as an experiment sees it: what it looks like undisturbed, when it is done, and how it ended."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot import delivery
from bot.models import Part
from tests.chaos import book
from tests.chaos.book import Outcome, Shown
from tests.chaos.llm import Script
from tests.chaos.scene import Ground, Scene, a_scene

SCRIPT = Script(seconds=(0.1, 4.0))
POSTS = 3  # in each channel: the digest and two deep dives


@dataclass(frozen=True)
class Undisturbed:
    """What the chats show, by delivery, and how many real seconds it took to come there."""

    shown: Mapping[str, Sequence[Shown]]
    seconds: float


async def undisturbed(ground: Ground, store: str) -> Undisturbed:
    """What a day looks like to which nothing happens, with the settings and the lists of `a_scene`; made once."""
    if (known := ground.kept.get(("day", store))) is not None:
        assert isinstance(known, Undisturbed)
        return known
    async with a_scene(ground, store, script=SCRIPT) as scene, scene.skipping():
        started = time.monotonic()
        process = await scene.start()
        await scene.until(lambda: is_done(scene))
        seconds = time.monotonic() - started
        shown = {key: _shown(scene, parts) for key, parts in (await deliveries(scene)).items()}
        await process.dies()
    assert [len(posts) for posts in shown.values()] == [POSTS, POSTS], shown
    ground.kept["day", store] = found = Undisturbed(shown, seconds)
    return found


async def deliveries(scene: Scene) -> dict[str, tuple[Part, ...]]:
    """The parts of every delivery of a report, by its key."""
    parts = [part for part in await scene.store.deliveries(100) if not delivery.is_answer(part.delivery)]
    return {key: tuple(part for part in parts if part.delivery == key) for key in sorted({p.delivery for p in parts})}


async def is_done(scene: Scene) -> bool:
    """Has each of the two channels its report, as far as anybody can bring it there?"""
    found = await deliveries(scene)
    return len(found) == 2 and all(delivery.finished(parts) for parts in found.values())


async def outcome(scene: Scene, expected: Undisturbed) -> Outcome:
    """What the chats show against the ledger and an undisturbed day. On Slack, nothing may be unknown."""
    return sum((await outcomes(scene, expected)).values(), start=Outcome())


async def outcomes(scene: Scene, expected: Undisturbed) -> dict[str, Outcome]:
    """The same for each platform."""
    each: dict[str, Outcome] = {}
    found = await deliveries(scene)
    for key in expected.shown.keys() - found.keys():
        each[platform_of(key)] = Outcome(failures=[f"{key}: never planned"])
    for key, parts in found.items():
        one = book.of_delivery(parts[0].channel, _shown(scene, parts), expected.shown.get(key, ()), parts)
        if parts[0].address.platform == "slack" and one.unknown:
            one.failures.append(f"{one.unknown} parts are unknown on Slack")
        one.failures += await book.hidden(scene.store, parts)
        each[platform_of(key)] = each.get(platform_of(key), Outcome()) + one
    return each


def platform_of(key: str) -> str:
    """The platform in a delivery's key."""
    return key.partition("@")[2].partition(":")[0]


async def is_done_on(scene: Scene, platform: str) -> bool:
    """Has the channel of that platform its report, as far as anybody can bring it there?"""
    found = await deliveries(scene)
    return any(platform_of(key) == platform and delivery.finished(parts) for key, parts in found.items())


def _shown(scene: Scene, parts: Sequence[Part]) -> list[Shown]:
    return book.on_slack(scene) if parts[0].address.platform == "slack" else book.on_telegram(scene)
