"""The delivery ledger in Redis: every change of a part's state is a compare-and-set in one script.

How parts and their indexes are kept is in `redis_parts.py`.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from bot.models import Address, Part, PartState, ReportKey
from bot.store.content import micros, to_json
from bot.store.redis_parts import IDS, PARTS, part_of, planned
from bot.store.redis_server import BATCH, RedisServer

_PLAN = f"""{PARTS}
if a.report then
  redis.call('SADD', k('planned', a.report), a.edition)
  redis.call('EXPIRE', k('planned', a.report), REPORTS)
end
plan(a.deliveries)
"""
_DELIVERIES = """
local found = {}
for _, delivery in ipairs(a.deliveries) do
  for _, key in ipairs(redis.call('ZRANGE', k('delivery', delivery), 0, -1)) do
    found[#found + 1] = redis.call('HGETALL', k('part', key))
  end
end
return found
"""
_UNFINISHED = """
local found = {}
for _, delivery in ipairs(redis.call('ZRANGE', ns .. 'unfinished', 0, -1)) do
  if redis.call('EXISTS', k('delivery', delivery)) == 1 then found[#found + 1] = delivery end
end
return found
"""
# The newest: a message that was edited is what it became.
_POSTED_AS = """
local newest = redis.call('ZREVRANGE', k('posted', a.message), 0, 0)[1]
return newest and redis.call('HGETALL', k('part', newest)) or {}
"""
_CLAIM = """
local part = k('part', a.key)
local now = redis.call('HMGET', part, 'state', 'owner')
if not (now[1] == 'planned' or (now[1] == 'sending' and now[2] == a.owner)) then return 0 end
redis.call('HSET', part, 'state', 'sending', 'owner', a.owner, 'lease', a.lease, 'updated_at', a.now)
if now[1] == 'planned' then redis.call('HINCRBY', part, 'attempts', 1) end
return 1
"""
_RECOVER = """
local part = k('part', a.key)
local now = redis.call('HMGET', part, 'state', 'owner', 'lease')
if now[1] ~= 'sending' or not (now[2] == a.owner or tonumber(now[3]) < tonumber(a.now)) then return 0 end
redis.call('HSET', part, 'owner', a.owner, 'lease', a.lease)
return 1
"""
# The owner stays in the part: recording the same end once more is a success, not a lost part.
_RECORD = f"""{PARTS}
if told() then return 1 end
local part = k('part', a.key)
local now = redis.call('HMGET', part, 'state', 'owner', 'delivery')
if now[2] ~= a.owner or not (now[1] == 'sending' or now[1] == a.state) then return 0 end
tell()
posted(part, a.key, a.ids, LEDGER)
redis.call('HSET', part, 'state', a.state, 'message_ids', a.message_ids, 'error', a.error)
redis.call('HDEL', part, 'lease')
trouble(a.key, a.state)
refresh(now[3])
return 1
"""
_SETTLE = f"""{PARTS}
if told() then return 1 end
local part = k('part', a.key)
local now = redis.call('HMGET', part, 'state', 'delivery')
if not (now[1] == 'unknown' or now[1] == 'failed') then return 0 end
tell()
redis.call('HSET', part, 'state', a.state, 'owner', '')
if a.planned_at then redis.call('HSET', part, 'planned_at', a.planned_at) end
trouble(a.key, a.state)
refresh(now[2])
return 1
"""


class RedisLedger:
    """Ledger over a RedisServer."""

    _server: RedisServer

    async def plan(self, report: ReportKey | None, parts: Sequence[Part]) -> None:
        marked = (
            {"report": edition_of(report.day, report.profile, report.language), "edition": report.edition}
            if report
            else {}
        )
        await self._server.run(_PLAN, {"deliveries": planned(parts), **marked}, bool)

    async def planned_report(self, day: date, profile: str, language: str) -> bool:
        return bool(await self.planned_editions(day, profile, language))

    async def planned_editions(self, day: date, profile: str, language: str) -> tuple[int, ...]:
        [found] = await self._server.ask(("SMEMBERS", self._server.key("planned", edition_of(day, profile, language))))
        return tuple(sorted(map(int, found)))

    async def delivery(self, key: str) -> tuple[Part, ...]:
        return await self._parts([key])

    async def part(self, key: str) -> Part | None:
        [found] = await self._server.ask(("HGETALL", self._server.key("part", key)))
        return part_of(found) if found else None

    async def part_posted_as(self, address: Address, message_id: str) -> Part | None:
        message = f"{address.platform.value}:{address.target}:{message_id}"
        return await self._server.run(_POSTED_AS, {"message": message}, lambda found: part_of(found) if found else None)

    async def deliveries(self, limit: int) -> tuple[Part, ...]:
        if limit <= 0:
            return ()
        [keys] = await self._server.ask(("ZREVRANGE", f"{self._server.prefix}deliveries", 0, limit - 1))
        batches = [await self._parts(keys[start : start + BATCH]) for start in range(0, len(keys), BATCH)]
        return tuple(part for batch in batches for part in batch)

    async def troubled(self, limit: int) -> tuple[Part, ...]:
        if limit <= 0:
            return ()
        [keys] = await self._server.ask(("ZREVRANGE", f"{self._server.prefix}troubled", 0, limit - 1))
        found = await self._server.ask(*(("HGETALL", self._server.key("part", key)) for key in keys))
        return tuple(part_of(fields) for fields in found if fields)

    async def unfinished(self) -> tuple[str, ...]:
        return await self._server.run(_UNFINISHED, {}, tuple)

    async def claim(self, key: str, owner: str, now: datetime, lease: datetime) -> bool:
        return await self._server.run(_CLAIM, _held(key, owner, now, lease), bool)

    async def recover(self, key: str, owner: str, now: datetime, lease: datetime) -> bool:
        return await self._server.run(_RECOVER, _held(key, owner, now, lease), bool)

    async def record(self, key: str, owner: str, state: PartState, ids: Sequence[str] = (), error: str = "") -> bool:
        arguments = {
            "key": key,
            "owner": owner,
            "state": state.value,
            "ids": list(ids),
            "message_ids": to_json(IDS, tuple(ids)),
            "error": error,
        }
        return await self._server.once(_RECORD, arguments)

    async def settle(self, key: str, state: PartState, planned_at: datetime | None = None) -> bool:
        renewed = {} if planned_at is None else {"planned_at": str(micros(planned_at))}
        return await self._server.once(_SETTLE, {"key": key, "state": state.value, **renewed})

    async def close(self, address: Address, reason: str) -> None:
        await self._server.put(("HSET", self._address(address), "closed", reason))

    async def reopen(self, address: Address) -> None:
        await self._server.put(("HDEL", self._address(address), "closed"))

    async def closed(self, address: Address) -> str | None:
        [found] = await self._server.ask(("HGET", self._address(address), "closed"))
        return None if found is None else str(found)

    async def move(self, address: Address, target: str) -> None:
        await self._server.put(("HSET", self._address(address), "moved_to", target))

    async def moved(self, address: Address) -> str | None:
        [found] = await self._server.ask(("HGET", self._address(address), "moved_to"))
        return None if found is None else str(found)

    def _address(self, address: Address) -> str:
        return self._server.key("address", str(address))

    async def _parts(self, deliveries: Sequence[str]) -> tuple[Part, ...]:
        def read(found: Sequence[Any]) -> tuple[Part, ...]:
            return tuple(part_of(fields) for fields in found if fields)

        return await self._server.run(_DELIVERIES, {"deliveries": list(deliveries)}, read)


def edition_of(day: date, profile: str, language: str) -> str:
    """What all editions of a report share, as a name. A comma comes before all that a profile's name may hold, so that
    such names are ordered as their three parts are.
    """
    return f"{day},{profile},{language}"


def _held(key: str, owner: str, now: datetime, lease: datetime) -> dict[str, object]:
    return {"key": key, "owner": owner, "now": str(micros(now)), "lease": str(micros(lease))}
