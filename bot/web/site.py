"""The archive's pages, made from the store when somebody asks for them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from http import HTTPStatus

from aiohttp import web

from bot import texts
from bot.errors import BotError, InputError
from bot.interfaces import Store
from bot.models import ArxivId, Report
from bot.report import compose, page
from bot.report.document import Document, Links
from bot.report.markdown import markdown

ARCHIVE_REPORTS = 400  # about a year of weekdays and a second language
FEED_REPORTS = 30
FEED = "/feed.atom"

Health = Callable[[], Awaitable[Mapping[str, str]]]
Troubles = Callable[[], Mapping[str, str]]
Metrics = Callable[[], Awaitable[bytes]]
HTML, ATOM, MARKDOWN = "text/html", "application/atom+xml", "text/markdown"
METRICS = "text/plain; version=0.0.4; charset=utf-8"  # https://prometheus.io/docs/instrumenting/exposition_formats/
REPORT = r"/reports/{day:\d{4}-\d\d-\d\d}/{profile:[a-z0-9_-]{1,32}}.{language:[a-zA-Z-]{2,16}}"


@dataclass(frozen=True, slots=True)
class Site:
    """What the pages are made of. `token` is asked of readers; `health` says of each platform "ok" or what is wrong,
    `troubles` what keeps the process from being ready, `metrics` what dashboards show (None: nobody counts).
    """

    store: Store
    links: Links
    language: str
    token: str | None
    health: Health
    troubles: Troubles = dict
    metrics: Metrics | None = None

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/", self.archive),
            web.get(FEED, self.feed),
            web.get(REPORT, self.report),
            web.get(f"{REPORT}.md", self.report_as_markdown),
            web.get("/papers/{id:.+}", self.paper),
            web.get("/healthz", self.alive),
            web.get("/readyz", self.ready),
            web.get("/metrics", self.counted),
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
        made = await self._wanted(request)
        return _answer(page.html(self._documents(made), _info(made, request)))

    async def report_as_markdown(self, request: web.Request) -> web.Response:
        """The same report, for notes and wikis."""
        made = await self._wanted(request)
        return _answer(markdown(self._documents(made), texts.load(made.key.language)), MARKDOWN)

    async def paper(self, request: web.Request) -> web.Response:
        """Every deep dive of a paper that a report published, newest first."""
        try:
            wanted = ArxivId.parse(request.match_info["id"]).id
        except InputError:
            raise web.HTTPNotFound from None
        reports = await self.store.reports(ARCHIVE_REPORTS)
        found = [made for made in reports if any(dive.paper.arxiv_id.id == wanted for dive in made.deep_dives)]
        if not found:
            raise web.HTTPNotFound
        dives = [self._dive(made, wanted) for made in found]
        info = _info(found[0], request)
        names = {dive.key: page.report_name(made.key, info.texts) for dive, made in zip(dives, found, strict=True)}
        return _answer(page.html(dives, replace(info, names=names)))

    async def alive(self, request: web.Request) -> web.Response:
        """The process answers."""
        del request
        return web.json_response({"status": "alive"})

    async def ready(self, request: web.Request) -> web.Response:
        """200 while the store works, the loops make their passes and the process is not ending, whatever a platform
        does; the body says which one is in trouble.
        """
        del request
        troubles = dict(self.troubles())
        try:
            await self.store.ping()
            states = {"store": "ok", **await self.health()}
        except BotError:
            troubles["store"], states = "down", {}
        status, code = ("not ready", HTTPStatus.SERVICE_UNAVAILABLE) if troubles else ("ready", HTTPStatus.OK)
        return web.json_response({"status": status, **states, **troubles}, status=code)

    async def counted(self, request: web.Request) -> web.Response:
        """What Prometheus reads."""
        del request
        if self.metrics is None:
            raise web.HTTPNotFound
        return web.Response(body=await self.metrics(), headers={"Content-Type": METRICS})

    async def _wanted(self, request: web.Request) -> Report:
        """The report that the path names, in its latest edition. Raises HTTPNotFound."""
        day, profile, language = (request.match_info[part] for part in ("day", "profile", "language"))
        try:
            made = await self.store.report(date.fromisoformat(day), profile, language)
        except ValueError:
            made = None
        if made is None or language not in texts.languages():
            raise web.HTTPNotFound
        return made

    def _documents(self, made: Report) -> tuple[Document, ...]:
        words = texts.load(made.key.language)
        return compose.report(made, words, links=self.links)

    def _dive(self, made: Report, arxiv_id: str) -> Document:
        """The paper's deep dive in that report, under a key that no other report's has."""
        [dive] = (document for document in self._documents(made) if document.key == arxiv_id)
        return replace(dive, key=f"{made.key.day}-{made.key.profile}-{made.key.language}")


def up(request: web.Request) -> str:
    """The archive, seen from the page that is asked for: relative, so that it holds behind any path prefix."""
    return "../" * (request.rel_url.raw_path.count("/") - 1) or "./"


def _info(made: Report, request: web.Request) -> page.PageInfo:
    archive = up(request)
    return page.PageInfo(
        texts.load(made.key.language), made.created_at, made.prompts, archive, f"{archive}{FEED.removeprefix('/')}"
    )


def _answer(text: str, content_type: str = HTML) -> web.Response:
    return web.Response(text=text, content_type=content_type, charset="utf-8")
