"""Full texts of likely candidates, fetched while scoring still runs: arXiv's pace costs the reader no time."""

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence

from bot.interfaces import Analyst, Brief, FullTexts
from bot.models import FullText, Meter, Paper, Profile, Ranked
from bot.ranking import Rules

logger = logging.getLogger(__name__)

SPARE = 1  # full texts beside the wanted ones: a candidate may fail its proof, and a guess may be wrong


class Prefetch:
    """The full texts of one report. Guesses by the extractive analyst's scores until real ones come, best first.

    A fetch that a deep dive joins is shared (interfaces.FullTexts); what nobody joined is given up with `end`.
    `served` is set once as many texts were handed out as deep dives are wanted: arXiv is free for lesser questions.
    """

    def __init__(self, full_texts: FullTexts, guessing: Analyst, rules: Rules) -> None:
        self._full_texts = full_texts
        self._guessing = guessing
        self._rules = rules
        self._worth: dict[str, int] = {}
        self._papers: dict[str, Paper] = {}
        self._left = 0
        self._served = 0
        self.served = asyncio.Event()
        self._fetching: dict[str, asyncio.Task[object]] = {}
        self._workers: list[asyncio.Task[None]] = []

    def begin(self, papers: Sequence[Paper], profile: Profile, language: str, reported: Collection[str]) -> None:
        """Starts fetching among `papers`, those already `reported` (IDs) left out."""
        self._papers = {paper.arxiv_id.id: paper for paper in papers if paper.arxiv_id.id not in reported}
        if self._rules.deep_dives:
            self._left = self._rules.deep_dives + SPARE
            brief = Brief(profile, language, Meter())
            self._workers.append(asyncio.create_task(self._guess_and_fetch(brief)))

    def scored(self, entry: Ranked) -> None:
        """A guess made true: a paper that failed or is not good enough is not worth a request."""
        name = entry.paper.arxiv_id.id
        value = entry.score.value if entry.score else 0
        self._worth[name] = value
        if value < self._rules.min_score:
            self._papers.pop(name, None)

    def settle(self, wanted: Collection[str]) -> None:
        """Choosing is done: nothing new is fetched, and what nobody wants (IDs) no longer."""
        self._left = 0
        for name, task in self._fetching.items():
            if name not in wanted:
                task.cancel()

    async def fetch(self, paper: Paper) -> FullText:
        """For a deep dive."""
        full_text = await self._full_texts.fetch(paper)
        self._served += 1
        if self._served >= self._rules.deep_dives:
            self.served.set()
        return full_text

    async def end(self) -> None:
        """Gives up what still runs."""
        running = [*self._workers, *self._fetching.values()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _guess_and_fetch(self, brief: Brief) -> None:
        for paper in tuple(self._papers.values()):
            guess = await self._guessing.score(paper, brief)
            self._worth.setdefault(paper.arxiv_id.id, guess.value)
            await asyncio.sleep(0)  # a guess takes milliseconds, and the model's requests go out meanwhile
        await asyncio.gather(*(self._fetch() for _ in range(self._rules.deep_dives)))

    async def _fetch(self) -> None:
        """One after another, each time the best that is left by what is known then."""
        while self._left > 0 and (name := _best(self._papers, self._worth)) is not None:
            self._left -= 1
            task = asyncio.create_task(self._full_texts.fetch(self._papers.pop(name)), name=f"prefetch {name}")
            self._fetching[name] = task
            await asyncio.wait([task])


def _best(papers: Mapping[str, Paper], worth: Mapping[str, int]) -> str | None:
    return max(papers, key=lambda name: (worth.get(name, 0), papers[name].upvotes, name), default=None)
