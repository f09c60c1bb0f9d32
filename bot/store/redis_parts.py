"""The parts of deliveries in Redis, and what leads to them.

A part is a hash (`part:<key>`), a delivery the order of its parts (`delivery:<key>`), `deliveries` their order, and
`unfinished` those with a part that is open; `troubled` are the parts that want the operator's word.
`posted:<chat>:<message>` leads from a message to its parts.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from bot.models import Address, Message, Part, PartState, PlatformName
from bot.store.content import from_json, micros, moment, to_json

IDS = tuple[str, ...]

PARTS = """
local function part_key(member) return k('part', member) end
local function delivery_key(member) return k('delivery', member) end
local function refresh(delivery)
  for _, key in ipairs(redis.call('ZRANGE', k('delivery', delivery), 0, -1)) do
    local state = redis.call('HGET', k('part', key), 'state')
    if state == 'planned' or state == 'sending' then
      local place = redis.call('ZSCORE', ns .. 'deliveries', delivery)
      return enter(ns .. 'unfinished', place or 0, delivery, LEDGER, delivery_key)
    end
  end
  redis.call('ZREM', ns .. 'unfinished', delivery)
end
local function trouble(key, state)
  if state == 'unknown' or state == 'failed' then
    enter(ns .. 'troubled', redis.call('HGET', k('part', key), 'seq'), key, LEDGER, part_key)
  else
    redis.call('ZREM', ns .. 'troubled', key)
  end
end
local function posted(part, key, ids, seconds)
  local at = redis.call('HMGET', part, 'message_ids', 'platform', 'target', 'seq')
  local chat = at[2] .. ':' .. at[3] .. ':'
  for _, id in ipairs(cjson.decode(at[1])) do redis.call('ZREM', k('posted', chat .. id), key) end
  for _, id in ipairs(ids) do
    redis.call('ZADD', k('posted', chat .. id), at[4], key)
    redis.call('EXPIRE', k('posted', chat .. id), seconds)
  end
end
local function put_part(p)
  local part = k('part', p.key)
  local seq = redis.call('HGET', part, 'seq') or redis.call('INCR', ns .. 'sequence')
  redis.call('HSET', part, 'seq', seq, 'message_ids', redis.call('HGET', part, 'message_ids') or '[]',
    'platform', p.platform, 'target', p.target)
  posted(part, p.key, p.ids, LEDGER)
  redis.call('HDEL', part, 'lease')
  redis.call('HSET', part, unpack(p.fields))
  redis.call('EXPIRE', part, LEDGER)
  trouble(p.key, p.state)
  redis.call('ZADD', k('delivery', p.delivery), p.index, p.key)
  redis.call('EXPIRE', k('delivery', p.delivery), LEDGER)
  enter(ns .. 'deliveries', seq, p.delivery, LEDGER, delivery_key)
end
local function plan(deliveries)
  for _, delivery in ipairs(deliveries) do
    if redis.call('EXISTS', k('delivery', delivery.key)) == 0 then
      for _, p in ipairs(delivery.parts) do put_part(p) end
      refresh(delivery.key)
    end
  end
end
"""
PUT_PARTS = f"""{PARTS}
for _, p in ipairs(a.entries) do put_part(p) refresh(p.delivery) end
"""


def planned(parts: Sequence[Part]) -> list[dict[str, object]]:
    """Parts by their delivery, as the scripts take them. Raises StoreError for what JSON cannot hold."""
    return [
        {"key": delivery, "parts": [part_row(part) for part in sorted(of_one, key=lambda part: part.index)]}
        for delivery, of_one in groupby(sorted(parts, key=_first_of(parts)), key=lambda part: part.delivery)
    ]


def _first_of(parts: Sequence[Part]) -> Any:  # noqa: ANN401 - a key for sorting
    order: dict[str, int] = {}
    for part in parts:
        order.setdefault(part.delivery, len(order))
    return lambda part: order[part.delivery]


def part_row(part: Part) -> dict[str, object]:
    """A part as the scripts take it: what the indexes need, and its fields. Raises StoreError."""
    fields = {
        "key": part.key,
        "delivery": part.delivery,
        "index": part.index,
        "channel": part.channel,
        "platform": part.address.platform.value,
        "target": part.address.target,
        "topic": part.address.topic,
        "thread": part.address.thread,
        "message": to_json(Message, part.message),
        "state": part.state.value,
        "owner": part.owner,
        "lease": _micros(part.lease),
        "attempts": part.attempts,
        "message_ids": to_json(IDS, part.message_ids),
        "error": part.error,
        "late": int(part.late),
        "planned_at": _micros(part.planned_at),
        "updated_at": _micros(part.updated_at),
    }
    flat = [str(each) for name, value in fields.items() if value is not None for each in (name, value)]
    named = {name: fields[name] for name in ("key", "delivery", "index", "platform", "target", "state")}
    return {**named, "ids": list(part.message_ids), "fields": flat}


def part_of(found: Mapping[str, str] | Sequence[str]) -> Part:
    """A part of its fields, which scripts give as a flat list. Raises StoreError."""
    row = found if isinstance(found, Mapping) else dict(zip(found[::2], found[1::2], strict=True))
    topic = row.get("topic")
    return Part(
        key=row["key"],
        delivery=row["delivery"],
        index=int(row["index"]),
        channel=row["channel"],
        address=Address(
            PlatformName(row["platform"]), row["target"], None if topic is None else int(topic), row.get("thread")
        ),
        message=from_json(Message, row["message"]),
        state=PartState(row["state"]),
        owner=row["owner"],
        lease=_moment(row.get("lease")),
        attempts=int(row["attempts"]),
        message_ids=from_json(IDS, row["message_ids"]),
        error=row["error"],
        late=row["late"] == "1",
        planned_at=_moment(row.get("planned_at")),
        updated_at=_moment(row.get("updated_at")),
    )


def _micros(value: datetime | None) -> int | None:
    return None if value is None else micros(value)


def _moment(value: str | None) -> datetime | None:
    return None if value is None else moment(int(value))
