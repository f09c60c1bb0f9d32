"""Documents -> messages within Slack's limits: packed, parts numbered, nothing truncated. Pure.

The first document's first message is the root; everything else is a reply in its thread, so that a report takes one
place in the channel. Links between documents are plain text: what they point to stands right below.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from bot.channels.slack.blocks import Fragment, Json, button_rows, elements, fragments
from bot.channels.slack.text import escaped, length, literal, shortened
from bot.channels.split import Border, Piece, pack
from bot.models import Message, PartKind
from bot.report.document import Document, Heading, Paragraph, Span, text_of

# Slack refuses 50 blocks and about 13,200 characters over all of them (msg_blocks_too_long, documented nowhere).
BLOCKS_LIMIT = 45
CHARACTERS_LIMIT = 12_000
HOME_BLOCKS = 100  # https://docs.slack.dev/reference/views
COUNTED = ("text", "url", "alt_text", "image_url")
HEADER_LIMIT = 150
TITLE_LIMIT = 1_000  # characters of a title that is shown as one; a longer one is also set out in full below
LABEL_ROOM = 60  # characters kept free for "(12/13)" in any wording
SUMMARY_LIMIT = 500  # characters: a notification shows fewer


def render(documents: Sequence[Document], *, interactive: bool = True) -> tuple[Message, ...]:
    """The messages in order, each `payload` the JSON object {"text", "blocks"}.

    `interactive`: somebody listens to buttons that are actions; without, they are left out.
    """
    payloads = [
        (document, payload) for document in documents for payload in _payloads(document, interactive=interactive)
    ]
    return tuple(
        Message(PartKind.POST, document.key, json.dumps(payload, ensure_ascii=False), reply=index > 0)
        for index, (document, payload) in enumerate(payloads)
    )


def home(document: Document) -> list[Json]:
    """The blocks of a page of its own (App Home), which may have HOME_BLOCKS and no more: its end is left out."""
    pieces = _pieces(document, interactive=True)
    blocks = [*_title(document, "", first=True), *_joined([piece.content for piece in pieces])]
    return blocks[:HOME_BLOCKS]


def _payloads(document: Document, *, interactive: bool) -> Iterator[Json]:
    parts = pack(_pieces(document, interactive=interactive), _limits(document)) or ((),)
    for index, part in enumerate(parts):
        values = {"part": index + 1, "parts": len(parts)}
        label = document.part_label.format(**values) if len(parts) > 1 else ""
        blocks = [*_title(document, label, first=index == 0), *_joined(part)]
        yield {"text": _summary(document, label), "blocks": blocks}


def _limits(document: Document) -> tuple[int, int]:
    """What a message has room for beside its title. One block is kept for a list that goes on in the next message."""
    return CHARACTERS_LIMIT - min(_title_length(document), TITLE_LIMIT) - LABEL_ROOM, BLOCKS_LIMIT - 2


def _title_length(document: Document) -> int:
    return length(literal(text_of(document.title)))


def _pieces(document: Document, *, interactive: bool) -> list[Piece[Fragment]]:
    blocks = document.blocks
    if _title_length(document) > TITLE_LIMIT:
        blocks = (Paragraph(document.title), *blocks)
    made: list[Piece[Fragment]] = []
    after_heading = False
    for block in blocks:
        for fragment in fragments(block):
            made.append(_piece(replace(fragment, border=Border.NEVER, joins=True) if after_heading else fragment))
            after_heading = isinstance(block, Heading)
    return made + [_piece(fragment) for fragment in button_rows(document.buttons, interactive=interactive)]


def _piece(fragment: Fragment) -> Piece[Fragment]:
    return Piece(fragment, (_characters(fragment.block), 0 if fragment.joins else 1), fragment.border)


def _characters(value: object) -> int:
    """Text and addresses in a block; whether Slack counts the addresses is not documented."""
    if isinstance(value, dict):
        own = sum(length(value[name]) for name in COUNTED if isinstance(value.get(name), str))
        return own + sum(_characters(inner) for inner in value.values())
    return sum(map(_characters, value)) if isinstance(value, list) else 0


def _title(document: Document, label: str, *, first: bool) -> list[Json]:
    """A header; bold text where the title is too long for one and stands here for the first time."""
    title = literal(text_of(document.title)).strip()
    if not title:
        return [_bold(label)] if label else []
    room = HEADER_LIMIT - len(f" {label}")
    if length(title) > room and first:
        return [_bold(f"{shortened(title, TITLE_LIMIT)} {label}".strip())]
    text = f"{shortened(title, room)} {label}".strip()
    return [{"type": "header", "text": {"type": "plain_text", "text": text, "emoji": True}}]


def _bold(text: str) -> Json:
    return {
        "type": "rich_text",
        "elements": [{"type": "rich_text_section", "elements": elements((Span(text, bold=True),))}],
    }


def _summary(document: Document, label: str) -> str:
    said = document.summary.strip() or text_of(document.title).strip()
    return escaped(f"{shortened(literal(said), SUMMARY_LIMIT)} {label}".strip())


def _joined(part: Sequence[Fragment]) -> list[Json]:
    """The blocks of one message: what belongs together as one block, no divider at either end."""
    blocks: list[Json] = []
    for fragment in _undivided(part):
        if fragment.joins and blocks and blocks[-1]["type"] == fragment.block["type"] == "rich_text":
            blocks[-1] = {"type": "rich_text", "elements": [*blocks[-1]["elements"], *fragment.block["elements"]]}
            blocks[-1]["elements"] = _merged(blocks[-1]["elements"])
        else:
            blocks.append(fragment.block)
    return blocks


def _undivided(part: Sequence[Fragment]) -> Sequence[Fragment]:
    kept = [index for index, fragment in enumerate(part) if fragment.block["type"] != "divider"]
    return part[kept[0] : kept[-1] + 1] if kept else ()


def _merged(parts: Sequence[Json]) -> list[Json]:
    """Neighbouring list entries as one list, neighbouring paragraphs as lines of one."""
    merged: list[Json] = []
    for part in parts:
        before = merged[-1] if merged else None
        if before is not None and _continues(before, part):
            line = [] if part["type"] == "rich_text_list" else [{"type": "text", "text": "\n"}]
            merged[-1] = before | {"elements": [*before["elements"], *line, *part["elements"]]}
        else:
            merged.append(part)
    return merged


def _continues(before: Json, part: Json) -> bool:
    if before["type"] != part["type"] or before["type"] == "rich_text_quote":
        return False
    if part["type"] == "rich_text_section" or part["style"] == "bullet":
        return before.get("style") == part.get("style")
    return bool(part.get("offset", 0) == before.get("offset", 0) + len(before["elements"]))
