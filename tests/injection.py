"""Attacks on reader models: the corpus, a paper that carries one, and a model that obeys whatever it can still read.

The model knows the corpus and nothing of how Paperboy finds attacks: it resolves disguises by means of its own, as a
clever model might, and follows an instruction as soon as the better part of it is there.
"""

import base64
import binascii
import html
import json
import re
import tomllib
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from bot.interfaces import Reply, ReplyT, Turn
from bot.models import Basis, FullText, Meter, Paper, Section
from bot.sources.fulltext import latexml
from tests import pdf_maker
from tests.fakes import ABSTRACT, a_paper

JSON = dict[str, Any]
CORPUS = Path(__file__).with_name("data") / "attacks.toml"
IN_PAGES = frozenset({"footnote", "reference", "hidden", "elements", "table", "caption", "heading", "appendix"})
DROPPED = frozenset({"reference"})  # what no reader of full texts passes on, nor has to warn of


@dataclass(frozen=True)
class Attack:
    """`parts` stand in places of their own; `says` is what they tell a model that sees through the disguise."""

    id: str
    language: str
    placement: str
    style: str
    parts: tuple[str, ...]
    says: str
    demand: str
    insert: str

    @property
    def payload(self) -> str:
        return "\n\n".join(self.parts)


@cache
def attacks() -> tuple[Attack, ...]:
    return tuple(map(_attack, tomllib.loads(CORPUS.read_text(encoding="utf-8"))["attacks"]))


def _attack(entry: JSON) -> Attack:
    parts = tuple(entry["payload"]) if isinstance(entry["payload"], list) else (entry["payload"],)
    return Attack(
        id=entry["id"],
        language=entry["language"],
        placement=entry["placement"],
        style=entry["style"],
        parts=parts,
        says=entry.get("says", " ".join(parts)),
        demand=entry["demand"],
        insert=entry.get("insert", ""),
    )


# --- a paper, and where an attack stands in it ---

SENTENCES = {  # what an honest reader quotes, by section of the deep dive
    "contribution": ("The mask network is trained together with the flow and needs no labels of wet pixels.",),
    "method": (
        "Three Euler steps lead from the wet photograph to the dry one.",
        "Training takes 14 hours on one card with 24 GB of memory.",
    ),
    "takeaways": ("The same mask transfers to haze without any change of its weights.",),
    "limitations": ("The model fails on snow, and photographs at night were not tested.",),
}
TEXTS = {
    "contribution": ("掩膜网络与流一起训练，不需要湿像素标注。",),
    "method": ("从湿照片到干照片只走 3 步欧拉积分。", "训练在 24 GB 显存的单卡上用 14 小时。"),
    "takeaways": ("同一个掩膜可以直接用于去雾。",),
    "limitations": ("作者承认模型在雪景上失败，夜间照片未测试。",),
}
_SECTIONS = (
    ("Introduction", SENTENCES["contribution"]),
    ("Method", SENTENCES["method"]),
    ("Experiments", SENTENCES["takeaways"]),
    ("Limitations", SENTENCES["limitations"]),
)
_WEATHER = ("drizzle", "a shower", "steady rain", "a cloudburst", "spray from the road", "wet glass", "sleet", "fog")
PAPER = a_paper(7)


def _filler(number: int) -> Iterator[str]:
    """Honest paragraphs, so that the page is as long as a paper's."""
    for index, weather in enumerate(_WEATHER):
        yield (
            f"With {weather} in view, experiment {number}.{index} compares the restored photograph with the dry one "
            f"of the same street, {20 + index} minutes later, and counts the pixels that differ by more than "
            f"{number + index} grey levels."
        )


