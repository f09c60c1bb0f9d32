"""The numbers that a text states, read so that "12.3 %" and "0.123", "1.2k", "1,200" and "一千二百" compare. Pure."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from functools import lru_cache
from math import prod
from typing import NamedTuple

from bot.analysis import tex

HALF = Decimal("0.5")
STRUCTURAL = 10  # number words up to here count parts ("三个阶段"), which a paper need not count in words


class Sign(IntEnum):
    """The sign that stands before a number; "falls by 0.8" has none."""

    MINUS = -1
    NONE = 0
    PLUS = 1


class Said(NamedTuple):  # and no dataclass: a paper has thousands, and tuples hash three times as fast
    """One thing that a source's number says: a value, in percent or not."""

    value: Decimal
    percent: bool = False
    sign: Sign = Sign.NONE


@dataclass(frozen=True, slots=True)
class Number:
    """A number as `written`, the `values` it may have, and whether it is a `claim` that wants proof.

    `members` are the parts of what may be a list, as "64,128,256": a claim may rest on all of them together as well.
    `bare` digits have no unit or scale of their own.
    """

    written: str
    values: frozenset[Decimal]
    percent: bool = False
    sign: Sign = Sign.NONE
    members: frozenset[Decimal] = frozenset()
    claim: bool = True
    bare: bool = False

    def rests_on(self, known: frozenset[Said]) -> bool:
        """Is it among what sources say? A sign counts where both have one."""
        signs = tuple(Sign) if self.sign is Sign.NONE else (Sign.NONE, self.sign)

        def stands(value: Decimal) -> bool:
            return any(Said(value, self.percent, sign) in known for sign in signs)

        return any(map(stands, self.values)) or (bool(self.members) and all(map(stands, self.members)))

    def said(self) -> Iterator[Said]:
        """What a claim may take from it: "12.3 %" is 0.123 too, and a bare 12.3 may stand under a head "in %"."""
        for value in self.values | self.members:
            yield Said(value, self.percent, self.sign)
            yield Said(value, not self.percent, self.sign)
            yield Said(value / 100 if self.percent else value * 100, not self.percent, self.sign)


def numbers(text: str) -> tuple[Number, ...]:
    """Every number in `text`: fractions first, then digits, Chinese numerals, English number words."""
    text = plain(text)
    rest = _RATIO.sub(lambda found: " " if _is_ratio(found) else found[0], _PARTS.sub(" ", text))
    return (*_fractions(text), *_digits(rest), *_chinese(rest), *_english(rest))


@lru_cache(maxsize=64)
def said(text: str) -> frozenset[Said]:
    """Everything that the numbers of a source say; a table's numbers also in the unit of its head ("Params (M)")."""
    text = plain(text)
    found = (*_fractions(text), *_digits(text), *_chinese(text), *_english(text))
    lost = (Said(Decimal(power["factor"] or 1).scaleb(-int(power["power"]))) for power in _LOST_POWER.finditer(text))
    scaled = (
        Said(value * scale, sign=number.sign)
        for scale in _heads(text)
        for number in found
        for value in number.values
        if number.bare
    )
    return frozenset((*lost, *scaled, *(each for number in found for each in number.said())))


def plain(text: str) -> str:
    """`text` with one spelling of digits, dashes and percent signs, without TeX marks; superscripts become "^"."""
    text = _FRACTION.sub(r" \g<0>", tex.spelled(text.replace("，", ", ")))
    text = _SUPERSCRIPT.sub(r"^\g<0>", text)
    text = unicodedata.normalize("NFKD", text).translate(_DASHES)
    return _DECIMAL_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), text)


