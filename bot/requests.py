"""What people ask for in chats: the request, as it is stored before it is acknowledged. Frozen data, no I/O."""

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.models import Address

CODE_CHARACTERS = 5  # of a request's code: a million of them, and a chat has a handful open


class RequestState(StrEnum):
    """open -> answered | failed | cancelled. `failed`: its asker was told why there is no answer."""

    OPEN = "open"
    ANSWERED = "answered"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Request:
    """Who asked for what, and where the answer goes.

    `key` names the update or event that brought it (`telegram:-100123/456`), so that the same one delivered twice is
    one request; it holds letters, digits and `:./_-` only. `command` is a name in COMMANDS and `text` its arguments as
    they were typed. `user` is "telegram:42". Requests with the same `job` share one piece of work, whose engine key it
    is. `chat_name` is the chat's public name ("@vision"), by which settings may name it, "" for none. `paper` is an
    arXiv ID, with the version where one was named, "" where the request is about none.

    `reply_to` is the ID of the message that asked, which the answer replies to ("" where there is none), and
    `conversation` names the talk that it goes on ("" for none). `counted`: it counts for the user's limits. `said` is
    what the answer said, in plain words, for the next question of the talk.
    """

    key: str
    command: str
    text: str
    user: str
    address: Address
    profile: str
    language: str
    job: str
    asked_at: datetime
    chat_name: str = ""
    paper: str = ""
    reply_to: str = ""
    conversation: str = ""
    counted: bool = False
    state: RequestState = RequestState.OPEN
    said: str = ""
    closed_at: datetime | None = None

    @property
    def code(self) -> str:
        """What people call it by, in `/cancel` and in errors: short, and found in the log."""
        digest = hashlib.sha256(self.key.encode()).digest()
        return base64.b32encode(digest).decode().lower()[:CODE_CHARACTERS]


@dataclass(frozen=True, slots=True)
class Closing:
    """How a request ends. `counted` corrects what was counted for its user: an answer that cost nothing is free."""

    state: RequestState
    at: datetime
    said: str = ""
    counted: bool = False


@dataclass(frozen=True, slots=True)
class Vote:
    """A reader's 👍 (1) or 👎 (-1) for a deep dive; a later one of the same user on the same paper replaces it."""

    user: str
    paper: str
    profile: str
    value: int
    at: datetime
