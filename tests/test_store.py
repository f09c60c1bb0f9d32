"""What every store promises: one suite over all adapters, and a state machine that plays the ledger against a model."""

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, closing
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from bot.errors import StoreError
from bot.interfaces import Store
from bot.models import (
    Address,
    ArxivId,
    Basis,
    Figure,
    FullText,
    KeptText,
    Lease,
    Message,
    Part,
    PartKind,
    PartState,
    PlatformName,
    Ranked,
    Ranking,
    ReportKey,
    Section,
)
from bot.requests import Closing, Request, RequestState, Vote
from bot.store import sqlite_schema
from bot.store.content import from_json, micros, to_json
from bot.store.redis import RedisStore
from bot.store.sqlite import SqliteStore
from bot.store.sqlite_file import _write_ahead
from tests import redis_standin
from tests.fakes import DAY, NOW, a_day_list, a_paper, a_ranking, a_report, a_request, a_score

Opener = Callable[[Path], AbstractAsyncContextManager[Store]]


def open_sqlite(folder: Path) -> AbstractAsyncContextManager[Store]:
    return SqliteStore.open(folder / "paperboy.db")


def open_redis(url: str) -> Opener:
    """Every folder is a namespace on the server."""

    def opener(folder: Path) -> AbstractAsyncContextManager[Store]:
        namespaces.setdefault(folder, redis_standin.namespace())
        return RedisStore.open(url, namespace=namespaces[folder])

    return opener


namespaces: dict[Path, str] = {}
STORES = ("sqlite", "redis")

ADDRESS = Address(PlatformName.SLACK, "C0123", 7)
REPORT = ReportKey(DAY, "default", "zh")
LEASE = NOW + timedelta(seconds=30)


@pytest.fixture(params=STORES)
def opener(request: pytest.FixtureRequest) -> Opener:
    if request.param == "redis":
        return open_redis(request.getfixturevalue("redis_server"))
    return open_sqlite


@pytest.fixture
async def store(opener: Opener, tmp_path: Path) -> AsyncIterator[Store]:
    async with opener(tmp_path) as opened:
        yield opened


def some_parts(count: int = 3, report: ReportKey = REPORT, address: Address = ADDRESS) -> tuple[Part, ...]:
    delivery = f"{report}@{address}"
    return tuple(
        Part(
            key=f"{delivery}~{index}",
            delivery=delivery,
            index=index,
            channel="team",
            address=address,
            message=Message(PartKind.POST, "digest", '{"text": "论文日报"}', reply=index > 0),
            late=True,
            planned_at=NOW,
            updated_at=NOW,
        )
        for index in range(count)
    )


# --- lists, rankings, reports, analyses, notes


async def test_troubled_parts_are_found_newest_first_whatever_came_after(store: Store):
    first, second = some_parts(3), some_parts(2, replace(REPORT, edition=2))
    await store.plan(REPORT, first)
    await store.plan(None, second)
    for part, state in ((first[0], PartState.UNKNOWN), (first[1], PartState.SENT), (second[1], PartState.FAILED)):
        assert await store.claim(part.key, "me", NOW, LEASE)
        assert await store.record(part.key, "me", state)
    assert [part.key for part in await store.troubled(9)] == [second[1].key, first[0].key]
    assert [part.key for part in await store.troubled(1)] == [second[1].key]
    assert await store.settle(second[1].key, PartState.DROPPED)
    assert [part.key for part in await store.troubled(9)] == [first[0].key]


async def test_a_list_and_its_papers_come_back_as_they_were(store: Store):
    day_list = a_day_list(papers=(a_paper(1, organization="Rain Lab", code_url=None), a_paper(2)), skipped=3)
    await store.keep_list(day_list)
    assert await store.list_of(DAY) == day_list
    assert await store.list_of(DAY + timedelta(days=1)) is None
    assert await store.paper("2602.00001") == day_list.papers[0]
    assert await store.paper("2602.99999") is None


async def test_an_older_capture_does_not_replace_a_newer_list(store: Store):
    newer = a_day_list(3, captured_at=NOW)
    await store.keep_list(newer)
    await store.keep_list(a_day_list(1, captured_at=NOW - timedelta(hours=5)))
    assert await store.list_of(DAY) == newer


async def test_a_ranking_replaces_the_earlier_one_of_its_language(store: Store):
    await store.keep_ranking(a_ranking(4))
    english = a_ranking(3, language="en", created_at=NOW + timedelta(minutes=1))
    again = a_ranking(5, created_at=NOW + timedelta(minutes=2))
    await store.keep_ranking(english)
    await store.keep_ranking(again)
    assert await store.ranking(DAY, "default", "zh") == again
    assert await store.ranking(DAY, "other", "zh") is None
    assert await store.rankings(DAY, "default") == (english, again)


async def test_the_newest_ranked_day_is_known_for_each_profile(store: Store):
    await store.keep_ranking(a_ranking())
    await store.keep_ranking(a_ranking(day=DAY - timedelta(days=3)))
    assert await store.newest_ranking_day("default") == DAY
    assert await store.newest_ranking_day("other") is None


async def test_of_many_reports_the_newest_come_by_their_days_then_profiles_then_languages(store: Store):
    names = ("lab", "lab-2", "lab2", "default")
    keys = [ReportKey(DAY - timedelta(days=n), name, "zh") for n in range(16) for name in names]
    for key in [*keys, ReportKey(DAY, "lab", "en")]:
        await store.keep_report(a_report(count=1, chosen=0, key=key, deep_dives=()))
    found = [(report.key.day, report.key.profile, report.key.language) for report in await store.reports(99)]
    assert found == sorted(found, key=lambda key: (-key[0].toordinal(), *key[1:]))
    assert len(found) == len(keys) + 1
    for limit in (0, 1, 3, 50, 51):
        assert [report.key.profile for report in await store.reports(limit)] == [key[1] for key in found[:limit]]


async def test_the_latest_edition_of_a_report_is_the_report(store: Store):
    first, second = a_report(), a_report(key=replace(REPORT, edition=2), note="note.no_list")
    older = a_report(key=replace(REPORT, day=DAY - timedelta(days=1)))
    for report in (second, first, older):
        await store.keep_report(report)
    assert await store.report(DAY, "default", "zh") == second
    assert await store.report(DAY, "default", "en") is None
    assert await store.reports(9) == (second, older)
    assert await store.reports(1) == (second,)


async def test_what_published_reports_chose_counts_for_later_days(store: Store):
    yesterday = DAY - timedelta(days=1)
    await store.keep_report(a_report(key=ReportKey(yesterday, "default", "zh")))
    await store.keep_ranking(a_ranking(day=DAY - timedelta(days=2)))  # a ranking alone has published nothing
    chosen = {"2602.00001": yesterday, "2602.00002": yesterday}
    assert await store.chosen_before("default", DAY, DAY - timedelta(days=60)) == chosen
    assert await store.chosen_before("other", DAY, DAY - timedelta(days=60)) == {}
    assert await store.chosen_before("default", yesterday, DAY - timedelta(days=60)) == {}
    assert await store.chosen_before("default", DAY, DAY) == {}


async def test_the_edition_that_was_published_first_stands(store: Store):
    first = a_report()
    other = a_report(ranking=a_ranking(entries=(Ranked(a_paper(9), a_score(), chosen=True),)))
    assert await store.keep_report(first) == first
    assert await store.keep_report(other) == first
    assert await store.report(DAY, "default", "zh") == first
    assert await store.ranking(DAY, "default", "zh") == first.ranking
    assert await store.planned_editions(DAY, "default", "zh") == (1,)
    later = DAY + timedelta(days=1)
    assert set(await store.chosen_before("default", later, DAY)) == set(first.ranking.chosen)


