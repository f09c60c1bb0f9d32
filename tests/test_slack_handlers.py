"""What people type and tap in Slack, with the real Bolt over both transports."""

import asyncio
import json
import logging
import random
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bot.channels.slack import messages
from bot.models import Address, PlatformName
from bot.report.document import Button, Document, Paragraph, Span
from handlers.asked import Asked, Taken
from handlers.slack import SlackOptions, connection, endpoint, service, translate
from handlers.slack.text import QUOTED_CHARACTERS, quoted, shown, typed
from tests import slack_payloads as payloads
from tests.fakes import wait_until
from tests.slack_rig import HTTP, SOCKET, FakeDesk, Rig, handled, listening
from tests.slack_sending import COMMANDS, EVENTS, Sent
from tests.slack_standin import ALICE, Place, SlackStandIn, hang, read_then_cut, says

ACK_SECONDS = 1.0  # the promise; Slack itself gives three
IN_CHANNEL = {"response_type": "in_channel"}
LINK = "https://arxiv.org/abs/2602.19089"


@pytest.fixture(params=[SOCKET, HTTP])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def rig(transport: str) -> AsyncIterator[Rig]:
    async with listening(transport) as rig:
        yield rig


def place(target: str = "C0PAPERS", thread: str | None = None) -> Address:
    return Address(PlatformName.SLACK, target, thread=thread)


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


# -- text


@pytest.mark.parametrize(
    ("raw", "meant"),
    [
        ("<@U0BOT> top 5", "top 5"),
        ("hey <@U0BOT|paperboy>: top", "hey top"),
        ("<@U0BOT>", ""),
        (f"<{LINK}|arxiv.org/abs/2602.19089> en", f"{LINK} en"),
        (f"<{LINK}>", LINK),
        ("<https://a.example/?x=1&amp;y=2>", "https://a.example/?x=1&y=2"),
        ("is a &lt; b &amp;amp; c &gt; d?", "is a < b &amp; c > d?"),
        ("&amp;lt;", "&lt;"),
        ("&gt; quoted\nmore", "> quoted\nmore"),
        ("“why” 'so'", "“why” 'so'"),
        ("ask <@U0BOB> in <#C0ABC|papers> or <#C0ABC>", "ask @U0BOB in #papers or #C0ABC"),
        ("<@U0BOB|bob> <!subteam^S1|@team> <!here> <!channel>", "@bob @team @here @channel"),
        ("<!date^1392734382^{date}|Feb 18>", "Feb 18"),
        ("<mailto:a@b.example|a@b.example>", "a@b.example"),
        ("a\n<@U0BOT> b", "a\n b"),
        ("<>", ""),
        ("< <@U0BOT", "< <@U0BOT"),
    ],
)
def test_slacks_marks_become_what_was_typed(raw: str, meant: str) -> None:
    assert typed(raw, "U0BOT") == meant


def test_a_long_run_of_blanks_is_read_at_once() -> None:
    began = time.perf_counter()
    assert typed(" " * 40_000 + "x", "U0BOT") == "x"
    assert time.perf_counter() - began < 1.0


def test_a_quoted_message_brings_the_addresses_that_it_shows() -> None:
    message = {
        "text": f"look: <{LINK}|this>",
        "attachments": [
            {"title": "x", "title_link": "https://a.example/1", "from_url": LINK, "fallback": "<https://a.example/2|y>"}
        ],
        "blocks": [
            {"type": "rich_text", "elements": [{"type": "link", "url": "https://a.example/3&amp;z", "text": "t"}]}
        ],
    }
    assert quoted(message).splitlines() == [
        f"look: {LINK}",
        "https://a.example/3&z",
        "https://a.example/1",
        "https://a.example/2",
    ]
    assert quoted({}) == quoted({"text": None, "blocks": "x"}) == ""


def test_a_quoted_message_has_an_end() -> None:
    links = [{"url": f"https://a.example/{n:05}"} for n in range(1_000)]
    assert len(quoted({"text": "x" * 9_000, "blocks": links})) <= QUOTED_CHARACTERS
    deep: Any = {"url": LINK}
    for _ in range(5_000):
        deep = [deep]
    assert quoted({"blocks": deep}) == LINK


def test_a_line_of_ours_rings_nobody() -> None:
    assert shown("<!channel> @here & x") == "&lt;!channel&gt; @\u200bhere &amp; x"


