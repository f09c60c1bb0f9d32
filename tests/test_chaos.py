"""The ground that `make chaos` stands on: its clock, its book of outcomes, and results that outlive their run."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.models import Address, Message, Part, PartKind, PartState, PlatformName
from tests.chaos import book, results
from tests.chaos.book import Shown
from tests.chaos.clock import SharedClock, Time
from tests.chaos.results import Results, Row
from tests.fakes import NOW, wait_until

HALF_A_MINUTE = 30.0
ADDRESS = Address(PlatformName.TELEGRAM, "-1001234567890")
EXPECTED = (Shown("digest", 2), Shown("dive", 1))
ROW = Row("kills", 0, "kill -9", 7, faults=3, unknown=1, recovery=[30.0, 2.0])


@pytest.fixture
def hand(tmp_path: Path) -> Time:
    """The experiment's hand on a clock."""
    return Time(tmp_path / "clock", NOW)


def a_process(hand: Time) -> SharedClock:
    return SharedClock(hand.path, hand.new_slot())


async def test_a_jump_ends_every_sleep_that_it_passes_in_every_process(hand: Time):
    sleeps = [asyncio.create_task(a_process(hand).sleep(seconds)) for seconds in (10.0, HALF_A_MINUTE, 3600.0)]
    await asyncio.sleep(0)
    hand.jump(HALF_A_MINUTE)
    await wait_until(lambda: [sleep.done() for sleep in sleeps] == [True, True, False])
    sleeps[-1].cancel()
    assert HALF_A_MINUTE <= (hand.now() - NOW).total_seconds() < HALF_A_MINUTE + 5


async def test_somebody_who_sets_the_clock_back_ends_no_sleep_and_lengthens_none(hand: Time):
    process = a_process(hand)
    before = process.monotonic()
    hand.step(timedelta(hours=-1))
    assert process.now() < NOW - timedelta(minutes=59)
    assert 0 <= process.monotonic() - before < 1


async def test_a_stopped_clock_stands_and_a_fast_one_runs(hand: Time):
    hand.run(0.0)
    stood = hand.now()
    await asyncio.sleep(0.01)
    assert hand.now() == stood
    hand.run(10_000.0)
    await asyncio.sleep(0.01)
    assert (hand.now() - stood).total_seconds() >= 100


async def test_time_that_nobody_needs_is_skipped(hand: Time):
    clock, started = a_process(hand), time.monotonic()

    class Process:
        pid, slot = -1, clock.slot

    async def sleeps() -> None:
        for _ in range(3):
            await clock.sleep(HALF_A_MINUTE)

    def lives() -> None:
        with asyncio.Runner(loop_factory=clock.watched_loop) as runner:
            runner.run(sleeps())

    async with hand.skipping(lambda: [Process]):
        await asyncio.to_thread(lives)
    assert hand.skipped > 2 * HALF_A_MINUTE
    assert time.monotonic() - started < HALF_A_MINUTE


async def test_no_time_is_skipped_while_a_server_is_busy(hand: Time):
    clock = a_process(hand)

    class Process:
        pid, slot = -1, clock.slot

    async with hand.skipping(lambda: [Process], lambda: True):
        sleep = asyncio.create_task(clock.sleep(HALF_A_MINUTE))
        await asyncio.sleep(0.1)
        assert not sleep.done()
        sleep.cancel()


def parts(*states: PartState) -> list[Part]:
    message = Message(PartKind.POST, "", "{}")
    return [Part(f"key~{n}", "key", n, "team", ADDRESS, message, state=state) for n, state in enumerate(states)]


SENT = (PartState.SENT, PartState.SENT)


def test_a_channel_as_undisturbed_is_fine():
    assert book.of_delivery("team", EXPECTED, EXPECTED, parts(*SENT)) == book.Outcome()


@pytest.mark.parametrize(
    ("shown", "states", "counts", "word"),
    [
        ((EXPECTED[0],), SENT, (1, 0, 0), "not shown"),
        ((*EXPECTED, EXPECTED[1]), SENT, (0, 1, 0), "2 times"),
        ((EXPECTED[0], Shown("other", 1)), SENT, (1, 0, 0), "in no undisturbed run"),
        (EXPECTED, (PartState.SENT, PartState.PLANNED), (0, 0, 0), "unfinished"),
        ((EXPECTED[0], Shown("dive", 0)), SENT, (0, 0, 0), "other links"),
        (EXPECTED[::-1], SENT, (0, 0, 0), "another order"),
        (EXPECTED, (PartState.SENT,), (0, 0, 0), "1 posts are planned"),
    ],
)
def test_whatever_differs_is_a_failure_in_words(shown, states, counts, word: str):
    found = book.of_delivery("team", shown, EXPECTED, parts(*states))
    assert (found.lost, found.duplicated, found.unknown) == counts
    assert any(word in failure for failure in found.failures)


@pytest.mark.parametrize("shown", [EXPECTED, EXPECTED[:1]])
def test_of_what_is_unknown_nobody_says_whether_it_is_shown(shown):
    assert book.of_delivery("team", shown, EXPECTED, parts(PartState.SENT, PartState.UNKNOWN)) == book.Outcome(
        unknown=1
    )


def test_results_outlive_their_run_and_a_torn_line_is_left_out(tmp_path: Path):
    path = tmp_path / "new" / "full-7.jsonl"
    Results(path).keep([ROW, replace(ROW, trial=2)])
    with path.open("a") as file:
        file.write('{"experiment": "kil')
    found = Results(path)
    assert found.rows() == [ROW, replace(ROW, trial=2)]
    assert (found.faults_of("kills"), found.trials_of("kills"), found.faults_of("other")) == (6, {0, 2}, 0)


def test_the_table_has_a_line_a_fault():
    rows = [ROW, replace(ROW, trial=1, recovery=[4.0], failures=["lost"]), replace(ROW, fault="SIGSTOP", recovery=[])]
    assert results.lines_of(rows) == [
        ("SIGSTOP", "3", "0", "0", "1", "-", "-", "0"),
        ("kill -9", "6", "0", "0", "2", "4.0 s", "30.0 s", "1"),
    ]
    assert results.markdown(rows).splitlines()[3] == "| kill -9 | 6 | 0 | 0 | 2 | 4.0 s | 30.0 s | 1 |"
