"""What Slack accepts as a message, and what its readers see of it: the rules behind tests/slack_standin.py."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator

Json = dict[str, Any]
SCHEMA = json.loads((Path(__file__).parent / "data" / "slack_blocks.schema.json").read_text(encoding="utf-8"))
BLOCKS = Draft7Validator(SCHEMA)

# About 13,200 characters over all blocks is what people measured; it is documented nowhere.
BLOCKS_LIMIT, CHARACTERS_LIMIT, TEXT_LIMIT = 50, 13_200, 40_000
HOME_BLOCKS_LIMIT = 100
UNFETCHABLE = "downloading image failed"
_LIVE = re.compile(r"<(?:![a-z]|[@#][A-Z0-9])|(?<!\w)@(?:channel|here|everyone)", re.IGNORECASE)
_LIVE_ELEMENTS = {"user", "usergroup", "broadcast", "channel", "team"}


class RefusedError(Exception):
    """Becomes `ok: false`."""

    def __init__(self, error: str, **more: object) -> None:
        super().__init__(error)
        self.answer = {"ok": False, "error": error, **more}


def content(arguments: Json) -> Json:
    text, blocks = arguments.get("text", ""), arguments.get("blocks")
    if not isinstance(text, str) or (not text and not blocks):
        raise RefusedError("no_text")
    if len(text) > TEXT_LIMIT:
        raise RefusedError("msg_too_long")  # Slack cuts it off, which is worse
    if blocks:
        _check_blocks(blocks)
    return {"text": text, **({"blocks": blocks} if blocks else {})}


def view(shown: Json) -> Json:
    """A page of App Home: https://docs.slack.dev/reference/views/home-tab-views"""
    if set(shown) - {"type", "blocks", "private_metadata", "callback_id", "external_id"} or shown["type"] != "home":
        raise RefusedError("invalid_arguments")
    if len(shown["blocks"]) > HOME_BLOCKS_LIMIT:
        raise RefusedError("invalid_arguments", response_metadata={"messages": ["too many blocks"]})
    for start in range(0, len(shown["blocks"]), BLOCKS_LIMIT):
        _check_blocks(shown["blocks"][start : start + BLOCKS_LIMIT])
    return shown


@cache
def _against_schema(blocks: str) -> list[str]:
    """Takes 25 ms, and a report's are the same in every channel."""
    found = BLOCKS.iter_errors(json.loads(blocks))
    return [f"{'/'.join(map(str, error.path))}: {error.message[:200]}" for error in found]


def _check_blocks(blocks: list[Json]) -> None:
    """Raises RefusedError as Slack does; the reasons are in `response_metadata`."""
    wrong = _against_schema(json.dumps(blocks))
    if not wrong:
        wrong = list(_beyond_limits(blocks))
    if wrong:
        raise RefusedError("invalid_blocks", response_metadata={"messages": wrong})
    if sum(len(text) for text in texts(blocks)) > CHARACTERS_LIMIT:
        raise RefusedError("msg_blocks_too_long")


def _beyond_limits(blocks: list[Json]) -> Iterator[str]:
    if len(blocks) > BLOCKS_LIMIT:
        yield "too many blocks"
    ids = [block["block_id"] for block in blocks if "block_id" in block]
    if len(ids) != len(set(ids)):
        yield "block_id is not unique"
    if sum(block["type"] == "table" for block in blocks) > 1:
        yield "more than one table"
    for number, block in enumerate(blocks):
        yield from (f"{number}: {reason}" for reason in _block_faults(block))


def _block_faults(block: Json) -> Iterator[str]:
    match block["type"]:
        case "header" if not 1 <= len(block["text"]["text"]) <= 150 or block["text"]["type"] != "plain_text":
            yield "header text"
        case "section" if not 1 <= len(block.get("text", {}).get("text", "-")) <= 3_000:
            yield "section text"
        case "context":
            yield from _context_faults(block["elements"])
        case "actions":
            yield from _actions_faults(block["elements"])
        case "rich_text":
            yield from _rich_faults(block["elements"])
        case "image":
            yield from _image_faults(block)
        case "table" if len(block["rows"]) > 100 or any(len(row) > 20 for row in block["rows"]):
            yield "table size"


def _context_faults(elements: list[Json]) -> Iterator[str]:
    if not 1 <= len(elements) <= 10:
        yield "context elements"
    if any(not 1 <= len(element.get("text", "-")) <= 3_000 for element in elements):
        yield "context text"


def _actions_faults(elements: list[Json]) -> Iterator[str]:
    if not 1 <= len(elements) <= 25:
        yield "actions elements"
    ids = [element.get("action_id") for element in elements]
    if len(ids) != len(set(ids)):
        yield "action_id is not unique"
    for element in elements:
        if not 1 <= len(element["text"]["text"]) <= 75:
            yield "button text"
        if not re.fullmatch(r"https?://\S{1,2990}", element.get("url", "https://a")):
            yield "button url"
        if len(element.get("value", "")) > 2_000:
            yield "button value"
        if not 1 <= len(element.get("action_id", "-")) <= 255:
            yield "button action_id"


