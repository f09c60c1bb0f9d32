"""Which sentences of a whole paper stand for it: the papers here are invented, none of their results exists."""

import re
import time
from collections.abc import Mapping

import pytest

from bot import texts
from bot.analysis.extractive import ExtractiveAnalyst
from bot.analysis.extractive.excerpts import Excerpt, excerpts
from bot.analysis.extractive.prose import flaws, quotable
from bot.analysis.extractive.words import sentences
from bot.analysis.extractive.zones import Zone, zones
from bot.interfaces import Brief
from bot.models import ArxivId, Basis, FullText, Meter, Section
from bot.sources.fulltext import latexml
from tests.fakes import SHARED_DATA, a_paper, a_profile

INTERESTS = ("Image Restoration", "Diffusion")
LISTED = (
    "LampFlow, a flow-matching network that removes lens flare in two steps and needs no mask of the flare.",
    "A pairing loss that ties the flare to the lamp that causes it, so that lamps are kept and only flare is removed.",
    "A set of 4,200 night photographs with flare, taken with three phones, of which 600 are for testing.",
)
PAPER = (
    ("", "Abstract", ((
        "Night photographs suffer from lens flare. Existing methods remove the lamp together with its flare. "
        "We propose LampFlow, a flow-matching network that removes flare in two steps and keeps the lamp. "
        "On NightLens it improves PSNR by 1.9 dB over the best earlier network."
    ),)),
    ("1", "Introduction", (
        "Lens flare spoils night photographs, and users delete such photographs. Zhou et al. propose a mask network.",
        "Our contributions are as follows:",
        *LISTED,
        "The remainder of this paper is organized as follows: Section 2 is on related work, Section 3 on the method.",
    )),
    ("2", "Related Work", (
        "Rivera et al. [4] propose an encoder that consists of five blocks and improves PSNR by 7.7 dB on NightLens.",
    )),
    ("2.1", "Limitations of Earlier Methods", ("Our survey of masks shows that they cannot handle two lamps.",)),
    ("3", "The LampFlow Network", ()),
    ("3.1", "Preliminaries", (
        "Flow matching trains a network that maps noise to images along straight lines of an ordinary equation.",
    )),
    ("3.2", "Flow Network", (
        "Flare is difficult to model, and earlier networks with a mask suffer from that.",
        "LampFlow consists of a lamp encoder with four blocks and a flow network that predicts the flare-free image.",
        "It takes the photograph as input. This is computed once for each photograph and then is shared by both steps.",
        "$$v_{\\theta}(x_t, t) = \\mathbb{E}[x_1 - x_0 \\mid x_t]. \\quad (3)$$",
        "Figure 2: LampFlow consists of an encoder and a decoder. The encoder of the network is shown in blue.",
    )),
    ("3.3", "Pairing Loss", (
        "The pairing loss compares each lamp with the flare around it and is computed in windows, cf. Eq. (4), Fig. 3.",
        "At inference, the flow network performs two Euler steps, i.e. two evaluations of the network.",
    )),
    ("4", "Experiments", (
        "We train on NightLens with a batch size of 32 and a learning rate of 0.0002 for 90 epochs.",
    )),
    ("4.1", "Comparison", (
        "| Model | PSNR |\n|---|---|\n| MaskNet | 24.1 |\n| LampFlow | 26.0 |",
        "Table 1: LampFlow achieves 26.0 dB. It outperforms MaskNet by 1.9 dB on NightLens.",
        "LampFlow reaches 26.0 dB PSNR on NightLens, where MaskNet [12], the best earlier network, reaches 24.1 dB.",
        "As can be seen, the results of our method are better than those of the others in many of the photographs.",
    )),
    ("4.2", "Ablation", (
        "Without the pairing loss, PSNR on NightLens drops from 26.0 to 24.6 dB.",
        "LampFlow has 11.2M parameters and takes 38 ms for a photograph, 4.1 times faster than MaskNet.",
    )),
    ("5", "Discussion and Limitations", (
        "Our method fails when lamps stand outside the frame, for the encoder then finds nothing to pair with flare.",
        "All photographs were taken with three phones; other lenses give other flare, which we did not test.",
        "Existing methods share these limits.",
    )),
    ("6", "Conclusion", ("We plan to extend LampFlow to video in the future.",)),
)  # fmt: skip
BEHIND = (("A", "More Results", ("Our method cannot remove flare from raw photographs of the sun.",)),)


