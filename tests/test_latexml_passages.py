"""What stands in the sections of arXiv's HTML pages: formulas, lists, tables, figures."""

import time

import pytest

from tests.latexml_pages import (
    ID,
    added,
    equation,
    figure,
    item,
    listing,
    math,
    method,
    note,
    page,
    para,
    tabular,
    tag,
)

# --- formulas ---


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (math("h_{t}"), "$h_{t}$"),
        (math(r"\displaystyle a=b"), "$a=b$"),
        (math("a%\n b"), "$a b$"),
        (math("28.4"), "28.4"),
        (math(r"12\%"), "12%"),
        (math("3{,}222"), "3,222"),
        (math(r"8\times"), "8×"),
        (math(r"\pm 0.3"), "±0.3"),
        (math(r"\uparrow"), "↑"),
        (math(r"\color[rgb]{1,0,0}x"), "$x$"),
        (math("a=b", "block"), "$$a=b$$"),
        (
            '<math><semantics><mi>x</mi><annotation encoding="application/x-tex">x</annotation></semantics></math>',
            "$x$",
        ),
        ("<math><mi>x</mi></math>", ""),
        ('<math alttext="x^{$y$}"><mi>x</mi></math>', "$x^{y}$"),
        ("10<sup>-4</sup> and the 4<sup>th</sup>", "10^-4 and the 4th"),
    ],
)
def test_formulas_are_tex_and_said_once(content: str, text: str):
    assert added(para(content)) == text


def test_a_formula_set_apart_keeps_its_number():
    assert added(equation((math("E=mc^{2}"), "(1)"))) == "$$E=mc^{2}$$ (1)"


def test_an_aligned_formula_is_one_where_it_goes_on():
    rows = ((math("a"), math("=b+c"), ""), ("", math("=d"), "(2)"), (math("e"), math("=f"), ""))

    assert added(equation(*rows)) == "$$a=b+c =d$$ (2)\n$$e=f$$"


def test_words_between_formulas_stay_words():
    assert added(equation((math("a"), "if and only if", math("b"), ""))) == "$a$ if and only if $b$"


# --- lists, notes, listings ---


def test_lists_are_lines():
    nested = f'<ul class="ltx_itemize">{item("–", "inner")}</ul>'
    items = (
        f'<ul class="ltx_itemize">{item("•", para("One."))}{item("(ii)", para("Two") + para("more.") + nested)}</ul>'
        f'<ol class="ltx_enumerate">{item("1.", "First.")}</ol>'
        f'<dl class="ltx_description"><dt class="ltx_item">{tag("Ink", "item")}</dt><dd>is black.</dd></dl>'
    )

    assert added(items) == "- One.\n- (ii) Two more.\n  - inner\n\n1. First.\n\n- Ink is black."


def test_a_footnote_follows_its_paragraph_unless_it_is_an_address():
    address = note("See https://prints.example/x")

    text = added(para(f"It fades {note('All prints were kept dark.')}. It is sold {address}."))

    assert text == "It fades. It is sold.\n\nFootnote: All prints were kept dark."


def test_citations_stand_as_printed_and_those_without_an_entry_not_at_all():
    printed = '<cite class="ltx_cite">[<a class="ltx_ref">3</a>, <a class="ltx_ref">7</a>]</cite>'
    missing = '<cite class="ltx_cite"><span class="ltx_ref ltx_missing_citation">bakker2020</span></cite>'
    mixed = '<cite class="ltx_cite">[<a class="ltx_ref">3</a>, <span class="ltx_missing_citation">b</span>]</cite>'

    assert added(para(f"As in {printed} (ink, {missing}) and by {mixed}.")) == "As in [3, 7] (ink) and by [3]."


def test_an_algorithm_is_its_caption_and_its_lines():
    lines = listing(f"{tag('1:', 'listingline')} scan", f"{tag('2:', 'listingline')} set {math('x')}")
    caption = f'<figcaption class="ltx_caption">{tag("Algorithm 1", "float")} Printing</figcaption>'

    text = added(f'<figure class="ltx_float ltx_float_algorithm">{caption}{lines}</figure>')

    assert text == "Algorithm 1: Printing\n\n1: scan\n2: set $x$"


