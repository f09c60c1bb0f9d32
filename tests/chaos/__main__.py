"""`make chaos`: runs the experiments, each trial once, and prints the table.

`--seed N --only kills --trial 17` repeats a single trial and shows what its processes logged.
"""

import argparse
import asyncio
import logging
import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.chaos import results
from tests.chaos.experiments import EXPERIMENTS, Experiment
from tests.chaos.results import Results, Row
from tests.chaos.scene import Ground
from tests.chaos.trial import Trial

PROJECT = Path(__file__).resolve().parents[2]
STEADY_SEED = 20260225  # where a red light stops everybody
TRIAL_SECONDS = 3_600.0  # the longest takes a quarter of that, on a machine of its own
SHOWN_FAILURES = 20
SHOWN_CHARACTERS = 3_000  # of each; all of it is in the results


def main(arguments: argparse.Namespace) -> int:
    """Returns 1 where anything failed."""
    chosen = [one for one in EXPERIMENTS if not arguments.only or one.name in arguments.only]
    logging.getLogger("aiohttp.server").addFilter(_not_torn)
    found = Results(arguments.folder / f"{'quick' if arguments.quick else 'full'}-{arguments.seed}.jsonl")
    signal.signal(signal.SIGTERM, _end)
    if arguments.worker is not None:
        asyncio.run(_work(chosen, found, arguments))
        return 0
    if arguments.trial is not None:
        rows = asyncio.run(_single(chosen[0], arguments))
        return _told(rows, arguments)
    print(f"seed {arguments.seed}; results in {found.path}", flush=True)
    started = time.monotonic()
    if not arguments.table:
        _together(found, arguments)
    rows = [row for row in found.rows() if row.experiment in {one.name for one in chosen}]
    print(
        f"{len({(row.experiment, row.trial) for row in rows})} trials, {time.monotonic() - started:.0f} s", flush=True
    )
    return _told(rows, arguments)


def _end(*_: object) -> None:
    """As Ctrl-C does: what was started is ended."""
    signal.raise_signal(signal.SIGINT)


def _told(rows: Sequence[Row], arguments: argparse.Namespace) -> int:
    print(results.markdown(rows) if arguments.markdown else results.plain(rows))
    failed = [row for row in rows if row.failures]
    for row in failed[:SHOWN_FAILURES]:
        print(f"\n{row.experiment}, seed {row.seed}, trial {row.trial} ({row.fault}):")
        print("\n".join(f"  {failure[-SHOWN_CHARACTERS:]}" for failure in row.failures))
        quick = " --quick" if arguments.quick else ""
        print(f'  again: make chaos ARGS="--only {row.experiment} --seed {row.seed} --trial {row.trial}{quick}"')
    return 1 if failed or not rows else 0


def _together(found: Results, arguments: argparse.Namespace) -> None:
    """Workers share the trials; each has servers of its own."""
    command = [sys.executable, "-m", "tests.chaos", *sys.argv[1:], "--seed", str(arguments.seed)]
    workers = [
        subprocess.Popen([*command, "--worker", str(number)], cwd=PROJECT) for number in range(arguments.workers)
    ]
    try:
        for worker in workers:
            worker.wait()
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.terminate()
                worker.wait()


async def _work(chosen: Sequence[Experiment], found: Results, arguments: argparse.Namespace) -> None:
    async with Ground.opened() as ground:
        for experiment in chosen:
            wanted = experiment.quick if arguments.quick else experiment.full
            number = arguments.worker
            known = found.trials_of(experiment.name)
            while found.faults_of(experiment.name) < wanted and number < experiment.most:
                if number not in known:
                    trial = Trial(experiment.name, arguments.seed, number, arguments.quick)
                    found.keep(await _tried(experiment, ground, trial))
                number += arguments.workers


def _not_torn(record: logging.LogRecord) -> bool:
    """Requests that end in the middle, because who sent them was killed, are what we want to see."""
    return not (record.exc_info and isinstance(record.exc_info[1], ConnectionError))


async def _single(experiment: Experiment, arguments: argparse.Namespace) -> Sequence[Row]:
    async with Ground.opened() as ground:
        return await _tried(
            experiment, ground, Trial(experiment.name, arguments.seed, arguments.trial, arguments.quick)
        )


async def _tried(experiment: Experiment, ground: Ground, trial: Trial) -> Sequence[Row]:
    """A trial that breaks is a failure of its own: nothing of it is known."""
    started = time.monotonic()
    try:
        async with asyncio.timeout(TRIAL_SECONDS):
            rows = await experiment.run(ground, trial)
    except Exception:  # noqa: BLE001 - the edge of a trial; the others go on
        row = trial.row(f"{experiment.name}: broken")
        row.failures.append(traceback.format_exc())
        rows = [row]
    for row in rows:
        row.seconds, row.code = round(time.monotonic() - started, 2), _CODE
        print(
            f"{row.experiment} {row.trial} ({row.fault}): {row.faults} faults, {row.seconds} s"
            + (f" FAILED {row.failures[0][-2000:]}" if row.failures else ""),
            flush=True,
        )
    return rows


def _code() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False).stdout.strip()


_CODE = _code()


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    names = [one.name for one in EXPERIMENTS]
    parser.add_argument("--only", action="append", choices=names, help="this experiment; may be repeated")
    parser.add_argument("--quick", action="store_true", help="a few trials of each")
    seed = STEADY_SEED if os.environ.get("CI") else random.randrange(10**6)
    parser.add_argument("--seed", type=int, default=seed, help="the same seed and folder go on where they stopped")
    parser.add_argument("--trial", type=int, help="this one alone, nothing kept")
    parser.add_argument("--folder", type=Path, default=PROJECT / "chaos")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--table", action="store_true", help="print what is known, run nothing")
    parser.add_argument("--markdown", action="store_true", help="the table for a page")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main(parsed()))
