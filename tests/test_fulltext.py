"""Getting what can be read of a paper: in which order, from whom, at what cost, and what is kept."""

import asyncio
import logging
import re
import threading
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from bot.clock import SystemClock
from bot.errors import StoreError
from bot.interfaces import Clock
from bot.models import ArxivId, Basis, FullText, Section
from bot.sources.arxiv import Arxiv
from bot.sources.download import AFTER_A_BAN_SECONDS, Downloads, Wanted
from bot.sources.fulltext import AbstractTexts, Limits, PaperTexts, Readers, Upstream
from bot.sources.fulltext.reading import Desk
from bot.sources.fulltext.sections import UnreadableError
from bot.sources.pace import Hold, Pace
from bot.store.sqlite import SqliteStore
from tests import pdf_maker
from tests.arxiv_standin import ArxivStandIn, Entry
from tests.fakes import FakeClock, a_paper, wait_until
from tests.huggingface_standin import HuggingFaceStandIn
from tests.source_faults import (
    BLOCK_PAGE,
    CUT,
    DRIP,
    HALF,
    HANG,
    TORN,
    Fault,
    bomb,
    flood,
    moved,
    too_many,
    zipped,
)

AGENT = "Paperboy/0.1 (me@example.org)"
PAPER = a_paper(1)
ID = PAPER.arxiv_id.id
VERSION_2 = replace(PAPER, arxiv_id=ArxivId(ID, 2))
HTML, PDF = f"/html/{ID}", f"/pdf/{ID}"
NAMED = re.compile(r"paper (\S+)")

# --- readers of pages as simple as they can be: what matters here is who reads what, not how


def a_page(name: str = ID) -> bytes:
    return f"<html><body>the paper {name} by HTML</body></html>".encode()


def a_pdf(name: str = ID) -> bytes:
    return f"%PDF-1.7 the paper {name} by PDF".encode()


def a_markdown(name: str = f"{ID}v3") -> bytes:
    return f"# the paper {name} by Markdown".encode()


def the_text(content: str, basis: Basis, abstract: str = "") -> FullText:
    named = NAMED.search(content)
    if named is None:
        raise UnreadableError("no paper")
    sections = (Section("S0", "", "Abstract", abstract), Section("S1", "1", "Method", content))
    return FullText(ArxivId.parse(named[1]), basis, sections)


async def read_pdf(content: bytes, arxiv_id: ArxivId, abstract: str) -> FullText:
    return the_text(content.decode(), Basis.PDF, abstract)


READERS = Readers(
    html=lambda content, arxiv_id: the_text(content.decode(errors="replace"), Basis.HTML),
    markdown=lambda content, arxiv_id, abstract: the_text(content, Basis.MARKDOWN, abstract),
    pdf=read_pdf,
)
QUICK = Wanted("text/html", 10**6, seconds=0.6, connect=0.3, read=0.2, tries=2)
LIMITS = Limits(
    total=300.0,  # of a clock that nobody has to wait for
    turn=100.0,
    reading=0.5,
    html=QUICK,
    markdown=replace(QUICK, accept="text/markdown"),
    pdf=replace(QUICK, accept="application/pdf"),
)


@dataclass
class Sources:
    """Stand-ins, a store, and what reads from them. `texts(clock)` is as another process would have it."""

    arxiv: ArxivStandIn
    huggingface: HuggingFaceStandIn
    store: SqliteStore
    clock: FakeClock
    session: aiohttp.ClientSession
    readers: Readers = READERS
    limits: Limits = LIMITS
    downloads: list[Downloads] = field(default_factory=list)

    def texts(self, clock: Clock | None = None, *, apart: float = 3.0) -> PaperTexts:
        clock = clock or self.clock
        pace = Pace("arxiv", clock, apart=apart, hold=Hold("arxiv", self.store, clock), unreachable_seconds=30.0)
        pages = Downloads("arxiv", self.session, pace, clock, ban_seconds=AFTER_A_BAN_SECONDS)
        face = Downloads("huggingface", self.session, Pace("huggingface", clock), clock)
        self.downloads.append(pages)
        return PaperTexts(
            self.store,
            clock,
            Upstream(self.arxiv.url, pages),
            Upstream(self.huggingface.url, face),
            readers=self.readers,
            limits=self.limits,
        )

    @property
    def asked(self) -> list[str]:
        """The pages that were asked for, those of Hugging Face last."""
        return [request.path for request in (*self.arxiv.asked, *self.huggingface.asked)]


