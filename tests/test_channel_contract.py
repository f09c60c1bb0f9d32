"""What every Channel promises, over every platform. A platform joins with a Rig and a line in RIGS."""

import json
import logging
import traceback
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest

from bot.channels.slack import SlackChannel, slack_client
from bot.channels.telegram import TelegramChannel, telegram_bot
from bot.errors import Outcome, SendError
from bot.interfaces import Channel, Thread
from bot.models import Address, Message, PartKind, PlatformName
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
)
from tests import slack_rules, slack_standin, telegram_standin
from tests.fakes import NOW
from tests.gates import a_gate
from tests.slack_standin import SlackStandIn
from tests.telegram_standin import TelegramStandIn

INVISIBLE = dict.fromkeys(map(ord, "\u2060\u200b\u200c\u200d\ufeff"))
NOBODY = Thread(None, {})


@dataclass(frozen=True)
class Rig:
    """One platform's adapter before its stand-in.

    `shown` is all text that a frozen message shows, buttons' labels apart; `posts` counts the requests to post that
    arrived; `faults` make the next post fail, by what has to come of it. `retry_after` is what NOT_SENT names.
    """

    channel: Channel
    shown: Callable[[Message], str]
    posts: Callable[[], int]
    standing: Callable[[], int]
    faults: Mapping[Outcome, Callable[[], None]] = field(default_factory=dict)
    retry_after: float | None = None
    secrets: Sequence[str] = ()
    can_find: bool = True


@asynccontextmanager
async def telegram_rig() -> AsyncIterator[Rig]:
    async with TelegramStandIn() as telegram:
        bot = telegram_bot(telegram.token, telegram.url)
        faults = {
            Outcome.NOT_SENT: telegram_standin.too_many(7),
            Outcome.UNKNOWN: telegram_standin.dropped(handled=True),
            Outcome.REFUSED: telegram_standin.refused("message is too long"),
            Outcome.GONE: telegram_standin.kicked(),
            Outcome.MOVED: telegram_standin.migrated(-1009876543210),
        }
        yield Rig(
            TelegramChannel(Address(PlatformName.TELEGRAM, str(telegram_standin.GROUP)), bot, a_gate()),
            shown=lambda message: str(json.loads(message.payload)["text"]),
            posts=lambda: telegram.sends,
            standing=lambda: len(telegram.messages()),
            faults={outcome: _scripted(telegram, fault) for outcome, fault in faults.items()},
            retry_after=7,
            secrets=(telegram.token,),
            can_find=False,
        )
        await bot.request.shutdown()


def _scripted(telegram: TelegramStandIn, fault: telegram_standin.Fault) -> Callable[[], None]:
    return lambda: telegram.faults.append(fault)


@asynccontextmanager
async def slack_rig() -> AsyncIterator[Rig]:
    async with SlackStandIn() as slack, slack_client(slack.token, slack.api_url) as client:
        faults = {
            Outcome.NOT_SENT: slack_standin.ratelimited(7),
            Outcome.UNKNOWN: slack_standin.post_then_cut,
            Outcome.REFUSED: slack_standin.says("metadata_too_large"),
            Outcome.GONE: slack_standin.says("is_archived"),
        }
        yield Rig(
            SlackChannel(Address(PlatformName.SLACK, "C0PAPERS"), client, a_gate()),
            shown=lambda message: "".join(slack_rules.texts(json.loads(message.payload)["blocks"])),
            posts=lambda: len(slack.calls("chat.postMessage")),
            standing=lambda: len(slack.posted()),
            faults={outcome: partial(slack.fail, "chat.postMessage", fault) for outcome, fault in faults.items()},
            retry_after=7,
            secrets=(slack.token,),
        )


RIGS = [telegram_rig, slack_rig]


@pytest.fixture(params=RIGS, ids=lambda rig: rig.__name__.removesuffix("_rig"))
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    async with request.param() as rig:
        yield rig


def a_document(key: str = "digest", *blocks: Block, **changes: Any) -> Document:
    values: dict[str, Any] = {
        "key": key,
        "title": (Span("🚀 CV 论文日报 | 2026-02-25"),),
        "blocks": blocks,
        "summary": "精选 2 篇",
        "language": "zh",
        "part_label": "（{part}/{parts}）",
    }
    return Document(**(values | changes))


