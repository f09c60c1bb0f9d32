"""Several worlds of one trial at the same time: much of what they do is waiting, but not all of it."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

T = TypeVar("T")


async def at_once(works: Sequence[Awaitable[T]], most: int) -> list[T]:
    """What each gives, `most` at a time: on a machine with too much to do, time is skipped that somebody needed."""
    turns = asyncio.Semaphore(most)

    async def in_turn(work: Awaitable[T]) -> T:
        async with turns:
            return await work

    return await asyncio.gather(*(in_turn(work) for work in works))
