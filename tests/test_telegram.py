"""The Telegram channel: what it writes, judged by TDLib's own parser, and what it knows of a send."""

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Protocol

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from telegram import Bot, LinkPreviewOptions
from telegram.error import BadRequest, NetworkError, RetryAfter, TelegramError, TimedOut

from bot import texts
from bot.channels.telegram import ALL, TelegramChannel, telegram_bot
from bot.channels.telegram.api import send_error
from bot.channels.telegram.entities import Entity, styled
from bot.channels.telegram.layout import messages
from bot.channels.telegram.render import render
from bot.errors import Outcome, SendError, SettingsError
from bot.interfaces import SEND_SECONDS, Thread
from bot.models import (
    Address,
    ArxivId,
    Basis,
    DeepDive,
    DeepDiveSection,
    Figure,
    Message,
    Paper,
    PartKind,
    PlatformName,
    Ranked,
    Report,
    ReportKey,
)
from bot.models import Ranking as DayRanking
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
    is_web_url,
)
from tests.fakes import (
    NOW,
    SHARED_DATA,
    FakeClock,
    a_deep_dive,
    a_paper,
    a_point,
    a_ranking,
    a_report,
    a_score,
    wait_until,
)
from tests.gates import REPORT, a_gate
from tests.telegram_inbox import RefusalError
from tests.telegram_limits import CHAT_BURST, Flood
from tests.telegram_standin import (
    GROUP,
    TOKEN,
    Chat,
    Fault,
    Posted,
    TelegramStandIn,
    as_read,
    auto_links,
    broken,
    dropped,
    hang,
    kicked,
    migrated,
    part,
    refused,
    slow,
    td_entities,
    too_many,
    units,
)

NOBODY = Thread(None, {})


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramStandIn]:
    async with TelegramStandIn() as server:
        yield server


@pytest.fixture
async def bot_at() -> AsyncIterator[Callable[..., Bot]]:
    """Makes bots and closes them."""
    bots: list[Bot] = []

    def make(url: str, token: str = TOKEN) -> Bot:
        bots.append(telegram_bot(token, url))
        return bots[-1]

    yield make
    for bot in bots:
        await bot.request.shutdown()


class Join(Protocol):
    """Makes the channel of a chat."""

    def __call__(
        self, telegram: TelegramStandIn, target: str = str(GROUP), topic: int | None = None, **changes: Any
    ) -> TelegramChannel: ...


@pytest.fixture
def channel(bot_at: Callable[..., Bot]) -> Join:
    def make(
        telegram: TelegramStandIn, target: str = str(GROUP), topic: int | None = None, **changes: Any
    ) -> TelegramChannel:
        address = Address(PlatformName.TELEGRAM, target, topic)
        return TelegramChannel(address, bot_at(telegram.url), **({"gate": a_gate()} | changes))

    return make


def a_document(*blocks: Block, **changes: Any) -> Document:
    values: dict[str, Any] = {
        "key": "digest",
        "title": (Span("🚀 Papers"),),
        "blocks": blocks,
        "summary": "papers",
        "language": "zh",
        "part_label": "（{part}/{parts}）",
    }
    return Document(**(values | changes))


def text(*blocks: Block, **changes: Any) -> str:
    """The one message of a document, as a reader sees it."""
    return read(a_document(*blocks, **changes))[0]


def read(document: Document) -> list[str]:
    return [as_read(shown(message), width=10_000) for message in render([document], linkable=True)]


def shown(message: Message) -> Posted:
    payload = json.loads(message.payload)
    entities = [entity for entity in payload["entities"] if "document" not in entity]
    found = td_entities(payload["text"], entities)
    return Posted(1, payload["text"], found, payload["keyboard"], None, False, "", auto_links(payload["text"], found))


def paragraph(*spans: Span | str) -> Paragraph:
    return Paragraph(tuple(Span(span) if isinstance(span, str) else span for span in spans))


def section(*texts: str, title: str = "技术细节") -> Section:
    return Section("method", title, (Items(tuple(Item((Span(text),)) for text in texts)),))


# What it writes: spans


def test_looks_become_entities_counted_in_utf16_units():
    spans = (Span("😀 "), Span("粗", bold=True), Span("𝔘it", italic=True), Span("c", code=True), Span("s", strike=True))

    assert styled(spans).entities == (
        Entity("bold", 3, 1),
        Entity("italic", 4, 4),
        Entity("code", 8, 1),
        Entity("strikethrough", 9, 1),
    )


def test_blanks_at_the_ends_of_a_look_stay_outside_of_its_entity():
    result = styled((Span("a"), Span("  b c ", bold=True), Span("   ", italic=True)))

    assert result.text == "a  b c    "
    assert result.entities == (Entity("bold", 3, 3),)


def test_accents_that_telegram_removes_move_no_entity():
    spans = (Span("A\u030angstro\u0308m o\u030a\u0333\u033f "), Span("bold", bold=True))
    result = styled(spans)
    assert result.text == "Ångström o bold"
    assert td_entities(result.text, [{"type": "bold", "offset": 11, "length": 4}])[0]["offset"] == 11
    assert result.entities == (Entity("bold", 11, 4),)


def test_a_formula_is_shown_in_its_readable_form():
    assert "α² → β" in text(paragraph(Span("α² → β", tex=r"\alpha^2 \to \beta")))


def test_code_is_nothing_else_beside():
    assert [entity.type for entity in styled((Span("x", code=True, bold=True, italic=True),)).entities] == ["code"]


def test_linked_code_is_a_link():
    (entity,) = styled((Span("x", code=True, href="https://arxiv.org/abs/1"),)).entities

    assert (entity.type, entity.url) == ("text_link", "https://arxiv.org/abs/1")


@pytest.mark.parametrize(
    "name", ["DDPM.py", "#CV", "$AAPL", "@someone", "/top", "x@mail.org", "1.2.3.4", "tg://resolve"]
)
def test_names_from_papers_do_not_become_links_and_look_the_same(name: str):
    found = styled((Span(f"see {name} there"),)).text

    assert auto_links(f"see {name} there", [])
    assert not auto_links(found, [])
    assert found.replace("\u2060", "") == f"see {name} there"


@pytest.mark.parametrize(
    "untouched", ["3.14 and 0.8 dB", "$5 for $1.20", "and/or", "https", "a. b", "第3.2节", "C#", "e.g. x"]
)
def test_text_that_telegram_leaves_alone_is_left_alone(untouched: str):
    assert styled((Span(untouched),)).text == untouched


def test_code_keeps_its_letters_so_that_it_can_be_copied():
    assert styled((Span("torch.nn.py", code=True),)).text == "torch.nn.py"


NAMES = [
    "DDPM.py",
    "#CV",
    "$AAPL",
    "$1INCH",
    "@name",
    "/top",
    "x.com",
    "a.io",
    "mail@x.com",
    "例子.中国",
    "www.",
    "com",
]
NAMES += ["1.2.3.4", "4111111111111111", "4111 1111 1111 1111", "tg://x", "http://a.b/c", "ton://q", ":8080", "foo"]
SIGNS = list(".#@$/: ()-_数?!1éñ+%\n“、<>\u2060")


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(NAMES + SIGNS), min_size=1, max_size=7))
def test_telegram_finds_nothing_to_link_whatever_spans_meet(bits: list[str]):
    assert not auto_links(styled(tuple(Span(bit) for bit in bits)).text, [])


URLS = [
    "https://",
    "http://",
    "ftp://",
    "javascript:",
    "arxiv.org",
    "localhost",
    "a",
    ".",
    "b",
    ":8080",
    ":x",
    ":0",
    "/",
]
URLS += ["/abs/2602.1", "#S3.SS2", "?q=1", "@", "中文", " ", "\\", '"', "[::1]", "[", "_", "-", "%", "\n"]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(URLS), min_size=1, max_size=7).map("".join))
def test_every_link_that_is_kept_is_one_that_telegram_takes(url: str):
    if is_web_url(url):
        td_entities("x", [{"type": "text_link", "offset": 0, "length": 1, "url": url}])


