"""Text hidden in base64, hexadecimal and the like: where it stands, and what it says. Pure."""

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_LEAST = 16  # characters of a blob; twelve bytes say nothing
_MOST = 20_000  # characters of a blob that is decoded; nobody hides a book
_TOKEN = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,3}|(?<=[A-Za-z0-9+/])[A-Za-z0-9+/]{2,7}={1,2}")
_BETWEEN = re.compile(r"[\s|\"'`>]{0,6}\Z")
_TURN = re.compile(r"[a-z][A-Z]|[A-Z]{2}[a-z]|[A-Za-z][0-9]|[0-9][A-Za-z]|[+/=]")
_HEX = re.compile(r"(?:(?:0x|\\x)?[0-9a-fA-F]{2}[\s:,;]{0,2}){12,}")
_BINARY = re.compile(r"(?:[01]{7,8}[\s,]{0,2}){8,}")
_DECIMAL = re.compile(r"(?<![\d.])(?:\d{2,3}[\s,;]{1,2}){11,}\d{2,3}(?![\d.])")
_READABLE = re.compile(r"[\w\s.,:;!?'\"()/%+{}\[\]。，：；！？-]")
_WORDS = re.compile(r"[^\W\d_]{2,}")
_LEAST_READABLE = 0.95  # share of letters, spaces and common marks
_LEAST_WORDS = 3


@dataclass(frozen=True, slots=True)
class Blob:
    """Characters start to end, and what they say."""

    start: int
    end: int
    text: str


def blobs(text: str) -> Iterator[Blob]:
    """Every passage of `text` that decodes to something readable. They may overlap."""
    for start, end in _runs(text):
        yield from _decoded(text, start, end, (_base64, _base32, _hex))
    for pattern, decode in ((_HEX, _hex), (_BINARY, _binary), (_DECIMAL, _decimal)):
        for match in pattern.finditer(text):
            yield from _decoded(text, match.start(), match.end(), (decode,))


def _runs(text: str) -> Iterator[tuple[int, int]]:
    """Neighbouring tokens that look encoded."""
    start = end = -1
    for match in _TOKEN.finditer(text):
        if not _TURN.search(match[0]) and not match[0].isupper() and not match[0].isdigit():
            continue
        if start >= 0 and match.start() - end <= 6 and _BETWEEN.match(text, end, match.start()):
            end = match.end()
            continue
        if end - start >= _LEAST:
            yield start, end
        start, end = match.span()
    if end - start >= _LEAST:
        yield start, end


def _decoded(text: str, start: int, end: int, ways: tuple[Callable[[str], bytes], ...]) -> Iterator[Blob]:
    for decode in ways:
        try:
            said = decode(text[start : min(end, start + _MOST)]).decode("utf-8")
        except (ValueError, binascii.Error):
            continue
        if _is_readable(said):
            yield Blob(start, end, said)


def _is_readable(text: str) -> bool:
    if len(text) < _LEAST // 2:
        return False
    share = len(_READABLE.findall(text)) / len(text)
    return share >= _LEAST_READABLE and (len(_WORDS.findall(text)) >= _LEAST_WORDS or not text.isascii())


def _base64(text: str) -> bytes:
    bare = re.sub(r"[^A-Za-z0-9+/_-]", "", text).translate(str.maketrans("-_", "+/"))
    return base64.b64decode(bare[: len(bare) - (len(bare) % 4 == 1)] + "=" * (-len(bare) % 4), validate=True)


def _base32(text: str) -> bytes:
    bare = re.sub(r"[^A-Z2-7]", "", text.upper())
    return base64.b32decode(bare + "=" * (-len(bare) % 8))


def _hex(text: str) -> bytes:
    bare = re.sub(r"0x|\\x|[^0-9a-fA-F]", "", text)
    return bytes.fromhex(bare[: len(bare) // 2 * 2])


def _binary(text: str) -> bytes:
    groups = re.findall(r"[01]{7,8}", text)
    return bytes(int(group, 2) for group in groups)


def _decimal(text: str) -> bytes:
    return bytes(int(number) for number in re.findall(r"\d+", text))
