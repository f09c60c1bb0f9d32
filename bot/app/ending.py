"""How a process ends when it is told to: in good order, and surely in time."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

from bot import engine, leading, tracing
from bot.llm import client
from bot.web import server

T = TypeVar("T")

ENDING = (signal.SIGTERM, signal.SIGINT)
RUN_ENDS_SECONDS = (
    leading.DROP_SECONDS
    + engine.GRACE_SECONDS
    + engine.CUT_SECONDS
    + engine.CLOSE_SECONDS
    + server.CLOSE_SECONDS
    + client.CLOSE_SECONDS
    + tracing.FLUSH_SECONDS
)
"""What `run` takes to end when everything hangs: its store, its jobs, its readers, its model and what it traced, one
after another. Below the 10 s after which Docker kills what it has told to stop
(https://docs.docker.com/reference/cli/docker/container/stop/).
"""


class EndedError(Exception):
    """The command was told to end before it was done; `number` is the signal's."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(f"ended by {number.name}")
        self.number = number


async def until_ended(command: Coroutine[Any, Any, T]) -> T:
    """What `command` returns. The first SIGTERM or SIGINT cancels it: a send in flight is finished and recorded.

    A second signal does what it does by default: it ends the process at once. Raises EndedError when the command was
    cut short, and whatever the command raises. Needs the main thread.
    """
    loop, task, told = asyncio.get_running_loop(), asyncio.ensure_future(command), []

    def end(number: signal.Signals) -> None:
        told.append(number)
        _listen_no_more(loop)
        task.cancel()

    for number in ENDING:
        loop.add_signal_handler(number, end, number)
    try:
        return await task
    except asyncio.CancelledError:
        if told:
            raise EndedError(told[0]) from None
        raise
    finally:
        _listen_no_more(loop)


def _listen_no_more(loop: asyncio.AbstractEventLoop) -> None:
    for number in ENDING:
        loop.remove_signal_handler(number)
