"""The archive as a browser, a feed reader and an intruder see it: a real server on loopback over a real store."""

import asyncio
import contextlib
import json
import logging
import shutil
import socket
import sqlite3
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from time import monotonic
from urllib.parse import quote, urljoin, urlsplit
from xml.etree import ElementTree

import aiohttp
import pytest
from aiohttp import CookieJar
from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from bot.errors import SettingsError
from bot.models import Paper, Report, ReportKey
from bot.report.document import Links
from bot.store.sqlite import SqliteStore
from bot.web import Site, serving
from bot.web.server import CLOSE_SECONDS
from tests.fakes import DAY, NOW, a_deep_dive, a_paper, a_ranking, a_report

TOKEN = "correct-horse-battery-staple-ü"
PUBLIC = "https://bot.example/papers-for-us"
ATOM = "{http://www.w3.org/2005/Atom}"
OLD_PAPER: Paper = replace(a_paper(1), arxiv_id=replace(a_paper(1).arxiv_id, id="hep-th/9901001", version=3))


def filled() -> list[Report]:
    """Two days; the newer one in two languages and corrected; an old-style arXiv ID; a day without a list."""
    before = DAY - timedelta(days=1)
    newer, english = a_report(), a_report(key=ReportKey(DAY, "default", "en"), created_at=NOW + timedelta(hours=1))
    old = a_report(
        key=ReportKey(before, "rain_team-2", "zh"), deep_dives=(a_deep_dive(OLD_PAPER), a_deep_dive(a_paper(1)))
    )
    corrected = a_report(key=ReportKey(DAY, "default", "zh", edition=2), created_at=NOW + timedelta(hours=2))
    empty = a_report(
        key=ReportKey(date(2026, 2, 22), "default", "zh"),
        ranking=a_ranking(1, 0, entries=(), listed=0),
        deep_dives=(),
        note="note.no_list",
    )
    return [newer, english, old, corrected, empty]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A store with those reports, filled once."""
    path = tmp_path_factory.mktemp("filled") / "paperboy.db"

    async def fill():
        async with SqliteStore.open(path) as opened:
            for made in filled():
                await opened.keep_report(made)

    asyncio.run(fill())
    return path


@pytest.fixture
async def store(file, tmp_path):
    shutil.copy(file, tmp_path)
    async with SqliteStore.open(tmp_path / file.name, busy_seconds=0.05) as opened:
        yield opened


async def healthy():
    return {"team": "ok"}


def a_site(store, **changes) -> Site:
    values = {"links": Links(), "language": "zh", "token": None, "health": healthy}
    return Site(store, **(values | changes))  # type: ignore[arg-type]  # builder: callers pass fields by name


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    text: str
    url: str


class Browser:
    """A client with cookies that follows no redirect by itself."""

    def __init__(self, port: int, session: aiohttp.ClientSession) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self._session = session

    async def get(self, path: str, method: str = "GET", **headers: str) -> Answer:
        url = URL(f"{self.base}{path}", encoded=True)
        async with self._session.request(method, url, headers=headers, allow_redirects=False) as answer:
            return Answer(answer.status, dict(answer.headers), await answer.text(), path)


@asynccontextmanager
async def browsing(site: Site):
    async with (
        serving(site, "127.0.0.1", 0) as port,
        aiohttp.ClientSession(cookie_jar=CookieJar(unsafe=True)) as session,  # aiohttp calls cookies of an IP so
    ):
        yield Browser(port, session)


@pytest.fixture
async def browser(store):
    async with browsing(a_site(store)) as opened:
        yield opened


PAGES = {
    "/": "CV 论文日报存档",
    "/reports/2026-02-25/default.zh": "CV 论文日报 | 2026-02-25",
    "/reports/2026-02-25/default.en": "CV Paper Digest | 2026-02-25",
    "/reports/2026-02-24/rain_team-2.zh": "CV 论文日报 | 2026-02-24",
    "/reports/2026-02-22/default.zh": "今天没有日报",
    "/papers/2602.00001": "Seeing Through Rain 1",
    "/papers/2602.00001v7": "Seeing Through Rain 1",
    "/papers/hep-th/9901001": "Seeing Through Rain 1",
    "/papers/arXiv:2602.00002": "Seeing Through Rain 2",
}


# --- pages ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "words"), PAGES.items())
async def test_every_page_is_there(path, words, browser):
    answer = await browser.get(path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert words in answer.text


async def test_the_newest_edition_of_a_report_is_shown(browser):
    assert "更正" in (await browser.get("/reports/2026-02-25/default.zh")).text
    assert "corrected" not in (await browser.get("/reports/2026-02-25/default.en")).text


async def test_a_papers_page_holds_what_every_report_said_of_it(browser):
    text = (await browser.get("/papers/2602.00001")).text
    assert text.count('id="2026-02-25-default-') == 2
    assert 'id="2026-02-24-rain_team-2-zh"' in text
    assert '<p class="kicker">2026-02-24 · rain_team-2 · 中文</p>' in text


async def test_a_report_can_be_had_as_markdown(browser):
    answer = await browser.get("/reports/2026-02-25/default.zh.md")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/markdown; charset=utf-8")
    assert answer.text.startswith("# ")
    assert "Seeing Through Rain 1" in answer.text


async def test_the_archive_of_a_new_bot_says_that_it_is_empty(tmp_path):
    async with SqliteStore.open(tmp_path / "new.db") as store, browsing(a_site(store)) as browser:
        assert "还没有日报" in (await browser.get("/")).text
        assert (await browser.get("/feed.atom")).status == 200


@pytest.mark.parametrize("path", [*PAGES, "/feed.atom", "/healthz", "/readyz", "/nothing/here"])
async def test_head_answers_like_get_without_a_body(path, browser):
    whole, head = await browser.get(path), await browser.get(path, "HEAD")
    assert (head.status, head.headers["Content-Type"], head.text) == (whole.status, whole.headers["Content-Type"], "")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
async def test_pages_can_only_be_read(method, browser):
    answer = await browser.get("/", method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert "只能查看" in answer.text


# --- links ---------------------------------------------------------------------------------------------------------


class Seen(HTMLParser):
    """What a page links to, what it would load, and its anchors."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.anchors |= {values["id"]} if "id" in values else set()
        if tag == "a" or (tag == "link" and values["rel"] == "alternate"):
            self.links.append(values["href"])
        elif tag not in ("meta", "html"):
            self.loads += [
                values[name] for name in ("src", "href", "srcset", "data", "action", "xlink:href") if name in values
            ]
        assert not [name for name in values if name.startswith("on")]
        assert tag not in ("script", "iframe", "object", "embed", "form", "base")


