"""A Bot API server on loopback, written after https://core.telegram.org/bots/api and strict where that is strict.

Texts and entities go through TDLib's own parser. What the real server would silently repair or drop (entities above
100, blanks at the ends, unknown parameters) is a violation here, and leaving the stand-in fails on it.
"""

import asyncio
import itertools
import json
import re
import unicodedata
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import tdjson
from aiohttp import web
from telegram.constants import ReactionEmoji

from tests.standin import StandIn, cut
from tests.telegram_inbox import Inbox, Json, RefusalError
from tests.telegram_limits import Flood

TOKEN = "123456789:AAGfakefakefakefakefakefakefakefake"
BOT_ID = 123456789
GROUP = -1001234567890
TEXT_UNITS = 4096
ENTITIES = 100
ASKER = 42  # who types, where a test does not say who
TYPED_FROM = 5001  # the IDs of messages that people write
BUTTONS_PER_ROW = 8
TOAST_CHARACTERS = 200
COMMANDS = 100
CALLBACK_BYTES = 64
SEND_PARAMETERS = {
    "chat_id",
    "message_thread_id",
    "text",
    "entities",
    "link_preview_options",
    "disable_notification",
    "protect_content",
    "reply_parameters",
    "reply_markup",
}
# https://core.telegram.org/bots/api#linkpreviewoptions
PREVIEW_OPTIONS = {
    "is_disabled": bool,
    "url": str,
    "prefer_small_media": bool,
    "prefer_large_media": bool,
    "show_above_text": bool,
}
DRAFT_PARAMETERS = {"chat_id", "draft_id", "text", "message_thread_id", "entities"}
REPLY_PARAMETERS = {"message_id", "allow_sending_without_reply"}
# Those whose scope names a chat, https://core.telegram.org/bots/api#botcommandscope
CHAT_SCOPES = {"chat": {"chat_id"}, "chat_administrators": {"chat_id"}, "chat_member": {"chat_id", "user_id"}}
WIDE_SCOPES = {"default", "all_private_chats", "all_group_chats", "all_chat_administrators"}
EDIT_PARAMETERS = {"chat_id", "message_id", "text", "entities", "link_preview_options", "reply_markup"}
STRUCTURED = {"entities", "reply_markup", "link_preview_options", "allowed_updates", "reply_parameters"}
STRUCTURED |= {"reaction", "commands", "scope"}
TD_TYPES = {
    "bold": "Bold",
    "italic": "Italic",
    "underline": "Underline",
    "strikethrough": "Strikethrough",
    "spoiler": "Spoiler",
    "code": "Code",
    "pre": "Pre",
    "blockquote": "BlockQuote",
    "expandable_blockquote": "ExpandableBlockQuote",
    "text_link": "TextUrl",
}
# What Telegram finds by itself in what people type.
TYPED_ENTITIES = {"Mention": "mention", "BotCommand": "bot_command", "Url": "url", "Hashtag": "hashtag"}


@dataclass
class Chat:
    """A chat as the bot finds it. `topics` are the IDs of a forum's topics (None: no forum)."""

    id: int = GROUP
    type: str = "supergroup"
    title: str = "Vision Lab"
    username: str = ""
    topics: set[int] | None = None
    closed_topics: set[int] = field(default_factory=set)
    status: str = "administrator"  # of the bot: administrator, member, restricted, left, kicked
    may_post: bool = True  # as an administrator of a channel; as a restricted member
    members_may_send: bool = True
    moved_to: int | None = None  # a group that became a supergroup
    reactions: set[str] | None = None  # those that are allowed; None: all