# -- what is asked


async def test_a_slash_command_is_asked_in_its_channel_and_shown_there(rig: Rig) -> None:
    sent = await rig.slack.types("/deepdive 2602.19089 en")
    [asked] = rig.desk.asked
    assert asked == Asked(
        key=f"slack:{sent.body['trigger_id']}",
        user=f"slack:{ALICE}",
        address=place(),
        text="/deepdive 2602.19089 en",
        aside=True,
    )
    assert sent.answer == IN_CHANNEL
    assert [taken.asked for taken in rig.desk.begun] == [asked]


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("/paperboy top 5", "/top 5"),
        ("/paperboy /Top 5", "/top 5"),
        ("/paperboy search flow matching", "/search flow matching"),
        ("/paperboy", "/help"),
        ("/paperboy What is new?", "What is new?"),
        ("/top", "/top"),
        (f"/deepdive <{LINK}|x>", f"/deepdive {LINK}"),
    ],
)
async def test_the_umbrella_says_the_same_as_the_command(typed: str, text: str) -> None:
    async with listening(SOCKET) as rig:
        await rig.slack.types(typed)
        assert [asked.text for asked in rig.desk.asked] == [text]


async def test_a_refused_command_is_a_line_for_its_user_alone(rig: Rig) -> None:
    rig.desk.takes = lambda asked: Taken(asked, line="No more today, <!channel>.")
    sent = await rig.slack.types("/ask why?")
    assert sent.answer == {"response_type": "ephemeral", "text": "No more today, &lt;!channel&gt;."}
    rig.desk.takes = Taken
    assert (await rig.slack.types("/ask why?")).answer == {}


async def test_a_command_in_a_direct_message_is_private(rig: Rig) -> None:
    await rig.slack.types("/top", channel="D0ALICE")
    [asked] = rig.desk.asked
    assert (asked.private, asked.address) == (True, place("D0ALICE"))


async def test_a_mention_is_answered_in_its_own_thread_and_marked_as_seen(rig: Rig) -> None:
    sent = await rig.slack.mentions("top week")
    [asked] = rig.desk.asked
    [message] = rig.slack.posted()
    assert asked == Asked(
        key=f"slack:{sent.body['event_id']}",
        user=f"slack:{ALICE}",
        address=place(thread=message["ts"]),
        text="top week",
        message=message["ts"],
    )
    await wait_until(lambda: message.get("reactions") == ["eyes"])


async def test_a_mention_in_a_thread_is_answered_there(rig: Rig) -> None:
    root = rig.slack.says("a deep dive", user="U0BOB")["ts"]
    await rig.slack.mentions("How many GPUs?", thread=root)
    [asked] = rig.desk.asked
    assert (asked.address, asked.thread) == (place(thread=root), root)
    assert asked.message != root


async def test_a_mention_of_a_bot_whose_name_nobody_said_is_the_first(rig: Rig) -> None:
    body = payloads.event({**payloads.message("<@U9> top <@U8>", ALICE, "1.2"), "type": "app_mention", "channel": "C1"})
    del body["authorizations"]
    assert (await rig.slack.send(EVENTS, body)).acknowledged
    await rig.slack.send(EVENTS, {**body, "event": {**body["event"], "text": "<@U0BOT> top"}})
    assert rig.desk.asked[0].text in ("top @U8", "@U9 top @U8")  # once auth.test answered, it is known
    assert rig.desk.asked[1].text == "top"


async def test_a_direct_message_is_answered_without_a_thread(rig: Rig) -> None:
    sent = await rig.slack.direct("top 5")
    [asked] = rig.desk.asked
    assert asked == Asked(
        key=f"slack:{sent.body['event_id']}",
        user=f"slack:{ALICE}",
        address=place("D0ALICE"),
        text="top 5",
        message=rig.slack.posted("D0ALICE")[0]["ts"],
        private=True,
    )


async def test_a_refused_mention_gets_no_eyes(rig: Rig) -> None:
    rig.desk.takes = Taken
    await rig.slack.mentions("top")
    await rig.slack.mentions("top")
    assert not rig.slack.calls("reactions.add")
    assert len(rig.desk.begun) == 2