async def walk(browser: Browser, root: str) -> dict[str, Seen]:
    """Every page that links lead to from the archive at `root`, by its address; fails on a dead link."""
    pages: dict[str, Seen] = {}
    waiting = [root]
    while waiting:
        here = waiting.pop()
        assert here.startswith(root), f"{here} leads out of the archive"
        answer = await browser.get("/" + here.removeprefix(root))
        assert answer.status == 200, here
        pages[here] = Seen(answer.text if "html" in answer.headers["Content-Type"] else "")
        links = [urljoin(here, link).partition("#")[0] for link in pages[here].links]
        inside = {link for link in links if urlsplit(link).netloc == urlsplit(root).netloc}
        waiting += inside - pages.keys() - set(waiting)
    return pages


@pytest.mark.parametrize("root", ["http://127.0.0.1:8080/", f"{PUBLIC}/"])
@pytest.mark.parametrize("public_url", [None, PUBLIC, f"{PUBLIC}/"])
async def test_links_lead_from_the_archive_to_every_report_and_back(root, public_url, store):
    """Also behind a proxy's path prefix, which the server itself does not know."""
    if public_url and not root.startswith(PUBLIC):
        root = f"{PUBLIC}/"  # absolute links lead to the public address
    async with browsing(a_site(store, links=Links(public_url))) as browser:
        pages = await walk(browser, root)
    assert set(pages) == {
        root + path for path in ("", "feed.atom", *(p[1:] for p in PAGES if p.startswith("/reports")))
    }
    for address, found in pages.items():
        for link in found.links:
            place, _, anchor = urljoin(address, link).partition("#")
            assert not anchor or anchor in pages[place].anchors, f"{address} -> {link}"
        if "/reports/" in address:
            assert root in [urljoin(address, link) for link in found.links]


