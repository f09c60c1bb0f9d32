"""The commands about the bot itself: how things stand, and what administrators may do about it."""

import logging
from dataclasses import replace
from datetime import datetime

from bot import delivery, schedule
from bot.answering import Answered
from bot.daily import Job
from bot.delivery import Settling
from bot.errors import InputError
from bot.interfaces import Progress
from bot.models import ChannelPlan, Part, PartState, shown
from bot.report import compose
from bot.report.document import Document
from bot.requests import Request
from handlers import parsing
from handlers.asked import Asked, Taken
from handlers.means import LINE, Chat, Draft, Means, words_of
from handlers.settling import coded, doubts, settle, unknown

logger = logging.getLogger(__name__)

SAID_AT_ONCE = frozenset({LINE, "help", "status", "search"})  # commands that nobody waits for
EXAMPLE_CODE = "k3f7q"


async def draft_plain(means: Means, asked: Asked, chat: Chat, rest: str) -> tuple[Draft, ...]:
    """For commands that take nothing, or what needs no look before it is stored."""
    del means, asked, chat
    return (Draft(rest[: parsing.QUESTION_CHARACTERS]),)


async def status(means: Means, request: Request, progress: Progress) -> Answered:
    """How things stand, for the chat that asks."""
    del progress
    return Answered((await standing(means, request),))


async def standing(means: Means, request: Request) -> Document:
    """The answer to `/status`; an administrator also sees what nobody knows, with the buttons that settle it."""
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
    )
    if means.chats.is_admin(request.user):
        found = doubts(await unknown(means), request.address)
        made = replace(made, unknown=len(found), doubts=found)
    return compose.status(made, words)


def _next(plans: tuple[ChannelPlan, ...], now: datetime) -> datetime | None:
    return min((at for plan in plans if (at := schedule.next_after(plan, now)) is not None), default=None)


async def settled_by_tap(means: Means, asked: Asked, chat: Chat) -> Taken | None:
    """What a button under a doubtful part does, once; None for another button.

    The message then shows what is still in doubt, or what was said.
    """
    if (word := parsing.settling(asked.text)) is None:
        return None
    if not means.chats.is_admin(asked.user):
        raise InputError("not an administrator", key="error.admins_only")
    part = await coded(means, word.code)
    is_meant = part is not None and part.attempts == word.attempts
    is_done = part is not None and is_meant and await settle(means, part, word.settling)
    line = chat.texts(f"done.settled_{word.settling}" if is_done else "done.settled_before", code=word.code)
    logger.info("part settled", extra={"code": word.code, "word": word.settling.value, "done": is_done})
    view = await _view(means, asked, chat, part if is_done else None, line)
    return Taken(asked, line=line, view=view, edits=asked.about if view else "")


async def _view(means: Means, asked: Asked, chat: Chat, part: Part | None, line: str) -> Document | None:
    """What the tapped message becomes: the state of things anew, or a trouble that is over; nothing else is touched."""
    posted = await means.store.part_posted_as(asked.address.chat, asked.about)
    if posted is None:
        return compose.settled(delivery.doubt(part), line, chat.timezone, chat.texts) if part else None
    if posted.message.document != compose.STATUS:
        return None
    request = Request(
        key=asked.key,
        command="status",
        text="",
        user=asked.user,
        address=asked.address,
        profile=chat.profile.name,
        language=chat.language,
        job="",
        asked_at=means.clock.now(),
        chat_name=asked.chat_name,
    )
    return await standing(means, request)


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
        await delivery.reopen(plan.address, means.store, means.daily.courier.since)
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


async def draft_retry(means: Means, asked: Asked, chat: Chat, rest: str) -> tuple[Draft, ...]:
    """Raises InputError where no part in trouble has the code."""
    del asked, chat
    if not (code := rest.strip().lower()):
        return (Draft(""),)
    if (part := await coded(means, code)) is None:
        raise InputError("unknown code", key="error.unknown_code", code=shown(code))
    return (Draft(f"{code} {part.attempts}"),)


async def _settled(means: Means, request: Request, settling: Settling) -> Answered:
    """What was typed is done once, also where the process dies before it has said so: `text` is code and attempts."""
    words = words_of(request.language, request.address.platform)
    code, _, attempts = request.text.partition(" ")
    part = await coded(means, code)
    is_done = part is not None and str(part.attempts) == attempts and await settle(means, part, settling)
    key = f"done.settled_{settling}" if is_done else "done.settled_before"
    return Answered((compose.line(words(key, code=code), words),))


async def retry(means: Means, request: Request, progress: Progress) -> Answered:
    """Sends again what surely did not reach this chat; what may have reached it only where its code was given."""
    del progress
    if request.text:
        return await _settled(means, request, Settling.SEND)
    words, store = words_of(request.language, request.address.platform), means.store
    plans = await means.plans_of(request)
    chats = {request.address.chat, *(plan.address.chat for plan in plans)}
    here = [part for part in await store.troubled(delivery.TROUBLED_LOOKED_AT) if part.address.chat in chats]
    failed = [part for part in here if part.state is PartState.FAILED]
    await means.daily.retry(failed)
    for plan in plans:
        await delivery.reopen(plan.address, store, means.daily.courier.since)
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
    if part := await coded(means, code):
        return (Draft(f"{code} {part.attempts}"),)
    if all(one.code != code for one in waiting):
        raise InputError("unknown code", key="error.unknown_code", code=shown(code))
    return (Draft(code),)


async def cancel(means: Means, request: Request, progress: Progress) -> Answered:
    """Ends a request, and who asked for it is told; or drops a part whose code was given."""
    del progress
    if " " in request.text:
        return await _settled(means, request, Settling.DROP)
    words = words_of(request.language, request.address.platform)
    found = await means.cancel(request.text)
    if found is None:
        raise InputError("unknown code", key="error.unknown_code", code=request.text)
    return Answered((compose.line(words("done.cancelled_other", code=found.code), words),))
