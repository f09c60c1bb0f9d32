"""The LLM adapter against an OpenAI-compatible stand-in: replies, retries, the breaker, the budget, the secrets."""

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from email.utils import format_datetime
from typing import Literal, NoReturn

import pytest
from pydantic import BaseModel, ConfigDict, Field

from bot.errors import BudgetError, ModelError, StoreError
from bot.interfaces import Reply, Turn
from bot.llm import LiteLLM, ModelOptions, client
from bot.llm.breaker import COOL_DOWN, LIMIT, Breaker
from bot.llm.dialect import Dialect, Mode
from bot.llm.failure import Blame, CallError, Failure, NotCalledError, for_log
from bot.llm.retry import LONGEST_WAIT, TRIES, Tries, wait_named
from bot.llm.structured import asked_again, read, strict_schema, tokens_at_most
from bot.models import Meter
from bot.telemetry import Metrics
from tests.fakes import ABSTRACT, NOW, FakeClock, wait_until
from tests.model_standin import Fault, ModelStandIn
from tests.test_telemetry import value

KEY = "sk-standin-0123456789abcdef"
SPEED = 200  # a wait of one second takes 5 ms here
PAPERS = 15
DEEP_DIVES = 2
MOST_CALLS = 30


class ScoreReply(BaseModel):
    model_config = ConfigDict(extra="forbid")
    quote: str = Field(max_length=300)
    reason: str = Field(description="why", max_length=200)
    matched_interests: list[Literal["flow", "rain"]] = Field(default_factory=list)
    topic: int = Field(ge=0, le=10)
    method: int = Field(ge=0, le=10)
    novelty: int = Field(ge=0, le=10)
    rigor: int = Field(ge=0, le=10)
    suspicious: bool


class PointReply(BaseModel):
    section: str
    quote: str
    kind: Literal["stated", "inferred"]
    text: str


class DeepDiveReply(BaseModel):
    contribution: list[PointReply]
    method: list[PointReply]
    takeaways: list[PointReply]
    limitations: list[PointReply]


class QuickClock:
    """Real time that passes SPEED times faster, so that waits keep their order and take no time."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self.slept: list[float] = []

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return (time.monotonic() - self._start) * SPEED

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(seconds / SPEED)


class MemoryStore:
    """Spending and notes, as the port describes them. `down` makes it fail."""

    def __init__(self) -> None:
        self.sums: dict[date, float] = {}
        self.highest = 0.0
        self.notes: dict[str, str] = {}
        self.down = False

    async def reserve_spend(self, day: date, usd: float, limit: float) -> bool:
        await self._wire()
        if self.sums.get(day, 0.0) + usd > limit:
            return False
        self.sums[day] = self.sums.get(day, 0.0) + usd
        self.highest = max(self.highest, self.sums[day])
        return True

    async def settle_spend(self, day: date, difference: float) -> None:
        await self._wire()
        self.sums[day] = self.sums.get(day, 0.0) + difference

    async def spent(self, day: date) -> float:
        return self.sums.get(day, 0.0)

    async def note(self, key: str) -> str | None:
        await self._wire()
        return self.notes.get(key)

    async def keep_note(self, key: str, value: str) -> None:
        await self._wire()
        self.notes[key] = value

    async def swap_note(self, key: str, standing: str | None, value: str) -> bool:
        await self._wire()
        if self.notes.get(key) != standing:
            return False
        self.notes[key] = value
        return True

    async def _wire(self) -> None:
        await asyncio.sleep(0)
        if self.down:
            raise StoreError("the store is down")


@dataclass(frozen=True)
class Loaded:
    """What loading the model library did. `first`: it was loaded here, and not found loaded."""

    first: bool
    resolved: list[object]


@pytest.fixture(scope="module", autouse=True)
def loaded() -> Loaded:
    """Loads the model library once for all tests here: in a process of its own it would take 3 s more."""
    first, resolved = "litellm" not in sys.modules, []

    def refuse(host: object, *_: object, **__: object) -> NoReturn:
        resolved.append(host)
        raise OSError("no name is resolved here")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", refuse)  # names are resolved by the operating system alone
        client.load()
        for name in ("anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash"):
            client.card(name)
    return Loaded(first, resolved)


@pytest.fixture
async def server() -> AsyncIterator[ModelStandIn]:
    async with ModelStandIn(key=KEY) as standin:
        yield standin


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def clock() -> QuickClock:
    return QuickClock()


def options(server: ModelStandIn, **changes: object) -> ModelOptions:
    values: dict[str, object] = {
        "model": "openai/standin",
        "api_base": f"{server.url}/v1",
        "api_key": KEY,
        "timeout_seconds": 5.0,
    }
    return ModelOptions(**(values | changes))  # type: ignore[arg-type]  # builder: callers pass fields by name


@asynccontextmanager
async def model(options: ModelOptions, store: MemoryStore, clock: QuickClock | FakeClock) -> AsyncIterator[LiteLLM]:
    llm = LiteLLM(options, store, clock)
    try:
        yield llm
    finally:
        await llm.aclose()


Connect = Callable[..., Awaitable[LiteLLM]]


@pytest.fixture
async def connect(server: ModelStandIn, store: MemoryStore, clock: QuickClock) -> AsyncIterator[Connect]:
    """`await connect(concurrency=4)`: an adapter of the stand-in with these options, closed at the end."""
    opened: list[LiteLLM] = []

    async def make(**changes: object) -> LiteLLM:
        opened.append(LiteLLM(options(server, **changes), store, clock))
        return opened[-1]

    yield make
    for llm in opened:
        await llm.aclose()


def question(number: int = 1) -> tuple[Turn, ...]:
    paper = f"Seeing Through Rain {number}\n{ABSTRACT} This is paper {number}."
    return Turn("system", "你为一个图像复原研究组给论文打分。请用中文回答。"), Turn("user", paper)


async def score(llm: LiteLLM, number: int = 1, meter: Meter | None = None) -> Reply[ScoreReply]:
    return await llm.ask("score", question(number), ScoreReply, meter or Meter())


async def deep_dive(llm: LiteLLM, number: int = 1, meter: Meter | None = None) -> Reply[DeepDiveReply]:
    turns = (Turn("system", "Read the paper."), Turn("user", f"[[S0]] Abstract\n{ABSTRACT} Paper {number}."))
    return await llm.ask("deep_dive", turns, DeepDiveReply, meter or Meter())


async def a_day(llm: LiteLLM, meter: Meter) -> tuple[list[object], list[object]]:
    """What a day's job asks: all scores at once, then the deep dives. Exceptions stand in the lists."""
    scores = await asyncio.gather(*(score(llm, n, meter) for n in range(1, PAPERS + 1)), return_exceptions=True)
    dives = await asyncio.gather(*(deep_dive(llm, n, meter) for n in range(1, DEEP_DIVES + 1)), return_exceptions=True)
    return list(scores), list(dives)


