"""The Telegram channel: entities.py and layout.py write the text, render.py freezes it, channel.py sends it."""

from bot.channels.telegram.api import telegram_bot
from bot.channels.telegram.channel import Paces, TelegramChannel

__all__ = ["Paces", "TelegramChannel", "telegram_bot"]
