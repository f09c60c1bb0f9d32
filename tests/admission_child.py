"""A process that admits and closes requests as fast as it can; `tests/test_admission.py` starts it, and may kill it.

It says "ready", waits for a line, then says of each number whether this process was the one that admitted it, and that
closed it. What it has said is a promise: a request that was acknowledged is on disk.
"""

import asyncio
import sys

from bot.models import Address, Message, Part, PartKind, PlatformName
from bot.requests import Closing, Request, RequestState
from tests.fakes import NOW, a_request
from tests.stores import opened

ADDRESS = Address(PlatformName.SLACK, "C0123", thread="1772069400.000100")


def request(number: int) -> Request:
    return a_request(key=f"slack:C0123/{number}", address=ADDRESS)


def answer(number: int) -> Part:
    delivery = f"{request(number).key}@{ADDRESS}"
    return Part(f"{delivery}~0", delivery, 0, "", ADDRESS, Message(PartKind.POST, "answer", "{}"), planned_at=NOW)


async def run(place: str, count: int) -> None:
    async with opened(place) as store:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        for number in range(count):
            admitted = await store.admit([request(number)])
            print("admitted", number, int(admitted), flush=True)
            ended = await store.close_request(
                request(number).key, Closing(RequestState.ANSWERED, NOW), [answer(number)]
            )
            print("closed", number, int(ended), flush=True)


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2])))
