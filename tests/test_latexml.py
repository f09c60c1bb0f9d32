"""The reader of arXiv's HTML pages."""

import html
import re
from importlib import resources

import pytest

from bot.models import ArxivId, Basis, FullText
from bot.sources.fulltext.sections import UnreadableError
from tests.fakes import SHARED_DATA
from tests.latexml_pages import (
    ID,
    PROSE,
    abstract,
    added,
    every,
    figure,
    page,
    para,
    read,
    section,
    tag,
    whole,
)

ATTENTION, MISTRAL = "1706.03762v7.html", "2310.06825.latexml-0.8.7.html"
SAMPLES = ("2602.99011", "2602.99014")
CHROME = (
    "Report Issue", "Back to arXiv", "Why HTML?", "LaTeXML", "Report GitHub", "watermark", "License:", "[cs.", "[eess.",
    "Instructions for reporting", "independent nonprofit", "footnotemark", "Refer to caption", "Affiliation",
    "\\displaystyle", "Email:", "institutetext", "build logs", "\\useunder",
)  # fmt: skip


def shared(name: str) -> tuple[str, FullText]:
    content = (SHARED_DATA / "arxiv_html" / name).read_bytes()
    return content.decode(), read(content, name[:10])


def sample(arxiv_id: str) -> tuple[str, FullText]:
    content = resources.files("bot.sources").joinpath("sample_pages", f"{arxiv_id}.html").read_bytes()
    return content.decode(), read(content, arxiv_id)


def headings(source: str) -> list[str]:
    """Number and title of every heading of a page that is not one of thanks, found without the reader."""
    pattern = r'<h\d class="ltx_title[^"]* ?ltx_title_(?:section|subsection|subsubsection|appendix)"[^>]*>(.*?)</h\d>'
    found = re.findall(pattern, source, re.DOTALL)
    said = [" ".join(html.unescape(re.sub(r"<[^>]+>", "", heading)).split()) for heading in found]
    return [heading.removeprefix("Appendix ") for heading in said if heading != "Acknowledgements"]


def table(text: str, first: str) -> list[list[str]]:
    """The rows of the Markdown table whose heading row begins with `first`."""
    block = next(block for block in text.split("\n\n") if block.startswith(f"| {first} |"))
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in block.splitlines()]


# --- whole papers ---


@pytest.mark.shared_data
@pytest.mark.parametrize(("name", "count"), [(ATTENTION, 23), (MISTRAL, 8)])
def test_every_heading_of_a_real_page_is_found(name: str, count: int):
    source, full_text = shared(name)

    found = [f"{section.number} {section.title}".strip() for section in every(full_text)][1:]

    assert found == headings(source)
    assert len(found) == count
    assert [section.id for section in every(full_text)] == [f"S{index}" for index in range(count + 1)]


@pytest.mark.shared_data
@pytest.mark.parametrize("name", [ATTENTION, MISTRAL])
def test_nothing_but_the_paper_is_read_off_a_real_page(name: str):
    _, full_text = shared(name)
    text = whole(full_text)

    assert full_text.basis is Basis.HTML
    assert not full_text.suspicious
    assert not [chrome for chrome in CHROME if chrome in text]
    assert "Kalchbrenner" not in text  # whom the authors thank
    assert "arXiv preprint" not in text  # stands in the references alone
    assert not re.search(r"(\$[^$\n]+\$) ?\1", text)
    assert not re.search(r"</|<[a-z]+>|&[a-z]+;|[\U0001d400-\U0001d7ff]", text)  # MathML's letters, tags, entities
    assert text.count("$") % 2 == 0
    assert full_text.sections[0].text.startswith(("The dominant sequence", "We introduce Mistral 7B"))


@pytest.mark.shared_data
def test_the_tables_of_a_real_page_keep_their_columns():
    _, full_text = shared(ATTENTION)
    text = whole(full_text)
    bleu = table(text, "Model")

    assert bleu[0] == [
        "Model", "BLEU EN-DE", "BLEU EN-FR", "Training Cost (FLOPs) EN-DE", "Training Cost (FLOPs) EN-FR",
    ]  # fmt: skip
    assert {len(row) for row in bleu} == {5}
    assert bleu[-1] == ["Transformer (big)", "28.4", "41.8", r"$2.3\cdot 10^{19}$", r"$2.3\cdot 10^{19}$"]
    assert table(text, "Layer Type")[0][2] == "Sequential Operations"
    variations = table(text, "")
    assert len(variations[0]) == 13
    assert [row[0] for row in variations].count("(C)") == 7  # a cell that spans seven rows
    assert sum(block.startswith("| ") for block in text.split("\n\n")) == 4


