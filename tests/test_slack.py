import json
import logging
import re
import socket
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot import texts
from bot.channels.slack import SlackChannel, slack_client
from bot.channels.slack.api import SlackError
from bot.channels.slack.blocks import fragments
from bot.channels.slack.lookup import PAGE
from bot.channels.slack.messages import BLOCKS_LIMIT, CHARACTERS_LIMIT, render
from bot.channels.slack.simple import as_text
from bot.channels.slack.text import escaped, length, literal, shortened
from bot.errors import Outcome, SendError
from bot.interfaces import Thread
from bot.models import Address, ArxivId, Message, Paper, PartKind, PlatformName, Ranked
from bot.report import compose
from bot.report.document import (
    Block,
    Button,
    Divider,
    Document,
    Fields,
    Footer,
    Heading,
    Item,
    Items,
    Mark,
    Note,
    Paragraph,
    Picture,
    Ranking,
    RankingRow,
    Section,
    Span,
    Spans,
    text_of,
)
from tests import slack_rules as rules
from tests.fakes import SHARED_DATA, FakeClock, a_ranking, a_report, a_score
from tests.gates import REPORT, a_gate
from tests.slack_standin import (
    Place,
    SlackStandIn,
    broken,
    hang,
    post_then_500,
    post_then_cut,
    ratelimited,
    read_then_cut,
    says,
)

TOKEN = "xoxb-stand-in"
ADDRESS = Address(PlatformName.SLACK, "C0PAPERS")
NEW = Thread(None, {})
SINCE = datetime.now(UTC) - timedelta(minutes=1)
RINGING = "<!channel> <!here|x> <@U0ABC> <#C0ABC> <!subteam^S1> @here @channel @everyone @Channel你好 & <b>"


def plain(text: str) -> Spans:
    return (Span(text),)


def a_document(*blocks: Block, **changes: Any) -> Document:
    values: dict[str, Any] = {"key": "digest", "title": plain("Day"), "summary": "a day", "language": "zh"}
    return Document(**(values | {"blocks": blocks} | changes))


def a_message(text: str = "hello", *, reply: bool = False) -> Message:
    payload = json.loads(render([a_document(Paragraph(plain(text)))])[0].payload)
    return Message(PartKind.POST, "digest", json.dumps(payload), reply)


def payloads(*documents: Document) -> list[dict[str, Any]]:
    """What is sent, each accepted by the stand-in's rules and by our own narrower limits."""
    loaded = [json.loads(message.payload) for message in render(documents)]
    for payload in loaded:
        rules.content(payload)
        assert not list(rules.live_mentions(payload, {}))
        assert len(payload["blocks"]) <= BLOCKS_LIMIT
        assert sum(length(text) for text in rules.texts(payload["blocks"])) <= CHARACTERS_LIMIT
    return loaded


def seen(payload: dict[str, Any]) -> str:
    return "\n".join(rules.as_seen(payload))


def a_row(position: int | None, **changes: Any) -> RankingRow:
    values: dict[str, Any] = {
        "position": position,
        "title": f"Paper {position}",
        "href": "https://arxiv.org/abs/2602.00001",
        "score": 84,
        "band": "good",
        "reason": plain("直接做图像复原，流匹配可迁移。"),
    }
    return RankingRow(**(values | changes))


@asynccontextmanager
async def slack(token: str = TOKEN, target: str = "C0PAPERS", **options: Any) -> AsyncIterator[tuple[Any, Any]]:
    """A stand-in and a channel that posts to it."""
    async with SlackStandIn(**options) as server, slack_client(token, server.api_url.rstrip("/")) as client:
        yield server, SlackChannel(Address(PlatformName.SLACK, target), client, a_gate())


async def failing(channel: SlackChannel, message: Message | None = None, thread: Thread = NEW) -> SendError:
    with pytest.raises(SendError) as caught:
        await channel.send("k~0", message or a_message(), thread)
    return caught.value


# -- rendering


def test_a_report_is_a_root_and_one_reply_a_deep_dive() -> None:
    documents = compose.report(a_report(), texts.load("zh"))
    messages = render(documents)
    assert [(message.document, message.reply) for message in messages] == [
        ("digest", False),
        ("2602.00001", True),
        ("2602.00002", True),
    ]
    root, dive, _ = payloads(*documents)
    assert root["blocks"][0]["type"] == dive["blocks"][0]["type"] == "header"
    assert "完整排名" in seen(root)
    assert "模型超时" in seen(root)
    assert "核心创新点 (Key Contribution)" in seen(dive)
    assert "`推断`" in seen(dive)
    assert root["text"].startswith("CV 论文日报 2026-02-25")


def test_rendering_is_the_same_every_time() -> None:
    documents = compose.report(a_report(), texts.load("en"))
    assert render(documents) == render(documents)


