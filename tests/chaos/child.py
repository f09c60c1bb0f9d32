"""What runs in a process that an experiment starts: Paperboy with a scripted model, on the experiment's clock.

`python -m tests.chaos.child ORDER.json` runs one by itself; `tests.chaos.forks` forks them from a process that has
imported everything, which takes a tenth of the time.
"""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import config
from bot import logs
from bot.app import App, Parts, jobs, opened, posting, wiring
from bot.app.running import run, work
from bot.app.watching import watched_by_the_operator
from bot.app.wiring import secrets
from bot.channels.slack.channel import SlackChannel
from bot.channels.telegram.channel import TelegramChannel
from bot.daily import Job
from bot.pacing import LocalPacing
from bot.schedule import default_day
from bot.store.redis import RedisStore
from bot.store.sqlite import SqliteStore
from tests.chaos import inside
from tests.chaos.clock import SharedClock
from tests.chaos.llm import ScriptedLLM

ASKED = signal.SIGUSR1  # says what it does
OWN_PACE = "CHAOS_OWN_PACE"  # a variable: limits are counted on the experiment's clock; Redis counts on its own
STEPS = (
    "keep_list",
    "keep_ranking",
    "keep_report",
    "keep_analysis",
    "plan",
    "claim",
    "recover",
    "record",
    "admit",
    "close_request",
)
"""What a process does to its store, before and after which it may be told to die."""


QUEUE_LEASE_SECONDS = 1.5  # 30 in earnest; the lease of a part, and all other time, passes on the experiment's clock


@dataclass(frozen=True)
class Death:
    """SIGKILL, or another `signal`, at the `number`th of the STEPS called `step` ("": any), before it, or `seconds`
    (real) after it. `step` may also be any other method of a store, or "write": a channel's send, whose owner has
    looked at its lease. `alone`: of several processes with this order only the first one gets it (`Stopped`).
    """

    step: str = ""
    number: int = 1
    before: bool = True
    seconds: float = 0.0
    signal: int = signal.SIGKILL
    alone: bool = False


@dataclass(frozen=True)
class Order:
    """What a process is to be: `command` is one of COMMANDS; `variables` are its environment. Where its model is not
    `scripted`, it is that of the settings, over HTTP.

    `queue_lease` is in real seconds: docket keeps to the clock of the Redis server, which no experiment moves.
    """

    command: str
    folder: str
    slot: int
    variables: Mapping[str, str] = field(default_factory=dict)
    death: Death | None = None
    log: str = ""
    scripted: bool = True
    queue_lease: float = QUEUE_LEASE_SECONDS

    @classmethod
    def parse(cls, order: Mapping[str, Any]) -> "Order":
        death = order.get("death")
        return cls(**{**order, "death": Death(**death) if death else None})


async def _report(app: App) -> None:
    """`paperboy report`: one day's job now."""
    async with posting(app, sys.stderr) as daily:
        day = default_day(app.clock.now(), app.settings.report.list_day)
        await daily.run(Job(day, app.plans))


COMMANDS: Mapping[str, Callable[[App], Awaitable[None]]] = {
    "run": run,
    "worker": work,
    "report": _report,
}


def main(order: Order) -> int:
    """Runs it to its end, as `bot.terminal` does."""
    os.environ.update(order.variables)
    folder = Path(order.folder)
    loaded = config.load(folder / "config.toml")
    logs.start(logging.INFO, secrets(loaded.settings))
    clock = SharedClock(folder / "clock", order.slot)
    if os.environ.get(OWN_PACE):
        wiring.pacing_with = lambda store, clock: LocalPacing(clock)  # type: ignore[attr-defined]  # as for `terms` below
    if order.death:
        _die_at(order.death, folder)
    terms = jobs.terms
    jobs.terms = lambda settings: replace(terms(settings), lease=order.queue_lease)  # no setting: nobody else needs it

    async def whole() -> None:
        asyncio.get_running_loop().add_signal_handler(ASKED, _tell_what_runs)
        inside.tell_when_asked(folder)
        async with watched_by_the_operator() as telemetry:
            llm = ScriptedLLM(folder, clock) if order.scripted else None
            parts = Parts(llm=llm, clock=clock, telemetry=telemetry)
            async with opened(loaded, parts) as app:
                await COMMANDS[order.command](app)

    with asyncio.Runner(loop_factory=clock.watched_loop) as runner:
        runner.run(whole())
    return 0


def _tell_what_runs() -> None:
    """Into the log: where every task stands."""
    for task in asyncio.all_tasks():
        task.print_stack(limit=3)


MARK = "signalled"  # the file that holds the ID of the process whose death was `alone`


def _die_at(death: Death, folder: Path) -> None:
    """Wraps the store's methods of this process: nothing but the process itself knows the very moment."""
    passed = [0]

    def now() -> None:
        if death.alone and not _is_first(folder / MARK):
            return
        os.kill(os.getpid(), death.signal)

    def around(real: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def stepped(*args: Any, **kwargs: Any) -> Any:
            passed[0] += 1
            if passed[0] != death.number:
                return await real(*args, **kwargs)
            if death.before:
                now()
            result = await real(*args, **kwargs)
            if not death.seconds:
                now()
            asyncio.get_running_loop().call_later(death.seconds, now)
            return result

        return stepped

    for owner, name in _places(death.step):
        setattr(owner, name, around(getattr(owner, name)))


def _places(step: str) -> Sequence[tuple[type, str]]:
    if step == "write":
        return [(SlackChannel, "send"), (TelegramChannel, "send")]
    return [(store, name) for store in (SqliteStore, RedisStore) for name in ([step] if step else STEPS)]


def _is_first(mark: Path) -> bool:
    """Did no other process come here before us?"""
    mine = mark.with_name(f"{MARK}.{os.getpid()}")
    mine.write_text(str(os.getpid()))
    try:
        os.link(mine, mark)
    except FileExistsError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(Order.parse(json.loads(Path(sys.argv[1]).read_text()))))