@pytest.mark.shared_data
def test_the_figures_of_a_real_page_have_their_addresses():
    _, full_text = shared(ATTENTION)

    figures = {figure.label: figure.url for section in every(full_text) for figure in section.figures}

    assert figures == {
        "Figure 1": "https://arxiv.org/html/1706.03762v7/Figures/ModalNet-21.png",
        "Figure 2": "",  # two images side by side
        "Figure 3": "",  # drawings in SVG
        "Figure 4": "",
        "Figure 5": "",
    }
    assert full_text.arxiv_id == ArxivId("1706.03762", 7)


@pytest.mark.shared_data
def test_a_page_that_names_no_version_and_lacks_its_images_is_read_too():
    _, full_text = shared(MISTRAL)
    figures = [figure for section in every(full_text) for figure in section.figures]

    assert full_text.arxiv_id == ArxivId("2310.06825")
    assert [figure.label for figure in figures] == [f"Figure {number}" for number in range(1, 6)]
    assert not any(figure.url for figure in figures)
    assert len(table(whole(full_text), "Model")[0]) == 14


@pytest.mark.parametrize("arxiv_id", SAMPLES)
def test_the_sample_days_papers_are_read_whole(arxiv_id: str):
    source, full_text = sample(arxiv_id)
    text = whole(full_text)

    assert [f"{section.number} {section.title}" for section in every(full_text)][1:] == headings(source)
    assert full_text.arxiv_id == ArxivId(arxiv_id, 1)
    assert [section.number for section in full_text.appendix] == ["A", "B"]
    assert [section.anchor for section in full_text.appendix] == ["A1", "A2"]
    assert not [chrome for chrome in CHROME if chrome in text]
    assert "Okafor" not in text
    assert "Solvik" not in text
    assert "Invented Vision Conference" not in text
    assert 8_000 <= len(text) <= 16_000
    assert any(section.title == "Limitations" for section in full_text.sections)
    assert full_text.sections[0].text[:40] in html.unescape(source)


def test_the_sample_papers_overviews_have_their_addresses():
    figures = [figure for arxiv_id in SAMPLES for section in sample(arxiv_id)[1].sections for figure in section.figures]

    assert [(figure.label, figure.url) for figure in figures] == [
        ("Figure 1", "https://arxiv.org/html/2602.99011v1/x1.png"),
        ("Figure 1", "https://arxiv.org/html/2602.99014v1/x1.png"),
        ("Figure 2", ""),
    ]


# --- is it the paper? ---


def test_a_whole_page_is_accepted():
    full_text = read(page(front=abstract("We print twice.")))

    assert [section.title for section in full_text.sections] == ["Abstract", "Introduction", "Method", "Results"]
    assert [section.number for section in full_text.sections] == ["", "1", "2", "3"]
    assert [section.anchor for section in full_text.sections] == ["", "S1", "S2", "S3"]
    assert full_text.sections[0].text == "We print twice."
    assert full_text.arxiv_id == ArxivId(ID, 2)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html></html>",
        b"%PDF-1.7 </article></html>",
        b"<html><body><p>No HTML for this paper.</p><article></article></body></html>",
        page().replace(b"ltx_document", b"blog_post"),
        page()[: len(page()) // 2],
        page()[:-40],
        page().replace(b"</article>", b""),
        page().replace(PROSE.encode(), b"Short."),
        page().replace(b"ltx_title_section", b"ltx_title_nothing"),
        page().replace(b"<footer", b"<div>Conversion to HTML had a Fatal error and exited abruptly.</div><footer"),
        page().replace(b"<header", b"<p>HTML conversion failed for this paper</p><header"),
        page('<div class="ltx_FATAL">too many errors</div>'),
        page(mark="arXiv:2602.98766v1 [cs.CV] 20 Feb 2026"),
        page(head='<base href="/html/2602.98766v1/">', mark=""),
        page(head='<link rel="canonical" href="https://arxiv.org/abs/2602.98766">', mark=""),
    ],
)
def test_what_is_not_this_paper_or_not_all_of_it_is_refused(content: bytes):
    with pytest.raises(UnreadableError):
        read(content)


def test_another_version_than_the_one_asked_for_is_refused():
    assert read(page(), f"{ID}v2").arxiv_id.version == 2
    with pytest.raises(UnreadableError):
        read(page(), f"{ID}v1")


