"""The store in one SQLite file: needs nothing installed, survives `kill -9`, and may be used by several processes.

Models are kept as JSON beside the columns that queries need. The ledger's statements are in `sqlite_ledger.py`,
those of requests in `sqlite_requests.py`, those of leases in `sqlite_leases.py`.
"""

import math
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from datetime import date, datetime
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path

from bot.errors import StoreError
from bot.interfaces import NoTelemetry, Telemetry
from bot.models import ArxivId, DayList, Finding, FullText, KeptText, Paper, Ranking, Report
from bot.store.content import NANOS, folded, from_json, micros, moment, most_nanos, nanos, to_json
from bot.store.sqlite_dump import SqliteDump
from bot.store.sqlite_file import BUSY_SECONDS, SqliteFile
from bot.store.sqlite_leases import SqliteLeases
from bot.store.sqlite_ledger import SqliteLedger
from bot.store.sqlite_prune import prune
from bot.store.sqlite_ranking import keep_ranking, ranking_row
from bot.store.sqlite_requests import SqliteRequests

_KEEP_LIST = """INSERT INTO list (day, captured_at, content) VALUES (?, ?, ?) ON CONFLICT (day) DO UPDATE
    SET captured_at = excluded.captured_at, content = excluded.content WHERE excluded.captured_at >= list.captured_at"""
_KEEP_PAPER = "INSERT INTO paper (id, content) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET content = excluded.content"
_RANKED_TEXTS = "SELECT day, folded FROM ranked_text WHERE profile = ? ORDER BY day DESC"
_CHOSEN_BEFORE = """SELECT paper, max(day) AS latest FROM chosen JOIN planned USING (day, profile, language, edition)
    WHERE profile = ? AND day >= ? AND day < ? GROUP BY paper"""
_PUBLISHED = "SELECT 1 FROM planned WHERE day = :day AND profile = :profile AND language = :language"
_EDITION = "SELECT content FROM report WHERE day = ? AND profile = ? AND language = ? AND edition = ?"
_REPORT = """SELECT content FROM report WHERE day = ? AND profile = ? AND language = ?
    ORDER BY edition DESC LIMIT 1"""
_REPORTS = """SELECT content, max(edition) FROM report GROUP BY day, profile, language
    ORDER BY day DESC, profile, language LIMIT ?"""
_NEW_REPORT = "INSERT INTO report (day, profile, language, edition, content) VALUES (?, ?, ?, ?, ?)"
_NEW_PLANNED = "INSERT OR IGNORE INTO planned (day, profile, language, edition) VALUES (?, ?, ?, ?)"
_NEW_CHOSEN = "INSERT INTO chosen (day, profile, language, edition, paper) VALUES (?, ?, ?, ?, ?)"
_RESERVE = """INSERT INTO spend (day, nano_usd) SELECT :day, :nanos WHERE :nanos <= :limit
    ON CONFLICT (day) DO UPDATE SET nano_usd = nano_usd + :nanos WHERE nano_usd + :nanos <= :limit"""
_CORRECT = """INSERT INTO spend (day, nano_usd) VALUES (:day, max(0, :nanos))
    ON CONFLICT (day) DO UPDATE SET nano_usd = max(0, nano_usd + :nanos)"""
_KEEP_NOTE = "INSERT INTO note (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
_SWAP_NOTE = "UPDATE note SET value = :value WHERE key = :key AND value = :standing"
_NEW_NOTE = "INSERT INTO note (key, value) VALUES (:key, :value) ON CONFLICT (key) DO NOTHING"
_KEEP_ANALYSIS = (
    "INSERT INTO analysis (key, content) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET content = excluded.content"
)
_KEEP_FULL_TEXT = "INSERT OR REPLACE INTO full_text (id, version, fetched_at, content) VALUES (?, ?, ?, ?)"
_FULL_TEXT = """SELECT fetched_at, content FROM full_text WHERE id = :id AND (:version IS NULL OR version = :version)
    ORDER BY fetched_at DESC, version DESC LIMIT 1"""


