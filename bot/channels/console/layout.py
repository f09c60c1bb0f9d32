"""A document as the text that a terminal shows, laid out with rich: coloured on a terminal, plain anywhere else."""

from collections.abc import Iterator, Sequence
from io import StringIO
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from bot.channels.console.prose import Prose
from bot.report import document
from bot.report.document import Document, Span, is_web_url

WIDEST = 120  # columns; longer lines are hard to read, however wide the window is
BANDS = {"excellent": "bold green", "good": "bold cyan", "fair": "bold yellow", "low": "dim", "failed": "red"}
NOTES = {"info": ("·", "dim"), "warning": ("!", "yellow")}


def laid_out(source: Document, stream: TextIO) -> str:
    """`source` as the text to write on `stream`, as wide as its window (80 columns where there is none)."""
    terminal = not stream.closed and stream.isatty()
    written = StringIO()
    console = Console(file=written, force_terminal=terminal, highlight=False, markup=False, emoji=False)
    console.width = min(console.width, WIDEST)
    body = [*_blocks(source), *_links(source)]
    title = _text(source.title, "bold")
    console.print()
    if any(isinstance(block, document.Section) for block in source.blocks):
        console.print(Panel(_stacked([Prose(title), *body]), padding=(1, 2), border_style="dim"))
    else:
        console.print(Rule(title, style="dim"))
        console.print(Padding(_stacked(body), (1, 1, 0, 1)))
    return "".join(f"{line.rstrip(' ')}\n" for line in written.getvalue().split("\n")[:-1])


def _stacked(parts: Sequence[RenderableType]) -> Group:
    """One below the other, an empty line between."""
    spaced: list[RenderableType] = []
    for part in parts:
        spaced += [Text(""), part] if spaced else [part]
    return Group(*spaced)


def _blocks(source: Document) -> Iterator[RenderableType]:
    blocks = list(source.blocks)
    while blocks:
        block = blocks.pop(0)
        if isinstance(block, document.Note):
            notes = [block]
            while blocks and isinstance(blocks[0], document.Note):
                notes.append(blocks.pop(0))  # type: ignore[arg-type]  # the line above looked
            yield Group(*(_note(note) for note in notes))
        elif isinstance(block, document.Heading) and blocks:
            yield Group(Prose(_text(block.spans, "bold")), _block(blocks.pop(0)))
        else:
            yield _block(block)


def _block(block: document.Block) -> RenderableType:
    match block:
        case document.Picture():
            return Group(Prose(_text(block.caption, "italic")), Text(_safe(block.url), "dim"))
        case document.Heading():
            return Prose(_text(block.spans, "bold"))
        case document.Paragraph():
            return Prose(_text(block.spans))
        case document.Items():
            return _items(block)
        case document.Section():
            return Group(Text(_safe(block.title), "bold"), *(_block(each) for each in block.blocks))
        case document.Ranking():
            return _ranking(block)
        case document.Fields():
            return _fields(block)
        case document.Note():
            return _note(block)
        case document.Footer():
            return Prose(_text(block.spans, "dim"))
        case document.Divider():
            return Rule(style="dim")


def _note(note: document.Note) -> RenderableType:
    sign, style = NOTES[note.tone]
    return _hung([(Text(sign, style), Prose(_text(note.spans, style)))])


def _items(block: document.Items) -> RenderableType:
    signs = (f"{number}." if block.ordered else "•" for number in range(1, len(block.items) + 1))
    return _hung([(Text(sign, "dim"), Prose(_item(item))) for sign, item in zip(signs, block.items, strict=True)])


def _item(item: document.Item) -> Text:
    text = _text(item.spans)
    if item.mark is not None:
        style = "dim italic" if item.mark.inferred else "dim cyan"
        link = "" if item.mark.href is None else f" link {item.mark.href}"
        text.append(" ").append(f"[{_safe(item.mark.label)}]", style + link)
    return text


def _hung(rows: Sequence[tuple[Text, RenderableType]]) -> Table:
    """Signs in a column of their own, so that the lines behind them hang."""
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(ratio=1)
    for row in rows:
        table.add_row(*row)
    return table


def _ranking(block: document.Ranking) -> RenderableType:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(justify="right", style="dim", no_wrap=True, width=2)
    table.add_column(justify="right", no_wrap=True, width=3)
    table.add_column(ratio=1)
    for row in block.rows:
        position = "" if row.position is None else str(row.position)
        score = "–" if row.score is None else str(row.score)
        table.add_row(Text(position), Text(score, BANDS[row.band]), _paper(row))
    return table


def _paper(row: document.RankingRow) -> RenderableType:
    title = Text(_safe(row.title), f"{'dim' if row.score is None else 'bold'} link {row.href}")
    for tag in row.tags:
        title.append(" ").append(f"[{_safe(tag)}]", "not bold magenta")
    title.append("  ").append(row.href.partition("/abs/")[2], "not bold dim")
    return Group(Prose(title), Prose(_text(row.reason, "dim"))) if row.reason else Prose(title)


def _fields(block: document.Fields) -> RenderableType:
    return _hung([(Text(_safe(label), "dim"), Prose(_text(value))) for label, value in block.pairs])


def _links(source: Document) -> Iterator[RenderableType]:
    """Buttons that are links, as addresses, but for those that the document shows already."""
    shown = {
        span.href
        for block in source.blocks
        if isinstance(block, document.Fields)
        for _, spans in block.pairs
        for span in spans
    }
    rows = [
        (Text(_safe(button.label), "dim"), Prose(Text(_safe(button.url), f"link {button.url}")))
        for button in source.buttons
        if button.url and button.url not in shown
    ]
    if rows:
        yield _hung(rows)


def _text(spans: Sequence[Span], style: str = "") -> Text:
    text = Text("", style)
    for span in spans:
        text.append(_safe(span.text), _style(span))
    return text


def _style(span: Span) -> str:
    looks = (
        ("bold", span.bold),
        ("italic", span.italic or span.tex is not None),
        ("strike", span.strike),
        ("cyan", span.code),
    )
    words = [word for word, wanted in looks if wanted]
    if span.href is not None and is_web_url(span.href):
        words.append(f"underline link {span.href}")
    return " ".join(words)


def _safe(text: str) -> str:
    """`text` without what steers a terminal: escape sequences, other controls, direction overrides."""
    return "".join(letter if letter.isprintable() else " " * letter.isspace() for letter in text)
