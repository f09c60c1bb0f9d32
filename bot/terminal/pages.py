"""Reports as files: the web page and its Markdown, as `demo` and `report --preview` leave them."""

from collections.abc import Sequence
from pathlib import Path

from bot import texts
from bot.daily import Daily
from bot.errors import InputError
from bot.models import Report
from bot.report import page
from bot.report.markdown import markdown


def make(folder: Path) -> None:
    """Makes the folder. Raises InputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(folder, error) from None


def write(folder: Path, daily: Daily, reports: Sequence[Report]) -> tuple[Path, ...]:
    """Writes `<day>.<profile>.<language>.html` and `.md` a report; gives the pages. Raises InputError."""
    make(folder)
    try:
        return tuple(_write(folder, daily, made) for made in reports)
    except OSError as error:
        raise _refused(folder, error) from None


def _refused(folder: Path, error: OSError) -> InputError:
    reason = error.strerror or type(error).__name__
    return InputError(f"cannot write to {folder}", key="cli.no_folder", folder=str(folder), reason=reason)


def _write(folder: Path, daily: Daily, made: Report) -> Path:
    documents = daily.documents(made)
    words = texts.load(made.key.language)
    info = page.PageInfo(words, made.created_at, made.prompts)
    stem = f"{made.key.day}.{made.key.profile}.{made.key.language}"
    (folder / f"{stem}.md").write_text(markdown(documents, words), encoding="utf-8")
    file = folder / f"{stem}.html"
    file.write_text(page.html(documents, info), encoding="utf-8")
    return file
