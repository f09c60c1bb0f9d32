"""A real Redis server on loopback, with what operators and accidents do to one: stopped, killed, full, cut off."""

import asyncio
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

# By its path: packages of Python bring servers of their own, older ones, and put them first.
PROGRAM = Path("/usr/bin/redis-server")
INSTALLED = PROGRAM.exists()
START_SECONDS = 10.0
KEEPING = ("--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction", "--save", "")

_numbers = count()


def namespace() -> str:
    """One that no other test uses on the same server."""
    return f"test{next(_numbers)}"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class RedisProcess:
    """A server with a folder of its own; killed and started again, it is the same one."""

    def __init__(self, folder: Path, *options: str, keeping: Sequence[str] = KEEPING) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._command = [
            str(PROGRAM),
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(folder),
            *keeping,
            *options,
        ]

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + START_SECONDS
        while not self._answers():
            assert time.monotonic() < end, "the Redis server did not start"
            assert self.process.poll() is None, "the Redis server ended at once"
            time.sleep(0.01)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(100).startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


@contextmanager
def running(*options: str, keeping: Sequence[str] = KEEPING) -> Iterator[RedisProcess]:
    """A started server, ended with the context."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        server = RedisProcess(Path(folder), *options, keeping=keeping)
        server.start()
        try:
            yield server
        finally:
            server.kill()


class Proxy:
    """Stands before a server. `lose` replies to scripts: each arrives and is done, and the connection is cut before it
    is answered. `every`: each so-manieth of them, always. `held`: no reply comes through.
    """

    def __init__(self, url: str) -> None:
        self._server = urlsplit(url)
        self.lose = 0
        self.every = 0
        self.asked = 0
        self.lost = 0
        self.held = False
        self._writers: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def running(self) -> "AsyncIterator[str]":
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"
        finally:
            server.close()
            for writer in self._writers:
                writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection(self._server.hostname, self._server.port)
        self._writers |= {writer, forth}
        doomed = asyncio.Event()
        there = asyncio.create_task(self._pass(reader, forth, doomed))
        try:
            while (answer := await back.read(1 << 16)) and not doomed.is_set():
                if not self.held:
                    writer.write(answer)
        except ConnectionError:
            pass
        finally:
            there.cancel()
            for end in (writer, forth):
                end.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: asyncio.Event) -> None:
        while data := await reader.read(1 << 16):
            if b"EVALSHA" in data and self._is_lost():
                doomed.set()
            writer.write(data)
        writer.transport.abort()

    def _is_lost(self) -> bool:
        self.asked += 1
        lost = self.lose > 0 or (self.every > 0 and self.asked % self.every == 0)
        self.lose -= self.lose > 0
        self.lost += lost
        return lost
