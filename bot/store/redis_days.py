"""Lists, rankings and reports in Redis, and the search among rankings.

`ranking:<day>:<profile>` and `ranked:<day>:<profile>` (what can be searched of it, folded) have a field a language,
`report:<day,profile,language>` one an edition. `days:<profile>` and `reports` order them, `planned:…` holds the
editions that were planned for delivery, `chosen:<profile>` the papers that reports chose, by day.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import count
from typing import Any

from bot.models import DayList, Paper, Ranking, Report
from bot.store import kept
from bot.store.content import folded, from_json, micros, searched, to_json
from bot.store.redis_ledger import edition_of
from bot.store.redis_server import BATCH, RedisServer

SEARCHED_DAYS = 60  # in one script: the server serves nobody else meanwhile, some 10 ms

_KEEP_LIST = """
local list = k('list', a.day)
local standing = redis.call('HGET', list, 'captured_at')
if not standing or tonumber(standing) <= tonumber(a.captured_at) then
  redis.call('HSET', list, 'captured_at', a.captured_at, 'content', a.content)
  redis.call('EXPIRE', list, LISTS)
end
for id, paper in pairs(a.papers) do redis.call('SET', k('paper', id), paper, 'EX', PAPERS) end
"""
DAYS = """
local function put_ranking(r)
  local name = r.day .. ':' .. r.profile
  for kind, content in pairs({ranking = r.content, ranked = r.folded}) do
    redis.call('HSET', k(kind, name), r.language, content)
    redis.call('EXPIRE', k(kind, name), REPORTS)
  end
  local function of_day(day) return k('ranking', day .. ':' .. r.profile) end
  enter(k('days', r.profile), r.ordinal, r.day, REPORTS, of_day)
end
local function put_report(r)
  local report = k('report', r.name)
  local latest = tonumber(redis.call('HGET', report, 'latest') or '0')
  redis.call('HSET', report, r.edition, r.content, 'latest', math.max(latest, r.edition))
  redis.call('EXPIRE', report, REPORTS)
  redis.call('SADD', k('planned', r.name), r.edition)
  redis.call('EXPIRE', k('planned', r.name), REPORTS)
  enter(ns .. 'reports', -r.ordinal, r.name, REPORTS, function(name) return k('report', name) end)
  local chosen = k('chosen', r.profile)
  for _, paper in ipairs(r.chosen) do redis.call('ZADD', chosen, r.ordinal, r.day .. ' ' .. paper) end
  redis.call('EXPIRE', chosen, CHOSEN)
  redis.call('ZREMRANGEBYSCORE', chosen, '-inf', r.ordinal - CHOSEN / 86400)
end
"""
_KEEP_RANKING = f"""{DAYS}
if redis.call('EXISTS', k('planned', a.ranking.name)) == 0 then put_ranking(a.ranking) end
"""
_KEEP_REPORT = f"""{DAYS}
local standing = redis.call('HGET', k('report', a.report.name), a.report.edition)
if standing then return standing end
put_report(a.report)
if a.ranking then put_ranking(a.ranking) end
"""
PUT_RANKINGS = f"""{DAYS}
for _, r in ipairs(a.entries) do put_ranking(r) end
"""
PUT_REPORTS = f"""{DAYS}
for _, r in ipairs(a.entries) do put_report(r) end
"""
_NEWEST_DAY = """
local days = k('days', a.profile)
while true do
  local newest = redis.call('ZREVRANGE', days, 0, 0)[1]
  if not newest then return false end
  if redis.call('EXISTS', k('ranking', newest .. ':' .. a.profile)) == 1 then return newest end
  redis.call('ZREM', days, newest)
