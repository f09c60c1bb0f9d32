"""Every Protocol of the outside on one page: what the core asks for, and what an adapter has to promise."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import date, datetime
from typing import Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel

from bot.models import (
    Address,
    AnalystKind,
    Answer,
    ArxivId,
    DayList,
    DeepDive,
    Finding,
    FullText,
    KeptText,
    Lease,
    Message,
    Meter,
    Paper,
    Part,
    PartState,
    Profile,
    Question,
    Ranking,
    Report,
    ReportKey,
    Score,
)
from bot.report.document import Document
from bot.requests import Closing, Request, Vote

ReplyT = TypeVar("ReplyT", bound=BaseModel)


class Clock(Protocol):
    """Time, handed in."""

    def now(self) -> datetime:
        """The moment, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never jump, for durations."""

    async def sleep(self, seconds: float) -> None: ...


class Source(Protocol):
    """Lists of papers by day."""

    @property
    def name(self) -> str: ...

    async def list_day(self, day: date) -> DayList:
        """The list of `day`, ordered best first; empty when there is none. Raises SourceError."""


class Metadata(Protocol):
    """What arXiv itself says of papers."""

    async def papers(self, ids: Sequence[ArxivId]) -> Mapping[str, Paper]:
        """Papers by ID without version, in one request; unknown IDs are left out. Raises SourceError."""


class FullTexts(Protocol):
    """What can be read of a paper."""

    async def fetch(self, paper: Paper) -> FullText:
        """The best text there is, at worst the abstract, within a bounded time (FULL_TEXT_SECONDS).

        Never raises for an upstream's trouble. Who asks for the same paper at the same time shares one fetch; it is
        given up when nobody waits for it any more.
        """

    async def kept(self, paper: Paper) -> FullText | None:
        """What `fetch` would give without asking anybody; None where it would have to ask."""


FULL_TEXT_SECONDS = 60.0  # all tries at all places together


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation with a model."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Reply(Generic[ReplyT]):
    """A validated reply: `value` parsed, `text` the raw JSON (for a repair turn), `model` who answered."""

    value: ReplyT
    text: str
    model: str
    cost_usd: float | None = None


class LLM(Protocol):
    """A language model that fills a schema."""

    model: str
    """The configured model's name, "" when there is none."""

    max_input_tokens: int | None
    """What the settings allow one request, None where they name no limit."""

    async def ask(self, name: str, turns: Sequence[Turn], schema: type[ReplyT], meter: Meter) -> Reply[ReplyT]:
        """Asks under the schema's `name` ("score"). Every HTTP request counts in `meter`, failed ones too.

        Raises ModelError (its `key` a `failure.*` wording; `failure.too_long` where the input was), BudgetError.
        """

    async def context(self) -> int | None:
        """The most input tokens that the model is known to take, None where nobody knows. May load its library."""


class RunningModel(LLM, Protocol):
    """A model with a life of its own: what the wiring and `paperboy check` need of it besides asking."""

    async def warm_up(self) -> None:
        """Whatever makes the first call slow is done now. Safe to repeat and to run beside anything."""

    async def probe(self) -> Sequence[Finding]:
        """Does it answer as the settings want it? Costs a call or two."""

    async def aclose(self) -> None: ...


Progress = Callable[[str, int, int], None]
"""Called with a step, how much of it is done, and how much there is. A report's steps are "list", "score" and
"deep_dive"; those of reading one paper "fetch", "read" (of so many sections) and "check" (of so many quotes).
"""


def no_progress(step: str, done: int, total: int) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class Brief:
    """For whom, in which language, and on whose bill an analyst works. `fresh` asks the model anew, past the cache."""

    profile: Profile
    language: str
    meter: Meter
    fresh: bool = False
    progress: Progress = no_progress


