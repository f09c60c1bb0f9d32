"""Titles, names and abstracts as sources send them, made into plain lines of a length that messages can bear."""

import unicodedata

TITLE = 300  # characters; the longest of the lists so far has 133
ABSTRACT = 10_000  # arXiv takes 1,920
AUTHOR = 100  # the name of one, or of an organization
COMMENT = 1_000
AUTHORS = 6_000  # the most that a paper has had are 5,154 (ATLAS and CMS, 2015); readers are told how many there are

_BROKEN = ("Cc", "Cs")  # control characters and lone surrogates, which cannot be written as UTF-8


def one_line(text: str, limit: int) -> str:
    """Single spaces, composed Unicode (NFC), no control characters or lone surrogates; a longer text ends in "…"."""
    composed = unicodedata.normalize("NFC", text)
    line = " ".join("".join(" " if unicodedata.category(c) in _BROKEN else c for c in composed).split())
    return line if len(line) <= limit else f"{line[: limit - 1].rstrip()}…"
