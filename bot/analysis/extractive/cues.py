"""Phrases that tell what a sentence of a paper does: speaks of its own work, measures, admits (data: cues.toml)."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache
from importlib import resources

BEGINNING = 60  # characters of a sentence that tell what it speaks of


@cache
def cues() -> Mapping[str, re.Pattern[str]]:
    """One pattern a kind of cue, by "table.key" of the file."""
    content = tomllib.loads(resources.files(__package__).joinpath("cues.toml").read_text(encoding="utf-8"))
    return {
        f"{table}.{kind}": re.compile(
            rf"(?<!\w)(?:{'|'.join(f'(?:{phrase})' for phrase in phrases)})(?!\w)", re.IGNORECASE
        )
        for table, kinds in content.items()
        for kind, phrases in kinds.items()
    }


def has(kind: str, text: str) -> bool:
    """Does `text` hold a cue of `kind` ("rigor.figures")?"""
    return cues()[kind].search(text) is not None


def begins(kind: str, text: str) -> bool:
    """Does `text` begin with a cue of `kind`?"""
    return cues()[kind].match(text) is not None


def count(kind: str, text: str) -> int:
    """How many cues of `kind` does `text` hold?"""
    return sum(1 for _ in cues()[kind].finditer(text))


class Role(Enum):
    """Whose work a sentence speaks of."""

    OWN = "own"
    PLAIN = "plain"
    EARLIER = "earlier"


def roles(sentences: Sequence[str], *, opening: bool) -> tuple[Role, ...]:
    """The role of each sentence. In an `opening` (an abstract) what precedes the first own sentence is background."""
    found = [_role(sentence) for sentence in sentences]
    start = found.index(Role.OWN) if opening and Role.OWN in found else 0
    return (Role.EARLIER,) * start + tuple(found[start:])


def _role(sentence: str) -> Role:
    if has("roles.own", sentence):
        return Role.OWN
    return Role.EARLIER if has("roles.earlier", sentence[:BEGINNING]) else Role.PLAIN
