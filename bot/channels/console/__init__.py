"""The terminal as a channel."""

from bot.channels.console.channel import ConsoleChannel

__all__ = ["ConsoleChannel"]
