"""What is said in a chat beside papers: one line, what is being done, the help, how things stand."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from bot.report import document
from bot.report.compose.doubts import Doubt, doubtful, settling_buttons
from bot.report.compose.parts import SEPARATOR, footer, part_label, plain
from bot.report.document import Document, Span
from bot.report.inline import title_spans, visible
from bot.requests import Request
from bot.texts import Texts

_AS_CODE = re.compile(
    r"(?<![\w./:>-])/(?:paperboy )?[a-z]{3,10}"
    r"(?:\s(?:[0-9][0-9v./-]*|[a-z-]+/[0-9]{7}|week|today|yesterday))*(?![\w/])"
    r"|\b(?:telegram|slack)\.[a-z_]+|https?://[!-~]+(?<![.,;:!?)\]])"
)
LINE = "line"
HELP = "help"
STATUS = "status"
SHOWN_DOUBTS = 5  # of the parts in doubt, each with its buttons
SHOWN_REQUESTS = 8  # of the queue; the rest is counted


def line(text: str, texts: Texts) -> Document:
    """One line and nothing else; what people typed in it is plain text."""
    text = visible(text)
    return Document(LINE, (), (document.Paragraph(_marked(text)),), text, texts.language, part_label(texts))


def _marked(text: str) -> document.Spans:
    """Commands, settings and addresses in it as code: a tap copies one whole, and no platform makes a link of it."""
    spans, at = [], 0
    for found in _AS_CODE.finditer(text):
        spans += [Span(text[at : found.start()]), Span(found[0], code=True)]
        at = found.end()
    return tuple(span for span in (*spans, Span(text[at:])) if span.text)


def waiting(request: Request, step: str, done: int, total: int, texts: Texts) -> Document:
    """What holds the place of an answer: what is asked, how far it is, and the code under which it can be cancelled."""
    about = request.paper or request.text
    key = f"step.{step}"
    said = texts(key if key in texts else "step.begun", done=done, total=total)
    title = texts("step.title", command=request.command, about=visible(about)[:80]).rstrip()
    return Document(
        f"waiting-{request.code}",
        (),
        (
            document.Paragraph((Span(f"⏳ {title}", bold=True),)),
            document.Paragraph((Span(said + SEPARATOR), Span(request.code, code=True))),
        ),
        f"{title}: {said}",
        texts.language,
        part_label(texts),
    )


def usage(commands: Sequence[str], texts: Texts, example: str) -> Document:
    """The help: a line a command, and how else one can ask."""
    items = tuple(document.Item(_usage(texts(f"command.{name}.usage"))) for name in commands)
    return Document(
        HELP,
        plain(texts("help.title")),
        (
            document.Paragraph(plain(texts("help.about"))),
            document.Items(items),
            document.Paragraph(_marked(texts("help.more", example=example))),
        ),
        texts("help.title"),
        texts.language,
        part_label(texts),
    )


def _usage(text: str) -> document.Spans:
    """The command itself as code, so that no platform links or translates it."""
    command, dash, rest = text.partition(" — ")
    return (Span(command, code=True), *_marked(dash + rest))


@dataclass(frozen=True, slots=True)
class Status:
    """How things stand, for one chat. Money in USD; times are shown in `timezone`. `unknown` counts parts whose fate
    nobody knows, None where that is not the asker's business; `doubts` are those parts, where they can be settled.
    """

    profile: str
    timezone: str
    last: date | None
    last_chosen: int
    next_at: datetime | None
    working: int
    queued: int
    requests: tuple[Request, ...]
    model: str
    spent: float
    budget: float | None
    unknown: int | None = None
    doubts: tuple[Doubt, ...] = ()


def status(made: Status, texts: Texts) -> Document:
    """The answer to `/status`."""
    last = texts("status.none") if made.last is None else texts("status.last", day=made.last, chosen=made.last_chosen)
    zone = ZoneInfo(made.timezone)
    at = (
        texts("status.none") if made.next_at is None else f"{made.next_at.astimezone(zone):%Y-%m-%d %H:%M} ({zone.key})"
    )
    spent = f"${made.spent:.4f}" if made.budget is None else f"${made.spent:.4f} / ${made.budget:g}"
    blocks: list[document.Block] = [
        document.Fields(
            (
                (texts("status.profile"), plain(made.profile)),
                (texts("status.report"), plain(last)),
                (texts("status.next"), plain(at)),
                (texts("status.queue"), plain(texts("status.counts", working=made.working, queued=made.queued))),
                (texts("status.model"), plain(visible(made.model) or texts("digest.no_model"))),
                (texts("status.spent"), plain(spent)),
            )
        )
    ]
    if made.requests:
        blocks.append(document.Items(tuple(_request(one, texts) for one in made.requests[:SHOWN_REQUESTS])))
    if len(made.requests) > SHOWN_REQUESTS:
        blocks.append(footer([texts("status.more", count=len(made.requests) - SHOWN_REQUESTS)]))
    if made.unknown:
        key = "status.settle" if made.doubts else "status.unknown"
        blocks.append(document.Note(_marked(texts(key, count=made.unknown)), "warning"))
    shown = made.doubts[:SHOWN_DOUBTS]
    if shown:
        blocks.append(document.Items(tuple(doubtful(one, made.timezone, texts) for one in shown)))
    if len(made.doubts) > SHOWN_DOUBTS:
        blocks.append(footer([texts("status.more", count=len(made.doubts) - SHOWN_DOUBTS)]))
    title, buttons = texts("status.title"), tuple(settling_buttons(shown, texts))
    return Document(STATUS, plain(title), tuple(blocks), title, texts.language, part_label(texts), buttons)


def _request(request: Request, texts: Texts) -> document.Item:
    about = visible(request.paper or request.text)[:60]
    return document.Item(
        (
            Span(request.code, code=True),
            Span(SEPARATOR + texts(f"command.{request.command}.about")),
            Span(f"{SEPARATOR}{about}" if about else ""),
        )
    )


@dataclass(frozen=True, slots=True)
class Found:
    """A paper that a report scored on `day`."""

    day: date
    arxiv_id: str
    href: str
    title: str
    score: int | None


def found(words: str, papers: Sequence[Found], total: int, texts: Texts) -> Document:
    """The answer to `/search`: newest and best first, `total` of them in all."""
    items = tuple(
        document.Item(
            (
                *(Span(span.text, href=one.href) for span in title_spans(one.title)),
                Span(
                    SEPARATOR + (texts("page.failed") if one.score is None else texts("digest.score", score=one.score))
                ),
                Span(f"{SEPARATOR}{one.day}"),
            )
        )
        for one in papers
    )
    said = texts("search.shown", shown=len(papers), total=total) if papers else texts("search.none")
    blocks: list[document.Block] = [document.Paragraph(plain(said))]
    if items:
        blocks.append(document.Items(items, ordered=True))
    title = texts("search.title", words=visible(words)[:80])
    return Document("search", plain(title), tuple(blocks), title, texts.language, part_label(texts))