@pytest.mark.parametrize("url", ["https://arxiv.org/abs/2602.19089v1#S3.SS2", "http://papers.example.org:8080/x?y=1"])
def test_ordinary_links_are_kept(url: str):
    assert is_web_url(url)


@pytest.mark.parametrize(
    "url", ["#item-0", "https://x", "note", "http://localhost:8080/", "https://[::1", "https://a.b:99999/"]
)
def test_a_bad_link_costs_the_link_and_not_the_message(url: str):
    assert text(paragraph(Span("here", href=url))).endswith("here")


# What it writes: blocks


def test_a_section_is_a_bold_title_over_a_quote():
    assert text(section("short", "too")) == "*🚀 Papers*\n\n*技术细节*\n┃ • short\n┃ • too"


def test_a_long_section_is_folded_and_its_points_stand_apart():
    assert text(section("x" * 150, "y" * 150)).split("\n")[3:] == ["▾ • " + "x" * 150, "▾ ", "▾ • " + "y" * 150]


def test_a_section_may_open_with_a_paragraph():
    blocks = (paragraph("Intro."), Items((Item((Span("one"),)),)))

    assert text(Section("method", "Method", blocks)).endswith("*Method*\n┃ Intro.\n┃ \n┃ • one")


def test_a_point_ends_in_the_mark_of_what_it_rests_on():
    items = Items(
        (
            Item((Span("Stated."),), Mark("§3.2", inferred=False, quote="q", href="https://arxiv.org/html/1#S3")),
            Item((Span("Guessed."),), Mark("推断", inferred=True)),
        )
    )

    assert text(items).endswith("• Stated.‹〔§3.2〕›\n• Guessed.〔推断〕")
    assert "• Guessed. [推断]" in text(items, language="en")


def test_a_ranking_row_has_its_reason_on_the_next_line():
    rows = (
        RankingRow(1, "Rain", "https://arxiv.org/abs/1", 92, "excellent", (Span("好。"),), ("精选",), "2602.1"),
        RankingRow(None, "Snow", "https://arxiv.org/abs/2", None, "failed", (Span("模型超时"),)),
    )

    assert text(Ranking(rows)).endswith("\n\n1. *92* · ‹Rain›〔精选〕\n好。\n\n— · ‹Snow›\n模型超时")


def test_a_ranking_of_many_papers_is_folded():
    rows = [
        RankingRow(n, f"Paper {n}", "https://arxiv.org/abs/1", 90 - n, "good", (Span("好" * 20),)) for n in range(1, 7)
    ]

    assert "▾ 6. *84* · ‹Paper 6›" in text(Ranking(tuple(rows)))
    assert "▾" not in text(Ranking(tuple(rows[:5])))


def test_a_row_without_a_reason_takes_one_line():
    assert text(Ranking((RankingRow(1, "Rain", "", 60, "fair", ()),))).endswith("1. *60* · Rain")


def test_short_facts_share_a_line_and_long_ones_do_not():
    pairs = (("来源", (Span("HuggingFace"),)), ("评分", (Span("90/100"),)))

    assert text(Fields(pairs)).endswith("\n\n*来源* HuggingFace · *评分* 90/100")
    assert text(Fields((*pairs, ("作者", (Span("A" * 60),))))).endswith("*评分* 90/100\n*作者* " + "A" * 60)


def test_notes_headings_lists_dividers_and_small_print():
    blocks = (
        Note((Span("仅基于摘要"),), "warning"),
        Note((Span("说明"),)),
        Heading((Span("目录"),)),
        Items((Item((Span("One"),)), Item((Span("Two"),))), ordered=True),
        Divider(),
        Footer((Span("模型 x"),)),
    )

    assert text(*blocks).split("\n\n")[1:] == [
        "⚠️ 仅基于摘要",
        "说明",
        "*目录*\n1. One\n2. Two",
        "──────────",
        "模型 x",
    ]


def test_blocks_without_text_leave_no_trace():
    assert text(Paragraph(()), paragraph("  "), paragraph("x"), Items(())) == "*🚀 Papers*\n\nx"


def test_a_document_without_a_title_is_its_blocks_and_without_those_its_summary():
    assert text(paragraph("x"), title=()) == "x"
    assert text(title=()) == "*papers*"
    assert read(a_document(title=(), summary="")) == ["*──────────*"]


def test_buttons_stand_three_in_a_row_and_bad_ones_are_left_out():
    buttons = [Button(f"B{n}", f"https://example.org/{n}") for n in range(4)]

    (message,) = render([a_document(buttons=(*buttons, Button("bad", "http://localhost/")))], linkable=True)

    assert [[button["text"] for button in row] for row in shown(message).keyboard] == [["B0", "B1", "B2"], ["B3"]]


# What it writes: parts


def long_section(title: str, points: int, length: int = 280) -> Section:
    return section(*(f"{title}{n} " + "字" * length for n in range(points)), title=title)


def test_a_document_that_fits_is_one_message_without_a_number():
    assert len(read(a_document(long_section("A", 12)))) == 1


def test_parts_are_numbered_begin_with_sections_and_carry_the_buttons_last():
    first, second = render(
        [a_document(long_section("A", 9), long_section("B", 8), buttons=(Button("PDF", "https://x.org/"),))],
        linkable=True,
    )

    assert as_read(shown(first), 10_000).startswith("*🚀 Papers* *（1/2）*\n\n*A*\n▾ • A0")
    assert as_read(shown(second), 10_000).startswith("*🚀 Papers* *（2/2）*\n\n*B*\n▾ • B0")
    assert (shown(first).keyboard, len(shown(second).keyboard)) == ([], 1)


def test_a_section_that_goes_on_in_the_next_part_repeats_its_title():
    parts = read(a_document(long_section("A", 20)))

    assert len(parts) == 2
    assert parts[1].startswith("*🚀 Papers* *（2/2）*\n\n*… A*\n▾ • A10")


