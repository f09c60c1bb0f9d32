"""Posts each message of a report at an address once: plan -> claim -> send -> record (DESIGN section 5).

No chat platform posts "exactly once". What is promised here: a part is sent again only when it surely was not posted;
where nobody can tell, it is `unknown`, the operator hears of it and settles it. The ledger is in the store, so any
process can go on where another one died.
"""

from bot.delivery.sending import Courier, Patience, current_address, deliver
from bot.delivery.settling import Ending, GivenUp, Settling, abandon, drop, give_up, is_closed, reopen, settle
from bot.delivery.standing import (
    LATE_AFTER,
    TROUBLED_LOOKED_AT,
    UNFINISHED,
    answer_key,
    arguments_of,
    day_settled,
    delivery_key,
    doubt,
    finished,
    is_answer,
    is_placeholder,
    placeholder_key,
    plan,
    plan_messages,
    request_of,
    settle_day,
    settled_with,
    state_of,
    summary,
)
from bot.delivery.telling import Tell, Teller, Trouble, tell_operator

__all__ = [
    "LATE_AFTER",
    "TROUBLED_LOOKED_AT",
    "UNFINISHED",
    "Courier",
    "Ending",
    "GivenUp",
    "Patience",
    "Settling",
    "Tell",
    "Teller",
    "Trouble",
    "abandon",
    "answer_key",
    "arguments_of",
    "current_address",
    "day_settled",
    "deliver",
    "delivery_key",
    "doubt",
    "drop",
    "finished",
    "give_up",
    "is_answer",
    "is_closed",
    "is_placeholder",
    "placeholder_key",
    "plan",
    "plan_messages",
    "reopen",
    "request_of",
    "settle",
    "settle_day",
    "settled_with",
    "state_of",
    "summary",
    "tell_operator",
]
