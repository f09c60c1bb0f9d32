"""Which paragraphs are headings: by their look, by names that every paper uses, and by numbers that count up."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from bot.sources.pdf.columns import Body
from bot.sources.pdf.lines import Line
from bot.sources.pdf.paragraphs import Kind, Paragraph
from bot.sources.pdf.words import tidy

LARGER = 1.06  # of the body's size
MOST_LINES, MOST_CHARACTERS = 4, 180  # of a heading
SAME_SIZE = 0.3  # points
SKIPPED = 2  # how far numbers may count up at once: one heading may be set as a picture
CANDIDATES = 400  # more than any paper has headings; comparing all pairs of more would take long

_NUMBER = re.compile(
    r"(?:(?:Appendix|Supplement|Section)\s+)?"
    r"(?P<number>\d{1,2}(?:\.\d{1,2}){0,3}|[A-Z]\d{0,2}(?:\.\d{1,2}){0,3}|[IVX]{1,5})"
    r"\s?(?:(?P<stop>[.:)])\s*|\s+|—)(?P<title>\S.*)",
    re.DOTALL,
)
_TITLE = re.compile(r"(?=.*[^\W\d_]{2})(?:[\"“(‘$]?[^\W\d_]|\d{1,4}[\w-]*[^\W\d_])", re.DOTALL)
_LEADERS = re.compile(r"(?:\. ?){4,}")
_CAPITALS = re.compile(r"[A-Z]{3}")
_CONTENTS = re.compile(r"contents", re.IGNORECASE)
_PAGE = re.compile(r"\s\d{1,3}$")
_ROMAN = {
    numeral: value for value, numeral in enumerate(("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X"), 1)
}
_KNOWN = re.compile(
    r"""abstract | (?:\w+\ and\ )?introduction | motivation | contents | index\ terms | keywords
    | (?:background|(?:related|prior)\ works?|preliminar(?:y|ies))(?:\ and\ (?:background|related\ works?|motivation))?
    | (?:proposed\ |our\ )?(?:methods?|approach) | methodology | materials\ and\ methods
    | (?:experiments?|experimental\ (?:results|setup|settings)|evaluation|results)
      (?:\ and\ (?:results|discussions?|analysis))?
    | analysis | ablations?(?:\ stud(?:y|ies))? | discussions?(?:\ and\ (?:conclusions?|limitations))?
    | (?:conclusions?|concluding\ remarks|summary)(?:\ (?:and|&)\ (?:future\ works?|discussions?|limitations|outlook))?
    | limitations?(?:\ and\ (?:future\ works?|broader\ impacts?|discussions?))? | future\ works?
    | (?:broader\ |societal\ |social\ )?impacts?(?:\ statement)? | ethic(?:s|al)(?:\ (?:statement|considerations?))?
    | reproducibility(?:\ statement)? | (?:data\ |code\ |data\ and\ code\ )availability(?:\ statement)?
    | acknowledge?ments? | author\ contributions? | funding | competing\ interests? | conflicts?\ of\ interests?
    | references | bibliography | literature\ cited | appendi(?:x|ces)
    | supplementa(?:ry|l)(?:\ materials?|\ information)?
    | 摘\s*要 | 引言 | 相关工作 | 方法 | 实验 | 结论 | 致谢 | 参考文献 | 附录""",
    re.IGNORECASE | re.VERBOSE,
)
# What stays without a number in a paper whose other headings have one.
_UNNUMBERED = re.compile(
    r"abstract|摘\s*要|contents|index terms|keywords|references|bibliography|literature cited|参考文献|致谢|附录"
    r"|acknowledge?ments?|author contributions?|funding|competing interests?|conflicts? of interests?|limitations?.*"
    r"|.*(?:impacts?|ethic(?:s|al)|availability|statement|considerations?)|appendi.*|supplementa.*",
    re.IGNORECASE,
)
_REFERENCES = re.compile(r"references|bibliography|literature cited|参考文献", re.IGNORECASE)

Key = tuple[str | int, ...]
"""A heading's number as it counts: (3, 2), ("A", 1), ("R", 4) for IV, ("S", 2) for a B under a Roman number."""


@dataclass(frozen=True, slots=True)
class Heading:
    """`number` as printed ("" without one); `rest` is text that goes on behind it on its own line."""

    number: str
    title: str
    rest: str = ""
    appendix: bool = False