def failures(outcomes: list[object]) -> set[str]:
    assert all(isinstance(outcome, ModelError | Reply) for outcome in outcomes), outcomes
    return {outcome.key for outcome in outcomes if isinstance(outcome, ModelError)}


# --- A good call


async def test_a_reply_is_validated_and_counted(server: ModelStandIn, connect: Connect) -> None:
    llm = await connect()
    meter = Meter()
    reply = await score(llm, 1, meter)
    assert reply.value.quote in ABSTRACT
    assert json.loads(reply.text)["topic"] == reply.value.topic
    assert reply.model == llm.model == "openai/standin"
    assert reply.cost_usd is None, "the stand-in has no price"
    assert (meter.usage.calls, meter.usage.cost_usd) == (1, None)
    assert meter.usage.input_tokens > 50
    assert meter.usage.output_tokens > 10
    assert server.by_name == {"score": 1}


async def test_calls_tokens_and_cost_are_counted_by_what_came_of_them(
    server: ModelStandIn, store: MemoryStore, clock: QuickClock
) -> None:
    server.faults = (Fault("status", times=1, status=503), Fault("malformed", after=1, times=1))
    metrics, meter = Metrics(), Meter()
    llm = LiteLLM(options(server, model="openai/gpt-4o-mini"), store, clock, metrics)
    try:
        await score(llm, meter=meter)
    finally:
        await llm.aclose()
    named = {"model": "openai/gpt-4o-mini"}
    for outcome in ("unavailable", "invalid", "ok"):
        assert value(metrics, "model_calls_total", outcome=outcome, **named) == 1
    usage = meter.usage
    assert value(metrics, "model_tokens_total", kind="input", **named) == usage.input_tokens > 0
    assert value(metrics, "model_tokens_total", kind="output", **named) == usage.output_tokens > 0
    assert value(metrics, "model_cost_usd_total", **named) == pytest.approx(usage.cost_usd)
    assert value(metrics, "http_requests_total", upstream="model", status="2xx") == 2
    assert value(metrics, "http_requests_total", upstream="model", status="5xx") == 1


async def test_a_call_is_sent_as_the_service_wants_it(server: ModelStandIn, connect: Connect) -> None:
    await deep_dive(await connect(max_output_tokens=3000))
    body = server.bodies[0]
    form = body["response_format"]["json_schema"]
    assert (form["name"], form["strict"]) == ("deep_dive", True)
    assert set(form["schema"]["required"]) == {"contribution", "method", "takeaways", "limitations"}
    assert (body["temperature"], body["max_tokens"], body["model"]) == (0, 3000, "standin")
    assert [message["role"] for message in body["messages"]] == ["system", "user"]


async def test_a_model_of_ones_own_is_given_no_length_limit(server: ModelStandIn, connect: Connect) -> None:
    await score(await connect())
    assert "max_tokens" not in server.bodies[0]


async def test_a_known_model_is_trusted_with_the_schema_and_given_its_limit(
    server: ModelStandIn, connect: Connect
) -> None:
    await score(await connect(model="openai/gpt-4o-mini"))
    assert "JSON" not in server.bodies[0]["messages"][0]["content"]
    assert server.bodies[0]["max_tokens"] == 8192


async def test_an_unknown_model_reads_the_schema_in_the_prompt_too(server: ModelStandIn, connect: Connect) -> None:
    await score(await connect())
    system = server.bodies[0]["messages"][0]["content"]
    assert "图像复原" in system
    assert '"novelty"' in system


async def test_a_conversation_without_a_system_turn_gets_one_for_the_schema(
    server: ModelStandIn, connect: Connect
) -> None:
    llm = await connect()
    await llm.ask("score", question()[1:], ScoreReply, Meter())
    assert [message["role"] for message in server.bodies[0]["messages"]] == ["system", "user"]


async def test_no_more_calls_run_at_once_than_allowed(server: ModelStandIn, connect: Connect) -> None:
    server.delay = 0.02
    llm = await connect(concurrency=2)
    await asyncio.gather(*(score(llm, n) for n in range(6)))
    assert server.peak == 2


async def test_a_days_papers_are_asked_for_all_at_once(server: ModelStandIn, connect: Connect) -> None:
    server.faults = (Fault("hang"),)
    llm = await connect(timeout_seconds=50)
    asking = [asyncio.create_task(score(llm, n)) for n in range(PAPERS)]
    await wait_until(lambda: server.running == PAPERS)
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    assert server.calls == PAPERS


async def test_without_a_model_nothing_is_loaded_or_called(store: MemoryStore, clock: QuickClock) -> None:
    async with model(ModelOptions(), store, clock) as llm:
        await llm.warm_up()
        with pytest.raises(ModelError) as caught:
            await score(llm)
    assert (llm.model, caught.value.key, caught.value.retryable) == ("", "failure.unavailable", False)


async def test_warming_up_leaves_the_event_loop_free(connect: Connect) -> None:
    llm = await connect()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    await asyncio.gather(llm.warm_up(), llm.warm_up())
    ticking.cancel()
    assert ticks > 3