def section(index: int, number: str, title: str, paragraphs: tuple[str, ...]) -> Section:
    return Section(f"S{index}", number, title, "\n\n".join(paragraphs))


MAIN = tuple(section(index, *part) for index, part in enumerate(PAPER))
APPENDIX = tuple(section(len(MAIN) + index, *part) for index, part in enumerate(BEHIND))
BY_TITLE = {one.title: one.id for one in (*MAIN, *APPENDIX)}


def chosen(*sections: Section, behind: tuple[Section, ...] = ()) -> Mapping[str, tuple[Excerpt, ...]]:
    return excerpts((*sections, *behind), Basis.HTML, INTERESTS, {one.id for one in behind})


def said(found: Mapping[str, tuple[Excerpt, ...]], heading: str) -> list[str]:
    return [one.text for one in found.get(heading, ())]


def method(*said: str) -> Section:
    return Section("S1", "1", "Method", "\n\n".join(said))


WHOLE = chosen(*MAIN, behind=APPENDIX)


# --- where ---


def test_sections_are_places_to_look_by_title_part_and_position():
    found = zones((*MAIN, *APPENDIX), {one.id for one in APPENDIX})
    assert [found[one.id] for one in (*MAIN, *APPENDIX)] == [
        Zone.ABSTRACT, Zone.INTRODUCTION, Zone.NEVER, Zone.NEVER, Zone.METHOD, Zone.GROUNDWORK, Zone.METHOD,
        Zone.METHOD, Zone.EVIDENCE, Zone.EVIDENCE, Zone.EVIDENCE, Zone.MIXED, Zone.CLOSING, Zone.APPENDIX,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("title", "zone"),
    [
        ("Limitations", Zone.LIMITED),
        ("Limitations of Our Method", Zone.LIMITED),
        ("Limitations of Diffusion Models", Zone.NEVER),
        ("Conclusion and Limitations", Zone.MIXED),
        ("Motivation", Zone.GROUNDWORK),
        ("Problem Statement", Zone.GROUNDWORK),
        ("Acknowledgements", Zone.NEVER),
    ],
)
def test_a_title_tells_whose_limits_and_whose_work_it_is(title: str, zone: Zone):
    sections = (MAIN[0], MAIN[1], Section("S2", "2", title, "Text."), Section("S3", "3", "Experiments", "Text."))
    assert zones(sections, ())["S2"] is zone


def test_no_sentence_comes_from_related_work_groundwork_or_the_appendix():
    places = {one.section for found in WHOLE.values() for one in found}
    unwanted = ("Related Work", "Limitations of Earlier Methods", "Preliminaries", "More Results")
    assert not places & {BY_TITLE[title] for title in unwanted}


def test_every_sentence_is_a_span_of_the_section_that_is_named():
    by_id = {one.id: one.text for one in MAIN}
    assert all(one.text in by_id[one.section] for found in WHOLE.values() for one in found)


# --- what ---


def test_the_contribution_is_announced_once_and_listed():
    found = said(WHOLE, "contribution")
    assert found[0].startswith("We propose LampFlow") or found[0] == LISTED[0]
    assert LISTED[1] in found
    assert not any("remainder" in text for text in found)
    assert sum("removes" in text for text in found if "LampFlow" in text) == 1


def test_the_method_is_told_in_steps_and_not_by_its_motives():
    found = said(WHOLE, "method")
    assert [text.split()[0] for text in found] == ["LampFlow", "The", "At"]
    assert [sorted(one.facets) for one in WHOLE["method"]] == [["structure"], ["objective"], ["inference"]]


def test_results_are_those_with_figures_in_prose():
    found = said(WHOLE, "takeaways")
    assert found[0].startswith("LampFlow reaches 26.0 dB")
    assert "Without the pairing loss, PSNR on NightLens drops from 26.0 to 24.6 dB." in found
    assert any("11.2M parameters" in text for text in found)
    assert not any(
        "batch size" in text or "As can be seen" in text or text.startswith(("Table", "It ")) for text in found
    )


def test_limits_are_the_papers_own_admissions_and_what_it_leaves_for_later():
    found = said(WHOLE, "limitations")
    assert found[0].startswith("Our method fails when lamps stand outside")
    assert any("which we did not test" in text for text in found)
    assert not any("Existing" in text or "masks" in text for text in found)


