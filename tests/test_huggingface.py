"""The day's list from Hugging Face, on invented lists, on faults and on real replies."""

import json
import logging
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import InputError, SourceError
from bot.models import DayList
from bot.sources import huggingface
from bot.sources.huggingface import HuggingFace, day_of, parse_list
from tests.fakes import DAY, NOW, SHARED_DATA, FakeClock
from tests.huggingface_standin import ABSTRACT, HuggingFaceStandIn, Item, an_item
from tests.source_faults import BLOCK_PAGE, CUT, DRIP, HALF, HANG, Fault, too_many

REAL = SHARED_DATA / "hf_daily"


def parsed(*items: object) -> DayList:
    return parse_list(json.dumps(items).encode(), DAY, NOW)


@pytest.fixture
async def service() -> AsyncIterator[HuggingFaceStandIn]:
    async with HuggingFaceStandIn(days={"2026-02-25": [an_item(n) for n in (3, 1, 2)]}) as standin:
        yield standin


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers={"User-Agent": "Paperboy/0.1 (me@example.org)"}) as client:
        yield client


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def source(service: HuggingFaceStandIn, session: aiohttp.ClientSession, clock: FakeClock) -> HuggingFace:
    return HuggingFace(session, service.url, clock, timeout_seconds=0.3)


async def test_a_day_is_asked_for_by_date_and_ordered_by_upvotes(source: HuggingFace, service: HuggingFaceStandIn):
    found = await source.list_day(DAY)
    assert [paper.upvotes for paper in found.papers] == [49, 48, 47]
    assert (found.day, found.captured_at, found.skipped, found.origin) == (DAY, NOW, 0, "huggingface")
    request = service.asked[0]
    assert request.query == {"date": "2026-02-25", "limit": "100"}
    assert request.headers["User-Agent"] == "Paperboy/0.1 (me@example.org)"


async def test_a_day_without_a_list_is_empty(source: HuggingFace):
    assert (await source.list_day(date(2026, 2, 22))).papers == ()


async def test_a_slash_behind_the_origin_does_no_harm(
    service: HuggingFaceStandIn, session: aiohttp.ClientSession, clock: FakeClock
):
    assert len((await HuggingFace(session, service.url + "/", clock).list_day(DAY)).papers) == 3


@pytest.mark.parametrize("fault", [BLOCK_PAGE, HALF, CUT, HANG, DRIP, Fault(503), Fault(408), Fault(body=b"")])
async def test_a_passing_trouble_is_overcome(source: HuggingFace, service: HuggingFaceStandIn, fault: Fault):
    service.faults.append(fault)
    assert len((await source.list_day(DAY)).papers) == 3
    assert len(service.asked) == 2


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (BLOCK_PAGE, "huggingface: a page came instead of a list"),
        (HALF, "huggingface: the list is not whole JSON"),
        (CUT, "huggingface: no whole reply"),
        (HANG, "huggingface: no reply within 0.3 seconds"),
        (Fault(500, b"<html>"), "huggingface: HTTP 500"),
    ],
)
async def test_a_lasting_trouble_is_told_after_three_tries(
    source: HuggingFace, service: HuggingFaceStandIn, fault: Fault, says: str
):
    service.faults.extend([fault] * 3)
    with pytest.raises(SourceError, match=says) as trouble:
        await source.list_day(DAY)
    assert trouble.value.retryable
    assert len(service.asked) == 3


@pytest.mark.parametrize(
    "fault",
    [
        Fault(400, b'{"error": "secret provider text"}'),
        Fault(404),
        Fault(body=b'{"error": "secret provider text"}'),
        Fault(body=b'[{"secret provider text": 1}]'),
        Fault(302, headers={"Location": "gopher://example.org/"}),
    ],
)
async def test_what_will_not_mend_itself_is_told_at_once(
    source: HuggingFace, service: HuggingFaceStandIn, fault: Fault
):
    service.faults.append(fault)
    with pytest.raises(SourceError, match=r"\Ahuggingface: ") as trouble:
        await source.list_day(DAY)
    assert not trouble.value.retryable
    assert "secret" not in str(trouble.value)
    assert len(service.asked) == 1


async def test_a_rate_limit_is_waited_out(source: HuggingFace, service: HuggingFaceStandIn, clock: FakeClock):
    service.faults.extend([too_many("7"), too_many(None, RateLimit='"api";r=0;t=21')])
    assert len((await source.list_day(DAY)).papers) == 3
    assert clock.slept == [7, 21]


async def test_a_rate_limit_that_lasts_minutes_ends_the_try(
    source: HuggingFace, service: HuggingFaceStandIn, clock: FakeClock
):
    service.faults.append(too_many("3600"))
    with pytest.raises(SourceError, match="another 3600 seconds"):
        await source.list_day(DAY)
    assert clock.slept == []
    assert len(service.asked) == 1


