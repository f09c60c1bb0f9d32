"""Settings: where they come from and what they may be. Only `bot.app` and `bot.__main__` read them."""

import difflib
import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bot.errors import SettingsError
from config.settings import CONFIG_VARIABLE, PREFIX, Settings, unknown_variables, variable_names

PROJECT = Path(__file__).resolve().parent.parent
DEFAULT_FILE = PROJECT / "config" / "config.toml"


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
        problems += (line for line in _describe(error) if not line.startswith(reported))
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
    near = difflib.get_close_matches(name.upper(), variable_names(), n=1)
    return f"{name}: unknown setting" + (f"; did you mean {near[0]}?" if near else "")


def _describe(error: ValidationError) -> Iterator[str]:
    known = list(variable_names().values())
    for problem in error.errors(include_input=False, include_url=False, include_context=False):
        place = ".".join(str(part) for part in problem["loc"])
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            near = difflib.get_close_matches(place, known, n=1)
            message = "unknown setting" + (f"; did you mean {near[0]}?" if near else "")
        if place:
            yield f"{place}: {message}"
        else:
            yield from message.splitlines()
