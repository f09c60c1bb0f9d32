"""What the reader is told: the digest, the deep dives, the ranking, in both languages."""

from dataclasses import fields, is_dataclass, replace
from datetime import date
from typing import Any

import pytest

from bot.models import (
    AnalystKind,
    ArxivId,
    Basis,
    DeepDive,
    Figure,
    PointCounts,
    PointKind,
    Ranked,
    Ranking,
    Report,
    ReportKey,
    Seconds,
    Section,
    Usage,
)
from bot.report import compose, document
from bot.report.compose.answer import QUESTION_SHOWN, SAID_CHARACTERS
from bot.report.compose.parts import beginning
from bot.report.compose.picture import CAPTION_CHARACTERS, shortened
from bot.report.compose.places import LEFT_OUT_CHARACTERS, section_url
from bot.report.document import ACTION_BYTES, Document, Links, Span, is_picture_url, text_of
from bot.report.inline import title_spans
from bot.texts import load
from tests.fakes import DAY, a_deep_dive, a_paper, a_point, a_ranking, a_report, a_score, an_answer

ZH = load("zh")
EN = load("en")
WEB = Links("https://papers.example.org/")


def lines(made: Document) -> list[str]:
    """Every paragraph, note, heading and footer as plain text, in order."""
    kinds = (document.Paragraph, document.Note, document.Heading, document.Footer)
    return [text_of(block.spans) for block in made.blocks if isinstance(block, kinds)]


def notes(made: Document) -> list[str]:
    return [text_of(block.spans) for block in made.blocks if isinstance(block, document.Note)]


def rows(made: Document) -> tuple[document.RankingRow, ...]:
    return next(block for block in made.blocks if isinstance(block, document.Ranking)).rows


def facts(made: Document) -> dict[str, str]:
    fields = next(block for block in made.blocks if isinstance(block, document.Fields))
    return {label: text_of(value) for label, value in fields.pairs}


def with_entries(entries: list[Ranked]) -> Report:
    ranking = replace(a_ranking(), entries=tuple(entries))
    return a_report(ranking=ranking, deep_dives=())


def test_a_digest_says_what_was_scanned_chosen_and_ranked():
    made = compose.digest(a_report(), ZH)
    assert made.key == "digest"
    assert text_of(made.title) == "🚀 CV 论文日报 | 2026-02-25"
    assert lines(made) == [
        "扫描 20 篇，评分 4 篇，精选 2 篇",
        "4/5 篇完成评分，1 篇失败：模型超时",
        "📋 目录 (Quick View)",
        "📊 完整排名 (Ranking)",
        "模型 fake/model · 17 次模型调用 · $0.0123 · 用时 2.3 秒",
    ]
    assert made.summary == "CV 论文日报 2026-02-25：扫描 20 篇，评分 4 篇，精选 2 篇"
    assert made.language == "zh"
    assert made.part_label.format(part=2, parts=3) == "（2/3）"


def test_the_contents_link_titles_with_scores_to_the_deep_dives():
    made = compose.digest(a_report(), ZH)
    (contents,) = (block for block in made.blocks if isinstance(block, document.Items))
    assert contents.ordered
    assert [text_of(item.spans) for item in contents.items] == [
        "Seeing Through Rain 1: Restoration by Flow Matching · 89 分",
        "Seeing Through Rain 2: Restoration by Flow Matching · 83 分",
    ]
    assert contents.items[0].spans[0].document == "2602.00001"
    assert all(span.href is None for item in contents.items for span in item.spans)


def test_the_whole_ranking_stands_in_the_digest_with_reasons_and_tags():
    entries = [
        Ranked(a_paper(1), a_score(91, reason="用 **流匹配** 与 $x_t$"), chosen=True),
        Ranked(a_paper(2), a_score(76), reported_on=date(2026, 2, 20)),
        Ranked(a_paper(3), a_score(60, suspicious=True)),
        Ranked(a_paper(4), a_score(59)),
        Ranked(a_paper(5), failure="failure.rate_limit"),
    ]
    report = a_report(ranking=replace(a_ranking(), entries=tuple(entries)), deep_dives=(a_deep_dive(),))
    found = rows(compose.digest(report, ZH))
    assert [(row.position, row.score, row.band, row.tags, row.document) for row in found] == [
        (1, 91, "excellent", ("精选",), "2602.00001"),
        (2, 76, "good", ("已推荐 2026-02-20",), None),
        (3, 60, "fair", ("⚠️ 疑似操纵评分",), None),
        (4, 59, "low", (), None),
        (None, None, "failed", (), None),
    ]
    assert found[0].reason == (Span("用 "), Span("流匹配", bold=True), Span(" 与 "), Span("xₜ", tex="x_t"))
    assert text_of(found[4].reason) == "模型限流"
    assert found[0].href == "https://arxiv.org/abs/2602.00001"


