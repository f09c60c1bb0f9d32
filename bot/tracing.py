"""Spans for who traces: OpenTelemetry over HTTP, where OTEL_EXPORTER_OTLP_ENDPOINT names a collector.

Its packages are an extra (`otel`). Spans hold names, keys and counts: no paper, nothing that anybody wrote,
and of an error its class alone.
"""

import asyncio
import importlib.util
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from bot import __version__
from bot.context import worked_on
from bot.interfaces import Spans, no_span

if TYPE_CHECKING:  # an extra
    from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
    from opentelemetry.trace import Tracer

logger = logging.getLogger(__name__)

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PACKAGES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
FLUSH_SECONDS = 0.2  # at the end, for the last seconds' spans; a part of the 10 s that `bot.app.ending` adds up


@asynccontextmanager
async def tracing() -> AsyncIterator[Spans]:
    """The way to make spans, for the time of the context. Without an endpoint nothing is even imported."""
    endpoint = next((name for name in ENDPOINTS if os.environ.get(name)), None)
    if endpoint is None or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        yield no_span
        return
    if not all(map(_is_there, PACKAGES)):
        logger.warning("%s is set, but nothing is traced: pip install -r requirements-otel.lock", endpoint)
        yield no_span
        return
    provider = _provider()
    try:
        yield _spans(provider.get_tracer("paperboy", __version__))
    finally:
        await _end(provider)


def _is_there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # not even the package that would hold it
        return False


def _provider() -> "TracerProvider":
    """Becomes the process's own, so that what docket traces belongs to it, too."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    class Discreet(OTLPSpanExporter):
        """Leaves out what an error said: docket puts whole tracebacks into its spans."""

        def export(self, spans: "list[ReadableSpan]") -> object:  # type: ignore[override]  # a sequence, in truth
            return super().export([_discreet(span) for span in spans])

    resource = Resource.create({"service.version": __version__} | _named())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Discreet()))
    trace.set_tracer_provider(provider)
    return provider


def _named() -> dict[str, str]:
    given = os.environ.get("OTEL_SERVICE_NAME") or "service.name" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return {} if given else {"service.name": "paperboy"}


def _discreet(span: "ReadableSpan") -> "ReadableSpan":
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import Status

    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=span.attributes,
        events=(),
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _spans(tracer: "Tracer") -> Spans:
    from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
    from opentelemetry.trace import Status, StatusCode

    @contextmanager
    def span(name: str, **attributes: str | int) -> Iterator[None]:
        known = {f"paperboy.{key}": value for key, value in {**worked_on(), **attributes}.items()}
        with tracer.start_as_current_span(
            name, attributes=known, record_exception=False, set_status_on_exception=False
        ) as current:
            try:
                yield
            except BaseException as error:
                current.set_attribute(ERROR_TYPE, type(error).__name__)
                if not isinstance(error, asyncio.CancelledError):
                    current.set_status(Status(StatusCode.ERROR))
                raise

    return span


async def _end(provider: "TracerProvider") -> None:
    """Sends what is left; a collector that does not answer holds nobody up."""
    ending = asyncio.ensure_future(asyncio.to_thread(provider.shutdown))
    await asyncio.wait({ending}, timeout=FLUSH_SECONDS)
