"""A loopback Hugging Face that serves the Daily Papers of the days it was given, and the Markdown of papers.

After https://huggingface.co/docs/hub/api and recorded replies: a JSON array, empty for a day without a list, and status
400 with `{"error": …}` for a date or limit that it does not take.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.source_faults import FaultyStandIn

Item = dict[str, Any]
ABSTRACT = (
    "Photographs taken through rain lose the detail that diffusion models then invent. "
    "We restore them with a flow-matching model whose light mask network finds the wet pixels in 3 steps. "
    "On the RainDrop-X benchmark our model reaches 31.4 dB PSNR, 0.8 dB above the best earlier method. "
    "It needs 12 GB of memory and fails on snow."
)


def an_item(number: int = 1, **changes: object) -> Item:
    """A valid entry for the invented paper 2602.<number>. `changes` are fields of its `paper`."""
    paper: Item = {
        "id": f"2602.{number:05d}",
        "authors": [{"_id": "0" * 24, "name": "Ada Example", "hidden": False}, {"name": "Bo Sample", "hidden": False}],
        "publishedAt": "2026-02-24T18:51:04.000Z",
        "submittedOnDailyAt": "2026-02-25T01:39:40.130Z",
        "title": f"Seeing Through Rain {number}: Restoration by Flow Matching",
        "summary": ABSTRACT,
        "upvotes": max(0, 50 - number),
        "discussionId": "1" * 24,
    } | changes
    return {
        "paper": paper,
        "publishedAt": "2026-02-24T13:51:04.000Z",  # as the service does: US Eastern time, labelled UTC
        "title": paper.get("title"),
        "summary": paper.get("summary"),
        "thumbnail": "https://cdn-thumbnails.huggingface.co/none.png",
        "numComments": 1,
        "submittedBy": {"name": "someone", "fullname": "Some One"},
        "isAuthorParticipating": False,
    }


@dataclass
class HuggingFaceStandIn(FaultyStandIn):
    """`HuggingFaceStandIn(days={"2026-02-25": [an_item(1), an_item(2)]})`; add days and `faults` while it runs."""

    days: dict[str, Sequence[Item]] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)  # by ID

    @classmethod
    def of_files(cls, folder: Path) -> "HuggingFaceStandIn":
        """Serves saved replies, one file a day: `2026-02-25.json`."""
        return cls(days={path.stem: json.loads(path.read_bytes()) for path in sorted(folder.glob("????-??-??.json"))})

    def routes(self, app: web.Application) -> None:
        app.router.add_get("/api/daily_papers", self._list)
        app.router.add_get("/papers/{name:.+}.md", self._markdown)

    async def _markdown(self, request: web.Request) -> web.StreamResponse:
        content = self.texts.get(request.match_info["name"])
        status = 404 if content is None else 200
        return await self.reply(request, status, content or b"Not found", "text/markdown; charset=utf-8")

    async def _list(self, request: web.Request) -> web.StreamResponse:
        status, content = self._answer(request.query)
        return await self.reply(request, status, json.dumps(content).encode(), "application/json; charset=utf-8")

    def _answer(self, query: Mapping[str, str]) -> tuple[int, object]:
        try:
            day = str(date.fromisoformat(query["date"])) if "date" in query else max(self.days)
            limit = int(query.get("limit", "50"))
        except ValueError:
            return 400, {"error": "Invalid query parameter"}
        if not 1 <= limit <= 100:
            return 400, {"error": "Invalid query parameter"}
        return 200, list(self.days.get(day, ()))[:limit]
