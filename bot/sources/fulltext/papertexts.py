"""Getting what can be read of a paper: from the store, arXiv's HTML, Hugging Face's Markdown, the PDF, the abstract.

Each step costs at most its cap and falls through to the next one. arXiv's terms (https://info.arxiv.org/help/api/tou.html):
one request at a time, three seconds apart, and replies are cached for a day.
"""

import asyncio
import itertools
import logging
import math
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace

from bot.errors import SourceError
from bot.interfaces import FULL_TEXT_SECONDS, Clock
from bot.models import ArxivId, Basis, FullText, Paper, Section
from bot.sources.download import Downloads, Wanted
from bot.sources.fulltext.reading import Desk, Readers, give_back_memory
from bot.sources.fulltext.sections import UnreadableError
from bot.sources.fulltext.shelf import Keeping, Shelf
from bot.sources.pace import RefusedError

ABSENT_SECONDS = 900.0  # how long a page that was not there, or was no paper, is not asked for again
TROUBLED_SECONDS = 60.0  # the same for a page that could not be had: who asks again at once need not wait again
MOST_SPARED = 1_000  # pages that are remembered as such
STORE_SECONDS = 5.0  # of FULL_TEXT_SECONDS: the longest that the store waits for another process's transaction
MIB = 2**20

HTML = Wanted("text/html", 15 * MIB, seconds=16.0, tries=2)
MARKDOWN = Wanted("text/markdown, text/plain", 5 * MIB, seconds=6.0, tries=2)
PDF = Wanted("application/pdf", 40 * MIB, seconds=40.0, tries=2)
_BEST_FIRST = (Basis.HTML, Basis.MARKDOWN, Basis.PDF)
_TAG = re.compile(rb"<[a-zA-Z!][^<>]{0,1000}>")
_PDF = b"%PDF-"
_NOT_THERE = (404, 410)

logger = logging.getLogger(__name__)


class AbstractTexts:
    """Full texts that are abstracts. The section's ID is the one that prompts and proofs know: S0."""

    async def fetch(self, paper: Paper) -> FullText:
        return FullText(paper.arxiv_id, Basis.ABSTRACT, (Section("S0", "", "Abstract", paper.abstract),))

    async def kept(self, paper: Paper) -> FullText:
        return await self.fetch(paper)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a full text may cost. `turn` is the longest wait for our turn at a service, `reading` what is left for a
    reader after a download; all in seconds, `total` for everything but the store.
    """

    total: float = FULL_TEXT_SECONDS - STORE_SECONDS
    turn: float = 30.0
    reading: float = 8.0
    html: Wanted = HTML
    markdown: Wanted = MARKDOWN
    pdf: Wanted = PDF


@dataclass(frozen=True, slots=True)
class Upstream:
    """A service's origin and the way to it."""

    url: str
    downloads: Downloads


@dataclass(slots=True)
class _Running:
    """A text being fetched, and how many wait for it."""

    task: "asyncio.Task[FullText]"
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class _Search:
    """One paper's way through the steps: the clock's time when it has to end, and what the store had."""

    paper: Paper
    end: float
    kept: FullText | None

    @property
    def asked(self) -> ArxivId:
        return self.paper.arxiv_id


