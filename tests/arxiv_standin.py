"""A loopback arXiv that knows the papers it was given: its API and its pages.

After https://info.arxiv.org/help/api/user-manual.html and recorded replies: an unknown ID is left out of the feed, a
malformed one makes the whole request fail with status 400 and an error entry. A page that is not there is a 404.
"""

import re
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

from aiohttp import web

from tests.source_faults import FaultyStandIn

FORM = re.compile(r"(?P<id>\d{4}\.\d{4,5}|[a-z-]+(?:\.[A-Z]{2})?/\d{7})(?:v(?P<version>\d+))?")
HEAD = (
    "<?xml version='1.0' encoding='UTF-8'?>\n"
    '<feed xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/" xmlns:arxiv="http://arxiv.org/schemas/atom"'
    ' xmlns="http://www.w3.org/2005/Atom">\n'
)


@dataclass(frozen=True)
class Entry:
    """What arXiv knows of a paper; `version` is the latest."""

    id: str
    version: int = 1
    title: str = "Seeing Through Rain:\n  Restoration by Flow Matching"
    summary: str = "  We restore photographs taken through rain & haze.\nIt fails on snow.\n"
    authors: tuple[str, ...] = ("Ada Example", "Bo Sample")
    published: str = "2026-02-24T18:51:04Z"
    categories: tuple[str, ...] = ("cs.CV", "eess.IV")
    comment: str | None = "12 pages, 5 figures"

    def xml(self, version: int) -> str:
        name = f"{self.id}v{version}"
        authors = "".join(f"<author><name>{escape(author)}</name></author>" for author in self.authors)
        categories = "".join(
            f'<category term={quoteattr(c)} scheme="http://arxiv.org/schemas/atom"/>' for c in self.categories
        )
        comment = "" if self.comment is None else f"<arxiv:comment>{escape(self.comment)}</arxiv:comment>"
        return (
            f"<entry><id>http://arxiv.org/abs/{name}</id><title>{escape(self.title)}</title>"
            f"<updated>{self.published}</updated>"
            f'<link href="https://arxiv.org/abs/{name}" rel="alternate" type="text/html"/>'
            f'<link href="https://arxiv.org/pdf/{name}" rel="related" type="application/pdf" title="pdf"/>'
            f"<summary>{escape(self.summary)}</summary>{categories}<published>{self.published}</published>{comment}"
            f"<arxiv:primary_category term={quoteattr(self.categories[0])}/>{authors}</entry>\n"
        )


def a_feed(entries: str, total: int, page: int = 10) -> bytes:
    return (
        f"{HEAD}<id>https://arxiv.org/api/none</id><title>arXiv Query</title><updated>2026-02-25T00:00:00Z</updated>\n"
        f"<opensearch:itemsPerPage>{page}</opensearch:itemsPerPage>"
        f"<opensearch:totalResults>{total}</opensearch:totalResults>"
        f"<opensearch:startIndex>0</opensearch:startIndex>\n{entries}</feed>\n"
    ).encode()


def an_error_feed(name: str) -> bytes:
    address = f"https://arxiv.org/api/errors#incorrect_id_format_for_{escape(name)}"
    return a_feed(
        f"<entry><id>{address}</id><title>Error</title><updated>2026-02-25T00:00:00Z</updated>"
        f"<summary>incorrect id format for {escape(name)}</summary>"
        "<author><name>arXiv api core</name></author></entry>\n",
        total=1,
        page=1,
    )


@dataclass
class ArxivStandIn(FaultyStandIn):
    """`ArxivStandIn(known=[Entry("2602.00001")], pages={"/html/2602.00001": b"…"})`.

    `rests` tells how long it was left alone between two requests, as arXiv's terms count it.
    """

    known: list[Entry] = field(default_factory=list)
    pages: dict[str, bytes] = field(default_factory=dict)

    @property
    def api_url(self) -> str:
        return f"{self.url}/api/query"

    @property
    def rests(self) -> list[float]:
        """Seconds between the end of one reply and the arrival of the next request."""
        return [later.at - end for end, later in zip(self.ended, self.asked[1:], strict=False)]

    def routes(self, app: web.Application) -> None:
        app.router.add_get("/api/query", self._query)
        for kind in ("html", "pdf", "abs"):
            app.router.add_get(f"/{kind}/{{name:.+}}", self._page)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        content = self.pages.get(request.path)
        kind = "application/pdf" if request.path.startswith("/pdf/") else "text/html; charset=utf-8"
        if content is None:
            return await self.reply(request, 404, b"<html><body>No such page</body></html>", "text/html")
        return await self.reply(request, 200, content, kind)

    async def _query(self, request: web.Request) -> web.StreamResponse:
        names = [name for name in request.query.get("id_list", "").split(",") if name]
        malformed = [name for name in names if not FORM.fullmatch(name)]
        if malformed:
            return await self.reply(request, 400, an_error_feed(malformed[0]), "application/atom+xml; charset=utf-8")
        found = [xml for name in names if (xml := self._entry(name))]
        start, size = int(request.query.get("start", "0")), int(request.query.get("max_results", "10"))
        feed = a_feed("".join(found[start : start + size]), len(found), size)
        return await self.reply(request, 200, feed, "application/atom+xml; charset=utf-8")

    def _entry(self, name: str) -> str | None:
        match = FORM.fullmatch(name)
        assert match is not None
        for entry in self.known:
            version = int(match["version"] or entry.version)
            if entry.id == match["id"] and 1 <= version <= entry.version:
                return entry.xml(version)
        return None
