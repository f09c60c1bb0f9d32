"""The delivery ledger in SQLite: every change of a part's state is a compare-and-set in one statement."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import date, datetime

from bot.models import Address, Message, Part, PartState, PlatformName, ReportKey
from bot.store.content import from_json, micros, moment, to_json
from bot.store.sqlite_file import SqliteFile

_IDS = tuple[str, ...]

_PLANNED = "INSERT INTO planned (day, profile, language, edition) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
_INSERT = """INSERT INTO part (key, delivery, position, channel, platform, target, topic, thread, message, state,
        owner, lease, attempts, message_ids, error, late, planned_at, updated_at)
    VALUES (:key, :delivery, :position, :channel, :platform, :target, :topic, :thread, :message, :state, :owner,
        :lease, :attempts, :message_ids, :error, :late, :planned_at, :updated_at)"""
# The newest: a message that was edited is what it became.
_POSTED_AS = """SELECT * FROM part WHERE platform = ? AND target = ?
    AND EXISTS (SELECT 1 FROM json_each(message_ids) WHERE value = ?) ORDER BY id DESC LIMIT 1"""
_CLAIM = """UPDATE part SET attempts = attempts + (state = 'planned'), state = 'sending', owner = :owner,
        lease = :lease, updated_at = :now
    WHERE key = :key AND (state = 'planned' OR (state = 'sending' AND owner = :owner))"""
_RECOVER = """UPDATE part SET owner = :owner, lease = :lease
    WHERE key = :key AND state = 'sending' AND (lease < :now OR owner = :owner)"""
# The owner stays in the row: recording the same end once more (after a lost answer) is a success, not a lost part.
_RECORD = """UPDATE part SET state = :state, lease = NULL, message_ids = :message_ids, error = :error
    WHERE key = :key AND owner = :owner AND state IN ('sending', :state)"""
_SETTLE = """UPDATE part SET state = :state, owner = '', planned_at = coalesce(:planned_at, planned_at)
    WHERE key = :key AND state IN ('unknown', 'failed')"""
_NEWEST = """SELECT * FROM part JOIN
        (SELECT delivery, max(id) AS newest FROM part GROUP BY delivery ORDER BY newest DESC LIMIT ?) USING (delivery)
    ORDER BY newest DESC, position"""
_TROUBLED = "SELECT * FROM part WHERE state IN ('unknown', 'failed') ORDER BY id DESC LIMIT ?"
_CLOSE = """INSERT INTO address (address, closed) VALUES (:address, :closed)
    ON CONFLICT (address) DO UPDATE SET closed = excluded.closed"""
_MOVE = """INSERT INTO address (address, moved_to) VALUES (:address, :moved_to)
    ON CONFLICT (address) DO UPDATE SET moved_to = excluded.moved_to"""


class SqliteLedger:
    """Ledger over a SqliteFile."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def plan(self, report: ReportKey | None, parts: Sequence[Part]) -> None:
        rows = part_rows(parts)

        def write(connection: sqlite3.Connection) -> None:
            if report is not None:
                connection.execute(_PLANNED, (report.day.isoformat(), report.profile, report.language, report.edition))
            plan_rows(connection, rows)

        await self._file.transaction(write)

    async def planned_report(self, day: date, profile: str, language: str) -> bool:
        return bool(await self.planned_editions(day, profile, language))

    async def planned_editions(self, day: date, profile: str, language: str) -> tuple[int, ...]:
        rows = await self._file.rows(
            "SELECT edition FROM planned WHERE day = ? AND profile = ? AND language = ? ORDER BY edition",
            (day.isoformat(), profile, language),
        )
        return tuple(row["edition"] for row in rows)

    async def delivery(self, key: str) -> tuple[Part, ...]:
        return tuple(
            map(part_of, await self._file.rows("SELECT * FROM part WHERE delivery = ? ORDER BY position", (key,)))
        )

    async def part(self, key: str) -> Part | None:
        rows = await self._file.rows("SELECT * FROM part WHERE key = ?", (key,))
        return part_of(rows[0]) if rows else None

    async def part_posted_as(self, address: Address, message_id: str) -> Part | None:
        rows = await self._file.rows(_POSTED_AS, (address.platform.value, address.target, message_id))
        return part_of(rows[0]) if rows else None

    async def deliveries(self, limit: int) -> tuple[Part, ...]:
        return tuple(map(part_of, await self._file.rows(_NEWEST, (limit,))))

    async def troubled(self, limit: int) -> tuple[Part, ...]:
        return tuple(map(part_of, await self._file.rows(_TROUBLED, (limit,))))

    async def unfinished(self) -> tuple[str, ...]:
        rows = await self._file.rows(
            "SELECT delivery FROM part WHERE state IN ('planned', 'sending') GROUP BY delivery ORDER BY min(id)"
        )
        return tuple(row["delivery"] for row in rows)

    async def claim(self, key: str, owner: str, now: datetime, lease: datetime) -> bool:
        values = {"key": key, "owner": owner, "now": micros(now), "lease": micros(lease)}
        return await self._file.change(_CLAIM, values) == 1

    async def recover(self, key: str, owner: str, now: datetime, lease: datetime) -> bool:
        values = {"key": key, "owner": owner, "now": micros(now), "lease": micros(lease)}
        return await self._file.change(_RECOVER, values) == 1

    async def record(self, key: str, owner: str, state: PartState, ids: Sequence[str] = (), error: str = "") -> bool:
        message_ids = to_json(_IDS, tuple(ids))
        values = {"key": key, "owner": owner, "state": state.value, "message_ids": message_ids, "error": error}
        return await self._file.change(_RECORD, values) == 1

    async def settle(self, key: str, state: PartState, planned_at: datetime | None = None) -> bool:
        values = {"key": key, "state": state.value, "planned_at": _micros(planned_at)}
        return await self._file.change(_SETTLE, values) == 1

    async def close(self, address: Address, reason: str) -> None:
        await self._file.change(_CLOSE, {"address": str(address), "closed": reason})

    async def reopen(self, address: Address) -> None:
        await self._file.change(_CLOSE, {"address": str(address), "closed": None})

    async def closed(self, address: Address) -> str | None:
        return await self._address("closed", address)

    async def move(self, address: Address, target: str) -> None:
        await self._file.change(_MOVE, {"address": str(address), "moved_to": target})

    async def moved(self, address: Address) -> str | None:
        return await self._address("moved_to", address)

    async def _address(self, column: str, address: Address) -> str | None:
        rows = await self._file.rows("SELECT closed, moved_to FROM address WHERE address = ?", (str(address),))
        return rows[0][column] if rows else None


