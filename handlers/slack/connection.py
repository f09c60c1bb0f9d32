"""Socket Mode: a websocket that Bolt answers on, opened again whenever it is lost.

slack_sdk reconnects by itself, too, but tries a used address again and again, and logs addresses that hold a ticket.
So it only replaces a connection that Slack asks to replace; everything else is done here.
https://docs.slack.dev/apis/events-api/using-socket-mode
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

import aiohttp
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.web.async_client import AsyncWebClient

from handlers.slack.errands import code_of

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0  # address, handshake and all
LOOK_SECONDS = 0.25  # between two looks at the connection
PING_SECONDS = 5.0  # a peer that is gone without a word is noticed after one and a half of them
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds between two tries
REFUSED_PAUSE = 60.0  # where only a person can mend it: apps.connections.open allows about one call a minute
CLOSE_SECONDS = 0.4
_PASSING = {"fatal_error", "internal_error", "ratelimited", "request_timeout", "service_unavailable"}
# slack_sdk logs messages whole at DEBUG, and addresses with their ticket when a connection fails; we say what matters.
UNHEARD = logging.Logger("unheard", logging.CRITICAL + 1)  # noqa: LOG001 - it stands in nobody's tree


class Connection:
    """One connection of the app; Slack hands each event to one of up to ten."""

    def __init__(self, app: AsyncApp, app_token: str, api_url: str) -> None:
        self._app = app
        self._token = app_token
        self._api_url = api_url
        self._trouble = ""
        self._open = False

    @property
    def state(self) -> str:
        """A word for `/readyz`: ok, in trouble, or unknown."""
        if self._trouble:
            return "in trouble"
        return "ok" if self._open else "unknown"

    async def run(self) -> None:
        """Keeps a connection open until it is cancelled; a Slack that is down or refuses stops nobody."""
        async with self._handler() as client:
            pause = FIRST_PAUSE
            while True:
                try:
                    await _connect(client)
                except SlackApiError as error:
                    code = code_of(error)
                    self._say(f"slack refuses the connection ({code}): check slack.app_token (xapp-…)")
                    pause = REFUSED_PAUSE if code not in _PASSING else pause
                except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                    self._say(f"slack cannot be reached: {type(error).__name__}")
                except Exception:
                    logger.exception("slack connection failed")
                    self._trouble = "failed"
                else:
                    pause = FIRST_PAUSE
                    self._say("")
                    while await client.is_connected():  # noqa: ASYNC110 - slack_sdk tells nobody when it is lost
                        await asyncio.sleep(LOOK_SECONDS)
                    self._open = False
                    continue
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _say(self, trouble: str) -> None:
        """Each trouble once, and that it is over."""
        if trouble and trouble != self._trouble:
            logger.error("%s", trouble)
        if not trouble:
            logger.info("slack connected")
        self._trouble, self._open = trouble, not trouble

    @asynccontextmanager
    async def _handler(self) -> AsyncIterator[SocketModeClient]:
        client = _Handler(self._app, self._token, self._api_url).client
        try:
            yield client
        finally:
            await _close(client)


class _Client(SocketModeClient):
    async def connect_to_new_endpoint(self, force: bool = False) -> None:  # noqa: FBT001, FBT002 - slack_sdk's signature
        """Ends in time, where slack_sdk would try the same address for ever; what failed here is tried by `run`."""
        self.last_ping_pong_time = None  # that of the connection before, by which the new one would be taken for dead
        async with asyncio.timeout(CONNECT_SECONDS):
            await super().connect_to_new_endpoint(force)


class _Handler(AsyncSocketModeHandler):
    """Bolt's handler, with our client."""

    def __init__(self, app: AsyncApp, app_token: str, api_url: str) -> None:
        opening = AsyncWebClient(app_token, api_url, retry_handlers=[], logger=UNHEARD, trust_env_in_session=True)
        opening.proxy = None  # the session heeds the environment, NO_PROXY included
        self.app, self.app_token = app, app_token
        self.client = _Client(app_token, UNHEARD, opening, auto_reconnect_enabled=False, ping_interval=PING_SECONDS)
        if proxy_bypass(urlsplit(api_url).hostname or ""):
            self.client.proxy = None
        self.client.socket_mode_request_listeners.append(self._answer)

    async def _answer(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        """Bolt's answer, on the connection; one that is lost makes Slack send the event again."""
        try:
            await self.handle(client, request)  # type: ignore[arg-type]  # Bolt's own type is narrower than its use
        except (aiohttp.ClientError, OSError) as error:
            logger.warning("acknowledgement lost: %s", type(error).__name__)
        except Exception:
            logger.exception("event not handled")


async def _connect(client: SocketModeClient) -> None:
    """A new address each time: one is good for one connection."""
    await client.connect_to_new_endpoint()
    if not await client.is_connected():
        raise TimeoutError("slack's own reconnecting did not end")


async def _close(client: SocketModeClient) -> None:
    with suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await client.close()  # type: ignore[no-untyped-call]  # slack_sdk gives it no types
    tasks = [client.message_processor, client.current_session_monitor, client.message_receiver]
    for task in tasks:
        if task is not None:
            task.cancel()
    await asyncio.gather(*(task for task in tasks if task is not None), return_exceptions=True)
    await client.aiohttp_client_session.close()
