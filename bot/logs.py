"""Log lines on stderr: an event with its fields, and never a secret."""

import logging
import re
import sys
from collections.abc import Sequence

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
NOISY = ("httpx", "httpcore", "slack_sdk", "telegram", "aiohttp.access", "asyncio", "LiteLLM", "arxiv", "urllib3")
# While its server is gone, docket repeats that four times a second, each time with a traceback; the store and
# `bot.engine` say it in a line. Of jobs that fail, too, the engine says what there is to say.
SILENT = ("docket",)
# Long enough that no word or key of ours is taken for one; what a provider says is cleaned more strictly, by bot.llm.
TOKENS = re.compile(
    r"\d{6,}:[A-Za-z0-9_-]{30,}|\bx(?:ox[a-z]|app)-[A-Za-z0-9-]{8,}|\bsk-[A-Za-z0-9_-]{16,}"
    r"|\bAIza[A-Za-z0-9_-]{30,}|\b(?:gsk|hf|r8)_[A-Za-z0-9]{20,}|\bxai-[A-Za-z0-9]{20,}"
)
HIDDEN = "[secret]"


class Line(logging.Formatter):
    """`2026-02-26T01:30:02 INFO bot.delivery part sent channel=team part=0`, with every secret blotted out.

    Blotting happens on the finished line, so that tracebacks and other libraries' messages are covered too.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S")
        self._secrets = sorted((secret for secret in secrets if secret), key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        fields = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if fields:
            head, *rest = line.split("\n", 1)
            line = "\n".join([f"{head} {' '.join(f'{key}={value}' for key, value in fields.items())}", *rest])
        return self.redact(line)

    def redact(self, text: str) -> str:
        """`text` without the configured secrets and without anything shaped like a platform's token."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return TOKENS.sub(HIDDEN, text)


def start(level: int, secrets: Sequence[str]) -> None:
    """Sends log lines from `level` up to stderr; chatty libraries from WARNING at least."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Line(secrets))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)