async def test_a_published_ranking_is_not_replaced_by_one_that_was_asked_for(store: Store):
    published = await store.keep_report(a_report())
    await store.keep_ranking(a_ranking(count=2))
    assert await store.ranking(DAY, "default", "zh") == published.ranking
    corrected = a_report(key=replace(REPORT, edition=2), ranking=a_ranking(count=3))
    await store.keep_report(corrected)
    assert await store.ranking(DAY, "default", "zh") == corrected.ranking


def said(title: str, abstract: str = "", reason: str = "") -> tuple[Ranked, ...]:
    return (Ranked(a_paper(1, title=title, abstract=abstract), a_score(reason=reason)),)


async def test_days_are_found_by_words_anywhere_in_what_their_rankings_say(store: Store):
    for age in range(3):
        await store.keep_ranking(a_ranking(day=DAY - timedelta(days=age)))
    flow = said("Flow Matching", "It swims.", "用于去雾。")
    await store.keep_ranking(a_ranking(day=DAY - timedelta(days=9), entries=flow))
    await store.keep_ranking(a_ranking(day=DAY - timedelta(days=9), entries=said("Flow", "Fog."), language="en"))
    assert await store.days_with("default", ["Rain"], 2) == (DAY, DAY - timedelta(days=1))
    for words in (["swim"], ["去雾"], ["LOW match", "雾", "fOG"]):  # title, abstract, reason; two languages together
        assert await store.days_with("default", words, 5) == (DAY - timedelta(days=9),), words
    assert await store.days_with("default", ["flow", "snowflake"], 5) == ()
    assert await store.days_with("other", ["Rain"], 5) == ()
    assert await store.days_with("default", ["flow"], 0) == ()


async def test_no_words_find_no_days(store: Store):
    await store.keep_ranking(a_ranking())
    assert await store.days_with("default", [], 5) == ()
    assert await store.days_with("default", [""], 5) == ()


async def test_a_word_is_found_in_the_papers_that_failed_too_but_not_in_names_of_people_or_fields(store: Store):
    [failed] = said("Snow", "Sleet.")
    await store.keep_ranking(a_ranking(entries=(replace(failed, score=None, failure="failure.timeout"),)))
    assert await store.days_with("default", ["sleet"], 5) == (DAY,)
    for word in ("Ada", "failure", "arxiv_id", "huggingface", "None"):
        assert await store.days_with("default", [word], 5) == (), word


@pytest.mark.parametrize("word", ["ÉCLAIR", "éclair", "STRASSE", "straße", "ПОТОК", "σΑΣ"])
async def test_words_of_any_script_are_found_in_upper_or_lower_case(store: Store, word: str):
    await store.keep_ranking(a_ranking(entries=said("Éclair Straße", "Поток", "σας")))
    assert await store.days_with("default", [word], 5) == (DAY,)


@pytest.mark.parametrize("word", ["100%", "a_b", "'seen'", '"rain"', "\\alpha", "\\n", "[x]*", "{}?", "😀"])
async def test_a_word_means_its_own_letters_and_nothing_else(store: Store, word: str):
    plain = said("100 percent aXb seen rain alpha n x")
    await store.keep_ranking(a_ranking(day=DAY - timedelta(days=1), entries=plain))
    await store.keep_ranking(a_ranking(entries=said(f"before {word} after")))
    assert await store.days_with("default", [word], 5) == (DAY,)


@pytest.mark.parametrize("word", ["%", "_", "'", '"', "\\", "\\u", "\\\\", "*", "\x00", "\ud800", "{", "' OR 1=1 --"])
async def test_a_word_that_nobody_wrote_is_not_found(store: Store, word: str):
    await store.keep_ranking(a_ranking(entries=said("Rain", "雨")))
    assert await store.days_with("default", [word], 5) == ()


async def test_a_ranking_is_found_by_what_it_says_now(store: Store):
    await store.keep_ranking(a_ranking(entries=said("Fog")))
    await store.keep_report(a_report(ranking=a_ranking(entries=said("Mist"))))
    await store.keep_ranking(a_ranking(entries=said("Haze")))  # one is published: it stands
    found = {word: await store.days_with("default", [word], 5) for word in ("fog", "mist", "haze")}
    assert found == {"fog": (), "mist": (DAY,), "haze": ()}


async def test_a_report_without_papers_keeps_no_ranking(store: Store):
    await store.keep_report(a_report(ranking=a_ranking(entries=()), note="note.no_list", deep_dives=()))
    assert await store.ranking(DAY, "default", "zh") is None


async def test_analyses_and_notes_are_kept_and_replaced(store: Store):
    assert await store.analysis("score:1") is None
    assert await store.note("told") is None
    for value in ("a", "乙"):
        await store.keep_analysis("score:1", value)
        await store.keep_note("told", value)
    assert (await store.analysis("score:1"), await store.note("told")) == ("乙", "乙")


async def test_a_note_is_swapped_only_for_what_still_stands(store: Store):
    assert not await store.swap_note("turn", "甲", "乙")
    assert await store.swap_note("turn", None, "甲")
    assert not await store.swap_note("turn", None, "乙")
    assert not await store.swap_note("turn", "乙", "丙")
    assert await store.note("turn") == "甲"
    assert sorted(await asyncio.gather(*(store.swap_note("turn", "甲", str(n)) for n in range(8)))) == [False] * 7 + [
        True
    ]


def a_kept_text(version: int | None = 2, basis: Basis = Basis.HTML, **changes: object) -> FullText:
    figure = Figure("Figure 2", "Overview of $x_t$.", "https://arxiv.org/html/2602.00001v2/x1.png")
    values: dict[str, object] = {
        "arxiv_id": ArxivId("2602.00001", version),
        "basis": basis,
        "sections": (
            Section("S0", "", "Abstract", "We restore 照片."),
            Section("S1", "3.2", "Training", "A | table\n\n$\\alpha$", "S3.SS2", (figure,)),
        ),
        "appendix": (Section("S2", "A", "Proofs", ""),),
        "suspicious": True,
    }
    return FullText(**(values | changes))  # type: ignore[arg-type]  # builder: callers pass fields by name


async def test_a_full_text_comes_back_as_it_was_with_its_time(store: Store):
    text, moment = a_kept_text(), NOW + timedelta(microseconds=1)
    await store.keep_full_text(text, moment)
    assert await store.full_text(ArxivId("2602.00001", 2)) == KeptText(text, moment)
    assert await store.full_text(ArxivId("2602.00001", 1)) is None
    assert await store.full_text(ArxivId("2602.00002")) is None


async def test_a_full_text_replaces_that_of_its_version_and_no_other(store: Store):
    first, second = a_kept_text(1), a_kept_text(2, Basis.PDF)
    for text in (first, second, better := replace(second, basis=Basis.HTML)):
        await store.keep_full_text(text, NOW)
    assert await store.full_text(first.arxiv_id) == KeptText(first, NOW)
    assert await store.full_text(second.arxiv_id) == KeptText(better, NOW)


async def test_without_a_version_the_text_that_was_fetched_last_comes(store: Store):
    anyone = ArxivId("2602.00001")
    await store.keep_full_text(newest := a_kept_text(1), NOW + timedelta(hours=1))
    await store.keep_full_text(a_kept_text(2), NOW)
    assert await store.full_text(anyone) == KeptText(newest, NOW + timedelta(hours=1))
    unnamed = a_kept_text(None, Basis.PDF)
    await store.keep_full_text(unnamed, NOW + timedelta(hours=2))
    assert await store.full_text(anyone) == KeptText(unnamed, NOW + timedelta(hours=2))
    assert await store.full_text(ArxivId("2602.00001", 2)) == KeptText(a_kept_text(2), NOW)


