"""What arXiv says of papers, on invented feeds, on faults and on recorded replies."""

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import aiohttp
import pytest

from bot.errors import SourceError
from bot.models import ArxivId
from bot.sources.arxiv import FEED, Arxiv
from bot.sources.download import AFTER_A_BAN_SECONDS, Downloads
from bot.sources.pace import Pace
from tests.arxiv_standin import ArxivStandIn, Entry, a_feed, an_error_feed
from tests.fakes import SHARED_DATA, FakeClock, wait_until
from tests.source_faults import BLOCK_PAGE, CUT, DRIP, HALF, HANG, Fault, too_many

RECORDED = SHARED_DATA / "arxiv_atom"
ONE, TWO, OLD = ArxivId("2602.00001"), ArxivId("2602.00002"), ArxivId("math/0309136")
QUICK = replace(FEED, connect=0.5, read=0.2, one_try=0.4)
AGENT = "Paperboy/0.1 (me@example.org)"


@pytest.fixture
async def service() -> AsyncIterator[ArxivStandIn]:
    known = [Entry(ONE.id, version=3), Entry(TWO.id, comment=None), Entry(OLD.id, categories=("math.GT",))]
    async with ArxivStandIn(known=known) as standin:
        yield standin


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def downloads(clock: FakeClock) -> AsyncIterator[Downloads]:
    async with aiohttp.ClientSession(headers={"User-Agent": AGENT}) as session:
        pace = Pace("arxiv", clock, apart=3.0, unreachable_seconds=30.0)
        yield Downloads("arxiv", session, pace, clock, ban_seconds=AFTER_A_BAN_SECONDS)


@pytest.fixture
def source(service: ArxivStandIn, downloads: Downloads) -> Arxiv:
    return Arxiv(service.api_url, downloads, QUICK)


async def test_all_papers_come_in_one_request(source: Arxiv, service: ArxivStandIn):
    unknown = ArxivId("2602.09999")
    found = await source.papers([ONE, unknown, OLD, TWO, ONE])
    assert list(found) == [ONE.id, OLD.id, TWO.id]
    (request,) = service.asked
    assert request.query["id_list"] == "2602.00001,2602.09999,math/0309136,2602.00002"
    assert request.query["max_results"] == "4"
    assert request.headers["User-Agent"] == AGENT
    assert request.headers["Accept"] == "application/atom+xml"


async def test_a_paper_has_what_the_feed_says(source: Arxiv):
    paper = (await source.papers([ONE]))[ONE.id]
    assert paper.arxiv_id == ArxivId(ONE.id, 3)
    assert paper.title == "Seeing Through Rain: Restoration by Flow Matching"
    assert paper.abstract == "We restore photographs taken through rain & haze. It fails on snow."
    assert paper.authors == ("Ada Example", "Bo Sample")
    assert paper.published == datetime(2026, 2, 24, 18, 51, 4, tzinfo=UTC)
    assert paper.categories == ("cs.CV", "eess.IV")
    assert paper.comment == "12 pages, 5 figures"
    assert paper.source == "arxiv"


async def test_a_paper_may_have_no_comment(source: Arxiv):
    assert (await source.papers([TWO]))[TWO.id].comment is None


async def test_an_asked_version_is_the_one_that_comes(source: Arxiv):
    assert (await source.papers([ArxivId(ONE.id, 2)]))[ONE.id].arxiv_id == ArxivId(ONE.id, 2)


