"""`kill -9` at any moment of the day's job and of what people ask, again and again, until the work is done."""

import asyncio
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from aiohttp import web

from bot import delivery
from bot.models import Part
from tests.chaos import book
from tests.chaos.book import Outcome, Shown
from tests.chaos.child import Death
from tests.chaos.forks import Process
from tests.chaos.llm import Script
from tests.chaos.results import Row
from tests.chaos.scene import STORES, Ground, Scene, a_scene, nobody_watches
from tests.chaos.trial import Trial

NAMES = {"sqlite": "SQLite", "redis": "Redis"}
SCRIPT = Script(seconds=(0.1, 4.0))
MOST_KILLS = 5  # of one day
AFTER_SECONDS = 70.0  # simulated; two passes of every loop, in which nothing more may be sent
LEASE_SECONDS = 31.0  # simulated; after these, what a dead process held is free
SENDS = ("/sendMessage", "/editMessageText", "/chat.postMessage", "/chat.update")
# How often a day does each, about; a death at a later one does not come.
STEPS = {"": 40, "keep_report": 2, "keep_analysis": 16, "plan": 2, "claim": 7, "record": 7}


@dataclass(frozen=True)
class Undisturbed:
    """What the chats show, by delivery, and how many real seconds it took to come there."""

    shown: Mapping[str, Sequence[Shown]]
    seconds: float


