"""What is being worked on: the keys (`request`, `report`, `delivery`, `job`) that every log line of that work carries.

The standard library alone, so that the core may say it; `bot.logs` reads it. Tasks and threads (`asyncio.to_thread`)
that the work starts inherit it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

_NOTHING: Mapping[str, str] = {}
_working: ContextVar[Mapping[str, str]] = ContextVar("working", default=_NOTHING)


@contextmanager
def working_on(**keys: str) -> Iterator[None]:
    """Adds `keys` to what this task is known to work on, until the context ends."""
    token = _working.set({**_working.get(), **keys})
    try:
        yield
    finally:
        _working.reset(token)


def worked_on() -> Mapping[str, str]:
    """The keys of the work that this task does."""
    return _working.get()
