"""Requests and votes in Redis: who asked is kept before anybody is told so, and is answered once.

A request is a hash (`request:<key>`: its content, and which it was in the order of admission); the indexes `open`,
`waiting:<job>`, `counted:<user>` and `talk:<conversation>` are in the order in which people asked.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from bot.models import Part
from bot.requests import Closing, Request, RequestState, Vote
from bot.store.content import from_json, micros, moment, to_json
from bot.store.redis_parts import PARTS, planned
from bot.store.redis_server import BATCH, RedisServer

_MEMBER = 17  # characters before the key in an index: the order of admission, for those who asked at the same moment

REQUESTS = f"""
local function request_key(member) return k('request', string.sub(member, {_MEMBER} + 1)) end
local function put_request(r)
  local request = k('request', r.key)
  local seq = redis.call('HGET', request, 'seq') or redis.call('INCR', ns .. 'sequence')
  redis.call('HSET', request, 'seq', seq, 'content', r.content)
  redis.call('EXPIRE', request, REQUESTS)
  local member = string.format('%016d ', seq) .. r.key
  local function within(index, belongs)
    if belongs then enter(index, r.asked_at, member, REQUESTS, request_key) else redis.call('ZREM', index, member) end
  end
  within(ns .. 'open', r.state == 'open')
  within(k('waiting', r.job), r.state == 'open')
  within(k('counted', r.user), r.counted)
  within(k('talk', r.conversation), r.state == 'answered' and r.conversation ~= '')
end
"""
_ADMIT = f"""{REQUESTS}
if told() then return 1 end
for _, r in ipairs(a.requests) do
  if redis.call('EXISTS', k('request', r.key)) == 1 then return 0 end
end
tell()
for _, r in ipairs(a.requests) do put_request(r) end
return 1
"""
_CLOSE = f"""{PARTS}{REQUESTS}
if told() then return 1 end
if redis.call('HGET', k('request', a.request.key), 'content') ~= a.standing then return 0 end
tell()
put_request(a.request)
plan(a.deliveries)
return 1
"""
PUT_REQUESTS = f"""{REQUESTS}
for _, r in ipairs(a.entries) do put_request(r) end
"""
# `voted` knows the profile that a user's vote on a paper stands in; `votes:<profile>` holds [moment, order, vote].
PUT_VOTES = """
for _, v in ipairs(a.entries) do
  local profile = redis.call('HGET', ns .. 'voted', v.field)
  local standing = profile and cjson.decode(redis.call('HGET', k('votes', profile), v.field))
  if not standing or tonumber(standing[1]) <= tonumber(v.at) then
    local seq = standing and standing[2] or tostring(redis.call('INCR', ns .. 'sequence'))
    redis.call('HSET', ns .. 'voted', v.field, v.profile)
    redis.call('HSET', k('votes', v.profile), v.field, cjson.encode({v.at, seq, v.content}))
    if profile and profile ~= v.profile then redis.call('HDEL', k('votes', profile), v.field) end
  end
end
"""


class RedisRequests:
    """Requests over a RedisServer."""

    _server: RedisServer

    async def admit(self, requests: Sequence[Request]) -> bool:
        rows = [request_row(request) for request in requests]
        if len({request.key for request in requests}) < len(rows):  # the second of them is known
            return False
        return await self._server.once(_ADMIT, {"requests": rows})

    async def request(self, key: str) -> Request | None:
        content = await self._content(key)
        return None if content is None else from_json(Request, content)

    async def open_requests(self) -> tuple[Request, ...]:
        return await self._requests("ZRANGE", f"{self._server.prefix}open", 0, -1)

    async def waiting_for(self, job: str) -> tuple[Request, ...]:
        return await self._requests("ZRANGE", self._server.key("waiting", job), 0, -1)

    async def close_request(self, key: str, closing: Closing, parts: Sequence[Part]) -> bool:
        deliveries, standing = planned(parts), await self._content(key)
        request = None if standing is None else from_json(Request, standing)
        if request is None or request.state is not RequestState.OPEN:
            return False
        # Only an end changes a request: where the content is another by now, somebody else has ended it.
        row = request_row(_closed(request, closing))
        return await self._server.once(_CLOSE, {"request": row, "standing": standing, "deliveries": deliveries})

    async def counted_since(self, user: str, since: datetime) -> tuple[datetime, ...]:
        counted = self._server.key("counted", user)
        [found] = await self._server.ask(("ZRANGEBYSCORE", counted, f"({micros(since)}", "+inf", "WITHSCORES"))
        return tuple(moment(int(float(score))) for score in found[1::2])

    async def talk(self, conversation: str, limit: int) -> tuple[Request, ...]:
        if limit <= 0 or not conversation:
            return ()
        return (await self._requests("ZREVRANGE", self._server.key("talk", conversation), 0, limit - 1))[::-1]

    async def keep_vote(self, vote: Vote) -> None:
        await self._server.run(PUT_VOTES, {"entries": [vote_row(vote)]}, bool)

    async def votes(self, profile: str) -> tuple[Vote, ...]:
        [found] = await self._server.ask(("HVALS", self._server.key("votes", profile)))
        return tuple(vote for _, _, vote in sorted(map(vote_in, found), key=lambda entry: entry[:2]))

    async def _content(self, key: str) -> str | None:
        [content] = await self._server.ask(("HGET", self._server.key("request", key), "content"))
        return None if content is None else str(content)

    async def _requests(self, *index: str | int) -> tuple[Request, ...]:
        [members] = await self._server.ask(index)
        keys = [self._server.key("request", member[_MEMBER:]) for member in members]
        found: list[Any] = []
        for start in range(0, len(keys), BATCH):
            found += await self._server.ask(*(("HGET", key, "content") for key in keys[start : start + BATCH]))
        return tuple(from_json(Request, content) for content in found if content is not None)


def request_row(request: Request) -> dict[str, object]:
    """A request as the scripts take it. Raises StoreError."""
    return {
        "key": request.key,
        "user": request.user,
        "job": request.job,
        "conversation": request.conversation,
        "asked_at": str(micros(request.asked_at)),
        "counted": request.counted,
        "state": request.state.value,
        "content": to_json(Request, request),
    }


def vote_row(vote: Vote) -> dict[str, object]:
    """A vote as the script takes it. Raises StoreError."""
    return {
        "field": vote_field(vote),
        "profile": vote.profile,
        "at": str(micros(vote.at)),
        "content": to_json(Vote, vote),
    }


def vote_field(vote: Vote) -> str:
    """What a user has one vote for."""
    return f"{vote.user} {vote.paper}"


def vote_in(value: str) -> tuple[int, int, Vote]:
    """When, which in the order of first votes, and the vote."""
    at, order, content = from_json(tuple[str, str, str], value)
    return int(at), int(order), from_json(Vote, content)


def _closed(request: Request, closing: Closing) -> Request:
    return replace(request, state=closing.state, closed_at=closing.at, said=closing.said, counted=closing.counted)
