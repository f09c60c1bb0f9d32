"""Pages of servers that are slow, huge, broken, lying or gone: each costs at most its cap."""

import asyncio
import gzip
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from bot.errors import SourceError
from bot.sources.download import AFTER_A_BAN_SECONDS, Downloads, Wanted, at_home
from bot.sources.pace import Pace, RefusedError, UnreachedError
from tests.arxiv_standin import ArxivStandIn
from tests.fakes import FakeClock, wait_until
from tests.source_faults import CUT, DRIP, HANG, TORN, Fault, bomb, flood, moved, too_many, zipped

AGENT = "Paperboy/0.1 (me@example.org)"
PAGE = b"<html><body>" + b"It fails on snow. " * 2_000 + b"</body></html>"
PATH = "/html/2602.00001"
WANTED = Wanted("text/html", 10**6, seconds=5.0, connect=0.5, read=0.3, tries=1)


@pytest.fixture
async def service() -> AsyncIterator[ArxivStandIn]:
    async with ArxivStandIn(pages={PATH: PAGE}) as standin:
        yield standin


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def downloads(clock: FakeClock) -> AsyncIterator[Downloads]:
    async with aiohttp.ClientSession(headers={"User-Agent": AGENT}) as session:
        yield Downloads("arxiv", session, Pace("arxiv", clock), clock, ban_seconds=AFTER_A_BAN_SECONDS)


async def as_it_is(content: bytes) -> bytes:
    return content


