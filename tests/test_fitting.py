"""What of a paper a model is given when not all of it fits, and which section is what."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import tokens
from bot.analysis import anatomy, outline
from bot.analysis.anatomy import Kind
from bot.analysis.fitting import GAP, GIANT_TABLE, fit
from bot.analysis.points import Reading, read
from bot.models import ArxivId, Section
from bot.sources.fulltext import latexml
from tests.fakes import SHARED_DATA, a_paper

HEAD = "| Method | PSNR |\n|---|---|"


def prose(topic: str, sentences: int = 4) -> str:
    return " ".join(f"Sentence {n} tells of {topic} and of nothing else." for n in range(1, sentences + 1))


def a_table(rows: int = 4) -> str:
    return "\n".join([HEAD, *(f"| Row {n} | {20 + n}.5 |" for n in range(rows))])


def section(number: int, printed: str, title: str, *paragraphs: str, anchor: str = "") -> Section:
    return Section(f"S{number}", printed, title, "\n\n".join(paragraphs), anchor)


def a_reading(*sections: Section, appendix: tuple[str, ...] = ()) -> Reading:
    return Reading(a_paper(), sections, suspicious=False, appendix=frozenset(appendix))


PAPER = a_reading(
    section(0, "", "Abstract", prose("the abstract")),
    section(1, "1", "Introduction", prose("the introduction"), prose("its second part")),
    section(2, "2", "Related Work", prose("others")),
    section(3, "3", "RainFlow"),
    section(4, "3.1", "Mask network", prose("masks"), prose("masks in detail", 12)),
    section(5, "3.2", "Training", prose("training"), prose("training in detail", 12)),
    section(
        6, "4", "Experiments", prose("the setup"), "Table 1: Results on photographs.", a_table(), prose("results", 9)
    ),
    section(7, "5", "Discussion", prose("meaning")),
    section(8, "6", "Limitations", prose("limits")),
    section(9, "7", "Conclusion", prose("the end")),
    section(10, "A", "More results", prose("more", 20)),
    appendix=("S10",),
)
WHOLE = tokens.at_most(PAPER.laid_out())


def text_of(reading: Reading, section_id: str) -> str:
    return next((section.text for section in reading.sections if section.id == section_id), "")


def paragraphs_of(text: str) -> list[str]:
    return [paragraph for paragraph in re.split(r"\n\s*\n", text.strip()) if paragraph]


def test_a_paper_that_fits_is_given_whole():
    assert fit(PAPER, WHOLE) is PAPER
    assert fit(PAPER, WHOLE).left_out == ()


def test_the_appendix_goes_first_then_related_work_then_the_discussion():
    for limit, lost in (
        (WHOLE - 1, ("S10",)),
        (WHOLE - 300, ("S2", "S10")),
        (WHOLE - 400, ("S2", "S7", "S10")),
    ):
        assert fit(PAPER, limit).left_out == lost


def test_the_method_stays_when_little_more_than_it_fits():
    fitted = fit(PAPER, 900)
    assert [text_of(fitted, one) for one in ("S0", "S4", "S5")] == [text_of(PAPER, one) for one in ("S0", "S4", "S5")]
    assert text_of(fitted, "S1") == text_of(fitted, "S9") == ""
    assert fitted.left_out[-3:] == ("S8", "S9", "S10")


def test_the_abstract_comes_before_everything():
    fitted = fit(PAPER, 110)
    assert [one.id for one in fitted.sections if one.text] == ["S0"]
    assert fitted.left_out == ("S1", "S2", "S4", "S5", "S6", "S7", "S8", "S9", "S10")


def test_sections_of_a_kind_give_their_beginnings_before_any_gives_its_end():
    fitted = fit(PAPER, 330)
    for one, topic in (("S4", "masks"), ("S5", "training")):
        assert prose(topic) in text_of(fitted, one)
        assert text_of(fitted, one).endswith(GAP)


def test_a_paragraph_is_cut_at_a_sentence_and_the_cut_is_marked():
    for limit in range(42, 94):
        text = text_of(fit(PAPER, limit), "S0")
        assert re.fullmatch(r"(?:Sentence \d tells of the abstract and of nothing else\. ?)+\n\n\[…\]", text)


def test_a_table_is_cut_between_rows_and_keeps_its_head():
    reading = a_reading(section(0, "", "Abstract", "One."), section(1, "1", "Results", a_table(40)))
    seen = set()
    for limit in range(40, 400, 7):
        rows = [row for row in text_of(fit(reading, limit), "S1").split("\n") if row.startswith("|")]
        assert rows == a_table(40).split("\n")[: len(rows)]
        assert len(rows) not in (1, 2)
        seen.add(len(rows))
    assert len(seen) > 10


def test_a_sentence_is_not_cut_inside_a_formula():
    text = "The loss is $L = a. B$ in all cases of rain. A second sentence follows it."
    reading = a_reading(section(0, "", "Abstract", text))
    shown = {text_of(fit(reading, limit), "S0").removesuffix(GAP).strip() for limit in range(1, 60)}
    assert all(one.count("$") % 2 == 0 for one in shown)
    assert "The loss is $L = a. B$ in all cases of rain." in shown


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("word " * 400, "word word"),
        ("字" * 900, "字字"),
        ("这是第一句。" * 90, "这是第一句。这是第一句。"),
        ("It costs $5 in all. " * 90, "It costs $5 in all. It costs $5 in all."),
    ],
)
def test_what_has_no_sentences_is_cut_where_it_can_be(text, kept):
    fitted = fit(a_reading(section(0, "", "Abstract", text)), 100)
    assert text_of(fitted, "S0").startswith(kept)
    assert tokens.at_most(fitted.laid_out()) <= 100


def test_a_giant_table_does_not_starve_the_rest():
    giant = a_table(3000)
    assert tokens.at_most(giant) > GIANT_TABLE
    sections = list(PAPER.sections)
    sections[6] = section(6, "4", "Experiments", "Table 1: Everything.", giant, prose("the setup"), prose("results", 9))
    fitted = fit(a_reading(*sections, appendix=("S10",)), WHOLE)
    for one in ("S4", "S5", "S8", "S9"):
        assert text_of(fitted, one) == text_of(PAPER, one)
    experiments = text_of(fitted, "S6")
    assert prose("results", 9) in experiments
    assert "Table 1: Everything." in experiments
    assert "S6" in fitted.left_out


def test_a_small_table_and_its_caption_come_before_long_prose():
    long = [prose(f"finding {n}", 8) for n in range(6)]
    reading = a_reading(
        section(0, "", "Abstract", "One."), section(1, "4", "Results", *long, a_table(), "Table 2: The whole of it.")
    )
    text = text_of(fit(reading, 450), "S1")
    assert text.startswith(long[0])
    assert f"{GAP}\n\n{a_table()}\n\nTable 2: The whole of it." in text


def test_the_headings_around_a_section_come_with_it():
    fitted = fit(PAPER, 250)
    assert "[[S3]] 3 RainFlow\n\n[[S4]] 3.1 Mask network\n" in fitted.laid_out()


def test_bare_headings_fill_what_is_left_and_cost_no_text():
    fitted = fit(PAPER, 900)
    assert "\n\n[[S2]] 2 Related Work\n\n" in fitted.laid_out()
    assert "S2" in fitted.left_out


def test_fitting_what_was_fitted_forgets_nothing_that_was_left_out():
    once = fit(PAPER, 900)
    assert fit(once, 900) is once
    twice = fit(once, 300)
    assert set(once.left_out) < set(twice.left_out)


def test_nothing_fits_into_nothing():
    assert fit(PAPER, 0).sections == ()
    assert fit(PAPER, -5).laid_out() == ""


def test_a_mark_in_a_gap_keeps_quotes_from_reaching_over_it():
    fitted = fit(PAPER, WHOLE - 1)
    assert text_of(fitted, "S10").endswith(f"\n\n{GAP}")
    assert sum(one.text.count(GAP) for one in fitted.sections) == 1


TITLES = (
    "Abstract",
    "Introduction",
    "Related Work",
    "Method",
    "RainFlow",
    "Results",
    "Limitations",
    "Conclusion",
    "讨论",
)
PARAGRAPHS = st.one_of(
    st.integers(1, 9).map(lambda n: prose("rain", n)),
    st.integers(1, 12).map(a_table),
    st.sampled_from(["Table 3: Results.", "$$L = \\sum_i x_i$$", "雨滴被去除。结果更好。", "x" * 60, "Costs $5. Yes."]),
    st.text("ab.$| 雨\n", min_size=1, max_size=40),
)


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    count = draw(st.integers(1, 8))
    sections = [
        section(
            number,
            draw(st.sampled_from(["", str(number), f"{max(1, number - 1)}.1"])),
            draw(st.sampled_from(TITLES)),
            *draw(st.lists(PARAGRAPHS, max_size=4)),
        )
        for number in range(count)
    ]
    behind = draw(st.integers(1, count))
    return a_reading(*sections, appendix=tuple(f"S{n}" for n in range(behind, count)))


@settings(max_examples=150, deadline=None)
@given(readings(), st.integers(0, 600), st.integers(0, 300), st.sets(st.sampled_from(["S0", "S2", "S5", "S9"])))
def test_a_fitted_paper_never_costs_too_much_and_is_the_papers_own(
    reading: Reading, limit: int, more: int, wanted: set[str]
):
    fitted, larger = fit(reading, limit, wanted), fit(reading, limit + more, wanted)
    assert tokens.at_most(fitted.laid_out()) <= max(limit, 0)
    assert fitted == fit(reading, limit, wanted)
    originals = {one.id: one for one in reading.sections}
    ids = list(originals)
    assert [one.id for one in fitted.sections] == [one for one in ids if one in {s.id for s in fitted.sections}]
    for one in fitted.sections:
        rest = originals[one.id].text
        for paragraph in paragraphs_of(one.text):
            if paragraph != GAP:
                assert paragraph in rest
                rest = rest[rest.index(paragraph) + len(paragraph) :]
    short = {one for one in ids if paragraphs_of(text_of(fitted, one)) != paragraphs_of(originals[one].text)}
    assert fitted.left_out == tuple(one for one in ids if one in short)
    for section_id in ids:
        before = [paragraph for paragraph in paragraphs_of(text_of(fitted, section_id)) if paragraph != GAP]
        assert all(paragraph in text_of(larger, section_id) for paragraph in before)


def test_wanted_sections_come_right_behind_the_abstract():
    sections = [section(n, str(n), title, *[prose("rain", 12)] * 3) for n, title in enumerate(TITLES[:6])]
    reading = a_reading(*sections)
    limit = tokens.at_most(reading.laid_out()) // 2
    for wanted in ("S1", "S4", "S5"):
        assert wanted not in fit(reading, limit, {wanted}).left_out
    assert fit(reading, limit, {"S9"}) == fit(reading, limit)


def test_weights_add_up_to_the_upper_estimate():
    text = "We reach 31.4 dB — 雨滴 removed, $x_t$!"
    assert sum(map(tokens.weight, text)) == tokens.weight(text)
    assert tokens.at_most(text) == -(-tokens.weight(text) // tokens.PARTS)
    assert tokens.at_most("") == 0


# --- which section is what ---


@pytest.mark.parametrize(
    "paper",
    [
        {
            "Introduction": "INTRODUCTION",
            "RainFlow": "METHOD",
            "Experiments": "EXPERIMENTS",
            "Conclusion": "CONCLUSION",
        },
        {"Related Work": "RELATED", "Drops": "METHOD", "What rain does": "METHOD", "Ablations": "EXPERIMENTS"},
        {
            "引言": "INTRODUCTION",
            "相关工作": "RELATED",
            "方法": "METHOD",
            "实验": "EXPERIMENTS",
            "局限性": "LIMITATIONS",
        },
        {"Introduction": "INTRODUCTION", "Method": "METHOD", "Comparison with other methods": "EXPERIMENTS"},
        {"Background": "RELATED", "Existing methods": "RELATED", "Conclusion and limitations": "LIMITATIONS"},
        {"Results": "EXPERIMENTS", "Snow": "EXPERIMENTS", "Conclusion": "CONCLUSION", "Epilogue": "OTHER"},
    ],
)
def test_a_section_is_told_by_its_heading_or_by_where_it_stands(paper):
    sections = [section(number, "", title, prose("x")) for number, title in enumerate(["Abstract", *paper])]
    assert [kind.name for kind in anatomy.kinds(sections)] == ["ABSTRACT", *paper.values()]


def test_a_subsection_is_what_the_section_around_it_is():
    sections = (
        section(0, "", "Abstract"),
        section(1, "2", "Related Work"),
        section(2, "2.1", "Methods of deraining"),
        section(3, "3", "RainFlow"),
        section(4, "3.1", "Data"),
        section(5, "IV", "Experiments"),
        section(6, "IV-A", "Network"),
        section(7, "IV-B", "Limitations"),
        section(8, "", "Tests", anchor="S5"),
        section(9, "", "Model size", anchor="S5.SS1"),
    )
    kinds = anatomy.kinds(sections)
    assert kinds[2:5] == (Kind.RELATED, Kind.METHOD, Kind.METHOD)
    assert kinds[6:8] == (Kind.EXPERIMENTS, Kind.LIMITATIONS)
    assert kinds[9] is kinds[8]


def test_the_limits_of_others_are_related_work_and_hide_no_method_behind_them():
    sections = (
        section(0, "", "Abstract"),
        section(1, "2", "Related Work"),
        section(2, "2.1", "Limitations of Earlier Methods"),
        section(3, "3", "LampFlow"),
        section(4, "4", "Experiments"),
    )
    assert anatomy.kinds(sections)[1:] == (Kind.RELATED, Kind.RELATED, Kind.METHOD, Kind.EXPERIMENTS)


def test_limitations_in_an_appendix_are_limitations_and_the_rest_of_it_is_appendix():
    sections = (
        section(0, "", "Abstract"),
        section(1, "A", "Proofs"),
        section(2, "B", "Limitations"),
        section(3, "B.1", "Snow"),
        section(4, "C", "Experiments"),
    )
    kinds = anatomy.kinds(sections, {"S1", "S2", "S3", "S4"})
    assert kinds[1:] == (Kind.APPENDIX, Kind.LIMITATIONS, Kind.LIMITATIONS, Kind.APPENDIX)


def test_without_a_heading_for_experiments_the_section_with_tables_is_them():
    sections = (section(0, "", "Abstract"), section(1, "2", "RainFlow", prose("x")), section(2, "3", "Rain", a_table()))
    assert anatomy.kinds(sections)[1:] == (Kind.METHOD, Kind.EXPERIMENTS)


@pytest.mark.shared_data
@pytest.mark.parametrize("file", sorted((SHARED_DATA / "arxiv_html").glob("*.html")), ids=lambda path: path.name[:10])
def test_a_real_paper_is_told_apart_and_cut_where_it_matters_least(file):
    full_text = latexml.read(file.read_bytes(), ArxivId(file.name[:10]))
    reading = read(a_paper(), full_text)
    kinds = dict(zip(anatomy.kinds(reading.sections, reading.appendix), reading.sections, strict=True))
    assert {Kind.ABSTRACT, Kind.INTRODUCTION, Kind.METHOD, Kind.EXPERIMENTS, Kind.CONCLUSION} <= kinds.keys()
    whole = tokens.at_most(reading.laid_out())
    for limit in (500, whole // 4, whole // 2, whole - 1):
        fitted = fit(reading, limit)
        assert 0.8 * limit < tokens.at_most(fitted.laid_out()) <= limit
        assert text_of(fitted, "S0") == reading.sections[0].text
        assert fitted.left_out


# --- which section a name means ---

NAMED = (
    section(0, "", "Abstract"),
    section(1, "3", "Method"),
    section(2, "3.2", "Mask network"),
    section(3, "4", "Experiments"),
    section(12, "A", "Proofs"),
    section(13, "IV-B", "Roman"),
    section(14, "A.1", "Method"),
)


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("S3", "S3"),
        ("[[S3]]", "S3"),
        ("s3 Experiments", "S3"),
        ("S3.", "S3"),
        ("S12", "S12"),
        ("S3 3.2 Mask network", "S3"),
        ("3.2", "S2"),
        ("§3.2", "S2"),
        ("§ 3.2 Mask network", "S2"),
        ("S3.2", "S2"),
        ("Section 3.2: Mask network", "S2"),
        ("Sec. 3", "S1"),
        ("第3.2节", "S2"),
        ("Appendix A", "S12"),
        ("IV-B", "S13"),
        ("4", "S3"),
        ("S4", "S3"),
        ("Mask  NETWORK", "S2"),
        ("3.2 Mask network", "S2"),
        ("Method", "S1 S14"),
        ("A method", ""),
        ("A.1", "S14"),
        ("A", "S12"),
        ("A Proofs", "S12"),
        ("附录 A", "S12"),
        ("S99", ""),
        ("3.3", ""),
        ("", ""),
        ("A closer look", ""),
    ],
)
def test_a_name_finds_its_section(name, ids):
    assert " ".join(one.id for one in outline.named(name, NAMED)) == ids


def test_a_bare_number_is_an_id_where_the_paper_prints_no_numbers():
    sections = (section(0, "", "Abstract"), section(1, "", "Method"))
    assert outline.named("1", sections) == (sections[1],)


def test_subsections_are_inside_by_number_or_by_place():
    assert outline.is_inside(section(2, "3.1", "x"), section(1, "3", "y"))
    assert outline.is_inside(section(2, "IV-A", "x"), section(1, "IV", "y"))
    assert outline.is_inside(section(2, "", "x", anchor="S3.SS1"), section(1, "", "y", anchor="S3"))
    assert not outline.is_inside(section(2, "31", "x"), section(1, "3", "y"))
    assert not outline.is_inside(section(2, "", "x"), section(1, "", "y"))
