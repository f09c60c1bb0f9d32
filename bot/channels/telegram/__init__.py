"""The Telegram channel: entities.py and layout.py write the text, render.py freezes it, channel.py sends it."""

from bot.channels.telegram.api import telegram_bot
from bot.channels.telegram.channel import TelegramChannel, shared_pace

__all__ = ["TelegramChannel", "shared_pace", "telegram_bot"]
