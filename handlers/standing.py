"""The commands about the bot itself: how things stand, and what administrators may do about it."""

from datetime import datetime

from bot import delivery, schedule
from bot.answering import Answered
from bot.daily import Job
from bot.errors import InputError
from bot.interfaces import Progress
from bot.models import ChannelPlan, PartState, shown
from bot.report import compose
from bot.requests import Request
from handlers import parsing
from handlers.asked import Asked
from handlers.means import LINE, Chat, Draft, Means, words_of

SAID_AT_ONCE = frozenset({LINE, "help", "status", "search"})  # commands that nobody waits for
TROUBLED_LOOKED_AT = 1_000  # parts that are unknown or failed
EXAMPLE_CODE = "k3f7q"


async def draft_plain(means: Means, asked: Asked, chat: Chat, rest: str) -> tuple[Draft, ...]:
    """For commands that take nothing, or what needs no look before it is stored."""
    del means, asked, chat
    return (Draft(rest[: parsing.QUESTION_CHARACTERS]),)


async def status(means: Means, request: Request, progress: Progress) -> Answered:
    """How things stand, for the chat that asks."""
    del progress
    words, now = words_of(request.language, request.address.platform), means.clock.now()
    plans = await means.plans_of(request)
    report = await means.newest_report(request.profile, request.language)
    waiting = [one for one in await means.store.open_requests() if one.command not in SAID_AT_ONCE]
    made = compose.Status(
        profile=request.profile,
        timezone=await means.timezone_of(request),
        last=report.key.day if report else None,
        last_chosen=len(report.ranking.chosen) if report else 0,
        next_at=_next(plans, now),
        working=max(0, len(waiting) - means.slots.waiting),
        queued=means.slots.waiting,
        requests=tuple(one for one in waiting if one.address.chat == request.address.chat),
        model=means.model.name,
        spent=await means.store.spent(now.date()),
        budget=means.model.budget,
        unknown=await _unknown(means) if means.chats.is_admin(request.user) else None,
    )
    return Answered((compose.status(made, words),))


def _next(plans: tuple[ChannelPlan, ...], now: datetime) -> datetime | None:
    return min((at for plan in plans if (at := schedule.next_after(plan, now)) is not None), default=None)


async def _unknown(means: Means) -> int:
    return sum(part.state is PartState.UNKNOWN for part in await means.store.troubled(TROUBLED_LOOKED_AT))


async def draft_report(means: Means, asked: Asked, chat: Chat, rest: str) -> tuple[Draft, ...]:
    """Raises InputError for a day without a list, and in a chat that gets no report."""
    del asked
    parsing.day_of(rest, means.clock.now().date())
    if not chat.plans:
        raise InputError("no report comes here", key="error.no_channel_here")
    return (Draft(rest),)


async def report(means: Means, request: Request, progress: Progress) -> Answered:
    """Makes the chat's report now, or sends what of it was not sent."""
    words = words_of(request.language, request.address.platform)
    wanted = parsing.day_of(request.text, request.asked_at.date())
    day = wanted or schedule.default_day(request.asked_at, means.list_day)
    plans = await means.plans_of(request)
    for plan in plans:
        await means.store.reopen(await delivery.current_address(plan.address, means.store))
    started = means.clock.now()
    async with means.slot(request, progress):
        summary = await means.daily.run(Job(day, plans, exact=wanted is not None, retry=True), progress)
    notes = [made for made in summary.reports if made.note]
    if notes and not summary.deliveries:
        return Answered((compose.line(words("note.no_list", day=day), words),))
    lines = []
    for made, done in zip(summary.reports, summary.deliveries, strict=False):
        parts = await means.store.delivery(done.key)
        is_new = any(part.updated_at and part.updated_at >= started for part in parts)
        key = "done.reported" if is_new or not parts else "done.reported_before"
        lines.append(words(key, day=made.key.day, state=words(f"cli.state_{done.state}"), parts=done.parts))
    return Answered((compose.line(" ".join(lines), words),), free=summary.usage.calls == 0)


async def retry(means: Means, request: Request, progress: Progress) -> Answered:
    """Sends again what surely did not reach this chat; what may have reached it is the operator's to settle."""
    del progress
    words, store = words_of(request.language, request.address.platform), means.store
    plans = await means.plans_of(request)
    for plan in plans:
        await store.reopen(await delivery.current_address(plan.address, store))
    chats = {request.address.chat, *(plan.address.chat for plan in plans)}
    here = [part for part in await store.troubled(TROUBLED_LOOKED_AT) if part.address.chat in chats]
    failed = [part for part in here if part.state is PartState.FAILED]
    await means.daily.retry(failed)
    for key in dict.fromkeys(part.delivery for part in failed):
        await delivery.deliver(key, means.daily.courier)
    lines = [words("done.retried", count=len(failed)) if failed else words("done.retry_nothing")]
    if unknown := sum(part.state is PartState.UNKNOWN for part in here):
        lines.append(words("done.retry_unknown", count=unknown))
    return Answered((compose.line(" ".join(lines), words),))


async def draft_cancel(means: Means, asked: Asked, chat: Chat, rest: str) -> tuple[Draft, ...]:
    """Raises InputError where no request has the code."""
    del chat
    code = rest.strip().lower()
    waiting = await means.store.open_requests()
    if not code:
        here = [one.code for one in waiting if one.address.chat == asked.address.chat]
        raise InputError("no code", key="error.no_code", example=here[0] if here else EXAMPLE_CODE)
    if all(one.code != code for one in waiting):
        raise InputError("unknown code", key="error.unknown_code", code=shown(code))
    return (Draft(code),)


async def cancel(means: Means, request: Request, progress: Progress) -> Answered:
    """Ends a request; who asked for it is told."""
    del progress
    words = words_of(request.language, request.address.platform)
    found = await means.cancel(request.text)
    if found is None:
        raise InputError("unknown code", key="error.unknown_code", code=request.text)
    return Answered((compose.line(words("done.cancelled_other", code=found.code), words),))
