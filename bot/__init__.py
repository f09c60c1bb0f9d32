"""Paperboy: the day's computer-vision papers, scored, read and delivered to a team's channels."""

__version__ = "0.1.0"
