"""How much Telegram takes from one bot, as it is documented, and to the letter.

https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this: one message a second in a chat, where
"short bursts" pass; 20 a minute in a group; 30 a second in all. An edit counts as a message.
"""

import math
from collections import defaultdict, deque

ALL_MOST, ALL_SECONDS = 30, 1.0
GROUP_MOST, GROUP_SECONDS = 20, 60.0
CHAT_SECONDS, CHAT_BURST = 1.0, 10  # what a short burst is, nobody says


class Flood:
    """Counts what is accepted; what is refused does not count."""

    def __init__(self) -> None:
        self.refused = 0
        self._all: deque[float] = deque()
        self._groups: dict[int, deque[float]] = defaultdict(deque)
        self._full_at: dict[int, float] = {}

    def retry_after(self, chat: int, now: float, *, is_private: bool) -> int:
        """0 for a message that is accepted, else the whole seconds that the bot is asked to wait."""
        waits = [_free_in(self._all, ALL_MOST, ALL_SECONDS, now)]
        if not is_private:
            waits.append(_free_in(self._groups[chat], GROUP_MOST, GROUP_SECONDS, now))
        full_at = max(self._full_at.get(chat, now), now)
        waits.append(full_at - (CHAT_BURST - 1) * CHAT_SECONDS - now)
        if (wait := max(waits)) > 0:
            self.refused += 1
            return math.ceil(wait)
        self._all.append(now)
        self._groups[chat].append(now)
        self._full_at[chat] = full_at + CHAT_SECONDS
        return 0


def _free_in(taken: deque[float], most: int, seconds: float, now: float) -> float:
    while taken and taken[0] <= now - seconds:
        taken.popleft()
    return taken[0] + seconds - now if len(taken) >= most else 0.0