@pytest.mark.parametrize(
    "path", ["/nothing", "/nothing/", "/papers/hep-th/9901002", "/a/b/c", "/reports/2026-02-26/x.zh"]
)
async def test_the_page_of_a_wrong_address_leads_back_to_the_archive(path, browser):
    answer = await browser.get(path)
    assert answer.status == 404
    assert [urljoin(f"{PUBLIC}{path}", link) for link in Seen(answer.text).links] == [f"{PUBLIC}/"]


@pytest.mark.parametrize("path", ["/papers/2602.00001", "/papers/hep-th/9901001"])
async def test_a_papers_page_leads_back_to_the_archive(path, browser):
    links = [urljoin(f"{PUBLIC}{path}", link) for link in Seen((await browser.get(path)).text).links]
    assert {f"{PUBLIC}/", f"{PUBLIC}/feed.atom"} <= set(links)


@pytest.mark.parametrize("path", [*PAGES, "/nothing"])
async def test_pages_load_nothing_and_link_out_to_papers_only(path, browser):
    text = (await browser.get(path)).text
    found = Seen(text)
    assert {load.partition(":")[0] for load in found.loads} <= {"data"}
    assert "@import" not in text
    assert "url(" not in text
    hosts = {urlsplit(link).netloc for link in found.links} - {""}
    assert hosts <= {"arxiv.org"}


# --- hostile addresses ---------------------------------------------------------------------------------------------

WRONG = [
    "/nothing",
    "/reports",
    "/reports/2026-02-25",
    "/reports/2026-02-25/default",
    "/reports/2026-02-25/default.fr",
    "/reports/2026-02-25/default.zh.html",
    "/reports/2026-02-25/nobody.zh",
    "/reports/2026-02-25/DEFAULT.zh",
    "/reports/2026-02-25/default.zh/",
    "/reports/2026-02-30/default.zh",
    "/reports/0000-00-00/default.zh",
    "/reports/9999-99-99/default.zh",
    "/reports/20260225/default.zh",
    "/reports/2026-W09-3/default.zh",
    "/reports/%D9%A2%D9%A0%D9%A2%D9%A6-02-25/default.zh",
    "/reports/2026-02-25/..%2F..%2Fconfig.zh",
    "/reports/2026-02-25/default%00.zh",
    "/reports/2026-02-25/%ff%fe.zh",
    "/reports/2026-02-25/' OR 1=1--.zh".replace(" ", "%20"),
    "/../../etc/passwd",
    "/reports/../../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/..%5c..%5cwindows",
    "/papers/",
    "/papers/2602.99999",
    "/papers/not-a-paper",
    "/papers/%3Cscript%3Ealert(1)%3C/script%3E",
    "/papers/%00",
    "/papers/%ff%fe%ed%a0%80",
    "/papers/" + "9" * 6000,
    "/papers/" + "2602.00001/" * 500,
    "/" + "a/" * 3000,
    "//evil.example/",
    "/static/style.css",
    "/favicon.ico",
    "/.env",
    "/paperboy.db",
    "/%0d%0aSet-Cookie:%20x=1",
]


async def raw(browser: Browser, request: bytes) -> bytes:
    """The answer to bytes that no well-behaved client would send."""
    host, port = urlsplit(browser.base).netloc.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()
        await writer.wait_closed()


def one_request(path: str, *headers: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path[:40])
async def test_a_wrong_address_is_a_page_that_says_so(path, browser, caplog):
    answer = (await raw(browser, one_request(path))).decode()
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 404 ")
    assert "这里没有内容" in body
    assert "Set-Cookie" not in head
    assert "<script>alert" not in body
    assert caplog.records == []  # nothing of it is our failure


@pytest.mark.parametrize(
    "request_",
    [
        one_request("/" + "a" * 10_000),
        one_request("/", "X-Long: " + "a" * 10_000),
        one_request("/", *(f"X-{n}: a" for n in range(2000))),
        one_request("/", "Content-Length: -1"),
        one_request("/", "Content-Length: 5", "Transfer-Encoding: chunked"),
        one_request("\x00"),
        b"\x16\x03\x01\x02\x00 a TLS hello",
        b"GET / HTTP/9.9\r\n\r\n",
    ],
    ids=["10 kB path", "10 kB header", "2000 headers", "length", "smuggling", "NUL", "TLS", "version"],
)
async def test_what_is_no_request_is_refused_without_a_word_about_the_inside(request_, browser, caplog):
    answer = (await raw(browser, request_)).decode()
    assert answer.startswith(("HTTP/1.1 400 ", "HTTP/1.0 400 ")), answer[:100]
    assert "Traceback" not in answer
    assert (await browser.get("/")).status == 200
    assert caplog.records == []  # anybody can send this, and the line may hold a token


