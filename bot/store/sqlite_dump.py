"""The SQLite store as a whole, entry by entry (`entries.py`)."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from bot.models import DayList, FullText, KeptText, Paper, Ranking, Report, ReportKey
from bot.requests import Request, Vote
from bot.store.content import from_json, micros, moment, to_json
from bot.store.entries import KINDS, NO_TRUTH, Entry, Gate, Named, Spent
from bot.store.sqlite_file import SqliteFile
from bot.store.sqlite_ledger import part_of, part_row
from bot.store.sqlite_ranking import keep_ranking, ranking_row
from bot.store.sqlite_requests import KEEP_VOTE, request_row, vote_of, vote_row

BATCH = 50  # entries that are read at once: some megabytes at most
Row = Mapping[str, object]

_REPORT_ROW = """INSERT INTO report (day, profile, language, edition, content)
    VALUES (:day, :profile, :language, :edition, :content) ON CONFLICT DO UPDATE SET content = excluded.content"""
_PLANNED_ROW = """INSERT INTO planned (day, profile, language, edition)
    VALUES (:day, :profile, :language, :edition) ON CONFLICT DO NOTHING"""
_CHOSEN_ROW = """INSERT INTO chosen (day, profile, language, edition, paper)
    VALUES (:day, :profile, :language, :edition, :paper) ON CONFLICT DO NOTHING"""


@dataclass(frozen=True, slots=True)
class _Table:
    """Where entries of a kind live: a row's place, its order among the others, and how it is read and written."""

    name: str
    key: str  # columns, which also say the order where `order` does not
    row: Callable[[Any], Row]
    value: Callable[[sqlite3.Row], Any]
    order: str = ""
    where: str = "true"
    put: Callable[[sqlite3.Connection, Any], None] | None = None

    def at(self, row: Row) -> tuple[str, Row]:
        """A query for what is kept in the place of `row`."""
        columns = self.key.split(", ")
        place = " AND ".join(f"{column} = :{column}" for column in columns)
        return self._select(f"{place} AND ({self.where})"), {column: row[column] for column in columns}

    @property
    def numbers(self) -> str:
        return f"SELECT rowid FROM {self.name} WHERE {self.where} ORDER BY {self.order or self.key}"  # noqa: S608 - ours

    def numbered(self, numbers: Sequence[int]) -> str:
        return self._select(f"rowid IN ({', '.join(map(str, numbers))})")

    def _select(self, which: str) -> str:
        return f"SELECT rowid AS number, * FROM {self.name} WHERE {which}"  # noqa: S608 - names of ours, no input

    def write(self, connection: sqlite3.Connection, value: Any) -> None:  # noqa: ANN401 - of the kind's type
        if self.put is not None:
            self.put(connection, value)
            return
        row = self.row(value)
        changed = ", ".join(f"{column} = excluded.{column}" for column in row)
        connection.execute(
            f"INSERT INTO {self.name} ({', '.join(row)}) VALUES ({', '.join(f':{c}' for c in row)}) "  # noqa: S608 - ours
            f"ON CONFLICT ({self.key}) DO UPDATE SET {changed}",
            row,
        )


class SqliteDump:
    """Dump over a SqliteFile."""

    _file: SqliteFile

    async def entries(self) -> AsyncIterator[Entry]:
        for kind in KINDS:
            table = _TABLES[kind]
            numbers = [row[0] for row in await self._file.rows(table.numbers)]
            for start in range(0, len(numbers), BATCH):
                batch = numbers[start : start + BATCH]
                found = {row["number"]: row for row in await self._file.rows(table.numbered(batch))}
                for number in batch:
                    if number in found:
                        yield Entry(kind, table.value(found[number]))

    async def standing(self, entries: Sequence[Entry]) -> Sequence[Any]:
        def read(connection: sqlite3.Connection) -> list[Any]:
            return [_standing(connection, entry) for entry in entries]

        return await self._file.read(read)

    async def restore(self, entries: Sequence[Entry]) -> None:
        def write(connection: sqlite3.Connection) -> None:
            for entry in entries:
                _TABLES[entry.kind].write(connection, entry.value)

        await self._file.transaction(write)


