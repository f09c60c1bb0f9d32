"""`paperboy eval`: how good the rankings and the deep dives are, as tables or JSON."""

import argparse

import config
from bot.terminal.evaluation import grounding, ranking

SUBJECTS = {"ranking": ranking.evaluate, "grounding": grounding.evaluate}


async def evaluate(loaded: config.Loaded, arguments: argparse.Namespace) -> int:
    """Of the ranking or of the deep dives, as the arguments say."""
    return await SUBJECTS[arguments.subject](loaded, arguments)
