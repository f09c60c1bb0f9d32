"""Answers in Slack: in the thread where somebody asked, in place of what announced them, with buttons that act."""

import json
from dataclasses import replace
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from bot.channels.slack import SlackChannel, home, slack_client
from bot.channels.slack.channel import UPDATE_BYTES
from bot.channels.slack.messages import render
from bot.channels.slack.simple import as_text
from bot.channels.slack.text import fitted
from bot.errors import Outcome, SendError
from bot.interfaces import Thread
from bot.models import Address, Message, PartKind, PlatformName
from bot.report.document import Button, Paragraph
from tests import slack_rules as rules
from tests.fakes import FakeClock
from tests.gates import ANSWER, a_gate
from tests.slack_standin import (
    SCOPES,
    SlackStandIn,
    broken,
    hang,
    post_then_500,
    post_then_cut,
    ratelimited,
    read_then_cut,
    says,
)
from tests.test_slack import NEW, SINCE, TOKEN, a_document, a_message, a_picture, plain, slack

WHERE = "C0PAPERS"
LONG = Paragraph(plain("长" * 2_000))  # 6,000 bytes


def in_thread(server: SlackStandIn, client: Any, thread: str | None) -> SlackChannel:
    return SlackChannel(Address(PlatformName.SLACK, WHERE, thread=thread), client, a_gate())


def in_place_of(stamp: str, message: Message | None = None) -> Message:
    return replace(message or a_message("the answer"), replaces=stamp)


# -- buttons


def buttons_of(*buttons: Button, interactive: bool = True) -> list[list[dict[str, Any]]]:
    [message] = render([a_document(Paragraph(plain("x")), buttons=buttons)], interactive=interactive)
    payload = json.loads(message.payload)
    rules.content(payload)
    return [block["elements"] for block in payload["blocks"] if block["type"] == "actions"]


def test_an_action_is_a_button_with_its_value() -> None:
    [[button, link]] = buttons_of(
        Button("🧠 1", action="deepdive 2602.19089 zh"), Button("arXiv", url="https://arxiv.org")
    )
    assert button == {
        "type": "button",
        "text": {"type": "plain_text", "text": "🧠 1", "emoji": True},
        "value": "deepdive 2602.19089 zh",
        "action_id": "paperboy:0",
    }
    assert (link["action_id"], link["url"]) == ("open-1", "https://arxiv.org")


def test_rows_stand_below_each_other_and_every_button_has_an_id_of_its_own() -> None:
    rows = [Button(f"b{n}", action=f"a {n}", row=n % 2) for n in range(14)]
    made = buttons_of(*rows)
    assert [len(row) for row in made] == [5, 2, 5, 2]
    assert [button["value"] for button in made[0]] == ["a 0", "a 2", "a 4", "a 6", "a 8"]
    ids = [button["action_id"] for row in made for button in row]
    assert len(set(ids)) == 14
    assert all(name.startswith("paperboy:") for name in ids)


def test_where_nobody_listens_there_are_links_alone() -> None:
    both = (Button("🧠 1", action="deepdive x"), Button("arXiv", url="https://arxiv.org"))
    assert [[button["text"]["text"] for button in row] for row in buttons_of(*both, interactive=False)] == [["arXiv"]]
    assert buttons_of(both[0], interactive=False) == []
    assert buttons_of(Button(" ", action="x"), Button("x", action="a" * 2_001), Button("x", url="javascript:x")) == []


async def test_a_channel_without_listeners_shows_no_actions() -> None:
    document = a_document(buttons=(Button("🧠 1", action="deepdive x"),))
    async with slack() as (_, listened):
        silent = SlackChannel(listened.address, listened._client, a_gate(), interactive=False)
        assert "🧠" in listened.render([document])[0].payload
        assert "🧠" not in silent.render([document])[0].payload


def test_as_plain_text_there_is_nothing_to_tap() -> None:
    actions, both = Button("🧠 1", action="deepdive x"), Button("PDF", url="https://arxiv.org/pdf/1")
    [message] = render([a_document(Paragraph(plain("x")), buttons=(actions, replace(actions, row=1), both))])
    assert as_text(json.loads(message.payload)["blocks"]) == "Day\n\nx\n\nPDF: https://arxiv.org/pdf/1"


