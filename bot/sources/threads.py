"""Work of other people's libraries that blocks, in a thread that nobody has to wait for."""

import asyncio
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def in_daemon_thread(call: Callable[[], T], name: str, *, ended: Callable[[], None] | None = None) -> T:
    """Like asyncio.to_thread, but a call that hangs doesn't hold up the end of the process.

    A thread cannot be stopped: when its asker is gone it works on. `ended` is called in the loop when it really ends.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if ended:
            ended()
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # without an error there is a result

    def run() -> None:
        outcome: tuple[T | None, BaseException | None]
        try:
            outcome = call(), None
        except BaseException as error:  # noqa: BLE001  # handed to the asker, whatever it is
            traceback.clear_frames(error.__traceback__)  # what was worked on goes now, not when the error does
            outcome = None, error
        with suppress(RuntimeError):  # the loop may have ended meanwhile, and nobody waits any more
            loop.call_soon_threadsafe(settle, *outcome)

    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError:  # the machine gives us no more threads
        if ended:
            ended()
        raise
    return await future
