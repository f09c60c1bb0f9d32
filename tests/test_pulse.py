from bot.pulse import LONGEST_SECONDS, Pulse
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
