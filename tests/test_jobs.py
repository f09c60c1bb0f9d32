"""What the engine runs does what its arguments say, or says that it cannot: settings may differ between processes."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from bot.app.jobs import Jobs
from bot.errors import SettingsError
from bot.models import Address, PlatformName
from bot.schedule import ReportJob
from bot.store.sqlite import SqliteStore
from tests.fakes import DAY
from tests.test_daily import LAB, TEAM, Town

ELSEWHERE = replace(TEAM, address=Address(PlatformName.TELEGRAM, "-1009"))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore.open(tmp_path / "paperboy.db") as opened:
        yield opened


async def test_a_report_goes_nowhere_but_where_its_job_was_meant_for(store: SqliteStore):
    town = Town(store)
    jobs = Jobs(SimpleNamespace(plans=(ELSEWHERE, LAB), store=store), town.daily)  # type: ignore[arg-type]  # all it asks of an app
    wanted = ReportJob(DAY, "default", "zh", {"team": str(TEAM.address), LAB.name: str(LAB.address)})
    with pytest.raises(SettingsError, match="settings differ between processes: team") as raised:
        await jobs.report(wanted.arguments())
    assert raised.value.retryable, "the next to try may be a process that knows the channel"
    planned = {str(part.address) for part in await store.deliveries(10)}
    assert planned == {str(LAB.address)}


async def test_a_job_for_settings_that_nobody_here_has_makes_no_report(store: SqliteStore):
    town = Town(store)
    jobs = Jobs(SimpleNamespace(plans=(LAB,), store=store), town.daily)  # type: ignore[arg-type]  # as above
    with pytest.raises(SettingsError):
        await jobs.report(ReportJob(DAY, "default", "zh", {"team": str(TEAM.address)}).arguments())
    assert await store.report(DAY, "default", "zh") is None
