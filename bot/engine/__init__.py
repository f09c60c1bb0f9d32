"""Where jobs run, behind the Engine port: docket, in this process or on the store's Redis server.

Only `on_docket.py` imports docket, which takes a third of a second; here is what others need to know before that.
"""

from dataclasses import dataclass

# All three are parts of the 10 s that an end by SIGTERM may take; `bot.app.ending` adds them up.
GRACE_SECONDS = 1.3  # for jobs to end by themselves
CUT_SECONDS = 3.8  # for cancelled jobs to end: more than a delivery gives its send in flight
CLOSE_SECONDS = 0.3  # for the connections
LEASE_SECONDS = 30.0  # after which the job of a process that died surely runs in another one
NAME = "paperboy-jobs"  # what every key of the queue begins with: not with "paperboy:", which is the store's


@dataclass(frozen=True, slots=True)
class Lane:
    """At most `most` jobs at once, in all processes together, whose arguments of the names `by` are the same.

    A job without one of them, or with an empty one, waits for nobody.
    """

    by: tuple[str, ...]
    most: int = 1


@dataclass(frozen=True, slots=True)
class Terms:
    """`url` is a Redis server's, with its password, "" for this process alone. The rest is in seconds.

    `backoff` is the pause before the second try of a job that failed, doubled before each further one.
    """

    url: str = ""
    name: str = NAME
    lease: float = LEASE_SECONDS
    grace: float = GRACE_SECONDS
    cut: float = CUT_SECONDS
    backoff: float = 4.0