@asynccontextmanager
async def some_sources(folder: Path) -> AsyncIterator[Sources]:
    connector = aiohttp.TCPConnector(limit=2, force_close=True)
    async with (
        ArxivStandIn() as arxiv,
        HuggingFaceStandIn() as huggingface,
        SqliteStore.open(folder / "paperboy.db") as store,
        aiohttp.ClientSession(headers={"User-Agent": AGENT}, connector=connector) as session,
    ):
        yield Sources(arxiv, huggingface, store, FakeClock(), session)


@pytest.fixture
async def sources(tmp_path: Path) -> AsyncIterator[Sources]:
    async with some_sources(tmp_path) as opened:
        yield opened


def several(fault: Fault) -> deque[Fault]:
    return deque([fault] * 3)


def everywhere(sources: Sources, name: str = ID) -> None:
    """The paper is wherever it can be."""
    sources.arxiv.pages |= {f"/html/{name}": a_page(f"{name}v3"), f"/pdf/{name}": a_pdf(f"{name}v3")}
    sources.huggingface.texts[name] = a_markdown(f"{name}v3")


# --- the order


async def test_a_papers_text_is_its_abstract_and_says_so():
    text = await AbstractTexts().fetch(PAPER)
    assert text.arxiv_id == PAPER.arxiv_id
    assert text.basis is Basis.ABSTRACT
    assert text.sections == (Section("S0", "", "Abstract", PAPER.abstract),)


async def test_arxivs_html_comes_first_with_the_version_that_it_names(sources: Sources):
    everywhere(sources)
    text = await sources.texts().fetch(PAPER)
    assert (text.basis, text.arxiv_id) == (Basis.HTML, ArxivId(ID, 3))
    assert sources.asked == [HTML]
    [request] = sources.arxiv.asked
    assert request.headers["User-Agent"] == AGENT
    assert request.headers["Accept"] == "text/html"


async def test_a_page_without_an_abstract_gets_the_one_that_is_known(sources: Sources):
    everywhere(sources)
    assert (await sources.texts().fetch(PAPER)).sections[0].text == PAPER.abstract


async def test_without_html_the_markdown_is_read(sources: Sources):
    everywhere(sources)
    del sources.arxiv.pages[HTML]
    text = await sources.texts().fetch(PAPER)
    assert (text.basis, text.arxiv_id) == (Basis.MARKDOWN, ArxivId(ID, 3))
    assert sources.asked == [HTML, f"/papers/{ID}.md"]
    assert sources.huggingface.asked[0].headers["User-Agent"] == AGENT


async def test_without_either_the_pdf_is_read(sources: Sources):
    sources.arxiv.pages[PDF] = a_pdf()
    text = await sources.texts().fetch(PAPER)
    assert (text.basis, text.arxiv_id) == (Basis.PDF, PAPER.arxiv_id)
    assert sources.asked == [HTML, PDF, f"/papers/{ID}.md"]
    assert text.sections[0].text == PAPER.abstract


async def test_without_anything_the_abstract_is_left(sources: Sources):
    text = await sources.texts().fetch(PAPER)
    assert text == await AbstractTexts().fetch(PAPER)
    assert await sources.store.full_text(PAPER.arxiv_id) is None


async def test_the_version_that_was_asked_for_is_the_one_that_is_read(sources: Sources):
    everywhere(sources)
    sources.arxiv.pages |= {f"{HTML}v2": a_page(f"{ID}v2"), f"{PDF}v2": a_pdf()}
    text = await sources.texts().fetch(VERSION_2)
    assert (text.basis, text.arxiv_id) == (Basis.HTML, ArxivId(ID, 2))
    assert sources.asked == [f"{HTML}v2"]