STARTS = ("/", "/papers/", "/reports/", "/reports/2026-02-25/", "/reports/2026-02-25/default.")


def test_no_path_whatever_brings_the_server_down(tmp_path):
    """Percent-encoded bytes of any kind below every route."""

    @asynccontextmanager
    async def opened():
        async with SqliteStore.open(tmp_path / "any.db") as store, browsing(a_site(store)) as browser:
            yield browser

    with asyncio.Runner() as runner:
        opening = opened()
        browser = runner.run(opening.__aenter__())

        @given(st.sampled_from(STARTS), st.binary(max_size=60))
        @settings(deadline=None)
        def ask(start, name):
            path = start + "".join(f"%{byte:02x}" for byte in name)
            assert runner.run(raw(browser, one_request(path))).split()[1] in (b"200", b"404")

        ask()
        runner.run(opening.__aexit__(None, None, None))


# --- what every answer carries -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/reports/2026-02-25/default.zh", "/feed.atom", "/healthz", "/nothing"])
async def test_every_answer_tells_browsers_to_be_careful(path, browser):
    headers = (await browser.get(path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cache-Control"] == "private, no-cache"
    assert headers["Server"] == "Paperboy"
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert policy.endswith("frame-ancestors 'none'")
    assert "unsafe" not in policy


async def test_text_from_a_paper_stays_text(store, browser):
    evil = a_paper(1, title='<script>alert(1)</script> <img src=x onerror=alert(1)> "x', authors=("</title><b>",))
    ranking = a_ranking(2, 1)
    entries = (replace(ranking.entries[0], paper=evil), *ranking.entries[1:])
    made = a_report(
        key=ReportKey(DAY, "evil", "zh"), ranking=replace(ranking, entries=entries), deep_dives=(a_deep_dive(evil),)
    )
    await store.keep_report(made)
    for path in ("/", "/reports/2026-02-25/evil.zh", "/papers/2602.00001", "/feed.atom"):
        text = (await browser.get(path)).text
        assert "<script" not in text
        assert "<img" not in text
        assert "alert(1)" in text


# --- the feed ------------------------------------------------------------------------------------------------------


def moment(text: str) -> datetime:
    """RFC 3339, as Atom asks for it."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


@pytest.mark.parametrize("public_url", [None, PUBLIC])
async def test_the_feed_is_valid_atom(public_url, store):
    async with browsing(a_site(store, links=Links(public_url))) as browser:
        answer = await browser.get("/feed.atom")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/atom+xml; charset=utf-8")
    feed = ElementTree.fromstring(answer.text)
    assert feed.tag == f"{ATOM}feed"
    for element in (feed, *feed.iter(f"{ATOM}entry")):  # RFC 4287, 4.1.1 and 4.1.2
        assert len(element.findall(f"{ATOM}title")) == 1
        assert len(element.findall(f"{ATOM}updated")) == 1
        assert element.findtext(f"{ATOM}id", "").startswith("urn:uuid:")
    assert feed.findtext(f"{ATOM}author/{ATOM}name")
    ids = [entry.findtext(f"{ATOM}id") for entry in feed.iter(f"{ATOM}entry")]
    assert len(ids) == len(set(ids)) == 4
    entries = [moment(entry.findtext(f"{ATOM}updated", "")) for entry in feed.iter(f"{ATOM}entry")]
    assert moment(feed.findtext(f"{ATOM}updated", "")) == max(entries) == NOW + timedelta(hours=2)
    assert {content.get("type") for content in feed.iter(f"{ATOM}content")} == {"html"}


async def test_the_feeds_links_are_absolute_when_the_archive_has_a_public_address(store):
    async with browsing(a_site(store, links=Links(PUBLIC))) as browser:
        feed = ElementTree.fromstring((await browser.get("/feed.atom")).text)
    links = {(link.get("rel"), link.get("href")) for link in feed.iter(f"{ATOM}link")}
    assert ("self", f"{PUBLIC}/feed.atom") in links
    assert ("alternate", f"{PUBLIC}/") in links
    assert ("alternate", f"{PUBLIC}/reports/2026-02-25/default.en") in links
    assert all(href and href.startswith(f"{PUBLIC}/") for _, href in links)


async def test_an_entry_keeps_its_identity_when_its_report_is_corrected(store, browser):
    def ids(text):
        return {entry.findtext(f"{ATOM}id") for entry in ElementTree.fromstring(text).iter(f"{ATOM}entry")}

    before = ids((await browser.get("/feed.atom")).text)
    await store.keep_report(a_report(key=ReportKey(DAY, "default", "zh", edition=3)))
    assert ids((await browser.get("/feed.atom")).text) == before


async def test_a_feed_reader_may_ask_for_one_language(browser):
    async def titles(query):
        feed = ElementTree.fromstring((await browser.get(f"/feed.atom{query}")).text)
        return [entry.findtext(f"{ATOM}title", "") for entry in feed.iter(f"{ATOM}entry")]

    assert ["Digest" in title for title in await titles("?language=en")] == [True]
    assert ["Digest" in title for title in await titles("?language=zh")] == [False] * 3
    assert await titles("?language=fr") == []


# --- the token -----------------------------------------------------------------------------------------------------


@pytest.fixture
async def guarded(store):
    async with browsing(a_site(store, token=TOKEN)) as opened:
        yield opened


QUOTED = "correct-horse-battery-staple-%C3%BC"
WRONG_TOKENS = ["", "wrong", TOKEN[:-1], f"{TOKEN}x", TOKEN.upper(), "%00", "%ff"]


@pytest.mark.parametrize("path", [*PAGES, "/feed.atom", "/nothing", "/reports/2026-02-25/default.zh.md"])
async def test_nothing_is_shown_without_the_token(path, guarded):
    answer = await guarded.get(path)
    assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="paperboy"')
    assert "需要访问口令" in answer.text
    assert "Seeing Through" not in answer.text
    assert Seen(answer.text).links == []


async def test_what_only_others_may_do_is_not_told_without_the_token(guarded):
    assert (await guarded.get("/", "POST")).status == 401


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_needs_no_token(path, guarded):
    assert (await guarded.get(path)).status == 200


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER  "])
async def test_a_bearer_token_opens_every_page(scheme, guarded):
    for path in ("/", "/feed.atom", "/papers/2602.00001"):
        assert (await guarded.get(path, Authorization=f"{scheme}{TOKEN}")).status == 200
    assert (await guarded.get("/")).status == 401  # and is not remembered


@pytest.mark.parametrize(
    "wrong", [f"Bearer {wrong}" for wrong in WRONG_TOKENS] + [TOKEN, f"Basic {TOKEN}", "Bearer", "\udcff"]
)
async def test_a_wrong_authorization_opens_nothing(wrong, guarded):
    answer = await raw(guarded, one_request("/", f"Authorization: {wrong}"))
    assert answer.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("wrong", WRONG_TOKENS)
@pytest.mark.parametrize("path", ["/", "/feed.atom"])
async def test_a_wrong_token_in_a_link_opens_nothing(path, wrong, guarded):
    answer = await guarded.get(f"{path}?token={quote(wrong, safe='%')}")
    assert answer.status == 401
    assert "Set-Cookie" not in answer.headers


async def test_a_link_with_the_token_opens_the_archive_once_and_a_cookie_keeps_it_open(guarded):
    answer = await guarded.get(f"/?token={QUOTED}")
    assert (answer.status, answer.headers["Location"]) == (303, "./")
    assert (await guarded.get("/")).status == 200
    assert (await guarded.get("/reports/2026-02-25/default.zh")).status == 200
    assert (await guarded.get(f"/?token={QUOTED}")).status == 303  # the token leaves the address bar every time
    assert (await guarded.get("/?token=wrong")).status == 200


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/reports/2026-02-25/default.zh?token={}", "/reports/2026-02-25/default.zh"),
        ("/?a=1&token={}&b=%20", "/?a=1&b=+"),
        ("/papers/hep-th/9901001?token={}", "/papers/hep-th/9901001"),
        ("//evil.example?token={}", "//evil.example"),
        ("//evil.example/?token={}", "//evil.example/"),
        ("/x/https://evil.example?token={}", "/x/https://evil.example"),
        ("/%0d%0aX-Evil:1?token={}", "/%0D%0AX-Evil:1"),
    ],
)
async def test_a_link_with_the_token_leads_to_the_same_page_of_the_same_host_without_it(path, place, guarded):
    head = (await raw(guarded, one_request(path.format(QUOTED)))).decode().split("\r\n\r\n")[0]
    [location] = [line.removeprefix("Location: ") for line in head.split("\r\n") if line.startswith("Location: ")]
    # Resolved by hand: this is what a browser does, also behind a path prefix.
    asked = path.partition("?")[0]
    assert location.startswith("./")
    assert (asked.rpartition("/")[0] + location[1:]).lower() == place.lower()
    assert "X-Evil:1" not in head.split("\r\n")


async def test_a_feed_reader_sends_the_token_every_time_and_keeps_no_cookie(guarded):
    for _ in range(2):
        answer = await guarded.get(f"/feed.atom?token={QUOTED}&language=en")
        assert answer.status == 200
        assert "Set-Cookie" not in answer.headers


async def test_the_cookie_proves_the_token_without_holding_it(guarded):
    cookie = (await guarded.get(f"/?token={QUOTED}")).headers["Set-Cookie"]
    assert "correct" not in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    behind_tls = await guarded.get(f"/?token={QUOTED}", **{"X-Forwarded-Proto": "https"})
    assert "Secure" in behind_tls.headers["Set-Cookie"]


@pytest.mark.parametrize("value", ["", "x", "a" * 64, QUOTED, TOKEN.encode().hex(), '"', "\udcff"])
async def test_a_made_up_cookie_opens_nothing(value, guarded):
    assert (await raw(guarded, one_request("/", f"Cookie: paperboy={value}"))).startswith(b"HTTP/1.1 401 ")


async def test_a_new_token_closes_what_the_old_one_opened(store):
    async with browsing(a_site(store, token="old-token")) as browser:
        cookie = (await browser.get("/?token=old-token")).headers["Set-Cookie"].partition(";")[0]
        assert (await browser.get("/", Cookie=cookie)).status == 200
    async with browsing(a_site(store, token="new-token")) as browser:
        assert (await browser.get("/", Cookie=cookie)).status == 401


async def test_the_token_stands_in_no_page_no_header_and_no_log(store, caplog):
    caplog.set_level(logging.DEBUG)
    async with browsing(a_site(store, token=TOKEN, links=Links(PUBLIC))) as browser:
        answers = [await browser.get(f"/?token={QUOTED}")]
        answers += [await browser.get(path) for path in (*PAGES, "/feed.atom", "/readyz", "/nothing")]
        answers += [await browser.get(f"/nothing?token={QUOTED}")]
    shown = "\n".join([str(answer.headers) + answer.text for answer in answers] + [caplog.text])
    assert "correct-horse" not in shown


# --- health --------------------------------------------------------------------------------------------------------


async def test_a_healthy_bot_is_ready_and_names_its_channels(browser):
    assert json.loads((await browser.get("/healthz")).text) == {"status": "alive"}
    assert json.loads((await browser.get("/readyz")).text) == {"status": "ready", "store": "ok", "team": "ok"}


async def test_a_platform_in_trouble_is_named_and_takes_nothing_else_down(store):
    async def troubled():
        return {"team": "ok", "lab": "in trouble"}

    async with browsing(a_site(store, health=troubled)) as browser:
        answer = await browser.get("/readyz")
    assert answer.status == 200
    assert json.loads(answer.text)["lab"] == "in trouble"


async def test_a_store_that_cannot_be_written_is_not_ready_and_still_shows_its_reports(store, browser, tmp_path):
    other = sqlite3.connect(tmp_path / "paperboy.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        answer = await browser.get("/readyz")
        assert (answer.status, json.loads(answer.text)) == (503, {"status": "not ready", "store": "down"})
        assert (await browser.get("/healthz")).status == 200
        assert (await browser.get("/")).status == 200
    finally:
        other.close()
    assert (await browser.get("/readyz")).status == 200


async def test_what_keeps_the_process_from_being_ready_is_named_and_hides_nothing_else(store):
    troubles = {"schedule": "no pass for 95 s"}
    async with browsing(a_site(store, troubles=lambda: troubles)) as browser:
        answer = await browser.get("/readyz")
        assert answer.status == 503
        assert json.loads(answer.text) == {
            "status": "not ready",
            "store": "ok",
            "team": "ok",
            "schedule": "no pass for 95 s",
        }
        assert (await browser.get("/healthz")).status == 200
        troubles.clear()
        assert (await browser.get("/readyz")).status == 200


async def test_metrics_are_for_who_has_the_token(store):
    async def page():
        return b"paperboy_reports_late_total 1.0\n"

    async with browsing(a_site(store, metrics=page, token="hush-hush")) as browser:
        assert (await browser.get("/metrics")).status == 401
        answer = await browser.get("/metrics", Authorization="Bearer hush-hush")
    assert (answer.status, answer.text) == (200, "paperboy_reports_late_total 1.0\n")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_where_nobody_counts_there_are_no_metrics(browser):
    assert (await browser.get("/metrics")).status == 404


@pytest.mark.parametrize("path", ["/", "/feed.atom", "/reports/2026-02-25/default.zh", "/papers/2602.00001"])
async def test_a_store_that_cannot_be_read_is_a_page_that_says_so(path, browser, tmp_path, caplog):
    with sqlite3.connect(tmp_path / "paperboy.db", isolation_level=None) as other:
        other.execute("PRAGMA foreign_keys = OFF")
        other.execute("DROP TABLE report")
    other.close()
    answer = await browser.get(path)
    assert answer.status == 503
    assert "存储暂时不可用" in answer.text
    assert "paperboy.db" not in answer.text
    [record] = caplog.records
    assert "the store" in record.getMessage()


async def test_a_failure_of_ours_is_a_page_without_its_details_and_a_line_in_the_log(store, caplog):
    async def broken():
        raise RuntimeError("internal detail")

    async with browsing(a_site(store, health=broken)) as browser:
        answer = await browser.get("/readyz?token=a%0Afake=line")
    assert answer.status == 500
    assert "internal detail" not in answer.text
    [record] = caplog.records
    assert (record.getMessage(), vars(record)["path"]) == ("page failed", "/readyz")


# --- listening -----------------------------------------------------------------------------------------------------


async def test_a_port_that_is_taken_is_named_with_the_setting(store):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"^web\.port: cannot listen on 127\.0\.0\.1:{port} .*another port$"):
            async with serving(a_site(store), "127.0.0.1", port):
                pass


async def test_an_address_of_another_machine_is_named_with_the_setting(store):
    with pytest.raises(SettingsError, match=r"^web\.host: cannot listen on bot\.invalid:0 .*of this machine$"):
        async with serving(a_site(store), "bot.invalid", 0):
            pass


async def test_the_port_is_free_again_when_the_server_has_ended(store):
    async with serving(a_site(store), "127.0.0.1", 0) as port:
        pass
    async with serving(a_site(store), "127.0.0.1", port) as again:
        assert again == port


async def test_clients_that_keep_their_connection_do_not_hold_up_the_end(store):
    async with aiohttp.ClientSession() as session:
        async with serving(a_site(store), "127.0.0.1", 0) as port:
            answers = [await session.get(f"http://127.0.0.1:{port}/healthz") for _ in range(2)]  # one is not read
            await answers[0].read()
            _, silent = await asyncio.open_connection("127.0.0.1", port)
            _, halfway = await asyncio.open_connection("127.0.0.1", port)
            halfway.write(b"GET /healthz HTTP/1.1\r\nHost: ")
            await halfway.drain()
            started = monotonic()
        assert monotonic() - started < 0.6 * CLOSE_SECONDS
        for writer in (silent, halfway):
            writer.close()


async def test_a_request_that_hangs_is_cut_in_time_at_the_end(store):
    asked = asyncio.Event()

    async def hangs():
        asked.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async with aiohttp.ClientSession() as session:
        async with serving(a_site(store, health=hangs), "127.0.0.1", 0) as port:
            reading = asyncio.ensure_future(session.get(f"http://127.0.0.1:{port}/readyz"))
            await asked.wait()
            started = monotonic()
        assert monotonic() - started < CLOSE_SECONDS + 0.3
        with pytest.raises(aiohttp.ClientError):
            await reading
