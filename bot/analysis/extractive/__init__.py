"""The analyst that needs no model, in steps: words, interests and fields, sub-scores, excerpts, the analyst itself."""

from bot.analysis.extractive.analyst import ExtractiveAnalyst

__all__ = ["ExtractiveAnalyst"]