def test_failures_are_grouped_by_reason():
    keys = ["failure.timeout", "failure.rate_limit", "failure.timeout", "failure.of_a_later_release"]
    entries = [
        Ranked(a_paper(1), a_score(), chosen=True),
        *(Ranked(a_paper(n), failure=key) for n, key in enumerate(keys)),
    ]
    assert "1/5 篇完成评分，4 篇失败：模型超时 2 篇、模型限流 1 篇、模型出错 1 篇" in notes(
        compose.digest(with_entries(entries), ZH)
    )
    assert (
        "1/5 papers scored, 4 failed: the model timed out (2), the model's rate limit (1), the model failed (1)"
        in notes(compose.digest(with_entries(entries), EN))
    )


@pytest.mark.parametrize(
    ("scores", "repeated", "min_score", "said"),
    [
        ([52, 40], [], 60, "今日没有强相关论文：最高 52 分，未到 60 分的精选线，不作深度解读。完整排名见下。"),
        ([88, 40], [0], 60, "今日没有强相关论文：最高 40 分，未到 60 分的精选线，不作深度解读。完整排名见下。"),
        ([88], [0], 60, "今日的高分论文此前都已推荐过，不再重复解读。完整排名见下。"),
        ([88, 40], [], 60, "今日有论文达到精选线，但深度解读未能完成。完整排名见下。"),
    ],
)
def test_a_day_without_a_deep_dive_says_why(scores, repeated, min_score, said):
    entries = [
        Ranked(a_paper(n), a_score(value), reported_on=date(2026, 2, 20) if n in repeated else None)
        for n, value in enumerate(scores)
    ]
    made = compose.digest(replace(with_entries(entries), min_score=min_score, wanted=2), ZH)
    assert notes(made) == [said]
    assert not any(isinstance(block, document.Items) for block in made.blocks)


def test_nothing_is_missing_where_no_deep_dive_was_wanted():
    assert notes(compose.digest(replace(with_entries([Ranked(a_paper(1), a_score(90))]), wanted=0), ZH)) == []


def test_what_no_model_did_is_said_for_each_work_by_itself():
    extractive = {"analyst": AnalystKind.EXTRACTIVE}
    by_model, by_hand = Ranked(a_paper(1), a_score(90)), Ranked(a_paper(1), a_score(90, **extractive))
    plain, quoted = a_deep_dive(a_paper(1)), a_deep_dive(a_paper(1), **extractive)

    def said(entry: Ranked, dive: DeepDive, analyst: AnalystKind, fallback: str | None = None) -> list[str]:
        made = with_entries([replace(entry, chosen=True)])
        ranking = replace(made.ranking, analyst=analyst, fallback=fallback)
        return notes(compose.digest(replace(made, ranking=ranking, analyst=analyst, deep_dives=(dive,)), EN))

    assert said(by_model, plain, AnalystKind.MODEL) == []
    assert said(by_hand, quoted, AnalystKind.EXTRACTIVE) == [EN("digest.extractive")]
    assert said(by_hand, plain, AnalystKind.EXTRACTIVE) == [EN("digest.extractive_scores")]
    assert said(by_hand, plain, AnalystKind.MODEL) == [EN("digest.extractive_reasons")]
    assert said(by_model, quoted, AnalystKind.MODEL) == [EN("digest.extractive_dives", count=1)]
    assert said(by_hand, quoted, AnalystKind.EXTRACTIVE, "failure.timeout")[1:] == [
        "The language model could not be used this time: the model timed out."
    ]


def test_a_reason_that_is_missing_is_said():
    made = compose.digest(with_entries([Ranked(a_paper(1), a_score(90, reason=""))]), ZH)
    [ranking] = [block for block in made.blocks if isinstance(block, document.Ranking)]
    assert text_of(ranking.rows[0].reason) == "理由未能生成。"


def test_a_day_on_which_nothing_was_scored_speaks_of_the_failure_alone():
    made = compose.digest(
        replace(with_entries([Ranked(a_paper(1), failure="failure.timeout")]), min_score=60, wanted=2), ZH
    )
    assert notes(made) == ["0/1 篇完成评分，1 篇失败：模型超时"]


def test_late_corrected_extractive_and_broken_entries_are_said():
    report = a_report(
        key=ReportKey(DAY, "default", "zh", edition=2),
        ranking=replace(a_ranking(), skipped=3),
        analyst=AnalystKind.EXTRACTIVE,
        deep_dives=(a_deep_dive(a_paper(1), analyst=AnalystKind.EXTRACTIVE),),
        model="",
        usage=Usage(),
        seconds=Seconds(total=0.04),
    )
    made = compose.digest(report, ZH, late="2026-02-26 09:30")
    assert text_of(made.title) == "🚀 CV 论文日报 | 2026-02-25（更正）"
    assert notes(made) == [
        "⏰ 补发：原定 2026-02-26 09:30 送达。",
        "✏️ 更正：这是第 2 版，以本版为准。",
        "本期未使用语言模型：分数按关注方向与标题、摘要的匹配程度算出，解读为论文原句摘录。",
        "4/5 篇完成评分，1 篇失败：模型超时",
        "列表中有 3 条记录残缺，已跳过。",
    ]
    assert lines(made)[-1] == "未使用语言模型 · 用时 0.0 秒"