class SqliteStore(SqliteLedger, SqliteLeases, SqliteRequests, SqliteDump):
    """Store in a SQLite file."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: Path, busy_seconds: float = BUSY_SECONDS, telemetry: Telemetry = NoTelemetry()
    ) -> "AsyncIterator[SqliteStore]":
        """Opens the file for the time of the context, creating it where there is none. Raises StoreError."""
        async with SqliteFile.open(path, busy_seconds, telemetry) as file:
            yield cls(file)

    async def ping(self) -> None:
        # A real write: a full disk or a lost right shows here before it costs a report.
        await self._file.change("REPLACE INTO note (key, value) VALUES ('ping', strftime('%s', 'now'))")

    async def integrity(self) -> None:
        """Reads the whole file (seconds for a big one). Raises StoreError when it is damaged."""
        found = await self._file.text("PRAGMA quick_check(1)")
        if found != "ok":
            raise StoreError(f"the store {self._file.path} is damaged: {found}", retryable=False)

    async def check(self) -> Sequence[Finding]:
        await self.integrity()
        return ()

    async def prune(self) -> None:
        await self._file.transaction(prune)

    async def keep_list(self, day_list: DayList) -> None:
        captured_at = micros(day_list.captured_at)
        row = (day_list.day.isoformat(), captured_at, to_json(DayList, day_list))
        papers = [(paper.arxiv_id.id, to_json(Paper, paper)) for paper in day_list.papers]

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(_KEEP_LIST, row)
            connection.executemany(_KEEP_PAPER, papers)

        await self._file.transaction(write)

    async def list_of(self, day: date) -> DayList | None:
        content = await self._file.text("SELECT content FROM list WHERE day = ?", (day.isoformat(),))
        return None if content is None else from_json(DayList, content)

    async def keep_paper(self, paper: Paper) -> None:
        await self._file.change(_KEEP_PAPER, (paper.arxiv_id.id, to_json(Paper, paper)))

    async def paper(self, arxiv_id: str) -> Paper | None:
        content = await self._file.text("SELECT content FROM paper WHERE id = ?", (arxiv_id,))
        return None if content is None else from_json(Paper, content)

    async def keep_ranking(self, ranking: Ranking) -> None:
        row = ranking_row(ranking)

        def write(connection: sqlite3.Connection) -> None:
            if connection.execute(_PUBLISHED, row).fetchone() is None:
                keep_ranking(connection, row)

        await self._file.transaction(write)

    async def ranking(self, day: date, profile: str, language: str) -> Ranking | None:
        query = "SELECT content FROM ranking WHERE day = ? AND profile = ? AND language = ?"
        content = await self._file.text(query, (day.isoformat(), profile, language))
        return None if content is None else from_json(Ranking, content)

    async def rankings(self, day: date, profile: str) -> tuple[Ranking, ...]:
        query = "SELECT content FROM ranking WHERE day = ? AND profile = ? ORDER BY created_at, language"
        rows = await self._file.rows(query, (day.isoformat(), profile))
        return tuple(from_json(Ranking, row["content"]) for row in rows)

    async def newest_ranking_day(self, profile: str) -> date | None:
        day = await self._file.text("SELECT max(day) FROM ranking WHERE profile = ?", (profile,))
        return None if day is None else date.fromisoformat(day)

    async def days_with(self, profile: str, words: Sequence[str], limit: int) -> tuple[date, ...]:
        sought = [folded(word) for word in words if word]
        if not sought:
            return ()

        def holds(texts: Sequence[bytes]) -> bool:
            return all(any(word in text for text in texts) for word in sought)

        def search(connection: sqlite3.Connection) -> list[str]:
            # Looks into every text, some 40 ms for two years: FTS5's trigrams find no word of two Chinese characters.
            with closing(connection.execute(_RANKED_TEXTS, (profile,))) as rows:
                days = ((day, [row["folded"] for row in of_day]) for day, of_day in groupby(rows, itemgetter("day")))
                return list(islice((day for day, texts in days if holds(texts)), limit))

        return tuple(map(date.fromisoformat, await self._file.read(search)))

    async def chosen_before(self, profile: str, day: date, since: date) -> Mapping[str, date]:
        rows = await self._file.rows(_CHOSEN_BEFORE, (profile, since.isoformat(), day.isoformat()))
        return {row["paper"]: date.fromisoformat(row["latest"]) for row in rows}

    async def keep_report(self, report: Report) -> Report:
        key = (report.key.day.isoformat(), report.key.profile, report.key.language, report.key.edition)
        content, ranking = to_json(Report, report), ranking_row(report.ranking)

        def write(connection: sqlite3.Connection) -> str | None:
            standing = connection.execute(_EDITION, key).fetchone()
            if standing is not None:
                return str(standing["content"])
            connection.execute(_NEW_REPORT, (*key, content))
            connection.execute(_NEW_PLANNED, key)
            if report.ranking.entries:
                keep_ranking(connection, ranking)
            connection.executemany(_NEW_CHOSEN, [(*key, paper) for paper in report.ranking.chosen])
            return None

        standing = await self._file.transaction(write)
        return report if standing is None else from_json(Report, standing)

    async def report(self, day: date, profile: str, language: str) -> Report | None:
        content = await self._file.text(_REPORT, (day.isoformat(), profile, language))
        return None if content is None else from_json(Report, content)

    async def reports(self, limit: int) -> tuple[Report, ...]:
        return tuple(from_json(Report, row["content"]) for row in await self._file.rows(_REPORTS, (limit,)))

    async def full_text(self, arxiv_id: ArxivId) -> KeptText | None:
        rows = await self._file.rows(_FULL_TEXT, {"id": arxiv_id.id, "version": arxiv_id.version})
        return KeptText(from_json(FullText, rows[0]["content"]), moment(rows[0]["fetched_at"])) if rows else None

    async def keep_full_text(self, full_text: FullText, fetched_at: datetime) -> None:
        arxiv_id = full_text.arxiv_id
        row = (arxiv_id.id, arxiv_id.version or 0, micros(fetched_at), to_json(FullText, full_text))
        await self._file.change(_KEEP_FULL_TEXT, row)

    async def analysis(self, key: str) -> str | None:
        return await self._file.text("SELECT content FROM analysis WHERE key = ?", (key,))

    async def keep_analysis(self, key: str, content: str) -> None:
        await self._file.change(_KEEP_ANALYSIS, (key, content))

    async def reserve_spend(self, day: date, usd: float, limit: float) -> bool:
        if not math.isfinite(usd):
            return False
        values = {"day": day.isoformat(), "nanos": nanos(usd), "limit": most_nanos(limit)}
        return await self._file.change(_RESERVE, values) == 1

    async def settle_spend(self, day: date, difference: float) -> None:
        await self._file.change(_CORRECT, {"day": day.isoformat(), "nanos": nanos(difference)})

    async def spent(self, day: date) -> float:
        rows = await self._file.rows("SELECT nano_usd FROM spend WHERE day = ?", (day.isoformat(),))
        return rows[0]["nano_usd"] / NANOS if rows else 0.0

    async def note(self, key: str) -> str | None:
        return await self._file.text("SELECT value FROM note WHERE key = ?", (key,))

    async def keep_note(self, key: str, value: str) -> None:
        await self._file.change(_KEEP_NOTE, (key, value))

    async def swap_note(self, key: str, standing: str | None, value: str) -> bool:
        values = {"key": key, "standing": standing, "value": value}
        return await self._file.change(_NEW_NOTE if standing is None else _SWAP_NOTE, values) == 1