def test_code_keeps_its_indentation():
    code = '<div class="ltx_listing_data">Zm9v</div>' + listing("def f():", "\u00a0\u00a0return 1")

    assert added(code) == "def f():\n  return 1"
    assert added('<pre class="ltx_verbatim">a = 1\n  b = 2</pre>') == "a = 1\n  b = 2"


def test_of_a_drawing_only_boxes_with_prose_are_read():
    drawing = '<svg><path fill="#000000"></path><text>axis</text><g><foreignObject>{}</foreignObject></g></svg>'
    prompt = "You are given a print and its scan. Say which is older."

    assert added(drawing.format("<span>Ours</span>")) == ""
    assert added(drawing.format(f'<span class="ltx_p">{prompt}</span>')) == prompt


# --- tables ---


def test_spans_are_expanded_both_ways_and_headings_joined():
    text = added(
        tabular(
            '<td rowspan="2">Method</td><td colspan="2">PSNR</td><td></td>',
            "<td>Rain</td><td>Haze</td><td></td>",
            '<td>Ours</td><td colspan="2">32.6</td><td></td>',
        )
    )

    assert text == "| Method | PSNR Rain | PSNR Haze |\n| --- | --- | --- |\n| Ours | 32.6 | 32.6 |"


def test_the_pages_own_heading_rows_count():
    text = added(
        tabular(
            '<th class="ltx_th_column"></th><th class="ltx_th_column">(dB)</th>',
            "<td>Ours</td><td>32.6</td>",
            head="<tr><th>Method</th><th>PSNR</th></tr>",
        )
    )

    assert text == "| Method | PSNR (dB) |\n| --- | --- |\n| Ours | 32.6 |"


def test_a_remark_over_a_whole_row_is_said_once():
    rows = ["<td>A</td><td>B</td>", '<td colspan="2">on rain</td>', "<td>1</td><td>2</td>"]

    assert added(tabular(*rows)).splitlines()[2] == "| on rain |  |"


def test_bars_do_not_break_a_row():
    norm = math(r"\|y\|")
    rows = [f"<td>a|b</td><td>{math('|x|')} {norm}</td>", "<td>1</td><td>2</td>"]

    assert added(tabular(*rows)).splitlines()[0] == r"| a\|b | $\vert x\vert $ $\Vert y\Vert $ |"


def test_a_table_that_only_lays_out_is_read_as_what_it_holds():
    assert added(f'<table class="ltx_tabular"><tr><td>{para("One.")}{para("Two.")}</td></tr></table>') == "One.\n\nTwo."


def test_tables_made_of_spans_and_tables_in_cells_are_read():
    def row(first: str, second: str) -> str:
        cells = "".join(f'<span class="ltx_td">{cell}</span>' for cell in (first, second))
        return f'<span class="ltx_tr">{cells}</span>'

    inner = tabular("<td>PSNR</td>", "<td>(dB)</td>")

    assert (
        added(f'<span class="ltx_tabular">{row("A", "B")}{row("1", "2")}</span>')
        == "| A | B |\n| --- | --- |\n| 1 | 2 |"
    )
    assert added(tabular(f"<td>A</td><td>{inner}</td>", "<td>1</td><td>2</td>")).splitlines()[0] == "| A | PSNR (dB) |"


def test_a_caption_stands_before_its_table():
    table = tabular("<td>A</td><td>B</td>", "<td>1</td><td>2</td>")
    caption = f"<figcaption>{tag('Table 2: ', 'table')}Prints.</figcaption>"

    text = added(f'<figure class="ltx_table"><span class="ltx_transformed_inner">{table}</span>{caption}</figure>')

    assert text == "Table 2: Prints.\n\n| A | B |\n| --- | --- |\n| 1 | 2 |"


