"""A disk that is full under SQLite for some minutes of the day's job: a small file system in memory, filled up."""

import asyncio
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bot.store.sqlite import SqliteStore
from tests.chaos import aftermath
from tests.chaos.bystanders import ALL, PAPERS, Asking
from tests.chaos.results import Row
from tests.chaos.scene import Ground, Scene, a_scene
from tests.chaos.trial import Trial

SIZE_MEGABYTES = 6
FULL_SECONDS = 300.0  # simulated
SAYS = "disk is full"
DONE_SECONDS = 120.0


async def full(ground: Ground, trial: Trial) -> Sequence[Row]:
    """Nothing is corrupt, the log says what it is, and the day goes on when there is room again."""
    row = trial.row("disk full under SQLite")
    expected = await aftermath.undisturbed(ground)
    with _small_disk(ground.folder / f"disk-{trial.number}") as disk:
        if disk is None:
            row.fault = "disk full: skipped, only root may mount a small one"
            return [row]
        async with (
            a_scene(ground, beside=PAPERS, script=aftermath.SCRIPT) as scene,
            SqliteStore.open(disk / "paperboy.db") as store,
        ):
            scene.store, scene.store_url = store, f"sqlite:///{disk}/paperboy.db"
            scene.write()
            asked = Asking(scene)
            async with scene.skipping():
                await scene.start()
                asked.ask(*trial.random.sample(ALL, 3))
                await asyncio.sleep(trial.random.uniform(0.2, expected.seconds))
                _fill(disk)
                row.figures["done before"] = await aftermath.is_done(scene)
                asked.ask(trial.random.choice(ALL))
                await scene.time.sleep(FULL_SECONDS)
                if not scene.alive:
                    row.failures.append("the process ended")
                row.figures["said so"] = SAYS in scene.said(10_000)
                (disk / "filler").unlink()
                began = scene.time.monotonic()
                await _done(scene, asked, row)
                row.recovery.append(round(scene.time.monotonic() - began, 1))
                await scene.time.sleep(aftermath.AFTER_SECONDS)
            await aftermath.ends(scene, row)
            if not row.figures["said so"] and not row.figures["done before"]:
                row.failures.append(f"the log never says {SAYS!r}")
            _check(disk / "paperboy.db", row)
            aftermath.enter(row, await aftermath.outcome(scene, expected))
            aftermath.enter(row, await asked.outcome())
            if row.failures:
                row.failures.append(scene.said(150))
    return [row]


async def _done(scene: Scene, asked: Asking, row: Row) -> None:
    async def holds() -> bool:
        return await aftermath.is_done(scene) and await asked.is_settled()

    try:
        await scene.until(holds, DONE_SECONDS)
    except TimeoutError:
        row.failures.append(f"not done {DONE_SECONDS} s after there is room")


def _fill(disk: Path) -> None:
    """To the last byte."""
    with (disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        for size in (1 << 16, 1 << 12, 1):
            with suppress(OSError):
                while filler.write(bytes(size)):
                    pass


def _check(path: Path, row: Row) -> None:
    with sqlite3.connect(path) as connection:
        found = [line for (line,) in connection.execute("PRAGMA integrity_check")]
    connection.close()
    if found != ["ok"]:
        row.failures.append(f"integrity_check: {found}")


@contextmanager
def _small_disk(place: Path) -> Iterator[Path | None]:
    """None where this user may mount nothing."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MEGABYTES}m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
