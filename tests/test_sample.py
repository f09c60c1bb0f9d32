"""The bundled day: invented, whole, and worth looking at."""

import json
import re
from dataclasses import replace
from datetime import date
from importlib import resources

from bot import texts
from bot.report import compose, document
from bot.report.document import text_of
from bot.sources.huggingface import day_of
from bot.sources.sample import DAY, Sample
from tests.fakes import a_deep_dive

CONTENT = resources.files("bot.sources").joinpath("sample_day.json").read_bytes()
HIGHEST = 90_000  # far above the number of papers of any month


async def test_the_sample_day_loads_whole():
    found = await Sample().list_day(DAY)
    assert (found.day, found.origin, found.skipped) == (date(2026, 2, 25), "sample", 0)
    assert len(found.papers) == len(json.loads(CONTENT)) == 18
    assert day_of(CONTENT) == DAY


async def test_sample_papers_say_where_they_come_from():
    first, *_ = (await Sample().list_day(DAY)).papers
    dive = a_deep_dive(replace(first, upvotes=9))
    for language, source in (("zh", "示例日 🔥 9"), ("en", "sample day 🔥 9")):
        made = compose.deep_dive(dive, texts.load(language))
        fields = next(block for block in made.blocks if isinstance(block, document.Fields))
        assert source in [text_of(spans) for _, spans in fields.pairs]


async def test_other_days_have_no_sample():
    found = await Sample().list_day(date(2026, 2, 26))
    assert (found.day, found.papers, found.origin) == (date(2026, 2, 26), (), "sample")


async def test_no_sample_paper_can_be_taken_for_a_real_one():
    for paper in (await Sample().list_day(DAY)).papers:
        month, number = paper.arxiv_id.id.split(".")
        assert month == "2602"
        assert int(number) > HIGHEST
        assert paper.code_url is None
        assert paper.project_url is None


async def test_upvotes_do_not_give_the_restoration_papers_away():
    papers = (await Sample().list_day(DAY)).papers[:15]
    close = re.compile(
        r"restor|super-resolution|deblur|flow[- ]matching|diffusion|masked autoregressive", re.IGNORECASE
    )
    places = [place for place, paper in enumerate(papers) if close.search(paper.title)]
    assert len(places) >= 5
    assert min(places) >= 4


async def test_sample_abstracts_have_figures_and_limits():
    papers = (await Sample().list_day(DAY)).papers
    assert all(re.search(r"\d", paper.abstract) for paper in papers)
    assert any("$" in paper.abstract for paper in papers)
    assert all(paper.abstract.count("$") % 2 == 0 for paper in papers)
    assert any(
        len(paper.authors) < len(item["paper"]["authors"])
        for paper, item in zip(papers, json.loads(CONTENT), strict=True)
    )