async def test_one_try_can_be_enough_for_a_demo(
    service: HuggingFaceStandIn, session: aiohttp.ClientSession, clock: FakeClock
):
    service.faults.append(HANG)
    with pytest.raises(SourceError):
        await HuggingFace(session, service.url, clock, timeout_seconds=0.1, tries=1).list_day(DAY)
    assert len(service.asked) == 1


async def test_an_endless_reply_is_not_read_to_its_end(
    source: HuggingFace, service: HuggingFaceStandIn, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(huggingface, "REPLY_BYTES", 1000)  # a real one would take 10 MB of test data
    with pytest.raises(SourceError, match="longer than 1000 bytes"):
        await source.list_day(DAY)


async def test_a_service_that_is_not_there_is_a_source_error(
    service: HuggingFaceStandIn, session: aiohttp.ClientSession, clock: FakeClock
):
    await service.__aexit__()
    with pytest.raises(SourceError, match="huggingface: no whole reply") as trouble:
        await HuggingFace(session, service.url, clock).list_day(DAY)
    assert trouble.value.retryable


async def test_the_stand_in_refuses_what_the_service_refuses(
    service: HuggingFaceStandIn, session: aiohttp.ClientSession
):
    for query in ("date=2026-13-01", "date=today", "limit=101", "limit=all"):
        async with session.get(f"{service.url}/api/daily_papers?{query}") as reply:
            assert reply.status == 400
            assert "error" in await reply.json()


def test_a_paper_has_all_that_the_list_tells():
    item = an_item(
        7,
        title="Deﬁnitely\n  Cafe\u0301:\tRain",
        authors=[{"name": " Ada  Example "}, {"name": "Eve", "hidden": True}, {"name": ""}, None, {"no": "name"}],
        organization={"name": "nw", "fullname": "Northwind"},
        githubRepo="https://github.com/example/rain",
        projectPage="http://example.org/rain",
    )
    (paper,) = parsed(item).papers
    assert str(paper.arxiv_id) == "2602.00007"
    assert paper.title == "Deﬁnitely Café: Rain"
    assert paper.abstract == ABSTRACT
    assert paper.authors == ("Ada Example",)
    assert paper.published == datetime(2026, 2, 24, 18, 51, 4, tzinfo=UTC)
    assert paper.organization == "Northwind"
    assert paper.code_url == "https://github.com/example/rain"
    assert paper.project_url == "http://example.org/rain"
    assert paper.source == "huggingface"


def test_optional_fields_may_be_missing():
    (paper,) = parsed({"paper": {"id": "2602.00001", "title": "Rain", "summary": "It rains."}}).papers
    assert (paper.authors, paper.published, paper.upvotes, paper.organization) == ((), None, 0, None)


def test_optional_fields_may_be_wrong():
    item = an_item(
        authors="many",
        publishedAt="yesterday",
        upvotes=-1,
        organization="Northwind",
        githubRepo=7,
        projectPage={},
    )
    (paper,) = parsed(item).papers
    assert (paper.authors, paper.published, paper.upvotes, paper.organization) == ((), None, 0, None)
    assert (paper.code_url, paper.project_url) == (None, None)


def test_the_items_own_fields_fill_gaps():
    item = an_item() | {"title": "From the item", "summary": "Its summary.", "organization": {"name": "nw"}}
    for key in ("title", "summary"):
        del item["paper"][key]
    (paper,) = parsed(item).papers
    assert (paper.title, paper.abstract, paper.organization) == ("From the item", "Its summary.", "nw")


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "ftp://example.org/",
        "//example.org/",
        "https://",
        "https://github.com@evil.example/",
        "https://example.org/a b",
        "https://example.org/\u202e",
        "https://[broken/",
        "https://example.org/" + "x" * 3000,
        "https://localhost/x",
        "https://a.b/)![x](https://evil.example/t.png",
    ],
)
def test_only_plain_web_addresses_are_links(url: str):
    (paper,) = parsed(an_item(githubRepo=url, projectPage=url)).papers
    assert (paper.code_url, paper.project_url) == (None, None)


@pytest.mark.parametrize(
    "broken",
    [
        None,
        "text",
        [],
        {},
        {"paper": None},
        an_item(id=None),
        an_item(id="2613.00001"),
        an_item(id="SECRET"),
        an_item(title=" \n"),
        an_item(summary=None) | {"summary": "\x00"},
    ],
)
def test_a_broken_item_is_skipped_and_counted_and_its_text_is_not_logged(
    broken: object, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.WARNING):
        found = parsed(an_item(2), broken, an_item(1))
    assert [paper.arxiv_id.id for paper in found.papers] == ["2602.00001", "2602.00002"]
    assert found.skipped == 1
    (record,) = caplog.records
    assert record.getMessage().startswith("item of a list skipped: ")
    assert "SECRET" not in caplog.text
    assert "Rain" not in caplog.text


