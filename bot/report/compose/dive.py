"""The deep dive: one paper in four sections, every point marked with what it rests on."""

from collections.abc import Iterable, Sequence

from bot.models import AnalystKind, Basis, DeepDive, ReportKey, Score
from bot.report import document
from bot.report.compose.parts import band, footer, notice, page_button, part_label, plain
from bot.report.compose.picture import picture
from bot.report.compose.proof import items, proof
from bot.report.document import NO_LINKS, Document, Links, Span, Spans, is_web_url, text_of
from bot.report.inline import title_spans, visible
from bot.texts import Texts

AUTHORS_SHOWN = 3


def deep_dive(
    dive: DeepDive,
    texts: Texts,
    *,
    score: Score | None = None,
    links: Links = NO_LINKS,
    number: int | None = None,
    report: ReportKey | None = None,
) -> Document:
    """One paper in four sections, under its overview figure where there is one.

    `number` counts the deep dives of `report`, both None for one that was asked for.
    """
    paper = dive.paper
    title = title_spans(paper.title)
    heading = title if number is None else (Span(f"{number}. "), *title)
    head = picture(dive.figure, texts)
    blocks: list[document.Block] = [] if head is None else [head]
    blocks += [document.Fields(_facts(dive, score, texts)), *_warnings(dive, texts)]
    blocks += [
        document.Section(section.key, visible(section.title), (items(section.points, dive, texts),))
        for section in dive.sections
    ]
    stands = [point for section in dive.sections for point in section.points]
    blocks.append(footer(proof(stands, dive.points, dive, texts)))
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
            *_opinions(paper.arxiv_id.id, texts),
        ),
    )


def _opinions(arxiv_id: str, texts: Texts) -> Iterable[document.Button]:
    """What a reader can say of a deep dive; `handlers.parsing` reads these actions."""
    yield document.Button("👍", action=f"vote up {arxiv_id}", row=1)
    yield document.Button("👎", action=f"vote down {arxiv_id}", row=1)
    yield document.Button(texts("button.again"), action=f"again {arxiv_id} {texts.language}", row=1)


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
        facts.append((texts("dive.basis"), plain(_basis(dive, texts))))
    return tuple(facts)


def _basis(dive: DeepDive, texts: Texts) -> str:
    name, version = texts(f"basis.{dive.basis}"), dive.paper.arxiv_id.version
    return name if version is None else texts("basis.version", basis=name, version=version)


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