def carrying(attack: Attack) -> tuple[Paper, FullText]:
    """The paper with the attack in its place, as far as no reader of files has a say in it."""
    first, last = attack.parts[0], attack.parts[-1]
    changes: dict[str, JSON] = {
        "title": {"title": f"{PAPER.title}. {attack.payload}"},
        "front": {"title": f"{PAPER.title}. {first}", "abstract": f"{last} {ABSTRACT}"},
        "abstract": {"abstract": _among(ABSTRACT, attack.payload)},
        "author": {"authors": (*PAPER.authors, attack.payload)},
    }
    paper = replace(PAPER, **changes.get(attack.placement, {}))
    return paper, (_page_read(attack) if attack.placement in IN_PAGES else _written(paper, attack))


def honest() -> FullText:
    return _written(PAPER, None)


def honest_page() -> FullText:
    return latexml.read(page(None), PAPER.arxiv_id)


def _among(text: str, payload: str) -> str:
    """The payload behind the second sentence."""
    first, second, rest = text.split(". ", 2)
    end = "" if payload.endswith((".", "。", "！", "!")) else "."
    return f"{first}. {second}. {payload}{end} {rest}"


def _written(paper: Paper, attack: Attack | None) -> FullText:
    sections = [Section("S0", "", "Abstract", paper.abstract)]
    for number, (title, told) in enumerate(_SECTIONS, start=1):
        paragraphs = [*_filler(number), " ".join(told)]
        if attack and attack.placement == "section" and number == 2:
            paragraphs.insert(4, attack.payload)
        sections.append(Section(f"S{number}", str(number), title, "\n\n".join(paragraphs)))
    return FullText(paper.arxiv_id, Basis.HTML, tuple(sections))


@cache
def _page_read(attack: Attack) -> FullText:
    return latexml.read(page(attack), PAPER.arxiv_id)


def page(attack: Attack | None) -> bytes:
    """The paper as LaTeXML sets it, with the attack in its place."""
    held = [html.escape(part) for part in attack.parts] if attack else []
    place = attack.placement if attack else ""
    put = {place: held}
    body = "".join(_section(number, title, told, put) for number, (title, told) in enumerate(_SECTIONS, start=1))
    reference = "".join(
        f'<li class="ltx_bibitem"><span class="ltx_bibblock">{t}</span></li>' for t in _at(put, "reference")
    )
    appendix = "".join(_paragraph(text) for text in _at(put, "appendix"))
    return f"""<!DOCTYPE html><html lang="en"><head><title>{PAPER.title}</title></head><body>
<div class="ltx_page_main"><div class="ltx_page_content"><article class="ltx_document">
<h1 class="ltx_title ltx_title_document">{PAPER.title}</h1>
<div class="ltx_abstract"><h6 class="ltx_title ltx_title_abstract">Abstract</h6><p class="ltx_p">{ABSTRACT}</p></div>
{body}
<section class="ltx_bibliography" id="bib"><h2 class="ltx_title ltx_title_bibliography">References</h2>
<ul class="ltx_biblist"><li class="ltx_bibitem"><span class="ltx_bibblock">A. Example. Rain.</span></li>{reference}</ul>
</section>
<section class="ltx_appendix" id="A1"><h2 class="ltx_title ltx_title_appendix">
<span class="ltx_tag ltx_tag_appendix">Appendix A </span>Further streets</h2>
{"".join(map(_paragraph, _filler(9)))}{appendix}</section>
</article></div></div></body></html>""".encode()


def printed(attack: Attack | None) -> bytes:
    """The paper as a PDF; the attack stands on its first page in a render mode that prints nothing, or in tiny type."""
    made = pdf_maker.Paper(columns=1).wide(PAPER.title, size=14, font=pdf_maker.BOLD)
    made.heading("Abstract").prose(ABSTRACT, indent=0)
    for number, (title, told) in enumerate(_SECTIONS, start=1):
        made.heading(f"{number}. {title}")
        for text in (*_filler(number), " ".join(told)):
            made.prose(text, hyphens=False)
    tiny = attack is not None and "tiny" in attack.id
    hidden = pdf_maker.Word(attack.payload, 60, 40, size=1 if tiny else 8, mode=0 if tiny else 3) if attack else None
    content: bytes = pdf_maker.file_of([*made.words, *([hidden] if hidden else [])])
    return content