async def test_a_cancelled_call_passes_the_cancellation_on_and_frees_its_place(
    server: ModelStandIn, connect: Connect
) -> None:
    server.faults = (Fault("hang", times=1),)
    llm = await connect(concurrency=1)
    asking = asyncio.create_task(score(llm))
    await wait_until(lambda: server.running == 1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (await score(llm)).value.quote in ABSTRACT


# --- Replies that are not right


@pytest.mark.parametrize(
    ("wrap", "mode"),
    [
        ("```json\n{}\n```", "schema"),
        ("Here you are:\n```\n{}\n```\nAnything else?", "prompt"),
        ("<think>Is it {{good}}?</think>\n\n{}", "prompt"),
        ("The answer: {} — done.", "json"),
    ],
)
async def test_words_and_fences_around_the_json_do_no_harm(
    server: ModelStandIn, connect: Connect, wrap: str, mode: str
) -> None:
    good = server.answer
    server.answer = lambda name, body: wrap.replace("{}", good(name or "score", body)).replace("{{", "{")
    reply = await score(await connect(structured=mode))
    assert reply.text.startswith("{")
    assert server.calls == 1


@pytest.mark.parametrize("kind", ["malformed", "truncated", "wrong", "empty", "length"])
async def test_an_invalid_reply_is_asked_for_once_more(server: ModelStandIn, connect: Connect, kind: str) -> None:
    server.faults = (Fault(kind, times=1),)  # type: ignore[arg-type]  # the parameters above are its kinds
    meter = Meter()
    reply = await score(await connect(), 1, meter)
    assert reply.value.quote in ABSTRACT
    assert meter.usage.calls == server.calls == 2
    roles = [message["role"] for message in server.bodies[1]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]


async def test_the_second_asking_shows_the_reply_and_lists_what_was_wrong(
    server: ModelStandIn, connect: Connect
) -> None:
    good = server.answer

    def too_high(name: str, body: dict[str, object]) -> str:
        answer = json.loads(good(name, body))
        return json.dumps(answer | {"topic": 11}) if server.calls == 1 else json.dumps(answer)

    server.answer = too_high
    await score(await connect())
    *_, reply, request = server.bodies[1]["messages"]
    assert json.loads(reply["content"])["topic"] == 11
    assert "topic: Input should be less than or equal to 10" in request["content"]


async def test_a_cut_off_reply_gets_more_room_and_is_asked_to_be_brief(server: ModelStandIn, connect: Connect) -> None:
    server.faults = (Fault("length", times=1),)
    await score(await connect(max_output_tokens=1000))
    assert [body["max_tokens"] for body in server.bodies] == [1000, 2000]
    assert "briefly" in server.bodies[1]["messages"][-1]["content"]


async def test_a_reply_that_stays_invalid_costs_two_calls_and_no_more(server: ModelStandIn, connect: Connect) -> None:
    server.faults = (Fault("wrong"),)
    with pytest.raises(ModelError) as caught:
        await score(await connect())
    assert (caught.value.key, caught.value.retryable) == ("failure.invalid", False)
    assert server.calls == 2


@pytest.mark.parametrize("kind", ["malformed", "truncated", "length"])
async def test_a_reply_that_is_no_whole_json_is_tried_as_often_as_a_call_that_fails(
    server: ModelStandIn, connect: Connect, clock: QuickClock, kind: str
) -> None:
    server.faults = (Fault(kind, times=TRIES - 1),)  # type: ignore[arg-type]  # the parameters above are its kinds
    llm = await connect()
    assert (await score(llm)).value.quote in ABSTRACT
    assert server.calls == TRIES
    assert [len(body["messages"]) for body in server.bodies] == [2, 4, 4], "each shows the reply before it, and no more"
    assert set(clock.slept) == {0.0}
    server.faults = (Fault(kind),)  # type: ignore[arg-type]  # as above
    with pytest.raises(ModelError) as caught:
        await score(llm)
    assert (caught.value.key, server.calls) == ("failure.invalid", 2 * TRIES)


async def test_the_one_correction_outlives_accidents(server: ModelStandIn, connect: Connect) -> None:
    server.faults = (
        Fault("malformed", times=1),
        Fault("wrong", after=1, times=1),
        Fault("status", after=2, times=1, status=503),
    )
    assert (await score(await connect())).value.quote in ABSTRACT
    assert server.calls == 4
    assert "topic: Field required" in server.bodies[-1]["messages"][-1]["content"]


def test_a_reply_that_ended_for_a_reason_of_the_services_own_is_an_accident() -> None:
    with pytest.raises(CallError) as caught:
        read('{"quote": "We restore', "error", ScoreReply)
    failure = caught.value.failure
    assert (failure.key, failure.garbled, failure.blame) == ("failure.invalid", True, Blame.ATTEMPT)
    *_, reply, request = asked_again(question(), failure)
    assert reply.content == '{"quote": "We restore'
    assert "not complete" in request.content


def test_rate_limits_take_no_tries_from_failures() -> None:
    tries = Tries()
    limited = Failure("failure.rate_limit", "slow down", retryable=True, wait=1.0)
    down = Failure("failure.unavailable", "down", retryable=True)
    pauses = [tries.pause(failure) for failure in (limited, down, limited, limited, down, limited)]
    assert None not in pauses
    assert (tries.pause(limited), tries.pause(down)) == (None, None)


async def test_a_filtered_reply_is_not_asked_for_again(server: ModelStandIn, connect: Connect) -> None:
    server.faults = (Fault("filtered"),)
    with pytest.raises(ModelError, match="content_filter") as caught:
        await score(await connect())
    assert caught.value.key == "failure.invalid"
    assert server.calls == 1


# --- Structured output where it is not supported


async def test_a_refused_schema_becomes_json_mode_and_is_remembered(
    server: ModelStandIn, connect: Connect, store: MemoryStore
) -> None:
    server.refuse = frozenset({"json_schema"})
    llm = await connect()
    assert (await score(llm)).value.quote in ABSTRACT
    assert [body["response_format"]["type"] for body in server.bodies] == ["json_schema", "json_object"]
    assert list(store.notes.values()) == ["json"]
    await score(llm)
    await score(await connect())
    assert server.calls == 4, "neither the same nor the next process tries the schema again"


async def test_a_refused_json_mode_becomes_a_prompt_with_the_schema(
    server: ModelStandIn, connect: Connect, store: MemoryStore
) -> None:
    server.refuse = frozenset({"json_schema", "json_object"})
    meter = Meter()
    assert (await score(await connect(), 1, meter)).value.quote in ABSTRACT
    assert meter.usage.calls == 3
    assert "response_format" not in server.bodies[-1]
    assert '"novelty"' in server.bodies[-1]["messages"][0]["content"]
    assert list(store.notes.values()) == ["prompt"]


async def test_papers_asked_for_at_once_get_through_on_an_endpoint_that_refuses_everything_at_first(
    server: ModelStandIn, connect: Connect
) -> None:
    server.refuse = frozenset({"json_schema", "json_object", "temperature", "max_tokens"})
    llm = await connect(max_output_tokens=4000)
    outcomes = await asyncio.gather(*(score(llm, n) for n in range(2 * LIMIT)), return_exceptions=True)
    assert failures(list(outcomes)) == set()


async def test_a_reasoning_model_is_asked_without_temperature_and_by_its_own_limit(
    server: ModelStandIn, connect: Connect, store: MemoryStore
) -> None:
    server.refuse = frozenset({"temperature", "max_tokens"})
    await score(await connect(max_output_tokens=2000))
    assert "temperature" not in server.bodies[-1]
    assert server.bodies[-1]["max_completion_tokens"] == 2000
    assert list(store.notes.values()) == ["schema no-temperature max-completion-tokens"]
    await score(await connect(max_output_tokens=2000))
    assert server.calls == 4


@pytest.mark.parametrize(("mode", "form"), [("schema", "json_schema"), ("json", "json_object"), ("prompt", None)])
async def test_the_setting_says_where_to_begin(
    server: ModelStandIn, connect: Connect, store: MemoryStore, mode: str, form: str | None
) -> None:
    key = f"llm.dialect:openai/standin@{'0' * 12}"
    store.notes[key] = "prompt"
    await score(await connect(structured=mode))
    assert (server.bodies[0].get("response_format") or {}).get("type") == form


async def test_a_store_that_is_down_costs_the_memory_and_not_the_call(
    server: ModelStandIn, connect: Connect, store: MemoryStore
) -> None:
    store.down = True
    server.refuse = frozenset({"json_schema"})
    assert (await score(await connect(model="openai/gpt-4o-mini"))).cost_usd is not None


def test_a_note_of_another_version_is_ignored() -> None:
    spoken = Dialect(Mode.JSON, temperature=False, completion_tokens=True)
    assert Dialect.parse(str(spoken)) == spoken
    assert Dialect.parse("yaml") is Dialect.parse("json with-ribbons") is Dialect.parse("") is None


def test_the_schema_is_closed_complete_and_free_of_references() -> None:
    schema = strict_schema(DeepDiveReply)
    text = json.dumps(schema)
    assert "$ref" not in text
    assert "title" not in schema
    point = schema["properties"]["method"]["items"]
    assert point["additionalProperties"] is False
    assert point["required"] == ["section", "quote", "kind", "text"]
    fields = strict_schema(ScoreReply)["properties"]
    assert fields["reason"] == {"type": "string", "description": "why; at most 200 characters"}
    assert fields["topic"] == {"type": "integer", "minimum": 0, "maximum": 10}
    assert fields["matched_interests"] == {"type": "array", "items": {"enum": ["flow", "rain"], "type": "string"}}


def test_a_field_called_title_survives() -> None:
    class Titled(BaseModel):
        title: str

    assert strict_schema(Titled)["properties"] == {"title": {"type": "string"}}


# --- Failures, retries, fallbacks


@pytest.mark.parametrize(
    ("fault", "key", "retryable", "calls"),
    [
        (Fault("status", status=400), "failure.model", False, 1),
        (Fault("status", status=401), "failure.auth", False, 1),
        (Fault("status", status=402), "failure.unavailable", False, 1),
        (Fault("status", status=403), "failure.auth", False, 1),
        (Fault("status", status=404), "failure.unavailable", False, 1),
        (Fault("status", status=413), "failure.too_long", False, 1),
        (Fault("status", status=418), "failure.model", False, 1),
        (Fault("status", status=429), "failure.rate_limit", True, 5),
        (Fault("status", status=429, message="insufficient_quota"), "failure.rate_limit", False, 1),
        (Fault("status", status=500), "failure.unavailable", True, 3),
        (Fault("status", status=503), "failure.unavailable", True, 3),
        (Fault("disconnect"), "failure.unavailable", True, 3),
        (Fault("html"), "failure.unavailable", True, 3),
    ],
    ids=lambda value: f"{value.kind}-{value.status}" if isinstance(value, Fault) else None,
)  # fmt: skip
async def test_each_failure_has_its_reason_and_its_number_of_tries(
    server: ModelStandIn, connect: Connect, fault: Fault, key: str, retryable: bool, calls: int
) -> None:
    server.faults = (fault,)
    meter = Meter()
    with pytest.raises(ModelError) as caught:
        await score(await connect(), 1, meter)
    assert (caught.value.key, caught.value.retryable) == (key, retryable)
    assert server.calls == meter.usage.calls == calls
    assert caught.value.values == {}


async def test_a_silent_model_times_out_three_times(server: ModelStandIn, connect: Connect) -> None:
    server.faults = (Fault("hang"),)
    with pytest.raises(ModelError) as caught:
        await score(await connect(timeout_seconds=0.1))
    assert (caught.value.key, caught.value.retryable, server.calls) == ("failure.timeout", True, 3)


async def test_a_reply_that_trickles_in_without_end_is_given_up(
    server: ModelStandIn, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        client, "GRACE_SECONDS", 0.1
    )  # what litellm gets beyond the timeout, which it does not use here
    server.faults = (Fault("trickle", times=1),)
    assert (await score(await connect(timeout_seconds=0.2))).value.quote in ABSTRACT
    assert server.calls == 2


async def test_a_paper_over_the_models_context_is_too_long(server: ModelStandIn, connect: Connect) -> None:
    server.context = 10
    with pytest.raises(ModelError) as caught:
        await score(await connect())
    assert (caught.value.key, server.calls) == ("failure.too_long", 1)


async def test_a_paper_over_the_configured_limit_is_not_even_sent(server: ModelStandIn, connect: Connect) -> None:
    llm = await connect(max_input_tokens=60)
    with pytest.raises(ModelError) as caught:
        await score(llm)
    assert (caught.value.key, server.calls) == ("failure.too_long", 0)


async def test_a_paper_within_the_limit_is_counted_exactly_before_it_is_refused(
    server: ModelStandIn, connect: Connect
) -> None:
    turns = question()
    limit = tokens_at_most(turns) - 1
    llm = await connect(max_input_tokens=limit)
    assert (await score(llm)).value.quote in ABSTRACT


@pytest.mark.parametrize(
    ("model", "settings", "limit"),
    [
        ("openai/gpt-4o-mini", {}, 128_000 - 8192),
        ("openai/gpt-4o-mini", {"max_output_tokens": 3000}, 125_000),
        ("gpt-3.5-turbo", {}, 16_385 - 4096),
        (
            "deepinfra/meta-llama/Meta-Llama-3-8B-Instruct",
            {},
            4096,
        ),  # a context of 8,192 in which a reply may be as long
        ("openai/a-model-of-ones-own", {}, None),
        ("", {}, None),
    ],
)
async def test_the_input_leaves_room_for_the_reply(model: str, settings: dict[str, int], limit: int | None) -> None:
    options = replace(ModelOptions(model=model, api_key="sk-test"), **settings)  # type: ignore[arg-type]  # by name
    llm = LiteLLM(options, MemoryStore(), QuickClock())
    assert await llm.context() == limit


async def test_a_passing_trouble_is_tried_again(server: ModelStandIn, connect: Connect, clock: QuickClock) -> None:
    server.faults = (Fault("status", times=2, status=500),)
    meter = Meter()
    await score(await connect(), 1, meter)
    assert server.calls == meter.usage.calls == 3
    first, second = clock.slept
    assert 0.5 <= first <= 0.75
    assert 1.0 <= second <= 1.5


@pytest.mark.parametrize("status", [429, 503])
async def test_the_wait_that_the_service_names_is_kept(
    server: ModelStandIn, connect: Connect, clock: QuickClock, status: int
) -> None:
    server.faults = (Fault("status", times=1, status=status, retry_after="7"),)
    await score(await connect())
    assert len(clock.slept) == 1
    assert 7 <= clock.slept[0] <= 7.7


@pytest.mark.parametrize(
    ("header", "body", "seconds"),
    [
        ("2", "", 2.0),
        (" 1.5 ", "", 1.5),
        ("3600", "", LONGEST_WAIT),
        (format_datetime(NOW + timedelta(seconds=9)), "", 9.0),
        (format_datetime((NOW + timedelta(seconds=9)).replace(tzinfo=None)), "", 9.0),
        (format_datetime(NOW - timedelta(seconds=9)), "", 0.0),
        ("soon", "", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "", None),
        ("\u0662", "", None),
        ("soon", '{"retryDelay": "38s"}', 38.0),
        (None, "", None),
    ],
)
def test_a_wait_is_read_in_every_form_it_comes_in(header: str | None, body: str, seconds: float | None) -> None:
    assert wait_named(header, body, NOW) == seconds


async def test_fallbacks_are_asked_in_order(server: ModelStandIn, connect: Connect) -> None:
    good = server.answer
    server.answer = lambda name, body: good(name, body) if body["model"] == "third" else "no"
    llm = await connect(fallbacks=("openai/second", "openai/third"))
    meter = Meter()
    reply = await score(llm, 1, meter)
    assert (reply.model, llm.model) == ("openai/third", "openai/standin")
    assert [body["model"] for body in server.bodies] == ["standin"] * 3 + ["second"] * 3 + ["third"]
    assert meter.usage.calls == 7


async def test_when_the_fallbacks_fail_too_the_configured_models_reason_is_told(
    server: ModelStandIn, connect: Connect
) -> None:
    server.faults = (Fault("status", times=1, status=404), Fault("status", status=401))
    with pytest.raises(ModelError, match="openai/standin") as caught:
        await score(await connect(fallbacks=("openai/second", "nobody/knows")))
    assert caught.value.key == "failure.unavailable"
    assert server.calls == 2


async def test_key_and_base_go_to_no_other_provider(
    server: ModelStandIn, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ModelStandIn(key="sk-deepseek-0123456789") as other:
        # The other provider's address and key come from its own variables, as in a real installation.
        monkeypatch.setenv("DEEPSEEK_API_BASE", f"{other.url}/v1")
        monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-deepseek-0123456789")
        server.faults = (Fault("status", status=401),)
        reply = await score(await connect(fallbacks=("deepseek/deepseek-chat",)))
        assert reply.model == "deepseek/deepseek-chat"
        assert all(KEY not in json.dumps(asked.headers) + asked.body for asked in other.asked)


async def test_a_server_of_ones_own_needs_no_key(
    server: ModelStandIn, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)  # a key in the developer's environment would be used
    server.keyless = True
    assert (await score(await connect(api_key=None))).value.quote in ABSTRACT


# --- The breaker

Setup = Callable[[ModelStandIn], None]


def faulty(fault: Fault) -> Setup:
    def set_up(server: ModelStandIn) -> None:
        server.faults = (fault,)

    return set_up


OUTAGES = {
    "500": (faulty(Fault("status", status=500)), "failure.unavailable"),
    "400": (faulty(Fault("status", status=400)), "failure.model"),
    "400 response_format": (
        faulty(Fault("status", status=400, message="response_format is bad")),
        "failure.model",
    ),
    "429": (faulty(Fault("status", status=429)), "failure.rate_limit"),
    "429 retry-after 30": (faulty(Fault("status", status=429, retry_after="30")), "failure.rate_limit"),
    "401": (faulty(Fault("status", status=401)), "failure.auth"),
    "timeout": (faulty(Fault("hang")), "failure.timeout"),
    "disconnect": (faulty(Fault("disconnect")), "failure.unavailable"),
    "invalid": (faulty(Fault("malformed")), "failure.invalid"),
    "cut off": (faulty(Fault("length")), "failure.invalid"),
}


SWEPT = {"500": (1, 16), "invalid": (1, 4, 16), "429": (16,)}  # at other times the number of calls at once is 4


@pytest.mark.parametrize(
    ("outage", "concurrency"),
    [(outage, concurrency) for outage in OUTAGES for concurrency in SWEPT.get(outage, (4,))],
)
async def test_a_day_on_which_every_call_fails_stays_within_thirty_calls(
    server: ModelStandIn, connect: Connect, outage: str, concurrency: int
) -> None:
    set_up, key = OUTAGES[outage]
    set_up(server)
    meter = Meter()
    patience = 0.15 if outage == "timeout" else 5.0
    scores, dives = await a_day(await connect(concurrency=concurrency, timeout_seconds=patience), meter)
    assert failures([*scores, *dives]) == {key}
    assert not any(isinstance(outcome, Reply) for outcome in [*scores, *dives])
    assert 1 <= meter.usage.calls <= MOST_CALLS
    # Where nobody waits for an answer, a request may be given up before it has arrived.
    assert server.calls == meter.usage.calls or outage == "timeout"


async def test_nothing_listens_and_thirty_calls_are_enough_to_know(store: MemoryStore, clock: QuickClock) -> None:
    async with ModelStandIn() as gone:
        pass
    meter = Meter()
    async with model(options(gone), store, clock) as llm:
        scores, dives = await a_day(llm, meter)
    assert failures([*scores, *dives]) == {"failure.unavailable"}
    assert meter.usage.calls <= MOST_CALLS


async def test_with_two_fallbacks_that_fail_as_well_thirty_calls_are_still_the_limit(
    server: ModelStandIn, connect: Connect
) -> None:
    server.faults = (Fault("malformed"),)
    llm = await connect(fallbacks=("openai/second", "openai/third"))
    await a_day(llm, Meter())
    assert server.calls <= MOST_CALLS


@pytest.mark.parametrize(
    ("fault", "concurrency"),
    [
        (Fault("status", 3, status=429, retry_after="1"), 16),
        (Fault("malformed", 5), 4),
    ],
    ids=lambda value: f"every-{value.every}-{value.kind}" if isinstance(value, Fault) else str(value),
)
async def test_a_shaky_model_loses_no_paper(
    server: ModelStandIn, connect: Connect, fault: Fault, concurrency: int
) -> None:
    server.faults = (fault,)
    server.delay = 0.01
    scores, dives = await a_day(await connect(concurrency=concurrency), Meter())
    assert failures([*scores, *dives]) == set()


async def test_a_rate_limit_met_by_all_at_once_is_waited_out(
    server: ModelStandIn, connect: Connect, clock: QuickClock
) -> None:
    server.faults = (Fault("status", status=429, retry_after="20", times=PAPERS),)
    scores, dives = await a_day(await connect(), Meter())
    assert failures([*scores, *dives]) == set()
    assert server.calls == 2 * PAPERS + DEEP_DIVES


async def test_after_the_cool_down_one_call_finds_out_that_the_model_is_back(
    server: ModelStandIn, store: MemoryStore
) -> None:
    clock = FakeClock()
    server.faults = (Fault("status", status=401, times=1),)
    async with model(options(server), store, clock) as llm:
        for _ in range(3):
            with pytest.raises(ModelError):
                await score(llm)
        assert server.calls == 1, "a wrong key is asked about once"
        await clock.sleep(COOL_DOWN)
        server.delay = 0.02
        await asyncio.gather(*(score(llm, n) for n in range(PAPERS)))
    assert server.calls == 1 + PAPERS


async def test_when_the_probing_call_fails_the_others_do_not_even_start() -> None:
    clock = FakeClock()
    breaker = Breaker(clock)
    await fail(breaker, LIMIT)
    await clock.sleep(COOL_DOWN)
    entered, outcomes = 0, []
    release = asyncio.Event()

    async def call() -> None:
        nonlocal entered
        async with breaker.admitted():
            entered += 1
            await release.wait()
            raise CallError(Failure("failure.timeout", "still down"))

    calls = [asyncio.create_task(call()) for _ in range(4)]
    await wait_until(lambda: entered == 1)
    release.set()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert entered == 1
    assert sum(isinstance(outcome, NotCalledError) for outcome in outcomes) == 3


async def test_a_failure_of_the_request_says_nothing_about_the_model() -> None:
    breaker = Breaker(FakeClock())
    await fail(breaker, 3 * LIMIT, Failure("failure.too_long", "too long", blame=Blame.REQUEST))
    async with breaker.admitted():
        pass


async def test_a_cautious_breaker_stakes_only_a_few_calls_until_one_succeeds() -> None:
    breaker = Breaker(FakeClock(), cautious=True)
    running, gate = 0, asyncio.Event()

    async def call() -> None:
        nonlocal running
        async with breaker.admitted():
            running += 1
            await gate.wait()

    calls = [asyncio.create_task(call()) for _ in range(PAPERS)]
    await wait_until(lambda: running == LIMIT)
    gate.set()
    await asyncio.gather(*calls)
    assert running == PAPERS


async def fail(breaker: Breaker, times: int, failure: Failure | None = None) -> None:
    for _ in range(times):
        with pytest.raises(CallError):
            async with breaker.admitted():
                raise CallError(failure or Failure("failure.timeout", "down"))


# --- The budget

PRICED = "openai/gpt-4o-mini"


async def test_without_a_budget_spending_is_still_recorded(connect: Connect, store: MemoryStore) -> None:
    meter = Meter()
    reply = await score(await connect(model=PRICED), 1, meter)
    assert reply.cost_usd == meter.usage.cost_usd == store.sums[NOW.date()]
    assert reply.cost_usd > 0


async def test_a_budget_is_charged_what_calls_really_cost(
    server: ModelStandIn, connect: Connect, store: MemoryStore
) -> None:
    server.faults = (Fault("wrong", times=1),)
    meter = Meter()
    await score(await connect(model=PRICED, daily_budget_usd=1.0), 1, meter)
    assert store.sums[NOW.date()] == pytest.approx(meter.usage.cost_usd)
    assert store.highest > 2 * store.sums[NOW.date()], "reserved at the highest price first"


async def test_a_spent_budget_stops_calls_before_they_are_made(
    server: ModelStandIn, connect: Connect, store: MemoryStore
) -> None:
    store.sums[NOW.date()] = 1.0
    with pytest.raises(BudgetError) as caught:
        await score(await connect(model=PRICED, daily_budget_usd=1.0, fallbacks=("openai/gpt-4o",)))
    assert (caught.value.key, server.calls) == ("failure.budget", 0)


async def test_yesterdays_spending_does_not_count(connect: Connect, store: MemoryStore) -> None:
    store.sums[NOW.date() - timedelta(days=1)] = 1.0
    assert (await score(await connect(model=PRICED, daily_budget_usd=1.0))).value.quote in ABSTRACT


async def test_an_unknown_price_under_a_budget_stops_calls(server: ModelStandIn, connect: Connect) -> None:
    with pytest.raises(BudgetError):
        await score(await connect(daily_budget_usd=1.0))
    assert server.calls == 0


async def test_a_model_on_ones_own_machine_is_free_under_a_budget(
    server: ModelStandIn, connect: Connect, store: MemoryStore
) -> None:
    reply = await score(await connect(model="lm_studio/qwen3", daily_budget_usd=0.01))
    assert reply.cost_usd in {None, 0.0}
    assert store.sums[NOW.date()] == 0.0


@pytest.mark.parametrize("status", [401, 429, 500])
async def test_a_refused_call_costs_nothing(
    server: ModelStandIn, connect: Connect, store: MemoryStore, status: int
) -> None:
    server.faults = (Fault("status", status=status),)
    with pytest.raises(ModelError):
        await score(await connect(model=PRICED, daily_budget_usd=1.0))
    assert store.highest > 0
    assert store.sums[NOW.date()] == pytest.approx(0.0)


async def test_a_call_that_reached_nobody_costs_nothing(store: MemoryStore, clock: QuickClock) -> None:
    async with ModelStandIn() as gone:
        pass
    async with model(options(gone, model=PRICED, daily_budget_usd=1.0), store, clock) as llm:
        with pytest.raises(ModelError):
            await score(llm)
    assert store.highest > 0
    assert store.sums[NOW.date()] == pytest.approx(0.0)


async def test_a_call_that_lacks_its_key_costs_nothing(
    connect: Connect, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)  # a developer's own key would be used
    with pytest.raises(ModelError):
        await score(await connect(model=PRICED, daily_budget_usd=1.0, api_key=None, api_base=None))
    assert store.highest > 0
    assert store.sums[NOW.date()] == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        (PRICED, Fault("hang")),
        (PRICED, Fault("disconnect")),
        (PRICED, Fault("html")),
        (PRICED, Fault("status", status=504)),
        ("deepseek/deepseek-chat", Fault("disconnect")),  # the library's other way to a service
        ("deepseek/deepseek-chat", Fault("html")),
    ],
)
async def test_a_call_whose_answer_is_lost_may_be_charged_for_and_keeps_its_reservation(
    server: ModelStandIn, connect: Connect, store: MemoryStore, name: str, fault: Fault
) -> None:
    server.faults = (fault,)
    llm = await connect(model=name, daily_budget_usd=1.0, timeout_seconds=0.1)
    with pytest.raises(ModelError):
        await score(llm)
    assert store.sums[NOW.date()] == store.highest
    assert store.highest >= server.calls * 0.0001


