"""PDFs read in a worker process of their own, which can do no harm and holds no secret; what comes back is checked."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Annotated, BinaryIO
from weakref import WeakKeyDictionary

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.analysis.untrusted import redact
from bot.errors import InputError
from bot.models import ArxivId, Basis, Figure, FullText
from bot.sources.fulltext.sections import Part, UnreadableError, assembled
from bot.sources.text import TITLE, one_line

WORKER = (sys.executable, "-P", "-m", "bot.sources.pdf")
KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")  # what an interpreter may need to start; no secrets
FAREWELL_SECONDS = 0.5  # for a killed process to be gone
BYTES_PER_CHARACTER = 4  # of UTF-8, at most


@dataclass(frozen=True, slots=True)
class Limits:
    """What reading one PDF may cost. The worker's address space is `memory_bytes`, where the system can limit it.

    What stands behind the first `pages` pages or `characters` characters is not read: the paper ends there.
    """

    seconds: float = 20
    memory_bytes: int = 400 * 2**20
    pages: int = 60
    characters: int = 400_000


async def read(
    content: bytes,
    arxiv_id: ArxivId,
    abstract: str,
    limits: Limits = Limits(),
    worker: Sequence[str] = WORKER,
) -> FullText:
    """The sections of the paper in a PDF's bytes; S0 is `abstract`, or the PDF's own where that is empty.

    Raises UnreadableError for what is no PDF of this paper, and after `limits.seconds`, whatever the worker does. One
    PDF is read at a time; the clock starts when it is its turn.
    """
    async with _turn():
        said = await _said(content, arxiv_id, limits, worker)
    return full_text(said, arxiv_id, abstract)


def full_text(said: bytes, arxiv_id: ArxivId, abstract: str) -> FullText:
    """What a worker said of a PDF, checked. Raises UnreadableError."""
    try:
        answer = _Answer.model_validate_json(said)
    except ValidationError as error:
        raise UnreadableError(f"{arxiv_id}: the PDF's reader broke, or it is no PDF") from error
    named = _named(answer.stamp)
    if named and named.id != arxiv_id.id:
        raise UnreadableError(f"{arxiv_id}: the PDF is stamped {named}")
    parts = [_part(part) for part in answer.parts]
    suspicious = redact(answer.hidden).suspicious
    return assembled(named or arxiv_id, Basis.PDF, abstract or answer.abstract, parts, suspicious=suspicious)


def _named(stamp: str) -> ArxivId | None:
    """The paper that arXiv's stamp along the first page names."""
    try:
        return ArxivId.parse(stamp)
    except InputError:
        return None


def _part(part: "_AnsweredPart") -> Part:
    number, title, appendix, paragraphs = part
    figures = tuple(
        Figure(" ".join(found["label"].split()), paragraph[found.end() :].strip())
        for paragraph in paragraphs
        if (found := _FIGURE.match(paragraph))
    )
    return Part(
        one_line(title, TITLE),
        tuple(paragraphs),
        one_line(number, NUMBER_CHARACTERS),
        figures=figures,
        appendix=appendix,
    )


# --- what the worker answers: a PDF may have taken it over, and then it says anything ---

ANSWER_OVERHEAD = 100_000  # bytes beside the text: JSON's own signs
NUMBER_CHARACTERS = 20  # of a heading's number
_FIGURE = re.compile(r"(?P<label>Fig(?:ure|\.)?\s*[A-Z]?\.?\d{1,3})\s*[.:|–—]\s*", re.IGNORECASE)


_AnsweredPart = tuple[str, str, bool, list[str]]
"""Number, title, whether it belongs to the appendix, paragraphs."""


class _Answer(BaseModel):
    """The worker's JSON."""

    model_config = ConfigDict(strict=True, extra="forbid")

    stamp: Annotated[str, Field(max_length=100)]
    abstract: str
    parts: Annotated[list[_AnsweredPart], Field(max_length=1_000)]
    hidden: str


async def _said(content: bytes, arxiv_id: ArxivId, limits: Limits, worker: Sequence[str]) -> bytes:
    most = BYTES_PER_CHARACTER * limits.characters + ANSWER_OVERHEAD
    try:
        async with asyncio.timeout(limits.seconds):
            return await _run(content, [*worker, *_arguments(limits)], most)
    except TimeoutError as error:
        raise UnreadableError(f"{arxiv_id}: the PDF took longer than {limits.seconds} s") from error
    except OSError as error:
        raise UnreadableError(f"{arxiv_id}: no process for the PDF's reader") from error


def _arguments(limits: Limits) -> list[str]:
    return [str(ceil(limits.seconds) + 1), str(limits.memory_bytes), str(limits.pages), str(limits.characters)]


# --- the process ---

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def _turn() -> asyncio.Semaphore:
    """One worker at a time, so that the bot and its worker stay within the memory of a small machine."""
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(1))


class _Output(asyncio.SubprocessProtocol):
    """Gathers at most `most` bytes of what a process says.

    `over`: it says no more, or has said too much. `gone`: it was waited for, and its pipe is closed.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.said = bytearray()
        self.over = asyncio.get_running_loop().create_future()
        self.gone = asyncio.get_running_loop().create_future()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        del fd
        if len(self.said) <= self.most:
            self.said += data
        if len(self.said) > self.most:
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.gone.set_result(None)
        self._end()

    def _end(self) -> None:
        if not self.over.done():
            self.over.set_result(None)


async def _run(content: bytes, command: Sequence[str], most: int) -> bytes:
    """What the process says to `content`, nothing for more than `most` bytes. It is gone in any case, and its children.

    Its environment is its own: no setting, key or token of the bot is in it.
    """
    loop = asyncio.get_running_loop()
    with _file_of(content) as file:
        transport, output = await loop.subprocess_exec(
            lambda: _Output(most),
            *command,
            stdin=file,
            stderr=asyncio.subprocess.DEVNULL,
            env=_environment(),
            start_new_session=True,
        )
    try:
        await output.over
        return bytes(output.said) if len(output.said) <= most else b""
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(transport.get_pid(), signal.SIGKILL)
        transport.close()
        await asyncio.wait([output.gone], timeout=FAREWELL_SECONDS)


@contextlib.contextmanager
def _file_of(content: bytes) -> Iterator[BinaryIO]:
    """An open file that has no name: nothing has to be fed to a process that may not take it."""
    with os.fdopen(os.memfd_create("pdf"), "w+b") if sys.platform == "linux" else tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        yield file


def _environment() -> dict[str, str]:
    """The least that the same Python with the same packages needs."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return kept | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
