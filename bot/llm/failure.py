"""Why a call gave nothing, in the terms that retries, the breaker and a report need."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from bot.errors import ModelError

TIMEOUT = "failure.timeout"
RATE_LIMIT = "failure.rate_limit"
INVALID = "failure.invalid"
UNAVAILABLE = "failure.unavailable"
AUTH = "failure.auth"
TOO_LONG = "failure.too_long"
MODEL = "failure.model"

LOGGED_CHARACTERS = 200
_HIDDEN = "***"
_SECRET_LENGTH = 8  # characters; shorter values of the environment are words that would blot out the text
_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD)S?$", re.IGNORECASE)
_SECRET_SHAPES = (
    re.compile(r"\b(?:sk|pk|gsk|xai|hf|r8|xox[a-z])[-_][\w*.-]{4,}"),
    re.compile(r"\bAIza[\w-]{8,}"),
    re.compile(r"(?<=bearer )\S+", re.IGNORECASE),
    re.compile(r"(?<=key=)[^\s&]+", re.IGNORECASE),
    re.compile(r"(?<=://)[^/@\s]+(?=@)"),
)


class Blame(StrEnum):
    """What a failure says something about: this request alone, this attempt, or the model (key, name, account)."""

    REQUEST = "request"
    ATTEMPT = "attempt"
    MODEL = "model"


class Parameter(StrEnum):
    """What an endpoint may refuse without refusing the request: the call is repeated without it."""

    RESPONSE_FORMAT = "response_format"
    TEMPERATURE = "temperature"
    MAX_TOKENS = "max_tokens"


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed call. `key` is a wording of the report; `text` is for the log, already shortened and free of secrets.

    `wait`: seconds that the service asked for. `refused`: what to leave out next time. `status`: HTTP, None without an
    answer. `lost`: the request went out and no answer came back, so the service may charge for it all the same.
    `reply` and `problems`: of an invalid reply, to be shown when it is asked for again; `garbled`: it is not one whole
    JSON value; `cut`: and that because the length limit ended it.
    """

    key: str
    text: str
    retryable: bool = False
    blame: Blame = Blame.ATTEMPT
    status: int | None = None
    wait: float | None = None
    refused: Parameter | None = None
    lost: bool = False
    reply: str = ""
    problems: tuple[str, ...] = ()
    garbled: bool = False
    cut: bool = False


class CallError(Exception):
    """Carries a failure up to whoever decides what comes next; never leaves this package."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


class NotCalledError(CallError):
    """The breaker spared the call."""


def as_error(model: str, failure: Failure) -> ModelError:
    """What leaves this package: the key and no text of the provider's in `values`."""
    return ModelError(f"{model}: {failure.text}", key=failure.key, retryable=failure.retryable)


def for_log(text: str, secrets: Iterable[str] = ()) -> str:
    """One short printable line of `text` without keys: those given, those of the environment, and all that look so."""
    known = [*secrets, *(value for name, value in os.environ.items() if _SECRET_NAME.search(name))]
    for secret in sorted((value for value in known if len(value) >= _SECRET_LENGTH), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    for shape in _SECRET_SHAPES:
        text = shape.sub(_HIDDEN, text)
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= LOGGED_CHARACTERS else line[: LOGGED_CHARACTERS - 1] + "…"
