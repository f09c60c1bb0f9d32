"""The archive's pages, made from the store when somebody asks for them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date

from aiohttp import web

from bot import texts
from bot.errors import BotError, InputError
from bot.interfaces import Store
from bot.models import ArxivId, Report
from bot.report import compose, page
from bot.report.document import Document, Links

ARCHIVE_REPORTS = 400  # about a year of weekdays and a second language
FEED_REPORTS = 30

Health = Callable[[], Awaitable[Mapping[str, str]]]
HTML, ATOM = "text/html", "application/atom+xml"


@dataclass(frozen=True, slots=True)
class Site:
    """What the pages are made of. `token` is asked of readers; `health` says of each platform "ok" or what is wrong."""

    store: Store
    links: Links
    language: str
    token: str | None
    health: Health
    min_score: int

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self.archive),
            web.get("/feed.atom", self.feed),
            web.get("/reports/{day}/{name}", self.report),
            web.get("/papers/{id:.+}", self.paper),
            web.get("/healthz", self.alive),
            web.get("/readyz", self.ready),
        ]

    async def archive(self, request: web.Request) -> web.Response:
        """All reports, newest first."""
        del request
        reports = await self.store.reports(ARCHIVE_REPORTS)
        return _answer(page.index(reports, texts.load(self.language), self.links))

    async def feed(self, request: web.Request) -> web.Response:
        """The newest reports as an Atom feed, in the language `?language=`, else in all."""
        wanted = request.query.get("language")
        reports = [made for made in await self.store.reports(FEED_REPORTS) if wanted in (None, made.key.language)]
        entries = [(made, self._documents(made)[0]) for made in reports]
        return _answer(page.feed(entries, texts.load(self.language), self.links), ATOM)

    async def report(self, request: web.Request) -> web.Response:
        """One report: the digest and its deep dives."""
        profile, _, language = request.match_info["name"].rpartition(".")
        try:
            day = date.fromisoformat(request.match_info["day"])
        except ValueError:
            raise web.HTTPNotFound from None
        made = await self.store.report(day, profile, language)
        if made is None or language not in texts.languages():
            raise web.HTTPNotFound
        return _answer(page.html(self._documents(made), self._info(made, "../../")))

    async def paper(self, request: web.Request) -> web.Response:
        """Every deep dive of a paper that a report published, newest first."""
        try:
            wanted = ArxivId.parse(request.match_info["id"]).id
        except InputError:
            raise web.HTTPNotFound from None
        found = [
            (made, replace(document, key=f"{made.key.day}-{made.key.profile}-{made.key.language}"))
            for made in await self.store.reports(ARCHIVE_REPORTS)
            for document in self._documents(made)
            if document.key == wanted
        ]
        if not found:
            raise web.HTTPNotFound
        up = "../" * (1 + request.path.count("/", len("/papers/")))
        return _answer(page.html([document for _, document in found], self._info(found[0][0], up)))

    async def alive(self, request: web.Request) -> web.Response:
        """The process answers."""
        del request
        return web.json_response({"status": "alive"})

    async def ready(self, request: web.Request) -> web.Response:
        """200 while the store works, whatever a platform does; the body says which one is in trouble."""
        del request
        try:
            await self.store.ping()
        except BotError:
            return web.json_response({"status": "not ready", "store": "down"}, status=503)
        return web.json_response({"status": "ready", "store": "ok", **await self.health()})

    def _documents(self, made: Report) -> tuple[Document, ...]:
        words = texts.load(made.key.language)
        return compose.report(made, words, links=self.links, min_score=self.min_score)

    def _info(self, made: Report, up: str) -> page.PageInfo:
        return page.PageInfo(
            texts.load(made.key.language), made.created_at, made.prompts, archive=up, feed=f"{up}feed.atom"
        )


def _answer(text: str, content_type: str = HTML) -> web.Response:
    return web.Response(text=text, content_type=content_type, charset="utf-8")