@pytest.mark.parametrize(
    ("usage", "said"),
    [
        (Usage(calls=3), "模型 fake/model · 3 次模型调用 · 用时 2.3 秒"),
        (
            Usage(calls=0, cached=15, cost_usd=0.0),
            "模型 fake/model · 0 次模型调用 · 15 次取自缓存 · $0 · 用时 2.3 秒",
        ),
        (Usage(calls=9, cost_usd=1.239), "模型 fake/model · 9 次模型调用 · $1.24 · 用时 2.3 秒"),
    ],
)
def test_the_last_line_gives_calls_and_a_cost_where_it_is_known(usage, said):
    assert lines(compose.digest(a_report(usage=usage), ZH))[-1] == said


def test_links_to_pages_exist_only_with_a_public_address():
    digest, dive, *_ = compose.report(a_report(), ZH, links=WEB)
    assert [(button.label, button.url) for button in digest.buttons if button.url] == [
        ("网页版", "https://papers.example.org/reports/2026-02-25/default.zh")
    ]
    assert [button.url for button in dive.buttons if button.url] == [
        "https://arxiv.org/abs/2602.00001",
        "https://arxiv.org/pdf/2602.00001",
        "https://papers.example.org/reports/2026-02-25/default.zh#2602.00001",
    ]
    asked = compose.deep_dive(a_deep_dive(), ZH, links=WEB)
    assert [button.url for button in asked.buttons if button.url][-1:] == [
        "https://papers.example.org/papers/2602.00001"
    ]
    digest, dive, *_ = compose.report(a_report(), ZH)
    assert not [button for button in digest.buttons if button.url]
    assert [button.label for button in dive.buttons if button.url] == ["arXiv", "PDF"]
    assert Links().feed() is None
    assert WEB.feed() == "https://papers.example.org/feed.atom"


def test_buttons_deep_dive_what_was_not_chosen_turn_pages_and_take_opinions():
    report = a_report(9, 2)
    digest, dive, *_ = compose.report(report, ZH)
    dived = {one.paper.arxiv_id.id for one in report.deep_dives}
    others = [e.paper.arxiv_id.id for e in report.ranking.entries if e.score and e.paper.arxiv_id.id not in dived]
    asked = [(button.label, button.action) for button in digest.buttons]
    assert asked[:5] == [(f"🔎 {place}", f"deepdive {name} zh") for place, name in enumerate(others[:5], start=3)]
    assert asked[5:] == [(ZH("button.ranking"), "page 2026-02-25 zh 0 0")]
    name = dive.key
    assert [button.action for button in dive.buttons if button.action] == [
        f"vote up {name}",
        f"vote down {name}",
        f"again {name} zh",
    ]
    assert all(len(button.action.encode()) <= ACTION_BYTES for button in (*digest.buttons, *dive.buttons))


def shown(made: Document) -> list[int | None]:
    [rows] = [block.rows for block in made.blocks if isinstance(block, document.Ranking)]
    return [row.position for row in rows]


def test_a_ranking_comes_in_pages_of_five_with_buttons_to_the_next_ones():
    ranking = a_ranking(12, 2)
    first = compose.page(ranking, EN, compose.Page("2026-02-25"))
    assert shown(first) == [1, 2, 3, 4, 5]
    assert [b.action for b in first.buttons if b.row] == ["page 2026-02-25 en 0 5"]
    second = compose.page(ranking, EN, compose.Page("2026-02-25", first=5))
    assert [(b.label, b.action) for b in second.buttons if b.row] == [
        ("◀", "page 2026-02-25 en 0 0"),
        ("▶", "page 2026-02-25 en 0 10"),
    ]
    last = compose.page(ranking, EN, compose.Page("2026-02-25", first=10))
    assert shown(last) == [11, None], "the failed one stands last and has no place"
    assert [b.action for b in last.buttons if not b.row] == [f"deepdive {ranking.entries[10].paper.arxiv_id.id} en"]


@pytest.mark.parametrize(
    ("first", "count", "places"), [(900, None, [11, None]), (-5, None, [1, 2, 3, 4, 5]), (5, 7, [6, 7])]
)
def test_a_page_that_is_not_there_is_the_nearest_one(first: int, count: int | None, places: list[int | None]):
    assert shown(compose.page(a_ranking(12, 2), EN, compose.Page("2026-02-25", first, count))) == places


def test_a_week_names_the_day_of_each_paper():
    ranking = a_ranking(3, 0)
    days = {entry.paper.arxiv_id.id: DAY for entry in ranking.entries}
    made = compose.page(ranking, ZH, compose.Page(compose.week_of(DAY), days=days))
    [rows] = [block.rows for block in made.blocks if isinstance(block, document.Ranking)]
    assert {row.tags[0] for row in rows} == {"2026-02-25"}
    assert text_of(made.title) == ZH("top.title_week")


def test_commands_in_a_line_are_code_and_what_people_typed_is_plain():
    typed = "“*x* [y](https://evil.example)”"
    made = compose.line(f"{typed}？ /deepdive 2602.19089，或 /top week；https://arxiv.org/abs/1", ZH)
    [paragraph] = made.blocks
    assert isinstance(paragraph, document.Paragraph)
    assert [span.text for span in paragraph.spans if span.code] == [
        "https://evil.example",
        "/deepdive 2602.19089",
        "/top week",
        "https://arxiv.org/abs/1",
    ]
    assert "*x* [y](https://evil.example)" in text_of(paragraph.spans)
    assert addresses(made) == []


