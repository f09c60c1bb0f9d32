"""`kill -9` at any moment of the day's job and of what people ask, again and again, until the work is done."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

from bot.delivery import UNFINISHED
from tests.chaos import asking, day
from tests.chaos.asking import Crowd
from tests.chaos.book import Outcome
from tests.chaos.deaths import Moment, a_moment, lives
from tests.chaos.results import Row
from tests.chaos.scene import STORES, Ground, Scene, a_scene
from tests.chaos.trial import Trial

PLATFORMS = {"telegram": "Telegram", "slack": "Slack"}
NAMES = {"sqlite": "SQLite", "redis": "Redis"}
MOST_KILLS = 5  # of one day
AFTER_SECONDS = 5.0  # simulated; for what a pass of every loop begins
LEASE_SECONDS = 31.0  # simulated; after these, what a dead process held is free
# How many a day has of each, about; a death at a later one does not come.
SENDS = 7
STEPS = {"": 40, "keep_report": 2, "keep_analysis": 16, "plan": 2, "claim": 7, "record": 7}
START_SHARE = 0.3  # of a day's time that a process takes until it does something
# The same for the requests that are asked in one life.
ASKED_SENDS = 5
ASKED_STEPS = {"": 20, "admit": 4, "plan": 2, "claim": 5, "record": 5, "close_request": 3, "keep_analysis": 4}
ASKED_SECONDS = 1.2  # real
ASKED = 4  # requests in one life


async def of_the_day(ground: Ground, trial: Trial) -> Sequence[Row]:
    """A day's report whose process is killed some times; then one is left alone to finish it."""
    store = STORES[trial.number // 2 % 2]
    expected = await day.undisturbed(ground, store)
    row = trial.row(f"process killed, the day's job, {NAMES[store]}", faults=0)
    async with a_scene(ground, store, script=day.SCRIPT) as scene, scene.skipping():
        for _ in range(trial.random.randint(1, MOST_KILLS)):
            moment = await _moment_of_what_is_left(scene, trial, expected.seconds)
            if not await lives(scene, moment, lambda: day.is_done(scene)):
                break
            row.faults += 1
            row.figures.setdefault("moments", []).append(moment.name)
            _time_passes(scene, trial)
        last = await scene.start()
        recovery = await asyncio.gather(*(_recovered(scene, platform) for platform in PLATFORMS))
        await _loops_look_again(scene)
        if (code := await scene.ends(last)) != 0:
            row.failures.append(f"the last process ended with {code}")
        return _judged(row, scene, await day.outcomes(scene, expected), dict(zip(PLATFORMS, recovery, strict=True)))


async def _moment_of_what_is_left(scene: Scene, trial: Trial, seconds: float) -> Moment:
    """Where the report stands and only parts of it are missing, a life is short."""
    parts = [part for delivered in (await day.deliveries(scene)).values() for part in delivered]
    left = sum(part.state in UNFINISHED for part in parts)
    if not parts or not left:
        return a_moment(trial.random, seconds, SENDS, STEPS)
    share = START_SHARE + (1 - START_SHARE) * left / SENDS
    return a_moment(trial.random, share * seconds, left, {"": 2 * left, "claim": left, "record": left})


async def of_requests(ground: Ground, trial: Trial) -> Sequence[Row]:
    """People ask in four ways while the process is killed some times; then one is left alone to answer."""
    store = STORES[trial.number // 2 % 2]
    expected = await asking.undisturbed(ground, store)
    row = trial.row(f"process killed, requests, {NAMES[store]}", faults=0)
    async with a_scene(ground, store, chats=asking.CHATS, beside=asking.PAPERS, script=asking.SCRIPT) as scene:
        asking.furnish(scene)
        crowd = Crowd(scene)
        for _ in range(trial.random.randint(1, MOST_KILLS)):
            moment = a_moment(trial.random, ASKED_SECONDS, ASKED_SENDS, ASKED_STEPS)
            async with AsyncExitStack() as stack:
                if trial.random.random() < 0.5:  # else the model is slow, and there is progress to show
                    await stack.enter_async_context(scene.skipping())
                row.faults += await _lives_asked(scene, crowd, moment, trial)
            row.figures.setdefault("moments", []).append(moment.name)
            _time_passes(scene, trial)
        async with scene.skipping():
            was_done, began = await crowd.is_served(), scene.time.monotonic()
            last = await scene.start()
            await scene.until(crowd.is_served)
            took = [] if was_done else [round(scene.time.monotonic() - began, 1)]
            await _loops_look_again(scene)
            if (code := await scene.ends(last)) != 0:
                row.failures.append(f"the last process ended with {code}")
        row.figures["asked"] = asking.counted(crowd)
        return _judged(row, scene, await asking.outcomes(crowd, expected), dict.fromkeys(PLATFORMS, took))


async def _recovered(scene: Scene, platform: str) -> list[float]:
    """Seconds on the bot's clock until the report stands there; none where it stood before."""
    began = scene.time.monotonic()
    if await day.is_done_on(scene, platform):
        return []
    await scene.until(lambda: day.is_done_on(scene, platform))
    return [round(scene.time.monotonic() - began, 1)]


async def _lives_asked(scene: Scene, crowd: Crowd, moment: Moment, trial: Trial) -> bool:
    asks = asyncio.create_task(crowd.asks(trial.random, ASKED, ASKED_SECONDS / 2))

    async def is_over() -> bool:
        return asks.done() and await crowd.is_served()

    try:
        return await lives(scene, moment, is_over)
    finally:
        await asks


async def _loops_look_again(scene: Scene) -> None:
    """Twice; nothing more may be sent."""
    for _ in range(2):
        scene.time.jump(LEASE_SECONDS)
        await scene.time.sleep(AFTER_SECONDS)


def _time_passes(scene: Scene, trial: Trial) -> None:
    """Sometimes a restart is quick, and sometimes leases have run out by then."""
    if trial.random.random() < 0.5:
        scene.time.jump(trial.random.uniform(0, 2 * LEASE_SECONDS))


def _judged(
    row: Row, scene: Scene, outcomes: Mapping[str, Outcome], recovery: Mapping[str, Sequence[float]]
) -> Sequence[Row]:
    """A row for each platform; what is nobody's own is Telegram's."""
    if "Traceback" in scene.said(10**6):
        row.failures.append("a process logged a traceback")
    rows = []
    for platform, outcome in outcomes.items():
        one = replace(row, fault=f"{row.fault}, {PLATFORMS[platform]}", recovery=list(recovery[platform]))
        one.lost, one.duplicated, one.unknown = outcome.lost, outcome.duplicated, outcome.unknown
        one.failures = [*(row.failures if platform == "telegram" else ()), *outcome.failures]
        one.failures += [scene.said()] if one.failures else []
        rows.append(one)
    return rows
