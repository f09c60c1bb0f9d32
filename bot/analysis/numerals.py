"""The numbers that a text states, read so that "12.3 %" and "0.123", "1.2k", "1,200" and "一千二百" compare. Pure."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

STRUCTURAL = 10  # number words up to here count parts ("三个阶段"), which a paper need not count in words


@dataclass(frozen=True, slots=True)
class Number:
    """A number as `written`, the `values` it may say, and whether it is a `claim` that wants proof.

    `loose` are readings that a claim may rest on besides, all of them together: the digits without their k or M (a
    table has the unit in its head), the parts of "64,128,256".
    """

    written: str
    values: frozenset[Decimal]
    loose: frozenset[Decimal] = frozenset()
    claim: bool = True


def numbers(text: str) -> tuple[Number, ...]:
    """Every number in `text`: digits first, then Chinese numerals, then English number words."""
    text = plain(text)
    return (*_digits(text), *_chinese(text), *_english(text))


@lru_cache(maxsize=64)
def values(text: str) -> frozenset[Decimal]:
    """Everything that the numbers of a source say: a claim with one of these values stands in it."""
    lost = (Decimal(1).scaleb(-int(found[1])) for found in _LOST_POWER.finditer(plain(text)))
    lists = (number.loose for number in numbers(text) if len(number.loose) > 1)
    return frozenset(lost).union(*(number.values for number in numbers(text)), *lists)


def plain(text: str) -> str:
    """`text` with one spelling of digits, dashes and percent signs, without TeX marks; superscripts become "^"."""
    text = _FRACTION.sub(r" \g<0>", text.replace("，", ", "))
    text = _SUPERSCRIPT.sub(r"^\g<0>", text)
    text = unicodedata.normalize("NFKD", text).translate(_SIGNS)
    return _DECIMAL_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit[0])), text)


_FRACTION = re.compile("[¼-¾⅐-⅞]")
_SUPERSCRIPT = re.compile("[⁰¹²³⁴-⁹⁺⁻]+")
_DECIMAL_DIGIT = re.compile(r"\d")
_SIGNS = {ord(sign): "-" for sign in "‐‑‒–—―−⁃"} | {ord(mark): None for mark in "$\\{}"}
_LOST_POWER = re.compile(r"(?<![\d.])10-(\d{1,2})(?![\d.])")  # PDFs lose superscripts: "10-4" may be a power

_DIGITS = re.compile(
    r"""
    (?P<parts>百分之|千分之)?\s*
    (?<!\d)(?<!\d\.)
    (?P<number>\d{1,3}(?:,\d{3})+(?:\.\d{1,30})?(?![\d]) | \d{1,30}(?:\.\d{1,30})? | (?<![\w.])\.\d{1,30})
    (?: e(?P<e>[+-]?\d{1,3})(?!\w)
      | \s*(?:[x×*·]|times|cdot)\s*10\^(?P<times>[+-]?\d{1,3})
      | \^(?P<power>[+-]?\d{1,3})
    )?
    (?P<percent>\s*(?:%|percent(?![a-z])|per\ cent(?![a-z])|个?百分点))?
    (?: \s*(?P<word>hundred|thousand|million|billion|trillion)(?![a-z])
      | \s?(?P<letter>(?-i:[kKMB]))(?![a-z])
      | \s?(?P<either>(?-i:[TG]))(?![a-z0-9])
      | \s*(?P<chinese>[十百千万亿]+)(?!分)
    )?
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_SCALES = (
    {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
    | {"k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12}
    | {"十": 10, "百": 100, "千": 10**3, "万": 10**4, "亿": 10**8}
)


def _digits(text: str) -> Iterator[Number]:
    for found in _DIGITS.finditer(text):
        written = found["number"]
        plain_value = Decimal(written.replace(",", ""))
        value = _powered(plain_value, found)
        if found["parts"]:
            yield Number(found[0].strip(), _share(value, 100 if found["parts"] == "百分之" else 1000))
        elif found["percent"]:
            yield Number(found[0].strip(), _share(value, 100))
        elif found["either"]:
            yield Number(found[0].strip(), frozenset({value, value * _SCALES[found["either"].lower()]}))
        elif scale := _scale(found):
            loose = frozenset() if found["chinese"] else frozenset({value})
            yield Number(found[0].strip(), frozenset({value * scale}), loose)
        else:
            yield Number(found[0].strip(), frozenset({value}), _members(written))


def _powered(value: Decimal, found: re.Match[str]) -> Decimal:
    if found["power"]:
        return Decimal(10).scaleb(int(found["power"]) - 1) if value == 10 else value  # powers of ten only
    return value.scaleb(int(found["e"] or found["times"] or 0))


def _scale(found: re.Match[str]) -> int:
    """What the number is multiplied by; 0 where nothing of the kind follows it ("千万" multiplies twice)."""
    product = 1
    for scale in found["chinese"] or ():
        product *= _SCALES[scale]
    name = (found["word"] or found["letter"] or "").lower()
    return _SCALES[name] if name else product if found["chinese"] else 0


def _share(value: Decimal, of: int) -> frozenset[Decimal]:
    return frozenset({value, value / of})


def _members(written: str) -> frozenset[Decimal]:
    """The members of what may be a list written like grouped digits, as "64,128,256"; "1,200" is one number."""
    parts = written.split(",")
    return frozenset(map(Decimal, parts)) if len(parts) > 2 else frozenset()


_NUMERAL = "零〇一二两三四五六七八九"
_CHINESE = re.compile(
    rf"(?P<parts>百分之|千分之)?(?P<number>[{_NUMERAL}十][{_NUMERAL}十百千万亿]*(?:点[{_NUMERAL}]+)?)"
    r"(?P<unit>成(?![不为功本分像熟立员果型])|倍)?"
)
_VALUES = dict(zip("零〇一二两三四五六七八九", (0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))


def _chinese(text: str) -> Iterator[Number]:
    for found in _CHINESE.finditer(text):
        value = _chinese_value(found["number"])
        if value is None:
            continue
        if found["parts"]:
            yield Number(found[0], _share(value, 100 if found["parts"] == "百分之" else 1000))
        elif found["unit"] == "成":
            yield Number(found[0], _share(value * 10, 100))
        else:
            times = found["unit"] == "倍" and value > 1
            yield Number(found[0], frozenset({value}), claim=value > STRUCTURAL or "点" in found[0] or times)


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
_HALVES = ("half", "halve", "halves", "halved", "halving")
_ENGLISH = re.compile(
    rf"\b(?:(?P<tens>{'|'.join(_TENS)})(?:[- ](?P<unit>{'|'.join(_UNITS)}))?|(?P<single>{'|'.join(_SINGLES)})"
    rf"|(?P<half>{'|'.join(_HALVES)}))(?:-?fold)?\b(?:[- ](?P<scale>hundred|thousand|million|billion|trillion)\b)?",
    re.IGNORECASE,
)


def _english(text: str) -> Iterator[Number]:
    for found in _ENGLISH.finditer(text):
        if found["half"]:
            yield Number(found[0], frozenset({Decimal("0.5"), Decimal(50)}), claim=False)
            continue
        value = _TENS.get((found["tens"] or "").lower(), 0)
        value += _SINGLES.get((found["unit"] or found["single"] or "").lower(), 0)
        value *= _SCALES[found["scale"].lower()] if found["scale"] else 1
        yield Number(found[0], frozenset({Decimal(value)}), claim=value > STRUCTURAL)
