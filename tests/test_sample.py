"""The bundled day: invented, whole, and worth looking at."""

import json
import re
from datetime import date
from importlib import resources

from bot.sources.huggingface import day_of
from bot.sources.sample import DAY, Sample

CONTENT = resources.files("bot.sources").joinpath("sample_day.json").read_bytes()
HIGHEST = 90_000  # far above the number of papers of any month


async def test_the_sample_day_loads_whole():
    found = await Sample().list_day(DAY)
    assert (found.day, found.origin, found.skipped) == (date(2026, 2, 25), "sample", 0)
    assert len(found.papers) == len(json.loads(CONTENT)) == 18
    assert day_of(CONTENT) == DAY


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