async def test_a_page_that_names_no_version_has_the_one_that_was_asked_for(sources: Sources):
    sources.arxiv.pages[f"{PDF}v2"] = a_pdf()
    text = await sources.texts().fetch(VERSION_2)
    assert (text.basis, text.arxiv_id) == (Basis.PDF, ArxivId(ID, 2))


@pytest.mark.parametrize(
    ("named", "basis"), [(f"{ID}v2", Basis.MARKDOWN), (f"{ID}v3", Basis.ABSTRACT), (ID, Basis.ABSTRACT)]
)
async def test_markdown_of_a_named_version_has_to_name_it(sources: Sources, named: str, basis: Basis):
    sources.huggingface.texts[ID] = a_markdown(named)
    assert (await sources.texts().fetch(VERSION_2)).basis is basis


async def test_an_old_id_keeps_its_slash(sources: Sources):
    old = replace(PAPER, arxiv_id=ArxivId("math/0309136", 1))
    sources.arxiv.pages["/pdf/math/0309136v1"] = a_pdf("math/0309136v1")
    assert (await sources.texts().fetch(old)).basis is Basis.PDF
    assert sources.asked == ["/html/math/0309136v1", "/pdf/math/0309136v1", "/papers/math/0309136.md"]


# --- what is kept


async def test_what_was_read_is_not_fetched_again_on_the_same_day(sources: Sources):
    everywhere(sources)
    first = await sources.texts().fetch(PAPER)
    sources.clock.time += timedelta(hours=23)
    assert await sources.texts().fetch(PAPER) == first
    assert await sources.texts().fetch(replace(PAPER, arxiv_id=ArxivId(ID, 3))) == first
    assert sources.asked == [HTML]


async def test_a_day_later_there_may_be_a_newer_version(sources: Sources):
    everywhere(sources)
    await sources.texts().fetch(PAPER)
    sources.clock.time += timedelta(hours=24)
    sources.arxiv.pages[HTML] = a_page(f"{ID}v4")
    assert (await sources.texts().fetch(PAPER)).arxiv_id == ArxivId(ID, 4)


async def test_the_html_of_a_version_is_final(sources: Sources):
    everywhere(sources, f"{ID}v2")
    sources.arxiv.pages[f"{HTML}v2"] = a_page(f"{ID}v2")
    first = await sources.texts().fetch(VERSION_2)
    sources.clock.time += timedelta(days=400)
    assert await sources.texts().fetch(VERSION_2) == first
    assert sources.asked == [f"{HTML}v2"]


async def test_an_older_version_that_someone_asked_for_does_not_pass_for_the_latest(sources: Sources):
    everywhere(sources)
    sources.arxiv.pages[f"{HTML}v2"] = a_page(f"{ID}v2")
    await sources.texts().fetch(VERSION_2)
    assert (await sources.texts().fetch(PAPER)).arxiv_id == ArxivId(ID, 3)
    await sources.store.keep_full_text(the_text(a_page(f"{ID}v2").decode(), Basis.HTML), sources.clock.now())
    assert (await sources.texts().fetch(PAPER)).arxiv_id == ArxivId(ID, 3)
    assert sources.asked == [f"{HTML}v2", HTML]


async def test_for_a_pdf_something_better_is_looked_for_once_a_day_and_the_pdf_itself_not_again(sources: Sources):
    sources.arxiv.pages[f"{PDF}v2"] = a_pdf()
    await sources.texts().fetch(VERSION_2)
    sources.clock.time += timedelta(hours=25)
    assert (await sources.texts().fetch(VERSION_2)).basis is Basis.PDF
    assert sources.asked.count(f"{PDF}v2") == 1
    assert sources.asked.count(f"{HTML}v2") == 2
    sources.arxiv.pages[f"{HTML}v2"] = a_page(f"{ID}v2")
    sources.clock.time += timedelta(hours=25)
    assert (await sources.texts().fetch(VERSION_2)).basis is Basis.HTML
    assert (await sources.texts().fetch(VERSION_2)).basis is Basis.HTML
    assert sources.asked.count(f"{HTML}v2") == 3


