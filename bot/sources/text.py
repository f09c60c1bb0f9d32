"""Titles, names and abstracts as sources send them, made into plain lines."""

import unicodedata

_BROKEN = ("Cc", "Cs")  # control characters and lone surrogates, which cannot be written as UTF-8


def one_line(text: str) -> str:
    """Single spaces, composed Unicode (NFC), no control characters or lone surrogates."""
    composed = unicodedata.normalize("NFC", text)
    return " ".join("".join(" " if unicodedata.category(c) in _BROKEN else c for c in composed).split())
