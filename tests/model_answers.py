"""What the model stand-in answers: plausible, deterministic replies made of the paper text that it was given."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

JSON = dict[str, Any]
_SECTION = re.compile(r"^\[\[(S\d+)\]\][^\S\n]*(.*)$", re.MULTILINE)
_DELIMITER = re.compile(r"^.*\b([0-9a-f]{16})\b.*$", re.MULTILINE)  # a line with the request's random tag
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"(\[])")
_QUESTION = re.compile(r"^(?:Question: |问题：)(.+)$", re.MULTILINE)
_WORD = re.compile(r"[^\W_]{3,}")
_INTEREST = re.compile(r"^- ([^:：\n]+)$", re.MULTILINE)
_KEYS = {"score": "novelty", "deep_dive": "contribution", "answer": "answerable"}
# What is said in the sections of a deep dive, in turn; said twice, it would be a duplicate.
_INFERRED = {
    True: (
        "可以先在自己的数据上复现这一设计，再判断是否值得迁移。",
        "值得把这一步单独换进现有流程，用同样的算力做对照。",
        "如果换成团队自己的退化模型，收益可能会变小，需要先验证。",
        "没有说明训练数据以外的场景，实际使用前应当补测。",
    ),
    False: (
        "Reproducing this design on one's own data first would show whether it carries over.",
        "It may be worth swapping this step alone into an existing pipeline at equal compute.",
        "With the team's own degradation model the gain could shrink; test that before anything else.",
        "Scenes unlike the training data are not covered, so measure those before any use.",
    ),
}
_STATED = {
    True: (
        "文中明确写到这一点，可作为判断依据。",
        "这一步怎样做，原文在此交代得很清楚。",
        "这句话给出了迁移时可以依靠的事实。",
        "作者自己在这里划出了适用范围。",
    ),
    False: (
        "The paper says so in as many words.",
        "How this step is carried out is told here.",
        "A fact that a transfer to other data can build upon.",
        "Here the authors themselves draw the line.",
    ),
}
_REASON = {True: "与关注方向相关，方法可以借鉴。", False: "Close to the team's interests, and the method carries over."}
# Where the points of a deep dive's sections are looked for, by heading; elsewhere in the paper when there is none.
_PLACES: Mapping[str, re.Pattern[str]] = {
    "contribution": re.compile(r"abstract|introduction", re.IGNORECASE),
    "method": re.compile(r"method|approach|network|training", re.IGNORECASE),
    "takeaways": re.compile(r"experiment|result|ablation", re.IGNORECASE),
    "limitations": re.compile(r"limitation|discussion|conclusion", re.IGNORECASE),
}


def plausible(name: str, body: JSON) -> str:
    """A valid reply to the call `name` ("" where the request does not tell: then the prompt's own schema does)."""
    turns = body["messages"]
    text = "\n".join(turn["content"] for turn in turns if turn["role"] == "user")
    chinese = _is_chinese(turns)
    name = name or _named_in_words(turns)
    if name == "score":
        return json.dumps(_score(text, body, chinese=chinese), ensure_ascii=False)
    if name == "deep_dive":
        return json.dumps(_deep_dive(text, body, chinese=chinese), ensure_ascii=False)
    if name == "answer":
        return json.dumps(_answer(text, chinese=chinese), ensure_ascii=False)
    return "OK"


def _named_in_words(turns: Sequence[Mapping[str, str]]) -> str:
    """Where no response format names the call, the schema that stands in the prompt does."""
    words = "\n".join(turn["content"] for turn in turns)
    return next((name for name, key in _KEYS.items() if f'"{key}"' in words), "")


def _is_chinese(turns: Sequence[Mapping[str, str]]) -> bool:
    """Is the reply wanted in Chinese? The system turn's language says so; a paper's own text does not count."""
    system = "".join(turn["content"] for turn in turns if turn["role"] == "system")
    words = system.split("Reply with one JSON object")[0]
    return sum("\u4e00" <= c <= "\u9fff" for c in words) > 10


@dataclass(frozen=True)
class ReadSection:
    """A section as a model finds it in its user turn. `title` has the printed number in front."""

    id: str
    title: str
    sentences: tuple[str, ...]


def sections_of(text: str) -> list[ReadSection]:
    """The sections under `[[S3]] 3.2 Title` lines with sentences; without such a line, the longest is the abstract."""
    paper = _between_delimiters(text)
    marks = list(_SECTION.finditer(paper))
    ends = [*[mark.start() for mark in marks[1:]], len(paper)]
    sections = [
        ReadSection(mark[1], mark[2].strip(), _sentences(paper[mark.end() : end]))
        for mark, end in zip(marks, ends, strict=False)
    ]
    readable = [section for section in sections if section.sentences]
    longest = max(paper.splitlines(), key=len, default="")
    return readable or [ReadSection("S0", "Abstract", _sentences(longest) or ("",))]


def _between_delimiters(text: str) -> str:
    """The paper alone: what stands between the first two lines that carry the same random tag."""
    lines = list(_DELIMITER.finditer(text))
    for opening in lines:
        closing = next((line for line in lines if line.start() > opening.start() and line[1] == opening[1]), None)
        if closing:
            return text[opening.end() : closing.start()]
    return text


def _sentences(text: str) -> tuple[str, ...]:
    """Whole sentences of prose, in order, as they stand: 30 to 300 characters, on one line, mostly letters.

    Table rows, formulas and marks of gaps are none.
    """
    lines = (line for line in text.splitlines() if not line.lstrip().startswith(("|", "$$", "[…]")))
    candidates = (part.strip() for line in lines for part in _SENTENCE.split(line))
    return tuple(part for part in candidates if 30 <= len(part) <= 300 and _is_prose(part))


def _is_prose(text: str) -> bool:
    letters = sum(c.isascii() and (c.isalpha() or c == " ") for c in text)
    return text[-1] in ".!?" and letters > 0.75 * len(text) and "[…]" not in text


def _score(text: str, body: JSON, *, chinese: bool) -> JSON:
    """Sub-scores by a hash of the paper's text, so that the same paper always ranks the same; all are worth reading."""
    abstract = max(text.splitlines(), key=len, default="")
    sentences = _sentences(abstract)
    quote = next((sentence for sentence in sentences if len(sentence) <= 200), abstract[:200].strip())
    seed = crc32(abstract.encode())
    return {
        "quote": quote,
        "reason": _REASON[chinese],
        "matched_interests": _INTEREST.findall(body["messages"][0]["content"])[:1],
        "topic": 6 + seed % 5,
        "method": 5 + seed // 5 % 6,
        "novelty": 5 + seed // 30 % 6,
        "rigor": 5 + seed // 180 % 6,
        "suspicious": False,
    }


def _deep_dive(text: str, body: JSON, *, chinese: bool) -> JSON:
    schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema", {})
    keys = list(schema.get("properties", {})) or ["contribution", "method", "takeaways", "limitations"]
    sections = sections_of(text)
    return {key: _points(sections, key, number, chinese=chinese) for number, key in enumerate(keys)}


def _points(sections: Sequence[ReadSection], key: str, number: int, *, chinese: bool) -> list[JSON]:
    """One point that quotes the paper and one that is inferred; `number` picks the place, so that points differ."""
    fitting = [section for section in sections if key in _PLACES and _PLACES[key].search(section.title)]
    fitting = fitting if len(sections) > len(_PLACES) and fitting else list(sections)
    section = fitting[number % len(fitting)]
    quote = section.sentences[number // len(fitting) % len(section.sentences)]
    stated, inferred = _STATED[chinese], _INFERRED[chinese]
    return [
        {"section": section.id, "quote": quote, "kind": "stated", "text": stated[number % len(stated)]},
        {"section": section.id, "quote": "", "kind": "inferred", "text": inferred[number % len(inferred)]},
    ]


def _answer(text: str, *, chinese: bool) -> JSON:
    """The sentence that has most of the question's longer words; the first one for a question that has none of them.

    An English question of which the paper has no word is not answered.
    """
    sections = sections_of(text)
    question = next(iter(_QUESTION.findall(text)), "")
    sought = {word.casefold() for word in _WORD.findall(question) if word.isascii()}
    told = [
        (len(sought & {word.casefold() for word in _WORD.findall(sentence)}), section.id, sentence)
        for section in sections
        for sentence in section.sentences
    ]
    most = max(count for count, _, _ in told)
    if sought and not most:
        return {"points": [], "answerable": False}
    section_id, quote = next((place, sentence) for count, place, sentence in told if count == most)
    stated = {"section": section_id, "quote": quote, "kind": "stated", "text": _STATED[chinese][0]}
    inferred = {"section": "", "quote": "", "kind": "inferred", "text": _INFERRED[chinese][0]}
    return {"points": [stated, inferred], "answerable": True}
