"""The table of `paperboy deliveries`."""

from collections.abc import Sequence
from itertools import groupby
from typing import TextIO

from bot.delivery import TROUBLED_LOOKED_AT, is_answer, is_placeholder, state_of
from bot.interfaces import Ledger
from bot.models import Part, PartKind, PartState
from bot.texts import Texts

OPEN = frozenset({PartState.UNKNOWN, PartState.FAILED, PartState.PLANNED})
SHOWN = 20  # deliveries beside those that have a part of which nobody knows
READ = 500  # answers are many, and shown only where they want a word


async def worth_reading(store: Ledger) -> tuple[Part, ...]:
    """The parts of every delivery of which nobody knows whether it arrived whole, then those of the newest others."""
    troubled = await store.troubled(TROUBLED_LOOKED_AT)
    unknown = dict.fromkeys(part.delivery for part in troubled if part.state is PartState.UNKNOWN)
    first = [part for key in unknown for part in await store.delivery(key)]
    others = [part for part in await store.deliveries(READ) if part.delivery not in unknown]
    return (*first, *worth_showing(others, SHOWN))


def worth_showing(parts: Sequence[Part], most: int) -> tuple[Part, ...]:
    """The parts of the newest `most` deliveries, without answers that arrived and messages that held their place."""
    groups = [tuple(group) for _, group in groupby(parts, key=lambda part: part.delivery)]
    kept = [group for group in groups if not is_placeholder(group[0].delivery) and _wants_a_look(group)]
    return tuple(part for group in kept[:most] for part in group)


def _wants_a_look(parts: Sequence[Part]) -> bool:
    return not is_answer(parts[0].delivery) or any(part.state in OPEN for part in parts)


def listed(parts: Sequence[Part], words: Texts, stream: TextIO) -> None:
    """A line a delivery, in the order given; under it the parts that want a word, with the keys that settle them."""
    if not parts:
        print(words("cli.no_deliveries"), file=stream)
    for _, group in groupby(parts, key=lambda part: part.delivery):
        of_one = tuple(group)
        print(_line(of_one, words), file=stream)
        for part in of_one:
            if part.state in OPEN and part.message.kind is PartKind.POST:
                state = words("cli.state_open" if part.state is PartState.PLANNED else f"cli.state_{part.state}")
                print(f"    {state}  {part.key}  {part.error}".rstrip(), file=stream)


def _line(parts: Sequence[Part], words: Texts) -> str:
    posts = [part for part in parts if part.message.kind is PartKind.POST]
    state = state_of(parts)
    shown = words(f"cli.state_{state}") if state else words("cli.state_open")
    sent = sum(part.state is PartState.SENT for part in posts)
    when = max((part.updated_at for part in posts if part.updated_at), default=None)
    moment = f"{when.astimezone():%Y-%m-%d %H:%M}" if when else "-"
    return f"{moment}  {shown:<8}  {sent}/{len(posts)}  {parts[0].channel:<16}  {parts[0].delivery}"
