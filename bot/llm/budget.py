"""Keeps a day's spending under the limit: every call is paid in advance, at its highest price, and settled after."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date

from bot.errors import BudgetError, StoreError
from bot.interfaces import Clock, Spending

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Bill:
    """What a call came to: `usd` None while unknown, `free` once it is sure that nothing is charged."""

    usd: float | None = None
    free: bool = False


class Budget:
    """Spending of a UTC day. Fails closed: no price, no room or no store means no call."""

    def __init__(self, store: Spending, clock: Clock, limit: float | None) -> None:
        self._store = store
        self._clock = clock
        self._limit = limit
        self._reserving = asyncio.Lock()
        self._outstanding = 0
        self._settled = asyncio.Event()

    @asynccontextmanager
    async def charged(self, estimate: float | None) -> AsyncIterator[Bill]:
        """The call is made inside and writes its bill. `estimate`: USD at most, None without a known price.

        Raises BudgetError before the call.
        """
        bill = Bill()
        if self._limit is None:
            try:
                yield bill
            finally:
                await self._record(bill)
            return
        if estimate is None:
            raise BudgetError("a daily budget is set, and the model's price is unknown")
        day = await self._reserve(estimate, self._limit)
        try:
            yield bill
        finally:
            await self._settle(day, estimate, bill)

    async def _reserve(self, estimate: float, limit: float) -> date:
        """Waits for our own calls in flight where these hold the room: they settle at less than they reserved."""
        while True:
            async with self._reserving:
                settled, others = self._settled, self._outstanding
                day = self._today()
                if await self._reserved(day, estimate, limit):
                    self._outstanding += 1
                    return day
            if not others:
                raise BudgetError(f"the call may cost ${estimate:.4f} and would pass today's ${limit:g}")
            await settled.wait()

    async def _reserved(self, day: date, estimate: float, limit: float) -> bool:
        try:
            return await self._store.reserve_spend(day, estimate, limit)
        except StoreError as error:
            raise BudgetError("today's spending cannot be read, so nothing is spent") from error

    async def _settle(self, day: date, estimate: float, bill: Bill) -> None:
        """A call keeps its reservation unless its cost is known or nil: one given up may be charged all the same."""
        actual = bill.usd if bill.usd is not None else 0.0 if bill.free else estimate
        try:
            await self._store.settle_spend(day, actual - estimate)
        except StoreError:
            logger.warning("spending not settled, today's sum stays too high", exc_info=True)
        finally:
            self._outstanding -= 1
            self._settled.set()
            self._settled = asyncio.Event()

    async def _record(self, bill: Bill) -> None:
        if bill.usd is None:
            return
        try:
            await self._store.reserve_spend(self._today(), bill.usd, math.inf)
        except StoreError:
            logger.warning("spending not recorded", exc_info=True)

    def _today(self) -> date:
        return self._clock.now().astimezone(UTC).date()
