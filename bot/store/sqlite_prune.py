"""What the SQLite store forgets, and when: as long as Redis would keep it, by the times of `kept.py`.

A row's age runs from its last write by the file's own clock, as Redis's times run by the server's: nobody's idea of
what day it is can age it. What is not done yet stays, however old.
"""

import sqlite3

from bot.store import kept

KEPT = {
    "list": kept.LISTS,
    "paper": kept.PAPERS,
    "ranking": kept.REPORTS,
    "ranked_text": kept.REPORTS,
    "report": kept.REPORTS,
    "planned": kept.CHOSEN,  # says which choices count
    "chosen": kept.CHOSEN,
    "full_text": kept.TEXTS,
    "analysis": kept.ANALYSES,
    "spend": kept.SPENDING,
    "note": kept.NOTES,
    "part": kept.LEDGER,
    "request": kept.REQUESTS,
}
"""Seconds, by table."""

FOR_GOOD = frozenset({"vote", "address", "lease"})
"""Tables without an end; of leases there are as many as there are names."""

_SAVE = {
    "request": "state <> 'open'",
    # A delivery goes as a whole, once all of it is as old and none of it waits for anybody.
    "part": """NOT EXISTS (SELECT 1 FROM part AS other WHERE other.delivery = part.delivery
        AND (other.state IN ('planned', 'sending', 'unknown') OR other.written_at >= :before))""",
}


def prune(connection: sqlite3.Connection) -> None:
    """Deletes what has had its time, within a transaction."""
    [now] = connection.execute("SELECT CAST(strftime('%s', 'now') AS INTEGER)").fetchone()
    for table, seconds in KEPT.items():
        done = _SAVE.get(table, "true")
        connection.execute(
            f"DELETE FROM {table} WHERE written_at < :before AND {done}",  # noqa: S608 - names of ours, no input
            {"before": now - seconds},
        )