@dataclass(frozen=True, slots=True)
class _Candidate:
    place: int
    key: Key
    weight: int
    heading: Heading
    stopped: bool = True


def stands_out(body: Body, lines: Iterable[Line]) -> Callable[[Line], bool]:
    """Which of `lines` are set as headings are: bold, larger, or numbered in capitals or italics."""
    outstanding = {id(line) for line in lines if _stands_out(line, body)}
    return lambda line: id(line) in outstanding


def _stands_out(line: Line, body: Body) -> bool:
    if line.bold or line.size > LARGER * body.size:
        return True
    is_upper = line.text.isupper()
    if not line.italic and not is_upper and not _CAPITALS.search(line.text):
        return False
    numbered = _NUMBER.fullmatch(line.text)
    if numbered and _TITLE.match(numbered["title"]):
        return line.italic or numbered["title"].isupper()
    return (line.italic or is_upper) and bool(_KNOWN.fullmatch(line.text))


def headings(found: Sequence[Paragraph], texts: Sequence[str], body: Body) -> dict[int, Heading]:
    """The headings among paragraphs, by place. `texts` are theirs."""
    named = {
        place: Heading("", text.rstrip(" .:"))
        for place, (paragraph, text) in enumerate(zip(found, texts, strict=True))
        if _is_title(paragraph, text)
        and _KNOWN.fullmatch(text.rstrip(" .:"))
        and (paragraph.apart or _stands_out(paragraph.lines[0], body))
    }
    references = next((place for place, heading in named.items() if _REFERENCES.fullmatch(heading.title)), len(found))
    candidates = list(_candidates(found, texts, body, references))
    if any(_CONTENTS.fullmatch(heading.title) for heading in named.values()):
        candidates = [candidate for candidate in candidates if not _PAGE.search(candidate.heading.title)]
    numbered = {
        candidate.place: replace(candidate.heading, appendix=candidate.heading.appendix or candidate.place > references)
        for candidate in _chain(candidates[:CANDIDATES], references)
    }
    if len(numbered) >= len(named):
        looks = {_look(found[place]) for place in numbered}
        return {
            place: heading
            for place, heading in named.items()
            if _UNNUMBERED.fullmatch(heading.title) or _look(found[place]) in looks
        } | numbered
    looks = {_look(found[place]) for place in named}
    first = min(named, default=len(found))
    alike = {place for place in range(first, len(found)) if _is_alike(found[place], texts[place], looks, body)}
    return {place: Heading("", texts[place]) for place in alike} | named | numbered


def _is_title(paragraph: Paragraph, text: str) -> bool:
    return paragraph.kind is Kind.PROSE and len(paragraph.lines) <= MOST_LINES and len(text) <= MOST_CHARACTERS


def _look(paragraph: Paragraph) -> tuple[int, bool, bool]:
    line = paragraph.lines[0]
    return round(line.size), line.bold, line.italic


def _is_alike(paragraph: Paragraph, text: str, looks: set[tuple[int, bool, bool]], body: Body) -> bool:
    """Papers without numbers set all their headings in one look."""
    line = paragraph.lines[0]
    outstanding = line.size > LARGER * body.size or line.bold
    return (
        outstanding
        and _is_title(paragraph, text)
        and (_look(paragraph) in looks or (line.bold and line.size > LARGER * body.size))
        and bool(_TITLE.match(text))
        and not text.endswith((".", ",", ";", ":"))
    )


def _candidates(found: Sequence[Paragraph], texts: Sequence[str], body: Body, references: int) -> Iterator[_Candidate]:
    for place, (paragraph, text) in enumerate(zip(found, texts, strict=True)):
        if paragraph.kind is not Kind.PROSE:
            continue
        line = paragraph.lines[0]
        weight = 3 * line.bold + 3 * (line.size > LARGER * body.size) + line.italic + text.isupper()
        if _is_title(paragraph, text) and (weight or (paragraph.apart and place < references)):
            yield from _numbered(place, text, "", 1 + weight)
        elif (lead := tidy(line.lead)) and "." in lead.rstrip(". :") and text.startswith(lead):
            yield from _numbered(place, lead.rstrip(" .:"), text[len(lead) :].lstrip(" .:"), 2)


