"""Leases in Redis: the server's clock decides, so that no replica's own has to be right."""

from collections.abc import Sequence
from datetime import datetime

from bot.models import Lease
from bot.store.content import micros, moment
from bot.store.redis_server import RedisServer

# Repeated after a lost answer, it finds the lease taken by who asks, and gives it as it was.
_TAKE = """
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local ends = now + tonumber(a.micros)
local lease = k('lease', a.name)
local standing = redis.call('HMGET', lease, 'owner', 'until', 'before')
local owner, before = a.owner, standing[3] or ''
if standing[1] and standing[1] ~= a.owner then
  if tonumber(standing[2]) <= now then
    before = standing[1]
  elseif tonumber(standing[2]) <= ends then
    return standing
  else
    owner = standing[1]
  end
end
local till = string.format('%.0f', ends)
redis.call('HSET', lease, 'owner', owner, 'until', till, 'before', before)
redis.call('EXPIRE', lease, LEASES)
return {owner, till, before}
"""
_DROP = """
local lease = k('lease', a.name)
if redis.call('HGET', lease, 'owner') == a.owner then redis.call('DEL', lease) end
"""


class RedisLeases:
    """Leases over a RedisServer."""

    _server: RedisServer

    async def take_lease(self, name: str, owner: str, now: datetime, until: datetime) -> Lease:
        arguments = {"name": name, "owner": owner, "micros": str(micros(until) - micros(now))}
        return await self._server.run(_TAKE, arguments, _of)

    async def drop_lease(self, name: str, owner: str) -> None:
        await self._server.run(_DROP, {"name": name, "owner": owner}, bool)

    async def lease(self, name: str) -> Lease | None:
        [found] = await self._server.ask(("HMGET", self._server.key("lease", name), "owner", "until", "before"))
        return None if found[0] is None else _of(found)


def _of(found: Sequence[str]) -> Lease:
    owner, until, before = found
    return Lease(owner, moment(int(until)), before)
