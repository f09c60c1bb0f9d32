"""How fast a channel of Slack may be written to; its threads share one pace.

https://docs.slack.dev/apis/web-api/rate-limits
"""

from dataclasses import dataclass

from bot.channels.pace import Pace
from bot.interfaces import Clock
from bot.models import Address

MESSAGE_SECONDS = 1.0  # Slack allows about one message a second in a channel, and short bursts beyond it:
BURST = 5  # a report goes out at once
PROGRESS_SECONDS = 2.0  # chat.update is Tier 3, 50 a minute and more: what may be lost leaves room for answers


@dataclass(frozen=True, slots=True)
class ChannelPace:
    """The turns of messages, and beside them those of edits that may be lost."""

    messages: Pace
    edits: Pace

    @classmethod
    def new(cls, clock: Clock) -> "ChannelPace":
        return cls(Pace(clock, MESSAGE_SECONDS, BURST), Pace(clock, PROGRESS_SECONDS, BURST))


class Paces:
    """One pace a channel, whatever thread of it is written to."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._paces: dict[str, ChannelPace] = {}

    def of(self, address: Address) -> ChannelPace:
        if address.target not in self._paces:
            self._paces[address.target] = ChannelPace.new(self._clock)
        return self._paces[address.target]
