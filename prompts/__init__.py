"""The prompts, one file a name and language, and their loader.

A file `deep_dive.zh.md` has a TOML header between two `+++` lines (`version`, `inputs`, and `[[sections]]` with `key`,
`title` and perhaps `stated_first` where the reply has sections) and a Jinja2 body in turns: what stands before the
first turn line is the system turn, `=== user ===` and `=== repair ===` start the others. Values are never templates,
and text from a paper or from whoever asks is always a value of the user turn.
"""

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from secrets import token_hex

from jinja2 import StrictUndefined, Template, TemplateSyntaxError, UndefinedError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bot.errors import SettingsError

GIVEN: Mapping[str, frozenset[str]] = {
    "score": frozenset({"interests", "exclude", "audience", "title", "abstract"}),
    "deep_dive": frozenset(
        {"interests", "exclude", "audience", "title", "authors", "abstract", "basis", "text", "violations"}
    ),
    "answer": frozenset(
        {"interests", "exclude", "audience", "title", "authors", "abstract", "basis", "text", "violations"}
        | {"question", "earlier"}
    ),
}
"""What the code hands to each prompt: a file may use less, but nothing else.

More come from the loader: `sections`, the header's, and two new random words for every request, `tag`, between which
the user turn has to keep the paper, and `question_tag`, between which it has to keep a question.
"""

SECTIONED = frozenset({"deep_dive"})  # prompts whose replies have the sections of their header
WITH_REPAIR = ("system", "user", "repair")
TURNS = {"deep_dive": WITH_REPAIR, "answer": WITH_REPAIR}  # for others: system and user
TAGS = frozenset({"tag", "question_tag"})
HASH_DIGITS = 8
TAG_BYTES = 8  # a delimiter that no paper and nobody who asks can know

