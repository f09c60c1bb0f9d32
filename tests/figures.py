"""The figures of speed and robustness, measured on this machine:
`python -m tests.figures [reading|running|asking|sending]`.

Those of running are taken from real processes against the stand-ins, the model answering in 1.0 s unless said
otherwise; those of reading from the papers in `../shared/data`, where that is there.
"""

import asyncio
import gc
import signal
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bot.analysis import overview
from bot.models import ArxivId
from bot.sources.fulltext import latexml, pdf
from bot.sources.fulltext.sections import UnreadableError
from bot.sources.pdf.reader import found
from tests.fakes import ABSTRACT, SHARED_DATA, wait_until
from tests.figures_asking import of_asking
from tests.figures_sending import of_sending
from tests.model_standin import Fault
from tests.world import CHANNELS, World, a_world

TELEGRAM_ONLY = CHANNELS.split("[[channels]]", 2)[1]
ONE_CHANNEL = f"[[channels]]{TELEGRAM_ONLY}"
DELAY = 1.0
FAULTY_DELAY = 0.2  # seconds: calls overlap, and answers do not come back in the order of the questions


def say(figure: str, value: object, wanted: str) -> None:
    print(f"{figure:<78} {value!s:<34} wanted: {wanted}", flush=True)


@asynccontextmanager
async def town(**model: Any) -> AsyncIterator[World]:
    with tempfile.TemporaryDirectory() as folder:
        async with a_world(Path(folder), **model) as world:
            world.write(channels=ONE_CHANNEL)
            yield world


async def in_a_running_bot() -> None:
    """From the request for the list to the last message, the bot warm: it is due a moment after the start."""
    async with town(delay=DELAY) as world:
        minute = time.strftime("%H:%M", time.gmtime(time.time() + 60 + 5))
        world.write(channels=ONE_CHANNEL, more=f'[schedule]\ntime = "{minute}"\ntimezone = "UTC"\n[web]\nport = 0\n')
        async with world.running("run") as process:
            await wait_until(lambda: bool(world.telegram.messages()) and world.telegram.messages()[0].edits == 1, 120)
            process.send_signal(signal.SIGTERM)
            stopped = time.monotonic()
            ended = await world.end(process)
        took = [asked.at for asked in world.telegram.asked if asked.path.endswith("/sendMessage")][2]
        took -= world.huggingface.asked[0].at
        say("running bot, 15 papers + 2 deep dives, list request to last message", f"{took:.2f} s", "<= 2.4 s")
        say("SIGTERM to exit", f"{time.monotonic() - stopped:.2f} s, code {ended.code}", "<= 10 s, 0")


async def in_a_fresh_process() -> None:
    async with town(delay=DELAY) as world:
        ended = await world.paperboy("report", "--json")
        seconds = ended.object["seconds"]
        say("fresh report, the same job (seconds.total)", f"{seconds['total']:.2f} s", "<= 6.5 s")
        took = [asked.at for asked in world.telegram.asked if asked.path.endswith("/sendMessage")][2]
        say("  as the stand-ins saw it", f"{took - world.huggingface.asked[0].at:.2f} s", "<= 6.5 s")
        again = await world.paperboy("report", "--json")
        say("a second report: calls, messages", f"{again.object['llm']['calls']}, {world.telegram.sends - 4}", "0, 0")


async def worst_of_three(figure: str, fault: Fault) -> None:
    """Which papers a fault meets is a matter of order, and so of the model's delay and of luck."""
    runs = []
    for _ in range(3):
        async with town(faults=(fault,), delay=FAULTY_DELAY) as world:
            ended = await world.paperboy("report", "--json")
            runs.append((ended.object["scored"], len(ended.object["chosen"]), -ended.code))
    scored, dived, code = min(runs)
    say(f"{figure}, worst of 3", f"{scored} scored, {dived} deep dives, code {-code}", "15, 2, 0")


