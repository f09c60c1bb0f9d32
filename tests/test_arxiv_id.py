"""What people paste when they mean a paper."""

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.errors import InputError
from bot.models import PASTED_CHARACTERS, SHOWN_CHARACTERS, ArxivId
from bot.texts import languages, load

PAPER = ArxivId("2602.19089")
SECOND = ArxivId("2602.19089", 2)
OLD = ArxivId("hep-th/9901001")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2602.19089", PAPER),
        ("  2602.19089v2\n", SECOND),
        ("2602.19089V2", SECOND),
        ("1412.1234", ArxivId("1412.1234")),
        ("1501.00001", ArxivId("1501.00001")),
        ("0704.0001v12", ArxivId("0704.0001", 12)),
        ("arXiv:2602.19089", PAPER),
        ("ARXIV:2602.19089v2", SECOND),
        ("arxiv: 2602.19089", PAPER),
        ("arXiv.2602.19089", PAPER),
        ("arXiv2602.19089", PAPER),
        ("arXiv:2602.19089v2 [cs.CV] 22 Feb 2026", SECOND),
        ("https://arxiv.org/abs/2602.19089", PAPER),
        ("http://www.arxiv.org/abs/2602.19089v2?context=cs.CV", SECOND),
        ("arxiv.org/abs/2602.19089/", PAPER),
        ("https://arxiv.org/pdf/2602.19089", PAPER),
        ("https://arxiv.org/pdf/2602.19089v2.pdf?download=1#page=3", SECOND),
        ("https://arxiv.org/html/2602.19089v2#S3.F1", SECOND),
        ("https://arxiv.org/abs/2602.19089?next=2602.11111#bib.2602.22222", PAPER),
        ("https://export.arxiv.org/api/query?id_list=2602.19089", PAPER),
        ("2602.19089v2.pdf", SECOND),
        ("2602.19089.md", PAPER),
        ("hep-th/9901001", OLD),
        ("arXiv:hep-th/9901001v3", ArxivId("hep-th/9901001", 3)),
        ("HEP-TH/9901001", OLD),
        ("https://arxiv.org/pdf/hep-th/9901001.pdf", OLD),
        ("math.GT/0309136", ArxivId("math/0309136")),
        ("cond-mat.mes-hall/0309136v1", ArxivId("cond-mat/0309136", 1)),
        ("math-ph/0309136", ArxivId("math-ph/0309136")),
        ("https://huggingface.co/papers/2602.19089", PAPER),
        ("https://huggingface.co/papers/2602.19089.md", PAPER),
        ("https://huggingface.co/papers/2602.19089#699e72b4dfbcf0b800aecb63", PAPER),
        ("https://www.alphaxiv.org/abs/2602.19089v2", SECOND),
        ("https://www.alphaxiv.org/overview/2602.19089?chatId=1", PAPER),
        ("10.48550/arXiv.2602.19089", PAPER),
        ("https://doi.org/10.48550/arXiv.2602.19089", PAPER),
        ("https://dx.doi.org/10.48550/arxiv.2602.19089", PAPER),
        ("https://doi.org/10.48550%2FarXiv.2602.19089", PAPER),
        ("https://doi.org/10.48550/arXiv.hep-th/9901001", OLD),
        ("https://ar5iv.labs.arxiv.org/html/2602.19089", PAPER),
        ("https://ar5iv.org/abs/2602.19089", PAPER),
        ("https://arxiv.org/abs/2510.12345/extra", ArxivId("2510.12345")),
        ("２６０２．１９０８９ｖ２", SECOND),
        ("ａｒＸｉｖ：２６０２．１９０８９", PAPER),
        ("2602。19089", PAPER),
        ("hep\u2011th/9901001", OLD),
        ("2602.\u200b19089\ufeff", PAPER),
        ("①2602.19089", PAPER),
        ("《2602.19089》", PAPER),
        ("请看论文2602.19089。谢谢！", PAPER),
        ("看看这篇：https://arxiv.org/abs/2602.19089，很有意思", PAPER),
        ("（arXiv：2602.19089）", PAPER),
        ("“2602.19089”", PAPER),
        ("`2602.19089`", PAPER),
        ("_2602.19089_", PAPER),
        ("**2602.19089**,", PAPER),
        ("Is it [2602.19089]?", PAPER),
        ("2602.19089.", PAPER),
        ("<https://arxiv.org/abs/2602.19089|arxiv.org/abs/2602.19089>", PAPER),
        ("[2602.19089](https://arxiv.org/abs/2602.19089v2)", SECOND),
        ("10.1145/1101.1234 is arXiv:2602.19089", PAPER),
    ],
)
def test_every_form_that_people_paste_is_understood(text: str, expected: ArxivId):
    assert ArxivId.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "hello",
        "今天有什么论文？",
        "2613.19089",
        "2600.19089",
        "2602.1908",
        "1412.12345",
        "0808.05394",
        "2602.190891",
        "2602.19089v0",
        "2602.19089v",
        "2602.19089v02",
        "2602.19089v12345",
        "2602.19089abc",
        "x2602.19089",
        "1.2602.19089",
        "2602.19089.1",
        "2602-19089",
        "2602 19089",
        "260219089",
        "hep-th/9913001",
        "hep-th/990100",
        "hep-th/99010012",
        "nosucharchive/9901001",
        "https://example.org/news/9901001",
        "https://doi.org/10.1145/1101.1234",
        "10.1109/CVPR.2026.12345",
        "https://arxiv.org/list/cs.CV/recent",
        "../../etc/passwd",
        "\ud800",
        "%%%ff%",
        "٢٦٠٢.١٩٠٨٩",
        "2602.19089 and 2602.19090",
        "2602.19089v1 or 2602.19089v2",
        "2602.19089？2602.19090",
        "hep-th/9901001 2602.19089",
        f"{'a' * PASTED_CHARACTERS} 2602.19089",
    ],
)
def test_anything_else_is_refused_with_a_word_for_its_sender(text: str):
    with pytest.raises(InputError) as refusal:
        ArxivId.parse(text)
    assert refusal.value.key == "error.arxiv_id"
    assert not refusal.value.retryable
    for language in languages():
        assert load(language).error(refusal.value)


