"""How many tokens a text takes at most: what a budget of tokens is filled by before any model is asked."""


def at_most(text: str) -> int:
    """A cheap upper estimate over the tokenizers in use.

    Words take three letters a token at least; digits and punctuation may take one each (Llama, Qwen), an ideograph up
    to one and a half (older GPT).
    """
    letters = sum(c.isascii() and (c.isalpha() or c == " ") for c in text)
    wide = sum(not c.isascii() for c in text)
    return int(letters / 3 + wide * 1.5 + (len(text) - letters - wide))
