"""Fakes for the ports, and builders of the plain data that tests are about."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from bot.interfaces import Reply, ReplyT, Turn
from bot.models import (
    Address,
    AnalystKind,
    Answer,
    ArxivId,
    Basis,
    ChannelPlan,
    DayList,
    DeepDive,
    DeepDiveSection,
    FullText,
    Meter,
    Paper,
    PlatformName,
    Point,
    PointCounts,
    PointKind,
    Profile,
    Ranked,
    Ranking,
    Report,
    ReportKey,
    Score,
    Seconds,
    Section,
    SubScores,
    Usage,
)
from bot.requests import Request

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"
DAY = date(2026, 2, 25)
NOW = datetime(2026, 2, 26, 1, 30, tzinfo=UTC)
ABSTRACT = (
    "We restore photographs taken through rain with a flow-matching model. "
    "A light mask network finds the wet pixels in 3 steps. "
    "On the RainDrop-X benchmark our model reaches 31.4 dB PSNR, 0.8 dB above the best earlier method. "
    "It needs 12 GB of memory and fails on snow."
)


class FakeClock:
    """A clock that tests set. Sleeping moves it on at once and lets other tasks run."""

    def __init__(self, now: datetime = NOW) -> None:
        self.time = now
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += timedelta(seconds=seconds)
        await asyncio.sleep(0)


class FakeLLM:
    """A model that answers by script: `answer(name, turns)` returns JSON text or raises."""

    def __init__(
        self, answer: Callable[[str, Sequence[Turn]], str], model: str = "fake/model", limit: int | None = None
    ) -> None:
        self.model = model
        self.max_input_tokens = limit
        self.known: int | None = None
        self.asked: list[tuple[str, tuple[Turn, ...]]] = []
        self._answer = answer

    async def ask(self, name: str, turns: Sequence[Turn], schema: type[ReplyT], meter: Meter) -> Reply[ReplyT]:
        self.asked.append((name, tuple(turns)))
        meter.add(Usage(calls=1, cost_usd=0.001, input_tokens=100, output_tokens=50))
        text = self._answer(name, turns)
        return Reply(schema.model_validate_json(text), text, self.model, 0.001)

    async def context(self) -> int | None:
        return self.known


def a_paper(number: int = 1, **changes: object) -> Paper:
    values: dict[str, object] = {
        "arxiv_id": ArxivId(f"2602.{number:05d}"),
        "title": f"Seeing Through Rain {number}: Restoration by Flow Matching",
        "abstract": ABSTRACT,
        "authors": ("Ada Example", "Bo Sample"),
        "published": datetime(2026, 2, 24, 18, 0, tzinfo=UTC),
        "upvotes": 50 - number,
    }
    return Paper(**(values | changes))  # type: ignore[arg-type]  # builder: callers pass fields by name


def a_profile(**changes: object) -> Profile:
    values: dict[str, object] = {
        "name": "default",
        "interests": ("Image Restoration", "Flow Matching", "Diffusion"),
        "audience": "image-restoration researchers",
    }
    return Profile(**(values | changes))  # type: ignore[arg-type]  # builder: callers pass fields by name


def a_score(value: int = 84, **changes: object) -> Score:
    values: dict[str, object] = {
        "value": value,
        "sub": SubScores(topic=9, method=8, novelty=7, rigor=8),
        "reason": "直接做图像复原，流匹配可迁移。",
        "quote": "We restore photographs taken through rain with a flow-matching model.",
        "matched_interests": ("Image Restoration",),
        "model": "fake/model",
        "prompt": "score.zh@1#abcdef01",
    }
    return Score(**(values | changes))  # type: ignore[arg-type]  # builder: callers pass fields by name


def a_full_text(paper: Paper | None = None) -> FullText:
    paper = paper or a_paper()
    return FullText(paper.arxiv_id, Basis.ABSTRACT, (Section("S0", "", "Abstract", paper.abstract),))


def a_point(text: str = "用流匹配复原雨中照片。", **changes: object) -> Point:
    values: dict[str, object] = {
        "kind": PointKind.STATED,
        "section": "S0",
        "quote": "We restore photographs taken through rain with a flow-matching model.",
        "text": text,
    }
    return Point(**(values | changes))  # type: ignore[arg-type]  # builder: callers pass fields by name


def a_deep_dive(paper: Paper | None = None, **changes: object) -> DeepDive:
    paper = paper or a_paper()
    titles = {
        "contribution": "核心创新点 (Key Contribution)",
        "method": "技术细节 (Methodology)",
        "takeaways": "对我的启发 (Takeaway)",
        "limitations": "潜在缺陷 (Limitations)",
    }
    guess = a_point("可先在去雨数据上试 $x_t$ 的三步采样。", kind=PointKind.INFERRED, quote="")
    points = {key: (a_point(), guess) for key in titles}
    values: dict[str, object] = {
        "paper": paper,
        "language": "zh",
        "basis": Basis.ABSTRACT,
        "analyst": AnalystKind.MODEL,
        "model": "fake/model",
        "prompt": "deep_dive.zh@1#abcdef01",
        "sections": tuple(DeepDiveSection(key, title, points[key]) for key, title in titles.items()),
        "points": PointCounts(written=9, verified=8, dropped=1, repaired=1),
        "outline": (Section("S0", "", "Abstract", ""),),
        "cost_usd": 0.002,
    }
    return DeepDive(**(values | changes))  # type: ignore[arg-type]  # builder: callers pass fields by name


def an_answer(paper: Paper | None = None, **changes: object) -> Answer:
    guess = a_point("换到视频上可能要重新训练。", kind=PointKind.INFERRED, section="", quote="")
    values: dict[str, object] = {
        "paper": paper or a_paper(),
        "question": "用什么方法去雨？",
        "language": "zh",
        "basis": Basis.ABSTRACT,
        "analyst": AnalystKind.MODEL,
        "model": "fake/model",
        "prompt": "answer.zh@1#abcdef01",
        "points": (a_point(), guess),
        "counts": PointCounts(written=3, verified=2, dropped=1, repaired=1),
        "outline": (Section("S0", "", "Abstract", ""),),
        "cost_usd": 0.002,
    }
    return Answer(**(values | changes))  # type: ignore[arg-type]  # builder: callers pass fields by name


def a_ranking(count: int = 5, chosen: int = 2, **changes: object) -> Ranking:
    entries = [Ranked(a_paper(n), a_score(95 - 6 * n), chosen=n <= chosen) for n in range(1, count)]
    entries.append(Ranked(a_paper(count), failure="failure.timeout"))
    values: dict[str, object] = {
        "day": DAY,
        "profile": a_profile(),
        "language": "zh",
        "entries": tuple(entries),
        "listed": 20,
        "skipped": 0,
        "analyst": AnalystKind.MODEL,
        "created_at": NOW,
    }
    return Ranking(**(values | changes))  # type: ignore[arg-type]  # builder: callers pass fields by name


def a_report(count: int = 5, chosen: int = 2, **changes: object) -> Report:
    """A report of `count` papers, the last of which failed, the best `chosen` deep-dived."""
    ranking = a_ranking(count, chosen)
    values: dict[str, object] = {
        "key": ReportKey(DAY, "default", "zh"),
        "ranking": ranking,
        "deep_dives": tuple(a_deep_dive(entry.paper) for entry in ranking.entries if entry.chosen),
        "analyst": AnalystKind.MODEL,
        "model": "fake/model",
        "prompts": ("score.zh@1#abcdef01", "deep_dive.zh@1#abcdef01"),
        "usage": Usage(calls=17, cost_usd=0.0123, input_tokens=20_000, output_tokens=4_000),
        "seconds": Seconds(total=2.3, list=0.1, score=1.0, deep_dive=1.1, deliver=0.1),
        "created_at": NOW,
    }
    return Report(**(values | changes))  # type: ignore[arg-type]  # builder: callers pass fields by name


def a_day_list(count: int = 5, **changes: object) -> DayList:
    values: dict[str, object] = {
        "day": DAY,
        "papers": tuple(a_paper(n) for n in range(1, count + 1)),
        "captured_at": NOW,
    }
    return DayList(**(values | changes))  # type: ignore[arg-type]  # builder: callers pass fields by name


def a_plan(name: str = "team", **changes: object) -> ChannelPlan:
    values: dict[str, object] = {
        "name": name,
        "address": Address(PlatformName.TELEGRAM, "-1001234567890"),
        "profile": a_profile(),
        "language": "zh",
        "time": time(9, 30),
        "timezone": "Asia/Shanghai",
    }
    return ChannelPlan(**(values | changes))  # type: ignore[arg-type]  # builder: callers pass fields by name


def a_request(**changes: object) -> Request:
    values: dict[str, object] = {
        "key": "telegram:-1001234567890/456",
        "command": "deepdive",
        "text": "2602.00001",
        "user": "telegram:42",
        "address": Address(PlatformName.TELEGRAM, "-1001234567890"),
        "profile": "default",
        "language": "zh",
        "job": "deepdive:2602.00001:default:zh",
        "asked_at": NOW,
        "paper": "2602.00001",
        "reply_to": "456",
        "counted": True,
    }
    return Request(**(values | changes))  # type: ignore[arg-type]  # builder: callers pass fields by name


async def wait_until(predicate: Callable[[], bool], seconds: float = 5.0) -> None:
    """Returns as soon as `predicate()` holds; fails after `seconds`."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not predicate():
        assert loop.time() < end, "the awaited condition did not come true"
        await asyncio.sleep(0.005)
