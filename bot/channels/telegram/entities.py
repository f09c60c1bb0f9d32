"""Spans as Telegram's text with entities (https://core.telegram.org/bots/api#messageentity): pure.

Entities, never a parse mode: nothing that a paper or a model writes can then be taken for markup.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace

from bot.report.document import Span, Spans, is_web_url, text_of

WORD_JOINER = "\u2060"
# Telegram turns what looks like a file name, tag, name, command or number of a bank card into a link of its own, and no
# setting stops it. An invisible word joiner inside does, and unlike a code entity it does not change how a title looks.
# A zero-width joiner or non-joiner would not help: Telegram's parser takes both for letters of a host name.
_AUTO_LINKS = re.compile(
    r"(?<=[#@])(?=\w)|(?<=\$)(?=[A-Z]|1I)|(?<=\w)(?=@\w)"  # tags, names, shares ("$1INCH" is one), mail
    r"|(?<![\w/]/)(?<=/)(?=\w)|(?<=:)(?=//)"  # commands, schemes
    r"|(?<=[\w)-]\.)(?=[^\W\d_]{2})"  # hosts: what follows the dot may be a top-level domain ("py" is one)
)
_ADDRESS = re.compile(r"\d+(?:\.\d+){3,}")
_CARD = re.compile(r"\d(?:[ -]?\d){12,}")
_CARD_PART = 6  # characters; a card's number has at least 13 digits
# Telegram removes these itself (and a line break inside a span would break the line under it), three accents among
# them, by which whole lines can be drawn; a letter that has its ring ("å") as one character keeps it.
_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\u2028-\u202e\u2066-\u2069\ufeff\u030a\u0333\u033f]|[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Entity:
    """A look or link of text[offset : offset + length], both in UTF-16 units.

    A "text_link" has a `url`, or the key of the `document` that it will lead to once that is posted.
    """

    type: str
    offset: int
    length: int
    url: str = ""
    document: str = ""


@dataclass(frozen=True, slots=True)
class Styled:
    """A text and its entities."""

    text: str = ""
    entities: tuple[Entity, ...] = ()

    def __add__(self, other: "Styled") -> "Styled":
        shift = units(self.text)
        moved = (replace(entity, offset=entity.offset + shift) for entity in other.entities)
        return Styled(self.text + other.text, (*self.entities, *moved))

    def within(self, kind: str) -> "Styled":
        """All of it inside one more entity."""
        return Styled(self.text, (Entity(kind, 0, units(self.text)), *self.entities))


def units(text: str) -> int:
    """Length in UTF-16 code units, which is how Telegram counts."""
    return len(text.encode("utf-16-le")) // 2


def styled(spans: Spans) -> Styled:
    """The text of `spans` with an entity for each look, fit to stand inside a message."""
    spans = tuple(replace(span, text=_cleaned(span.text)) for span in spans)
    breaks = _breaks(text_of(spans))
    result, position = Styled(), 0
    for span in spans:
        end = position + len(span.text)
        result = result + _styled(span, [at - position for at in breaks if position <= at < end])
        position = end
    return result


def _cleaned(text: str) -> str:
    return _CONTROLS.sub("", unicodedata.normalize("NFC", text.replace("\t", " ")))


def bold(spans: Spans) -> Spans:
    """The same spans in bold (code stays code: it cannot be anything else beside)."""
    return tuple(span if span.code else replace(span, bold=True) for span in spans)


def _breaks(text: str) -> list[int]:
    """Where a word joiner keeps Telegram from making a link."""
    found = {match.start() for match in _AUTO_LINKS.finditer(text)}
    for match in _ADDRESS.finditer(text):
        found.update(at + 1 for at in range(match.start(), match.end()) if text[at] == ".")
    for match in _CARD.finditer(text):
        found.update(range(match.start() + _CARD_PART, match.end(), _CARD_PART))
    return sorted(found)


def _styled(span: Span, breaks: list[int]) -> Styled:
    text = span.text
    # An address that Telegram does not take costs the whole message; it takes all that we take.
    href = span.href if span.href and is_web_url(span.href) else ""
    if not (href or span.code):  # Telegram looks for links in neither
        for at in reversed(breaks):
            text = text[:at] + WORD_JOINER + text[at:]
    # Telegram drops entities over blanks and shortens those that end in one; offsets must not depend on that.
    inner = text.strip()
    if not inner:
        return Styled(text)
    offset, length = units(text[: len(text) - len(text.lstrip())]), units(inner)
    return Styled(text, tuple(replace(look, offset=offset, length=length) for look in _looks(span, href)))


def _looks(span: Span, href: str) -> Iterable[Entity]:
    if href or span.document:
        yield Entity("text_link", 0, 0, href, "" if href else span.document or "")
    elif span.code:
        yield Entity("code", 0, 0)
        return  # code can neither contain nor be part of another look
    for kind, wanted in (("bold", span.bold), ("italic", span.italic), ("strikethrough", span.strike)):
        if wanted:
            yield Entity(kind, 0, 0)
