"""Leases in SQLite: looked at and taken in one transaction."""

import sqlite3
from dataclasses import replace
from datetime import datetime

from bot.models import Lease
from bot.store.content import micros, moment
from bot.store.sqlite_file import SqliteFile

_STANDING = "SELECT owner, until, before FROM lease WHERE name = ?"
_KEEP = "REPLACE INTO lease (name, owner, until, before) VALUES (?, ?, ?, ?)"


class SqliteLeases:
    """Leases over a SqliteFile."""

    _file: SqliteFile

    async def take_lease(self, name: str, owner: str, now: datetime, until: datetime) -> Lease:
        def write(connection: sqlite3.Connection) -> Lease:
            standing = _of(connection.execute(_STANDING, (name,)).fetchone())
            lease = _after(standing, Lease(owner, until), now)
            if lease != standing:  # who waits for a lease writes nothing
                connection.execute(_KEEP, (name, lease.owner, micros(lease.until), lease.before))
            return lease

        return await self._file.transaction(write)

    async def drop_lease(self, name: str, owner: str) -> None:
        await self._file.change("DELETE FROM lease WHERE name = ? AND owner = ?", (name, owner))

    async def lease(self, name: str) -> Lease | None:
        rows = await self._file.rows(_STANDING, (name,))
        return _of(rows[0]) if rows else None


def _after(standing: Lease | None, wanted: Lease, now: datetime) -> Lease:
    """What stands when somebody has asked for `wanted`."""
    if standing is None:
        return wanted
    if standing.owner == wanted.owner:
        return replace(standing, until=wanted.until)
    if standing.until <= now:
        return replace(wanted, before=standing.owner)
    return replace(standing, until=min(standing.until, wanted.until))


def _of(row: sqlite3.Row | None) -> Lease | None:
    return None if row is None else Lease(row["owner"], moment(row["until"]), row["before"])
