"""Posts each message of a report at an address once: plan -> claim -> send -> record (DESIGN section 5).

No chat platform posts "exactly once". What is promised here: a part is sent again only when it surely was not posted;
where nobody can tell, it is `unknown`, the operator hears of it and settles it. The ledger is in the store, so any
process can go on where another one died.
"""

from bot.delivery.sending import Courier, Patience, Tell, Trouble, current_address, deliver, tell_operator
from bot.delivery.settling import GivenUp, Settling, give_up, reopen, settle
from bot.delivery.standing import (
    UNFINISHED,
    day_settled,
    delivery_key,
    finished,
    plan,
    settle_day,
    settled_with,
    state_of,
    summary,
)

__all__ = [
    "UNFINISHED",
    "Courier",
    "GivenUp",
    "Patience",
    "Settling",
    "Tell",
    "Trouble",
    "current_address",
    "day_settled",
    "deliver",
    "delivery_key",
    "finished",
    "give_up",
    "plan",
    "reopen",
    "settle",
    "settle_day",
    "settled_with",
    "state_of",
    "summary",
    "tell_operator",
]
