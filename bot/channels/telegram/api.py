"""The Bot API client: python-telegram-bot set up for sends that are never repeated, and its errors as ours."""

import asyncio
import logging
import os
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cache
from time import monotonic
from typing import Any

import httpx
from telegram import Bot
from telegram.error import BadRequest, ChatMigrated, Forbidden, InvalidToken, NetworkError, RetryAfter, TelegramError
from telegram.request import HTTPXRequest

from bot.errors import Outcome, SendError, SettingsError
from bot.interfaces import NoTelemetry, Telemetry, count_http

# Seconds, each; SEND_SECONDS bounds them all together. Telegram mostly answers within one, but an answer given up for
# lost leaves a message whose fate nobody knows.
POOL_SECONDS = 1.0
CONNECT_SECONDS = 3.0
WRITE_SECONDS = 3.0
READ_SECONDS = 12.0
CONNECTIONS = 64  # opened when they are needed: a burst of acknowledgements must not keep a send waiting

# The request never left: the same one may be sent again.
_BEFORE_THE_WRITE = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
# A 400 that is about the chat and not about the message. Descriptions are not documented; these are TDLib's and the
# Bot API server's (tdlib/td MessagesManager, tdlib/telegram-bot-api Client.cpp).
_GONE = re.compile(
    r"chat not found|not enough rights|have no rights|need administrator rights|was kicked|not a member"
    r"|deactivated|upgraded to a supergroup"
    r"|CHAT_WRITE_FORBIDDEN|CHAT_RESTRICTED|CHAT_SEND_PLAIN_FORBIDDEN|CHAT_ADMIN_REQUIRED|CHANNEL_PRIVATE|PEER_ID_INVALID",
    re.IGNORECASE,
)
_NO_TOPIC = re.compile(r"message thread not found|TOPIC_CLOSED|TOPIC_DELETED|TOPIC_ID_INVALID", re.IGNORECASE)
_NOT_TO_EDIT = re.compile(r"message to edit not found|message can't be edited|MESSAGE_ID_INVALID", re.IGNORECASE)
_BAD_PREVIEW = re.compile(r"WEBPAGE_|web ?page|preview|URL", re.IGNORECASE)
_BAD_MARKUP = re.compile(r"entit|URL|BUTTON|reply.?markup", re.IGNORECASE)


class _Counted(HTTPXRequest):
    """Counts every request, and says how long it took where that says something about Telegram."""

    def __init__(self, telemetry: Telemetry, *, is_patient: bool = False, **options: Any) -> None:  # noqa: ANN401 - the library's
        super().__init__(**options)
        self._telemetry = telemetry
        self._is_patient = is_patient

    async def do_request(self, *arguments: Any, **options: Any) -> tuple[int, bytes]:  # noqa: ANN401 - the library's
        started, status = monotonic(), None
        try:
            status, payload = await super().do_request(*arguments, **options)
        finally:
            seconds = None if self._is_patient else monotonic() - started
            count_http(self._telemetry, "telegram", status, seconds)
        return status, payload


def telegram_bot(token: str, api_url: str = "https://api.telegram.org", telemetry: Telemetry = NoTelemetry()) -> Bot:
    """A client that works without `initialize()`, so a Telegram that is down at start stops nobody.

    `api_url` is an origin, as in the settings. End it with `bot.request.shutdown()`. Raises SettingsError.
    """
    if not token:
        raise SettingsError(
            "telegram.token: no token; set PAPERBOY_TELEGRAM__TOKEN to the one that @BotFather gave you"
        )
    # The library's documented switch to its coming form of durations; without it, it warns on every 429.
    os.environ.setdefault("PTB_TIMEDELTA", "1")
    for name in ("httpx", "telegram"):  # they write each URL, and the URL holds the token
        logging.getLogger(name).setLevel(logging.WARNING)
    request = _Counted(
        telemetry,
        connection_pool_size=CONNECTIONS,
        pool_timeout=POOL_SECONDS,
        connect_timeout=CONNECT_SECONDS,
        write_timeout=WRITE_SECONDS,
        read_timeout=READ_SECONDS,
        httpx_kwargs={"verify": _tls()},
    )
    updates = _Counted(telemetry, is_patient=True, connection_pool_size=1, httpx_kwargs={"verify": _tls()})
    api_url = api_url.rstrip("/")
    return Bot(
        token,
        base_url=f"{api_url}/bot",
        base_file_url=f"{api_url}/file/bot",
        request=request,
        get_updates_request=updates,
    )


