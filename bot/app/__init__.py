"""The only wiring: settings -> objects -> a running bot, stopped in reverse order."""

from bot.app.wiring import App, Parts, opened, posting

__all__ = ["App", "Parts", "opened", "posting"]
