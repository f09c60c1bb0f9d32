"""Documents as frozen messages: the JSON that `send` turns into Bot API calls, chat and topic left open. Pure.

A posted message is `{"text", "entities", "keyboard", "silent"}`; "preview" is the address of the picture that heads it,
where one does. A button of the keyboard has a "text" and either a "url" or the "callback_data" that a tap brings.
A LINK message is the same without "silent", and its entities may name a `document` where the URL of that document's
message will be.
"""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from bot.channels.telegram.entities import Entity, Styled
from bot.channels.telegram.layout import messages
from bot.models import Message, PartKind
from bot.report.document import ACTION_BYTES, Button, Document, Picture, is_picture_url, is_web_url

logger = logging.getLogger(__name__)

BUTTONS_PER_ROW = 3  # more labels than that are cut off on a phone
SHORT_BUTTONS_PER_ROW = 8  # what Telegram's apps show side by side
SHORT_CHARACTERS = 5  # "🔎 12"
PREVIEWED = (".png", ".jpg", ".jpeg", ".gif", ".webp")  # photos to Telegram; it makes no preview of an SVG

Payload = dict[str, Any]  # JSON as the Bot API documents it


def render(documents: Sequence[Document], *, linkable: bool, interactive: bool = True) -> tuple[Message, ...]:
    """Posts in order, then one LINK message for each posted message that refers to another document.

    `linkable`: messages of this chat have URLs. `interactive`: somebody listens to taps; without that, buttons are
    links alone. Only the first message makes a sound.
    """
    posts: list[Message] = []
    links: list[Message] = []
    keys = {document.key for document in documents}
    for document in documents:
        texts = messages(document)
        for part, text in enumerate(texts):
            last = part == len(texts) - 1
            keyboard = _keyboard(document.buttons, interactive=interactive) if last else []
            # Later messages with links get a key of their own, so that the ledger can tell their IDs.
            targets = {entity.document for entity in text.entities} & (keys - {document.key})
            key = document.key if part == 0 or not targets else f"{document.key}#{part + 1}"
            payload: Payload = {"text": text.text, "entities": _entities(text, set()), "keyboard": keyboard}
            payload |= _preview(document) if part == 0 else {}
            posts.append(Message(PartKind.POST, key, _frozen(payload | {"silent": bool(posts)})))
            if linkable and targets:
                linked = payload | {"entities": _entities(text, targets)}
                links.append(Message(PartKind.LINK, key, _frozen(linked)))
    return (*posts, *links)


def resolved(payload: Payload, urls: Mapping[str, str]) -> Payload | None:
    """A LINK payload whose documents are replaced by their `urls`; None when none of them is known."""
    entities = []
    found = False
    for entity in payload["entities"]:
        document = entity.get("document")
        if document is None:
            entities.append(entity)
        elif document in urls:
            found = True
            entities.append(
                {key: value for key, value in entity.items() if key != "document"} | {"url": urls[document]}
            )
    return payload | {"entities": entities} if found else None


def _preview(document: Document) -> Payload:
    """The picture that the document opens with, where Telegram makes previews of its kind."""
    first = document.blocks[0] if document.blocks else None
    if not isinstance(first, Picture) or not first.url.lower().endswith(PREVIEWED) or not is_picture_url(first.url):
        return {}
    return {"preview": first.url}


def _entities(text: Styled, targets: set[str]) -> list[Payload]:
    return [_entity(entity) for entity in text.entities if not entity.document or entity.document in targets]


def _entity(entity: Entity) -> Payload:
    values: Payload = {"type": entity.type, "offset": entity.offset, "length": entity.length}
    return values | {key: value for key in ("url", "document") if (value := getattr(entity, key))}


def _keyboard(buttons: Sequence[Button], *, interactive: bool) -> list[list[Payload]]:
    """Rows of buttons. Those that Telegram would refuse (a page on localhost, a long action) are left out."""
    good = [button for button in buttons if button.label.strip() and _is_usable(button, interactive=interactive)]
    by_row = groupby(sorted(good, key=lambda button: button.row), key=lambda button: button.row)
    return [[_button(button) for button in line] for _, row in by_row for line in _lines(list(row))]


def _is_usable(button: Button, *, interactive: bool) -> bool:
    if not button.action:
        return is_web_url(button.url)
    if len(button.action.encode()) > ACTION_BYTES:
        logger.warning("button left out: its action is too long", extra={"action": button.action})
        return False
    return interactive


def _button(button: Button) -> Payload:
    return {"text": button.label} | ({"callback_data": button.action} if button.action else {"url": button.url})


def _lines(row: list[Button]) -> Iterator[list[Button]]:
    """One row as lines that a phone can show: many signs and numbers side by side, or a few words."""
    size = SHORT_BUTTONS_PER_ROW if all(_is_short(button.label) for button in row) else BUTTONS_PER_ROW
    return (row[start : start + size] for start in range(0, len(row), size))


def _is_short(label: str) -> bool:
    return len(label) <= SHORT_CHARACTERS and not any(letter.isalpha() for letter in label)


def _frozen(payload: Payload) -> str:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