async def of_the_day(ground: Ground, trial: Trial) -> Sequence[Row]:
    """A day's report whose process is killed some times; then one is left alone to finish it."""
    store = STORES[trial.number // 2 % 2]
    expected = await _undisturbed(ground, store)
    row = trial.row(f"kill -9 in the day's job, {NAMES[store]}", faults=0)
    async with a_scene(ground, store, script=SCRIPT) as scene, scene.skipping():
        for _ in range(trial.random.randint(1, MOST_KILLS)):
            moment = _moment(trial.random, expected.seconds)
            if not await _killed(scene, moment):
                break
            row.faults += 1
            row.figures.setdefault("moments", []).append(moment.name)
            if trial.random.random() < 0.5:
                scene.time.jump(trial.random.uniform(0, 2 * LEASE_SECONDS))
        was_done, began = await _is_done(scene), scene.time.monotonic()
        last = await scene.start()
        await scene.until(lambda: _is_done(scene))
        if not was_done:
            row.recovery.append(round(scene.time.monotonic() - began, 1))
        await scene.time.sleep(AFTER_SECONDS)
        await _ends_well(last, row)
        outcome = await _outcome(scene, expected)
        row.lost, row.duplicated, row.unknown = outcome.lost, outcome.duplicated, outcome.unknown
        row.failures += outcome.failures
        if row.failures:
            row.failures.append(scene.said())
    return [row]


async def of_requests(ground: Ground, trial: Trial) -> Sequence[Row]:
    raise NotImplementedError


async def _undisturbed(ground: Ground, store: str) -> Undisturbed:
    if (known := ground.kept.get(("day", store))) is not None:
        assert isinstance(known, Undisturbed)
        return known
    async with a_scene(ground, store, script=SCRIPT) as scene, scene.skipping():
        started = time.monotonic()
        process = await scene.start()
        await scene.until(lambda: _is_done(scene))
        seconds = time.monotonic() - started
        shown = {key: _shown(scene, parts) for key, parts in (await _deliveries(scene)).items()}
        await process.dies()
    assert [len(posts) for posts in shown.values()] == [3, 3], shown
    ground.kept["day", store] = found = Undisturbed(shown, seconds)
    return found


async def _deliveries(scene: Scene) -> dict[str, tuple[Part, ...]]:
    parts = await scene.store.deliveries(10)
    return {key: tuple(part for part in parts if part.delivery == key) for key in sorted({p.delivery for p in parts})}


async def _is_done(scene: Scene) -> bool:
    found = await _deliveries(scene)
    return len(found) == 2 and all(delivery.finished(parts) for parts in found.values())


def _shown(scene: Scene, parts: Sequence[Part]) -> list[Shown]:
    return book.on_slack(scene) if parts[0].address.platform == "slack" else book.on_telegram(scene)


async def _outcome(scene: Scene, expected: Undisturbed) -> Outcome:
    outcome = Outcome()
    found = await _deliveries(scene)
    if set(found) != set(expected.shown):
        outcome.failures.append(f"deliveries: {sorted(found)}")
    for key, parts in found.items():
        one = book.of_delivery(parts[0].channel, _shown(scene, parts), expected.shown.get(key, ()), parts)
        if parts[0].address.platform == "slack" and one.unknown:
            one.failures.append(f"{one.unknown} parts are unknown on Slack")
        one.failures += await book.hidden(scene.store, parts)
        outcome += one
    return outcome


async def _ends_well(process: Process, row: Row) -> None:
    process.signal(signal.SIGTERM)
    if (code := await process.end()) != 0:
        row.failures.append(f"the last process ended with {code}")


@dataclass(frozen=True)
class Moment:
    """When a process is killed. It may do so by itself (`death`), or it is killed from here: `seconds` (real) after its
    start, or, with `send`, at that send's arrival or `seconds` after it was done; `cut`: the send came to nothing.
    """

    name: str
    seconds: float = 0.0
    send: int = 0
    arrived: bool = False
    cut: bool = False
    death: Death | None = None


def _moment(random: Random, length: float) -> Moment:
    kind = random.choice(("time", "time", "send", "send", "step"))
    if kind == "time":
        return Moment("time", seconds=random.uniform(0, length))
    if kind == "send":
        number, arrived = random.randint(1, 8), random.random() < 0.6
        cut = arrived and random.random() < 0.4
        seconds = 0.0 if arrived else random.choice((0.0, random.uniform(0, 0.005)))
        return Moment("send lost" if cut else "sent" if arrived else "answered", seconds, number, arrived, cut)
    step = random.choice(tuple(STEPS))
    number, before = random.randint(1, STEPS[step]), random.random() < 0.5
    late = 0.0 if before else random.choice((0.0, random.uniform(0, 0.003)))
    return Moment(f"{'before' if before else 'after'} {step or 'any'}", death=Death(step, number, before, late))


async def _killed(scene: Scene, moment: Moment) -> bool:
    """Starts a process and kills it at the moment; False where the day was done before that came."""
    process = await scene.start(death=moment.death)
    killer = asyncio.create_task(_kill(scene, process, moment))
    try:
        await scene.until(lambda: process.code is not None or _is_done(scene))
    finally:
        killer.cancel()
        scene.telegram.watch = scene.slack.watch = nobody_watches
    came = process.code is not None
    code = await process.dies()
    assert code == -signal.SIGKILL, f"ended by itself: {code}\n{scene.said()}"
    return came


async def _kill(scene: Scene, process: Process, moment: Moment) -> None:
    if moment.send:
        await _kill_at_send(scene, process, moment)
    elif moment.death is None:
        await asyncio.sleep(moment.seconds)
        process.signal(signal.SIGKILL)


async def _kill_at_send(scene: Scene, process: Process, moment: Moment) -> None:
    left, killed = moment.send, asyncio.Event()

    async def watch(request: web.Request, when: str) -> bool:
        nonlocal left
        if not request.path.endswith(SENDS) or killed.is_set():
            return False
        if when == "arrived":
            left -= 1
        if left > 0 or (when == "arrived") != moment.arrived:
            return False
        killed.set()
        if not moment.arrived:
            return False
        process.signal(signal.SIGKILL)
        await process.end()
        return moment.cut

    scene.telegram.watch = scene.slack.watch = watch
    await killed.wait()
    await asyncio.sleep(moment.seconds)
    process.signal(signal.SIGKILL)
