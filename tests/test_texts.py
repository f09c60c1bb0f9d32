"""The bot's own words: the same in every language, all there, all used, all filled in."""

import ast
import re
import string
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from jinja2 import Environment, nodes

from bot import texts
from bot.errors import InputError, SettingsError
from config.settings import variable_names

REPO = Path(__file__).resolve().parents[1]
WORDS = {language: texts.load(language) for language in texts.languages()}
KEYS = set(WORDS["en"])
TABLES = {key.split(".")[0] for key in KEYS}
LOOKS_LIKE_A_KEY = re.compile(rf"(?:{'|'.join(sorted(TABLES))})\.(?!html$|xml$)[a-z0-9_]*[a-z0-9]")
JOINTS = {key for key in KEYS if key.endswith((".listing", ".joint"))}  # what stands between words, spaces and all
OF_ERRORS = {"key", "retryable"}  # what an error takes besides the values of its wording
OF_FORMS = {"part", "parts"}  # filled in by the platform that splits a document


def raw(language: str, key: str) -> str:
    """The wording with its placeholders still in it."""
    return WORDS[language]._words[key]


def placeholders(wording: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(wording) if name is not None}


@cache
def walked() -> tuple[tuple[Path, ast.AST], ...]:
    """Every node of our code, with its file."""
    files = [file for folder in ("bot", "handlers", "prompts") for file in sorted((REPO / folder).rglob("*.py"))]
    return tuple((file.relative_to(REPO), node) for file in files for node in ast.walk(ast.parse(file.read_bytes())))


def templates() -> Iterator[tuple[Path, nodes.Template]]:
    for file in sorted((REPO / "bot").rglob("templates/*")):
        if file.suffix in {".html", ".xml"}:
            yield file.relative_to(REPO), Environment(autoescape=True).parse(file.read_text(encoding="utf-8"))


def literals() -> Iterator[tuple[str, str]]:
    """Every string that stands in code or templates, with its file."""
    for file, node in walked():
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value, str(file)
    for file, template in templates():
        for constant in template.find_all(nodes.Const):
            if isinstance(constant.value, str):
                yield constant.value, str(file)


def named() -> set[tuple[str, str]]:
    """Every key among them: what looks like one and is no setting."""
    settings = set(variable_names().values())
    return {(key, file) for key, file in literals() if LOOKS_LIKE_A_KEY.fullmatch(key) and key not in settings}


def beginnings() -> tuple[str, ...]:
    """What keys begin with that are put together at run time: `f"page.error_{status}"`."""
    start = re.compile(rf"(?:{'|'.join(sorted(TABLES))})\.(?:[a-z0-9_]*_)?")
    return tuple({text for text, _ in literals() if start.fullmatch(text)})


def filled() -> Iterator[tuple[str, set[str], str]]:
    """Every wording that code asks for by its name, with the names of the values it hands over."""
    for file, call in walked():
        if isinstance(call, ast.Call):
            given = {keyword.arg: keyword.value for keyword in call.keywords}
            key = given["key"] if "key" in given else call.args[0] if len(call.args) == 1 else None
            if isinstance(key, ast.Constant) and key.value in KEYS and None not in given:
                yield str(key.value), {str(name) for name in given} - OF_ERRORS, f"{file}:{call.lineno}"
    for file, template in templates():
        for called in template.find_all(nodes.Call):
            if called.args and isinstance(called.args[0], nodes.Const) and called.args[0].value in KEYS:
                yield called.args[0].value, {given.key for given in called.kwargs}, f"{file}:{called.lineno}"


@pytest.mark.parametrize("language", WORDS)
def test_every_language_has_the_same_keys(language: str):
    assert set(WORDS[language]) == KEYS


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_language_fills_in_the_same_values(key: str):
    assert {language: placeholders(raw(language, key)) for language in WORDS} == dict.fromkeys(
        WORDS, placeholders(raw("en", key))
    )


@pytest.mark.parametrize("language", WORDS)
def test_no_wording_is_empty_or_frayed(language: str):
    wordings = {key: raw(language, key) for key in WORDS[language] if key not in JOINTS}
    assert {key: text for key, text in wordings.items() if not text or text != text.strip()} == {}


@pytest.mark.parametrize("language", WORDS)
def test_every_wording_can_be_filled_in(language: str):
    for key in WORDS[language]:
        values = dict.fromkeys(placeholders(raw(language, key)), "‹value›")
        assert WORDS[language](key, **values).count("‹value›") >= len(values)


def test_every_wording_that_code_names_is_there():
    assert {(key, file) for key, file in named() if key not in KEYS} == set()
    assert len(named()) > 50  # else the search above went blind


def test_every_wording_is_used_somewhere():
    used, begun = {key for key, _ in named()}, beginnings()
    assert {key for key in KEYS - used if not key.startswith(begun)} == set()


def test_code_hands_over_every_value_that_a_wording_shows():
    missing = {
        (place, key, *sorted(placeholders(raw("en", key)) - given))
        for key, given, place in filled()
        if placeholders(raw("en", key)) - given - OF_FORMS
    }
    assert missing == set()
    assert len(list(filled())) > 30  # else the search above went blind


def test_a_language_without_a_file_is_named_with_those_there_are():
    with pytest.raises(SettingsError, match="'fr'; there are en, zh"):
        texts.load("fr")


@pytest.mark.parametrize("name", ["../en", "en.toml", "", "__init__"])
def test_a_language_is_a_name_and_never_a_path(name: str):
    with pytest.raises(SettingsError):
        texts.load(name)


def test_an_error_is_told_in_the_readers_language_and_not_by_its_own_message():
    error = InputError("internal detail", key="error.arxiv_id", text="abc")
    assert WORDS["zh"].error(error).startswith("“abc”不像")
    assert "internal detail" not in WORDS["en"].error(error)


def test_a_wording_that_is_not_there_is_a_programming_error():
    assert "page.error_404" in WORDS["en"]
    assert "page.error_418" not in WORDS["en"]
    with pytest.raises(KeyError, match=r"page\.error_418"):
        WORDS["en"]("page.error_418")


def test_a_value_is_never_taken_for_a_placeholder():
    assert "{0.__class__}" in WORDS["en"]("error.arxiv_id", text="{0.__class__}")