def test_a_paper_without_limits_of_its_own_shows_what_it_leaves_for_later():
    closing = tuple(one for one in MAIN if "Limitations" not in one.title)
    (one,) = chosen(*closing)["limitations"]
    assert (one.text, sorted(one.facets)) == ("We plan to extend LampFlow to video in the future.", ["future"])


def test_limits_in_an_appendix_count_where_they_have_a_section_there():
    behind = (Section("S20", "B", "Limitations", "Our method cannot remove flare from raw photographs of the sun."),)
    assert [one.section for one in chosen(*MAIN[:11], behind=behind)["limitations"]] == ["S20"]


def test_the_appendix_is_quoted_where_the_main_text_has_nothing():
    behind = (
        Section("S2", "A", "Details", "The decoder consists of four blocks and is trained with a loss on edges."),
    )
    found = chosen(Section("S0", "", "Abstract", ""), Section("S1", "1", "Findings", "Nothing."), behind=behind)
    assert [one.section for one in found["method"]] == ["S2"]


def test_a_heading_has_few_sentences_and_none_says_what_another_says():
    assert all(len(found) <= 5 for found in WHOLE.values())
    everything = [one.text for found in WHOLE.values() for one in found]
    assert len(set(everything)) == len(everything)


# --- how well a sentence stands alone ---


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        ("It consists of an encoder with four blocks.", "LampFlow consists of an encoder with four blocks."),
        ("This is computed by the encoder for each lamp.", "The mask is computed by the encoder for each lamp."),
        ("However, this module encodes each lamp in turn.", "The lamp module encodes each lamp in turn."),
        ("After this step, the decoder predicts each pixel.", "After the first step, the decoder predicts each pixel."),
        ("The encoder [3, 5] is based on MaskNet [7] and HazeNet [8].", "The encoder is based on MaskNet and HazeNet."),
        (
            "The encoder is Zi = Conv(Zi−1) + Z , (6) based on blocks.",
            "The encoder is based on blocks of convolutions.",
        ),
        (
            "The blocks of the encoder are shown in Table 7 in full.",
            "The blocks of the encoder are listed here in full.",
        ),
        (
            "The encoder has four blocks. tively large images of lamps.",
            "The encoder has four blocks for large images of lamps.",
        ),
        (
            f"The encoder has {'many and many and ' * 16}many blocks.",
            "The encoder has many blocks with many weights and few activations.",
        ),
        (
            "The loss is $$\\sum_{i=1}^{N} \\lVert x_i - y_i \\rVert_2^2 + \\lambda$$ here for each of the pixels.",
            "The loss is a sum over pixels and edges here.",
        ),
    ],
)
def test_a_sentence_that_needs_its_neighbours_or_is_damaged_stands_back(worse: str, better: str):
    assert flaws(worse) > flaws(better)
    assert said(chosen(method(worse, better)), "method")[0] == better


def test_a_sentence_about_this_paper_does_not_point_back():
    assert flaws("This paper presents a network for the lamps of night photographs.") == 0
    assert flaws("In this work we train a network for the lamps of night photographs.") == 0


def test_a_sentence_with_flaws_is_better_than_none():
    assert said(chosen(method("It consists of an encoder with four blocks.")), "method") != []


def test_a_section_without_a_title_is_quoted_as_well():
    sentence = "The flow network consists of four blocks and is shared by both steps."
    assert [one.text for one in chosen(Section("S1", "", "", sentence))["method"]] == [sentence]


# --- what can be quoted at all ---


def shown(text: str) -> list[str]:
    return [sentence.text for sentence in quotable(text) if sentence.shown]


def test_tables_captions_and_formulas_are_not_prose():
    assert shown("| Model | The best of all the networks reaches 26 dB. |\n|---|---|") == []
    assert shown("Figure 3. The encoder of the network. It is drawn from left to right in blue.") == []
    assert shown("Table 2: Results on NightLens in all of the settings that we tried.") == []
    assert shown("$$a = b + c + d + e + f + g + h + i + j + k + l + m + n + o + p + q + r.$$") == []
    assert shown("Is the encoder with four blocks better than the other one?") == []


@pytest.mark.parametrize("debris", ["[12] ", "[3, 5] ", "• ", "(1) ", "ii) ", "- ", "4"])
def test_what_a_reader_left_at_the_beginning_of_a_sentence_is_not_quoted(debris: str):
    sentence = "The network is trained with a loss on pixels and on edges."
    assert shown(debris + sentence) == [sentence]


