import logging
import sys

from bot.logs import HIDDEN, Line, start

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
    line = Line([]).format(a_record(f"https://api.telegram.org/bot{SECRET}/getMe {slack} {key}"))
    assert SECRET not in line
    assert slack not in line
    assert key not in line


def test_logging_goes_to_stderr_and_libraries_speak_up_only_for_warnings(capsys):
    before = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        start(logging.INFO, ["hunter2hunter2"])
        logging.getLogger("bot.daily").info("hunter2hunter2")
        logging.getLogger("httpx").info("GET https://api.telegram.org/bot123")
        captured = capsys.readouterr()
    finally:
        logging.getLogger().handlers[:], logging.getLogger().level = before
    assert captured.out == ""
    assert captured.err.splitlines()[0].endswith(f"INFO bot.daily {HIDDEN}")
    assert "httpx" not in captured.err
