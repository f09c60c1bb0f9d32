"""Writes that queue up share a commit, and nothing else: neither their errors nor their results."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from bot.errors import StoreError
from bot.store.sqlite_file import SqliteFile

Work = Callable[[sqlite3.Connection], object]
# A child of a note that is not there: only the commit itself notices.
ORPHAN = (
    "CREATE TABLE child (parent TEXT REFERENCES note (key) DEFERRABLE INITIALLY DEFERRED) STRICT",
    "INSERT INTO child VALUES ('nobody')",
)


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[SqliteFile]:
    async with SqliteFile.open(tmp_path / "paperboy.db", busy_seconds=0.2) as opened:
        yield opened


def note(key: str) -> Work:
    def write(connection: sqlite3.Connection) -> str:
        connection.execute("INSERT INTO note (key, value) VALUES (?, 'here')", (key,))
        return key

    return write


def then(first: Work, *statements: str) -> Work:
    def write(connection: sqlite3.Connection) -> None:
        first(connection)
        for statement in statements:
            connection.execute(statement)

    return write


def broken(connection: sqlite3.Connection) -> None:
    note("broken")(connection)
    raise StoreError("cannot be read", retryable=False)


async def notes(file: SqliteFile) -> list[str]:
    return [row["key"] for row in await file.rows("SELECT key FROM note ORDER BY rowid")]


async def queued(file: SqliteFile, *calls: Coroutine[Any, Any, Any]) -> list[Any]:
    """The calls' results or errors; all of them are made while the store's thread is busy with something else."""
    busy = threading.Event()
    holding = asyncio.create_task(file.read(lambda _: busy.wait(5)))
    await asyncio.sleep(0)
    tasks = [asyncio.create_task(call) for call in calls]
    await asyncio.sleep(0)
    busy.set()
    await holding
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_writes_that_wait_together_are_committed_together_in_their_order(file: SqliteFile):
    keys = [f"note {n}" for n in range(50)]
    statements: list[str] = []
    await file.read(lambda connection: connection.set_trace_callback(statements.append))
    assert await queued(file, *(file.transaction(note(key)) for key in keys)) == keys
    assert statements.count("COMMIT") == 1
    assert await notes(file) == keys


async def test_a_write_sees_those_before_it(file: SqliteFile):
    once = "INSERT INTO note (key, value) VALUES ('turn', 'mine') ON CONFLICT DO NOTHING"
    assert await queued(file, *(file.change(once) for _ in range(3))) == [1, 0, 0]


async def test_a_read_sees_the_writes_that_were_asked_for_before_it(file: SqliteFile):
    assert (await queued(file, file.transaction(note("a")), notes(file)))[1] == ["a"]


@pytest.mark.parametrize(
    "bad",
    [
        broken,
        then(note("twice"), "INSERT INTO note (key, value) VALUES ('twice', 'again')"),
        then(
            note("gone"), "INSERT OR ROLLBACK INTO note (key, value) VALUES ('gone', 'again')"
        ),  # undoes the others', too
        then(note("late"), *ORPHAN),
    ],
    ids=["ours", "statement", "rollback", "commit"],
)
async def test_a_write_that_fails_is_undone_alone_and_tells_nobody_else(file: SqliteFile, bad: Work):
    first, error, last = await queued(file, *(file.transaction(work) for work in (note("a"), bad, note("b"))))
    assert (first, last) == ("a", "b")
    assert isinstance(error, StoreError)
    assert await notes(file) == ["a", "b"]
    assert not file._connection.in_transaction


async def test_a_locked_file_costs_all_that_wait_one_wait(file: SqliteFile):
    other = sqlite3.connect(file.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    started = asyncio.get_running_loop().time()
    errors = await queued(file, *(file.transaction(note(str(n))) for n in range(20)))
    assert asyncio.get_running_loop().time() - started < 2.0  # twenty waits would be four seconds
    assert all(isinstance(error, StoreError) and error.retryable for error in errors)
    other.execute("ROLLBACK")
    other.close()
    assert await notes(file) == []
    assert await file.transaction(note("after")) == "after"


async def test_a_write_cancelled_while_it_waits_is_left_out(file: SqliteFile):
    busy = threading.Event()
    holding = asyncio.create_task(file.read(lambda _: busy.wait(5)))
    await asyncio.sleep(0)
    given_up, kept = (asyncio.create_task(file.transaction(note(key))) for key in ("given up", "kept"))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.sleep(0)
    busy.set()
    await holding
    assert await kept == "kept"
    assert given_up.cancelled()
    assert await notes(file) == ["kept"]


async def test_a_result_is_told_only_when_it_is_on_disk(file: SqliteFile):
    def told(key: str) -> Coroutine[Any, Any, bool]:
        async def write_and_look() -> bool:
            await file.transaction(note(key))
            other = sqlite3.connect(file.path)
            found = other.execute("SELECT 1 FROM note WHERE key = ?", (key,)).fetchone()
            other.close()
            return found is not None

        return write_and_look()

    assert await queued(file, *(told(str(n)) for n in range(5))) == [True] * 5
