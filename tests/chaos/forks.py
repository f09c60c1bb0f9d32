"""Processes by the dozen: a server that has imported all of Paperboy forks one in some milliseconds.

`python -m tests.chaos.forks` is that server: it reads orders (`tests.chaos.child.Order`) from stdin, a JSON line each,
and says on stdout which process it made and how each ended. `Forks` is an experiment's end of it.
"""

import asyncio
import ctypes
import gc
import json
import os
import select
import signal
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PR_SET_PDEATHSIG = 1  # linux/prctl.h
START_SECONDS = 60.0  # to import everything, on a busy machine


@dataclass
class Process:
    """One that was forked. `code` is None while it lives, negative for the signal that ended it."""

    pid: int
    slot: int
    code: int | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def signal(self, number: signal.Signals) -> None:
        if self.code is None:
            with suppress(ProcessLookupError):  # it has just ended, and we have not heard of it yet
                os.kill(self.pid, number)

    async def dies(self) -> int:
        """`kill -9`."""
        self.signal(signal.SIGKILL)
        return await self.end()

    async def end(self, seconds: float = 60.0) -> int:
        """Its code, as soon as it has ended."""
        await asyncio.wait_for(self.ended.wait(), seconds)
        assert self.code is not None
        return self.code


class Forks:
    """The server, and the processes that it made."""

    def __init__(self, server: asyncio.subprocess.Process) -> None:
        self._server = server
        self._processes: dict[int, Process] = {}
        self._made: asyncio.Queue[Process] = asyncio.Queue()
        self._turn = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def opened(cls) -> "AsyncIterator[Forks]":
        server = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.chaos.forks",
            cwd=PROJECT,
            env={name: value for name, value in os.environ.items() if not name.startswith("PAPERBOY_")},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert server.stdin
        forks = cls(server)
        reading = asyncio.create_task(forks._read())
        try:
            await asyncio.wait_for(forks._made.get(), START_SECONDS)  # it says that it made process 0 when it is ready
            yield forks
        finally:
            server.stdin.close()
            await server.wait()
            await reading

    async def start(self, order: object, slot: int) -> Process:
        """`order` is a `tests.chaos.child.Order`."""
        assert self._server.stdin
        async with self._turn:
            self._server.stdin.write(json.dumps(asdict(order)).encode() + b"\n")  # type: ignore[call-overload]  # Order
            process = await asyncio.wait_for(self._made.get(), START_SECONDS)
            process.slot = slot
            return process

    async def _read(self) -> None:
        assert self._server.stdout
        async for line in self._server.stdout:
            word, pid, *rest = line.split()
            if word == b"made":
                self._processes[int(pid)] = process = Process(int(pid), -1)
                self._made.put_nowait(process)
            else:
                process = self._processes.pop(int(pid))
                process.code = int(rest[0])
                process.ended.set()


def serve() -> None:
    """The server's loop: orders in, deaths out. No thread and no event loop lives here, so that a fork is safe."""
    _import_everything()
    gc.collect()
    gc.freeze()  # a collection in a child would copy all of this memory
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    _say("made", 0)
    alive: set[int] = set()
    rest = b""
    while True:
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
        while alive and (ended := os.waitpid(-1, os.WNOHANG))[0]:
            alive.discard(ended[0])
            _say("ended", ended[0], os.waitstatus_to_exitcode(ended[1]))
        if 0 not in ready:
            continue
        if not (read := os.read(0, 1 << 16)):
            break
        *orders, rest = (rest + read).split(b"\n")
        for order in orders:
            pid = _fork(order)
            alive.add(pid)
            _say("made", pid)
    for pid in alive:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def _fork(order: bytes) -> int:
    if (pid := os.fork()) != 0:
        return pid
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        from tests.chaos import child

        ordered = child.Order.parse(json.loads(order))
        log = os.open(ordered.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        code = child.main(ordered)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001 - the edge of a process
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # whatever it was: never back into the server


def _import_everything() -> None:
    """What a process imports late, too, and what it reads once."""
    import slack_bolt.async_app
    import slack_sdk.web.async_client
    import telegram.ext

    import bot.app.chatting
    import bot.app.running
    import bot.channels.slack
    import bot.channels.telegram
    import bot.engine.on_docket
    import bot.store.redis
    import handlers.slack
    import handlers.telegram
    from bot import texts
    from tests.chaos import child

    del slack_bolt, slack_sdk, telegram, bot, handlers, child
    for language in texts.languages():
        texts.load(language)


if __name__ == "__main__":
    serve()
