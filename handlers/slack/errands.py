"""What is done beside an event: tasks that are kept until they end, and whose failures are logged and cost nothing."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError

logger = logging.getLogger(__name__)

ERRAND_SECONDS = 15.0
CODE_CHARACTERS = 64  # a longer one is no word of Slack's


class Errands:
    """The tasks that run now. They end with `close`."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def keep(self, task: asyncio.Task[Any]) -> None:
        """Holds on to a task until it ends."""
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def run(self, what: str, work: Coroutine[Any, Any, object]) -> None:
        """Starts `work` and returns at once."""
        self.keep(asyncio.create_task(_guarded(what, work)))

    async def close(self) -> None:
        """Ends all that still run."""
        ending = set(self._running)
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)


async def _guarded(what: str, work: Coroutine[Any, Any, object]) -> None:
    try:
        async with asyncio.timeout(ERRAND_SECONDS):
            await work
    except SlackApiError as error:
        logger.info("%s: refused (%s)", what, code_of(error))
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        logger.info("%s: %s", what, type(error).__name__)
    except Exception:
        logger.exception("%s: failed", what)


def code_of(error: SlackApiError) -> str:
    """Slack's own word for a refusal; the error itself quotes the whole answer."""
    data = getattr(error.response, "data", None)
    code = data.get("error") if isinstance(data, dict) else None
    return code if isinstance(code, str) and code.isascii() and len(code) <= CODE_CHARACTERS else "no reason given"