def test_a_refusal_shows_the_beginning_of_the_text_and_nothing_live():
    with pytest.raises(InputError) as refusal:
        ArxivId.parse("<!channel> @everyone\n*see* `rm`\u202e [x](https://evil.example/)\x00" + "z" * 500)
    shown = str(refusal.value.values["text"])
    assert shown == "channel everyone see rm x https://evil.e…"
    assert len(shown) == SHOWN_CHARACTERS + 1
    assert "everyone" not in str(refusal.value)


def test_a_short_refused_text_is_shown_whole():
    with pytest.raises(InputError) as refusal:
        ArxivId.parse(" {day} 论文 ")
    assert refusal.value.values == {"text": "day 论文"}


def test_an_id_knows_its_places():
    assert SECOND.abs_url == "https://arxiv.org/abs/2602.19089v2"
    assert PAPER.pdf_url == "https://arxiv.org/pdf/2602.19089"
    assert str(OLD) == "hep-th/9901001"


def _new_id(year: int, month: int, number: int) -> str:
    width = 5 if year >= 15 else 4
    return f"{year:02d}{month:02d}.{number % 10**width:0{width}d}"


IDS = st.one_of(
    st.builds(_new_id, st.integers(7, 90), st.integers(1, 12), st.integers(1, 99_999)),
    st.builds(
        "{}/{:02d}{:02d}{:03d}".format,
        st.sampled_from(["hep-th", "math", "math-ph", "cs", "astro-ph", "cond-mat", "q-bio"]),
        st.sampled_from([*range(91, 100), *range(7)]),
        st.integers(1, 12),
        st.integers(1, 999),
    ),
)
PAPERS = st.builds(ArxivId, IDS, st.none() | st.integers(1, 999))
FORMS = st.sampled_from(
    [
        "{}",
        "arXiv:{}",
        "ArXiv: {}",
        "https://arxiv.org/abs/{}",
        "https://arxiv.org/pdf/{}.pdf?a=b#c",
        "https://arxiv.org/html/{}#S1",
        "https://huggingface.co/papers/{}",
        "https://www.alphaxiv.org/abs/{}",
        "https://doi.org/10.48550/arXiv.{}",
        "https://ar5iv.labs.arxiv.org/html/{}",
        "（{}）",
        "读一下{}，谢谢。",
        "“{}”",
        "[{0}](https://arxiv.org/abs/{0})",
    ]
)
WIDE = {ord(c): ord(c) + 0xFEE0 for c in "0123456789.:/v"}


@settings(max_examples=1000, deadline=None)
@given(PAPERS, FORMS, st.booleans())
def test_generated_forms_round_trip(paper: ArxivId, form: str, wide: bool):
    text = form.format(paper)
    assert ArxivId.parse(text.translate(WIDE) if wide else text) == paper


@settings(max_examples=1000, deadline=None)
@given(PAPERS, FORMS, st.data())
def test_a_mangled_form_gives_a_valid_id_or_an_input_error(paper: ArxivId, form: str, data: st.DataObject):
    text = form.format(paper)
    at = data.draw(st.integers(0, len(text) - 1))
    mangled = text[:at] + data.draw(st.text(max_size=3)) + text[at + data.draw(st.integers(0, 2)) :]
    _parses_or_refuses(mangled)


@settings(max_examples=500, deadline=None)
@given(st.text() | st.text(alphabet="0123456789.v/arXiv:-%?#hep th。", max_size=80))
@example("%ff\ud800")
def test_no_text_crashes_the_parser(text: str):
    _parses_or_refuses(text)


def _parses_or_refuses(text: str) -> None:
    """Any other exception than an InputError fails the test."""
    try:
        found = ArxivId.parse(text)
    except InputError:
        return
    assert ArxivId.parse(str(found)) == found


@pytest.mark.parametrize(
    "piece",
    ["2602.", "2602.19089v", "hep-th/", "arxiv", "arXiv.", "10.1/", "2602.19089?a", "%32", "1", ".", "?a-", "math."],
)
def test_hostile_repetition_is_refused_quickly(piece: str):
    begun = time.perf_counter()
    for length in (PASTED_CHARACTERS, 2_000_000):
        _parses_or_refuses((piece * (length // len(piece) + 1))[:length])
    assert time.perf_counter() - begun < 1.0
