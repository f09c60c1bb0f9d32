"""What an update says, in the words of `handlers.asked`: who asked, for what, where the answer goes. Pure.

https://core.telegram.org/bots/api#update
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from telegram import (
    CallbackQuery,
    Chat,
    ChatMember,
    ChatMemberAdministrator,
    ChatMemberRestricted,
    ChatMemberUpdated,
    LinkPreviewOptions,
    MaybeInaccessibleMessage,
    Message,
    MessageEntity,
    User,
)

from bot.models import Address, PlatformName
from handlers.asked import Asked

_NOT_IN_KEYS = re.compile(r"[^A-Za-z0-9:./_-]")
_ABSENT = (ChatMember.LEFT, ChatMember.BANNED)


@dataclass(frozen=True, slots=True)
class Membership:
    """How the bot stands in a chat. With a `reason` (in English) it is gone, or of no more use there."""

    may_post: bool
    reason: str = ""


def asked_in(message: Message, me: User) -> Asked | None:
    """What a message asks of the bot `me`; None where it is not meant for it, or not a person's.

    A person is also who writes in the name of a chat (an anonymous administrator, a channel).
    """
    if message.is_automatic_forward:  # a channel's own post in its discussion group
        return None
    author = message.sender_chat or message.from_user
    if author is None or (isinstance(author, User) and author.is_bot):
        return None
    text = _addressed(message, me)
    if text is None:
        return None
    language = "" if message.sender_chat or not message.from_user else message.from_user.language_code
    about = _about(message)
    return Asked(
        key=_key(f"telegram:{message.chat.id}/{message.message_id}"),
        user=f"telegram:{author.id}",
        address=place_of(message),
        text=text,
        message=str(message.message_id),
        about="" if about is None else str(about.message_id),
        quoted=_quoted(message, about),
        chat_name=public_name(message.chat),
        language=language or "",
        private=message.chat.type == Chat.PRIVATE,
        loose=message.chat.type != Chat.PRIVATE and text == (message.text or message.caption or "").strip(),
    )


def asked_by_tap(query: CallbackQuery) -> Asked | None:
    """What a tapped button asks; None where it has no message or no action of ours."""
    message = query.message
    if message is None or not query.data:
        return None
    return Asked(
        key=_key(f"telegram:tap/{query.id}"),
        user=f"telegram:{query.from_user.id}",
        address=place_of(message),
        text=query.data,
        about=str(message.message_id),
        quoted=_shown(message) if isinstance(message, Message) else "",
        chat_name=public_name(message.chat),
        language=query.from_user.language_code or "",
        private=message.chat.type == Chat.PRIVATE,
        tap=True,
        aside=True,
    )


def membership(change: ChatMemberUpdated) -> Membership:
    """How the bot stands in a chat after a change."""
    before, now = change.old_chat_member, change.new_chat_member
    if not _is_present(now):
        blocked = change.chat.type == Chat.PRIVATE
        return Membership(may_post=False, reason="the user blocked the bot" if blocked else "the bot was removed")
    if not _may_post(change.chat, now) and _is_present(before):
        return Membership(may_post=False, reason="the bot may post no more")
    return Membership(may_post=_may_post(change.chat, now))


def place_of(message: MaybeInaccessibleMessage) -> Address:
    """Where an answer to `message` goes: its chat, and its topic. The General topic has no number."""
    if isinstance(message, Message) and message.is_topic_message:
        return replace(address_of(message.chat), topic=message.message_thread_id)
    return address_of(message.chat)


def address_of(chat: Chat) -> Address:
    """The whole chat."""
    return Address(PlatformName.TELEGRAM, str(chat.id))


def units(text: str) -> int:
    """Length in UTF-16 code units, which is how Telegram counts."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _key(text: str) -> str:
    return _NOT_IN_KEYS.sub("_", text)


