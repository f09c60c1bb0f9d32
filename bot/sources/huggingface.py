"""The day's list from Hugging Face Daily Papers: fetched, parsed at the edge, ordered by upvotes.

The reply's fields: https://huggingface.co/docs/hub/api (Daily Papers). Only ID, title and abstract are relied on.
"""

import json
import logging
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import partial
from http import HTTPStatus
from itertools import islice
from typing import Annotated, Any, TypeVar

import aiohttp
from pydantic import AfterValidator, AwareDatetime, BaseModel, Field, ValidationError, WrapValidator
from pydantic import ValidatorFunctionWrapHandler as Handler

from bot.errors import InputError, SourceError
from bot.interfaces import Clock
from bot.models import ArxivId, DayList, Paper
from bot.report.document import is_web_url
from bot.sources.pace import TRIES, Pace, RefusedError, refused
from bot.sources.text import ABSTRACT, AUTHOR, AUTHORS, TITLE, one_line

NAME = "huggingface"
LIMIT = 100  # papers; the most that the service gives at once. The longest list of 2026 so far had 50
REPLY_BYTES = 10 * 2**20  # 50 papers are 0.4 MB
TIMEOUT_SECONDS = 20.0

logger = logging.getLogger(__name__)
T = TypeVar("T")


def _web_url(url: str) -> str:
    if not is_web_url(url):
        raise ValueError("not a web address")
    return url


def _or_none(value: Any, validate: Handler) -> Any:  # noqa: ANN401  # whatever stands in somebody else's JSON
    """An optional field that is wrong is a field that is missing."""
    try:
        return validate(value)
    except ValidationError:
        return None


Title = Annotated[str, AfterValidator(partial(one_line, limit=TITLE))]
Abstract = Annotated[str, AfterValidator(partial(one_line, limit=ABSTRACT))]
Name = Annotated[str, AfterValidator(partial(one_line, limit=AUTHOR))]
Lenient = Annotated[T | None, WrapValidator(_or_none)]


class _Author(BaseModel):
    name: Name
    hidden: bool = False


class _Organization(BaseModel):
    name: Lenient[Name] = None
    fullname: Lenient[Name] = None


class _Described(BaseModel):
    """The fields that stand both in an item and in its paper."""

    title: Lenient[Title] = None
    summary: Lenient[Abstract] = None
    organization: Lenient[_Organization] = None


class _Paper(_Described):
    id: str
    upvotes: Lenient[Annotated[int, Field(ge=0, lt=2**31)]] = None
    authors: Lenient[list[Lenient[_Author]]] = None
    published_at: Lenient[AwareDatetime] = Field(None, alias="publishedAt")
    listed_at: Lenient[AwareDatetime] = Field(None, alias="submittedOnDailyAt")
    code_url: Lenient[Annotated[str, AfterValidator(_web_url)]] = Field(None, alias="githubRepo")
    project_url: Lenient[Annotated[str, AfterValidator(_web_url)]] = Field(None, alias="projectPage")


class _Item(_Described):
    """One entry of the list. Its own `publishedAt` is US Eastern time labelled UTC and isn't read."""

    paper: _Paper


class HuggingFace:
    """The lists of https://huggingface.co/papers. `session` brings the User-Agent; `url` is the origin.

    `pace` where other requests to the same service share it, else one with `tries` of its own.
    """

    name = NAME

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        clock: Clock,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        tries: int = TRIES,
        pace: Pace | None = None,
    ) -> None:
        self._session = session
        self._url = f"{url.rstrip('/')}/api/daily_papers"
        self._clock = clock
        self._timeout = timeout_seconds
        self._pace = pace or Pace(NAME, clock, tries=tries)

    async def list_day(self, day: date) -> DayList:
        return await self._pace.ask(lambda: self._try(day))

    async def _try(self, day: date) -> DayList:
        content = await self._fetch({"date": day.isoformat(), "limit": str(LIMIT)})
        return parse_list(content, day, self._clock.now())

    async def _fetch(self, query: dict[str, str]) -> bytes:
        timeout = aiohttp.ClientTimeout(total=self._timeout)
        try:
            async with self._session.get(self._url, params=query, timeout=timeout) as reply:
                if reply.status != HTTPStatus.OK:
                    raise refused(NAME, reply.status, reply.headers, self._clock.now())
                return await _read(reply.content)
        except TimeoutError as error:
            raise RefusedError(f"{NAME}: no reply within {self._timeout:g} seconds", retryable=True) from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise SourceError(f"{NAME}: the address cannot be used", retryable=False) from error
        except aiohttp.ClientError as error:
            raise RefusedError(f"{NAME}: no whole reply ({type(error).__name__})", retryable=True) from error