@pytest.mark.parametrize("filling", range(3700, 4000, 31))
def test_a_heading_is_never_the_last_thing_of_a_message(filling: int):
    document = a_document(
        paragraph("字" * (filling // 2)),
        paragraph("字" * (filling - filling // 2)),
        Heading((Span("标题"),)),
        paragraph("尾" * 300),
    )

    parts = read(document)

    assert len(parts) == 2
    assert not any(part.rstrip().endswith("*标题*") for part in parts)


def test_parts_are_of_even_length():
    lengths = [
        units(json.loads(message.payload)["text"])
        for message in render([a_document(long_section("A", 20))], linkable=True)
    ]

    assert max(lengths) - min(lengths) < 300


def test_a_paragraph_that_is_too_long_is_cut_between_sentences():
    parts = read(a_document(paragraph("这一句话讲的是流匹配与雨中照片。" * 400)))

    assert len(parts) == 2
    assert all(part.endswith("。") for part in parts)


def test_a_word_without_end_is_cut_anywhere_and_no_emoji_is_halved():
    messages_ = render([a_document(paragraph("👩‍🔬" * 2000))], linkable=True)

    assert len(messages_) > 1
    shown_text = "".join(shown(message).text.split("\n\n", 1)[1] for message in messages_)
    assert shown_text == "👩‍🔬" * 2000


def test_messages_split_on_entities_as_on_length():
    looks = tuple(Span("x ", bold=n % 2 == 0) for n in range(500))

    parts = render([a_document(Paragraph(looks))], linkable=True)

    assert len(parts) > 2
    assert all(len(json.loads(message.payload)["entities"]) <= 100 for message in parts)


def test_a_title_without_end_is_shortened_where_it_is_repeated():
    first, *_, last = read(a_document(long_section("A", 20), title=(Span("Word " * 300),)))

    assert first.count("Word") > 200
    assert 20 < last.count("Word") < 40
    assert "Word…* *（" in last


plain = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60)
hostile = st.sampled_from(
    ["😀" * 30, "字。" * 1500, "x" * 5000, "**b** [a](b) `c` <b>", "\u202egnp", "\r\n\t", "@all #CV a.py "]
)
words = plain | hostile
span = st.builds(
    Span,
    words,
    bold=st.booleans(),
    italic=st.booleans(),
    code=st.booleans(),
    strike=st.booleans(),
    href=st.none() | st.sampled_from(["https://arxiv.org/abs/1", "#x", "https://x"]),
    document=st.none() | st.just("other"),
)
spans_ = st.lists(span, max_size=5).map(tuple)
marks = st.none() | st.builds(Mark, words, st.booleans(), href=st.none() | st.just("https://arxiv.org/"))
items_ = st.builds(Items, st.lists(st.builds(Item, spans_, marks), max_size=6).map(tuple), st.booleans())
rows_ = st.builds(
    RankingRow,
    st.integers(1, 50),
    words,
    st.just("https://arxiv.org/abs/1"),
    st.integers(0, 100),
    st.just("good"),
    spans_,
    st.lists(words, max_size=2).map(tuple),
    st.none() | st.just("other"),
)
blocks_ = st.one_of(
    st.builds(Heading, spans_, st.sampled_from([2, 3])),
    st.builds(Paragraph, spans_),
    items_,
    st.builds(Section, st.just("key"), words, st.lists(st.builds(Paragraph, spans_) | items_, max_size=3).map(tuple)),
    st.builds(Ranking, st.lists(rows_, max_size=8).map(tuple)),
    st.builds(Fields, st.lists(st.tuples(words, spans_), max_size=3).map(tuple)),
    st.builds(Note, spans_, st.sampled_from(["info", "warning"])),
    st.builds(Divider),
)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(spans_, st.lists(blocks_, max_size=6).map(tuple))
def test_telegram_takes_whatever_a_document_holds(title: Spans, blocks: Sequence[Block]):
    document = a_document(*blocks, title=title)

    for message in render([document, a_document(key="other")], linkable=True):
        posted = shown(message)
        entities = json.loads(message.payload)["entities"]
        assert 0 < units(posted.text) <= 4000
        assert posted.text == posted.text.strip()
        assert len(entities) <= 100
        for entity in entities:
            under = part(posted.text, entity)
            assert under == under.strip() != ""


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.lists(blocks_, max_size=6).map(tuple))
def test_no_letter_of_a_document_is_lost(blocks: Sequence[Block]):
    everything = "".join(message.text for message in messages(a_document(*blocks)))

    for block in blocks:
        if isinstance(block, Paragraph | Note):
            letters = re.sub(r"\W", "", "".join(span.text for span in block.spans))
            assert letters in re.sub(r"\W", "", _without_heads(everything))


def _without_heads(text: str) -> str:
    return re.sub(r"🚀 Papers （\d+/\d+）", "", text)


# Links from the digest to the deep dives


def linked_documents() -> list[Document]:
    contents = Items((Item((Span("Rain", document="2602.1"), Span(" · 92"))), Item((Span("Snow", document="2602.2"),))))
    return [
        a_document(contents, buttons=(Button("网页", "https://papers.example.org/"),)),
        a_document(paragraph("Deep."), key="2602.1"),
        a_document(paragraph("Deeper."), key="2602.2"),
    ]


async def deliver(team: TelegramChannel, documents: Sequence[Document]) -> dict[str, str]:
    sent: dict[str, str] = {}
    for number, message in enumerate(team.render(documents)):
        ids = await team.send(f"key~{number}", message, Thread(sent.get("digest"), sent))
        if ids:
            sent.setdefault(message.document, ids[0])
    return sent


@pytest.mark.parametrize(
    ("chat", "target", "topic", "url"),
    [
        (Chat(), str(GROUP), None, "https://t.me/c/1234567890/102"),
        (Chat(username="vision_lab"), "@vision_lab", None, "https://t.me/vision_lab/102"),
        (Chat(topics={7}), str(GROUP), 7, "https://t.me/c/1234567890/7/102"),
        (Chat(topics={7}, username="vision_lab"), "@vision_lab", 7, "https://t.me/vision_lab/7/102"),
        (Chat(topics=set()), str(GROUP), 1, "https://t.me/c/1234567890/102"),
    ],
)
async def test_the_contents_lead_to_the_deep_dives_once_they_are_sent(
    channel: Join, chat: Chat, target: str, topic: int | None, url: str
):
    async with TelegramStandIn(chats=[chat]) as telegram:
        team = channel(telegram, target, topic=topic)

        await deliver(team, linked_documents())

        digest, *dives = telegram.messages()
        assert digest.links["Rain"] == url
        assert digest.links["Snow"].endswith("/103")
        assert digest.keyboard
        assert not digest.preview
        assert (digest.edits, len(dives)) == (1, 2)
        assert {message.thread for message in telegram.messages()} == {topic if topic != 1 else None}


@pytest.mark.parametrize(("target", "kind"), [("4711", "private"), ("-4711", "group")])
async def test_where_messages_have_no_address_the_contents_stay_plain(channel: Join, target: str, kind: str):
    async with TelegramStandIn(chats=[Chat(int(target), kind)]) as telegram:
        await deliver(channel(telegram, target), linked_documents())

        assert [message.links for message in telegram.messages(int(target))] == [{}, {}, {}]


async def test_only_the_first_message_makes_a_sound(channel: Join, telegram: TelegramStandIn):
    await deliver(channel(telegram), linked_documents())

    assert [message.silent for message in telegram.messages()] == [False, True, True]


async def test_linking_again_changes_nothing_and_succeeds(channel: Join, telegram: TelegramStandIn):
    team = channel(telegram)
    sent = await deliver(team, linked_documents())
    *_, link = team.render(linked_documents())

    assert await team.send("key~3", link, Thread(sent["digest"], sent)) == (sent["digest"],)
    assert telegram.messages()[0].edits == 1


async def test_a_deep_dive_that_was_not_sent_stays_plain_in_the_contents(channel: Join, telegram: TelegramStandIn):
    team = channel(telegram)
    posts = [message for message in team.render(linked_documents()) if message.kind is PartKind.POST]
    (digest,) = await team.send("key~0", posts[0], NOBODY)
    (dive,) = await team.send("key~2", posts[2], NOBODY)

    await team.send("key~3", team.render(linked_documents())[-1], Thread(digest, {"digest": digest, "2602.2": dive}))

    assert set(telegram.messages()[0].links) == {"Snow"}


@pytest.mark.parametrize("sent", [{}, {"digest": "101"}, {"2602.1": "102"}])
async def test_with_nothing_to_link_nothing_is_asked_of_telegram(
    channel: Join, telegram: TelegramStandIn, sent: dict[str, str]
):
    team = channel(telegram)
    *_, link = team.render(linked_documents())

    assert await team.send("key~3", link, Thread(None, sent)) == ()
    assert telegram.sends == 0


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [(dropped(handled=True), Outcome.NOT_SENT), (refused("message to edit not found"), Outcome.REFUSED)],
)
async def test_an_edit_may_be_repeated_when_its_fate_is_unknown(
    channel: Join, telegram: TelegramStandIn, fault: Fault, outcome: Outcome
):
    team = channel(telegram)
    *posts, link = team.render(linked_documents())
    sent: dict[str, str] = {}
    for message in posts:
        sent[message.document] = (await team.send("key", message, NOBODY))[0]
    telegram.faults.append(fault)

    with pytest.raises(SendError) as caught:
        await team.send("key~3", link, Thread(None, sent))
    assert caught.value.outcome is outcome

    assert await team.send("key~3", link, Thread(None, sent)) == (sent["digest"],)


async def test_every_message_of_a_long_digest_gets_its_links(channel: Join, telegram: TelegramStandIn):
    items = tuple(Item((Span(f"Paper {n} " + "x" * 180, document=f"2602.{n}"),)) for n in range(30))
    documents = [a_document(Items(items)), *(a_document(key=f"2602.{n}") for n in range(30))]
    clock = FakeClock()
    team = channel(telegram, gate=a_gate(clock))
    sent: dict[str, str] = {}

    for message in team.render(documents):
        await clock.sleep(60)
        ids = await team.send("key", message, Thread(None, sent))
        sent.setdefault(message.document, ids[0])

    first, second = telegram.messages()[:2]
    assert len(first.links) + len(second.links) == 30
    assert (first.edits, second.edits) == (1, 1)


# The overview figure


FIGURE = "https://arxiv.org/html/2602.00001v2/x1.png"


def a_picture(url: str = FIGURE) -> Picture:
    caption = (Span("图 2", href=url), Span("："), Span("Overview of "), Span("fθ", tex="f_\\theta"), Span("."))
    return Picture(url, caption, "图 2：Overview of fθ.")


async def test_the_figure_is_a_large_preview_above_the_text_with_its_caption_under_the_title(
    channel: Join, telegram: TelegramStandIn
):
    await post(channel(telegram), a_picture(), paragraph("Deep."))

    (message,) = telegram.messages()
    assert message.preview == FIGURE
    assert as_read(message) == "*🚀 Papers*\n\n‹_图 2_›_：Overview of fθ._\n\nDeep."
    assert message.links == {"图 2": FIGURE}


async def test_only_the_first_part_of_a_long_deep_dive_has_the_figure(channel: Join, telegram: TelegramStandIn):
    sections = [section(*["流匹配模型把雨中照片变回晴天。" * 12] * 12, title=f"节 {n}") for n in range(3)]
    await deliver(channel(telegram), [a_document(a_picture(), *sections)])

    previews = [message.preview for message in telegram.messages()]
    assert len(previews) > 1
    assert previews == [FIGURE, *[""] * (len(previews) - 1)]
    assert "（1/" in telegram.messages()[0].text


@pytest.mark.parametrize(
    "url",
    [
        "https://arxiv.org/html/2602.00001v2/x1.svg",
        "https://evil.example/x1.png",
        "https://arxiv.org/html/../x1.png",
        "https://arxiv.org/html/x 1.png",
        "http://arxiv.org/html/x1.png",
    ],
)
async def test_nothing_but_a_picture_of_arxiv_is_previewed(channel: Join, telegram: TelegramStandIn, url: str):
    await post(channel(telegram), a_picture(url))

    (message,) = telegram.messages()
    assert message.preview == ""
    assert "图 2：Overview of fθ." in message.text


async def test_a_figure_that_is_not_at_the_head_is_its_caption(channel: Join, telegram: TelegramStandIn):
    await post(channel(telegram), paragraph("Deep."), a_picture())

    assert telegram.messages()[0].preview == ""


@pytest.mark.parametrize("words", ["WEBPAGE_URL_INVALID", "Wrong HTTP URL specified", "can't use the link preview"])
async def test_a_refused_figure_costs_the_figure_alone(
    channel: Join, telegram: TelegramStandIn, caplog: pytest.LogCaptureFixture, words: str
):
    telegram.faults.append(refused(words))

    await post(channel(telegram), a_picture(), paragraph(Span("bold", bold=True)))

    (message,) = telegram.messages()
    assert message.preview == ""
    assert message.marked("bold") == ["🚀 Papers", "bold"]
    assert telegram.sends == 2
    assert "picture refused" in caplog.text


async def test_refused_links_cost_the_figure_first_and_then_the_looks(channel: Join, telegram: TelegramStandIn):
    telegram.faults.extend([refused("Wrong HTTP URL"), refused("Wrong HTTP URL")])

    await post(channel(telegram), a_picture())

    (message,) = telegram.messages()
    assert (message.preview, message.entities, telegram.sends) == ("", [], 3)


async def test_an_unclear_answer_to_a_figure_is_not_followed_by_another_message(
    channel: Join, telegram: TelegramStandIn
):
    telegram.faults.append(dropped(handled=True))

    with pytest.raises(SendError) as caught:
        await post(channel(telegram), a_picture())

    assert (caught.value.outcome, telegram.sends, len(telegram.messages())) == (Outcome.UNKNOWN, 1, 1)


def illustrated_documents() -> list[Document]:
    digest, *others = linked_documents()
    return [replace(digest, blocks=(a_picture(), *digest.blocks)), *others]


async def test_the_edit_that_links_a_message_keeps_its_figure(channel: Join, telegram: TelegramStandIn):
    await deliver(channel(telegram), illustrated_documents())

    digest = telegram.messages()[0]
    assert (digest.preview, digest.edits) == (FIGURE, 1)
    assert "Rain" in digest.links


async def test_the_edit_is_made_without_a_figure_that_is_refused(channel: Join, telegram: TelegramStandIn):
    team = channel(telegram)
    *posts, link = team.render(illustrated_documents())
    sent = {message.document: (await team.send("key", message, NOBODY))[0] for message in posts}
    telegram.faults.append(refused("WEBPAGE_URL_INVALID"))

    assert await team.send("key~3", link, Thread(None, sent)) == (sent["digest"],)

    digest = telegram.messages()[0]
    assert (digest.preview, digest.edits) == ("", 1)


async def test_a_part_that_an_earlier_version_froze_is_sent_as_it_was(channel: Join, telegram: TelegramStandIn):
    frozen = '{"entities":[],"keyboard":[],"silent":false,"text":"🚀 Papers"}'

    await channel(telegram).send("key~0", Message(PartKind.POST, "digest", frozen), NOBODY)

    assert (telegram.messages()[0].text, telegram.messages()[0].preview) == ("🚀 Papers", "")


async def test_a_deep_dive_over_a_full_text_reads_well(channel: Join, telegram: TelegramStandIn):
    figure = Figure("Figure 2", "Overview of $f_\\theta$. A mask network finds wet pixels.", FIGURE)
    dive = a_deep_dive(a_paper(1, arxiv_id=ArxivId("2602.00001", 2)), basis=Basis.HTML, figure=figure, left_out=("S0",))

    await deliver(channel(telegram), [compose.deep_dive(dive, texts.load("zh"))])

    (message,) = telegram.messages()
    lines = as_read(message, width=10_000).splitlines()
    assert message.preview == FIGURE
    assert lines[:3] == [
        "*Seeing Through Rain 1: Restoration by Flow Matching*",
        "",
        "‹_图 2_›_：Overview of f_θ. A mask network finds wet pixels._",
    ]
    assert "*依据* 全文（HTML），v2" in lines
    assert not message.auto_links


# A whole day


def real_papers(count: int) -> list[Paper]:
    path = SHARED_DATA / "hf_daily" / "2026-02-25.json"
    if not path.exists():
        pytest.skip("the recorded day is not there (shared/data)")
    listed = [entry["paper"] for entry in json.loads(path.read_text(encoding="utf-8"))][:count]
    return [
        a_paper(arxiv_id=ArxivId(paper["id"]), title=" ".join(paper["title"].split()), upvotes=paper["upvotes"])
        for paper in listed
    ]


@pytest.mark.shared_data
@pytest.mark.parametrize("language", ["zh", "en"])
async def test_a_real_day_reads_well_from_digest_to_last_deep_dive(
    channel: Join, telegram: TelegramStandIn, language: str
):
    papers = real_papers(15)
    entries = [Ranked(paper, a_score(95 - 3 * n), chosen=n < 2) for n, paper in enumerate(papers[:-1])]
    point = a_point("流匹配模型把雨中照片一步一步变回晴天，其中 `DDPM.py` 与 $x_t$ 不变。" * 4)
    sections = tuple(DeepDiveSection(key, f"节 {key} (Section)", (point,) * 9) for key in "ABCD")
    dives = tuple(a_deep_dive(entry.paper, sections=sections) for entry in entries[:2])
    ranking = a_ranking(entries=(*entries, Ranked(papers[-1], failure="failure.timeout")))
    documents = compose.report(a_report_of(ranking, dives, language), texts.load(language))

    await deliver(channel(telegram), documents)

    digest, *rest = telegram.messages()
    urls = [entity["url"] for entity in digest.entities if "url" in entity]
    assert sum(url.startswith("https://arxiv.org/abs/") for url in urls) == 15
    firsts = [message.id for before, message in pairwise([digest, *rest]) if before is digest or before.keyboard]
    assert len(firsts) == 2
    assert {url for url in urls if "t.me" in url} == {f"https://t.me/c/1234567890/{number}" for number in firsts}
    assert not any(message.auto_links or message.preview for message in telegram.messages())
    assert "expandable_blockquote" in {entity["type"] for entity in digest.entities}


def a_report_of(ranking: DayRanking, dives: tuple[DeepDive, ...], language: str) -> Report:
    return a_report(ranking=ranking, deep_dives=dives, key=ReportKey(ranking.day, "default", language))


# What it knows of a send


async def post(team: TelegramChannel, *blocks: Block) -> tuple[str, ...]:
    (message,) = team.render([a_document(*blocks)])
    await team.turn(REPORT)
    return await team.send("key~0", message, NOBODY)


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (too_many(7), Outcome.NOT_SENT),
        (Fault(429, "Too Many Requests: slow down"), Outcome.NOT_SENT),
        (dropped(handled=False), Outcome.UNKNOWN),
        (dropped(handled=True), Outcome.UNKNOWN),
        (broken(500), Outcome.UNKNOWN),
        (broken(502), Outcome.UNKNOWN),
        (Fault(200), Outcome.UNKNOWN),
        (refused("message is too long"), Outcome.REFUSED),
        (refused("chat not found"), Outcome.GONE),
        (refused("not enough rights to send text messages to the chat"), Outcome.GONE),
        (refused("need administrator rights in the channel chat"), Outcome.GONE),
        (refused("CHAT_WRITE_FORBIDDEN"), Outcome.GONE),
        (kicked(), Outcome.GONE),
        (Fault(401, "Unauthorized"), Outcome.GONE),
        (migrated(-1009876543210), Outcome.MOVED),
    ],
    ids=lambda value: getattr(value, "description", value) or "connection",
)
async def test_what_is_known_of_a_failed_send(channel: Join, telegram: TelegramStandIn, fault: Fault, outcome: Outcome):
    telegram.faults.append(fault)

    with pytest.raises(SendError) as caught:
        await post(channel(telegram))

    assert caught.value.outcome is outcome
    assert caught.value.moved_to == ("-1009876543210" if outcome is Outcome.MOVED else None)
    assert telegram.sends == 1


