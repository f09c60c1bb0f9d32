"""Inline Markdown and TeX from models and papers, and nothing else of what they send."""

import unicodedata
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.report import formula, mathml
from bot.report.document import Span, text_of
from bot.report.inline import spans, title_spans, visible

MARKED_UP = st.text(alphabet=st.sampled_from(list("*_`~$\\()[]{}<>!&^ \n注意：。ab1x|#-")), max_size=60)


def looks(text: str) -> list[tuple[str, str]]:
    """Each span's text with the initials of its look."""
    names = ("bold", "italic", "code", "strike")
    return [(span.text, "".join(name[0] for name in names if getattr(span, name))) for span in spans(text)]


def test_bold_that_ends_in_chinese_punctuation_is_bold():
    assert looks("**注意：**后面") == [("注意：", "b"), ("后面", "")]
    assert looks("用**“流匹配”**复原") == [("用", ""), ("“流匹配”", "b"), ("复原", "")]


def test_looks_nest_without_loss():
    assert looks("**b *i `c`* ~~s~~**") == [("b ", "b"), ("i ", "bi"), ("c", "bic"), (" ", "b"), ("s", "bs")]


def test_links_and_images_become_their_plain_text():
    assert spans("[看这里](https://evil.example) ![图 **一**](x.png) [x](javascript:alert(1)) <https://a.example>") == (
        Span("看这里 图 "),
        Span("一", bold=True),
        Span(" x https://a.example"),
    )


def test_a_formula_in_a_link_survives_the_link():
    assert spans("[误差 $x^2$](https://a.example)") == (Span("误差 "), Span("x²", tex="x^2"))


def test_html_and_bare_addresses_stay_text():
    text = "<b>粗</b> <script>alert(1)</script> https://a.example @everyone"
    assert spans(text) == (Span(text),)


def test_entities_and_escapes_are_read():
    assert spans(r"a &lt; b \*c\* &copy;") == (Span("a < b *c* ©"),)


def test_lines_join_with_a_space_but_not_between_chinese_characters():
    assert text_of(spans("第一行\n第二行\nthird  line\r\n\nfourth")) == "第一行第二行 third line fourth"


def test_what_cannot_be_seen_is_left_out():
    assert visible("a\u202eb\x1b[31mc\u200b\ud800d\x00 \t e") == "ab[31mcd e"
    assert visible("👩\u200d🔬") == "👩\u200d🔬"


@pytest.mark.parametrize("text", ["$x^2$", "$$x^2$$", r"\(x^2\)", r"\[x^2\]", "$ $x^2$"])
def test_formulas_are_found_in_every_usual_bracket(text):
    assert [(span.text, span.tex) for span in spans(f"误差 {text} 很小")][-2] == ("x²", "x^2")


def test_a_formula_keeps_the_look_around_it():
    assert spans("**损失 $x_t$**") == (Span("损失 ", bold=True), Span("xₜ", bold=True, tex="x_t"))


@pytest.mark.parametrize(
    "text",
    [
        "$5 and $6",
        "从 $5 到 $10",
        "$5和$6",
        "价格 $5 或 10$",
        "$预算 超支$",
        "US$ 5 and US$ 6",
        "$HOME and $PATH",
        "a $ b",
        "5$x$",
        "$",
        "$$",
        "$$ $$",
        r"\(\)",
        r"$x\$",
        "$" + "x" * 1001 + "$",
    ],
)
def test_money_and_lone_dollars_are_no_formulas(text):
    assert all(span.tex is None for span in spans(text))


def test_an_escaped_dollar_is_a_dollar():
    assert spans(r"\$x$y") == (Span("$x$y"),)


def test_chinese_inside_text_macros_is_still_a_formula():
    assert spans(r"$\text{误差}=0$") == (Span("误差 = 0", tex=r"\text{误差}=0"),)


def test_titles_read_formulas_and_accents_but_no_markdown():
    assert title_spans(r"Schr\"odinger Bridges on $\mathcal{V}_1$: Q* and snake_case **x** -- \emph{in vivo}") == (
        Span("Schrödinger Bridges on "),
        Span("V₁", tex=r"\mathcal{V}_1"),
        Span(": Q* and snake_case **x** – in vivo"),
    )


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("BrowseComp-V^3: A Benchmark", "BrowseComp-V³: A Benchmark"),
        ("Codebook Size 2^{128} for All", "Codebook Size 2¹²⁸ for All"),
        (r"M\"{u}ller \& S{\o}rensen's 50\% \L{}", "Müller & Sørensen's 50% Ł"),
        (r"\unknown{x} \'e", r"\unknownx é"),
        ("GigaBrain-0.5M*: a VLA", "GigaBrain-0.5M*: a VLA"),
        (r"a \$5 title", "a $5 title"),
    ],
)
def test_titles_come_out_readable(title, shown):
    assert text_of(title_spans(title)) == shown


