"""The commands that move what is kept: into a file, out of one, into another store."""

import argparse
import sys

import config
from bot import texts
from bot.app.stores import is_there, opened_store, store_place
from bot.errors import InputError, SettingsError
from bot.store import moving
from bot.store.entries import Verdict
from bot.store.redis_url import is_redis, password_in
from bot.terminal.status import DEGRADED, DONE


async def store(loaded: config.Loaded, arguments: argparse.Namespace) -> int:
    """Degraded where something differs and was left as it is there."""
    words = texts.load(loaded.settings.language)
    if arguments.moving == "migrate":
        return _told(await _migrate(loaded, arguments.to), words)
    if arguments.moving == "export":
        _must_be_there(loaded)
    async with opened_store(loaded) as opened:
        if arguments.moving == "import":
            return _told(await moving.import_(arguments.file, opened), words)
        counted = await moving.export(opened, arguments.file)
    print(words("cli.store_exported", file=arguments.file, count=sum(counted.values())), file=sys.stdout)
    return DONE


async def _migrate(loaded: config.Loaded, url: str) -> moving.Moved:
    if is_redis(url) and password_in(url) is not None:
        raise SettingsError("--to: others can see arguments; put the password into PAPERBOY_STORE__PASSWORD")
    if store_place(loaded, url) == store_place(loaded):
        raise SettingsError("--to: this is the store of the settings; name another one")
    _must_be_there(loaded)
    async with opened_store(loaded) as source, opened_store(loaded, url) as target:
        return await moving.migrate(source, target)


def _must_be_there(loaded: config.Loaded) -> None:
    if not is_there(loaded):
        place = store_place(loaded)
        raise InputError(f"store.url: there is no store at {place}", key="cli.no_store", place=place)


def _told(moved: moving.Moved, words: texts.Texts) -> int:
    ends = {verdict.value: sum(counted.get(verdict, 0) for counted in moved.values()) for verdict in Verdict}
    print(words("cli.store_moved", **ends), file=sys.stdout)
    left = {kind: counted[Verdict.LEFT] for kind, counted in moved.items() if counted.get(Verdict.LEFT)}
    if left:
        print(words("cli.store_left", kinds=", ".join(f"{kind} {count}" for kind, count in left.items())))
    return DEGRADED if left else DONE