async def test_a_malformed_id_is_never_sent(source: Arxiv, service: ArxivStandIn, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        assert list(await source.papers([ArxivId("abc"), ONE, ArxivId("2602.00001,x")])) == [ONE.id]
    assert service.asked[0].query["id_list"] == ONE.id
    assert "malformed IDs not asked for" in caplog.text


async def test_without_an_id_nothing_is_asked(source: Arxiv, service: ArxivStandIn):
    assert await source.papers([]) == {}
    assert await source.papers([ArxivId("abc")]) == {}
    assert service.asked == []


async def test_requests_keep_arxivs_distance(source: Arxiv, service: ArxivStandIn, clock: FakeClock):
    await asyncio.gather(*(source.papers([ONE]) for _ in range(3)))
    assert len(service.asked) == 3
    assert clock.slept == [3, 3]


@pytest.mark.parametrize("fault", [BLOCK_PAGE, HALF, CUT, HANG, DRIP, Fault(503), Fault(body=b"")])
async def test_a_passing_trouble_is_overcome(source: Arxiv, service: ArxivStandIn, clock: FakeClock, fault: Fault):
    service.faults.append(fault)
    assert list(await source.papers([ONE])) == [ONE.id]
    assert len(service.asked) == 2
    assert clock.slept == [3]


async def test_a_page_that_misses_papers_is_asked_for_again(source: Arxiv, service: ArxivStandIn):
    service.faults.append(Fault(body=a_feed(Entry(ONE.id).xml(1), total=2)))
    assert list(await source.papers([ONE, TWO])) == [ONE.id, TWO.id]
    assert len(service.asked) == 2


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (BLOCK_PAGE, "arxiv: no whole feed came"),
        (HALF, "arxiv: no whole feed came"),
        (CUT, "arxiv: no whole reply"),
        (HANG, "arxiv: no whole reply"),
        (DRIP, "arxiv: no end within 0.4 seconds"),
        (Fault(500), "arxiv: HTTP 500"),
    ],
)
async def test_a_lasting_trouble_is_told_after_three_tries(
    source: Arxiv, service: ArxivStandIn, fault: Fault, says: str
):
    service.faults.extend([fault] * 3)
    with pytest.raises(SourceError, match=says) as trouble:
        await source.papers([ONE])
    assert trouble.value.retryable
    assert len(service.asked) == 3


async def test_retry_after_is_honoured(source: Arxiv, service: ArxivStandIn, clock: FakeClock):
    service.faults.extend([too_many("11"), too_many("1")])
    assert list(await source.papers([ONE])) == [ONE.id]
    assert clock.slept == [11, 3]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault(400, an_error_feed("abc")), "HTTP 400"),
        (Fault(404), "HTTP 404"),
        (Fault(200, an_error_feed("abc")), "refused by an error entry"),
        (Fault(body=a_feed(Entry(ONE.id, published="long ago").xml(1), total=1)), "cannot be read"),
        (Fault(302, headers={"Location": "gopher://example.org/"}), "redirected elsewhere"),
    ],
)
async def test_what_will_not_mend_itself_is_told_at_once(source: Arxiv, service: ArxivStandIn, fault: Fault, says: str):
    service.faults.append(fault)
    with pytest.raises(SourceError, match=says) as trouble:
        await source.papers([ONE])
    assert not trouble.value.retryable
    assert len(service.asked) == 1


async def test_a_403_ends_all_requests_for_a_day(source: Arxiv, service: ArxivStandIn):
    service.faults.append(Fault(403))
    with pytest.raises(SourceError, match="asks us to stop"):
        await source.papers([ONE])
    with pytest.raises(SourceError, match="must not be asked for another 86400 seconds"):
        await source.papers([ONE])
    assert len(service.asked) == 1


async def test_papers_that_nobody_asked_for_are_left_out(
    source: Arxiv, service: ArxivStandIn, caplog: pytest.LogCaptureFixture
):
    odd = Entry("no-such-archive").xml(1)
    service.faults.append(Fault(body=a_feed(Entry(TWO.id).xml(1) + odd + Entry(ONE.id).xml(1), total=3)))
    with caplog.at_level(logging.WARNING):
        assert list(await source.papers([ONE, ArxivId("2602.00003"), ArxivId("2602.00004")])) == [ONE.id]
    assert "papers that nobody asked for left out" in caplog.text


