"""Report, deep dive, ranking, answer -> Document: what a reader sees, before any platform (pure, words of `Texts`)."""

from bot.models import Report
from bot.report.compose.answer import answer, said
from bot.report.compose.chat import STATUS, Found, Status, found, line, status, usage, waiting
from bot.report.compose.day import DIGEST, digest, note
from bot.report.compose.dive import deep_dive
from bot.report.compose.doubts import Doubt, settled, trouble
from bot.report.compose.ranked import TOP, WEEK, Page, page, ranking, week_of
from bot.report.document import NO_LINKS, Document, Links
from bot.texts import Texts

__all__ = [
    "DIGEST",
    "STATUS",
    "TOP",
    "WEEK",
    "Doubt",
    "Found",
    "Page",
    "Status",
    "answer",
    "deep_dive",
    "digest",
    "found",
    "line",
    "note",
    "page",
    "ranking",
    "report",
    "said",
    "settled",
    "status",
    "trouble",
    "usage",
    "waiting",
    "week_of",
]


def report(made: Report, texts: Texts, *, links: Links = NO_LINKS, late: str | None = None) -> tuple[Document, ...]:
    """The digest, then the deep dives in ranking order; the digest alone on a day without a list."""
    first = digest(made, texts, links=links, late=late)
    if made.note is not None:
        return (first,)
    place = {entry.paper.arxiv_id.id: index for index, entry in enumerate(made.ranking.entries)}
    scores = {entry.paper.arxiv_id.id: entry.score for entry in made.ranking.entries}
    dives = sorted(made.deep_dives, key=lambda dive: place.get(dive.paper.arxiv_id.id, len(place)))
    return (
        first,
        *(
            deep_dive(
                dive, texts, score=scores.get(dive.paper.arxiv_id.id), links=links, number=number, report=made.key
            )
            for number, dive in enumerate(dives, start=1)
        ),
    )
