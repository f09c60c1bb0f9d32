"""Slack on loopback, after https://docs.slack.dev/reference/methods: strict, with faults on demand.

Its Web API here, and what people do in it (tests/slack_people.py): `types`, `mentions`, `direct`, `taps`, `shortcut`.

Blocks are checked by a JSON schema of the official types (tests/data/slack_blocks.schema.json) and by the totals that
Slack applies beside them. A message in which a mention would be live fails the test when the server is left.
"""

import asyncio
import json
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from aiohttp import web

from tests.slack_people import ALICE, People, Place
from tests.slack_rules import (
    UNFETCHABLE,
    Json,
    RefusedError,
    as_seen,
    content,
    has_pictures,
    live_mentions,
    metadata,
    view,
)
from tests.standin import StandIn, cut

__all__ = [
    "ALICE",
    "SCOPES",
    "UPDATE_BYTES",
    "Apply",
    "Place",
    "SlackStandIn",
    "Whisper",
    "broken",
    "hang",
    "post_then_500",
    "post_then_cut",
    "ratelimited",
    "read_then_cut",
    "says",
]

SCOPES = (
    "chat:write",
    "app_mentions:read",
    "commands",
    "channels:history",
    "channels:read",
    "groups:history",
    "groups:read",
    "im:history",
    "reactions:write",
)
RESPONSES = 5  # what a response_url takes, in half an hour
UPDATE_BYTES = 4_000  # of text, as live tests say; the documentation says characters
BURST, REFILL_SECONDS = 10, 1.0  # the optional flood limit
Apply = Callable[[], web.Response]
Fault = Callable[[web.Request, Apply], Awaitable[web.Response]]


def says(error: str, **more: object) -> Fault:
    """Answers `ok: false` with `error` and does nothing."""

    async def fault(request: web.Request, apply: Apply) -> web.Response:
        return web.json_response({"ok": False, "error": error, **more})

    return fault


def ratelimited(seconds: float | None = 1) -> Fault:
    async def fault(request: web.Request, apply: Apply) -> web.Response:
        headers = {} if seconds is None else {"Retry-After": str(seconds)}
        return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)

    return fault


def broken(status: int = 500, body: str = "<html>oops</html>", content_type: str = "text/html") -> Fault:
    """An answer that is not Slack's API."""

    async def fault(request: web.Request, apply: Apply) -> web.Response:
        return web.Response(status=status, text=body, content_type=content_type)

    return fault


async def read_then_cut(request: web.Request, apply: Apply) -> web.Response:
    return cut(request)


async def post_then_cut(request: web.Request, apply: Apply) -> web.Response:
    apply()
    return cut(request)


async def post_then_500(request: web.Request, apply: Apply) -> web.Response:
    apply()
    return web.Response(status=500)


async def hang(request: web.Request, apply: Apply) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError("never woken")


@dataclass(frozen=True)
class Whisper:
    """A line that one user alone sees."""

    channel: str
    user: str
    text: str
    thread: str = ""
    response_url: str = ""


