"""Does the Redis server keep what it is told? What `paperboy check` says of it, with the cure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from bot.models import Finding
from bot.store.redis_server import RedisServer

LEAST_VERSION = (6, 2)
_SUBJECT = "store.url"


async def findings(server: RedisServer) -> Sequence[Finding]:
    """What is wrong with the server's own settings; nothing where all is well. Raises StoreError."""
    info, fsync = await server.info(), await server.setting("appendfsync")
    return [*_wrong(info, told=fsync is not None), *_fsync(fsync, info)]


def _wrong(info: Mapping[str, Any], *, told: bool) -> Iterator[Finding]:
    """`told`: the server shows its settings to us. One that does not is somebody's service, which may keep data by
    other means than its own file.
    """
    level: Literal["warning", "error"] = "error" if told else "warning"
    version = str(info.get("redis_version", ""))
    if _parsed(version) < LEAST_VERSION:
        yield Finding("error", _SUBJECT, f"the server is Redis {version or '?'}; upgrade it to 6.2 or later")
    if info.get("redis_mode") == "cluster":
        yield Finding("error", _SUBJECT, "the server is a cluster; name a server that is none")
    if info.get("role") == "slave":
        yield Finding("error", _SUBJECT, "the server is a replica; name the primary")
    if not info.get("aof_enabled"):
        text = "the server forgets what it was told when it ends; set `appendonly yes` in redis.conf"
        yield Finding(level, _SUBJECT, text if told else f"{text}, or make sure that the service keeps every write")
    elif info.get("aof_last_write_status", "ok") != "ok":
        yield Finding("error", _SUBJECT, "the server cannot write its append-only file; see its log and its disk")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        text = f"the server throws entries away when its memory is full ({policy}); set `maxmemory-policy noeviction`"
        yield Finding(level, _SUBJECT, text)


def _fsync(fsync: str | None, info: Mapping[str, Any]) -> Iterator[Finding]:
    if fsync is None:
        text = "the server does not show its settings (CONFIG); make sure that it writes to disk (`appendfsync always`)"
        yield Finding("warning", _SUBJECT, text)
    elif info.get("aof_enabled") and fsync != "always":
        lost = "the last second" if fsync == "everysec" else "the last half minute"
        text = f"a power cut may lose {lost}, and repeat what was sent in it; set `appendfsync always`"
        yield Finding("warning", _SUBJECT, text)


def _parsed(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