def _image_faults(image: Json) -> Iterator[str]:
    """https://docs.slack.dev/reference/block-kit/blocks/image-block; Slack fetches the picture before it posts."""
    title = image.get("title", {"type": "plain_text", "text": "-"})
    if title["type"] != "plain_text" or not 1 <= len(title["text"]) <= 2_000:
        yield "image title"
    if not 1 <= len(image["alt_text"]) <= 2_000:
        yield "image alt_text"
    if not re.fullmatch(r"https?://\S{1,2990}", image["image_url"]):
        yield "image url"
    if not re.search(r"\.(?:png|jpe?g|gif)$", image["image_url"], re.IGNORECASE):
        yield UNFETCHABLE


def has_pictures(blocks: list[Json]) -> bool:
    return any(block["type"] == "image" for block in blocks)


def _rich_faults(elements: list[Json]) -> Iterator[str]:
    if not elements:
        yield "rich_text is empty"
    for element in elements:
        if element["type"] in ("rich_text_list", "rich_text_section", "rich_text_quote") and not element["elements"]:
            yield f"{element['type']} is empty"
        if element["type"] == "rich_text_list":
            yield from _rich_faults(element["elements"])
        elif element["type"] in ("text", "link"):
            if not element.get("text", "-"):
                yield "empty text"
            if not re.fullmatch(r"https?://\S{1,2990}", element.get("url", "https://a")):
                yield "link url"
        elif "elements" in element:
            yield from _rich_faults(element["elements"])


def texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("text"), str):
            yield value["text"]
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def metadata(metadata: object) -> Json:
    """https://docs.slack.dev/messaging/message-metadata: a snake_case type and a flat object of at most 8 KB."""
    if not isinstance(metadata, dict) or set(metadata) != {"event_type", "event_payload"}:
        raise RefusedError("invalid_metadata_format")
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,254}", str(metadata["event_type"])):
        raise RefusedError("invalid_metadata_format")
    if not isinstance(metadata["event_payload"], dict):
        raise RefusedError("invalid_metadata_format")
    if len(json.dumps(metadata)) > 8_000:
        raise RefusedError("metadata_too_large")
    return metadata


def live_mentions(content: Json, arguments: Json) -> Iterator[str]:
    """What would ring: commands in `text` and mrkdwn, mention elements, and any unbroken @channel, to be strict."""
    if arguments.get("link_names") or arguments.get("parse") == "full":
        yield "link_names or parse=full"
    yield from (found.group() for found in _LIVE.finditer(content["text"]))
    yield from _live_in(content.get("blocks", []))


def _live_in(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if value.get("type") in _LIVE_ELEMENTS:
            yield str(value)
        if isinstance(text := value.get("text"), str):
            yield from (found.group() for found in _LIVE.finditer(text))
        for inner in value.values():
            yield from _live_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _live_in(inner)


def as_seen(message: Json) -> list[str]:
    lines: list[str] = []
    for block in message.get("blocks", []):
        lines += [*_block_seen(block), ""]
    return lines[:-1] or message["text"].splitlines()


def _block_seen(block: Json) -> list[str]:
    match block["type"]:
        case "header":
            return [f"【{block['text']['text']}】"]
        case "divider":
            return ["─" * 40]
        case "context":
            return ["  ".join(f"‹{element['text']}›" for element in block["elements"])]
        case "actions":
            return ["  ".join(f"[ {button['text']['text']} ]" for button in block["elements"])]
        case "image":
            return [f"▣ {block['title']['text'] if 'title' in block else block['alt_text']}"]
        case "rich_text":
            return [line for element in block["elements"] for line in _rich_seen(element)]
        case _:
            return [json.dumps(block, ensure_ascii=False)]


def _rich_seen(element: Json) -> list[str]:
    if element["type"] == "rich_text_list":
        lines = []
        for number, section in enumerate(element["elements"], element.get("offset", 0) + 1):
            bullet = f"{number:>2}. " if element["style"] == "ordered" else " •  "
            first, *rest = _rich_seen(section)
            lines += [bullet + first, *(f"    {line}" for line in rest)]
        return lines
    text = "".join(_span_seen(span) for span in element["elements"])
    return [("┃ " if element["type"] == "rich_text_quote" else "") + line for line in text.split("\n")]


def _span_seen(span: Json) -> str:
    text = str(span["text"])
    signs = {"bold": "*", "italic": "/", "code": "`", "strike": "~"}
    for name in span.get("style", {}):
        text = f"{signs[name]}{text}{signs[name]}"
    return f"_{text}_" if span["type"] == "link" else text
