"""What others' services are counted by, for every session of aiohttp's."""

from time import monotonic
from types import SimpleNamespace
from typing import Any

import aiohttp

from bot.interfaces import Telemetry, count_http


def http_trace(telemetry: Telemetry, upstream: str) -> aiohttp.TraceConfig:
    """Counts every request of a session with this trace, and how long its answer took to begin."""

    async def started(_session: aiohttp.ClientSession, context: SimpleNamespace, _: Any) -> None:  # noqa: ANN401 - aiohttp's
        context.started = monotonic()

    async def answered(_session: aiohttp.ClientSession, context: SimpleNamespace, params: Any) -> None:  # noqa: ANN401 - as above
        count_http(telemetry, upstream, params.response.status, monotonic() - context.started)

    async def failed(_session: aiohttp.ClientSession, context: SimpleNamespace, _: Any) -> None:  # noqa: ANN401 - as above
        count_http(telemetry, upstream, None, monotonic() - context.started)

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(started)
    trace.on_request_end.append(answered)
    trace.on_request_exception.append(failed)
    return trace