async def test_a_telegram_that_refuses_connections_was_sent_nothing(channel: Join):
    async with TelegramStandIn() as telegram:
        team = channel(telegram)

    with pytest.raises(SendError) as caught:
        await post(team)

    assert caught.value.outcome is Outcome.NOT_SENT


async def test_a_name_that_does_not_resolve_was_sent_nothing(bot_at: Callable[..., Bot]):
    bot = bot_at("http://telegram.invalid")

    with pytest.raises(SendError) as caught:
        await post(TelegramChannel(Address(PlatformName.TELEGRAM, "4711"), bot, a_gate()))

    assert caught.value.outcome is Outcome.NOT_SENT


async def test_an_answer_that_does_not_come_in_time_is_unknown(
    channel: Join, telegram: TelegramStandIn, monkeypatch: pytest.MonkeyPatch
):
    # The real bound is 17 seconds, and only the wait is shortened: the request and its end are real.
    monkeypatch.setattr("bot.channels.telegram.channel.SEND_SECONDS", 3.1)
    telegram.faults.append(hang())

    with pytest.raises(SendError) as caught:
        await post(channel(telegram))

    assert caught.value.outcome is Outcome.UNKNOWN


def test_the_steps_of_a_send_are_bounded_below_the_lease():
    bot = telegram_bot(TOKEN)

    assert bot.request.read_timeout is not None
    assert bot.request.read_timeout < SEND_SECONDS


