"""From words to sub-scores: what a paper's title and abstract have to do with a profile (pure).

Topic is BM25F (Robertson, Zaragoza and Taylor, CIKM 2004) over two fields with customary constants: how often the title
and the sentences of the abstract name an interest, saturated. No constant was fitted to judged papers.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from bot.analysis.extractive.cues import Role, has, roles
from bot.analysis.extractive.fields import fields_of, nearness
from bot.analysis.extractive.interests import NEAR, Interest, understand
from bot.analysis.extractive.words import Words, sentences, words
from bot.analysis.scoring import WEIGHTS
from bot.models import Paper, Profile, SubScores

TITLE_WEIGHT = 5.0  # a title counts as much as five sentences
SATURATION = 1.0  # BM25's k1, in sentences: one makes half of the strength
OWN, PLAIN, EARLIER = 1.5, 1.0, 0.5  # a sentence on the paper's own work, any other, one on what there was before
BREADTH = 0.1  # the share of the topic that further interests decide
CLEARLY = 0.8  # from this topic on, what a method is worth to the team is a matter of its data alone
FEWER_METHODS = 0.7  # a benchmark, data set or survey teaches fewer methods
NAMED = 0.7  # an exclusion counts where it is named, not where an idea beside it is
AWAY = 0.75  # what a match counts in a paper on wholly other data: an image team's "diffusion" in a language model
OTHER_FIELD = 0.3  # a method for other data may still travel
UNKNOWN_FIELD = 0.7  # nearness of the data where the words do not tell
ADJACENT = 0.2  # the method worth of a paper on the team's kind of data that names no interest


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an abstract, its words, and what it weighs by whose work it speaks of."""

    text: str
    words: Words
    weight: float


@dataclass(frozen=True, slots=True)
class ReadPaper:
    """A paper as it is looked through: once for all interests."""

    title: Words
    sentences: tuple[Sentence, ...]
    whole: Words


@dataclass(frozen=True, slots=True)
class Match:
    """What a paper says of one interest: `strength` 0 to 1, its words for it, and the sentence that says most."""

    interest: str
    strength: float
    in_title: bool
    words: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """Sub-scores and what they rest on: matches strongest first, and the exclusions that the paper is about."""

    sub: SubScores
    matches: tuple[Match, ...]
    excluded: tuple[str, ...]


def judge(paper: Paper, profile: Profile) -> Judgement:
    """Four sub-scores from the words of title and abstract alone."""
    read = read_paper(paper)
    matches = _matches(profile.interests, read)
    exclusions = _matches(profile.exclude, read, at_least=NAMED)
    kept = math.prod(1 - exclusion.strength for exclusion in exclusions)
    fit = _fit(profile, read)
    topic = kept * (AWAY + (1 - AWAY) * fit) * _topic([match.strength for match in matches])
    method = max(_method(paper.title, topic, fit), kept * ADJACENT * fit)
    text = f"{paper.title}. {paper.abstract}"
    sub = SubScores(*_rounded(topic, method), _novelty(paper.title, text), _rigor(text, published=bool(paper.code_url)))
    return Judgement(sub, matches, tuple(exclusion.interest for exclusion in exclusions))


def _rounded(topic: float, method: float) -> tuple[int, int]:
    """Both as integers 0 to 10; what rounding takes from the topic goes to the method, so that their sum keeps it.

    Else a step of the topic (five points of a hundred) would make ties of papers that differ.
    """
    whole = round(10 * topic)
    lost = (10 * topic - whole) * float(WEIGHTS["topic"] / WEIGHTS["method"])
    return whole, max(0, min(10, round(10 * method + lost)))


@lru_cache(maxsize=256)  # all interests of all profiles
def _understood(name: str) -> Interest:
    return understand(name)


def read_paper(paper: Paper) -> ReadPaper:
    """Cuts the abstract into weighted sentences."""
    found = sentences(paper.abstract)
    weight = {Role.OWN: OWN, Role.PLAIN: PLAIN, Role.EARLIER: EARLIER}
    parts = zip(found, roles(found, opening=True), strict=True)
    weighed = tuple(Sentence(text, words(text), weight[role]) for text, role in parts)
    return ReadPaper(words(paper.title), weighed, words(f"{paper.title}. {paper.abstract}"))


def _matches(names: Iterable[str], read: ReadPaper, at_least: float = 0.0) -> tuple[Match, ...]:
    """Those that the paper names, strongest first."""
    matches = (_match(_understood(name), read, at_least) for name in names)
    return tuple(sorted((match for match in matches if match.strength), key=lambda match: -match.strength))


def _match(interest: Interest, read: ReadPaper, at_least: float) -> Match:
    title = interest.found(read.title, read.whole)
    found = [(sentence, interest.found(sentence.words, read.whole)) for sentence in read.sentences]
    heard = [(sentence, one) for sentence, one in found if one.strength > at_least]
    in_title = title.strength if title.strength > at_least else 0.0
    said = TITLE_WEIGHT * in_title + sum(sentence.weight * one.strength for sentence, one in heard)
    if not said:
        return Match(interest.name, 0.0, in_title=False, words="", sentence="")
    best = max(heard, key=lambda pair: pair[0].weight * pair[1].strength, default=None)
    strongest = max([title, *(one for _, one in heard)], key=lambda one: one.strength)
    # Many mentions of an idea beside the interest never add up to the interest itself.
    grade = strongest.strength
    return Match(
        interest.name,
        grade * said / (said + SATURATION * grade),
        in_title=in_title > NEAR,
        words=title.words if in_title > NEAR else strongest.words,
        sentence=best[0].text if best else "",
    )


def _topic(strengths: Sequence[float]) -> float:
    """0 to 1: above all the strongest match, and a little of how many more there are."""
    if not strengths:
        return 0.0
    further = 1 - math.prod(1 - strength for strength in strengths[1:])
    return (1 - BREADTH) * strengths[0] + BREADTH * further


def _method(title: str, topic: float, fit: float) -> float:
    """0 to 1: a method travels as far as its data are the team's, if the paper has to do with the team at all."""
    worth = min(1.0, topic / CLEARLY) * max(fit, OTHER_FIELD)
    return worth * (FEWER_METHODS if has("method.fewer", title) else 1.0)


def _fit(profile: Profile, read: ReadPaper) -> float:
    """Does the paper work on the data that the team works on? 0 to 1."""
    fields = Counter(field for name in profile.interests for field in _understood(name).fields)
    wanted = fields or fields_of(words(" ".join((*profile.interests, profile.audience))))
    found = fields_of(read.whole)
    found.update({field: int(TITLE_WEIGHT) * count for field, count in fields_of(read.title).items()})
    near = nearness(wanted, found)
    return UNKNOWN_FIELD if near is None else near


def _novelty(title: str, text: str) -> int:
    """2 to 6: all that a surface tells of novelty is what the authors claim, so it moves little."""
    if has("novelty.weak", title):
        return 2
    return 4 + has("novelty.strong", text) + has("novelty.own", text)


def _rigor(text: str, *, published: bool) -> int:
    """3 to 6: figures, comparisons, breadth, theory and open code, as far as the abstract names them."""
    kinds = ("rigor.figures", "rigor.comparison", "rigor.breadth", "rigor.theory")
    named = sum(has(kind, text) for kind in kinds) + (published or has("rigor.open", text))
    return 3 + min(3, named)
