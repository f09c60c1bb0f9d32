"""The terminal as a channel."""

import io
import json
import os
import pty
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from bot.channels.console import ConsoleChannel
from bot.channels.console.prose import breaks
from bot.errors import Outcome, SendError
from bot.interfaces import Thread
from bot.models import Address, Figure, PartKind, PlatformName, Ranked
from bot.report import compose, document
from bot.report.document import Document, Links, Span
from bot.texts import load
from tests.fakes import NOW, a_deep_dive, a_paper, a_ranking, a_report, a_score

ADDRESS = Address(PlatformName.CONSOLE, "terminal")
NO_THREAD = Thread(None, {})
ZH = load("zh")
LONG = "视频扩散里的自引导采样能缓解 OOD 输入，和真实退化复原的困难一致，但实验只在人体动画上做，没有给出去雨的结果。"


async def shown(*documents: Document) -> str:
    stream = io.StringIO()
    channel = ConsoleChannel(ADDRESS, stream)
    for message in channel.render(documents):
        await channel.send("key", message, NO_THREAD)
    return stream.getvalue()


@pytest.fixture(params=[80, 120])
def width(request, monkeypatch) -> int:
    # rich reads the width of what is no terminal from here, as every terminal program does.
    monkeypatch.setenv("COLUMNS", str(request.param))
    return int(request.param)


async def test_a_report_reads_well_at_any_width(width):
    entries = (*a_ranking().entries[:4], Ranked(a_paper(9), a_score(61, reason=LONG)), a_ranking().entries[4])
    report = a_report(ranking=replace(a_ranking(), entries=entries))
    text = await shown(*compose.report(report, ZH, links=Links("https://papers.example.org")))
    lines = text.splitlines()
    assert max(map(cell_len, lines)) <= width
    assert {cell_len(line) for line in lines if line.startswith(("│", "╭", "╰"))} == {width}
    assert "🚀 CV 论文日报 | 2026-02-25" in text
    assert " 1. Seeing Through Rain 1: Restoration by Flow Matching · 89 分" in lines
    assert " ! 5/6 篇完成评分，1 篇失败：模型超时" in lines
    assert "  1  89 Seeing Through Rain 1: Restoration by Flow Matching [精选]  2602.00001" in lines
    assert "      – Seeing Through Rain 5: Restoration by Flow Matching  2602.00005" in lines
    assert any(line.startswith("│  • 可先在去雨数据上试 xₜ 的三步采样。 [推断]") for line in lines)
    assert "https://papers.example.org/reports/2026-02-25/default.zh" in text
    assert "".join(part.strip() for part in text.split()).count("".join(LONG.split())) == 1


