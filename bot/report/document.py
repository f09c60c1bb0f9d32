"""Text before markup: a Document is a title and blocks of spans that every platform renders in its own way.

Nothing here holds Markdown, HTML or mrkdwn. A span's text is plain; links exist only where code built them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bot.models import ARXIV, Band, ReportKey

ACTION_BYTES = 64  # UTF-8; Telegram's callback_data, https://core.telegram.org/bots/api#inlinekeyboardbutton
URL_CHARACTERS = 2_000  # the longest address that common browsers, servers and chats all take
HIGHEST_PORT = 65_535
PICTURES = f"{ARXIV}/html/"  # where every picture that is shown stands
# RFC 3986 without what could end a link or begin another in some markup: quotes, brackets, blanks; and ASCII alone, so
# that no letter can pass for another. No user name, which could pass for a host. One dot at least: chats take no other.
_WEB_URL = re.compile(
    r"https?://(?:[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?\.)+[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?(?:[/?#][A-Za-z0-9._~:/?#@!$&*+,;=%-]*)?"
)


def is_web_url(url: str) -> bool:
    """May this address become a link? The one rule for all of them, whoever gave the address."""
    found = _WEB_URL.fullmatch(url) if len(url) <= URL_CHARACTERS else None
    return found is not None and int(found["port"] or 1) <= HIGHEST_PORT


def is_picture_url(url: str) -> bool:
    """May this address be shown as a picture? Browsers and platforms fetch it unasked, so only arXiv's own pages."""
    return url.startswith(PICTURES) and is_web_url(url) and ".." not in url.lower().replace("%2e", ".")


@dataclass(frozen=True, slots=True)
class Span:
    """A run of plain text with its look. At most one of `href` and `document` is set.

    `tex` is the LaTeX source when the span is a formula; `text` is then its readable Unicode form, for chats.
    `document` is the key of another document of the same report: a link that each platform resolves in its own way
    (to the message once it is sent, to an anchor on the page) or drops.
    """

    text: str
    bold: bool = False
    italic: bool = False
    code: bool = False
    strike: bool = False
    tex: str | None = None
    href: str | None = None
    document: str | None = None


Spans = tuple[Span, ...]


def text_of(spans: Sequence[Span]) -> str:
    """The plain text of `spans`."""
    return "".join(span.text for span in spans)


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading inside a document; `level` is 2 or 3 (1 is the document's title)."""

    spans: Spans
    level: int = 2


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One paragraph."""

    spans: Spans


@dataclass(frozen=True, slots=True)
class Mark:
    """What a point rests on, shown behind it: `label` is "摘要", "§3.2" or "推断".

    `quote` is the paper's own span (None for an inferred point); `href` leads to the section.
    """

    label: str
    inferred: bool
    quote: str | None = None
    href: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """An entry of a list, with the mark of its evidence where it is a point of a deep dive."""

    spans: Spans
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: tuple[Item, ...]
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A titled group that a chat may fold (Telegram: an expandable quote). `key` is the prompt header's key."""

    key: str
    title: str
    blocks: "tuple[Paragraph | Items, ...]"


@dataclass(frozen=True, slots=True)
class RankingRow:
    """One paper of the ranking. A failed one has position and score None, and `reason` says why.

    `position` counts from 1. `tags` are short words such as "精选"; `document` is the key of its deep dive, where there
    is one.
    """

    position: int | None
    title: str
    href: str
    score: int | None
    band: Band
    reason: Spans
    tags: tuple[str, ...] = ()
    document: str | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """All papers of the day, best first, failed ones last."""

    rows: tuple[RankingRow, ...]


@dataclass(frozen=True, slots=True)
class Fields:
    """Short labelled facts shown on one or two lines: (("来源", spans), ("评分", spans))."""

    pairs: tuple[tuple[str, Spans], ...]


@dataclass(frozen=True, slots=True)
class Note:
    """One line that the reader must not miss: a failure, "仅基于摘要", a late or corrected report."""

    spans: Spans
    tone: Literal["info", "warning"] = "info"


@dataclass(frozen=True, slots=True)
class Footer:
    """Small print: model, calls, cost, seconds."""

    spans: Spans


@dataclass(frozen=True, slots=True)
class Divider:
    """A line between groups."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture by its address, shown before what follows it. `alt` says in plain words what it is.

    A platform that cannot show it shows nothing or a link: the words around it never depend on it.
    """

    url: str
    caption: Spans
    alt: str


Block = Picture | Heading | Paragraph | Items | Section | Ranking | Fields | Note | Footer | Divider


@dataclass(frozen=True, slots=True)
class Button:
    """A button: a link, or an action that the bot is told of (`deepdive 2602.19089 zh`), at most ACTION_BYTES long.

    Exactly one of `url` and `action` is set. Buttons of the same `row` stand side by side where there is room. A place
    that nobody listens to (a page, a terminal, a platform without handlers) shows links alone.
    """

    label: str
    url: str = ""
    action: str = ""
    row: int = 0


@dataclass(frozen=True, slots=True)
class Document:
    """What one chat message (or one article of a page) says, before it is split or marked up.

    `key` is unique in a report ("digest", an arXiv ID). `summary` is a plain line for notifications and for places that
    show no blocks. `part_label` is the wording of "part 2 of 3" with `{part}` and `{parts}`: a document that a platform
    splits repeats its title with it.
    """

    key: str
    title: Spans
    blocks: tuple[Block, ...]
    summary: str
    language: str
    part_label: str = "({part}/{parts})"
    buttons: tuple[Button, ...] = ()


@dataclass(frozen=True, slots=True)
class Links:
    """Where the web pages stand. Every method is None without a `public_url` (`web.public_url`): no link is made then.

    The archive's token is in none of them: it would stand in every chat.
    """

    public_url: str | None = None

    def report(self, key: ReportKey, paper: str | None = None) -> str | None:
        """The report's page, at the deep dive of `paper` (an arXiv ID without version) where one is named."""
        anchor = "" if paper is None else f"#{paper}"
        return self._at(f"reports/{key.day}/{key.profile}.{key.language}{anchor}")

    def paper(self, arxiv_id: str) -> str | None:
        return self._at(f"papers/{arxiv_id}")

    def archive(self) -> str | None:
        return self._at("")

    def feed(self) -> str | None:
        return self._at("feed.atom")

    def _at(self, path: str) -> str | None:
        return None if self.public_url is None else f"{self.public_url.rstrip('/')}/{path}"


NO_LINKS = Links()
