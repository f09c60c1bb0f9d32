"""The URL of a Redis server: what of it may be shown, and what must not. Loads no library."""

import re
from urllib.parse import SplitResult, quote, unquote, urlsplit

from bot.errors import SettingsError

_PASSWORD = re.compile(r"\w+://[^:@/]*:(.+)@")
SCHEMES = ("redis://", "rediss://", "unix://")


def is_redis(url: str) -> bool:
    """Does the URL name a Redis server?"""
    return url.startswith(SCHEMES)


def place(url: str) -> str:
    """The URL without user, password and options: what may be shown."""
    parts = _split(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"


def password_in(url: str) -> str | None:
    """The password that the URL holds."""
    password = _split(url).password
    return None if password is None else unquote(password)


def with_password(url: str, password: str | None) -> str:
    """The URL with `password`, unless it holds one already."""
    parts = _split(url)
    if password is None or parts.password is not None:
        return url
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}").geturl()


def secrets_in(url: str) -> tuple[str, ...]:
    """Its password as it is written and as it is meant, also where the URL is wrong."""
    found = _PASSWORD.match(url) if is_redis(url) else None
    return tuple({found[1], unquote(found[1])}) if found else ()


def _split(url: str) -> SplitResult:
    if not is_redis(url):
        raise wrong_url()
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - a wrong one is noticed where it is read
    except ValueError:
        raise wrong_url() from None  # urllib's own words quote what may be a password
    if parts.scheme != "unix" and not parts.path.strip("/").isdecimal() and parts.path.strip("/"):
        raise wrong_url()  # redis-py would take such a database for the first one
    return parts


def wrong_url() -> SettingsError:
    """What to say of a URL that cannot be meant; it quotes nothing."""
    return SettingsError("store.url: must be redis://host:6379/0, rediss://… (with TLS) or unix:///path/to/redis.sock")
