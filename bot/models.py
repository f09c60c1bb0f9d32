"""The words that everybody shares, as frozen data without I/O."""

import base64
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time
from enum import StrEnum
from typing import Literal
from urllib.parse import unquote

from bot.errors import InputError

PART_CODE_CHARACTERS = 6  # of a part's code: a thousand million of them, and few are in trouble at the same time
ARXIV = "https://arxiv.org"  # where readers are sent; where Paperboy itself fetches from is a setting

# The archives that gave out IDs until March 2007, https://arxiv.org/category_taxonomy and its retired ones.
_ARCHIVES = (
    "acc-phys|adap-org|alg-geom|ao-sci|astro-ph|atom-ph|bayes-an|chao-dyn|chem-ph|cmp-lg|comp-gas|cond-mat|cs|dg-ga|"
    "funct-an|gr-qc|hep-ex|hep-lat|hep-ph|hep-th|math-ph|math|mtrl-th|nlin|nucl-ex|nucl-th|patt-sol|physics|plasm-ph|"
    "q-alg|q-bio|q-fin|quant-ph|solv-int|stat|supr-con"
)
_ID = re.compile(
    rf"""(?: (?<![a-z0-9.]) | (?<=arxiv) | (?<=arxiv\.) )
    (?: (?P<month>[0-9]{{4}}) \. (?P<number>[0-9]{{4,5}})
      | (?P<archive>{_ARCHIVES}) (?:\.[a-z]{{2,5}}(?:-[a-z]{{2,5}})?)? / (?P<serial>[0-9]{{7}}) )
    (?: v (?P<version>[1-9][0-9]{{0,3}}) )?
    (?! [a-z0-9] | \.[0-9] )
    (?: \.pdf | \.md )? (?: [?\#][a-z][!-;=?-{{}}~]* )?  # a URL's query and fragment hold no ID of their own""",
    re.IGNORECASE | re.VERBOSE | re.ASCII,
)
_MISTYPED = re.compile(r"(?<![0-9])(?P<month>[0-9]{4})[^0-9a-z]{0,2}(?P<number>[0-9]{3,7})(?![0-9])", re.IGNORECASE)
_FOREIGN_DOI = re.compile(r"(?<![0-9])10\.(?!48550/)[0-9]{4,9}/[!-~]*")  # other publishers' numbers look like IDs
_STOP_BETWEEN_DIGITS = re.compile(r"(?<=[0-9]{4})。(?=[0-9]{4})")  # a Chinese keyboard's full stop
_PLAIN = {0xFF01 + n: 0x21 + n for n in range(94)} | dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2013), "-")  # full-width
_LIVE = frozenset("<>&@#`*_~|[](){}\\\"'$!")  # what some platform takes for markup, a mention or a tag
PASTED_CHARACTERS = 4096  # a chat message; nobody pastes an ID inside more than that
SHOWN_CHARACTERS = 40  # as much of a wrong text as its sender needs to recognise it


