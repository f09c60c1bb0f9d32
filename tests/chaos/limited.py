"""Both platforms refuse three in ten sends with a 429 and say how long to wait."""

import json
from collections.abc import Sequence
from urllib.parse import unquote_plus

from aiohttp import web

from tests.chaos import aftermath
from tests.chaos.bystanders import ALL, BUSY, LAB, PAPERS, ROOM, Asking
from tests.chaos.results import Row
from tests.chaos.scene import PLACE, STORES, Ground, Scene, a_scene
from tests.chaos.trial import Trial
from tests.telegram_standin import GROUP

SHARE = 0.3
LONGEST = 5  # seconds, the shortest being one
TICK = 0.05  # seconds by which our reading of the clock may be late
SENDS = ("/sendMessage", "/chat.postMessage")
EDITS = ("/editMessageText", "/chat.update")
PLACES = (str(GROUP), str(LAB.id), PLACE, ROOM)


async def sends(ground: Ground, trial: Trial) -> Sequence[Row]:
    """A day and some questions; every wait is kept to."""
    row = trial.row("30 % of sends answered 429", faults=0)
    expected = await aftermath.undisturbed(ground)
    async with a_scene(ground, STORES[trial.number // 2 % 2], beside=PAPERS, script=aftermath.SCRIPT) as scene:
        asked = Asking(scene)
        _limit(scene, trial, row)
        async with scene.skipping():
            await scene.start()
            asked.ask(*trial.random.sample(ALL, 4))

            async def holds() -> bool:
                return await aftermath.is_done(scene) and await asked.is_settled()

            began = scene.time.monotonic()
            await scene.until(holds, 2 * 60.0)
            row.recovery.append(round(scene.time.monotonic() - began, 1))
            await scene.time.sleep(aftermath.AFTER_SECONDS)
        await aftermath.ends(scene, row)
        aftermath.enter(row, await aftermath.outcome(scene, expected))
        aftermath.enter(row, await asked.outcome())
        if row.failures:
            row.failures.append(scene.said(80))
    return [row]


def _limit(scene: Scene, trial: Trial, row: Row) -> None:
    free: dict[str, float] = {}

    async def watch(request: web.Request, when: str) -> bool:
        if when != "arrived" or not request.path.endswith((*SENDS, *EDITS)):
            return False
        body, now = await request.text(), scene.time.monotonic()
        place = next(one for one in PLACES if one in body)
        is_busy_line = any(json.dumps(busy)[1:-1] in body or busy in unquote_plus(body) for busy in BUSY)
        if now + TICK < free.get(place, 0.0) and not is_busy_line:  # which is said at once or never
            row.failures.append(f"{request.path} to {place} comes {free[place] - now:.2f} s too early")
        if trial.random.random() < SHARE:
            seconds = trial.random.randint(1, LONGEST)
            free[place] = max(now + seconds, free.get(place, 0.0))
            row.faults += 1
            raise _refusal(request.path, seconds)
        return False

    scene.telegram.watch = scene.slack.watch = watch


def _refusal(path: str, seconds: int) -> web.HTTPException:
    """https://core.telegram.org/bots/api#responseparameters, https://docs.slack.dev/apis/web-api/rate-limits"""
    if "/api/" in path:
        body: dict[str, object] = {"ok": False, "error": "ratelimited"}
    else:
        wait = f"Too Many Requests: retry after {seconds}"
        body = {"ok": False, "error_code": 429, "description": wait, "parameters": {"retry_after": seconds}}
    return web.HTTPTooManyRequests(
        text=json.dumps(body), content_type="application/json", headers={"Retry-After": str(seconds)}
    )