def test_looks_are_style_flags_and_links_come_from_code_alone() -> None:
    spans = (
        Span("粗", bold=True),
        Span("体*a*_b_", italic=True, code=True),
        Span("gone", strike=True),
        Span("x²", tex="x^2"),
        Span("arXiv", href="https://arxiv.org"),
        Span("elsewhere", document="2602.00001"),
        Span("script", href="javascript:alert(1)"),
        Span(""),
    )
    (payload,) = payloads(a_document(Paragraph(spans)))
    assert payload["blocks"][1]["elements"][0]["elements"] == [
        {"type": "text", "text": "粗", "style": {"bold": True}},
        {"type": "text", "text": "体*a*_b_", "style": {"italic": True, "code": True}},
        {"type": "text", "text": "gone", "style": {"strike": True}},
        {"type": "text", "text": "x²"},
        {"type": "link", "url": "https://arxiv.org", "text": "arXiv"},
        {"type": "text", "text": "elsewhere"},
        {"type": "text", "text": "script"},
    ]


def test_every_block_is_shown_as_its_readers_expect() -> None:
    (payload,) = payloads(
        a_document(
            Divider(),
            Note(plain("只有摘要"), "warning"),
            Note(plain("⏰ 补发"), "warning"),
            Note(plain("说明")),
            Fields((("来源", plain("HuggingFace")), ("Score", (Span("84", bold=True),)))),
            Heading(plain("排名")),
            Ranking((a_row(1, tags=("精选",)), a_row(2, reason=()), a_row(None, score=None, band="failed"))),
            Divider(),
            Section("method", "技术细节", (Paragraph(plain("先说")), Items((Item(plain("再说")),)))),
            Section("empty", "空", ()),
            Items(
                (
                    Item(plain("stated"), Mark("§3.2", inferred=False, quote="q", href="https://arxiv.org/html/1#S3")),
                    Item(plain("bare"), Mark("摘要", inferred=False)),
                    Item(plain("guess"), Mark("推断", inferred=True)),
                ),
                ordered=True,
            ),
            Items((Item(()),)),
            Footer((Span("模型 gpt_5_mini · "), Span("a|b", href="https://a.example/?x=1&y=2"), Span(" · 2 s"))),
            Divider(),
            buttons=(Button("arXiv", "https://arxiv.org"), Button("x" * 80, "https://b.example"), Button("no", "x:y")),
        )
    )
    assert seen(payload) == "\n".join(
        (
            "【Day】",
            "",
            "┃ ⚠️ 只有摘要",
            "",
            "┃ ⏰ 补发",
            "",
            "┃ 说明",
            "",
            "*来源：*HuggingFace  |  *Score: 84*",
            "",
            "*排名*",
            " 1. 🔵 *84*  _Paper 1_ `精选`",
            "    直接做图像复原，流匹配可迁移。",
            " 2. 🔵 *84*  _Paper 2_",
            " •  ⚠️ _Paper None_",
            "    直接做图像复原，流匹配可迁移。",
            "",
            "─" * 40,
            "",
            "*技术细节*",
            "先说",
            "",
            " •  再说",
            "",
            "*空*",
            "",
            " 1. stated _§3.2_",
            " 2. bare /摘要/",
            " 3. guess `推断`",
            "",
            "‹模型 gpt_5_mini ·›  ‹<https://a.example/?x=1&amp;y=2|a│b>›  ‹· 2 s›",
            "",
            "─" * 40,
            "",
            f"[ arXiv ]  [ {'x' * 74}… ]",
        )
    )


FIGURE = "https://arxiv.org/html/2602.00001v2/x1.png"


def a_picture(url: str = FIGURE, words: str = "Overview of <!here> fθ.") -> Picture:
    return Picture(url, (Span("图 2", href=url), Span("："), Span(words)), f"图 2：{words}")


def test_the_figure_heads_the_first_reply_of_its_deep_dive() -> None:
    sections = tuple(Section("s", f"节 {n}", (Items((Item(plain("雨" * 900)),) * 6),)) for n in range(4))
    parts = payloads(a_document(a_picture(), *sections))
    assert len(parts) > 1
    header, image, *_ = parts[0]["blocks"]
    assert header["type"] == "header"
    assert image == {
        "type": "image",
        "image_url": FIGURE,
        "alt_text": "图 2：Overview of <\u200b!here> fθ.",
        "title": {"type": "plain_text", "text": "图 2：Overview of <\u200b!here> fθ.", "emoji": False},
    }
    assert not any(rules.has_pictures(part["blocks"]) for part in parts[1:])


@pytest.mark.parametrize(
    "url",
    [
        "https://arxiv.org/html/2602.00001v2/x1.svg",
        "https://arxiv.org/html/2602.00001v2/x1.webp",
        "https://evil.example/x1.png",
        "https://arxiv.org/html/../x1.png",
    ],
)
def test_a_picture_that_slack_would_not_show_is_its_caption(url: str) -> None:
    (payload,) = payloads(a_document(a_picture(url, "Overview.")))
    assert not rules.has_pictures(payload["blocks"])
    assert "_图 2_：Overview." in seen(payload)


def test_a_picture_without_words_has_some_for_those_who_do_not_see_it() -> None:
    (payload,) = payloads(a_document(Picture(FIGURE, (), "")))
    assert payload["blocks"][1] == {"type": "image", "image_url": FIGURE, "alt_text": FIGURE}


