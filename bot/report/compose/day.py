"""The digest: the first message of the day, and the one line of a day without a list."""

from collections.abc import Iterable
from dataclasses import replace

from bot.models import AnalystKind, Ranked, Report
from bot.report import document
from bot.report.compose.parts import SEPARATOR, footer, notice, page_button, part_label, plain
from bot.report.compose.ranked import dive_buttons, failures, page_action, rows
from bot.report.document import NO_LINKS, Document, Links, Span, Spans
from bot.report.inline import title_spans, visible
from bot.texts import Texts

DIGEST = "digest"
OFFERED = 5  # papers that a button under the digest deep-dives
SAMPLE = "sample"  # the origin of the bundled day of invented papers


def digest(made: Report, texts: Texts, *, links: Links = NO_LINKS, late: str | None = None) -> Document:
    """The first message of the day. `late` is when it was due, as the reader's clock shows it; None when on time."""
    if made.note is not None:
        return note(made, texts, links=links, late=late)
    ranking = made.ranking
    counts = {"listed": ranking.listed, "scored": ranking.scored, "chosen": len(ranking.chosen)}
    blocks: list[document.Block] = [
        document.Paragraph(plain(texts("digest.scanned", **counts))),
        *_notes(made, texts, late),
        *_contents(made, texts),
        document.Heading(plain(texts("digest.ranking"))),
        document.Ranking(rows(ranking.entries, texts, {dive.paper.arxiv_id.id for dive in made.deep_dives})),
        footer(_figures(made, texts)),
    ]
    return Document(
        DIGEST,
        _title(made, texts),
        tuple(blocks),
        texts("digest.summary", day=made.key.day, **counts),
        texts.language,
        part_label(texts),
        _buttons(made, texts, links),
    )


def _buttons(made: Report, texts: Texts, links: Links) -> tuple[document.Button, ...]:
    """Deep dives of the next best papers, the ranking page by page, and the web page."""
    dived = {dive.paper.arxiv_id.id for dive in made.deep_dives}
    others = [
        button
        for position, entry in enumerate(made.ranking.entries, start=1)
        if entry.paper.arxiv_id.id not in dived
        for button in dive_buttons((entry,), position, texts.language)
    ]
    first_page = page_action(str(made.key.day), texts.language, None, 0)
    whole = document.Button(texts("button.ranking"), action=first_page, row=1)
    return (
        *others[:OFFERED],
        whole,
        *(replace(button, row=1) for button in page_button(texts, links.report(made.key))),
    )


def note(made: Report, texts: Texts, *, links: Links = NO_LINKS, late: str | None = None) -> Document:
    """The one line of a day without a list, and whether it comes late."""
    key = made.note or "note.no_list"
    return Document(
        DIGEST,
        _title(made, texts),
        (*_lateness(texts, late), document.Note(plain(texts(key, day=made.key.day)))),
        texts("note.summary", day=made.key.day),
        texts.language,
        part_label(texts),
        page_button(texts, links.archive()),
    )


def _title(made: Report, texts: Texts) -> Spans:
    key = "digest.title" if made.key.edition == 1 else "digest.title_corrected"
    return plain(texts(key, day=made.key.day))


def _notes(made: Report, texts: Texts, late: str | None) -> Iterable[document.Note]:
    yield from _lateness(texts, late)
    if made.key.edition > 1:
        yield notice(texts("digest.corrected", edition=made.key.edition), "warning")
    if made.ranking.origin == SAMPLE:
        yield notice(texts("digest.sample"))
    yield from _labels(made, texts)
    yield from failures(made.ranking, texts)
    if (text := _none_chosen(made, texts)) is not None:
        yield notice(text)
    if made.ranking.skipped:
        yield notice(texts("digest.skipped", count=made.ranking.skipped))


def _lateness(texts: Texts, late: str | None) -> Iterable[document.Note]:
    if late is not None:
        yield notice(texts("digest.late", due=late), "warning")


def _labels(made: Report, texts: Texts) -> Iterable[document.Note]:
    """Which work no model did, and why where one was asked: scores, reasons, deep dives, each said for itself."""
    scores = [entry.score for entry in made.ranking.entries if entry.score is not None]
    dives = [dive.analyst is AnalystKind.EXTRACTIVE for dive in made.deep_dives]
    if made.analyst is AnalystKind.EXTRACTIVE:
        yield notice(texts("digest.extractive" if all(dives) else "digest.extractive_scores"))
    elif scores and all(score.analyst is AnalystKind.EXTRACTIVE for score in scores):
        yield notice(texts("digest.extractive_reasons"))
    if any(dives) and (made.analyst is AnalystKind.MODEL or not all(dives)):
        yield notice(texts("digest.extractive_dives", count=sum(dives)))
    if made.ranking.fallback:
        yield notice(texts("digest.fallback", reason=texts(made.ranking.fallback)), "warning")


def _none_chosen(made: Report, texts: Texts) -> str | None:
    scored = [entry for entry in made.ranking.entries if entry.score is not None]
    if made.ranking.chosen or not scored or not made.wanted:
        return None
    fresh = [entry.score.value for entry in scored if entry.score is not None and entry.reported_on is None]
    if not fresh:
        return texts("digest.none_new")
    if max(fresh) >= made.min_score:
        return texts("digest.none_dived")
    return texts("digest.none_relevant", best=max(fresh), min_score=made.min_score)


def _contents(made: Report, texts: Texts) -> Iterable[document.Block]:
    """Titles and scores of the chosen papers, each a link to its deep dive."""
    dived = {dive.paper.arxiv_id.id for dive in made.deep_dives}
    items = tuple(_content(entry, texts) for entry in made.ranking.entries if entry.paper.arxiv_id.id in dived)
    if items:
        yield document.Heading(plain(texts("digest.contents")))
        yield document.Items(items, ordered=True)


def _content(entry: Ranked, texts: Texts) -> document.Item:
    key = entry.paper.arxiv_id.id
    title = tuple(replace(span, document=key) for span in title_spans(entry.paper.title))
    score = (
        ()
        if entry.score is None
        else (Span(SEPARATOR), Span(texts("digest.score", score=entry.score.value), bold=True))
    )
    return document.Item((*title, *score))


def _figures(made: Report, texts: Texts) -> Iterable[str]:
    """The last line: model, calls, cost where its price is known, seconds."""
    usage = made.usage
    if made.model:
        yield texts("digest.model", model=visible(made.model))
    elif not usage.calls:
        yield texts("digest.no_model")
    if usage.calls or made.model:
        yield texts("digest.calls", calls=usage.calls)
    if usage.cached:
        yield texts("digest.cached", cached=usage.cached)
    if usage.cost_usd is not None:
        yield texts("digest.cost", cost=_money(usage.cost_usd))
    yield texts("digest.seconds", seconds=f"{made.seconds.total:.1f}")


def _money(usd: float) -> str:
    """Four decimals below a dollar (a report costs cents), two above."""
    if usd == 0:
        return "0"
    return f"{usd:.4f}" if usd < 1 else f"{usd:.2f}"
