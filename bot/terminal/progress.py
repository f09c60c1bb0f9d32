"""A line on stderr that says how far long work is; only where somebody watches."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bot.interfaces import Progress, no_progress
from bot.texts import Texts


@contextmanager
def shown(words: Texts) -> Iterator[Progress]:
    """Gives the callback that moves the line; the line is gone at the end."""
    if not sys.stderr.isatty():
        yield no_progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        line = bars.add_task(words("cli.step_list"), total=1)

        def move(step: str, done: int, total: int) -> None:
            bars.update(line, description=words(f"cli.step_{step}"), completed=done, total=total)

        yield move