async def test_a_slow_answer_is_waited_for(channel: Join, telegram: TelegramStandIn):
    telegram.faults.append(slow(0.2))

    assert await post(channel(telegram)) == ("101",)


async def test_reading_in_vain_is_unknown_and_connecting_in_vain_is_not():
    assert send_error(TimedOut()).outcome is Outcome.UNKNOWN
    assert send_error(NetworkError("httpx.ReadError: ")).outcome is Outcome.UNKNOWN
    assert send_error(TelegramError("Invalid server response")).outcome is Outcome.UNKNOWN
    assert send_error(BadRequest("message text is empty")).outcome is Outcome.REFUSED


@pytest.mark.parametrize("setting", ["1", "0"])
async def test_a_wait_is_read_in_both_forms_of_the_library(monkeypatch: pytest.MonkeyPatch, setting: str):
    # An environment variable of the library decides how it tells durations.
    monkeypatch.setenv("PTB_TIMEDELTA", setting)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("telegram._utils.datetime.warn", lambda *_, **__: None)  # it warns of the older form
        assert send_error(RetryAfter(7)).retry_after == 7.0


async def test_a_closed_topic_gets_its_message_into_general_with_a_warning(
    channel: Join, caplog: pytest.LogCaptureFixture
):
    async with TelegramStandIn(chats=[Chat(topics={7}, closed_topics={7})]) as telegram:
        assert await post(channel(telegram, topic=7)) == ("101",)

        assert telegram.messages()[0].thread is None
        assert telegram.sends == 2
    assert "topic is gone" in caplog.text


async def test_a_deleted_topic_gets_its_message_into_general(channel: Join):
    async with TelegramStandIn(chats=[Chat(topics=set())]) as telegram:
        await post(channel(telegram, topic=8))

        assert telegram.messages()[0].thread is None


async def test_refused_entities_cost_the_looks_and_not_the_text(
    channel: Join, telegram: TelegramStandIn, caplog: pytest.LogCaptureFixture
):
    telegram.faults.append(refused("can't parse entities: unsupported entity"))

    await post(channel(telegram), paragraph(Span("bold", bold=True)))

    (message,) = telegram.messages()
    assert (message.text, message.entities) == ("🚀 Papers\n\nbold", [])
    assert "plain text" in caplog.text


async def test_plain_text_that_is_refused_too_is_refused(channel: Join, telegram: TelegramStandIn):
    telegram.faults.extend([refused("ENTITY_BOUNDS_INVALID"), refused("ENTITY_BOUNDS_INVALID")])

    with pytest.raises(SendError) as caught:
        await post(channel(telegram))

    assert (caught.value.outcome, telegram.sends) == (Outcome.REFUSED, 2)


async def test_what_a_bot_has_posted_cannot_be_found(channel: Join, telegram: TelegramStandIn):
    with pytest.raises(SendError) as caught:
        await channel(telegram).find("key", NOBODY, NOW)

    assert caught.value.outcome is Outcome.UNKNOWN


async def test_rich_messages_fall_back_to_classic_ones_and_say_so(
    channel: Join, telegram: TelegramStandIn, caplog: pytest.LogCaptureFixture
):
    await post(channel(telegram, style="rich"))

    assert telegram.messages()
    assert "rich messages are not supported yet" in caplog.text


def test_a_missing_token_is_a_matter_of_settings():
    with pytest.raises(SettingsError, match=r"telegram\.token"):
        telegram_bot("")


# Buttons, and whom they tell


def keyboard_of(*buttons: Button, interactive: bool = True) -> list[list[dict[str, str]]]:
    (message,) = render([a_document(buttons=buttons)], linkable=True, interactive=interactive)
    return shown(message).keyboard


def test_a_button_is_a_link_or_an_action():
    link, action = Button("PDF", "https://arxiv.org/pdf/1"), Button("再读", action="deepdive 2602.19089 zh")

    assert keyboard_of(link, action) == [
        [{"text": "PDF", "url": "https://arxiv.org/pdf/1"}, {"text": "再读", "callback_data": "deepdive 2602.19089 zh"}]
    ]


def test_where_nobody_listens_buttons_are_links_alone():
    link, action = Button("PDF", "https://arxiv.org/pdf/1"), Button("再读", action="deepdive 2602.19089 zh")

    assert keyboard_of(link, action, interactive=False) == keyboard_of(link)
    assert keyboard_of(action, interactive=False) == []


