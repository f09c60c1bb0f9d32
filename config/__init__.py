"""Settings: where they come from and what they may be. Only `bot.app` and `bot.__main__` read them."""
