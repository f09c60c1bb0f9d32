"""The Redis server under the store: connections, scripts, and errors in our words.

Every intent is one Lua script or one transaction, which the server runs alone. Where a reply is lost, redis-py sends
the command again, so whatever must not happen twice carries a token: `told` knows the token of what was done.

Keys begin with a namespace and hold no {hash tag}: the scripts reach from index to entry, so that a cluster would put
all of them into one slot, on one node. One server is enough for what one team reads; `check` refuses a cluster.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import chain
from typing import Any, TypeVar
from uuid import uuid4

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff

from bot.errors import StoreError
from bot.interfaces import NoTelemetry, Telemetry
from bot.store import kept
from bot.store.redis_url import password_in, place, wrong_url

T = TypeVar("T")
Arguments = Mapping[str, object]

NAMESPACE = "paperboy"
LAYOUT = 1  # of keys and values; a Paperboy refuses one that it does not know

CONNECT_SECONDS = 1.5
REPLY_SECONDS = 2.0  # a server that writes to a slow disk for each command may take its time
TRIES = 3  # of a command, the first among them
PAUSE_SECONDS = 0.05  # before the second try, twice as long before the third
OPERATION_SECONDS = 8.0  # all tries together: less than a lease, so that who waits can still do something else
CONNECTIONS = 16  # more commands at once wait for one another
BATCH = 50  # entries that are asked for at once: some megabytes at most

_PRELUDE = f"""
local ns = KEYS[1]
local a = cjson.decode(ARGV[1])
local LISTS, PAPERS, REPORTS, CHOSEN = {kept.LISTS}, {kept.PAPERS}, {kept.REPORTS}, {kept.CHOSEN}
local LEDGER, REQUESTS, TEXTS, ANALYSES = {kept.LEDGER}, {kept.REQUESTS}, {kept.TEXTS}, {kept.ANALYSES}
local SPENDING, LEASES, NOTES = {kept.SPENDING}, {kept.LEASES}, {kept.NOTES}
local function k(kind, name) return ns .. kind .. ':' .. name end
local function told() return redis.call('EXISTS', k('once', a.token)) == 1 end
-- Comes before all other changes: where memory is out, it is refused, and nothing was changed.
local function tell() redis.call('SET', k('once', a.token), 1, 'EX', {kept.ONCE}) end
-- Adds to an index that ends with the last of its entries; of its first ones, those that have ended meanwhile leave it.
local function enter(index, score, member, seconds, key_of)
  redis.call('ZADD', index, 'GT', score, member)
  redis.call('EXPIRE', index, seconds)
  for _, first in ipairs(redis.call('ZRANGE', index, 0, 7)) do
    if redis.call('EXISTS', key_of(first)) == 0 then redis.call('ZREM', index, first) end
  end