@dataclass
class Posted:
    """A message of a chat as it stands now. `auto_links` is what Telegram turned into links by itself.

    `preview` is the address whose preview Telegram would show large above the text.
    """

    id: int
    text: str
    entities: list[Json]
    keyboard: list[list[Json]]
    thread: int | None
    silent: bool
    preview: str
    auto_links: list[str]
    edits: int = 0
    answers: int | None = None  # the message that it is shown as a reply to

    def marked(self, kind: str) -> list[str]:
        """The texts under entities of `kind`."""
        return [part(self.text, entity) for entity in self.entities if entity["type"] == kind]

    @property
    def links(self) -> dict[str, str]:
        return {part(self.text, entity): entity["url"] for entity in self.entities if entity["type"] == "text_link"}


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request instead of its answer. `handled`: it was carried out nevertheless."""

    status: int = 0
    description: str = ""
    parameters: Json = field(default_factory=dict)
    handled: bool = False
    seconds: float = 0.0


def too_many(retry_after: int) -> Fault:
    return Fault(429, f"Too Many Requests: retry after {retry_after}", {"retry_after": retry_after})


def kicked() -> Fault:
    return Fault(403, "Forbidden: bot was kicked from the supergroup chat")


def migrated(to: int) -> Fault:
    return Fault(400, "Bad Request: group chat was upgraded to a supergroup chat", {"migrate_to_chat_id": to})


def broken(status: int = 500) -> Fault:
    return Fault(status, "Internal Server Error")


def refused(description: str) -> Fault:
    return Fault(400, f"Bad Request: {description}")


def dropped(*, handled: bool) -> Fault:
    """The request is read and the connection dropped."""
    return Fault(handled=handled)


def conflict() -> Fault:
    return Fault(409, "Conflict: terminated by other getUpdates request; make sure that only one bot is running")


def slow(seconds: float) -> Fault:
    """The request is carried out at once and answered after `seconds`."""
    return Fault(200, handled=True, seconds=seconds)


def hang() -> Fault:
    """Accepted, read, never answered."""
    return Fault(seconds=3600.0)


@dataclass
class TelegramStandIn(StandIn):
    """`async with TelegramStandIn(chats=[Chat()]) as telegram:`; `telegram.messages()` is what the group shows.

    `faults` are used up one by one by sendMessage and editMessageText, before the request is looked at, `chat_faults`
    by the questions about a chat; `fail(method, fault, …)` is for all other methods. What people do: `types`, `taps`,
    `changes_membership`. With `strict=False` leaving it does not fail on `violations`.
    """

    token: str = TOKEN
    chats: list[Chat] = field(default_factory=lambda: [Chat()])
    faults: deque[Fault] = field(default_factory=deque)
    chat_faults: deque[Fault] = field(default_factory=deque)
    strict: bool = True
    flood: Flood | None = None  # answers 429 to what is more than the documented limits
    posted: dict[int, dict[int, Posted]] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    inbox: Inbox = field(default_factory=Inbox)
    method_faults: dict[str, deque[Fault]] = field(default_factory=dict)
    typed: dict[int, dict[int, Json]] = field(default_factory=dict)
    reactions: dict[tuple[int, int], list[str]] = field(default_factory=dict)
    toasts: dict[str, str] = field(default_factory=dict)
    drafts: list[Json] = field(default_factory=list)
    menus: dict[tuple[str, str], list[Json]] = field(default_factory=dict)
    _queries: set[str] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(101))  # of messages; a test may delete some

    def routes(self, app: web.Application) -> None:
        app.router.add_route("*", "/bot{token}/{method}", self._answer)

    async def __aexit__(self, *error: object) -> None:
        await self.inbox.close()
        await super().__aexit__(*error)
        if self.strict and error[0] is None:
            assert not self.violations, self.violations

    @property
    def sends(self) -> int:
        """Requests to post or edit, as they arrived."""
        return sum(asked.path.endswith(("/sendMessage", "/editMessageText")) for asked in self.asked)

    def messages(self, chat: int = GROUP) -> list[Posted]:
        return list(self.posted.get(chat, {}).values())

    @property
    def polls(self) -> int:
        return self.inbox.polls

    def fail(self, method: str, *faults: Fault) -> None:
        """The next requests of `method` end in `faults`, one by one."""
        self.method_faults.setdefault(method, deque()).extend(faults)

    def update(self, **content: Any) -> int:
        """Something that the bot will get: `update(message={...})`."""
        ((kind, value),) = content.items()
        return self.inbox.add(kind, value)

    def types(
        self, text: str, /, chat: int = GROUP, user: int = ASKER, reply_to: int | None = None, **changes: Any
    ) -> int:
        """Somebody writes `text`; gives the message's ID. `changes` are fields of the message, None leaves one out."""
        number = TYPED_FROM + sum(len(typed) for typed in self.typed.values())
        message: Json = {
            "message_id": number,
            "date": 1772000000,
            "chat": _chat_of(self._found(chat)),
            "from": person(user),
            "text": text,
            "entities": typed_entities(text),
        }
        if reply_to is not None:
            message["reply_to_message"] = self._message_at(chat, reply_to)
        message = {name: value for name, value in (message | changes).items() if value is not None}
        self.typed.setdefault(chat, {})[message["message_id"]] = message
        self.update(message=message)
        return int(message["message_id"])

    def taps(self, message_id: int, data: str, /, chat: int = GROUP, user: int = ASKER, **changes: Any) -> str:
        """Somebody taps a button of a message; gives the ID of the query."""
        query = str(4_000_000_000_000 + len(self._queries))
        self._queries.add(query)
        message = self._message_at(chat, message_id)
        tapped = {"id": query, "from": person(user), "chat_instance": "1", "message": message, "data": data} | changes
        self.update(callback_query={name: value for name, value in tapped.items() if value is not None})
        return query

    def changes_membership(self, old: Json, new: Json, chat: int = GROUP) -> None:
        """The bot's own membership changes: `old` and `new` are ChatMembers without their user."""
        me = self._get_me({})
        change = {"old_chat_member": old | {"user": me}, "new_chat_member": new | {"user": me}}
        about = {"chat": _chat_of(self._found(chat)), "from": person(ASKER), "date": 1772000000}
        self.update(my_chat_member=about | change)

    def _found(self, chat: int) -> Chat:
        return next(each for each in self.chats if each.id == chat)

    def _message_at(self, chat: int, message_id: int) -> Json:
        """A message as updates show it; one that nobody knows any more is inaccessible."""
        if (typed := self.typed.get(chat, {}).get(message_id)) is not None:
            return {name: value for name, value in typed.items() if name != "reply_to_message"}
        found = self._found(chat)
        if (posted := self.posted.get(chat, {}).get(message_id)) is not None:
            thread = {"message_thread_id": posted.thread, "is_topic_message": True} if posted.thread else {}
            return _message(found, posted) | {"from": self._get_me({})} | thread
        return {"message_id": message_id, "date": 0, "chat": _chat_of(found)}

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        try:
            self._authorize(request.match_info["token"])
            parameters = await _parameters(request)
            if faults := self._faults_of(method):
                return await self._fail(faults.popleft(), request, method, parameters)
            return web.json_response({"ok": True, "result": await self._call(method, parameters)})
        except RefusalError as refusal:
            return refusal.answer()

    def _authorize(self, token: str) -> None:
        if not re.fullmatch(r"\d+:[\w-]{30,}", token):
            raise RefusalError(404, "Not Found")
        if token != self.token:
            raise RefusalError(401, "Unauthorized")

    def _faults_of(self, method: str) -> deque[Fault]:
        if faults := self.method_faults.get(method):
            return faults
        if method in ("sendMessage", "editMessageText"):
            return self.faults
        return self.chat_faults if method in ("getChat", "getChatMember") else deque()

    async def _fail(self, fault: Fault, request: web.Request, method: str, parameters: Json) -> web.StreamResponse:
        result = await self._call(method, parameters) if fault.handled else None
        await asyncio.sleep(fault.seconds)
        if fault.status == 0:
            return cut(request)
        if fault.status == 200:
            return web.json_response({"ok": True, "result": result})
        raise RefusalError(fault.status, fault.description, fault.parameters)

    async def _call(self, method: str, parameters: Json) -> Any:
        handlers: dict[str, Callable[[Json], Any]] = {
            "getMe": self._get_me,
            "getChat": lambda given: self._chat_info(self._chat(given)),
            "getChatMember": self._get_chat_member,
            "sendMessage": self._send,
            "editMessageText": self._edit,
            "sendMessageDraft": self._draft,
            "setMessageReaction": self._react,
            "answerCallbackQuery": self._answer_query,
            "setMyCommands": self._set_commands,
            "setWebhook": self.inbox.set_webhook,
            "deleteWebhook": self.inbox.delete_webhook,
            "getWebhookInfo": self.inbox.webhook_info,
            "sendChatAction": lambda _: True,
        }
        if method == "getUpdates":
            return await self.inbox.poll(parameters)
        if method not in handlers:
            raise RefusalError(404, "Not Found: method not found")
        return handlers[method](parameters)

    def _get_me(self, _: Json) -> Json:
        me = {"id": BOT_ID, "is_bot": True, "first_name": "Paperboy", "username": "paperboy_bot"}
        return me | {"can_join_groups": True, "can_read_all_group_messages": False, "supports_inline_queries": False}

    def _chat(self, parameters: Json) -> Chat:
        wanted = str(parameters.get("chat_id", ""))
        for chat in self.chats:
            if wanted == str(chat.id) or (chat.username and wanted.lower() == f"@{chat.username}".lower()):
                if chat.moved_to is not None:
                    upgraded = "Bad Request: group chat was upgraded to a supergroup chat"
                    raise RefusalError(400, upgraded, {"migrate_to_chat_id": chat.moved_to})
                if chat.status == "kicked":
                    raise RefusalError(403, f"Forbidden: bot was kicked from the {chat.type} chat")
                return chat
        raise RefusalError(400, "Bad Request: chat not found")

    def _chat_info(self, chat: Chat) -> Json:
        info: Json = _chat_of(chat) | {
            "accent_color_id": 0,
            "max_reaction_count": 11,
            "accepted_gift_types": dict.fromkeys(
                ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels"),
                True,
            ),
        }
        if chat.type in ("group", "supergroup"):
            info["permissions"] = {"can_send_messages": chat.members_may_send}
        return info

    def _get_chat_member(self, parameters: Json) -> Json:
        chat = self._chat(parameters)
        member: Json = {"status": chat.status, "user": self._get_me({})}
        if chat.status == "administrator":
            rights = (
                "can_be_edited is_anonymous can_manage_chat can_delete_messages can_manage_video_chats "
                "can_restrict_members can_promote_members can_change_info can_invite_users can_post_stories "
                "can_edit_stories can_delete_stories"
            )
            return member | dict.fromkeys(rights.split(), False) | {"can_post_messages": chat.may_post}
        if chat.status == "restricted":
            rights = (
                "can_change_info can_invite_users can_pin_messages can_manage_topics can_send_audios "
                "can_send_documents can_send_photos can_send_videos can_send_video_notes can_send_voice_notes "
                "can_send_polls can_send_other_messages can_add_web_page_previews can_edit_tag can_react_to_messages"
            )
            sending = {"can_send_messages": chat.may_post, "is_member": True, "until_date": 0}
            return member | dict.fromkeys(rights.split(), False) | sending
        return member

    def _send(self, parameters: Json) -> Json:
        chat = self._writable(parameters, SEND_PARAMETERS)
        thread = int(parameters["message_thread_id"]) if "message_thread_id" in parameters else None
        if thread is not None and thread not in (chat.topics or ()):
            raise RefusalError(400, "Bad Request: message thread not found")
        if thread in chat.closed_topics:
            raise RefusalError(400, "Bad Request: TOPIC_CLOSED")
        self._flood(chat)
        messages = self.posted.setdefault(chat.id, {})
        number = next(self._numbers)
        answers = self._answers(chat, parameters.get("reply_parameters"))
        content = self._content(parameters)
        messages[number] = Posted(number, **content, thread=thread, silent=_flag(parameters), answers=answers)
        return _message(chat, messages[number])

    def _answers(self, chat: Chat, reply: Json | None) -> int | None:
        if reply is None:
            return None
        if unknown := set(reply) - REPLY_PARAMETERS:
            self.violations.append(f"unknown reply parameters: {sorted(unknown)}")
        if self._is_known(chat, reply["message_id"]):
            return int(reply["message_id"])
        if not reply.get("allow_sending_without_reply"):
            raise RefusalError(400, "Bad Request: message to be replied not found")
        return None

    def _is_known(self, chat: Chat, message_id: int) -> bool:
        return message_id in self.posted.get(chat.id, {}) or message_id in self.typed.get(chat.id, {})

    def _draft(self, parameters: Json) -> bool:
        """https://core.telegram.org/bots/api#sendmessagedraft"""
        chat = self._writable(parameters, DRAFT_PARAMETERS)
        if chat.type != "private":
            raise RefusalError(400, "Bad Request: message drafts can be sent only to private chats")
        if not -(2**31) <= int(parameters["draft_id"]) < 2**31 or int(parameters["draft_id"]) == 0:
            self._violate("Bad Request: invalid draft identifier specified")
        if units(parameters.get("text", "")) > TEXT_UNITS:
            self._violate("Bad Request: message is too long")
        td_entities(parameters.get("text", ""), parameters.get("entities", []))
        self.drafts.append(parameters)
        return True

    def _react(self, parameters: Json) -> bool:
        chat, message_id = self._chat(parameters), int(parameters["message_id"])
        if not self._is_known(chat, message_id):
            raise RefusalError(400, "Bad Request: message to react not found")
        chosen = parameters.get("reaction", [])
        if len(chosen) > 1:  # bots are no premium users
            self._violate("Bad Request: REACTIONS_TOO_MANY")
        allowed = set(ReactionEmoji) if chat.reactions is None else chat.reactions
        if any(each["type"] != "emoji" or each["emoji"] not in allowed for each in chosen):
            raise RefusalError(400, "Bad Request: REACTION_INVALID")
        self.reactions[chat.id, message_id] = [each["emoji"] for each in chosen]
        return True

    def _answer_query(self, parameters: Json) -> bool:
        if parameters["callback_query_id"] not in self._queries:
            late = "query is too old and response timeout expired or query ID is invalid"
            raise RefusalError(400, f"Bad Request: {late}")
        if units(parameters.get("text", "")) > TOAST_CHARACTERS:
            self._violate("Bad Request: MESSAGE_TOO_LONG")
        self.toasts[parameters["callback_query_id"]] = parameters.get("text", "")
        return True

    def _set_commands(self, parameters: Json) -> bool:
        """https://core.telegram.org/bots/api#setmycommands"""
        commands, scope = parameters.get("commands", []), parameters.get("scope", {"type": "default"})
        language = parameters.get("language_code", "")
        if len(commands) > COMMANDS:
            self._violate("Bad Request: BOT_COMMANDS_TOO_MUCH")
        for command in commands:
            if not re.fullmatch(r"[a-z0-9_]{1,32}", command["command"]):
                self._violate("Bad Request: BOT_COMMAND_INVALID")
            if not 1 <= len(command["description"]) <= 256:
                self._violate("Bad Request: BOT_COMMAND_DESCRIPTION_INVALID")
        if not re.fullmatch(r"([a-z]{2})?", language):
            self._violate("Bad Request: BOT_COMMAND_LANGUAGE_INVALID")
        kind = scope.get("type")
        if kind not in WIDE_SCOPES | CHAT_SCOPES.keys() or set(scope) != {"type"} | CHAT_SCOPES.get(kind, set()):
            self._violate("Bad Request: can't parse BotCommandScope")
        if kind in CHAT_SCOPES:
            self._chat(scope)
        self.menus[json.dumps(scope, sort_keys=True), language] = commands
        return True

    def _edit(self, parameters: Json) -> Json:
        chat = self._writable(parameters, EDIT_PARAMETERS)
        message = self.posted.get(chat.id, {}).get(int(parameters["message_id"]))
        if message is None:
            raise RefusalError(400, "Bad Request: message to edit not found")
        self._flood(chat)
        content = self._content(parameters)
        if all(getattr(message, name) == value for name, value in content.items()):
            same = "specified new message content and reply markup are exactly the same"
            raise RefusalError(400, f"Bad Request: message is not modified: {same} as a current content of the message")
        for name, value in content.items():
            setattr(message, name, value)
        message.edits += 1
        return _message(chat, message)

    def _writable(self, parameters: Json, known: set[str]) -> Chat:
        if unknown := set(parameters) - known:
            self.violations.append(f"unknown parameters: {sorted(unknown)}")
        chat = self._chat(parameters)
        if chat.status == "left":
            raise RefusalError(403, f"Forbidden: bot is not a member of the {chat.type} chat")
        if chat.type == "channel" and not (chat.status == "administrator" and chat.may_post):
            raise RefusalError(400, "Bad Request: need administrator rights in the channel chat")
        if (chat.status == "restricted" and not chat.may_post) or (
            chat.status == "member" and not chat.members_may_send
        ):
            raise RefusalError(400, "Bad Request: not enough rights to send text messages to the chat")
        return chat

    def _flood(self, chat: Chat) -> None:
        now = asyncio.get_running_loop().time()
        if self.flood and (wait := self.flood.retry_after(chat.id, now, is_private=chat.type == "private")):
            raise RefusalError(429, f"Too Many Requests: retry after {wait}", {"retry_after": wait})

    def _content(self, parameters: Json) -> Json:
        text, entities = parameters.get("text", ""), parameters.get("entities", [])
        if text != text.strip():
            self.violations.append(f"blanks at the ends: {text[:20]!r} … {text[-20:]!r}")
        if not text.strip():
            raise RefusalError(400, "Bad Request: message text is empty")
        if units(text) > TEXT_UNITS:
            self._violate("Bad Request: message is too long")
        if len(entities) > ENTITIES:
            self._violate(f"Bad Request: {len(entities)} entities; the server would drop those above {ENTITIES}")
        try:
            checked = td_entities(text, entities)
        except RefusalError as refusal:
            self.violations.append(str(refusal))
            raise
        keyboard = parameters.get("reply_markup", {}).get("inline_keyboard", [])
        for row in keyboard:
            self._check_row(row)
        preview = self._preview(parameters.get("link_preview_options", {}))
        return {
            "text": text,
            "entities": checked,
            "keyboard": keyboard,
            "preview": preview,
            "auto_links": auto_links(text, checked),
        }

    def _preview(self, options: Json) -> str:
        """No link of a text may be previewed by itself; a picture stands large above the text, or there is none."""
        for name, value in options.items():
            if not isinstance(value, PREVIEW_OPTIONS.get(name, ())):
                self._violate(f"Bad Request: can't parse link preview options: {name}={value!r}")
        if options.get("is_disabled"):
            if len(options) > 1:
                self.violations.append(f"a preview that is disabled has no look: {options}")
            return ""
        if set(options) != {"url", "prefer_large_media", "show_above_text"} or not all(options.values()):
            self.violations.append(f"the preview is left to chance: {options}")
        url = options.get("url", "")
        try:
            td_entities("x", [{"type": "text_link", "offset": 0, "length": 1, "url": url}])
        except RefusalError:
            self._violate("Bad Request: WEBPAGE_URL_INVALID")
        return str(url)

    def _check_row(self, row: list[Json]) -> None:
        if len(row) > BUTTONS_PER_ROW:
            self._violate("Bad Request: reply markup is too long")
        for button in row:
            if not button.get("text") or len(button.keys() - {"text"}) != 1:
                self._violate("Bad Request: can't parse inline keyboard button: Text buttons are unallowed")
            if not 1 <= len(button.get("callback_data", "x").encode()) <= CALLBACK_BYTES:
                self._violate("Bad Request: BUTTON_DATA_INVALID")
            if "url" in button:
                try:
                    td_entities("x", [{"type": "text_link", "offset": 0, "length": 1, "url": button["url"]}])
                except RefusalError as refusal:
                    self._violate(str(refusal).replace("Entity", "inline keyboard button"))

    def _violate(self, description: str) -> None:
        self.violations.append(description)
        raise RefusalError(400, description)


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def part(text: str, entity: Json) -> str:
    """The text under `entity`."""
    encoded = text.encode("utf-16-le")
    return encoded[2 * entity["offset"] : 2 * (entity["offset"] + entity["length"])].decode("utf-16-le")


