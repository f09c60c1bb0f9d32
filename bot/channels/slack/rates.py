"""How fast a channel of Slack may be written to; its threads share one pace.

https://docs.slack.dev/apis/web-api/rate-limits
"""

from dataclasses import dataclass

from bot.interfaces import Pace

MESSAGE_SECONDS = 1.0  # Slack allows about one message a second in a channel, and short bursts beyond it:
BURST = 5  # a report goes out at once
PROGRESS_SECONDS = 2.0  # chat.update is Tier 3, 50 a minute and more: what may be lost leaves room for answers


@dataclass(frozen=True, slots=True)
class Rates:
    """The pace of messages, and beside it that of edits that may be lost."""

    messages: Pace
    edits: Pace

    @classmethod
    def of(cls, target: str) -> "Rates":
        return cls(
            Pace(f"slack:{target}", MESSAGE_SECONDS, BURST), Pace(f"slack:{target}:edits", PROGRESS_SECONDS, BURST)
        )
