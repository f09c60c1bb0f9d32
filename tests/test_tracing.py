"""Spans as a collector gets them over HTTP, and that they cost and say nothing where nobody collects."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bot import tracing
from bot.interfaces import SEND_SECONDS
from bot.tracing import FLUSH_SECONDS
from tests.standin import StandIn
from tests.tracing_child import SECRET
from tests.world import PROJECT, a_world

CHILD = Path(__file__).with_name("tracing_child.py")


class Collector(StandIn):
    """An OTLP collector; `slow` never answers."""

    def __init__(self, *, slow: bool = False) -> None:
        super().__init__()
        self.slow = slow
        self.raw = b""
        self.spans: list[Any] = []
        self.resource: dict[str, str] = {}

    def routes(self, app: web.Application) -> None:
        async def collect(request: web.Request) -> web.Response:
            if self.slow:
                await asyncio.sleep(SEND_SECONDS)
            self.raw += await request.read()
            for group in ExportTraceServiceRequest.FromString(await request.read()).resource_spans:
                self.resource = {each.key: each.value.string_value for each in group.resource.attributes}
                self.spans += [span for scope in group.scope_spans for span in scope.spans]
            return web.Response()

        app.router.add_post("/v1/traces", collect)

    @web.middleware
    async def _remember(self, request: web.Request, handler: Any) -> web.StreamResponse:
        return await handler(request)  # type: ignore[no-any-return]  # a body that is no text is not remembered

    def named(self, name: str) -> Any:
        [found] = [span for span in self.spans if span.name == name]
        return found


def attributes(span: Any) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


async def traced(*arguments: str, **variables: str) -> tuple[str, str]:
    """What the child printed and logged."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.tracing_child",
        *arguments,
        cwd=PROJECT,
        env={"PATH": "/usr/bin:/bin", **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, err.decode()
    return out.decode(), err.decode()


async def test_the_steps_of_a_job_are_one_trace_that_names_what_is_worked_on():
    async with Collector() as collector:
        await traced(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    job, request, call, send = map(collector.named, ("job answer", "request", "model_call", "send"))
    assert {span.trace_id for span in (job, request, call, send)} == {job.trace_id}
    assert (request.parent_span_id, send.parent_span_id) == (job.span_id, request.span_id)
    assert attributes(send) == {
        "paperboy.job": "ask:1",
        "paperboy.request": "abcde",
        "paperboy.platform": "slack",
        "paperboy.part": 0,
    }
    assert collector.resource["service.name"] == "paperboy"


async def test_a_span_that_failed_says_so_and_not_what_was_said():
    async with Collector() as collector:
        await traced(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    call = collector.named("model_call")
    assert (call.status.code, call.status.message, len(call.events)) == (2, "", 0)
    assert attributes(call)["error.type"] == "ValueError"
    assert SECRET.encode() not in collector.raw


async def test_what_docket_traces_and_what_we_trace_hang_together():
    async with Collector() as collector:
        await traced("docket", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    job, asked = collector.named("job answer"), collector.named("asked")
    [run] = [span for span in collector.spans if span.span_id == job.parent_span_id]
    linked = {link.trace_id for link in run.links} | {run.trace_id}
    assert asked.trace_id in linked
    assert SECRET.encode() not in collector.raw


async def test_a_collector_that_does_not_answer_holds_no_end_up():
    async with Collector(slow=True) as collector:
        out, _ = await traced(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_EXPORTER_OTLP_TIMEOUT="20")
    took = float(out.splitlines()[0].removeprefix("ended in "))
    assert FLUSH_SECONDS <= took < FLUSH_SECONDS + 0.5


async def test_without_a_collector_nothing_of_it_is_even_loaded():
    out, err = await traced()
    assert out.splitlines()[1] == "[]"
    assert err == ""


async def test_without_its_packages_a_line_says_what_to_install(monkeypatch, caplog):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(tracing, "PACKAGES", ("opentelemetry.none", "nothing.there"))  # as if they were missing
    async with tracing.tracing() as spans:
        with spans("step", papers=1):
            pass
    [record] = caplog.records
    assert "requirements-otel.lock" in record.getMessage()
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in record.getMessage()


@pytest.mark.slow
@pytest.mark.timeout(90)
async def test_a_whole_report_is_a_trace_from_its_list_to_its_sends(tmp_path):
    from tests.fakes import wait_until
    from tests.world import just_now

    async with Collector() as collector, a_world(tmp_path) as world:
        world.write(more=f'[schedule]\ntime = "{just_now()}"\ntimezone = "UTC"\n[web]\nport = 0\n')
        world.variables |= {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "200"}
        async with world.running("run") as process:
            await wait_until(lambda: len(world.telegram.messages()) == 3 and len(world.slack.posted()) == 3, 45.0)
            await wait_until(lambda: sum(span.name == "deliver" for span in collector.spans) == 2, 15.0)
            process.terminate()
            assert (await world.end(process)).code == 0
    names = [span.name for span in collector.spans]
    assert {"job report", "report", "list", "score", "deep_dive", "model_call", "job deliver", "send"} <= set(names)
    assert names.count("model_call") == 34
    by_id = {span.span_id: span for span in collector.spans}
    for name, above in (("list", "report"), ("score", "report"), ("report", "job report"), ("send", "deliver")):
        for span in (span for span in collector.spans if span.name == name):
            assert by_id[span.parent_span_id].name == above
    for secret in (world.slack.token, world.variables.get("PAPERBOY_TELEGRAM__TOKEN", "123456789:"), "流匹配"):
        assert secret.encode() not in collector.raw