async def with_faults() -> None:
    await worst_of_three("every third call 429 (Retry-After 1)", Fault("status", every=3, status=429, retry_after="1"))
    await worst_of_three("every fifth reply malformed", Fault("malformed", every=5))
    for fault in (Fault("status", status=500), Fault("status", status=429), Fault("malformed"), Fault("disconnect")):
        async with town(faults=(fault,)) as world:
            ended = await world.paperboy("report", "--json")
            delivered = ended.object["deliveries"][0]["state"]
            labelled = "未使用语言模型" in world.telegram.messages()[0].text
            value = f"{delivered}, labelled {labelled}, code {ended.code}, {world.model.calls} calls"
            name = fault.kind if fault.kind != "status" else f"status {fault.status}"
            say(f"every call fails ({name})", value, "sent, True, 3, <= 30 calls")


def of_help() -> None:
    times = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", "bot", "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    say("python -m bot --help, best of 5", f"{min(times):.2f} s", "<= 0.3 s")


def best_of(times: int, work: Callable[[], object]) -> float:
    """Milliseconds of the fastest, without collections of garbage in between, as `timeit` measures."""
    gc.disable()
    try:
        return 1000 * min(timeit.repeat(work, number=1, repeat=times))
    finally:
        gc.enable()


def of_pages() -> None:
    for file in sorted((SHARED_DATA / "arxiv_html").iterdir()):
        content, arxiv_id = file.read_bytes(), ArxivId.parse(file.name.split(".latexml")[0].removesuffix(".html"))
        read = latexml.read(content, arxiv_id)
        figure = overview.overview(read.sections)
        took = best_of(12, partial(latexml.read, content, arxiv_id))
        said = f"{took:.0f} ms, {read.basis}, {len(read.sections)} + {len(read.appendix)} sections"
        say(f"{file.name}, overview {figure.label if figure else None}", said, "<= 60 ms")


async def of_pdfs() -> None:
    for file, arxiv_id in (("2404.00722v5-DRCT.pdf", "2404.00722"), ("swin-2103.14030v2.pdf", "2103.14030")):
        content = (SHARED_DATA / "pdf" / file).read_bytes()
        took = best_of(8, partial(found, content, pdf.Limits().pages, pdf.Limits().characters))
        started = time.perf_counter()
        read = await pdf.read(content, ArxivId(arxiv_id), ABSTRACT)
        whole = 1000 * (time.perf_counter() - started)
        said = f"{took:.0f} ms, {read.basis}, {len(read.sections)} + {len(read.appendix)} sections"
        say(f"{file} (with a worker's start {whole:.0f} ms)", said, "<= 150 ms")


async def of_lost_workers() -> None:
    """A worker that hangs or is killed costs its limit at most, and the deep dive goes on from the abstract."""
    content = (SHARED_DATA / "pdf" / "swin-2103.14030v2.pdf").read_bytes()
    ways = {"hangs": "import time; time.sleep(60)", "is killed": "import os; os.kill(os.getpid(), 9)"}
    for name, code in ways.items():
        started = time.perf_counter()
        try:
            await pdf.read(
                content, ArxivId("2103.14030"), ABSTRACT, pdf.Limits(seconds=2), (sys.executable, "-c", code)
            )
        except UnreadableError as error:
            said = f"{time.perf_counter() - started:.2f} s, {error}"
        say(f"a PDF worker that {name}, at a limit of 2 s", said[:60], "<= 3 s, unreadable")


async def of_reading() -> None:
    of_pages()
    await of_pdfs()
    await of_lost_workers()


async def of_running() -> None:
    of_help()
    await in_a_running_bot()
    await in_a_fresh_process()
    await with_faults()


async def main(what: str = "") -> None:
    if what in ("", "reading"):
        await of_reading()
    if what in ("", "running"):
        await of_running()
    if what in ("", "asking"):
        await of_asking(say)
    if what in ("", "sending"):
        await of_sending(say)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:2]))
