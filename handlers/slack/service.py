"""Slack's events, as Bolt hands them over: stored, acknowledged, begun, in this order and within a second."""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web
from slack_bolt.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.error import BoltUnhandledRequestError
from slack_bolt.response import BoltResponse
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot import texts
from bot.report.document import Document
from handlers.asked import Asked, Desk, Taken
from handlers.slack import translate
from handlers.slack.connection import UNHEARD, Connection
from handlers.slack.endpoint import Endpoint
from handlers.slack.errands import Errands, code_of
from handlers.slack.options import ACTIONS, EVENTS_PATH, SHORTCUT, SlackOptions
from handlers.slack.text import shown

logger = logging.getLogger(__name__)

TAKE_SECONDS = 0.8  # Slack gives three; nobody should wait for more than one
IDENTITY_SECONDS = 30.0  # between two tries to learn who the bot is
REACTIONS = 2  # at once: where fifty people ask at once, acknowledgements come first
SEEN = "eyes"  # 👀: the reaction under a message that was understood
HOME_BLOCKS = 100  # https://docs.slack.dev/reference/views
LEFT = {
    "channel_archive": "the channel was archived",
    "channel_deleted": "the channel was deleted",
    "channel_left": "the bot was removed from the channel",
    "group_archive": "the channel was archived",
    "group_deleted": "the channel was deleted",
    "group_left": "the bot was removed from the channel",
}
BACK = ("channel_unarchive", "group_unarchive", "member_joined_channel")
MOVED = "channel_id_changed"
EVENTS = ("app_home_opened", "app_mention", "message.im", *LEFT, *BACK, MOVED)

Body = Mapping[str, Any]


