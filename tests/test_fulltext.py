"""What can be read of a paper."""

from bot.models import Basis, Section
from bot.sources.fulltext import AbstractTexts
from tests.fakes import a_paper


async def test_a_papers_text_is_its_abstract_and_says_so():
    paper = a_paper()
    text = await AbstractTexts().fetch(paper)
    assert text.arxiv_id == paper.arxiv_id
    assert text.basis is Basis.ABSTRACT
    assert text.sections == (Section("S0", "", "Abstract", paper.abstract),)