async def test_an_old_id_is_a_key_like_any_other(store: Store):
    text = a_kept_text(arxiv_id=ArxivId("math/0309136", 1))
    await store.keep_full_text(text, NOW)
    assert await store.full_text(ArxivId("math/0309136")) == KeptText(text, NOW)


async def test_a_text_that_json_cannot_hold_is_a_clear_error(store: Store):
    with pytest.raises(StoreError, match="DayList"):
        await store.keep_list(a_day_list(papers=(a_paper(1, title="half a pair \ud800"),)))
    with pytest.raises(StoreError, match="FullText"):
        await store.keep_full_text(a_kept_text(sections=(Section("S0", "", "Abstract", "\ud800"),)), NOW)


async def test_the_store_answers_a_ping_by_writing(store: Store):
    await store.ping()
    await store.ping()


async def test_a_store_that_keeps_what_it_is_told_has_nothing_to_mend(store: Store):
    assert list(await store.check()) == []


# --- money


async def test_a_reservation_beyond_the_limit_changes_nothing(store: Store):
    assert await store.reserve_spend(DAY, 0.1, 0.3)
    assert await store.reserve_spend(DAY, 0.2, 0.3)  # 0.1 + 0.2 is not 0.3 in floats
    assert not await store.reserve_spend(DAY, 1e-9, 0.3)
    assert await store.spent(DAY) == pytest.approx(0.3)
    assert await store.spent(DAY + timedelta(days=1)) == 0


async def test_the_first_reservation_of_a_day_obeys_the_limit_too(store: Store):
    assert not await store.reserve_spend(DAY, 0.5, 0.4)
    assert await store.spent(DAY) == 0


async def test_without_a_limit_everything_is_counted(store: Store):
    assert await store.reserve_spend(DAY, 1e6, float("inf"))
    assert await store.reserve_spend(DAY, 2.5, float("inf"))
    assert await store.spent(DAY) == pytest.approx(1_000_002.5)


async def test_a_price_that_is_no_number_is_refused(store: Store):
    assert not await store.reserve_spend(DAY, float("nan"), 1.0)
    assert not await store.reserve_spend(DAY, float("inf"), float("inf"))


async def test_a_reservation_is_corrected_by_what_was_really_spent(store: Store):
    await store.reserve_spend(DAY, 0.5, 1.0)
    await store.settle_spend(DAY, 0.02 - 0.5)
    assert await store.spent(DAY) == pytest.approx(0.02)
    await store.settle_spend(DAY, -5.0)
    assert await store.spent(DAY) == 0
    await store.settle_spend(DAY + timedelta(days=1), 0.25)
    assert await store.spent(DAY + timedelta(days=1)) == pytest.approx(0.25)


async def test_reservations_at_once_never_pass_the_limit_together(store: Store):
    granted = await asyncio.gather(*(store.reserve_spend(DAY, 0.1, 0.5) for _ in range(20)))
    assert sum(granted) == 5
    assert await store.spent(DAY) == pytest.approx(0.5)


# --- the ledger


async def test_parts_come_back_as_they_were_planned(store: Store):
    parts = some_parts()
    await store.plan(REPORT, tuple(reversed(parts)))
    assert await store.delivery(parts[0].delivery) == parts
    assert await store.part(parts[1].key) == parts[1]
    assert await store.part("nothing~0") is None
    assert await store.delivery("nothing") == ()


async def test_a_delivery_planned_before_keeps_its_content(store: Store):
    parts = some_parts(2)
    await store.plan(REPORT, parts)
    other = replace(parts[0].message, payload="{}")
    await store.plan(REPORT, [replace(part, message=other) for part in some_parts(4)])
    assert await store.delivery(parts[0].delivery) == parts


async def test_parts_without_a_report_are_planned_like_others(store: Store):
    parts = some_parts()
    await store.plan(None, parts)
    await store.plan(None, some_parts(1))
    assert await store.delivery(parts[0].delivery) == parts
    assert await store.unfinished() == (parts[0].delivery,)
    assert not await store.planned_report(DAY, "default", "zh")


async def test_an_address_in_a_thread_comes_back_and_is_one_of_its_own(store: Store):
    within = Address(PlatformName.SLACK, "C0123", thread="1772069400.000100")
    [part], [around] = some_parts(1, address=within), some_parts(1, address=within.chat)
    await store.plan(None, [part, around])
    assert await store.delivery(part.delivery) == (part,)
    assert await store.delivery(around.delivery) == (around,)
    await store.close(within, "archived")
    assert await store.closed(within) == "archived"
    assert await store.closed(within.chat) is None


async def sent(store: Store, part: Part, *ids: str) -> None:
    await store.claim(part.key, "one", NOW, LEASE)
    await store.record(part.key, "one", PartState.SENT, ids)


async def test_a_part_is_found_by_each_of_its_messages_wherever_in_the_chat(store: Store):
    first, second, planned = some_parts()
    await store.plan(REPORT, [first, second, planned])
    await sent(store, first, "17", "18")
    await sent(store, second, "19")
    for address in (ADDRESS, ADDRESS.chat, replace(ADDRESS, topic=None, thread="17")):
        for message_id, part in {"17": first, "18": first, "19": second}.items():
            found = await store.part_posted_as(address, message_id)
            assert found is not None
            assert found.key == part.key
    for unknown in ("1", "7", "", "1718", '17","18', '","', "%", '["17","18"]'):
        assert await store.part_posted_as(ADDRESS, unknown) is None, unknown


async def test_the_same_message_id_in_another_chat_is_another_message(store: Store):
    [part] = some_parts(1)
    await store.plan(REPORT, [part])
    await sent(store, part, "17")
    assert await store.part_posted_as(replace(ADDRESS, target="C0456"), "17") is None
    assert await store.part_posted_as(replace(ADDRESS, platform=PlatformName.TELEGRAM), "17") is None


async def test_an_edited_message_is_the_part_that_it_became(store: Store):
    waiting, answer = some_parts(2)
    await store.plan(None, [waiting, answer])
    await sent(store, waiting, "17")
    await sent(store, answer, "17")
    found = await store.part_posted_as(ADDRESS, "17")
    assert found is not None
    assert found.key == answer.key


async def test_planned_editions_are_known_by_report(store: Store):
    assert not await store.planned_report(DAY, "default", "zh")
    for edition in (2, 1):
        await store.plan(replace(REPORT, edition=edition), some_parts(1, replace(REPORT, edition=edition)))
    assert await store.planned_report(DAY, "default", "zh")
    assert await store.planned_editions(DAY, "default", "zh") == (1, 2)
    assert await store.planned_editions(DAY, "default", "en") == ()


async def test_a_part_is_claimed_by_one_owner_and_counted_once(store: Store):
    [part] = some_parts(1)
    await store.plan(REPORT, [part])
    now = NOW + timedelta(minutes=3)
    assert await store.claim(part.key, "one", now, LEASE)
    assert not await store.claim(part.key, "two", now, LEASE)
    assert await store.claim(part.key, "one", now, LEASE + timedelta(seconds=5))  # the answer was lost: still mine
    claimed = await store.part(part.key)
    assert claimed == replace(
        part,
        state=PartState.SENDING,
        owner="one",
        lease=LEASE + timedelta(seconds=5),
        attempts=1,
        updated_at=now,
    )


async def test_only_one_of_many_at_once_gets_a_part(store: Store):
    [part] = some_parts(1)
    await store.plan(REPORT, [part])
    claims = await asyncio.gather(*(store.claim(part.key, f"owner{n}", NOW, LEASE) for n in range(20)))
    assert sum(claims) == 1
    after = LEASE + timedelta(seconds=1)
    recoveries = await asyncio.gather(
        *(store.recover(part.key, f"other{n}", after, after + timedelta(seconds=30)) for n in range(20))
    )
    assert sum(recoveries) == 1