@pytest.mark.parametrize("fault", ["already_reacted", "missing_scope", "ratelimited"])
async def test_a_reaction_that_is_refused_costs_nothing(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    async with listening(SOCKET) as rig:
        rig.slack.fail("reactions.add", says(fault))
        await rig.slack.mentions("top")
        await wait_until(lambda: bool(rig.slack.calls("reactions.add")))
        assert rig.desk.begun
    assert not errors(caplog)


async def posted_with_a_button(rig: Rig, thread: str | None = None, channel: str = "C0PAPERS") -> str:
    document = Document(
        "digest",
        (Span("Day"),),
        (Paragraph((Span("see ", bold=True), Span("arXiv", href=LINK))),),
        "a day",
        "zh",
        buttons=(Button("🧠 1", action="deepdive 2602.19089 zh"), Button("arXiv", url="https://arxiv.org")),
    )
    payload = json.loads(messages.render([document])[0].payload)
    posted = await rig.handlers._client.chat_postMessage(channel=channel, thread_ts=thread, **payload)
    return str(posted["ts"])


async def test_a_button_is_asked_under_its_message(rig: Rig) -> None:
    stamp = await posted_with_a_button(rig)
    sent = await rig.slack.taps("🧠 1", stamp)
    [asked] = rig.desk.asked
    assert asked == Asked(
        key=f"slack:{sent.body['actions'][0]['action_ts']}/{ALICE}/{stamp}",
        user=f"slack:{ALICE}",
        address=place(thread=stamp),
        text="deepdive 2602.19089 zh",
        about=stamp,
        quoted=f"a day\n{LINK}\nhttps://arxiv.org",
        tap=True,
        aside=True,
    )
    assert sent.answer == {}
    assert rig.desk.begun


async def test_a_button_in_a_thread_is_answered_in_that_thread(rig: Rig) -> None:
    root = await posted_with_a_button(rig)
    stamp = await posted_with_a_button(rig, root)
    await rig.slack.taps("deepdive 2602.19089 zh", stamp)
    [asked] = rig.desk.asked
    assert (asked.address, asked.thread, asked.about) == (place(thread=root), root, stamp)


async def test_a_button_that_is_a_link_is_nobodys_question(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    sent = await rig.slack.taps("arXiv", await posted_with_a_button(rig))
    assert sent.acknowledged
    assert not rig.desk.asked
    assert not errors(caplog)


async def test_a_line_for_who_tapped_is_seen_by_nobody_else(rig: Rig) -> None:
    rig.desk.takes = lambda asked: Taken(asked, line="Noted.")
    root = await posted_with_a_button(rig)
    await rig.slack.taps("🧠 1", await posted_with_a_button(rig, root))
    await wait_until(lambda: bool(rig.slack.whispers))
    [whisper] = rig.slack.whispers
    assert (whisper.channel, whisper.user, whisper.text, whisper.thread) == ("C0PAPERS", ALICE, "Noted.", root)


async def test_a_line_where_the_bot_is_not_goes_to_the_response_url(rig: Rig) -> None:
    rig.desk.takes = lambda asked: Taken(asked, line="Not here.")
    rig.slack.places["C0OTHER"] = Place("C0OTHER", "other", member=False)
    said = rig.slack.says(LINK, channel="C0OTHER")
    await rig.slack.shortcut(said["ts"], channel="C0OTHER")
    await wait_until(lambda: bool(rig.slack.whispers))
    [whisper] = rig.slack.whispers
    assert (whisper.text, whisper.user) == ("Not here.", ALICE)
    assert whisper.response_url


async def test_the_message_menu_asks_about_its_message(rig: Rig) -> None:
    said = rig.slack.says(f"see <{LINK}|this one>", user="U0BOB")
    sent = await rig.slack.shortcut(said["ts"])
    [asked] = rig.desk.asked
    assert asked == Asked(
        key=f"slack:{sent.body['trigger_id']}",
        user=f"slack:{ALICE}",
        address=place(thread=said["ts"]),
        text="/deepdive",
        about=said["ts"],
        quoted=f"see {LINK}",
        aside=True,
    )
    assert sent.answer == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"bot_id": "B0OTHER"},
        {"bot_profile": {"id": "B0OTHER"}},
        {"user": "U0BOT"},
        {"user": None},
        {"edited": {"user": ALICE, "ts": "2.0"}},
        {"subtype": "message_changed", "hidden": True},
        {"subtype": "message_deleted", "hidden": True},
        {"subtype": "bot_message"},
        {"subtype": "channel_join"},
        {"channel_type": "channel"},
        {"channel_type": "mpim"},
    ],
)
async def test_what_is_nobodys_question_is_acknowledged_and_forgotten(changes: dict[str, Any], rig: Rig) -> None:
    event = {**payloads.message("top", ALICE, "1.2"), "channel": "D0ALICE", "channel_type": "im", **changes}
    assert (await rig.slack.send(EVENTS, payloads.event(event))).tries == 1
    assert not rig.desk.asked


