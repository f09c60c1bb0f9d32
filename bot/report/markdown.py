"""Documents as one Markdown file in GitHub's dialect: formulas in dollars, the papers' own words as footnotes."""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from bot.report import document
from bot.report.document import Document, Mark, Span, is_picture_url, is_web_url
from bot.report.inline import title_spans
from bot.texts import Texts

_SPECIAL = re.compile(r"([\\`*_\[\]<>$|~#])")
_HREF = "%:/?#@!&*+,;=~"  # what an address keeps beside letters and digits: nothing that ends a link, formula or cell
_BLOCK_START = re.compile(r"^(\d*)([-+.)=])(?=\s)")


def markdown(documents: Sequence[Document], texts: Texts) -> str:
    """One file, in the look of a day's report: title, line, contents, ranking, then every deep dive."""
    return _Writer(texts, frozenset(each.key for each in documents)).file(documents)


class _Writer:
    """Collects footnotes while it writes."""

    def __init__(self, texts: Texts, keys: frozenset[str]) -> None:
        self._texts = texts
        self._keys = keys
        self._footnotes: list[str] = []

    def file(self, documents: Sequence[Document]) -> str:
        first, *others = documents
        parts = [f"# {self._spans(first.title)}", *self._blocks(first)]
        if others:
            parts.append(f"## {self._texts('page.dives')}")
        for each in others:
            parts.append(f'---\n\n### <a id="{each.key}"></a>{self._spans(each.title)}')
            parts += self._blocks(each)
        return "\n\n".join([*parts, "\n".join(self._footnotes)]).rstrip() + "\n"

    def _blocks(self, source: Document) -> Iterator[str]:
        for block in source.blocks:
            yield self._block(block)

    def _block(self, block: document.Block) -> str:
        match block:
            case document.Picture():
                image = "!" + _linked(_escaped(block.alt), block.url) if is_picture_url(block.url) else ""
                return f"{image}\n\n{_guarded(self._spans(block.caption))}".strip()
            case document.Heading():
                return f"{'#' * block.level} {self._spans(block.spans)}"
            case document.Paragraph():
                return _guarded(self._spans(block.spans))
            case document.Items():
                return self._items(block)
            case document.Section():
                inner = "\n\n".join(self._block(each) for each in block.blocks)
                return f"#### {_escaped(block.title)}\n\n{inner}"
            case document.Ranking():
                return self._ranking(block)
            case document.Fields():
                return "  \n".join(f"**{_escaped(label)}**: {self._spans(value)}" for label, value in block.pairs)
            case document.Note():
                return f"> {self._spans(block.spans)}"
            case document.Footer():
                return f"<sub>{self._spans(block.spans)}</sub>"
            case document.Divider():
                return "---"

    def _items(self, block: document.Items) -> str:
        lines = []
        for number, item in enumerate(block.items, start=1):
            bullet = f"{number}." if block.ordered else "-"
            mark = "" if item.mark is None else f" {self._mark(item.mark)}"
            lines.append(f"{bullet} {_guarded(self._spans(item.spans))}{mark}")
        return "\n".join(lines)

    def _mark(self, mark: Mark) -> str:
        label = _escaped(f"（{mark.label}）" if self._texts.language == "zh" else f"({mark.label})")
        if mark.quote is None:
            return f"*{label}*" if mark.inferred else label
        number = len(self._footnotes) + 1
        where = _linked(_escaped(mark.label), mark.href)
        self._footnotes.append(f"[^{number}]: {where}: “{self._spans(title_spans(mark.quote))}”")
        return f"{label}[^{number}]"

    def _ranking(self, block: document.Ranking) -> str:
        heads = (self._texts(f"page.{name}") for name in ("position", "score", "paper"))
        rows = [f"| {' | '.join(heads)} |", "| ---: | ---: | --- |"]
        for row in block.rows:
            title = _linked(_escaped(row.title), row.href)
            tags = "".join(f" `{tag}`" for tag in row.tags)
            reason = f"<br>{self._spans(row.reason)}" if row.reason else ""
            score = self._texts("page.failed") if row.score is None else f"**{row.score}**"
            rows.append(f"| {row.position or '–'} | {score} | {title}{tags}{reason} |")
        return "\n".join(rows)

    def _spans(self, spans: Sequence[Span]) -> str:
        return "".join(self._span(span) for span in spans)

    def _span(self, span: Span) -> str:
        if span.tex is not None:
            shown = f"${span.tex}$" if _is_safe_tex(span.tex) else _escaped(span.text)
        elif span.code:
            shown = _code(span.text)
        else:
            shown = _escaped(span.text)
        for wanted, sign in ((span.strike, "~~"), (span.italic, "*"), (span.bold, "**")):
            if wanted and shown.strip():
                shown = f"{sign}{shown.strip()}{sign}" + " " * (shown != shown.rstrip())
        if span.href is not None:
            return _linked(shown, span.href)
        return f"[{shown}](#{span.document})" if span.document in self._keys else shown


def _escaped(text: str) -> str:
    """`text` without Markdown, and without addresses that GitHub would make links of by itself."""
    return _SPECIAL.sub(r"\\\1", text).replace("://", ":\\//").replace("www.", "www\\.")


def _linked(shown: str, href: str | None) -> str:
    """`shown`, leading to `href` where that is a web address."""
    return shown if href is None or not is_web_url(href) else f"[{shown}]({quote(href, safe=_HREF)})"


def _guarded(line: str) -> str:
    """`line` so that it starts no list or quote of its own."""
    return _BLOCK_START.sub(r"\1\\\2", line)


def _code(text: str) -> str:
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    padding = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{padding}{text}{padding}{fence}".replace("|", "\\|")


def _is_safe_tex(tex: str) -> bool:
    """A bar would end a table's cell, a dollar or a line the formula, and HTML would be read as such."""
    return not any(sign in tex for sign in "$|<>`\n")
