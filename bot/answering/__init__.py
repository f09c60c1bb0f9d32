"""Requests and their answers: seeing.py brings each to its answer, holding.py shows meanwhile what is being done."""

from bot.answering.entries import Answered, Work
from bot.answering.holding import Rhythm
from bot.answering.seeing import JOB, LOOP, Answering, Costs

__all__ = ["JOB", "LOOP", "Answered", "Answering", "Costs", "Rhythm", "Work"]
