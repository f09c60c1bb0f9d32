"""What all readers of full texts agree on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.models import ArxivId, Basis, FullText
from bot.sources.fulltext import sections
from bot.sources.fulltext.sections import Part, UnreadableError, assembled, dropped, numbered

PROSE = "We restore the photographs of the fourth series. " * 60
ID = ArxivId("2602.98765")


def made(*titles: str, **options: bool) -> FullText:
    return assembled(ID, Basis.PDF, "We print.", [Part(title, (PROSE,)) for title in titles], **options)


def outline(*titles: str) -> tuple[list[str], list[str]]:
    """ "number|title" of the sections that are kept, and of the appendix."""
    full_text = made("1 Introduction", "2 Method", "3 Results", *titles)
    kept, appendix = (
        [f"{section.number}|{section.title}" for section in part] for part in (full_text.sections, full_text.appendix)
    )
    assert kept[:4] == ["|Abstract", "1|Introduction", "2|Method", "3|Results"]
    return kept[4:], appendix


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("3 Method", ("3", "Method")),
        ("3. Method", ("3", "Method")),
        ("3.2 Training", ("3.2", "Training")),
        ("4.1.2. Masks", ("4.1.2", "Masks")),
        ("A.1 Proofs", ("A.1", "Proofs")),
        ("A. Proofs", ("A", "Proofs")),
        ("IV. RESULTS", ("IV", "RESULTS")),
        ("IV-B Ablations", ("IV-B", "Ablations")),
        ("III-A2 Masks", ("III-A2", "Masks")),
        ("Appendix B Details", ("B", "Details")),
        ("Appendix B: Details", ("B", "Details")),
        ("Appendix B", ("B", "Appendix B")),
        ("Appendix", ("", "Appendix")),
        ("2 方法", ("2", "方法")),
        ("Method", ("", "Method")),
        ("A Survey of Rain", ("", "A Survey of Rain")),
        ("I Think of Rain", ("", "I Think of Rain")),
        ("3D Gaussian Splatting", ("", "3D Gaussian Splatting")),
        ("2602.19089", ("", "2602.19089")),
        ("3.2", ("", "3.2")),
        ("Mixtures", ("", "Mixtures")),
        ("", ("", "")),
    ],
)
def test_a_headings_number_is_told_from_its_title(title: str, expected: tuple[str, str]):
    assert numbered(title) == expected


@pytest.mark.parametrize(
    "title",
    [
        "References", "REFERENCES", "Bibliography", "References and Notes", "参考文献", "Acknowledgements",
        "Acknowledgment", "Acknowledgments.", "Acknowledgments and Disclosure of Funding", "Funding", "致谢",
        "Author Contributions", "Competing interests", "Conflict of Interest", "NeurIPS Paper Checklist", "Checklist",
        "Reproducibility Checklist", "CRediT author contributions", "Contributions and Acknowledgments",
    ],
)  # fmt: skip
def test_what_no_reader_needs_is_known_by_its_heading(title: str):
    assert dropped(title)


@pytest.mark.parametrize(
    "title",
    [
        "Reference-Guided Restoration",
        "Limitations",
        "Contributions",
        "Ethics Statement",
        "Checklist Attention",
        "Method",
        "",
    ],
)
def test_what_resembles_it_is_kept(title: str):
    assert not dropped(title)


def test_references_go_with_their_subsections():
    assert outline("4 References", "4.1 Books", "4.2 Papers", "5 Conclusion") == (["5|Conclusion"], [])


def test_behind_the_references_comes_the_appendix():
    assert outline("References", "More Results", "Videos") == ([], ["|More Results", "|Videos"])


def test_methods_behind_the_references_are_none():
    assert outline("References", "Methods", "Extended Data") == (["|Methods"], ["|Extended Data"])


def test_an_appendix_begins_with_its_name_or_its_letter():
    assert outline("Appendix", "Proofs") == ([], ["|Appendix", "|Proofs"])
    assert outline("Supplementary Material", "Proofs") == ([], ["|Supplementary Material", "|Proofs"])
    assert outline("附录", "证明") == ([], ["|附录", "|证明"])
    assert outline("Appendix A Proofs", "Appendix B Prints") == ([], ["A|Proofs", "B|Prints"])
    assert outline("A. Proofs", "A.1 First") == ([], ["A|Proofs", "A.1|First"])


def test_a_letter_alone_is_a_number_in_company():
    assert outline("A Proofs", "B Prints") == ([], ["A|Proofs", "B|Prints"])
    assert outline("A Proofs", "A.1 First", "C Nothing") == ([], ["A|Proofs", "A.1|First", "|C Nothing"])
    assert outline("References", "A Proofs") == ([], ["A|Proofs"])


def test_an_article_is_no_number():
    assert outline("A Survey of Rain", "4 Conclusion") == (["|A Survey of Rain", "4|Conclusion"], [])
    assert outline("U Net", "X Ray Images", "4 Conclusion") == (["|U Net", "|X Ray Images", "4|Conclusion"], [])


def test_roman_numbers_and_the_letters_below_them_are_sections():
    full_text = made(
        "I Introduction", "II Method", "A. Masks", "B. Training", "III. RESULTS", "IV-A Ablations", "References"
    )

    assert [section.number for section in full_text.sections] == ["", "I", "II", "A", "B", "III", "IV-A"]
    assert full_text.appendix == ()


def test_a_checklist_goes_with_its_questions_but_not_with_the_appendix():
    assert outline("References", "NeurIPS Paper Checklist", "1. Claims", "2. Limitations", "Appendix A Proofs") == (
        [],
        ["A|Proofs"],
    )


def test_the_formats_own_numbers_and_appendix_count():
    parts = [Part("Introduction", (PROSE,), "1"), Part("A Survey", (PROSE,), "2"), Part("End", (PROSE,), "3")]
    parts += [Part("Proofs", (PROSE,), "A", "A1", appendix=True), Part("Notes", (PROSE,))]
    full_text = assembled(ID, Basis.HTML, "We print.", parts, suspicious=True)

    assert [(section.number, section.title) for section in full_text.sections[1:]] == [
        ("1", "Introduction"),
        ("2", "A Survey"),
        ("3", "End"),
    ]
    assert [(section.id, section.anchor) for section in full_text.appendix] == [("S4", "A1"), ("S5", "")]
    assert full_text.suspicious


def test_ids_run_on_from_the_abstract():
    full_text = made("1 Introduction", "2 Method", "References", "3 Results", "Appendix")

    assert [section.id for section in (*full_text.sections, *full_text.appendix)] == ["S0", "S1", "S2", "S3", "S4"]
    assert full_text.sections[0].text == "We print."


def test_too_few_headings_or_too_little_text_are_no_paper():
    with pytest.raises(UnreadableError):
        made("1 Introduction", "2 Method", "References")
    with pytest.raises(UnreadableError):
        assembled(ID, Basis.PDF, PROSE * 3, [Part(title, ("Short.",)) for title in ["One", "Two", "Three", "Four"]])


def test_an_endless_paper_ends():
    parts = [Part(f"{number} Prints", (PROSE,) * 60) for number in range(1, 5)]
    lengths = [len(section.text) for section in assembled(ID, Basis.PDF, "", parts).sections[1:]]

    assert lengths[0] == lengths[1] > 0
    assert 0 < lengths[2] < lengths[1]
    assert lengths[3] == 0
    assert sum(lengths) <= sections.MOST_CHARACTERS
    assert len(assembled(ID, Basis.PDF, "", [Part("Prints", (PROSE,))] * 1_000).sections) == sections.MOST_SECTIONS + 1


@given(st.lists(st.text("AB.1 IVXa参考文献References", max_size=12), max_size=12))
def test_any_headings_are_sections_or_refused(titles: list[str]):
    try:
        full_text = made(*titles)
    except UnreadableError:
        return
    both = (*full_text.sections, *full_text.appendix)
    assert [section.id for section in both] == [f"S{index}" for index in range(len(both))]