@dataclass(frozen=True, slots=True, order=True)
class ArxivId:
    """An arXiv ID without its version ("2602.19089", "hep-th/9901001") and the version, where one was named.

    Grammar: https://info.arxiv.org/help/arxiv_identifier.html. An old ID stands in its canonical form, which has no
    subject class: math.GT/0309136 and math/0309136 are one paper, and arXiv answers with the second.
    """

    id: str
    version: int | None = None

    def __str__(self) -> str:
        return self.id if self.version is None else f"{self.id}v{self.version}"

    @property
    def abs_url(self) -> str:
        return f"{ARXIV}/abs/{self}"

    @property
    def pdf_url(self) -> str:
        return f"{ARXIV}/pdf/{self}"

    @classmethod
    def parse(cls, text: str) -> "ArxivId":
        """The one arXiv ID in `text`, in any form that people paste. Raises InputError with a wording for the user.

        The same ID may stand there more than once (a link and its label), with at most one version.
        """
        found = set(_ids_in(text)) if len(text) <= PASTED_CHARACTERS else set()
        named = {arxiv_id.id for arxiv_id in found}
        versions = {arxiv_id.version for arxiv_id in found if arxiv_id.version}
        if len(named) == 1 and len(versions) <= 1:
            return cls(named.pop(), versions.pop() if versions else None)
        raise InputError(f"{len(named)} arXiv IDs in a text, not one", key="error.arxiv_id", text=shown(text))

    @classmethod
    def all_in(cls, text: str) -> "tuple[ArxivId, ...]":
        """Every arXiv ID in `text` in its order, each once; under the version that is named, the first of several."""
        found: dict[str, ArxivId] = {}
        for arxiv_id in _ids_in(text[:PASTED_CHARACTERS]):
            if arxiv_id.id not in found or (found[arxiv_id.id].version is None and arxiv_id.version):
                found[arxiv_id.id] = arxiv_id
        return tuple(found.values())

    @classmethod
    def near(cls, text: str) -> "ArxivId | None":
        """What a mistyped ID most likely means: another sign between its halves, a digit too few or too many."""
        plain = unquote(text[:PASTED_CHARACTERS]).translate(_PLAIN)
        for match in _MISTYPED.finditer(plain):
            month, number = match["month"], match["number"]
            width = 5 if month >= "1501" else 4
            for candidate in (number.zfill(width), number[:width]):
                if len(candidate) == width and (ids := cls.all_in(f"{month}.{candidate}")):
                    return ids[0]
        return None


def _ids_in(text: str) -> Iterator[ArxivId]:
    """Every valid arXiv ID in `text`: also percent-encoded, in full-width characters and with invisible ones inside."""
    text = "".join(c for c in unquote(text).translate(_PLAIN) if unicodedata.category(c) != "Cf")
    text = _FOREIGN_DOI.sub(" ", _STOP_BETWEEN_DIGITS.sub(".", text))
    for match in _ID.finditer(text):
        month, number, archive, serial, version = match.groups()
        if not 1 <= int((month or serial)[2:4]) <= 12:
            continue
        if number and len(number) != (5 if month >= "1501" else 4):  # from January 2015 numbers have five digits
            continue
        name = f"{month}.{number}" if number else f"{archive.lower()}/{serial}"
        yield ArxivId(name, int(version) if version else None)


def shown(text: str) -> str:
    """The beginning of `text` on one line, without anything that a platform could bring to life."""
    start = text[: 5 * SHOWN_CHARACTERS]
    plain = " ".join("".join(c if c.isprintable() and c not in _LIVE else " " for c in start).split())
    whole = len(plain) <= SHOWN_CHARACTERS and len(start) == len(text)
    return plain if whole else f"{plain[:SHOWN_CHARACTERS]}…"


@dataclass(frozen=True, slots=True)
class Paper:
    """A paper as a list or arXiv describes it. Texts are single-spaced; `upvotes` is 0 where unknown."""

    arxiv_id: ArxivId
    title: str
    abstract: str
    authors: tuple[str, ...] = ()
    published: datetime | None = None
    upvotes: int = 0
    source: str = "huggingface"
    organization: str | None = None
    code_url: str | None = None
    project_url: str | None = None
    categories: tuple[str, ...] = ()
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class DayList:
    """What a source listed on `day` (UTC), best first. `skipped` counts broken items.

    `captured_at` tells a finished day from one that was still filling up.
    """

    day: date
    papers: tuple[Paper, ...]
    captured_at: datetime
    skipped: int = 0
    origin: str = "huggingface"