async def test_a_part_is_recovered_only_after_its_lease(store: Store):
    [part] = some_parts(1)
    await store.plan(REPORT, [part])
    assert not await store.recover(part.key, "two", NOW, LEASE)
    await store.claim(part.key, "one", NOW, LEASE)
    assert not await store.recover(part.key, "two", LEASE, LEASE + timedelta(seconds=30))
    after = LEASE + timedelta(microseconds=1)
    assert await store.recover(part.key, "two", after, after + timedelta(seconds=30))
    assert not await store.record(part.key, "one", PartState.SENT, ["1"])
    assert await store.record(part.key, "two", PartState.UNKNOWN, error="nobody knows")
    found = await store.part(part.key)
    assert found is not None
    assert (found.state, found.error, found.lease) == (PartState.UNKNOWN, "nobody knows", None)


async def test_an_end_is_recorded_once_and_repeating_it_is_no_failure(store: Store):
    [part] = some_parts(1)
    await store.plan(REPORT, [part])
    assert not await store.record(part.key, "one", PartState.SENT, ["1"])
    await store.claim(part.key, "one", NOW, LEASE)
    assert await store.record(part.key, "one", PartState.SENT, ["17", "18"])
    assert await store.record(part.key, "one", PartState.SENT, ["17", "18"])
    assert not await store.record(part.key, "one", PartState.FAILED)
    assert not await store.claim(part.key, "two", NOW, LEASE)
    found = await store.part(part.key)
    assert found is not None
    assert (found.state, found.message_ids) == (PartState.SENT, ("17", "18"))


async def test_a_part_given_back_can_be_claimed_by_anyone(store: Store):
    [part] = some_parts(1)
    await store.plan(REPORT, [part])
    await store.claim(part.key, "one", NOW, LEASE)
    assert await store.record(part.key, "one", PartState.PLANNED, error="connection refused")
    assert await store.claim(part.key, "two", NOW, LEASE)
    found = await store.part(part.key)
    assert found is not None
    assert (found.attempts, found.owner) == (2, "two")


async def test_the_operator_settles_what_is_unknown_or_failed_and_nothing_else(store: Store):
    unknown, failed, sent = some_parts(3)
    await store.plan(REPORT, [unknown, failed, sent])
    ends = {unknown.key: PartState.UNKNOWN, failed.key: PartState.FAILED, sent.key: PartState.SENT}
    for key, state in ends.items():
        assert not await store.settle(key, PartState.DROPPED)
        await store.claim(key, "one", NOW, LEASE)
        await store.record(key, "one", state)
    assert await store.settle(unknown.key, PartState.PLANNED)
    assert await store.settle(failed.key, PartState.DROPPED)
    assert not await store.settle(sent.key, PartState.PLANNED)
    states = [part.state for part in await store.delivery(sent.delivery)]
    assert states == [PartState.PLANNED, PartState.DROPPED, PartState.SENT]


@pytest.mark.parametrize(("planned_at", "then"), [(None, NOW), (LEASE, LEASE)])
async def test_a_part_that_is_settled_is_as_old_as_the_word_says(
    store: Store, planned_at: datetime | None, then: datetime
):
    [part] = some_parts(1)
    await store.plan(REPORT, [part])
    await store.claim(part.key, "one", NOW, LEASE)
    await store.record(part.key, "one", PartState.FAILED)
    assert await store.settle(part.key, PartState.PLANNED, planned_at)
    [found] = await store.delivery(part.delivery)
    assert (found.planned_at, found.updated_at) == (then, NOW)


async def test_a_settled_part_no_longer_belongs_to_who_sent_it(store: Store):
    [part] = some_parts(1)
    await store.plan(REPORT, [part])
    await store.claim(part.key, "one", NOW, LEASE)
    await store.record(part.key, "one", PartState.UNKNOWN)
    await store.settle(part.key, PartState.DROPPED)
    assert not await store.record(part.key, "one", PartState.DROPPED)


async def test_deliveries_are_listed_newest_first_with_their_parts_in_order(store: Store):
    days = [replace(REPORT, day=DAY + timedelta(days=n)) for n in range(3)]
    for report in days:
        await store.plan(report, some_parts(2, report))
    found = await store.deliveries(2)
    assert found == some_parts(2, days[2]) + some_parts(2, days[1])


async def test_unfinished_deliveries_are_listed_oldest_first(store: Store):
    days = [replace(REPORT, day=DAY - timedelta(days=n)) for n in range(3)]
    for report in days:
        await store.plan(report, some_parts(2, report))
    done, sending, planned = (some_parts(2, report) for report in days)
    for part in (*done, sending[0]):
        await store.claim(part.key, "one", NOW, LEASE)
    for part in done:
        await store.record(part.key, "one", PartState.UNKNOWN)
    assert await store.unfinished() == (sending[0].delivery, planned[0].delivery)


async def test_an_address_is_closed_until_it_is_opened(store: Store):
    assert await store.closed(ADDRESS) is None
    await store.close(ADDRESS, "the bot was kicked")
    assert await store.closed(ADDRESS) == "the bot was kicked"
    assert await store.closed(replace(ADDRESS, topic=None)) is None
    await store.reopen(ADDRESS)
    await store.reopen(ADDRESS)
    assert await store.closed(ADDRESS) is None


async def test_a_move_is_remembered_beside_a_closing(store: Store):
    await store.close(ADDRESS, "gone")
    assert await store.moved(ADDRESS) is None
    await store.move(ADDRESS, "C0456")
    await store.reopen(ADDRESS)
    assert await store.moved(ADDRESS) == "C0456"


# --- requests and votes

ANSWERED = Closing(RequestState.ANSWERED, NOW + timedelta(minutes=1), "三步采样。", counted=True)


def some_requests(count: int, **changes: object) -> tuple[Request, ...]:
    """Asked one second after another."""
    return tuple(
        a_request(key=f"telegram:-100/{n}", **({"asked_at": NOW + timedelta(seconds=n)} | changes))
        for n in range(count)
    )


def closed(request: Request, closing: Closing) -> Request:
    return replace(request, state=closing.state, closed_at=closing.at, said=closing.said, counted=closing.counted)


async def test_a_request_comes_back_as_it_was_admitted(store: Store):
    address = Address(PlatformName.SLACK, "C0123", thread="1772069400.000100")
    request = a_request(text='这 "篇" \\ 😀\n', address=address, paper="2602.00001v2", conversation="c", counted=False)
    assert await store.admit([request])
    assert await store.request(request.key) == request
    assert await store.request("telegram:-100/0") is None


async def test_requests_are_admitted_together_or_not_at_all(store: Store):
    known, *others = some_requests(3)
    assert await store.admit([known])
    changed = replace(known, text="something else")
    assert not await store.admit([*others, changed])
    assert await store.open_requests() == (known,)
    assert not await store.admit([others[0], others[0]])
    assert await store.admit(others)
    assert await store.admit([])
    assert await store.open_requests() == (known, *others)


async def test_the_same_request_delivered_again_after_its_answer_is_still_known(store: Store):
    await store.admit([a_request()])
    await store.close_request(a_request().key, ANSWERED, ())
    assert not await store.admit([a_request()])
    assert await store.open_requests() == ()


async def test_only_one_of_many_at_once_admits_a_request(store: Store):
    assert sum(await asyncio.gather(*(store.admit([a_request(user=f"telegram:{n}")]) for n in range(20)))) == 1


async def test_a_request_that_json_cannot_hold_is_a_clear_error_and_admits_none(store: Store):
    with pytest.raises(StoreError, match="Request"):
        await store.admit([*some_requests(2), a_request(text="half a pair \ud800")])
    assert await store.open_requests() == ()