async def test_lost_answers_do_not_pass_the_budget(server: ModelStandIn, connect: Connect, store: MemoryStore) -> None:
    server.faults = (Fault("disconnect"),)
    llm = await connect(model=PRICED, daily_budget_usd=0.012)  # room for two reservations
    with pytest.raises(BudgetError):
        await score(llm)
    assert server.calls == 2
    assert store.highest <= 0.012


async def test_a_call_that_is_given_up_keeps_its_reservation(
    server: ModelStandIn, connect: Connect, store: MemoryStore
) -> None:
    server.faults = (Fault("hang"),)
    asking = asyncio.create_task(score(await connect(model=PRICED, daily_budget_usd=1.0)))
    await wait_until(lambda: server.running == 1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert store.sums[NOW.date()] == store.highest > 0


async def test_a_tight_budget_slows_calls_down_rather_than_losing_them(
    server: ModelStandIn, connect: Connect, store: MemoryStore
) -> None:
    llm = await connect(model=PRICED, daily_budget_usd=0.012)  # room for two reservations at a time
    scores, dives = await a_day(llm, Meter())
    assert failures([*scores, *dives]) == set()
    assert store.highest <= 0.012
    assert server.peak <= 2


async def test_a_store_that_is_down_stops_spending(connect: Connect, store: MemoryStore, server: ModelStandIn) -> None:
    llm = await connect(model=PRICED, daily_budget_usd=1.0)
    await llm.warm_up()
    store.down = True
    with pytest.raises(BudgetError):
        await score(llm)
    assert server.calls == 0


async def test_a_reservation_that_cannot_be_settled_stays(
    server: ModelStandIn, connect: Connect, store: MemoryStore
) -> None:
    good = server.answer

    def answer_and_lose_the_store(name: str, body: dict[str, object]) -> str:
        store.down = True
        return good(name, body)

    server.answer = answer_and_lose_the_store
    reply = await score(await connect(model=PRICED, daily_budget_usd=1.0))
    assert reply.cost_usd is not None
    assert store.sums[NOW.date()] == store.highest > reply.cost_usd


# --- Secrets


async def test_no_log_line_and_no_error_holds_a_key_or_the_prompt(
    server: ModelStandIn, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for status in (400, 401, 429, 500):
        server.faults = (Fault("status", status=status, message=f"bad key {KEY} for Bearer {KEY}\n" + "x" * 900),)
        with pytest.raises(ModelError) as caught:
            await score(await connect())
        assert KEY not in str(caught.value)
        assert len(str(caught.value)) < 300
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
    written = "\n".join(
        f"{record.getMessage()} {record.__dict__}" for record in caplog.records if record.name != "asyncio"
    )
    assert "model failed" in written
    assert KEY not in written
    assert "wet pixels" not in written
    assert KEY not in repr(options(server))


def test_text_for_the_log_is_short_printable_and_free_of_anything_like_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "plain-looking-value")  # keys of fallbacks live in the environment
    text = (
        "a\x1b[31m\nb plain-looking-value sk-proj-abcd1234 AIzaSyA1234567890 Authorization: Bearer eyJhbGciOi "
        "https://me:pass@host/x?key=abcdefg mine-0123456789"
    )
    line = for_log(text, ["mine-0123456789", "short"])
    for secret in ("plain-looking", "sk-proj", "AIza", "eyJ", "me:pass", "abcdefg", "mine", "\x1b", "\n"):
        assert secret not in line
    assert len(for_log("word " * 500)) == 200


# --- `paperboy check`


async def test_check_says_that_the_model_answers_with_one_call(server: ModelStandIn, connect: Connect) -> None:
    (finding,) = await (await connect()).probe()
    assert (finding.level, finding.subject, server.calls) == ("ok", "llm.model", 1)


@pytest.mark.parametrize(
    ("changes", "fault", "level", "subject", "cure"),
    [
        ({"model": ""}, None, "warning", "llm.model", "gemini/"),
        ({"model": "gtp-4o"}, None, "error", "llm.model", "provider/model"),
        ({"fallbacks": ("nobody/knows",)}, None, "error", "llm.fallbacks", "provider/model"),
        ({"api_key": None, "api_base": None}, None, "error", "llm.api_key", "OPENAI_API_KEY"),
        ({"fallbacks": ("gemini/gemini-2.5-flash",)}, None, "error", "llm.fallbacks", "set GOOGLE_API_KEY or GEMINI"),
        ({"daily_budget_usd": 1.0}, None, "error", "llm.daily_budget_usd", "remove the budget"),
        ({"model": PRICED, "daily_budget_usd": 0.0}, None, "warning", "llm.daily_budget_usd", "00:00 UTC"),
        ({"api_key": "sk-wrong"}, None, "error", "llm.api_key", "PAPERBOY_LLM__API_KEY"),
        ({"timeout_seconds": 0.1}, Fault("hang"), "error", "llm.api_base", "llm.api_base"),
        ({}, Fault("status", status=404), "error", "llm.model", "/v1"),
        ({}, Fault("status", status=402), "error", "llm.api_key", "credit"),
        ({}, Fault("status", status=429), "warning", "llm.model", "llm.concurrency"),
        ({}, Fault("status", status=429, message="insufficient_quota"), "error", "llm.api_key", "quota"),
        ({}, Fault("status", status=503), "error", "llm.api_base", "HTTP 503"),
        ({}, Fault("status", status=400, message="temperature must be 1"), "ok", "llm.model", "answers"),
        ({}, Fault("status", status=400), "error", "llm.model", "refuses"),
        ({}, Fault("disconnect"), "error", "llm.api_base", "cannot be reached"),
    ],
)  # fmt: skip
async def test_check_names_the_setting_and_the_cure(
    server: ModelStandIn,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, object],
    fault: Fault | None,
    level: str,
    subject: str,
    cure: str,
) -> None:
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)  # a developer's own keys would change the findings
    server.faults = (fault,) if fault else ()
    (finding,) = await (await connect(**changes)).probe()
    assert (finding.level, finding.subject) == (level, subject)
    assert cure in finding.text
    assert KEY not in finding.text
    assert server.calls <= 1