def test_rows_stay_apart_and_short_buttons_stand_side_by_side():
    numbers = [Button(f"🔎 {n}", action=f"deepdive 2602.{n:05}", row=1) for n in range(1, 11)]
    pages = [
        Button("◀", action="top 1", row=2),
        Button("第 2 页", action="top 2", row=2),
        Button("▶", action="top 3", row=2),
    ]
    words = [Button(f"Button {n}", action=f"x {n}", row=0) for n in range(4)]

    labels = [[button["text"] for button in row] for row in keyboard_of(*numbers, *pages, *words)]

    assert labels == [
        ["Button 0", "Button 1", "Button 2"],
        ["Button 3"],
        [f"🔎 {n}" for n in range(1, 9)],
        ["🔎 9", "🔎 10"],
        ["◀", "第 2 页", "▶"],
    ]


def test_an_action_that_is_too_long_is_left_out_with_a_word_in_the_log(caplog: pytest.LogCaptureFixture):
    fits, too_long = Button("a", action="字" * 21 + "x"), Button("b", action="字" * 21 + "xy")

    assert [[button["text"] for button in row] for row in keyboard_of(fits, too_long)] == [["a"]]
    assert "too long" in caplog.text


def test_a_button_without_a_word_is_left_out():
    assert keyboard_of(Button(" ", action="top"), Button("", "https://arxiv.org/")) == []


async def test_telegram_takes_action_buttons(channel: Join, telegram: TelegramStandIn):
    buttons = [Button("🔎 1", action="deepdive 2602.00001 zh"), Button("👍", action="up 2602.00001", row=1)]
    team = channel(telegram)
    (message,) = team.render([a_document(buttons=tuple(buttons))])

    await team.send("key~0", message, NOBODY)

    assert [len(row) for row in telegram.messages()[0].keyboard] == [1, 1]
    quiet = channel(telegram, interactive=False)
    assert json.loads(quiet.render([a_document(buttons=tuple(buttons))])[0].payload)["keyboard"] == []


# Answers: replies, and messages that become others


def answer(team: TelegramChannel, *blocks: Block, answers: str = "", replaces: str = "") -> Message:
    (message,) = team.render([a_document(*blocks)])
    return replace(message, answers=answers, replaces=replaces)


async def test_an_answer_is_a_reply_to_its_question(channel: Join, telegram: TelegramStandIn):
    question = telegram.types("/top")

    await channel(telegram).send("key~0", answer(channel(telegram), answers=str(question)), NOBODY)

    assert telegram.messages()[0].answers == question


async def test_a_question_that_was_deleted_is_answered_all_the_same(channel: Join, telegram: TelegramStandIn):
    await channel(telegram).send("key~0", answer(channel(telegram), answers="9"), NOBODY)

    assert telegram.messages()[0].answers is None


async def test_a_reply_whose_topic_is_gone_is_posted_to_general(channel: Join):
    async with TelegramStandIn(chats=[Chat(topics=set())]) as telegram:
        question = telegram.types("/top")
        team = channel(telegram, topic=8)

        await team.send("key~0", answer(team, answers=str(question)), NOBODY)

        (message,) = telegram.messages()
        assert (message.thread, message.answers) == (None, question)


async def test_a_placeholder_becomes_the_answer(channel: Join, telegram: TelegramStandIn):
    team = channel(telegram)
    (placeholder,) = await post(team, paragraph("Reading …"))
    final = answer(team, paragraph(Span("Done.", bold=True)), replaces=placeholder)

    assert await team.send("key~1", final, NOBODY) == (placeholder,)
    assert await team.send("key~1", final, NOBODY) == (placeholder,)  # again, and nothing to change

    (message,) = telegram.messages()
    assert (message.text, message.edits, message.marked("bold")) == ("🚀 Papers\n\nDone.", 1, ["🚀 Papers", "Done."])


@pytest.mark.parametrize("words", ["message to edit not found", "message can't be edited", "MESSAGE_ID_INVALID"])
async def test_where_the_placeholder_is_gone_the_answer_is_posted_as_a_reply(
    channel: Join, telegram: TelegramStandIn, words: str
):
    team, question = channel(telegram), telegram.types("/top")
    telegram.faults.append(refused(words))

    ids = await team.send("key~1", answer(team, answers=str(question), replaces="77"), NOBODY)

    assert ids == ("101",)
    assert telegram.messages()[0].answers == question


@pytest.mark.parametrize("fault", [dropped(handled=True), dropped(handled=False), broken(500), too_many(7)])
async def test_a_replacement_of_unknown_fate_may_be_made_again(channel: Join, telegram: TelegramStandIn, fault: Fault):
    clock = FakeClock()
    team = channel(telegram, gate=a_gate(clock))
    (placeholder,) = await post(team)
    final = answer(team, paragraph("Done."), replaces=placeholder)
    telegram.faults.append(fault)

    with pytest.raises(SendError) as caught:
        await team.send("key~1", final, NOBODY)
    await clock.sleep(60)

    assert caught.value.outcome is Outcome.NOT_SENT
    assert await team.send("key~1", final, NOBODY) == (placeholder,)
    assert len(telegram.messages()) == 1


async def test_a_replacement_that_hangs_may_be_made_again(
    channel: Join, telegram: TelegramStandIn, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("bot.channels.telegram.channel.SEND_SECONDS", 3.1)  # as above
    telegram.faults.append(hang())

    with pytest.raises(SendError) as caught:
        await channel(telegram).send("key~1", answer(channel(telegram), replaces="77"), NOBODY)

    assert caught.value.outcome is Outcome.NOT_SENT


async def test_a_message_posted_in_place_of_a_lost_one_is_not_repeated(channel: Join, telegram: TelegramStandIn):
    telegram.faults.extend([refused("message to edit not found"), dropped(handled=True)])

    with pytest.raises(SendError) as caught:
        await channel(telegram).send("key~1", answer(channel(telegram), replaces="77"), NOBODY)

    assert caught.value.outcome is Outcome.UNKNOWN
    assert len(telegram.messages()) == 1


async def test_a_replacement_with_refused_markup_is_plain(channel: Join, telegram: TelegramStandIn):
    team = channel(telegram)
    (placeholder,) = await post(team)
    telegram.faults.append(refused("BUTTON_DATA_INVALID"))

    await team.send("key~1", answer(team, paragraph(Span("Done.", bold=True)), replaces=placeholder), NOBODY)

    assert telegram.messages()[0].entities == []


# Progress: edits and previews that may be lost


async def test_an_edit_changes_a_posted_message_and_one_that_changes_nothing_is_fine(
    channel: Join, telegram: TelegramStandIn
):
    team = channel(telegram)
    (posted,) = await post(team)

    for _ in range(2):
        await team.edit(posted, answer(team, paragraph("Reading 3 of 12")))

    assert (telegram.messages()[0].text, telegram.messages()[0].edits) == ("🚀 Papers\n\nReading 3 of 12", 1)


async def test_an_edit_waits_for_no_turn_and_takes_one(channel: Join, telegram: TelegramStandIn):
    clock = FakeClock()
    team = channel(telegram, gate=a_gate(clock))
    (posted,) = await post(team)
    for number in range(3):
        await team.edit(posted, answer(team, paragraph(str(number))))

    with pytest.raises(SendError) as caught:
        await team.edit(posted, answer(team, paragraph("4")))

    assert caught.value.outcome is Outcome.NOT_SENT
    assert caught.value.retry_after == pytest.approx(1.0, abs=0.01)
    assert telegram.sends == 4
    await post(team)
    await post(team)  # answers go at once, whatever progress was shown before
    assert clock.slept == []


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (too_many(7), Outcome.NOT_SENT),
        (dropped(handled=True), Outcome.NOT_SENT),
        (broken(502), Outcome.NOT_SENT),
        (refused("message to edit not found"), Outcome.REFUSED),
        (kicked(), Outcome.GONE),
    ],
)
async def test_what_is_known_of_a_failed_edit(channel: Join, telegram: TelegramStandIn, fault: Fault, outcome: Outcome):
    team = channel(telegram)
    (posted,) = await post(team)
    telegram.faults.append(fault)

    with pytest.raises(SendError) as caught:
        await team.edit(posted, answer(team, paragraph("x")))

    assert (caught.value.outcome, telegram.sends) == (outcome, 2)


