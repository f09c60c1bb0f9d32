"""The reader of Hugging Face's Markdown."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.models import ArxivId, Basis, FullText, Section
from bot.sources.fulltext import markdown
from bot.sources.fulltext.sections import UnreadableError

ID = "2602.98765"
PROSE = "We restore the photographs of the fourth series and compare them with the second prints. " * 26
HEAD = f"""Title: Second Prints

URL Source: https://arxiv.org/html/{ID}

Published Time: Fri, 20 Feb 2026 21:18:04 GMT

Markdown Content:
"""


def paper(method: str = "", front: str = "", back: str = "", head: str = HEAD) -> str:
    """The text of a paper in the converter's present shape; `method` stands in section 2."""
    return f"""{head}Maud Verhoeven 1, Ola Berg 2

###### Abstract

We print twice.

{front}

## 1 Introduction

{PROSE}

## 2 Method

{method}

### 2.1 Training

{PROSE}

## 3 Results

{PROSE}

{back}
"""


def read(content: str, arxiv_id: str = ID) -> FullText:
    return markdown.read(content, ArxivId.parse(arxiv_id), "The abstract of the list.")


def method(content: str) -> Section:
    return next(section for section in read(content).sections if section.title == "Method")


def added(content: str) -> str:
    """What the reader makes of something that stands in section 2."""
    return method(paper(content)).text


def test_a_paper_is_read():
    full_text = read(
        paper(back="## Acknowledgments\n\nTo Ines.\n\n## References\n\n*   A. Bakker\n\n## Appendix A Proofs\n\nNone.")
    )

    assert full_text.basis is Basis.MARKDOWN
    assert [(section.number, section.title) for section in full_text.sections] == [
        ("", "Abstract"),
        ("1", "Introduction"),
        ("2", "Method"),
        ("2.1", "Training"),
        ("3", "Results"),
    ]
    assert [(section.number, section.title) for section in full_text.appendix] == [("A", "Proofs")]
    assert full_text.sections[0].text == "We print twice."
    assert full_text.arxiv_id == ArxivId(ID)
    assert "Verhoeven" not in "".join(section.text for section in full_text.sections)


def test_underlined_headings_are_headings():
    content = (
        paper()
        .replace("## 1 Introduction", "1 Introduction\n--------------")
        .replace("## 2 Method", "2 Method\n========")
    )

    assert [section.title for section in read(content).sections] == [
        "Abstract",
        "Introduction",
        "Method",
        "Training",
        "Results",
    ]


@pytest.mark.parametrize(
    "content",
    [
        "",
        paper(head="Title: Second Prints\n\n"),
        paper(head="Title: Second Prints\n\nMarkdown Content:\n"),
        paper().replace("https://arxiv.org/html/", "https://huggingface.co/papers/"),
        paper().replace("https://arxiv.org/html/", "https://arxiv.org.evil.example/html/"),
        paper().replace("https://arxiv.org/html/", "https://arxiv.org/abs/"),
        paper().replace(ID, "2602.98766"),
        paper().replace(f"html/{ID}", "html/prints"),
        paper().replace(f"URL Source: https://arxiv.org/html/{ID}", f"See URL Source: https://arxiv.org/html/{ID}"),
        paper().replace(PROSE, "Short."),
        "line\n" * 100 + paper(),
        f"# {ID}\n\nURL Source: https://arxiv.org/html/{ID}\n\n{PROSE * 3}",
    ],
)
def test_what_is_not_the_text_of_the_papers_page_is_refused(content: str):
    with pytest.raises(UnreadableError):
        read(content)


def test_the_version_is_the_one_that_the_text_names():
    named = paper().replace(f"html/{ID}", f"html/{ID}v3")

    assert read(named).arxiv_id == ArxivId(ID, 3)
    assert read(named, f"{ID}v3").arxiv_id == ArxivId(ID, 3)
    assert read(paper(), f"{ID}v2").arxiv_id == ArxivId(ID, 2)
    with pytest.raises(UnreadableError):
        read(named, f"{ID}v2")


def test_without_an_abstract_of_its_own_the_lists_stands_in():
    assert read(paper().replace("###### Abstract", "")).sections[0].text == "The abstract of the list."


def test_an_image_with_its_caption_is_a_figure():
    images = (
        f"![Image 1: Refer to caption](https://arxiv.org/html/{ID}v1/x1.png)\n\nFigure 1: The press.\n\n"
        "![Image 2](https://evil.example/x2.png)\n\nFigure 2: The scan.\n\n"
        f"![Image 3](https://arxiv.org/html/{ID}v1/a.png)\n\n![Image 4](https://arxiv.org/html/{ID}v1/b.png)\n\n"
        "Figure 3: Both.\n\n"
        f"![Image 5](https://arxiv.org/html/{ID}v1/../../x.png)\n\nFigure 4: Off.\n\n"
        f"![Image 6](https://arxiv.org/html/{ID}v1/ornament.png)"
    )
    section = method(paper(images))

    assert [(figure.label, figure.caption, figure.url) for figure in section.figures] == [
        ("Figure 1", "The press.", f"https://arxiv.org/html/{ID}v1/x1.png"),
        ("Figure 2", "The scan.", ""),
        ("Figure 3", "Both.", ""),
        ("Figure 4", "Off.", ""),
    ]
    assert section.text.startswith("Figure 1: The press.\n\nFigure 2")


