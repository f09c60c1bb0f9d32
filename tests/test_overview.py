"""Which of a paper's figures heads its deep dive: by caption and place, and rather none than a wrong one."""

from itertools import count

import pytest

from bot.analysis.overview import overview
from bot.models import ArxivId, Figure, Section
from bot.sources.fulltext import latexml
from tests.fakes import SHARED_DATA

URL = "https://arxiv.org/html/2602.00001v1/x1.png"
_numbers = count(1)


def figure(caption: str, url: str = URL) -> Figure:
    return Figure(f"Figure {next(_numbers)}", caption, url)


def section(title: str, *figures: Figure, number: str = "") -> Section:
    return Section(f"S{next(_numbers)}", number, title, "text", figures=figures)


def chosen(caption: str, title: str = "3 Method") -> bool:
    number, _, name = title.partition(" ") if title[0].isdigit() else ("", "", title)
    return overview([section(name, figure(caption), number=number)]) is not None


OVERVIEWS = [
    "Overview of RainFlow.",
    "Overview. A mask network finds wet pixels, and a flow model repaints them.",
    "An overview of our two-stage framework, with a mask encoder and a flow decoder.",
    "Method overview: wet pixels are found first and repainted in three steps.",
    "The overall pipeline of the proposed method. (a) Mask network. (b) Results of each step.",
    "Overall architecture of WetNet. Comparison with earlier designs is given in Sec. 4.",
    "The overall framework.",
    "Illustration of the proposed approach.",
    "Schematic illustration of our method.",
    "Illustration of our framework. Left: training. Right: inference.",
    "Our method consists of three steps.",
    "Our proposed DripNet framework.",
    "The proposed rain-aware diffusion model.",
    "The framework of our DropGAN.",
    "Framework of WetFormer, which reads a video in windows.",
    "The Umbrella - model architecture.",
    "Model architecture.",
    "System architecture of the umbrella robot.",
    "Architecture of RainViT-2.",
    "The training pipeline.",
    "Pipeline of our method: segment, mask, flow.",
    "RainFlow. Overview of training (top) and sampling (bottom).",
    "DripNet pipeline. Given a wet photograph, a mask is predicted.",
    "(a) Overview of the network and (b) the flow block.",
    "Given a rainy video, our model predicts a dry one in three steps.",
    "High-level workflow of the agent.",
    "How RainFlow works: drops are found, then painted over.",
    "Network architecture overview of $f_\\theta$.",
    "A schematic of the flow between $x_0$ and $x_1$.",
    "General framework for rain-aware restoration.",
    "The full system.",
    "Block diagram of the proposed network.",
    "Flowchart of our approach.",
    "Overview of the multi-task framework.",
    "所提方法的总体框架。",
    "本文方法的流程图：先定位雨滴，再逐步复原。",
    "RainFlow 框架总览。",
    "我们提出的两阶段复原框架。",
    "网络结构示意图。",
]

OTHERS = [
    "Qualitative results on RainDrop-X.",
    "Qualitative comparison with five earlier methods.",
    "Comparison of our framework with existing pipelines.",
    "Overview of the RainDrop-X dataset.",
    "Overview of the benchmark results.",
    "Overview of existing approaches to deraining.",
    "Data construction pipeline.",
    "The annotation pipeline of our data engine.",
    "Ablation of the flow steps.",
    "Failure cases of our method.",
    "Our method fails on snow.",
    "PSNR versus memory for every model.",
    "Training curves of the full model.",
    "Attention maps of the proposed model.",
    "t-SNE plot of features of our network.",
    "Performance of the whole system under heavy rain.",
    "Accuracy of our approach by drop size.",
    "Examples from RainDrop-X.",
    "Samples drawn from our model.",
    "Distribution of drop sizes.",
    "Architecture of the mask encoder.",
    "Structure of the wet attention block in detail.",
    "The flow module.",
    "Overview of the mask decoder.",
    "Scaled dot-product attention.",
    "Sliding windows over a video.",
    "Motivation of our framework.",
    "Previous pipelines (left) and ours (right).",
    "Taxonomy of rain removal.",
    "A wet umbrella.",
    "Screenshot of the system.",
    "User study interface of the whole system.",
    "Prompt template of our pipeline.",
    "Runtime of the full pipeline.",
    "Overview of the four tasks.",
    "Overview of our contributions.",
    "Overview of the evaluation protocol.",
    "Experimental pipeline of our system.",
    "",
    "与现有方法的对比。",
    "数据集总览。",
    "消融实验结果。",
    "失败案例示例。",
    "掩码编码器的网络结构。",
    "一张雨中的照片。",
]


@pytest.mark.parametrize("caption", OVERVIEWS)
def test_a_caption_that_names_the_whole_is_the_overviews(caption: str):
    assert chosen(caption)


@pytest.mark.parametrize("caption", OTHERS)
def test_a_caption_that_names_anything_else_is_not(caption: str):
    assert not chosen(caption)


@pytest.mark.parametrize(
    ("title", "stands"),
    [
        ("1 Introduction", True),
        ("3 Rain as a Flow", True),
        ("2 Related Work", False),
        ("3 Preliminaries", False),
        ("4 Experiments", False),
        ("5 Results and Discussion", False),
        ("Ablation Studies", False),
        ("The RainDrop-X Dataset", False),
        ("Abstract", True),
        ("引言", True),
        ("方法", True),
        ("实验", False),
    ],
)
def test_an_overview_stands_in_introduction_or_method(title: str, stands: bool):
    assert chosen("Overview of RainFlow.", title) is stands


@pytest.mark.parametrize(("title", "enough"), [("3 Method", True), ("3 Rain as a Flow", False)])
def test_a_caption_that_only_sounds_like_an_overview_needs_a_likely_place(title: str, enough: bool):
    assert chosen("The training pipeline.", title) is enough


def test_a_subsection_stands_where_its_chapter_does():
    method = [section("Method", number="3"), section("Rain Masks", figure("Training pipeline."), number="3.1")]
    experiments = [section("Experiments", number="4"), section("Our Model", figure("Overview."), number="4.2")]
    assert overview(method) is method[1].figures[0]
    assert overview(experiments) is None


def test_after_the_experiments_only_a_method_section_may_still_show_it():
    results = section("Results", number="2")
    assert overview([results, section("Wet Matters", figure("Overview of RainFlow."), number="3")]) is None
    assert overview([results, section("Methods", figure("Overview of RainFlow."), number="3")]) is not None


def test_the_surest_figure_is_taken_and_of_equals_the_first():
    teaser, first, second = (
        figure("A training pipeline."),
        figure("Overview of RainFlow."),
        figure("Overview of the whole system."),
    )
    sections = [section("Introduction", teaser, number="1"), section("Method", first, second, number="2")]
    assert overview(sections) is first


def test_a_figure_that_nobody_could_open_is_none():
    assert overview([section("Method", figure("Overview of RainFlow.", url=""))]) is None
    assert overview([]) is None


@pytest.mark.shared_data
def test_the_transformers_overview_is_its_architecture():
    file = SHARED_DATA / "arxiv_html" / "1706.03762v7.html"
    text = latexml.read(file.read_bytes(), ArxivId("1706.03762", 7))
    found = overview(text.sections)
    assert found is not None
    assert (found.label, found.url) == (
        "Figure 1",
        "https://arxiv.org/html/1706.03762v7/Figures/ModalNet-21.png",
    )