def _numbered(place: int, text: str, rest: str, weight: int) -> Iterator[_Candidate]:
    match = _NUMBER.fullmatch(text)
    if (
        not match
        or not _TITLE.match(match["title"])
        or _LEADERS.search(text)
        or (weight == 1 and text.endswith((".", ",", ";")))
    ):
        return
    number, title = match["number"], match["title"].rstrip(" .:")
    if number in _ROMAN and match["stop"]:
        yield _Candidate(place, ("R", _ROMAN[number]), weight, Heading(number, title, rest))
    if number[0].isdigit():
        yield _Candidate(place, tuple(map(int, number.split("."))), weight, Heading(number, title, rest))
    elif len(number) == 1 or not number.isalpha():
        letter = ord(number[0])
        inner = tuple(int(part) for part in re.split(r"\.", number[1:].lstrip(".")) if part)
        yield _Candidate(
            place, ("A", letter, *inner), weight, Heading(number, title, rest, appendix=True), bool(match["stop"])
        )
        if len(number) == 1:
            yield _Candidate(place, ("S", letter), weight, Heading(number, title, rest))


def _chain(candidates: Sequence[_Candidate], references: int) -> list[_Candidate]:
    """The heaviest sequence of candidates whose numbers count up, in which a list's or a table's do not fit.

    Behind the references a supplement may start again from 1.
    """
    best: list[tuple[int, int]] = []  # weight of the heaviest sequence up to here, and its last but one
    for index, candidate in enumerate(candidates):
        start = candidate.weight if _starts(candidate) else -1
        weight, before = start, -1
        for earlier, other in enumerate(candidates[:index]):
            together = best[earlier][0] + candidate.weight
            if best[earlier][0] < 0 or other.place == candidate.place or together <= weight:
                continue
            if _follows(other.key, candidate.key) or (
                candidate.key == (1,) and other.place < references < candidate.place
            ):
                weight, before = together, earlier
        best.append((weight, before))
    chain: list[_Candidate] = []
    index = max(range(len(best)), key=lambda place: best[place][0], default=-1)
    while index >= 0 and best[index][0] >= 0:
        chain.append(candidates[index])
        index = best[index][1]
    return _with_roman_parents(chain[::-1])


def _starts(candidate: _Candidate) -> bool:
    """May numbers start with this one? "A New Method" alone starts with an article."""
    key = candidate.key
    return key in {(0,), (1,), (1, 1), ("R", 1)} or (key == ("A", ord("A")) and candidate.stopped)


def _follows(last: Key, new: Key) -> bool:
    """May a heading with number `new` come after one with `last`?"""
    kinds = (_kind(last), _kind(new))
    if kinds in {("R", "S"), ("R", "A"), ("", "A"), ("S", "A")}:
        return new[1:] in {(ord("A"),), (ord("A"), 1)} and (kinds[1] != "A" or kinds[0] != "R")
    if kinds == ("S", "R"):
        return True
    if kinds[0] != kinds[1]:
        return False
    last, new = last[1 if kinds[0] else 0 :], new[1 if kinds[1] else 0 :]
    if new[:-1] == last:
        return new[-1] in (0, 1)
    level = len(new) - 1
    if level >= len(last) or new[:level] != last[:level]:
        # A parent that was not found: 3 is missing between 2.4 and 3.1.
        return len(new) > 1 and new[-1] == 1 and _counts_up(last[:level], new[:level])
    return _counts_up(last[: level + 1], new)


def _counts_up(last: Key, new: Key) -> bool:
    return len(last) == len(new) > 0 and last[:-1] == new[:-1] and 0 < int(new[-1]) - int(last[-1]) <= SKIPPED


def _kind(key: Key) -> str:
    return key[0] if isinstance(key[0], str) else ""


def _with_roman_parents(chain: Sequence[_Candidate]) -> list[_Candidate]:
    """IEEE prints "B." under "IV." and speaks of IV-B."""
    done, parent = [], ""
    for candidate in chain:
        heading = candidate.heading
        if candidate.key[0] == "R":
            parent = heading.number
        elif candidate.key[0] == "S":
            heading = Heading(f"{parent}-{heading.number}", heading.title, heading.rest)
        done.append(replace(candidate, heading=heading))
    return done
