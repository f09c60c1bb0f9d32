"""How Slack sends what happens: envelopes over Socket Mode's websockets, or signed requests over HTTP; sent again
when nobody acknowledges. https://docs.slack.dev/apis/events-api/using-socket-mode and .../events-api#retries
"""

import asyncio
import hashlib
import hmac
import itertools
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

Json = dict[str, Any]

EVENTS, COMMANDS, INTERACTIVE = "events_api", "slash_commands", "interactive"
CONNECTIONS = 10  # of one app


@dataclass
class Sent:
    """Something that Slack sent, and what came back. `answer` is the acknowledgement's payload, None without one.

    `seconds` run from the first try to the acknowledgement; `tries` counts them, `statuses` are HTTP's.
    """

    kind: str
    body: Json
    tries: int = 0
    seconds: float = -1.0
    answer: Json | None = None
    statuses: list[int] = field(default_factory=list)

    @property
    def acknowledged(self) -> bool:
        return self.seconds >= 0


@dataclass
class Sender:
    """Delivers to one of the open websockets in turn, or to `events_url` where one is set."""

    signing_secret: str = "signing-secret"
    events_url: str = ""
    ack_seconds: float = 3.0  # Slack's own; a test that waits for a second try makes it shorter
    retries: int = 3  # of events; commands and interactions are sent once
    lose_acks: int = 0  # so many acknowledgements over a websocket never arrive: the event goes to the next one, too
    first_retry_seconds: float = 0.0  # at once, then after a minute and five: the stand-in keeps to the first
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._acks: dict[str, asyncio.Future[Json]] = {}
        self._numbers = itertools.count(1)
        self._arrival = asyncio.Event()
        self._turn = 0
        self._session: aiohttp.ClientSession | None = None
        self.connected = 0  # how many connections there ever were

    # -- Socket Mode

    async def socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        self.connected += 1
        await socket.send_json({"type": "hello", "num_connections": len(self.sockets), "connection_info": {}})
        self._arrival.set()
        try:
            async for frame in socket:
                if frame.type is aiohttp.WSMsgType.TEXT:
                    self._acknowledged(json.loads(frame.data))
        finally:
            if socket in self.sockets:
                self.sockets.remove(socket)
        return socket

    def _acknowledged(self, ack: Json) -> None:
        waiting = self._acks.get(str(ack.get("envelope_id")))
        assert set(ack) <= {"envelope_id", "payload"}, ack
        if waiting and not waiting.done():
            waiting.set_result(ack)

    async def disconnect(self, reason: str = "refresh_requested") -> None:
        """Asks every client to connect anew, as Slack does every few hours."""
        for socket in list(self.sockets):
            await socket.send_json({"type": "disconnect", "reason": reason, "debug_info": {"host": "stand-in"}})

    async def hang_up(self) -> None:
        """Closes every connection."""
        for socket in list(self.sockets):
            await socket.close()

    async def _open_socket(self) -> web.WebSocketResponse:
        while not (live := [socket for socket in self.sockets if not socket.closed]):
            self._arrival.clear()
            await self._arrival.wait()
        self._turn += 1
        return live[self._turn % len(live)]

    async def _over_socket(self, sent: Sent) -> bool:
        socket = await self._open_socket()
        envelope_id = f"envelope-{next(self._numbers)}"
        retry = {"retry_attempt": sent.tries - 1, "retry_reason": "timeout" if sent.tries > 1 else ""}
        envelope = {
            "envelope_id": envelope_id,
            "type": sent.kind,
            "accepts_response_payload": sent.kind != EVENTS,
            "payload": sent.body,
            **(retry if sent.kind == EVENTS else {}),
        }
        self._acks[envelope_id] = asyncio.get_running_loop().create_future()
        try:
            await socket.send_json(envelope)
            ack = await asyncio.wait_for(self._acks[envelope_id], self.ack_seconds)
        except (TimeoutError, ConnectionError):
            return False
        if self.lose_acks > 0:
            self.lose_acks -= 1
            return False
        payload = ack.get("payload")
        assert payload is None or sent.kind != EVENTS, "events take no answer"
        sent.answer = payload if isinstance(payload, dict) else {}
        return True

    # -- HTTP

    async def _over_http(self, sent: Sent) -> bool:
        if sent.kind == EVENTS:
            content_type, body = "application/json", json.dumps(sent.body)
        elif sent.kind == COMMANDS:
            content_type, body = "application/x-www-form-urlencoded", urlencode(sent.body)
        else:
            content_type = "application/x-www-form-urlencoded"
            body = urlencode({"payload": json.dumps(sent.body)})
        headers = {"Content-Type": content_type, **self.signed(body)}
        if sent.tries > 1:
            headers |= {"X-Slack-Retry-Num": str(sent.tries - 1), "X-Slack-Retry-Reason": "http_timeout"}
        try:
            status, text = await self.posts(body, headers)
        except (TimeoutError, aiohttp.ClientError):
            return False
        sent.statuses.append(status)
        sent.answer = json.loads(text) if text.startswith("{") else ({"text": text} if text else {})
        return status == 200

    def signed(self, body: str, at: float | None = None, secret: str | None = None) -> dict[str, str]:
        """The headers that prove that a body is Slack's."""
        stamp = str(int(time.time() if at is None else at))
        key = (self.signing_secret if secret is None else secret).encode()
        digest = hmac.new(key, f"v0:{stamp}:{body}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
        return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}"}

    async def posts(self, body: str | bytes, headers: Mapping[str, str]) -> tuple[int, str]:
        """One request to the app, as it is."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self.ack_seconds))
        async with self._session.post(self.events_url, data=body, headers=dict(headers)) as answer:
            return answer.status, await answer.text()

    async def close(self) -> None:
        await self.hang_up()
        if self._session:
            await self._session.close()

    # -- either

    async def send(self, kind: str, body: Json) -> Sent:
        """Returns when it is acknowledged, or was tried often enough."""
        sent = Sent(kind, body)
        self.sent.append(sent)
        started = time.monotonic()
        for _ in range(1 + (self.retries if kind == EVENTS else 0)):
            sent.tries += 1
            if await (self._over_http(sent) if self.events_url else self._over_socket(sent)):
                sent.seconds = time.monotonic() - started
                break
            await asyncio.sleep(self.first_retry_seconds)
        return sent
