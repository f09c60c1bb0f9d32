"""The tables of the SQLite store, as numbered steps: `PRAGMA user_version` says how many a file has taken.

A step that was released is never changed; a change is a new step at the end. Times are microseconds since 1970 (UTC),
days are ISO dates, money is in billionths of a dollar, so that sums are exact.
"""

import sqlite3

from bot.errors import StoreError

APPLICATION_ID = 0x50617042  # "PapB": marks a file as Paperboy's (https://www.sqlite.org/fileformat2.html)

_NOW = "CAST(strftime('%s', 'now') AS INTEGER)"
# In a release that prunes other tables, they come with a step of their own: this one stays as it is.
_AGING = (
    *("list", "paper", "ranking", "ranked_text", "report", "planned", "chosen", "full_text", "analysis", "spend"),
    *("note", "part", "request"),
)


def _ages(table: str) -> tuple[str, ...]:
    """Rows know the second of their last write, whoever writes them; those there are were written now."""
    written = f"UPDATE {table} SET written_at = {_NOW} WHERE rowid = NEW.rowid"  # noqa: S608 - names of ours
    return (
        f"ALTER TABLE {table} ADD COLUMN written_at INTEGER",
        f"UPDATE {table} SET written_at = {_NOW}",  # noqa: S608 - as above
        f"CREATE INDEX {table}_age ON {table} (written_at)",
        f"CREATE TRIGGER {table}_new AFTER INSERT ON {table} BEGIN {written}; END",
        f"""CREATE TRIGGER {table}_changed AFTER UPDATE ON {table} WHEN NEW.written_at IS OLD.written_at
            BEGIN {written}; END""",
    )


