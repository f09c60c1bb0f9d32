"""Slack as a channel: documents as Block Kit messages, a root and its thread, posted once."""

from bot.channels.slack.api import slack_client
from bot.channels.slack.channel import SlackChannel

__all__ = ["SlackChannel", "slack_client"]
