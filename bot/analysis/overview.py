"""Which figure shows how the whole paper works: chosen by what its caption says and where it stands. Pure.

The choice heads a deep dive, so a wrong figure is worse than none: what is not clearly the overview is not it.
"""

import re
from collections.abc import Iterator, Sequence
from enum import IntEnum

from bot.models import Figure, Section

HEAD = 160  # characters of a caption that say what the figure is; what follows describes its parts
ENOUGH = 3  # points; a caption that names an overview outright, or a likely one in a likely place
OUTRIGHT, LIKELY, PARTIAL = 3, 2, -2  # points
TITLE_WORDS = 3  # a first sentence of no more words is the figure's title


class _Place(IntEnum):
    """What standing in a section is worth, in points: an introduction shows the idea, a method section the method."""

    GOOD = 1
    NEUTRAL = 0
    POOR = -1


def _pattern(*lines: str) -> re.Pattern[str]:
    """Alternatives, in which a blank stands for blanks."""
    return re.compile("|".join(lines).replace(" ", r"\s+"), re.IGNORECASE)


# What a section is for, by its title; the first that matches holds. None: no overview stands there.
_PLACES: tuple[tuple[re.Pattern[str], _Place | None], ...] = (
    (
        _pattern(
            r"experiment|evaluation|results?\b|ablation|benchmark|\bdata(?:sets?)?\b|analys[ie]s|discussion|conclusion",
            r"limitation|future work|(?:case|user) stud|appendi|supplement|broader impact|ethic|implementation details",
            r"实验|评测|评估|结果|消融|数据集|分析|讨论|结论|局限|附录",
        ),
        None,
    ),
    (_pattern(r"background|preliminar|(?:related|prior) work|literature|预备|背景|相关工作"), _Place.POOR),
    (
        _pattern(
            r"introduction|method|approach|framework|architecture|overview|proposed|\bour\b|\b(?:model|system)\b",
            r"pipeline|formulation|algorithm|design",
            r"引言|绪论|方法|框架|架构|模型|算法|系统|总览",
        ),
        _Place.GOOD,
    ),
)

_THING = (
    r"(?:framework|pipeline|architecture|workflow|flow-?chart|method(?:ology)?|approach|model|system|network|paradigm"
    r"|algorithm|scheme|structure|design|process|procedure)"
)
_OURS = r"(?:our|the proposed|proposed|the (?:overall|full|whole|entire|complete))"
_NAME = r"(?-i:[A-Z][\w-]*[A-Z0-9][\w-]*)"  # RainFlow, GAN, ViT-2
_OUTRIGHT = _pattern(
    r"\boverviews?\b",
    rf"\b(?:overall|whole|entire|full|complete|general|high-level)\b[\w\s-]{{0,24}}\b{_THING}",
    rf"\b(?:illustration|schematic|diagram|depiction|sketch|visualization|description) (?:\w+ )?(?:of|for) {_OURS}\b",
    rf"\b{_THING}s? (?:of|for) (?:{_OURS}\b|{_NAME})",
    rf"^(?:\W*\(a\)\W*)?(?:our|the proposed|proposed) (?:[\w-]+ ){{0,3}}{_THING}\b",
    r"总览|概览|概述|(?:总体|整体)(?:框架|架构|结构|流程|方案)|框架图|流程图|(?:网络|模型|系统|方法)(?:架构|结构|框架)",
    r"(?:本文|所提|我们)[^。，]{0,12}(?:方法|框架|模型|流程|架构)",
)
_LIKELY = _pattern(  # one of the paper's constructions, most often the whole
    r"\b(?:framework|pipeline|architecture|workflow|flow-?chart|schematic)s?\b",
    rf"^(?:\W*\(a\)\W*)?given\b.*\b(?:we|our|{_THING})\b",
    r"\bhow \S+ works?\b",
    r"架构|框架|流程|示意图",
)
_ELSE = _pattern(  # something else, whatever more it says
    r"\bresults?\b|\bcompar|\bversus\b|\bvs\b|\b(?:qual|quant)itative|\bablat|\bfail(?:ures?|ed|s)?\b|\baccurac",
    r"\bperformance\b|\b(?:example|sample|exemplar|dataset|benchmark|statistic|histogram|distribution|curve|plot)s?\b",
    r"\bgaller(?:y|ies)\b|\bannotat|\bcorp(?:us|ora)\b|\battention (?:maps?|weights|heads?)\b|\bt-?sne\b|\bcorrelation",
    r"\bdata (?:collect|curat|construct|generat|process|prepar|engine|synthes|clean|filter)",
    r"\bscal(?:ing|es? with)\b|\btrade-?off|\blatency\b|\bruntime\b|\buser study\b|\bquestionnaire|\binterface\b",
    r"\b(?:existing|previous|prior|conventional|traditional|related|earlier|standard|vanilla|baselines?|competing)\b",
    r"\bevaluat|\bexperiment|\boverviews? of (?:\w+ ){0,2}(?:tasks?|contributions?|applications?|settings?|notation)\b",
    r"\btaxonomy\b|\btimeline\b|\bsurvey|\bmotivation|\bprompt templates?\b|\bscreenshot|\bhuman evaluation\b",
    r"对比|比较|结果|消融|失败|示例|样例|样本|数据集|基准|分布|曲线|统计|现有|以往|传统|可视化",
)
_PARTIAL = _pattern(  # a part ("architecture of the mask encoder."), whose picture is not the paper's
    r"\b(?:module|block|layer|unit|head|branch|encoder|decoder|discriminator|generator|tokenizer|adapter|attention|loss"
    r"|stage|component|sub-?network|cell|sampler|scheduler)s?\b"
    r"(?=\s*(?:[.,:;()]|$|(?:in|of|for|with|used|architecture|structure|design)\b))",
    r"模块|编码器|解码器|注意力|损失|子网络",
)
_CLAUSE_END = re.compile(r"[,:;()，：；]")
_SENTENCE_END = re.compile(r"(?<!\bvs)[.!?](?=\s)|[。！？]")
_CHAPTER = re.compile(r"[0-9]+|[A-Z]+")