@pytest.mark.parametrize(
    ("tex", "shown"),
    [
        ("x^2", "x²"),
        (r"\alpha \le \beta", "α ≤ β"),
        (r"\frac{a}{b}", "a/b"),
        (r"\frac{a+b}{2}", "(a+b)/2"),
        (r"\mathbb{R}^{H \times W}", "ℝᴴˣᵂ"),
        (r"\mathbf{z} \sim \mathcal{N}(0, I)", "z ~ N(0, I)"),
        (r"p_\theta(x_{t-1}\mid x_t)", "p_θ(xₜ₋₁ | xₜ)"),
        (r"\mathcal{L}_{\text{rec}} = \|x - \hat{x}\|_2^2", "ℒ_rec = ‖x−x̂‖₂²"),
        (r"\sqrt{1-\bar\alpha_t} + \sqrt[3]{x} + \sqrt[n]{y}", "√(1−ᾱₜ)+∛x+ⁿ√y"),
        (r"\sim 3\times", "~3×"),
        (r"O(n\log n)", "O(n log n)"),
        (r"\arg\min_\theta L(\theta)", "arg min_θ L(θ)"),
        (r"\frac{1}{n}\sum_{i=1}^{n} x_i", "1/n ∑ᵢ₌₁ⁿ xᵢ"),
        (r"\left. x \right|_{t=0}", "x|ₜ₌₀"),
        (r"90^\circ, A^\top, x', f''", "90°, Aᵀ, x′, f′′"),
        (r"\begin{pmatrix} a & b \\ c & d \end{pmatrix}", "a b; c d"),
        (r"x_{i,j}", "x_(i,j)"),
        (r"\{1,\dots,N\}", "{1, …, N}"),
        (r"10,000 \text{ if } \mathrm{SNR} > 20~\text{dB}", "10,000 if SNR > 20 dB"),
        (r"\binom{n}{k} \vec{ab} \boldsymbol\mu", "C(n, k)abμ"),
        (r"\operatorname{sg}[z] \text\alpha \text{\alpha {b}}", "sg[z]αα b"),
        (r"\method_{new}", "method_new"),
        (r"^2", "²"),
        (r"x^", "x"),
        (r"{a}}b", "ab"),
        (r"\max(a,b)", "max(a, b)"),
        (r"2\sum x", "2 ∑ x"),
        ("\\", "\\"),
        (r"\,", r"\,"),
        ("{" * 40, "{" * 40),
        (r"\text{open", "open"),
        ("\\mathbb{R}\n+1", "ℝ+1"),
    ],
)
def test_formulas_become_readable_unicode(tex, shown):
    assert formula.readable(tex) == unicodedata.normalize("NFC", shown)


def test_what_is_too_long_for_a_formula_stays_its_source():
    assert formula.readable("x" * 1001) == "x" * 1001
    assert mathml.convert("x" * 1001) is None


@given(st.one_of(st.text(), MARKED_UP))
def test_no_text_raises_or_makes_a_link(text):
    for found in (spans(text), title_spans(text)):
        assert all(span.href is None and span.document is None for span in found)
        assert all(visible(span.text).replace(" ", "") == span.text.replace(" ", "") for span in found)


@given(st.text(alphabet="abc注意 ", max_size=30))
def test_plain_words_come_out_as_they_went_in(text):
    joined = text_of(spans(text))
    assert joined == " ".join(text.split())


@given(st.text(alphabet=st.sampled_from(list("\\{}^_$&<>abxtexfrac1 ,'!?-[]()")), max_size=50))
def test_no_formula_raises_and_mathml_holds_mathml_alone(tex):
    assert isinstance(formula.readable(tex), str)
    converted = mathml.convert(tex)
    if converted is not None:
        tags = {element.tag for element in ElementTree.fromstring(converted).iter()}
        assert all(tag.startswith("{http://www.w3.org/1998/Math/MathML}m") for tag in tags)


@pytest.mark.parametrize(
    "tex",
    [
        r"\text{<script>alert(1)</script>}",
        r"\text{<mi onclick='alert(1)'>x</mi><img src=x onerror=alert(1)>}",
        r"\text{<!DOCTYPE a [<!ENTITY b 'c'>]>}",
        r"\text{<?php x ?>}",
        r"\unknownmacro{x}",
    ],
)
def test_a_formula_that_carries_markup_has_no_mathml(tex):
    assert mathml.convert(tex) is None


def test_attributes_that_mathml_does_not_need_are_dropped():
    converted = mathml.convert(r"\href{javascript:alert(1)}{x} \color{red}{y} \text{<mi onclick='a()'>z</mi>}")
    assert converted is None or "javascript" not in converted
    linked = mathml.convert(r"\href{javascript:alert(1)}{x}")
    assert linked is not None
    assert "javascript" not in linked


def test_relations_functions_and_trailing_signs_are_spaced_as_such():
    converted = mathml.convert(r"x \sim y")
    assert converted is not None
    assert "<mo>∼</mo>" in converted
    spaced = mathml.convert(r"n\log n")
    assert spaced is not None
    assert '<mo lspace="0.17em" rspace="0.17em" form="infix">log</mo>' in spaced
    times = mathml.convert(r"3\times")
    assert times is not None
    assert '<mo lspace="0" rspace="0">×</mo>' in times
    assert mathml.convert(r"\arg\min_x f") is not None
