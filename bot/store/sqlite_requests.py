"""Requests and votes in SQLite: who asked is on disk before anybody is told so, and is answered once."""

import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime

from bot.models import Part
from bot.requests import Closing, Request, Vote
from bot.store.content import from_json, micros, moment, to_json
from bot.store.sqlite_file import SqliteFile
from bot.store.sqlite_ledger import part_rows, plan_rows

_KNOWN = "SELECT 1 FROM request WHERE key = ?"
_ADMIT = """INSERT INTO request (key, user, job, conversation, asked_at, counted, state, content)
    VALUES (:key, :user, :job, :conversation, :asked_at, :counted, :state, :content)"""
_OPEN = "SELECT content FROM request WHERE key = ? AND state = 'open'"
_CLOSE = "UPDATE request SET counted = :counted, state = :state, content = :content WHERE key = :key"
_ALL_OPEN = "SELECT content FROM request WHERE state = 'open' ORDER BY asked_at, id"
_WAITING = "SELECT content FROM request WHERE job = ? AND state = 'open' ORDER BY asked_at, id"
_COUNTED = "SELECT asked_at FROM request WHERE user = ? AND counted AND asked_at > ? ORDER BY asked_at"
_TALK = """SELECT content FROM request WHERE conversation = ? AND conversation <> '' AND state = 'answered'
    ORDER BY asked_at DESC, id DESC LIMIT ?"""
KEEP_VOTE = """INSERT INTO vote (user, paper, profile, value, at) VALUES (:user, :paper, :profile, :value, :at)
    ON CONFLICT (user, paper) DO UPDATE SET profile = excluded.profile, value = excluded.value, at = excluded.at
    WHERE excluded.at >= vote.at"""


class SqliteRequests:
    """Requests over a SqliteFile."""

    _file: SqliteFile

    async def admit(self, requests: Sequence[Request]) -> bool:
        rows = [request_row(request) for request in requests]
        keys = {(request.key,) for request in requests}
        if len(keys) < len(rows):  # the second of them is known
            return False

        def write(connection: sqlite3.Connection) -> bool:
            if any(connection.execute(_KNOWN, key).fetchone() for key in keys):
                return False
            connection.executemany(_ADMIT, rows)
            return True

        return await self._file.transaction(write)

    async def request(self, key: str) -> Request | None:
        content = await self._file.text("SELECT content FROM request WHERE key = ?", (key,))
        return None if content is None else from_json(Request, content)

    async def open_requests(self) -> tuple[Request, ...]:
        return _requests(await self._file.rows(_ALL_OPEN))

    async def waiting_for(self, job: str) -> tuple[Request, ...]:
        return _requests(await self._file.rows(_WAITING, (job,)))

    async def close_request(self, key: str, closing: Closing, parts: Sequence[Part]) -> bool:
        planned = part_rows(parts)

        def write(connection: sqlite3.Connection) -> bool:
            found = connection.execute(_OPEN, (key,)).fetchone()
            if found is None:
                return False
            connection.execute(_CLOSE, request_row(_closed(from_json(Request, found["content"]), closing)))
            plan_rows(connection, planned)
            return True

        return await self._file.transaction(write)

    async def counted_since(self, user: str, since: datetime) -> tuple[datetime, ...]:
        rows = await self._file.rows(_COUNTED, (user, micros(since)))
        return tuple(moment(row["asked_at"]) for row in rows)

    async def talk(self, conversation: str, limit: int) -> tuple[Request, ...]:
        return _requests(await self._file.rows(_TALK, (conversation, limit)))[::-1]

    async def keep_vote(self, vote: Vote) -> None:
        await self._file.change(KEEP_VOTE, vote_row(vote))

    async def votes(self, profile: str) -> tuple[Vote, ...]:
        rows = await self._file.rows("SELECT * FROM vote WHERE profile = ? ORDER BY at, rowid", (profile,))
        return tuple(map(vote_of, rows))


def vote_row(vote: Vote) -> dict[str, object]:
    """A vote by its columns."""
    return asdict(vote) | {"at": micros(vote.at)}


def vote_of(row: sqlite3.Row) -> Vote:
    """A vote of its row."""
    return Vote(row["user"], row["paper"], row["profile"], row["value"], moment(row["at"]))


def _closed(request: Request, closing: Closing) -> Request:
    return replace(request, state=closing.state, closed_at=closing.at, said=closing.said, counted=closing.counted)


def request_row(request: Request) -> dict[str, object]:
    """A request by its columns. Raises StoreError."""
    return {
        "key": request.key,
        "user": request.user,
        "job": request.job,
        "conversation": request.conversation,
        "asked_at": micros(request.asked_at),
        "counted": int(request.counted),
        "state": request.state.value,
        "content": to_json(Request, request),
    }


def _requests(rows: Sequence[sqlite3.Row]) -> tuple[Request, ...]:
    return tuple(from_json(Request, row["content"]) for row in rows)