@dataclass(frozen=True, slots=True)
class Profile:
    """What one team cares about."""

    name: str
    interests: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    audience: str = ""

    @property
    def hash(self) -> str:
        """12 hex digits of the content (not the name): equal contents share analyses."""
        content = json.dumps([self.interests, self.exclude, self.audience], ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()[:12]


class AnalystKind(StrEnum):
    """Who judged: a language model, or the extractive analyst that needs none."""

    MODEL = "model"
    EXTRACTIVE = "extractive"


@dataclass(frozen=True, slots=True)
class SubScores:
    """Four integers 0-10: match with the interests, use of the method for the team, novelty, rigor of the evidence."""

    topic: int
    method: int
    novelty: int
    rigor: int


# How high a score is, in a word; scoring.BANDS says from where on. "failed" is a paper without a score.
Band = Literal["excellent", "good", "fair", "low", "failed"]


@dataclass(frozen=True, slots=True)
class Score:
    """What a paper is worth to a profile: `value` 0-100, computed by code from `sub`. `prompt` is the prompt's ref.

    `quote` is the paper's own span that supports the topic ("" where none was found). `reason` may hold inline Markdown
    and TeX, nothing else; it is empty when only the sub-scores are known.
    """

    value: int
    sub: SubScores
    reason: str
    quote: str = ""
    matched_interests: tuple[str, ...] = ()
    suspicious: bool = False
    analyst: AnalystKind = AnalystKind.MODEL
    model: str = ""
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A paper in a ranking: scored, or failed with the key of the wording that says why (`failure.timeout`).

    `chosen`: deep-dived in this day's report. `reported_on`: the earlier day whose report had chosen it.
    """

    paper: Paper
    score: Score | None = None
    failure: str | None = None
    chosen: bool = False
    reported_on: date | None = None


@dataclass(frozen=True, slots=True)
class Ranking:
    """The scored list of a day for a profile, best first, failed papers last. `listed` counts the whole list.

    `fallback` is the wording key of why the model could score nothing and the extractive analyst took over; None where
    it did, or where there is none.
    """

    day: date
    profile: Profile
    language: str
    entries: tuple[Ranked, ...]
    listed: int
    skipped: int
    analyst: AnalystKind
    created_at: datetime
    origin: str = "huggingface"
    fallback: str | None = None

    @property
    def scored(self) -> int:
        return sum(entry.score is not None for entry in self.entries)

    @property
    def failed(self) -> int:
        return len(self.entries) - self.scored

    @property
    def chosen(self) -> tuple[str, ...]:
        """IDs without version, in ranking order."""
        return tuple(entry.paper.arxiv_id.id for entry in self.entries if entry.chosen)


class Basis(StrEnum):
    """What a deep dive was read from."""

    HTML = "html"
    PDF = "pdf"
    MARKDOWN = "markdown"
    ABSTRACT = "abstract"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a paper: `label` "Figure 2" as printed, `caption` without it, `url` the image's absolute address
    ("" where it has none that a reader could open).
    """

    label: str
    caption: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a paper down to the next heading of any level.

    `id` is what the model is told: "S0" the abstract, then "S1", "S2" … in reading order, the appendix included.
    `number` is "3.2" as printed, "" where there is none; `anchor` the place on arXiv's HTML page ("S3.SS2"), ""
    elsewhere. `text` is paragraphs between blank lines: formulas as $TeX$, tables as Markdown, captions of figures and
    tables as paragraphs of their own; it may be empty under a heading that only groups others.
    """

    id: str
    number: str
    title: str
    text: str
    anchor: str = ""
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, slots=True)
class FullText:
    """What could be read of a paper, in reading order, the abstract first (as S0); references and thanks are left out.

    `arxiv_id` carries the version that was read, where it is known. `suspicious`: text that no reader can see was taken
    out, and it gave a reader model instructions.
    """

    arxiv_id: ArxivId
    basis: Basis
    sections: tuple[Section, ...]
    appendix: tuple[Section, ...] = ()
    suspicious: bool = False


@dataclass(frozen=True, slots=True)
class KeptText:
    """A full text out of the store, and when it was fetched (UTC)."""

    full_text: FullText
    fetched_at: datetime


class PointKind(StrEnum):
    """Does the paper say it, or does the analyst conclude it?"""

    STATED = "stated"
    INFERRED = "inferred"


@dataclass(frozen=True, slots=True)
class Point:
    """One claim of a deep dive. `section` is a Section's id; `quote` is the paper's own span ("" for inferred points).

    `text` may hold inline Markdown and TeX, nothing else.
    """

    kind: PointKind
    section: str
    quote: str
    text: str


@dataclass(frozen=True, slots=True)
class DeepDiveSection:
    """One of the four sections; key and title come from the prompt's header."""

    key: str
    title: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class PointCounts:
    """How the proof went: `verified` of `written` points stand, `repaired` of them after one repair call."""

    written: int
    verified: int
    dropped: int
    repaired: int


@dataclass(frozen=True, slots=True)
class DeepDive:
    """A paper read for a profile. `flags` are wording keys of warnings (`flag.suspicious`).

    `outline` names the sections of the full text (their text left empty), so that a point's place can be shown.
    `left_out` are the IDs of those that the model saw nothing or only a part of. `figure` is the paper's overview.
    """

    paper: Paper
    language: str
    basis: Basis
    analyst: AnalystKind
    model: str
    prompt: str
    sections: tuple[DeepDiveSection, ...]
    points: PointCounts
    outline: tuple[Section, ...] = ()
    flags: tuple[str, ...] = ()
    cost_usd: float | None = None
    left_out: tuple[str, ...] = ()
    figure: Figure | None = None


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question about a paper and what was answered, both in plain words."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody wants to know of a paper. `earlier` are the last exchanges of the same talk, oldest first."""

    paper: Paper
    text: str
    earlier: tuple[Exchange, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a paper says to a question; without `points` where it says nothing. The rest is as in a DeepDive."""

    paper: Paper
    question: str
    language: str
    basis: Basis
    analyst: AnalystKind
    model: str
    prompt: str
    points: tuple[Point, ...]
    counts: PointCounts
    outline: tuple[Section, ...] = ()
    flags: tuple[str, ...] = ()
    cost_usd: float | None = None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What model work took. `cost_usd` is None without a known price; `cached` counts analyses without a call."""

    calls: int = 0
    cached: int = 0
    cost_usd: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        costs = [cost for cost in (self.cost_usd, other.cost_usd) if cost is not None]
        return Usage(
            self.calls + other.calls,
            self.cached + other.cached,
            sum(costs) if costs else None,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
        )


@dataclass(slots=True)
class Meter:
    """Adds up the usage of one run; the one thing here that changes."""

    usage: Usage = field(default_factory=Usage)

    def add(self, usage: Usage) -> None:
        self.usage = self.usage + usage


@dataclass(frozen=True, slots=True)
class Seconds:
    """Wall time of a run, by step."""

    total: float = 0.0
    list: float = 0.0
    score: float = 0.0
    deep_dive: float = 0.0
    deliver: float = 0.0


@dataclass(frozen=True, slots=True)
class ReportKey:
    """Which report: `str()` is "2026-02-25/default.zh", with "#2" behind it for the first correction."""

    day: date
    profile: str
    language: str
    edition: int = 1

    def __str__(self) -> str:
        edition = "" if self.edition == 1 else f"#{self.edition}"
        return f"{self.day}/{self.profile}.{self.language}{edition}"


@dataclass(frozen=True, slots=True)
class Report:
    """One day for one (profile, language), shared by all channels that want it.

    A day without a list is a report with a `note` (a wording key, `note.no_list`) and an empty ranking. `model` names
    the models that answered, "" when none did. `min_score` and `wanted` (deep dives) are what choosing went by.
    """

    key: ReportKey
    ranking: Ranking
    deep_dives: tuple[DeepDive, ...]
    analyst: AnalystKind
    model: str
    prompts: tuple[str, ...]
    usage: Usage
    seconds: Seconds
    created_at: datetime
    note: str | None = None
    min_score: int = 0
    wanted: int = 0


class PlatformName(StrEnum):
    """Where a channel can be."""

    TELEGRAM = "telegram"
    SLACK = "slack"
    CONSOLE = "console"


@dataclass(frozen=True, slots=True)
class Address:
    """A place to post: platform, target, and a topic (Telegram) or a thread (Slack, its first message's ID).

    `str()` is "telegram:-1001234/5" and keys the ledger.
    """

    platform: PlatformName
    target: str
    topic: int | None = None
    thread: str | None = None

    def __str__(self) -> str:
        within = self.thread if self.topic is None else self.topic
        return f"{self.platform}:{self.target}" + ("" if within is None else f"/{within}")

    @property
    def chat(self) -> "Address":
        """The whole chat, without topic or thread."""
        return Address(self.platform, self.target)


@dataclass(frozen=True, slots=True)
class ChannelPlan:
    """What a channel wants: which report, when. `time` is wall-clock time in `timezone` (an IANA name);
    `weekdays` are 0 (Monday) to 6, in that zone.
    """

    name: str
    address: Address
    profile: Profile
    language: str
    time: time
    timezone: str
    weekdays: frozenset[int] = frozenset(range(7))
    style: Literal["classic", "rich"] = "classic"


class PartState(StrEnum):
    """planned -> sending -> sent | unknown | failed. `dropped`: the operator settled it by giving it up."""

    PLANNED = "planned"
    SENDING = "sending"
    SENT = "sent"
    UNKNOWN = "unknown"
    FAILED = "failed"
    DROPPED = "dropped"


class PartKind(StrEnum):
    """A message to post, or the idempotent edit that links a posted digest to its deep dives."""

    POST = "post"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Message:
    """A platform's message, frozen before the first send. `payload` is JSON that only that platform's adapter reads;
    where it is an object with a `text`, that is what the message says, for who looks over the ledger.

    `document` is the key of its document; `reply` says that it belongs under the first message (a thread).
    `answers` is the ID of the message that it replies to. `replaces` is the ID of a message that becomes this one by an
    edit, which is safe to repeat; where that message is gone, a new one is posted. Both are "" for most messages.
    """

    kind: PartKind
    document: str
    payload: str
    reply: bool = False
    answers: str = ""
    replaces: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A row of the ledger: one message of a report at an address.

    `delivery` is "<report key>@<address>", of an answer "<request key>@<address>"; `key` is "<delivery>~<index>".
    `lease` is when another process may recover a part that is `sending`. `message_ids` are the platform's, as strings.
    `late` marks a part of a late report. `planned_at` is when its content was frozen, or when somebody last said that
    it is to be sent again; `updated_at` when it was last taken up for sending.
    """

    key: str
    delivery: str
    index: int
    channel: str
    address: Address
    message: Message
    state: PartState = PartState.PLANNED
    owner: str = ""
    lease: datetime | None = None
    attempts: int = 0
    message_ids: tuple[str, ...] = ()
    error: str = ""
    late: bool = False
    updated_at: datetime | None = None
    planned_at: datetime | None = None

    @property
    def code(self) -> str:
        """What administrators call it by; longer than a request's, so that none is taken for the other."""
        digest = hashlib.sha256(self.key.encode()).digest()
        return base64.b32encode(digest).decode().lower()[:PART_CODE_CHARACTERS]


@dataclass(frozen=True, slots=True)
class Lease:
    """Who does something that only one process may do, and until when, as the store's clock goes.

    `before` is the owner from whom it was taken because their time had run out, "" where nobody had it.
    """

    owner: str
    until: datetime
    before: str = ""


class DeliveryState(StrEnum):
    """The worst of a delivery's parts: sent < late < unknown < failed."""

    SENT = "sent"
    LATE = "late"
    UNKNOWN = "unknown"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A report at an address, as the ledger knows it. `parts` counts posted messages, not edits."""

    key: str
    channel: str
    address: Address
    state: DeliveryState
    parts: int


@dataclass(frozen=True, slots=True)
class Finding:
    """A line of `paperboy check`: what it is about (`telegram.token`), what was found and how to mend it."""

    level: Literal["ok", "warning", "error"]
    subject: str
    text: str