async def _read(stream: aiohttp.StreamReader) -> bytes:
    content = bytearray()
    async for chunk in stream.iter_any():
        content += chunk
        if len(content) > REPLY_BYTES:
            raise SourceError(f"{NAME}: the reply is longer than {REPLY_BYTES} bytes", retryable=False)
    return bytes(content)


def parse_list(content: bytes, day: date, captured_at: datetime, origin: str = NAME) -> DayList:
    """The list in a reply of the service, live or saved. A broken item is skipped, counted and logged.

    Raises SourceError: retryable for what an outage or a cut connection sends, not for JSON of another shape.
    """
    items = _items(content)
    papers: dict[str, Paper] = {}
    skipped = 0
    for position, item in enumerate(items):
        try:
            paper = _paper(item)
        except (ValidationError, InputError) as error:
            skipped += 1
            logger.warning("item of a list skipped: %s", _reason(error), extra={"day": str(day), "position": position})
        else:
            papers.setdefault(paper.arxiv_id.id, paper)
    if skipped and not papers:
        raise SourceError(f"{NAME}: not one of {skipped} items of the list could be read", retryable=False)
    ordered = sorted(papers.values(), key=lambda paper: -paper.upvotes)
    return DayList(day, tuple(ordered), captured_at, skipped, origin)


def day_of(content: bytes) -> date | None:
    """The day that most items of a saved reply were listed on, None where none says it. Raises SourceError."""
    days = Counter(listed for item in _items(content) if (listed := _listed_on(item)))
    return days.most_common(1)[0][0] if days else None


def _items(content: bytes) -> list[object]:
    if content.lstrip()[:1] == b"<":
        raise SourceError(f"{NAME}: a page came instead of a list")
    try:
        items = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{NAME}: the list is not whole JSON") from error
    if not isinstance(items, list):
        raise SourceError(f"{NAME}: the JSON is not a list", retryable=False)
    return items


def _paper(content: object) -> Paper:
    item = _Item.model_validate(content)
    paper = item.paper
    organization = paper.organization or item.organization
    title, abstract = paper.title or item.title, paper.summary or item.summary
    if not title or not abstract:
        raise InputError("no title or no abstract")
    return Paper(
        arxiv_id=ArxivId.parse(paper.id),
        title=title,
        abstract=abstract,
        authors=tuple(islice(_names(paper), AUTHORS)),
        published=paper.published_at and paper.published_at.astimezone(UTC),
        upvotes=paper.upvotes or 0,
        organization=(organization.fullname or organization.name) if organization else None,
        code_url=paper.code_url,
        project_url=paper.project_url,
    )


def _names(paper: _Paper) -> Iterator[str]:
    return (author.name for author in paper.authors or () if author and author.name and not author.hidden)


def _listed_on(content: object) -> date | None:
    try:
        listed_at = _Item.model_validate(content).paper.listed_at
    except ValidationError:
        return None
    return listed_at and listed_at.astimezone(UTC).date()


def _reason(error: ValidationError | InputError) -> str:
    """Which fields are wrong and how, without their contents."""
    if isinstance(error, InputError):
        return str(error)
    problems = error.errors(include_input=False, include_context=False, include_url=False)
    return ", ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['type']}" for problem in problems)
