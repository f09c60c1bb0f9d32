"""The one file that imports litellm: a call in, a completion or a named failure out.

The import takes seconds and hundreds of megabytes, so it happens in `load`, in a thread, once a model is asked for.
"""

import asyncio
import contextlib
import logging
import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from http import HTTPStatus
from typing import Any

from bot.interfaces import Turn
from bot.llm.dialect import Dialect, Mode
from bot.llm.failure import (
    AUTH,
    MODEL,
    RATE_LIMIT,
    TIMEOUT,
    TOO_LONG,
    UNAVAILABLE,
    Blame,
    CallError,
    Failure,
    Parameter,
    for_log,
)
from bot.llm.retry import wait_named
from bot.models import Usage

_ENVIRONMENT = {
    # Without these three, litellm asks raw.githubusercontent.com for prices at import and for headers at Anthropic's
    # first call (BerriAI/litellm#22159), and reads any .env file that lies about.
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_MODE": "PRODUCTION",
}
# At lower levels these write prompts (openai), addresses with keys in them (httpx) and much else.
_LOG_LEVELS = {
    "LiteLLM": logging.ERROR,
    "LiteLLM Router": logging.ERROR,
    "LiteLLM Proxy": logging.ERROR,
    "openai": logging.WARNING,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
}
# Beyond a call's own timeout, which bounds each read and not the whole reply. litellm's own comes first: cancelled in
# the moment between its thread and its coroutine, it leaves the coroutine unawaited.
GRACE_SECONDS = 1.0
CLOSE_SECONDS = 2.0  # for litellm's background work at the end, of which nothing is ours
# Providers that run on the user's own machine: free, and without a key.
_OWN_MACHINE = {"ollama", "ollama_chat", "llamafile", "lm_studio", "docker_model_runner", "lemonade"}
_NAMES_FORMAT = re.compile(
    r"response[_ ]?(format|schema|mime)|json[_ ]?(schema|object|mode)|structured[_ ]output|guided|grammar",
    re.IGNORECASE,
)
_QUOTA = re.compile(r"insufficient_quota|insufficient balance", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Card:
    """What litellm's tables and the environment say of a model. Prices are USD a token, None where unknown.

    `provider` is None for a name that litellm cannot place; `takes_schema`: known to enforce a JSON schema;
    `takes_format`: litellm passes a response format on to it; `missing_keys`: variables of which one must be set.
    """

    model: str
    provider: str | None = None
    input_price: float | None = None
    output_price: float | None = None
    max_output_tokens: int | None = None
    takes_schema: bool = False
    takes_format: bool = False
    missing_keys: tuple[str, ...] = ()
    max_input_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """Where and with which key a model is reached; None leaves it to the provider's own variables."""

    api_base: str | None = None
    api_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request. `format` is the schema's response format, used as far as the dialect goes."""

    card: Card
    access: Access
    dialect: Dialect
    turns: Sequence[Turn]
    max_tokens: int | None
    seconds: float
    format: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """A reply as it came. `finish` is OpenAI's word; `cost_usd` is None without a known price."""

    text: str | None
    finish: str | None
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None

    @property
    def usage(self) -> Usage:
        return Usage(1, cost_usd=self.cost_usd, input_tokens=self.input_tokens, output_tokens=self.output_tokens)


def load() -> None:
    """Imports litellm and pays for its first call, so that no paper waits for it. Blocks for 3 s; safe to repeat."""
    os.environ.update(_ENVIRONMENT)
    # Said of litellm's Ollama types by pydantic, on stderr, to people who can do nothing about it.
    warnings.filterwarnings("ignore", message="Items? .* using the `ReadOnly` qualifier", category=UserWarning)
    import litellm

    litellm.suppress_debug_info = True
    for name, level in _LOG_LEVELS.items():
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).handlers.clear()  # litellm's write past our log, with whatever a provider said
    import openai.resources.chat  # noqa: F401  # 0.3 s that the first real call would pay on the event loop

    litellm.completion("openai/none", [{"role": "user", "content": "."}], mock_response="{}", api_key="none")


