"""How long every store keeps what: memory is dear, and what can be made again, or nobody asks for, need not stay.

Times run from the last write: keys of Redis end by themselves, `sqlite_prune.py` deletes rows once a day, but none that
is not done yet. What is not named here stays for good: votes and the state of addresses (small, and nobody could make
them again), the store's own version and its counter.
"""

_DAY = 86_400  # seconds

LISTS = 400 * _DAY  # a year and a month: sources answer for older days too
PAPERS = 400 * _DAY  # arXiv tells again
REPORTS = 1_096 * _DAY  # the archive and what is searched: three years
CHOSEN = 3_660 * _DAY  # longer than `report.repeat_after_days` can be set; a line a paper
LEDGER = 180 * _DAY  # half a year in which a report is surely not posted twice, and replies to it are understood
REQUESTS = 90 * _DAY  # platforms repeat an event for a day at most; a talk may rest for a season
TEXTS = 30 * _DAY  # the biggest of all, and fetched again within a minute
ANALYSES = 90 * _DAY  # paid for; later than that prompts and models have changed, and with them the keys
SPENDING = 400 * _DAY  # the day's sum decides, older ones are for who looks back over a year
LEASES = _DAY  # seconds decide; who held one last is told of in the log
NOTES = 400 * _DAY  # what is still used is noted anew
PING = 60  # seconds; nobody reads it
ONCE = 600  # seconds; longer than any command is tried (OPERATION_SECONDS), by far

FOR_GOOD = ("version", "sequence", "voted", "votes:*", "address:*")
"""The keys of Redis without an end, behind the namespace."""