class Analyst(Protocol):
    """Judges papers and reads them."""

    kind: AnalystKind
    model: str
    """"" for the extractive analyst."""

    def prompts(self, language: str) -> tuple[str, ...]:
        """The refs of the prompts it uses in `language`."""

    async def score(self, paper: Paper, brief: Brief) -> Score:
        """Raises ModelError."""

    async def deep_dive(self, paper: Paper, full_text: FullText, brief: Brief) -> DeepDive:
        """Raises ModelError, also when fewer than three sections stand after the proof."""

    async def kept_deep_dive(self, paper: Paper, full_text: FullText, brief: Brief) -> DeepDive | None:
        """The deep dive that was made of just this before, None where there is none."""

    async def answer(self, question: Question, full_text: FullText, brief: Brief) -> Answer:
        """What the paper says to the question, proved like a deep dive. Raises ModelError."""


@dataclass(frozen=True, slots=True)
class Thread:
    """What earlier parts of the same delivery left behind.

    `root` is the first message's ID (None when nothing was surely posted yet); `sent` maps document keys to the ID of
    their first message.
    """

    root: str | None
    sent: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Pace:
    """A limit: `burst` messages at once, then one every `interval` seconds. Limits of one name are one limit."""

    name: str
    interval: float
    burst: int = 1


@dataclass(frozen=True, slots=True)
class Window:
    """A limit: at most `most` messages in any `seconds`."""

    name: str
    most: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Booking:
    """Places in limits, to be used in `wait` seconds; or, where `full` is set, none: ask again after `wait`.

    `full` names the limit that had none.
    """

    wait: float
    full: str = ""


class Pacing(Protocol):
    """The places that a bot's limits have left, counted for all of its processes that share a store.

    Raises StoreError where that cannot be reached.
    """

    async def book(self, own: Sequence[Pace | Window], shared: Pace | None, *, ahead: float, room: int = 1) -> Booking:
        """Takes a place in every limit, or in none.

        Those of the chat's `own` must be free now, with `room` places (this one among them). What all chats share may
        be booked up to `ahead` seconds ahead: who may book further ahead goes before all others that want a place.
        """

    async def pause(self, pace: Pace, seconds: float) -> None:
        """No place for `seconds`, and no burst after them; at most LONGEST_PAUSE."""


LONGEST_PAUSE = 300.0  # seconds of a Retry-After that are heeded; what asks for more is asked again


@dataclass(frozen=True, slots=True)
class Errand:
    """What a message is part of: a delivery that began at `since` (by the clock's monotonic seconds).

    The older one goes first, so that a report which was begun is soon whole; an `urgent` one, which somebody waits
    for, before all others.
    """

    since: float
    urgent: bool = False
    within: float = float("inf")
    """Seconds that its chat's limits may make it wait; what would take longer is not worth it."""


class Channel(Protocol):
    """A place to post on some platform. One object an address."""

    address: Address

    def render(self, documents: Sequence[Document]) -> tuple[Message, ...]:
        """Messages within the platform's limits, in order, parts numbered, nothing truncated. Pure."""

    async def turn(self, errand: Errand) -> float:
        """Counts the next message in the platform's limits, and waits until it is nearly its turn.

        Returns the moment (of the clock's monotonic seconds) at which it may go: what there is to do before, a claim,
        is done until then. The wait may take minutes, and nothing is lost when it is cancelled. What waits here for its
        own chat holds up no other. Raises SendError (NOT_SENT) where that would take longer than the errand may.
        """

    async def send(self, key: str, message: Message, thread: Thread) -> tuple[str, ...]:
        """Posts once and returns the message IDs. `key` (the part's) is attached where the platform can look it up.

        Its `turn` has come. Never repeats anything by itself. Total time is bounded by SEND_SECONDS. Raises SendError.
        """

    async def find(self, key: str, thread: Thread, since: datetime) -> tuple[str, ...] | None:
        """The IDs of what was posted under `key`, None when surely nothing was.

        Raises SendError: UNKNOWN when the platform can never tell (Telegram), NOT_SENT when it may be asked later.
        """

    async def edit(self, message_id: str, message: Message) -> None:
        """Turns a posted message into `message`, once; one that looks so already stays. Raises SendError.

        For what may be lost: it waits for no turn, and is NOT_SENT where there is none.
        """

    async def preview(self, message: Message) -> bool:
        """Shows `message` for some seconds without posting it; False where the platform cannot. Raises SendError."""

    async def check(self) -> Sequence[Finding]:
        """Can this address be posted to? Posts nothing."""