def test_a_report_is_its_digest_and_its_deep_dives_in_ranking_order():
    report = a_report()
    made = compose.report(replace(report, deep_dives=report.deep_dives[::-1]), ZH)
    assert [each.key for each in made] == ["digest", "2602.00001", "2602.00002"]
    assert text_of(made[2].title) == "2. Seeing Through Rain 2: Restoration by Flow Matching"
    assert facts(made[2])["评分"] == "83/100 · 值得精读"


def test_the_sample_day_says_that_its_papers_are_invented():
    made = a_report()
    digest = compose.digest(replace(made, ranking=replace(made.ranking, origin="sample")), ZH)
    assert "示例日：论文均为虚构，链接打不开属正常。" in lines(digest)


def test_a_day_without_a_list_is_one_line():
    made = compose.report(a_report(note="note.no_list", deep_dives=()), ZH, links=WEB)
    assert len(made) == 1
    assert made[0] == compose.note(a_report(note="note.no_list"), ZH, links=WEB)
    assert lines(made[0]) == ["Hugging Face 没有 2026-02-25 的论文列表，这一天没有日报。"]
    assert made[0].buttons[0].url == "https://papers.example.org/"


def test_a_late_message_about_a_day_without_a_list_says_that_it_is_late():
    [late] = compose.report(a_report(note="note.no_list", deep_dives=()), ZH, late="09:30")
    assert lines(late) == ["⏰ 补发：原定 09:30 送达。", "Hugging Face 没有 2026-02-25 的论文列表，这一天没有日报。"]


def test_a_deep_dive_gives_its_facts_sections_and_proof():
    paper = a_paper(
        1,
        authors=("A", "B", "C", "D"),
        code_url="https://github.com/example/rain",
        project_url="https://rain.example.org/",
    )
    made = compose.deep_dive(a_deep_dive(paper, basis=Basis.PDF), ZH, score=a_score(84), number=1)
    assert text_of(made.title) == "1. Seeing Through Rain 1: Restoration by Flow Matching"
    assert made.summary == "Seeing Through Rain 1: Restoration by Flow Matching（84 分）"
    assert facts(made) == {
        "评分": "84/100 · 值得精读",
        "来源": "HuggingFace 🔥 49",
        "原文链接": "arxiv.org/abs/2602.00001",
        "作者": "A, B, C 等 4 人",
        "代码": "github.com/example/rain",
        "项目主页": "rain.example.org",
        "依据": "全文（PDF）",
    }
    assert [block.title for block in made.blocks if isinstance(block, document.Section)] == [
        "核心创新点 (Key Contribution)",
        "技术细节 (Methodology)",
        "对我的启发 (Takeaway)",
        "潜在缺陷 (Limitations)",
    ]
    assert lines(made) == ["8/9 条要点通过核对：4 条有原文为证，4 条为推断 · 重写 1 条 · 剔除 1 条 · 模型 fake/model"]


def test_a_deep_dive_on_request_has_no_number_and_may_have_no_score():
    made = compose.deep_dive(a_deep_dive(a_paper(1, upvotes=0, source="somewhere", authors=())), EN)
    assert text_of(made.title) == made.summary == "Seeing Through Rain 1: Restoration by Flow Matching"
    assert facts(made) == {"Source": "somewhere", "Paper": "arxiv.org/abs/2602.00001"}


def test_an_abstract_a_missing_model_and_warnings_are_said_loudly():
    dive = a_deep_dive(
        analyst=AnalystKind.EXTRACTIVE,
        model="",
        prompt="",
        points=PointCounts(4, 4, 0, 0),
        flags=("failure.too_long", "flag.of_a_later_release"),
    )
    made = compose.deep_dive(dive, ZH)
    assert notes(made) == [
        "未使用语言模型：以下要点是论文原句摘录，不是解读。",
        "仅基于摘要：未读全文，方法细节和实验结论请以原文为准。",
        "论文过长",
    ]
    assert lines(made)[-1] == "4/4 条要点通过核对：4 条有原文为证，0 条为推断 · 未使用语言模型"


def marks(dive: DeepDive) -> list[document.Mark | None]:
    (section,) = (block for block in compose.deep_dive(dive, ZH).blocks if isinstance(block, document.Section))
    (items,) = section.blocks
    assert isinstance(items, document.Items)
    return [item.mark for item in items.items]


