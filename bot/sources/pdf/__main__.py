"""The worker process: a PDF on standard input, what it says as JSON on standard output, within limits of its own.

Its arguments are the limits: seconds of processor time, bytes of memory, pages, characters. They stand before a byte of
the PDF is read. Exit code 2 is a PDF that cannot be read.
"""

import gc
import resource
import sys

from bot.sources.pdf.glyphs import UnreadablePdfError
from bot.sources.pdf.reader import answer

UNREADABLE = 2
OPEN_FILES = 16  # a module or two that the standard library imports late


def main(arguments: list[str]) -> int:
    """Reads one PDF; returns the exit code."""
    seconds, memory, pages, characters = map(int, arguments)
    _limit(seconds, memory)
    gc.disable()  # nothing here lives in circles, and the process ends with its answer
    try:
        said = answer(sys.stdin.buffer.read(), pages, characters)
    except (UnreadablePdfError, MemoryError):
        return UNREADABLE
    sys.stdout.buffer.write(said)
    sys.stdout.buffer.flush()
    return 0


def _limit(seconds: int, memory: int) -> None:
    """What the system refuses from now on: endless work, much memory, new files, other processes, core dumps."""
    limits = (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
    )
    for kind, most in limits:
        try:
            resource.setrlimit(kind, (most, most))
        except (OSError, ValueError):  # macOS takes no limit of address space; the parent's clock remains
            continue


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