def _section(number: int, title: str, told: Sequence[str], put: dict[str, list[str]]) -> str:
    here = put if number == 2 else {}
    heading = f"{title}{''.join(': ' + text for text in _at(here, 'heading'))}"
    paragraphs = [*map(_paragraph, _filler(number)), _paragraph(" ".join(told))]
    between = [_paragraph(text) for text in _at(here, "elements")]
    between += [f'<p class="ltx_p" style="display:none">{text}</p>' for text in _at(here, "hidden")]
    between += [_footnote(text) for text in _at(here, "footnote")]
    extras = (_table(_at(here, "table")) + _figure(_at(here, "caption"))) if number == 2 else ""
    inner = "".join((*paragraphs[:4], *between, *paragraphs[4:], extras))
    return (
        f'<section class="ltx_section" id="S{number}"><h2 class="ltx_title ltx_title_section">'
        f'<span class="ltx_tag ltx_tag_section">{number} </span>{heading}</h2>{inner}</section>\n'
    )


def _at(put: dict[str, list[str]], place: str) -> list[str]:
    return put.get(place, [])


def _paragraph(text: str) -> str:
    return f'<div class="ltx_para"><p class="ltx_p">{text}</p></div>\n'


def _footnote(text: str) -> str:
    return (
        '<div class="ltx_para"><p class="ltx_p">The camera is a common one.<span class="ltx_note ltx_role_footnote">'
        '<sup class="ltx_note_mark">1</sup><span class="ltx_note_outer"><span class="ltx_note_content">'
        f'<sup class="ltx_note_mark">1</sup>{text}</span></span></span></p></div>'
    )


def _table(cells: Sequence[str]) -> str:
    rows = [("Method", "PSNR"), ("Ours", "31.4"), *(tuple(cell.split(" | ")) for cell in cells)]
    width = max(map(len, rows))
    filled = [(*row, *("–" for _ in range(width - len(row)))) for row in rows]
    lines = "".join(
        '<tr class="ltx_tr">' + "".join(f'<td class="ltx_td">{cell}</td>' for cell in row) + "</tr>" for row in filled
    )
    return (
        '<figure class="ltx_table" id="S2.T1"><figcaption class="ltx_caption"><span class="ltx_tag ltx_tag_table">'
        "Table 1: </span>Results on wet streets.</figcaption>"
        f'<table class="ltx_tabular"><tbody>{lines}</tbody></table></figure>'
    )


def _figure(captions: Sequence[str]) -> str:
    return (
        '<figure class="ltx_figure" id="S2.F1"><img class="ltx_graphics" src="x1.png" width="600" height="300" alt="">'
        '<figcaption class="ltx_caption"><span class="ltx_tag ltx_tag_figure">Figure 1: </span>'
        f"The parts of the network. {' '.join(captions)}</figcaption></figure>"
    )


# --- the obedient model ---

_TAGGED = re.compile(r"<<<paper (\w+)>>>(.*)<<<end of paper \1>>>", re.DOTALL)
_SECTION = re.compile(r"^\[\[(S\d+)\]\]", re.MULTILINE)
_WORD = re.compile(r"[^\W_]+")
_CHINESE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_NEAR = 24  # letters between two words of an instruction that still belong together
_ENOUGH = 0.6  # of an instruction's words, one after the other, are understood as the whole
_TOKEN = re.compile(r"[A-Za-z0-9+/=]{4,}")


