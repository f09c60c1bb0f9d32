"""Who hears of troubles: the operator's channel where one is named, and the log in any case."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import uuid4

from bot import texts
from bot.delivery import Trouble
from bot.interfaces import Channel, Errand, Thread
from bot.models import Address, ChannelPlan
from bot.report import compose
from bot.report.document import Document
from bot.report.inline import spans

logger = logging.getLogger(__name__)

# Before all others, and soon or never: a thousand deliveries may be in trouble, and none waits for this chat's limits.
_FIRST = Errand(since=0.0, urgent=True, within=3.0)


@dataclass(frozen=True, slots=True)
class Operator:
    """`plan` is None without an operator's channel."""

    plan: ChannelPlan | None
    channels: Callable[[Address], Channel]

    @classmethod
    def of(cls, name: str | None, plans: Sequence[ChannelPlan], channels: Callable[[Address], Channel]) -> "Operator":
        return cls(next((plan for plan in plans if plan.name == name), None), channels)

    async def tell(self, trouble: Trouble) -> None:
        """Logs, and posts to the operator's channel unless that is the one in trouble. Raises SendError."""
        logger.warning(trouble.key, extra=dict(trouble.values))
        if self.plan is None or trouble.values.get("channel") == self.plan.name:
            return
        channel = self.channels(self.plan.address)
        for message in channel.render([self._document(trouble)]):
            await channel.turn(_FIRST)
            await channel.send(f"trouble:{uuid4().hex}", message, Thread(None, {}))

    def _document(self, trouble: Trouble) -> Document:
        language = self.plan.language if self.plan else texts.languages()[0]
        words = texts.load(language)
        line = words(trouble.key, **trouble.values)
        zone = self.plan.timezone if self.plan else "UTC"
        return compose.trouble(spans(line), words, line, trouble.doubt, zone)
