import asyncio
import io
import json
import logging
import sys
import warnings
from typing import Any

import pytest

from bot.context import worked_on, working_on
from bot.logs import HIDDEN, NOISY, SILENT, Line, form_of, start

TOKEN = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
SECRET = "hunter2hunter2"
FORMS = ("text", "json")


def a_record(message: str, *values: object, **fields: object) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": "bot.delivery", "levelname": "INFO", "msg": message, "args": values, "created": 1.5, **fields}
    )


def said(record: logging.LogRecord, *secrets: str) -> dict[str, Any]:
    line = Line(secrets, "json").format(record)
    assert "\n" not in line
    assert line.isascii(), "some readers end a line at U+2028"
    found: dict[str, Any] = json.loads(line)
    return found


def fails() -> None:
    try:
        int(SECRET)
    except ValueError as error:
        raise RuntimeError(f"no number in {TOKEN}") from error


def raised() -> BaseException:
    with pytest.raises(RuntimeError) as caught:
        fails()
    return caught.value


def test_an_event_shows_its_fields():
    line = Line([]).format(a_record("part sent", channel="team", part=0))
    assert line.startswith("1970-01-01T00:00:01.500Z")
    assert line.endswith("channel=team part=0")
    assert "part sent" in line
    assert "[bot.delivery]" in line


def test_for_a_machine_a_line_is_one_object():
    line = said(a_record("part %s\nand more", "sent", channel="队", part=0, chat={"ids": (1, 2.5, float("inf"))}))
    assert line == {
        "ts": "1970-01-01T00:00:01.500Z",
        "level": "info",
        "logger": "bot.delivery",
        "event": "part sent\nand more",
        "channel": "队",
        "part": 0,
        "chat": {"ids": [1, 2.5, "inf"]},
    }


def test_no_field_takes_the_place_of_what_every_line_has():
    line = said(a_record("part sent", level="unknown", event="vote", ts="now", logger="x"))
    assert (line["level"], line["event"], line["logger"]) == ("info", "part sent", "bot.delivery")
    assert line["ts"].startswith("1970")


def test_an_exception_stands_in_its_line_with_its_causes():
    error = raised()
    line = said(a_record("job failed", exc_info=(type(error), error, error.__traceback__)))
    assert "ValueError" in line["exception"]
    assert "RuntimeError" in line["exception"]
    assert "Traceback" in line["exception"]


@pytest.mark.parametrize("form", FORMS)
def test_a_configured_secret_is_blotted_out_of_message_fields_and_traceback(form):
    error = raised()
    nested = {"deep": [{"deeper": (SECRET, f"\n{TOKEN}")}], SECRET: {SECRET}}
    record = a_record("no %s", SECRET, key=f"\n{TOKEN}", nested=nested, error=error)
    record.exc_info = (type(error), error, error.__traceback__)
    line = Line([SECRET, ""], form).format(record)
    assert "hunter2" not in line
    assert TOKEN not in line
    assert line.count(HIDDEN) >= 8
    assert "Traceback" in line


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("secret", ["pa\"ss\\wo\nrd'1", "密码密码密码", "p@ss/word:1234 ", "tab\tseparated"])
def test_a_secret_is_blotted_out_however_it_is_quoted(form, secret):
    record = a_record("%s and %r", secret, secret, url=f"redis://:{secret}@host", nested={"a": [repr({"b": secret})]})
    line = Line([secret], form).format(record)
    for spelling in (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], json.dumps(repr(secret)[1:-1])[1:-1]):
        assert spelling not in line
    assert line.count(HIDDEN) == 4


@pytest.mark.parametrize("form", FORMS)
def test_anything_shaped_like_a_token_is_blotted_out(form):
    slack, key = "xox" + "b-1234567890-abcdefgh", "sk" + "-proj-0123456789abcdefXYZ"
    google, groq, face = (
        "AIza" + "SyA0123456789_abcdefghijklmnopqrst",
        "gsk" + "_" + 12 * "a1b",
        "hf" + "_" + 12 * "Cd3",
    )
    tokens = (TOKEN, slack, key, google, groq, face)
    line = Line([], form).format(a_record("https://api.telegram.org/bot" + "\n".join(tokens), tokens=tokens))
    assert not any(token in line for token in tokens)
    assert line.count(HIDDEN) == 12


async def test_every_line_of_a_work_carries_its_keys_and_no_other_does():
    formatter = Line([], "json")

    async def line() -> dict[str, Any]:
        await asyncio.sleep(0)
        record = logging.makeLogRecord({"name": "httpx", "msg": "GET", "levelname": "INFO"})
        return dict(json.loads(formatter.format(record)))

    async def work(code: str) -> dict[str, Any]:
        with working_on(job="deepdive:1"), working_on(request=code):
            spawned = asyncio.create_task(line())
            return await spawned | dict(await asyncio.to_thread(worked_on))

    first, second = await asyncio.gather(work("aaaaa"), work("bbbbb"))
    assert (first["request"], first["job"], second["request"]) == ("aaaaa", "deepdive:1", "bbbbb")
    assert not {"request", "job"} & set(await line())


@pytest.mark.parametrize(
    ("setting", "serves", "terminal", "form"),
    [
        ("auto", True, False, "json"),
        ("auto", True, True, "text"),
        ("auto", False, False, "text"),
        ("json", False, True, "json"),
        ("text", True, False, "text"),
    ],
)
def test_what_serves_without_a_terminal_writes_for_machines(monkeypatch, setting, serves, terminal, form):
    stream = io.StringIO()
    stream.isatty = lambda: terminal  # type: ignore[method-assign]  # a terminal or none
    monkeypatch.setattr(sys, "stderr", stream)  # there is no terminal where tests run
    assert form_of(setting, serves=serves) == form


@pytest.fixture
def _own_logging():
    """`start` is for a process of its own; this one goes on afterwards."""
    before = logging.getLogger().handlers[:], logging.getLogger().level
    levels = {name: logging.getLogger(name).level for name in (*NOISY, *SILENT)}
    yield
    logging.captureWarnings(capture=False)
    logging.getLogger().handlers[:], logging.getLogger().level = before
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.usefixtures("_own_logging")
def test_logging_goes_to_stderr_and_libraries_speak_up_only_for_warnings(capsys):
    start(logging.INFO, [SECRET])
    logging.getLogger("bot.daily").info(SECRET)
    logging.getLogger("httpx").info("GET https://api.telegram.org/bot123")
    logging.getLogger("docket.worker").error("Error in scheduler loop")
    captured = capsys.readouterr()
    assert captured.out == ""
    [line] = captured.err.splitlines()
    assert HIDDEN in line
    assert "\x1b" not in line, "no colours where there is no terminal"


@pytest.mark.usefixtures("_own_logging")
def test_pythons_warnings_are_lines_too(capsys):
    start(logging.INFO, (), "json")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)  # catch_warnings has just put back what start had replaced
        warnings.warn("deprecated", DeprecationWarning, stacklevel=1)
    [line] = capsys.readouterr().err.splitlines()
    assert json.loads(line)["logger"] == "py.warnings"


@pytest.mark.usefixtures("_own_logging")
def test_a_command_that_logs_errors_alone_is_not_interrupted_by_a_librarys_warnings(capsys):
    start(logging.ERROR, (), "json")
    logging.getLogger("arxiv._feed").warning("Skipping entry without an id")
    logging.getLogger("arxiv").error("broken")
    assert [json.loads(line)["logger"] for line in capsys.readouterr().err.splitlines()] == ["arxiv"]
