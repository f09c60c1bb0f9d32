"""Group commit: what queued up while the disk was busy shares the next commit, for it is the disk that takes the time.

Each write is still all or nothing by itself, ends with its own result, and ends only when that is on disk.
"""

import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any


@dataclass(frozen=True, slots=True)
class Write:
    """`work` within a transaction, and who waits for its result. Where its company breaks, it is run once more."""

    work: Callable[[sqlite3.Connection], Any]
    ended: "Future[Any]"


def commit(connection: sqlite3.Connection, writes: Sequence[Write]) -> None:
    """Commits all of them at once and tells each its result, or its own error."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except BaseException as error:  # noqa: BLE001  # who waits has to learn it, whatever it is
        for write in writes:  # a locked file: one wait was enough for all
            write.ended.set_exception(error)
        return
    try:
        answers = _together(connection, writes)
    except BaseException as error:  # noqa: BLE001  # as above
        if len(writes) == 1:
            writes[0].ended.set_exception(error)
        else:  # nobody knows whose fault it was, and nothing was kept
            for write in writes:
                commit(connection, [write])
        return
    for answer in answers:
        answer()


def _together(connection: sqlite3.Connection, writes: Sequence[Write]) -> list[Callable[[], None]]:
    try:
        answers = [_answer(connection, write) for write in writes]
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return answers


def _answer(connection: sqlite3.Connection, write: Write) -> Callable[[], None]:
    """Runs the work; what it returns tells the result, once that is on disk."""
    connection.execute("SAVEPOINT one")
    try:
        answer = partial(write.ended.set_result, write.work(connection))
    except BaseException as error:
        if not connection.in_transaction:  # SQLite has undone the others' work too
            raise
        connection.execute("ROLLBACK TO one")
        answer = partial(write.ended.set_exception, error)
    connection.execute("RELEASE one")
    return answer
