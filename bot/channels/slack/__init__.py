"""Slack as a channel: documents as Block Kit messages, a root and its thread, posted once."""

from bot.channels.slack.api import slack_client
from bot.channels.slack.channel import SlackChannel
from bot.channels.slack.check import check_app_token
from bot.channels.slack.messages import home

__all__ = ["SlackChannel", "check_app_token", "home", "slack_client"]
