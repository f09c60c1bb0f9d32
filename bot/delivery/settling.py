"""How deliveries end that did not end by themselves: the operator's word, and time's."""

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import uuid4

from bot.delivery.sending import LEASE_SECONDS, Tell, current_address, tell_operator, trouble_with
from bot.delivery.standing import planned
from bot.errors import InputError
from bot.interfaces import Channel, Ledger
from bot.models import Part, PartState


class Settling(StrEnum):
    """The operator's word on what nobody knows or nobody could send."""

    SEND = "send"
    DROP = "drop"


async def settle(store: Ledger, key: str, settling: Settling) -> str:
    """Settles the part `key`, or every open part of the delivery `key`; returns the delivery's key.

    SEND opens the address again and puts parts back to `planned`, for the next `deliver`. Raises InputError for an
    unknown key and for a part that is neither `unknown` nor `failed`.
    """
    part = await store.part(key)
    parts = await planned(key, store) if part is None else (part,)
    state = PartState.PLANNED if settling is Settling.SEND else PartState.DROPPED
    if not any([await store.settle(part.key, state) for part in parts]):
        raise InputError(f"nothing to settle: {key}", key="delivery.not_open", part=key, state=parts[-1].state.value)
    if settling is Settling.SEND:
        await store.reopen(await current_address(parts[0].address, store))
    return parts[0].delivery


async def reopen(channel: Channel, store: Ledger) -> bool:
    """Opens a closed address again when the platform finds nothing wrong with it: a new token, the bot invited back."""
    if await store.closed(channel.address) is None or any(found.level == "error" for found in await channel.check()):
        return False
    await store.reopen(channel.address)
    return True


async def give_up(key: str, store: Ledger, now: datetime, tell: Tell) -> None:
    """Ends a delivery that nobody wants so late: what was not sent has failed, what was being sent is unknown.

    The operator hears of it once and can still send it.
    """
    ended = [part for part in await store.delivery(key) if await _give_up(part, store, now)]
    if ended:
        await tell_operator(tell, trouble_with(ended[0], "delivery.trouble_expired"))


async def _give_up(part: Part, store: Ledger, now: datetime) -> bool:
    owner = uuid4().hex
    lease = now + timedelta(seconds=LEASE_SECONDS)
    if part.state is PartState.PLANNED and await store.claim(part.key, owner, now, lease):
        return await store.record(part.key, owner, PartState.FAILED, error="not sent in time")
    if part.state is PartState.SENDING and await store.recover(part.key, owner, now, lease):
        return await store.record(part.key, owner, PartState.UNKNOWN, error="the process that sent it ended")
    return False