def test_text_that_cannot_be_written_is_mended():
    (paper,) = parsed(an_item(title="Rain\ud800 and\x00\x1b snow")).papers
    assert paper.title == "Rain and snow"
    paper.title.encode()


def test_texts_of_any_length_are_cut_to_what_messages_can_bear():
    names = [{"name": "N" * 500}] * 7000
    item = an_item(title="T" * 100_000, summary="s" * 100_000, authors=names, organization={"name": "O" * 500})
    (paper,) = parsed(item).papers
    assert paper.title == "T" * 299 + "…"
    assert (len(paper.abstract), paper.abstract[-1]) == (10_000, "…")
    assert (len(paper.authors), {len(name) for name in paper.authors}) == (6000, {100})
    assert len(paper.organization or "") == 100
    (paper,) = parsed(an_item(title="T" * 300)).papers
    assert paper.title == "T" * 300


def test_a_paper_listed_twice_counts_once_and_ties_keep_the_lists_order():
    found = parsed(an_item(2, upvotes=5), an_item(1, upvotes=5), an_item(2, upvotes=5), an_item(3, upvotes=9))
    assert [paper.arxiv_id.id for paper in found.papers] == ["2602.00003", "2602.00002", "2602.00001"]
    assert found.skipped == 0


@pytest.mark.parametrize(
    ("content", "says", "retryable"),
    [
        (b"", "not whole JSON", True),
        (b"[" * 100_000, "not whole JSON", True),
        (b'[{"paper": ', "not whole JSON", True),
        (b"\xff\xfe\xff", "not whole JSON", True),
        (b"9" * 5000, "not whole JSON", True),
        (b"\n <!doctype html>", "a page came", True),
        (b'{"papers": []}', "not a list", False),
        (b"[1, 2]", "not one of 2 items", False),
    ],
)
def test_a_malformed_reply_is_not_an_empty_day(content: bytes, says: str, retryable: bool):
    with pytest.raises(SourceError, match=says) as trouble:
        parse_list(content, DAY, NOW)
    assert trouble.value.retryable is retryable


def test_a_saved_reply_tells_its_day():
    items: list[object] = [an_item(1), an_item(2), an_item(3, submittedOnDailyAt="2026-02-24T01:00:00Z"), "broken"]
    assert day_of(json.dumps(items).encode()) == DAY
    assert day_of(json.dumps([an_item(submittedOnDailyAt=None)]).encode()) is None
    assert day_of(b"[]") is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(an_item()["paper"])), inner, max_size=4)
    ),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["id", "authors", "publishedAt", "title", "summary", "upvotes", "organization", "githubRepo"]), JSON
)
def test_no_field_of_an_item_takes_the_list_down(field: str, value: object):
    found = parsed(an_item(1), an_item(2, **{field: value}))
    assert len(found.papers) + found.skipped in (1, 2)
    for paper in found.papers:
        for text in (paper.title, paper.abstract, *paper.authors):
            assert text.encode()
            assert text == " ".join(text.split())


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40))
def test_no_reply_crashes_the_parser(content: bytes):
    try:
        parse_list(content, DAY, NOW)
    except (SourceError, InputError):
        return


@pytest.mark.shared_data
@pytest.mark.skipif(not REAL.is_dir(), reason="the real replies are not here (../shared/data/hf_daily)")
def test_every_real_list_loads_whole():
    paths = sorted(REAL.glob("*.json"))
    assert len(paths) == 22
    for path in paths:
        content = path.read_bytes()
        day = date.fromisoformat(path.stem)
        found = parse_list(content, day, NOW)
        assert day_of(content) == day
        assert (len(found.papers), found.skipped) == (len(json.loads(content)), 0)
        assert [p.upvotes for p in found.papers] == sorted((p.upvotes for p in found.papers), reverse=True)
        assert all(paper.title and paper.abstract and paper.authors and paper.published for paper in found.papers)


@pytest.mark.shared_data
@pytest.mark.skipif(not REAL.is_dir(), reason="the real replies are not here (../shared/data/hf_daily)")
async def test_a_real_day_comes_through_the_service(session: aiohttp.ClientSession, clock: FakeClock):
    async with HuggingFaceStandIn.of_files(REAL) as service:
        found = await HuggingFace(session, service.url, clock).list_day(DAY)
    assert len(found.papers) == 20
    assert found.papers[0].arxiv_id.id == "2602.21193"
    assert found.papers[0].organization == "NVIDIA"


def test_the_builder_is_a_valid_item(tmp_path: Path):
    item: Item = an_item(1)
    (tmp_path / "2026-02-25.json").write_text(json.dumps([item]))
    standin = HuggingFaceStandIn.of_files(tmp_path)
    assert parsed(*standin.days["2026-02-25"]).skipped == 0