def test_a_page_of_its_own_is_one_view_however_long() -> None:
    document = a_document(*(Paragraph(plain(f"p{n}")) for n in range(150)), buttons=(Button("x", action="top"),))
    assert len(home(document)) == 100
    short = home(replace(document, blocks=document.blocks[:2]))
    assert [block["type"] for block in short] == ["header", "rich_text", "rich_text", "actions"]
    rules.view({"type": "home", "blocks": short})


# -- threads


async def test_everything_goes_into_the_thread_of_the_address() -> None:
    async with SlackStandIn() as server, slack_client(TOKEN, server.api_url) as client:
        root = server.says("@paperboy /deepdive")["ts"]
        channel = in_thread(server, client, root)
        (first,) = await channel.send("d~0", a_message("first"), NEW)
        (second,) = await channel.send("d~1", a_message("second", reply=True), Thread(first, {}))
        assert [message["ts"] for message in server.places[WHERE].replies(root)] == [first, second]
        assert len(server.places[WHERE].roots) == 1
        assert await channel.find("d~0", NEW, SINCE) == (first,)
        assert await channel.find("d~1", Thread(first, {}), SINCE) == (second,)
        assert await channel.find("d~2", Thread(first, {}), SINCE) is None


async def test_where_the_thread_is_gone_the_answer_stands_in_the_channel_and_is_found_there() -> None:
    async with SlackStandIn() as server, slack_client(TOKEN, server.api_url) as client:
        channel = in_thread(server, client, "1.000001")
        (stamp,) = await channel.send("d~0", a_message(), NEW)
        assert "thread_ts" not in server.posted()[0]
        assert await channel.find("d~0", NEW, SINCE) == (stamp,)


async def test_whom_a_message_answers_is_nothing_to_slack() -> None:
    async with slack() as (server, channel):
        await channel.send("d~0", replace(a_message(), answers="1.5"), NEW)
        assert "1.5" not in str(server.calls("chat.postMessage"))


# -- in place of


async def test_a_placeholder_becomes_the_answer_and_keeps_its_place() -> None:
    async with slack() as (server, channel):
        (stamp,) = await channel.send("d~0", a_message("wait"), NEW)
        for _ in range(2):  # once more is the same
            assert await channel.send("d~1", in_place_of(stamp), NEW) == (stamp,)
        [message] = server.posted()
        assert "the answer" in server.show()
        assert "wait" not in server.show()
        assert message["metadata"]["event_payload"] == {"key": "d~1"}
        assert await channel.find("d~1", NEW, SINCE) == (stamp,)
        assert len(server.calls("chat.postMessage")) == 1


async def test_a_placeholder_in_a_thread_stays_there() -> None:
    async with SlackStandIn() as server, slack_client(TOKEN, server.api_url) as client:
        root = server.says("question")["ts"]
        channel = in_thread(server, client, root)
        (stamp,) = await channel.send("d~0", a_message("wait"), NEW)
        assert await channel.send("d~1", in_place_of(stamp, a_message(reply=True)), NEW) == (stamp,)
        assert "thread_ts" not in server.calls("chat.update")[0]


@pytest.mark.parametrize("code", ["message_not_found", "cant_update_message", "edit_window_closed"])
async def test_what_cannot_be_changed_any_more_is_posted_anew(code: str, caplog: pytest.LogCaptureFixture) -> None:
    async with slack() as (server, channel):
        server.fail("chat.update", says(code))
        (stamp,) = await channel.send("d~1", in_place_of("1.5"), NEW)
        assert [message["ts"] for message in server.posted()] == [stamp]
        assert code in caplog.text


async def test_other_peoples_messages_are_never_changed() -> None:
    async with slack() as (server, channel):
        theirs = server.says("mine")["ts"]
        (stamp,) = await channel.send("d~1", in_place_of(theirs), NEW)
        assert stamp != theirs
        assert server.refusals == ["cant_update_message"]
        assert server.posted()[0]["text"] == "mine"