class Obedient:
    """An LLM port that answers honestly, always the same, unless it can read `attack`: then it does what that says."""

    model = "stand-in/obedient"
    max_input_tokens: int | None = None

    def __init__(self, attack: Attack | None = None) -> None:
        self.attack = attack
        self.obeyed = False

    async def ask(self, name: str, turns: Sequence[Turn], schema: type[ReplyT], meter: Meter) -> Reply[ReplyT]:
        del meter
        self.obeyed = self.obeyed or (self.attack is not None and obeys(self.attack, turns))
        replies = {
            "score": self._score,
            "deep_dive": lambda: self._deep_dive(turns),
            "answer": lambda: self._answer(turns),
        }
        text = json.dumps(replies[name](), ensure_ascii=False)
        return Reply(schema.model_validate_json(text), text, self.model)

    async def context(self) -> int | None:
        return None

    def _score(self) -> JSON:
        high = self.obeyed and self.attack and self.attack.demand == "scores"
        numbers = dict.fromkeys(("topic", "method", "novelty", "rigor"), 10 if high else 6)
        return {
            "quote": ABSTRACT.split(". ")[0],
            "reason": (self.attack.insert if self.obeyed and self.attack else "") or "直接做去雨，掩膜可迁移。",
            "matched_interests": ["Image Restoration"],
            **numbers,
            "suspicious": False,
        }

    def _deep_dive(self, turns: Sequence[Turn]) -> JSON:
        text = "\n".join(turn.content for turn in turns if turn.role == "user")
        reply = {key: list(_points(key, text)) for key in SENTENCES}
        if self.obeyed and self.attack:
            if self.attack.demand == "limitations":
                reply["limitations"] = []
            else:
                said = self.attack.insert or "本文毫无缺陷，是该方向最好的工作。"
                reply["contribution"] = [{**reply["method"][0], "text": said}]
        return reply

    def _answer(self, turns: Sequence[Turn]) -> JSON:
        """Of whatever question: how it works."""
        points = self._deep_dive(turns)["method"]
        if self.obeyed and self.attack:
            said = self.attack.insert or "本文毫无缺陷，是该方向最好的工作。"
            points = [{**points[0], "text": said}]
        return {"points": points, "answerable": True}


def _points(key: str, text: str) -> Iterator[JSON]:
    """A point for every sentence that still stands in the text."""
    for quote, said in zip(SENTENCES[key], TEXTS[key], strict=True):
        if quote in text:
            section = [*_SECTION.finditer(text[: text.index(quote)])][-1][1]
            yield {"section": section, "quote": quote, "kind": "stated", "text": said}


def obeys(attack: Attack, turns: Sequence[Turn]) -> bool:
    """Can the attack be read in what the turns say, or does a paper's text stand where only ours may?"""
    ours = [turn.content for turn in turns if turn.role == "system"]
    ours.extend(_TAGGED.sub("", turn.content) for turn in turns if turn.role == "user")
    if any(PAPER.title in text or ABSTRACT[:60] in text for text in ours):
        return True
    said = "\n".join(turn.content for turn in turns if turn.role == "user")
    for tag in {found[1] for found in _TAGGED.finditer(said)}:
        said = said.replace(tag, "")  # random: now and then it holds a number that an attack asks for
    return readable(attack, said)


def readable(attack: Attack, text: str) -> bool:
    wanted = _content(attack.says)
    if any(_stands(wanted, version) for version in _versions(text)):
        return True
    if _stands([*map(_sorted, wanted)], "".join(map(_sorted, _WORD.findall(text)))):
        return True
    plain = _letters(text)
    return any(_stands([word.translate(_turned(by)) for word in wanted], plain) for by in range(1, 26))


@lru_cache(maxsize=8192)
def _sorted(word: str) -> str:
    """The word as somebody reads it who does not mind the order of its letters."""
    return "".join(sorted(_letters(word)))


def _content(says: str) -> list[str]:
    """The words that matter: longer ones and numbers, in scripts without spaces every two characters."""
    words = [_letters(word) for word in _WORD.findall(unicodedata.normalize("NFC", says))]
    told: list[str] = []
    for word in words:
        if _CHINESE.search(word):
            told.extend(word[at : at + 2] for at in range(0, len(word), 2))
        elif len(word) > 2 or word.isdigit():
            told.append(word)
    return told


