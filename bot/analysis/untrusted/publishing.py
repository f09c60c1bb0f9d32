"""What models and papers say, made safe to show: no link, mention, markup or command that code did not build. Pure."""

import html
import re

from bot.analysis.untrusted.characters import visible


def defang(text: str, limit: int) -> str:
    """A model's sentence as it may be published: one line of inline Markdown (bold, italic, code) and TeX, no more.

    Links, images, HTML, headings, list marks, mentions, hashtags and commands lose what makes them work. The result has
    at most `limit` characters and is cut at a word, with an ellipsis.
    """
    text = _one_line(_unescaped(visible(text)))
    while (stripped := _one_line(_stripped(text))) != text:
        text = stripped
    return _cut(text, limit)


def plain(text: str, limit: int) -> str:
    """A paper's or person's text as it may be shown as plain text: visible characters on one line, bounded."""
    return _cut(" ".join(visible(text).split()), limit)


_TAG = r"</?[a-zA-Z][a-zA-Z0-9-]*(?:\s+[\w:-]+\s*=[^<>]*|\s+[a-z]+)?\s*/?>|<!--.*?(?:-->|$)|<[!?/][^<>]*>"
_SCHEME = r"(?:[a-z][a-z0-9+.-]{1,15}://|www\.|mailto:|javascript:|data:text)"
_TOP_LEVEL = (
    "com|org|net|edu|gov|io|ai|cn|me|dev|app|xyz|ru|co|info|ly|gg|to|link|site|top|tk"  # what chats link by itself
)
_COMMANDS = "href|url|includegraphics|html\\w*|class|cssId|style|input|include|write|g?def|newcommand|require|special"
_STRIPPED = (
    (re.compile(r"<(?:https?:|mailto:|tg:|[@#!])[^<>|]*\|([^<>]*)>"), r"\1"),  # <https://…|label>, <@U1|name>
    (re.compile(r"<(?:https?:|mailto:|tg:|[@#!])[^<>]*>"), ""),  # <https://…>, <!here>
    (re.compile(_TAG), ""),
    (re.compile(r"<(?=[!@#/])"), ""),  # what is left of one
    (re.compile(r"!?\[([^\[\]]*)\]\((?:[^()]|\([^()]*\))*\)"), r"\1"),  # [label](address), ![label](address)
    (re.compile(r"!?\[([^\[\]]+)\]\[[^\[\]]*\]"), r"\1"),  # [label][reference]
    (re.compile(_SCHEME + r"[^\s<>(){}$（），。；、“”\]]*", re.IGNORECASE), ""),
    (re.compile(r"(?<=[\w.-])[@＠](?=[\w-]+\.[a-z])", re.IGNORECASE), " at "),  # an address; mAP@0.5 is none
    (re.compile(r"[@＠](?=[^\W\d]\w)"), ""),  # a mention; Recall@k and P@2 are none
    (re.compile(r"(?<![\w&])[#＃](?=[^\W\d])"), ""),  # a hashtag
    (re.compile(r"(?<![\w/.\\])/(?=[A-Za-z])"), ""),  # a bot's command
    (re.compile(rf"(?<=[\w-])\.(?=(?:{_TOP_LEVEL}|{_TOP_LEVEL.upper()})(?![A-Za-z0-9]))"), "[.]"),
    (re.compile(r"~~|```+"), ""),
    (re.compile(rf"\\(?:{_COMMANDS})\b"), ""),
)
_LINE_MARK = re.compile(r"^\s*(?:#{1,6}\s+|>\s*|[-*+•]\s+|\d{1,2}[.)]\s+|\|)+", re.MULTILINE)
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_FORMULA = re.compile(r"(\$[^$\n]+\$)")


def _one_line(text: str) -> str:
    return " ".join(_LINE_MARK.sub("", text).split())


def _unescaped(text: str) -> str:
    """Entities and backslashes outside formulas as Markdown would read them, so that nothing hides behind them."""
    pieces = _FORMULA.split(html.unescape(html.unescape(text)))
    return "".join(piece if piece.startswith("$") else _ESCAPE.sub(r"\1", piece) for piece in pieces)


def _stripped(text: str) -> str:
    for pattern, replacement in _STRIPPED:
        text = pattern.sub(replacement, text)
    return text


def _cut(text: str, limit: int) -> str:
    """At most `limit` characters, not in the middle of a word, a formula or a pair of marks."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    space = cut.rfind(" ")
    cut = cut[:space] if space > limit // 2 else cut
    for mark in ("$", "**", "`"):
        if cut.count(mark) % 2:
            cut = cut[: cut.rfind(mark)]
    return cut.rstrip() + "…"