def test_points_are_marked_with_what_they_rest_on():
    outline = (
        Section("S1", "3.2", "Flow", "", "S3.SS2"),
        Section("S2", "", "A section title that is far too long for a label", "", "Sx1"),
        Section("S3", "A.1", "Proof", ""),
        Section("S4", "Ⅳ", "Roman", ""),
        Section("S5", "IV-B", "More Roman", "", "S4.SS2"),
        Section("S6", "", "一个长得放不进标签里的中文小节标题它还在继续往下写", ""),
        Section("S7", "7", "Hostile", "", 'x" onclick="'),
    )
    points = (
        a_point(section="S0"),
        a_point(section="S1"),
        a_point(section="S2"),
        a_point(section="S3"),
        a_point(section="S4", quote="a\x1b[31m \u202equote"),
        a_point(section="S5"),
        a_point(section="S6"),
        a_point(section="S7"),
        a_point(section="S9", quote=""),
        a_point(kind=PointKind.INFERRED, section="", quote=""),
    )
    dive = a_deep_dive(a_paper(1, arxiv_id=ArxivId("2602.00001", 2)), basis=Basis.HTML, outline=outline)
    dive = replace(dive, sections=(replace(dive.sections[0], points=points),))
    quote = "We restore photographs taken through rain with a flow-matching model."
    html = "https://arxiv.org/html/2602.00001v2"
    assert marks(dive) == [
        document.Mark("摘要", False, quote, "https://arxiv.org/abs/2602.00001v2"),
        document.Mark("§3.2", False, quote, f"{html}#S3.SS2"),
        document.Mark("A section title that is…", False, quote, f"{html}#Sx1"),
        document.Mark("附录 A.1", False, quote, f"{html}#A1.SS1"),
        document.Mark("§Ⅳ", False, "a[31m quote"),
        document.Mark("§IV-B", False, quote, f"{html}#S4.SS2"),
        document.Mark("一个长得放不进标签里的中文小节标题它还在继续往…", False, quote),
        document.Mark("§7", False, quote),
        document.Mark("S9", False),
        document.Mark("推断", True),
    ]


def test_points_of_an_abstract_lead_to_the_abstract():
    made = compose.deep_dive(a_deep_dive(), EN)
    section = next(block for block in made.blocks if isinstance(block, document.Section))
    assert isinstance(section.blocks[0], document.Items)
    stated, inferred = section.blocks[0].items
    assert stated.mark is not None
    assert (stated.mark.label, stated.mark.href) == ("abstract", "https://arxiv.org/abs/2602.00001")
    assert inferred.mark == document.Mark("inferred", inferred=True)
    assert inferred.spans[1] == Span("xₜ", tex="x_t")


def test_points_of_a_pdf_have_no_section_to_lead_to():
    dive = a_deep_dive(basis=Basis.PDF, outline=(Section("S4", "3.2", "Flow", ""),))
    dive = replace(dive, sections=(replace(dive.sections[0], points=(a_point(section="S4"),)),))
    section = next(block for block in compose.deep_dive(dive, ZH).blocks if isinstance(block, document.Section))
    assert isinstance(section.blocks[0], document.Items)
    assert section.blocks[0].items[0].mark == document.Mark("§3.2", False, dive.sections[0].points[0].quote)


@pytest.mark.parametrize(
    ("number", "anchor"),
    [
        ("1", "S1"),
        ("3.2", "S3.SS2"),
        ("3.2.1", "S3.SS2.SSS1"),
        ("B", "A2"),
        ("A.1", "A1.SS1"),
        ("I.", None),
        ("3.2.1.4", None),
    ],
)
def test_sections_are_found_on_arxivs_html_page(number, anchor):
    expected = None if anchor is None else f"https://arxiv.org/html/2602.00001#{anchor}"
    assert section_url(ArxivId("2602.00001"), Section("S1", number, "Flow", "")) == expected


def a_reading(*numbers: str, left_out: str) -> str:
    """What the small print says of a reading of sections with these numbers, or titles in brackets."""
    named = [("", number[1:-1]) if number.startswith("(") else (number, "Title") for number in numbers]
    outline = [Section(f"S{n}", number, title, "") for n, (number, title) in enumerate(named, start=1)]
    missing = tuple(f"S{1 + numbers.index(name)}" for name in left_out.split("|") if name)
    dive = a_deep_dive(basis=Basis.HTML, outline=(Section("S0", "", "Abstract", ""), *outline), left_out=missing)
    *_, last = lines(compose.deep_dive(dive, EN))
    return next((part for part in last.split(" · ") if part.startswith("not read")), "")


@pytest.mark.parametrize(
    ("numbers", "left_out", "said"),
    [
        ("1 2 3 A B C", "2|A|B|C", "not read in full: §2, App. A–C"),
        ("1 2 3 4 5", "2|3|5", "not read in full: §2–3, §5"),
        ("1 2 2.1 2.2 3", "2.1|2.2", "not read in full: §2"),
        ("1 2 2.1 2.2 2.3 3", "2.1|2.2|3", "not read in full: §2.1–2.2, §3"),
        ("1 2 2.1 2.2 3", "2", "not read in full: §2"),
        ("1 3 3.1 3.1.1 3.1.2 3.2", "3.1.1|3.1.2", "not read in full: §3.1.1–3.1.2"),
        ("A A.1 A.2 B", "A.2|B", "not read in full: App. A.2, App. B"),
        ("I II II-A II-B III", "II-B|III", "not read in full: §II-B, §III"),
        ("1 (Proofs) (Code) 2", "(Proofs)|(Code)|2", "not read in full: Proofs, Code, §2"),
        ("1 3.2 4", "3.2", "not read in full: §3.2"),
        ("1 2", "", ""),
    ],
)
def test_the_small_print_names_what_was_not_read_in_full(numbers: str, left_out: str, said: str):
    assert a_reading(*numbers.split(), left_out=left_out) == said


