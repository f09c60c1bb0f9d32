"""What stores hold, entry by entry, to move an installation from one to another: a protocol beside the port.

Whatever is not an entry of its own is made from one: what can be searched, and which papers a report chose.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from bot.interfaces import Store
from bot.models import DayList, KeptText, Paper, Part, PartState, Ranking, Report, ReportKey
from bot.requests import Request, RequestState, Vote


@dataclass(frozen=True, slots=True)
class Named:
    """An analysis or a note under its key."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Spent:
    """What a UTC day cost, in billionths of a dollar."""

    day: str
    nano_usd: int


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether an address (as text) can be posted to, and where it went."""

    address: str
    closed: str | None = None
    moved_to: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """`kind` is one of KINDS, `value` an object of its type."""

    kind: str
    value: Any


# In the order in which they are moved: what is sent never comes before what it was planned from.
KINDS: Mapping[str, type] = {
    "list": DayList,
    "paper": Paper,
    "analysis": Named,
    "text": KeptText,
    "report": Report,
    "planned": ReportKey,
    "ranking": Ranking,
    "spent": Spent,
    "address": Gate,
    "part": Part,
    "request": Request,
    "vote": Vote,
    "note": Named,
}
NO_TRUTH = frozenset({"ping"})  # notes by which a store was tried


class Dump(Protocol):
    """A store that can be read and written as a whole, while nobody else uses it."""

    def entries(self) -> AsyncIterator[Entry]:
        """Everything, in the order of KINDS; each kind in an order that all stores share. Raises StoreError."""

    async def standing(self, entries: Sequence[Entry]) -> Sequence[Any]:
        """What is kept in the place of each: values, None where nothing is. Raises StoreError."""

    async def restore(self, entries: Sequence[Entry]) -> None:
        """Writes entries of one kind as they are, over what is there; may be repeated. Raises StoreError."""


class WholeStore(Store, Dump, Protocol):
    """A store of an installation, which can be moved."""


class Verdict(StrEnum):
    """What is done with an entry: written because there was none or an older one, or left."""

    NEW = "new"
    NEWER = "newer"
    SAME = "same"
    LEFT = "left"


def verdict(entry: Entry, standing: Any) -> Verdict:  # noqa: ANN401 - a value of the entry's type
    """What to do with `entry` where `standing` is kept. In doubt, what is there stays: nothing is sent twice."""
    if standing is None:
        return Verdict.NEW
    if standing == entry.value:
        return Verdict.SAME
    newer = _NEWER.get(entry.kind)
    return Verdict.NEWER if newer is not None and newer(entry.value) > newer(standing) else Verdict.LEFT


_PROGRESS = {PartState.PLANNED: 0, PartState.SENDING: 1, PartState.UNKNOWN: 2, PartState.FAILED: 2}  # others: 3


def _progress(part: Part) -> Any:  # noqa: ANN401 - anything that can be compared
    moment = part.updated_at.timestamp() if part.updated_at else 0.0
    return part.attempts, moment, _PROGRESS.get(part.state, 3)


# Of two entries in the same place, the one with the greater value is newer; kinds that are not here have no age.
_NEWER: Mapping[str, Callable[[Any], Any]] = {
    "list": lambda day_list: day_list.captured_at,
    "text": lambda text: text.fetched_at,
    "ranking": lambda ranking: ranking.created_at,
    "spent": lambda spent: spent.nano_usd,
    "part": _progress,
    "request": lambda request: request.state is not RequestState.OPEN,
    "vote": lambda vote: vote.at,
}
