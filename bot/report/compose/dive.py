"""The deep dive: one paper in four sections, every point marked with what it rests on."""

import re
from collections.abc import Iterable, Sequence
from textwrap import shorten

from bot.models import AnalystKind, ArxivId, Basis, DeepDive, Point, PointKind, ReportKey, Score
from bot.report import document
from bot.report.compose.parts import band, footer, notice, page_button, part_label, plain
from bot.report.document import NO_LINKS, Document, Links, Span, Spans, is_web_url, text_of
from bot.report.inline import spans, title_spans, visible
from bot.texts import Texts

AUTHORS_SHOWN = 3
LABEL_LENGTH = 24  # characters; a section title that stands for a missing number is cut to a label
_NUMBER = re.compile(r"(\d{1,2}|[A-Z])(\.\d{1,2}){0,2}")
_LEVELS = (".SS", ".SSS")  # LaTeXML's anchors of subsections


def deep_dive(
    dive: DeepDive,
    texts: Texts,
    *,
    score: Score | None = None,
    links: Links = NO_LINKS,
    number: int | None = None,
    report: ReportKey | None = None,
) -> Document:
    """One paper in four sections. `number` counts the deep dives of `report`, both None for one that was asked for."""
    paper = dive.paper
    title = title_spans(paper.title)
    heading = title if number is None else (Span(f"{number}. "), *title)
    blocks: list[document.Block] = [document.Fields(_facts(dive, score, texts)), *_warnings(dive, texts)]
    blocks += [
        document.Section(section.key, visible(section.title), (_points(section.points, dive, texts),))
        for section in dive.sections
    ]
    blocks.append(footer(_proof(dive, texts)))
    name = text_of(title)
    page = links.paper(paper.arxiv_id.id) if report is None else links.report(report, paper.arxiv_id.id)
    return Document(
        paper.arxiv_id.id,
        heading,
        tuple(blocks),
        name if score is None else texts("dive.summary", title=name, score=score.value),
        texts.language,
        part_label(texts),
        (
            document.Button(texts("button.arxiv"), paper.arxiv_id.abs_url),
            document.Button(texts("button.pdf"), paper.arxiv_id.pdf_url),
            *page_button(texts, page),
        ),
    )


def _facts(dive: DeepDive, score: Score | None, texts: Texts) -> tuple[tuple[str, Spans], ...]:
    paper = dive.paper
    facts: list[tuple[str, Spans]] = []
    if score is not None:
        value = texts("dive.score_value", score=score.value, band=texts(f"band.{band(score)}"))
        facts.append((texts("dive.score"), (Span(value, bold=True),)))
    facts.append((texts("dive.source"), plain(_source(dive, texts))))
    facts.append((texts("dive.link"), (Span(_shown(paper.arxiv_id.abs_url), href=paper.arxiv_id.abs_url),)))
    if paper.authors:
        facts.append((texts("dive.authors"), plain(_authors(paper.authors, texts))))
    for key, url in (("dive.code", paper.code_url), ("dive.project", paper.project_url)):
        if url is not None and is_web_url(url):
            facts.append((texts(key), (Span(_shown(url), href=url),)))
    if dive.basis is not Basis.ABSTRACT:  # which is said louder, by a note
        facts.append((texts("dive.basis"), plain(texts(f"basis.{dive.basis}"))))
    return tuple(facts)


def _source(dive: DeepDive, texts: Texts) -> str:
    key = f"source.{dive.paper.source}"
    name = texts(key) if key in texts else visible(dive.paper.source)
    return texts("source.votes", name=name, votes=dive.paper.upvotes) if dive.paper.upvotes else name


def _authors(names: Sequence[str], texts: Texts) -> str:
    shown = ", ".join(visible(name) for name in names[:AUTHORS_SHOWN])
    if len(names) <= AUTHORS_SHOWN:
        return shown
    return texts("dive.authors_more", names=shown, count=len(names))


def _shown(url: str) -> str:
    return url.removeprefix("https://").rstrip("/")


def _warnings(dive: DeepDive, texts: Texts) -> Iterable[document.Note]:
    if dive.analyst is AnalystKind.EXTRACTIVE:
        yield notice(texts("dive.extractive"))
    if dive.basis is Basis.ABSTRACT:
        yield notice(texts("dive.abstract_only"), "warning")
    for flag in dive.flags:
        if flag in texts:
            yield notice(texts(flag), "warning")


def _points(points: Sequence[Point], dive: DeepDive, texts: Texts) -> document.Items:
    return document.Items(tuple(document.Item(spans(point.text), _mark(point, dive, texts)) for point in points))


def _mark(point: Point, dive: DeepDive, texts: Texts) -> document.Mark:
    if point.kind is PointKind.INFERRED:
        return document.Mark(texts("mark.inferred"), inferred=True)
    quote = visible(point.quote) or None
    if dive.basis is Basis.ABSTRACT:
        return document.Mark(texts("mark.abstract"), inferred=False, quote=quote, href=dive.paper.arxiv_id.abs_url)
    number, title = next(((place.number, place.title) for place in dive.outline if place.id == point.section), ("", ""))
    label = texts("mark.section", number=visible(number)) if number else _label(visible(title) or point.section)
    href = section_url(dive.paper.arxiv_id, number) if dive.basis is Basis.HTML else None
    return document.Mark(label, inferred=False, quote=quote, href=href)


def _label(title: str) -> str:
    return shorten(title, LABEL_LENGTH, placeholder="…") if len(title) > LABEL_LENGTH else title


def section_url(arxiv_id: ArxivId, number: str) -> str | None:
    """The section "3.2" on arXiv's HTML page: LaTeXML anchors it as #S3.SS2, and "A.1" as #A1.SS1."""
    if _NUMBER.fullmatch(number) is None:
        return None
    first, *deeper = number.split(".")
    anchor = f"S{first}" if first.isdigit() else f"A{ord(first) - ord('A') + 1}"
    for level, part in zip(_LEVELS, deeper, strict=False):
        anchor += f"{level}{part}"
    return f"https://arxiv.org/html/{arxiv_id}#{anchor}"


def _proof(dive: DeepDive, texts: Texts) -> Iterable[str]:
    points = dive.points
    stated = sum(point.kind is PointKind.STATED for section in dive.sections for point in section.points)
    counts = {"stated": stated, "inferred": points.verified - stated}
    yield texts("dive.proof", verified=points.verified, written=points.written, **counts)
    if points.repaired:
        yield texts("dive.repaired", count=points.repaired)
    if points.dropped:
        yield texts("dive.dropped", count=points.dropped)
    yield texts("digest.model", model=visible(dive.model)) if dive.model else texts("digest.no_model")
