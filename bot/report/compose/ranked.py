"""The ranking: the block inside the digest, and the answer to `/top`."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from bot.models import AnalystKind, Ranked, Ranking
from bot.report import document
from bot.report.compose.parts import band, notice, part_label, plain
from bot.report.document import Document, Spans, text_of
from bot.report.inline import spans, title_spans
from bot.texts import Texts

TOP = "top"
PAGE_ROWS = 5
WEEK = "week"  # in place of a day: the seven lists up to one, "week:2026-02-25"


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


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows of a ranking are shown: `rows` of its best `count` (None: all), from `first` on, which counts from 0.

    `of` is the day, or `week_of` one; `days` are then the lists' days by paper.
    """

    of: str
    first: int = 0
    count: int | None = None
    rows: int = PAGE_ROWS
    days: Mapping[str, date] = field(default_factory=dict)


def week_of(until: date) -> str:
    """What Page and its buttons call the seven lists up to `until`."""
    return f"{WEEK}:{until}"


def page(made: Ranking, texts: Texts, shown: Page) -> Document:
    """A page of the answer to `/top`, with buttons for the pages beside it and for deep dives of its papers."""
    best = made.entries[: shown.count]
    last = max(0, (len(best) - 1) // shown.rows * shown.rows)
    first = min(max(0, shown.first // shown.rows * shown.rows), last)
    entries = best[first : first + shown.rows]
    counts = {"listed": made.listed, "scored": made.scored, "first": first + 1, "last": first + len(entries)}
    blocks: list[document.Block] = [document.Paragraph(plain(texts("top.page", **counts, count=len(best))))]
    if made.analyst is AnalystKind.EXTRACTIVE:
        blocks.append(notice(texts("digest.extractive")))
    blocks += [*failures(made, texts), document.Ranking(tuple(_rows_of(entries, first, shown, texts)))]
    title = texts("top.title_week" if shown.of.startswith(WEEK) else "top.title", day=made.day)
    return Document(
        TOP,
        plain(title),
        tuple(blocks),
        title,
        texts.language,
        part_label(texts),
        (*dive_buttons(entries, first + 1, texts.language), *_turns(shown, first, len(best), texts.language)),
    )


def _rows_of(entries: Sequence[Ranked], first: int, shown: Page, texts: Texts) -> Iterator[document.RankingRow]:
    for position, entry in enumerate(entries, start=first + 1):
        name = entry.paper.arxiv_id.id
        row = _row(position, entry, texts, frozenset())
        day = (str(shown.days[name]),) if name in shown.days else ()
        yield replace(row, tags=(*day, *row.tags))


def dive_buttons(entries: Sequence[Ranked], first: int, language: str) -> Iterator[document.Button]:
    """A button for the deep dive of each scored paper, under its number in the ranking."""
    for position, entry in enumerate(entries, start=first):
        if entry.score is not None:
            action = f"deepdive {entry.paper.arxiv_id.id} {language}"
            yield document.Button(f"🔎 {position}", action=action)


def page_action(of: str, language: str, count: int | None, first: int) -> str:
    """What a button that leads to a page of a ranking says; `handlers.parsing` reads it back."""
    return f"page {of} {language} {count or 0} {first}"


def _turns(shown: Page, first: int, total: int, language: str) -> Iterator[document.Button]:
    for label, to in (("◀", first - shown.rows), ("▶", first + shown.rows)):
        if 0 <= to < total:
            yield document.Button(label, action=page_action(shown.of, language, shown.count, to), row=1)


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
