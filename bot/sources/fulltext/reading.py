"""Readers at work on what strangers wrote: one at a time, for a limited time, and none of their failures is ours."""

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from bot.errors import SourceError
from bot.models import ArxivId, FullText
from bot.sources.fulltext.sections import UnreadableError
from bot.sources.threads import in_daemon_thread

THREAD_SECONDS = 10.0  # for one page in a thread; a long paper's HTML takes a tenth of a second

logger = logging.getLogger(__name__)


def _html(content: bytes, arxiv_id: ArxivId) -> FullText:
    from bot.sources.fulltext import latexml

    return latexml.read(content, arxiv_id)


def _markdown(content: str, arxiv_id: ArxivId, abstract: str) -> FullText:
    from bot.sources.fulltext import markdown

    return markdown.read(content, arxiv_id, abstract)


async def _pdf(content: bytes, arxiv_id: ArxivId, abstract: str) -> FullText:
    from bot.sources.fulltext import pdf

    return await pdf.read(content, arxiv_id, abstract)


@dataclass(frozen=True, slots=True)
class Readers:
    """One a format. All raise UnreadableError for what is not the paper; `html` and `markdown` block."""

    html: Callable[[bytes, ArxivId], FullText] = _html
    markdown: Callable[[str, ArxivId, str], FullText] = _markdown
    pdf: Callable[[bytes, ArxivId, str], Awaitable[FullText]] = _pdf


def give_back_memory() -> None:
    """A page as a tree is thirty times its bytes, and glibc would keep all of it for the next one. Takes microseconds.

    https://man7.org/linux/man-pages/man3/malloc_trim.3.html; other systems have no such call and need none.
    """
    import ctypes

    with suppress(AttributeError, OSError, TypeError):  # not glibc; Windows takes no None
        ctypes.CDLL(None).malloc_trim(0)


class Desk:
    """Where readings happen. A thread that takes too long is abandoned, and no other is started beside it."""

    def __init__(self, thread_seconds: float = THREAD_SECONDS) -> None:
        self._thread_seconds = thread_seconds
        self._lock = asyncio.Lock()
        self._occupied = False

    async def in_thread(self, read: Callable[[], FullText]) -> FullText:
        """Raises SourceError, UnreadableError."""
        async with self._turn():
            if self._occupied:
                raise SourceError("an earlier page still keeps the reader busy")
            self._occupied = True
            async with asyncio.timeout(self._thread_seconds):
                return await in_daemon_thread(read, "reader", ended=self._leave)

    async def in_loop(self, read: Callable[[], Awaitable[FullText]]) -> FullText:
        """For a reader that bounds its own time. Raises SourceError, UnreadableError."""
        async with self._turn():
            return await read()

    def _leave(self) -> None:
        self._occupied = False

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        async with self._lock:
            try:
                yield
            except SourceError:
                raise
            except TimeoutError as error:
                raise UnreadableError(f"not read within {self._thread_seconds:g} seconds") from error
            except Exception as error:
                # What it says may be the paper's text, so it is told where it happened and nothing else.
                frame = traceback.extract_tb(error.__traceback__)[-1]
                logger.error(  # noqa: TRY400  # the traceback's last line may hold the paper's text
                    "reader failed", extra={"error": type(error).__name__, "at": f"{frame.filename}:{frame.lineno}"}
                )
                raise UnreadableError(f"the reader failed ({type(error).__name__})") from error
