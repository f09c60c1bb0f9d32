"""The Telegram channel: entities.py and layout.py write the text, render.py freezes it, channel.py sends it."""

from bot.channels.telegram.api import telegram_bot
from bot.channels.telegram.channel import TelegramChannel
from bot.channels.telegram.rates import ALL

__all__ = ["ALL", "TelegramChannel", "telegram_bot"]
