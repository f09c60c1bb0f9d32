"""What the Telegram stand-in gives the bot: updates, by long polling or to a webhook, and what people do in chats."""

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

Json = dict[str, Any]

# What an empty or missing allowed_updates leaves out, https://core.telegram.org/bots/api#getupdates
NOT_BY_DEFAULT = {"chat_member", "message_reaction", "message_reaction_count"}
UPDATES_AT_ONCE = 100
WEBHOOK_PORTS = {443, 80, 88, 8443}
RETRY_SECONDS = 0.05  # Telegram waits longer; nothing that depends on how long
SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"
OTHER_POLLER = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
WEBHOOK_IS_SET = "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete it first"


class RefusalError(Exception):
    """An answer that is not `ok`."""

    def __init__(self, status: int, description: str, parameters: Json | None = None) -> None:
        super().__init__(description)
        self.status = status
        self.parameters = parameters or {}

    def answer(self) -> web.Response:
        body: Json = {"ok": False, "error_code": self.status, "description": str(self)}
        return web.json_response(
            body | ({"parameters": self.parameters} if self.parameters else {}), status=self.status
        )


@dataclass
class Inbox:
    """Updates that the bot has not confirmed yet, oldest first. A webhook gets each until it answers 200."""

    pending: list[Json] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)
    webhook: Json = field(default_factory=dict)
    polls: int = 0
    conflicts: int = 0  # polls that another one ended
    pushes: int = 0
    last_error: str = ""
    _number: int = 0
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _flying: dict[int, asyncio.Task[None]] = field(default_factory=dict)

    def add(self, kind: str, content: Json) -> int:
        """A new update, unless the bot does not want its kind. Gives its ID."""
        self._number += 1
        wanted = kind in self.allowed if self.allowed else kind not in NOT_BY_DEFAULT
        if wanted:
            self.pending.append({"update_id": self._number, kind: content})
            self._arrived.set()
            self.push()
        return self._number

    async def poll(self, parameters: Json) -> list[Json]:
        """getUpdates: an offset confirms everything before it; a second poll ends the first."""
        if self.webhook:
            raise RefusalError(409, WEBHOOK_IS_SET)
        self.polls += 1
        mine = self.polls
        self.allowed = parameters.get("allowed_updates", self.allowed)
        self._confirm(int(parameters.get("offset", 0)))
        limit = int(parameters.get("limit", UPDATES_AT_ONCE))
        time = asyncio.get_running_loop().time
        end = time() + float(parameters.get("timeout", 0))
        self._arrived.set()  # an older poll has to end
        while True:
            if self.webhook:
                raise RefusalError(409, "Conflict: terminated by setWebhook request")
            if mine != self.polls:
                self.conflicts += 1
                raise RefusalError(409, OTHER_POLLER)
            if self.pending or time() >= end:
                return self.pending[:limit]
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), end - time())
            except TimeoutError:
                return []

    def _confirm(self, offset: int) -> None:
        if offset < 0:
            self.pending = self.pending[offset:]
        else:
            self.pending = [update for update in self.pending if update["update_id"] >= offset]

    def set_webhook(self, parameters: Json) -> bool:
        """https://core.telegram.org/bots/api#setwebhook; plain HTTP on loopback, too, where no bot has HTTPS."""
        url = parameters.get("url", "")
        if not url:
            return self.delete_webhook({})
        found = urlsplit(url)
        local = found.scheme == "http" and found.hostname == "127.0.0.1"
        if not local and found.scheme != "https":
            raise RefusalError(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
        if not local and (found.port or 443) not in WEBHOOK_PORTS:
            raise RefusalError(400, "Bad Request: bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")
        if not re.fullmatch(r"[A-Za-z0-9_-]{0,256}", parameters.get("secret_token", "")):
            raise RefusalError(400, "Bad Request: secret token contains unallowed characters")
        if not 1 <= int(parameters.get("max_connections", 40)) <= 100:
            raise RefusalError(400, "Bad Request: max_connections must be from 1 to 100")
        self.allowed = parameters.get("allowed_updates", self.allowed)
        self.webhook = parameters
        self._arrived.set()
        self.push()
        return True

    def delete_webhook(self, parameters: Json) -> bool:
        self.webhook = {}
        if parameters.get("drop_pending_updates") in ("true", "True"):
            self.pending.clear()
        return True

    def webhook_info(self, _: Json) -> Json:
        info: Json = {
            "url": self.webhook.get("url", ""),
            "has_custom_certificate": False,
            "pending_update_count": len(self.pending),
        }
        error = {"last_error_date": 1772000000, "last_error_message": self.last_error} if self.last_error else {}
        return info | error

    def push(self) -> None:
        """Sends what is pending to the webhook, each update by itself."""
        if not self.webhook:
            return
        for update in self.pending:
            if update["update_id"] not in self._flying:
                self._flying[update["update_id"]] = asyncio.create_task(self._deliver(update))

    async def _deliver(self, update: Json) -> None:
        async with aiohttp.ClientSession() as session:
            while self.webhook and update in self.pending:
                if await self._is_taken(session, update):
                    self.pending.remove(update)
                    break
                await asyncio.sleep(RETRY_SECONDS)
        del self._flying[update["update_id"]]

    async def _is_taken(self, session: aiohttp.ClientSession, update: Json) -> bool:
        self.pushes += 1
        secret = self.webhook.get("secret_token")
        try:
            headers = {SECRET_HEADER: secret} if secret else {}
            async with session.post(self.webhook["url"], json=update, headers=headers) as answer:
                if answer.ok:
                    return True
                self.last_error = f"Wrong response from the webhook: {answer.status} {answer.reason}"
        except aiohttp.ClientError:
            self.last_error = "Connection refused"
        return False

    async def close(self) -> None:
        flying = list(self._flying.values())
        for task in flying:
            task.cancel()
        await asyncio.gather(*flying, return_exceptions=True)
