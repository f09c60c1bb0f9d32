"""What people type and tap in Slack: Bolt's payloads translated into what was asked, acknowledged once it is stored."""

from handlers.slack.options import SlackOptions
from handlers.slack.service import SlackHandlers

__all__ = ["SlackHandlers", "SlackOptions"]
