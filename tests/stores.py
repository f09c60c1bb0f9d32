"""A store by its place, for processes that are told of one: a folder, or a Redis server and a namespace on it."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

from bot.store.entries import WholeStore
from bot.store.redis import RedisStore
from bot.store.sqlite import SqliteStore
from tests import redis_standin


def opened(place: str) -> AbstractAsyncContextManager[WholeStore]:
    """`place` is what `in_sqlite` or `on_redis` gave."""
    if "#" not in place:
        return SqliteStore.open(Path(place) / "paperboy.db")
    url, _, namespace = place.partition("#")
    return RedisStore.open(url, namespace=namespace)


def in_sqlite(folder: Path) -> str:
    return str(folder)


def on_redis(url: str) -> str:
    """A new namespace on the server."""
    return f"{url}#{redis_standin.namespace()}"
