"""Asks a model for a schema: endpoint by endpoint, try by try, within concurrency and budget."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Generic, Protocol

from bot.errors import BudgetError, ModelError, StoreError
from bot.interfaces import Clock, NoTelemetry, Notes, Reply, ReplyT, Spending, Telemetry, Turn, count_http
from bot.llm import client, dialect, probe, structured
from bot.llm.breaker import Breaker
from bot.llm.budget import Budget
from bot.llm.client import Access, Call, Card, Completion
from bot.llm.dialect import Dialect, Structured
from bot.llm.endpoint import Endpoint
from bot.llm.failure import INVALID, TOO_LONG, UNAVAILABLE, Blame, CallError, Failure, NotCalledError, as_error
from bot.llm.retry import Tries
from bot.models import Finding, Meter, Usage

logger = logging.getLogger(__name__)

# Four sections in Chinese with their quotes take about 4,000 tokens, and reasoning models think within the same limit.
MAX_OUTPUT_TOKENS = 8192


class LLMStore(Spending, Notes, Protocol):
    """What a model needs of the store."""


@dataclass(frozen=True, slots=True)
class ModelOptions:
    """The `[llm]` settings. `api_base` and `api_key` serve models of `model`'s provider only.

    `max_output_tokens`: None means MAX_OUTPUT_TOKENS, or less where the model is known to allow less, and no limit at
    all for a model that litellm does not know: a server of one's own may have a context smaller than any number here.
    """

    model: str = ""
    fallbacks: tuple[str, ...] = ()
    api_base: str | None = None
    api_key: str | None = field(default=None, repr=False)
    structured: Structured = "auto"
    concurrency: int = 16
    timeout_seconds: float = 120.0
    daily_budget_usd: float | None = None
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class _Question(Generic[ReplyT]):
    """What is asked, whoever answers. `room` multiplies the length limit after a reply that was cut off."""

    name: str
    turns: tuple[Turn, ...]
    schema: type[ReplyT]
    strict: dict[str, Any]
    room: int = 1

    def again(self, failure: Failure) -> "_Question[ReplyT]":
        turns = structured.asked_again(self.turns, failure)
        return replace(self, turns=turns, room=2 if failure.cut else 1)


class LiteLLM:
    """The `LLM` port over any model that litellm knows. `warm_up` beforehand saves the first caller 3 s."""

    def __init__(
        self, options: ModelOptions, store: LLMStore, clock: Clock, telemetry: Telemetry = NoTelemetry()
    ) -> None:
        self.model = options.model
        self.max_input_tokens = options.max_input_tokens
        self._options = options
        self._store = store
        self._clock = clock
        self._telemetry = telemetry
        self._budget = Budget(store, clock, options.daily_budget_usd)
        self._slots = asyncio.Semaphore(options.concurrency)
        self._loading = asyncio.Lock()
        self._endpoints: tuple[Endpoint, ...] = ()

    async def warm_up(self) -> None:
        """Loads the model library in a thread; the event loop stays free. Safe to repeat and to run beside anything."""
        async with self._loading:
            if self.model and not self._endpoints:
                cards = await asyncio.to_thread(self._load)
                self._endpoints = tuple([await self._endpoint(card, cards[0]) for card in cards])

    async def aclose(self) -> None:
        if self._endpoints:
            await client.close()

    async def ask(self, name: str, turns: Sequence[Turn], schema: type[ReplyT], meter: Meter) -> Reply[ReplyT]:
        """As the port says. The error raised is the configured model's own, whatever the fallbacks ran into."""
        if not self.model:
            raise ModelError("llm.model: no model is configured", key=UNAVAILABLE)
        await self.warm_up()
        question = _Question(name, tuple(turns), schema, structured.strict_schema(schema))
        errors: list[ModelError] = []
        for endpoint in self._endpoints:
            try:
                return await self._ask(endpoint, question, meter)
            except BudgetError as error:
                errors.append(error)
                break
            except CallError as failed:
                errors.append(as_error(endpoint.model, failed.failure))
            logger.warning("model failed", extra={"model": endpoint.model, "call": name, "reason": str(errors[-1])})
        raise errors[0]

    async def context(self) -> int | None:
        """What the reply leaves of the context that the configured model is known to have."""
        if not self.model:
            return None
        await self.warm_up()
        card = self._endpoints[0].card
        if card.max_input_tokens is None:
            return None
        # For most models the context holds question and reply; for some tables give it as the limit of either.
        reply = self._output_limit(card, room=1) or MAX_OUTPUT_TOKENS
        return max(card.max_input_tokens - reply, card.max_input_tokens // 2)

    async def probe(self) -> tuple[Finding, ...]:
        """What `paperboy check` says of the models: names, keys and prices of all, and one tiny call of the first."""
        if not self.model:
            return (probe.NO_MODEL,)
        await self.warm_up()
        settings = ["llm.model", *["llm.fallbacks"] * len(self._endpoints)]
        budgeted = self._options.daily_budget_usd is not None
        findings = [
            finding
            for endpoint, setting in zip(self._endpoints, settings, strict=False)
            for finding in probe.by_name(endpoint, setting, budgeted=budgeted)
        ]
        return tuple(findings) if findings else (await self._probed(self._endpoints[0]),)

    async def _probed(self, endpoint: Endpoint) -> Finding:
        seconds = min(probe.SECONDS, self._options.timeout_seconds)
        call = Call(endpoint.card, endpoint.access, endpoint.dialect, probe.TURNS, probe.MAX_TOKENS, seconds)
        try:
            await self._pay(endpoint, call, Meter())
        except BudgetError:
            return probe.NO_ROOM
        except CallError as failed:
            return probe.by_call(endpoint, failed.failure)
        return probe.by_call(endpoint, None)

    def _load(self) -> tuple[Card, ...]:
        client.load()
        return tuple(client.card(model) for model in dict.fromkeys((self.model, *self._options.fallbacks)))

    async def _endpoint(self, card: Card, first: Card) -> Endpoint:
        ours = card.provider == first.provider
        access = Access(self._options.api_base, self._options.api_key) if ours else Access()
        start = dialect.first(self._options.structured, takes_format=card.takes_format)
        if self._options.structured == "auto":
            start = await self._remembered(card.model, access) or start
        trusted = card.takes_schema or self._options.structured == "schema"
        return Endpoint(card, access, Breaker(self._clock, cautious=card != first), start, start, trusted)

    async def _remembered(self, model: str, access: Access) -> Dialect | None:
        try:
            note = await self._store.note(dialect.note_key(model, access.api_base))
        except StoreError:
            logger.warning("what the model accepts is not remembered", exc_info=True)
            return None
        return Dialect.parse(note) if note else None

    async def _remember(self, endpoint: Endpoint) -> None:
        """Keeps what has just worked, once."""
        if endpoint.dialect == endpoint.noted:
            return
        endpoint.noted = endpoint.dialect
        logger.info("model dialect", extra={"model": endpoint.model, "dialect": str(endpoint.dialect)})
        try:
            key = dialect.note_key(endpoint.model, endpoint.access.api_base)
            await self._store.keep_note(key, str(endpoint.dialect))
        except StoreError:
            logger.warning("what the model accepts is not remembered", exc_info=True)

    async def _ask(self, endpoint: Endpoint, question: _Question[ReplyT], meter: Meter) -> Reply[ReplyT]:
        """One endpoint's answer and what all its calls cost."""
        spent = Meter()
        try:
            value, text = await self._persist(endpoint, question, spent)
        finally:
            meter.add(spent.usage)
        return Reply(value, text, endpoint.model, spent.usage.cost_usd)

    async def _persist(self, endpoint: Endpoint, question: _Question[ReplyT], meter: Meter) -> tuple[ReplyT, str]:
        """Tries until there is a reply or no sense in another try. A reply that was invalid is shown to the model."""
        tries, asked = Tries(), question
        while True:
            await self._check(endpoint, asked)
            try:
                return await self._once(endpoint, asked, meter)
            except NotCalledError:
                raise
            except CallError as failed:
                pause = tries.pause(failed.failure)
                if pause is None:
                    raise
                if failed.failure.key == INVALID:
                    asked = question.again(failed.failure)
            await self._clock.sleep(pause)

    async def _once(self, endpoint: Endpoint, question: _Question[ReplyT], meter: Meter) -> tuple[ReplyT, str]:
        async with self._slots, endpoint.breaker.admitted():
            call = self._call(endpoint, question)
            with self._telemetry.span("model_call", model=endpoint.model, call=question.name), self._counted(endpoint):
                try:
                    completion = await self._pay(endpoint, call, meter)
                except CallError as failed:
                    endpoint.learn(call.dialect, failed.failure)
                    raise
                answer = structured.read(completion.text, completion.finish, question.schema)
        await self._remember(endpoint)
        return answer

    @contextmanager
    def _counted(self, endpoint: Endpoint) -> Iterator[None]:
        """Counts a call by what comes of it: "ok", or the short reason that a report would print."""
        outcome = "cancelled"
        try:
            yield
            outcome = "ok"
        except CallError as failed:
            outcome = failed.failure.key.removeprefix("failure.")
            raise
        except BudgetError:
            outcome = "budget"
            raise
        finally:
            self._telemetry.count("model_calls", model=endpoint.model, outcome=outcome)

    def _call(self, endpoint: Endpoint, question: _Question[ReplyT]) -> Call:
        turns = question.turns
        if endpoint.describes:
            turns = structured.described(turns, question.name, question.strict)
        form = structured.response_format(question.name, question.strict)
        limit = self._output_limit(endpoint.card, question.room)
        return Call(endpoint.card, endpoint.access, endpoint.dialect, turns, limit, self._options.timeout_seconds, form)

    def _output_limit(self, card: Card, room: int) -> int | None:
        chosen = self._options.max_output_tokens
        if chosen is None and card.max_output_tokens is None and self._options.daily_budget_usd is None:
            return None
        limit = (chosen or MAX_OUTPUT_TOKENS) * room
        return min(limit, card.max_output_tokens or limit)

    async def _pay(self, endpoint: Endpoint, call: Call, meter: Meter) -> Completion:
        """The HTTP request, within the budget, and counted whatever becomes of it."""
        estimate = endpoint.price(structured.tokens_at_most(call.turns), call.max_tokens or 0)  # a budget sets a limit
        async with self._budget.charged(estimate) as bill:
            usage, started = Usage(calls=1), self._clock.monotonic()
            try:
                completion = await client.complete(call, self._clock.now())
                bill.usd, usage = completion.cost_usd, completion.usage
                self._count(endpoint, usage, HTTPStatus.OK, started)
            except CallError as failed:
                bill.free = not failed.failure.lost
                self._count(endpoint, usage, failed.failure.status, started)
                raise
            finally:
                meter.add(usage)
        return completion

    def _count(self, endpoint: Endpoint, usage: Usage, status: int | None, started: float) -> None:
        """What the request itself was, and what it took."""
        count_http(self._telemetry, "model", status, self._clock.monotonic() - started)
        self._telemetry.count("model_tokens", usage.input_tokens, model=endpoint.model, kind="input")
        self._telemetry.count("model_tokens", usage.output_tokens, model=endpoint.model, kind="output")
        self._telemetry.count("model_cost_usd", usage.cost_usd or 0.0, model=endpoint.model)

    async def _check(self, endpoint: Endpoint, question: _Question[ReplyT]) -> None:
        """Refuses what cannot succeed. Counts tokens exactly only where the cheap estimate leaves a doubt."""
        if endpoint.card.provider is None:
            raise CallError(Failure(UNAVAILABLE, "litellm knows no provider of that name"))
        limit = self._options.max_input_tokens
        if limit is None or structured.tokens_at_most(question.turns) <= limit:
            return
        count = await asyncio.to_thread(client.count_tokens, endpoint.model, question.turns)
        if count > limit:
            raise CallError(Failure(TOO_LONG, f"{count} input tokens, {limit} are allowed", blame=Blame.REQUEST))