def test_a_picture_with_too_many_words_is_still_taken() -> None:
    (payload,) = payloads(a_document(a_picture(words="x" * 5_000)))
    assert rules.has_pictures(payload["blocks"])


def test_small_print_that_a_context_block_cannot_hold_becomes_a_paragraph() -> None:
    links = tuple(Span(f"{n}", href=f"https://a.example/{n}") for n in range(11))
    for spans in (links, plain("长" * 3_001), (*links[:1], Span(" "), *links[1:2])):
        (payload,) = payloads(a_document(Footer(spans)))
        expected = "context" if len(spans) == 3 else "rich_text"
        assert payload["blocks"][1]["type"] == expected
    assert list(fragments(Footer(plain(" ")))) == list(fragments(Footer(()))) == []


def test_no_text_can_mention_anyone() -> None:
    spans = plain(RINGING)
    blocks: tuple[Block, ...] = (
        Heading(spans),
        Paragraph(spans),
        Note(spans),
        Fields(((RINGING, spans),)),
        Section("k", RINGING, (Items((Item(spans, Mark(RINGING, inferred=True)),)),)),
        Ranking((a_row(1, title=RINGING, reason=spans, tags=(RINGING,)),)),
        Footer((*spans, Span(RINGING, href="https://a.example/<!channel>@here"))),
    )
    document = a_document(
        *blocks, title=spans, summary=RINGING, buttons=(Button("<!here> @here", "https://a.example"),)
    )
    (payload,) = payloads(document)
    assert "<" not in payload["text"]
    assert not list(rules.live_mentions({"text": as_text(payload["blocks"])}, {}))
    assert "<b>" in seen(payload).replace("\u200b", "")


def test_the_stand_in_knows_a_live_mention_when_it_sees_one() -> None:
    user = {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [{"type": "user"}]}]}
    assert len(list(rules.live_mentions({"text": RINGING}, {}))) == 9
    assert list(rules.live_mentions({"text": "", "blocks": [user]}, {}))
    assert list(rules.live_mentions({"text": ""}, {"link_names": True}))


def test_a_long_ranking_is_split_between_papers_with_numbers_that_go_on() -> None:
    rows = tuple(a_row(n, reason=plain("理由" * 150)) for n in range(1, 61))
    document = a_document(Heading(plain("排名")), Ranking(rows), Footer(plain("脚注")), part_label="（{part}/{parts}）")
    made = payloads(document)
    assert [message.reply for message in render([document])] == [False, True]
    assert [payload["blocks"][0]["text"]["text"] for payload in made] == ["Day （1/2）", "Day （2/2）"]
    assert [payload["text"] for payload in made] == ["a day （1/2）", "a day （2/2）"]
    numbers = [int(n) for payload in made for n in re.findall(r"^ ?(\d+)\. ", seen(payload), re.MULTILINE)]
    assert numbers == list(range(1, 61))
    assert "脚注" in seen(made[-1])


def test_many_blocks_are_split_too() -> None:
    made = payloads(a_document(*(Paragraph(plain(f"p{n}")) for n in range(100))))
    assert len(made) == 3
    assert "p0" in seen(made[0])
    assert "p99" in seen(made[-1])


def test_a_heading_is_never_the_last_thing_in_a_message() -> None:
    filler = [Paragraph(plain("满" * 2_900)) for _ in range(4)]
    made = payloads(a_document(*filler, Heading(plain("标题")), Paragraph(plain("正文" * 600))))
    assert "标题" in seen(made[-1])
    assert "正文" in seen(made[-1])


def test_a_point_that_is_too_long_goes_on_without_a_bullet() -> None:
    text = "".join(f"第{n}句话说得很长很长很长很长。" for n in range(1_000))
    made = payloads(a_document(Section("k", "标题", (Items((Item(plain(text)), Item(plain("末"))), ordered=True),))))
    joined = "".join(block for payload in made for block in rules.texts(payload["blocks"][1:]))
    assert joined.replace("\n", "") == "标题" + text + "末"
    assert " 2. 末" in seen(made[-1])


@pytest.mark.parametrize("size", [140, 151, 900, 5_000])
def test_a_long_title_is_never_cut_short(size: int) -> None:
    title = "题" * size
    made = payloads(a_document(*(Paragraph(plain("文" * 2_900)) for _ in range(8)), title=plain(title)))
    assert len(made) > 1
    assert title in "".join(rules.texts(made[0]["blocks"]))
    assert "(2/" in made[1]["blocks"][0]["text"]["text"]


def test_a_document_without_words_of_its_own_is_still_a_message() -> None:
    (payload,) = payloads(a_document(title=plain("只有标题"), summary=" "))
    assert payload["text"] == "只有标题"
    assert [block["type"] for block in payload["blocks"]] == ["header"]
    assert json.loads(render([a_document(title=(), summary="x")])[0].payload) == {"text": "x", "blocks": []}
    many = payloads(a_document(*(Paragraph(plain("文" * 2_900)) for _ in range(8)), title=()))
    assert seen(many[0]).startswith("*(1/2)*")


def test_a_notification_is_short_and_whole() -> None:
    (payload,) = payloads(a_document(Paragraph(plain("x")), summary="<&>" * 1_000))
    assert payload["text"].endswith("…")
    assert re.sub(r"&(amp|lt|gt);", "", payload["text"]) == "…"


