"""The commands, the same words on every platform and in the terminal: one table, and what each of them does."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.answering import Answered
from bot.interfaces import Progress
from bot.report import compose
from bot.requests import Request
from handlers import papers, standing
from handlers.means import LINE, UMBRELLA, Drafting, Means, Work, words_of

__all__ = ["COMMANDS", "SAY", "UMBRELLA", "Command"]


async def usage(means: Means, request: Request, progress: Progress) -> Answered:
    """The commands that the asker may use, with examples."""
    del progress
    words = words_of(request.language, request.address.platform)
    admin = means.chats.is_admin(request.user)
    names = [command.name for command in COMMANDS if admin or not command.admin]
    return Answered((compose.usage(names, words, "2602.19089"),))


async def say(means: Means, request: Request, progress: Progress) -> Answered:
    """A line that answers a message at once: what was wrong with it, or when to come back."""
    del means, progress
    return Answered((compose.line(request.text, words_of(request.language, request.address.platform)),))


@dataclass(frozen=True, slots=True)
class Command:
    """A line of the table. Its words are in `bot/texts`: `command.<name>.about` (a menu's line) and `.usage`.

    `draft` reads the arguments before anything is stored, `work` makes the answer. `slash`: its own slash command in
    Slack, where some words are Slack's own (`/search`, `/status`); those are typed behind `/paperboy` or a mention.
    `costs`: it may take the model or a source (Draft says whether it does), and then counts for the limits, unless
    `is_kept` finds its answer there already.
    """

    name: str
    work: Work
    draft: Drafting = standing.draft_plain
    admin: bool = False
    slash: bool = False
    costs: bool = False
    is_kept: Callable[[Means, Request], Awaitable[bool]] | None = None


COMMANDS = (
    Command("deepdive", papers.deepdive, papers.draft_deepdive, slash=True, costs=True, is_kept=papers.is_kept),
    Command("top", papers.top, papers.draft_top, slash=True, costs=True, is_kept=papers.is_ranked),
    Command("ask", papers.ask, papers.draft_ask, slash=True, costs=True),
    Command("search", papers.search, papers.draft_search),
    Command("status", standing.status),
    Command("help", usage),
    Command("report", standing.report, standing.draft_report, admin=True),
    Command("retry", standing.retry, standing.draft_retry, admin=True),
    Command("cancel", standing.cancel, standing.draft_cancel, admin=True),
)
SAY = Command(LINE, say)  # nobody types it
