"""The web server: who may read, what every answer carries, and pages for what goes wrong."""

import errno
import hashlib
import hmac
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler

from bot import texts
from bot.errors import SettingsError, StoreError
from bot.report import page
from bot.web.site import FEED, HTML, Site, up

logger = logging.getLogger(__name__)

OPEN = frozenset({"/healthz", "/readyz"})
CLOSE_SECONDS = 0.8  # for requests that are still answered at the end; clients that keep their connection get none
COOKIE = "paperboy"
NAME = "Paperboy"  # of this server, in every answer
COOKIE_SECONDS = 180 * 86_400
HEADERS = {
    "Cache-Control": "private, no-cache",
    "Referrer-Policy": "no-referrer",
    "Server": NAME,  # aiohttp would name itself, Python and both versions
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
# aiohttp logs what is no HTTP with a traceback and the raw line, which may hold a token. What fails in here, we log.
UNHEARD = logging.Logger("unheard", logging.CRITICAL + 1)  # noqa: LOG001 - it stands in nobody's tree


@asynccontextmanager
async def serving(site: Site, host: str, port: int, doors: Sequence[web.RouteDef] = ()) -> AsyncIterator[int]:
    """Serves `site`; gives the port that it listens on. Raises SettingsError when it cannot listen there.

    `doors` are where platforms tell us of what was asked; they check for themselves who knocks.
    """
    # aiohttp waits twice: for the handler, and once more when it has cancelled it.
    runner = web.AppRunner(
        application(site, doors), access_log=None, logger=UNHEARD, shutdown_timeout=CLOSE_SECONDS / 2
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise _cannot_listen(error, host, port) from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _cannot_listen(error: OSError, host: str, port: int) -> SettingsError:
    about_port = error.errno in (errno.EADDRINUSE, errno.EACCES)
    setting, cure = (
        ("web.port", "choose another port") if about_port else ("web.host", "choose an address of this machine")
    )
    reason = error.strerror or type(error).__name__
    return SettingsError(f"{setting}: cannot listen on {host}:{port} ({reason}); {cure}")


def application(site: Site, doors: Sequence[web.RouteDef] = ()) -> web.Application:
    """The aiohttp application of `site`, and of `doors`."""
    free = OPEN | {door.path for door in doors}
    headers = HEADERS | {"Content-Security-Policy": f"{page.content_security_policy()}; frame-ancestors 'none'"}

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if _opens(request, site.token):
                answer: web.StreamResponse = _remembered(request, site.token or "")
            elif request.path in free or _may_read(request, site.token):
                answer = await handler(request)
            else:
                answer = _error(request, site, HTTPStatus.UNAUTHORIZED)
                answer.headers["WWW-Authenticate"] = 'Bearer realm="paperboy"'
        except web.HTTPException as error:
            answer = _error(request, site, error.status)
            if isinstance(error, web.HTTPMethodNotAllowed):
                answer.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
        except StoreError as error:
            logger.error("page failed: %s", error)  # noqa: TRY400 - says it all, and may come with every request
            answer = _error(request, site, HTTPStatus.SERVICE_UNAVAILABLE)
        except Exception:
            logger.exception("page failed", extra={"path": request.rel_url.raw_path})
            answer = _error(request, site, HTTPStatus.INTERNAL_SERVER_ERROR)
        answer.headers.update(headers)
        return answer

    app = web.Application(middlewares=[guarded])
    app.add_routes([*site.routes(), *doors])
    return app


def _may_read(request: web.Request, token: str | None) -> bool:
    if token is None:
        return True
    scheme, _, shown = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and _same(shown.strip(), token):
        return True
    if request.path == FEED and _same(request.query.get("token", ""), token):
        return True
    return _same(request.cookies.get(COOKIE, ""), _pass(token))


def _opens(request: web.Request, token: str | None) -> bool:
    """Is this a link with the right `?token=`? A feed reader keeps no cookies: it sends the token every time."""
    return token is not None and request.path != FEED and _same(request.query.get("token", ""), token)


def _remembered(request: web.Request, token: str) -> web.Response:
    """The same page without the token in the address bar; a cookie opens it."""
    # "./" keeps it on this host and behind its path prefix, whatever the path is.
    page_name = request.rel_url.raw_path.rpartition("/")[2]
    query = request.rel_url.without_query_params("token").raw_query_string
    found = web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": f"./{page_name}?{query}".rstrip("?")})
    encrypted = request.headers.get("X-Forwarded-Proto", request.scheme) == "https"
    found.set_cookie(COOKIE, _pass(token), max_age=COOKIE_SECONDS, httponly=True, samesite="Lax", secure=encrypted)
    return found


def _pass(token: str) -> str:
    """What the cookie holds: proof of the token, not the token."""
    return hmac.new(token.encode(), b"archive", hashlib.sha256).hexdigest()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(errors="replace"), other.encode())


def _error(request: web.Request, site: Site, status: int) -> web.Response:
    archive = None if status == HTTPStatus.UNAUTHORIZED else up(request)
    text = page.error(status, texts.load(site.language), archive)
    return web.Response(status=status, text=text, content_type=HTML, charset="utf-8")
