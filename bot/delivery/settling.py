"""How deliveries end that did not end by themselves: the operator's word, and time's."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import uuid4

from bot.delivery.sending import CATCH_UP, LEASE_SECONDS, count, current_address
from bot.delivery.standing import TROUBLED_LOOKED_AT, UNFINISHED, finished, is_placeholder, planned
from bot.delivery.telling import Tell, tell_operator, trouble_with
from bot.errors import InputError
from bot.interfaces import Ledger, NoTelemetry, Store, Telemetry
from bot.models import Address, Part, PartState


class Settling(StrEnum):
    """The operator's word on what nobody knows or nobody could send."""

    SEND = "send"
    DROP = "drop"


class GivenUp(StrEnum):
    """Why the rest of a delivery is not sent: the wording `delivery.trouble_*` that the operator hears."""

    EXPIRED = "expired"
    UNWANTED = "unwanted"


@dataclass(frozen=True, slots=True)
class Ending:
    """What it takes to end a delivery: the ledger, and who hears of it."""

    store: Ledger
    tell: Tell
    telemetry: Telemetry = field(default_factory=NoTelemetry)


_WHY = {GivenUp.EXPIRED: "not sent in time", GivenUp.UNWANTED: "no channel wants it any more"}
_DIED = "the process that sent it ended"


async def settle(store: Store, key: str, settling: Settling, now: datetime, catch_up: timedelta = CATCH_UP) -> str:
    """Settles the part `key`, or every open part of the delivery `key`; returns the delivery's key.

    SEND puts parts back to `planned`, as new as `now`, for the next `deliver`, which also looks into those whose sender
    has died; then it opens the address as `reopen` does, for what is no older than `catch_up`. Raises InputError for an
    unknown key, and when there is nothing to settle: all was sent or dropped, or is being sent.
    """
    part = await store.part(key)
    parts = await planned(key, store) if part is None else (part,)
    if not any([await _settle(part, store, settling, now) for part in parts]):
        raise InputError(f"nothing to settle: {key}", key="delivery.not_open", part=key, state=parts[-1].state.value)
    if settling is Settling.SEND:
        await reopen(parts[0].address, store, now - catch_up)
    return parts[0].delivery


async def _settle(part: Part, store: Ledger, settling: Settling, now: datetime) -> bool:
    if part.state in UNFINISHED and settling is Settling.SEND:
        return True
    if part.state in UNFINISHED and not await _end(part, store, now, "given up by hand"):
        return False
    if settling is Settling.SEND:
        return await store.settle(part.key, PartState.PLANNED, now)
    return await store.settle(part.key, PartState.DROPPED)


async def is_closed(address: Address, store: Store) -> bool:
    """Can nothing be posted there, or did a `reopen` of it not come to its end?"""
    return await store.closed(address) is not None or bool(await store.note(_opening(address)))


async def reopen(address: Address, store: Store, since: datetime) -> bool:
    """Opens a closed address, or the one where its chat is now, and puts back what failed there and was planned after
    `since`: it surely was not posted. The schedule has it sent. False where it was open.

    A part keeps its age, so that a channel that closes again and again ends with the time for it. Whoever is killed in
    here leaves a note, and the next call does all of it again.
    """
    address = await current_address(address, store)
    if not await is_closed(address, store):
        return False
    ours = uuid4().hex
    await store.keep_note(_opening(address), ours)
    await store.reopen(address)  # first: what is put back before that would fail again
    for part in await store.troubled(TROUBLED_LOOKED_AT):
        if _may_be_made_up(part, since) and await current_address(part.address, store) == address:
            await store.settle(part.key, PartState.PLANNED)
    await store.swap_note(_opening(address), ours, "")
    return True


def _opening(address: Address) -> str:
    return f"opening:{address}"


def _may_be_made_up(part: Part, since: datetime) -> bool:
    """What held an answer's place is worth nothing later."""
    is_young = part.planned_at is not None and part.planned_at >= since
    return part.state is PartState.FAILED and is_young and not is_placeholder(part.delivery)


async def give_up(key: str, ending: Ending, now: datetime, why: GivenUp = GivenUp.EXPIRED) -> None:
    """Ends what is still to be sent of a delivery that nobody wants (so late): it has failed.

    The operator hears of it once and can still send it. While a process may be sending a part of it, nothing happens.
    What was being sent when its process died is left: it wants to be looked up.
    """
    parts = await ending.store.delivery(key)
    if any(_may_be_sent_now(part, now) for part in parts):
        return
    ended = await _end_all(parts, PartState.PLANNED, ending, now, _WHY[why])
    if ended:
        await tell_operator(ending.tell, trouble_with(ended[0], f"delivery.trouble_{why}"))


async def abandon(key: str, ending: Ending, now: datetime) -> None:
    """Ends what was being sent when its process died, and cannot be looked up: it is unknown, which the operator
    hears of in the schedule's pass and settles. What a process may be sending is left alone.
    """
    ended = await _end_all(await ending.store.delivery(key), PartState.SENDING, ending, now, "")
    for part in ended:
        ending.telemetry.count("parts_unknown", platform=part.address.platform.value)


async def _end_all(
    parts: Sequence[Part], state: PartState, ending: Ending, now: datetime, why: str
) -> tuple[Part, ...]:
    """Ends the parts that are in `state`; returns those that it has ended, and counts a delivery that thereby ends."""
    ended = tuple([part for part in parts if part.state is state and await _end(part, ending.store, now, why)])
    if ended and finished(done := await ending.store.delivery(ended[0].delivery)):
        count(done, ending.telemetry, now)
    return ended


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
        return await store.record(part.key, owner, PartState.UNKNOWN, error=_DIED)
    return False
