"""What an endpoint turned out to accept: structured output, a temperature, the name of the length limit."""

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal, Self

from bot.llm.failure import Parameter

Structured = Literal["auto", "schema", "json", "prompt"]


class Mode(StrEnum):
    """How the schema is enforced, strongest first: by the endpoint, as any JSON, by asking."""

    SCHEMA = "schema"
    JSON = "json"
    PROMPT = "prompt"


_WEAKER = {Mode.SCHEMA: Mode.JSON, Mode.JSON: Mode.PROMPT}
_NO_TEMPERATURE = "no-temperature"
_COMPLETION_TOKENS = "max-completion-tokens"


@dataclass(frozen=True, slots=True)
class Dialect:
    """`completion_tokens`: the limit is named `max_completion_tokens`. `str()` is a note that `parse` reads."""

    mode: Mode
    temperature: bool = True
    completion_tokens: bool = False

    def without(self, parameter: Parameter) -> "Dialect":
        """The next weaker way to ask. Only for a parameter that this dialect `sends`."""
        match parameter:
            case Parameter.RESPONSE_FORMAT:
                return replace(self, mode=_WEAKER[self.mode])
            case Parameter.TEMPERATURE:
                return replace(self, temperature=False)
            case Parameter.MAX_TOKENS:
                return replace(self, completion_tokens=True)

    def sends(self, parameter: Parameter) -> bool:
        match parameter:
            case Parameter.RESPONSE_FORMAT:
                return self.mode in _WEAKER
            case Parameter.TEMPERATURE:
                return self.temperature
            case Parameter.MAX_TOKENS:
                return not self.completion_tokens

    def __str__(self) -> str:
        words = [self.mode.value]
        words += [] if self.temperature else [_NO_TEMPERATURE]
        words += [_COMPLETION_TOKENS] if self.completion_tokens else []
        return " ".join(words)

    @classmethod
    def parse(cls, note: str) -> Self | None:
        """None for a note of another version."""
        mode, *words = note.split() or [""]
        if mode not in list(Mode) or not set(words) <= {_NO_TEMPERATURE, _COMPLETION_TOKENS}:
            return None
        return cls(Mode(mode), _NO_TEMPERATURE not in words, _COMPLETION_TOKENS in words)


def first(structured: Structured, *, takes_format: bool) -> Dialect:
    """Where to begin. "auto" tries the schema first wherever a response format can be sent at all.

    litellm's table knows too few models to be asked whether they take a schema (no Qwen, no GLM, no Kimi, no
    self-hosted one), and a refusal costs one fast 400 in the lifetime of a store.
    """
    if structured != "auto":
        return Dialect(Mode(structured))
    return Dialect(Mode.SCHEMA if takes_format else Mode.PROMPT)


def note_key(model: str, api_base: str | None) -> str:
    """The same name at another base is another endpoint; a base may hold a password, so its hash stands here."""
    base = hashlib.sha256(api_base.encode()).hexdigest()[:12] if api_base else "default"
    return f"llm.dialect:{model}@{base}"
