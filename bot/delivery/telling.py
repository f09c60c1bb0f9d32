"""Tells the operator what they should know: each trouble once, by whichever process can."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.delivery.standing import doubt
from bot.interfaces import Clock, Notes
from bot.models import Part, PartState
from bot.report.compose import Doubt

logger = logging.getLogger(__name__)

UNKNOWN = "delivery.trouble_unknown"
TELL_SECONDS = 25.0  # for one telling: the operator's channel waits 3 s for its turn, and a send takes SEND_SECONDS
TELLING_LASTS = timedelta(minutes=1)  # then a telling that nobody noted the end of is another process's to repeat
MOST_TOLD = 5  # troubles of one kind in a pass that get a message each; the others share one
_TELLING = "telling "  # and since when: how the note of a trouble begins until it was told


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something the operator should know: the key of a wording and its values (free of secrets).

    `doubt` is the part whose fate nobody knows, where it is about one: the operator may settle it.
    """

    key: str
    values: Mapping[str, str]
    doubt: Doubt | None = field(default=None, compare=False)


Tell = Callable[[Trouble], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells of each trouble once for all processes: a note by the trouble's name says that it was told.

    The note is written when it was told, not before. Who dies in between has it told again: twice is better than never.
    While it is being told, the note says since when, so that another process waits, and takes over in the end.
    """

    tell: Tell
    notes: Notes
    clock: Clock

    async def once(self, name: str, trouble: Trouble) -> bool:
        """Was it told, now or before? Raises StoreError."""
        return bool(await self.each({name: trouble}, trouble.key))

    async def each(self, troubles: Mapping[str, Trouble], more: str) -> frozenset[str]:
        """Tells of the first `MOST_TOLD`, and how many `more` (a wording) there are; gives the names of what was told,
        now or before. Raises StoreError.

        It ends with the first that cannot be told: an operator's channel that is down holds nobody up for long.
        """
        standing = {name: await self.notes.note(name) for name in troubles}
        told = {name for name, note in standing.items() if note is not None and not note.startswith(_TELLING)}
        waiting = [name for name in troubles if name not in told]
        for name in waiting[:MOST_TOLD]:
            if await self._begin(name, standing[name]):
                if not await self._tell(troubles[name], [name]):
                    return frozenset(told)
                told.add(name)
        rest = [name for name in waiting[MOST_TOLD:] if await self._begin(name, standing[name])]
        if rest and await self._tell(Trouble(more, {"count": str(len(rest))}), rest):
            told.update(rest)
        return frozenset(told)

    async def of_unknown(self, parts: Sequence[Part]) -> None:
        """Tells of those among the parts whose fate nobody knows, the oldest first (`parts`: newest first).

        One that becomes unknown again, because it was sent again, is told of again. Raises StoreError.
        """
        doubtful = [part for part in reversed(parts) if part.state is PartState.UNKNOWN]
        troubles = {f"told:{p.key}:{p.attempts}": trouble_with(p, UNKNOWN, p.error) for p in doubtful}
        await self.each(troubles, "delivery.trouble_unknown_more")

    async def _begin(self, name: str, standing: str | None) -> bool:
        now = self.clock.now()
        if standing is not None:
            since = datetime.fromisoformat(standing.removeprefix(_TELLING))
            if abs(now - since) < TELLING_LASTS:  # one from the future is a clock's that was put back
                return False
        return await self.notes.swap_note(name, standing, f"{_TELLING}{now.isoformat()}")

    async def _tell(self, trouble: Trouble, names: Sequence[str]) -> bool:
        if not await tell_operator(self.tell, trouble):
            return False
        for name in names:
            await self.notes.keep_note(name, self.clock.now().isoformat())
        return True


async def tell_operator(tell: Tell, trouble: Trouble) -> bool:
    """Tells; that it fails stops nothing, and is False."""
    try:
        async with asyncio.timeout(TELL_SECONDS):
            await tell(trouble)
    except Exception:
        # The operator's channel is often the one in trouble; the ledger knows in any case.
        logger.exception("operator not told", extra={"trouble": trouble.key, **trouble.values})
        return False
    return True


def trouble_with(part: Part, key: str, reason: str = "") -> Trouble:
    """What the wordings `delivery.trouble_*` ask for, where they are about a part."""
    values = {"channel": part.channel, "part": part.key, "reason": reason}
    return Trouble(key, values, doubt(part) if key == UNKNOWN else None)
