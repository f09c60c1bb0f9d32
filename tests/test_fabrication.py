"""A model that makes up quotes and numbers: nothing that it made up is published.

What is published is held against the paper by a check of its own, much simpler than the one under test: the quote
stands in the section letter by letter, and every number of the text stands there in digits.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

import prompts
from bot.analysis.answer import MOST_POINTS, answer
from bot.analysis.deepdive import deep_dive
from bot.errors import ModelError
from bot.interfaces import Brief, Turn
from bot.models import ArxivId, Basis, DeepDive, FullText, Meter, Point, PointKind, Question, Section
from tests.fakes import ABSTRACT, FakeLLM, a_paper, a_profile

DIVES = 20  # of each language
POINTS = 4  # under each of the four headings
FABRICATED_QUOTES, FABRICATED_NUMBERS = 0.3, 0.2
MENDED = 0.5  # of what is asked back; the rest comes back as it was, or made up anew
KEYS = ("contribution", "method", "takeaways", "limitations")
TITLES = (
    ("1", "Introduction"),
    ("2", "Related Work"),
    ("3", "RainFlow"),
    ("3.1", "Mask network"),
    ("3.2", "Flow matching"),
    ("3.3", "Training"),
    ("4", "Experiments"),
    ("4.1", "Real rain"),
    ("4.2", "Ablations"),
    ("5", "Limitations"),
    ("6", "Conclusion"),
    ("A", "More settings"),
)
SUBJECTS = ("The mask network", "Our sampler", "The flow model", "DropGAN", "The student", "RainFlow", "The encoder")
VERBS = ("reaches", "needs", "loses", "gains", "is trained for", "reports", "keeps", "never exceeds")
UNITS = (
    "dB on the RainDrop-X set",
    "hours of training",
    "layers of the widest model",
    "steps on wet streets",
    "% of the pixels",
)
CAUSES = ("because the drops move", "although the glass is dirty", "when the light is low", "as Table 2 lists in full")
SAID = {
    "zh": "{subject}在该设置下的数值是 {number}，这一点由原文支撑（{key} {index}）。",
    "en": "For {subject} the value in this setting is {number}, as the sentence has it ({key}, {index}).",
}


def a_sentence(rng: random.Random) -> str:
    number = f"{rng.uniform(1, 90):.{rng.randint(0, 2)}f}"
    other = f"{rng.randint(100, 9999):,}"
    return (
        f"{rng.choice(SUBJECTS)} {rng.choice(VERBS)} {number} {rng.choice(UNITS)} {rng.choice(CAUSES)}, "
        f"over {other} photographs from series {rng.choice('ABCDEFGH')}-{rng.randint(10, 99)}."
    )


def a_text(rng: random.Random) -> str:
    paragraphs = [" ".join(a_sentence(rng) for _ in range(4)) for _ in range(3)]
    rows = "\n".join(f"| Variant {name} | {rng.uniform(20, 40):.2f} | {rng.uniform(0, 1):.3f} |" for name in "abc")
    return "\n\n".join([*paragraphs, f"| Setting | PSNR | SSIM |\n|---|---|---|\n{rows}"])


def the_paper(rng: random.Random) -> FullText:
    sections = [
        Section(f"S{n}", number, title, a_text(rng)) for n, (number, title) in enumerate(TITLES, start=1)
    ]  # fmt: skip
    abstract = Section("S0", "", "Abstract", ABSTRACT)
    return FullText(ArxivId("2602.00001"), Basis.HTML, (abstract, *sections[:-1]), (sections[-1],))


def quotable(section: Section) -> list[str]:
    sentences = re.findall(r"[A-Z][^|]*?\.(?=\s)", section.text)
    return [*sentences, *(line for line in section.text.splitlines() if line.startswith("| Variant"))]


def made_up(quote: str, rng: random.Random, paper: FullText) -> str:
    """Something like a quote that stands nowhere: a digit changed, halves joined, a claim turned, all invented."""
    others = quotable(rng.choice(paper.sections[1:]))
    changed = re.sub(r"\d", lambda digit: str((int(digit[0]) + rng.randint(1, 9)) % 10), quote, count=1)
    halves = f"{quote[: len(quote) // 2]} {rng.choice(others)[-50:]}"
    return rng.choice(
        [changed, halves, a_sentence(rng), re.sub(r" (reaches|needs|gains|keeps) ", " does not need ", changed)]
    )


@dataclass
class Fabricator:
    """Writes a deep dive with made-up quotes and numbers, and mends some of it when it is asked to."""

    paper: FullText
    language: str
    rng: random.Random
    honest: list[dict[str, str]] = field(default_factory=list)
    written: list[dict[str, str]] = field(default_factory=list)
    first: list[dict[str, str]] = field(default_factory=list)
    quotes: int = 0
    numbers: int = 0

    def answer(self, _: str, turns: Sequence[Turn]) -> str:
        if turns[-2].role != "assistant":
            self.honest = [self._honest(key, index) for key in KEYS for index in range(POINTS)]
            self.written = self.first = [self._spoilt(point) for point in self.honest]
        else:
            self.written = [self._again(*pair) for pair in zip(self.honest, self.written, strict=True)]
        under = {key: self.written[at * POINTS : (at + 1) * POINTS] for at, key in enumerate(KEYS)}
        return json.dumps(under, ensure_ascii=False)

    def _honest(self, key: str, index: int) -> dict[str, str]:
        section = self.rng.choice((*self.paper.sections[1:], *self.paper.appendix))
        quote = self.rng.choice(quotable(section))
        number = self.rng.choice(re.findall(r"\d+(?:\.\d+)?(?![\d,])", quote.replace(",", "")) or ["1"])
        subject = self.rng.choice(SUBJECTS)
        words = SAID[self.language].format(subject=subject, number=number, key=key, index="abcd"[index])
        return {"section": section.id, "quote": quote, "kind": "stated", "text": words}

    def _spoilt(self, point: dict[str, str]) -> dict[str, str]:
        spoilt = dict(point)
        if self.rng.random() < FABRICATED_QUOTES:
            self.quotes += not self.first
            spoilt["quote"] = made_up(point["quote"], self.rng, self.paper)
        if self.rng.random() < FABRICATED_NUMBERS:
            self.numbers += not self.first
            wrong = str(round(self.rng.uniform(0, 99), 2))
            spoilt["text"] = re.sub(r"\d+(?:\.\d+)?", wrong, point["text"], count=1)
        return spoilt

    def _again(self, honest: dict[str, str], written: dict[str, str]) -> dict[str, str]:
        if written == honest or self.rng.random() < MENDED:
            return honest
        return self._spoilt(honest) if self.rng.random() < 0.5 else written


def folded(text: str) -> str:
    return " ".join(text.split())


def figures(text: str) -> set[float]:
    return set(map(float, re.findall(r"\d+(?:\.\d+)?", text.replace(",", ""))))


def stands(section_id: str, quote: str, text: str, paper: FullText) -> bool:
    section = next(one for one in (*paper.sections, *paper.appendix) if one.id == section_id)
    there = figures(f"{section.text} {section.number} {section.title} {a_paper().title}")
    return folded(quote) in folded(section.text) and figures(text) <= there


async def read_by(model: Fabricator) -> DeepDive:
    brief = Brief(a_profile(), model.language, Meter())
    prompt = prompts.load("deep_dive", model.language)
    return await deep_dive(a_paper(), model.paper, brief, FakeLLM(model.answer), prompt)


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_nothing_made_up_is_published(language):
    rng = random.Random(f"2026-02-25 {language}")
    counts: Counter[str] = Counter()
    for _ in range(DIVES):
        model = Fabricator(the_paper(rng), language, rng)
        dive = await read_by(model)
        published = [point for section in dive.sections for point in section.points]
        assert all(point.kind is PointKind.STATED for point in published)
        counts["quotes made up"] += model.quotes
        counts["numbers made up"] += model.numbers
        false = [one for one in model.first if not stands(one["section"], one["quote"], one["text"], model.paper)]
        counts["false as written"] += len(false)
        counts["false and published"] += sum(
            not stands(point.section, point.quote, point.text, model.paper) for point in published
        )
        counts.update({name: getattr(dive.points, name) for name in ("written", "verified", "dropped", "repaired")})
    print(language, dict(counts))  # the figures of the day, for who runs this with -s
    assert counts["false and published"] == 0
    assert counts["written"] == DIVES * len(KEYS) * POINTS
    assert counts["quotes made up"] > 0.25 * counts["written"]
    assert counts["numbers made up"] > 0.15 * counts["written"]
    # What is true is not lost: of the true points all stand, and of the mended ones.
    assert counts["verified"] - counts["repaired"] >= 0.99 * (counts["written"] - counts["false as written"])


async def answered_by(model: Fabricator) -> tuple[Point, ...]:
    """The points of an answer; none where not one stood."""

    def reply(name: str, turns: Sequence[Turn]) -> str:
        under = json.loads(model.answer(name, turns))
        return json.dumps({"points": under["method"], "answerable": True}, ensure_ascii=False)

    brief, prompt = Brief(a_profile(), model.language, Meter()), prompts.load("answer", model.language)
    try:
        return (await answer(Question(a_paper(), "PSNR?"), model.paper, brief, FakeLLM(reply), prompt)).points
    except ModelError:
        return ()


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_nothing_made_up_answers_a_question(language):
    assert POINTS <= MOST_POINTS
    rng = random.Random(f"2026-02-26 {language}")
    published = 0
    for _ in range(4 * DIVES):
        model = Fabricator(the_paper(rng), language, rng)
        points = await answered_by(model)
        published += len(points)
        assert all(stands(point.section, point.quote, point.text, model.paper) for point in points)
    assert published > 0.6 * 4 * DIVES * POINTS  # the others were made up