def plan_rows(connection: sqlite3.Connection, rows: Sequence[Mapping[str, object]]) -> None:
    """Writes, within a transaction, what `part_rows` made; a delivery that was planned before stays as it is."""
    planned = {row["delivery"] for row in rows if _is_planned(connection, row["delivery"])}
    connection.executemany(_INSERT, [row for row in rows if row["delivery"] not in planned])


def _is_planned(connection: sqlite3.Connection, delivery: object) -> bool:
    return connection.execute("SELECT 1 FROM part WHERE delivery = ?", (delivery,)).fetchone() is not None


def part_rows(parts: Sequence[Part]) -> list[dict[str, object]]:
    """Raises StoreError for what JSON cannot hold."""
    return [part_row(part) for part in parts]


def part_row(part: Part) -> dict[str, object]:
    """A part by its columns. Raises StoreError."""
    return {
        "key": part.key,
        "delivery": part.delivery,
        "position": part.index,
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
        "message_ids": to_json(_IDS, part.message_ids),
        "error": part.error,
        "late": int(part.late),
        "planned_at": _micros(part.planned_at),
        "updated_at": _micros(part.updated_at),
    }


def part_of(row: sqlite3.Row) -> Part:
    """A part of its row. Raises StoreError."""
    return Part(
        key=row["key"],
        delivery=row["delivery"],
        index=row["position"],
        channel=row["channel"],
        address=Address(PlatformName(row["platform"]), row["target"], row["topic"], row["thread"]),
        message=from_json(Message, row["message"]),
        state=PartState(row["state"]),
        owner=row["owner"],
        lease=_moment(row["lease"]),
        attempts=row["attempts"],
        message_ids=from_json(_IDS, row["message_ids"]),
        error=row["error"],
        late=bool(row["late"]),
        planned_at=_moment(row["planned_at"]),
        updated_at=_moment(row["updated_at"]),
    )


def _micros(value: datetime | None) -> int | None:
    return None if value is None else micros(value)


def _moment(value: int | None) -> datetime | None:
    return None if value is None else moment(value)