async def test_a_lasting_trouble_leaves_what_was_read_before(sources: Sources):
    everywhere(sources)
    first = await sources.texts().fetch(PAPER)
    sources.clock.time += timedelta(days=3)
    sources.arxiv.pages.clear()
    sources.huggingface.texts.clear()
    assert await sources.texts().fetch(PAPER) == first


async def test_any_version_is_better_than_an_abstract(sources: Sources):
    sources.arxiv.pages[f"{HTML}v2"] = a_page(f"{ID}v2")
    second = await sources.texts().fetch(VERSION_2)
    assert await sources.texts().fetch(PAPER) == second
    assert (await sources.texts().fetch(replace(PAPER, arxiv_id=ArxivId(ID, 1)))).basis is Basis.ABSTRACT


async def test_a_pdf_does_not_replace_the_html_of_the_same_version(sources: Sources):
    everywhere(sources)
    await sources.texts().fetch(PAPER)
    sources.clock.time += timedelta(hours=25)
    del sources.arxiv.pages[HTML], sources.huggingface.texts[ID]
    assert (await sources.texts().fetch(PAPER)).basis is Basis.HTML
    sources.arxiv.pages[PDF] = a_pdf(f"{ID}v4")
    assert (await sources.texts().fetch(PAPER)).arxiv_id == ArxivId(ID, 4)


async def test_an_unnamed_version_that_is_the_latest_serves_for_a_day(sources: Sources):
    sources.arxiv.pages[PDF] = a_pdf()
    for _ in range(2):
        assert (await sources.texts().fetch(PAPER)).basis is Basis.PDF
    assert sources.asked.count(PDF) == 1


class BrokenStore:
    async def full_text(self, arxiv_id: ArxivId) -> None:
        raise StoreError("the store is locked")

    async def keep_full_text(self, full_text: FullText, fetched_at: object) -> None:
        raise StoreError("the store is locked")

    async def note(self, key: str) -> None:
        raise StoreError("the store is locked")

    async def keep_note(self, key: str, value: str) -> None:
        raise StoreError("the store is locked")

    async def swap_note(self, key: str, standing: str | None, value: str) -> bool:
        raise StoreError("the store is locked")


async def test_a_broken_store_costs_a_fetch_and_no_text(sources: Sources, caplog: pytest.LogCaptureFixture):
    everywhere(sources)
    texts = sources.texts()
    sources.store = BrokenStore()  # type: ignore[assignment]  # as much of a store as is asked
    broken = sources.texts()
    for _ in range(2):
        assert (await broken.fetch(PAPER)).basis is Basis.HTML
    assert sources.asked == [HTML, HTML]
    assert "full text not kept" in caplog.text
    del texts


# --- hostile and broken servers: every step costs at most its cap and falls through

EVIL = {
    "slow": DRIP,
    "huge": flood(),
    "huge and saying so": Fault(body=b"<p>" + b"x" * 10**6),
    "a bomb": bomb(50),
    "truncated": CUT,
    "truncated without a length": TORN,
    "a truncated archive": zipped(a_page(), cut=1),
    "hanging": HANG,
    "busy for long": too_many("3000"),
    "broken": Fault(500),
    "not there": Fault(404),
    "gone": Fault(410),
    "blocked, with 200": BLOCK_PAGE,
    "a stub, with 200": Fault(body=b"<html><body>No HTML for this one</body></html>"),
    "empty": Fault(body=b""),
    "half": HALF,
    "another one's": Fault(body=a_page("2602.00009")),
    "binary": Fault(body=bytes(range(256)) * 40),
    "elsewhere": moved("http://localhost:1/html/1"),
    "in a circle": moved(HTML),
}


@pytest.mark.parametrize("name", EVIL)
async def test_a_bad_html_page_costs_its_cap_and_the_markdown_is_read(sources: Sources, name: str):
    everywhere(sources)
    sources.arxiv.faults.extend([EVIL[name]] * 8)
    started = time.monotonic()
    assert (await sources.texts().fetch(PAPER)).basis is Basis.MARKDOWN
    assert time.monotonic() - started < QUICK.seconds + 0.4
    assert len(sources.arxiv.asked) <= (6 if name == "in a circle" else 2)
    await wait_until(lambda: sources.arxiv.under_way == 0)


