"""`paperboy eval ranking`: ways to rank, compared on days of judged papers."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import config
from bot import texts
from bot.analysis.evaluation import measures, ranking
from bot.analysis.evaluation.ranking import Days, Quality, Run
from bot.app import App, Parts, opened
from bot.interfaces import Analyst, Brief
from bot.models import Meter, Profile, Usage
from bot.reporter import Stopwatch
from bot.terminal import objects, status, tables
from bot.terminal.evaluation import cells, judged
from bot.terminal.progress import shown
from bot.texts import Texts


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every way to rank with its quality, by name; `agreement` is the tau of model and extractive analyst.

    `without` is the extractive analyst's quality with one interest left out, by interest.
    """

    rankers: Mapping[str, Quality]
    days: Days
    profile: Profile
    usage: Usage
    seconds: float
    model: str = ""
    agreement: float | None = None
    failed: int = 0
    without: Mapping[str, Quality] = field(default_factory=dict)

    @property
    def papers(self) -> int:
        return sum(map(len, self.days.values()))


async def evaluate(loaded: config.Loaded, arguments: argparse.Namespace) -> int:
    """Compares ways to rank on days of judged papers."""
    days = judged.days(arguments.file)
    if arguments.limit_days:
        days = dict(list(days.items())[-arguments.limit_days :])
    named = judged.profile(arguments.profile) if arguments.profile else None
    async with opened(loaded, Parts()) as app:
        words = texts.load(app.settings.language)
        profile = named or next(iter(app.profiles.values()))
        found = await _compared(days, profile, app, words)
        if arguments.without_each:
            found = replace(found, without=await _without_each(found, app))
    if arguments.json:
        print(objects.written(_ranking_object(found)))
    else:
        print("\n".join(_ranking_table(found, words)))
    return status.DEGRADED if found.failed else status.DONE


async def _compared(days: Days, profile: Profile, app: App, words: Texts) -> Comparison:
    watch, meter = Stopwatch(app.clock), Meter()
    brief = Brief(profile, app.settings.language, meter)
    extractive = await _twice(days, app.reporter.extractive, brief, words)
    rankers = {
        "chance": ranking.chance(days),
        "upvotes": ranking.quality(days, ranking.by_upvotes(days)),
        "phrases": ranking.quality(days, ranking.by_phrases(days, profile)),
        "extractive": ranking.quality(days, *extractive),
    }
    analyst = app.reporter.analyst
    if analyst is None:
        return Comparison(rankers, days, profile, meter.usage, watch.total())
    model = await _twice(days, analyst, brief, words)
    return Comparison(
        rankers={**rankers, analyst.model: ranking.quality(days, *model)},
        days=days,
        profile=profile,
        usage=meter.usage,
        seconds=watch.total(),
        model=analyst.model,
        agreement=ranking.agreement(model[0], extractive[0]),
        failed=sum(run.failed for run in model),
    )


async def _twice(days: Days, analyst: Analyst, brief: Brief, words: Texts) -> tuple[Run, Run]:
    """Two runs; the second asks the model anew, past what is kept."""
    done, papers = 0, 2 * sum(map(len, days.values()))
    with shown(words) as progress:

        def scored() -> None:
            nonlocal done
            done += 1
            progress("score", done, papers)

        first = await ranking.by_analyst(days, analyst, brief, scored)
        return first, await ranking.by_analyst(days, analyst, replace(brief, fresh=True), scored)


async def _without_each(found: Comparison, app: App) -> Mapping[str, Quality]:
    """The extractive analyst with one interest left out at a time: no single one should carry the ranking."""
    rows = {}
    for left_out in found.profile.interests:
        rest = tuple(interest for interest in found.profile.interests if interest != left_out)
        brief = Brief(replace(found.profile, interests=rest), app.settings.language, Meter())
        run = await ranking.by_analyst(found.days, app.reporter.extractive, brief)
        rows[left_out] = ranking.quality(found.days, run)
    return rows


def _ranking_table(found: Comparison, words: Texts) -> Sequence[str]:
    head = (words("eval.ranker"), f"nDCG@{measures.TOP}", "", f"P@{measures.READ}", "", words("eval.repeat"))
    rows = [head, *(_ranker_row(_ranker(name, words), quality) for name, quality in found.rankers.items())]
    rows += [_ranker_row(words("eval.without", interest=name), of) for name, of in found.without.items()]
    over = words(
        "eval.over",
        papers=found.papers,
        days=len(found.days),
        profile=found.profile.name,
        confidence=round(100 * measures.CONFIDENCE),
    )
    about = [words("eval.agreement", tau=cells.figure(found.agreement))] if found.model else []
    if found.failed:
        about.append(words("eval.unscored", model=found.model, count=found.failed))
    return [*tables.lines(rows), "", *about, over, cells.spent(found.usage, found.seconds, words)]


def _ranker(name: str, words: Texts) -> str:
    return words(f"eval.{name}") if f"eval.{name}" in words else name


def _ranker_row(name: str, quality: Quality) -> Sequence[str]:
    row = [name]
    for measured in (quality.ndcg, quality.precision):
        row += [cells.figure(measured.value), f"[{cells.figure(measured.low)}, {cells.figure(measured.high)}]"]
    return [*row, cells.figure(quality.repeat)]


def _ranking_object(found: Comparison) -> dict[str, Any]:
    return {
        "profile": found.profile.name,
        "days": len(found.days),
        "papers": found.papers,
        "confidence": measures.CONFIDENCE,
        "rankers": [{"name": name, **_quality_object(quality)} for name, quality in found.rankers.items()],
        "without": [{"interest": name, **_quality_object(quality)} for name, quality in found.without.items()],
        "tau_model_extractive": found.agreement,
        "failed": found.failed,
        "llm": asdict(found.usage),
        "seconds": round(found.seconds, cells.DIGITS),
    }


def _quality_object(quality: Quality) -> dict[str, Any]:
    return {"ndcg_5": asdict(quality.ndcg), "p_2": asdict(quality.precision), "tau_repeat": quality.repeat}