def test_text_is_counted_and_shortened_in_utf_16() -> None:
    assert length("a🚀") == 3
    assert shortened("🚀🚀🚀", 5) == "🚀🚀…"
    assert shortened("short", 5) == "short"
    assert literal("a\x00b\ud800c\n") == "abc\n"
    assert escaped("<!here> & x") == "&lt;\u200b!here&gt; &amp; x"


words = st.text(st.sampled_from("论文ab<>&@!#|*_`~ \n。🚀\u200d\x07") | st.characters(), max_size=60)
looks = st.builds(Span, words, bold=st.booleans(), code=st.booleans(), href=st.sampled_from([None, "https://a.b"]))
runs = st.lists(looks, max_size=4).map(tuple)
long_runs = st.builds(lambda text, n: (Span(text * n),), words, st.integers(1, 150))
marks = st.none() | st.builds(Mark, words, inferred=st.booleans())
lists = st.builds(Items, st.lists(st.builds(Item, runs | long_runs, marks), max_size=6).map(tuple), st.booleans())
leaves = st.builds(Paragraph, runs | long_runs) | lists
rows = st.lists(st.builds(lambda spans: a_row(1, reason=spans), runs), max_size=5).map(tuple)
any_block = st.one_of(
    leaves,
    st.builds(Heading, runs),
    st.builds(Section, words, words, st.lists(leaves, max_size=3).map(tuple)),
    st.builds(Ranking, rows),
    st.builds(Note, runs, st.sampled_from(["info", "warning"])),
    st.builds(Footer, runs),
    st.just(Divider()),
)
documents = st.builds(
    lambda blocks, summary: a_document(*blocks, summary=summary), st.lists(any_block, max_size=12).map(tuple), words
)


def bare(text: str) -> str:
    """What is left of a text when nothing but its visible characters counts."""
    return re.sub(r"[\s\u200b]", "", literal(text))


@settings(max_examples=25, deadline=None)
@given(documents)
@example(a_document(Footer((Span("\x1b"),)), summary=""))
def test_whatever_a_document_says_slack_takes_it_whole_and_nobody_is_rung(document: Document) -> None:
    made = payloads(document)
    shown = bare("".join(text for payload in made for text in rules.texts(payload["blocks"][1:])))
    for block in document.blocks:
        if isinstance(block, Paragraph):
            assert bare(text_of(block.spans)) in shown
        if isinstance(block, Items):
            assert all(bare(text_of(item.spans)) in shown for item in block.items)
    simple = "".join(as_text(payload["blocks"]) for payload in made)
    assert not list(rules.live_mentions({"text": simple}, {}))


@pytest.mark.shared_data
@pytest.mark.parametrize("day", ["2026-02-25", "2026-02-03"])
def test_a_real_day_is_one_message_a_document(day: str) -> None:
    path = SHARED_DATA / "hf_daily" / f"{day}.json"
    if not path.exists():
        pytest.skip("../shared/data is not there")
    listed = [entry["paper"] for entry in json.loads(path.read_text(encoding="utf-8"))][:30]
    papers = [Paper(ArxivId(paper["id"]), paper["title"], paper["summary"]) for paper in listed]
    entries = tuple(Ranked(paper, a_score(95 - n), chosen=n < 2) for n, paper in enumerate(papers))
    made = a_report(ranking=a_ranking(entries=entries), deep_dives=())
    assert len(payloads(*compose.report(made, texts.load("zh")))) == 1


# -- sending


async def test_a_message_and_its_reply_stand_in_one_thread() -> None:
    async with slack() as (server, channel):
        (root,) = await channel.send("d~0", a_message("root"), NEW)
        (reply,) = await channel.send("d~1", a_message("reply", reply=True), Thread(root, {"digest": root}))
        assert [message["ts"] for message in server.posted()] == [root, reply]
        assert server.posted()[1]["thread_ts"] == root
        assert "thread_ts" not in server.posted()[0]
        call = server.calls("chat.postMessage")[0]
        assert call["metadata"] == {"event_type": "paperboy_part", "event_payload": {"key": "d~0"}}
        assert (call["unfurl_links"], call["unfurl_media"]) == (False, False)
        assert "link_names" not in call
        assert "    │ reply" in server.show()


async def test_a_whole_report_reaches_a_channel() -> None:
    async with slack(flood=True) as (server, channel):
        root: str | None = None
        for index, message in enumerate(channel.render(compose.report(a_report(), texts.load("zh")))):
            (stamp,) = await channel.send(f"d~{index}", message, Thread(root, {}))
            root = root or stamp
        assert len(server.posted()) == 3
        assert "【🚀 CV 论文日报 | 2026-02-25】" in server.show()


async def test_a_reply_without_a_root_is_posted_into_the_channel() -> None:
    async with slack() as (server, channel):
        await channel.send("d~1", a_message("orphan", reply=True), NEW)
        assert "thread_ts" not in server.calls("chat.postMessage")[0]
        assert "orphan" in server.show()