@pytest.mark.parametrize("name", [name for name in EVIL if name not in ("busy for long", "in a circle")])
async def test_bad_markdown_costs_its_cap_and_the_pdf_is_read(sources: Sources, name: str):
    sources.arxiv.pages[PDF] = a_pdf()
    sources.huggingface.texts[ID] = a_markdown()
    sources.huggingface.faults.extend([EVIL[name]] * 3)
    started = time.monotonic()
    assert (await sources.texts().fetch(PAPER)).basis is Basis.PDF
    assert time.monotonic() - started < QUICK.seconds + 0.4
    assert len(sources.huggingface.asked) <= 2


@pytest.mark.parametrize("name", [name for name in EVIL if name != "in a circle"])
async def test_a_bad_pdf_costs_its_cap_and_the_abstract_is_left(sources: Sources, name: str):
    sources.arxiv.pages[PDF] = a_pdf()
    sources.arxiv.at[PDF] = several(EVIL[name])
    started = time.monotonic()
    assert (await sources.texts().fetch(PAPER)).basis is Basis.ABSTRACT
    assert time.monotonic() - started < QUICK.seconds + 0.4


async def test_what_only_calls_itself_so_is_not_read(sources: Sources):
    sources.arxiv.pages |= {HTML: a_pdf(), PDF: a_page()}
    sources.huggingface.texts[ID] = a_page()
    texts = sources.texts()
    assert (await texts.fetch(PAPER)).basis is Basis.ABSTRACT
    assert len(sources.asked) == 3


async def test_another_version_than_the_one_asked_for_is_not_taken(sources: Sources):
    sources.arxiv.pages |= {f"{HTML}v2": a_page(f"{ID}v1"), f"{PDF}v2": a_pdf(f"{ID}v3")}
    assert (await sources.texts().fetch(VERSION_2)).basis is Basis.ABSTRACT


async def test_a_403_asks_all_of_us_to_stop_for_a_day(sources: Sources):
    everywhere(sources)
    everywhere(sources, "2602.00002")
    sources.arxiv.faults.append(Fault(403))
    assert (await sources.texts().fetch(PAPER)).basis is Basis.MARKDOWN
    del sources.huggingface.texts["2602.00002"]
    assert (await sources.texts().fetch(a_paper(2))).basis is Basis.ABSTRACT
    assert len(sources.arxiv.asked) == 1
    sources.clock.time += timedelta(seconds=AFTER_A_BAN_SECONDS + 1)
    assert (await sources.texts().fetch(a_paper(2))).basis is Basis.HTML


async def test_retry_after_is_kept_and_then_the_page_comes(sources: Sources):
    everywhere(sources)
    sources.arxiv.faults.append(too_many("7"))
    assert (await sources.texts().fetch(PAPER)).basis is Basis.HTML
    assert 7 <= sum(sources.clock.slept) < 8


async def test_an_arxiv_that_cannot_be_reached_costs_a_report_almost_nothing(
    sources: Sources, caplog: pytest.LogCaptureFixture
):
    await sources.arxiv.__aexit__()
    texts, started = sources.texts(), time.monotonic()
    with caplog.at_level(logging.WARNING):
        found = await asyncio.gather(*(texts.fetch(a_paper(number)) for number in range(1, 16)))
    assert {text.basis for text in found} == {Basis.ABSTRACT}
    assert time.monotonic() - started < 1.5
    assert [record.message for record in caplog.records].count(
        "service left alone: arxiv: not reached (ClientConnectorError)"
    ) == 1
    assert sum(sources.clock.slept) == 0


async def test_the_whole_takes_no_longer_than_it_may(sources: Sources, caplog: pytest.LogCaptureFixture):
    async def endless(content: bytes, arxiv_id: ArxivId, abstract: str) -> FullText:
        await asyncio.Event().wait()
        raise AssertionError

    sources.arxiv.pages[PDF] = a_pdf()
    sources.readers = replace(READERS, pdf=endless)
    sources.limits = replace(LIMITS, total=0.3, reading=0.1)
    started = time.monotonic()
    assert (await sources.texts(SystemClock(), apart=0.0).fetch(PAPER)).basis is Basis.ABSTRACT
    assert 0.2 < time.monotonic() - started < 1.0
    assert "no full text in time" in caplog.text