async def test_open_requests_are_listed_oldest_first_and_by_their_job(store: Store):
    one, two, three, four = some_requests(4)
    late, other = replace(one, asked_at=NOW + timedelta(minutes=1)), replace(two, job="ask:2")
    at_once = replace(four, asked_at=three.asked_at)
    for requests in ([late], [three, at_once], [other]):
        await store.admit(requests)
    assert await store.open_requests() == (other, three, at_once, late)
    assert await store.waiting_for(three.job) == (three, at_once, late)
    assert await store.waiting_for("ask:2") == (other,)
    assert await store.waiting_for("ask:3") == ()


async def test_a_request_is_closed_once_with_what_its_asker_is_sent(store: Store):
    request, waiting = some_requests(2)
    await store.admit([request, waiting])
    parts = some_parts(2)
    assert await store.close_request(request.key, ANSWERED, parts)
    assert not await store.close_request(request.key, ANSWERED, parts)
    other = Closing(RequestState.FAILED, NOW + timedelta(hours=1))
    assert not await store.close_request(request.key, other, some_parts(1, replace(REPORT, edition=2)))
    assert await store.request(request.key) == closed(request, ANSWERED)
    assert await store.waiting_for(request.job) == (waiting,)
    assert await store.deliveries(9) == parts


async def test_an_unknown_request_is_not_closed_and_nothing_planned_for_it(store: Store):
    assert not await store.close_request("telegram:-100/0", ANSWERED, some_parts())
    assert await store.deliveries(9) == ()
    assert await store.request("telegram:-100/0") is None


async def test_a_request_may_end_with_nothing_to_send(store: Store):
    cancelled = Closing(RequestState.CANCELLED, NOW)
    await store.admit([a_request()])
    assert await store.close_request(a_request().key, cancelled, ())
    assert await store.request(a_request().key) == closed(a_request(), cancelled)


async def test_what_was_planned_for_a_request_before_keeps_its_content(store: Store):
    parts = some_parts(2)
    await store.plan(None, parts)
    await store.admit([a_request()])
    other = [replace(part, message=replace(part.message, payload="{}")) for part in some_parts(3)]
    assert await store.close_request(a_request().key, ANSWERED, other)
    assert await store.deliveries(9) == parts


async def test_a_closing_that_cannot_be_kept_leaves_the_request_open_and_plans_nothing(store: Store):
    await store.admit([a_request()])
    with pytest.raises(StoreError, match="Request"):
        await store.close_request(a_request().key, replace(ANSWERED, said="\ud800"), some_parts())
    broken = replace(some_parts()[1], message=Message(PartKind.POST, "digest", "\ud800"))
    with pytest.raises(StoreError, match="Message"):
        await store.close_request(a_request().key, ANSWERED, [some_parts()[0], broken])
    assert await store.open_requests() == (a_request(),)
    assert await store.deliveries(9) == ()


async def test_only_one_of_many_at_once_closes_a_request(store: Store):
    await store.admit([a_request()])
    ends = [replace(ANSWERED, said=str(n)) for n in range(20)]
    assert sum(await asyncio.gather(*(store.close_request(a_request().key, end, some_parts()) for end in ends))) == 1
    assert await store.deliveries(9) == some_parts()


async def test_what_counts_for_a_user_is_counted_after_a_moment(store: Store):
    one, two, three, free = some_requests(4)
    late = replace(one, asked_at=NOW + timedelta(microseconds=3_000_001))
    somebody = a_request(key="slack:1", user="slack:42")
    await store.admit([late, two, three, replace(free, counted=False), somebody])
    assert await store.counted_since("telegram:42", NOW) == (two.asked_at, three.asked_at, late.asked_at)
    assert await store.counted_since("telegram:42", two.asked_at) == (three.asked_at, late.asked_at)
    assert await store.counted_since("telegram:42", three.asked_at + timedelta(seconds=1)) == (late.asked_at,)
    assert await store.counted_since("telegram:4", NOW - timedelta(days=1)) == ()


async def test_closing_corrects_what_is_counted(store: Store):
    cheap, dear, unforeseen = some_requests(3)
    await store.admit([cheap, dear, replace(unforeseen, counted=False)])
    await store.close_request(cheap.key, replace(ANSWERED, counted=False), ())
    for request in (dear, unforeseen):
        await store.close_request(request.key, ANSWERED, ())
    since = NOW - timedelta(days=1)
    assert await store.counted_since("telegram:42", since) == (dear.asked_at, unforeseen.asked_at)


async def test_a_talk_is_its_last_answered_questions_oldest_first(store: Store):
    questions = some_requests(5, command="ask", conversation="slack:C0123/1.2")
    elsewhere = a_request(key="slack:other", conversation="slack:C0123/1.3")
    await store.admit([elsewhere, *reversed(questions)])
    ends = [ANSWERED, ANSWERED, Closing(RequestState.FAILED, NOW, "sorry"), ANSWERED]
    for request, end in zip([*questions[:4], elsewhere], [*ends, ANSWERED], strict=True):
        await store.close_request(request.key, end, ())
    answered = [closed(questions[n], ANSWERED) for n in (0, 1, 3)]
    assert await store.talk("slack:C0123/1.2", 9) == tuple(answered)
    assert await store.talk("slack:C0123/1.2", 2) == tuple(answered[1:])
    assert await store.talk("slack:C0123", 9) == ()


async def test_questions_of_no_conversation_are_no_talk(store: Store):
    await store.admit([a_request()])
    await store.close_request(a_request().key, ANSWERED, ())
    assert await store.talk("", 9) == ()


async def test_a_later_vote_of_the_same_user_on_the_same_paper_replaces_it(store: Store):
    up = Vote("telegram:42", "2602.00001", "default", 1, NOW)
    other_paper = replace(up, paper="2602.00002", at=NOW + timedelta(seconds=2))
    other_user = replace(up, user="slack:U1", value=-1, at=NOW + timedelta(seconds=1))
    for vote in (other_paper, up, other_user, up):
        await store.keep_vote(vote)
    assert await store.votes("default") == (up, other_user, other_paper)
    down = replace(up, value=-1, at=NOW + timedelta(seconds=3))
    await store.keep_vote(down)
    await store.keep_vote(up)  # delivered late: it is the older word
    assert await store.votes("default") == (other_user, other_paper, down)
    assert await store.votes("other") == ()


# --- leases


