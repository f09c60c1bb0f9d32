"""The use cases of the day: which reports are wanted, made now or taken from the store, and brought to the channels."""

from datetime import date, timedelta

SATURDAY = 5


def previous_weekday(day: date) -> date:
    """The last Monday-Friday before `day`: there are lists on weekdays only."""
    day -= timedelta(days=1)
    while day.weekday() >= SATURDAY:
        day -= timedelta(days=1)
    return day
