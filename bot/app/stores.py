"""`store.url` -> a store, opened; the library of one that is not used is never loaded."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import config
from bot.errors import SettingsError
from bot.interfaces import Clock, NoTelemetry, Pacing, Store, Telemetry
from bot.pacing import Fallback, LocalPacing
from bot.store.entries import WholeStore
from bot.store.redis_url import is_redis, place
from bot.store.sqlite import SqliteStore

SQLITE = "sqlite:///"


@asynccontextmanager
async def opened_store(
    loaded: config.Loaded, url: str | None = None, telemetry: Telemetry = NoTelemetry()
) -> AsyncIterator[WholeStore]:
    """The store at `url`, else that of the settings. Raises SettingsError, StoreError."""
    url = url or loaded.settings.store.url
    if not is_redis(url):
        async with SqliteStore.open(_file(url, loaded), telemetry=telemetry) as sqlite:
            yield sqlite
        return
    from bot.store.redis import RedisStore

    password = loaded.settings.store.password
    async with RedisStore.open(url, password.get_secret_value() if password else None, telemetry=telemetry) as redis:
        yield redis


def pacing_with(store: Store, clock: Clock) -> Pacing:
    """The limits of sending, counted where all processes see it: on Redis, else in this one alone."""
    shared = getattr(store, "pacing", None)
    return Fallback(shared, clock) if shared else LocalPacing(clock)


def store_place(loaded: config.Loaded, url: str | None = None) -> str:
    """Where that store is, as it may be shown: a path, or a URL without its secrets. Raises SettingsError."""
    url = url or loaded.settings.store.url
    return place(url) if is_redis(url) else str(_file(url, loaded))


def is_there(loaded: config.Loaded) -> bool:
    """Was the store of the settings ever written? A server of Redis is there, or says itself that it is not."""
    url = loaded.settings.store.url
    return is_redis(url) or _file(url, loaded).exists()


def _file(url: str, loaded: config.Loaded) -> Path:
    """The SQLite file. A relative path starts at the settings file's folder."""
    if not url.startswith(SQLITE) or url == SQLITE:
        raise SettingsError(
            "store.url: must be sqlite:///file.db (with four slashes for an absolute path) or redis://host:6379/0"
        )
    return loaded.folder / url.removeprefix(SQLITE)