@dataclass
class SlackStandIn(StandIn, People):
    """`SlackStandIn(channels={"C0PAPERS": "papers"})`: IDs and names of channels that the bot is in.

    `faults[method]` are used up one a call; `flood` answers 429 to more than a burst of posts and then one a second;
    with `pictures=False` no picture can be fetched, and Slack refuses every message that has one. `whispers` are the
    lines for one user alone, `homes` the views of App Home by user.
    """

    token: str = "xoxb-stand-in"
    app_token: str = "xapp-stand-in"
    channels: Mapping[str, str] = field(default_factory=lambda: {"C0PAPERS": "papers"})
    scopes: tuple[str, ...] = SCOPES
    flood: bool = False
    pictures: bool = True
    rang: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    faults: dict[str, deque[Fault]] = field(default_factory=lambda: defaultdict(deque))

    def __post_init__(self) -> None:
        People.__post_init__(self)
        self.whispers: list[Whisper] = []
        self.homes: dict[str, Json] = {}
        self.response_urls: dict[str, tuple[str, str, int]] = {}
        self.places = {id_: Place(id_, name) for id_, name in self.channels.items()}
        self._last_ts = 0.0
        self._tokens: dict[str, tuple[float, float]] = {}

    @property
    def api_url(self) -> str:
        return f"{self.url}/api/"

    def fail(self, method: str, *faults: Fault) -> None:
        self.faults[method].extend(faults)

    def calls(self, method: str) -> list[Json]:
        """The arguments of every call of `method`, in order."""
        return [_arguments(a.headers, a.query, a.body) for a in self.asked if a.path == f"/api/{method}"]

    def posted(self, channel: str = "C0PAPERS") -> list[Json]:
        return self.places[channel].messages

    async def __aexit__(self, *exc: object) -> None:
        await super().__aexit__(*exc)
        if exc[0] is None:
            assert not self.rang, f"live mentions: {self.rang}"

    def routes(self, app: web.Application) -> None:
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_get("/socket", self.socket)
        app.router.add_post("/response/{number}", self._respond)
        app.on_shutdown.append(lambda _: self.close())

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        arguments = _arguments(request.headers, request.query, await request.text())

        def apply() -> web.Response:
            return self._answer(method, request, arguments)

        if self.faults[method]:
            return await self.faults[method].popleft()(request, apply)
        return apply()

    def _answer(self, method: str, request: web.Request, arguments: Json) -> web.Response:
        headers = {"x-oauth-scopes": ",".join(self.scopes), "x-slack-req-id": "stand-in"}
        handlers = {
            "auth.test": self._auth_test,
            "chat.postMessage": self._post,
            "chat.postEphemeral": self._whisper,
            "chat.update": self._update,
            "chat.delete": self._delete,
            "reactions.add": self._react,
            "views.publish": self._publish,
            "chat.getPermalink": self._permalink,
            "conversations.history": self._history,
            "conversations.replies": self._replies,
            "conversations.info": self._info,
            "apps.connections.open": self._connections_open,
        }
        try:
            self._authorize(request, arguments, self.app_token if method.startswith("apps.") else self.token)
            return web.json_response({"ok": True, **handlers.get(method, _unknown)(arguments)}, headers=headers)
        except RefusedError as refused:
            self.refusals.append(str(refused))
            status = 429 if str(refused) == "ratelimited" else 200
            more = {"Retry-After": "1"} if status == 429 else {}
            return web.json_response(refused.answer, status=status, headers=headers | more)

    def _authorize(self, request: web.Request, arguments: Json, token: str) -> None:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ") or arguments.pop("token", "")
        if not given:
            raise RefusedError("not_authed")
        if given != token:
            raise RefusedError("not_allowed_token_type" if given.startswith("xapp-") else "invalid_auth")

    def _need(self, *scopes: str) -> None:
        if not set(scopes) & set(self.scopes):
            raise RefusedError("missing_scope", needed=",".join(scopes), provided=",".join(self.scopes))

    def _place(self, name: object, *, by_name: bool = False) -> Place:
        for place in self.places.values():
            if name == place.id or (by_name and str(name).removeprefix("#") == place.name):
                return place
        raise RefusedError("channel_not_found")

    def _auth_test(self, arguments: Json) -> Json:
        return {
            "url": "https://team.slack.com/",
            "team": "Team",
            "user": "paperboy",
            "team_id": "T0TEAM",
            "user_id": "U0BOT",
            "bot_id": "B0BOT",
        }

    def _post(self, arguments: Json) -> Json:
        self._need("chat:write")
        place = self._place(arguments.get("channel"), by_name=True)
        if place.private and not place.member:
            raise RefusedError("channel_not_found")
        if not place.member and "chat:write.public" not in self.scopes:
            raise RefusedError("not_in_channel")
        if place.archived:
            raise RefusedError("is_archived")
        self._flood(place)
        message = self._message(arguments, place)
        place.messages.append(message)
        return {"channel": place.id, "ts": message["ts"], "message": message}

    def _flood(self, place: Place) -> None:
        now = time.monotonic()
        tokens, at = self._tokens.get(place.id, (float(BURST), now))
        tokens = min(BURST, tokens + (now - at) / REFILL_SECONDS)
        if self.flood and tokens < 1:
            self._tokens[place.id] = (tokens, now)
            raise RefusedError("ratelimited")
        self._tokens[place.id] = (tokens - 1, now)

    def _message(self, arguments: Json, place: Place) -> Json:
        said = content(arguments)
        if not self.pictures and has_pictures(said.get("blocks", [])):
            raise RefusedError("invalid_blocks", response_metadata={"messages": [f"[ERROR] {UNFETCHABLE}"]})
        self.rang.extend(live_mentions(said, arguments))
        message: Json = {"type": "message", "user": "U0BOT", "bot_id": "B0BOT", "ts": self._stamp(), **said}
        if "metadata" in arguments:
            message["metadata"] = metadata(arguments["metadata"])
        if "thread_ts" in arguments:
            if arguments["thread_ts"] not in [root["ts"] for root in place.roots]:
                raise RefusedError("thread_not_found")
            message["thread_ts"] = arguments["thread_ts"]
        return message

    def _stamp(self) -> str:
        self._last_ts = max(self._last_ts + 0.000001, time.time())
        return f"{self._last_ts:.6f}"

    def _update(self, arguments: Json) -> Json:
        self._need("chat:write")
        message = self._own(arguments, "cant_update_message")
        said = content(arguments)
        if not self.pictures and has_pictures(said.get("blocks", [])):
            raise RefusedError("invalid_blocks", response_metadata={"messages": [f"[ERROR] {UNFETCHABLE}"]})
        if len(str(said.get("text", "")).encode()) > UPDATE_BYTES:
            raise RefusedError("msg_too_long")
        self.rang.extend(live_mentions(said, arguments))
        message.pop("blocks", None)  # which a text without blocks takes away
        message.update(said)
        if "metadata" in arguments:
            message["metadata"] = metadata(arguments["metadata"])
        return {"channel": arguments["channel"], "ts": message["ts"], "text": said.get("text", "")}

    def _own(self, arguments: Json, error: str) -> Json:
        message = self._found(arguments, "message_not_found")
        if message.get("bot_id") != "B0BOT":
            raise RefusedError(error)
        return message

    def _delete(self, arguments: Json) -> Json:
        self._need("chat:write")
        self._place(arguments["channel"]).messages.remove(self._own(arguments, "cant_delete_message"))
        return {"channel": arguments["channel"], "ts": arguments["ts"]}

    def _react(self, arguments: Json) -> Json:
        self._need("reactions:write")
        message = self._found({**arguments, "ts": arguments.get("timestamp")}, "message_not_found")
        name = str(arguments["name"])
        if name in message.setdefault("reactions", []):
            raise RefusedError("already_reacted")
        message["reactions"].append(name)
        return {}

    def _publish(self, arguments: Json) -> Json:
        given = arguments["view"]
        shown = view(json.loads(given) if isinstance(given, str) else given)
        standing = self.homes.get(str(arguments["user_id"]), {})
        if "hash" in arguments and arguments["hash"] != standing.get("hash"):
            raise RefusedError("hash_conflict")
        self.rang.extend(live_mentions({"text": "", "blocks": shown["blocks"]}, {}))
        self.homes[str(arguments["user_id"])] = {**shown, "hash": self._stamp()}
        return {"view": self.homes[str(arguments["user_id"])]}

    def _whisper(self, arguments: Json) -> Json:
        self._need("chat:write")
        place = self._place(arguments.get("channel"))
        if not place.member:
            raise RefusedError("not_in_channel")
        self._whispered(Whisper(place.id, arguments["user"], arguments["text"], arguments.get("thread_ts") or ""))
        return {"message_ts": self._stamp()}

    def _whispered(self, whisper: Whisper) -> None:
        self.rang.extend(live_mentions({"text": whisper.text}, {}))
        self.whispers.append(whisper)

    def response_url(self, channel: str, user: str) -> str:
        """A new address at which the app may answer one user a few times."""
        number = str(len(self.response_urls) + 1)
        self.response_urls[number] = (channel, user, 0)
        return f"{self.url}/response/{number}"

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        number = request.match_info["number"]
        channel, user, used = self.response_urls[number]
        if used >= RESPONSES:
            return web.json_response({"ok": False, "error": "used_url"}, status=404)
        self.response_urls[number] = (channel, user, used + 1)
        said = json.loads(await request.text())
        self._whispered(Whisper(channel, user, said["text"], response_url=str(request.url)))
        return web.Response(text="ok")

    def _permalink(self, arguments: Json) -> Json:
        message = self._found({**arguments, "ts": arguments.get("message_ts")}, "message_not_found")
        link = f"https://team.slack.com/archives/{arguments['channel']}/p{message['ts'].replace('.', '')}"
        return {"channel": arguments["channel"], "permalink": link}

    def _found(self, arguments: Json, error: str) -> Json:
        for message in self._place(arguments.get("channel")).messages:
            if message["ts"] == arguments.get("ts"):
                return message
        raise RefusedError(error)

    def _readable(self, arguments: Json) -> Place:
        place = self._place(arguments.get("channel"))
        if place.private and not place.member:
            raise RefusedError("channel_not_found")
        self._need("groups:history" if place.private else "channels:history")
        if not place.member:
            raise RefusedError("not_in_channel")
        return place

    def _history(self, arguments: Json) -> Json:
        place = self._readable(arguments)
        return _page([_shown(m, arguments) for m in reversed(place.roots)], arguments)

    def _replies(self, arguments: Json) -> Json:
        place = self._readable(arguments)
        root = next((m for m in place.roots if m["ts"] == arguments.get("ts")), None)
        if root is None:
            raise RefusedError("thread_not_found")
        return _page([_shown(m, arguments) for m in (root, *place.replies(root["ts"]))], arguments)

    def _info(self, arguments: Json) -> Json:
        place = self._place(arguments.get("channel"))
        self._need("groups:read" if place.private else "channels:read")
        if place.private and not place.member:
            raise RefusedError("channel_not_found")
        names = {"id": place.id, "name": place.name, "is_channel": True, "is_private": place.private}
        return {"channel": {**names, "is_archived": place.archived, "is_member": place.member}}

    def _connections_open(self, arguments: Json) -> Json:
        return {"url": f"ws://127.0.0.1:{self.port}/socket?ticket=secret-ticket"}

    def show(self, channel: str = "C0PAPERS") -> str:
        """The channel as its readers see it, threads indented."""
        place = self.places[channel]
        lines = [f"#{place.name}"]
        for root in place.roots:
            lines += ["", *as_seen(root)]
            for reply in place.replies(root["ts"]):
                lines += ["", *(f"    │ {line}" for line in as_seen(reply))]
        return "\n".join(lines)