@pytest.mark.parametrize(
    "fault", [post_then_cut, read_then_cut, post_then_500, broken(503), says("internal_error"), broken(200)]
)
async def test_a_change_that_is_unclear_may_be_repeated(fault: Any) -> None:
    async with slack() as (server, channel):
        (stamp,) = await channel.send("d~0", a_message("wait"), NEW)
        server.fail("chat.update", fault)
        with pytest.raises(SendError) as caught:
            await channel.send("d~1", in_place_of(stamp), NEW)
        assert (caught.value.outcome, caught.value.retryable) == (Outcome.NOT_SENT, True)
        assert len(server.calls("chat.postMessage")) == len(server.calls("chat.update")) == 1
        assert await channel.send("d~1", in_place_of(stamp), NEW) == (stamp,)
        assert len(server.posted()) == 1


async def test_a_post_in_place_of_what_is_gone_is_as_unclear_as_any() -> None:
    async with slack() as (server, channel):
        server.fail("chat.update", says("message_not_found"))
        server.fail("chat.postMessage", post_then_cut)
        with pytest.raises(SendError) as caught:
            await channel.send("d~1", in_place_of("1.5"), NEW)
        assert caught.value.outcome is Outcome.UNKNOWN


async def test_a_change_that_hangs_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    # The real limit is 16 s of real time, which no test may wait for.
    monkeypatch.setattr("bot.channels.slack.channel.SEND_SECONDS", 4.05)
    async with slack() as (server, channel):
        server.fail("chat.update", hang)
        with pytest.raises(SendError) as caught:
            await channel.send("d~1", in_place_of("1.5"), NEW)
        assert caught.value.outcome is Outcome.NOT_SENT
        assert not server.calls("chat.postMessage")


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [(ratelimited(7), Outcome.NOT_SENT), (says("is_archived"), Outcome.GONE), (says("no_text"), Outcome.REFUSED)],
)
async def test_a_change_that_is_refused_says_why_and_posts_nothing(fault: Any, outcome: Outcome) -> None:
    async with slack() as (server, channel):
        server.fail("chat.update", fault)
        with pytest.raises(SendError) as caught:
            await channel.send("d~1", in_place_of("1.5"), NEW)
        assert caught.value.outcome is outcome
        assert not server.posted()


async def test_blocks_that_are_refused_in_a_change_fall_back_as_in_a_post() -> None:
    document = a_document(a_picture(words="Overview."), Paragraph(plain("Deep")))
    async with slack() as (server, channel):
        (stamp,) = await channel.send("d~0", a_message("wait"), NEW)
        server.pictures = False
        await channel.send("d~1", in_place_of(stamp, channel.render([document])[0]), NEW)
        assert not rules.has_pictures(server.posted()[0]["blocks"])
        server.fail("chat.update", says("invalid_blocks"), says("invalid_blocks"))
        await channel.send("d~1", in_place_of(stamp, channel.render([document])[0]), NEW)
        assert server.posted()[0]["text"].endswith("Deep")
        assert "blocks" not in server.posted()[0]
        assert len(server.posted()) == 1


async def test_a_text_that_a_change_cannot_hold_is_posted_whole_and_the_placeholder_goes() -> None:
    async with slack() as (server, channel):
        (stamp,) = await channel.send("d~0", a_message("wait"), NEW)
        server.fail("chat.update", says("invalid_blocks"))
        server.fail("chat.postMessage", says("invalid_blocks"))
        (posted,) = await channel.send("d~1", in_place_of(stamp, channel.render([a_document(LONG)])[0]), NEW)
        assert [message["ts"] for message in server.posted()] == [posted]
        assert "长" * 2_000 in server.posted()[0]["text"]


async def test_a_placeholder_that_cannot_be_taken_away_harms_nothing() -> None:
    async with slack() as (server, channel):
        (stamp,) = await channel.send("d~0", a_message("wait"), NEW)
        server.fail("chat.update", says("msg_too_long"), says("msg_too_long"))
        server.fail("chat.delete", says("cant_delete_message"))
        assert await channel.send("d~1", in_place_of(stamp), NEW)
        assert len(server.posted()) == 2


async def test_the_notification_of_a_change_fits_in_bytes() -> None:
    payload = json.dumps({"text": "长&lt;" * 1_000, "blocks": json.loads(a_message().payload)["blocks"]})
    async with slack() as (server, channel):
        (stamp,) = await channel.send("d~0", a_message("wait"), NEW)
        await channel.send("d~1", in_place_of(stamp, Message(PartKind.POST, "digest", payload)), NEW)
        assert server.posted()[0]["text"].endswith("…")


