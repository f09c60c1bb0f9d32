"""When a process is killed: at any moment, around a send, or before and after something that it does to its store."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from random import Random

from aiohttp import web

from tests.chaos.child import Death
from tests.chaos.forks import Process
from tests.chaos.scene import Scene, nobody_watches

SENDS = ("/sendMessage", "/editMessageText", "/chat.postMessage", "/chat.update")
KINDS = ("time", "time", "send", "send", "step")
SHORTLY = 0.005  # real seconds; what follows a send or a step has begun, and is not over


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


def a_moment(random: Random, seconds: float, sends: int, steps: Mapping[str, int]) -> Moment:
    """One within work that takes so long (real), and has so many sends and steps ("" counts all of `child.STEPS`)."""
    kind = random.choice(KINDS)
    if kind == "time":
        return Moment("time", seconds=random.uniform(0, seconds))
    if kind == "send":
        number, arrived = random.randint(1, sends), random.random() < 0.6
        cut = arrived and random.random() < 0.4
        later = 0.0 if arrived else random.choice((0.0, random.uniform(0, SHORTLY)))
        return Moment("send lost" if cut else "sent" if arrived else "answered", later, number, arrived, cut)
    step = random.choice(tuple(steps))
    number, before = random.randint(1, steps[step]), random.random() < 0.5
    later = 0.0 if before else random.choice((0.0, random.uniform(0, SHORTLY)))
    return Moment(f"{'before' if before else 'after'} {step or 'any'}", death=Death(step, number, before, later))


async def lives(scene: Scene, moment: Moment, is_done: Callable[[], Awaitable[bool]]) -> bool:
    """A process from its start to its death at the moment; False where the work was done before that came."""
    process = await scene.start(death=moment.death)
    killer = asyncio.create_task(_kill(scene, process, moment))
    try:
        await scene.until(lambda: process.code is not None or is_done())
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
    left, came = moment.send, asyncio.Event()

    async def watch(request: web.Request, when: str) -> bool:
        nonlocal left
        if not request.path.endswith(SENDS) or came.is_set():
            return False
        left -= when == "arrived"
        if left > 0 or (when == "arrived") != moment.arrived:
            return False
        came.set()
        if not moment.arrived:
            return False
        process.signal(signal.SIGKILL)
        await process.end()
        return moment.cut

    scene.telegram.watch = scene.slack.watch = watch
    await came.wait()
    await asyncio.sleep(moment.seconds)
    process.signal(signal.SIGKILL)