def in_seconds(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


async def take(store: Store, owner: str, now: datetime = NOW, seconds: float = 30) -> Lease:
    return await store.take_lease("poll", owner, now, now + in_seconds(seconds))


async def passes(store: Store, seconds: float) -> None:
    """So many seconds pass on a Redis server, whose clock nobody can set: its leases end so much earlier."""
    if isinstance(store, RedisStore):
        script = """
        if told() or redis.call('EXISTS', k('lease', 'poll')) == 0 then return end
        tell()
        redis.call('HINCRBY', k('lease', 'poll'), 'until', a.micros)
        """
        await store._server.once(script, {"micros": str(int(-seconds * 1_000_000))})


async def test_a_lease_is_one_owners_until_it_is_dropped(store: Store):
    assert await store.lease("poll") is None
    assert (await take(store, "one")).owner == "one"
    assert (await take(store, "two")).owner == "one"
    assert (await store.take_lease("menu", "two", NOW, LEASE)).owner == "two", "another lease is another's"
    await store.drop_lease("poll", "two")
    assert (await take(store, "two")).owner == "one", "nobody drops what is another's"
    await store.drop_lease("poll", "one")
    await store.drop_lease("poll", "one")
    assert await store.lease("poll") is None
    taken = await take(store, "two")
    assert (taken.owner, taken.before) == ("two", ""), "what was dropped is free, and nobody is succeeded"


async def test_a_lease_that_has_run_out_is_taken_over_and_says_from_whom(store: Store):
    await take(store, "one")
    await passes(store, 29)
    assert (await take(store, "two", NOW + in_seconds(29))).owner == "one"
    await passes(store, 1)
    taken = await take(store, "two", NOW + in_seconds(30))
    assert (taken.owner, taken.before) == ("two", "one")
    assert (await take(store, "one", NOW + in_seconds(30))).owner == "two"
    assert (await take(store, "two", NOW + in_seconds(40))).before == "one", "asked again, it says the same"


async def test_a_renewed_lease_lasts_from_then_on(store: Store):
    await take(store, "one")
    await passes(store, 20)
    await take(store, "one", NOW + in_seconds(20))
    await passes(store, 29)
    assert (await take(store, "two", NOW + in_seconds(49))).owner == "one"


async def test_its_owner_may_renew_a_lease_that_ran_out_while_nobody_took_it(store: Store):
    await take(store, "one")
    await passes(store, 100)
    taken = await take(store, "one", NOW + in_seconds(100))
    assert (taken.owner, taken.before) == ("one", "")


async def test_only_one_of_many_at_once_takes_a_lease(store: Store):
    leases = await asyncio.gather(*(take(store, f"owner{number}") for number in range(20)))
    assert len({lease.owner for lease in leases}) == 1
    assert await store.lease("poll") == leases[-1]


async def test_a_clock_that_was_put_back_holds_a_lease_no_longer_than_a_new_one_would_last(store: Store):
    await take(store, "one", NOW + in_seconds(3600))
    await passes(store, -3600)
    assert (await take(store, "two", NOW)).owner == "one"
    await passes(store, 30)
    assert (await take(store, "two", NOW + in_seconds(30))).owner == "two"


async def test_everything_is_still_there_after_a_restart(opener: Opener, tmp_path: Path):
    for _ in range(2):
        async with opener(tmp_path) as store:
            await store.plan(REPORT, some_parts())
            await store.keep_report(a_report())
            await store.keep_note("told", "yes")
            await store.admit([a_request()])
            await store.close_request(a_request().key, ANSWERED, ())
            await store.keep_vote(Vote("telegram:42", "2602.00001", "default", 1, NOW))
    async with opener(tmp_path) as store:
        assert await store.delivery(some_parts()[0].delivery) == some_parts()
        assert await store.report(DAY, "default", "zh") == a_report()
        assert await store.note("told") == "yes"
        assert await store.request(a_request().key) == closed(a_request(), ANSWERED)
        assert await store.votes("default") == (Vote("telegram:42", "2602.00001", "default", 1, NOW),)


# --- SQLite alone


async def test_the_file_is_written_ahead_and_synchronously(tmp_path: Path):
    async with SqliteStore.open(tmp_path / "paperboy.db") as store:
        file = store._file
        assert await file.text("PRAGMA journal_mode") == "wal"
        assert await file.text("PRAGMA synchronous") == "2"
        assert await file.text("PRAGMA foreign_keys") == "1"
        await store.integrity()


async def test_two_stores_over_one_file_see_each_others_writes(tmp_path: Path):
    async with AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(open_sqlite(tmp_path)) for _ in range(2)]
        await one.plan(REPORT, some_parts(1))
        [part] = some_parts(1)
        claims = await asyncio.gather(*(s.claim(part.key, str(id(s)), NOW, LEASE) for s in (one, two)))
        assert sorted(claims) == [False, True]


async def test_many_stores_may_open_a_new_file_at_once(tmp_path: Path):
    async def use(number: int) -> None:
        async with open_sqlite(tmp_path) as store:
            await store.keep_note(str(number), "here")

    await asyncio.gather(*(use(number) for number in range(8)))
    async with open_sqlite(tmp_path) as store:
        assert [await store.note(str(number)) for number in range(8)] == ["here"] * 8


async def test_a_database_of_a_newer_program_is_refused(tmp_path: Path):
    async with open_sqlite(tmp_path):
        pass
    with sqlite3.connect(tmp_path / "paperboy.db") as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(StoreError, match=r"newer Paperboy \(step 999"):
        await open_sqlite(tmp_path).__aenter__()


async def test_another_programs_database_is_left_alone(tmp_path: Path):
    connection = sqlite3.connect(tmp_path / "paperboy.db")
    connection.execute("CREATE TABLE bookmarks (url TEXT)")
    connection.close()
    with pytest.raises(StoreError, match="another program") as caught:
        await open_sqlite(tmp_path).__aenter__()
    assert not caught.value.retryable


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path):
    (tmp_path / "paperboy.db").write_bytes(b"To whom it may concern. " * 100)
    with pytest.raises(StoreError, match="not a SQLite database"):
        await open_sqlite(tmp_path).__aenter__()


@pytest.mark.parametrize("path", ["missing/paperboy.db", "."])
async def test_a_place_that_cannot_hold_a_file_is_a_clear_error(tmp_path: Path, path: str):
    with pytest.raises(StoreError, match="cannot be opened") as caught:
        await SqliteStore.open(tmp_path / path).__aenter__()
    assert str(tmp_path) in str(caught.value)


async def test_a_locked_file_is_a_clear_error_that_may_pass(tmp_path: Path):
    async with SqliteStore.open(tmp_path / "paperboy.db", busy_seconds=0.02) as store:
        other = sqlite3.connect(tmp_path / "paperboy.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked by another process") as caught:
            await store.plan(REPORT, some_parts())
        assert caught.value.retryable
        other.execute("ROLLBACK")
        other.close()
        await store.plan(REPORT, some_parts())
        assert len(await store.deliveries(1)) == 3


def a_reader(path: Path) -> sqlite3.Connection:
    """A file still in its first journal mode, and who reads it: nobody can switch it to WAL meanwhile."""
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute(f"PRAGMA application_id = {sqlite_schema.APPLICATION_ID}")
    reader.execute("CREATE TABLE t (x)")
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM t").fetchall()
    return reader


async def test_opening_waits_for_who_uses_the_file(tmp_path: Path):
    reader = a_reader(tmp_path / "paperboy.db")
    asyncio.get_running_loop().call_later(0.1, reader.close)
    async with open_sqlite(tmp_path) as store:
        await store.ping()


async def test_switching_a_file_is_tried_again_where_sqlite_does_not_wait(tmp_path: Path):
    reader = a_reader(tmp_path / "paperboy.db")
    asyncio.get_running_loop().call_later(0.05, reader.close)
    with closing(sqlite3.connect(tmp_path / "paperboy.db", timeout=0, check_same_thread=False)) as connection:
        await asyncio.to_thread(_write_ahead, connection, monotonic() + 5)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_a_file_that_stays_in_use_is_refused_when_opened(tmp_path: Path):
    reader = a_reader(tmp_path / "paperboy.db")
    with pytest.raises(StoreError, match="locked by another process"):
        await SqliteStore.open(tmp_path / "paperboy.db", busy_seconds=0.05).__aenter__()
    reader.close()


async def test_a_full_disk_changes_nothing_and_passes_when_there_is_room(tmp_path: Path):
    async with SqliteStore.open(tmp_path / "paperboy.db") as store:
        pages = await store._file.text("PRAGMA page_count")
        await store._file.rows(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match="disk is full") as caught:
            await store.plan(REPORT, some_parts(500))
        assert caught.value.retryable
        assert await store.deliveries(1) == ()
        assert not await store.planned_report(DAY, "default", "zh")
        await store._file.rows("PRAGMA max_page_count = 100000")
        await store.plan(REPORT, some_parts(500))
        assert len(await store.deliveries(1)) == 500
        await store.integrity()


async def test_a_damaged_file_is_found(tmp_path: Path):
    path = tmp_path / "paperboy.db"
    async with SqliteStore.open(path) as store:
        await store.keep_analysis("key", "x" * 50_000)
    content = bytearray(path.read_bytes())
    analysis = slice(-9 * 4096, -4096)  # the pages written last; those of the tables' own names stay whole
    content[analysis] = os.urandom(8 * 4096)
    path.write_bytes(content)
    async with SqliteStore.open(path) as store:
        with pytest.raises(StoreError, match="damaged"):
            await store.integrity()