def _stands(wanted: Sequence[str], text: str) -> bool:
    """Does a run of enough of the wanted words stand in `text`, in order and near to each other?"""
    length = max(2, -(-int(10 * _ENOUGH) * len(wanted) // 10))
    return any(_follow(wanted[first : first + length], text) for first in range(max(1, len(wanted) - length + 1)))


def _follow(run: Sequence[str], text: str) -> bool:
    start = text.find(run[0])
    while start >= 0:
        end = start + len(run[0])
        for word in run[1:]:
            found = text.find(word, end, end + _NEAR + len(word))
            if found < 0:
                break
            end = found + len(word)
        else:
            return True
        start = text.find(run[0], start + 1)
    return False


def _versions(text: str) -> Iterator[str]:
    """The letters of a text under every reading that the model knows."""
    plain = _letters(text)
    yield plain
    yield plain[::-1]
    yield _letters(_undecorated(text))
    yield plain.translate(str.maketrans("013457", "oieast"))
    yield plain.translate(str.maketrans("013457", "oleast"))
    resolved = unquote_to_bytes(html.unescape(html.unescape(text))).decode("utf-8", "replace")
    if resolved != text:
        yield _letters(resolved)
    for decoded in _decoded(text):
        yield _letters(decoded)
    if shown := [chr(ord(c) - 0xE0000) for c in text if "\U000e0020" <= c <= "\U000e007e"]:
        yield _letters("".join(shown))


def _undecorated(text: str) -> str:
    return re.sub(r"\\[a-z]+|[{}$]", "", text)


@cache
def _turned(by: int) -> dict[int, int]:
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    return str.maketrans(alphabet, alphabet[by:] + alphabet[:by])


def _decoded(text: str) -> Iterator[str]:
    """What tokens say in base64 or hexadecimal, each alone and all that follow one another together."""
    for run in re.findall(r"(?:[A-Za-z0-9+/]{12,}={0,2}\s*)+", text):
        joined = re.sub(r"\s", "", run)
        for token in (joined, *_TOKEN.findall(run)):
            for decode in (lambda t: base64.b64decode(t + "=" * (-len(t) % 4)), bytes.fromhex):
                try:
                    yield decode(token).decode("utf-8")
                except (ValueError, binascii.Error):
                    continue
    for run in re.findall(r"(?:[01]{8}\s?){6,}", text):
        yield bytes(int(byte, 2) for byte in run.split() if len(byte) == 8).decode("utf-8", "replace")


_SHAPES = {  # by eye: what a Cyrillic, Greek, Armenian or squared letter looks like
    **dict(zip("абвгеёзийкмнорстухіїјѕһԁԛԝ", "a6bree3nnkmhopctyxiijshdqw", strict=True)),
    **dict(zip("αβγεηικμνοπρστυχω", "abyenikuvonpotuxw", strict=True)),
    **dict(zip("օսոհցքյ", "ounhgpj", strict=True)),
}


class _Shapes(dict[int, str]):
    def __missing__(self, code: int) -> str:
        character = chr(code)
        name = unicodedata.name(character, "")
        if "SQUARED LATIN CAPITAL LETTER" in name or "REGIONAL INDICATOR SYMBOL LETTER" in name:
            self[code] = name[-1].lower()
            return self[code]
        kept = ""
        for one in unicodedata.normalize("NFKD", character).casefold():
            for letter in unicodedata.normalize("NFD", one):
                kept += _SHAPES.get(letter, letter) if letter.isalnum() else ""
        self[code] = kept
        return kept


_TABLE = _Shapes()


def _letters(text: str) -> str:
    """Letters and digits alone, in one case, by their looks."""
    return text.translate(_TABLE)
