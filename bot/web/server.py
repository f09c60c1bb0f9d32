"""The web server: who may read, what every answer carries, and pages for what goes wrong."""

import hashlib
import hmac
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.typedefs import Handler

from bot import texts
from bot.errors import SettingsError
from bot.report import page
from bot.web.site import HTML, Site

logger = logging.getLogger(__name__)

OPEN = frozenset({"/healthz", "/readyz"})
COOKIE = "paperboy"
COOKIE_SECONDS = 180 * 86_400
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cache-Control": "private, no-cache",
}


@asynccontextmanager
async def serving(site: Site, host: str, port: int) -> AsyncIterator[int]:
    """Serves `site`; gives the port that it listens on. Raises SettingsError when the port is taken."""
    runner = web.AppRunner(application(site), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise SettingsError(f"web.port: cannot listen on {host}:{port} ({reason}); choose another port") from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def application(site: Site) -> web.Application:
    """The aiohttp application of `site`."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            answer = await (handler(request) if _may_read(request, site.token) else _ask_for_token(request, site))
        except web.HTTPMethodNotAllowed as error:
            answer = _error(site, error.status)
            answer.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
        except web.HTTPNotFound as error:
            answer = _error(site, error.status)
        except Exception:
            logger.exception("page failed", extra={"path": request.path})
            answer = _error(site, web.HTTPInternalServerError.status_code)
        answer.headers.update(HEADERS)
        if answer.content_type == HTML:
            answer.headers["Content-Security-Policy"] = page.content_security_policy()
        return answer

    app = web.Application(middlewares=[guarded])
    app.add_routes(site.routes())
    return app


def _may_read(request: web.Request, token: str | None) -> bool:
    if token is None or request.path in OPEN:
        return True
    shown = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return _same(shown, token) or _same(request.cookies.get(COOKIE, ""), _pass(token))


async def _ask_for_token(request: web.Request, site: Site) -> web.StreamResponse:
    """`?token=` opens the archive for this browser; a feed reader may send it every time."""
    if site.token is None or not _same(request.query.get("token", ""), site.token):
        answer = _error(site, web.HTTPUnauthorized.status_code)
        answer.headers["WWW-Authenticate"] = 'Bearer realm="paperboy"'
        return answer
    found = web.Response(status=303, headers={"Location": str(request.rel_url.without_query_params("token"))})
    found.set_cookie(
        COOKIE, _pass(site.token), max_age=COOKIE_SECONDS, httponly=True, samesite="Lax", secure=request.secure
    )
    return found


def _pass(token: str) -> str:
    """What the cookie holds: proof of the token, not the token."""
    return hmac.new(token.encode(), b"archive", hashlib.sha256).hexdigest()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(errors="replace"), other.encode())


def _error(site: Site, status: int) -> web.Response:
    text = page.error(status, texts.load(site.language))
    return web.Response(status=status, text=text, content_type=HTML, charset="utf-8")