def _standing(connection: sqlite3.Connection, entry: Entry) -> Any:  # noqa: ANN401 - of the kind's type
    table = _TABLES[entry.kind]
    found = connection.execute(*table.at(table.row(entry.value))).fetchone()
    return None if found is None else table.value(found)


def _json(kind: type) -> Callable[[sqlite3.Row], Any]:
    return lambda row: from_json(kind, row["content"])


def _named(row: sqlite3.Row) -> Named:
    return Named(row["key"], row[2])


def _text_row(text: KeptText) -> Row:
    arxiv_id = text.full_text.arxiv_id
    content = to_json(FullText, text.full_text)
    return {
        "id": arxiv_id.id,
        "version": arxiv_id.version or 0,
        "fetched_at": micros(text.fetched_at),
        "content": content,
    }


def _text(row: sqlite3.Row) -> KeptText:
    return KeptText(from_json(FullText, row["content"]), moment(row["fetched_at"]))


def _key_row(key: ReportKey) -> dict[str, object]:
    return asdict(key) | {"day": key.day.isoformat()}


def _key(row: sqlite3.Row) -> ReportKey:
    return ReportKey(date.fromisoformat(row["day"]), row["profile"], row["language"], row["edition"])


def _report_row(report: Report) -> Row:
    return _key_row(report.key) | {"content": to_json(Report, report)}


def _put_report(connection: sqlite3.Connection, report: Report) -> None:
    row = _report_row(report)
    connection.execute(_REPORT_ROW, row)
    connection.execute(_PLANNED_ROW, row)
    connection.executemany(_CHOSEN_ROW, [{**row, "paper": paper} for paper in report.ranking.chosen])


def _put_ranking(connection: sqlite3.Connection, ranking: Ranking) -> None:
    keep_ranking(connection, ranking_row(ranking))


def _put_planned(connection: sqlite3.Connection, key: ReportKey) -> None:
    connection.execute(_PLANNED_ROW, _key_row(key))


def _put_vote(connection: sqlite3.Connection, vote: Vote) -> None:
    connection.execute(KEEP_VOTE, vote_row(vote))


def _list_row(day_list: DayList) -> Row:
    return {
        "day": day_list.day.isoformat(),
        "captured_at": micros(day_list.captured_at),
        "content": to_json(DayList, day_list),
    }


_EDITION = "day, profile, language, edition"
_NOT_TRIED = ", ".join(f"'{key}'" for key in sorted(NO_TRUTH))
_TABLES: Mapping[str, _Table] = {
    "list": _Table("list", "day", _list_row, _json(DayList)),
    "paper": _Table(
        "paper", "id", lambda paper: {"id": paper.arxiv_id.id, "content": to_json(Paper, paper)}, _json(Paper)
    ),
    "analysis": _Table("analysis", "key", lambda named: {"key": named.key, "content": named.value}, _named),
    "text": _Table("full_text", "id, version", _text_row, _text),
    "report": _Table("report", _EDITION, _report_row, _json(Report), put=_put_report),
    "planned": _Table("planned", _EDITION, _key_row, _key, put=_put_planned),
    "ranking": _Table("ranking", "day, profile, language", ranking_row, _json(Ranking), put=_put_ranking),
    "spent": _Table("spend", "day", asdict, lambda row: Spent(row["day"], row["nano_usd"])),
    "address": _Table(
        "address",
        "address",
        asdict,
        lambda row: Gate(row["address"], row["closed"], row["moved_to"]),
        where="closed IS NOT NULL OR moved_to IS NOT NULL",
    ),
    "part": _Table("part", "key", part_row, part_of, order="id"),
    "request": _Table("request", "key", request_row, _json(Request), order="id"),
    "vote": _Table(
        "vote",
        "user, paper",
        vote_row,
        vote_of,
        order="rowid",
        put=_put_vote,
    ),
    "note": _Table("note", "key", asdict, _named, where=f"key NOT IN ({_NOT_TRIED})"),
}
