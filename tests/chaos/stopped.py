"""A replica that is stopped (SIGSTOP) in the middle of its work, until its lease is long over, and then goes on.

One that stops between its last look at its lease and the write of a send posts when it goes on, whatever anybody does:
where the other has posted meanwhile, that is a duplicate by nature. It is a row of its own.
"""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from random import Random

from aiohttp import web

from tests import redis_standin
from tests.chaos import aftermath
from tests.chaos.aftermath import Undisturbed
from tests.chaos.at_once import at_once
from tests.chaos.bystanders import ALL, PAPERS, Asking
from tests.chaos.child import MARK, Death
from tests.chaos.forks import Process
from tests.chaos.llm import Script
from tests.chaos.results import Row
from tests.chaos.scene import STORES, Ground, Scene, a_scene, nobody_watches
from tests.chaos.senders import sender
from tests.chaos.trial import Trial

NAMES = {"sqlite": "SQLite", "redis": "Redis"}
SENDS = ("/sendMessage", "/editMessageText", "/chat.postMessage", "/chat.update")
LEASES_SECONDS = 95.0  # simulated; three leases
BEHIND_SECONDS = 3.0  # real; for who goes on to do what it was about to
OTHERS_SECONDS = 120.0  # real; the queue's lease is real time
WRITE = "write"
AT_ONCE = 3  # worlds


@dataclass(frozen=True)
class Moment:
    """When a process stops: `after` real seconds, or by itself at a `step`, or in a `send`, which has arrived."""

    name: str
    after: float = 0.0
    step: str = ""
    before: bool = False
    send: bool = False


MOMENTS = (
    Moment("at any time", after=1.0),
    Moment("in a send", send=True),
    Moment("with its lease just taken", step="claim"),
    Moment("between lease and write", step="closed", before=True),
    Moment("in the write itself (may double on Slack)", step=WRITE, before=True),
)


async def of_the_day(ground: Ground, trial: Trial) -> Sequence[Row]:
    """Each moment on each store, all at once: most of it is waiting for real leases."""
    expected = await aftermath.undisturbed(ground)
    works = []
    with ExitStack() as stack:
        for store in STORES:
            for moment in MOMENTS:
                own = ground
                if store == "redis":
                    own = replace(ground, redis=stack.enter_context(redis_standin.running()))
                random = Random(trial.random.random())
                row = trial.row(f"stopped past its lease {moment.name}, {NAMES[store]}")
                works.append(_one(own, store, moment, random, row, expected))
        return await at_once(works, AT_ONCE)


async def _one(
    ground: Ground,
    store: str,
    moment: Moment,
    random: Random,
    row: Row,
    expected: Undisturbed,
) -> Row:
    async with a_scene(ground, store, beside=PAPERS, script=Script(seconds=(0.1, 4.0))) as scene:
        asked = Asking(scene)
        stopped: list[Process] = []

        def is_busy() -> bool:
            return scene.is_busy() or asked.is_busy()

        async with scene.time.skipping(lambda: [one for one in scene.alive if one not in stopped], is_busy):
            stopped += [await _stopped(scene, asked, moment, random, expected.seconds)]
            scene.time.jump(LEASES_SECONDS)
            began = scene.time.monotonic()
            try:
                await scene.until(lambda: _is_all_done(scene, asked), OTHERS_SECONDS)
            except TimeoutError:
                row.failures.append("the others do not finish while it is stopped")
            else:
                row.recovery.append(round(scene.time.monotonic() - began, 1))
            stopped.pop().signal(signal.SIGCONT)
            await asyncio.sleep(BEHIND_SECONDS)
            try:
                await scene.until(lambda: _is_all_done(scene, asked), OTHERS_SECONDS)
            except TimeoutError:
                row.failures.append("not done when it goes on, either")
            await scene.time.sleep(aftermath.AFTER_SECONDS)
        await aftermath.ends(scene, row)
        for found in (await aftermath.outcome(scene, expected), await asked.outcome()):
            if moment.step == WRITE:
                found.failures = [one for one in found.failures if " times" not in one or "in no" in one]
            aftermath.enter(row, found)
        row.figures["progress left"] = asked.left
        if row.failures:
            row.failures.append(scene.said(120))
    return row


async def _is_all_done(scene: Scene, asked: Asking) -> bool:
    return await aftermath.is_done(scene) and await asked.is_settled()


async def _stopped(scene: Scene, asked: Asking, moment: Moment, random: Random, length: float) -> Process:
    """Starts two processes and some questions, and gives the one that stops in the middle of it."""
    number = random.randint(1, 3)
    death = Death(moment.step, number, moment.before, signal=signal.SIGSTOP, alone=True) if moment.step else None
    caught = _watch_sends(scene, number) if moment.send else None
    first = await scene.start(death=death)
    second = await scene.start(death=death)
    asked.ask(*random.sample(ALL, 4))
    try:
        if caught is not None:
            return await asyncio.wait_for(caught, OTHERS_SECONDS)
        if moment.step:
            mark = scene.folder / MARK
            await scene.until(mark.exists)
            return first if int(mark.read_text()) == first.pid else second
    finally:
        scene.telegram.watch = scene.slack.watch = nobody_watches
    await asyncio.sleep(random.uniform(0.3, moment.after * max(length, 1.0)))
    stops = random.choice((first, second))
    stops.signal(signal.SIGSTOP)
    return stops


def _watch_sends(scene: Scene, number: int) -> "asyncio.Future[Process]":
    """Whoever sends the `number`th message is stopped while the server has it."""
    caught: asyncio.Future[Process] = asyncio.get_running_loop().create_future()
    left = number

    async def watch(request: web.Request, when: str) -> bool:
        nonlocal left
        if request.path.endswith(SENDS) and when == "arrived" and not caught.done():
            left -= 1
            if left <= 0 and (found := sender(request, scene.alive)):
                found.signal(signal.SIGSTOP)
                caught.set_result(found)
        return False

    scene.telegram.watch = scene.slack.watch = watch
    return caught