def test_a_text_is_cut_to_bytes_between_characters_and_never_in_an_entity() -> None:
    assert fitted("短", UPDATE_BYTES) == "短"
    for limit in range(8, 40):
        cut = fitted("长&lt;x&amp;" * 10, limit)
        assert len(cut.encode()) <= limit
        assert "&" not in cut.replace("&lt;", "").replace("&amp;", "")


# -- edits that may be lost


async def test_an_edit_is_one_call_and_keeps_what_the_message_is_known_by() -> None:
    async with slack() as (server, channel):
        (stamp,) = await channel.send("d~0", a_message("wait"), NEW)
        await channel.edit(stamp, a_message("reading 3 of 12"))
        assert "reading 3 of 12" in server.show()
        assert await channel.find("d~0", NEW, SINCE) == (stamp,)
        assert await channel.preview(a_message()) is False
        assert len(server.calls("chat.update")) == 1


async def test_an_edit_waits_for_nothing_and_takes_no_posts_turn() -> None:
    clock = FakeClock()
    async with SlackStandIn() as server, slack_client(TOKEN, server.api_url) as client:
        channel = SlackChannel(Address(PlatformName.SLACK, WHERE), client, a_gate(clock))
        (stamp,) = await channel.send("d~0", a_message("wait"), NEW)
        for step in range(5):
            await channel.edit(stamp, a_message(f"{step}"))
        with pytest.raises(SendError) as caught:
            await channel.edit(stamp, a_message("one too many"))
        assert caught.value.outcome is Outcome.NOT_SENT
        assert caught.value.retry_after
        assert len(server.calls("chat.update")) == 5
        assert clock.slept == []
        for _ in range(5):
            await channel.turn(ANSWER)
        assert clock.slept == []


async def test_the_threads_of_a_channel_share_its_pace() -> None:
    clock = FakeClock()
    gate = a_gate(clock)
    async with slack_client(TOKEN, "http://slack.invalid/api/") as client:
        for n in range(6):
            await SlackChannel(Address(PlatformName.SLACK, WHERE, thread=f"{n % 3}"), client, gate).turn(ANSWER)
        assert clock.slept == [1.0]
        await SlackChannel(Address(PlatformName.SLACK, "C0OTHER"), client, gate).turn(ANSWER)
        assert clock.slept == [1.0]


async def test_an_edit_is_not_made_where_posts_wait_or_slack_asked_for_a_pause() -> None:
    async with slack() as (server, channel):
        (stamp,) = await channel.send("d~0", a_message("wait"), NEW)
        server.fail("chat.update", ratelimited(30))
        for _ in range(2):
            with pytest.raises(SendError) as caught:
                await channel.edit(stamp, a_message("1"))
            assert (caught.value.outcome, caught.value.retry_after) == (Outcome.NOT_SENT, 30)
        assert len(server.calls("chat.update")) == 1


async def test_an_edit_of_nothing_is_refused() -> None:
    async with slack() as (server, channel):
        with pytest.raises(SendError) as caught:
            await channel.edit("1.5", a_message())
        assert caught.value.outcome is Outcome.REFUSED
        assert not server.posted()


# -- the stand-in


async def test_the_stand_in_keeps_slacks_rules_for_changes() -> None:
    button = {"type": "button", "text": {"type": "plain_text", "text": "x"}, "value": "v" * 2_001}
    blocks = [{"type": "actions", "elements": [button]}]
    view = {"type": "home", "blocks": [{"type": "divider"}] * 101}
    scopes = tuple(set(SCOPES) - {"reactions:write"})
    async with SlackStandIn(scopes=scopes) as server, slack_client(TOKEN, server.api_url) as client:
        stamp = str((await client.chat_postMessage(channel=WHERE, text="x"))["ts"])
        with pytest.raises(SlackApiError, match="msg_too_long"):
            await client.chat_update(channel=WHERE, ts=stamp, text="长" * 1_334)
        with pytest.raises(SlackApiError, match="missing_scope"):
            await client.reactions_add(channel=WHERE, timestamp=stamp, name="eyes")
        with pytest.raises(SlackApiError, match="invalid_blocks"):
            await client.chat_postMessage(channel=WHERE, text="x", blocks=blocks)
        with pytest.raises(SlackApiError, match="invalid_arguments"):
            await client.views_publish(user_id="U1", view=view)
