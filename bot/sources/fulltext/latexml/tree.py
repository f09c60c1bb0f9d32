"""A page as a tree, or a refusal: bounded in size, nesting and time, whatever the bytes are."""

import re
from collections.abc import Iterator
from typing import Protocol, cast

from bot.sources.fulltext.sections import UnreadableError

MOST_BYTES = 15_000_000  # what is fetched of a page, and more than any that was seen
MOST_TAGS = 350_000  # opening and closing: 10 MB of a usual page; a tree of more would take hundreds of megabytes
MOST_ATTRIBUTES = 200  # of one tag: the parser compares each with each
MOST_NAMES = 1_000  # characters of a class attribute
LONG_TAG = 4_000  # bytes; a shorter one cannot have attributes enough to matter
# A tag as browsers read it (quotes count behind "=" alone). What never closes runs to the end, so that the scan stays
# linear.
_TAG = re.compile(
    rb"""<(?:!--(?:.*?-->|.*)|[a-z](?>[^>=]+|=\s*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|))*+(?:>|\Z))""",
    re.IGNORECASE | re.DOTALL,
)
_QUOTED = re.compile(rb"""=\s*+(?:"[^"]*+"?|'[^']*+'?)""")


class Node(Protocol):
    """What is used of an lxml element (lxml ships no types)."""

    tag: str
    text: str | None
    tail: str | None

    def get(self, key: str) -> str | None: ...
    def set(self, key: str, value: str) -> None: ...
    def clear(self, *, keep_tail: bool) -> None: ...
    def iter(self, *tags: str) -> Iterator["Node"]: ...
    def itertext(self, *tags: str) -> Iterator[str]: ...
    def getparent(self) -> "Node | None": ...
    def __iter__(self) -> Iterator["Node"]: ...
    def __len__(self) -> int: ...


def parsed(content: bytes) -> Node:
    """The page's root, without comments. Raises UnreadableError for what would cost too much and for no HTML at all."""
    from lxml import etree  # type: ignore[import-untyped] # lxml ships no types, and its stubs are not ours to install

    if len(content) > MOST_BYTES or content.count(b"<") > MOST_TAGS:
        raise UnreadableError("a page too large to be a paper's")
    if any(len(tag[0]) > LONG_TAG and _attributes(tag[0]) > MOST_ATTRIBUTES for tag in _TAG.finditer(content)):
        raise UnreadableError("a page with a tag of countless attributes")
    text = content.decode("utf-8", errors="replace").replace("\0", "")
    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True)
    try:
        root = etree.fromstring(text.encode(), parser)
    except (etree.LxmlError, ValueError) as error:
        raise UnreadableError("no HTML") from error
    if root is None or any("depth" in entry.message for entry in parser.error_log):
        raise UnreadableError("no HTML, or nested too deep for a paper's")
    return cast("Node", root)


def _attributes(tag: bytes) -> int:
    return len(_QUOTED.sub(b" ", tag).split())


def classes(node: Node) -> list[str]:
    """The names in its class attribute, as far as one goes that a page needs."""
    return (node.get("class") or "")[:MOST_NAMES].split()


def kind(node: Node, *names: str) -> bool:
    """Does it bear one of these classes?"""
    found = node.get("class")
    return found is not None and any(name in names for name in found[:MOST_NAMES].split())


def empty(node: Node) -> None:
    """Makes it say nothing. It stays in its place as a bare span, which is cheaper than taking it out."""
    node.clear(keep_tail=True)
    node.tag = "span"
