"""Models as JSON, moments and money as integers, texts as they are searched: how every store keeps them."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from bot.errors import StoreError
from bot.models import Ranked, Ranking

T = TypeVar("T")

NANOS = 1_000_000_000  # a dollar in the unit that sums are kept in
MOST_NANOS = 2**62  # what an unlimited budget is compared with: above any sum that fits into 64 bits

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def _adapter(kind: type[T]) -> TypeAdapter[T]:
    return _cached_adapter(kind)  # type: ignore[arg-type]  # types are hashable; mypy is not told so of type[T]


@cache  # building one takes milliseconds
def _cached_adapter(kind: Any) -> TypeAdapter[Any]:  # noqa: ANN401  # any type at all
    return TypeAdapter(kind)


def to_json(kind: type[T], value: T) -> str:
    """Raises StoreError for what JSON cannot hold (half of a surrogate pair in a text)."""
    try:
        return _adapter(kind).dump_json(value).decode()
    except PydanticSerializationError as error:
        raise StoreError(f"a {kind.__name__} cannot be kept as JSON", retryable=False) from error


def from_json(kind: type[T], content: str) -> T:
    """Fields that a newer version added take their defaults. Raises StoreError for what is not a `kind`."""
    try:
        return _adapter(kind).validate_json(content)
    except ValidationError as error:
        # The validation error itself would print the content.
        raise StoreError(f"a kept {kind.__name__} cannot be read", retryable=False) from error


def micros(moment: datetime) -> int:
    """Microseconds since 1970; exact, unlike a float of seconds."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(micros: int) -> datetime:
    """The moment in UTC that `micros` made a number of."""
    return _EPOCH + micros * _MICROSECOND


def nanos(usd: float) -> int:
    """Billionths of a dollar, so that sums are exact."""
    return round(usd * NANOS)


def most_nanos(limit: float) -> int:
    """A limit in billionths of a dollar; one that is no limit becomes a number, too."""
    return int(min(limit * NANOS, MOST_NANOS))


def folded(text: str) -> bytes:
    """`text` without its case, to be searched and to search with."""
    return text.casefold().encode(errors="surrogatepass")  # half a pair in a word is found nowhere, and harmless


def searched(ranking: Ranking) -> bytes:
    """What can be searched of a ranking: its papers' titles, abstracts and reasons, folded."""
    return folded("\n".join(map(_text, ranking.entries)))


def _text(entry: Ranked) -> str:
    return f"{entry.paper.title}\n{entry.paper.abstract}\n{entry.score.reason if entry.score else ''}"