_HEADER = re.compile(r"\A\+\+\+\n(?P<header>.*?)^\+\+\+\n(?P<body>.*)\Z", re.DOTALL | re.MULTILINE)
_TURN = re.compile(r"^=== (\w+) ===\n", re.MULTILINE)
# A prompt is plain text for a model, not a page: escaping would change what the model reads.
_JINJA = ImmutableSandboxedEnvironment(
    autoescape=False,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt file, checked. `sections` are (key, title) pairs, `ref` is "deep_dive.zh@3#fec80232".

    `stated_first` are the keys of those sections in which what the paper states comes before what is concluded.
    """

    name: str
    language: str
    version: int
    inputs: tuple[str, ...]
    sections: tuple[tuple[str, str], ...]
    stated_first: frozenset[str]
    ref: str
    _turns: Mapping[str, Template] = field(repr=False, compare=False)

    def render(self, **values: object) -> tuple[str, str]:
        """The system turn and the user turn. Raises SettingsError naming an input that was not given."""
        given = {**values, **{name: token_hex(TAG_BYTES) for name in TAGS}}
        return self._turn("system", given), self._turn("user", given)

    def repair(self, **values: object) -> str:
        """The user turn that asks once for a corrected reply."""
        return self._turn("repair", values)

    def _turn(self, turn: str, values: Mapping[str, object]) -> str:
        try:
            return self._turns[turn].render(sections=self.sections, **values).strip()
        except UndefinedError as error:
            raise SettingsError(f"prompts/{self.name}.{self.language}.md, {turn} turn: {error}") from error


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    key: str = Field(pattern=r"^[a-z][a-z_]{0,31}$")
    title: str = Field(min_length=1)
    stated_first: bool = False


class _Header(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    version: int = Field(ge=1)
    inputs: list[str]
    sections: list[_Section] = []


def load(name: str, language: str, folder: Path | None = None) -> Prompt:
    """The prompt `name` in `language`, from `folder` in place of our own. Raises SettingsError naming file and cure."""
    return _own(name, language) if folder is None else _read(folder, name, language)


@cache
def _own(name: str, language: str) -> Prompt:
    return _read(_place(None), name, language)


def _place(folder: Path | None) -> Path | Traversable:
    return resources.files(__name__) if folder is None else folder


def _read(place: Path | Traversable, name: str, language: str) -> Prompt:
    file = f"prompts/{name}.{language}.md"
    try:
        content = place.joinpath(f"{name}.{language}.md").read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{file}: there is no such prompt file; add it or ask for another language") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file}: not UTF-8 text; save it as UTF-8") from error
    content = content.replace("\r\n", "\n")
    header, body = _split(file, content)
    turns = dict(_turns(body))
    _check_turns(file, name, turns)
    used = {turn: _used(file, turn, source) for turn, source in turns.items()}
    if "tag" not in used["user"]:
        raise SettingsError(f"{file}: the user turn must keep the paper between delimiters with {{{{ tag }}}} in them")
    if "question" in used["user"] and "question_tag" not in used["user"]:
        raise SettingsError(
            f"{file}: the user turn must keep the question between delimiters with {{{{ question_tag }}}}"
        )
    _check_inputs(file, name, header, set[str]().union(*used.values()) - TAGS)
    digest = hashlib.sha256(content.encode()).hexdigest()[:HASH_DIGITS]
    return Prompt(
        name=name,
        language=language,
        version=header.version,
        inputs=tuple(header.inputs),
        sections=tuple((section.key, section.title) for section in header.sections),
        stated_first=frozenset(section.key for section in header.sections if section.stated_first),
        ref=f"{name}.{language}@{header.version}#{digest}",
        _turns={turn: _JINJA.from_string(source) for turn, source in turns.items()},
    )


def _split(file: str, content: str) -> tuple[_Header, str]:
    found = _HEADER.match(content)
    if found is None:
        raise SettingsError(f"{file}: no header; begin the file with TOML between two lines of +++")
    try:
        header = _Header.model_validate(tomllib.loads(found["header"]))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: the header is not TOML: {error}") from error
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"{file}: header: {problems}") from error
    keys = [section.key for section in header.sections]
    if len(set(keys)) < len(keys):
        raise SettingsError(f"{file}: header: sections: two sections have the same key; rename one")
    return header, found["body"]


def _turns(body: str) -> Iterator[tuple[str, str]]:
    first, *rest = _TURN.split(body)
    yield "system", first
    yield from zip(rest[::2], rest[1::2], strict=True)


def _check_turns(file: str, name: str, turns: Mapping[str, str]) -> None:
    wanted = TURNS.get(name, ("system", "user"))
    for turn in wanted:
        if not turns.get(turn, "").strip():
            raise SettingsError(f"{file}: no {turn} turn; write one ({_turn_line(turn)})")
    for turn in turns:
        if turn not in wanted:
            raise SettingsError(f"{file}: unknown turn {turn!r}; there are {', '.join(wanted)}")


def _turn_line(turn: str) -> str:
    return "the text before the first turn line" if turn == "system" else f"under a line === {turn} ==="


def _used(file: str, turn: str, source: str) -> set[str]:
    try:
        _JINJA.from_string(source)  # finds unknown filters, which parsing alone lets pass
        return meta.find_undeclared_variables(_JINJA.parse(source))
    except TemplateSyntaxError as error:
        raise SettingsError(f"{file}: {turn} turn, line {error.lineno}: {error.message}; mend the template") from error


def _check_inputs(file: str, name: str, header: _Header, used: set[str]) -> None:
    declared = set(header.inputs)
    if name in SECTIONED or "sections" in used:
        if not header.sections:
            raise SettingsError(f"{file}: header: sections is missing; add [[sections]] with key and title")
        used = used - {"sections"}
    if undeclared := sorted(used - declared):
        raise SettingsError(f"{file}: the body uses {', '.join(undeclared)}; declare it in inputs or mend the name")
    if unused := sorted(declared - used):
        raise SettingsError(f"{file}: inputs declares {', '.join(unused)}, which the body does not use; remove it")
    if name in GIVEN and (unknown := sorted(declared - GIVEN[name])):
        given = ", ".join(sorted(GIVEN[name]))
        raise SettingsError(f"{file}: nobody gives {', '.join(unknown)} to this prompt; it may use {given}")
