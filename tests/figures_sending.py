"""The figures of sending: a report of four parts to two hundred channels, at the platforms' limits, and answers beside.

What the limits dictate: on Telegram a thirtieth of a second for each message and edit (30 a second over all chats); on
Slack one message a second in a channel, and so three seconds from the first of four to the last. That short bursts pass
is in neither.
"""

import asyncio
import dataclasses
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from tests import redis_standin, stores
from tests.sending_child import CHOSEN, Task
from tests.slack_standin import SlackStandIn
from tests.telegram_limits import ALL_MOST, ALL_SECONDS, Flood
from tests.telegram_standin import GROUP, Chat, TelegramStandIn

Say = Callable[[str, object, str], None]

CHANNELS, PRIVATE, BROADCAST = 200, 80, 40  # the rest are groups
ASKED = 12  # chats that get answers and no report
PARTS = CHOSEN + 1
SLACK_SECONDS = 1.0
SECONDS = 120.0  # no run takes longer


def chats() -> list[Chat]:
    """Private ones, channels and groups, as they come."""
    private = [Chat(7_000 + number, "private", title=f"User {number}") for number in range(PRIVATE)]
    broadcast = [Chat(GROUP - 1_000 - number, "channel", title=f"News {number}") for number in range(BROADCAST)]
    groups = [Chat(GROUP - number, title=f"Group {number}") for number in range(CHANNELS - PRIVATE - BROADCAST)]
    return [*private, *broadcast, *groups]


async def of_sending(say: Say) -> None:
    say("load of the machine before, 1, 5 and 15 minutes", " ".join(f"{each:.2f}" for each in os.getloadavg()), "")
    for replicas in (1, 2):
        await on_telegram(say, replicas)
    for replicas in (1, 2):
        await on_slack(say, replicas)


async def on_telegram(say: Say, replicas: int) -> None:
    asked = [Chat(6_000 + number, "private", title=f"Asker {number}") for number in range(ASKED)]
    flood = Flood()
    async with TelegramStandIn(chats=[*chats(), *asked], flood=flood) as telegram:
        task = Task("", "telegram", telegram.url, telegram.token, [str(chat.id) for chat in chats()], _ids(asked))
        name, measured = await sent(task, replicas)
        dictated = (telegram.sends - flood.refused) * ALL_SECONDS / ALL_MOST
        said(say, f"Telegram, {name}", measured, dictated)
        say("  messages and edits, of them refused with 429", f"{telegram.sends}, {flood.refused}", "0 refused")


def _ids(chats: Sequence[Chat]) -> list[str]:
    return [str(chat.id) for chat in chats]


async def on_slack(say: Say, replicas: int) -> None:
    targets, asked = [f"C0N{number}" for number in range(CHANNELS)], [f"C0A{number}" for number in range(ASKED)]
    async with SlackStandIn(channels={id_: id_.lower() for id_ in [*targets, *asked]}, flood=True) as slack:
        task = Task("", "slack", slack.api_url, slack.token, targets, asked)
        name, measured = await sent(task, replicas)
        said(say, f"Slack, {name}", measured, (PARTS - 1) * SLACK_SECONDS)
        refused = slack.refusals.count("ratelimited")
        say("  messages, of them refused with 429", f"{len(slack.calls('chat.postMessage'))}, {refused}", "0 refused")


def said(say: Say, name: str, measured: Sequence[dict[str, Any]], dictated: float) -> None:
    took = max(one["took"] for one in measured)
    states = {state for one in measured for state in one["states"]}
    delivered = sum(one["states"].get("sent", 0) for one in measured)
    say(f"{name}: {PARTS} parts to {CHANNELS} channels", f"{took:.2f} s", f"<= {1.1 * dictated:.2f} s")
    say("  what the limits dictate, ratio", f"{dictated:.2f} s, {took / dictated:.3f}", "<= 1.1")
    say("  channels that have the whole report", f"{delivered} {states}", f"{CHANNELS}")
    for where, key in (("other chats", "answers"), ("a chat that gets the report, too", "own")):
        if seconds := [each for one in measured for each in one[key]]:
            say(f"  {len(seconds)} answers meanwhile in {where}, p50 / p95 / max", spread(seconds), "p95 <= 1 s")


def spread(seconds: Sequence[float]) -> str:
    p95 = quantiles(seconds, n=20)[-1] if len(seconds) > 1 else seconds[0]
    return f"{1000 * median(seconds):.0f} / {1000 * p95:.0f} / {1000 * max(seconds):.0f} ms"


async def sent(task: Task, replicas: int) -> tuple[str, list[dict[str, Any]]]:
    """What each replica measured; each has its share of the channels."""
    with a_place(replicas) as place:
        shares = [
            dataclasses.replace(task, place=place, targets=task.targets[number::replicas]) for number in range(replicas)
        ]
        children = [await _started(share) for share in shares]
        try:
            async with asyncio.timeout(SECONDS):
                measured = await asyncio.gather(*(_measured(child) for child in await _ready(children)))
        finally:
            for child in children:
                if child.returncode is None:
                    child.kill()
                await child.wait()
    return ("one process on SQLite" if replicas == 1 else f"{replicas} processes on one Redis"), measured


@contextmanager
def a_place(replicas: int) -> Iterator[str]:
    if replicas == 1:
        with tempfile.TemporaryDirectory() as folder:
            yield stores.in_sqlite(Path(folder))
    else:
        with redis_standin.running() as server:
            yield stores.on_redis(server.url)


async def _started(task: Task) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    arguments = [sys.executable, "-m", "tests.sending_child", json.dumps(dataclasses.asdict(task))]
    return await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe)


async def _ready(children: Sequence[asyncio.subprocess.Process]) -> Sequence[asyncio.subprocess.Process]:
    for child in children:
        assert child.stdout
        assert await child.stdout.readline() == b"ready\n"
    return children


async def _measured(child: asyncio.subprocess.Process) -> dict[str, Any]:
    out, _ = await child.communicate(b"go\n")
    measured: dict[str, Any] = json.loads(out)
    return measured
