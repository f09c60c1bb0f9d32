"""What arXiv itself says of papers, read by the `arxiv` package.

The package has no timeouts, ignores Retry-After, tries a refused request again and takes every body for a feed, even a
block page or half a reply. So it never asks anybody: what was downloaded, at the pace that all requests to arXiv share,
is handed to it. Manual and terms of the API: https://info.arxiv.org/help/api/user-manual.html,
https://info.arxiv.org/help/api/tou.html
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from bot.errors import InputError, SourceError
from bot.models import ArxivId, Paper
from bot.sources.download import Downloads, Wanted
from bot.sources.pace import RefusedError
from bot.sources.text import ABSTRACT, AUTHOR, AUTHORS, COMMENT, TITLE, one_line
from bot.sources.threads import in_daemon_thread

NAME = "arxiv"
REPLY_BYTES = 10 * 2**20  # 2,000 papers, the most of one page, are about 4 MB
FEED = Wanted("application/atom+xml", REPLY_BYTES, seconds=90.0, one_try=30.0, read=20.0)
_ERROR_ENTRY = re.compile(rb"<id>\s*https?://arxiv\.org/api/errors")

logger = logging.getLogger(__name__)


class Arxiv:
    """The arXiv API at `url` (the whole address, without a query)."""

    def __init__(self, url: str, downloads: Downloads, wanted: Wanted = FEED) -> None:
        self._url = url
        self._downloads = downloads
        self._wanted = wanted

    async def papers(self, ids: Sequence[ArxivId]) -> Mapping[str, Paper]:
        # One malformed ID makes arXiv refuse all of them.
        asked = {arxiv_id.id: arxiv_id for arxiv_id in ids if _well_formed(arxiv_id)}
        if len(asked) < len({arxiv_id.id for arxiv_id in ids}):
            logger.warning("malformed IDs not asked for", extra={"asked": len(asked), "given": len(ids)})
        if not asked:
            return {}

        async def read(content: bytes) -> Mapping[str, Paper]:
            return await in_daemon_thread(lambda: _papers(_feed(content), len(asked)), NAME)

        found = await self._downloads.get(self._address(list(asked.values())), self._wanted, read)
        strangers = len(found.keys() - asked.keys())
        if strangers:
            logger.warning("papers that nobody asked for left out", extra={"source": NAME, "papers": strangers})
        return {name: found[name] for name in asked if name in found}

    def _address(self, ids: Sequence[ArxivId]) -> str:
        query = {"id_list": ",".join(map(str, ids)), "start": 0, "max_results": len(ids)}
        return f"{self._url}?{urlencode(query)}"


def _papers(feed: bytes, most: int) -> dict[str, Paper]:
    """The papers of a whole feed that answers a request for `most` of them."""
    import arxiv  # type: ignore[import-untyped]  # the package ships no types

    client = arxiv.Client(page_size=most, delay_seconds=0, num_retries=0)
    client._session = _OnePage(feed)  # noqa: SLF001  # its only way in
    try:
        results = list(client.results(arxiv.Search(max_results=most)))
    except (arxiv.ArxivError, ValueError) as error:
        raise SourceError(f"{NAME}: the feed cannot be read", retryable=False) from error
    papers = [_paper(result) for result in results]
    return {paper.arxiv_id.id: paper for paper in papers if paper}


@dataclass(slots=True)
class _Page:
    """As much of a requests.Response as the arxiv package reads."""

    content: bytes
    status_code: int = HTTPStatus.OK


class _OnePage:
    """The requests.Session of the arxiv package: it gets the page that we have, and nothing more."""

    def __init__(self, feed: bytes) -> None:
        self._feed: bytes | None = feed

    def get(self, url: str, headers: Mapping[str, str]) -> _Page:  # noqa: ARG002  # what it would ask somebody else
        if self._feed is None:
            raise RefusedError(f"{NAME}: fewer papers than the feed counts", retryable=True)
        page, self._feed = _Page(self._feed), None
        return page


def _feed(content: bytes) -> bytes:
    """`content`, if it is a whole Atom feed of papers."""
    start, end = content.lstrip()[:5], content.rstrip()[-7:]
    if start not in (b"<?xml", b"<feed") or end != b"</feed>":
        raise RefusedError(f"{NAME}: no whole feed came", retryable=True)
    if _ERROR_ENTRY.search(content):
        raise SourceError(f"{NAME}: the request was refused by an error entry", retryable=False)
    return content


def _paper(result: Any) -> Paper | None:  # noqa: ANN401  # an arxiv.Result, which has no types
    try:
        arxiv_id = ArxivId.parse(result.entry_id)
    except InputError:
        return None
    return Paper(
        arxiv_id=arxiv_id,
        title=one_line(result.title, TITLE),
        abstract=one_line(result.summary, ABSTRACT),
        authors=tuple(name for author in result.authors[:AUTHORS] if (name := one_line(author.name, AUTHOR))),
        published=result.published,
        source=NAME,
        categories=tuple(dict.fromkeys(filter(None, (result.primary_category, *result.categories)))),
        comment=one_line(result.comment or "", COMMENT) or None,
    )


def _well_formed(arxiv_id: ArxivId) -> bool:
    try:
        return ArxivId.parse(str(arxiv_id)) == arxiv_id
    except InputError:
        return False
