"""What the model stand-in answers: plausible, deterministic replies made of the paper text that it was given."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

JSON = dict[str, Any]
_SECTION = re.compile(r"^\[\[(S\d+)\]\][^\S\n]*(.*)$", re.MULTILINE)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"(\[])")
_INTEREST = re.compile(r"^- ([^:：\n]+)$", re.MULTILINE)
_KEYS = {"score": "novelty", "deep_dive": "contribution", "answer": "answerable"}
_INFERRED = {
    True: "可以先在自己的数据上复现这一设计，再判断是否值得迁移。",
    False: "Reproducing this design on one's own data first would show whether it carries over.",
}
_STATED = {True: "文中明确写到这一点，可作为判断依据。", False: "The paper says so in as many words."}
_REASON = {True: "与关注方向相关，方法可以借鉴。", False: "Close to the team's interests, and the method carries over."}


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
        return json.dumps(
            {"points": _points(_sections(text), 0, chinese=chinese), "answerable": True}, ensure_ascii=False
        )
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
class _Section:
    id: str
    sentences: tuple[str, ...]


def _sections(text: str) -> list[_Section]:
    """The sections under `[[S3]] title` lines; without any, the longest line is taken for the abstract."""
    marks = list(_SECTION.finditer(text))
    ends = [*[mark.start() for mark in marks[1:]], len(text)]
    sections = (
        [_Section(mark[1], _sentences(text[mark.end() : end])) for mark, end in zip(marks, ends, strict=True)]
        if marks
        else []
    )
    readable = [section for section in sections if section.sentences]
    return readable or [_Section("S0", _sentences(max(text.splitlines(), key=len, default="")) or ("",))]


def _sentences(text: str) -> tuple[str, ...]:
    """Whole sentences of prose, in order, as they stand: 30 to 300 characters, on one line, mostly letters."""
    candidates = (part.strip() for line in text.splitlines() for part in _SENTENCE.split(line))
    return tuple(part for part in candidates if 30 <= len(part) <= 300 and _is_prose(part))


def _is_prose(text: str) -> bool:
    return text[-1] in ".!?" and sum(c.isascii() and (c.isalpha() or c == " ") for c in text) > 0.75 * len(text)


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
    sections = _sections(text)
    return {key: _points(sections, number, chinese=chinese) for number, key in enumerate(keys)}


def _points(sections: Sequence[_Section], number: int, *, chinese: bool) -> list[JSON]:
    """One point that quotes the paper and one that is inferred; `number` picks the place, so that points differ."""
    section = sections[number % len(sections)]
    quote = section.sentences[number // len(sections) % len(section.sentences)]
    return [
        {"section": section.id, "quote": quote, "kind": "stated", "text": _STATED[chinese]},
        {"section": section.id, "quote": "", "kind": "inferred", "text": _INFERRED[chinese]},
    ]