async def test_where_there_is_no_terminal_nothing_but_text_is_written(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # an environment's wish for colours must not reach a file
    text = await shown(*compose.report(a_report(), ZH))
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert not any(line.endswith(" ") for line in text.splitlines())


async def test_buttons_that_only_a_chat_can_tap_are_not_shown():
    buttons = (document.Button("PDF", "https://arxiv.org/pdf/1"), document.Button("🔎 4", action="deepdive 2602.1 zh"))
    made = Document("digest", (Span("Title"),), (), "summary", "zh", buttons=buttons)

    text = await shown(made)

    assert "https://arxiv.org/pdf/1" in text
    assert "🔎" not in text
    assert "deepdive" not in text


async def test_an_edit_prints_nothing_and_there_are_no_previews():
    stream = io.StringIO()
    channel = ConsoleChannel(ADDRESS, stream)
    (message,) = channel.render([Document("digest", (Span("Title"),), (), "summary", "zh")])

    await channel.edit("key", message)

    assert not await channel.preview(message)
    assert stream.getvalue() == ""


async def in_a_terminal(made: Document, monkeypatch) -> str:
    """What a terminal gets, escape sequences and all."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    leader, follower = pty.openpty()
    os.set_blocking(leader, False)
    with os.fdopen(follower, "w", encoding="utf-8") as stream:
        channel = ConsoleChannel(ADDRESS, stream)
        (message,) = channel.render([made])
        await channel.send("key", message, NO_THREAD)
        text = os.read(leader, 65536).decode()
    os.close(leader)
    return text


async def test_a_terminal_gets_colours_and_links(monkeypatch):
    text = await in_a_terminal(compose.ranking(a_ranking(count=2), ZH), monkeypatch)
    assert "\x1b[1;36m 89" in text or "\x1b[1;36m89" in text
    assert "\x1b]8;" in text
    assert "https://arxiv.org/abs/2602.00001" in text


async def test_an_address_that_may_be_no_link_brings_neither_link_nor_look(monkeypatch):
    paragraph = document.Paragraph((Span("here", href="https://a.b/ reverse"),))
    text = await in_a_terminal(Document("d", (Span("day"),), (paragraph,), "", "zh"), monkeypatch)
    assert "here" in text
    assert "https://a.b/" not in text


async def test_escape_sequences_in_a_payload_reach_no_terminal():
    evil = "\x1b]0;owned\x07\x9b31m\u202etext\r\n\u2028end"
    row = document.RankingRow(1, evil, "https://arxiv.org/abs/1", 90, "excellent", (Span(evil),), (evil,))
    mark = document.Mark(evil, inferred=False, quote=evil)
    text = await shown(
        Document(
            "digest",
            (Span(evil),),
            (
                document.Ranking((row,)),
                document.Items((document.Item((Span(evil),), mark),)),
                document.Fields(((evil, (Span(evil),)),)),
                document.Section("s", evil, ()),
            ),
            "",
            "zh",
            buttons=(document.Button(evil, evil),),
        )
    )
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    assert "]0;owned31mtext" in text


async def test_every_kind_of_block_is_shown():
    spans = (
        Span("粗", bold=True),
        Span("码", code=True),
        Span("网", href="https://a.example"),
        Span("x²", tex="x^2"),
        Span("斜删", italic=True, strike=True),
    )
    text = await shown(
        Document(
            "digest",
            (Span("标题"),),
            (
                document.Paragraph(spans),
                document.Divider(),
                document.Items((document.Item(spans, document.Mark("§1", inferred=False, href="https://a.example")),)),
                document.Note(spans),
                document.Note(spans, "warning"),
                document.Footer(spans),
                document.Heading(spans),
            ),
            "",
            "zh",
        )
    )
    assert text.count("粗码网x²斜删") == 6
    assert "• 粗码网x²斜删 [§1]" in text
    assert "─" * 70 in text


async def test_a_deep_dive_repeats_no_address_that_it_shows_already():
    text = await shown(compose.deep_dive(a_deep_dive(), ZH))
    assert text.count("arxiv.org/abs/2602.00001") == 1
    assert "PDF https://arxiv.org/pdf/2602.00001" in text


FIGURE = Figure("Figure 2", "Overview of $x_t$.", "https://arxiv.org/html/2602.00001v2/x1.png")


async def test_a_figure_is_its_caption_and_its_address():
    text = await shown(compose.deep_dive(a_deep_dive(figure=FIGURE), ZH))
    lines = [line.strip("│ ") for line in text.splitlines()]
    at = lines.index("图 2：Overview of xₜ.")
    assert lines[at - 2] == "Seeing Through Rain 1: Restoration by Flow Matching"
    assert lines[at + 1] == FIGURE.url


def test_a_payload_is_json_that_names_every_block():
    channel = ConsoleChannel(ADDRESS, io.StringIO())
    digest, dive, _ = channel.render(compose.report(a_report(), ZH))
    assert (digest.kind, digest.document, digest.reply) == (PartKind.POST, "digest", False)
    assert dive.document == "2602.00001"
    kinds = [block["kind"] for block in json.loads(digest.payload)["blocks"]]
    assert kinds == ["Paragraph", "Note", "Heading", "Items", "Heading", "Ranking", "Footer"]


async def test_a_send_gives_an_id_and_nothing_can_be_found_afterwards():
    channel = ConsoleChannel(ADDRESS, io.StringIO())
    (message,) = channel.render([compose.digest(a_report(), ZH)])
    assert await channel.send("key~0", message, NO_THREAD) == ("key~0",)
    assert await channel.find("key~0", NO_THREAD, NOW) is None
    assert [finding.level for finding in await channel.check()] == ["ok"]


async def test_a_closed_stream_is_gone():
    stream = io.StringIO()
    channel = ConsoleChannel(ADDRESS, stream)
    (message,) = channel.render([compose.digest(a_report(), ZH)])
    stream.close()
    with pytest.raises(SendError) as caught:
        await channel.send("key", message, NO_THREAD)
    assert caught.value.outcome is Outcome.GONE


async def test_a_reader_that_left_is_gone():
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w", encoding="utf-8")
    channel = ConsoleChannel(ADDRESS, stream)
    (message,) = channel.render([compose.digest(a_report(), ZH)])
    with pytest.raises(SendError) as caught:
        await channel.send("key", message, NO_THREAD)
    assert caught.value.outcome is Outcome.GONE
    with pytest.raises(BrokenPipeError):
        stream.close()


async def test_a_stream_that_knows_no_chinese_gets_question_marks(tmp_path: Path):
    file = tmp_path / "report.txt"
    with file.open("w", encoding="ascii") as stream:
        channel = ConsoleChannel(ADDRESS, stream)
        (message,) = channel.render([compose.digest(a_report(), ZH)])
        await channel.send("key", message, NO_THREAD)
    assert "CV ???? | 2026-02-25" in file.read_text(encoding="ascii")


@given(st.text(alphabet="ab 中文，。（）“”.,-x²😀\u0301", max_size=80), st.integers(min_value=2, max_value=30))
def test_no_line_is_too_wide_and_nothing_is_lost(text, width):
    begins = [0, *breaks(text, width), len(text)]
    lines = [text[start:end] for start, end in pairwise(begins)]
    assert "".join(lines) == text
    assert all(cell_len(line.rstrip()) <= width for line in lines)


@given(st.text(alphabet="中文字，。）”", max_size=60))
def test_no_line_begins_with_a_closing_mark_that_follows_a_character(text):
    for start in breaks(text, 20):
        assert text[start] not in "，。）”" or text[start - 1] in "，。）”"
