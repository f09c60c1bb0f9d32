"""The paper's own key sentences under the headings of a deep dive: which are chosen (pure)."""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from bot.analysis.extractive.interests import understand
from bot.analysis.extractive.weighing import Candidate, Weighed, candidates, named, ranked, subject, told
from bot.models import Basis, Section

HEADINGS = ("contribution", "limitations", "takeaways", "method")  # in the order in which they choose
# Most sentences under a heading.
FROM_ABSTRACT = dict.fromkeys(HEADINGS, 2)
FROM_FULL_TEXT = {"contribution": 3, "limitations": 4, "takeaways": 4, "method": 5}
WORTH_ADDING = 2.0  # what a further sentence of a full text has to weigh, in cues, and ...
OF_THE_BEST = 0.6  # ... the share of what the best one weighs
CROWDED = 0.75  # what a sentence loses by each other one of its section, if there are other sections
FRESH = 0.75  # what it gains by being about something that no other one is about
SAME_WORDS = 0.7  # share of common words, by what they tell, from which two sentences say the same ...
SAME_NEWS = 0.4  # ... and under "contribution", for papers say what is new three times


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A sentence of section `section` (an ID), the interests that it names, and what it is about ("ablation")."""

    section: str
    text: str
    interests: tuple[str, ...] = ()
    facets: frozenset[str] = frozenset()


@dataclass(slots=True)
class _Choice:
    """What is chosen so far, by heading."""

    whole: bool
    chosen: dict[str, list[Weighed]] = field(default_factory=dict)

    def add(self, heading: str, offered: Sequence[Weighed]) -> None:
        """The best of `offered` beside those already there, if it says something new."""
        if not offered:
            return
        own = self.chosen.get(heading, [])
        least = max(WORTH_ADDING, OF_THE_BEST * offered[0].weight) if own and self.whole else -math.inf
        sections = Counter(one.candidate.section for one in offered)
        crowding = {section: CROWDED * (1 - number / len(offered)) for section, number in sections.items()}
        gains = {one.candidate.order: _gain(one, own, crowding[one.candidate.section]) for one in offered}
        for one in sorted(offered, key=lambda one: (-gains[one.candidate.order], one.candidate.order)):
            if gains[one.candidate.order] < least:
                return
            if not self._said(heading, one):
                self.chosen.setdefault(heading, []).append(one)
                return

    def _said(self, heading: str, new: Weighed) -> bool:
        return any(
            common(new.candidate, old.candidate) >= (SAME_NEWS if heading == under == "contribution" else SAME_WORDS)
            for under, chosen in self.chosen.items()
            for old in chosen
        )


def excerpts(
    sections: Sequence[Section], basis: Basis, interests: Sequence[str], appendix: Collection[str] = ()
) -> Mapping[str, tuple[Excerpt, ...]]:
    """By heading, sentences in reading order; none stands under two headings. Headings without any are missing.

    `appendix` are the IDs of sections behind the main text: they are quoted where the main text has nothing.
    """
    whole = basis is not Basis.ABSTRACT
    understood = tuple(understand(name) for name in interests)
    found = candidates(sections, appendix)
    about = subject(found, understood)
    offered = {heading: ranked(heading, found, about) for heading in HEADINGS}
    most = FROM_FULL_TEXT if whole else FROM_ABSTRACT
    choice = _Choice(whole)
    for turn in range(max(most.values())):
        for heading in HEADINGS:
            if turn < most[heading]:
                choice.add(heading, offered[heading])
    return {
        heading: tuple(
            Excerpt(one.candidate.section, one.candidate.text, named(one.candidate.text, understood), one.facets)
            for one in sorted(chosen, key=lambda one: one.candidate.order)
        )
        for heading, chosen in choice.chosen.items()
    }


def _gain(one: Weighed, beside: Sequence[Weighed], crowding: float) -> float:
    crowd = sum(one.candidate.section == other.candidate.section for other in beside)
    known = frozenset[str]().union(*(other.facets for other in beside))
    return one.weight - crowding * crowd + FRESH * bool(one.facets - known)


def common(new: Candidate, old: Candidate) -> float:
    """The share of what the shorter of two sentences tells that the other tells as well."""
    mine, others = told(new.text), told(old.text)
    least = min(sum(mine.values()), sum(others.values()))
    return sum(tells for stem, tells in mine.items() if stem in others) / least if least else 0.0