async def test_migrations_that_are_missing_are_taken_and_others_are_not_repeated(tmp_path: Path):
    async with open_sqlite(tmp_path) as store:
        await store.keep_note("kept", "yes")
    connection = sqlite3.connect(tmp_path / "paperboy.db", isolation_level=None)
    steps = (*sqlite_schema.STEPS, ("CREATE TABLE later (key TEXT PRIMARY KEY) STRICT",))
    for _ in range(2):
        sqlite_schema.migrate(connection, steps)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(steps),)
    assert connection.execute("SELECT value FROM note WHERE key = 'kept'").fetchone() == ("yes",)
    connection.close()


async def test_a_file_of_the_first_release_learns_to_keep_full_texts(tmp_path: Path):
    connection = sqlite3.connect(tmp_path / "paperboy.db", isolation_level=None)
    sqlite_schema.migrate(connection, sqlite_schema.STEPS[:1])
    connection.execute("INSERT INTO note VALUES ('kept', 'yes')")
    connection.close()
    async with open_sqlite(tmp_path) as store:
        await store.keep_full_text(a_kept_text(), NOW)
        assert await store.full_text(ArxivId("2602.00001")) == KeptText(a_kept_text(), NOW)
        assert await store.note("kept") == "yes"


_PART_BEFORE_THREADS = """INSERT INTO part (key, delivery, position, channel, platform, target, topic, message, state,
        owner, lease, attempts, message_ids, error, late, planned_at, updated_at)
    VALUES ('2026-02-25/default.zh@slack:C0123/7~0', '2026-02-25/default.zh@slack:C0123/7', 0, 'team', 'slack', 'C0123',
        7, '{"kind":"post","document":"digest","payload":"{\\"text\\": \\"论文日报\\"}","reply":false}', 'sent', 'one',
        NULL, 1, '["17","18"]', '', 1, :now, :now)"""


async def test_a_file_from_before_requests_learns_to_keep_them_and_to_find_what_it_has(tmp_path: Path):
    connection = sqlite3.connect(tmp_path / "paperboy.db", isolation_level=None)
    sqlite_schema.migrate(connection, sqlite_schema.STEPS[:2])
    connection.execute(_PART_BEFORE_THREADS, {"now": micros(NOW)})
    [failed] = said("Straße")
    for ranking in (
        a_ranking(entries=(*said("ÉCLAIR", 'Says "no" 100%', "去雾"), replace(failed, score=None, failure="f"))),
        a_ranking(day=DAY - timedelta(days=1), entries=()),
    ):
        row = (ranking.day.isoformat(), "default", "zh", micros(NOW), to_json(Ranking, ranking))
        connection.execute("INSERT INTO ranking VALUES (?, ?, ?, ?, ?)", row)
    connection.close()
    async with open_sqlite(tmp_path) as store:
        part = replace(some_parts(1)[0], state=PartState.SENT, owner="one", attempts=1, message_ids=("17", "18"))
        assert await store.delivery(part.delivery) == (part,)
        assert part.address.thread is None
        assert await store.part_posted_as(ADDRESS.chat, "18") == part
        for word in ("éclair", '"NO" 100%', "雾", "STRASSE"):
            assert await store.days_with("default", [word], 5) == (DAY,), word
        assert await store.days_with("default", ["title"], 5) == ()
        assert await store.admit([a_request()])
        await store.keep_vote(Vote("telegram:42", "2602.00001", "default", 1, NOW))


def test_a_migration_that_fails_leaves_the_file_at_the_step_before(tmp_path: Path):
    connection = sqlite3.connect(tmp_path / "paperboy.db", isolation_level=None)
    sqlite_schema.migrate(connection)
    steps = (*sqlite_schema.STEPS, ("CREATE TABLE later (key TEXT) STRICT", "CREATE NONSENSE"))
    with pytest.raises(sqlite3.OperationalError):
        sqlite_schema.migrate(connection, steps)
    assert connection.execute("PRAGMA user_version").fetchone() == (len(sqlite_schema.STEPS),)
    assert connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'later'").fetchone() == (0,)
    connection.close()


async def test_an_error_in_a_transaction_undoes_all_of_it(tmp_path: Path):
    async with SqliteStore.open(tmp_path / "paperboy.db") as store:
        broken = (*some_parts(2), replace(some_parts(3)[2], index=0))
        with pytest.raises(StoreError, match="unexpected error"):
            await store.plan(REPORT, broken)
        assert await store.deliveries(5) == ()
        assert not await store.planned_report(DAY, "default", "zh")