async def test_what_nobody_listens_to_is_acknowledged(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    assert (await rig.slack.happens("reaction_added", user=ALICE, reaction="eyes")).tries == 1
    assert (await rig.slack.types("/unknown")).acknowledged
    assert (await rig.slack.shortcut(rig.slack.says("x")["ts"], callback_id="other")).acknowledged
    assert not rig.desk.asked
    assert not errors(caplog)


def test_a_key_holds_nothing_but_what_keys_may_hold() -> None:
    asked = translate.command({"trigger_id": "1.2.é ~<x>", "command": "/top", "channel_id": "C1", "user_id": "U1"})
    assert asked.key == "slack:1.2.____x_"


@pytest.mark.parametrize("body", [{}, {"event": "x", "actions": "x", "user": 3, "message": []}, {"actions": [None]}])
def test_a_strange_payload_is_nobodys_question(body: dict[str, Any]) -> None:
    assert translate.mention(body, "") is translate.direct(body, "") is translate.tap(body) is None
    assert translate.shortcut(body) is None
    assert translate.command(body).text == "/"


def test_a_button_on_the_bots_own_page_is_answered_in_private() -> None:
    body = {"actions": [{"value": "top", "action_ts": "1.2"}], "user": {"id": ALICE}, "container": {"type": "view"}}
    asked = translate.tap(body)
    assert asked is not None
    assert (asked.address, asked.private) == (place(ALICE), True)


# -- stored, acknowledged, begun


async def everything(slack: SlackStandIn, rig: Rig) -> list[Sent]:
    stamp = await posted_with_a_button(rig)
    ways = (
        slack.types("/top"),
        slack.mentions("top"),
        slack.direct("top"),
        slack.taps("🧠 1", stamp),
        slack.shortcut(stamp),
    )
    return list(await asyncio.gather(*ways))


async def test_what_is_asked_is_stored_before_it_is_acknowledged_and_begun_afterwards(transport: str) -> None:
    stored = asyncio.Event()
    async with listening(transport, FakeDesk(hangs=stored)) as rig:
        asking = asyncio.create_task(everything(rig.slack, rig))
        await wait_until(lambda: len(rig.desk.asked) == 5)
        assert not any(sent.acknowledged for sent in rig.slack.sent)
        assert not rig.desk.begun
        stored.set()
        for sent in await asking:
            assert sent.tries == 1
            assert sent.seconds < ACK_SECONDS
        assert len(rig.desk.begun) == 5


async def test_a_desk_that_hangs_is_not_waited_for(transport: str) -> None:
    never = asyncio.Event()
    async with listening(transport, FakeDesk(hangs=never), ack_seconds=1.0) as rig:
        for sent in await everything(rig.slack, rig):
            assert sent.tries == 1
            assert service.TAKE_SECONDS <= sent.seconds < ACK_SECONDS
        assert rig.slack.sent[0].answer == {
            "response_type": "ephemeral",
            "text": "Paperboy is busy right now: please try again in a moment.",
        }
        await wait_until(lambda: len(rig.slack.whispers) == 4)
        assert not rig.desk.begun


async def test_what_was_stored_too_late_is_begun_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    # The real time is 0.8 s, which no test need wait for.
    monkeypatch.setattr(service, "TAKE_SECONDS", 0.05)
    late = asyncio.Event()
    async with listening(SOCKET, FakeDesk(hangs=late)) as rig:
        await rig.slack.types("/top")
        assert not rig.desk.begun
        late.set()
        await wait_until(lambda: len(rig.desk.begun) == 1)


async def test_what_fails_after_the_acknowledgement_does_not_take_it_back(
    transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening(transport, FakeDesk(fails_to_begin=True)) as rig:
        assert [sent.tries for sent in await everything(rig.slack, rig)] == [1] * 5
        assert rig.slack.sent[0].answer == IN_CHANNEL
    assert len(errors(caplog)) == 5


async def test_a_desk_that_fails_leaks_nothing(transport: str, caplog: pytest.LogCaptureFixture) -> None:
    async with listening(transport, FakeDesk(fails=True)) as rig:
        sent = await everything(rig.slack, rig)
        assert [each.tries for each in sent] == [1] * 5
        await wait_until(lambda: len(rig.slack.whispers) == 4)
        said = str([each.answer for each in sent]) + str(rig.slack.whispers)
    assert "secret detail" not in said
    assert "Traceback" not in said
    assert len(errors(caplog)) == 5


async def test_a_broken_translation_is_logged_and_tells_nobody(
    monkeypatch: pytest.MonkeyPatch, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(body: Any) -> Asked:
        raise KeyError("secret detail")

    monkeypatch.setattr(translate, "command", broken)  # nothing else can make a listener fail
    async with listening(transport, ack_seconds=0.2) as rig:
        sent = await rig.slack.types("/top")
        assert not sent.acknowledged
        assert "secret" not in str(sent.answer)
    assert errors(caplog) == ["event failed"]


async def test_an_event_that_comes_twice_has_the_same_key(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(transport) as rig:
        body = (await rig.slack.mentions("top")).body
        await rig.slack.send(EVENTS, body)
        command = (await rig.slack.types("/top")).body
        await rig.slack.send(COMMANDS, command)
        keys = [asked.key for asked in rig.desk.asked]
        assert keys[0] == keys[1]
        assert keys[2] == keys[3]
        assert len(set(keys)) == 2


async def test_an_event_that_was_not_acknowledged_comes_again_with_the_same_key(transport: str) -> None:
    hanging = asyncio.Event()
    async with listening(transport, FakeDesk(hangs=hanging), ack_seconds=0.2) as rig:
        sent = await rig.slack.mentions("top")
        assert sent.tries == 4
        assert len({asked.key for asked in rig.desk.asked}) == 1
        hanging.set()
        await wait_until(lambda: len(rig.desk.begun) == 4)


HOSTILE = (
    *(
        "",
        " ",
        "\x00\x1b",
        "😀" * 1_000,
        "\u202eabc\u202c",
        "中文" * 500,
        "\r\n\t",
        "-1",
        "null",
        "[]",
        "%s%n",
        "{{7*7}}",
    ),
    *("<!channel>", "<@", "<@U0BOT>" * 50, "&lt;" * 500, "<https://a|b", "<|>", "<#>", "<@U0BOT|>", "<!subteam^>"),
    *("'; DROP TABLE requests; --", "../../etc/passwd", "https://evil.example/abs/2602.19089", "2602.19089" * 100),
    *("*_~`", "<!date^x>", "/top /top", "<script>alert(1)</script>", "/paperboy /paperboy"),
)


def hostile_texts(count: int) -> list[str]:
    dice = random.Random(7)
    made = ["".join(dice.choices(HOSTILE, k=dice.randint(1, 4)))[: dice.randint(1, 4_096)] for _ in range(count)]
    return [*HOSTILE, *made][:count]


async def test_no_text_makes_it_fail(transport: str, caplog: pytest.LogCaptureFixture) -> None:
    async with listening(transport) as rig:
        texts = hostile_texts(300)
        ways = (rig.slack.mentions, rig.slack.direct, lambda text: rig.slack.types(f"/paperboy {text}"))
        for start in range(0, len(texts), 30):
            batch = texts[start : start + 30]
            sent = await asyncio.gather(*(ways[n % 3](text) for n, text in enumerate(batch, start)))
            assert all(each.tries == 1 and each.acknowledged for each in sent)
        assert len(rig.desk.asked) == len(rig.desk.begun) == 300
        assert all(asked.text == asked.text.strip() for asked in rig.desk.asked)
        await wait_until(lambda: len(rig.slack.calls("reactions.add")) == 200)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_fifty_at_once_are_acknowledged_at_once(transport: str) -> None:
    async with listening(transport) as rig:
        sent = await asyncio.gather(*(rig.slack.mentions(f"top {n}", user=f"U{n}") for n in range(50)))
        assert max(each.seconds for each in sent) < ACK_SECONDS
        assert len(rig.desk.begun) == 50


# -- chats and the bot's own page


@pytest.mark.parametrize(
    ("kind", "event", "told"),
    [
        ("channel_archive", {"channel": "C1", "user": ALICE}, ("left", "slack:C1", "the channel was archived")),
        ("group_archive", {"channel": "C1"}, ("left", "slack:C1", "the channel was archived")),
        ("channel_left", {"channel": "C1"}, ("left", "slack:C1", "the bot was removed from the channel")),
        ("group_left", {"channel": "C1"}, ("left", "slack:C1", "the bot was removed from the channel")),
        ("channel_deleted", {"channel": "C1"}, ("left", "slack:C1", "the channel was deleted")),
        ("channel_unarchive", {"channel": "C1"}, ("arrived", "slack:C1", True)),
        ("group_unarchive", {"channel": "C1"}, ("arrived", "slack:C1", True)),
        ("member_joined_channel", {"channel": "C1", "user": "U0BOT"}, ("arrived", "slack:C1", True)),
        ("member_joined_channel", {"channel": "C1", "user": ALICE}, None),
        ("channel_id_changed", {"old_channel_id": "C1", "new_channel_id": "C2"}, ("moved", "slack:C1", "C2")),
        ("channel_id_changed", {"old_channel_id": "C1"}, None),
        ("channel_archive", {"channel": {"id": "C1"}}, None),
    ],
)
async def test_what_happens_to_a_channel_is_told(kind: str, event: dict[str, Any], told: Any, rig: Rig) -> None:
    assert (await rig.slack.happens(kind, **event)).tries == 1
    await rig.slack.types("/top")  # what was told, was told by now
    assert rig.desk.chats == ([told] if told else [])


async def test_the_bots_own_page_is_published(rig: Rig) -> None:
    await rig.slack.happens("app_home_opened", user=ALICE, channel="D0ALICE", tab="home")
    await wait_until(lambda: ALICE in rig.slack.homes)
    assert rig.desk.homes == [(f"slack:{ALICE}", "")]
    blocks = rig.slack.homes[ALICE]["blocks"]
    assert [block["type"] for block in blocks] == ["header", "rich_text", "actions"]
    assert blocks[-1]["elements"][0]["value"] == "top 5 2"
    view = rig.slack.homes[ALICE]
    await rig.slack.happens("app_home_opened", user=ALICE, channel="D0ALICE", tab="home", view={"hash": view["hash"]})
    await wait_until(lambda: rig.slack.homes[ALICE]["hash"] != view["hash"])


async def test_a_page_that_changed_meanwhile_is_left_alone(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    await rig.slack.happens("app_home_opened", user=ALICE, channel="D0ALICE", tab="home", view={"hash": "old"})
    await wait_until(lambda: bool(rig.slack.calls("views.publish")))
    assert rig.slack.refusals == ["hash_conflict"]
    assert not rig.slack.homes
    await rig.slack.happens("app_home_opened", user=ALICE, channel="D0ALICE", tab="messages")
    assert len(rig.slack.calls("views.publish")) == 1
    assert not errors(caplog)


async def test_a_long_page_is_cut_where_slack_would_refuse_it(rig: Rig) -> None:
    blocks = tuple(Paragraph((Span(f"p{n}"),)) for n in range(150))
    rig.desk.page = Document("home", (Span("Paperboy"),), blocks, "s", "zh")
    await rig.slack.happens("app_home_opened", user=ALICE, channel="D0ALICE", tab="home")
    await wait_until(lambda: ALICE in rig.slack.homes)
    assert len(rig.slack.homes[ALICE]["blocks"]) == 100


# -- Socket Mode


async def ready(rig: Rig) -> None:
    await wait_until(lambda: rig.handlers.state == "ok")


async def test_a_connection_that_slack_replaces_loses_nothing() -> None:
    async with listening(SOCKET, ack_seconds=0.5) as rig:
        await ready(rig)
        await rig.slack.disconnect("refresh_requested")
        await wait_until(lambda: rig.slack.connected == 2)
        assert (await rig.slack.mentions("top")).acknowledged
        await ready(rig)
        assert rig.slack.connected == 2
    assert len(rig.desk.begun) == 1


async def test_a_connection_that_is_lost_is_opened_again() -> None:
    async with listening(SOCKET) as rig:
        await ready(rig)
        await rig.slack.hang_up()
        started = time.monotonic()
        assert (await rig.slack.types("/top")).answer == IN_CHANNEL
        assert time.monotonic() - started < 3
        await ready(rig)


async def test_a_slack_that_went_away_is_found_when_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    desk = FakeDesk()
    async with SlackStandIn() as first, handled(first, SOCKET, desk) as rig:
        await ready(rig)
        await first._runner.cleanup()
        await wait_until(lambda: rig.handlers.state == "in trouble")
        async with SlackStandIn(port=first.port) as second:
            await second.types("/top")
            assert len(desk.begun) == 1
            await ready(rig)
        assert caplog.text.count("cannot be reached") <= 2


async def test_a_slack_that_is_down_at_the_start_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    gone = SlackStandIn()
    async with gone:
        pass
    async with handled(gone, SOCKET, FakeDesk()) as rig:
        await wait_until(lambda: "cannot be reached" in caplog.text)
        assert rig.handlers.state == "in trouble"
        assert not rig.running.done()
        async with SlackStandIn(port=gone.port) as slack:
            assert (await slack.types("/top")).acknowledged


async def test_a_wrong_app_token_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # The real pause is a minute.
    monkeypatch.setattr(connection, "REFUSED_PAUSE", 0.02)
    caplog.set_level(logging.DEBUG)
    async with SlackStandIn() as slack, handled(slack, SOCKET, FakeDesk(), app_token="xapp-very-secret") as rig:
        await wait_until(lambda: len(slack.calls("apps.connections.open")) > 3)
        assert rig.handlers.state == "in trouble"
    assert caplog.text.count("check slack.app_token") == 1
    assert "xapp-very-secret" not in caplog.text


async def test_an_address_that_leads_nowhere_is_given_up_for_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async with SlackStandIn() as slack:
        slack.fail("apps.connections.open", hang)
        monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.1)  # the real one is 10 s
        async with handled(slack, SOCKET, FakeDesk()) as rig:
            await ready(rig)


async def test_a_replacement_that_fails_is_made_when_the_old_connection_ends() -> None:
    async with listening(SOCKET) as rig:
        await ready(rig)
        rig.slack.fail("apps.connections.open", says("internal_error"), says("internal_error"))
        await rig.slack.disconnect()
        await wait_until(lambda: len(rig.slack.calls("apps.connections.open")) == 2)
        assert (await rig.slack.types("/top")).acknowledged  # on the old one, which still stands
        await rig.slack.hang_up()
        assert (await rig.slack.types("/top")).acknowledged


async def test_an_acknowledgement_that_is_lost_with_its_connection_is_asked_for_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stored = asyncio.Event()
    async with listening(SOCKET, FakeDesk(hangs=stored), ack_seconds=0.3) as rig:
        asking = asyncio.create_task(rig.slack.mentions("top"))
        await wait_until(lambda: bool(rig.desk.asked))
        await rig.slack.hang_up()
        stored.set()
        sent = await asking
        assert sent.acknowledged
        assert sent.tries > 1
        assert len({asked.key for asked in rig.desk.asked}) == 1
    assert not errors(caplog)


async def test_its_own_name_is_asked_for_until_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "IDENTITY_SECONDS", 0.01)  # the real one is half a minute
    async with SlackStandIn() as slack:
        slack.fail("auth.test", says("internal_error"), read_then_cut)
        async with handled(slack, SOCKET, FakeDesk()) as rig:
            await wait_until(lambda: rig.handlers._own_id == payloads.BOT_USER)


async def test_one_of_several_replicas_gets_each_event() -> None:
    one, other = FakeDesk(), FakeDesk()
    async with SlackStandIn() as slack, handled(slack, SOCKET, one), handled(slack, SOCKET, other):
        await wait_until(lambda: len(slack.sockets) == 2)
        for _ in range(4):
            await slack.types("/top")
    assert (len(one.begun), len(other.begun)) == (2, 2)


async def test_it_ends_at_once() -> None:
    async with listening(SOCKET, FakeDesk(hangs=asyncio.Event())) as rig:
        await ready(rig)
        pending = asyncio.create_task(rig.slack.types("/top"))
        await wait_until(lambda: bool(rig.desk.asked))
        started = time.monotonic()
        rig.running.cancel()
        await asyncio.gather(rig.running, return_exceptions=True)
        assert time.monotonic() - started < 1
        pending.cancel()
        await asyncio.gather(pending, return_exceptions=True)


async def test_no_token_and_no_text_is_logged(transport: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with listening(transport) as rig:
        await everything(rig.slack, rig)
        await rig.slack.mentions("a very private question")
        if transport == SOCKET:
            await rig.slack.hang_up()
            await rig.slack.types("/top")
        secrets = (rig.slack.token, rig.slack.app_token, rig.slack.signing_secret, "secret-ticket", "private question")
    for secret in secrets:
        assert secret not in caplog.text


@pytest.mark.parametrize(("mode", "setting"), [(SOCKET, "slack.app_token"), (HTTP, "slack.signing_secret")])
async def test_without_its_secret_nothing_arrives_and_that_is_said(
    mode: str, setting: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with SlackStandIn() as slack, handled(slack, mode, FakeDesk(), app_token=None, signing_secret=None) as rig:
        await wait_until(lambda: setting in caplog.text)
        assert rig.handlers.state == "in trouble"
        assert rig.handlers.routes() == []
        assert not rig.handlers._options.complete


def test_options_show_no_secret() -> None:
    assert "secret" not in repr(SlackOptions(app_token="xapp-secret", signing_secret="secret"))


# -- HTTP


async def post(rig: Rig, body: str | bytes, **headers: str) -> int:
    status, _ = await rig.slack.posts(body, {"Content-Type": "application/json", **headers})
    return status


async def test_only_what_slack_signed_just_now_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    async with listening(HTTP) as rig:
        body = json.dumps(
            payloads.event({**payloads.message("top", ALICE, "1.2"), "channel": "D1", "channel_type": "im"})
        )
        now = time.time()
        signed = rig.slack.signed
        assert await post(rig, body) == 401
        assert await post(rig, body, **signed(body, secret="another")) == 401
        assert await post(rig, body, **signed(body + " ")) == 401
        assert await post(rig, body, **signed(body, at=now - 600)) == 401
        assert await post(rig, body, **signed(body, at=now + 600)) == 401
        for stamp in ("", "x", "١٢٣", "9" * 5_000, "-1"):
            assert await post(rig, body, **{**signed(body), "X-Slack-Request-Timestamp": stamp}) == 401
        assert await post(rig, body, **{**signed(body), "X-Slack-Signature": "v0=é"}) == 401
        assert await post(rig, b"\xff\xfe", **signed("x")) == 401
        assert not rig.desk.asked
        assert await post(rig, body, **signed(body)) == 200
        assert len(rig.desk.asked) == 1
    assert not errors(caplog)


@pytest.mark.parametrize("body", ["no json", "[]", "3", '"x"', "", "{", '{"type": "event_callback", "event": []}'])
async def test_a_signed_body_that_is_none_is_refused_in_words(body: str) -> None:
    async with listening(HTTP) as rig:
        assert await post(rig, body, **rig.slack.signed(body)) < 600
        assert not rig.desk.asked
        assert (await rig.slack.types("/top")).acknowledged


async def test_a_body_without_end_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "BODY_BYTES", 1_000)  # aiohttp warns of sending a million at once
    async with listening(HTTP) as rig:
        assert await post(rig, "x" * 1_001, **rig.slack.signed("x" * 1_001)) == 413


async def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "BODY_SECONDS", 0.05)  # the real one is 3 s

    async def never_ends() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with listening(HTTP) as rig, aiohttp.ClientSession() as session:
        async with session.post(rig.slack.events_url, data=never_ends()) as answer:
            assert answer.status == 408
        assert (await rig.slack.types("/top")).acknowledged


async def test_slack_may_verify_the_address() -> None:
    async with listening(HTTP) as rig:
        body = json.dumps({"type": "url_verification", "token": "t", "challenge": "abc"})
        status, text = await rig.slack.posts(body, {"Content-Type": "application/json", **rig.slack.signed(body)})
        assert status == 200
        assert "abc" in text


async def test_over_http_there_is_no_websocket() -> None:
    async with listening(HTTP) as rig:
        await rig.slack.types("/top")
        assert not rig.slack.connected
        assert rig.handlers.state == "ok"
        assert [route.path for route in rig.handlers.routes() if hasattr(route, "path")] == ["/slack/events"]