_FRACTION = re.compile("[¼-¾⅐-⅞]")
_SUPERSCRIPT = re.compile("[⁰¹²³⁴-⁹⁺⁻]+")
_DECIMAL_DIGIT = re.compile(r"\d")
_DASHES = {ord(sign): "-" for sign in "‐‑‒–—―−⁃"}
# PDFs lose superscripts: "10-4" may be a power, and "5 × 10-4" is one.
_LOST_POWER = re.compile(
    r"(?:(?<![\d.])(?P<factor>\d{1,6}(?:\.\d{1,6})?)\s*[x×]\s*)?(?<![\d.])10-(?P<power>\d{1,2})(?![\d.])", re.ASCII
)

# The unit of a table's column or a figure's axis, alone behind a name: "Params (M)", "FLOPs [G]", "LPIPS (×10^-2)".
_HEAD = re.compile(
    r"""[\s(\[（/](?P<unit>[kKMBGT]|(?:thousand|million|billion)s?|[千万亿]|百万)(?=\s{0,9}[)\]）|])
      | \bin\ (?P<word>thousand|million|billion)s\b
      | [(\[（]\s?[x×*]?\s?10\^?(?P<power>[+-]?\d{1,2})\s?[)\]）]""",
    re.VERBOSE | re.ASCII,
)

