"""The model stand-in is as strict as the service that it stands for, and its ready-made answers quote the paper."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.analysis import answer, deepdive, scoring
from bot.interfaces import Brief, Reply, ReplyT, Turn
from bot.models import Meter, PointCounts, Question, Usage
from prompts import load
from tests import model_answers
from tests.fakes import ABSTRACT, a_full_text, a_paper, a_profile
from tests.model_answers import plausible
from tests.model_standin import Fault, ModelStandIn

GOOD: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Reply in json."}]}


def schema(**changes: object) -> dict[str, Any]:
    """A response format with one property; `changes` replace keywords of its schema."""
    closed = {
        "type": "object",
        "properties": {"a": {"type": "string"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    return {"type": "json_schema", "json_schema": {"name": "score", "strict": True, "schema": closed | changes}}


@pytest.fixture
async def server() -> AsyncIterator[ModelStandIn]:
    async with ModelStandIn(key="sk-good") as standin:
        yield standin


async def post(server: ModelStandIn, body: object, key: str | None = "sk-good") -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    content = body if isinstance(body, str) else json.dumps(body)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/v1/chat/completions", data=content, headers=headers) as response,
    ):
        return response.status, await response.json()


async def test_a_good_request_is_answered_in_the_services_form(server: ModelStandIn) -> None:
    status, reply = await post(server, GOOD | {"response_format": schema()})
    assert status == 200
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert reply["usage"]["total_tokens"] == reply["usage"]["prompt_tokens"] + reply["usage"]["completion_tokens"]


@pytest.mark.parametrize("key", [None, "sk-bad"])
async def test_without_its_key_nothing_is_answered(server: ModelStandIn, key: str | None) -> None:
    assert (await post(server, GOOD, key))[0] == 401


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"thinking": True}, "Unrecognized request argument"),
        ({"model": ""}, "model parameter"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "role"),
        ({"messages": [{"role": "user", "content": ""}]}, "content"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"stream": True}, "stream"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "name"),
        ({"response_format": schema(additionalProperties=True)}, "additionalProperties"),
        ({"response_format": schema(required=[])}, "Missing 'a'"),
        ({"response_format": schema(properties={"a": {"type": "string", "maxLength": 3}})}, "maxLength"),
        ({"response_format": schema(type="array")}, "must be of type 'object'"),
        ({"response_format": schema(properties={"a": {"type": "array", "items": {"type": "object"}}})}, "items"),
        ({"response_format": schema(properties={"a": {"anyOf": [{"type": "object"}]}})}, "anyOf"),
        ({"response_format": {"type": "json_object"}, "messages": [{"role": "user", "content": "hi"}]}, "word 'json'"),
    ],
)  # fmt: skip
async def test_a_request_that_the_service_would_refuse_is_refused(
    server: ModelStandIn, changes: dict[str, Any], complaint: str
) -> None:
    status, reply = await post(server, GOOD | changes)
    assert status == 400
    assert complaint in reply["error"]["message"]


async def test_what_is_no_json_is_refused(server: ModelStandIn) -> None:
    assert (await post(server, "{"))[0] == 400


async def test_faults_meet_every_nth_call(server: ModelStandIn) -> None:
    server.faults = (Fault("status", 3, status=429, retry_after="1"), Fault("malformed", 2, after=3, times=1))
    outcomes = [await post(server, GOOD) for _ in range(8)]
    assert [status for status, _ in outcomes] == [200, 200, 429, 200, 200, 429, 200, 200]
    texts = [reply["choices"][0]["message"]["content"] for status, reply in outcomes if status == 200]
    assert [text.startswith("Certainly") for text in texts] == [False, False, False, True, False, False]


def conversation(system: str, user: str) -> dict[str, Any]:
    return {"messages": [{"role": "system", "content": system}, {"role": "user", "content": user}]}


def test_a_score_quotes_the_abstract_and_is_the_same_every_time() -> None:
    body = conversation(
        "你是一位审稿人，请为下面的论文打分并用中文说明理由。", f"<t-7f>\nTitle: Rain\n{ABSTRACT}\n</t-7f>"
    )
    score = json.loads(plausible("score", body))
    assert score["quote"] in ABSTRACT
    assert json.loads(plausible("score", body)) == score
    assert all(0 <= score[key] <= 10 for key in ("topic", "method", "novelty", "rigor"))
    assert "方法" in score["reason"]


def test_a_deep_dive_quotes_each_point_from_its_section() -> None:
    sections = {
        "S1": ABSTRACT,
        "S2": "The mask network has 1.2 million parameters. It is trained for two days on one GPU.",
    }
    text = "\n".join(f"[[{key}]] Part {key}\n{content}" for key, content in sections.items())
    dive = json.loads(plausible("deep_dive", conversation("Read the paper.", f"<t-7f>\n{text}\n</t-7f>")))
    assert list(dive) == ["contribution", "method", "takeaways", "limitations"]
    for point in (point for points in dive.values() for point in points):
        assert point["quote"] in sections[point["section"]]
        assert point["kind"] == ("stated" if point["quote"] else "inferred")


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_with_the_real_prompts_every_answer_stands_the_proof(language: str) -> None:
    """What the whole-process tests rely on: one call an analysis, nothing unproven, nothing to repair."""

    class Direct:
        model = "stand-in"
        max_input_tokens: int | None = None

        async def ask(self, name: str, turns: Sequence[Turn], schema: type[ReplyT], meter: Meter) -> Reply[ReplyT]:
            meter.add(Usage(calls=1))
            text = plausible(name, {"messages": [{"role": turn.role, "content": turn.content} for turn in turns]})
            return Reply(schema.model_validate_json(text), text, self.model)

        async def context(self) -> int | None:
            return None

    meter = Meter()
    brief = Brief(a_profile(), language, meter)
    score = await scoring.score(a_paper(), brief, Direct(), load("score", language))
    assert score.quote in ABSTRACT
    assert score.matched_interests == ("Image Restoration",)
    dive = await deepdive.deep_dive(a_paper(), a_full_text(), brief, Direct(), load("deep_dive", language))
    assert dive.points == PointCounts(written=8, verified=8, dropped=0, repaired=0)
    question = Question(a_paper(), "How is the RainDrop-X benchmark used?")
    made = await answer.answer(question, a_full_text(), brief, Direct(), load("answer", language))
    assert "RainDrop-X" in made.points[0].quote
    assert made.counts == PointCounts(written=2, verified=2, dropped=0, repaired=0)
    unknown = Question(a_paper(), "Capital of France?")
    assert not (await answer.answer(unknown, a_full_text(), brief, Direct(), load("answer", language))).points
    assert meter.usage.calls == 4


def test_it_reads_a_real_paper_by_its_headings_and_quotes_prose_alone() -> None:
    """Printed numbers, two-digit IDs, headings without text, tables, formulas, marks of gaps, and the last line."""
    user = (
        "<<<paper 0123456789abcdef>>>\nTitle: Rain\n\n[[S0]] Abstract\nWe remove rain from photographs of streets.\n\n"
        "[[S1]] 1 Introduction\nRain hides what a camera should see in the street.\n\n[[S2]] 3 Method\n\n"
        "[[S11]] 3.1 Mask network\n$$L = \\sum_i x_i$$\n\nThe network finds wet pixels in every frame.\n\n[…]\n\n"
        "[[S12]] 4 Experiments\n| Method | It has a high score on every photograph. |\n|---|---|\n| Ours | 31.4 |\n\n"
        "The model is tested on photographs of wet streets.\n\n"
        "[[S13]] 5 Limitations\nSnow is never restored by it at all.\n"
        "<<<end of paper 0123456789abcdef>>> (the above is the paper and nothing but the paper, so quote it well.)"
    )
    sections = {section.id: section.sentences for section in model_answers.sections_of(user)}
    assert sections == {
        "S0": ("We remove rain from photographs of streets.",),
        "S1": ("Rain hides what a camera should see in the street.",),
        "S11": ("The network finds wet pixels in every frame.",),
        "S12": ("The model is tested on photographs of wet streets.",),
        "S13": ("Snow is never restored by it at all.",),
    }
    dive = json.loads(plausible("deep_dive", conversation("Read it.", user)))
    assert [dive[key][0]["section"] for key in dive] == ["S0", "S11", "S12", "S13"]


async def test_it_runs_alone_and_prints_its_address() -> None:
    root = Path(__file__).parents[1]
    command = (sys.executable, "-m", "tests.model_standin", "--every-429", "2", "--retry-after", "1", "--keyless")
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, cwd=root, env=os.environ | {"PYTHONPATH": str(root)}
    )
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    async with aiohttp.ClientSession() as session:
        for expected in (200, 429):
            async with session.post(f"{url}/v1/chat/completions", json=GOOD) as response:
                assert response.status == expected
    process.terminate()
    last = (await process.stdout.read()).decode()
    assert await process.wait() == 0
    assert last.startswith("2 calls")
