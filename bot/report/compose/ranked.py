"""The ranking: the block inside the digest, and the answer to `/top`."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from bot.models import AnalystKind, Ranked, Ranking
from bot.report import document
from bot.report.compose.parts import band, notice, part_label, plain
from bot.report.document import Document, Spans, text_of
from bot.report.inline import spans, title_spans
from bot.texts import Texts

TOP = "top"


def ranking(made: Ranking, texts: Texts, *, count: int | None = None) -> Document:
    """The answer to `/top`: the best `count` papers (None: all of them, with those that failed)."""
    entries = made.entries if count is None else made.entries[:count]
    line = "top.scanned" if len(entries) == len(made.entries) else "top.shown"
    blocks: list[document.Block] = [
        document.Paragraph(plain(texts(line, listed=made.listed, scored=made.scored, count=len(entries))))
    ]
    if made.analyst is AnalystKind.EXTRACTIVE:
        blocks.append(notice(texts("digest.extractive")))
    blocks += [*failures(made, texts), document.Ranking(rows(entries, texts, frozenset()))]
    return Document(
        TOP,
        plain(texts("top.title", day=made.day)),
        tuple(blocks),
        texts("top.summary", day=made.day, count=len(entries)),
        texts.language,
        part_label(texts),
    )


def rows(entries: Sequence[Ranked], texts: Texts, dived: Collection[str]) -> tuple[document.RankingRow, ...]:
    """The rows of `entries`; `dived` are the IDs whose deep dive is a document of the same report."""
    return tuple(_row(position, entry, texts, dived) for position, entry in enumerate(entries, start=1))


def failures(made: Ranking, texts: Texts) -> Iterable[document.Note]:
    """Failed papers in words, grouped by reason, most frequent first."""
    if not made.failed:
        return
    reasons = Counter(_failure(entry, texts) for entry in made.entries if entry.score is None)
    words = list(reasons) if len(reasons) == 1 else [
        texts("digest.failed_reason", reason=reason, count=count) for reason, count in reasons.most_common()
    ]  # fmt: skip
    counts = {"scored": made.scored, "total": len(made.entries), "failed": made.failed}
    yield notice(texts("digest.failed", reasons=texts("digest.listing").join(words), **counts), "warning")


def _failure(entry: Ranked, texts: Texts) -> str:
    # A wording that a later release dropped must not take an old report's page down.
    key = entry.failure if entry.failure in texts else "failure.model"
    return texts(str(key))


def _row(position: int, entry: Ranked, texts: Texts, dived: Collection[str]) -> document.RankingRow:
    paper, score = entry.paper, entry.score
    return document.RankingRow(
        position=None if score is None else position,
        title=text_of(title_spans(paper.title)),
        href=paper.arxiv_id.abs_url,
        score=None if score is None else score.value,
        band=band(score),
        reason=_reason(entry, texts),
        tags=_tags(entry, texts),
        document=paper.arxiv_id.id if paper.arxiv_id.id in dived else None,
    )


def _reason(entry: Ranked, texts: Texts) -> Spans:
    if entry.score is None:
        return plain(_failure(entry, texts))
    return spans(entry.score.reason) if entry.score.reason else plain(texts("digest.no_reason"))


def _tags(entry: Ranked, texts: Texts) -> tuple[str, ...]:
    tags = []
    if entry.chosen:
        tags.append(texts("tag.chosen"))
    if entry.reported_on is not None:
        tags.append(texts("tag.reported", day=entry.reported_on))
    if entry.score is not None and entry.score.suspicious:
        tags.append(texts("tag.suspicious"))
    return tuple(tags)
