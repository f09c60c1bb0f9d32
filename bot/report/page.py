"""Documents as files and pages: Markdown, HTML, the archive's index and its Atom feed (pure; the web serves them).

Every page stands alone: one file, its style inside, no script, nothing fetched but the papers' figures from arXiv.
"""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from itertools import groupby
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from bot.models import ARXIV, DeepDive, Report, ReportKey
from bot.report import document, mathml
from bot.report.document import NO_LINKS, Document, Links, RankingRow, Span, is_picture_url, is_web_url, text_of
from bot.report.inline import title_spans
from bot.report.markdown import markdown
from bot.texts import Texts

__all__ = [
    "PageInfo", "content_security_policy", "error", "feed", "html", "index", "markdown", "report_name", "report_path",
]  # fmt: skip

_CLOSING = re.compile(r"[，。；：、！？）】」』》”’,.;:!?)\]]+")  # punctuation that never starts a line

_LONG_FORMULAS = ((64, "display"), (26, "display-on-phone"))  # characters of the readable form that fit 44 rem, 21 rem


@dataclass(frozen=True, slots=True)
class PageInfo:
    """What a page says besides its documents. `archive` and `feed` are links from this page; None where there are none.

    `texts` are the words of the page's language; `prompts` are the refs that stand in its small print. `names` say of
    documents, by their keys, which is which, where a page has several of one paper.
    """

    texts: Texts
    updated: datetime
    prompts: tuple[str, ...] = ()
    archive: str | None = None
    feed: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)


def html(documents: Sequence[Document], page: PageInfo) -> str:
    """One page of `documents`: a report's (the digest first), or deep dives alone. Each has its key as its anchor."""
    first = documents[0]
    digest = None if _is_deep_dive(first) else first
    keys = frozenset(each.key for each in documents)
    return _render(
        "report.html",
        page.texts,
        page=page,
        digest=digest,
        dives=documents if digest is None else documents[1:],
        rows=_rows_by_document(first),
        title=text_of(first.title),
        description=first.summary,
        markup=lambda spans: _markup(spans, keys),
    )


def index(reports: Sequence[Report], texts: Texts, links: Links = NO_LINKS) -> str:
    """The archive: reports by day, newest first, as `Store.reports` gives them. Its links are relative to its place."""
    days = [(day, list(group)) for day, group in groupby(reports, key=lambda made: made.key.day)]
    return _render(
        "index.html",
        texts,
        days=days,
        feed=links.feed() or "feed.atom",
        path=report_path,
        titles=_titles,
        title=texts("page.archive"),
        description=texts("page.archive_about"),
    )


def error(status: int, texts: Texts, archive: str | None = None) -> str:
    """What a browser shows for HTTP `status`; a status without words of its own is told as 500."""
    key = f"page.error_{status}" if f"page.error_{status}" in texts else "page.error_500"
    return _render(
        "error.html", texts, status=status, words=texts(key), archive=archive, title=texts(key), description=""
    )


def feed(entries: Sequence[tuple[Report, Document]], texts: Texts, links: Links = NO_LINKS) -> str:
    """The Atom feed (RFC 4287) of reports and their digests, newest first; links are relative without a public URL."""
    updated = max((made.created_at for made, _ in entries), default=datetime(1970, 1, 1, tzinfo=UTC))
    return (
        _environment()
        .get_template("feed.xml")
        .render(
            texts=texts,
            language=_html_language(texts.language),
            title=texts("page.archive"),
            about=texts("page.archive_about"),
            id=_urn(links.archive() or "archive"),
            updated=_stamp(updated),
            archive=links.archive() or ".",
            own=links.feed() or "feed.atom",
            entries=[_entry(made, digest, links) for made, digest in entries],
        )
    )


def report_path(made: Report) -> str:
    """Where the report's page stands below the archive, without a slash before it."""
    return quote(f"reports/{made.key.day}/{made.key.profile}.{made.key.language}")


def report_name(key: ReportKey, texts: Texts) -> str:
    """Which report, in words: "2026-02-25 · default · 中文"."""
    language = f"page.language_{key.language}"
    name = texts("page.report", profile=key.profile, language=texts(language) if language in texts else key.language)
    return " · ".join([str(key.day), name, *([texts("page.corrected")] if key.edition > 1 else [])])


