"""How soon another replica goes on, at the real 30 s lease, and how well a process ends that is told to."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from random import Random

from aiohttp import web

from bot.engine import LEASE_SECONDS
from tests import redis_standin
from tests.chaos import aftermath
from tests.chaos.bystanders import ALL, LAB, PAPERS, Asking, Question
from tests.chaos.forks import Process
from tests.chaos.llm import AT_ONCE, Script
from tests.chaos.results import Row
from tests.chaos.scene import STORES, Ground, Scene, a_scene, nobody_watches
from tests.chaos.senders import sender
from tests.chaos.trial import Trial

LEASE_AND_FIVE = 35.0  # seconds within which another one has done it
PATIENCE_SECONDS = 100.0
SLOWLY = Script(seconds=(4.0, 6.0))
SENDS = ("/sendMessage", "/chat.postMessage")
ENDS_SECONDS = 10.0  # what an end may take
LONGEST_SEND = 2.5  # seconds of a send in flight; below what a process that ends gives it
Kill = Callable[[Scene, Asking], Awaitable[Process]]


async def kills(ground: Ground, trial: Trial) -> Sequence[Row]:
    """Two replicas, real time; the one that works is killed. All of it at once: most of it is waiting."""
    await aftermath.undisturbed(ground)
    places: dict[str, Kill] = {
        "that makes the report": _who_scores,
        "that sends the report": _who_sends,
        "that works on an answer": _who_answers,
        "that polls Telegram": _who_polls,
    }
    with ExitStack() as stack:
        works = []
        for name, kill in places.items():
            own = replace(ground, redis=stack.enter_context(redis_standin.running()))
            works.append(_taken_over(own, trial.row(f"kill -9 of the replica {name}"), kill))
        return await asyncio.gather(*works)


async def _taken_over(ground: Ground, row: Row, kill: Kill) -> Row:
    expected = await aftermath.undisturbed(ground)
    async with a_scene(ground, "redis", beside=PAPERS, script=SLOWLY) as scene:
        scene.queue_lease = LEASE_SECONDS
        asked = Asking(scene)
        scene.queue_lease = LEASE_SECONDS
        if kill in (_who_answers, _who_polls):
            scene.variables["PAPERBOY_SCHEDULE__ENABLED"] = "false"
        await _started(scene, 1)
        await _started(scene, 2)
        process = await kill(scene, asked)
        await process.dies()
        died = time.monotonic()
        scene.model.play(AT_ONCE)
        if kill is _who_polls:
            asked.ask(Question("telegram", PAPERS[0]))

        async def holds() -> bool:
            if kill in (_who_answers, _who_polls):
                return await asked.is_settled() and len(asked.shown("telegram")) > 0
            return await aftermath.is_done(scene)

        try:
            await scene.until(holds, PATIENCE_SECONDS)
        except TimeoutError:
            row.failures.append(f"not done {PATIENCE_SECONDS} s later")
        row.recovery.append(round(time.monotonic() - died, 1))
        if row.recovery[-1] > LEASE_AND_FIVE:
            row.failures.append(f"taken over and done only after {row.recovery[-1]} s")
        async with scene.skipping():
            await scene.time.sleep(aftermath.AFTER_SECONDS)
        await aftermath.ends(scene, row)
        if kill in (_who_scores, _who_sends):
            aftermath.enter(row, await aftermath.outcome(scene, expected))
        aftermath.enter(row, await asked.outcome())
        if row.failures:
            row.failures.append(scene.said(150))
    return row


async def _started(scene: Scene, number: int) -> None:
    """One more, which is at work."""
    await scene.start()
    await scene.until(lambda: _running(scene) >= number)


def _running(scene: Scene) -> int:
    """How many processes have said so."""
    return sum(" running " in line for line in scene.said(10_000).splitlines())


async def _who_scores(scene: Scene, asked: Asking) -> Process:
    del asked
    await scene.until(lambda: scene.model.calls["score"] > 0)
    return scene.processes[0]  # the schedule of the first one submits at once; nobody else was there to take it


async def _who_sends(scene: Scene, asked: Asking) -> Process:
    del asked
    scene.model.play(AT_ONCE)
    return await _at_request(scene, SENDS, 2)


async def _who_answers(scene: Scene, asked: Asking) -> Process:
    before = len(scene.telegram.asked)
    asked.ask(Question("telegram", PAPERS[0]))
    await scene.until(lambda: scene.model.calls["deep_dive"] > 0)
    await scene.until(lambda: len(scene.telegram.asked) > before)
    return await _who_polls(scene, asked)  # a lone job is mostly taken by who has submitted it


async def _who_polls(scene: Scene, asked: Asking) -> Process:
    del asked
    scene.telegram.types("hello", chat=LAB.id)  # nothing that is answered; the poll that waits comes back
    return await _at_request(scene, ("/getUpdates",), 1)


async def _at_request(scene: Scene, paths: Sequence[str], number: int) -> Process:
    """Who makes the `number`th request of these from now on; it has been carried out, and its answer is lost."""
    caught: asyncio.Future[Process] = asyncio.get_running_loop().create_future()
    left = number

    async def watch(request: web.Request, when: str) -> bool:
        nonlocal left
        if not request.path.endswith(tuple(paths)) or when != "arrived" or caught.done():
            return False
        left -= 1
        if left <= 0 and (found := sender(request, scene.alive)):
            found.signal(signal.SIGKILL)
            caught.set_result(found)
        return False

    scene.telegram.watch = scene.slack.watch = watch
    try:
        return await asyncio.wait_for(caught, PATIENCE_SECONDS)
    finally:
        scene.telegram.watch = scene.slack.watch = nobody_watches


async def ends(ground: Ground, trial: Trial) -> Sequence[Row]:
    """SIGTERM at any moment, with sends in flight that take their time; then another process does the rest."""
    expected = await aftermath.undisturbed(ground)
    store = STORES[trial.number // 2 % 2]
    row = trial.row("SIGTERM with work in flight")
    async with a_scene(ground, store, beside=PAPERS, script=aftermath.SCRIPT) as scene:
        asked = Asking(scene)
        _send_slowly(scene, trial.random)
        async with scene.skipping():
            await _started(scene, 1)
            if store == "redis":
                await scene.start()
            asked.ask(*trial.random.sample(ALL, 4))
            await asyncio.sleep(trial.random.uniform(0.2, 3 * expected.seconds))
        await _ends_well(scene.processes[0], row)
        scene.telegram.watch = scene.slack.watch = nobody_watches
        async with scene.skipping():
            if store != "redis":
                await scene.start()
            began = scene.time.monotonic()

            async def holds() -> bool:
                return await aftermath.is_done(scene) and await asked.is_settled()

            await scene.until(holds, PATIENCE_SECONDS)
            row.recovery.append(round(scene.time.monotonic() - began, 1))
            await scene.time.sleep(aftermath.AFTER_SECONDS)
        await aftermath.ends(scene, row)
        aftermath.enter(row, await aftermath.outcome(scene, expected))
        aftermath.enter(row, await asked.outcome())
        if row.unknown:
            row.failures.append(f"{row.unknown} parts are unknown after an orderly end")
        if row.failures:
            row.failures.append(scene.said(100))
    return [row]


async def _ends_well(process: Process, row: Row) -> None:
    began = time.monotonic()
    process.signal(signal.SIGTERM)
    try:
        code = await process.end(2 * ENDS_SECONDS)
    except TimeoutError:
        row.failures.append(f"does not end in {2 * ENDS_SECONDS} s")
        await process.dies()
        return
    row.figures["ended after"] = round(time.monotonic() - began, 2)
    if code != 0:
        row.failures.append(f"ends with {code}")
    if row.figures["ended after"] > ENDS_SECONDS:
        row.failures.append(f"ends only after {row.figures['ended after']} s")


def _send_slowly(scene: Scene, random: Random) -> None:
    async def watch(request: web.Request, when: str) -> bool:
        if when == "done" and request.path.endswith(SENDS):
            await asyncio.sleep(random.uniform(0, LONGEST_SEND))
        return False

    scene.telegram.watch = scene.slack.watch = watch