async def test_a_private_chat_sees_a_draft_that_changes(channel: Join):
    async with TelegramStandIn(chats=[Chat(4711, "private")]) as telegram:
        team = channel(telegram, "4711")

        assert await team.preview(answer(team, paragraph("Reading"), answers="5"))
        assert await team.preview(answer(team, paragraph("Checking"), answers="5"))
        assert await team.preview(answer(team, paragraph("Reading"), answers="6"))

        first, second, other = telegram.drafts
        assert (first["text"], second["text"]) == ("🚀 Papers\n\nReading", "🚀 Papers\n\nChecking")
        assert first["draft_id"] == second["draft_id"] != other["draft_id"]
        assert telegram.sends == 0


async def test_elsewhere_there_are_no_drafts(channel: Join, telegram: TelegramStandIn):
    team = channel(telegram)

    assert not await team.preview(answer(team))
    assert telegram.asked == []


@pytest.mark.parametrize("fault", [Fault(404, "Not Found: method not found"), refused("BOT_DRAFTS_DISABLED")])
async def test_a_server_or_bot_without_drafts_is_asked_once(channel: Join, fault: Fault):
    async with TelegramStandIn(chats=[Chat(4711, "private")]) as telegram:
        team = channel(telegram, "4711")
        telegram.fail("sendMessageDraft", fault)

        assert [await team.preview(answer(team)) for _ in range(3)] == [False, False, False]
        assert len(telegram.asked) == 1


@pytest.mark.parametrize("fault", [too_many(3), broken(), dropped(handled=False)])
async def test_a_draft_that_fails_may_be_tried_again(channel: Join, fault: Fault):
    async with TelegramStandIn(chats=[Chat(4711, "private")]) as telegram:
        team = channel(telegram, "4711")
        telegram.fail("sendMessageDraft", fault)

        with pytest.raises(SendError):
            await team.preview(answer(team))
        assert await team.preview(answer(team))
        assert await post(team)  # and holds up no message


# Its pace


async def test_a_report_of_five_messages_and_its_links_go_out_at_once_and_then_one_a_second(
    channel: Join, telegram: TelegramStandIn
):
    clock = FakeClock()
    team = channel(telegram, gate=a_gate(clock))

    for _ in range(8):
        await post(team)

    assert clock.slept == pytest.approx([1.0, 1.0], abs=0.01)


async def test_a_group_gets_no_more_than_twenty_messages_a_minute(channel: Join, telegram: TelegramStandIn):
    clock = FakeClock()
    team = channel(telegram, gate=a_gate(clock))
    times: list[float] = []

    for _ in range(80):
        await team.turn(REPORT)
        times.append(clock.monotonic())

    assert all(later - earlier >= 60 for earlier, later in zip(times, times[20:], strict=False))


async def test_a_private_chat_has_no_limit_by_the_minute(channel: Join):
    async with TelegramStandIn(chats=[Chat(4711, "private")]) as telegram:
        clock = FakeClock()
        team = channel(telegram, "4711", gate=a_gate(clock))
        for _ in range(30):
            await post(team)

    assert sum(clock.slept) == pytest.approx(24, abs=0.1)


async def test_a_429_pauses_its_chat_and_no_other(channel: Join):
    async with TelegramStandIn(chats=[Chat(), Chat(4711, "private")]) as telegram:
        clock = FakeClock()
        gate = a_gate(clock, ALL)
        team, other = channel(telegram, gate=gate), channel(telegram, "4711", gate=gate)
        telegram.faults.append(too_many(30))

        with pytest.raises(SendError) as caught:
            await post(team)
        assert (caught.value.outcome, caught.value.retry_after) == (Outcome.NOT_SENT, 30)
        await post(other)
        assert sum(clock.slept) < 1
        await post(team)

        assert sum(clock.slept) == pytest.approx(30, abs=0.1)
        assert len(telegram.messages()) == 1


async def test_when_one_chat_after_the_other_is_refused_the_whole_bot_waits(channel: Join):
    chats = [Chat(4711 + number, "private") for number in range(6)]
    async with TelegramStandIn(chats=chats) as telegram:
        clock = FakeClock()
        gate = a_gate(clock, ALL)
        teams = [channel(telegram, str(chat.id), gate=gate) for chat in chats]
        for team in teams[:5]:
            telegram.faults.append(too_many(20))
            with pytest.raises(SendError):
                await post(team)

        await post(teams[5])

        assert sum(clock.slept) == pytest.approx(20, abs=0.3)


async def test_refusals_between_which_others_are_accepted_are_the_chats_own(channel: Join):
    chats = [Chat(4711 + number, "private") for number in range(7)]
    async with TelegramStandIn(chats=chats) as telegram:
        clock = FakeClock()
        gate = a_gate(clock, ALL)
        *refused, open_ = [channel(telegram, str(chat.id), gate=gate) for chat in chats]
        for team in refused:
            telegram.faults.append(too_many(20))
            with pytest.raises(SendError):
                await post(team)
            await post(open_)

        assert sum(clock.slept) < 2


# Its check


@pytest.mark.parametrize(
    ("chat", "level", "words"),
    [
        (Chat(), "ok", "@paperboy_bot may post to “Vision Lab”"),
        (Chat(status="member"), "ok", "may post"),
        (Chat(type="channel"), "ok", "may post"),
        (Chat(4711, "private", status="member"), "ok", "may post"),
        (Chat(GROUP - 1), "error", "no such chat, or @paperboy_bot was never in it; check target"),
        (Chat(status="kicked"), "error", "was removed from this chat; add it again"),
        (Chat(status="left"), "error", "is not in this chat; add it"),
        (Chat(type="channel", status="member"), "error", "make it an administrator of the channel"),
        (Chat(type="channel", may_post=False), "error", "with the right “Post Messages”"),
        (Chat(status="restricted", may_post=False), "error", "is restricted; lift the restriction"),
        (Chat(status="member", members_may_send=False), "error", "members of this group may not write"),
    ],
)
async def test_the_check_names_what_is_wrong_with_a_chat_and_its_cure(
    channel: Join, chat: Chat, level: str, words: str
):
    async with TelegramStandIn(chats=[chat]) as telegram:
        team = channel(telegram, "4711" if chat.id == 4711 else str(GROUP))

        (finding,) = await team.check()

    assert (finding.level, finding.subject) == (level, str(team.address))
    assert words in finding.text


@pytest.mark.parametrize(("topics", "level"), [({7}, "ok"), (None, "warning")])
async def test_the_check_warns_of_a_topic_in_a_chat_without_topics(channel: Join, topics: set[int] | None, level: str):
    async with TelegramStandIn(chats=[Chat(topics=topics)]) as telegram:
        (finding,) = await channel(telegram, topic=7).check()

    assert finding.level == level


async def test_the_check_says_where_a_group_has_moved(channel: Join):
    async with TelegramStandIn(chats=[Chat(-4711, "group", moved_to=-1009876543210)]) as telegram:
        (finding,) = await channel(telegram, "-4711").check()

    assert 'set target = "-1009876543210"' in finding.text


@pytest.mark.parametrize("token", ["123456789:AAGanotheranotheranotheranotheranothe", "nonsense"])
async def test_the_check_knows_a_wrong_token(bot_at: Callable[..., Bot], telegram: TelegramStandIn, token: str):
    bot = bot_at(telegram.url, token)

    (finding,) = await TelegramChannel(Address(PlatformName.TELEGRAM, str(GROUP)), bot, a_gate()).check()

    assert (finding.level, finding.subject) == ("error", "telegram.token")
    assert token not in finding.text


async def test_the_check_says_that_telegram_cannot_be_reached(channel: Join):
    async with TelegramStandIn() as telegram:
        team = channel(telegram)

    (finding,) = await team.check()

    assert (finding.level, finding.subject) == ("error", "telegram.api_url")