def content_security_policy() -> str:
    """What the pages may load: their own style, the icon inside them, figures from arXiv. Fits the HTTP header, too."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    sources = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data: {ARXIV}"
    return f"{sources}; base-uri 'none'; form-action 'none'"


# --- rendering -----------------------------------------------------------------------------------------------------


def _render(template: str, texts: Texts, **values: object) -> str:
    return (
        _environment()
        .get_template(template)
        .render(
            texts=texts,
            language=_html_language(texts.language),
            style=Markup(_style()),  # noqa: S704 - our own file
            policy=content_security_policy(),
            **values,
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("bot.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["kind"] = lambda block: type(block).__name__
    environment.filters["stamp"] = _stamp
    environment.filters["quoted"] = lambda quote: _markup(title_spans(quote), frozenset())
    environment.tests["picture_url"] = is_picture_url
    environment.filters["arxiv_id"] = lambda href: href.partition("/abs/")[2]
    return environment


@cache
def _style() -> str:
    return resources.files("bot.report").joinpath("templates", "style.css").read_text(encoding="utf-8")


def _html_language(language: str) -> str:
    """Simplified characters have to be named: plain "zh" lets a browser choose Japanese glyphs."""
    return "zh-CN" if language == "zh" else language


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_deep_dive(source: Document) -> bool:
    return any(isinstance(block, document.Section) for block in source.blocks)


def _rows_by_document(digest: Document) -> Mapping[str, RankingRow]:
    """The ranking's rows by the deep dive they belong to."""
    blocks = (block for block in digest.blocks if isinstance(block, document.Ranking))
    return {row.document: row for block in blocks for row in block.rows if row.document is not None}


def _markup(spans: Sequence[Span], keys: frozenset[str]) -> Markup:
    """Spans as HTML; links to documents of other pages are left out."""
    parts: list[Markup] = []
    rest = list(spans)
    while rest:
        span = rest.pop(0)
        tail = ""
        if span.tex is not None and rest and rest[0].tex is None and (found := _CLOSING.match(rest[0].text)):
            tail = found[0]
            rest[0] = replace(rest[0], text=rest[0].text[found.end() :])
        parts.append(_span(span, tail, keys))
    return Markup("").join(parts)


def _plain_markup(spans: Sequence[Span]) -> Markup:
    """As feed readers need it, which drop MathML and know no other document."""
    return _markup([replace(span, tex=None) for span in spans], frozenset())


def _span(span: Span, tail: str, keys: frozenset[str]) -> Markup:
    shown = _formula(span, tail) if span.tex is not None else escape(span.text)
    for wanted, tag in ((span.code, "code"), (span.strike, "s"), (span.italic, "em"), (span.bold, "strong")):
        if wanted:
            shown = Markup(f"<{tag}>{{}}</{tag}>").format(shown)  # noqa: S704 - a tag of the line above
    if span.href is not None and is_web_url(span.href):
        return Markup('<a href="{}" rel="noopener">{}</a>').format(span.href, shown)
    if span.document in keys:
        return Markup('<a href="#{}">{}</a>').format(span.document, shown)
    return shown


def _formula(span: Span, tail: str) -> Markup:
    """A formula with the punctuation behind it: browsers break lines between the two, and never inside a formula."""
    converted = mathml.convert(span.tex or "")
    if converted is None:
        return Markup('<span class="formula">{}</span>{}').format(span.text, tail)
    shown = Markup(converted)  # noqa: S704 - rebuilt from allowed MathML elements by bot.report.mathml
    for length, look in _LONG_FORMULAS:
        if len(span.text) > length:
            return Markup('<span class="{}" tabindex="0">{}{}</span>').format(look, shown, tail)
    return Markup('<span class="keep">{}{}</span>').format(shown, tail) if tail else shown


def _titles(made: Report) -> list[tuple[str, str, int | None]]:
    """The chosen papers of a report as (arXiv ID, title, score), in ranking order."""
    scores = {entry.paper.arxiv_id.id: entry.score for entry in made.ranking.entries}

    def row(dive: DeepDive) -> tuple[str, str, int | None]:
        score = scores.get(dive.paper.arxiv_id.id)
        title = text_of(title_spans(dive.paper.title))
        return dive.paper.arxiv_id.id, title, None if score is None else score.value

    return sorted(map(row, made.deep_dives), key=lambda found: -(found[2] or 0))


# --- the feed ------------------------------------------------------------------------------------------------------


def _entry(made: Report, digest: Document, links: Links) -> dict[str, object]:
    return {
        "title": text_of(digest.title),
        "id": _urn(f"report:{made.key.day}/{made.key.profile}.{made.key.language}"),
        "link": links.report(made.key) or report_path(made),
        "updated": _stamp(made.created_at),
        "summary": digest.summary,
        "content": _environment().get_template("entry.html").render(
            digest=digest, markup=_plain_markup
        ),
    }  # fmt: skip


def _urn(name: str) -> str:
    """A permanent identifier that survives a change of host."""
    return uuid5(NAMESPACE_URL, f"paperboy:{name}").urn