async def test_a_reply_to_a_deleted_root_is_posted_into_the_channel() -> None:
    async with slack() as (server, channel):
        await channel.send("d~1", a_message("orphan", reply=True), Thread("1.000001", {}))
        assert server.refusals == ["thread_not_found"]
        assert "orphan" in server.show()


async def test_a_channel_can_be_named_and_its_id_is_kept() -> None:
    async with slack(target="#papers") as (server, channel):
        with pytest.raises(SendError, match="only an ID") as caught:
            await channel.find("d~0", NEW, SINCE)
        assert caught.value.outcome is Outcome.UNKNOWN
        (stamp,) = await channel.send("d~0", a_message(), NEW)
        assert await channel.find("d~0", NEW, SINCE) == (stamp,)
        await channel.send("d~1", a_message(), NEW)
        assert [call["channel"] for call in server.calls("chat.postMessage")] == ["#papers", "C0PAPERS"]


@pytest.mark.parametrize("code", ["invalid_blocks", "msg_too_long", "msg_blocks_too_long"])
async def test_blocks_that_slack_refuses_are_sent_as_text_with_everything_they_say(
    code: str, caplog: pytest.LogCaptureFixture
) -> None:
    document = a_document(
        Paragraph((Span("see "), Span("arXiv", href="https://arxiv.org"), Span(" *now* <!here>"))),
        Note(plain("note")),
        Ranking((a_row(3), a_row(None, band="failed", score=None))),
        Divider(),
        Footer((Span("small "), Span("print", href="https://b.example"))),
        buttons=(Button("PDF", "https://arxiv.org/pdf/1"),),
    )
    async with slack() as (server, channel):
        server.fail("chat.postMessage", says(code))
        (stamp,) = await channel.send("d~0", channel.render([document])[0], NEW)
        (message,) = server.posted()
        assert message["ts"] == stamp
        assert "blocks" not in message
        assert server.calls("chat.postMessage")[1]["mrkdwn"] is False
        assert message["text"] == (
            "Day\n\nsee arXiv (https://arxiv.org) *now* &lt;\u200b!here&gt;\n\n&gt; note\n\n"
            "3. 🔵 84  Paper 3 (https://arxiv.org/abs/2602.00001)\n直接做图像复原，流匹配可迁移。\n"
            "• ⚠️ Paper None (https://arxiv.org/abs/2602.00001)\n直接做图像复原，流匹配可迁移。\n\n"
            "small <https://b.example|print>\n\nPDF: https://arxiv.org/pdf/1"
        )
        assert await channel.find("d~0", NEW, SINCE) == (stamp,)
    assert code in caplog.text


async def test_a_figure_that_slack_cannot_fetch_becomes_a_link_and_the_rest_is_as_it_was(
    caplog: pytest.LogCaptureFixture,
) -> None:
    document = a_document(a_picture(words="Overview."), Paragraph((Span("Deep", bold=True),)))
    async with slack(pictures=False) as (server, channel):
        (stamp,) = await channel.send("d~0", channel.render([document])[0], NEW)
        (message,) = server.posted()
        assert message["ts"] == stamp
        assert rules.as_seen(message) == ["【Day】", "", "_图 2：Overview._", "", "*Deep*"]
        assert len(server.asked) == 2
        assert await channel.find("d~0", NEW, SINCE) == (stamp,)
    assert "sent without pictures" in caplog.text


async def test_a_figure_that_slack_fetches_stands_in_the_channel() -> None:
    async with slack() as (server, channel):
        await channel.send("d~0", channel.render([a_document(a_picture(words="Overview."))])[0], NEW)
        assert rules.as_seen(server.posted()[0])[2] == "▣ 图 2：Overview."
        assert len(server.asked) == 1


async def test_blocks_that_are_refused_without_the_figure_too_are_sent_as_text() -> None:
    async with slack(pictures=False) as (server, channel):
        server.fail("chat.postMessage", says("invalid_blocks"), says("invalid_blocks"))
        await channel.send("d~0", channel.render([a_document(a_picture(words="Overview."))])[0], NEW)
        assert server.posted()[0]["text"] == f"Day\n\n图 2：Overview. ({FIGURE})"
        assert len(server.asked) == 3


@pytest.mark.parametrize("fault", [post_then_cut, post_then_500])
async def test_an_unclear_answer_to_a_figure_is_not_followed_by_another_message(fault: Any) -> None:
    async with slack() as (server, channel):
        server.fail("chat.postMessage", fault)
        error = await failing(channel, channel.render([a_document(a_picture())])[0])
        assert error.outcome is Outcome.UNKNOWN
        assert len(server.posted()) == 1


def test_a_picture_is_named_with_its_address_in_plain_text() -> None:
    (payload,) = payloads(a_document(Picture(FIGURE, (), "alt")))
    assert as_text(payload["blocks"]) == f"Day\n\nalt ({FIGURE})"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"alt_text": ""}, "image alt_text"),
        ({"alt_text": "x" * 2_001}, "image alt_text"),
        ({"title": {"type": "plain_text", "text": "x" * 2_001}}, "image title"),
        ({"image_url": "ftp://a.b/x.png"}, "image url"),
        ({"image_url": "https://a.b/x.svg"}, rules.UNFETCHABLE),
    ],
)
def test_the_stand_in_refuses_pictures_as_slack_does(change: dict[str, Any], reason: str) -> None:
    image = {"type": "image", "image_url": FIGURE, "alt_text": "alt"} | change
    with pytest.raises(rules.RefusedError) as caught:
        rules.content({"text": "x", "blocks": [image]})
    assert reason in str(caught.value.answer["response_metadata"])