class SlackHandlers:
    """What Slack sends, over Socket Mode (`run`) or signed HTTP (`routes`, and `run`). Use one in one event loop.

    `blocks` renders what a user sees who opens the bot's own page.
    """

    def __init__(
        self,
        client: AsyncWebClient,
        desk: Desk,
        blocks: Callable[[Document], list[dict[str, Any]]],
        options: SlackOptions,
    ) -> None:
        self._client = client
        self._desk = desk
        self._blocks = blocks
        self._options = options
        self._errands = Errands()
        self._reacting = asyncio.Semaphore(REACTIONS)
        self._own_id = ""
        self._app = self._bolt()
        self._connection: Connection | None = None
        if options.mode == "socket" and options.app_token:
            self._connection = Connection(self._app, options.app_token, options.api_url)

    async def run(self) -> None:
        """Listens until it is cancelled. A Slack that is down or refuses a token stops nobody."""
        if not self._options.complete:
            setting = "slack.app_token" if self._options.mode == "socket" else "slack.signing_secret"
            logger.warning("%s is not set: nothing that is typed or tapped in Slack arrives", setting)
        try:
            self._errands.keep(asyncio.create_task(self._learn_who_we_are()))
            if self._connection:
                await self._connection.run()
            await asyncio.Event().wait()
        finally:
            await self._errands.close()

    def routes(self) -> list[web.RouteDef]:
        """Where Slack sends what happens, in HTTP mode."""
        if self._options.mode != "http":
            return []
        secret = self._options.signing_secret
        return [web.post(EVENTS_PATH, Endpoint(self._app, secret).answer)] if secret else []

    @property
    def state(self) -> str:
        """A word for `/readyz`: ok, in trouble, or unknown."""
        if not self._options.complete:
            return "in trouble"
        return self._connection.state if self._connection else "ok"

    def _bolt(self) -> AsyncApp:
        # `process_before_response` keeps the acknowledgement until the listener is through: what is acknowledged is
        # stored, and nothing that happens after `ack` can take it back. Bolt itself needs no token and calls nobody.
        app = AsyncApp(
            name="paperboy",
            logger=_warnings(),
            client=AsyncWebClient(base_url=self._options.api_url, logger=UNHEARD),
            authorize=_nobody,
            process_before_response=True,
            raise_error_for_unhandled_request=True,
            request_verification_enabled=False,  # done by Endpoint, before a body is parsed
            ignoring_self_events_enabled=False,  # so that the bot's own joining is seen
            attaching_conversation_kwargs_enabled=False,
        )
        app.error(self._failed)
        for name in self._options.commands:
            app.command(f"/{name}")(self._command)
        app.action(re.compile(f"^{re.escape(ACTIONS)}"))(self._tap)
        app.message_shortcut(SHORTCUT)(self._shortcut)
        app.event("app_mention")(self._mention)
        app.event("message")(self._direct)
        app.event("app_home_opened")(self._home_opened)
        for name in (*LEFT, *BACK, MOVED):
            app.event(name)(self._chat_changed)
        return app

    # -- what is asked

    async def _command(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        taken = await self._take(translate.command(body))
        await ack(_shown_command(taken) if taken else self._busy())
        self._begin(taken)

    async def _mention(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        await self._said(ack, body, translate.mention(body, self._me(body)))

    async def _direct(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        await self._said(ack, body, translate.direct(body, self._me(body)))

    async def _said(self, ack: AsyncAck, body: dict[str, Any], asked: Asked | None) -> None:
        taken = await self._take(asked) if asked else None
        await ack()
        if asked and taken is None:
            self._whisper(asked, self._words("slack.busy"), body)
        elif asked and taken and taken.requests:
            self._errands.run("reaction", self._react(asked))
        self._begin(taken)

    async def _tap(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        await self._pointed(ack, body, translate.tap(body))

    async def _shortcut(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        await self._pointed(ack, body, translate.shortcut(body))

    async def _pointed(self, ack: AsyncAck, body: dict[str, Any], asked: Asked | None) -> None:
        taken = await self._take(asked) if asked else None
        await ack()
        if asked:
            self._whisper(asked, taken.line if taken else self._words("slack.busy"), body)
        self._begin(taken)

    async def _take(self, asked: Asked) -> Taken | None:
        """None where the desk takes too long. What it still takes then is begun: it is stored, and somebody waits."""
        taking = asyncio.ensure_future(self._taken(asked))
        self._errands.keep(taking)
        await asyncio.wait({taking}, timeout=TAKE_SECONDS)
        if taking.done():
            return taking.result()
        logger.warning("not taken in time: %s", asked.key)
        taking.add_done_callback(lambda late: None if late.cancelled() else self._begin(late.result()))
        return None

    async def _taken(self, asked: Asked) -> Taken | None:
        try:
            return await self._desk.take(asked)
        except Exception:
            logger.exception("not taken: %s", asked.key)
            return None

    def _begin(self, taken: Taken | None) -> None:
        """The last thing that a listener does; it cannot raise."""
        if taken is None:
            return
        try:
            self._desk.begin(taken)
        except Exception:
            logger.exception("not begun: %s", taken.asked.key)

    # -- what happens to chats, and the bot's own page

    async def _chat_changed(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        event = body.get("event") or {}
        kind, channel = event.get("type"), event.get("channel")
        if kind == MOVED:
            old, new = event.get("old_channel_id"), event.get("new_channel_id")
            if isinstance(old, str) and isinstance(new, str):
                self._errands.run("channel moved", self._desk.moved(translate.chat(old), new))
        elif not isinstance(channel, str):
            logger.info("an event without a channel: %s", kind)
        elif kind in LEFT:
            self._errands.run("channel left", self._desk.left(translate.chat(channel), LEFT[kind]))
        elif kind != "member_joined_channel" or event.get("user") == self._me(body):
            self._errands.run("channel joined", self._desk.arrived(translate.chat(channel), may_post=True))
        await ack()

    async def _home_opened(self, ack: AsyncAck, body: dict[str, Any]) -> None:
        event = body.get("event") or {}
        user, view = event.get("user"), event.get("view")
        if event.get("tab", "home") == "home" and isinstance(user, str):
            seen = view.get("hash") if isinstance(view, dict) else None
            self._errands.run("home", self._publish_home(user, seen if isinstance(seen, str) else None))
        await ack()

    async def _publish_home(self, user: str, seen: str | None) -> None:
        """A page that changed meanwhile (`hash_conflict`) is left as it is: it is newer than this one."""
        document = await self._desk.home(f"slack:{user}", "")
        view = {"type": "home", "blocks": self._blocks(document)[:HOME_BLOCKS]}
        await self._client.views_publish(user_id=user, view=view, **({"hash": seen} if seen else {}))

    # -- what is said beside

    async def _react(self, asked: Asked) -> None:
        async with self._reacting:
            await self._client.reactions_add(channel=asked.address.target, timestamp=asked.message, name=SEEN)

    def _whisper(self, asked: Asked, line: str, body: Body) -> None:
        """A line for this user alone; nothing for no line."""
        if line:
            self._errands.run("whisper", self._whispered(asked, shown(line), body.get("response_url")))

    async def _whispered(self, asked: Asked, text: str, response_url: object) -> None:
        user = asked.user.removeprefix("slack:")
        try:
            await self._client.chat_postEphemeral(
                channel=asked.address.target, user=user, text=text, thread_ts=asked.thread or None
            )
        except SlackApiError as error:
            if not isinstance(response_url, str):
                raise
            logger.info("whisper: refused (%s), answered at the response_url", code_of(error))
            webhook = AsyncWebhookClient(response_url, retry_handlers=[], logger=UNHEARD, trust_env_in_session=True)
            webhook.proxy = None  # the session heeds the environment, NO_PROXY included
            await webhook.send(text=text, response_type="ephemeral", replace_original=False)

    def _busy(self) -> dict[str, Any]:
        return _ephemeral(self._words("slack.busy"))

    def _words(self, key: str) -> str:
        return texts.load(self._options.language)(key)

    # -- who we are, and what goes wrong

    def _me(self, body: Body) -> str:
        return translate.own_id(body) or self._own_id

    async def _learn_who_we_are(self) -> None:
        """Events name the bot, and where they do not, this does."""
        while not self._own_id:
            try:
                identity = await self._client.auth_test()
                self._own_id = str(identity.get("user_id") or "")
            except SlackApiError as error:
                logger.warning("the bot does not know its own name yet: %s", code_of(error))
            except Exception as error:  # noqa: BLE001 - the network, or an answer that is none; it is tried again
                logger.warning("the bot does not know its own name yet: %s", type(error).__name__)
            if not self._own_id:
                await asyncio.sleep(IDENTITY_SECONDS)

    async def _failed(self, error: Exception, body: dict[str, Any]) -> BoltResponse:
        """What nobody listens to (a link was tapped) is fine; what failed is logged, and Slack sends it again."""
        if isinstance(error, BoltUnhandledRequestError):
            logger.debug("nobody listens to %s", body.get("type"))
            return BoltResponse(status=200, body="")
        logger.error("event failed", exc_info=error)
        return BoltResponse(status=500, body="")


async def _nobody() -> AuthorizeResult:
    return AuthorizeResult(enterprise_id=None, team_id=None)


def _warnings() -> logging.Logger:
    """Below WARNING Bolt logs requests whole."""
    logger = logging.getLogger("slack_bolt.paperboy")
    logger.setLevel(logging.WARNING)
    return logger


def _shown_command(taken: Taken) -> str | dict[str, Any]:
    """A command that is answered stands in the channel, as what it answers; else nobody but its user sees a line."""
    if taken.requests or taken.view:
        return {"response_type": "in_channel"}
    return _ephemeral(taken.line) if taken.line else ""


def _ephemeral(line: str) -> dict[str, Any]:
    return {"response_type": "ephemeral", "text": shown(line)}