def card(model: str) -> Card:
    """Blocks (litellm reads its tables). Asks no network."""
    import litellm

    try:
        _, provider, _, _ = litellm.get_llm_provider(model=model)
    except litellm.exceptions.BadRequestError:
        return Card(model)
    supported = litellm.get_supported_openai_params(model=model) or []
    if provider in _OWN_MACHINE:
        # Their model information is asked of the running server, which may not be there yet.
        return Card(model, provider, 0.0, 0.0, takes_format="response_format" in supported)
    entry = _entry(model)
    return Card(
        model,
        provider,
        entry.get("input_cost_per_token"),
        entry.get("output_cost_per_token"),
        entry.get("max_output_tokens"),
        litellm.supports_response_schema(model=model),
        "response_format" in supported,
        tuple(litellm.validate_environment(model=model)["missing_keys"]),
        entry.get("max_input_tokens"),
    )


def _entry(model: str) -> Mapping[str, Any]:
    """The price table's own entry: `get_model_info` alone says 0 where a price is missing."""
    import litellm

    try:
        key = litellm.get_model_info(model=model)["key"]
    except Exception:  # noqa: BLE001  # litellm raises a plain Exception subclass for a model it does not list
        return {}
    entry: Mapping[str, Any] = litellm.model_cost.get(key, {})
    return entry


def count_tokens(model: str, turns: Sequence[Turn]) -> int:
    """Blocks; the first count reads a tokenizer from disk (0.7 s)."""
    import litellm

    return int(litellm.token_counter(model=model, messages=_messages(turns)))


async def complete(call: Call, now: datetime) -> Completion:
    """One HTTP request, never repeated here. Raises CallError."""
    import litellm

    try:
        async with asyncio.timeout(call.seconds + GRACE_SECONDS):
            response = await litellm.acompletion(**_arguments(call))
    except Exception as error:  # noqa: BLE001  # openai's, httpx's, litellm's own and plain ones: a failed call all
        failure = replace(_failure(error, call, now), lost=_lost(error))
    else:
        return _completion(response, call.card)
    # Raised out here so that no traceback in a log carries the provider's own text along.
    raise CallError(failure)


async def close() -> None:
    """Ends litellm's background task and connections of this event loop."""
    import litellm
    from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER
    from litellm.llms.custom_httpx.async_client_cleanup import close_litellm_async_clients

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await GLOBAL_LOGGING_WORKER.flush()
    await GLOBAL_LOGGING_WORKER.stop()
    await close_litellm_async_clients()  # type: ignore[no-untyped-call]  # untyped in litellm
    litellm.in_memory_llm_clients_cache.flush_cache()  # type: ignore[no-untyped-call]  # untyped in litellm


def _messages(turns: Sequence[Turn]) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def _arguments(call: Call) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "model": call.card.model,
        "messages": _messages(call.turns),
        "timeout": call.seconds,
        "max_retries": 0,
        "drop_params": True,
    }
    if call.max_tokens is not None:
        arguments["max_completion_tokens" if call.dialect.completion_tokens else "max_tokens"] = call.max_tokens
    if call.dialect.temperature:
        arguments["temperature"] = 0
    if call.format is not None and call.dialect.mode is not Mode.PROMPT:
        arguments["response_format"] = call.format if call.dialect.mode is Mode.SCHEMA else {"type": "json_object"}
    if call.access.api_base:
        arguments["api_base"] = call.access.api_base
    if key := call.access.api_key or _placeholder(call):
        arguments["api_key"] = key
    return arguments


def _placeholder(call: Call) -> str | None:
    """Servers of one's own ask for no key, and the client library will not start without one."""
    return "none" if call.access.api_base and call.card.missing_keys else None


def _completion(response: Any, card: Card) -> Completion:  # noqa: ANN401  # litellm's type is a union with streams
    usage = getattr(response, "usage", None)
    choice = response.choices[0] if response.choices else None
    return Completion(
        choice.message.content if choice else None,
        choice.finish_reason if choice else None,
        getattr(usage, "prompt_tokens", 0) or 0,
        getattr(usage, "completion_tokens", 0) or 0,
        _cost(response, card),
    )


