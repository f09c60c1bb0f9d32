"""Messages of which nobody can tell whether they arrived: what each was, and the buttons that settle it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from bot.report import document
from bot.report.compose.parts import SEPARATOR, beginning, notice, part_label, plain
from bot.report.document import Document, Span
from bot.report.inline import visible
from bot.texts import Texts

TROUBLE = "trouble"
WORDS = 60  # characters of what the message says


@dataclass(frozen=True, slots=True)
class Doubt:
    """A part that is unknown. `report` is its key, "" for an answer; `number` counts from 1; `since` is when it was
    sent.

    `attempts` is how often it was: a button is about this doubt, and not about a later one of the same part. `words`
    are the first ones of the message, "" where they are not to be told.
    """

    code: str
    attempts: int
    channel: str
    report: str
    number: int
    since: datetime | None
    words: str


def doubtful(doubt: Doubt, zone: str, texts: Texts) -> document.Item:
    """A line about it."""
    local = doubt.since and doubt.since.astimezone(ZoneInfo(zone))
    said = [visible(doubt.channel), texts("doubt.part", number=doubt.number)]
    if doubt.report:
        said.insert(1, texts("doubt.report", report=visible(doubt.report)))
    if local:
        said.append(texts("doubt.since", at=f"{local:%Y-%m-%d %H:%M}"))
    if words := beginning(" ".join(visible(doubt.words).split()), WORDS):
        said.append(texts("doubt.words", words=words))
    return document.Item((Span(doubt.code, code=True), Span(SEPARATOR + SEPARATOR.join(said))))


def settling_buttons(doubts: Sequence[Doubt], texts: Texts) -> Iterator[document.Button]:
    """Two for each, in a row."""
    for row, doubt in enumerate(doubts):
        about = f"{doubt.code} {doubt.attempts}"
        send, drop = texts("button.send_again", code=doubt.code), texts("button.drop", code=doubt.code)
        yield document.Button(send, action=f"settle send {about}", row=row)
        yield document.Button(drop, action=f"settle drop {about}", row=row)


def trouble(
    line: document.Spans, texts: Texts, summary: str, doubt: Doubt | None = None, zone: str = "UTC"
) -> Document:
    """What the operator hears; with a doubt, what it is about and the buttons that settle it."""
    blocks: list[document.Block] = [document.Note(line, "warning")]
    if doubt:
        blocks.append(document.Items((doubtful(doubt, zone, texts),)))
    buttons = tuple(settling_buttons([doubt], texts)) if doubt else ()
    title = (Span(texts("operator.title"), bold=True),)
    return Document(TROUBLE, title, tuple(blocks), summary, texts.language, part_label(texts), buttons)


def settled(doubt: Doubt, said: str, zone: str, texts: Texts) -> Document:
    """What such a message becomes when somebody has settled it."""
    blocks = (document.Items((doubtful(doubt, zone, texts),)), notice(said))
    return Document(TROUBLE, plain(texts("doubt.settled")), blocks, said, texts.language, part_label(texts))
