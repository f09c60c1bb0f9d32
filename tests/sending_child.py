"""A replica that sends: `python -m tests.sending_child JSON` brings a planned report to its channels, and answers.

It prints a line when it is ready, begins at a line of its input, and ends with a JSON object of what it measured.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from functools import cache

from bot import delivery, texts
from bot.app.stores import pacing_with
from bot.channels.pace import Gate
from bot.channels.slack import SlackChannel, slack_client
from bot.channels.telegram import ALL, TelegramChannel, telegram_bot
from bot.clock import SystemClock
from bot.interfaces import Channel, Store
from bot.models import Address, PlatformName
from bot.report import compose
from tests import stores
from tests.fakes import a_report, a_request

CHOSEN = 3  # deep dives: with the digest, four parts


@dataclass(frozen=True)
class Task:
    """`asked` are the chats that get an answer now and then, `every` so many seconds, while reports go out."""

    place: str
    platform: str
    url: str
    token: str
    targets: list[str]
    asked: list[str]
    every: float = 0.5


@dataclass
class Measured:
    """Seconds: all reports, and from each question to its answer. `states` are those of the deliveries."""

    took: float = 0.0
    answers: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    states: dict[str, int] = field(default_factory=dict)


@dataclass
class Sending:
    task: Task
    store: Store
    courier: delivery.Courier
    measured: Measured = field(default_factory=Measured)

    async def plan(self) -> list[str]:
        report = a_report(count=8, chosen=CHOSEN)
        documents = compose.report(report, texts.load("zh"))
        keys = []
        for target in self.task.targets:
            channel = self.courier.channels(Address(PlatformName(self.task.platform), target))
            parts = delivery.plan(report.key, channel, documents, name=target, now=self.courier.clock.now())
            await self.store.plan(report.key, parts)
            keys.append(parts[0].delivery)
        return keys

    async def run(self, keys: list[str]) -> None:
        started = time.monotonic()
        asking = asyncio.create_task(self._ask())
        done = await asyncio.gather(*(delivery.deliver(key, self.courier) for key in keys))
        self.measured.took = time.monotonic() - started
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        for one in done:
            self.measured.states[one.state] = self.measured.states.get(one.state, 0) + 1

    async def _ask(self) -> None:
        """In chats of their own, and every fourth time in one that gets a report, too."""
        number = 0
        async with asyncio.TaskGroup() as answering:
            while True:
                await asyncio.sleep(self.task.every)
                number += 1
                to_reports = number % 4 == 0
                targets = self.task.targets if to_reports else self.task.asked
                answering.create_task(self._answer(targets[number * 7 % len(targets)], number, to_reports=to_reports))

    async def _answer(self, target: str, number: int, *, to_reports: bool) -> None:
        address = Address(PlatformName(self.task.platform), target)
        request = a_request(key=f"{self.task.platform}:{target}/{number}", address=address, reply_to="")
        key, channel = delivery.answer_key(request), self.courier.channels(address)
        started = time.monotonic()
        messages = channel.render([compose.line(f"Answer {number}", texts.load("en"))])
        await self.store.plan(None, delivery.plan_messages(key, channel, messages, request, self.courier.clock.now()))
        await delivery.deliver(key, self.courier)
        (self.measured.own if to_reports else self.measured.answers).append(time.monotonic() - started)


@asynccontextmanager
async def channels_of(task: Task, store: Store) -> AsyncIterator[Callable[[Address], Channel]]:
    clock = SystemClock()
    pacing = pacing_with(store, clock)
    if task.platform == "slack":
        async with slack_client(task.token, task.url) as client:
            gate = Gate(pacing, clock)
            yield cache(lambda address: SlackChannel(address, client, gate))
        return
    bot, gate = telegram_bot(task.token, task.url), Gate(pacing, clock, ALL)
    yield cache(lambda address: TelegramChannel(address, bot, gate))
    await bot.request.shutdown()


async def nobody(trouble: delivery.Trouble) -> None:
    print(trouble, file=sys.stderr)


async def main(task: Task) -> None:
    async with stores.opened(task.place) as store, channels_of(task, store) as channels:
        sending = Sending(task, store, delivery.Courier(store, channels, SystemClock(), nobody))
        keys = await sending.plan()
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        await sending.run(keys)
        print(json.dumps(asdict(sending.measured)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(Task(**json.loads(sys.argv[1]))))
