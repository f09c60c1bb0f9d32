"""What the ledger says of a delivery: what was planned, how it stands, and whether a day needs nothing more."""

import html
import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from bot.errors import InputError
from bot.interfaces import Channel, Ledger, Store, Thread
from bot.models import Address, ChannelPlan, Delivery, DeliveryState, Message, Part, PartKind, PartState, ReportKey
from bot.report.compose import Doubt
from bot.report.document import Document
from bot.requests import Request

LATE_AFTER = timedelta(minutes=10)  # a report that is planned later than this after its time says so
TROUBLED_LOOKED_AT = 1_000  # parts that are unknown or failed: no more are shown or counted
UNFINISHED = frozenset({PartState.PLANNED, PartState.SENDING})
_ANSWER, _PLACEHOLDER = "ask/", "wait/"  # no report's key begins so: that begins with its day
_WORST_FIRST = (DeliveryState.FAILED, DeliveryState.UNKNOWN, DeliveryState.LATE)


def delivery_key(report: ReportKey, address: Address) -> str:
    """The ledger's key of a report at an address."""
    return f"{report}@{address}"


def answer_key(request: Request) -> str:
    """The ledger's key of the answer to a request."""
    return f"{_ANSWER}{request.key}@{request.address}"


def placeholder_key(request: Request) -> str:
    """The ledger's key of the message that holds the place of the answer."""
    return f"{_PLACEHOLDER}{request.key}@{request.address}"


def is_answer(key: str) -> bool:
    """Does a delivery bring an answer, or hold its place? Else it brings a report."""
    return key.startswith((_ANSWER, _PLACEHOLDER))


def is_placeholder(key: str) -> bool:
    """Does a delivery bring the message that holds an answer's place?"""
    return key.startswith(_PLACEHOLDER)


def request_of(key: str) -> str:
    """The key of the request that an answer's delivery belongs to."""
    return key.partition("@")[0].partition("/")[2]


def arguments_of(key: str) -> dict[str, str]:
    """What the engine's job "deliver" is given: the delivery, and the chat, which takes one at a time."""
    chat, _, _ = key.partition("@")[2].partition("/")
    return {"delivery": key, "chat": chat}


def plan(
    report: ReportKey,
    channel: Channel,
    documents: Sequence[Document],
    *,
    name: str,
    now: datetime,
    late: bool = False,
) -> tuple[Part, ...]:
    """Freezes what the channel called `name` will be sent; `Ledger.plan` writes it before the first send."""
    return _parts(delivery_key(report, channel.address), channel, channel.render(documents), name, now, late=late)


def plan_messages(
    key: str, channel: Channel, messages: Sequence[Message], request: Request, now: datetime
) -> tuple[Part, ...]:
    """The same for the answer to a request, or for what holds its place. `key` is the delivery's."""
    return _parts(key, channel, messages, f"{request.command} {request.code}", now)


def _parts(
    delivery: str, channel: Channel, messages: Sequence[Message], name: str, now: datetime, *, late: bool = False
) -> tuple[Part, ...]:
    return tuple(
        Part(
            key=f"{delivery}~{index}",
            delivery=delivery,
            index=index,
            channel=name,
            address=channel.address,
            message=message,
            late=late,
            planned_at=now,
            updated_at=now,
        )
        for index, message in enumerate(messages)
    )


async def planned(key: str, store: Ledger) -> tuple[Part, ...]:
    """The parts of a delivery. Raises InputError for a key that was never planned."""
    if parts := await store.delivery(key):
        return parts
    raise InputError(f"no delivery {key}", key="delivery.unknown_key", part=key)


def thread_of(parts: Sequence[Part]) -> Thread:
    """What later parts may refer to: only what was surely posted."""
    posted = [part for part in parts if part.message.kind is PartKind.POST and part.state is PartState.SENT]
    sent: dict[str, str] = {}
    for part in posted:
        for first in part.message_ids[:1]:
            sent.setdefault(part.message.document, first)
    return Thread(next(iter(sent.values()), None), sent)


def doubt(part: Part, *, told: bool = True) -> Doubt:
    """A part as it is shown to who may settle it; `told`: with its first words."""
    report = "" if is_answer(part.delivery) else part.delivery.partition("@")[0]
    since = part.updated_at or part.planned_at
    words = _words(part.message) if told else ""
    return Doubt(part.code, part.attempts, part.channel, report, part.index + 1, since, words)


def _words(message: Message) -> str:
    """What a message says, where its payload tells."""
    try:
        payload = json.loads(message.payload)
    except ValueError:
        return ""
    text = payload.get("text") if isinstance(payload, dict) else None
    return html.unescape(text) if isinstance(text, str) else ""  # Slack's is escaped


def state_of(parts: Sequence[Part]) -> DeliveryState | None:
    """The worst of the posts, None while one is still to be sent. Edits never make it worse; dropped posts are settled.

    Nothing but dropped posts is FAILED: the reader got nothing.
    """
    posts = [part for part in parts if part.message.kind is PartKind.POST]
    if not posts or any(part.state in UNFINISHED for part in posts):
        return None
    states = {_state(part) for part in posts if part.state is not PartState.DROPPED} or {DeliveryState.FAILED}
    return next((state for state in _WORST_FIRST if state in states), DeliveryState.SENT)


def _state(part: Part) -> DeliveryState:
    if part.state is PartState.SENT:
        return DeliveryState.LATE if part.late else DeliveryState.SENT
    return DeliveryState(part.state)


def summary(parts: Sequence[Part]) -> Delivery:
    """One delivery's line. What is still to be sent counts as FAILED: so far, the reader has not got it."""
    first = parts[0]
    posts = sum(part.message.kind is PartKind.POST for part in parts)
    return Delivery(first.delivery, first.channel, first.address, state_of(parts) or DeliveryState.FAILED, posts)


def finished(parts: Sequence[Part]) -> bool:
    """Was it planned, and is nothing left to do, edits included?"""
    return bool(parts) and not any(part.state in UNFINISHED for part in parts)


async def day_settled(store: Store, plan: ChannelPlan, day: date) -> bool:
    """Needs the channel nothing more for `day`: some edition was delivered, or there was nothing to deliver?"""
    if await store.note(_settled_key(plan, day)) is not None:
        return True
    editions = await store.planned_editions(day, plan.profile.name, plan.language)
    keys = [ReportKey(day, plan.profile.name, plan.language, edition) for edition in editions]
    deliveries = [await store.delivery(delivery_key(key, plan.address)) for key in keys]
    return any(finished(parts) for parts in deliveries)


async def settled_with(store: Store, plan: ChannelPlan, day: date) -> str | None:
    """What `settle_day` was told, None where nothing was."""
    return await store.note(_settled_key(plan, day))


async def settle_day(store: Store, plan: ChannelPlan, day: date, reason: str) -> None:
    """Remembers that there is nothing to deliver for `day`, and why, so that nobody tries again."""
    await store.keep_note(_settled_key(plan, day), reason)


def _settled_key(plan: ChannelPlan, day: date) -> str:
    return f"settled:{delivery_key(ReportKey(day, plan.profile.name, plan.language), plan.address)}"
