"""The analyst that needs no model: scores from words, deep dives from the paper's own sentences."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bot import texts as wordings
from bot.analysis import points, questions, untrusted
from bot.analysis.asking import SUSPICIOUS
from bot.analysis.extractive.cues import has
from bot.analysis.extractive.excerpts import Excerpt, excerpts
from bot.analysis.extractive.judging import Judgement, Match, judge
from bot.analysis.extractive.questions import matches
from bot.analysis.extractive.weighing import FACETS
from bot.analysis.points import Reading
from bot.analysis.scoring import value
from bot.interfaces import Brief
from bot.models import (
    AnalystKind,
    Answer,
    Basis,
    DeepDive,
    DeepDiveSection,
    FullText,
    Paper,
    Point,
    PointCounts,
    PointKind,
    Profile,
    Question,
    Score,
)
from bot.texts import Texts
from prompts import load

MATCHED = 0.4  # from this strength an interest counts as matched: about one sentence that names it
NAMED = 3  # interests that a reason names
NAME_LENGTH = 60  # characters of a paper's own words in a reason
POINT_LENGTH = 600  # characters: a lead-in and the longest sentence that is quoted
ANSWERING = 3  # sentences that an answer quotes at most
GAPS = ("figures", "cost", "data", "failures")  # what a reader looks for where an abstract names no limits


class ExtractiveAnalyst:
    """Judges by matching interests with title and abstract, reads by quoting. Implements interfaces.Analyst.

    A score is fast enough for the event loop (a few milliseconds); a long paper is read in a thread. The same input
    always gives the same output, and nothing is invented: what is no quotation is marked as inferred.
    """

    kind = AnalystKind.EXTRACTIVE
    model = ""

    def prompts(self, language: str) -> tuple[str, ...]:  # noqa: ARG002  # interfaces.Analyst
        """None: it asks nobody."""
        return ()

    async def score(self, paper: Paper, brief: Brief) -> Score:
        """Never raises."""
        title, abstract = untrusted.redact_all((paper.title, paper.abstract))
        judgement = judge(replace(paper, title=title.text, abstract=abstract.text), brief.profile)
        return Score(
            value=value(judgement.sub),
            sub=judgement.sub,
            reason=_reason(judgement, wordings.load(brief.language)),
            quote=_quote(judgement, title.text),
            matched_interests=_matched(judgement, brief.profile),
            suspicious=title.suspicious or abstract.suspicious,
            analyst=self.kind,
        )

    async def kept_deep_dive(self, paper: Paper, full_text: FullText, brief: Brief) -> None:
        """Its deep dives are made anew: that takes no model and a fraction of a second."""

    async def deep_dive(self, paper: Paper, full_text: FullText, brief: Brief) -> DeepDive:
        """Never raises. Every section has a point: where the paper has no sentence for it, an inferred one says so."""
        return await asyncio.to_thread(self._deep_dive, paper, full_text, brief)  # a second for the longest papers

    def _deep_dive(self, paper: Paper, full_text: FullText, brief: Brief) -> DeepDive:
        reading = points.read(paper, full_text)
        behind = frozenset(section.id for section in full_text.appendix)
        found = excerpts(reading.sections, full_text.basis, brief.profile.interests, behind)
        words = wordings.load(brief.language)
        absent = _missing_values(reading, full_text.basis, brief.profile, words)
        sections = tuple(
            DeepDiveSection(key, title, _points(key, found.get(key, ()), words) or _missing(key, absent, words))
            for key, title in load("deep_dive", brief.language).sections
        )
        count = sum(len(section.points) for section in sections)
        return DeepDive(
            paper=paper,
            language=brief.language,
            basis=full_text.basis,
            analyst=self.kind,
            model=self.model,
            prompt="",
            sections=sections,
            points=PointCounts(written=count, verified=count, dropped=0, repaired=0),
            outline=tuple(replace(section, text="") for section in reading.sections),
            flags=(SUSPICIOUS,) if reading.suspicious else (),
        )

    async def answer(self, question: Question, full_text: FullText, brief: Brief) -> Answer:
        """Never raises. The sentences that match the question's words, best first; no points where none does."""
        return await asyncio.to_thread(self._answer, question, full_text, brief)  # as long as a deep dive

    def _answer(self, question: Question, full_text: FullText, brief: Brief) -> Answer:
        question = questions.tidied(question)
        reading = points.read(question.paper, full_text)
        found = matches(question.text, reading.sections, reading.appendix, ANSWERING)
        words = wordings.load(brief.language)
        quoted = tuple(
            Point(
                PointKind.STATED,
                one.section,
                untrusted.plain(one.text, len(one.text)),
                words("ask.excerpt", sentence=untrusted.defang(one.text, POINT_LENGTH)),
            )
            for one in found
        )
        return Answer(
            paper=question.paper,
            question=question.text,
            language=brief.language,
            basis=full_text.basis,
            analyst=self.kind,
            model=self.model,
            prompt="",
            points=quoted,
            counts=PointCounts(written=len(quoted), verified=len(quoted), dropped=0, repaired=0),
            outline=tuple(replace(section, text="", figures=()) for section in reading.sections),
            flags=(SUSPICIOUS,) if reading.suspicious else (),
        )


