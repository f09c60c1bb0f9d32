"""Text from papers, models and people made safe to pass on: to models (`redact`) and to readers (`defang`). Pure.

What is looked for here is a first net, not the wall: paper text stands in the user turn between delimiters that it
cannot know, every reply is checked against the paper, and links are built by code alone.
"""

from bot.analysis.untrusted.characters import clean
from bot.analysis.untrusted.failures import is_error_text, is_preamble
from bot.analysis.untrusted.publishing import defang, plain
from bot.analysis.untrusted.redaction import REDACTED, Redaction, instructs, redact, redact_all

__all__ = [
    "REDACTED",
    "Redaction",
    "clean",
    "defang",
    "instructs",
    "is_error_text",
    "is_preamble",
    "plain",
    "redact",
    "redact_all",
]
