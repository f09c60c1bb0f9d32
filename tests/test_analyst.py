"""The model analyst: one call an analysis, kept under everything that it depends on."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

import prompts
from bot.analysis.analyst import ModelAnalyst
from bot.errors import ModelError, StoreError
from bot.interfaces import LLM, Analyst, Brief, Reply, ReplyT, Turn
from bot.models import AnalystKind, ArxivId, Basis, Figure, FullText, Meter, Profile, Section, Usage
from tests.fakes import ABSTRACT, FakeLLM, a_full_text, a_paper, a_profile, wait_until
from tests.test_deepdive import a_reply
from tests.test_scoring import GOOD


class Kept:
    """The store's analyses in a dictionary, which can be down."""

    def __init__(self) -> None:
        self.contents: dict[str, str] = {}
        self.down = False

    async def analysis(self, key: str) -> str | None:
        self._check()
        return self.contents.get(key)

    async def keep_analysis(self, key: str, content: str) -> None:
        self._check()
        self.contents[key] = content

    def _check(self) -> None:
        if self.down:
            raise StoreError("down")


class SlowLLM(FakeLLM):
    """Answers when the gate opens."""

    def __init__(self) -> None:
        super().__init__(answer)
        self.gate = asyncio.Event()
        self.cancelled = 0

    async def ask(self, name: str, turns: Sequence[Turn], schema: type[ReplyT], meter: Meter) -> Reply[ReplyT]:
        reply = await super().ask(name, turns, schema, meter)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return reply


def answer(name: str, turns: Sequence[Turn]) -> str:
    return json.dumps(GOOD if name == "score" else a_reply(), ensure_ascii=False)


def a_brief(profile: Profile | None = None, *, language: str = "zh", fresh: bool = False) -> Brief:
    return Brief(profile or a_profile(), language, Meter(), fresh)


def an_analyst(llm: LLM | None = None, kept: Kept | None = None) -> tuple[ModelAnalyst, FakeLLM, Kept]:
    model = llm if isinstance(llm, FakeLLM) else FakeLLM(answer)
    kept = kept or Kept()
    return ModelAnalyst(model, kept), model, kept


def test_it_says_who_it_is_and_which_prompts_reports_are_made_with():
    analyst: Analyst = an_analyst()[0]
    assert (analyst.kind, analyst.model) == (AnalystKind.MODEL, "fake/model")
    assert analyst.prompts("zh") == (prompts.load("score", "zh").ref, prompts.load("deep_dive", "zh").ref)


async def test_an_analysis_is_made_once_and_comes_back_the_same():
    analyst, llm, kept = an_analyst()
    brief = a_brief()
    score = await analyst.score(a_paper(), brief)
    deep = await analyst.deep_dive(a_paper(), a_full_text(), brief)
    assert brief.meter.usage.calls == 2
    again, later = a_brief(), ModelAnalyst(llm, kept)  # another process, the same store
    assert await later.score(a_paper(), again) == score
    assert await later.deep_dive(a_paper(), a_full_text(), again) == deep
    assert again.meter.usage == Usage(cached=2)
    assert len(llm.asked) == 2


@pytest.mark.parametrize(
    ("paper", "brief"),
    [
        (a_paper(arxiv_id=ArxivId("2602.00001", 2)), a_brief()),
        (a_paper(abstract=ABSTRACT + " Code is out."), a_brief()),
        (a_paper(title="Another Title"), a_brief()),
        (a_paper(), a_brief(language="en")),
        (a_paper(), a_brief(a_profile(audience="astronomers"))),
    ],
)
async def test_whatever_an_analysis_depends_on_makes_it_another_one(paper, brief):
    analyst, llm, kept = an_analyst()
    await analyst.score(a_paper(), a_brief())
    await analyst.score(paper, brief)
    assert len(llm.asked) == len(kept.contents) == 2


FIGURE = Figure("Figure 1", "An overview of the method.", "https://arxiv.org/html/2602.00001/x1.png")
FULL = FullText(ArxivId("2602.00001"), Basis.HTML, (Section("S0", "", "Abstract", ABSTRACT, "S0", (FIGURE,)),))
APPENDIX = Section("S1", "A", "Proofs", "A proof takes its time.", "A1")


@pytest.mark.parametrize(
    "full_text",
    [
        replace(FULL, basis=Basis.PDF),
        replace(FULL, suspicious=True),
        replace(FULL, appendix=(APPENDIX,)),
        replace(FULL, sections=(*FULL.sections, APPENDIX)),
        replace(FULL, sections=(replace(FULL.sections[0], text=f"{ABSTRACT} Code is out."),)),
        replace(FULL, sections=(replace(FULL.sections[0], title="Summary"),)),
        replace(FULL, sections=(replace(FULL.sections[0], number="1"),)),
        replace(FULL, sections=(replace(FULL.sections[0], anchor="abstract"),)),
        replace(FULL, sections=(replace(FULL.sections[0], figures=()),)),
        replace(FULL, sections=(replace(FULL.sections[0], figures=(replace(FIGURE, url=""),)),)),
    ],
)
async def test_whatever_is_read_or_shown_of_a_full_text_makes_another_analysis(full_text):
    analyst, llm, kept = an_analyst()
    await analyst.deep_dive(a_paper(), FULL, a_brief())
    await analyst.deep_dive(a_paper(), full_text, a_brief())
    assert len(llm.asked) == len(kept.contents) == 2


