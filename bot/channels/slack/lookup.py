"""Was a part posted although its answer was lost? Slack keeps the part's key in the message's metadata.

Needs channels:history (groups:history in private channels).
Metadata: https://docs.slack.dev/messaging/message-metadata
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from bot.channels.slack.api import SlackError, answer
from bot.errors import Outcome
from bot.interfaces import SEND_SECONDS, Thread

EVENT_TYPE = "paperboy_part"
NO_THREAD = frozenset({"cannot_reply_to_message", "invalid_thread_ts", "message_not_found", "thread_not_found"})

PAGE = 100  # messages
PAGES = 10


class Lookup:
    """Reads one channel, named by its ID."""

    def __init__(self, client: AsyncWebClient, channel_id: str) -> None:
        self._client = client
        self._id = channel_id

    async def find(self, key: str, thread: Thread, since: datetime) -> tuple[str, ...] | None:
        """The time stamp of the message that carries `key`; None when none does in the thread and the channel.

        Raises SendError: NOT_SENT when the lookup could not be made now (Slack is not reached, or asks for a wait), so
        that the same lookup is worth making later; UNKNOWN when it never can be (a scope is missing).
        """
        try:
            async with asyncio.timeout(SEND_SECONDS):
                return await self._find(key, thread, since)
        except TimeoutError as error:
            raise SlackError("slack's history did not answer in time", Outcome.NOT_SENT) from error
        except SlackError as error:
            outcome = Outcome.NOT_SENT if error.outcome in (Outcome.NOT_SENT, Outcome.UNKNOWN) else Outcome.UNKNOWN
            message = f"slack's history cannot be read: {error}"
            raise SlackError(message, outcome, code=error.code, retry_after=error.retry_after) from error

    async def _find(self, key: str, thread: Thread, since: datetime) -> tuple[str, ...] | None:
        async for message in self._messages(thread, since):
            if _holds(message, key) and isinstance(stamp := message.get("ts"), str):
                return (stamp,)
        return None

    async def _messages(self, thread: Thread, since: datetime) -> AsyncIterator[Mapping[str, Any]]:
        """Replies first; then the channel, where a reply stands that was posted before its thread had a root."""
        bounds: dict[str, Any] = {"oldest": f"{since.timestamp():.6f}", "include_all_metadata": True}
        if thread.root is not None:
            try:
                async for message in self._pages("conversations.replies", bounds | {"ts": thread.root}):
                    yield message
            except SlackError as error:
                if error.code not in NO_THREAD:
                    raise
        async for message in self._pages("conversations.history", bounds):
            yield message

    async def _pages(self, method: str, arguments: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        cursor: str | None = ""
        for _ in range(PAGES):
            asked = {**arguments, "channel": self._id, "limit": PAGE, "cursor": cursor or None}
            page = await answer(self._client.api_call(method, http_verb="GET", params=asked))
            messages = page.data.get("messages")
            if not isinstance(messages, list):
                raise SlackError("a page without messages", Outcome.UNKNOWN)
            for message in messages:
                yield message
            cursor = (page.data.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return
        raise SlackError(f"more than {PAGES * PAGE} messages since then", Outcome.REFUSED)


def _holds(message: Mapping[str, Any], key: str) -> bool:
    metadata = message.get("metadata") or {}
    payload = metadata.get("event_payload") or {}
    return metadata.get("event_type") == EVENT_TYPE and payload.get("key") == key
