"""The archive of reports, its feed, and health, served with aiohttp."""

from bot.web.server import NAME, serving
from bot.web.site import Health, Site

__all__ = ["NAME", "Health", "Site", "serving"]