async def test_a_cancelled_caller_leaves_no_transaction_open(tmp_path: Path):
    async with SqliteStore.open(tmp_path / "paperboy.db") as store:
        task = asyncio.create_task(store.plan(REPORT, some_parts(200)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(await store.deliveries(1)) in (0, 200)
        await store.ping()


def test_content_of_another_kind_is_a_clear_error_without_the_content():
    with pytest.raises(StoreError, match="kept Message cannot be read") as caught:
        from_json(Message, '{"secret": 1}')
    assert "secret" not in str(caught.value)


# --- the ledger and the requests against a model


class StoreMachine(RuleBasedStateMachine):
    """A store, and the time."""

    def __init__(self, opener: Opener) -> None:
        super().__init__()
        self.opener = opener

    @initialize()
    def start(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
        self.context = self.opener(Path(self.folder.name))
        self.store = self.runner.run(self.context.__aenter__())
        self.now = NOW

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.run(self.context.__aexit__(None, None, None))
            self.runner.close()
            self.folder.cleanup()

    @rule(seconds=st.integers(1, 40))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)


class LedgerMachine(StoreMachine):
    """Any sequence of intents, by several owners, at any time: the ledger does what DESIGN section 5 says."""

    def __init__(self, opener: Opener) -> None:
        super().__init__(opener)
        self.model: dict[str, Part] = {}

    owners = st.sampled_from(["one", "two", "three"])
    numbers = st.integers(0, 2)
    ends = st.sampled_from([PartState.PLANNED, PartState.SENT, PartState.UNKNOWN, PartState.FAILED])

    def key(self, number: int) -> str:
        return some_parts()[number].key

    @rule(count=st.integers(1, 3))
    def plan(self, count: int) -> None:
        parts = some_parts(count)
        self.runner.run(self.store.plan(REPORT, parts))
        if not self.model:
            self.model = {part.key: part for part in parts}

    @rule(number=numbers, owner=owners)
    def claim(self, number: int, owner: str) -> None:
        key, lease = self.key(number), self.now + timedelta(seconds=30)
        part = self.model.get(key)
        mine = part is not None and part.state is PartState.SENDING and part.owner == owner
        may = part is not None and (part.state is PartState.PLANNED or mine)
        assert self.runner.run(self.store.claim(key, owner, self.now, lease)) is may
        if part is not None and may:
            attempts = part.attempts + (not mine)
            self.model[key] = replace(
                part, state=PartState.SENDING, owner=owner, lease=lease, attempts=attempts, updated_at=self.now
            )

    @rule(number=numbers, owner=owners)
    def recover(self, number: int, owner: str) -> None:
        key, lease = self.key(number), self.now + timedelta(seconds=30)
        part = self.model.get(key)
        over = part is not None and part.lease is not None and (part.lease < self.now or part.owner == owner)
        assert self.runner.run(self.store.recover(key, owner, self.now, lease)) is over
        if part is not None and over:
            self.model[key] = replace(part, owner=owner, lease=lease)

    @rule(number=numbers, owner=owners, end=ends, ids=st.lists(st.text("0123456789.", max_size=9), max_size=2))
    def record(self, number: int, owner: str, end: PartState, ids: list[str]) -> None:
        key = self.key(number)
        part = self.model.get(key)
        may = part is not None and part.owner == owner and part.state in (PartState.SENDING, end)
        assert self.runner.run(self.store.record(key, owner, end, ids, "why")) is may
        if part is not None and may:
            self.model[key] = replace(part, state=end, lease=None, message_ids=tuple(ids), error="why")

    @rule(number=numbers, state=st.sampled_from([PartState.PLANNED, PartState.DROPPED]))
    def settle(self, number: int, state: PartState) -> None:
        key = self.key(number)
        part = self.model.get(key)
        may = part is not None and part.state in (PartState.UNKNOWN, PartState.FAILED)
        assert self.runner.run(self.store.settle(key, state)) is may
        if part is not None and may:
            self.model[key] = replace(part, state=state, owner="")

    @invariant()
    def the_store_holds_what_the_model_holds(self) -> None:
        if not hasattr(self, "store"):
            return
        delivery = some_parts(1)[0].delivery
        assert self.runner.run(self.store.delivery(delivery)) == tuple(self.model.values())
        still = any(part.state in (PartState.PLANNED, PartState.SENDING) for part in self.model.values())
        assert self.runner.run(self.store.unfinished()) == ((delivery,) if still else ())
        troubled = [part for part in self.model.values() if part.state in (PartState.UNKNOWN, PartState.FAILED)]
        assert self.runner.run(self.store.troubled(9)) == tuple(reversed(troubled))


def play(machine: Callable[[Opener], StoreMachine], opener: Opener, examples: int = 25) -> None:
    slow = [HealthCheck.too_slow]
    steps = settings(max_examples=examples, stateful_step_count=25, deadline=None, suppress_health_check=slow)
    run_state_machine_as_test(partial(machine, opener), settings=steps)  # type: ignore[arg-type]  # it takes what makes one, too


def test_whatever_owners_do_to_the_ledger_it_does_what_the_model_does(opener: Opener):
    play(LedgerMachine, opener)


class LeasesMachine(StoreMachine):
    """Any sequence of taking and dropping, by owners whose clocks are wrong where a server has one of its own."""

    def __init__(self, opener: Opener) -> None:
        super().__init__(opener)
        self.model: Lease | None = None

    owners = st.sampled_from(["one", "two", "three"])

    @rule(owner=owners, wrong=st.integers(-3600, 3600), seconds=st.sampled_from([20, 30]))
    def take(self, owner: str, wrong: int, seconds: int) -> None:
        shown = self.now + timedelta(seconds=wrong if isinstance(self.store, RedisStore) else 0)
        taken = self.runner.run(take(self.store, owner, shown, seconds))
        standing, until = self.model, self.now + timedelta(seconds=seconds)
        if standing is None:
            self.model = Lease(owner, until)
        elif standing.owner == owner:
            self.model = replace(standing, until=until)
        elif standing.until <= self.now:
            self.model = Lease(owner, until, standing.owner)
        else:
            self.model = replace(standing, until=min(until, standing.until))
        assert (taken.owner, taken.before) == (self.model.owner, self.model.before)

    @rule(owner=owners)
    def drop(self, owner: str) -> None:
        self.runner.run(self.store.drop_lease("poll", owner))
        if self.model and self.model.owner == owner:
            self.model = None

    @rule(seconds=st.integers(1, 40))
    def time_passes(self, seconds: int) -> None:
        super().time_passes(seconds)
        self.runner.run(passes(self.store, seconds))

    @invariant()
    def the_store_holds_what_the_model_holds(self) -> None:
        if not hasattr(self, "store"):
            return
        found = self.runner.run(self.store.lease("poll"))
        if isinstance(self.store, RedisStore):  # whose clock is a real one
            found = found and self.model and replace(found, until=self.model.until)
        assert found == self.model


def test_whatever_owners_do_to_a_lease_it_is_one_owners_at_a_time(opener: Opener):
    play(LeasesMachine, opener)


class RequestsMachine(StoreMachine):
    """Any sequence of asking, closing and delivering twice: each request is admitted once, and ended and sent once."""

    def __init__(self, opener: Opener) -> None:
        super().__init__(opener)
        self.model: dict[str, Request] = {}  # in the order of admission
        self.planned: dict[str, tuple[Part, ...]] = {}

    users = st.sampled_from(["telegram:1", "slack:U1"])
    jobs = st.sampled_from(["deepdive:1", "ask:2"])
    numbers = st.integers(0, 5)
    ends = st.sampled_from([RequestState.ANSWERED, RequestState.FAILED, RequestState.CANCELLED])

    def answer(self, number: int, count: int) -> tuple[Part, ...]:
        return some_parts(count, replace(REPORT, edition=number + 1))

    @rule(numbers=st.lists(numbers, max_size=3), user=users, job=jobs, counted=st.booleans(), late=st.integers(0, 60))
    def admit(self, numbers: list[int], user: str, job: str, counted: bool, late: int) -> None:
        asked_at = self.now - timedelta(seconds=late)
        values = {"user": user, "job": job, "counted": counted, "asked_at": asked_at, "conversation": job}
        requests = [a_request(key=f"telegram:-100/{number}", **values) for number in numbers]
        keys = [request.key for request in requests]
        new = len(set(keys)) == len(keys) and not self.model.keys() & set(keys)
        assert self.runner.run(self.store.admit(requests)) is new
        if new:
            self.model |= dict(zip(keys, requests, strict=True))

    @rule(number=numbers, end=ends, counted=st.booleans(), count=st.integers(0, 2))
    def close(self, number: int, end: RequestState, counted: bool, count: int) -> None:
        key, closing = f"telegram:-100/{number}", Closing(end, self.now, "so", counted)
        request, parts = self.model.get(key), self.answer(number, count)
        may = request is not None and request.state is RequestState.OPEN
        assert self.runner.run(self.store.close_request(key, closing, parts)) is may
        if request is not None and may:
            self.model[key] = closed(request, closing)
            self._plan(parts)

    @rule(number=numbers, count=st.integers(1, 2))
    def plan(self, number: int, count: int) -> None:
        parts = self.answer(number, count)
        self.runner.run(self.store.plan(None, parts))
        self._plan(parts)

    def _plan(self, parts: tuple[Part, ...]) -> None:
        for part in parts[:1]:
            self.planned.setdefault(part.delivery, parts)

    @invariant()
    def the_store_holds_what_the_model_holds(self) -> None:
        if not hasattr(self, "store"):
            return
        ask, in_order = self.runner.run, sorted(self.model.values(), key=lambda request: request.asked_at)
        still = [request for request in in_order if request.state is RequestState.OPEN]
        assert [ask(self.store.request(key)) for key in self.model] == list(self.model.values())
        assert ask(self.store.open_requests()) == tuple(still)
        for job in ("deepdive:1", "ask:2"):
            assert ask(self.store.waiting_for(job)) == tuple(request for request in still if request.job == job)
            talk = [request for request in in_order if (request.job, request.state) == (job, RequestState.ANSWERED)]
            assert ask(self.store.talk(job, 2)) == tuple(talk[-2:])
        since = self.now - timedelta(minutes=1)
        for user in ("telegram:1", "slack:U1"):
            counted = [request for request in in_order if request.user == user and request.counted]
            moments = tuple(request.asked_at for request in counted if request.asked_at > since)
            assert ask(self.store.counted_since(user, since)) == moments
        assert set(ask(self.store.deliveries(99))) == {part for parts in self.planned.values() for part in parts}


def test_whatever_is_asked_closed_and_delivered_twice_each_request_is_ended_and_sent_once(opener: Opener):
    play(RequestsMachine, opener)
