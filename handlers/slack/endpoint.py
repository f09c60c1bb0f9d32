"""`POST /slack/events`: what Slack signed, and nothing else, reaches Bolt.

The signature is checked before anything is parsed: Bolt reads a body first, and fails on one that is no JSON.
https://docs.slack.dev/authentication/verifying-requests-from-slack
"""

import asyncio
import logging
from collections.abc import Sequence
from http import HTTPStatus

from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response
from slack_bolt.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_sdk.signature import SignatureVerifier

logger = logging.getLogger(__name__)

BODY_BYTES = 1_000_000  # a message with all its blocks is a tenth of that
BODY_SECONDS = 3.0  # Slack has given up by then


class Endpoint:
    """Answers Slack's requests in HTTP mode."""

    def __init__(self, app: AsyncApp, signing_secret: str) -> None:
        self._app = app
        self._verifier = SignatureVerifier(signing_secret)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Bolt's answer; 401 without Slack's signature or with an old one, 413 for too much."""
        body = await _body(request)
        if not self._is_signed(body, request):
            logger.warning("a request without Slack's signature was refused")
            return web.json_response({"error": "invalid request"}, status=HTTPStatus.UNAUTHORIZED)
        try:
            headers: dict[str, str | Sequence[str]] = dict(request.headers.items())
            asked = AsyncBoltRequest(body=body.decode(), query=request.query_string, headers=headers)
        except Exception:
            logger.exception("a signed request could not be read")
            return web.json_response({"error": "unreadable"}, status=HTTPStatus.BAD_REQUEST)
        return await to_aiohttp_response(await self._app.async_dispatch(asked))

    def _is_signed(self, body: bytes, request: web.Request) -> bool:
        stamp = request.headers.get("X-Slack-Request-Timestamp", "")
        signature = request.headers.get("X-Slack-Signature", "")
        if not (stamp.isascii() and stamp.isdecimal() and signature.isascii()):
            return False
        try:
            return bool(self._verifier.is_valid(body, stamp, signature))
        except ValueError:  # bytes that are no UTF-8, a number of thousands of digits
            return False


async def _body(request: web.Request) -> bytes:
    """Raises HTTPRequestEntityTooLarge and HTTPRequestTimeout."""
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > BODY_BYTES:
                    raise web.HTTPRequestEntityTooLarge(max_size=BODY_BYTES, actual_size=len(body))
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    return body
