"""Settings: where they come from and what they may be. Only `bot.app` and `bot.__main__` read them."""

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bot.errors import SettingsError
from config.settings import CONFIG_VARIABLE, NAME, PREFIX, Settings, unknown_variables, variable_names

PROJECT = Path(__file__).resolve().parent.parent
DEFAULT_FILE = PROJECT / "config" / "config.toml"
_KEY = re.compile(r"([a-z_]+): ")
NEAR = 0.75  # how alike two names are (0-1) of which one may be the other misspelt; difflib's own 0.6 finds strangers


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and the folder that their relative paths start at."""

    settings: Settings
    folder: Path
    file: Path | None


def load(file: Path | None = None) -> Loaded:
    """Settings from `file`, else $PAPERBOY_CONFIG, else config/config.toml, else defaults; variables over all of them.

    Raises SettingsError: a line a problem, each naming the setting and the cure, none quoting what was written.
    """
    path = _find(file)
    written = _read(path) if path else {}
    unknown = unknown_variables()
    problems = [_unknown_variable(name) for name in unknown]
    reported = tuple(f"{name.removeprefix(PREFIX).lower().replace('__', '.')}:" for name in unknown)
    try:
        settings = Settings(**written)
    except ValidationError as error:
        problems += (line for line in _describe(error, written) if not line.startswith(reported))
    except (TypeError, ValueError):
        problems.append(f"{PREFIX}…: a variable holds a whole section; set PAPERBOY_<SECTION>__<KEY> instead")
    if problems:
        raise SettingsError("\n".join(problems))
    return Loaded(settings, path.resolve().parent if path else PROJECT, path)


def _find(file: Path | None) -> Path | None:
    if file is None and os.environ.get(CONFIG_VARIABLE):
        file = Path(os.environ[CONFIG_VARIABLE])
    if file is not None:
        return file
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path}: there is no such settings file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: the settings file cannot be read ({type(error).__name__})") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None


def _unknown_variable(name: str) -> str:
    known = [known.removeprefix(PREFIX) for known in variable_names()]
    return f"{name}: unknown setting" + _meant(name.upper().removeprefix(PREFIX), known, PREFIX)


def _meant(written: str, known: Sequence[str], prefix: str = "") -> str:
    near = difflib.get_close_matches(written, known, n=1, cutoff=NEAR)
    return f"; did you mean {prefix}{near[0]}?" if near else ""


def _describe(error: ValidationError, written: Mapping[str, Any]) -> Iterator[str]:
    known = list(variable_names().values())
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        place = ".".join(map(str, _named(problem["loc"], written)))
        message = problem["msg"].removeprefix("Value error, ")
        if place and (key := _KEY.match(message)):  # said of a key by the check of its whole table
            place, message = f"{place}.{key[1]}", message[key.end() :]
        if problem["type"] == "extra_forbidden":
            message = f"unknown setting{_meant(place, known)}"
        if place:
            yield f"{place}: {message}"
        else:
            yield from message.splitlines()


def _named(place: tuple[int | str, ...], written: Mapping[str, Any]) -> tuple[int | str, ...]:
    """`place` with the name of a channel or profile in the stead of its number, where it has one."""
    if len(place) > 1 and place[0] in ("channels", "profiles") and isinstance(place[1], int):
        entry = written[place[0]][place[1]]
        name = entry.get("name") if isinstance(entry, dict) else None
        if isinstance(name, str) and re.fullmatch(NAME, name):
            return (place[0], name, *place[2:])
    return place
