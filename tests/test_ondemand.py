from dataclasses import replace

import pytest

from bot.interfaces import Brief
from bot.models import ArxivId, Basis, FullText, Meter, Paper
from bot.ondemand import OnDemand
from bot.store.sqlite import SqliteStore
from tests.fakes import a_day_list, a_full_text, a_profile
from tests.test_reporter import KnownPapers, ScriptedAnalyst, a_reporter


class Versions:
    """Every version that is asked for, the latest being 4."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def fetch(self, paper: Paper) -> FullText:
        self.asked.append(str(paper.arxiv_id))
        read = replace(paper.arxiv_id, version=paper.arxiv_id.version or 4)
        return replace(a_full_text(paper), arxiv_id=read, basis=Basis.HTML)


@pytest.fixture
async def store(tmp_path):
    async with SqliteStore.open(tmp_path / "paperboy.db") as opened:
        await opened.keep_list(a_day_list(2))
        yield opened


def a_brief() -> Brief:
    return Brief(a_profile(), "zh", Meter())


async def test_a_listed_paper_is_read_in_its_latest_version(store):
    texts = Versions()
    ondemand = OnDemand(a_reporter(store, ScriptedAnalyst(), full_texts=texts))
    dive = await ondemand.deep_dive(ArxivId("2602.00001"), a_brief())
    assert texts.asked == ["2602.00001"]
    assert str(dive.paper.arxiv_id) == "2602.00001v4"


async def test_a_version_that_is_asked_for_is_the_one_that_is_read(store):
    texts = Versions()
    ondemand = OnDemand(a_reporter(store, ScriptedAnalyst(), full_texts=texts, metadata=KnownPapers()))
    dive = await ondemand.deep_dive(ArxivId("2602.00001", 2), a_brief())
    assert texts.asked[-1] == "2602.00001v2"
    assert str(dive.paper.arxiv_id) == "2602.00001v2"