class PaperTexts:
    """Implements interfaces.FullTexts. What was read is kept in `store`, abstracts never."""

    def __init__(
        self,
        store: Keeping,
        clock: Clock,
        arxiv: Upstream,
        huggingface: Upstream,
        *,
        readers: Readers | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._shelf = Shelf(store, clock)
        self._clock = clock
        self._arxiv = arxiv
        self._huggingface = huggingface
        self._readers = readers or Readers()
        self._limits = limits or Limits()
        self._desk = Desk()
        self._abstracts = AbstractTexts()
        self._spared: dict[str, float] = {}
        self._running: dict[ArxivId, _Running] = {}

    async def fetch(self, paper: Paper) -> FullText:
        running = self._running.get(paper.arxiv_id)
        if running is None:
            running = self._running[paper.arxiv_id] = _Running(asyncio.create_task(self._fetch(paper)))
        return await self._wait(paper.arxiv_id, running)

    async def kept(self, paper: Paper) -> FullText | None:
        found = await self._shelf.look(paper.arxiv_id)
        return found.text if found and found.serves else None

    async def _wait(self, key: ArxivId, running: _Running) -> FullText:
        """Waits for the task; one asker who gives up does not take it from the others, the last one does."""
        running.waiting += 1
        try:
            return await asyncio.shield(running.task)
        finally:
            running.waiting -= 1
            if running.task.done() or not running.waiting:
                running.task.cancel()
                if self._running.get(key) is running:
                    del self._running[key]

    async def _fetch(self, paper: Paper) -> FullText:
        started = self._clock.monotonic()
        kept = await self._shelf.look(paper.arxiv_id)
        if kept and kept.serves:
            return kept.text
        found = await self._searched(_Search(paper, started + self._limits.total, kept.text if kept else None))
        text = found or (kept.text if kept else await self._abstracts.fetch(paper))
        seconds = round(self._clock.monotonic() - started, 2)
        logger.info("full text", extra={"paper": str(text.arxiv_id), "basis": text.basis, "seconds": seconds})
        return text

    async def _searched(self, search: _Search) -> FullText | None:
        """What is newly found and kept; None where nothing is, or nothing better than what the store had."""
        found = None
        try:
            async with asyncio.timeout(search.end - self._clock.monotonic()):
                for step in self._steps(search):
                    if found := await self._tried(search, step):
                        break
        except TimeoutError:
            extra = {"paper": str(search.asked), "seconds": self._limits.total}
            logger.warning("no full text in time", extra=extra)
            return None
        if found is None or (search.kept and _outdoes(search.kept, found)):
            return None
        await self._shelf.keep(found, latest=search.asked.version is None)
        return found

    def _steps(self, search: _Search) -> Iterator["_Step"]:
        """Where the paper may be, best first; for a version that was read already, only what is better than that."""
        asked, latest = search.asked, ArxivId(search.asked.id)
        known = search.kept.basis if search.kept and asked.version else None
        steps = (
            _Step(Basis.HTML, self._arxiv, f"/html/{asked}", self._limits.html, self._html),
            _Step(Basis.MARKDOWN, self._huggingface, f"/papers/{latest}.md", self._limits.markdown, self._markdown),
            _Step(Basis.PDF, self._arxiv, f"/pdf/{asked}", self._limits.pdf, self._pdf),
        )
        return itertools.takewhile(lambda step: step.basis is not known, steps)

    async def _tried(self, search: _Search, step: "_Step") -> FullText | None:
        started = self._clock.monotonic()
        try:
            text, size = await self._page(search, step)
        except SourceError as error:
            found, text, size = str(error), None, 0
        else:
            found = "read"
        give_back_memory()
        seconds = round(self._clock.monotonic() - started, 2)
        extra = {"paper": str(search.asked), "basis": step.basis, "bytes": size, "seconds": seconds, "found": found}
        logger.info("full text looked for", extra=extra)
        return text

    async def _page(self, search: _Search, step: "_Step") -> tuple[FullText, int]:
        now, url = self._clock.monotonic(), step.url
        if self._spared.get(url, -math.inf) > now:
            raise SourceError("was asked for in vain a while ago", retryable=False)
        last = search.end - self._limits.reading
        wanted = replace(step.wanted, seconds=min(step.wanted.seconds, last - now))
        try:
            content = await step.upstream.downloads.get(url, wanted, _as_it_is, by=min(now + self._limits.turn, last))
            return _asked_for(await step.read(search, content), search.paper), len(content)
        except RefusedError as error:
            self._spare(url, ABSENT_SECONDS if error.status in _NOT_THERE else TROUBLED_SECONDS)
            raise
        except UnreadableError:
            self._spare(url, ABSENT_SECONDS)
            raise

    def _spare(self, url: str, seconds: float) -> None:
        now = self._clock.monotonic()
        known = [(other, until) for other, until in self._spared.items() if until > now][-MOST_SPARED + 1 :]
        self._spared = {**dict(known), url: now + seconds}

    async def _html(self, search: _Search, content: bytes) -> FullText:
        if content.startswith(_PDF) or not _TAG.search(content):
            raise UnreadableError("what came is no HTML")
        return await self._desk.in_thread(lambda: self._readers.html(content, search.asked))

    async def _markdown(self, search: _Search, content: bytes) -> FullText:
        """Of the latest version, whichever that is: the one asked for is accepted only if the text names it."""
        if content.startswith(_PDF) or content.lstrip()[:1] == b"<":
            raise UnreadableError("what came is no Markdown")
        text, latest = content.decode(errors="replace"), ArxivId(search.asked.id)
        found = await self._desk.in_thread(lambda: self._readers.markdown(text, latest, search.paper.abstract))
        if search.asked.version and not found.arxiv_id.version:
            raise UnreadableError("the Markdown names no version")
        return found

    async def _pdf(self, search: _Search, content: bytes) -> FullText:
        if not content.startswith(_PDF):
            raise UnreadableError("what came is no PDF")
        return await self._desk.in_loop(lambda: self._readers.pdf(content, search.asked, search.paper.abstract))


@dataclass(frozen=True, slots=True)
class _Step:
    """A place where a paper may be, and who reads what comes from there."""

    basis: Basis
    upstream: Upstream
    path: str
    wanted: Wanted
    read: Callable[[_Search, bytes], Awaitable[FullText]]

    @property
    def url(self) -> str:
        return self.upstream.url + self.path


async def _as_it_is(content: bytes) -> bytes:
    """Pages are read when the next request may already be under way."""
    return content


def _asked_for(text: FullText, paper: Paper) -> FullText:
    """`text`, if it is of the paper and the version that were asked for, with an abstract. Raises UnreadableError."""
    found, asked = text.arxiv_id, paper.arxiv_id
    if found.id != asked.id or (asked.version and found.version not in (None, asked.version)):
        raise UnreadableError(f"what came is {found}")
    first, *rest = text.sections
    sections = text.sections if first.text else (replace(first, text=paper.abstract), *rest)
    return replace(text, arxiv_id=found if found.version else asked, sections=sections)


def _outdoes(kept: FullText, found: FullText) -> bool:
    """Is what was read earlier the better text of what is, as far as anybody says, the same version?"""
    same = found.arxiv_id.version in (None, kept.arxiv_id.version)
    return same and _BEST_FIRST.index(kept.basis) < _BEST_FIRST.index(found.basis)