def everything(language: str = "zh") -> Document:
    """Every block, with every look of a span."""
    looks = (
        Span("粗体", bold=True),
        Span("italics", italic=True),
        Span("torch.nn", code=True),
        Span("gone", strike=True),
        Span("α² → β", tex=r"\alpha^2 \to \beta"),
        Span("arXiv page", href="https://arxiv.org/abs/2602.00001"),
        Span("to the deep dive", document="2602.00001"),
        Span(" 😀 x < y & <b> *not bold* _nor this_ `nor code` @channel #tag DDPM.py"),
    )
    rows = tuple(
        RankingRow(
            n, f"Paper {n}", f"https://arxiv.org/abs/2602.{n:05}", 95 - n, "good", (Span(f"理由 {n}。"),), ("精选",)
        )
        for n in range(1, 9)
    )
    failed = RankingRow(None, "Paper 9", "https://arxiv.org/abs/2602.00009", None, "failed", (Span("模型超时"),))
    points = Items(
        (
            Item(
                (Span("第一点。"),), Mark("§3.2", inferred=False, quote="a quote", href="https://arxiv.org/html/x#S3")
            ),
            Item((Span("第二点。"),), Mark("推断", inferred=True)),
        )
    )
    return a_document(
        "digest",
        a_picture(),
        Paragraph(looks),
        Note((Span("仅基于摘要"),), "warning"),
        Note((Span("一条说明"),)),
        Heading((Span("目录"),)),
        Items((Item((Span("One"),)), Item((Span("Two"),))), ordered=True),
        Heading((Span("小标题"),), 3),
        Ranking((*rows, failed)),
        Divider(),
        Fields((("来源", (Span("HuggingFace"),)), ("评分", (Span("90/100"),)))),
        Section("method", "技术细节 (Methodology)", (Paragraph((Span("引言。"),)), points)),
        Footer((Span("模型 fake/model · $0.01"),)),
        language=language,
        buttons=(Button("arXiv", "https://arxiv.org/abs/2602.00001"), Button("网页", "https://papers.example.org/x")),
    )


def a_picture() -> Picture:
    url = "https://arxiv.org/html/2602.00001v2/x1.png"
    return Picture(url, (Span("图 2", href=url), Span("：Overview of fθ.")), "图 2：Overview of fθ.")


