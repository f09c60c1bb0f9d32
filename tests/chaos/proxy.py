"""A bad line: a proxy on loopback that drops, delays or cuts what goes through it, at random for each exchange.

An exchange is what a client says until the server has begun to answer: that is how HTTP and Redis talk.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from urllib.parse import urlsplit

DROP = "dropped before it arrived"
DELAY = "answered too late"
CUT = "cut after it was written"
KINDS = (DROP, DELAY, CUT)
CHUNK = 1 << 16


@dataclass
class Proxy:
    """Before the server at `url`. `share` of the exchanges break while it is `bad`; `delay` is in real seconds.

    `played` counts the faults, `held` is how many answers are being delayed now.
    """

    url: str
    random: Random
    share: float
    delay: float
    bad: bool = True
    held: int = 0
    played: Counter[str] = field(default_factory=Counter)
    _ends: set[asyncio.StreamWriter] = field(default_factory=set)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Its own address, as `url` has it."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        at = urlsplit(self.url)
        try:
            yield at._replace(netloc=f"127.0.0.1:{server.sockets[0].getsockname()[1]}").geturl()
        finally:
            server.close()
            for end in self._ends:
                end.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at = urlsplit(self.url)
        try:
            back, forth = await asyncio.open_connection(at.hostname, at.port)
        except OSError:
            writer.transport.abort()
            return
        line = _Line(self, reader, writer, back, forth)
        self._ends |= {writer, forth}
        both = [asyncio.create_task(line.there()), asyncio.create_task(line.back())]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            for end in (writer, forth):
                end.transport.abort()
                self._ends.discard(end)

    def fate(self) -> str:
        """Of an exchange that begins."""
        if not self.bad or self.random.random() >= self.share:
            return ""
        return self.random.choice(KINDS)


@dataclass
class _Line:
    """One connection, both ways."""

    proxy: Proxy
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server: asyncio.StreamReader
    to_server: asyncio.StreamWriter
    fate: str = ""
    begins: bool = True

    async def there(self) -> None:
        with suppress(ConnectionError):
            while data := await self.reader.read(CHUNK):
                if self.begins:
                    self.begins, self.fate = False, self.proxy.fate()
                if self.fate == DROP:
                    self.proxy.played[DROP] += 1
                    return
                self.to_server.write(data)
                await self.to_server.drain()

    async def back(self) -> None:
        with suppress(ConnectionError):
            while data := await self.server.read(CHUNK):
                fate, self.fate, self.begins = self.fate, "", True
                if fate == CUT:
                    self.proxy.played[CUT] += 1
                    return
                if fate == DELAY:
                    await self._delay()
                self.writer.write(data)
                await self.writer.drain()

    async def _delay(self) -> None:
        """Ends with the connection, if who waits gives up."""
        self.proxy.played[DELAY] += 1
        self.proxy.held += 1
        try:
            await asyncio.sleep(self.proxy.delay)
        finally:
            self.proxy.held -= 1
