"""Questions as people type them, and the talk before them, made safe to pass on. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from bot import tokens
from bot.analysis import untrusted
from bot.models import Exchange, Question

QUESTION_LENGTH = 1_000  # characters; a longer question is cut
ANSWER_LENGTH = 600  # characters of an earlier answer
MOST_EARLIER = 4  # exchanges of a talk that a model is told of


def tidied(question: Question) -> Question:
    """The question and the last exchanges before it: one line each, bounded, nothing in them that nobody sees."""
    earlier = tuple(
        Exchange(tidy(exchange.question), tidy(exchange.answer, ANSWER_LENGTH))
        for exchange in question.earlier[-MOST_EARLIER:]
    )
    return replace(question, text=tidy(question.text), earlier=earlier)


def tidy(text: str, limit: int = QUESTION_LENGTH) -> str:
    """`text` in one spelling (NFKC) on one line of at most `limit` characters; "" when there is nothing to see."""
    return untrusted.plain(untrusted.clean(text), limit)


def recent(earlier: Sequence[Exchange], limit: int) -> tuple[Exchange, ...]:
    """The last of `earlier` that take at most `limit` tokens together; the oldest go first."""
    kept: list[Exchange] = []
    for exchange in reversed(earlier):
        limit -= tokens.at_most(f"{exchange.question}\n{exchange.answer}\n")
        if limit < 0:
            break
        kept.append(exchange)
    return tuple(reversed(kept))