end
"""
_LATEST = """
local found = {}
for position, name in ipairs(a.reports) do
  local report = k('report', name)
  local latest = redis.call('HGET', report, 'latest')
  if latest then found[#found + 1] = redis.call('HGET', report, latest) end
end
return found
"""
# Gives the last day that was looked at ('' when there was none left), and those that hold all words.
_SEARCH = """
local found = {''}
for _, day in ipairs(redis.call('ZREVRANGEBYSCORE', k('days', a.profile), a.from, '-inf', 'LIMIT', 0, a.days)) do
  found[1] = day
  local texts = redis.call('HVALS', k('ranked', day .. ':' .. a.profile))
  local all = true
  for word = 2, #ARGV do
    local any = false
    for _, text in ipairs(texts) do any = any or string.find(text, ARGV[word], 1, true) ~= nil end
    if not any then all = false break end
  end
  if all then found[#found + 1] = day end
end
return found
"""


class RedisDays:
    """Lists, Rankings and Reports over a RedisServer."""

    _server: RedisServer

    async def keep_list(self, day_list: DayList) -> None:
        arguments = {
            "day": day_list.day.isoformat(),
            "captured_at": str(micros(day_list.captured_at)),
            "content": to_json(DayList, day_list),
            "papers": {paper.arxiv_id.id: to_json(Paper, paper) for paper in day_list.papers},
        }
        await self._server.run(_KEEP_LIST, arguments, bool)

    async def list_of(self, day: date) -> DayList | None:
        [content] = await self._server.ask(("HGET", self._server.key("list", day.isoformat()), "content"))
        return None if content is None else from_json(DayList, content)

    async def keep_paper(self, paper: Paper) -> None:
        key = self._server.key("paper", paper.arxiv_id.id)
        await self._server.put(("SET", key, to_json(Paper, paper), "EX", kept.PAPERS))

    async def paper(self, arxiv_id: str) -> Paper | None:
        [content] = await self._server.ask(("GET", self._server.key("paper", arxiv_id)))
        return None if content is None else from_json(Paper, content)

    async def keep_ranking(self, ranking: Ranking) -> None:
        await self._server.run(_KEEP_RANKING, {"ranking": ranking_row(ranking)}, bool)

    async def ranking(self, day: date, profile: str, language: str) -> Ranking | None:
        [content] = await self._server.ask(("HGET", self._server.key("ranking", f"{day}:{profile}"), language))
        return None if content is None else from_json(Ranking, content)

    async def rankings(self, day: date, profile: str) -> tuple[Ranking, ...]:
        [found] = await self._server.ask(("HVALS", self._server.key("ranking", f"{day}:{profile}")))
        return tuple(sorted((from_json(Ranking, content) for content in found), key=_age))

    async def newest_ranking_day(self, profile: str) -> date | None:
        return await self._server.run(
            _NEWEST_DAY, {"profile": profile}, lambda day: date.fromisoformat(day) if day else None
        )

    async def days_with(self, profile: str, words: Sequence[str], limit: int) -> tuple[date, ...]:
        sought = [folded(word) for word in words if word]
        found: list[date] = []
        start = "+inf"
        while sought and len(found) < limit:
            arguments = {"profile": profile, "from": start, "days": SEARCHED_DAYS}
            last, *days = await self._server.run(_SEARCH, arguments, list, *sought)
            found += map(date.fromisoformat, days)
            if not last:
                break
            start = f"({date.fromisoformat(last).toordinal()}"
        return tuple(found[: max(0, limit)])

    async def chosen_before(self, profile: str, day: date, since: date) -> Mapping[str, date]:
        chosen, first, end = self._server.key("chosen", profile), since.toordinal(), day.toordinal()
        [found] = await self._server.ask(("ZRANGEBYSCORE", chosen, first, f"({end}"))
        days_and_papers = (member.partition(" ") for member in found)  # in the order of days: the latest stays
        return {paper: date.fromisoformat(of_day) for of_day, _, paper in days_and_papers}

    async def keep_report(self, report: Report) -> Report:
        ranking = ranking_row(report.ranking) if report.ranking.entries else None
        arguments = {"report": report_row(report), "ranking": ranking}
        return await self._server.run(
            _KEEP_REPORT, arguments, lambda standing: from_json(Report, standing) if standing else report
        )

    async def report(self, day: date, profile: str, language: str) -> Report | None:
        found = await self._latest([edition_of(day, profile, language)])
        return found[0] if found else None

    async def reports(self, limit: int) -> tuple[Report, ...]:
        index, found = f"{self._server.prefix}reports", list[Report]()
        for start in count(0, BATCH):
            [names] = await self._server.ask(("ZRANGE", index, start, start + BATCH - 1))
            rest = list(names)
            while rest and (missing := limit - len(found)) > 0:  # of some names, the reports may have ended
                found += await self._latest(rest[:missing])
                rest = rest[missing:]
            if len(names) < BATCH or len(found) >= limit:
                break
        return tuple(found)

    async def _latest(self, names: Sequence[str]) -> tuple[Report, ...]:
        def read(found: Sequence[Any]) -> tuple[Report, ...]:
            return tuple(from_json(Report, content) for content in found)

        return await self._server.run(_LATEST, {"reports": list(names)}, read)


def ranking_row(ranking: Ranking) -> dict[str, object]:
    """A ranking as the scripts take it. Raises StoreError."""
    return {
        "name": edition_of(ranking.day, ranking.profile.name, ranking.language),
        "day": ranking.day.isoformat(),
        "ordinal": ranking.day.toordinal(),
        "profile": ranking.profile.name,
        "language": ranking.language,
        "content": to_json(Ranking, ranking),
        "folded": searched(ranking).decode(),
    }


def report_row(report: Report) -> dict[str, object]:
    """A report as the scripts take it. Raises StoreError."""
    key = report.key
    return {
        "name": edition_of(key.day, key.profile, key.language),
        "day": key.day.isoformat(),
        "ordinal": key.day.toordinal(),
        "profile": key.profile,
        "edition": key.edition,
        "content": to_json(Report, report),
        "chosen": list(report.ranking.chosen),
    }


def _age(ranking: Ranking) -> tuple[Any, ...]:
    return ranking.created_at, ranking.language
