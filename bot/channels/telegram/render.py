"""Documents as frozen messages: the JSON that `send` turns into Bot API calls, chat and topic left open. Pure.

A posted message is `{"text", "entities", "keyboard", "silent"}`; "preview" is the address of the picture that heads it,
where one does. A LINK message is the same without "silent", and its entities may name a `document` where the URL of
that document's message will be.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from bot.channels.telegram.entities import Entity, Styled
from bot.channels.telegram.layout import messages
from bot.models import Message, PartKind
from bot.report.document import Button, Document, Picture, is_picture_url, is_web_url

BUTTONS_PER_ROW = 3  # Telegram allows 8; more than 3 are cut off on a phone
PREVIEWED = (".png", ".jpg", ".jpeg", ".gif", ".webp")  # photos to Telegram; it makes no preview of an SVG

Payload = dict[str, Any]  # JSON as the Bot API documents it


def render(documents: Sequence[Document], *, linkable: bool) -> tuple[Message, ...]:
    """Posts in order, then one LINK message for each posted message that refers to another document.

    `linkable`: messages of this chat have URLs. Only the first message makes a sound.
    """
    posts: list[Message] = []
    links: list[Message] = []
    keys = {document.key for document in documents}
    for document in documents:
        texts = messages(document)
        for part, text in enumerate(texts):
            keyboard = _keyboard(document.buttons) if part == len(texts) - 1 else []
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


def _keyboard(buttons: Sequence[Button]) -> list[list[Payload]]:
    """Rows of link buttons. Those that Telegram would refuse (a page on localhost) are left out."""
    good = ({"text": button.label, "url": button.url} for button in buttons if is_web_url(button.url))
    return list(_rows(good))


def _rows(buttons: Iterator[Payload]) -> Iterator[list[Payload]]:
    while row := list(islice(buttons, BUTTONS_PER_ROW)):
        yield row


def _frozen(payload: Payload) -> str:
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