def test_papers_that_a_page_cites_do_not_make_it_theirs():
    cited = para('See <a href="https://arxiv.org/abs/2501.00001v1">arXiv:2501.00001v1</a>.')

    assert read(page(cited)).arxiv_id == ArxivId(ID, 2)


def test_the_log_of_a_page_names_its_version_too():
    content = page(mark="").replace(b"Generated by", f'<a href="./{ID}v3/__stdout.txt">log</a> by'.encode())

    assert read(content).arxiv_id == ArxivId(ID, 3)


def test_fatal_errors_that_a_paper_is_about_are_no_banner():
    assert "Fatal error" in added(para("A Fatal error of the printer costs one print."))


# --- sections ---


def test_thanks_and_references_are_left_out_with_what_belongs_to_them():
    back = (
        section(
            4,
            "Acknowledgements",
            para("We thank Ines.") + section(41, "Funding", para("By a grant."), level="subsection"),
        )
        + '<div class="ltx_acknowledgements">We thank Olaf.</div>'
        + '<section id="bib" class="ltx_bibliography"><h2 class="ltx_title ltx_title_bibliography">References</h2>'
        + '<ul class="ltx_biblist"><li class="ltx_bibitem">A. Bakker, On Prints.</li></ul></section>'
        + '<section id="Sx1" class="ltx_section"><h2 class="ltx_title ltx_title_section">More Prints</h2>'
        + para("Twelve more prints.")
        + "</section>"
    )
    full_text = read(page(back=back))

    assert [section.title for section in full_text.sections] == ["Abstract", "Introduction", "Method", "Results"]
    assert [section.title for section in full_text.appendix] == ["More Prints"]
    assert not re.search("Ines|grant|Olaf|Bakker", whole(full_text))


def test_an_appendix_is_kept_apart_with_all_its_sections():
    back = section(1, "Prints", section(7, "Early Ones", para("Of May."), level="subsection"), level="appendix")
    full_text = read(page(back=back))

    assert [(section.number, section.title) for section in full_text.appendix] == [("A", "Prints"), ("7", "Early Ones")]


def test_a_paragraphs_title_opens_it():
    run_in = (
        '<section class="ltx_paragraph"><h5 class="ltx_title ltx_title_paragraph">Scanning</h5>'
        + para("At 600 dpi.")
        + "</section>"
        + '<section class="ltx_paragraph"><h5 class="ltx_title ltx_title_paragraph">Steps:</h5>'
        + '<ul class="ltx_itemize"><li class="ltx_item">One.</li></ul></section>'
    )

    assert added(run_in) == "Scanning. At 600 dpi.\n\nSteps:\n\n- One."


def test_theorems_and_proofs_say_what_they_are():
    title = (
        f'<h6 class="ltx_title ltx_runin ltx_title_theorem">{tag("Theorem 1", "theorem")} (Prints)<span>.</span></h6>'
    )
    proof = '<h6 class="ltx_title ltx_runin ltx_title_proof">Proof.</h6>'
    theorem = f'<div class="ltx_theorem">{title}{para("All fade.")}</div>'

    text = added(f'{theorem}<div class="ltx_proof">{proof}{para("By light. ∎")}</div>')

    assert text == "Theorem 1 (Prints). All fade.\n\nProof. By light. ∎"


def test_a_teaser_before_the_abstract_goes_to_the_first_section():
    teaser = figure('<img src="x1.png" width="9" height="9">', "Figure 1: ", "Two prints.")
    full_text = read(page(front=para("To appear in Prints.") + teaser + abstract("We print twice.")))

    assert full_text.sections[1].text.startswith("Figure 1: Two prints.\n\nWe restore")
    assert full_text.sections[1].figures[0].url == f"https://arxiv.org/html/{ID}v2/x1.png"
    assert "To appear" not in whole(full_text)


def test_prose_before_the_first_heading_is_the_abstract_where_none_is_marked():
    assert read(page(front=para(PROSE[:400]))).sections[0].text == PROSE[:400].strip()
    assert read(page()).sections[0].text == ""


def test_a_section_called_abstract_is_the_abstract():
    full_text = read(page(front=section(0, "Abstract", para("We print twice."))))

    assert full_text.sections[0].text == "We print twice."
    assert full_text.sections[1].title == "Introduction"


def test_the_text_of_a_letter_without_headings_is_kept():
    full_text = read(page(front=abstract("We print twice.") + para(PROSE)))

    assert [section.title for section in full_text.sections][:2] == ["Abstract", "Main text"]