def td(request: Json) -> Json:
    """What TDLib answers at once, offline."""
    answer: Json = json.loads(tdjson.td_execute(json.dumps(request).encode()) or b"{}")
    return answer


td({"@type": "setLogVerbosityLevel", "new_verbosity_level": 0})


def td_entities(text: str, entities: list[Json]) -> list[Json]:
    """The entities as Telegram keeps them. Raises RefusalError with TDLib's own words."""
    for entity in entities:
        if entity["type"] not in TD_TYPES:
            raise RefusalError(400, f"Bad Request: can't parse MessageEntity: unsupported type {entity['type']}")
    wanted = [
        {
            "@type": "textEntity",
            "offset": entity["offset"],
            "length": entity["length"],
            "type": {"@type": f"textEntityType{TD_TYPES[entity['type']]}"}
            | ({"url": entity["url"]} if "url" in entity else {}),
        }
        for entity in entities
    ]
    # parseMarkdown checks and mends entities as a send does, and gives them back; what it takes for Markdown is
    # covered by letters of the same length.
    covered = re.sub(r"[*_~|`\[\]()]", "x", text)
    answer = td({"@type": "parseMarkdown", "text": {"@type": "formattedText", "text": covered, "entities": wanted}})
    if answer["@type"] == "error":
        raise RefusalError(answer["code"], f"Bad Request: {answer['message']}")
    if units(answer["text"]) != units(text):
        raise RefusalError(400, "Bad Request: TDLib removes characters from this text, so offsets move")
    names = {f"textEntityType{value}": key for key, value in TD_TYPES.items()}
    return [
        {"type": names[kind["@type"]], "offset": entity["offset"], "length": entity["length"]}
        | ({"url": kind["url"]} if "url" in kind else {})
        for entity in answer["entities"]
        for kind in [entity["type"]]
    ]


