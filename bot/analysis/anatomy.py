"""What part of a paper a section is: method, experiments, limitations … by its heading, those around it and its place.

Pure. A method's own name is a frequent heading ("RainFlow", "Mask network"), which no list of words knows: such a
section is told by where it stands.
"""

import re
from collections.abc import Collection, Sequence
from enum import IntEnum

from bot.analysis import outline
from bot.models import Section


class Kind(IntEnum):
    """In the order in which a deep dive needs them."""

    ABSTRACT = 0
    METHOD = 1
    EXPERIMENTS = 2
    INTRODUCTION = 3
    LIMITATIONS = 4
    CONCLUSION = 5
    OTHER = 6  # discussion, applications
    RELATED = 7  # other people's work, and what everybody knows
    APPENDIX = 8


# The first that is found in a heading says what the section is.
_WORDS: tuple[tuple[Kind, str], ...] = (
    (Kind.ABSTRACT, r"^(?:abstract|summary)$|^摘\s*要$"),
    (Kind.LIMITATIONS, r"\blimit(?:ation|ing factor|s\b)|\bfailure (?:case|mode|analys)|局限|不足|缺陷|失败案例"),
    (Kind.RELATED, r"\b(?:related|prior|previous|existing) (?:work|research|stud|method|approach|art\b)|\bliterature"),
    (Kind.RELATED, r"相关(?:工作|研究)|研究现状|文献综述"),
    (
        Kind.EXPERIMENTS,
        r"\bexperiment|\bevaluat|\bresults?\b|\bablati|\bcomparison|\bbenchmark|\bimplementation details",
    ),
    (Kind.EXPERIMENTS, r"\bsetup\b|\bempirical|\bquantitative|\bqualitative|\buser stud|\bdatasets?\b|\bmetrics\b"),
    (Kind.EXPERIMENTS, r"\bbaselines\b|\banalys[ei]s\b|实验|评估|评测|结果|消融|对比|数据集|指标|分析"),
    (
        Kind.METHOD,
        r"\bmethod|\bapproach|\bproposed|\bmodel|\barchitectur|\bframework|\balgorithm|\bformulation|\bpipeline",
    ),
    (Kind.METHOD, r"\bnetwork|\btraining\b|\bobjective|\bloss(?:es)?\b|\bdesign\b|\bsystem\b|\bour\b"),
    (Kind.METHOD, r"方法|模型|架构|框架|算法|网络|训练|损失|系统|设计"),
    (Kind.INTRODUCTION, r"\bintroduction|\bmotivation|引言|绪论|前言|简介"),
    (Kind.CONCLUSION, r"\bconclu|\bsummary\b|\bfuture (?:work|direction)|结论|总结|结语|展望"),
    (Kind.RELATED, r"\bbackground|\bpreliminar|\bnotation|背景|预备知识"),
    (Kind.OTHER, r"\bdiscussion|\bapplication|\bimpact|\bethic|讨论|应用|影响"),
)
_HEADINGS = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _WORDS)
_OPENING = frozenset({Kind.ABSTRACT, Kind.INTRODUCTION, Kind.RELATED})
_CLOSING = frozenset({Kind.LIMITATIONS, Kind.CONCLUSION})
_TABLE = re.compile(r"^\|", re.MULTILINE)


def kinds(sections: Sequence[Section], appendix: Collection[str] = ()) -> tuple[Kind, ...]:
    """The kind of each section; `appendix` are the IDs of those behind the main text.

    A subsection is what the section around it is. Limitations are limitations wherever they stand, also in an appendix:
    many venues ask for them there.
    """
    named = tuple(_by_heading(section.title) for section in sections)
    found: list[Kind] = []
    for index, section in enumerate(sections):
        around = [found[at] for at in outline.parents(index, sections)]
        if named[index] is Kind.LIMITATIONS and Kind.RELATED not in around:  # what others cannot do is related work
            found.append(Kind.LIMITATIONS)
        elif section.id in appendix:
            found.append(around[-1] if around else Kind.APPENDIX)
        elif index == 0 and section.id == "S0":
            found.append(Kind.ABSTRACT)
        elif around:
            found.append(around[-1])
        else:
            found.append(named[index] or _by_place(section, found, named))
    return tuple(found)


def _by_heading(title: str) -> Kind | None:
    return next((kind for kind, pattern in _HEADINGS if pattern.search(title.strip())), None)


def _by_place(section: Section, before: Sequence[Kind], named: Sequence[Kind | None]) -> Kind:
    """Between the opening and the experiments a paper tells its method; further on, a section goes on with the last."""
    last = before[-1] if before else Kind.ABSTRACT
    if last in _OPENING:
        return Kind.METHOD
    if last is Kind.METHOD and Kind.EXPERIMENTS not in named and _TABLE.search(section.text):
        return Kind.EXPERIMENTS
    return Kind.OTHER if last in _CLOSING else last
