"""The web page, the Markdown file, the archive and its feed."""

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from bot.models import ArxivId, Basis, Figure, Paper, Ranked, ReportKey
from bot.report import compose, document, page
from bot.report.document import Document, Links, Span, is_web_url
from bot.report.markdown import markdown
from bot.texts import load
from tests.fakes import NOW, SHARED_DATA, a_deep_dive, a_paper, a_point, a_ranking, a_report, a_score

ZH = load("zh")
EN = load("en")
WEB = Links("https://papers.example.org")
ATOM = "{http://www.w3.org/2005/Atom}"
EVIL = '"><script>alert(1)</script> [x](https://evil.example) </style> {{ 7*7 }} | ` $x$'
VOID = frozenset({"meta", "link", "br", "hr", "img"})


class Outline(HTMLParser):
    """What a page holds: tags and attributes in order, and whether every tag is closed where it should be."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def shown(self) -> str:
        return "".join(self.text)


def info(**changes: object) -> page.PageInfo:
    return replace(page.PageInfo(ZH, NOW), **changes)  # type: ignore[arg-type]  # fields by name


def a_page(*documents: Document, **changes: object) -> str:
    return page.html(documents or compose.report(a_report(), ZH), info(**changes))


def test_a_page_is_whole_and_stands_alone():
    text = a_page()
    outline = Outline(text)
    assert outline.all("html") == [{"lang": "zh-CN"}]
    assert text.startswith("<!DOCTYPE html>")
    assert "<title>🚀 CV 论文日报 | 2026-02-25</title>" in text
    assert {
        "name": "description",
        "content": "CV 论文日报 2026-02-25：扫描 20 篇，评分 4 篇，精选 2 篇",
    } in outline.all("meta")
    assert not outline.all("script")
    assert not outline.all("img")
    assert [link["href"] for link in outline.all("link") if not str(link["href"]).startswith("data:")] == []
    assert "url(" not in text
    assert "@import" not in text
    assert all("style" not in attributes for _, attributes in outline.tags)


def test_the_pages_policy_allows_its_own_style_and_nothing_else():
    text = a_page()
    (policy,) = (meta["content"] for meta in Outline(text).all("meta") if "http-equiv" in meta)
    assert policy == page.content_security_policy()
    style = text[text.index("<style>") + len("<style>") : text.index("</style>")]
    assert f"sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}" in policy
    assert policy.startswith("default-src 'none'")


def test_every_deep_dive_has_its_arxiv_id_as_its_anchor_and_the_contents_lead_there():
    outline = Outline(a_page())
    anchors = [article["id"] for article in outline.all("article")]
    assert anchors == ["digest", "2602.00001", "2602.00002"]
    targets = [str(link["href"]) for link in outline.all("a") if str(link["href"]).startswith("#")]
    assert targets.count("#2602.00001") == 2
    assert {target[1:] for target in targets} <= set(anchors)


def test_the_ranking_is_a_table_with_a_bar_as_long_as_its_score():
    outline = Outline(a_page())
    assert len(outline.all("tr")) == 1 + 5
    fills = [rect["width"] for rect in outline.all("rect") if rect["class"] == "fill"]
    assert fills == ["89", "83", "77", "71"]
    assert "未评分" in outline.shown()
    assert "直接做图像复原，流匹配可迁移。" in outline.shown()


def test_a_quote_opens_from_its_mark_and_leads_to_its_section():
    outline = Outline(a_page())
    assert len(outline.all("details")) == 8
    assert len(outline.all("summary")) == 8
    assert "We restore photographs taken through rain with a flow-matching model." in outline.shown()
    assert "到论文中看 摘要 ↗" in outline.shown()
    assert "推断" in outline.shown()


def test_a_quote_without_a_place_has_no_link():
    dive = a_deep_dive(basis=Basis.PDF, outline=())
    dive = replace(dive, sections=(replace(dive.sections[0], points=(a_point(section="S3"),)),))
    assert "到论文中看" not in a_page(compose.deep_dive(dive, ZH))


def test_formulas_are_mathml_with_the_readable_form_where_that_fails():
    reason = r"误差 $x_t^2$，见 $\unknownmacro x$；长 $" + "+".join("abcdefghijklmnop") + "$。"
    longest = "$" + "+".join("abcdefghijklmnopqrstuvwxyzabcdefghijklmnop") + "$"
    entries = (Ranked(a_paper(1), a_score(reason=reason)), Ranked(a_paper(2), a_score(50, reason=longest)))
    report = a_report(ranking=replace(a_ranking(), entries=entries), deep_dives=())
    text = a_page(*compose.report(report, ZH))
    assert '<span class="keep"><math ' in text
    assert "</math>，</span>见" in text
    assert '<span class="formula">unknownmacrox</span>；长' in text
    assert '<span class="display-on-phone" tabindex="0"><math ' in text
    assert "</math>。</span>" in text
    assert '<span class="display" tabindex="0"><math ' in text
    Outline(text)


def test_a_single_deep_dive_is_a_page_of_its_own():
    outline = Outline(a_page(compose.deep_dive(a_deep_dive(), EN), texts=EN, archive="../", feed="../feed.atom"))
    assert outline.all("html") == [{"lang": "en"}]
    assert len(outline.all("h1")) == 1
    assert outline.all("a")[0]["href"] == "../"
    assert {"rel": "alternate", "type": "application/atom+xml", "href": "../feed.atom"} in outline.all("link")
    assert "2602.00001" not in [text.strip() for text in outline.text]


def test_buttons_that_only_a_chat_can_tap_are_not_on_a_page():
    dive = compose.deep_dive(a_deep_dive(a_paper(1)), ZH)
    action = document.Button("🔎 4", action="deepdive 2602.00004 zh")
    text = a_page(replace(dive, buttons=(*dive.buttons, action)))
    assert 'class="buttons"' in text
    assert "https://arxiv.org/pdf/2602.00001" in text
    assert "🔎" not in text
    assert 'class="buttons"' not in a_page(replace(dive, buttons=(action,)))


def test_several_deep_dives_of_a_paper_say_which_is_which():
    dive = compose.deep_dive(a_deep_dive(), ZH)
    keys = {
        "first": ReportKey(date(2026, 2, 25), "default", "zh"),
        "second": ReportKey(date(2026, 2, 24), "x", "fr", 2),
    }
    names = {key: page.report_name(report, ZH) for key, report in keys.items()}
    outline = Outline(a_page(*(replace(dive, key=key) for key in keys), names=names))
    shown = [text.strip() for text in outline.text]
    assert "2026-02-25 · default · 中文" in shown
    assert "2026-02-24 · x · fr · 更正" in shown
    assert [article["id"] for article in outline.all("article")] == list(keys)


FIGURE = Figure("Figure 2", "Overview of $f_\\theta$, not <b>bold</b>.", "https://arxiv.org/html/2602.00001v2/x1.png")


def test_a_figure_heads_its_deep_dive_and_is_fetched_late_and_without_a_referrer():
    text = a_page(compose.deep_dive(a_deep_dive(figure=FIGURE), ZH))
    outline = Outline(text)
    (image,) = outline.all("img")
    assert image == {
        "src": FIGURE.url,
        "alt": "图 2：Overview of f_θ, not <b>bold</b>.",
        "data-missing": "图片没有加载出来。",
        "loading": "lazy",
        "decoding": "async",
        "referrerpolicy": "no-referrer",
    }
    assert text.index("</header>") < text.index("<figure") < text.index('<dl class="fields">')
    assert "<figcaption>" in text
    assert f'<a href="{FIGURE.url}" rel="noopener">图 2</a>：Overview of <span class="keep"><math' in text
    assert "img-src data: https://arxiv.org;" in page.content_security_policy()


def test_a_picture_of_another_place_is_but_its_caption():
    picture = document.Picture("https://evil.example/x.png", (Span("图 2"),), "alt")
    made = Document("digest", (Span("day"),), (picture,), "", "zh")
    assert not Outline(a_page(made)).all("img")
    assert "<figcaption>图 2</figcaption>" in a_page(made)
    assert "evil" not in markdown([made], ZH)
    assert "\n图 2\n" in markdown([made], ZH)


def test_a_figure_in_a_markdown_file_is_an_image_over_its_caption():
    text = markdown([compose.deep_dive(a_deep_dive(figure=FIGURE), EN)], EN)
    assert rf"![Figure 2: Overview of f\_θ, not \<b\>bold\</b\>.]({FIGURE.url})" in text
    assert rf"[Figure 2]({FIGURE.url}): Overview of $f_\theta$, not \<b\>bold\</b\>." in text


def test_formulas_in_a_quote_are_set_as_formulas():
    point = a_point(quote="a mask $m^2$ in snake_case and *stars*")
    dive = a_deep_dive()
    made = compose.deep_dive(replace(dive, sections=(replace(dive.sections[0], points=(point,)),)), EN)
    assert '<blockquote class="quote" lang="en"><p>a mask <math' in a_page(made, texts=EN)
    assert "in snake_case and *stars*</p>" in a_page(made, texts=EN)
    assert r"“a mask $m^2$ in snake\_case and \*stars\*”" in markdown([made], EN)


def test_the_small_print_thanks_arxiv_and_names_the_prompts():
    shown = Outline(a_page(prompts=("score.zh@1#abcdef01",))).shown()
    assert "Thank you to arXiv for use of its open access interoperability." in shown
    assert "score.zh@1#abcdef01" in shown
    assert "2026-02-26 01:30 UTC" in shown


def test_every_kind_of_block_and_look_has_its_markup():
    spans = (
        Span("粗", bold=True),
        Span("斜", italic=True),
        Span("码", code=True),
        Span("删", strike=True),
        Span("网", href="https://a.example/?a=1&b=2"),
        Span("坏", href="javascript:alert(1)"),
        Span("无", document="elsewhere"),
        Span(" | 完"),
    )
    everything = Document(
        "digest",
        (Span("一天"),),
        (
            document.Heading(spans, level=3),
            document.Paragraph(spans),
            document.Divider(),
            document.Items((document.Item(spans),)),
            document.Section("s", "节", (document.Paragraph(spans),)),
            document.Fields((("名", spans),)),
            document.Note(spans),
            document.Footer(spans),
            document.Paragraph((Span("- 不是列表"),)),
        ),
        "",
        "zh",
    )
    text = a_page(everything)
    Outline(text)
    assert "<strong>粗</strong><em>斜</em><code>码</code><s>删</s>" in text
    assert '<a href="https://a.example/?a=1&amp;b=2" rel="noopener">网</a>坏无' in text
    assert "javascript:" not in text
    written = markdown([everything], ZH)
    assert "**粗***斜*`码`~~删~~[网](https://a.example/?a=1&b=2)" in written
    assert "\n\n---\n\n" in written
    assert r"\- 不是列表" in written


def test_hostile_text_stays_text_everywhere():
    paper = a_paper(1, title=EVIL, authors=(EVIL,), source=EVIL)
    point = a_point(EVIL + r" $\text{<script>alert(1)</script>}$", quote=EVIL)
    dive = a_deep_dive(paper, model=EVIL, prompt=EVIL)
    dive = replace(dive, sections=(replace(dive.sections[0], title=EVIL, points=(point,)),))
    ranking = replace(a_ranking(), entries=(Ranked(paper, a_score(reason=EVIL), chosen=True),))
    report = a_report(ranking=ranking, deep_dives=(dive,), model=EVIL, prompts=(EVIL,))
    documents = compose.report(report, ZH)
    pages = [page.html(documents, info(prompts=(EVIL,))), page.index([report], ZH)]
    for text in pages:
        outline = Outline(text)
        assert not outline.all("script")
        assert not any("evil.example" in str(link["href"]) for link in outline.all("a"))
        assert "{{ 7*7 }}" in outline.shown()
    content = ElementTree.fromstring(page.feed([(report, documents[0])], ZH)).findtext(f"{ATOM}entry/{ATOM}content")
    assert content is not None
    assert not Outline(content).all("script")
    rendered = MarkdownIt("gfm-like", {"linkify": False}).render(markdown(documents, ZH))
    assert "<script" not in rendered
    assert "evil.example" in rendered
    assert 'href="https://evil' not in rendered
    assert "https://evil" not in markdown(documents, ZH)


BREAKING = "https://a.b/)![x](https://evil.example/t.png"


def test_no_address_brings_markup_into_a_markdown_file():
    """Not through a paper of the list, and not through any place of a document that holds an address."""
    paper = a_paper(1, code_url=BREAKING, project_url=BREAKING)
    listed = compose.report(a_report(deep_dives=(a_deep_dive(paper),)), ZH)
    row = document.RankingRow(1, "title", BREAKING, 80, "good", (Span("reason", href=BREAKING),))
    mark = document.Mark("label", inferred=False, quote="quote", href=BREAKING)
    items = document.Items((document.Item((Span("point"),), mark),))
    bare = Document("digest", (Span("day"),), (document.Ranking((row,)), items), "", "zh")
    for documents in (listed, (bare,)):
        written = markdown(documents, ZH)
        assert "evil.example" not in written
        assert "<img" not in MarkdownIt("gfm-like", {"linkify": False}).render(written)


def test_an_address_keeps_its_formulas_signs_out_of_a_markdown_file():
    made = Document(
        "digest", (Span("day"),), (document.Paragraph((Span("x", href="https://a.b/$x$?q=%20&r#s"),)),), "", "zh"
    )
    assert "[x](https://a.b/%24x%24?q=%20&r#s)" in markdown([made], ZH)


@pytest.mark.parametrize(
    "url",
    [
        "https://arxiv.org/abs/2602.00001v2#S3.SS2",
        "http://papers.example.org:8080/x?a=1&b=%20",
        "http://127.0.0.1:8080/",
        "https://a_b.github.io",
        "https://github.com/user/re.po-x_~y,z;@w!*+$",
    ],
)
def test_a_plain_web_address_may_become_a_link(url):
    assert is_web_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "//example.org/",
        "javascript:alert(1)//example.org",
        "HTTPS://example.org",
        "https://localhost/x",
        "https://[::1]/x",
        "https://example.org./",
        "https://-a.example/",
        "https://user@example.org/",
        "https://example.org:0/",
        "https://example.org:65536/",
        "https://example.org:/",
        "https://exam\u212aple.org/",
        "https://g\u0456thub.com/",
        "https://example.org\\@evil.example/",
        "https://example.org/\n",
        "https://example.org/" + "x" * 2000,
        *(f"https://example.org/{sign}" for sign in " \t\x00\x7f\u00a0\u202e\"'`<>()[]{}|\\^é"),
    ],
)
def test_what_hides_where_it_leads_or_could_end_a_link_becomes_none(url):
    assert not is_web_url(url)
    spans = (Span("x", href=url),)
    made = Document("digest", (Span("day"),), (document.Paragraph(spans),), "", "zh")
    assert "](" not in markdown([made], ZH)
    assert not any(link.get("rel") == "noopener" for link in Outline(a_page(made)).all("a"))


def test_a_markdown_file_has_the_look_of_a_days_report():
    text = markdown(compose.report(a_report(), ZH), ZH)
    lines = text.splitlines()
    assert lines[0] == r"# 🚀 CV 论文日报 \| 2026-02-25"
    assert "## 📋 目录 (Quick View)" in lines
    assert "1. [Seeing Through Rain 1: Restoration by Flow Matching](#2602.00001) · **89 分**" in lines
    assert '### <a id="2602.00001"></a>1. Seeing Through Rain 1: Restoration by Flow Matching' in lines
    assert "#### 核心创新点 (Key Contribution)" in lines
    assert "- 用流匹配复原雨中照片。 （摘要）[^1]" in lines
    assert "- 可先在去雨数据上试 $x_t$ 的三步采样。 *（推断）*" in lines
    assert (
        "[^1]: [摘要](https://arxiv.org/abs/2602.00001): "
        "“We restore photographs taken through rain with a flow-matching model.”" in lines
    )
    assert sum(line.startswith("| ") for line in lines) == 2 + 5
    assert text.endswith("\n")


def test_markdown_marks_without_a_quote_or_a_place_and_unsafe_formulas_are_plain():
    points = (
        a_point("有 $a|b$ 与 `x|y` 和 `` ` ``", quote="", section="S3"),
        a_point("又一句", section="S9"),
    )
    dive = a_deep_dive(basis=Basis.PDF, outline=())
    dive = replace(dive, sections=(replace(dive.sections[0], points=points),))
    text = markdown([compose.deep_dive(dive, EN)], EN)
    assert r"- 有 a\|b 与 `x\|y` 和 `` ` `` (S3)" in text
    assert "[^1]: S9: “We restore" in text


def test_the_archive_lists_reports_by_day_with_their_chosen_papers():
    english = a_report(key=ReportKey(date(2026, 2, 24), "default", "en", edition=2))
    empty = a_report(key=ReportKey(date(2026, 2, 24), "other", "fr"), note="note.no_list", deep_dives=())
    outline = Outline(page.index([a_report(), english, empty], ZH))
    assert [time["datetime"] for time in outline.all("time")] == ["2026-02-25", "2026-02-24"]
    links = [str(link["href"]) for link in outline.all("a")]
    assert links[:3] == ["feed.atom", "reports/2026-02-25/default.zh", "reports/2026-02-25/default.zh#2602.00001"]
    assert "reports/2026-02-24/other.fr" in links
    shown = outline.shown()
    assert "Seeing Through Rain 1: Restoration by Flow Matching" in shown
    assert "default · 中文" in shown
    assert "other · fr" in shown
    assert "更正" in shown
    assert "当天没有论文列表，没有日报。" in shown


def test_a_chosen_paper_that_the_ranking_no_longer_scores_is_listed_without_a_score():
    report = a_report(ranking=replace(a_ranking(), entries=()))
    assert "89 分" not in page.index([report], ZH)
    assert "Seeing Through Rain 1" in page.index([report], ZH)


def test_an_empty_archive_says_so():
    assert "还没有日报。" in page.index([], ZH)


@pytest.mark.parametrize(
    ("status", "said"), [(404, "这里没有内容"), (401, "需要访问口令"), (500, "页面出错了"), (418, "页面出错了")]
)
def test_an_error_has_a_page(status, said):
    outline = Outline(page.error(status, ZH, archive="/"))
    assert said in outline.shown()
    assert str(status) in outline.shown()
    assert [link["href"] for link in outline.all("a")] == ["/"]
    assert not Outline(page.error(status, ZH)).all("a")


def test_the_feed_is_valid_atom_with_absolute_links():
    older = a_report(key=ReportKey(date(2026, 2, 24), "default", "zh"), created_at=datetime(2026, 2, 25, 1, tzinfo=UTC))
    reports = [a_report(), older]
    root = ElementTree.fromstring(page.feed([(made, compose.digest(made, ZH)) for made in reports], ZH, WEB))
    assert root.tag == f"{ATOM}feed"
    assert root.findtext(f"{ATOM}updated") == "2026-02-26T01:30:00Z"
    ids = [str(each.text) for each in root.iter(f"{ATOM}id")]
    assert len(set(ids)) == 3
    assert all(each.startswith("urn:uuid:") for each in ids)
    links = [(each.get("rel"), each.get("href")) for each in root.iter(f"{ATOM}link")]
    assert links == [
        ("self", "https://papers.example.org/feed.atom"),
        ("alternate", "https://papers.example.org/"),
        ("alternate", "https://papers.example.org/reports/2026-02-25/default.zh"),
        ("alternate", "https://papers.example.org/reports/2026-02-24/default.zh"),
    ]
    for entry in root.iter(f"{ATOM}entry"):
        assert all(entry.findtext(f"{ATOM}{name}") for name in ("id", "title", "updated", "summary", "content"))
    assert root.findtext(f"{ATOM}author/{ATOM}name") == "Paperboy"


def test_an_entry_keeps_its_identity_through_a_correction_and_a_move():
    def identity(report, links):
        root = ElementTree.fromstring(page.feed([(report, compose.digest(report, ZH))], ZH, links))
        return root.findtext(f"{ATOM}entry/{ATOM}id")

    corrected = a_report(key=replace(a_report().key, edition=2))
    assert identity(a_report(), WEB) == identity(corrected, Links())


def test_a_feed_without_reports_is_still_a_feed():
    root = ElementTree.fromstring(page.feed([], EN))
    assert root.findtext(f"{ATOM}updated") == "1970-01-01T00:00:00Z"


@pytest.mark.shared_data
def test_a_real_days_papers_make_a_whole_page():
    file = SHARED_DATA / "hf_daily" / "2026-02-17.json"
    if not file.exists():
        pytest.skip(f"{file} is missing")
    listed = [item["paper"] for item in json.loads(file.read_text(encoding="utf-8"))]
    papers = [Paper(ArxivId(each["id"]), each["title"], each["summary"]) for each in listed]
    entries = tuple(Ranked(paper, a_score(90 - n, reason=paper.abstract)) for n, paper in enumerate(papers))
    report = a_report(ranking=replace(a_ranking(), entries=entries), deep_dives=())
    outline = Outline(a_page(*compose.report(report, ZH)))
    assert len(outline.all("tr")) == 1 + len(papers)
    assert "Codebook Size 2¹²⁸" in outline.shown()
