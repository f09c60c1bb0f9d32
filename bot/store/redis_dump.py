"""The Redis store as a whole, entry by entry (`entries.py`)."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Any

from bot.models import DayList, FullText, KeptText, Paper, Ranking, Report, ReportKey
from bot.requests import Request
from bot.store import kept
from bot.store.content import from_json, micros, moment, to_json
from bot.store.entries import KINDS, NO_TRUTH, Entry, Gate, Named, Spent
from bot.store.redis_days import PUT_RANKINGS, PUT_REPORTS, ranking_row, report_row
from bot.store.redis_ledger import edition_of
from bot.store.redis_parts import PUT_PARTS, part_of, part_row
from bot.store.redis_requests import PUT_REQUESTS, PUT_VOTES, request_row, vote_field, vote_in, vote_row
from bot.store.redis_server import BATCH, RedisServer

Command = tuple[str | int, ...]
Values = AsyncIterator[Any]
Keys = Mapping[str, Sequence[str]]  # by what comes before the first colon: what comes behind it, in order


class RedisDump:
    """Dump over a RedisServer."""

    _server: RedisServer

    async def entries(self) -> AsyncIterator[Entry]:
        keys = await _keys(self._server)
        for kind in KINDS:
            async for value in _READ[kind](self._server, keys):
                yield Entry(kind, value)

    async def standing(self, entries: Sequence[Entry]) -> Sequence[Any]:
        places = [_place(self._server, entry) for entry in entries]
        found = await self._server.ask(*(command for command, _ in places))
        return [None if _is_nothing(reply) else made(reply) for (_, made), reply in zip(places, found, strict=True)]

    async def restore(self, entries: Sequence[Entry]) -> None:
        for kind, of_one in groupby(entries, key=lambda entry: entry.kind):
            values = [entry.value for entry in of_one]
            if kind in _SCRIPTS:
                script, row = _SCRIPTS[kind]
                await self._server.run(script, {"entries": [row(value) for value in values]}, bool)
            else:
                await self._server.put(*(command for value in values for command in _puts(self._server, kind, value)))


async def _keys(server: RedisServer) -> Keys:
    found: dict[str, set[str]] = defaultdict(set)
    async for key in server.all_keys():
        kind, _, name = key.partition(":")
        found[kind].add(name)
    return {kind: sorted(names) for kind, names in found.items()}


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), BATCH):
        yield names[start : start + BATCH]


async def _each(server: RedisServer, keys: Keys, kind: str, *command: str) -> AsyncIterator[tuple[str, Any]]:
    """Names and replies of `command` (its key comes second), without those that ended meanwhile."""
    for names in _batches(keys.get(kind, ())):
        asked = ((command[0], server.key(kind, name), *command[1:]) for name in names)
        for name, reply in zip(names, await server.ask(*asked), strict=True):
            if not _is_nothing(reply):
                yield name, reply


async def _lists(server: RedisServer, keys: Keys) -> Values:
    async for _, content in _each(server, keys, "list", "HGET", "content"):
        yield from_json(DayList, content)


async def _papers(server: RedisServer, keys: Keys) -> Values:
    async for _, content in _each(server, keys, "paper", "GET"):
        yield from_json(Paper, content)


async def _analyses(server: RedisServer, keys: Keys) -> Values:
    async for name, content in _each(server, keys, "analysis", "GET"):
        yield Named(name, content)


async def _texts(server: RedisServer, keys: Keys) -> Values:
    async for _, found in _each(server, keys, "text", "HGETALL"):
        for version in sorted(int(field) for field in found if field.isdecimal()):
            yield _text(found[str(version)], found[f"{version}:at"])


async def _reports(server: RedisServer, keys: Keys) -> Values:
    async for _, found in _each(server, keys, "report", "HGETALL"):
        for edition in sorted(int(field) for field in found if field.isdecimal()):
            yield from_json(Report, found[str(edition)])


async def _planned(server: RedisServer, keys: Keys) -> Values:
    async for name, editions in _each(server, keys, "planned", "SMEMBERS"):
        day, profile, language = name.split(",")
        for edition in sorted(map(int, editions)):
            yield ReportKey(date.fromisoformat(day), profile, language, edition)


async def _rankings(server: RedisServer, keys: Keys) -> Values:
    async for _, found in _each(server, keys, "ranking", "HGETALL"):
        for language in sorted(found):
            yield from_json(Ranking, found[language])


async def _spent(server: RedisServer, keys: Keys) -> Values:
    async for day, nanos in _each(server, keys, "spend", "GET"):
        yield Spent(day, int(nanos))


async def _addresses(server: RedisServer, keys: Keys) -> Values:
    async for name, found in _each(server, keys, "address", "HGETALL"):
        yield Gate(name, **found)


async def _parts(server: RedisServer, keys: Keys) -> Values:
    rows: list[tuple[int, str]] = [
        (int(order), name) async for name, order in _each(server, keys, "part", "HGET", "seq")
    ]
    async for _, found in _each(server, {"part": [name for _, name in sorted(rows)]}, "part", "HGETALL"):
        yield part_of(found)


async def _requests(server: RedisServer, keys: Keys) -> Values:
    rows: list[tuple[int, str]] = [
        (int(order), name) async for name, order in _each(server, keys, "request", "HGET", "seq")
    ]
    in_order = {"request": [name for _, name in sorted(rows)]}
    async for _, content in _each(server, in_order, "request", "HGET", "content"):
        yield from_json(Request, content)


async def _votes(server: RedisServer, keys: Keys) -> Values:
    found = [vote_in(value) async for _, votes in _each(server, keys, "votes", "HVALS") for value in votes]
    for _, _, vote in sorted(found, key=lambda entry: entry[1]):
        yield vote


async def _notes(server: RedisServer, keys: Keys) -> Values:
    async for name, value in _each(server, keys, "note", "GET"):
        if name not in NO_TRUTH:
            yield Named(name, value)


_READ: Mapping[str, Callable[[RedisServer, Keys], Values]] = {
    "list": _lists,
    "paper": _papers,
    "analysis": _analyses,
    "text": _texts,
    "report": _reports,
    "planned": _planned,
    "ranking": _rankings,
    "spent": _spent,
    "address": _addresses,
    "part": _parts,
    "request": _requests,
    "vote": _votes,
    "note": _notes,
}
_SCRIPTS: Mapping[str, tuple[str, Callable[[Any], Mapping[str, object]]]] = {
    "report": (PUT_REPORTS, report_row),
    "ranking": (PUT_RANKINGS, ranking_row),
    "part": (PUT_PARTS, part_row),
    "request": (PUT_REQUESTS, request_row),
    "vote": (PUT_VOTES, vote_row),
}


def _text(content: str, fetched_at: str) -> KeptText:
    return KeptText(from_json(FullText, content), moment(int(fetched_at)))


def _is_nothing(reply: Any) -> bool:  # noqa: ANN401 - whatever Redis answers
    return reply is None or reply in (0, [], {}, set(), [None, None])


def _place(server: RedisServer, entry: Entry) -> tuple[Command, Callable[[Any], Any]]:
    """How to ask for what is kept in the place of `entry`, and what to make of the answer."""
    value, key = entry.value, server.key
    places: Mapping[str, Callable[[], tuple[Command, Callable[[Any], Any]]]] = {
        "list": lambda: (("HGET", key("list", value.day.isoformat()), "content"), _made(DayList)),
        "paper": lambda: (("GET", key("paper", value.arxiv_id.id)), _made(Paper)),
        "analysis": lambda: (("GET", key("analysis", value.key)), lambda found: Named(value.key, found)),
        "text": lambda: (
            ("HMGET", key("text", value.full_text.arxiv_id.id), _version(value), f"{_version(value)}:at"),
            lambda found: _text(*found),
        ),
        "report": lambda: (("HGET", key("report", _edition(value.key)), value.key.edition), _made(Report)),
        "planned": lambda: (("SISMEMBER", key("planned", _edition(value)), value.edition), lambda _: value),
        "ranking": lambda: (
            ("HGET", key("ranking", f"{value.day}:{value.profile.name}"), value.language),
            _made(Ranking),
        ),
        "spent": lambda: (("GET", key("spend", value.day)), lambda found: Spent(value.day, int(found))),
        "address": lambda: (("HGETALL", key("address", value.address)), lambda found: Gate(value.address, **found)),
        "part": lambda: (("HGETALL", key("part", value.key)), part_of),
        "request": lambda: (("HGET", key("request", value.key), "content"), _made(Request)),
        "vote": lambda: (
            ("HGET", key("votes", value.profile), vote_field(value)),
            lambda found: vote_in(found)[2],
        ),
        "note": lambda: (("GET", key("note", value.key)), lambda found: Named(value.key, found)),
    }
    return places[entry.kind]()


def _puts(server: RedisServer, kind: str, value: Any) -> Sequence[Command]:  # noqa: ANN401 - a value of the kind's type
    key = server.key
    if kind == "list":
        name, captured_at = key("list", value.day.isoformat()), micros(value.captured_at)
        content = to_json(DayList, value)
        return [("HSET", name, "captured_at", captured_at, "content", content), ("EXPIRE", name, kept.LISTS)]
    if kind == "text":
        name, content = key("text", value.full_text.arxiv_id.id), to_json(FullText, value.full_text)
        fetched_at = micros(value.fetched_at)
        fields = (_version(value), content, f"{_version(value)}:at", fetched_at)
        return [("HSET", name, *fields), ("EXPIRE", name, kept.TEXTS)]
    if kind == "planned":
        name = key("planned", _edition(value))
        return [("SADD", name, value.edition), ("EXPIRE", name, kept.REPORTS)]
    if kind == "address":
        given = {"closed": value.closed, "moved_to": value.moved_to}
        flat = [part for field, text in given.items() if text is not None for part in (field, text)]
        return [("HSET", key("address", value.address), *flat)]
    strings: Mapping[str, Callable[[], Command]] = {
        "paper": lambda: (key("paper", value.arxiv_id.id), to_json(Paper, value), "EX", kept.PAPERS),
        "analysis": lambda: (key("analysis", value.key), value.value, "EX", kept.ANALYSES),
        "spent": lambda: (key("spend", value.day), value.nano_usd, "EX", kept.SPENDING),
        "note": lambda: (key("note", value.key), value.value, "EX", kept.NOTES),
    }
    return [("SET", *strings[kind]())]


def _made(kind: type) -> Callable[[Any], Any]:
    return lambda found: from_json(kind, found)


def _version(text: KeptText) -> int:
    return text.full_text.arxiv_id.version or 0


def _edition(key: ReportKey) -> str:
    return edition_of(key.day, key.profile, key.language)
