"""How the channels are: looked at once at the start, and again while they are in trouble."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bot import delivery
from bot.app.chatting import Handlers
from bot.app.wiring import App
from bot.daily import Daily
from bot.errors import BotError
from bot.models import ChannelPlan

logger = logging.getLogger(__name__)

CHECK_AGAIN_SECONDS = 120.0  # between two looks at a channel that is in trouble


@dataclass(slots=True)
class Platforms:
    """How the channels are: all are looked at once at the start, and those in trouble or closed again and again."""

    app: App
    daily: Daily
    health: dict[str, str] = field(default_factory=dict)
    handlers: Mapping[str, Handlers] = field(default_factory=dict)

    async def watch(self) -> None:
        """Looks until it is cancelled; what cannot be reached now stops nobody, and is noticed when it is back."""
        waiting: Sequence[ChannelPlan] = self.app.plans
        while True:
            await asyncio.gather(*(self._look(plan) for plan in waiting))
            await self.app.clock.sleep(CHECK_AGAIN_SECONDS)
            waiting = [plan for plan in self.app.plans if await self._wants_a_look(plan)]

    async def _wants_a_look(self, plan: ChannelPlan) -> bool:
        try:
            address = await delivery.current_address(plan.address, self.app.store)
            closed = await delivery.is_closed(address, self.app.store)
        except BotError:
            return True  # the look itself says what is wrong with the store
        return closed or self.health.get(plan.name) != "ok"

    async def _look(self, plan: ChannelPlan) -> None:
        try:
            address = await delivery.current_address(plan.address, self.app.store)
            channel = self.daily.courier.channels(address)
            errors = [finding for finding in await channel.check() if finding.level == "error"]
            found = "; ".join(f"{finding.subject}: {finding.text}" for finding in errors)
            if not errors:
                await delivery.reopen(address, self.app.store, self.daily.courier.since)
        except BotError as error:
            found = str(error)
        except Exception:
            logger.exception("channel check failed", extra={"channel": plan.name})
            found = "the check itself failed"
        if found and self.health.get(plan.name) != "in trouble":
            logger.error("channel in trouble: %s", found, extra={"channel": plan.name})
        self.health[plan.name] = "in trouble" if found else "ok"

    async def states(self) -> Mapping[str, str]:
        """For `/readyz`: a word a channel, no details."""
        hearing = {f"{name} commands": handlers.state for name, handlers in self.handlers.items()}
        return {plan.name: self.health.get(plan.name, "unknown") for plan in self.app.plans} | hearing
