"""Bad lines to Redis, Telegram, Slack and the model: dropped, answered too late, cut after the request was written."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from random import Random

from bot.engine import LEASE_SECONDS
from tests import redis_standin
from tests.chaos import aftermath
from tests.chaos.at_once import at_once
from tests.chaos.bystanders import ALL, PAPERS, Asking
from tests.chaos.proxy import Proxy
from tests.chaos.results import Row
from tests.chaos.scene import STORES, Ground, Scene, a_scene
from tests.chaos.trial import Trial
from tests.model_standin import ModelStandIn

DONE_SECONDS = 400.0  # real; many of the waits are
AT_ONCE = 2  # worlds
MODEL_SECONDS = 4  # real; what one call to the model may take


@dataclass(frozen=True)
class Place:
    """What a bad line leads to: `share` of the exchanges break, answers come `delay` real seconds late."""

    name: str
    share: float
    delay: float


PLACES = (
    Place("Redis", 0.03, 2.6),  # a day has some thousand exchanges with it
    Place("Telegram", 0.3, 21.0),
    Place("Slack", 0.3, 21.0),
    Place("the model", 0.2, MODEL_SECONDS + 3.0),
)


async def cut(ground: Ground, trial: Trial) -> Sequence[Row]:
    """One world for each of PLACES, all at once."""
    await aftermath.undisturbed(ground)
    store = STORES[trial.number % 2]
    works = [_on_a_bad_line(ground, place, store, trial, Random(trial.random.random())) for place in PLACES]
    return await at_once(works, AT_ONCE)


async def _on_a_bad_line(ground: Ground, place: Place, store: str, trial: Trial, random: Random) -> Row:
    row = trial.row(f"a bad line to {place.name}", faults=0)
    is_model = place.name == "the model"  # which answers in other words where it was asked again
    store = "redis" if place.name == "Redis" else store
    with redis_standin.running() as redis:
        own = replace(ground, redis=redis)
        async with (
            a_scene(own, store, beside=PAPERS, script=aftermath.SCRIPT) as scene,
            _bad_line(scene, place, random) as proxy,
        ):
            scene.queue_lease = LEASE_SECONDS  # many waits here are real
            asked = Asking(scene)
            async with scene.time.skipping(lambda: scene.alive, lambda: proxy.held > 0 or scene.is_busy()):
                await scene.start(scripted=not is_model)
                if store == "redis":
                    await scene.start(scripted=not is_model)
                asked.ask(*random.sample(ALL, 4))
                await _is_done(scene, asked, row)
                proxy.bad = False
                mended = time.monotonic()
                if row.failures:
                    row.failures.clear()
                    await _is_done(scene, asked, row)
                    row.figures["done only on a good line"] = round(time.monotonic() - mended, 1)
                await scene.time.sleep(aftermath.AFTER_SECONDS)
            await aftermath.ends(scene, row)
            if is_model:
                aftermath.enter(row, await aftermath.outcome_by_itself(scene))
            else:
                aftermath.enter(row, await aftermath.outcome(scene, await aftermath.undisturbed(ground)))
                aftermath.enter(row, await asked.outcome())
            row.faults = sum(proxy.played.values())
            row.figures["played"] = dict(proxy.played)
            if row.failures:
                row.failures.append(scene.said(150))
    return row


async def _is_done(scene: Scene, asked: Asking, row: Row) -> None:
    async def holds() -> bool:
        return await aftermath.is_done(scene) and await asked.is_settled()

    began = scene.time.monotonic()
    try:
        await scene.until(holds, DONE_SECONDS)
    except TimeoutError:
        row.failures.append(f"not done after {DONE_SECONDS} s")
    else:
        row.recovery.append(round(scene.time.monotonic() - began, 1))


@asynccontextmanager
async def _bad_line(scene: Scene, place: Place, random: Random) -> AsyncIterator[Proxy]:
    """Between the scene's processes and the place; everything else they reach as ever."""
    async with ModelStandIn() as model:
        urls = {
            "Redis": ("PAPERBOY_STORE__URL", scene.store_url),
            "Telegram": ("PAPERBOY_TELEGRAM__API_URL", scene.telegram.url),
            "Slack": ("PAPERBOY_SLACK__API_URL", scene.slack.api_url),
            "the model": ("PAPERBOY_LLM__API_BASE", f"{model.url}/v1"),
        }
        variable, url = urls[place.name]
        proxy = Proxy(url, random, place.share, place.delay)
        async with proxy.running() as through:
            scene.variables[variable] = through
            if place.name == "the model":
                scene.variables |= {
                    "PAPERBOY_LLM__MODEL": "openai/stand-in",
                    "PAPERBOY_LLM__API_KEY": "sk-stand-in-key",
                    "PAPERBOY_LLM__TIMEOUT_SECONDS": str(MODEL_SECONDS),
                }
            yield proxy
