"""A day to look at without the network: the demo's list when Hugging Face does not answer, and what can be read of it.

The papers, their authors and their figures in `sample_day.json` and `sample_pages/` are invented for the purpose. Their
IDs are well formed but far above the highest that arXiv gave out in that month, so they name no real paper.
"""

from dataclasses import replace
from datetime import UTC, date, datetime
from importlib import resources

from bot.models import DayList, FullText, Paper
from bot.sources.fulltext import AbstractTexts
from bot.sources.huggingface import parse_list

NAME = "sample"
DAY = date(2026, 2, 25)
CAPTURED_AT = datetime(2026, 2, 26, 0, 30, tzinfo=UTC)


class Sample:
    """The bundled list of `DAY`, and an empty one for every other day. Nobody takes its papers for listed ones."""

    name = NAME

    async def list_day(self, day: date) -> DayList:
        if day != DAY:
            return DayList(day, (), CAPTURED_AT, origin=NAME)
        content = resources.files("bot.sources").joinpath("sample_day.json").read_bytes()
        listed = parse_list(content, day, CAPTURED_AT, origin=NAME)
        return replace(listed, papers=tuple(replace(paper, source=NAME) for paper in listed.papers))


class SampleTexts:
    """The bundled pages of its best papers, read as arXiv's are; of the others, the abstract. Implements FullTexts."""

    async def fetch(self, paper: Paper) -> FullText:
        from bot.sources.fulltext import latexml

        page = resources.files("bot.sources").joinpath("sample_pages", f"{paper.arxiv_id.id}.html")
        if not page.is_file():
            return await AbstractTexts().fetch(paper)
        return latexml.read(page.read_bytes(), paper.arxiv_id)

    async def kept(self, paper: Paper) -> FullText:
        return await self.fetch(paper)
