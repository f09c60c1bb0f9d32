"""A text in the pieces that are judged one by one (sentences, list items, table cells, headings), and their words."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from urllib.parse import unquote

from bot.analysis.untrusted.characters import folded
from bot.analysis.untrusted.lexicon import CJK, LEAST_JOINED, LEAST_RUN_ON, LONGEST, Word, lexicon, look_up, run_on

_BLOCK_END = re.compile(r"(\n\s*\n\s*|\n(?=[ \t]*(?:[-*•|#>]|\d{1,2}[.)]\s))|(?<=\|)[ \t]*\n)")
_SENTENCE_END = re.compile(r"((?<=[.!?])[\"'”’)\]]{0,2}\s+|(?<=[。！？；]))")
_CELL_END = re.compile(r"(\s*\|\s*)")
_ESCAPED = re.compile(r"\\(?:u\{?([0-9a-fA-F]{4})\}?|x([0-9a-fA-F]{2}))")
_PERCENT = re.compile(r"%[0-9a-fA-F]{2}")
_BARE_TAG = re.compile(r"</?[a-z][a-z0-9]{0,10}\s{0,3}/?>")
_TEX = re.compile(r"\\(?:[a-z]+\*?|.)|[{}$~]")
_INNER_MARK = re.compile(r"(?<=[a-z])!(?=[a-z0-9])|(?<![a-z0-9])!(?=[a-z])")  # an "i" in disguise
_SPACED = re.compile(r"(?<![^\W_])[a-z](?:[\W_]{1,3}[a-z](?![^\W_])){4,}")
_SPACED_CJK = re.compile(rf"[{CJK}](?:[^\w{CJK}]{{1,2}}[{CJK}](?![{CJK}])){{3,}}")
_BETWEEN_CJK = re.compile(rf"(?<=[{CJK}])[ \t\n]+(?=[{CJK}])")
_NOT_WORD = re.compile(r"[\W_]+")
_FULL_MARKS = re.compile(
    r"(?<![\d./])(?:10{1,2}|9|5)\s*(?:/|out of|of)\s*(?:10{1,2}|5)(?![\d./])"
    r"|(?<![\d.])(?:100|10|一百|十)\s*分(?=[。，、！；：,.;!)\s]|$)|(?<=[给打评])(?:100|10|一百|十)\s*分(?![之钟类割辨支])"
)
_TOKEN = re.compile(
    rf"([a-z0-9@$\u0370-\u058f\u13a0-\u13ff]+)|([{CJK}]+)|([.!?:;,()\[\]{{}}\"|…。，：；！？、“”「」—–])"
)
_CHINESE_WIDTH, _OTHER_WIDTH = 0.5, 0.2  # words that one character counts for: of Chinese, of Hindi or Arabic
_CHINESE = "\u3040"  # where the former begin
_PIECES_OF_WORD = 24  # at most so many pieces make one word
_TEN = {"10", "100"}


@dataclass(frozen=True, slots=True)
class Found:
    """A word that stands for something: how far (in words) into its piece, and for what (bits)."""

    at: float
    concepts: int


@dataclass(frozen=True, slots=True)
class Reading:
    """The telling words of a piece, its length in words, and does a sentence end with it?"""

    found: tuple[Found, ...]
    length: float
    closed: bool


def split(text: str) -> list[str]:
    """Pieces and what stands between them by turns; joined they are the text."""
    parts: list[str] = []
    for number, block in enumerate(_BLOCK_END.split(text)):
        if number % 2:
            parts.append(block)
        else:
            parts.extend((_CELL_END if block.lstrip().startswith("|") else _SENTENCE_END).split(block))
    return parts


def plainly(piece: str) -> str:
    """The piece, folded, as a model would understand it: entities, escapes, markup and spaced letters resolved."""
    if "&" in piece:
        piece = html.unescape(html.unescape(piece))
    if "\\" in piece:
        piece = _ESCAPED.sub(lambda escape: chr(int(escape[1] or escape[2], 16)), piece)
    if "%" in piece and _PERCENT.search(piece):
        piece = unquote(piece, errors="replace")
    return folded(piece)


def read(piece: str) -> Reading:
    """The telling words of `piece` (as `plainly` gives it)."""
    found, length = _words(_unmarked(piece))
    return Reading(tuple(found), length, piece.rstrip("\"'”’)] ")[-1:] in (*".!?。！？；:：",))


def _unmarked(text: str) -> str:
    if "<" in text:
        text = _BARE_TAG.sub("", text)
    if "\\" in text or "$" in text:
        text = _TEX.sub(lambda mark: "" if mark[0] in "{}" else " ", text)
    if "!" in text:
        text = _INNER_MARK.sub("i", text)
    if not text.isascii():
        text = _BETWEEN_CJK.sub("", text)
        text = _SPACED_CJK.sub(lambda run: _NOT_WORD.sub("", run[0]), text)
    text = _SPACED.sub(lambda run: _NOT_WORD.sub("", run[0]), text)
    return _FULL_MARKS.sub(" fullmarks ", text)


def _words(text: str) -> tuple[list[Found], float]:
    found: list[Found] = []
    at, tokens = 0.0, list(_tokens(text))
    known, ordered, index = lexicon(), False, 0
    fresh, before = True, ""
    while index < len(tokens):
        token, kind = tokens[index]
        if kind == "stop":
            fresh, index = True, index + 1
            continue
        if kind == "cjk":
            found.extend(_searched(token, at))
            at += len(token) * _width(token)
            fresh, index, before = False, index + 1, ""
            continue
        word, used = _joined(tokens, index)
        order = word.as_order if fresh or before in known.leads or (ordered and before in known.joints) else 0
        if before in known.subjects:
            order, word = 0, replace(word, concepts=word.concepts & ~known.told_of)
        if len(token) >= LEAST_RUN_ON and token not in known.exact and (parts := run_on(token)):
            found.extend(_each(parts, at))
        elif concepts := word.concepts | order:
            found.append(Found(at, concepts))
        ordered = ordered or bool(order)
        fresh, before = False, tokens[index + used - 1][0]
        index, at = index + used, at + used
    return found, at


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    kinds = ("", "word", "cjk", "stop")
    for match in _TOKEN.finditer(text):
        yield match[0], kinds[match.lastindex or 0]


def _joined(tokens: list[tuple[str, str]], index: int) -> tuple[Word, int]:
    """The longest known word or phrase that begins at `index`, and of how many tokens it is made."""
    whole = tokens[index][0]
    best, used, known = look_up(whole), 1, lexicon().exact
    begins = best.begins
    for end in range(index + 1, min(len(tokens), index + _PIECES_OF_WORD)):
        if not begins or tokens[end][1] != "word" or len(whole) > LONGEST:
            break
        whole += tokens[end][0]
        word = look_up(whole)
        begins = word.begins
        if word.concepts and len(whole) >= LEAST_JOINED and (whole in known or not best.concepts):
            best, used = word, end - index + 1
    return best, used


def _each(words: tuple[str, ...], at: float) -> Iterator[Found]:
    """Words that were written together; each may be an order."""
    for number, part in enumerate(words):
        word = look_up(part)
        yield Found(at + number, word.concepts | word.as_order)


def _width(run: str) -> float:
    return _CHINESE_WIDTH if run[0] >= _CHINESE else _OTHER_WIDTH


def _searched(run: str, at: float) -> Iterator[Found]:
    known, width = lexicon(), _width(run)
    for match in known.cjk.finditer(run):
        concepts = known.exact.get(match[0], 0) | known.stems.get(match[0], 0) | known.coded.get(match[0], 0)
        yield Found(at + match.start() * width, concepts)
