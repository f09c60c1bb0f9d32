"""The use cases of the day: list, score, rank, choose, deep-dive, report, deliver."""

from datetime import date, timedelta

SATURDAY = 5


def previous_weekday(day: date) -> date:
    """The last Monday-Friday before `day`: there are lists on weekdays only."""
    day -= timedelta(days=1)
    while day.weekday() >= SATURDAY:
        day -= timedelta(days=1)
    return day
