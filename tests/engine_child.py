"""A worker in a process of its own that begins a job and never ends it: `URL NAME LEASE FILE LANE`."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bot.engine import Lane, Terms
from bot.engine.on_docket import DocketEngine
from bot.interfaces import Progress


async def main(url: str, name: str, lease: str, file: Path, lane: str) -> None:
    async def report(arguments: Mapping[str, str], progress: Progress) -> None:
        del progress
        with file.open("a") as written:
            written.write(" ".join(arguments))
        await asyncio.Event().wait()

    engine = DocketEngine({"report": report}, {"report": Lane((lane,))} if lane else {}, Terms(url, name, float(lease)))
    async with engine.running():
        await engine.submit("report", "key", {"day": "today"})
        await asyncio.Event().wait()


asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]), sys.argv[5]))