def _reason(judgement: Judgement, words: Texts) -> str:
    """One line: which interests stand in the title, which in the abstract, and in which words."""
    clear = [match for match in judgement.matches if match.strength >= MATCHED][:NAMED]
    parts = [
        words(f"extractive.reason_{place}", interests=_listed(matches, words))
        for place, matches in (
            ("title", [match for match in clear if match.in_title]),
            ("abstract", [match for match in clear if not match.in_title]),
            ("beside", [] if clear else judgement.matches[:1]),
        )
        if matches
    ]
    parts = parts or [words("extractive.reason_none")]
    if judgement.excluded:
        names = words("extractive.listing").join(words("extractive.quoted", text=name) for name in judgement.excluded)
        parts.append(words("extractive.reason_excluded", interests=names))
    return words("extractive.joint").join(parts)


def _listed(matches: Sequence[Match], words: Texts) -> str:
    return words("extractive.listing").join(_name(match, words) for match in matches)


def _name(match: Match, words: Texts) -> str:
    """The interest as the profile spells it, with the paper's words where they are others."""
    name = words("extractive.quoted", text=match.interest)
    if match.words.casefold().replace(" ", "") in match.interest.casefold().replace(" ", "").replace("-", ""):
        return name
    return words("extractive.named_as", name=name, words=untrusted.defang(match.words, NAME_LENGTH))


def _quote(judgement: Judgement, title: str) -> str:
    """The sentence that shows the strongest match; the title where only that does."""
    if not judgement.matches:
        return ""
    best = judgement.matches[0]
    quote = best.sentence or title
    return "" if untrusted.REDACTED in quote or best.strength < MATCHED else untrusted.plain(quote, len(quote))


def _matched(judgement: Judgement, profile: Profile) -> tuple[str, ...]:
    """In the profile's order."""
    clear = {match.interest for match in judgement.matches if match.strength >= MATCHED}
    return tuple(interest for interest in profile.interests if interest in clear)


def _points(key: str, found: Sequence[Excerpt], words: Texts) -> tuple[Point, ...]:
    return tuple(
        Point(PointKind.STATED, one.section, untrusted.plain(one.text, len(one.text)), _lead_in(key, one, words))
        for one in found
    )


def _lead_in(key: str, one: Excerpt, words: Texts) -> str:
    """What the sentence is quoted for, and the sentence in its own language."""
    sentence = untrusted.defang(one.text, POINT_LENGTH)
    facet = next((name for name in FACETS.get(key, ()) if name in one.facets), None)
    if facet:
        return words(f"extractive.{key}_{facet}", sentence=sentence)
    if key == "takeaways" and one.interests:
        names = words("extractive.listing").join(one.interests[:NAMED])
        return words("extractive.takeaways_for", interests=names, sentence=sentence)
    return words(f"extractive.{key}", sentence=sentence)


def _missing(key: str, values: Mapping[str, str], words: Texts) -> tuple[Point, ...]:
    """One inferred point: the text says nothing on this, and what to look at instead."""
    name = f"extractive.missing_{key}"
    return (Point(PointKind.INFERRED, "", "", words(name if name in words else "extractive.missing", **values)),)


def _missing_values(reading: Reading, basis: Basis, profile: Profile, words: Texts) -> Mapping[str, str]:
    """What those wordings are filled with."""
    text = "\n".join(section.text for section in reading.sections)
    gaps = [words(f"extractive.gap_{gap}") for gap in GAPS if not has(f"missing.{gap}", text)]
    return {
        "text": words("extractive.abstract" if basis is Basis.ABSTRACT else "extractive.full_text"),
        "interests": words("extractive.listing").join(profile.interests[:NAMED]),
        "gaps": words("extractive.listing").join(gaps) or words("extractive.gap_none"),
    }