SEND_SECONDS = (
    20.0  # a send's whole HTTP time; shorter than the lease (30 s), so that a live owner never loses its part
)


class Lists(Protocol):
    """Store: lists and papers as they were captured."""

    async def keep_list(self, day_list: DayList) -> None: ...
    async def list_of(self, day: date) -> DayList | None: ...
    async def keep_paper(self, paper: Paper) -> None:
        """Replaces what was kept of the same ID."""

    async def paper(self, arxiv_id: str) -> Paper | None: ...


class Rankings(Protocol):
    """Store: rankings and what reports chose."""

    async def keep_ranking(self, ranking: Ranking) -> None:
        """Keeps it as the ranking of (day, profile name, language), unless a report has published that one."""

    async def ranking(self, day: date, profile: str, language: str) -> Ranking | None: ...
    async def rankings(self, day: date, profile: str) -> tuple[Ranking, ...]:
        """Those of all languages, oldest first."""

    async def newest_ranking_day(self, profile: str) -> date | None: ...
    async def days_with(self, profile: str, words: Sequence[str], limit: int) -> tuple[date, ...]:
        """The newest days whose rankings hold all `words` somewhere, in any language and in upper or lower case."""

    async def chosen_before(self, profile: str, day: date, since: date) -> Mapping[str, date]:
        """IDs that reports planned for delivery chose on a day in [since, day), with that (latest) day."""


class Reports(Protocol):
    """Store: published reports. A preview is never kept."""

    async def keep_report(self, report: Report) -> Report:
        """Publishes the report with its ranking and choice, in one transaction, and gives the one that stands.

        Where this edition was published before, by whatever process, that one stands and nothing changes.
        """

    async def report(self, day: date, profile: str, language: str) -> Report | None:
        """The latest edition."""

    async def reports(self, limit: int) -> tuple[Report, ...]:
        """Latest editions, newest day first."""


class KeptTexts(Protocol):
    """Store: full texts by ID and version; never mere abstracts."""

    async def full_text(self, arxiv_id: ArxivId) -> KeptText | None:
        """That of the version named; without a version, the one fetched last."""

    async def keep_full_text(self, full_text: FullText, fetched_at: datetime) -> None:
        """Replaces what was kept of the same ID and version."""


class Analyses(Protocol):
    """Store: scores and deep dives by the key of everything they depend on, as JSON."""

    async def analysis(self, key: str) -> str | None: ...
    async def keep_analysis(self, key: str, content: str) -> None: ...


class Spending(Protocol):
    """Store: what the models cost, by UTC day."""

    async def reserve_spend(self, day: date, usd: float, limit: float) -> bool:
        """Adds `usd` to the day in one step if the sum stays within `limit`; False leaves it as it was."""

    async def settle_spend(self, day: date, difference: float) -> None:
        """Corrects a reservation by actual minus reserved."""

    async def spent(self, day: date) -> float: ...