async def test_a_text_that_is_refused_too_is_refused_for_good() -> None:
    async with slack() as (server, channel):
        server.fail("chat.postMessage", says("invalid_blocks"), says("msg_too_long"))
        error = await failing(channel)
        assert error.outcome is Outcome.REFUSED
        assert len(server.asked) == 2


async def test_a_text_that_slack_would_cut_off_is_not_sent() -> None:
    async with slack() as (server, channel):
        server.fail("chat.postMessage", says("invalid_blocks"))
        error = await failing(channel, a_message("&" * 11_000))
        assert error.outcome is Outcome.REFUSED
        assert len(server.asked) == 1


async def test_a_message_without_blocks_is_sent_as_its_text() -> None:
    async with slack() as (server, channel):
        await channel.send("d~0", Message(PartKind.POST, "digest", '{"text": "x", "blocks": []}'), NEW)
        assert "blocks" not in server.calls("chat.postMessage")[0]


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (says("internal_error"), Outcome.UNKNOWN),
        (says("fatal_error"), Outcome.UNKNOWN),
        (says("service_unavailable"), Outcome.UNKNOWN),
        (says("request_timeout"), Outcome.UNKNOWN),
        (broken(500), Outcome.UNKNOWN),
        (broken(503, "no json", "application/json"), Outcome.UNKNOWN),
        (broken(408), Outcome.UNKNOWN),
        (broken(200, "hello", "text/plain"), Outcome.UNKNOWN),
        (broken(200, "[]", "application/json"), Outcome.UNKNOWN),
        (broken(200, '{"ok": true}', "application/json"), Outcome.UNKNOWN),
        (broken(200), Outcome.UNKNOWN),
        (read_then_cut, Outcome.UNKNOWN),
        (post_then_cut, Outcome.UNKNOWN),
        (post_then_500, Outcome.UNKNOWN),
        (says("not_in_channel"), Outcome.GONE),
        (says("channel_not_found"), Outcome.GONE),
        (says("is_archived"), Outcome.GONE),
        (says("account_inactive"), Outcome.GONE),
        (says("token_revoked"), Outcome.GONE),
        (says("invalid_auth"), Outcome.GONE),
        (says("missing_scope", needed="chat:write"), Outcome.GONE),
        (says("restricted_action_read_only_channel"), Outcome.GONE),
        (says("metadata_too_large"), Outcome.REFUSED),
        (says("no_text"), Outcome.REFUSED),
        (says("message_limit_exceeded"), Outcome.NOT_SENT),
        (broken(404), Outcome.NOT_SENT),
    ],
)
async def test_a_failure_says_what_is_known_of_the_message(fault: Any, outcome: Outcome) -> None:
    async with slack() as (server, channel):
        server.fail("chat.postMessage", fault)
        error = await failing(channel)
        assert error.outcome is outcome
        assert error.retryable is (outcome is Outcome.NOT_SENT)
        assert len(server.calls("chat.postMessage")) == 1
        assert TOKEN not in "".join(traceback.format_exception(error))


async def test_a_post_is_not_repeated_on_a_connection_that_was_kept() -> None:
    async with slack() as (server, channel):
        await channel.send("d~0", a_message(), NEW)
        server.fail("chat.postMessage", post_then_cut)
        assert (await failing(channel)).outcome is Outcome.UNKNOWN
        assert len(server.posted()) == 2


async def test_an_answer_that_names_no_channel_is_enough() -> None:
    async with slack() as (server, channel):
        server.fail("chat.postMessage", broken(200, '{"ok": true, "ts": "1.5"}', "application/json"))
        assert await channel.send("d~0", a_message(), NEW) == ("1.5",)


async def test_the_stand_in_refuses_as_slack_does() -> None:
    async with slack() as (server, channel):
        for place in (Place("C0PAPERS", "papers", member=False), Place("C0PAPERS", "papers", archived=True)):
            server.places = {place.id: place}
            assert (await failing(channel)).outcome is Outcome.GONE
        server.places = {}
        assert (await failing(channel)).outcome is Outcome.GONE
        assert server.refusals == ["not_in_channel", "is_archived", "channel_not_found"]


async def test_a_rate_limit_pauses_this_channel_and_no_other() -> None:
    clock = FakeClock()
    gate = a_gate(clock)
    async with (
        SlackStandIn(channels={"C0PAPERS": "papers", "C0OTHER": "other"}) as server,
        slack_client(TOKEN, server.api_url) as client,
    ):
        paused, other = (SlackChannel(Address(PlatformName.SLACK, id_), client, gate) for id_ in server.channels)
        server.fail("chat.postMessage", ratelimited(30))
        error = await failing(paused)
        assert (error.outcome, error.retry_after) == (Outcome.NOT_SENT, 30)
        await other.turn(REPORT)
        assert clock.slept == []
        await paused.turn(REPORT)
        assert clock.slept == [30]


