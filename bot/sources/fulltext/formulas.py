"""Formulas in Hugging Face's Markdown: said once where its converter says them thrice, and between dollars. Pure."""

import re
import unicodedata
from collections.abc import Sequence

# What the older converter says a formula in, behind its TeX: "italic_E start_POSTSUBSCRIPT img end_POSTSUBSCRIPT".
_FONTS = "italic|bold|bold_italic|bold_caligraphic|caligraphic|roman|blackboard|fraktur|sansserif|typewriter|over"
_SPOKEN = re.compile(rf"(?:(?:{_FONTS})_(?P<sign>[^\s_]+)|(?P<bound>start|end)_[A-Z]+(?:_[A-Z]+)*|over~|under~)")
# What it says in front of it, in characters and in content: "E img subscript 𝐸 img".
_CONTENT_WORD = re.compile(
    r"(?:sub|super)script|absent|delimited-\S*|formulae-sequence|conditional(?:-set)?|[a-z]+(?:-[a-z]+)+"
)
_COMMAND = re.compile(r"\\[A-Za-z]+")
_FACTOR = re.compile(r"(\d[\d.]*)×\1\\times \1 ×")  # "8×8\times 8 ×" is said without any of these words
MOST_WORDS = 400  # of a formula said in words


def said_once(text: str) -> str:
    """Of a formula that is said in characters, in TeX and in words, the TeX.

    Words that follow go until they have said its letters; what stands in front goes where it has the same letters.
    """
    text = _FACTOR.sub(r"\1×", text)
    if not _SPOKEN.search(text):
        return text
    words, said, place = text.split(" "), list[str](), 0
    while place < len(words):
        found = _SPOKEN.search(words[place])
        if found is None:
            said.append(words[place])
            place += 1
            continue
        if found.start():
            said.append(words[place][: found.start()])
        tex = _unsaid(said, _taken_back(said))
        words[place] = words[place][found.start() :]
        place, mark = _behind(words, place, _letters(tex))
        said.append(f"${tex}${mark}" if tex else mark)
    return " ".join(said)


def _taken_back(said: list[str]) -> str:
    """The TeX at the end of what was said: back to a space that is neither in braces nor behind a command."""
    tex = said.pop() if said else ""
    while said and (tex.count("}") > tex.count("{") or re.search(r"\\[A-Za-z]+$", said[-1])):
        tex = f"{said.pop()} {tex}"
    return tex


def _unsaid(said: list[str], run: str) -> str:
    """The TeX of a run that may begin with the end of what was said before; that, and what it repeats, is taken out."""
    for start in range(min(len(run), 60)):
        letters = _letters(run[start:])
        before = [*said, run[:start]] if start else said
        twice = _spelling(before, letters * 2)
        count = twice or _spelling(before, letters)
        if count:
            del said[len(said) - (count - bool(start)) :]
            del said[len(said) - (0 if twice else _spelling(said, letters)) :]
            return run[start:]
    return run


def _spelling(said: Sequence[str], letters: str) -> int:
    """How many of the last words spell `letters`; 0 where none do."""
    spelt = ""
    for count, word in enumerate(reversed(said[-60:]), start=1):
        spelt = _letters(_CONTENT_WORD.sub("", word)) + spelt
        if spelt == letters and (letters or not word.isascii()):
            return count
        if not letters.endswith(spelt):
            return 0
    return 0


def _behind(words: Sequence[str], place: int, letters: str) -> tuple[int, str]:
    """The place after a formula that is said in words, and the mark that stands there."""
    left, depth, mark = len(letters), 0, ""
    for index in range(place, min(len(words), place + MOST_WORDS)):
        found = _SPOKEN.match(words[index])
        spoken = _letters(found["sign"] or "") if found else _letters(words[index])
        if index > place and depth <= 0 and not found and ((left <= 0 and spoken) or len(spoken) > max(left, 0)):
            return index, mark
        if found and found["bound"]:
            depth += 1 if found["bound"] == "start" else -1
        left -= len(spoken)
        mark = words[index][-1] if words[index][-1:] in (",", ".", ";", ":", ")") and depth <= 0 and left <= 0 else ""
        mark = "" if mark == ")" or words[index] == mark else mark
    return min(len(words), place + MOST_WORDS), mark


def _letters(text: str) -> str:
    """What a formula says in letters and digits, however it is set."""
    plain = unicodedata.normalize("NFKC", _COMMAND.sub("", text))
    return "".join(character for character in plain if character.isascii() and character.isalnum())


_BARE = re.compile(r"(?<![^\s$])[^\s$]*(?:\\[A-Za-z]+|\\[{}|,;]|[_^]\{)[^\s$]*")
# The space that ends a command inside a formula ("\log p(x)"), not the one between a formula and a word.
_INNER_SPACE = re.compile(r"(\\[A-Za-z]+) (?=[A-Za-z0-9])(?![A-Za-z]{2,}(?:[\s,.;:)]|$))(?![aAI](?:\s|$))")
_AFTER = re.compile(r"(?P<tex>.*?)(?P<mark>[.,;:]?(?:\(\d{1,3}[a-z]?\))?[.,;:]?)")


def delimited(text: str) -> str:
    """Bare TeX between dollars, with what belongs to it up to the next space."""
    if "\\" not in text and "_{" not in text and "^{" not in text:
        return text
    pieces = re.split(r"(\$[^$]*\$)", _INNER_SPACE.sub("\\1\0", text))
    return "".join(piece if piece[:1] == "$" else _BARE.sub(_dollars, piece) for piece in pieces).replace("\0", " ")


def _dollars(found: re.Match[str]) -> str:
    raw = found[0]
    lead = raw[: len(raw) - len(raw.lstrip("([“\"'"))] if raw.count("(") != raw.count(")") else ""
    split = _AFTER.fullmatch(raw[len(lead) :])
    if split is None or split["tex"].count("{") != split["tex"].count("}"):
        return raw
    tex, tail = split["tex"], re.sub(r"^([.,]?)\(", r"\1 (", split["mark"])
    while tex.endswith((")", "]", "”")) and tex.count(")") > tex.count("("):
        tex, tail = tex[:-1], tex[-1] + tail
    return f"{lead}${tex}${tail}" if tex else raw