end
"""

_FULL = ("is full: give it more memory (maxmemory)", True)
_REPLICA = ("is a replica that takes no writes: name the primary in store.url", True)
_REFUSES = ("refuses the user or the password: check store.url and store.password", False)
_FORBIDS = (
    "does not allow its user what Paperboy needs: all commands on the keys and channels paperboy:* and paperboy-jobs:*",
    False,
)
_LOADS = ("is still loading its data", True)
_CLUSTER = ("is a cluster: name a server that is none", False)
_GONE = ("cannot be reached: does it run, and is store.url right?", True)
_SILENT = ("does not answer in time", True)
_UNEXPECTED = ("gave an unexpected error", False)
# What happened, and may it work later. By a word of Redis's error first: those of scripts have no class of their own.
_BY_WORD: Mapping[str, tuple[str, bool]] = {
    "OOM ": _FULL,
    "READONLY": _REPLICA,
    "NOAUTH": ("asks for a password: set store.password", False),
    "Authentication required": ("asks for a password: set store.password", False),
    "without any password configured": ("has no password: take the one that is set out", False),
    "NOPERM": _FORBIDS,
    "MISCONF": ("cannot save to its disk: see the server's log", True),
    "LOADING": _LOADS,
    "BUSY ": ("is busy with somebody's script", True),
    "NOREPLICAS": ("has too few replicas to take writes (min-replicas-to-write)", True),
    "MOVED ": _CLUSTER,
    "CERTIFICATE_VERIFY_FAILED": (
        "is not trusted: name who signed its certificate, rediss://…?ssl_ca_certs=FILE",
        False,
    ),
    "DB index is out of range": ("has no database of that number: check store.url", False),
}
_BY_CLASS: Mapping[type[Exception], tuple[str, bool]] = {
    exceptions.OutOfMemoryError: _FULL,
    exceptions.ReadOnlyError: _REPLICA,
    exceptions.NoPermissionError: _FORBIDS,
    exceptions.AuthenticationError: _REFUSES,
    exceptions.BusyLoadingError: _LOADS,
    exceptions.MasterDownError: ("is a replica that has lost its primary", True),
    exceptions.MovedError: _CLUSTER,
    exceptions.ClusterDownError: _CLUSTER,
    exceptions.ClusterCrossSlotError: _CLUSTER,
    exceptions.TimeoutError: _SILENT,
    TimeoutError: _SILENT,
    exceptions.ConnectionError: _GONE,
    OSError: _GONE,
}


class RedisServer:
    """A connected server, and a namespace on it."""

    def __init__(self, client: "Redis", place: str, namespace: str, telemetry: Telemetry = NoTelemetry()) -> None:
        self.place = place
        self._telemetry = telemetry
        self.prefix = f"{namespace}:"
        self._client = client

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str,
        password: str | None = None,
        namespace: str = NAMESPACE,
        telemetry: Telemetry = NoTelemetry(),
    ) -> "AsyncIterator[RedisServer]":
        """Connects, for the time of the context. Raises SettingsError for a URL that is none, StoreError."""
        pool = _pool(url, password)
        client = Redis(connection_pool=pool)
        server = cls(client, place(url), namespace, telemetry)
        try:
            await server.run(_TAKE, {"layout": LAYOUT}, _known)
            yield server
        finally:
            await client.aclose()
            await pool.aclose()

    def key(self, kind: str, name: str) -> str:
        return f"{self.prefix}{kind}:{name}"

    async def run(self, script: str, arguments: Arguments, read: Callable[[Any], T], *raw: bytes | str) -> T:
        """Runs a script with `a` (None is left out) and `raw` as ARGV[2] and on; `read` makes sense of its answer."""
        given = json.dumps({key: value for key, value in arguments.items() if value is not None}, ensure_ascii=False)
        with self._in_our_words():
            async with _operation():
                found = await self._client.register_script(_PRELUDE + script)([self.prefix], [given, *raw])
        return read(found)

    async def once(self, script: str, arguments: Arguments) -> bool:
        """Runs a script that must not do its work twice: it asks `told` first, and says `tell` before it changes."""
        return await self.run(script, {**arguments, "token": uuid4().hex}, bool)

    async def ask(self, *commands: Sequence[str | bytes | int]) -> list[Any]:
        """The answers to commands that are sent together, each by itself; they may be repeated at will."""
        return await self._pipeline(commands, transaction=False)

    async def put(self, *commands: Sequence[str | bytes | int]) -> None:
        """Runs commands that may be repeated at will as one transaction."""
        await self._pipeline(commands, transaction=True)

    async def all_keys(self) -> AsyncIterator[str]:
        """Every key of the namespace, behind its prefix; some may come twice."""
        pattern, cursor = self.prefix.replace("[", "\\[") + "*", 0
        while True:
            [[position, found]] = await self.ask(("SCAN", cursor, "MATCH", pattern, "COUNT", 1000))
            for key in found:
                yield key.removeprefix(self.prefix)
            if not (cursor := int(position)):
                return

    async def info(self) -> Mapping[str, Any]:
        with self._in_our_words():
            async with _operation():
                return dict(await self._client.info())

    async def setting(self, name: str) -> str | None:
        """One of the server's own settings, None where it does not tell."""
        with self._in_our_words():
            async with _operation():
                try:
                    return dict(await self._client.config_get(name)).get(name)
                except exceptions.ResponseError:  # renamed, or forbidden: managed servers do both
                    return None

    async def _pipeline(self, commands: Sequence[Sequence[str | bytes | int]], *, transaction: bool) -> list[Any]:
        with self._in_our_words():
            async with _operation(), self._client.pipeline(transaction=transaction) as pipeline:
                return await _queued(pipeline, commands).execute()

    @contextmanager
    def _in_our_words(self) -> Iterator[None]:
        """Turns Redis's errors into StoreError: the server's place, never its password or what was kept."""
        try:
            yield
        except (exceptions.RedisError, OSError) as error:  # TimeoutError is an OSError
            self._telemetry.count("store_errors", store="redis")
            raise _named(self.place, error) from error


@asynccontextmanager
async def _operation() -> AsyncIterator[None]:
    """Bounds all tries of a command, and ends cancelled where it was cancelled: redis-py sends within
    `asyncio.wait_for`, which before Python 3.12 forgets a cancellation that comes as the sending ends.

    https://github.com/python/cpython/issues/86296
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    async with asyncio.timeout(OPERATION_SECONDS):
        yield
    if task and task.cancelling() > before:
        raise asyncio.CancelledError


def _queued(pipeline: "Pipeline", commands: Sequence[Sequence[str | bytes | int]]) -> "Pipeline":
    for command in commands:
        pipeline.execute_command(*command)
    return pipeline


_TAKE = """
local standing = redis.call('GET', ns .. 'version')
if not standing then redis.call('SET', ns .. 'version', a.layout) end
return tonumber(standing or a.layout)
"""


def _known(layout: int) -> None:
    if layout > LAYOUT:
        raise StoreError(
            f"the store was written by a newer Paperboy (layout {layout}, this one knows {LAYOUT}); upgrade",
            retryable=False,
        )


def _pool(url: str, password: str | None) -> BlockingConnectionPool:
    given = {} if password is None or password_in(url) else {"password": password}
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=OPERATION_SECONDS,
            decode_responses=True,
            protocol=2,  # replies of one shape, whatever the server
            socket_timeout=REPLY_SECONDS,
            socket_connect_timeout=CONNECT_SECONDS,
            retry=Retry(ExponentialBackoff(cap=1.0, base=PAUSE_SECONDS), TRIES - 1),
            **given,
        )
        pool.connection_class(**pool.connection_kwargs)  # connects to nothing: it knows the options, or says so
    except (ValueError, TypeError):
        raise wrong_url() from None
    return pool


def _named(place: str, error: Exception) -> StoreError:
    text = f"{error} "
    by_word = (trouble for word, trouble in _BY_WORD.items() if word in text)
    by_class = (trouble for kind, trouble in _BY_CLASS.items() if isinstance(error, kind))
    what, retryable = next(chain(by_word, by_class), _UNEXPECTED)
    return StoreError(f"the store {place} {what}", retryable=retryable)
