"""What administrators say of parts whose fate nobody knows: send again, or drop; by a button or by a code."""

from collections.abc import Sequence

from bot import delivery
from bot.delivery import Settling
from bot.models import Address, Part, PartState, PlatformName
from bot.report import compose
from handlers.means import Means


async def unknown(means: Means) -> tuple[Part, ...]:
    """The parts whose fate nobody knows, newest first."""
    troubled = await means.store.troubled(delivery.TROUBLED_LOOKED_AT)
    return tuple(part for part in troubled if part.state is PartState.UNKNOWN)


async def coded(means: Means, code: str) -> Part | None:
    """The part that is called so, while it waits for a word."""
    troubled = await means.store.troubled(delivery.TROUBLED_LOOKED_AT)
    return next((part for part in troubled if part.code == code), None)


async def settle(means: Means, part: Part, settling: Settling) -> bool:
    """Does what was said; False where it needs no word any more: somebody has spoken before."""
    if settling is Settling.DROP:
        return await means.store.settle(part.key, PartState.DROPPED)
    if not await means.store.settle(part.key, PartState.PLANNED, means.clock.now()):
        return False
    await delivery.reopen(part.address, means.store, means.daily.courier.since)
    await means.send(part.delivery)
    return True


def doubts(parts: Sequence[Part], place: Address) -> tuple[compose.Doubt, ...]:
    """As they are shown at `place`: what other chats read is told in a private chat alone."""
    return tuple(delivery.doubt(part, told=_is_private(place) or part.address.chat == place.chat) for part in parts)


def _is_private(place: Address) -> bool:
    """Telegram's groups have negative IDs, Slack's direct messages begin with a D."""
    if place.platform is PlatformName.TELEGRAM:
        return place.target.isdecimal()
    return place.target.startswith("D")