class Ledger(Protocol):
    """Store: what was sent where (DESIGN section 5). Declared for `bot.delivery`."""

    async def plan(self, report: ReportKey | None, parts: Sequence[Part]) -> None:
        """Writes all parts and marks the report (None: there is none behind them) as planned, in one transaction.

        A delivery that was planned before stays as it is, whole: its content is frozen.
        """

    async def planned_report(self, day: date, profile: str, language: str) -> bool:
        """Was any edition of this report planned for delivery?"""

    async def planned_editions(self, day: date, profile: str, language: str) -> tuple[int, ...]:
        """The editions of this report that were planned for delivery, in order."""

    async def delivery(self, key: str) -> tuple[Part, ...]:
        """Its parts in order; empty when it was never planned."""

    async def part(self, key: str) -> Part | None: ...
    async def part_posted_as(self, address: Address, message_id: str) -> Part | None:
        """The part that is the message `message_id` of that chat, in whatever topic or thread; None for all others."""

    async def deliveries(self, limit: int) -> tuple[Part, ...]:
        """The parts of the newest `limit` deliveries, newest delivery first, parts in order."""

    async def troubled(self, limit: int) -> tuple[Part, ...]:
        """The newest `limit` parts that are `unknown` or `failed`, newest first."""

    async def unfinished(self) -> tuple[str, ...]:
        """Delivery keys that have a part `planned` or `sending`, oldest first."""

    async def claim(self, key: str, owner: str, now: datetime, lease: datetime) -> bool:
        """Planned -> sending by `owner` until `lease`; True also when `owner` holds it already. Counts the attempt."""

    async def recover(self, key: str, owner: str, now: datetime, lease: datetime) -> bool:
        """Sending with a lease before `now` -> sending by `owner`: who gets True decides what became of it."""

    async def record(self, key: str, owner: str, state: PartState, ids: Sequence[str] = (), error: str = "") -> bool:
        """Sending by `owner` -> `state` (PLANNED gives it back). False when `owner` no longer holds it."""

    async def settle(self, key: str, state: PartState, planned_at: datetime | None = None) -> bool:
        """A word on a part that is `unknown` or `failed`: PLANNED (send again) or DROPPED.

        `planned_at` is its new age; None leaves it as old as it is.
        """

    async def close(self, address: Address, reason: str) -> None:
        """Nothing can be posted there any more, until `reopen` is called."""

    async def reopen(self, address: Address) -> None: ...
    async def closed(self, address: Address) -> str | None:
        """Why nothing can be posted there, None when it is open."""

    async def move(self, address: Address, target: str) -> None:
        """The chat has a new ID (Telegram's migration to a supergroup)."""

    async def moved(self, address: Address) -> str | None: ...


class Notes(Protocol):
    """Store: small facts worth remembering over a restart (a model's structured mode, what the operator was told)."""

    async def note(self, key: str) -> str | None: ...
    async def keep_note(self, key: str, value: str) -> None: ...
    async def swap_note(self, key: str, standing: str | None, value: str) -> bool:
        """Keeps `value` where still `standing` is kept (None: nothing), in one step; False where something else is."""


class Leases(Protocol):
    """Store: who does what only one process may do at a time.

    On Redis, the server's clock says when a lease ends: of `now` and `until` only the distance counts, so the clocks of
    replicas may differ and step as they like. In SQLite all processes stand on one machine, and `now` is its clock: one
    that is put forward ends leases early (their owners learn of it when they renew them). One that is put back, the
    server's too, lets nobody hold anything for longer than who wants it would: a lease that ends after `until` is cut
    to it.
    """

    async def take_lease(self, name: str, owner: str, now: datetime, until: datetime) -> Lease:
        """Takes it where it is free or has run out, renews it where it is `owner`'s, and gives the one that stands.

        Whose it is says whether that worked; so a call whose answer was lost may be repeated.
        """

    async def drop_lease(self, name: str, owner: str) -> None:
        """Makes it free, where it is still `owner`'s."""

    async def lease(self, name: str) -> Lease | None:
        """The one that was taken last and not dropped, also when its time is over."""