def public_name(chat: Chat) -> str:
    """As settings write it ("@vision"), "" for a chat without one."""
    return f"@{chat.username}" if chat.username else ""


# --- is it for us, and what does it say


def _addressed(message: Message, me: User) -> str | None:
    """The text without the bot's name, None where it is meant for somebody else or for nobody."""
    text = message.text or message.caption
    if not text:
        return None
    entities = message.entities or message.caption_entities
    encoded = text.encode("utf-16-le", "surrogatepass")
    commands = {each.offset: _under(encoded, each) for each in entities if each.type == MessageEntity.BOT_COMMAND}
    first = commands.get(0, "")
    if "@" in first and not _is_for(first, me):
        return None
    mentions = [(each.offset, each.length) for each in entities if _mentions(encoded, each, me)]
    if not first and not mentions and message.chat.type != Chat.PRIVATE:
        return None
    # Of "/top@paperboy_bot" the name goes and the command stays.
    names = [(at + each.index("@"), len(each) - each.index("@")) for at, each in commands.items() if _is_for(each, me)]
    return _without(encoded, [*mentions, *names])


def _is_for(command: str, me: User) -> bool:
    """Does it name this bot ("/top@paperboy_bot")?"""
    return command.lower().endswith(f"@{me.username or ''}".lower())


def _mentions(encoded: bytes, entity: MessageEntity, me: User) -> bool:
    if entity.type == MessageEntity.TEXT_MENTION:
        return entity.user is not None and entity.user.id == me.id
    return entity.type == MessageEntity.MENTION and _under(encoded, entity).lower() == f"@{me.username or ''}".lower()


def _without(encoded: bytes, places: Sequence[tuple[int, int]]) -> str:
    """The text without `places` (offset and length), and without the blanks that this leaves at its ends."""
    position, kept = 0, b""
    for offset, length in sorted(places):
        kept += encoded[position : 2 * offset]
        position = max(position, 2 * (offset + length))
    return (kept + encoded[position:]).decode("utf-16-le", "replace").strip()


def _under(encoded: bytes, entity: MessageEntity) -> str:
    """The text under an entity, whose offset and length count UTF-16 units."""
    return encoded[2 * entity.offset : 2 * (entity.offset + entity.length)].decode("utf-16-le", "replace")


# --- what is it about


def _about(message: Message) -> Message | None:
    """The message that this one replies to. In a topic every message replies to the one that opened it."""
    replied = message.reply_to_message
    return None if replied is None or replied.forum_topic_created is not None else replied


def _quoted(message: Message, about: Message | None) -> str:
    if about is not None:
        return _shown(about)
    external = message.external_reply  # a message of another chat, of which only the quoted part is told
    if external is None:
        return ""
    parts = (message.quote.text if message.quote else "", _previewed(external.link_preview_options))
    return "\n".join(part for part in parts if part)


def _shown(message: Message) -> str:
    """The text of a message, and the addresses behind its links."""
    text = message.text or message.caption or ""
    return "\n".join([text, *dict.fromkeys(url for url in _urls(message) if url not in text)]).strip()


def _urls(message: Message) -> Iterator[str]:
    for entity in message.entities or message.caption_entities:
        if entity.type == MessageEntity.TEXT_LINK and entity.url:
            yield entity.url
    if url := _previewed(message.link_preview_options):
        yield url


def _previewed(options: LinkPreviewOptions | None) -> str:
    return options.url if options is not None and isinstance(options.url, str) else ""


# --- how the bot stands in a chat


def _is_present(member: ChatMember) -> bool:
    if isinstance(member, ChatMemberRestricted):
        return member.is_member
    return member.status not in _ABSENT


def _may_post(chat: Chat, member: ChatMember) -> bool:
    if chat.type == Chat.CHANNEL:
        return isinstance(member, ChatMemberAdministrator) and bool(member.can_post_messages)
    return not isinstance(member, ChatMemberRestricted) or member.can_send_messages
