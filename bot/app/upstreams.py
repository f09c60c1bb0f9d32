"""Hugging Face and arXiv: whatever is asked of one of them goes at one pace, under the owner's name."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import aiohttp

from bot.app.counting import http_trace
from bot.interfaces import Clock, NoTelemetry, Store, Telemetry
from bot.sources import arxiv, huggingface
from bot.sources.arxiv import Arxiv
from bot.sources.download import AFTER_A_BAN_SECONDS, Downloads
from bot.sources.fulltext import PaperTexts, Upstream
from bot.sources.huggingface import HuggingFace
from bot.sources.pace import Hold, Pace
from config.settings import SourcesSettings

UNREACHABLE_SECONDS = 30.0  # an arXiv that cannot be reached is left alone, so that a report needs no arXiv to be quick


@dataclass(frozen=True, slots=True)
class Upstreams:
    """Where lists, metadata and texts come from, and the session for everything but arXiv."""

    session: aiohttp.ClientSession
    lists: HuggingFace
    metadata: Arxiv
    full_texts: PaperTexts

    @classmethod
    @asynccontextmanager
    async def opened(
        cls,
        sources: SourcesSettings,
        clock: Clock,
        store: Store,
        user_agent: str,
        telemetry: Telemetry = NoTelemetry(),
    ) -> "AsyncIterator[Upstreams]":
        """The sources that the settings name; their connections end with the context."""
        headers = {"User-Agent": user_agent}
        # arXiv allows one connection, over all of its hosts: none is kept open for the next request.
        alone = aiohttp.TCPConnector(limit=1, force_close=True)
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(
                aiohttp.ClientSession(headers=headers, trace_configs=[http_trace(telemetry, huggingface.NAME)])
            )
            arxiv_session = await stack.enter_async_context(
                aiohttp.ClientSession(
                    headers=headers,
                    connector=alone,
                    cookie_jar=aiohttp.DummyCookieJar(),
                    trace_configs=[http_trace(telemetry, arxiv.NAME)],
                )
            )
            arxiv_pace = Pace(
                arxiv.NAME,
                clock,
                apart=sources.arxiv_pause_seconds,
                hold=Hold(arxiv.NAME, store, clock),
                unreachable_seconds=UNREACHABLE_SECONDS,
            )
            pages = Downloads(arxiv.NAME, arxiv_session, arxiv_pace, clock, ban_seconds=AFTER_A_BAN_SECONDS)
            face = Pace(huggingface.NAME, clock)
            texts = PaperTexts(
                store,
                clock,
                Upstream(sources.arxiv_url, pages),
                Upstream(sources.huggingface_url, Downloads(huggingface.NAME, session, face, clock)),
            )
            lists = HuggingFace(session, sources.huggingface_url, clock, pace=face)
            yield cls(session, lists, Arxiv(sources.arxiv_api_url, pages), texts)
