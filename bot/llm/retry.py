"""How often a request is tried, and how long to wait in between."""

import random
import re
from collections import Counter
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from bot.llm.failure import RATE_LIMIT, Failure

TRIES = 3
# A 429 was refused before any work was done and passes by itself, so it may be met more often than a real failure:
# where every third call is refused, the third try of one request in fifteen is refused, too.
RATE_LIMITED_TRIES = 5
FIRST_PAUSE = 0.5  # seconds, doubled for each further try
LONGEST_WAIT = 60.0  # seconds; who asks for more is asked again earlier
# Of the pause at most this is added, so that requests that failed together do not return together.
_SPREAD = 0.5
_SPREAD_OF_NAMED = 0.1

# Gemini names the wait in the body alone: {"@type": "…RetryInfo", "retryDelay": "38s"}.
_IN_BODY = re.compile(r'"retryDelay"\s*:\s*"([0-9]+(?:\.[0-9]+)?)s"')


class Tries:
    """The tries of one request, all that it takes to answer it: refusals, failures, and its one correction.

    A reply that is no JSON, or half of one, is an accident like a dropped connection. JSON that breaks the schema is
    how the model understood the question: that is put to it once, and what it says then is its answer.
    """

    def __init__(self) -> None:
        self._failed: Counter[int] = Counter()  # by the number of tries that such a failure allows
        self._corrected = False

    def pause(self, failure: Failure) -> float | None:
        """Seconds to wait before the next try after `failure`, None when there is none."""
        if failure.refused is not None:
            return 0.0  # asked another way from now on, of which there are few
        if failure.problems and not failure.garbled:
            corrected, self._corrected = self._corrected, True
            return None if corrected else 0.0
        allowed = RATE_LIMITED_TRIES if failure.key == RATE_LIMIT else TRIES
        self._failed[allowed] += 1
        if not (failure.retryable or failure.garbled) or self._failed[allowed] >= allowed:
            return None
        return 0.0 if failure.garbled else _pause(failure, self._failed[allowed])


def _pause(failure: Failure, failed: int) -> float:
    spread = _SPREAD_OF_NAMED if failure.wait else _SPREAD
    pause = failure.wait or FIRST_PAUSE * 2 ** (failed - 1)
    return pause * (1 + random.uniform(0, spread))  # noqa: S311  # spreads load, keeps no secret


def wait_named(header: str | None, body: str, now: datetime) -> float | None:
    """Seconds that a service asked for, at most LONGEST_WAIT: Retry-After as seconds or HTTP date, else in the body.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
    """
    seconds = _seconds(header, now) if header else None
    if seconds is None and (found := _IN_BODY.search(body)):
        seconds = float(found[1])
    return None if seconds is None else min(max(seconds, 0.0), LONGEST_WAIT)


def _seconds(header: str, now: datetime) -> float | None:
    if re.fullmatch(r"\s*[0-9]+(\.[0-9]+)?\s*", header):
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds()