def test_a_long_list_of_what_was_not_read_is_counted():
    numbers = [str(n) for n in range(1, 60)]
    said = a_reading(*numbers, left_out="|".join(numbers[::2]))
    assert said.endswith("… (30 sections)")
    assert said.startswith("not read in full: §1, §3, §5, ")
    assert LEFT_OUT_CHARACTERS - 10 < len(said.removeprefix("not read in full: ").partition(" …")[0]) <= 80


def test_sections_that_the_outline_does_not_know_are_not_named():
    dive = a_deep_dive(basis=Basis.HTML, left_out=("S7",))
    assert "未完整阅读" not in lines(compose.deep_dive(dive, ZH))[-1]


def test_the_basis_names_the_version_that_was_read():
    dive = a_deep_dive(a_paper(1, arxiv_id=ArxivId("2602.00001", 2)), basis=Basis.HTML)
    assert facts(compose.deep_dive(dive, ZH))["依据"] == "全文（HTML），v2"
    assert facts(compose.deep_dive(dive, EN))["Basis"] == "full text (HTML), v2"


FIGURE = "https://arxiv.org/html/2602.00001v2/x1.png"


def headed(figure: Figure, texts=ZH) -> document.Picture | None:
    first = compose.deep_dive(a_deep_dive(basis=Basis.HTML, figure=figure), texts).blocks[0]
    return first if isinstance(first, document.Picture) else None


def test_the_overview_figure_heads_a_deep_dive():
    assert headed(Figure("Figure 2", "Overview of $f_\\theta$ in snake_case.", FIGURE)) == document.Picture(
        FIGURE,
        (Span("图 2", href=FIGURE), Span("："), *title_spans("Overview of $f_\\theta$ in snake_case.")),
        "图 2：Overview of f_θ in snake_case.",
    )


@pytest.mark.parametrize(
    ("printed", "zh", "en"),
    [
        ("Figure 2", "图 2：", "Figure 2: "),
        ("Fig. 3:", "图 3：", "Figure 3: "),
        ("FIG. IV.", "图 IV：", "Figure IV: "),
        ("图 1", "图 1：", "Figure 1: "),
        ("", "论文配图：", "Figure: "),
        ("Scheme 1.", "Scheme 1：", "Scheme 1: "),
    ],
)
def test_a_figure_is_numbered_in_the_readers_language(printed: str, zh: str, en: str):
    for texts, label in ((ZH, zh), (EN, en)):
        made = headed(Figure(printed, "Overview.", FIGURE), texts)
        assert made is not None
        assert made.alt == f"{label}Overview."


def test_a_figure_without_a_caption_has_its_label():
    made = headed(Figure("Figure 1", "", FIGURE))
    assert made is not None
    assert made.caption == (Span("图 1", href=FIGURE),)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://evil.example/x1.png",
        "http://arxiv.org/html/x1.png",
        "https://arxiv.org/abs/2602.00001",
        "https://arxiv.org/html/../login",
        "https://arxiv.org/html/%2E%2e/login",
        "https://arxiv.org.evil.example/html/x1.png",
        'https://arxiv.org/html/x1.png" onerror="x',
    ],
)
def test_no_picture_comes_from_anywhere_but_arxivs_pages(url: str):
    assert not is_picture_url(url)
    assert headed(Figure("Figure 1", "Overview.", url)) is None


LONG_CAPTION = "Overview of RainFlow, e.g. of its masks. " + "A light network finds every wet pixel of the input. " * 5


@pytest.mark.parametrize(
    ("caption", "kept"),
    [
        ("Overview.", "Overview."),
        (LONG_CAPTION, LONG_CAPTION[: LONG_CAPTION.index(" A", 160)]),
        ("Overview. " + "word " * 60, "Overview. " + "word " * 37 + "word…"),
        ("Overview of the masks, vs. " + "word " * 60, "Overview of the masks, vs. " + "word " * 33 + "word…"),
        ("湿像素由掩码网络找出，再由流模型复原。" * 20, "湿像素由掩码网络找出，再由流模型复原。" * 10),
        ("湿像素由掩码网络找出，" * 30, ("湿像素由掩码网络找出，" * 18)[:198] + "湿…"),
        ("x" * 300, "x" * 199 + "…"),
    ],
)
def test_a_long_caption_ends_with_a_sentence_or_else_with_a_word(caption: str, kept: str):
    found = text_of(shortened(title_spans(caption)))
    assert found == kept
    assert len(found) <= CAPTION_CHARACTERS


