import logging
import sys

import pytest

from bot.logs import HIDDEN, NOISY, SILENT, Line, start

SECRET = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"


def a_record(message: str, *values: object, **fields: object) -> logging.LogRecord:
    return logging.makeLogRecord(
        {"name": "bot.delivery", "levelname": "INFO", "msg": message, "args": values, **fields}
    )


def test_an_event_shows_its_fields():
    line = Line([]).format(a_record("part sent", channel="team", part=0))
    assert line.endswith("INFO bot.delivery part sent channel=team part=0")


def test_a_configured_secret_is_blotted_out_of_message_fields_and_traceback():
    try:
        int("hunter2hunter2")
    except ValueError:
        record = a_record("no %s", "hunter2hunter2", key="hunter2hunter2")
        record.exc_info = sys.exc_info()
    line = Line(["hunter2hunter2", ""]).format(record)
    assert "hunter2" not in line
    assert line.count(HIDDEN) == 4
    assert "Traceback" in line.splitlines()[1]


def test_anything_shaped_like_a_token_is_blotted_out():
    slack, key = "xox" + "b-1234567890-abcdefgh", "sk" + "-proj-0123456789abcdefXYZ"
    google, groq, face = (
        "AIza" + "SyA0123456789_abcdefghijklmnopqrst",
        "gsk" + "_" + 12 * "a1b",
        "hf" + "_" + 12 * "Cd3",
    )
    said = f"https://api.telegram.org/bot{SECRET}/getMe {slack} {key} {google} {groq} {face}"
    line = Line([]).format(a_record(said))
    assert not any(secret in line for secret in (SECRET, slack, key, google, groq, face))
    assert line.count(HIDDEN) == 6


@pytest.fixture
def _own_logging():
    """`start` is for a process of its own; this one goes on afterwards."""
    before = logging.getLogger().handlers[:], logging.getLogger().level
    levels = {name: logging.getLogger(name).level for name in (*NOISY, *SILENT)}
    yield
    logging.getLogger().handlers[:], logging.getLogger().level = before
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.usefixtures("_own_logging")
def test_logging_goes_to_stderr_and_libraries_speak_up_only_for_warnings(capsys):
    start(logging.INFO, ["hunter2hunter2"])
    logging.getLogger("bot.daily").info("hunter2hunter2")
    logging.getLogger("httpx").info("GET https://api.telegram.org/bot123")
    logging.getLogger("docket.worker").error("Error in scheduler loop")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[0].endswith(f"INFO bot.daily {HIDDEN}")
    assert "httpx" not in captured.err
    assert "docket" not in captured.err


@pytest.mark.usefixtures("_own_logging")
def test_a_command_that_logs_errors_alone_is_not_interrupted_by_a_librarys_warnings(capsys):
    start(logging.ERROR, ())
    logging.getLogger("arxiv._feed").warning("Skipping entry without an id")
    logging.getLogger("arxiv").error("broken")
    assert [line.split()[2] for line in capsys.readouterr().err.splitlines()] == ["arxiv"]
