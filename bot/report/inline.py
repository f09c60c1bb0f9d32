"""The one reader of inline Markdown and TeX: text from models and papers becomes spans.

What comes out holds no link: a model's links and images become their plain text, HTML stays visible as it was written.
"""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from mdit_py_cjk_friendly import cjk_friendly, is_cjk  # type: ignore[import-untyped]  # it ships no types

from bot.report import formula
from bot.report.document import Span, Spans

_JOINERS = "\u200c\u200d"  # emoji families and Persian need them
_INVISIBLE = ("Cc", "Cf", "Cs")  # controls, bidirectional overrides and zero-width marks, lone surrogates
_PLAIN = Span("")
_BRACKETS = {"\\(": "\\)", "\\[": "\\]"}


def spans(text: str) -> Spans:
    """`text` with inline Markdown and TeX as spans on one line. Never raises, whatever the text holds."""
    tokens = _parser().parseInline(_tidy(text))
    return _joined(_styled(tokens[0].children or () if tokens else ()))


def title_spans(text: str) -> Spans:
    """A paper's title: formulas and TeX accents are read, Markdown is not (`Q*`, `snake_case` stay as they are)."""
    found: list[Span] = []
    text = _tidy(text)
    start = at = 0
    while at < len(text):
        if (end := _formula_end(text, at)) is not None:
            found += [Span(formula.readable_text(text[start:at])), _formula(text[at:end])]
            start = at = end
        else:
            at += 2 if text[at] == "\\" else 1
    return _joined([*found, Span(formula.readable_text(text[start:]))])


def visible(text: str) -> str:
    """`text` on one line without what cannot be seen: control characters, direction overrides, lone surrogates."""
    kept = (" " if c in "\n\r\t" else c for c in text if c in "\n\r\t" or _is_visible(c))
    return " ".join("".join(kept).split())


def _is_visible(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character) not in _INVISIBLE


def _tidy(text: str) -> str:
    """As `visible`, without a space where a line broke between two Chinese characters."""
    lines = [line for line in (visible(line) for line in text.splitlines()) if line]
    joined = ""
    for line in lines:
        between = "" if not joined or (is_cjk(joined[-1]) and is_cjk(line[0])) else " "
        joined += between + line
    return joined


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable("strikethrough").use(cjk_friendly)
    parser.inline.ruler.before("escape", "math", _math_rule)
    parser.validateLink = _any_link  # type: ignore[method-assign]  # no link survives: each becomes its text
    return parser


def _any_link(url: str) -> bool:  # noqa: ARG001 - markdown-it calls it so
    return True


def _math_rule(state: StateInline, silent: bool) -> bool:  # noqa: FBT001 - markdown-it calls it so
    end = _formula_end(state.src, state.pos)
    if end is None or end > state.posMax:
        return False
    if not silent:
        state.push("math", "", 0).content = state.src[state.pos : end]
    state.pos = end
    return True


def _formula_end(text: str, start: int) -> int | None:
    """Where the formula that opens at `start` ends, None when none opens there ("$5 and $6" holds none)."""
    for opening, closing in _BRACKETS.items():
        if text.startswith(opening, start):
            end = text.find(closing, start + 2, start + 2 + formula.MAX_LENGTH)
            return end + 2 if end > start + 2 and text[start + 2 : end].strip() else None
    if text.startswith("$$", start):
        end = text.find("$$", start + 2, start + 2 + formula.MAX_LENGTH)
        return end + 2 if end > start + 2 and text[start + 2 : end].strip() else None
    return _dollar_end(text, start) if text.startswith("$", start) else None


def _dollar_end(text: str, start: int) -> int | None:
    if start and (text[start - 1].isdigit() or text[start - 1] == "$"):
        return None
    at = start + 1
    if at >= len(text) or text[at].isspace():
        return None
    while at < len(text) and at - start <= formula.MAX_LENGTH:
        if text[at] == "\\":
            at += 2
            continue
        if text[at] == "$":
            break
        at += 1
    closed = text[at : at + 1] == "$" and not text[at - 1].isspace() and not text[at + 1 : at + 2].isdigit()
    return at + 1 if closed and _is_formula(text[start + 1 : at]) else None


def _is_formula(content: str) -> bool:
    r"""Chinese between two dollars is prose about money, unless TeX says \text."""
    return bool(content) and ("\\" in content or not any(is_cjk(letter) for letter in content))


def _formula(source: str) -> Span:
    width = 1 if source.startswith("$") and not source.startswith("$$") else 2
    tex = source[width:-width].strip()
    return Span(formula.readable(tex), tex=tex)


def _styled(tokens: Iterable[Token], look: Span = _PLAIN) -> Iterator[Span]:
    outer = look
    depth = {"strong": 0, "em": 0, "s": 0}
    for token in tokens:
        name, _, side = token.type.rpartition("_")
        if name in depth:
            depth[name] += 1 if side == "open" else -1
            look = Span(
                "",
                bold=outer.bold or depth["strong"] > 0,
                italic=outer.italic or depth["em"] > 0,
                strike=outer.strike or depth["s"] > 0,
            )
        elif token.type == "math":
            found = _formula(token.content)
            yield replace(look, text=found.text, tex=found.tex)
        elif token.type == "image":
            yield from _styled(token.children or (), look)
        elif token.content:
            yield replace(look, text=token.content, code=token.type == "code_inline")


def _joined(parts: Iterable[Span]) -> Spans:
    """Neighbours of one look as one span; empty ones left out."""
    joined: list[Span] = []
    for span in parts:
        if not span.text:
            continue
        if joined and span.tex is None and joined[-1] == replace(span, text=joined[-1].text):
            joined[-1] = replace(span, text=joined[-1].text + span.text)
        else:
            joined.append(span)
    return tuple(joined)