@pytest.mark.parametrize(
    ("caption", "kept"),
    [
        ("word " * 38 + "$a = b = c = d = e = f$ is the sum of all that is wet", "word " * 37 + "word…"),
        ("word " * 36 + "$a = b$, $c = d = e = f = g$ is the sum of all", "word " * 36 + "a = b…"),
        ("$" + " = ".join("abcdefghij" * 8) + "$", "…"),
        ("word " * 36 + "$a = b$ ends. Then $c = d = e = f = g$", "word " * 36 + "a = b ends."),
        ("A sum of all that is wet, $a = b$. " + "word " * 40, "A sum of all that is wet, a = b."),
        ("A sum of all that is wet: $" + " = ".join("abcdefghij" * 8) + "$", "A sum of all that is wet…"),
    ],
)
def test_no_formula_of_a_caption_is_cut(caption: str, kept: str):
    whole = title_spans(caption)
    found = shortened(whole)
    assert text_of(found) == kept
    assert {span.tex for span in found if span.tex} <= {span.tex for span in whole}


HTML_ANSWER: dict[str, Any] = {
    "basis": Basis.HTML,
    "outline": (Section("S0", "", "Abstract", ""), Section("S1", "3.2", "Mask network", "", "S3.SS2")),
}


def test_an_answer_is_the_question_the_paper_and_marked_points():
    points = (
        a_point("用 **流匹配** 复原。", section="S1"),
        a_point("视频上可能要重训。", kind=PointKind.INFERRED, section="", quote=""),
    )
    made = compose.answer(an_answer(a_paper(title="Rain in $x_t$ Space"), points=points, **HTML_ANSWER), ZH)
    assert made == Document(
        key="2602.00001",
        title=(Span("❓ 用什么方法去雨？"),),
        blocks=(
            document.Fields((("论文", (Span("Rain in xₜ Space", href="https://arxiv.org/abs/2602.00001"),)),)),
            document.Items(
                (
                    document.Item(
                        (Span("用 "), Span("流匹配", bold=True), Span(" 复原。")),
                        document.Mark(
                            "§3.2",
                            inferred=False,
                            quote="We restore photographs taken through rain with a flow-matching model.",
                            href="https://arxiv.org/html/2602.00001#S3.SS2",
                        ),
                    ),
                    document.Item((Span("视频上可能要重训。"),), document.Mark("推断", inferred=True)),
                )
            ),
            document.Footer(
                (Span("2/3 条要点通过核对：1 条有原文为证，1 条为推断 · 重写 1 条 · 剔除 1 条 · 模型 fake/model"),)
            ),
        ),
        summary="用什么方法去雨？（Rain in xₜ Space）",
        language="zh",
        part_label="（{part}/{parts}）",
        buttons=(document.Button("arXiv", "https://arxiv.org/abs/2602.00001"),),
    )


NOTHING: dict[str, Any] = {"points": (), "counts": PointCounts(0, 0, 0, 0)}


@pytest.mark.parametrize(
    ("changes", "zh", "en"),
    [
        (HTML_ANSWER, "论文没有讲到这个问题。", "The paper does not say."),
        (
            {**HTML_ANSWER, "left_out": ("S1",)},
            "读到的部分没有讲到这个问题（未完整阅读：§3.2）。",
            "What was read of the paper does not say (not read in full: §3.2).",
        ),
        ({}, "摘要没有讲到这个问题。", "The abstract does not say."),
        (
            {"analyst": AnalystKind.EXTRACTIVE, "model": ""},
            "没有找到与问题用词相近的句子；没有语言模型时只能按用词查找，换个说法也许能找到。",
            EN("ask.unmatched"),
        ),
    ],
)
def test_that_the_paper_does_not_say_is_said_with_what_was_read(changes, zh, en):
    for texts, words in ((ZH, zh), (EN, en)):
        answer = an_answer(**{**NOTHING, **changes})
        made = compose.answer(answer, texts)
        [paragraph] = (block for block in made.blocks if isinstance(block, document.Paragraph))
        assert text_of(paragraph.spans) == words
        assert compose.said(answer, texts) == words
        assert not any(isinstance(block, document.Items) for block in made.blocks)
        assert lines(made)[-1] == (
            texts("digest.model", model=answer.model) if answer.model else texts("digest.no_model")
        )


def test_what_an_answer_rests_on_and_what_went_wrong_is_said():
    flags = ("flag.suspicious", "failure.ungrounded", "failure.timeout", "flag.of_a_later_release")
    answer = an_answer(analyst=AnalystKind.EXTRACTIVE, model="", flags=flags)
    assert notes(compose.answer(answer, EN)) == [
        EN("ask.extractive"),
        "Based on the abstract only: the full text was not read, and may well hold the answer.",
        EN("ask.flag_suspicious"),
        "The language model's answer failed its proof and was not used.",
        "The language model could not be used this time: the model timed out.",
    ]
    assert notes(compose.answer(an_answer(**HTML_ANSWER), ZH)) == []


def test_a_question_is_shown_shortened_and_as_plain_text():
    asked = "**Why** <!channel> @everyone [x](https://evil.example) `rm` " + "and so on " * 40
    made = compose.answer(an_answer(question=asked), EN)
    [title] = made.title
    assert title.text.startswith("❓ **Why** everyone x `rm` and so on")
    assert title.text.endswith("…")
    assert len(title.text) <= QUESTION_SHOWN + 2
    assert (title.bold, title.code, title.href) == (False, False, None)
    assert "evil" not in str(made)


