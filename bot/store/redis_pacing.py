"""The places of a platform's limits on the Redis server: all replicas of a bot count together, by the server's clock.

One script a message. Where its answer is lost it may run again, and a place goes unused: a message is a moment later
for it (a thirtieth of a second of what all chats share), and none is too many. Every key ends by itself.
"""

from collections.abc import Sequence
from typing import Any

from bot.interfaces import LONGEST_PAUSE, Booking, Pace, Window
from bot.store.redis_server import RedisServer

_MICROS = 1_000_000
_SANE = (
    2 * LONGEST_PAUSE
)  # seconds; what is taken for longer than that was written before the server's clock was put back

_PRELUDE = f"""
local time = redis.call('TIME')
local now = time[1] * {_MICROS} + time[2]
local function sane(at) return (at and at <= now + {_SANE * _MICROS:.0f}) and at or 0 end
local function kept(at) return math.ceil((at - now) / 1000) + 1000 end
local function written(at) return string.format('%.0f', at) end
local function full_at(pace) return sane(tonumber(redis.call('GET', k('pace', pace.name)))) end
local function fill(pace, at) redis.call('SET', k('pace', pace.name), written(at), 'PX', kept(at)) end
"""
_BOOK = f"""{_PRELUDE}
local function free_at(limit)
  if limit.most then
    return sane(tonumber(redis.call('LINDEX', k('window', limit.name), limit.most - a.room)))
  end
  return full_at(limit) - math.max(0, limit.burst - a.room) * limit.interval
end
local function take(limit, at)
  if not limit.most then return fill(limit, math.max(full_at(limit), at) + limit.interval) end
  local window = k('window', limit.name)
  redis.call('LPUSH', window, written(at + limit.seconds))
  redis.call('LTRIM', window, 0, limit.most - 1)
  redis.call('PEXPIRE', window, kept(at + limit.seconds))
end
for _, limit in ipairs(a.own) do
  local free = free_at(limit)
  if free > now then return {{written(free - now), limit.name}} end
end
local at = now
if a.shared then
  at = math.max(now, free_at(a.shared))
  if at > now + a.ahead then return {{written(at - now - a.ahead), a.shared.name}} end
  take(a.shared, at)
end
for _, limit in ipairs(a.own) do take(limit, at) end
return {{written(at - now), ''}}
"""
_PAUSE = f"""{_PRELUDE}
fill(a.pace, math.max(full_at(a.pace), now + a.pause + (a.pace.burst - 1) * a.pace.interval))
return 1
"""


class RedisPacing:
    """Pacing over a RedisServer. Raises StoreError."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server

    async def book(self, own: Sequence[Pace | Window], shared: Pace | None, *, ahead: float, room: int = 1) -> Booking:
        limits = {"own": [_as_told(limit) for limit in own], "shared": _as_told(shared) if shared else None}
        return await self._server.run(_BOOK, {**limits, "ahead": _micros(ahead), "room": room}, _booking)

    async def pause(self, pace: Pace, seconds: float) -> None:
        arguments = {"pace": _as_told(pace), "pause": _micros(min(seconds, LONGEST_PAUSE))}
        await self._server.run(_PAUSE, arguments, bool)


def _as_told(limit: Pace | Window) -> dict[str, object]:
    if isinstance(limit, Pace):
        return {"name": limit.name, "interval": _micros(limit.interval), "burst": limit.burst}
    return {"name": limit.name, "most": limit.most, "seconds": _micros(limit.seconds)}


def _micros(seconds: float) -> int:
    return round(seconds * _MICROS)


def _booking(reply: Any) -> Booking:  # noqa: ANN401 - what Redis answers
    wait, full = reply
    return Booking(int(wait) / _MICROS, full)