def _unknown(arguments: Json) -> Json:
    raise RefusedError("unknown_method")


def _arguments(headers: Mapping[str, str], query: Mapping[str, str], body: str) -> Json:
    """JSON or form arguments; in a form, blocks and metadata are JSON text."""
    if headers.get("Content-Type", "").startswith("application/json"):
        loaded = json.loads(body)
        assert isinstance(loaded, dict)
        return {**query, **loaded}
    arguments: Json = {**query, **dict(parse_qsl(body, keep_blank_values=True))}
    for name in ("blocks", "metadata"):
        if name in arguments:
            arguments[name] = json.loads(arguments[name])
    return arguments


def _shown(message: Json, arguments: Json) -> Json:
    """Metadata is there for who asks for it, from apps that have it."""
    asked = str(arguments.get("include_all_metadata", "")).lower() in ("1", "true")
    return {name: value for name, value in message.items() if name != "metadata" or asked}


def _page(messages: list[Json], arguments: Json) -> Json:
    oldest = float(arguments.get("oldest") or 0)
    # The parent of a thread is on every page of its replies.
    newer = [m for m in messages if float(m["ts"]) > oldest or m.get("ts") == arguments.get("ts")]
    start, limit = int(arguments.get("cursor") or 0), int(arguments.get("limit") or 100)
    page, more = newer[start : start + limit], len(newer) > start + limit
    cursor = {"response_metadata": {"next_cursor": str(start + limit)}} if more else {}
    return {"messages": page, "has_more": more, **cursor}
