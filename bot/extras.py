"""What arXiv's API adds to listed papers, and which version of a paper was read; lists themselves name none."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bot.errors import BotError
from bot.interfaces import Metadata
from bot.models import ArxivId, DeepDive, Paper, Ranked

logger = logging.getLogger(__name__)


async def extras(metadata: Metadata | None, papers: Sequence[Paper]) -> dict[str, Paper]:
    """`papers` with version, categories and comment, by ID, in one request; trouble costs nothing but these."""
    if metadata is None or not papers:
        return {}
    try:
        found = await metadata.papers([paper.arxiv_id for paper in papers])
    except BotError as error:
        logger.info("no arXiv metadata", extra={"reason": str(error)})
        return {}
    return {
        paper.arxiv_id.id: _added(paper, found[paper.arxiv_id.id]) for paper in papers if paper.arxiv_id.id in found
    }


def _added(paper: Paper, known: Paper) -> Paper:
    return replace(paper, arxiv_id=known.arxiv_id, categories=known.categories, comment=known.comment)


def with_extras(entries: Sequence[Ranked], known: Mapping[str, Paper]) -> tuple[Ranked, ...]:
    """What arXiv added, without the version: analyses of listed papers are kept under the ID as it was listed."""
    return tuple(
        replace(entry, paper=replace(known[entry.paper.arxiv_id.id], arxiv_id=entry.paper.arxiv_id))
        if entry.paper.arxiv_id.id in known
        else entry
        for entry in entries
    )


def with_extras_of(dive: DeepDive, known: Mapping[str, Paper]) -> DeepDive:
    """With what arXiv added; the version stays the one that was read, where that is known."""
    extra = known.get(dive.paper.arxiv_id.id)
    if extra is None:
        return dive
    read = dive.paper.arxiv_id
    return replace(dive, paper=replace(extra, arxiv_id=read if read.version else extra.arxiv_id))


def versioned(dive: DeepDive, version: int | None) -> DeepDive:
    """`dive` of that version of its paper; a version that its paper already names stays."""
    named = dive.paper.arxiv_id
    return replace(dive, paper=replace(dive.paper, arxiv_id=replace(named, version=named.version or version)))


def version_note(arxiv_id: ArxivId) -> str:
    """The note that holds which version of a listed paper was read, or named by arXiv."""
    return f"version:{arxiv_id.id}"