def test_what_an_answer_said_is_plain_and_bounded():
    points = (a_point("**八** 张 `GPU`，见 $x_t$。"), a_point("训练 41 小时。"))
    assert compose.said(an_answer(points=points), ZH) == "八 张 GPU，见 xₜ。 训练 41 小时。"
    long = compose.said(an_answer(points=(a_point("很长的一句话，" * 200),)), ZH)
    assert len(long) <= SAID_CHARACTERS
    assert long.endswith("…")


def test_the_beginning_of_a_text_is_whole_words():
    assert beginning("short", 10) == "short"
    assert beginning("one two three", 8) == "one two…"
    assert beginning("averylongword", 8) == "averylo…"


@pytest.mark.parametrize("texts", [ZH, EN])
def test_every_link_of_a_deep_dive_leads_to_arxiv_the_papers_own_pages_or_the_archive(texts):
    paper = a_paper(
        1,
        arxiv_id=ArxivId("2602.00001", 2),
        title="[t](https://evil.example)",
        code_url="https://github.com/example/rain",
        project_url="https://rain.example.org/",
    )
    evil = "[x](https://evil.example) <https://evil.example> $\\href{https://evil.example}{y}$"
    outline = (Section("S1", "3", evil, "", "S3"), Section("S2", "", evil, "", "https://evil.example"))
    points = (a_point(evil, section="S1", quote=evil), a_point(evil, section="S2"), a_point(evil))
    dive = a_deep_dive(paper, basis=Basis.HTML, outline=outline, figure=Figure(evil, evil, FIGURE), left_out=("S2",))
    dive = replace(dive, sections=(replace(dive.sections[0], points=points),))
    found = [url for url in addresses(compose.deep_dive(dive, texts, links=WEB)) if url]
    allowed = ("https://arxiv.org/", "https://papers.example.org/", str(paper.code_url), str(paper.project_url))
    assert len(found) > 8
    assert not [url for url in found if not url.startswith(allowed)]


def addresses(value: object) -> list[str]:
    """Every `href` and `url` inside a document."""
    if isinstance(value, tuple):
        return [url for inner in value for url in addresses(inner)]
    if not is_dataclass(value):
        return []
    inner = [(each.name, getattr(value, each.name)) for each in fields(value)]
    own = [content for name, content in inner if name in ("href", "url") and content is not None]
    return [*own, *(url for _, content in inner for url in addresses(content))]


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "ftp://github.com/x",
        "https://localhost/x",
        "https://github.com/x)![y](https://evil.example/t.png",
        "https://github.com@evil.example/x",
        "https://gіthub.com/x",
        "https://github.com/x y",
        "https://[broken/x.y",
        'https://github.com/"onclick',
        "https:///x",
    ],
)
def test_addresses_from_a_list_that_hide_where_they_lead_are_left_out(url):
    made = compose.deep_dive(a_deep_dive(a_paper(1, code_url=url)), ZH)
    assert "代码" not in facts(made)


def test_an_address_without_encryption_is_shown_as_one():
    made = compose.deep_dive(a_deep_dive(a_paper(1, project_url="http://rain.example.org/")), ZH)
    assert facts(made)["项目主页"] == "http://rain.example.org"


def test_top_shows_the_best_papers():
    made = compose.ranking(a_ranking(), ZH, count=2)
    assert made.key == "top"
    assert text_of(made.title) == "🏆 论文排名 | 2026-02-25"
    assert lines(made) == ["扫描 20 篇，评分 4 篇，以下是前 2 篇", "4/5 篇完成评分，1 篇失败：模型超时"]
    assert [row.score for row in rows(made)] == [89, 83]
    assert all(row.document is None for row in rows(made))


def test_top_shows_all_papers_and_says_that_no_model_judged():
    ranking: Ranking = replace(a_ranking(), analyst=AnalystKind.EXTRACTIVE)
    made = compose.ranking(ranking, EN)
    assert lines(made)[0] == "20 papers scanned, 4 scored"
    assert notes(made)[0].startswith("No language model was used")
    assert len(rows(made)) == 5


@pytest.mark.parametrize("texts", [ZH, EN])
def test_untrusted_text_never_becomes_a_link_or_an_instruction_to_the_platform(texts):
    evil = "[x](https://evil.example) <a href=x> ![i](https://evil.example/i.png) \x1b]8;;https://evil.example\x07"
    paper = a_paper(1, title=evil, authors=(evil,))
    report = a_report(
        ranking=replace(a_ranking(), entries=(Ranked(paper, a_score(reason=evil), chosen=True),)),
        deep_dives=(a_deep_dive(paper),),
        model=evil,
    )
    answer = an_answer(paper, question=evil, model=evil, points=(a_point(evil, quote=evil),), **HTML_ANSWER)
    for made in (*compose.report(report, texts, links=WEB), compose.answer(answer, texts, links=WEB)):
        shown = repr(made)
        assert "\\x1b" not in shown
        assert "href='https://evil" not in shown
        assert "url='https://evil" not in shown
