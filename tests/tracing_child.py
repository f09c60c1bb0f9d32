"""A process that traces a piece of work, on docket if it is told to, and ends. What fails in it says a secret."""

import asyncio
import contextlib
import logging
import os
import sys
from datetime import timedelta
from time import monotonic

from bot import logs
from bot.app.watching import watched, watched_by_the_operator
from bot.clock import SystemClock
from bot.context import working_on
from bot.interfaces import Job, Telemetry, no_progress

SECRET = "hunter2hunter2"


async def main(*, on_docket: bool) -> None:
    async with watched_by_the_operator() as telemetry:

        async def answer(arguments, progress):
            with working_on(request="abcde"), telemetry.span("request", command="ask"):
                with contextlib.suppress(ValueError), telemetry.span("model_call", model="openai/x", call="answer"):
                    raise ValueError(f"what somebody wrote: {SECRET}")
                with telemetry.span("send", platform="slack", part=0):
                    await asyncio.sleep(0)

        work = watched({"answer": answer}, telemetry, SystemClock())["answer"]
        if on_docket:
            await through_docket(work, telemetry)
        else:
            await work({"job": "ask:1"}, no_progress)
        ending = monotonic()
    print(f"ended in {monotonic() - ending:.3f}")
    print(sorted(name for name in sys.modules if name.startswith("opentelemetry.sdk")), flush=True)
    os._exit(0)  # as `paperboy run` does where a thread still hangs


async def through_docket(work: Job, telemetry: Telemetry) -> None:
    from docket import Docket, Worker

    async def task(job: str) -> None:
        await work({"job": job}, no_progress)

    async with Docket(name="traced", url="memory://") as docket:
        docket.register(task)
        with telemetry.span("asked"):
            await docket.add(task, key="ask:1")(job="ask:1")
        async with Worker(docket, minimum_check_interval=timedelta(milliseconds=5)) as worker:
            await worker.run_until_finished()


if __name__ == "__main__":
    logs.start(logging.INFO, ())
    asyncio.run(main(on_docket="docket" in sys.argv))
