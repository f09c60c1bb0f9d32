"""Whole processes that read whole papers: whom they ask, how often, and what a hostile server costs them."""

import asyncio
import contextlib
import json
import os
from collections import deque
from pathlib import Path

import pytest

from tests.fakes import wait_until
from tests.source_faults import DRIP, Fault, bomb, flood
from tests.world import World, a_world

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

ID, OTHER = "2602.00001", "2602.00002"
HTML, PDF = f"/html/{ID}", f"/pdf/{ID}"  # no version was asked for, so it is the latest
MIB = 2**20
CELL = b"<td rowspan=1000 colspan=1000>"
MOST_MIB = 700  # the process and all its children; what a small machine can spare
PAUSE = 0.3  # seconds


@pytest.fixture
async def world(tmp_path: Path):
    async with a_world(tmp_path) as made:
        made.write(channels="")
        yield made


def family(pid: int) -> list[int]:
    """The process and everything that it started."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [other for child in task.read_text().split() for other in family(int(child))]
    return found


def resident_mib(pid: int) -> float:
    """The memory of the family that is really there. Pages that are shared count for each of them."""
    pages = 0
    for member in family(pid):
        pages += int(Path(f"/proc/{member}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


async def watched(process: asyncio.subprocess.Process, world: World) -> dict[str, float]:
    """The most memory that the family had, by the page that was asked for last."""
    most: dict[str, float] = {}
    while process.returncode is None:
        page = world.arxiv.asked[-1].path.split("/")[1] if world.arxiv.asked else ""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a member has just ended
            most[page] = max(most.get(page, 0.0), resident_mib(process.pid))
        await asyncio.sleep(0.01)
    return most


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="memory is read from Linux's /proc")
@pytest.mark.parametrize(
    ("html", "pdf"),
    [
        (bomb(100), bomb(200, b"%PDF-")),
        (flood(), Fault(body=b"%PDF-1.7 " + bytes(39 * MIB))),
        (
            Fault(body=b"<html><article class=ltx_document><table>" + CELL * 450_000 + b"</table></article></html>"),
            flood(b"%PDF-" + b"obj " * (MIB // 4)),
        ),
    ],
    ids=["bombs", "floods", "just within the caps"],
)
async def test_hostile_pages_cost_neither_the_memory_nor_the_time_of_the_machine(world: World, html: Fault, pdf: Fault):
    world.arxiv.at = {HTML: deque([html]), PDF: deque([pdf])}
    world.huggingface.at = {f"/papers/{ID}.md": deque([flood(b"# paper\n" * (MIB // 8))])}
    process = await world.start("deepdive", ID, "--json")
    watching = asyncio.create_task(watched(process, world))
    ended = await world.end(process)
    most = await watching
    print("most memory of the process and its children, MiB:", {page: round(mib) for page, mib in most.items()})
    assert ended.code == 0, ended.err
    assert ended.object["basis"] == "abstract"
    assert max(most.values()) < MOST_MIB
    assert not any((*world.arxiv.at.values(), *world.huggingface.at.values()))  # all of it was served


async def test_two_processes_ask_arxiv_one_after_the_other(world: World):
    """While the first one still gets its page, slowly, the second one begins."""
    settings = (world.folder / "config.toml").read_text(encoding="utf-8")
    (world.folder / "config.toml").write_text(
        settings.replace("arxiv_pause_seconds = 0", f"arxiv_pause_seconds = {PAUSE}"), encoding="utf-8"
    )
    page = b"<html><body>" + b"no paper " * 20
    world.arxiv.at = {HTML: deque([Fault(body=page, way=DRIP.way)])}
    first = await world.start("deepdive", ID, "--json")
    await wait_until(lambda: any(asked.path == HTML for asked in world.arxiv.asked), 20)
    second = await world.paperboy("deepdive", OTHER, "--json")
    ended = await world.end(first)
    assert (ended.code, second.code) == (0, 0)
    paths = [asked.path for asked in world.arxiv.asked]
    assert {path for path in paths if path != "/api/query"} == {
        f"/{kind}/{name}" for kind in ("html", "pdf") for name in (ID, OTHER)
    }
    assert world.arxiv.most_at_once == 1
    assert min(world.arxiv.rests) >= PAUSE


async def test_a_403_ends_what_later_processes_would_ask(world: World):
    world.arxiv.at = {HTML: deque([Fault(403)])}
    assert (await world.paperboy("deepdive", ID, "--json")).object["basis"] == "abstract"
    asked = len(world.arxiv.asked)
    await world.paperboy("report", "--json")
    assert len(world.arxiv.asked) == asked


async def test_a_report_says_who_asks_and_reads_each_chosen_paper_once(world: World):
    ended = await world.paperboy("report", "--json")
    assert ended.code == 0, ended.err
    agents = {asked.headers["User-Agent"] for asked in (*world.arxiv.asked, *world.huggingface.asked)}
    assert len(agents) == 1
    assert agents.pop().startswith("Paperboy/")
    pages = [asked.path for asked in world.arxiv.asked if asked.path != "/api/query"]
    assert pages
    assert len(pages) == len(set(pages))
    assert json.loads(ended.out)["chosen"]