async def test_a_page_comes_whole_to_who_says_who_asks(downloads: Downloads, service: ArxivStandIn):
    assert await downloads.get(service.url + PATH, WANTED, as_it_is) == PAGE
    [asked] = service.asked
    assert asked.headers["User-Agent"] == AGENT
    assert asked.headers["Accept"] == "text/html"
    assert asked.headers["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize("name", ["gzip", "GZIP", "x-gzip"])
async def test_a_packed_page_is_unpacked(downloads: Downloads, service: ArxivStandIn, name: str):
    service.faults.append(Fault(body=gzip.compress(PAGE), headers={"Content-Encoding": name}))
    assert await downloads.get(service.url + PATH, WANTED, as_it_is) == PAGE


async def test_an_empty_page_is_an_empty_page(downloads: Downloads, service: ArxivStandIn):
    service.faults.extend([Fault(body=b""), zipped(b"")])
    assert await downloads.get(service.url + PATH, WANTED, as_it_is) == b""
    assert await downloads.get(service.url + PATH, WANTED, as_it_is) == b""


@pytest.mark.parametrize(
    ("fault", "says", "again"),
    [
        (HANG, "no whole reply", True),
        (CUT, "no whole reply", True),
        (TORN, "no whole reply", True),
        (zipped(PAGE, cut=9), "gzip ends early", True),
        (zipped(PAGE, cut=1), "gzip ends early", True),
        (Fault(body=b"no gzip at all", headers={"Content-Encoding": "gzip"}), "no whole reply", True),
        (
            Fault(body=gzip.compress(b"a") + gzip.compress(b"b"), headers={"Content-Encoding": "gzip"}),
            "no whole",
            True,
        ),
        (Fault(500), "HTTP 500", True),
        (too_many("3"), "HTTP 429", True),
        (Fault(404), "HTTP 404", False),
        (Fault(403), "asks us to stop", False),
        (Fault(206), "HTTP 206", False),
        (Fault(304, b""), "HTTP 304", False),
        (Fault(302, b"without an address"), "HTTP 302", False),
        (Fault(body=b"x" * 1_000_001), "longer than 1000000 bytes", False),
        (flood(), "longer than 1000000 bytes", False),
        (bomb(50), "longer than 1000000 bytes", False),
        (Fault(body=PAGE, headers={"Content-Encoding": "br"}), "nobody asked for", False),
    ],
)
async def test_what_is_wrong_is_told_and_whether_to_try_again(
    downloads: Downloads, service: ArxivStandIn, fault: Fault, says: str, again: bool
):
    service.faults.append(fault)
    with pytest.raises(SourceError, match=says) as trouble:
        await downloads.get(service.url + PATH, WANTED, as_it_is)
    assert trouble.value.retryable is again
    assert len(service.asked) == 1
    assert service.url not in str(trouble.value)


async def test_a_length_beyond_the_cap_is_refused_before_a_byte_is_read(downloads: Downloads, service: ArxivStandIn):
    service.faults.append(replace(DRIP, body=b"x" * 1_000_001))
    with pytest.raises(SourceError, match="longer than 1000000 bytes"):
        await downloads.get(service.url + PATH, WANTED, as_it_is)
    await wait_until(lambda: service.under_way == 0)


async def test_a_body_of_just_the_cap_is_read(downloads: Downloads, service: ArxivStandIn):
    service.faults.extend([Fault(body=b"x" * 10**6), zipped(b"x" * 10**6)])
    for _ in range(2):
        assert len(await downloads.get(service.url + PATH, WANTED, as_it_is)) == 10**6


async def test_a_drip_ends_with_its_time_all_tries_together(downloads: Downloads, service: ArxivStandIn):
    service.faults.extend([Fault(503), DRIP, DRIP, DRIP])
    wanted = replace(WANTED, seconds=0.4, tries=4)
    started = asyncio.get_running_loop().time()
    with pytest.raises(RefusedError, match=r"no end within 0\.4 seconds"):
        await downloads.get(service.url + PATH, wanted, as_it_is)
    assert asyncio.get_running_loop().time() - started < 0.8
    assert len(service.asked) == 2


async def test_a_page_is_tried_as_often_as_allowed(downloads: Downloads, service: ArxivStandIn, clock: FakeClock):
    service.faults.extend([too_many("4"), Fault(503)])
    assert await downloads.get(service.url + PATH, replace(WANTED, tries=3), as_it_is) == PAGE
    assert clock.slept == [4, 2]


async def test_a_reader_may_ask_for_another_try(downloads: Downloads, service: ArxivStandIn):
    async def whole(content: bytes) -> bytes:
        if content != PAGE:
            raise SourceError("half a page")
        return content

    service.faults.append(Fault(body=PAGE[:99]))
    assert await downloads.get(service.url + PATH, replace(WANTED, tries=2), whole) == PAGE


# --- redirects


async def test_a_redirect_within_the_place_is_followed_at_the_pace(
    downloads: Downloads, service: ArxivStandIn, clock: FakeClock
):
    async with aiohttp.ClientSession() as session:
        downloads = Downloads("arxiv", session, Pace("arxiv", clock, apart=3.0), clock)
        service.pages["/html/2602.00001v2"] = b"<p>version 2"
        service.faults.extend([moved("2602.00001v2"), moved(f"{service.url}/html/2602.00001v2", 308)])
        assert await downloads.get(service.url + PATH, WANTED, as_it_is) == b"<p>version 2"
    assert [asked.path for asked in service.asked] == [PATH, "/html/2602.00001v2", "/html/2602.00001v2"]
    assert clock.slept == [3, 3]


async def test_a_redirect_elsewhere_is_refused_and_nobody_else_is_asked(downloads: Downloads, service: ArxivStandIn):
    async with ArxivStandIn(pages={PATH: PAGE}) as other:
        for place in (
            other.url + PATH,
            f"http://localhost:{service.port}{PATH}",
            f"https://127.0.0.1:{service.port}{PATH}",
            f"//127.0.0.1:{other.port}{PATH}",
            "http://169.254.169.254/latest/meta-data",
            f"http://127.0.0.1:{service.port}@127.0.0.1:{other.port}/",
            "file:///etc/passwd",
            "gopher://127.0.0.1/",
        ):
            service.faults.append(moved(place))
            with pytest.raises(SourceError, match="arxiv: redirected elsewhere") as trouble:
                await downloads.get(service.url + PATH, WANTED, as_it_is)
            assert not trouble.value.retryable
        assert other.asked == []
    assert len(service.asked) == 8


@pytest.mark.parametrize(
    ("here", "there", "same"),
    [
        ("http://arxiv.example/html/1", "https://arxiv.example/html/1", True),
        ("https://arxiv.example/html/1", "https://arxiv.example:443/html/2", True),
        ("https://arxiv.example/html/1", "http://arxiv.example/html/1", False),
        ("http://arxiv.example:8080/html/1", "https://arxiv.example/html/1", False),
        ("http://arxiv.example/html/1", "https://arxiv.example:8443/html/1", False),
        ("http://arxiv.example/html/1", "https://export.arxiv.example/html/1", False),
        ("http://arxiv.example/html/1", "/html/2", False),
    ],
)
def test_plain_http_may_lead_to_the_same_host_over_https(here: str, there: str, same: bool):
    assert at_home(URL(here), URL(there)) is same


@pytest.mark.parametrize("place", ["http://[", "http://127.0.0.1:99999/"])
async def test_a_redirect_to_no_address_is_an_error(downloads: Downloads, service: ArxivStandIn, place: str):
    service.faults.append(moved(place))
    with pytest.raises(SourceError, match="the address cannot be used"):
        await downloads.get(service.url + PATH, WANTED, as_it_is)


async def test_an_endless_redirect_ends(downloads: Downloads, service: ArxivStandIn):
    service.faults.extend([moved(PATH)] * 20)
    with pytest.raises(SourceError, match="more than 5 redirects"):
        await downloads.get(service.url + PATH, WANTED, as_it_is)
    assert len(service.asked) == 6


@pytest.mark.parametrize("url", ["http://[", "ftp://127.0.0.1/x", "http://127.0.0.1:99999/"])
async def test_an_address_that_is_none_is_an_error_that_will_not_mend(downloads: Downloads, url: str):
    with pytest.raises(SourceError, match="the address cannot be used") as trouble:
        await downloads.get(url, WANTED, as_it_is)
    assert not trouble.value.retryable


# --- who cannot be reached


async def test_nobody_there_is_told_apart_from_a_broken_reply(downloads: Downloads, service: ArxivStandIn):
    await service.__aexit__()
    for url in (service.url + PATH, "http://nobody.invalid/html/1"):
        with pytest.raises(UnreachedError, match="arxiv: not reached"):
            await downloads.get(url, WANTED, as_it_is)


async def test_a_connection_that_is_never_made_is_given_up(downloads: Downloads):
    with socket.socket() as listening, socket.socket() as first:  # a full queue: what comes further gets no answer
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        first.connect(listening.getsockname())
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        with pytest.raises(UnreachedError, match="not reached"):
            await downloads.get(url, replace(WANTED, connect=0.1), as_it_is)


# --- nothing leaks


def descriptors() -> int:
    return len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))


async def test_no_connection_and_no_task_is_left_behind(service: ArxivStandIn, clock: FakeClock):
    tasks, before = len(asyncio.all_tasks()), descriptors()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1, force_close=True)) as session:
        downloads = Downloads("arxiv", session, Pace("arxiv", clock), clock)
        for fault in (
            HANG,
            CUT,
            TORN,
            DRIP,
            flood(),
            bomb(20),
            Fault(404),
            moved("http://localhost/"),
            zipped(b"", cut=1),
        ):
            service.faults.append(fault)
            with pytest.raises(SourceError):
                await downloads.get(service.url + PATH, replace(WANTED, read=0.1, seconds=0.2), as_it_is)
        service.faults.append(HANG)
        asker = asyncio.create_task(downloads.get(service.url + PATH, WANTED, as_it_is))
        await wait_until(lambda: len(service.asked) == 10)
        asker.cancel()
        await asyncio.wait([asker])
        assert asker.cancelled()
        assert await downloads.get(service.url + PATH, WANTED, as_it_is) == PAGE
        await wait_until(lambda: service.under_way == 0 and len(asyncio.all_tasks()) == tasks)
    await wait_until(lambda: descriptors() == before)