async def test_check_notices_that_nothing_listens(store: MemoryStore, clock: QuickClock) -> None:
    async with ModelStandIn() as gone:
        pass
    async with model(options(gone), store, clock) as llm:
        (finding,) = await llm.probe()
    assert (finding.level, finding.subject) == ("error", "llm.api_base")
    assert "cannot be reached" in finding.text


# --- The model library


@pytest.mark.parametrize(
    ("name", "provider", "schema", "form", "priced"),
    [
        ("gemini/gemini-2.5-flash", "gemini", True, True, True),
        ("deepseek/deepseek-chat", "deepseek", True, True, True),
        ("dashscope/qwen-plus", "dashscope", False, True, True),
        ("zai/glm-4.6", "zai", False, False, True),
        ("ollama/qwen3:8b", "ollama", False, True, True),
        ("openai/my-own", "openai", False, True, False),
    ],
)
async def test_what_is_known_of_the_models_that_people_use(
    connect: Connect, name: str, provider: str, schema: bool, form: bool, priced: bool
) -> None:
    await (await connect()).warm_up()
    card = client.card(name)
    assert (card.provider, card.takes_schema, card.takes_format) == (provider, schema, form)
    assert (card.input_price is not None) == priced


async def test_the_model_library_is_quiet_and_asks_no_network_at_import(connect: Connect) -> None:
    await (await connect()).warm_up()
    import litellm

    assert litellm.suppress_debug_info is True
    assert all(
        logging.getLogger(name).level == logging.ERROR for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy")
    )
    assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"
    assert os.environ["LITELLM_MODE"] == "PRODUCTION"


def test_the_token_estimate_is_not_below_a_real_count() -> None:
    client.load()
    for text in (ABSTRACT * 20, "我们提出一种基于流匹配的图像复原方法。" * 50, "0.123 31.4 | 12.5 & 7.25 \\\\ " * 60):
        turns = (Turn("user", text),)
        assert client.count_tokens("openai/gpt-4o-mini", turns) <= tokens_at_most(turns) <= 4 * len(text.encode())


def test_loading_the_model_library_resolves_no_name(loaded: Loaded) -> None:
    if not loaded.first:
        pytest.skip("another test file has loaded the model library into this process before")
    assert loaded.resolved == []


def test_the_model_library_waits_for_a_call() -> None:
    script = "import sys, bot.llm; print('litellm' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=False)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_options_hide_the_key() -> None:
    assert KEY not in repr(replace(ModelOptions(), api_key=KEY))