def test_a_figure_beside_the_abstract_goes_to_the_first_section():
    front = f"![Image 1](https://arxiv.org/html/{ID}v1/x1.png)\n\nFigure 1: The press."
    full_text = read(paper(front=front))

    assert full_text.sections[0].text == "We print twice."
    assert full_text.sections[1].text.startswith("Figure 1: The press.\n\nWe restore")
    assert full_text.sections[1].figures[0].url.endswith("/x1.png")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (f'As in [[31](https://arxiv.org/html/{ID}#bib.bib31 "A (good) print")].', "As in [31]."),
        ("By Bakker [2020](https://a.example/b_(c)), _i.e._ **long** ago.", "By Bakker 2020, i.e. long ago."),
        ("The warmup_steps of a_b_c stay.", "The warmup_steps of a_b_c stay."),
        ("*   •One. \n*   •Two [3](https://a.example).", "- One.\n- Two 3."),
        ("*   •\nOne\n\n*   •\nTwo", "- One\n\n- Two"),
        ("| A | B |\n| --- | --- |\n| 1 | [2](https://a.example) |", "| A | B |\n| --- | --- |\n| 1 | 2 |"),
        ("Variant Rain Haze\nOurs 31.33 44.45\nBase 34.48 46", "Variant Rain Haze\nOurs 31.33 44.45\nBase 34.48 46"),
        ("Report Issue\n\nPrints.", "Prints."),
        (r"a policy \pi_{\theta} acts", r"a policy $\pi_{\theta}$ acts"),
        (r"acts (\sigma_{k}=2\sigma), so N_{k}\geq 10.", r"acts $(\sigma_{k}=2\sigma)$, so $N_{k}\geq 10$."),
        (r"J(\theta)=\log p(x),(1)", r"$J(\theta)=\log p(x)$, (1)"),
        (r"\theta and \phi are a pair {of_{", r"$\theta$ and $\phi$ are a pair {of_{"),
    ],
)  # fmt: skip
def test_paragraphs_are_plain_text(content: str, text: str):
    assert added(content) == text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            r"the encoder E img subscript 𝐸 img E_{\text{img}}italic_E start_POSTSUBSCRIPT img end_POSTSUBSCRIPT, then",
            r"the encoder $E_{\text{img}}$, then",
        ),
        (r"and attention A 𝐴 A italic_A, with", "and attention $A$, with"),
        (r"faster by 8×8\times 8 × with", "faster by 8× with"),
        (
            (
                r"O=D(F M,P).𝑂 𝐷 subscript 𝐹 𝑀 𝑃 O=D(F_{M},P).italic_O = italic_D ( italic_F start_POSTSUBSCRIPT"
                r" italic_M end_POSTSUBSCRIPT , italic_P ) ."
            ),
            r"$O=D(F_{M},P).$",
        ),
        (
            (
                r"feature F∈ℛ C×H 𝐹 superscript ℛ 𝐶 𝐻 F\in\mathcal{R}^{C\times H}italic_F ∈ caligraphic_R"
                r" start_POSTSUPERSCRIPT italic_C × italic_H end_POSTSUPERSCRIPT, where"
            ),
            r"feature $F\in\mathcal{R}^{C\times H}$, where",
        ),
        (r"where C=64 𝐶=64 C\text{ = }64 italic_C = 64, and", r"where $C\text{ = }64$, and"),
        ("by 0.9 𝒥\\mathcal{J}caligraphic_J more", r"by 0.9 $\mathcal{J}$ more"),
    ],
)
def test_a_formula_that_is_said_three_times_is_said_once(content: str, text: str):
    assert added(content) == text


PLAIN = f"""{HEAD}arXiv is now an independent nonprofit!
Back to arXiv
Why HTML?
Report Issue
Abstract
1Introduction
2Method
3Results
References
AMore Prints
License: CC BY 4.0
arXiv:{ID}v2 [cs.CV] 20 Feb 2026
 Second Prints
Maud Verhoeven
Abstract

We print twice, in \n3\n,\n222\n runs.

Figure 1:The press.
1Introduction

{PROSE}

2Method
2.1Training

{PROSE}

A set of \n𝑅\n∈\n{{\nmin\n,\nmax\n}}\n prints.

3Results

{PROSE}

References
A. Bakker. On Prints.
AMore Prints

{PROSE}
A.1Late Ones

Twelve.
"""


def test_plain_text_of_a_page_is_read_by_its_contents():
    full_text = read(PLAIN)
    both = (*full_text.sections, *full_text.appendix)

    assert full_text.arxiv_id == ArxivId(ID, 2)
    assert [f"{section.number}|{section.title}" for section in both] == [
        "|Abstract",
        "1|Introduction",
        "2|Method",
        "2.1|Training",
        "3|Results",
        "A|More Prints",
        "A.1|Late Ones",
    ]
    assert full_text.sections[0].text == "We print twice, in 3,222 runs."
    assert full_text.sections[1].figures[0].label == "Figure 1"
    assert full_text.sections[3].text.endswith("A set of 𝑅∈{min,max} prints.")
    assert "Bakker" not in "".join(section.text for section in both)


PIECES = (
    "[",
    "![](",
    "*",
    "_a ",
    "\\a{",
    "italic_x ",
    "start_POSTSUBSCRIPT ",
    "# \n",
    "| ",
    "a\n",
    "$",
    "E_{a",
    "\\a ",
    "\\",
)


@pytest.mark.parametrize("content", [piece * 50_000 for piece in PIECES], ids=lambda content: content[:10])
def test_hostile_text_ends_soon(content: str):
    began = time.monotonic()

    assert len(read(paper(content)).sections) >= 5
    assert time.monotonic() - began < 5


@given(st.text(st.sampled_from("ab 1.\\{}_^$*[]()!#|\n\t-•𝐸×"), max_size=300) | st.text(max_size=60))
def test_any_text_in_a_paper_is_read(content: str):
    assert read(paper(content)).sections[0].text == "We print twice."


@given(st.text(max_size=300))
def test_any_text_is_a_paper_or_refused(content: str):
    with pytest.raises(UnreadableError):
        read(content)
