"""Telegram's updates as what people ask: heard by polling or webhook, translated, handed over and acknowledged."""

from handlers.telegram.listening import TelegramHandlers as TelegramHandlers
from handlers.telegram.listening import TelegramOptions as TelegramOptions