def long_dive(key: str = "2602.00001", points: int = 120) -> Document:
    sections = tuple(
        Section(name, f"节 {name}", (Items(tuple(_point(name, n) for n in range(points // 4))),)) for name in "ABCD"
    )
    return a_document(key, a_picture(), *sections, title=(Span("Seeing Through Rain"),))


def _point(section: str, number: int) -> Item:
    text = f"要点 {section}{number}：" + "流匹配把雨中照片一步一步变回晴天，" * 12
    return Item((Span(text),), Mark("§3.2", inferred=False))


def texts_of(document: Document) -> list[str]:
    """What a reader has to find, in order. Quotes of marks are for the page."""
    found: list[str] = [_text(document.title)]
    for block in document.blocks:
        match block:
            case Picture():
                found.append(_text(block.caption))
            case Heading(spans) | Paragraph(spans) | Note(spans) | Footer(spans):
                found.append(_text(spans))
            case Items(items):
                found += [_text(item.spans) for item in items]
            case Section(_, title, blocks):
                found += [title, *texts_of(a_document("section", *blocks, title=()))[1:]]
            case Ranking(rows):
                found += [text for row in rows for text in (str(row.score or ""), row.title, _text(row.reason))]
            case Fields(pairs):
                found += [text for label, spans in pairs for text in (label, _text(spans))]
    return [_bare(text) for text in found]


def _text(spans: Spans) -> str:
    return "".join(span.text for span in spans)


def _bare(text: str) -> str:
    """Without blanks, line breaks and what is invisible: platforms set those in their own way."""
    return "".join(text.translate(INVISIBLE).split())


async def post(rig: Rig) -> tuple[str, ...]:
    (message,) = rig.channel.render([a_document("digest", Paragraph((Span("Hello."),)))])
    return await rig.channel.send("key~0", message, NOBODY)


async def test_messages_are_frozen_json_and_the_same_every_time(rig: Rig):
    documents = [everything(), long_dive()]

    messages = rig.channel.render(documents)

    assert messages == rig.channel.render(documents)
    assert all(isinstance(json.loads(message.payload), dict) for message in messages)
    assert [message.kind for message in messages][:2] == [PartKind.POST, PartKind.POST]
    assert messages[0].document == "digest"


@pytest.mark.parametrize("document", [everything(), everything("en"), long_dive()], ids=["zh", "en", "long"])
async def test_nothing_of_a_document_is_lost_and_all_of_it_is_in_order(rig: Rig, document: Document):
    posts = [message for message in rig.channel.render([document]) if message.kind is PartKind.POST]

    shown = _bare("".join(rig.shown(message) for message in posts))

    position = 0
    for text in texts_of(document):
        assert text in shown[position:], f"{text!r} is missing behind {shown[max(0, position - 40) : position]!r}"
        position = shown.index(text, position) + len(text)


async def test_parts_of_a_long_document_are_numbered_and_repeat_its_title(rig: Rig):
    messages = rig.channel.render([long_dive(points=480)])

    assert len(messages) > 1 or rig.channel.address.platform is PlatformName.CONSOLE
    if len(messages) > 1:
        for part, message in enumerate(messages, 1):
            head = _bare(rig.shown(message))[:80]
            assert "SeeingThroughRain" in head
            assert f"（{part}/{len(messages)}）" in head


async def test_the_picture_stands_in_the_first_message_of_a_document_and_in_no_other(rig: Rig):
    first, *others = rig.channel.render([long_dive(points=480)])

    picture = a_picture()
    assert picture.url in first.payload
    assert not any(picture.url in message.payload for message in others)


async def test_every_message_is_accepted_as_it_was_rendered(rig: Rig):
    messages = rig.channel.render([everything(), a_document("2602.00001", Paragraph((Span("Deep."),)))])

    sent: dict[str, str] = {}
    for number, message in enumerate(messages):
        ids = await rig.channel.send(f"key~{number}", message, Thread(sent.get("digest"), sent))
        assert ids
        assert all(isinstance(number, str) for number in ids)
        sent.setdefault(message.document, ids[0])

    assert rig.standing() == sum(message.kind is PartKind.POST for message in messages)
    assert rig.posts() == len(messages)


@pytest.mark.parametrize("outcome", list(Outcome))
async def test_a_failed_send_says_what_is_known_and_is_never_repeated(rig: Rig, outcome: Outcome):
    if outcome not in rig.faults:
        pytest.skip(f"this platform has no {outcome}")
    rig.faults[outcome]()

    with pytest.raises(SendError) as caught:
        await post(rig)

    assert caught.value.outcome is outcome
    assert rig.posts() == 1
    if outcome is Outcome.NOT_SENT:
        assert caught.value.retry_after == pytest.approx(rig.retry_after, abs=1)


async def test_what_was_posted_is_found_again_or_the_platform_says_that_it_cannot_tell(rig: Rig):
    if not rig.can_find:
        with pytest.raises(SendError) as caught:
            await rig.channel.find("key~0", NOBODY, NOW)
        assert caught.value.outcome is Outcome.UNKNOWN
        return
    assert await rig.channel.find("key~0", NOBODY, NOW) is None
    ids = await post(rig)
    assert await rig.channel.find("key~0", NOBODY, NOW) == ids


async def test_the_check_finds_a_healthy_channel_healthy_and_posts_nothing(rig: Rig):
    findings = await rig.channel.check()

    assert findings
    assert {finding.level for finding in findings} == {"ok"}
    assert rig.standing() == 0


async def test_no_secret_shows_in_payloads_logs_errors_or_findings(rig: Rig, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    seen = [message.payload for message in rig.channel.render([everything()])]
    seen += [str(finding) for finding in await rig.channel.check()]
    seen.append(str(await post(rig)))
    for outcome in sorted(rig.faults, key=lambda outcome: outcome is Outcome.NOT_SENT):  # which pauses the channel
        rig.faults[outcome]()
        with pytest.raises(SendError) as caught:
            await post(rig)
        seen += traceback.format_exception(caught.value)

    for secret in rig.secrets:
        assert secret not in "".join(seen)
        assert secret not in caplog.text
