"""A document's blocks -> Slack's blocks, in fragments that may be spread over messages. Pure.

Bold, italic, code and strike are style flags of rich_text, never markup characters: mrkdwn leaves `*` and `_` standing
beside Chinese characters. The ranking is a numbered list and no table block: its reasons are sentences, which a table
squeezes into a narrow column on a desktop and pushes off the screen on a phone.
Blocks and their limits: https://docs.slack.dev/reference/block-kit/blocks
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from bot.channels.slack.text import escaped, length, literal, shortened
from bot.channels.split import Border, cut, merged
from bot.report.document import (
    Block,
    Button,
    Divider,
    Fields,
    Footer,
    Heading,
    Item,
    Items,
    Mark,
    Note,
    Paragraph,
    Picture,
    Ranking,
    RankingRow,
    Section,
    Span,
    Spans,
    is_picture_url,
    is_web_url,
    text_of,
)

Json = dict[str, Any]

RUN_LIMIT = 3_000  # characters of one paragraph or list item, as in a section block: longer ones are spread
CONTEXT_ELEMENTS = 10
BUTTONS_IN_A_ROW = 5  # Slack takes 25; more than five wrap on every screen
BUTTON_TEXT = 75
BUTTON_VALUE = 2_000
ACTION = "paperboy:"  # how the action_id begins that handlers.slack listens to; the rest is unique in a message
PICTURE_WORDS = 2_000  # characters of a picture's title, and of what stands in its place for those who do not see it
PICTURES = (".png", ".jpg", ".jpeg", ".gif")  # what Slack shows; any other kind costs the whole message

_BANDS = {"excellent": "🟢", "good": "🔵", "fair": "🟡", "low": "⚪", "failed": "⚠️"}
_CJK = "\u2e80"  # labels that end in a character from here on take the full-width colon


@dataclass(frozen=True, slots=True)
class Fragment:
    """A Slack block with one paragraph or one list item. `joins`: it continues the fragment before it in one block."""

    block: Json
    border: Border
    joins: bool = False


def fragments(block: Block) -> Iterator[Fragment]:
    """The block in its reading order; nothing for a block that says nothing."""
    match block:
        case Picture():
            yield from _picture(block)
        case Heading(spans):
            yield from _paragraph(_bold(spans), Border.GOOD)
        case Paragraph(spans):
            yield from _paragraph(spans)
        case Items():
            yield from _items(block)
        case Section():
            yield from _section(block)
        case Ranking(rows):
            yield from _ranking(rows)
        case Fields(pairs):
            yield from _paragraph(_facts(pairs))
        case Note(spans, tone):
            yield from _paragraph((*_sign(tone, spans), *spans), kind="rich_text_quote")
        case Footer(spans):
            yield from _footer(spans)
        case Divider():
            yield Fragment({"type": "divider"}, Border.POOR)


def button_rows(buttons: Sequence[Button], *, interactive: bool = True) -> Iterator[Fragment]:
    """Buttons under what they belong to: links, and actions where somebody listens to them (`interactive`).

    A label that is too long is shortened: what it leads to is what counts.
    """
    usable = [button for button in buttons if button.label.strip() and _works(button, interactive=interactive)]
    numbered = sorted(enumerate(usable), key=lambda entry: entry[1].row)
    for _, group in groupby(numbered, key=lambda entry: entry[1].row):
        row = list(group)
        for start in range(0, len(row), BUTTONS_IN_A_ROW):
            elements = [_button(button, number) for number, button in row[start : start + BUTTONS_IN_A_ROW]]
            yield Fragment({"type": "actions", "elements": elements}, Border.NEVER)


def _works(button: Button, *, interactive: bool) -> bool:
    if button.action:
        return interactive and length(button.action) <= BUTTON_VALUE
    return is_web_url(button.url)


def elements(spans: Spans) -> list[Json]:
    """Elements of a rich_text section. Only spans that code gave an address become links."""
    return [element for span in merged(spans) if (element := _element(span)) is not None]


def _element(span: Span) -> Json | None:
    text = literal(span.text)
    if not text:
        return None
    element: Json = {"type": "text", "text": text}
    if span.href is not None and is_web_url(span.href):
        element = {"type": "link", "url": span.href, "text": text}
    flags = {"bold": span.bold, "italic": span.italic, "code": span.code, "strike": span.strike}
    style = {name: True for name, on in flags.items() if on}
    return element | {"style": style} if style else element


def _runs(spans: Spans) -> Iterator[list[Json]]:
    for run in cut(spans, lambda part: length(text_of(part)) <= RUN_LIMIT):
        if literal(text_of(run)).strip():
            yield elements(run)


def _rich_text(element: Json) -> Json:
    return {"type": "rich_text", "elements": [element]}


def _paragraph(spans: Spans, border: Border = Border.POOR, kind: str = "rich_text_section") -> Iterator[Fragment]:
    for number, run in enumerate(_runs(spans)):
        yield Fragment(_rich_text({"type": kind, "elements": run}), border if number == 0 else Border.POOR)


def _picture(picture: Picture) -> Iterator[Fragment]:
    """Slack fetches the picture itself; one that it cannot show is a caption that leads there."""
    if not is_picture_url(picture.url) or not picture.url.lower().endswith(PICTURES):
        yield from _paragraph(picture.caption)
        return
    caption = shortened(literal(text_of(picture.caption)).strip(), PICTURE_WORDS)
    block: Json = {
        "type": "image",
        "image_url": picture.url,
        "alt_text": shortened(literal(picture.alt).strip(), PICTURE_WORDS) or caption or picture.url,
    }
    title = {"title": {"type": "plain_text", "text": caption, "emoji": False}} if caption else {}
    yield Fragment(block | title, Border.POOR)


def _bold(spans: Spans) -> Spans:
    return tuple(Span(span.text, bold=True, italic=span.italic, code=span.code, href=span.href) for span in spans)


def _sign(tone: str, spans: Spans) -> Spans:
    """A warning is seen by its sign; a wording that brings its own keeps that one."""
    own = unicodedata.category(text_of(spans)[:1] or " ") == "So"
    return (Span("⚠️ "),) if tone == "warning" and not own else ()


def _items(block: Items) -> Iterator[Fragment]:
    style = "ordered" if block.ordered else "bullet"
    for index, item in enumerate(block.items):
        yield from _list_item(_with_mark(item), style, index, Fragment({}, Border.POOR, joins=index > 0))


def _list_item(spans: Spans, style: str, offset: int, like: Fragment) -> Iterator[Fragment]:
    """A list of one entry, `offset` entries after number 1, placed `like`. The rest of a long entry has no bullet."""
    for index, run in enumerate(_runs(spans)):
        section = {"type": "rich_text_section", "elements": run}
        if index:
            yield Fragment(_rich_text(section), Border.POOR, joins=True)
            continue
        a_list: Json = {"type": "rich_text_list", "style": style, "elements": [section]}
        if style == "ordered" and offset:
            a_list["offset"] = offset
        yield replace(like, block=_rich_text(a_list))


def _with_mark(item: Item) -> Spans:
    return item.spans if item.mark is None else (*item.spans, Span(" "), _mark(item.mark))


def _mark(mark: Mark) -> Span:
    """What the paper says is a plain link to its place; what the analyst concludes stands out as a code pill."""
    return Span(mark.label, code=mark.inferred, italic=not mark.inferred and mark.href is None, href=mark.href)


def _section(section: Section) -> Iterator[Fragment]:
    """The title and the first block share a block, so that the title stands close to what it names."""
    title = list(_paragraph((Span(section.title, bold=True),), Border.GOOD))
    yield from title
    for index, block in enumerate(section.blocks):
        for number, fragment in enumerate(fragments(block)):
            under_title = bool(title) and index == 0 and number == 0
            yield replace(fragment, border=Border.NEVER, joins=True) if under_title else fragment


def _ranking(rows: Sequence[RankingRow]) -> Iterator[Fragment]:
    for index, row in enumerate(rows):
        like = Fragment({}, Border.POOR if index else Border.GOOD, joins=index > 0)
        if row.position is None:
            yield from _list_item(_ranked(row), "bullet", 0, like)
        else:
            yield from _list_item(_ranked(row), "ordered", row.position - 1, like)


def _ranked(row: RankingRow) -> Spans:
    score = () if row.score is None else (Span(str(row.score), bold=True), Span("  "))
    tags = tuple(span for tag in row.tags for span in (Span(" "), Span(tag, code=True)))
    reason = (Span("\n"), *row.reason) if row.reason else ()
    return (Span(f"{_BANDS[row.band]} "), *score, Span(row.title, href=row.href), *tags, *reason)


def _facts(pairs: Sequence[tuple[str, Spans]]) -> Spans:
    spans: Spans = ()
    for label, value in pairs:
        colon = "：" if label[-1:] >= _CJK else ": "
        spans = (*spans, *((Span("  |  "),) if spans else ()), Span(f"{label}{colon}", bold=True), *value)
    return spans


def _footer(spans: Spans) -> Iterator[Fragment]:
    """Small print. Only links need mrkdwn there; everything else is plain_text, which parses nothing."""
    parts = [_small(run) for run in _by_link(merged(spans))]
    if not parts or len(parts) > CONTEXT_ELEMENTS or any(length(part["text"]) > RUN_LIMIT for part in parts):
        yield from _paragraph(spans, Border.NEVER)
    else:
        yield Fragment({"type": "context", "elements": parts}, Border.NEVER)


def _by_link(spans: Spans) -> Iterator[Span]:
    """Neighbours without a link as one span: context elements stand apart, and have no other styles."""
    plain = ""
    for span in spans:
        text = literal(span.text)
        if span.href is None or not is_web_url(span.href) or not text.strip():
            plain += text
            continue
        if plain.strip():
            yield Span(plain.strip())
        plain = ""
        yield span
    if plain.strip():
        yield Span(plain.strip())


def _small(span: Span) -> Json:
    if span.href is None:
        return {"type": "plain_text", "text": literal(span.text), "emoji": True}
    label = escaped(span.text).replace("|", "\u2502")
    return {"type": "mrkdwn", "text": f"<{escaped(span.href)}|{label}>", "verbatim": True}


def _button(button: Button, number: int) -> Json:
    label = {"type": "plain_text", "text": shortened(literal(button.label), BUTTON_TEXT), "emoji": True}
    if button.action:
        return {"type": "button", "text": label, "value": button.action, "action_id": f"{ACTION}{number}"}
    return {"type": "button", "text": label, "url": button.url, "action_id": f"open-{number}"}