async def test_no_request_is_begun_that_would_leave_no_time_to_read(sources: Sources):
    everywhere(sources)
    sources.limits = replace(LIMITS, total=0.5, reading=0.6)
    assert (await sources.texts().fetch(PAPER)).basis is Basis.ABSTRACT
    assert sources.asked == []


async def test_what_failed_a_moment_ago_is_not_asked_for_again_at_once(sources: Sources):
    texts = sources.texts()
    for _ in range(3):
        assert (await texts.fetch(PAPER)).basis is Basis.ABSTRACT
    assert len(sources.asked) == 3
    everywhere(sources)
    sources.clock.time += timedelta(minutes=16)
    assert (await texts.fetch(PAPER)).basis is Basis.HTML


async def test_who_waits_behind_many_goes_to_the_next_place_in_time(sources: Sources):
    """arXiv is busy with somebody else's page; Hugging Face has the text."""
    everywhere(sources)
    everywhere(sources, "2602.00002")
    sources.limits = replace(LIMITS, turn=0.1, html=replace(QUICK, seconds=2.0, read=2.0))
    sources.arxiv.at["/html/2602.00002"] = several(HANG)
    texts = sources.texts(SystemClock(), apart=0.01)
    first = asyncio.create_task(texts.fetch(a_paper(2)))
    await wait_until(lambda: len(sources.arxiv.asked) == 1)
    assert (await texts.fetch(PAPER)).basis is Basis.MARKDOWN
    first.cancel()
    await asyncio.wait([first])


# --- readers that fail


@pytest.mark.parametrize("error", [RecursionError, ValueError, MemoryError, AssertionError])
async def test_a_reader_that_breaks_costs_only_its_page_and_tells_no_text(
    sources: Sources, caplog: pytest.LogCaptureFixture, error: type[Exception]
):
    def broken(content: bytes, arxiv_id: ArxivId) -> FullText:
        raise error(content.decode())

    everywhere(sources)
    sources.readers = replace(READERS, html=broken)
    with caplog.at_level(logging.DEBUG):
        assert (await sources.texts().fetch(PAPER)).basis is Basis.MARKDOWN
    assert f"reader failed ({error.__name__})" in " ".join(str(vars(record)) for record in caplog.records)
    assert "by HTML" not in " ".join(str(vars(record)) for record in caplog.records)


async def test_a_reader_that_hangs_is_left_behind_and_no_other_is_started_beside_it(sources: Sources):
    release = threading.Event()

    def hanging(content: bytes, arxiv_id: ArxivId) -> FullText:
        release.wait(5)
        return the_text(content.decode(), Basis.HTML)

    everywhere(sources)
    everywhere(sources, "2602.00002")
    del sources.huggingface.texts[ID], sources.huggingface.texts["2602.00002"]
    sources.readers = replace(READERS, html=hanging)
    texts = sources.texts()
    texts._desk = Desk(thread_seconds=0.05)
    assert (await texts.fetch(PAPER)).basis is Basis.PDF
    assert (await texts.fetch(a_paper(2))).basis is Basis.PDF
    assert sum(thread.name == "reader" for thread in threading.enumerate()) == 1
    release.set()
    await wait_until(lambda: not texts._desk._occupied)
    everywhere(sources, "2602.00003")
    assert (await texts.fetch(a_paper(3))).basis is Basis.HTML


async def test_one_page_is_read_at_a_time(sources: Sources):
    reading = most = 0

    def count(content: bytes, arxiv_id: ArxivId) -> FullText:
        nonlocal reading, most
        reading += 1
        most = max(most, reading)
        time.sleep(0.01)
        reading -= 1
        return the_text(content.decode(), Basis.HTML)

    async def count_pdf(content: bytes, arxiv_id: ArxivId, abstract: str) -> FullText:
        return await asyncio.to_thread(count, content, arxiv_id)

    for number in range(1, 7):
        kind, content = (HTML, a_page) if number % 2 else (PDF, a_pdf)
        sources.arxiv.pages[kind.replace(ID, f"2602.0000{number}")] = content(f"2602.0000{number}")
    sources.readers = replace(READERS, html=count, pdf=count_pdf)
    texts = sources.texts(apart=0.0)
    await asyncio.gather(*(texts.fetch(a_paper(number)) for number in range(1, 7)))
    assert most == 1


