"""The objects that `--json` prints (DESIGN section 6)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

from bot.daily import Summary
from bot.models import Answer, DeepDive, Ranked, Ranking
from bot.report.compose import Status
from bot.texts import Texts

DIGITS = 3  # of seconds


def written(content: Mapping[str, Any]) -> str:
    """One line of JSON, readable in any language."""
    return json.dumps(content, ensure_ascii=False)


def of_summary(day: date, summary: Summary) -> dict[str, Any]:
    """`report --json`. A profile's papers count once, whatever the languages of its reports."""
    by_profile = {made.key.profile: made for made in reversed(summary.reports)}
    rankings = [made.ranking for made in reversed(by_profile.values())]
    return {
        "day": str(summary.reports[0].key.day if summary.reports else day),
        "report": ", ".join(str(made.key) for made in summary.reports),
        "listed": sum(ranking.listed for ranking in rankings),
        "scored": sum(ranking.scored for ranking in rankings),
        "failed": sum(ranking.failed for ranking in rankings),
        "chosen": list(dict.fromkeys(chosen for ranking in rankings for chosen in ranking.chosen)),
        "deliveries": [
            {"channel": line.channel, "state": str(line.state), "parts": line.parts} for line in summary.deliveries
        ],
        "llm": asdict(summary.usage),
        "seconds": {step: round(seconds, DIGITS) for step, seconds in asdict(summary.seconds).items()},
    }


def of_ranking(ranking: Ranking, count: int | None, words: Texts) -> dict[str, Any]:
    """`top --json`."""
    return {
        "day": str(ranking.day),
        "profile": ranking.profile.name,
        "ranking": [_entry(entry, words) for entry in ranking.entries[:count]],
        "analyst": str(ranking.analyst),
    }


def _entry(entry: Ranked, words: Texts) -> dict[str, Any]:
    return {
        "id": entry.paper.arxiv_id.id,
        "title": entry.paper.title,
        "score": entry.score.value if entry.score else None,
        "reason": entry.score.reason if entry.score else words(entry.failure or "failure.model"),
        "state": "scored" if entry.score else "failed",
        "chosen": entry.chosen,
    }


def of_deep_dive(dive: DeepDive) -> dict[str, Any]:
    """`deepdive --json`."""
    return {
        "id": dive.paper.arxiv_id.id,
        "version": dive.paper.arxiv_id.version,
        "title": dive.paper.title,
        "basis": str(dive.basis),
        "language": dive.language,
        "model": dive.model,
        "prompt": dive.prompt,
        "sections": [
            {"key": section.key, "title": section.title, "points": [asdict(point) for point in section.points]}
            for section in dive.sections
        ],
        "points": asdict(dive.points),
        "flags": list(dive.flags),
        "cost_usd": dive.cost_usd,
    }


def of_found(words: str, entries: Sequence[tuple[date, Ranked]]) -> dict[str, Any]:
    """`search --json`, newest and best first."""
    papers = [
        {
            "id": entry.paper.arxiv_id.id,
            "title": entry.paper.title,
            "day": str(day),
            "score": entry.score.value if entry.score else None,
        }
        for day, entry in entries
    ]
    return {"words": words, "papers": papers}


def of_status(made: Status) -> dict[str, Any]:
    """`status --json`; moments are ISO 8601 in UTC."""
    return {
        "profile": made.profile,
        "last_report": str(made.last) if made.last else None,
        "next_report": made.next_at.isoformat() if made.next_at else None,
        "open_requests": [{"code": one.code, "command": one.command, "paper": one.paper} for one in made.requests],
        "model": made.model,
        "spent_usd": made.spent,
        "budget_usd": made.budget,
        "unknown_parts": made.unknown,
    }


def of_answer(made: Answer) -> dict[str, Any]:
    """`ask --json`."""
    return {
        "id": made.paper.arxiv_id.id,
        "version": made.paper.arxiv_id.version,
        "title": made.paper.title,
        "basis": str(made.basis),
        "language": made.language,
        "model": made.model,
        "prompt": made.prompt,
        "question": made.question,
        "answerable": bool(made.points),
        "points": [asdict(point) for point in made.points],
        "counts": asdict(made.counts),
        "flags": list(made.flags),
        "cost_usd": made.cost_usd,
    }