STEPS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE list (day TEXT PRIMARY KEY, captured_at INTEGER NOT NULL, content TEXT NOT NULL) STRICT",
        "CREATE TABLE paper (id TEXT PRIMARY KEY, content TEXT NOT NULL) STRICT",
        """CREATE TABLE ranking (
            day TEXT NOT NULL, profile TEXT NOT NULL, language TEXT NOT NULL,
            created_at INTEGER NOT NULL, content TEXT NOT NULL,
            PRIMARY KEY (day, profile, language)) STRICT""",
        """CREATE TABLE report (
            day TEXT NOT NULL, profile TEXT NOT NULL, language TEXT NOT NULL, edition INTEGER NOT NULL,
            content TEXT NOT NULL,
            PRIMARY KEY (day, profile, language, edition)) STRICT""",
        """CREATE TABLE chosen (
            day TEXT NOT NULL, profile TEXT NOT NULL, language TEXT NOT NULL, edition INTEGER NOT NULL,
            paper TEXT NOT NULL,
            PRIMARY KEY (day, profile, language, edition, paper),
            FOREIGN KEY (day, profile, language, edition) REFERENCES report ON DELETE CASCADE) STRICT""",
        # A row of its own, not a column of `report`: what was planned stays planned when a report is kept anew.
        """CREATE TABLE planned (
            day TEXT NOT NULL, profile TEXT NOT NULL, language TEXT NOT NULL, edition INTEGER NOT NULL,
            PRIMARY KEY (day, profile, language, edition)) STRICT""",
        "CREATE TABLE analysis (key TEXT PRIMARY KEY, content TEXT NOT NULL) STRICT",
        "CREATE TABLE spend (day TEXT PRIMARY KEY, nano_usd INTEGER NOT NULL) STRICT",
        """CREATE TABLE part (
            id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, delivery TEXT NOT NULL, position INTEGER NOT NULL,
            channel TEXT NOT NULL, platform TEXT NOT NULL, target TEXT NOT NULL, topic INTEGER,
            message TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('planned', 'sending', 'sent', 'unknown', 'failed', 'dropped')),
            owner TEXT NOT NULL, lease INTEGER, attempts INTEGER NOT NULL,
            message_ids TEXT NOT NULL, error TEXT NOT NULL, late INTEGER NOT NULL,
            planned_at INTEGER, updated_at INTEGER,
            CHECK (state <> 'sending' OR (owner <> '' AND lease IS NOT NULL)),
            UNIQUE (delivery, position)) STRICT""",
        "CREATE INDEX unfinished_part ON part (delivery) WHERE state IN ('planned', 'sending')",
        "CREATE TABLE address (address TEXT PRIMARY KEY, closed TEXT, moved_to TEXT) STRICT",
        "CREATE TABLE note (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    ),
    # Version 0 is one that nobody knows.
    (
        """CREATE TABLE full_text (
            id TEXT NOT NULL, version INTEGER NOT NULL, fetched_at INTEGER NOT NULL, content TEXT NOT NULL,
            PRIMARY KEY (id, version)) STRICT""",
    ),
    (
        "ALTER TABLE part ADD COLUMN thread TEXT",
        # All that finding a message asks for: the parts themselves, long rows, are left alone.
        "CREATE INDEX posted_part ON part (platform, target, message_ids)",
        "CREATE INDEX troubled_part ON part (id) WHERE state IN ('unknown', 'failed')",
        """CREATE TABLE request (
            id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, user TEXT NOT NULL, job TEXT NOT NULL,
            conversation TEXT NOT NULL, asked_at INTEGER NOT NULL, counted INTEGER NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('open', 'answered', 'failed', 'cancelled')),
            content TEXT NOT NULL) STRICT""",
        "CREATE INDEX open_request ON request (job) WHERE state = 'open'",
        "CREATE INDEX counted_request ON request (user, asked_at) WHERE counted",
        "CREATE INDEX talk ON request (conversation, asked_at) WHERE state = 'answered' AND conversation <> ''",
        """CREATE TABLE vote (
            user TEXT NOT NULL, paper TEXT NOT NULL, profile TEXT NOT NULL, value INTEGER NOT NULL, at INTEGER NOT NULL,
            PRIMARY KEY (user, paper)) STRICT""",
        # What can be searched of a ranking, folded, in UTF-8: a table of its own, so that a search reads nothing else,
        # and a BLOB, which nobody has to decode.
        """CREATE TABLE ranked_text (
            profile TEXT NOT NULL, day TEXT NOT NULL, language TEXT NOT NULL, folded BLOB NOT NULL,
            PRIMARY KEY (profile, day, language)) STRICT""",
        """INSERT INTO ranked_text SELECT profile, day, language, CAST(casefold(coalesce((
                SELECT group_concat(json_extract(value, '$.paper.title') || char(10)
                    || json_extract(value, '$.paper.abstract') || char(10)
                    || coalesce(json_extract(value, '$.score.reason'), ''), char(10))
                FROM json_each(content, '$.entries')), '')) AS BLOB)
            FROM ranking""",
    ),
    (
        # What was chosen outlives its report: `report.repeat_after_days` may be ten years.
        """CREATE TABLE choice (
            day TEXT NOT NULL, profile TEXT NOT NULL, language TEXT NOT NULL, edition INTEGER NOT NULL,
            paper TEXT NOT NULL,
            PRIMARY KEY (day, profile, language, edition, paper)) STRICT""",
        "INSERT INTO choice SELECT day, profile, language, edition, paper FROM chosen",
        "DROP TABLE chosen",
        "ALTER TABLE choice RENAME TO chosen",
        *(statement for table in _AGING for statement in _ages(table)),
    ),
    (
        """CREATE TABLE lease (
            name TEXT PRIMARY KEY, owner TEXT NOT NULL, until INTEGER NOT NULL, before TEXT NOT NULL) STRICT""",
    ),
)


def migrate(connection: sqlite3.Connection, steps: tuple[tuple[str, ...], ...] = STEPS) -> None:
    """Takes the steps that the file lacks, each in a transaction of its own, also when two processes try at once.

    Raises StoreError for a file of a newer Paperboy or of another program.
    """
    connection.create_function("casefold", 1, str.casefold, deterministic=True)  # lower() knows ASCII alone
    for number in range(_standing(connection, steps) + 1, len(steps) + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _version(connection, steps) < number:
                for statement in steps[number - 1]:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def _standing(connection: sqlite3.Connection, steps: tuple[tuple[str, ...], ...]) -> int:
    """The version at one moment: another process may be taking its first step between two of our questions."""
    connection.execute("BEGIN")
    try:
        return _version(connection, steps)
    finally:
        connection.execute("COMMIT")


def _version(connection: sqlite3.Connection, steps: tuple[tuple[str, ...], ...]) -> int:
    version, owner, tables = (
        connection.execute(query).fetchone()[0]
        for query in ("PRAGMA user_version", "PRAGMA application_id", "SELECT count(*) FROM sqlite_schema")
    )
    if tables and owner != APPLICATION_ID:
        raise StoreError("the file is another program's database; name another one in store.url", retryable=False)
    if version > len(steps):
        raise StoreError(
            f"the file was written by a newer Paperboy (step {version}, this one knows {len(steps)}); upgrade",
            retryable=False,
        )
    return int(version)
