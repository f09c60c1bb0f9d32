"""Text that Slack shows as it stands: no mention, no markup, whatever a paper, a model or a person wrote."""

import re

# Slack's counts are taken as UTF-16 units, the larger of the two readings of "characters".
_MENTION = re.compile(r"@(?=channel|here|everyone)", re.IGNORECASE)
_COMMAND = re.compile(r"<(?=[!@#])")
_BREAK = "\u200b"  # zero-width space: parts a mention from its sign and is not seen
_CUT_ENTITY = re.compile(r"&[a-z]{0,3}$")
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def literal(text: str) -> str:
    """`text` for rich_text and plain_text, which parse nothing; mentions are broken all the same."""
    text = _UNPRINTABLE.sub("", text)
    return _COMMAND.sub(f"<{_BREAK}", _MENTION.sub(f"@{_BREAK}", text))


def escaped(text: str) -> str:
    """`text` for mrkdwn and the top-level `text`, where Slack reads &, < and > as its own.

    Rule: https://docs.slack.dev/messaging/formatting-message-text#escaping
    """
    return literal(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def length(text: str) -> int:
    """Characters as Slack counts them at most."""
    return len(text) + sum(character > "\uffff" for character in text)


def shortened(text: str, limit: int) -> str:
    """The beginning of a text that stands in full elsewhere, at most `limit` characters with its ellipsis."""
    if length(text) <= limit:
        return text
    end = min(len(text), limit - 1)
    while length(text[:end]) > limit - 1:
        end -= 1
    return text[:end].rstrip() + "…"


def fitted(text: str, limit: int) -> str:
    """The beginning of an escaped text, at most `limit` bytes of UTF-8 with its ellipsis; no entity is cut in two."""
    if len(text.encode()) <= limit:
        return text
    start = text.encode()[: limit - len("…".encode())].decode(errors="ignore")
    return _CUT_ENTITY.sub("", start).rstrip() + "…"
