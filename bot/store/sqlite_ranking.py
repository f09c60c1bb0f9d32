"""How a ranking is written to SQLite: itself, and what can be searched of it."""

import sqlite3
from collections.abc import Mapping

from bot.models import Ranking
from bot.store.content import micros, searched, to_json

_KEEP_RANKING = """INSERT OR REPLACE INTO ranking (day, profile, language, created_at, content)
    VALUES (:day, :profile, :language, :created_at, :content)"""
_KEEP_RANKED_TEXT = """INSERT OR REPLACE INTO ranked_text (day, profile, language, folded)
    VALUES (:day, :profile, :language, :folded)"""


def ranking_row(ranking: Ranking) -> dict[str, object]:
    """A ranking and what can be searched of it, as the statements take them. Raises StoreError."""
    return {
        "day": ranking.day.isoformat(),
        "profile": ranking.profile.name,
        "language": ranking.language,
        "created_at": micros(ranking.created_at),
        "content": to_json(Ranking, ranking),
        "folded": searched(ranking),
    }


def keep_ranking(connection: sqlite3.Connection, row: Mapping[str, object]) -> None:
    """Writes, within a transaction, what `ranking_row` made."""
    connection.execute(_KEEP_RANKING, row)
    connection.execute(_KEEP_RANKED_TEXT, row)