def auto_links(text: str, entities: list[Json]) -> list[str]:
    """What Telegram links by itself in `text`: never inside code or a link."""
    taken = [
        range(entity["offset"], entity["offset"] + entity["length"])
        for entity in entities
        if entity["type"] in ("code", "pre", "text_link")
    ]
    found = td({"@type": "getTextEntities", "text": text})["entities"]
    return [
        part(text, entity)
        for entity in found
        if entity["type"]["@type"] != "textEntityTypeMediaTimestamp"  # links only under a video
        and not any(entity["offset"] < span.stop and span.start < entity["offset"] + entity["length"] for span in taken)
    ]


def typed_entities(text: str) -> list[Json]:
    """The entities that Telegram gives to a typed text."""
    found = td({"@type": "getTextEntities", "text": text})["entities"]
    kinds = {f"textEntityType{kind}": name for kind, name in TYPED_ENTITIES.items()}
    return [
        {"type": kinds[entity["type"]["@type"]], "offset": entity["offset"], "length": entity["length"]}
        for entity in found
        if entity["type"]["@type"] in kinds
    ]


def person(user: int, language: str = "zh-hans") -> Json:
    return {"id": user, "is_bot": False, "first_name": f"User {user}", "language_code": language}


async def _parameters(request: web.Request) -> Json:
    """Form fields, as the library sends them, and the query; what is a JSON object or list is parsed."""
    given = {**request.query, **await request.post()}
    return {name: json.loads(str(value)) if name in STRUCTURED else str(value) for name, value in given.items()}


