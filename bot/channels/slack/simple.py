"""Blocks -> plainer ones, or one plain text, with everything they say: what is posted when Slack refuses them. Pure."""

from collections.abc import Sequence

from bot.channels.slack.blocks import Json
from bot.channels.slack.text import escaped

TEXT_LIMIT = (
    40_000  # characters; Slack cuts a longer text off: https://docs.slack.dev/reference/methods/chat.postMessage
)


def without_pictures(blocks: Sequence[Json]) -> list[Json]:
    """The blocks with a link where a picture was: Slack refuses the whole message when it cannot fetch one."""
    return [_link(block) if block["type"] == "image" else block for block in blocks]


def _link(picture: Json) -> Json:
    words = picture.get("title", {}).get("text") or picture["alt_text"]
    element = {"type": "link", "url": picture["image_url"], "text": words}
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [element]}]}


def as_text(blocks: Sequence[Json]) -> str:
    """Escaped text for a message with `mrkdwn` off: addresses stand behind their words, lists have their numbers."""
    return "\n\n".join(text for block in without_pictures(blocks) if (text := _block(block)))


def _block(block: Json) -> str:
    match block["type"]:
        case "header":
            return escaped(block["text"]["text"])
        case "rich_text":
            return "\n".join(_rich(element) for element in block["elements"])
        case "context":
            return " ".join(_small(element) for element in block["elements"])
        case "actions":
            links = [button for button in block["elements"] if "url" in button]  # nobody can tap a line of text
            return "\n".join(f"{escaped(button['text']['text'])}: {escaped(button['url'])}" for button in links)
        case _:
            return ""


def _rich(element: Json) -> str:
    if element["type"] != "rich_text_list":
        text = "".join(_span(span) for span in element["elements"])
        return f"&gt; {text}" if element["type"] == "rich_text_quote" else text
    first = element.get("offset", 0) + 1
    ordered = element["style"] == "ordered"
    return "\n".join(
        (f"{first + index}. " if ordered else "• ") + _rich(section)
        for index, section in enumerate(element["elements"])
    )


def _span(span: Json) -> str:
    text = escaped(span["text"])
    return f"{text} ({escaped(span['url'])})" if span["type"] == "link" and span["url"] != span["text"] else text


def _small(element: Json) -> str:
    # A mrkdwn element is a link that was escaped when it was made.
    return str(element["text"]) if element["type"] == "mrkdwn" else escaped(element["text"])