def overview(sections: Sequence[Section]) -> Figure | None:
    """The overview among the figures of `sections` (the appendix left out), the first where several look alike."""
    found = [(_worth(figure.caption) + place, figure) for place, figure in _placed(sections) if figure.url]
    best = max((points for points, _ in found), default=0)
    return next(figure for points, figure in found if points == best) if best >= ENOUGH else None


def _placed(sections: Sequence[Section]) -> Iterator[tuple[_Place, Figure]]:
    """The figures that stand where an overview may, each with what its place is worth.

    A subsection stands where its chapter does. A section whose title says nothing ("Rain as a Flow") may be the method
    until the experiments begin.
    """
    titles = {section.number: section.title for section in sections if section.number}
    ended = False
    for section in sections:
        chapter = _CHAPTER.match(section.number)
        place = _place(titles.get(chapter[0], section.title) if chapter else section.title)
        if place is None or (ended and place is _Place.NEUTRAL):
            ended = True
        else:
            yield from ((place, figure) for figure in section.figures)


def _place(title: str) -> _Place | None:
    return next((place for pattern, place in _PLACES if pattern.search(title)), _Place.NEUTRAL)


def _worth(caption: str) -> int:
    """How surely the caption names an overview of the whole, in points."""
    head = _head(" ".join(caption.split()))
    if _ELSE.search(head):
        return 0
    points = OUTRIGHT if _OUTRIGHT.search(head) else LIKELY if _LIKELY.search(head) else 0
    # What it is stands before the first comma, behind an "(a)".
    clause = next((part for part in _CLAUSE_END.split(head) if len(part.strip()) > 1), "")
    return points + PARTIAL if _PARTIAL.search(clause) else points


def _head(caption: str) -> str:
    """The first sentence; the second too, where the first is but a title ("RainFlow. Overview of …")."""
    first, second, *_ = [*(found.end() for found in _SENTENCE_END.finditer(caption)), len(caption), len(caption)]
    titled = len(caption[:first].split()) <= TITLE_WORDS and not _OUTRIGHT.search(caption[:first])
    return caption[: min(second if titled else first, HEAD)]
