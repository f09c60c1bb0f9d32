"""What `run` does beside its schedule: it notices a channel that is back, and goes on where something broke."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest

from bot import delivery
from bot.app.platforms import Platforms
from bot.app.running import for_ever, look_at_store, warm_up
from bot.daily import Job
from bot.errors import Outcome, SendError, StoreError
from bot.models import DeliveryState, Finding
from bot.pulse import AGAIN_SECONDS, Pulse
from bot.store.sqlite import SqliteStore
from tests.fakes import DAY, FakeClock, wait_until
from tests.test_daily import LAB, TEAM, Town


@pytest.fixture
async def town(tmp_path):
    async with SqliteStore.open(tmp_path / "paperboy.db") as opened:
        yield Town(opened)


@pytest.fixture
async def platforms(town):
    settings = SimpleNamespace(schedule=SimpleNamespace(catch_up_hours=12))
    app = SimpleNamespace(plans=(TEAM, LAB), store=town.store, clock=town.clock, settings=settings)
    made = Platforms(app, town.daily)  # type: ignore[arg-type]  # the part of an App that it uses
    watching = asyncio.create_task(made.watch())
    yield made
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_a_channel_that_gets_into_trouble_later_is_noticed_when_it_is_back(town, platforms):
    await wait_until(lambda: platforms.health == {"1001": "ok", "1002": "ok"})
    channel, answers = town.at(TEAM.address), [[Finding("error", "telegram.token", "kicked")]]

    async def check():
        return answers[0]

    channel.check, channel.trouble = check, SendError("kicked", Outcome.GONE)
    [done] = (await town.daily.run(Job(DAY, (TEAM,)))).deliveries
    assert done.state is DeliveryState.FAILED
    await wait_until(lambda: platforms.health["1001"] == "in trouble")
    answers[0], channel.trouble = [], None
    await wait_until(lambda: platforms.health["1001"] == "ok")
    assert await town.store.closed(TEAM.address) is None
    assert {part.state for part in await town.store.delivery(done.key)} == {"planned"}
    assert await platforms.states() == {"1001": "ok", "1002": "ok"}


async def test_a_channel_whose_chat_has_moved_is_looked_at_where_it_is(town, platforms):
    await wait_until(lambda: platforms.health == {"1001": "ok", "1002": "ok"})
    moved = replace(TEAM.address, target="-100777")
    await town.store.move(TEAM.address, moved.target)

    async def wrong():
        return [Finding("error", "telegram.token", "no such chat")]

    town.at(TEAM.address).check = wrong
    town.at(moved).trouble = SendError("kicked", Outcome.GONE)
    await town.store.close(moved, "kicked")
    await until_open(town, moved)
    assert platforms.health["1001"] == "ok"


async def test_an_opening_that_another_process_left_in_the_middle_is_done_again(town, platforms):
    await wait_until(lambda: platforms.health == {"1001": "ok", "1002": "ok"})
    town.at(TEAM.address).trouble = SendError("bad request", Outcome.REFUSED)
    [done] = (await town.daily.run(Job(DAY, (TEAM,)))).deliveries
    await town.store.keep_note(f"opening:{TEAM.address}", "begun")
    await until_open(town, TEAM.address)
    assert {part.state for part in await town.store.delivery(done.key)} == {"planned"}


async def until_open(town, address):
    async with asyncio.timeout(5):
        while await delivery.is_closed(address, town.store):  # noqa: ASYNC110  # of a store nobody is told
            await asyncio.sleep(0.005)


async def test_a_store_that_is_down_for_a_moment_ends_no_watching(town, platforms, monkeypatch):
    await wait_until(lambda: platforms.health == {"1001": "ok", "1002": "ok"})
    asked = []

    async def down(address):
        asked.append(address)
        raise StoreError("locked")

    with monkeypatch.context() as patch:
        patch.setattr(town.store, "closed", down)  # the moment of the trouble
        await wait_until(lambda: len(asked) > 4)
    town.at(TEAM.address).check = None  # the look goes on, and finds a broken adapter
    await town.store.close(TEAM.address, "kicked")
    await wait_until(lambda: platforms.health["1001"] == "in trouble")


# --- what runs beside everything else


class Pausing(FakeClock):
    """Stays in a pause until it is let go."""

    def __init__(self):
        super().__init__()
        self.go = asyncio.Event()

    async def sleep(self, seconds):
        self.slept.append(seconds)
        await self.go.wait()


@pytest.mark.parametrize("fault", [RuntimeError("a fault of our own"), None])
async def test_what_must_run_for_ever_begins_anew_and_the_process_is_not_ready_in_between(fault, caplog):
    clock, runs = Pausing(), []
    app = SimpleNamespace(clock=clock, pulse=Pulse(clock))

    async def hear():
        runs.append(1)
        if len(runs) > 1:
            await asyncio.Event().wait()
        if fault:
            raise fault

    running = asyncio.create_task(for_ever("telegram commands", hear, app))  # type: ignore[arg-type]  # the part of an App that it uses
    await wait_until(lambda: clock.slept == [AGAIN_SECONDS])
    assert app.pulse.troubles() == {"telegram commands": "not running"}
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert (record.work, bool(record.exc_info)) == ("telegram commands", fault is not None)
    clock.go.set()
    await wait_until(lambda: len(runs) == 2)
    assert app.pulse.troubles() == {}
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_model_that_cannot_be_warmed_up_is_logged(caplog):
    async def broken():
        raise ImportError("no model library")

    await warm_up(SimpleNamespace(warm_up=broken))
    assert "model not warmed up" in caplog.text
    assert "no model library" in caplog.text


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://127.0.0.1/0", ["store.url: the server forgets what it was told when it ends"]),
        ("redis://127.0.0.1/1", ["store not looked at: gone"]),
        ("sqlite:///paperboy.db", []),
    ],
)
async def test_a_start_says_what_a_server_may_forget_and_goes_on(url: str, said: list[str], caplog):
    async def check():
        if url.endswith("/1"):
            raise StoreError("gone")
        return [Finding("error", "store.url", "the server forgets what it was told when it ends")]

    settings = SimpleNamespace(store=SimpleNamespace(url=url))
    await look_at_store(SimpleNamespace(settings=settings, store=SimpleNamespace(check=check)))  # type: ignore[arg-type]  # all it asks of an App
    assert [record.getMessage() for record in caplog.records] == said