def _cost(response: Any, card: Card) -> float | None:  # noqa: ANN401  # as above
    import litellm

    if card.input_price is None:
        return None
    try:
        return float(litellm.completion_cost(completion_response=response, model=card.model))
    except Exception:  # noqa: BLE001  # raises plain exceptions for what its tables lack; a good reply is not lost by it
        return None


def _failure(error: Exception, call: Call, now: datetime) -> Failure:
    """The one table from a library's exceptions to our reasons."""
    import litellm

    text = str(error)
    status = getattr(error, "status_code", None)
    line = for_log(f"{type(error).__name__} {status}: {text}", [call.access.api_key or ""])
    match error:
        case TimeoutError() | litellm.exceptions.Timeout():
            return Failure(TIMEOUT, line, retryable=True, status=status)
        case litellm.exceptions.ContextWindowExceededError():
            return Failure(TOO_LONG, line, blame=Blame.REQUEST, status=status)
    headers = getattr(error, "litellm_response_headers", None) or {}
    wait = wait_named(headers.get("retry-after"), text, now)
    match status:
        case 401 | 403:
            return Failure(AUTH, line, blame=Blame.MODEL, status=status)
        case 402 | 404:
            return Failure(UNAVAILABLE, line, blame=Blame.MODEL, status=status)
        case 429 if _QUOTA.search(f"{text} {getattr(error, 'body', '')}"):
            return Failure(RATE_LIMIT, line, blame=Blame.MODEL, status=status)
        case 413:
            return Failure(TOO_LONG, line, blame=Blame.REQUEST, status=status)
        case 429:
            return Failure(RATE_LIMIT, line, retryable=True, status=status, wait=wait)
        case 400 | 422:
            refused = _refused(text, call.dialect)
            blame = Blame.REQUEST if refused else Blame.ATTEMPT
            return Failure(MODEL, line, status=status, refused=refused, blame=blame)
        case int() if status >= 500:  # litellm gives failed connections 500, too
            answered = None if _unreached(error) else status
            return Failure(UNAVAILABLE, line, retryable=True, status=answered, wait=wait)
    return Failure(MODEL, line, status=status)


def _refused(text: str, dialect: Dialect) -> Parameter | None:
    """What a 400 complains of, where the call can be repeated without it."""
    if "max_completion_tokens" in text and "max_tokens" in text and dialect.sends(Parameter.MAX_TOKENS):
        return Parameter.MAX_TOKENS
    if "temperature" in text and dialect.sends(Parameter.TEMPERATURE):
        return Parameter.TEMPERATURE
    if _NAMES_FORMAT.search(text) and dialect.sends(Parameter.RESPONSE_FORMAT):
        return Parameter.RESPONSE_FORMAT
    return None


def _unreached(error: BaseException) -> bool:
    """Did the connection fail? litellm turns that into a 500 and keeps the true error as the cause."""
    import httpx
    import openai

    return any(isinstance(cause, openai.APIConnectionError | httpx.TransportError) for cause in _causes(error))


def _lost(error: Exception) -> bool:
    """May the service have done the work, and charge for it? No if it was not reached, refused, or was not even asked.

    A status that is not in the cause of `error` is litellm's guess, except for 4xx: these it raises before it asks.
    """
    import aiohttp
    import httpx
    import openai

    causes = tuple(_causes(error))
    if any(isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError) for cause in causes):
        return False
    if any(type(cause) is openai.OpenAIError for cause in causes):  # the bare class: no key, so no client was made
        return False
    for cause in causes:
        if isinstance(cause, httpx.HTTPStatusError):
            return cause.response.status_code == HTTPStatus.GATEWAY_TIMEOUT
    status = getattr(error, "status_code", None) or 0
    return isinstance(error, openai.APIConnectionError) or not 400 <= status < 500


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