@pytest.mark.parametrize("named", [None, "soon"])
async def test_a_rate_limit_that_names_no_wait_is_given_one(named: Any) -> None:
    async with slack() as (server, channel):
        server.fail("chat.postMessage", ratelimited(named))
        assert (await failing(channel)).retry_after == 10


async def test_five_messages_go_at_once_and_then_one_a_second() -> None:
    clock = FakeClock()
    async with slack_client(TOKEN, "http://slack.invalid/api/") as client:
        channel = SlackChannel(ADDRESS, client, a_gate(clock))
        for _ in range(7):
            await channel.turn(REPORT)
        assert clock.slept == [1.0, 1.0]


async def test_an_unreachable_slack_has_taken_nothing() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for address in (f"http://127.0.0.1:{port}/api/", "http://slack.invalid/api/"):
        async with slack_client(TOKEN, address) as client:
            error = await failing(SlackChannel(ADDRESS, client, a_gate()))
            assert error.outcome is Outcome.NOT_SENT


async def test_a_slack_that_hangs_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    # The real limit is 16 s of real time, which no test may wait for.
    monkeypatch.setattr("bot.channels.slack.channel.SEND_SECONDS", 4.05)
    async with slack() as (server, channel):
        server.fail("chat.postMessage", hang)
        assert (await failing(channel)).outcome is Outcome.UNKNOWN


async def test_neither_log_nor_error_holds_the_token_or_the_text(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with slack(token="xoxb-very-secret") as (_, channel):
        error = await failing(channel, a_message("secret paper text"))
        assert str(error) == "slack: invalid_auth"
    assert "xoxb-very-secret" not in caplog.text
    assert "secret paper text" not in caplog.text


async def test_an_answer_that_echoes_the_request_is_quoted_nowhere() -> None:
    async with slack() as (server, channel):
        server.fail("chat.postMessage", broken(502, json.dumps({"headers": f"Bearer {TOKEN}"}), "application/json"))
        assert TOKEN not in "".join(traceback.format_exception(await failing(channel)))


async def test_a_strange_error_code_is_not_repeated_to_anyone() -> None:
    async with slack() as (server, channel):
        server.fail("chat.postMessage", says("<!channel> your token is xoxb-1"))
        assert str(await failing(channel)) == "slack: HTTP 200"


# -- finding


async def test_a_message_whose_answer_was_lost_is_found() -> None:
    async with slack() as (server, channel):
        server.fail("chat.postMessage", post_then_cut)
        assert (await failing(channel)).outcome is Outcome.UNKNOWN
        assert await channel.find("k~0", NEW, SINCE) == (server.posted()[0]["ts"],)
        assert await channel.find("k~00", NEW, datetime.now(UTC) - timedelta(hours=1)) is None


async def test_a_message_that_was_never_posted_is_surely_not_there() -> None:
    async with slack() as (server, channel):
        server.fail("chat.postMessage", read_then_cut)
        await failing(channel)
        assert await channel.find("k~0", NEW, SINCE) is None


async def test_a_reply_is_found_in_its_thread_and_an_orphan_in_the_channel() -> None:
    async with slack() as (_, channel):
        (root,) = await channel.send("d~0", a_message(), NEW)
        (reply,) = await channel.send("d~1", a_message(reply=True), Thread(root, {}))
        (orphan,) = await channel.send("d~2", a_message(reply=True), NEW)
        thread = Thread(root, {})
        assert await channel.find("d~1", thread, SINCE) == (reply,)
        assert await channel.find("d~2", thread, SINCE) == (orphan,)
        assert await channel.find("d~2", Thread("1.000001", {}), SINCE) == (orphan,)
        assert await channel.find("d~1", thread, datetime.now(UTC) + timedelta(minutes=5)) is None


async def test_a_lookup_turns_pages_and_gives_up_after_a_while() -> None:
    async with slack() as (server, channel):
        (stamp,) = await channel.send("d~0", a_message(), NEW)
        own = server.posted()[0]
        server.posted()[1:] = [own | {"ts": f"{float(stamp) + n:.6f}", "metadata": {}} for n in range(1, PAGE + 5)]
        assert await channel.find("d~0", NEW, SINCE) == (stamp,)
        assert len(server.calls("conversations.history")) == 2
        server.posted()[1:] = [own | {"ts": f"{float(stamp) + n:.6f}", "metadata": {}} for n in range(1, 1_100)]
        with pytest.raises(SendError, match="more than 1000") as caught:
            await channel.find("d~0", NEW, SINCE)
        assert caught.value.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("method", "fault", "outcome"),
    [
        ("conversations.history", says("missing_scope", needed="channels:history"), Outcome.UNKNOWN),
        ("conversations.history", says("not_in_channel"), Outcome.UNKNOWN),
        ("conversations.replies", says("missing_scope"), Outcome.UNKNOWN),
        ("conversations.history", ratelimited(60), Outcome.NOT_SENT),
        ("conversations.history", read_then_cut, Outcome.NOT_SENT),
        ("conversations.history", broken(502), Outcome.NOT_SENT),
        ("conversations.history", says("internal_error"), Outcome.NOT_SENT),
        ("conversations.history", broken(200, '{"ok": true}', "application/json"), Outcome.NOT_SENT),
    ],
)
async def test_a_lookup_that_fails_is_made_later_or_never(method: str, fault: Any, outcome: Outcome) -> None:
    async with slack() as (server, channel):
        (root,) = await channel.send("d~0", a_message(), NEW)
        server.fail(method, fault, fault)
        with pytest.raises(SendError) as caught:
            await channel.find("d~1", Thread(root, {}), SINCE)
        assert caught.value.outcome is outcome
        assert caught.value.retry_after == (60 if "ratelimited" in str(caught.value) else None)


