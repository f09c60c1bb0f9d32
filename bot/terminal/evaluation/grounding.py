"""`paperboy eval grounding`: how well the points of deep dives rest on their papers."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import config
from bot import texts
from bot.analysis.evaluation.proofs import Grounds, grounds
from bot.app import App, Parts, opened
from bot.errors import BotError
from bot.interfaces import Brief
from bot.models import ArxivId, Basis, DeepDive, Meter, Usage
from bot.reporter import Stopwatch
from bot.terminal import objects, status, tables
from bot.terminal.commands import reader
from bot.terminal.evaluation import cells
from bot.terminal.progress import shown
from bot.texts import Texts

COUNTS = ("sections", "points", "verified", "dropped", "repaired", "numbers", "coverage")
COLUMNS = ("paper", "basis", *COUNTS, "seconds", "cost", "flags")


@dataclass(frozen=True, slots=True)
class Read:
    """A deep dive that was made, what it rests on, and what it took; or why there is none."""

    arxiv_id: ArxivId
    usage: Usage
    seconds: float
    dive: DeepDive | None = None
    grounds: Grounds | None = None
    error: BotError | None = None


async def evaluate(loaded: config.Loaded, arguments: argparse.Namespace) -> int:
    """Reads papers as a chat command would, and says how well the points rest on them."""
    wanted = list(dict.fromkeys(ArxivId.parse(text) for text in arguments.ids))
    async with opened(loaded, Parts()) as app:
        profile, language = reader(app, arguments)
        words = texts.load(language)
        with shown(words) as progress:
            read = []
            for number, arxiv_id in enumerate(wanted):
                progress("deep_dive", number, len(wanted))
                read.append(await _read(arxiv_id, Brief(profile, language, Meter()), app))
        if arguments.json:
            print(objects.written(_grounding_object(read)))
        else:
            print("\n".join(_grounding_table(read, words)))
        for each in read:
            if each.error:
                print(f"paperboy: {each.arxiv_id}: {words.error(each.error)}", file=sys.stderr)
        return _code(read, with_model=app.llm is not None)


async def _read(arxiv_id: ArxivId, brief: Brief, app: App) -> Read:
    """One paper's trouble costs no other its line."""
    watch = Stopwatch(app.clock)
    try:
        dive = await app.ondemand.deep_dive(arxiv_id, brief)
    except BotError as error:
        return Read(arxiv_id, brief.meter.usage, watch.total(), error=error)
    return Read(arxiv_id, brief.meter.usage, watch.total(), dive, grounds(dive))


def _code(read: Sequence[Read], *, with_model: bool) -> int:
    codes = [
        status.of_analyst(each.dive.analyst, with_model=with_model) if each.dive else status.FAILED for each in read
    ]
    return status.FAILED if status.FAILED in codes else max(codes)


def _grounding_table(read: Sequence[Read], words: Texts) -> Sequence[str]:
    head = [words(f"eval.{name}") for name in COLUMNS]
    total = _total(read)
    usage = sum((each.usage for each in read), Usage())
    last = [
        words("eval.total"),
        "",
        *_counts(total),
        cells.seconds(sum(each.seconds for each in read)),
        cells.cost(usage),
        "",
    ]
    rows = [head, *(_paper_row(each, words) for each in read), last]
    return [*tables.lines(rows), "", cells.spent(usage, sum(each.seconds for each in read), words)]


def _paper_row(each: Read, words: Texts) -> Sequence[str]:
    name = str(each.dive.paper.arxiv_id if each.dive else each.arxiv_id)
    basis = words("eval.abstract") if each.dive and each.dive.basis is Basis.ABSTRACT else _basis(each, words)
    flags = ", ".join(words(flag) for flag in each.dive.flags) if each.dive else ""
    return [name, basis, *_counts(_total([each])), cells.seconds(each.seconds), cells.cost(each.usage), flags]


def _basis(each: Read, words: Texts) -> str:
    return words(f"basis.{each.dive.basis}") if each.dive else cells.NOTHING


@dataclass(frozen=True, slots=True)
class Total:
    """The counts of one deep dive or of several."""

    sections: int
    written: int
    verified: int
    dropped: int
    repaired: int
    numbers: int
    covered: int


def _total(read: Sequence[Read]) -> Total:
    made = [(each.dive.points, each.grounds) for each in read if each.dive and each.grounds]
    return Total(
        sections=sum(found.sections for _, found in made),
        written=sum(points.written for points, _ in made),
        verified=sum(points.verified for points, _ in made),
        dropped=sum(points.dropped for points, _ in made),
        repaired=sum(points.repaired for points, _ in made),
        numbers=sum(found.numbers for _, found in made),
        covered=sum(found.covered for _, found in made),
    )


def _counts(total: Total) -> Sequence[str]:
    return [
        str(total.sections),
        str(total.written),
        cells.share(total.verified, total.written),
        str(total.dropped),
        str(total.repaired),
        str(total.numbers),
        cells.share(total.covered, total.sections),
    ]


def _grounding_object(read: Sequence[Read]) -> dict[str, Any]:
    usage = sum((each.usage for each in read), Usage())
    seconds = sum(each.seconds for each in read)
    return {
        "papers": [_paper_object(each) for each in read],
        "total": {**_counts_object(_total(read)), "seconds": round(seconds, cells.DIGITS), "llm": asdict(usage)},
    }


def _paper_object(each: Read) -> dict[str, Any]:
    dive = each.dive
    return {
        "id": each.arxiv_id.id,
        "version": dive.paper.arxiv_id.version if dive else each.arxiv_id.version,
        "error": each.error.key if each.error else None,
        "basis": str(dive.basis) if dive else None,
        "model": dive.model if dive else None,
        **_counts_object(_total([each])),
        "flags": list(dive.flags) if dive else [],
        "seconds": round(each.seconds, cells.DIGITS),
        "cost_usd": each.usage.cost_usd,
    }


def _counts_object(total: Total) -> dict[str, Any]:
    return {
        "sections": total.sections,
        "points": {
            "written": total.written,
            "verified": total.verified,
            "dropped": total.dropped,
            "repaired": total.repaired,
        },
        "verified_share": total.verified / total.written if total.written else None,
        "numbers_checked": total.numbers,
        "coverage": total.covered / total.sections if total.sections else None,
    }