_DIGITS = re.compile(
    r"""
    (?:(?P<parts>百分之|千分之)\s{0,3})?
    (?:(?P<sign>(?<![\w)\]%.][+-])(?<!\d)[+-]|负)(?=\.?\d))?
    (?<!\d)(?<!\d\.)
    (?P<number>\d{1,3}(?:,\d{3})+(?:\.\d{1,30})?(?![\d]) | \d{1,30}(?:\.\d{1,30})? | (?<![\w.])\.\d{1,30})
    (?: e(?P<e>[+-]?\d{1,3})(?!\w)
      | \s*[x×*·⋅]\s*10\^(?P<times>[+-]?\d{1,3})
      | \^(?P<power>[+-]?\d{1,3})
    )?
    (?P<percent>\s*(?:[%‰]|percent(?![a-z])|per\ cent(?![a-z])|个?百分点))?
    (?: \s*(?P<word>hundred|thousand|million|billion|trillion)(?![a-z])
      | \s?(?P<letter>(?-i:[kKMB]))(?![a-z])
      | \s?(?P<either>(?-i:[TG]))(?![a-z0-9])
      | \s*(?P<chinese>[十百千万亿]{1,6}(?![十百千万亿]))(?!分)
    )?
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_SCALES = (
    {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
    | {"k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12}
    | {"十": 10, "百": 100, "千": 10**3, "万": 10**4, "亿": 10**8}
)
_SIGNS = {"+": Sign.PLUS, "-": Sign.MINUS, "负": Sign.MINUS, None: Sign.NONE}


def _heads(text: str) -> frozenset[Decimal]:
    """The scales that heads name."""
    found = list(_HEAD.finditer(text))
    powers = {Decimal(1).scaleb(int(head["power"])) for head in found if head["power"]}
    names = {(head["unit"] or head["word"]).lower().removesuffix("s") for head in found if not head["power"]}
    return frozenset(powers | {Decimal(_scale(name)) for name in names})


def _digits(text: str) -> Iterator[Number]:
    for found in _DIGITS.finditer(text):
        written, sign = found["number"], _SIGNS[found["sign"]]
        value = _powered(Decimal(written.replace(",", "")), found)
        shown = found[0].strip()
        if found["parts"] or found["percent"]:
            percent = value / 10 if "千" in (found["parts"] or "") or "‰" in shown else value
            yield Number(shown, frozenset({percent}), percent=True, sign=sign)
        elif found["either"]:
            yield Number(shown, frozenset({value, value * _scale(found["either"])}), sign=sign)
        elif scale := found["word"] or found["letter"] or found["chinese"]:
            yield Number(shown, frozenset({value * _scale(scale)}), sign=sign)
        else:
            yield Number(shown, frozenset({value}), sign=sign, members=_members(written), bare=True)


def _powered(value: Decimal, found: re.Match[str]) -> Decimal:
    if found["power"]:
        return Decimal(10).scaleb(int(found["power"]) - 1) if value == 10 else value  # powers of ten only
    return value.scaleb(int(found["e"] or found["times"] or 0))


def _scale(name: str) -> int:
    """What the unit multiplies by; "千万" multiplies twice."""
    if name.lower() in _SCALES:
        return _SCALES[name.lower()]
    return prod(_SCALES[character] for character in name)


def _members(written: str) -> frozenset[Decimal]:
    """The members of what may be a list written like grouped digits, as "64,128,256"; "1,200" is one number."""
    parts = written.split(",")
    return frozenset(map(Decimal, parts)) if len(parts) > 2 else frozenset()


# --- fractions: 1/3, 三分之一, one third

_RATIO = re.compile(r"(?<![\d./])(?P<above>\d{1,2})\s?[/⁄]\s?(?P<below>\d{1,2})(?![\d./])", re.ASCII)
_PARTS = re.compile(
    r"(?<![\d.])(?P<below>\d{1,2}|[二三四五六七八九十]{1,3})分之(?P<above>\d{1,2}|[一二两三四五六七八九十]{1,3})"
)
_BELOW = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "eighth": 8, "tenth": 10}
_SHARE = re.compile(
    rf"\b(?P<above>an?|one|two|three|four|five)[- ](?P<below>{'|'.join(_BELOW)})s?\b(?P<of>\s+of\b)?|\b(?P<half>half|"
    r"halve[sd]?|halving)\b|(?P<chinese>一半|减半)",
    re.IGNORECASE,
)
_COMMON_BELOW, _SINGLE_BELOW = 10, 64  # "3/4", "1/16": what is a fraction and no date, score or pair of sizes


def _fractions(text: str) -> Iterator[Number]:
    for found in _RATIO.finditer(text):
        if _is_ratio(found):
            yield Number(found[0], frozenset({Decimal(found["above"]) / Decimal(found["below"])}))
    for found in _PARTS.finditer(text):
        above, below = _part(found["above"]), _part(found["below"])
        if above and below:
            yield Number(found[0], frozenset({above / below}))
    for found in _SHARE.finditer(text):
        if found["below"]:
            count = found["above"].lower()
            surely = count in _UNITS or bool(found["of"])  # "a third" may be one more
            value = Decimal(_UNITS.get(count, 1)) / _BELOW[found["below"].lower()]
            yield Number(found[0], frozenset({value}), claim=surely and value != HALF)
        else:
            yield Number(found[0], frozenset({HALF}), claim=False)


def _is_ratio(found: re.Match[str]) -> bool:
    above, below = int(found["above"]), int(found["below"])
    return 0 < above < below <= (_SINGLE_BELOW if above == 1 else _COMMON_BELOW)


def _part(written: str) -> Decimal | None:
    return Decimal(written) if written.isdecimal() else _chinese_value(written)


# --- number words

_NUMERAL = "零〇一二两三四五六七八九"
# Bounded, as digits are: of a run without end, Python makes no number, or only after minutes.
_CHINESE = re.compile(
    rf"(?P<parts>百分之|千分之)?(?P<number>[{_NUMERAL}十][{_NUMERAL}十百千万亿]{{0,29}}(?:点[{_NUMERAL}]{{1,30}})?)"
    r"(?P<unit>成(?![不为功本分像熟立员果型])|倍)?"
)
_MEASURED = re.compile(
    r"(?:步(?!骤)|层|轮|秒|毫秒|分钟|小时|天|周|年|帧|张|块|卡|像素|比特)"
)  # counts that a paper gives
_ARRANGED = "第分共"  # "第三层", "分三步": an order, not a count
_VALUES = dict(zip("零〇一二两三四五六七八九", (0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))


def _chinese(text: str) -> Iterator[Number]:
    for found in _CHINESE.finditer(text):
        value = _chinese_value(found["number"])
        if value is None:
            continue
        if found["parts"]:
            percent = value if found["parts"] == "百分之" else value / 10
            yield Number(found[0], frozenset({percent}), percent=True)
        elif found["unit"] == "成":
            yield Number(found[0], frozenset({value * 10}), percent=True)
        else:
            yield Number(found[0], frozenset({value}), claim=_is_claim(found, value))


def _is_claim(found: re.Match[str], value: Decimal) -> bool:
    if value > STRUCTURAL or "点" in found[0]:
        return True
    arranged = found.start() > 0 and found.string[found.start() - 1] in _ARRANGED
    counts = found["unit"] == "倍" or (_MEASURED.match(found.string, found.end()) and not arranged)
    return value > 1 and bool(counts)


def _chinese_value(written: str) -> Decimal | None:
    """None for what is no number: "一二", "万一"."""
    whole, _, fraction = written.partition("点")
    if all(character in _VALUES for character in whole):
        if len(whole) > 1 and not any(zero in whole for zero in "零〇"):
            return None
        value = int("".join(str(_VALUES[character]) for character in whole))
    else:
        value = _sum(whole)
    digits = "".join(str(_VALUES[character]) for character in fraction)
    return Decimal(f"{value}.{digits}" if digits else value)


def _sum(whole: str) -> int:
    """两千三百 = 2 x 1000 + 3 x 100; 万 multiplies what stands before it, 亿 the 万 as well."""
    total = group = digit = 0
    for character in whole:
        if character in _VALUES:
            digit = _VALUES[character]
        elif character == "万":
            total, group, digit = total + (group + digit) * _SCALES["万"], 0, 0
        elif character == "亿":
            total, group, digit = (total + group + digit) * _SCALES["亿"], 0, 0
        else:
            group += (digit or 1) * _SCALES[character]
            digit = 0
    return total + group + digit


def _count(words: str, start: int, step: int = 1) -> dict[str, int]:
    return {word: start + step * place for place, word in enumerate(words.split())}


_UNITS = _count("one two three four five six seven eight nine", 1)
_TENS = _count("twenty thirty forty fifty sixty seventy eighty ninety", 20, 10)
_SINGLES = (
    _UNITS
    | _count("ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen", 10)
    | _count("first second third fourth fifth", 1)
    | {"zero": 0, "once": 1, "single": 1, "dozen": 12}
    | dict.fromkeys(("twice", "both", "dual", "pair", "double", "doubles", "doubled", "doubling"), 2)
    | dict.fromkeys(("thrice", "triple", "triples", "tripled"), 3)
)
_MULTIPLES = frozenset({"twice", "doubles", "doubled", "thrice", "triples", "tripled"})
_ENGLISH = re.compile(
    rf"\b(?:(?P<tens>{'|'.join(_TENS)})(?:[- ](?P<unit>{'|'.join(_UNITS)}))?|(?P<single>{'|'.join(_SINGLES)}))"
    r"(?P<fold>-?fold)?\b(?:[- ](?P<scale>hundred|thousand|million|billion|trillion)\b)?"
    r"(?P<counted>(?:[- ](?:times|steps?|layers?|epochs?|GPUs?|seconds?|minutes?|hours?|days?|weeks?|years?|frames?|"
    r"pixels?|bits?))\b)?",
    re.IGNORECASE,
)


def _english(text: str) -> Iterator[Number]:
    for found in _ENGLISH.finditer(text):
        value = _TENS.get((found["tens"] or "").lower(), 0)
        single = (found["unit"] or found["single"] or "").lower()
        value += _SINGLES.get(single, 0)
        value *= _SCALES[found["scale"].lower()] if found["scale"] else 1
        counts = value > 1 and bool(found["fold"] or found["counted"] or single in _MULTIPLES)
        shown = found[0].removesuffix(found["counted"] or "")
        yield Number(shown, frozenset({Decimal(value)}), claim=value > STRUCTURAL or counts)
