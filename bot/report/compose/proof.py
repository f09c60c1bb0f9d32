"""Points with the marks of what they rest on, and how their proof went: the same in deep dives and answers."""

from collections.abc import Iterator, Sequence

from bot.models import Point, PointCounts, PointKind
from bot.report import document
from bot.report.compose.places import Made, left_out, mark
from bot.report.inline import spans, visible
from bot.texts import Texts


def items(points: Sequence[Point], made: Made, texts: Texts) -> document.Items:
    """A list of the points."""
    return document.Items(tuple(document.Item(spans(point.text), mark(point, made, texts)) for point in points))


def proof(points: Sequence[Point], counts: PointCounts, made: Made, texts: Texts) -> Iterator[str]:
    """The small print under `points`: how many stand, what was not read, who wrote them."""
    stated = sum(point.kind is PointKind.STATED for point in points)
    kinds = {"stated": stated, "inferred": counts.verified - stated}
    yield texts("dive.proof", verified=counts.verified, written=counts.written, **kinds)
    if counts.repaired:
        yield texts("dive.repaired", count=counts.repaired)
    if counts.dropped:
        yield texts("dive.dropped", count=counts.dropped)
    if (places := left_out(made, texts)) is not None:
        yield places
    yield writer(made, texts)


def writer(made: Made, texts: Texts) -> str:
    """The model, where one wrote it."""
    return texts("digest.model", model=visible(made.model)) if made.model else texts("digest.no_model")
