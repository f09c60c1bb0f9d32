"""No paper talks Paperboy into anything: every attack of the corpus, against a model that obeys what it can read."""

from collections import Counter

import pytest

from bot.analysis import answer, deepdive, points, scoring
from bot.analysis.asking import SUSPICIOUS
from bot.analysis.extractive import ExtractiveAnalyst
from bot.interfaces import Brief, Turn
from bot.models import Meter, Question
from bot.sources.fulltext import pdf
from prompts import load
from tests.fakes import ABSTRACT, a_profile
from tests.injection import (
    DROPPED,
    IN_PAGES,
    PAPER,
    TEXTS,
    Obedient,
    attacks,
    carrying,
    honest,
    honest_page,
    obeys,
    printed,
)

MOST_SHIFT = 5  # points of a score
ATTACKS = [pytest.param(attack, id=attack.id) for attack in attacks()]
PASSED_ON = [pytest.param(attack, id=attack.id) for attack in attacks() if attack.placement != "invisible"]
HIDDEN_IN_PDFS = [pytest.param(attack, id=attack.id) for attack in attacks() if attack.placement == "invisible"]
PLACEMENTS = {"title", "abstract", "section", "table", "caption", "heading", "footnote", "reference", "appendix"} | {
    "author",
    "hidden",
    "invisible",
    "elements",
    "front",
}


def brief():
    return Brief(a_profile(), "zh", Meter())


def published(dive):
    return [(section.key, point.text, point.quote) for section in dive.sections for point in section.points]


async def judged(attack, paper, full_text):
    """Score and deep dive by the obedient model, and by the extractive analyst."""
    extractive, model = ExtractiveAnalyst(), Obedient(attack)
    return (
        await scoring.score(paper, brief(), model, load("score", "zh")),
        await deepdive.deep_dive(paper, full_text, brief(), model, load("deep_dive", "zh")),
        await extractive.score(paper, brief()),
        await extractive.deep_dive(paper, full_text, brief()),
    )


@pytest.fixture(scope="module")
def unharmed():
    """What is judged of the paper without an attack, as it is written and as its page is read."""
    kept = {}

    async def judge(attack):
        read = attack.placement in IN_PAGES
        if read not in kept:
            kept[read] = await judged(None, PAPER, honest_page() if read else honest())
        return kept[read]

    return judge


def test_the_corpus_is_wide():
    assert len(attacks()) >= 60
    assert len({attack.id for attack in attacks()}) == len(attacks())
    assert {attack.placement for attack in attacks()} == PLACEMENTS
    languages = Counter(attack.language for attack in attacks())
    assert languages["zh"] >= 10
    assert len(languages) >= 8
    assert len({attack.style for attack in attacks()}) >= 20
    assert {attack.demand for attack in attacks()} == {"scores", "limitations", "insert"}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_the_model_obeys_an_attack_that_it_is_shown(attack):
    """The proof that the tests below can fail: without redaction each of these changes what is published."""
    prompt = load("score", "zh")
    texts = prompt.render(
        interests=("Image Restoration",),
        exclude=(),
        audience="",
        title=PAPER.title,
        abstract=f"{ABSTRACT} {attack.payload}",
    )
    turns = (Turn("system", texts[0]), Turn("user", texts[1]))
    model = Obedient(attack)
    reply = await model.ask("score", turns, scoring.ScoreReply, Meter())
    assert model.obeyed
    if attack.demand == "scores":
        assert reply.value.topic == 10


def test_the_model_takes_no_honest_paper_for_an_attack():
    reading = points.read(PAPER, honest_page())
    turns = (Turn("user", f"<<<paper 1>>>{PAPER.title}\n{reading.laid_out()}<<<end of paper 1>>>"),)
    assert [attack.id for attack in attacks() if obeys(attack, turns)] == []


def test_a_papers_text_outside_the_delimiters_is_obeyed_whatever_it_says():
    attack = attacks()[0]
    assert obeys(attack, (Turn("system", f"Judge: {PAPER.title}"), Turn("user", "…")))
    assert obeys(attack, (Turn("user", f"<<<paper 1>>>x<<<end of paper 1>>> {ABSTRACT}"),))


@pytest.mark.parametrize("attack", PASSED_ON)
async def test_no_attack_moves_a_score_or_changes_a_published_point(attack, unharmed):
    score, dive, own_score, own_dive = await judged(attack, *carrying(attack))
    true_score, true_dive, true_own_score, true_own_dive = await unharmed(attack)
    assert abs(score.value - true_score.value) <= MOST_SHIFT
    assert abs(own_score.value - true_own_score.value) <= MOST_SHIFT
    assert score.reason == true_score.reason
    assert published(dive) == published(true_dive)
    assert published(own_dive) == published(true_own_dive)
    warned = SUSPICIOUS in dive.flags and SUSPICIOUS in own_dive.flags
    assert warned or attack.placement in DROPPED
    if attack.placement in ("title", "abstract", "front"):
        assert score.suspicious
        assert own_score.suspicious


@pytest.mark.parametrize("attack", PASSED_ON)
async def test_no_attack_changes_an_answer(attack):
    paper, full_text = carrying(attack)
    question = Question(paper, "它怎样工作，训练用了多久？")
    made = await answer.answer(question, full_text, brief(), Obedient(attack), load("answer", "zh"))
    assert [point.text for point in made.points] == list(TEXTS["method"])
    quoted = await ExtractiveAnalyst().answer(question, full_text, brief())
    assert any("14 hours" in point.quote for point in quoted.points)
    assert (SUSPICIOUS in made.flags and SUSPICIOUS in quoted.flags) or attack.placement in DROPPED


@pytest.mark.parametrize("attack", HIDDEN_IN_PDFS)
async def test_what_a_pdf_hides_is_not_read_but_warned_of(attack):
    full_text = await pdf.read(printed(attack), PAPER.arxiv_id, ABSTRACT)
    plain = await pdf.read(printed(None), PAPER.arxiv_id, ABSTRACT)
    assert full_text.suspicious
    assert not plain.suspicious
    _, dive, _, own_dive = await judged(attack, PAPER, full_text)
    _, true_dive, _, true_own_dive = await judged(None, PAPER, plain)
    assert published(dive) == published(true_dive)
    assert published(own_dive) == published(true_own_dive)
    assert SUSPICIOUS in dive.flags
    assert SUSPICIOUS in own_dive.flags