async def test_the_check_says_so_when_telegram_breaks_halfway(channel: Join, telegram: TelegramStandIn):
    telegram.chat_faults.append(broken(500))

    (finding,) = await channel(telegram).check()

    assert (finding.level, finding.subject) == ("error", "telegram.api_url")


# The stand-in itself


async def test_a_send_works_without_any_start_and_after_an_outage(
    channel: Join, telegram: TelegramStandIn, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    port, team = telegram.port, channel(telegram)
    await post(team)
    await telegram.__aexit__(None, None, None)
    with pytest.raises(SendError):
        await post(team)

    async with TelegramStandIn(port=port) as again:
        await post(team)
        assert again.sends == 1

    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    ("entities", "words"),
    [
        ([{"type": "text_link", "offset": 0, "length": 2, "url": "#item"}], "URL host is empty"),
        ([{"type": "bold", "offset": 0, "length": 99}], "after the end of the text"),
        ([{"type": "bold", "offset": 1, "length": 1}], "in a middle of a UTF-16 symbol"),
        ([{"type": "marquee", "offset": 0, "length": 1}], "unsupported type"),
    ],
)
def test_the_stand_in_refuses_what_telegram_refuses(entities: list[dict[str, Any]], words: str):
    with pytest.raises(RefusalError, match=words):
        td_entities("😀ok", entities)


async def test_the_stand_in_fails_a_test_that_sends_too_many_entities(bot_at: Callable[..., Bot]):
    telegram = await TelegramStandIn().__aenter__()
    bold = {"type": "bold", "offset": 0, "length": 1}
    with pytest.raises(TelegramError):
        await bot_at(telegram.url).send_message(GROUP, "x", api_kwargs={"entities": [bold] * 101})

    with pytest.raises(AssertionError, match="101 entities"):
        await telegram.__aexit__(None, None, None)


async def test_the_stand_in_knows_telegrams_flood_limit(channel: Join):
    async with TelegramStandIn(flood=Flood()) as telegram:
        team = channel(telegram)
        for _ in range(CHAT_BURST):
            await post(team)
        with pytest.raises(SendError) as caught:
            await post(team)

    assert caught.value.retry_after == 1


async def test_the_stand_in_lets_one_poller_live(telegram: TelegramStandIn):
    async with telegram_bot(TOKEN, telegram.url) as bot, telegram_bot(TOKEN, telegram.url) as other:
        first = asyncio.create_task(bot.get_updates(timeout=5))
        await wait_until(lambda: telegram.polls == 1)
        second = asyncio.create_task(other.get_updates(timeout=5))
        with pytest.raises(TelegramError, match="terminated by other getUpdates"):
            await first

        telegram.update(message={"message_id": 1, "date": 0, "chat": {"id": 4711, "type": "private"}, "text": "/top"})

        (update,) = await second
        assert update.message is not None
        assert update.message.text == "/top"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": FIGURE, "prefer_large_media": True, "show_above_text": True, "caption": "x"}, "can't parse"),
        ({"url": FIGURE, "prefer_large_media": "yes", "show_above_text": True}, "can't parse"),
        ({"url": "note", "prefer_large_media": True, "show_above_text": True}, "WEBPAGE_URL_INVALID"),
        ({"url": FIGURE}, "left to chance"),
        ({}, "left to chance"),
        ({"is_disabled": True, "url": FIGURE}, "has no look"),
    ],
)
async def test_the_stand_in_is_strict_about_previews(bot_at: Callable[..., Bot], options: dict[str, Any], words: str):
    async with TelegramStandIn(strict=False) as telegram:
        bot = bot_at(telegram.url)
        with contextlib.suppress(BadRequest):
            await bot.send_message(GROUP, "x", link_preview_options=LinkPreviewOptions(api_kwargs=options))
        assert words in telegram.violations[0]


@pytest.mark.parametrize("draft", [{"draft_id": 0, "text": "x"}, {"draft_id": 1, "text": "😀" * 2049}])
async def test_the_stand_in_is_strict_about_drafts(bot_at: Callable[..., Bot], draft: dict[str, Any]):
    async with TelegramStandIn(chats=[Chat(4711, "private")], strict=False) as telegram:
        with pytest.raises(BadRequest):
            await bot_at(telegram.url).send_message_draft(4711, **draft)
        assert telegram.violations


async def test_the_stand_in_knows_drafts_in_private_chats_alone(bot_at: Callable[..., Bot], telegram: TelegramStandIn):
    with pytest.raises(BadRequest, match="private"):
        await bot_at(telegram.url).send_message_draft(GROUP, 1, "x")


async def test_the_stand_in_reacts_to_what_it_knows_with_what_is_allowed(
    bot_at: Callable[..., Bot], telegram: TelegramStandIn
):
    bot, number = bot_at(telegram.url), telegram.types("hello")

    await bot.set_message_reaction(GROUP, number, "👀")
    with pytest.raises(BadRequest, match=r"[Mm]essage to react not found"):
        await bot.set_message_reaction(GROUP, 999, "👀")
    with pytest.raises(BadRequest, match=r"(?i)REACTION_INVALID"):
        await bot.set_message_reaction(GROUP, number, "🛸")

    assert telegram.reactions == {(GROUP, number): ["👀"]}


async def test_the_stand_in_knows_its_queries(bot_at: Callable[..., Bot], telegram: TelegramStandIn):
    with pytest.raises(BadRequest, match=r"[Qq]uery is too old and response timeout expired or query id is invalid"):
        await bot_at(telegram.url).answer_callback_query("17", "x")


async def test_the_stand_in_replies_to_what_it_knows(bot_at: Callable[..., Bot], telegram: TelegramStandIn):
    with pytest.raises(BadRequest, match=r"[Mm]essage to be replied not found"):
        await bot_at(telegram.url).send_message(
            GROUP, "x", reply_to_message_id=999, link_preview_options=LinkPreviewOptions(is_disabled=True)
        )


@pytest.mark.parametrize(
    ("commands", "words"),
    [
        ([("Top", "x")], "BOT_COMMAND_INVALID"),
        ([("top", "x" * 257)], "BOT_COMMAND_DESCRIPTION_INVALID"),
        ([("top", "x")] * 101, "BOT_COMMANDS_TOO_MUCH"),
    ],
)
async def test_the_stand_in_is_strict_about_menus(
    bot_at: Callable[..., Bot], commands: list[tuple[str, str]], words: str
):
    async with TelegramStandIn(strict=False) as telegram:
        with pytest.raises(BadRequest, match=f"(?i){words}"):
            await bot_at(telegram.url).set_my_commands(commands)


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        ("http://example.org/telegram", {}, "HTTPS URL must be provided"),
        ("https://example.org:9000/telegram", {}, "only on ports"),
        ("https://example.org/telegram", {"secret_token": "ä"}, "unallowed characters"),
        ("https://example.org/telegram", {"max_connections": 101}, "max_connections"),
    ],
)
async def test_the_stand_in_is_strict_about_webhooks(
    bot_at: Callable[..., Bot], telegram: TelegramStandIn, url: str, options: dict[str, Any], words: str
):
    with pytest.raises(BadRequest, match=f"(?i){words}"):
        await bot_at(telegram.url).set_webhook(url, **options)


async def test_the_stand_in_gives_updates_to_a_webhook_or_a_poll_and_forgets_what_was_confirmed(
    telegram: TelegramStandIn,
):
    telegram.types("one")
    telegram.types("two")
    async with telegram_bot(TOKEN, telegram.url) as bot:
        first, second = await bot.get_updates(timeout=0)
        assert [update.update_id for update in await bot.get_updates(offset=second.update_id)] == [second.update_id]
        assert len(await bot.get_updates()) == 1

        await bot.set_webhook("https://example.invalid/telegram")
        with pytest.raises(TelegramError, match="webhook is active"):
            await bot.get_updates()
        await bot.delete_webhook()

        assert await bot.get_updates(offset=second.update_id + 1, allowed_updates=["callback_query"]) == ()
        telegram.types("three")
        assert await bot.get_updates() == ()
    assert first.update_id < second.update_id
