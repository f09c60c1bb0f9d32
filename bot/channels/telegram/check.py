"""Can a chat be posted to? Three questions to the Bot API, and each way to fail with its cure. Posts nothing."""

from collections.abc import Sequence

from telegram import Bot, ChatFullInfo, ChatMember, ChatMemberAdministrator, ChatMemberRestricted
from telegram.error import ChatMigrated, Forbidden, InvalidToken, TelegramError

from bot.channels.telegram.api import send_error, unreachable
from bot.models import Address, Finding

_ABSENT = (ChatMember.LEFT, ChatMember.BANNED)


async def findings(bot: Bot, address: Address) -> Sequence[Finding]:
    """One line for what is wrong, or one that says what is right."""
    target = int(address.target) if not address.target.startswith("@") else address.target
    try:
        me = await bot.get_me()
    except TelegramError as error:
        return [_no_bot(error)]
    try:
        chat = await bot.get_chat(target)
        member = await bot.get_chat_member(chat.id, me.id)
    except TelegramError as error:
        return [_no_chat(error, address, me.name)]
    return [
        _rights(chat, member, address, me.name)
        or _topic(chat, address)
        or Finding("ok", str(address), f"{me.name} may post to “{chat.effective_name}”")
    ]


def _no_bot(error: TelegramError) -> Finding:
    if isinstance(error, InvalidToken):
        cure = "Telegram does not know this token; copy it again from @BotFather (/mybots, API Token)"
        return Finding("error", "telegram.token", cure)
    return Finding("error", "telegram.api_url", f"{send_error(error)}; check the address, the network and the proxy")


def _no_chat(error: TelegramError, address: Address, name: str) -> Finding:
    match error:
        case ChatMigrated(new_chat_id=chat):
            text = f'the group became a supergroup; set target = "{chat}"'
        case Forbidden():
            text = f"{name} was removed from this chat; add it again, in a channel as administrator"
        case _ if unreachable(error):
            return _no_bot(error)
        case _:
            text = f"no such chat, or {name} was never in it; check target and add {name} there"
    return Finding("error", str(address), text)


def _rights(chat: ChatFullInfo, member: ChatMember, address: Address, name: str) -> Finding | None:
    text = None
    if member.status in _ABSENT:
        text = f"{name} is not in this chat; add it, in a channel as administrator"
    elif chat.type == chat.CHANNEL and not (isinstance(member, ChatMemberAdministrator) and member.can_post_messages):
        text = f"{name} may not post; make it an administrator of the channel with the right “Post Messages”"
    elif isinstance(member, ChatMemberRestricted) and not (member.is_member and member.can_send_messages):
        text = f"{name} is restricted; lift the restriction in the group's settings, or make it an administrator"
    elif member.status == ChatMember.MEMBER and chat.permissions and chat.permissions.can_send_messages is False:
        text = f"members of this group may not write; make {name} an administrator or let members send messages"
    return Finding("error", str(address), text) if text else None


def _topic(chat: ChatFullInfo, address: Address) -> Finding | None:
    if address.topic is None or chat.is_forum:
        return None
    return Finding(
        "warning", str(address), "topic is set, but this chat has no topics; posts will go to the chat itself"
    )
