"""The golden set: true and false pairs of point and quote, held to the proof that every published point passes."""

import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.analysis import points
from bot.analysis.points import PointReply, Reading
from bot.models import Basis, FullText, Section
from tests.fakes import a_paper

GOLDEN = tomllib.loads((Path(__file__).parent / "data" / "golden.toml").read_text(encoding="utf-8"))
IDS = {name: f"S{number}" for number, name in enumerate(GOLDEN["sections"], start=1)}
MOST_FALSE_REJECTS = 0.05


@dataclass(frozen=True)
class Pair:
    kind: str
    section: str
    quote: str
    text: str
    breaks: str = ""

    @property
    def language(self) -> str:
        return "zh" if any("\u4e00" <= character <= "\u9fff" for character in self.text) else "en"


PAIRS = [Pair(**pair) for pair in GOLDEN["pairs"]]
TRUE = [pair for pair in PAIRS if not pair.breaks]
FALSE = [pair for pair in PAIRS if pair.breaks]


@pytest.fixture(scope="module")
def reading() -> Reading:
    """The invented paper as a model is given it."""
    sections = tuple(Section(IDS[name], **section) for name, section in GOLDEN["sections"].items())
    paper = a_paper(title="Masks for Rain", abstract="A network for masks of rain is described.")
    return points.read(paper, FullText(paper.arxiv_id, Basis.HTML, sections))


def proved(pair: Pair, reading: Reading) -> points.Proof:
    reply = PointReply(section=IDS[pair.section], quote=pair.quote, kind="stated", text=pair.text)
    return points.prove(reply, reading, pair.language)


def test_the_set_is_large_and_holds_both_languages():
    assert min(len(TRUE), len(FALSE)) >= 60
    assert min(Counter(pair.language for pair in PAIRS).values()) >= 10
    assert len({(pair.kind, bool(pair.breaks)) for pair in PAIRS}) >= 100
    assert len({(pair.section, pair.quote, pair.text) for pair in PAIRS}) == len(PAIRS)


@pytest.mark.parametrize("pair", FALSE, ids=lambda pair: pair.kind)
def test_a_false_pair_is_refused_for_what_is_wrong_with_it(pair: Pair, reading: Reading):
    proof = proved(pair, reading)
    assert proof.point is None
    assert {fault.rule.value for fault in proof.faults} == {pair.breaks}


def test_true_pairs_stand_with_the_papers_own_words(reading: Reading):
    proofs = [(pair, proved(pair, reading)) for pair in TRUE]
    refused = {pair.kind: proof.faults for pair, proof in proofs if proof.point is None}
    assert len(refused) <= MOST_FALSE_REJECTS * len(TRUE), refused
    texts = {section.id: section.text for section in reading.sections}
    assert all(proof.point.quote in texts[IDS[pair.section]] for pair, proof in proofs if proof.point)