def test_names_with_digits_are_no_debris():
    sentence = "3D Gaussians are trained with a loss on pixels and on edges."
    assert shown(sentence) == [sentence]


@pytest.mark.parametrize(
    "sentence",
    [
        "The window, see Fig. 3 and Eq. (2) of Sec. 3.2, has 0.5 of the size, i.e. RegNet et al. [5] halve it.",
        "The loss is $a. B$ and w.r.t. Tab. 2 it is cf. Suppl. Sec. 4 much smaller.",
        "As J. Doe and Smith et al. Their names aside show, the mask of the U.S. Army is wet.",
    ],
)
def test_dots_inside_a_sentence_do_not_end_it(sentence: str):
    assert sentences(f"{sentence} Next comes another.") == (sentence, "Next comes another.")


@pytest.mark.parametrize(
    "text",
    [
        "It equals $x.$|We go on.",
        "The loss has window size M.|We go on.",
        "We build it like DeiT-B.|We go on.",
        "We do masks.|• We do lamps.",
        "It is in Section 3.2.|The next is not.",
    ],
)
def test_sentences_end_before_bullets_and_behind_formulas_and_letters(text: str):
    wanted = text.split("|")
    assert list(sentences(" ".join(wanted)))[-1] == wanted[-1]


# --- through the analyst ---


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_a_point_says_what_its_sentence_is_about(language: str):
    full_text = FullText(ArxivId("2602.00001"), Basis.HTML, MAIN, APPENDIX)
    dive = await ExtractiveAnalyst().deep_dive(a_paper(), full_text, Brief(a_profile(), language, Meter()))
    words = texts.load(language)
    told = {point.text.partition("“")[0] for one in dive.sections for point in one.points}
    wanted = ("method_structure", "method_objective", "method_inference", "takeaways_ablation", "takeaways_cost")
    assert {words(f"extractive.{key}", sentence="").partition("“")[0] for key in wanted} <= told


async def test_the_same_paper_always_gives_the_same_sentences():
    assert chosen(*MAIN, behind=APPENDIX) == WHOLE


def seconds(*sections: Section) -> float:
    start = time.process_time()  # what other processes take does not count
    chosen(*sections)
    return time.process_time() - start


def test_a_long_paper_takes_a_fraction_of_a_second():
    long = tuple(
        Section(f"S{n}", str(n + 1), one.title, re.sub(r"\bLampFlow\b", f"LampFlow{n}", one.text) * 7)
        for n, one in enumerate(MAIN * 4)
    )
    assert 60_000 < sum(len(one.text) for one in long) < 120_000
    assert (
        min(seconds(*long) for _ in range(3)) < 0.4
    )  # 0.1 on a quiet machine, half as much again where coverage is measured


@pytest.mark.parametrize(
    "piece", ["e.g. A ", "$x$. A ", "$", "a. ", "(", "| ", "We propose ", "[1] ", "• ", "no end ", "It is. ", "\n\n"]
)
def test_a_text_made_to_be_slow_is_not(piece: str):
    assert min(seconds(method(piece * (60_000 // len(piece)))) for _ in range(2)) < 1.0


# --- real papers ---


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("page", "telling"),
    [
        (
            "1706.03762v7.html",
            {
                "contribution": ("based solely on attention",),
                "method": ("encoder and decoder", "feed-forward network"),
                "takeaways": ("28.4", "41.0", "0.9 BLEU worse"),
                "limitations": ("We plan to extend",),
            },
        ),
        (
            "2310.06825.latexml-0.8.7.html",
            {
                "contribution": ("We introduce Mistral 7B",),
                "method": ("SWA exploits", "rolling buffer cache"),
                "takeaways": ("surpasses Llama 2 13B", "limited parameter count"),
            },
        ),
    ],
)
def test_a_real_paper_is_told_in_its_own_key_sentences(page: str, telling: Mapping[str, tuple[str, ...]]):
    full_text = latexml.read((SHARED_DATA / "arxiv_html" / page).read_bytes(), ArxivId.parse(page[:10]))
    sections = (*full_text.sections, *full_text.appendix)
    found = excerpts(sections, full_text.basis, INTERESTS, {one.id for one in full_text.appendix})
    by_id = {one.id: one.text for one in sections}
    assert set(found) == set(telling)
    assert all(one.text in by_id[one.section] for chosen in found.values() for one in chosen)
    for heading, words in telling.items():
        assert [word for word in words if not any(word in text for text in said(found, heading))] == []