async def test_an_endless_reply_is_not_read_to_its_end(service: ArxivStandIn, downloads: Downloads):
    source = Arxiv(service.api_url, downloads, replace(QUICK, most_bytes=500))
    with pytest.raises(SourceError, match="longer than 500 bytes"):
        await source.papers([ONE])


async def test_a_service_that_is_not_there_is_a_source_error_and_left_alone(
    source: Arxiv, service: ArxivStandIn, clock: FakeClock
):
    await service.__aexit__()
    with pytest.raises(SourceError, match="arxiv: not reached") as trouble:
        await source.papers([ONE])
    assert trouble.value.retryable
    with pytest.raises(SourceError, match="could not be reached a moment ago"):
        await source.papers([ONE])
    assert clock.slept == []


async def test_a_hang_does_not_block_the_loop_and_its_asker_may_leave(source: Arxiv, service: ArxivStandIn):
    service.faults.append(HANG)
    asker = asyncio.create_task(source.papers([ONE]))
    await wait_until(lambda: len(service.asked) == 1)
    asker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asker
    assert list(await source.papers([TWO])) == [TWO.id]


def test_the_package_is_loaded_only_when_it_is_needed():
    code = "import sys, bot.sources.arxiv; print([m for m in ('arxiv', 'requests', 'lxml') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert shown.stdout.strip() == "[]"


def recorded(name: str) -> Fault:
    reply = json.loads(next(RECORDED.glob(f"{name}_*.json")).read_bytes())
    return Fault(reply["status_code"], reply["body"].encode())


@pytest.mark.shared_data
@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded replies are not here (../shared/data/arxiv_atom)")
@pytest.mark.parametrize(
    ("name", "ids", "versions"),
    [
        ("id_1605.08386", ["1605.08386"], {"1605.08386": 1}),
        ("id_quant-ph_0201082v1", ["quant-ph/0201082v1"], {"quant-ph/0201082": 1}),
        ("id_astro-ph_0601001", ["astro-ph/0601001"], {"astro-ph/0601001": 1}),
        ("id_2104.12255v1", ["2104.12255v1"], {"2104.12255": 1}),
        ("id_0808.05394_1707.08567", ["0808.0539", "1707.08567"], {"1707.08567": 1}),
        ("id_0000.0000", ["2602.00001"], {}),
    ],
)
async def test_recorded_replies_are_understood(
    source: Arxiv, service: ArxivStandIn, name: str, ids: list[str], versions: dict[str, int]
):
    service.faults.append(recorded(name))
    found = await source.papers([ArxivId.parse(text) for text in ids])
    assert {key: paper.arxiv_id.version for key, paper in found.items()} == versions
    for paper in found.values():
        assert paper.title
        assert paper.abstract
        assert paper.authors
        assert paper.published
        assert paper.categories
        assert "  " not in paper.abstract


@pytest.mark.shared_data
@pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded replies are not here (../shared/data/arxiv_atom)")
async def test_a_recorded_error_entry_fails_at_once(source: Arxiv, service: ArxivStandIn):
    service.faults.append(recorded("id_abc"))
    with pytest.raises(SourceError, match="HTTP 400"):
        await source.papers([ONE])
    assert len(service.asked) == 1


async def test_the_stand_in_refuses_a_malformed_id_as_arxiv_does(service: ArxivStandIn, downloads: Downloads):
    source = Arxiv(service.api_url + "?id_list=abc&x", downloads, QUICK)
    with pytest.raises(SourceError, match="HTTP 400"):
        await source.papers([ONE])


async def test_texts_of_any_length_are_cut_to_what_messages_can_bear(source: Arxiv, service: ArxivStandIn):
    long = "x" * 20_000
    service.known[:] = [Entry(ONE.id, title=long, summary=long, authors=(long,), comment=long)]
    paper = (await source.papers([ONE]))[ONE.id]
    assert paper.comment is not None
    assert [len(text) for text in (paper.title, paper.abstract, *paper.authors, paper.comment)] == [
        300,
        10_000,
        100,
        1000,
    ]
