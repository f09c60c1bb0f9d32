"""The Redis server under two replicas: killed and started again in the middle of everything, or gone for a minute."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from random import Random

from bot.engine import LEASE_SECONDS
from tests import redis_standin
from tests.chaos import aftermath
from tests.chaos.bystanders import ALL, HELP, PAPERS, PLATFORMS, Asking
from tests.chaos.llm import AT_ONCE, Script
from tests.chaos.results import Row
from tests.chaos.scene import Ground, Scene, a_scene
from tests.chaos.trial import Trial

WORLDS = 3  # of one trial, at the same time
RESTARTS = 3  # of one day at most
AWAY_SECONDS = 1.5  # real, at most, until a server is started again
GONE_SECONDS = 60.0  # real
DONE_SECONDS = 150.0  # real; for everything that is asked of a day
BACK_SECONDS = 15.0  # within which everything has to go on
TOLD_SECONDS = 10.0  # within which somebody who asks has to be told to try again
SLOWLY = Script(seconds=(2.0, 4.0))


async def restarts(ground: Ground, trial: Trial) -> Sequence[Row]:
    """Killed with -9 and started again: with appendfsync always it knows all that it said it knew."""
    await aftermath.undisturbed(ground)
    return await asyncio.gather(*(_restarted(ground, trial, Random(trial.random.random())) for _ in range(WORLDS)))


async def _restarted(ground: Ground, trial: Trial, random: Random) -> Row:
    row = trial.row("Redis killed and started again", faults=0)
    expected = await aftermath.undisturbed(ground)
    with redis_standin.running() as redis:
        async with a_scene(replace(ground, redis=redis), "redis", beside=PAPERS, script=aftermath.SCRIPT) as scene:
            asked, is_down = Asking(scene), False
            async with scene.time.skipping(lambda: scene.alive, lambda: is_down or scene.is_busy()):
                await scene.start()
                await scene.start()
                asked.ask(*random.sample(ALL, 4))
                for _ in range(random.randint(1, RESTARTS)):
                    await asyncio.sleep(random.uniform(0, expected.seconds))
                    is_down = True
                    redis.kill()
                    await asyncio.sleep(random.uniform(0, AWAY_SECONDS))
                    await asyncio.to_thread(redis.start)
                    is_down = False
                    row.faults += 1
                back = time.monotonic()
                await _all_done(scene, asked, row)
                row.recovery.append(round(time.monotonic() - back, 1))
                await scene.time.sleep(aftermath.AFTER_SECONDS)
            await aftermath.ends(scene, row)
            aftermath.enter(row, await aftermath.outcome(scene, expected))
            aftermath.enter(row, await asked.outcome())
            if row.failures:
                row.failures.append(scene.said(120))
    return row


async def _all_done(scene: Scene, asked: Asking, row: Row) -> None:
    async def holds() -> bool:
        return await aftermath.is_done(scene) and await asked.is_settled()

    try:
        await scene.until(holds, DONE_SECONDS)
    except TimeoutError:
        row.failures.append(f"not done {DONE_SECONDS} s later")


async def gone(ground: Ground, trial: Trial) -> Sequence[Row]:
    """For a minute of real time: who asks is told to try again, the report comes late, all goes on soon after."""
    await aftermath.undisturbed(ground)
    return await asyncio.gather(*(_gone(ground, trial, Random(trial.random.random())) for _ in range(WORLDS)))


async def _gone(ground: Ground, trial: Trial, random: Random) -> Row:
    row = trial.row(f"Redis gone for {GONE_SECONDS:.0f} s")
    expected = await aftermath.undisturbed(ground)
    with redis_standin.running() as redis:
        async with a_scene(replace(ground, redis=redis), "redis", beside=PAPERS, script=SLOWLY) as scene:
            scene.queue_lease = LEASE_SECONDS
            asked = Asking(scene)
            await scene.start()
            await scene.start()
            await scene.until(lambda: scene.model.calls["score"] > 0)
            asked.ask(*random.sample(ALL, 2))
            await asyncio.sleep(random.uniform(0, 6.0))
            row.figures["done before"] = await aftermath.is_done(scene)
            redis.kill()
            ends = time.monotonic() + GONE_SECONDS
            for _ in range(3):
                await asyncio.sleep(random.uniform(3.0, 12.0))
                await _ask_in_vain(asked, row)
            await asyncio.sleep(max(0.0, ends - time.monotonic()))
            scene.model.play(AT_ONCE)
            await asyncio.to_thread(redis.start)
            back = time.monotonic()
            await asyncio.gather(
                _report_goes_on(scene, asked, row, back),
                *(_commands_go_on(asked, platform, row, back) for platform in PLATFORMS),
            )
            async with scene.skipping():
                await scene.time.sleep(aftermath.AFTER_SECONDS)
            await aftermath.ends(scene, row)
            aftermath.enter(row, await aftermath.outcome(scene, expected))
            aftermath.enter(row, await asked.outcome())
            if row.failures:
                row.failures.append(scene.said(200))
    return row


async def _ask_in_vain(asked: Asking, row: Row) -> None:
    """Both platforms are asked, and both have to say that it is not now."""
    for platform in PLATFORMS:
        before, began = asked.told(platform), time.monotonic()
        asked.says(platform, "help")
        try:
            await asked.scene.until(lambda before=before, on=platform: asked.told(on) > before, TOLD_SECONDS)  # type: ignore[misc]  # mypy wants no default here
        except TimeoutError:
            row.failures.append(f"nobody on {platform} is told to try again while Redis is gone")
        row.figures.setdefault(f"told on {platform}", []).append(round(time.monotonic() - began, 2))


async def _commands_go_on(asked: Asking, platform: str, row: Row, back: float) -> None:
    """Asked every second, the platform's people are answered again within the time."""
    before = len(_helps(asked, platform))
    while len(_helps(asked, platform)) == before and time.monotonic() < back + 4 * BACK_SECONDS:
        asked.says(platform, "help")
        await asyncio.sleep(1.0)
    _enter_recovery(row, f"commands on {platform}", time.monotonic() - back)


def _helps(asked: Asking, platform: str) -> list[str]:
    return [one.text for one in asked.shown(platform) if HELP[0] in one.text]


async def _report_goes_on(scene: Scene, asked: Asking, row: Row, back: float) -> None:
    await scene.until(lambda: aftermath.is_done(scene), DONE_SECONDS)
    _enter_recovery(row, "report", time.monotonic() - back)
    await _all_done(scene, asked, row)
    row.figures["what was under way done after"] = round(time.monotonic() - back, 1)  # where leases run out, that


def _enter_recovery(row: Row, what: str, seconds: float) -> None:
    row.recovery.append(round(seconds, 1))
    row.figures[f"{what} back after"] = round(seconds, 1)
    if seconds > BACK_SECONDS:
        row.failures.append(f"{what}: {seconds:.1f} s after Redis is back")
