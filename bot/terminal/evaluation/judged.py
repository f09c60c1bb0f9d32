"""The files of `paperboy eval ranking`: judged papers as JSON lines, and a profile of its own."""

import tomllib
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from bot.analysis.evaluation.ranking import Days, Judged
from bot.errors import InputError
from bot.models import ArxivId, Paper, Profile
from config.settings import ProfileSettings


class Line(BaseModel):
    """A line of the file. `relevant` is 0 where the paper is none of the team's business."""

    day: date
    id: str
    title: str
    abstract: str
    upvotes: int = 0
    relevant: int = Field(ge=0)


def days(file: Path) -> Days:
    """The judged papers by day, days in order. Raises InputError that names the line."""
    found: dict[date, list[Judged]] = {}
    for number, text in enumerate(_text(file).splitlines(), start=1):
        if text.strip():
            day, judged = _judged(text, number, file)
            found.setdefault(day, []).append(judged)
    if not found:
        raise InputError(f"{file}: no judged papers", key="eval.no_days", file=str(file))
    return {str(day): tuple(found[day]) for day in sorted(found)}


def _judged(text: str, number: int, file: Path) -> tuple[date, Judged]:
    try:
        line = Line.model_validate_json(text)
        arxiv_id = ArxivId.parse(line.id)
    except (ValidationError, InputError) as error:
        fields = _fields(error, whole="JSON") if isinstance(error, ValidationError) else "id"
        raise InputError(
            f"{file}: line {number}", key="eval.bad_line", file=str(file), line=number, fields=fields
        ) from None
    paper = Paper(arxiv_id, line.title, line.abstract, upvotes=line.upvotes)
    return line.day, Judged(paper, line.relevant)


def profile(file: Path) -> Profile:
    """A profile from a TOML file of its own. Raises InputError."""
    try:
        read = ProfileSettings.model_validate(tomllib.loads(_text(file)))
    except tomllib.TOMLDecodeError:
        raise _no_profile(file, "TOML") from None
    except ValidationError as error:
        raise _no_profile(file, _fields(error, whole="TOML")) from None
    return Profile(read.name, read.interests, read.exclude, read.audience)


def _no_profile(file: Path, fields: str) -> InputError:
    return InputError(f"{file}: no profile", key="eval.bad_profile", file=str(file), fields=fields)


def _fields(error: ValidationError, whole: str) -> str:
    """The keys that are wrong; `whole` where it is not even the format."""
    names: Iterable[str] = (str(each["loc"][0]) if each["loc"] else whole for each in error.errors())
    return ", ".join(dict.fromkeys(names))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"cannot read {file}", key="cli.no_file", file=str(file), reason=error.strerror or ""
        ) from None
    except UnicodeDecodeError:
        raise InputError(f"{file} is no text", key="cli.no_file", file=str(file), reason="UTF-8") from None