# --- sharing


async def test_who_asks_for_the_same_paper_shares_one_fetch(sources: Sources):
    everywhere(sources)
    texts = sources.texts()
    found = await asyncio.gather(*(texts.fetch(PAPER) for _ in range(50)))
    assert all(text == found[0] for text in found)
    assert sources.asked == [HTML]
    assert texts._running == {}


async def test_a_version_is_another_thing_than_the_latest(sources: Sources):
    everywhere(sources)
    sources.arxiv.pages[f"{HTML}v2"] = a_page(f"{ID}v2")
    texts = sources.texts()
    found = await asyncio.gather(texts.fetch(PAPER), texts.fetch(VERSION_2))
    assert [text.arxiv_id.version for text in found] == [3, 2]


async def test_one_who_gives_up_does_not_take_the_text_from_the_others_and_the_last_one_does(sources: Sources):
    everywhere(sources)
    release = asyncio.Event()

    async def waiting(content: bytes, arxiv_id: ArxivId, abstract: str) -> FullText:
        await release.wait()
        return the_text(content.decode(), Basis.PDF)

    del sources.arxiv.pages[HTML], sources.huggingface.texts[ID]
    sources.readers = replace(READERS, pdf=waiting)
    texts, before = sources.texts(), asyncio.all_tasks()
    leaving, staying = (asyncio.create_task(texts.fetch(PAPER)) for _ in range(2))
    await wait_until(texts._desk._lock.locked)
    leaving.cancel()
    await asyncio.wait([leaving])
    release.set()
    assert (await staying).basis is Basis.PDF

    sources.clock.time += timedelta(hours=25)
    release.clear()
    both = [asyncio.create_task(texts.fetch(PAPER)) for _ in range(2)]
    await wait_until(texts._desk._lock.locked)
    for task in both:
        task.cancel()
    await asyncio.wait(both)
    await wait_until(lambda: asyncio.all_tasks() == before)
    assert texts._running == {}
    assert not texts._desk._lock.locked()


# --- with the readers that read what is really served

PROSE = " ".join(f"Step {number} finds the wet pixels of one photograph and restores them." for number in range(40))
HEADINGS = ("Introduction", "Method", "Experiments", "Limitations")


def a_real_page() -> bytes:
    parts = "".join(
        f'<section id="S{number}" class="ltx_section"><h2 class="ltx_title ltx_title_section">'
        f'<span class="ltx_tag ltx_tag_section">{number} </span>{title}</h2>'
        f'<div class="ltx_para"><p class="ltx_p">{PROSE}</p></div></section>'
        for number, title in enumerate(HEADINGS, start=1)
    )
    heading = '<h6 class="ltx_title ltx_title_abstract">Abstract</h6>'
    abstract = f'<div class="ltx_abstract">{heading}<p class="ltx_p">We restore.</p></div>'
    return (
        f'<!DOCTYPE html><html><head><base href="/html/{ID}v3/"></head><body><div class="ltx_page_main">'
        f'<article class="ltx_document"><h1 class="ltx_title ltx_title_document">Rain</h1>{abstract}{parts}</article>'
        "</div></body></html>"
    ).encode()


def a_real_markdown() -> bytes:
    parts = "".join(f"## {number} {title}\n\n{PROSE}\n\n" for number, title in enumerate(HEADINGS, start=1))
    return f"Title: Rain\n\nURL Source: https://arxiv.org/html/{ID}v3\n\nMarkdown Content:\n{parts}".encode()


def a_real_pdf() -> bytes:
    paper = pdf_maker.Paper().wide("Rain", size=16).heading("Abstract").prose("We restore.")
    for number, title in enumerate(HEADINGS, start=1):
        paper.heading(f"{number} {title}").prose(PROSE)
    return bytes(pdf_maker.file_of(paper.words))