async def test_another_model_input_limit_or_author_makes_another_analysis():
    analyst, llm, kept = an_analyst()
    await analyst.deep_dive(a_paper(), FULL, a_brief())
    await an_analyst(FakeLLM(answer, "fake/other"), kept)[0].deep_dive(a_paper(), FULL, a_brief())
    assert len(kept.contents) == 2
    llm.max_input_tokens = 8000
    await analyst.deep_dive(a_paper(), FULL, a_brief())
    assert len(kept.contents) == 3
    await analyst.deep_dive(a_paper(authors=("Cy Else",)), FULL, a_brief())
    assert len(kept.contents) == 4


async def test_a_kept_analysis_asks_nothing_of_the_model_not_even_what_it_takes():
    class Loading(FakeLLM):
        async def context(self):
            raise AssertionError("a model library was loaded for nothing")

    analyst, _, kept = an_analyst()
    await analyst.deep_dive(a_paper(), FULL, a_brief())
    await an_analyst(Loading(answer), kept)[0].deep_dive(a_paper(), FULL, a_brief())
    assert len(kept.contents) == 1


async def test_a_deep_dive_kept_before_there_were_figures_still_reads():
    analyst, llm, kept = an_analyst()
    made = await analyst.deep_dive(a_paper(), FULL, a_brief())
    (key,) = kept.contents
    older = json.loads(kept.contents[key])
    del older["left_out"], older["figure"], older["outline"][0]["anchor"]
    kept.contents[key] = json.dumps(older)
    assert (await analyst.deep_dive(a_paper(), FULL, a_brief())).sections == made.sections
    assert len(llm.asked) == 1


async def test_two_profiles_with_the_same_content_share_an_analysis():
    analyst, llm, _ = an_analyst()
    await analyst.score(a_paper(), a_brief(a_profile(name="one")))
    await analyst.score(a_paper(), a_brief(a_profile(name="two")))
    assert len(llm.asked) == 1


async def test_a_fresh_brief_asks_anew_and_replaces_what_was_kept():
    analyst, llm, kept = an_analyst()
    await analyst.score(a_paper(), a_brief())
    llm._answer = lambda name, turns: json.dumps({**GOOD, "novelty": 1})
    fresh = await analyst.score(a_paper(), a_brief(fresh=True))
    assert fresh.sub.novelty == 1
    assert await analyst.score(a_paper(), a_brief()) == fresh
    assert len(kept.contents) == 1


async def test_a_fallbacks_analysis_is_kept_under_what_was_asked_for_and_names_who_answered():
    class FallingBack(FakeLLM):
        async def ask(self, name, turns, schema, meter):
            reply = await super().ask(name, turns, schema, meter)
            return Reply(reply.value, reply.text, "fake/second", reply.cost_usd)

    analyst, _, kept = an_analyst(FallingBack(answer, "fake/first"))
    assert (await analyst.score(a_paper(), a_brief())).model == "fake/second"
    (key,) = kept.contents
    assert key.endswith("|fake/first")
    assert (await analyst.score(a_paper(), a_brief())).model == "fake/second"


async def test_fifty_askers_at_once_are_one_call():
    llm = SlowLLM()
    analyst, _, _ = an_analyst(llm)
    briefs = [a_brief() for _ in range(50)]
    askers = [asyncio.create_task(analyst.score(a_paper(), brief)) for brief in briefs]
    await wait_until(lambda: bool(llm.asked))
    llm.gate.set()
    scores = await asyncio.gather(*askers)
    assert len(llm.asked) == 1
    assert len(set(scores)) == 1
    assert sum(brief.meter.usage.calls for brief in briefs) == 1
    assert sum(brief.meter.usage.cached for brief in briefs) == 49


async def test_an_asker_who_gives_up_does_not_take_the_analysis_from_the_others():
    llm = SlowLLM()
    analyst, _, _ = an_analyst(llm)
    first, second = (asyncio.create_task(analyst.score(a_paper(), a_brief())) for _ in range(2))
    await wait_until(lambda: bool(llm.asked))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    llm.gate.set()
    assert (await second).value == 84
    assert llm.cancelled == 0


async def test_the_last_asker_who_gives_up_ends_the_call_and_the_next_one_asks_anew():
    llm = SlowLLM()
    analyst, _, _ = an_analyst(llm)
    asker = asyncio.create_task(analyst.score(a_paper(), a_brief()))
    await wait_until(lambda: bool(llm.asked))
    asker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asker
    await wait_until(lambda: llm.cancelled == 1)
    llm.gate.set()
    assert (await analyst.score(a_paper(), a_brief())).value == 84
    assert len(llm.asked) == 2


async def test_a_failure_is_told_to_every_asker_and_kept_by_none():
    def fail(name: str, turns: Sequence[Turn]) -> str:
        raise ModelError("late", key="failure.timeout")

    analyst, llm, kept = an_analyst(FakeLLM(fail))
    results = await asyncio.gather(*(analyst.score(a_paper(), a_brief()) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [ModelError] * 3
    assert kept.contents == {}
    llm._answer = answer
    assert (await analyst.score(a_paper(), a_brief())).value == 84


async def test_what_cannot_be_read_any_more_is_made_anew():
    analyst, llm, kept = an_analyst()
    await analyst.score(a_paper(), a_brief())
    (key,) = kept.contents
    kept.contents[key] = '{"value": 84, "old": "form"}'
    assert (await analyst.score(a_paper(), a_brief())).value == 84
    assert len(llm.asked) == 2
    assert "old" not in kept.contents[key]


async def test_a_store_that_is_down_costs_a_call_but_no_analysis():
    analyst, _, kept = an_analyst()
    kept.down = True
    assert (await analyst.score(a_paper(), a_brief())).value == 84
    kept.down = False
    assert kept.contents == {}
