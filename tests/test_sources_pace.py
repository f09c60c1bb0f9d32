"""One request at a time, a few tries, and never before the service allows it."""

from datetime import UTC, datetime

import pytest

from bot.errors import SourceError
from bot.sources.pace import Pace, RefusedError, refused, wait_asked
from tests.fakes import NOW, FakeClock


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": " 1.5 "}, 1.5),
        ({"Retry-After": "Thu, 26 Feb 2026 01:30:30 GMT"}, 30.0),
        ({"Retry-After": "Thu, 26 Feb 2026 01:30:30 -0000"}, 30.0),
        ({"Retry-After": "Thu, 26 Feb 2026 01:00:00 GMT"}, 0.0),
        ({"RateLimit": '"api";r=0;t=55'}, 55.0),
        ({"Retry-After": "soon", "RateLimit": '"api";r=0; t=12'}, 12.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "9" * 400}, None),
        ({"Retry-After": "Thu, 26 Feb 2026 01:30:30 +" + "9" * 40}, None),
        ({"RateLimit": "nonsense"}, None),
        ({}, None),
    ],
)
def test_a_service_says_how_long_to_wait_in_several_ways(headers: dict[str, str], seconds: float | None):
    assert wait_asked(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("status", "retryable"),
    [
        (400, False),
        (401, False),
        (404, False),
        (408, True),
        (425, True),
        (429, True),
        (500, True),
        (503, True),
        (304, False),
    ],
)
def test_a_status_says_whether_to_try_again(status: int, retryable: bool):
    error = refused("huggingface", status, {"Retry-After": "2"}, NOW)
    assert error.retryable is retryable
    assert error.wait == (2.0 if retryable else None)
    assert str(error) == f"huggingface: HTTP {status}"


class Service:
    """Fails by script, and notes when it was asked."""

    def __init__(self, clock: FakeClock, *faults: SourceError) -> None:
        self.clock = clock
        self.faults = list(faults)
        self.asked: list[float] = []

    async def attempt(self) -> str:
        self.asked.append((self.clock.now() - NOW).total_seconds())
        if self.faults:
            raise self.faults.pop(0)
        return "list"


def busy(wait: float | None = None) -> RefusedError:
    return RefusedError("service: HTTP 429", retryable=True, wait=wait)


async def test_tries_are_spaced_ever_further_apart():
    clock = FakeClock()
    service = Service(clock, busy(), SourceError("service: half a reply"))
    assert await Pace("service", clock).ask(service.attempt) == "list"
    assert service.asked == [0, 1, 3]


async def test_a_wait_that_the_service_names_is_kept():
    clock = FakeClock()
    service = Service(clock, busy(wait=17))
    assert await Pace("service", clock).ask(service.attempt) == "list"
    assert service.asked == [0, 17]


async def test_three_tries_are_enough_and_the_last_error_tells():
    clock = FakeClock()
    service = Service(clock, busy(), busy(), SourceError("the last one"), busy())
    with pytest.raises(SourceError, match="the last one"):
        await Pace("service", clock).ask(service.attempt)
    assert len(service.asked) == 3


async def test_what_cannot_succeed_is_not_tried_again():
    clock = FakeClock()
    service = Service(clock, SourceError("service: HTTP 400", retryable=False))
    with pytest.raises(SourceError, match="400"):
        await Pace("service", clock).ask(service.attempt)
    assert service.asked == [0]


async def test_too_long_a_wait_is_not_sat_out_and_holds_for_the_next_request_too():
    clock = FakeClock()
    pace = Pace("service", clock)
    service = Service(clock, busy(wait=237))
    for _ in range(2):
        with pytest.raises(SourceError, match="service: must not be asked for another 237 seconds") as trouble:
            await pace.ask(service.attempt)
        assert trouble.value.retryable
    assert service.asked == [0]
    assert clock.slept == []
    clock.time = datetime.fromtimestamp(NOW.timestamp() + 200, UTC)
    assert await pace.ask(service.attempt) == "list"
    assert service.asked == [0, 237]


async def test_requests_keep_their_distance():
    clock = FakeClock()
    pace = Pace("service", clock, apart=3.0)
    service = Service(clock, busy())
    await pace.ask(service.attempt)
    await pace.ask(service.attempt)
    assert service.asked == [0, 3, 6]