class Requests(Protocol):
    """Store: what people asked for, and what they think of it."""

    async def admit(self, requests: Sequence[Request]) -> bool:
        """Keeps new requests, all in one transaction; False where one of the keys is known: then nothing changes."""

    async def request(self, key: str) -> Request | None: ...
    async def open_requests(self) -> tuple[Request, ...]:
        """All that wait for an answer, oldest first."""

    async def waiting_for(self, job: str) -> tuple[Request, ...]:
        """The open requests of a job, oldest first."""

    async def close_request(self, key: str, closing: Closing, parts: Sequence[Part]) -> bool:
        """Ends an open request and plans what its asker is sent, in one transaction.

        False where it was ended before, or is unknown: then nothing is planned.
        """

    async def counted_since(self, user: str, since: datetime) -> tuple[datetime, ...]:
        """When the user asked for what counts, after `since`; oldest first."""

    async def talk(self, conversation: str, limit: int) -> tuple[Request, ...]:
        """The last `limit` answered questions of a conversation, oldest first."""

    async def keep_vote(self, vote: Vote) -> None: ...
    async def votes(self, profile: str) -> tuple[Vote, ...]:
        """Oldest first."""


class Store(Lists, Rankings, Reports, KeptTexts, Analyses, Spending, Ledger, Leases, Requests, Notes, Protocol):
    """Where truth lives. Every method is one intent, atomic, and safe to repeat. Raises StoreError."""

    async def ping(self) -> None:
        """Can it be read and written? Raises StoreError."""

    async def prune(self) -> None:
        """Forgets what was kept for its time (`bot/store/kept.py`), and nothing that is unfinished, unknown or open.

        Nothing to do for a store that forgets by itself.
        """

    async def check(self) -> Sequence[Finding]:
        """What its operator should mend; may take seconds. Raises StoreError where it is damaged."""


class Telemetry(Protocol):
    """What an operator's dashboards show. Names and labels are those of the table in `bot.telemetry`; never raises."""

    def count(self, name: str, by: float = 1.0, **labels: str) -> None:
        """Adds `by` (at least 0) to a counter."""

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Says how much of something there is now."""

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Adds a duration to a histogram."""

    def span(self, name: str, **attributes: str | int) -> AbstractContextManager[None]:
        """Where a step begins and ends, for who traces. Attributes are names, keys and counts: never anybody's text."""


Spans = Callable[..., AbstractContextManager[None]]
"""Makes a span of a name and attributes, as `Telemetry.span` does."""


def no_span(name: str, **attributes: str | int) -> AbstractContextManager[None]:
    """Nobody traces."""
    del name, attributes
    return nullcontext()


class NoTelemetry:
    """Nobody watches."""

    def count(self, name: str, by: float = 1.0, **labels: str) -> None: ...
    def gauge(self, name: str, value: float, **labels: str) -> None: ...
    def observe(self, name: str, seconds: float, **labels: str) -> None: ...
    def span(self, name: str, **attributes: str | int) -> AbstractContextManager[None]:
        return no_span(name, **attributes)


def count_http(telemetry: Telemetry, upstream: str, status: int | None, seconds: float | None = None) -> None:
    """Counts an HTTP request. `status` is None where no answer came; `seconds` where a wait means nothing."""
    outcome = "error" if status is None else f"{status // 100}xx"
    telemetry.count("http_requests", upstream=upstream, status=outcome)
    if seconds is not None:
        telemetry.observe("http_seconds", seconds, upstream=upstream)


Job = Callable[[Mapping[str, str], Progress], Awaitable[None]]
"""Does its work and says how far it is. May run again where a process died: it asks the store first what is left."""


class Engine(Protocol):
    """Where jobs run. The queue is disposable: whatever is lost is submitted again by who still wants it."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Work is done inside this context; leaving it lets running jobs finish for a while, then cancels them."""

    async def submit(self, job: str, key: str, arguments: Mapping[str, str]) -> bool:
        """Starts the named job unless one with `key` runs or waits anywhere (then False). Raises StoreError."""

    async def cancel(self, key: str) -> bool:
        """Stops the job, wherever it runs; False when there is none. Raises StoreError."""

    async def depth(self) -> int:
        """How many jobs wait or run, in all processes. Raises StoreError."""

    async def progress(self, key: str) -> tuple[str, int, int] | None:
        """What the job said last of how far it is, wherever it runs; None where it said nothing. Raises StoreError."""
