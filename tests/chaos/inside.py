"""What a process of an experiment holds, told by itself when it is asked: the product knows nothing of this.

SIGUSR2 makes it write down its tasks, threads and objects, and where its memory was taken when that is traced.
"""

import asyncio
import gc
import json
import os
import re
import signal
import threading
import tracemalloc
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FRAMES = 12  # of each place that takes memory
SHOWN = 40  # places
TRACE = "CHAOS_TRACE"  # a variable that is set: memory is traced, which makes everything slow
_NUMBER = re.compile(r"\d+")


def tell_when_asked(folder: Path) -> None:
    """From now on, in the running loop."""
    if os.environ.get(TRACE):
        tracemalloc.start(FRAMES)
    before: list[tracemalloc.Snapshot] = []

    def tell() -> None:
        gc.collect()
        told = folder / f"inside-{os.getpid()}.new"
        told.write_text(json.dumps({"tasks": _tasks(), "threads": _threads(), "objects": _objects()}))
        told.replace(_place(folder, os.getpid()))
        if tracemalloc.is_tracing():
            snapshot = tracemalloc.take_snapshot()
            if before:
                _tell_growth(folder / "memory", snapshot, before[0])
            else:
                before.append(snapshot)

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, tell)


def _place(folder: Path, pid: int) -> Path:
    return folder / f"inside-{pid}.json"


def _tasks() -> Counter[str]:
    return Counter(getattr(task.get_coro(), "__qualname__", "?") for task in asyncio.all_tasks())


def _threads() -> Counter[str]:
    return Counter(_NUMBER.sub("#", thread.name) for thread in threading.enumerate())


def _objects() -> dict[str, int]:
    return dict(Counter(type(one).__qualname__ for one in gc.get_objects()).most_common(SHOWN))


def _tell_growth(path: Path, now: tracemalloc.Snapshot, before: tracemalloc.Snapshot) -> None:
    grown = now.compare_to(before, "traceback")[:SHOWN]
    path.write_text("\n\n".join(f"{one}\n" + "\n".join(one.traceback.format()) for one in grown))


@dataclass(frozen=True)
class Held:
    """What a process holds, seen from outside (KiB and counts) and from inside (counts by name)."""

    rss: int
    own: int  # what no other process shares
    files: int
    sockets: int
    tasks: Mapping[str, int]
    threads: Mapping[str, int]
    objects: Mapping[str, int]


async def held(folder: Path, pid: int) -> Held:
    """Asks the process. Its answer may take as long as what it does now."""
    place = _place(folder, pid)
    place.unlink(missing_ok=True)
    rollup = _rollup(pid)  # before it is asked: telling takes memory
    os.kill(pid, signal.SIGUSR2)
    async with asyncio.timeout(60):
        while not place.exists():  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)
    said = json.loads(place.read_text())
    targets = _open_files(pid)
    sockets = sum(target.startswith("socket:") for target in targets)
    own = rollup["Private_Dirty"] + rollup["Private_Clean"]
    return Held(rollup["Rss"], own, len(targets) - sockets, sockets, said["tasks"], said["threads"], said["objects"])


def _rollup(pid: int) -> dict[str, int]:
    """Sums over the process's memory, proc_pid_smaps(5)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) for line in lines}


def _open_files(pid: int) -> list[str]:
    return [_target(link) for link in Path(f"/proc/{pid}/fd").iterdir()]


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""