def _flag(parameters: Json) -> bool:
    return bool(parameters.get("disable_notification") in ("true", "True"))


def _chat_of(chat: Chat) -> Json:
    info: Json = {"id": chat.id, "type": chat.type}
    info |= {"first_name": chat.title} if chat.type == "private" else {"title": chat.title}
    info |= {"username": chat.username} if chat.username else {}
    return info | ({"is_forum": True} if chat.topics is not None else {})


def _message(chat: Chat, message: Posted) -> Json:
    return {
        "message_id": message.id,
        "date": 1772000000,
        "chat": _chat_of(chat),
        "text": message.text,
        "entities": message.entities,
    }


MARKS = {"bold": "*", "italic": "_", "code": "`", "strikethrough": "~"}


def as_read(message: Posted, width: int = 40) -> str:
    """The message as a reader sees it: looks as marks, links underlined by ‹›, quotes by a bar, wrapped like a phone.

    `width` is in columns; a Chinese character takes two.
    """
    before: dict[int, str] = {}
    after: dict[int, str] = {}
    bars: dict[int, str] = {}
    for entity in message.entities:
        start, end = entity["offset"], entity["offset"] + entity["length"]
        if "blockquote" in entity["type"]:
            bars |= dict.fromkeys(range(start, end), "┃ " if entity["type"] == "blockquote" else "▾ ")
            continue
        left, right = ("‹", "›") if entity["type"] == "text_link" else (MARKS[entity["type"]],) * 2
        before[start] = before.get(start, "") + left
        after[end - 1] = right + after.get(end - 1, "")
    lines: list[str] = []
    offset = 0
    for source in message.text.split("\n"):
        line, columns = bars.get(offset, ""), 2 * (offset in bars)
        for character in source:
            if columns >= width:
                lines.append(line)
                line, columns = bars.get(offset, ""), 2 * (offset in bars)
            last = offset + units(character) - 1
            line += before.get(offset, "") + character + after.get(last, "")
            columns += 2 if unicodedata.east_asian_width(character) in "WF" else 1
            offset = last + 1
        lines.append(line)
        offset += 1
    buttons = [" ".join(f"[ {button['text']} ]" for button in row) for row in message.keyboard]
    return "\n".join([*lines, *buttons])
