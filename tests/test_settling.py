"""What nobody knows of is shown to the operator on each platform, and settled there by a tap: whole processes."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bot.texts import load
from tests.chatting import a_bot, a_town
from tests.fakes import wait_until
from tests.slack_standin import Place, post_then_cut, says
from tests.telegram_standin import GROUP, Chat, Posted, dropped
from tests.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

ZH, EN = load("zh"), load("en")
LAB = Chat(GROUP - 1, title="Lab")
ADMIN, BOSS, LOUNGE = 1, "U0BOSS", "C0LOUNGE"
PATIENCE = 15.0  # seconds


def settings(world: World, operator: str) -> None:
    world.write(model=False, more=f'[operator]\nchannel = "{operator}"\n')
    world.variables |= {"PAPERBOY_TELEGRAM__ADMINS": str(ADMIN), "PAPERBOY_SLACK__ADMINS": BOSS}


# --- Telegram


def actions(message: Posted) -> list[str]:
    return [str(button["callback_data"]) for row in message.keyboard for button in row if "callback_data" in button]


async def in_doubt_on_telegram(world: World) -> Posted:
    """An answer whose fate nobody knows; gives what the operator hears of it."""
    world.telegram.fail("sendMessage", dropped(handled=True))
    before = len(world.telegram.messages())
    world.telegram.types("/help", chat=LAB.id)
    await wait_until(lambda: len(world.telegram.messages()) > before, PATIENCE)
    told = world.telegram.messages()[-1]
    assert ZH("operator.title") in told.text
    assert ZH("help.title") in told.text, "the first words of the message"
    return told


async def toast(world: World, message: Posted, action: str, user: int = ADMIN) -> str:
    query = world.telegram.taps(message.id, action, user=user)
    await wait_until(lambda: query in world.telegram.toasts, PATIENCE)
    return world.telegram.toasts[query]


async def test_on_telegram_the_operator_settles_what_nobody_knows_of(tmp_path: Path):
    async with a_town(tmp_path, chats=[LAB]) as world:
        settings(world, "team")
        async with a_bot(world):
            told = await in_doubt_on_telegram(world)
            send, drop = actions(told)
            code = send.split()[2]
            assert await toast(world, told, drop, user=42) == ZH("error.admins_only")
            assert await toast(world, told, drop) == ZH("done.settled_drop", code=code)
            await wait_until(lambda: not told.keyboard, PATIENCE)
            assert ZH("done.settled_drop", code=code) in told.text
            assert await toast(world, told, send) == ZH("done.settled_before", code=code)
            assert len(world.telegram.messages(LAB.id)) == 1, "it had arrived, and was not sent again"

            told = await in_doubt_on_telegram(world)
            send, _ = actions(told)
            assert await toast(world, told, send) == ZH("done.settled_send", code=send.split()[2])
            await wait_until(lambda: len(world.telegram.messages(LAB.id)) == 3, PATIENCE)
            assert await toast(world, told, send) == ZH("done.settled_before", code=send.split()[2])

            await in_doubt_on_telegram(world)
            world.telegram.types("/status", user=ADMIN)
            await wait_until(lambda: ZH("status.title") in world.telegram.messages()[-1].text, PATIENCE)
            status = world.telegram.messages()[-1]
            assert ZH("status.settle", count=1) in status.text
            assert ZH("help.title") not in status.text, "what another chat reads is not told in a group"
            _, drop = actions(status)
            await toast(world, status, drop)
            await wait_until(lambda: not status.keyboard, PATIENCE)
            assert ZH("status.title") in status.text
            await asyncio.sleep(0.5)  # time for a message too many
            assert len(world.telegram.messages(LAB.id)) == 4


# --- Slack, where history may not be read


def values(message: dict[str, Any]) -> list[str]:
    blocks = [block for block in message.get("blocks", ()) if block["type"] == "actions"]
    return [str(button["value"]) for block in blocks for button in block["elements"] if "value" in button]


def told_on_slack(world: World) -> list[dict[str, Any]]:
    return [message for message in world.slack.posted("C0PAPERS") if EN("operator.title") in str(message)]


async def in_doubt_on_slack(world: World) -> dict[str, Any]:
    slack, before = world.slack, len(told_on_slack(world))
    slack.fail("chat.postMessage", post_then_cut)
    slack.fail("conversations.history", says("missing_scope", needed="channels:history"))
    slack.fail("conversations.replies", says("missing_scope", needed="channels:history"))
    await slack.types("/paperboy help", LOUNGE)
    await wait_until(lambda: len(told_on_slack(world)) > before, PATIENCE)
    slack.faults.clear()
    return told_on_slack(world)[-1]


async def whispered(world: World, message: dict[str, Any], action: str, user: str = BOSS) -> str:
    count = len(world.slack.whispers)
    await world.slack.taps(action, message["ts"], user=user)
    await wait_until(lambda: len(world.slack.whispers) > count, PATIENCE)
    return world.slack.whispers[-1].text


async def test_on_slack_the_operator_settles_what_nobody_knows_of(tmp_path: Path):
    async with a_town(tmp_path) as world:
        settings(world, "lab")
        world.slack.places[LOUNGE] = Place(LOUNGE, "lounge")
        world.variables["PAPERBOY_SLACK__ALLOWED_CHANNELS"] = LOUNGE

        def shown() -> int:
            return sum(bool(message.get("bot_id")) for message in world.slack.places[LOUNGE].messages)

        async with a_bot(world):
            told = await in_doubt_on_slack(world)
            send, drop = values(told)
            code = send.split()[2]
            assert await whispered(world, told, drop, "U0ALICE") == EN("error.admins_only")
            assert await whispered(world, told, drop) == EN("done.settled_drop", code=code)
            await wait_until(lambda: not values(told_on_slack(world)[-1]) if told_on_slack(world) else True, PATIENCE)
            assert shown() == 1

            told = await in_doubt_on_slack(world)
            send, _ = values(told)
            assert await whispered(world, told, send) == EN("done.settled_send", code=send.split()[2])
            await wait_until(lambda: shown() == 3, PATIENCE)

            await in_doubt_on_slack(world)
            await world.slack.types("/paperboy status", user=BOSS)

            def standing() -> list[dict[str, Any]]:
                return [message for message in world.slack.posted("C0PAPERS") if EN("status.title") in str(message)]

            await wait_until(lambda: bool(standing()), PATIENCE)
            _, drop = values(standing()[-1])
            assert await whispered(world, standing()[-1], drop) == EN("done.settled_drop", code=drop.split()[2])
            await wait_until(lambda: not values(standing()[-1]), PATIENCE)
            assert shown() == 4
