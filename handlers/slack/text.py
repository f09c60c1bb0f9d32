"""Slack's message text -> what was typed, and back. Pure.

Slack's own marks are `<…>`; what people type as &, < and > arrives escaped.
Rules: https://docs.slack.dev/messaging/formatting-message-text
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

QUOTED_CHARACTERS = 4_000  # of a message and its links: more is no message that somebody points at for one paper
WORDS_CHARACTERS = 3_000  # of them the words

_MARK = re.compile(r"<([^<>]*)>")
_FIRST_MENTION = re.compile(r"<@([A-Z0-9]+)")
_LINK = re.compile(r"<(https?://[^<>|\s]+)")
_RINGS = re.compile(r"@(?=channel|here|everyone)", re.IGNORECASE)
_BREAK = "\u200b"  # zero-width space: parts a mention from its sign and is not seen
_ADDRESSES = frozenset({"from_url", "original_url", "title_link", "url"})
_WORDS = frozenset({"fallback", "pretext", "text", "title", "value"})


def typed(text: str, bot: str = "") -> str:
    """`text` as its writer saw it: links as their addresses, mentions as names, those of `bot` (a user ID) left out."""
    if bot:
        # Blanks are looked at from the first of them alone: from each, a long run of them would take for ever.
        blanks = r"(?:(?<![^\S\n])[^\S\n]+)?"
        text = re.sub(rf"{blanks}<@{re.escape(bot)}(?:\|[^<>]*)?>[:,：，]?[^\S\n]*", " ", text)
    return _unescaped(_MARK.sub(_meant, text)).strip()


def first_mentioned(text: str) -> str:
    """The user ID that is mentioned first, "" for none."""
    found = _FIRST_MENTION.search(text)
    return found[1] if found else ""


def quoted(message: Mapping[str, Any]) -> str:
    """What a message says, and the addresses that its blocks and attachments hold beside."""
    text = message.get("text")
    said = typed(text if isinstance(text, str) else "")[:WORDS_CHARACTERS]
    links = dict.fromkeys(_links([message.get("blocks"), message.get("attachments")]))
    for link in links:
        if link not in said.split() and len(said) + len(link) < QUOTED_CHARACTERS:
            said = f"{said}\n{link}" if said else link
    return said


def shown(text: str) -> str:
    """A line of ours for Slack's `text`, whatever it quotes: no markup, nobody is rung."""
    broken = _RINGS.sub(f"@{_BREAK}", text)
    return broken.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _meant(mark: re.Match[str]) -> str:
    name, _, label = mark[1].partition("|")
    match name[:1]:
        case "@" | "#":
            return name[0] + (label.lstrip("@#") or name[1:])
        case "!":
            return label or f"@{name[1:].partition('^')[0]}"
        case _:
            return name if name.startswith(("http://", "https://")) else label or name


def _unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _links(value: object) -> Iterator[str]:
    """In reading order; without recursion, which a hostile depth would exhaust."""
    waiting: list[tuple[str, object]] = [("", value)]
    while waiting:
        name, found = waiting.pop()
        if isinstance(found, list):
            waiting.extend(("", inner) for inner in reversed(found))
        elif isinstance(found, dict):
            waiting.extend(reversed(found.items()))
        elif isinstance(found, str) and name in _ADDRESSES and found.startswith(("http://", "https://")):
            yield _unescaped(found)
        elif isinstance(found, str) and name in _WORDS:
            yield from map(_unescaped, _LINK.findall(found))