@cache
def _tls() -> ssl.SSLContext:
    """Reading the list of authorities takes 50 ms, and every client would do it again."""
    return httpx.create_ssl_context()


@asynccontextmanager
async def answered_within(seconds: float) -> AsyncIterator[None]:
    """What is not done after `seconds` is given up: it may have been posted."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise SendError(f"no answer from Telegram within {seconds:.0f} s", Outcome.UNKNOWN) from error


@asynccontextmanager
async def ours() -> AsyncIterator[None]:
    """Turns whatever one request of the library raises into a SendError."""
    try:
        yield
    except TelegramError as error:
        raise send_error(error) from error
    except (
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:  # a 200 that is not the Bot API's: a proxy's page
        raise SendError("Telegram's answer could not be read", Outcome.UNKNOWN) from error


def send_error(error: TelegramError) -> SendError:
    """What is known about the send that ended in `error`."""
    match error:
        case RetryAfter(retry_after=wait):
            seconds = wait.total_seconds() if isinstance(wait, timedelta) else float(wait)
            return SendError("Telegram asks to wait", Outcome.NOT_SENT, retry_after=seconds)
        case ChatMigrated(new_chat_id=chat):
            return SendError(f"the group is now {chat}", Outcome.MOVED, moved_to=str(chat))
        case InvalidToken():
            return SendError("Telegram does not know this token (telegram.token)", Outcome.GONE)
        case Forbidden(message=message):
            return SendError(message, Outcome.GONE)
        case BadRequest(message=message):
            return SendError(message, Outcome.GONE if _GONE.search(message) else Outcome.REFUSED)
        case _:
            return _network_error(error)


def _network_error(error: TelegramError) -> SendError:
    cause = error.__cause__
    if isinstance(cause, _BEFORE_THE_WRITE):
        return SendError(f"Telegram cannot be reached ({type(cause).__name__})", Outcome.NOT_SENT)
    if error.message.startswith("Too Many Requests"):  # a 429 without a wait
        return SendError(error.message, Outcome.NOT_SENT)
    # A read that ran out of time, a connection that broke after the write, a 5xx, a reply that is not JSON.
    what = type(cause).__name__ if isinstance(cause, httpx.HTTPError) else type(error).__name__
    return SendError(f"Telegram may or may not have posted it ({what})", Outcome.UNKNOWN)


def topic_is_gone(error: SendError) -> bool:
    """A definite refusal because of the topic alone."""
    return error.outcome is Outcome.REFUSED and _NO_TOPIC.search(str(error)) is not None


def markup_is_refused(error: SendError) -> bool:
    """A definite refusal because of an entity, link or button; the text itself may be fine."""
    return error.outcome is Outcome.REFUSED and _BAD_MARKUP.search(str(error)) is not None


def preview_is_refused(error: SendError) -> bool:
    """A definite refusal that may be because of the preview. A picture that cannot be fetched is none: it is left out.

    https://core.telegram.org/method/messages.sendMessage, errors WEBPAGE_*
    """
    return error.outcome is Outcome.REFUSED and _BAD_PREVIEW.search(str(error)) is not None


def is_unmodified(error: SendError) -> bool:
    """An edit that changes nothing was made before."""
    return "message is not modified" in str(error).lower()  # the library capitalizes descriptions


def is_not_to_edit(error: SendError) -> bool:
    """A definite refusal to edit this message, ever: it was deleted, or is too old."""
    return error.outcome is Outcome.REFUSED and _NOT_TO_EDIT.search(str(error)) is not None


def unreachable(error: TelegramError) -> bool:
    """Is it the way to Telegram that fails, not what was asked?"""
    return isinstance(error, NetworkError) and not isinstance(error, BadRequest)