@pytest.mark.parametrize("span", ["1000000000", "9" * 400, "-3", "0", "x", "", "²"])
def test_a_malicious_span_costs_nothing(span: str):
    began = time.monotonic()
    text = added(tabular(f'<td colspan="{span}" rowspan="{span}">A</td><td>B</td>', "<td>1</td><td>2</td>"))

    assert "B" in text or "A" in text
    assert len(text) < 2_000
    assert time.monotonic() - began < 5


# --- figures ---


@pytest.mark.parametrize(
    ("source", "head", "url"),
    [
        (f"{ID}v2/figs/a.png", "", f"https://arxiv.org/html/{ID}v2/figs/a.png"),
        (f"./{ID}v2/a.jpg", "", f"https://arxiv.org/html/{ID}v2/a.jpg"),
        ("x1.png", "", f"https://arxiv.org/html/{ID}v2/x1.png"),
        ("extracted/1/a b.jpeg", "", f"https://arxiv.org/html/{ID}v2/extracted/1/a%20b.jpeg"),
        ("x1.webp", f'<base href="/html/{ID}v2/">', f"https://arxiv.org/html/{ID}v2/x1.webp"),
        ("x1.gif?size=1#a", "", f"https://arxiv.org/html/{ID}v2/x1.gif"),
        (f"https://arxiv.org/html/{ID}v2/x1.png", "", f"https://arxiv.org/html/{ID}v2/x1.png"),
        ("", "", ""),
        ("x1.svg", "", ""),
        ("x1.pdf", "", ""),
        ("data:image/png;base64,AAAA", "", ""),
        ("https://evil.example/html/x1.png", "", ""),
        ("//evil.example/x1.png", "", ""),
        ("https://arxiv.org@evil.example/html/x1.png", "", ""),
        ("http://[x1.png", "", ""),
        ("/static/logo.png", "", ""),
        ("../../static/logo.png", "", ""),
        ("%2e%2e/%2e%2e/static/logo.png", "", ""),
        ("../2602.00001v1/x1.png", "", ""),
        ("x1.png", '<base href="https://evil.example/html/">', ""),
        ("x" * 600 + ".png", "", ""),
    ],
)
def test_only_an_image_of_this_paper_on_arxiv_has_an_address(source: str, head: str, url: str):
    found = method(page(figure(f'<img src="{source}" class="ltx_graphics">'), head=head)).figures

    assert [figure.url for figure in found] == [url]


def test_without_a_version_no_address_is_made_up():
    assert method(page(figure('<img src="x1.png">'), mark="")).figures[0].url == ""


def test_of_several_images_the_one_that_is_nearly_all_of_the_figure_counts():
    small, large = '<img src="a.png" width="10" height="10">', '<img src="b.png" width="100" height="50">'
    vector = '<object data="c.svg" class="ltx_graphics" width="900" height="900"></object>'

    assert method(page(figure(small + large))).figures[0].url.endswith("/b.png")
    assert method(page(figure(large + large))).figures[0].url == ""
    assert method(page(figure(vector + small))).figures[0].url == ""


def test_panels_belong_to_their_figure():
    panels = "".join(figure(f'<img src="{name}.png">', f"({name}) ", f"Print {name}.") for name in "ab")
    section = method(page(figure(panels)))

    assert section.text.endswith("Figure 3: Prints. (a) Print a. (b) Print b.")
    assert [(found.label, found.url) for found in section.figures] == [("Figure 3", "")]


def test_figures_side_by_side_in_one_float_are_two():
    inside = figure(figure('<img src="a.png">'), "Figure 4: ", "More.")
    left, right = (f"<figcaption>{tag(f'Figure {number}: ')}Print.</figcaption><img src='a.png'>" for number in (5, 6))

    assert {found.label for found in method(page(inside)).figures} == {"Figure 3", "Figure 4"}
    assert [found.label for found in method(page(f'<figure class="ltx_figure">{left}{right}</figure>')).figures] == [
        "Figure 5",
        "Figure 6",
    ]
