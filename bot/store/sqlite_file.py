"""The SQLite file under the store: one connection in a thread of its own, transactions, and errors in our words.

The standard library's driver in one thread, rather than a driver that awaits every statement: a transaction is then one
plain function, which no other task interleaves with and no cancellation cuts in half.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import TypeVar

from bot.errors import StoreError
from bot.interfaces import NoTelemetry, Telemetry
from bot.store.sqlite_commit import Write, commit
from bot.store.sqlite_schema import migrate

T = TypeVar("T")
Values = Sequence[object] | Mapping[str, object]

BUSY_SECONDS = 5.0  # how long a statement waits for another process's transaction; ours take milliseconds
WAL_PAUSE_SECONDS = 0.02  # between attempts to switch a new file to WAL while another process does the same

_TROUBLES: Mapping[int, tuple[str, bool]] = {  # SQLite's result code -> what happened, may it work later
    sqlite3.SQLITE_BUSY: ("is locked by another process", True),
    sqlite3.SQLITE_LOCKED: ("is locked by another process", True),
    sqlite3.SQLITE_FULL: ("cannot grow: the disk is full", True),
    sqlite3.SQLITE_IOERR: ("cannot be read or written: the disk reports an error", True),
    sqlite3.SQLITE_READONLY: ("cannot be written: check the rights of the file and its folder", False),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened: check that its folder exists and can be written", False),
    sqlite3.SQLITE_PERM: ("cannot be opened: check the rights of the file", False),
    sqlite3.SQLITE_NOTADB: ("is not a SQLite database", False),
    sqlite3.SQLITE_CORRUPT: ("is damaged: restore a copy, or move it away to start anew", False),
}


class SqliteFile:
    """A migrated, open file. Several processes may have it open; every write is a transaction on disk (FULL)."""

    def __init__(
        self, path: Path, thread: ThreadPoolExecutor, connection: sqlite3.Connection, telemetry: Telemetry
    ) -> None:
        self.path = path
        self._telemetry = telemetry
        self._thread = thread
        self._connection = connection
        self._waiting: deque[Write] = deque()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: Path, busy_seconds: float = BUSY_SECONDS, telemetry: Telemetry = NoTelemetry()
    ) -> "AsyncIterator[SqliteFile]":
        """Creates the file where there is none (never its folder). Raises StoreError."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, thread_name_prefix="store") as thread:
            with _in_our_words(path, telemetry):
                connection = await loop.run_in_executor(thread, _connect, path, busy_seconds)
            try:
                yield cls(path, thread, connection, telemetry)
            finally:
                # Leaving the executor waits for what still runs; closing queues behind it.
                thread.submit(connection.close)

    async def change(self, statement: str, values: Values = ()) -> int:
        """Runs one statement, a transaction by itself; returns how many rows it changed."""
        return await self.transaction(lambda connection: connection.execute(statement, values).rowcount)

    async def rows(self, query: str, values: Values = ()) -> list[sqlite3.Row]:
        return await self._run(lambda connection: connection.execute(query, values).fetchall())

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Runs what only reads, and keeps no cursor open."""
        return await self._run(query)

    async def text(self, query: str, values: Values = ()) -> str | None:
        """The first column of the first row, None when it is NULL or there is no row."""
        rows = await self.rows(query, values)
        return None if not rows or rows[0][0] is None else str(rows[0][0])

    async def transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Runs `work` as one transaction: all of it or nothing; returns when it is on disk.

        `work` may be run again after its changes were undone, so it changes nothing but the file.
        """
        ended: Future[T] = Future()
        self._waiting.append(Write(work, ended))
        self._thread.submit(self._commit)
        with _in_our_words(self.path, self._telemetry):
            return await asyncio.wrap_future(ended)

    def _commit(self) -> None:
        """All that waits, in the store's thread. Who was cancelled meanwhile is left out."""
        taken = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if writes := [write for write in taken if write.ended.set_running_or_notify_cancel()]:
            commit(self._connection, writes)

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with _in_our_words(self.path, self._telemetry):
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._connection)


@contextmanager
def _in_our_words(path: Path, telemetry: Telemetry) -> Iterator[None]:
    """Turns SQLite's errors into StoreError: the file's name, never its content."""
    try:
        yield
    except sqlite3.Error as error:
        telemetry.count("store_errors", store="sqlite")
        raise _named(path, error) from error


def _named(path: Path, error: sqlite3.Error) -> StoreError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # extended codes keep the kind in a byte
    what, retryable = _TROUBLES.get(code, ("gave an unexpected error", False))
    return StoreError(f"the store {path} {what}", retryable=retryable)


def _connect(path: Path, busy_seconds: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        _write_ahead(connection, monotonic() + busy_seconds)
        _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    try:
        migrate(connection)
    except StoreError as error:
        raise StoreError(f"the store {path}: {error}", retryable=error.retryable) from error


def _write_ahead(connection: sqlite3.Connection, end: float) -> None:
    """Switches to WAL. SQLite does not wait by itself when two processes do it at once."""
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() >= end:
                raise
            sleep(WAL_PAUSE_SECONDS)
        else:
            return
