"""What can go wrong, in a handful of classes: each says what happened and whether trying again makes sense.

The message of an error is English and for the log. What a reader sees is the wording of `key` in their language
(`bot/texts`), filled with `values`; neither may hold a secret or a provider's own text.
"""

from enum import StrEnum


class BotError(Exception):
    """Something Paperboy knows how to name. `retryable` says whether the same call may succeed later."""

    retryable = False
    key = "error.internal"

    def __init__(
        self, message: str, *, key: str | None = None, retryable: bool | None = None, **values: str | int
    ) -> None:
        super().__init__(message)
        self.values = values
        if key is not None:
            self.key = key
        if retryable is not None:
            self.retryable = retryable


class InputError(BotError):
    """Someone typed what cannot be understood; the wording says what to type instead."""

    key = "error.input"


class SettingsError(BotError):
    """A setting, prompt or text file is wrong; the message names it (`llm.api_base`) and the cure."""

    key = "error.settings"


class SourceError(BotError):
    """A list or a paper could not be fetched."""

    retryable = True
    key = "error.source"


class NotFoundError(SourceError):
    """The service answered, and what was asked for does not exist."""

    retryable = False
    key = "error.not_found"


class ModelError(BotError):
    """The model gave no usable answer. `key` is the short reason that a report prints (`failure.timeout`)."""

    key = "failure.model"


class BudgetError(ModelError):
    """The call was refused before it was made: today's budget would be passed, or the price is unknown."""

    key = "failure.budget"


class StoreError(BotError):
    """The store cannot be read or written."""

    retryable = True
    key = "error.store"


class Outcome(StrEnum):
    """What is known about a send that did not succeed (DESIGN section 5)."""

    NOT_SENT = (
        "not_sent"  # refused, DNS, pool or connect timeout, 429: nothing was posted, the same send is safe to repeat
    )
    UNKNOWN = "unknown"  # read timeout, disconnect after the write, 5xx: it may have been posted
    REFUSED = "refused"  # 400: this payload will never be accepted
    GONE = "gone"  # 401, 403, kicked, archived, unknown channel: nothing will be accepted here
    MOVED = "moved"  # the chat has a new ID (`moved_to`); nothing was posted


class SendError(BotError):
    """A message was not (surely) posted. `retry_after` is in seconds, where the platform named a wait."""

    key = "error.send"

    def __init__(
        self, message: str, outcome: Outcome, *, retry_after: float | None = None, moved_to: str | None = None
    ) -> None:
        super().__init__(message, retryable=outcome in (Outcome.NOT_SENT, Outcome.MOVED))
        self.outcome = outcome
        self.retry_after = retry_after
        self.moved_to = moved_to
