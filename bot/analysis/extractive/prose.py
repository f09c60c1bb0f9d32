"""Which sentences of a section can be shown alone, and how well each stands without what is around it (pure)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bot.analysis import untrusted
from bot.analysis.extractive.cues import begins, cues, has
from bot.analysis.extractive.words import sentences

MIN_LENGTH, MAX_LENGTH = 40, 420  # characters of a sentence worth quoting; longer ones are lists, or badly split
MIN_PROSE = 0.7  # share of letters and spaces beside the formulas; tables and listings have fewer
LABEL_LENGTH, LABEL_WORDS = 45, 5  # at most, of a heading that runs in: "Shifted windows. …"
BRIEF, EASY = 60, 280  # characters; shorter sentences tell little, longer ones take effort
# What a sentence loses, in cues.
DAMAGED = 2.5  # torn or glued by a reader of PDFs
PRONOUN, POINTING, CONNECTIVE, ELSEWHERE = 1.5, 1.0, 0.5, 0.75  # leaning on its neighbours
CITATION, MOST_CITED = 0.4, 1.5  # each work of others, and at most
FIGURE, BACK, SYMBOL, LENGTH = 0.25, 0.5, 0.5, 0.5
BEGINNING = 120  # characters in which a sentence leans back
FORMULAS = 0.35  # share of a sentence from which it is mostly formulas
FEW_SYMBOLS = 2  # more of them in prose are a formula that a reader took apart

_PARAGRAPHS = re.compile(r"\n\s*\n")
_ENDS = frozenset('.!。！$”"’)]')
_DEBRIS = re.compile(
    r"(?:\[\d+(?:[,–-] ?\d+)*\]|[•‣▪●◦■–—*-](?=\s)|\(?(?:\d{1,2}|[ivx]{1,4}|[a-h])\)(?=\s)|\d{1,2}\.(?=\s)"
    r"|\d{1,2}(?=[A-Z][a-z]))\s*"
)
_TEX = re.compile(r"\$\$[^$]+\$\$|\$[^$\n]+\$")
_CITATION = re.compile(
    r"\[\d+(?:\s?[,;–-] ?\d+)*\]|\bet al\b|\(\w[^()]{0,60}\b(?:19|20)\d\d[a-z]?\)|\b[a-z]+(?:19|20)\d\d[a-z]+\b"
)
_SYMBOL = re.compile(
    r"[=∈∑∏∫√∂∇⊙⊗⊕≈≤≥←→∗·∥‖−]|[,.] ?\(\d{1,2}\)|(?<!\w)[a-z][A-Z]\d?(?!\w)"
    r"|(?<![\w-])[B-HJ-Zb-hj-z](?![\w'’.-])|\\[a-z]+"
)
_TORN = re.compile(
    r"(?<!\be\.g)(?<!\bi\.e)(?<!\betc)(?<!\bal)(?<!\bvs)(?<!\bcf)[.!?] (?:[a-z]{2,}|#|\([a-z]\) )"
    r"|\?\?|[\ufffd\ufffe]|\w-\s[a-z]"
    # A heading glued to its sentence.
    r"|[a-z] (?:The|We|This|These|Our|It|Given|For|To|In|As|By|When|While) [a-z]|\A([A-Z]\w+ \w+) (?:\w+ ){0,3}\1\b"
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence, an exact span. `shown`: a reader may be shown it; `opens`: it follows a heading that runs in."""

    text: str
    shown: bool
    opens: bool = False


def quotable(text: str) -> Iterator[Sentence]:
    """Every sentence of a section's text.

    Tables and captions have none; a citation or a bullet left at the beginning of a sentence is not part of it.
    """
    for paragraph in _PARAGRAPHS.split(text):
        start = paragraph.strip()
        if start.startswith("|") or has("sentence.caption", start[:LABEL_LENGTH]):
            continue
        labelled = False
        for number, sentence in enumerate(sentences(paragraph)):
            bare = _without_debris(sentence)
            yield Sentence(bare, _is_prose(bare), opens=number == 1 and labelled)
            labelled = len(bare) < LABEL_LENGTH and len(bare.split()) <= LABEL_WORDS


def flaws(text: str) -> float:
    """What speaks against showing a sentence alone, in cues: it leans on others, cites, is long, or was torn."""
    prose = _TEX.sub(" ", text)
    return _leaning(text) + _citing(prose) + _damage(text, prose) + LENGTH * (not BRIEF <= len(text) <= EASY)


def _without_debris(sentence: str) -> str:
    found = _DEBRIS.match(sentence)
    return sentence[found.end() :] if found else sentence


def _is_prose(text: str) -> bool:
    """A whole sentence in words that a reader may be shown, not a table, a listing or something said to a model."""
    if not MIN_LENGTH <= len(text) <= MAX_LENGTH or text[-1] not in _ENDS or text[0].islower():
        return False
    prose = _TEX.sub(" ", text)
    if untrusted.REDACTED in text or "|" in prose or has("sentence.caption", text):
        return False
    letters = sum(character.isalpha() or character == " " for character in prose)
    return letters >= MIN_PROSE * len(prose) and letters >= MIN_LENGTH / 2


def _leaning(text: str) -> float:
    """Words whose meaning stands in another sentence."""
    connective = cues()["alone.connective"].match(text)
    rest = text[connective.end() :].lstrip(", ") if connective else text
    pointing = PRONOUN if begins("alone.bare", rest) else POINTING * begins("alone.pointing", rest)
    return CONNECTIVE * bool(connective) + pointing + BACK * has("alone.back", rest[:BEGINNING])


def _citing(prose: str) -> float:
    """Work of others, and what stands elsewhere in the paper."""
    cited = min(MOST_CITED, CITATION * len(_CITATION.findall(prose)))
    return (
        cited
        + FIGURE * has("alone.figure", prose)
        + ELSEWHERE * (has("alone.elsewhere", prose) or begins("alone.section", prose))
    )


def _damage(text: str, prose: str) -> float:
    symbols = len(_SYMBOL.findall(prose))
    torn = symbols > FEW_SYMBOLS or _TORN.search(prose) is not None or prose.count("(") != prose.count(")")
    formulas = len(text) - len(prose) > FORMULAS * len(text)
    return DAMAGED * torn + SYMBOL * min(symbols, FEW_SYMBOLS) + formulas
