"""The store on a Redis server: for any number of replicas, any of which may die at any moment.

Here are the small things; days are in `redis_days.py`, the ledger in `redis_ledger.py`, leases in `redis_leases.py`,
requests in `redis_requests.py`, how long each is kept in `kept.py`, and what all go through in `redis_server.py`.
"""

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime

from bot.interfaces import NoTelemetry, Telemetry
from bot.models import ArxivId, Finding, FullText, KeptText
from bot.store import kept
from bot.store.content import NANOS, from_json, micros, moment, most_nanos, nanos, to_json
from bot.store.redis_check import findings
from bot.store.redis_days import RedisDays
from bot.store.redis_dump import RedisDump
from bot.store.redis_leases import RedisLeases
from bot.store.redis_ledger import RedisLedger
from bot.store.redis_pacing import RedisPacing
from bot.store.redis_requests import RedisRequests
from bot.store.redis_server import NAMESPACE, RedisServer

# The script's own numbers are floats, exact up to nine million dollars a day; the sum itself is an integer.
_RESERVE = """
if told() then return 1 end
local spent = k('spend', a.day)
if tonumber(redis.call('GET', spent) or '0') + tonumber(a.nanos) > tonumber(a.limit) then return 0 end
tell()
redis.call('INCRBY', spent, a.nanos)
redis.call('EXPIRE', spent, SPENDING)
return 1
"""
_CORRECT = """
if told() then return 1 end
tell()
local spent = k('spend', a.day)
if redis.call('INCRBY', spent, a.nanos) < 0 then redis.call('SET', spent, 0) end
redis.call('EXPIRE', spent, SPENDING)
return 1
"""
_SWAP_NOTE = """
if told() then return 1 end
local note = k('note', a.key)
if (redis.call('GET', note) or nil) ~= a.standing then return 0 end
tell()
redis.call('SET', note, a.value, 'EX', NOTES)
return 1
"""


class RedisStore(RedisLedger, RedisLeases, RedisRequests, RedisDays, RedisDump):
    """Store on a Redis server."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: str,
        password: str | None = None,
        namespace: str = NAMESPACE,
        telemetry: Telemetry = NoTelemetry(),
    ) -> "AsyncIterator[RedisStore]":
        """Connects for the time of the context. Raises SettingsError for a URL that is none, StoreError."""
        async with RedisServer.open(url, password, namespace, telemetry) as server:
            yield cls(server)

    @property
    def pacing(self) -> RedisPacing:
        """The limits of what is sent, counted on the same server."""
        return RedisPacing(self._server)

    async def ping(self) -> None:
        # A real write: a full memory or a replica shows here before it costs a report.
        await self._server.put(("SET", f"{self._server.prefix}ping", 1, "EX", kept.PING))

    async def check(self) -> Sequence[Finding]:
        return await findings(self._server)

    async def prune(self) -> None:
        """Keys end by themselves."""

    async def full_text(self, arxiv_id: ArxivId) -> KeptText | None:
        [found] = await self._server.ask(("HGETALL", self._server.key("text", arxiv_id.id)))
        versions = [int(field) for field in found if field.isdecimal() and arxiv_id.version in (None, int(field))]
        if not versions:
            return None
        fetched_at, version = max((int(found[f"{version}:at"]), version) for version in versions)
        return KeptText(from_json(FullText, found[str(version)]), moment(fetched_at))

    async def keep_full_text(self, full_text: FullText, fetched_at: datetime) -> None:
        key, version = self._server.key("text", full_text.arxiv_id.id), full_text.arxiv_id.version or 0
        content = to_json(FullText, full_text)
        await self._server.put(
            ("HSET", key, version, content, f"{version}:at", micros(fetched_at)), ("EXPIRE", key, kept.TEXTS)
        )

    async def analysis(self, key: str) -> str | None:
        [content] = await self._server.ask(("GET", self._server.key("analysis", key)))
        return None if content is None else str(content)

    async def keep_analysis(self, key: str, content: str) -> None:
        await self._server.put(("SET", self._server.key("analysis", key), content, "EX", kept.ANALYSES))

    async def reserve_spend(self, day: date, usd: float, limit: float) -> bool:
        if not math.isfinite(usd):
            return False
        arguments = {"day": day.isoformat(), "nanos": str(nanos(usd)), "limit": str(most_nanos(limit))}
        return await self._server.once(_RESERVE, arguments)

    async def settle_spend(self, day: date, difference: float) -> None:
        await self._server.once(_CORRECT, {"day": day.isoformat(), "nanos": str(nanos(difference))})

    async def spent(self, day: date) -> float:
        [found] = await self._server.ask(("GET", self._server.key("spend", day.isoformat())))
        return int(found or 0) / NANOS

    async def note(self, key: str) -> str | None:
        [value] = await self._server.ask(("GET", self._server.key("note", key)))
        return None if value is None else str(value)

    async def keep_note(self, key: str, value: str) -> None:
        await self._server.put(("SET", self._server.key("note", key), value, "EX", kept.NOTES))

    async def swap_note(self, key: str, standing: str | None, value: str) -> bool:
        return await self._server.once(_SWAP_NOTE, {"key": key, "standing": standing, "value": value})
