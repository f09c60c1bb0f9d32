import asyncio
import logging

import pytest

from bot.errors import StoreError
from bot.pulse import AGAIN_SECONDS, LONGEST_SECONDS, PASS_SECONDS, Pulse, passes
from tests.fakes import FakeClock


async def test_a_process_is_ready_once_each_of_its_loops_has_made_a_pass():
    pulse = Pulse(FakeClock())
    assert pulse.troubles() == {}, "nothing is asked of a process without loops"
    pulse.expect("schedule", "requests")
    pulse.beat("schedule")
    assert pulse.troubles() == {"requests": "no pass yet"}
    pulse.beat("requests")
    assert pulse.troubles() == {}


async def test_a_loop_that_makes_no_pass_any_more_is_named_until_it_makes_one():
    clock = FakeClock()
    pulse = Pulse(clock)
    pulse.expect("schedule")
    pulse.beat("schedule")
    await clock.sleep(LONGEST_SECONDS)
    assert pulse.troubles() == {}
    await clock.sleep(5)
    assert pulse.troubles() == {"schedule": "no pass for 95 s"}
    assert pulse.ages() == {"schedule": 95.0}
    pulse.beat("schedule")
    assert pulse.troubles() == {}


def test_what_must_run_for_ever_and_has_ended_is_named_until_it_runs_again():
    pulse = Pulse(FakeClock())
    pulse.rise("slack commands")
    pulse.fall("slack commands")
    assert pulse.troubles() == {"slack commands": "not running"}
    pulse.rise("slack commands")
    assert pulse.troubles() == {}


def test_a_process_that_is_ending_is_not_ready_whatever_its_loops_do():
    pulse = Pulse(FakeClock())
    pulse.end()
    assert pulse.troubles() == {"process": "ending"}


async def test_a_store_that_is_away_is_said_once_and_once_that_it_is_back(caplog):
    caplog.set_level(logging.INFO)
    clock, looks = FakeClock(), 0

    async def look() -> None:
        nonlocal looks
        looks += 1
        if looks in (2, 3, 4):
            raise StoreError("the store cannot be reached")
        if looks == 6:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await passes(look, "schedule", clock)
    assert [record.getMessage() for record in caplog.records] == [
        "store is away: the store cannot be reached",
        "store is back",
    ]
    assert clock.slept == [PASS_SECONDS, AGAIN_SECONDS, AGAIN_SECONDS, AGAIN_SECONDS, PASS_SECONDS]
