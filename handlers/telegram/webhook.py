"""The webhook: set and kept at Telegram, and the route that Telegram posts updates to."""

import hmac
import json
import logging
from functools import partial
from http import HTTPStatus

from aiohttp import web
from telegram import Bot
from telegram.error import TelegramError

from bot.interfaces import Clock
from handlers.telegram.intake import ALLOWED, Intake, Json, is_update
from handlers.telegram.retrying import Trouble, until_done

logger = logging.getLogger(__name__)

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - a header's name
CONNECTIONS = 40  # updates that Telegram sends at the same time; its own default
CHECK_SECONDS = 300.0
BODY_BYTES = 1024 * 1024  # an update has some kilobytes


class Webhook:
    """https://core.telegram.org/bots/api#setwebhook. Telegram repeats an update until it is answered with 200."""

    def __init__(self, url: str, secret: str, intake: Intake) -> None:
        self._url = url
        self._secret = secret
        self._intake = intake

    async def keep(self, bot: Bot, trouble: Trouble, clock: Clock) -> None:
        """Sets it, and sets it again when somebody has removed it, until it is cancelled."""
        await until_done(trouble, partial(self._set, bot))
        while True:
            await clock.sleep(CHECK_SECONDS)
            await until_done(trouble, partial(self._check, bot))

    async def receive(self, request: web.Request) -> web.Response:
        """Answers 200 when the update is taken: only then does Telegram forget it."""
        if not self._is_telegram(request):
            return web.Response(status=HTTPStatus.UNAUTHORIZED)
        body = await _body(request)
        if body is None:
            return web.Response(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        update = _update(body)
        if update is None:
            return web.Response(status=HTTPStatus.BAD_REQUEST)
        try:
            await self._intake.meet()
        except TelegramError as error:
            logger.warning("update refused until Telegram answers", extra={"error": type(error).__name__})
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE)
        await self._intake.take(update)
        return web.Response()

    def _is_telegram(self, request: web.Request) -> bool:
        shown = request.headers.get(SECRET_HEADER, "").encode(errors="replace")
        return bool(self._secret) and hmac.compare_digest(shown, self._secret.encode())

    async def _set(self, bot: Bot) -> None:
        await bot.set_webhook(
            self._url, max_connections=CONNECTIONS, allowed_updates=ALLOWED, secret_token=self._secret
        )

    async def _check(self, bot: Bot) -> None:
        if (await bot.get_webhook_info()).url != self._url:
            logger.warning("the webhook was removed or replaced; setting it again")
            await self._set(bot)


async def _body(request: web.Request) -> bytes | None:
    """The whole body, None when it is longer than any update."""
    body = b""
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > BODY_BYTES:
            return None
    return body


def _update(body: bytes) -> Json | None:
    try:
        update: Json = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return update if is_update(update) else None
