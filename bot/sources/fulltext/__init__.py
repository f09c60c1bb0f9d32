"""What can be read of a paper: all of it where somebody serves it, else its abstract, labelled as such."""

from bot.sources.fulltext.papertexts import AbstractTexts, Limits, PaperTexts, Upstream
from bot.sources.fulltext.reading import Readers

__all__ = ["AbstractTexts", "Limits", "PaperTexts", "Readers", "Upstream"]