@pytest.mark.parametrize("basis", [Basis.HTML, Basis.MARKDOWN, Basis.PDF])
async def test_what_the_services_serve_is_read_and_kept_whole(sources: Sources, basis: Basis):
    sources.arxiv.pages |= {HTML: a_real_page(), PDF: a_real_pdf()}
    sources.huggingface.texts[ID] = a_real_markdown()
    if basis is not Basis.HTML:
        del sources.arxiv.pages[HTML]
    if basis is Basis.PDF:
        del sources.huggingface.texts[ID]
    sources.readers = Readers()
    text = await sources.texts().fetch(PAPER)
    assert text.basis is basis
    assert text.arxiv_id.version == (None if basis is Basis.PDF else 3)
    assert [section.title for section in text.sections[1:]] == list(HEADINGS)
    assert [section.number for section in text.sections[1:]] == ["1", "2", "3", "4"]
    assert "wet pixels" in text.sections[2].text
    assert (await sources.texts().fetch(PAPER)) == text
    assert len(sources.asked) == {Basis.HTML: 1, Basis.MARKDOWN: 2, Basis.PDF: 3}[basis]


# --- politeness


async def test_arxiv_is_asked_one_thing_at_a_time_and_left_alone_in_between(sources: Sources):
    """API, pages and PDFs, for many at once, by two processes that share the store: by the stand-in's own watch."""
    pause, clock = 0.03, SystemClock()
    sources.arxiv.known[:] = [Entry(f"2602.0000{number}") for number in range(1, 10)]
    for number in range(1, 10):
        if number % 3:
            everywhere(sources, f"2602.0000{number}")
        else:
            sources.arxiv.pages[f"/pdf/2602.0000{number}"] = a_pdf(f"2602.0000{number}")
    sources.arxiv.at |= {
        "/html/2602.00001": deque([Fault(503, headers={"Retry-After": "0.05"})]),
        "/html/2602.00002": deque([moved("/html/2602.00002")]),
        "/pdf/2602.00003": deque([too_many("0.05")]),
    }
    sources.limits = replace(LIMITS, total=20.0)
    texts = sources.texts(clock, apart=pause)
    api = Arxiv(sources.arxiv.api_url, sources.downloads[-1])
    found = await asyncio.gather(
        *(texts.fetch(a_paper(number)) for number in range(1, 10)),
        *(api.papers([ArxivId("2602.00001")]) for _ in range(3)),
    )
    assert sum(isinstance(one, FullText) and one.basis is not Basis.ABSTRACT for one in found) == 9
    assert sources.arxiv.most_at_once == 1
    assert len(sources.arxiv.asked) >= 9 + 3 + 3
    assert min(sources.arxiv.rests) >= pause
    assert {request.headers["User-Agent"] for request in sources.arxiv.asked} == {AGENT}


async def test_two_processes_ask_arxiv_as_one(sources: Sources):
    pause, clock = 0.05, SystemClock()
    for number in range(1, 7):
        everywhere(sources, f"2602.0000{number}")
    sources.limits = replace(LIMITS, total=20.0)
    one, other = (sources.texts(clock, apart=pause) for _ in range(2))
    await one.fetch(a_paper(1))
    await other.fetch(a_paper(2))
    await one.fetch(a_paper(3))
    assert sources.arxiv.most_at_once == 1
    assert min(sources.arxiv.rests) >= pause


# --- the log, and what stays behind


async def test_the_log_says_what_was_tried_and_what_came_of_it(sources: Sources, caplog: pytest.LogCaptureFixture):
    sources.arxiv.pages[PDF] = a_pdf()
    with caplog.at_level(logging.INFO):
        await sources.texts().fetch(PAPER)
    told = [vars(record) for record in caplog.records if record.name.startswith("bot.sources.fulltext")]
    assert [(record.get("basis"), record.get("found")) for record in told] == [
        ("html", "arxiv: HTTP 404"),
        ("markdown", "huggingface: HTTP 404"),
        ("pdf", "read"),
        ("pdf", None),
    ]
    assert told[2]["bytes"] == len(a_pdf())
    assert told[3]["seconds"] > 2
    assert "by PDF" not in str(told)