async def test_a_lookup_that_hangs_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    # The real limit is 20 s of real time, which no test may wait for.
    monkeypatch.setattr("bot.channels.slack.lookup.SEND_SECONDS", 0.05)
    async with slack() as (server, channel):
        server.fail("conversations.history", hang)
        with pytest.raises(SendError) as caught:
            await channel.find("d~0", NEW, SINCE)
        assert caught.value.outcome is Outcome.NOT_SENT


# -- checking


async def findings(**options: Any) -> list[tuple[str, str, str]]:
    places = options.pop("places", None)
    faults = options.pop("faults", {})
    async with slack(**options) as (server, channel):
        if places is not None:
            server.places = {place.id: place for place in places}
        for method, fault in faults.items():
            server.fail(method, fault)
        found = [(finding.level, finding.subject, finding.text) for finding in await channel.check()]
        assert not server.posted() if places is None else True
        assert not server.calls("chat.postMessage")
        return found


SEES = ("chat:write", "channels:history", "groups:history", "channels:read", "groups:read")


@pytest.mark.parametrize("scopes", [SEES, SEES[:3]])
async def test_a_channel_that_is_ready_is_said_to_be(scopes: tuple[str, ...]) -> None:
    (token, channel) = await findings(scopes=scopes)
    assert token == ("ok", "slack.bot_token", "@paperboy in Team")
    assert channel[:2] == ("ok", "slack:C0PAPERS")


@pytest.mark.parametrize(
    ("token", "words"),
    [("xoxb-wrong", "invalid_auth"), ("xapp-1-A", "slack.app_token"), ("", "xoxb-"), ("xoxp-user", "xoxb-")],
)
async def test_a_wrong_token_is_named_with_its_cure(token: str, words: str) -> None:
    ((level, subject, text),) = await findings(token=token)
    assert (level, subject) == ("error", "slack.bot_token")
    assert words in text


@pytest.mark.parametrize("fault", [broken(404), read_then_cut])
async def test_a_wrong_address_is_named(fault: Any) -> None:
    ((level, subject, _),) = await findings(faults={"auth.test": fault})
    assert (level, subject) == ("error", "slack.api_url")


@pytest.mark.parametrize("scopes", [SEES, SEES[:3]])
@pytest.mark.parametrize(
    ("places", "words"),
    [
        ([], "copy the ID"),
        ([Place("C0PAPERS", "papers", member=False)], "/invite @paperboy"),
        ([Place("C0PAPERS", "papers", member=False, private=True)], "/invite @paperboy"),
    ],
)
async def test_a_channel_that_cannot_be_posted_to_is_named(
    scopes: tuple[str, ...], places: list[Place], words: str
) -> None:
    found = await findings(scopes=scopes, places=places)
    assert found[-1][:2] == ("error", "slack:C0PAPERS")
    assert words in found[-1][2]


async def test_an_archived_channel_is_seen_where_the_bot_may_look() -> None:
    found = await findings(scopes=SEES, places=[Place("C0PAPERS", "papers", archived=True)])
    assert "archived" in found[-1][2]


async def test_public_posting_needs_no_invitation() -> None:
    found = await findings(scopes=(*SEES, "chat:write.public"), places=[Place("C0PAPERS", "papers", member=False)])
    assert found[-1][0] == "ok"


async def test_missing_scopes_are_named_and_history_is_only_a_warning() -> None:
    found = await findings(scopes=("channels:history",))
    assert found[1][0] == "error"
    assert "chat:write is missing" in found[1][2]
    found = await findings(scopes=("chat:write",))
    assert [level for level, *_ in found] == ["ok", "warning", "warning"]
    assert "channels:history" in found[1][2]
    assert "not checked" in found[2][2]


async def test_a_gateway_without_scopes_and_a_channel_in_trouble_are_taken_as_they_come() -> None:
    identity = broken(200, '{"ok": true}', "application/json")
    found = await findings(faults={"auth.test": identity, "conversations.info": says("fatal_error")})
    assert [level for level, *_ in found] == ["ok", "error"]
    found = await findings(faults={"conversations.info": broken(502)})
    assert found[-1][0] == "warning"


def test_slack_errors_know_whether_to_try_again() -> None:
    assert SlackError("x", Outcome.NOT_SENT).retryable
    assert not SlackError("x", Outcome.UNKNOWN).retryable
