"""What the platforms' handlers hand over, and what they get back: the words between them and the commands. No I/O."""

from dataclasses import dataclass
from typing import Protocol

from bot.models import Address
from bot.report.document import Document
from bot.requests import Request


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody typed or tapped, in the words of no platform.

    `key` names the update, event or tap (see Request.key): the same one delivered twice has the same key. `text` is
    what was typed, without the bot's own name ("/deepdive 2602.19089 en", "top week", a question), or a button's
    action. `address` is where the answer goes, `chat_name` the chat's public name ("@vision"), "" for none.
    `message` is the ID of the message that asked. `about` is that of the message which it replies to, or whose button
    or menu was used; `thread` that of a thread's first message (Slack). `quoted` is the text of the `about` message
    with the addresses of its links. `language` is that of the user's client ("zh-hans"), "" where nobody knows.

    `loose`: a command in a group that names no bot, so that any bot there may be meant. `tap`: a button was used.
    `aside`: a line can be shown to this user alone, so refusals need no message in the chat.
    """

    key: str
    user: str
    address: Address
    text: str
    message: str = ""
    about: str = ""
    thread: str = ""
    quoted: str = ""
    chat_name: str = ""
    language: str = ""
    private: bool = False
    loose: bool = False
    tap: bool = False
    aside: bool = False


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of it: `requests` are in the store and wait for `Desk.begin`.

    `line` is one line for the user alone (a refusal, "noted"), only where `Asked.aside`. `view` is what the message
    `edits` (an ID) becomes: another page of a ranking. All empty: nothing is to be said (the same update again, a
    stranger's chat that was told before).
    """

    asked: Asked
    requests: tuple[Request, ...] = ()
    line: str = ""
    view: Document | None = None
    edits: str = ""


class Desk(Protocol):
    """Where everything that is asked arrives. Nothing here raises: what goes wrong is logged and told in words."""

    async def take(self, asked: Asked) -> Taken:
        """Understands it, checks who asks, and stores it. Returns within a second, also when the store does not answer.

        Only then may it be acknowledged to the platform.
        """

    def begin(self, taken: Taken) -> None:
        """Starts the work, and shows `view`. Returns at once."""

    async def arrived(self, chat: Address, *, may_post: bool, name: str = "") -> None:
        """The bot was added, promoted or let in again, or the channel came back from its archive.

        `name` is the chat's public one, as in `Asked.chat_name`.
        """

    async def left(self, chat: Address, reason: str, *, name: str = "") -> None:
        """The bot was removed, or may post no more; the channel was archived or deleted. `reason` is English."""

    async def moved(self, chat: Address, target: str) -> None:
        """The chat has a new ID (Telegram's supergroups)."""

    async def topic_closed(self, place: Address) -> None:
        """Nothing can be posted in this topic (`place.topic`) any more."""

    async def home(self, user: str, language: str) -> Document:
        """What a user sees who opens the bot's own page (Slack's App Home)."""

    def menu(self, language: str, *, admin: bool) -> tuple[tuple[str, str], ...]:
        """The commands with a short description each, in the order of the help."""
