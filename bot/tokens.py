"""How many tokens a text takes at most: what a budget of tokens is filled by before any model is asked."""

import string

PARTS = 6  # weights are sixths of a token: whole numbers, so that the weights of pieces add up to that of the whole
LEAST = 2  # sixths; the weight of a letter, which is less than that of anything else

_LETTERS = (string.ascii_letters + " ").encode()


def at_most(text: str) -> int:
    """A cheap upper estimate over the tokenizers in use.

    Words take three letters a token at least; digits and punctuation may take one each (Llama, Qwen), an ideograph up
    to one and a half (older GPT).
    """
    return -(-weight(text) // PARTS)


def weight(text: str) -> int:
    """The same in sixths of a token."""
    plain = text.encode("ascii", "ignore")
    marks = len(plain.translate(None, _LETTERS))
    return LEAST * (len(plain) - marks) + PARTS * marks + 9 * (len(text) - len(plain))
