"""Log lines on stderr: an event with its fields and with what is being worked on, and never a secret.

For a machine a line is one JSON object, `{"ts", "level", "logger", "event", …fields, "exception"}`; for a person it is
structlog's.
"""

import json
import logging
import math
import os
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TextIO
from urllib.parse import quote

from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import format_exc_info
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, WrappedLogger

from bot.context import worked_on

Form = Literal["text", "json"]

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
NOISY = (
    *("httpx", "httpcore", "slack_sdk", "telegram", "aiohttp.access", "asyncio"),
    *("LiteLLM", "arxiv", "urllib3", "opentelemetry"),
)
# While its server is gone, docket repeats that four times a second, each time with a traceback; the store and
# `bot.engine` say it in a line. Of jobs that fail, too, the engine says what there is to say.
SILENT = ("docket",)
# Long enough that no word or key of ours is taken for one; what a provider says is cleaned more strictly, by bot.llm.
TOKENS = re.compile(
    r"\d{6,}:[A-Za-z0-9_-]{30,}|\bx(?:ox[a-z]|app)-[A-Za-z0-9-]{8,}|\bsk-[A-Za-z0-9_-]{16,}"
    r"|\bAIza[A-Za-z0-9_-]{30,}|\b(?:gsk|hf|r8)_[A-Za-z0-9]{20,}|\bxai-[A-Za-z0-9]{20,}"
)
HIDDEN = "[secret]"
DEEPEST = 8  # values within values that are looked into; what lies deeper is shown as Python shows it


class Line(ProcessorFormatter):
    """Turns a record into a line with every secret blotted out.

    Blotting happens on each value first, for in a quoted line a token may follow an escaped newline, which looks like
    one of its letters; and on the finished line, so that tracebacks and other libraries' messages are covered too.
    """

    def __init__(self, secrets: Sequence[str], form: Form = "text", *, colors: bool = False) -> None:
        self._secrets = sorted({way for secret in secrets if secret for way in _ways(secret)}, key=len, reverse=True)
        render = _json if form == "json" else _console(colors=colors)
        super().__init__(processors=[format_exc_info, _ordered, self._clean_fields, render])

    def format(self, record: logging.LogRecord) -> str:
        return self.redact(super().format(record))

    def redact(self, text: str) -> str:
        """`text` without the configured secrets and without anything shaped like a platform's token."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return TOKENS.sub(HIDDEN, text)

    def _clean_fields(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {self.redact(key): self._clean(value) for key, value in event.items()}

    def _clean(self, value: object, depth: int = 0) -> Any:  # noqa: ANN401 - what JSON has: text, number, list, object
        if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
            return value
        if isinstance(value, Mapping) and depth < DEEPEST:
            return {self.redact(str(key)): self._clean(each, depth + 1) for key, each in value.items()}
        if isinstance(value, list | tuple | set | frozenset) and depth < DEEPEST:
            return [self._clean(each, depth + 1) for each in value]
        return self.redact(str(value))


def _ways(secret: str) -> tuple[str, ...]:
    """How a secret may be spelt in a line: as it is, as Python or JSON quotes it, as a URL does."""
    quoted = repr(secret)[1:-1]
    return (secret, quoted, json.dumps(secret)[1:-1], json.dumps(quoted)[1:-1], quote(secret, safe=""))


def _ordered(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """What every line has comes first, and no field takes its place."""
    record = event.pop("_record")
    event.pop("_from_structlog")
    moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    fixed = {
        "ts": moment.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": event.pop("event"),
    }
    fields = {key: value for key, value in vars(record).items() if key not in _STANDARD}
    return {**fixed, **worked_on(), **fields, **event, **fixed}


def _json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return json.dumps(event)  # in ASCII: whatever reads it, and however it splits lines


def _console(*, colors: bool) -> ConsoleRenderer:
    # Its own tracebacks would show local variables.
    return ConsoleRenderer(colors=colors, sort_keys=False, timestamp_key="ts", exception_formatter=plain_traceback)


def start(level: int, secrets: Sequence[str], form: Form = "text") -> None:
    """Sends log lines from `level` up to stderr; chatty libraries from WARNING at least."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Line(secrets, form, colors=_is_colorful(sys.stderr)))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(form == "json")  # a line that is none would trip up who reads lines
    for name in NOISY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def form_of(setting: Literal["auto", "text", "json"], *, serves: bool) -> Form:
    """`auto`: JSON for a command that `serves` (`run`, `worker`) without a terminal, text for all others."""
    if setting != "auto":
        return setting
    return "json" if serves and not sys.stderr.isatty() else "text"


def _is_colorful(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR")  # https://no-color.org
