"""Slack's Web API: the client, and its failures in the words of `bot.errors`.

Methods and their errors: https://docs.slack.dev/reference/methods
"""

import logging
import re
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.errors import Outcome, SendError

CONNECT_SECONDS = 5.0  # name, connection and TLS: nothing was posted when this runs out
CALL_SECONDS = 15.0  # one request as a whole
KEEP_ALIVE_SECONDS = 5.0  # a post on a connection that the server has just closed would be an ambiguous one
RATE_LIMIT_SECONDS = 10.0  # for a 429 that names no wait

# Slack took the request and does not say what became of it.
_AMBIGUOUS = {"fatal_error", "internal_error", "request_timeout", "service_unavailable"}
_LATER = {"ratelimited", "rate_limited", "message_limit_exceeded", "team_added_to_org"}
_NOTHING_HERE = {
    "access_denied",
    "account_inactive",
    "accesslimited",
    "channel_not_found",
    "ekm_access_denied",
    "enterprise_is_restricted",
    "invalid_auth",
    "is_archived",
    "messages_tab_disabled",
    "missing_scope",
    "no_permission",
    "not_allowed_token_type",
    "not_authed",
    "not_in_channel",
    "org_login_required",
    "team_access_not_granted",
    "token_expired",
    "token_revoked",
    "two_factor_setup_required",
}
_CODE = re.compile(r"[a-z0-9_]{1,64}")
_CLIENT_ERROR, _REQUEST_TIMEOUT, _TOO_MANY_REQUESTS, _SERVER_ERROR = 400, 408, 429, 500


class SlackError(SendError):
    """A call that failed. `code` is Slack's own word for it ("not_in_channel"), "" where Slack itself said nothing.

    `needed` are the scopes that a `missing_scope` names.
    """

    def __init__(
        self, message: str, outcome: Outcome, *, code: str = "", needed: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(message, outcome, retry_after=retry_after)
        self.code = code
        self.needed = needed


@dataclass(frozen=True, slots=True)
class Answer:
    """What Slack answered to a call that it accepted. `scopes` is None where the answer names none."""

    data: Mapping[str, Any]
    scopes: frozenset[str] | None


@asynccontextmanager
async def slack_client(
    bot_token: str, api_url: str, traces: Sequence[aiohttp.TraceConfig] = ()
) -> AsyncIterator[AsyncWebClient]:
    """A client that never repeats a call by itself; its connections end with the context.

    slack_sdk's own handlers post again after a lost connection, which is how a message appears twice.
    """
    timeout = aiohttp.ClientTimeout(total=CALL_SECONDS, connect=CONNECT_SECONDS)
    connector = aiohttp.TCPConnector(keepalive_timeout=KEEP_ALIVE_SECONDS)
    async with aiohttp.ClientSession(
        timeout=timeout, connector=connector, trust_env=True, trace_configs=list(traces)
    ) as session:
        client = AsyncWebClient(
            bot_token, f"{api_url.rstrip('/')}/", session=session, retry_handlers=[], logger=_quiet_logger()
        )
        # slack_sdk takes a proxy from the environment and forgets NO_PROXY; the session above heeds both.
        client.proxy = None
        yield client


def _quiet_logger() -> logging.Logger:
    """At DEBUG slack_sdk logs whole messages; a log holds events, never text of papers."""
    logger = logging.getLogger("slack_sdk.paperboy")
    logger.setLevel(logging.INFO)
    return logger


async def answer(call: Awaitable[AsyncSlackResponse]) -> Answer:
    """Awaits a method of the client. Raises SlackError; no message of it holds what Slack or the network wrote."""
    try:
        response = await call
    except SlackApiError as error:
        raise _refusal(error) from None  # its message quotes the answer, which may quote anything
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise SlackError(f"slack cannot be reached: {type(error).__name__}", Outcome.NOT_SENT) from error
    # slack_sdk reads an answer that is no JSON object with AttributeError or ValueError.
    except (aiohttp.ClientError, TimeoutError, OSError, SlackClientError, AttributeError, ValueError) as error:
        raise SlackError(f"slack gave no readable answer: {type(error).__name__}", Outcome.UNKNOWN) from error
    named = response.headers.get("x-oauth-scopes")
    scopes = None if named is None else frozenset(scope.strip() for scope in named.split(",") if scope.strip())
    return Answer(response.data if isinstance(response.data, dict) else {}, scopes)


def _refusal(error: SlackApiError) -> SlackError:
    response = error.response  # slack_sdk's, or aiohttp's own where the body was no JSON
    status: int = response.status_code if isinstance(response, AsyncSlackResponse) else response.status
    data = getattr(response, "data", None)
    data = data if isinstance(data, dict) else {}
    code = _word(data.get("error"))
    if status == _TOO_MANY_REQUESTS or code in _LATER:
        wait = _seconds(response.headers.get("Retry-After"))
        return SlackError(
            f"slack: {code or 'HTTP 429'}", Outcome.NOT_SENT, code=code or "ratelimited", retry_after=wait
        )
    message = f"slack: {code or f'HTTP {status}'}"
    return SlackError(message, _outcome(status, code), code=code, needed=_scopes(data.get("needed")))


def _outcome(status: int, code: str) -> Outcome:
    if status >= _SERVER_ERROR or status == _REQUEST_TIMEOUT or code in _AMBIGUOUS:
        return Outcome.UNKNOWN
    if code in _NOTHING_HERE or code.startswith("restricted_action"):
        return Outcome.GONE
    if code:
        return Outcome.REFUSED
    # Without a word of Slack's own: below 400 something else may have taken the post (200 with a strange body); an
    # error comes from a gateway on the way or a wrong `slack.api_url`, and posted nothing.
    return Outcome.UNKNOWN if status < _CLIENT_ERROR else Outcome.NOT_SENT


def _word(value: object) -> str:
    return value if isinstance(value, str) and _CODE.fullmatch(value) else ""


def _scopes(value: object) -> str:
    return value if isinstance(value, str) and re.fullmatch(r"[a-z:_., ]{1,200}", value) else ""


def _seconds(value: str | None) -> float:
    try:
        return max(0.0, float(value or RATE_LIMIT_SECONDS))
    except ValueError:
        return RATE_LIMIT_SECONDS
