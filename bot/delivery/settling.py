"""How deliveries end that did not end by themselves: the operator's word, and time's."""

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import uuid4

from bot.delivery.sending import LEASE_SECONDS, Tell, current_address, tell_operator, trouble_with
from bot.delivery.standing import UNFINISHED, planned
from bot.errors import InputError
from bot.interfaces import Channel, Ledger
from bot.models import Part, PartState


class Settling(StrEnum):
    """The operator's word on what nobody knows or nobody could send."""

    SEND = "send"
    DROP = "drop"


class GivenUp(StrEnum):
    """Why the rest of a delivery is not sent: the wording `delivery.trouble_*` that the operator hears."""

    EXPIRED = "expired"
    UNWANTED = "unwanted"


_WHY = {GivenUp.EXPIRED: "not sent in time", GivenUp.UNWANTED: "no channel wants it any more"}


async def settle(store: Ledger, key: str, settling: Settling, now: datetime) -> str:
    """Settles the part `key`, or every open part of the delivery `key`; returns the delivery's key.

    SEND opens the address again and puts parts back to `planned`, for the next `deliver`, which also looks into those
    whose sender has died. Raises InputError for an unknown key, and when there is nothing to settle: all was sent or
    dropped, or is being sent.
    """
    part = await store.part(key)
    parts = await planned(key, store) if part is None else (part,)
    if not any([await _settle(part, store, settling, now) for part in parts]):
        raise InputError(f"nothing to settle: {key}", key="delivery.not_open", part=key, state=parts[-1].state.value)
    if settling is Settling.SEND:
        await store.reopen(await current_address(parts[0].address, store))
    return parts[0].delivery


async def _settle(part: Part, store: Ledger, settling: Settling, now: datetime) -> bool:
    if part.state in UNFINISHED and settling is Settling.SEND:
        return True
    if part.state in UNFINISHED and not await _end(part, store, now, "given up by hand"):
        return False
    return await store.settle(part.key, PartState.PLANNED if settling is Settling.SEND else PartState.DROPPED)


async def reopen(channel: Channel, store: Ledger) -> bool:
    """Opens a closed address again when the platform finds nothing wrong with it: a new token, the bot invited back."""
    if await store.closed(channel.address) is None or any(found.level == "error" for found in await channel.check()):
        return False
    await store.reopen(channel.address)
    return True


async def give_up(key: str, store: Ledger, now: datetime, tell: Tell, why: GivenUp = GivenUp.EXPIRED) -> None:
    """Ends a delivery that nobody wants (so late): what was not sent has failed, what was being sent is unknown.

    The operator hears of it once and can still send it. While a process may be sending a part of it, nothing happens.
    """
    parts = await store.delivery(key)
    if any(_may_be_sent_now(part, now) for part in parts):
        return
    ended = [part for part in parts if await _end(part, store, now, _WHY[why])]
    if ended:
        await tell_operator(tell, trouble_with(ended[0], f"delivery.trouble_{why}"))


async def drop(key: str, store: Ledger, now: datetime) -> None:
    """Ends a delivery that is worth nothing any more, and whose fate is nobody's business; what was sent stays sent."""
    for part in await store.delivery(key):
        if part.state not in UNFINISHED or await _end(part, store, now, "worth nothing any more"):
            await store.settle(part.key, PartState.DROPPED)


def _may_be_sent_now(part: Part, now: datetime) -> bool:
    return part.state is PartState.SENDING and part.lease is not None and part.lease >= now


async def _end(part: Part, store: Ledger, now: datetime, why: str) -> bool:
    owner = uuid4().hex
    lease = now + timedelta(seconds=LEASE_SECONDS)
    if part.state is PartState.PLANNED and await store.claim(part.key, owner, now, lease):
        return await store.record(part.key, owner, PartState.FAILED, error=why)
    if part.state is PartState.SENDING and await store.recover(part.key, owner, now, lease):
        return await store.record(part.key, owner, PartState.UNKNOWN, error="the process that sent it ended")
    return False
