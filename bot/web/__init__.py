"""The archive, the feed and health, served with aiohttp."""
