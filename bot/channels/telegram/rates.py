"""How fast a bot of Telegram may post: in a chat, whose topics share that, and over all chats.

https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this: about one message a second in a chat
(short bursts pass), 20 a minute in a group, 30 a second in all. Edits count as messages here; reactions do not.
"""

from bot.interfaces import Pace, Window

CHAT_SECONDS, CHAT_BURST = 1.0, 6
GROUP_MOST, GROUP_SECONDS = 20, 61.0  # a minute, and what a message may take to arrive
ALL = Pace("telegram", 1 / 28)  # one after the other: a second's thirty may not arrive within less than a second


def own(target: str, *, is_private: bool) -> tuple[Pace | Window, ...]:
    """The chat's limits."""
    chat = pace(target)
    return (chat,) if is_private else (chat, Window(f"telegram:{target}", GROUP_MOST, GROUP_SECONDS))


def pace(target: str) -> Pace:
    """The one that a Retry-After stops."""
    return Pace(f"telegram:{target}", CHAT_SECONDS, CHAT_BURST)
