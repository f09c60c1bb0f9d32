"""What happens to chats: the bot comes and goes, chats move, topics close. The operator hears of each once."""

import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from bot import delivery
from bot.delivery import Tell, Trouble
from bot.models import Address
from handlers.means import Means

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Memberships:
    """The part of handlers.asked.Desk that is about chats."""

    means: Means
    tell: Tell

    async def arrived(self, chat: Address, *, may_post: bool, name: str = "") -> None:
        await self._quietly(self._arrived(chat, name, may_post=may_post))

    async def _arrived(self, chat: Address, name: str, *, may_post: bool) -> None:
        store, chats = self.means.store, self.means.chats
        plans = await chats.plans_in(chat, name, store)
        for address in {chat, *[await delivery.current_address(plan.address, store) for plan in plans]}:
            if may_post and await delivery.reopen(address, store, self.means.daily.courier.since):
                logger.info("channel open again", extra={"address": str(address)})
        if not plans and not await chats.is_allowed(chat, store):
            await self._once(f"arrived:{chat}", Trouble("operator.stranger", {"chat": str(chat)}))

    async def left(self, chat: Address, reason: str, *, name: str = "") -> None:
        await self._quietly(self._left(chat, name, reason))

    async def _left(self, chat: Address, name: str, reason: str) -> None:
        """A closed address is looked at again every now and then; the operator hears of it when it closes."""
        store = self.means.store
        for plan in await self.means.chats.plans_in(chat, name, store):
            address = await delivery.current_address(plan.address, store)
            if await store.closed(address) is None:
                await store.close(address, reason)
                values = {"channel": plan.name, "reason": reason}
                await delivery.tell_operator(self.tell, Trouble("operator.left", values))

    async def moved(self, chat: Address, target: str) -> None:
        await self._quietly(self._moved(chat, target))

    async def _moved(self, chat: Address, target: str) -> None:
        for address in {chat, *(plan.address for plan in self.means.chats.plans if plan.address.chat == chat)}:
            await self.means.store.move(address, target)
        await self._once(f"moved:{chat}", Trouble("operator.moved", {"chat": str(chat), "target": target}))

    async def topic_closed(self, place: Address) -> None:
        await self._quietly(self._topic_closed(place))

    async def _topic_closed(self, place: Address) -> None:
        for plan in await self.means.chats.plans_in(place.chat, "", self.means.store):
            if plan.address.topic == place.topic:
                await self._once(f"topic:{place}", Trouble("operator.topic_closed", {"channel": plan.name}))

    async def _once(self, name: str, trouble: Trouble) -> None:
        await delivery.Teller(self.tell, self.means.store, self.means.clock).once(f"told:{name}", trouble)

    async def _quietly(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            logger.exception("chat event not handled")
