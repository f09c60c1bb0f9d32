"""Lines made into text: words that a line's end had cut are whole again, ligatures are letters."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from bot.sources.pdf.glyphs import HYPHEN

HYPHENS = (HYPHEN, "-", "\u2010", "\u00ad")
_LIGATURES = str.maketrans(
    {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st", "\u00a0": " ", "\u00ad": None}
)
_UNPRINTABLE = ("Cc", "Cs", "Co", "Cn")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W_]+)*", re.UNICODE)
_LAST = re.compile(r"[\w-]*[^\W_]$")
_FIRST = re.compile(r"^[^\W_][\w-]*")
_WIDE = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]")  # scripts without spaces between words
# Second and first parts of words that are spelt with a hyphen, in papers that spell the word but once.
_ENDINGS = re.compile(
    r"agnostic|art|aware|based|dependent|dimensional|driven|efficient|end|fidelity|free|friendly|grained|guided|"
    r"head|independent|invariant|level|like|only|oriented|quality|resolution|scale|shot|specific|supervised|"
    r"trained|tuned|tuning|view|window|wise"
)
_OPENINGS = re.compile(
    r"cross|double|dual|few|fine|full|half|high|large|long|low|mid|multi|one|open|post|real|self|semi|short|"
    r"single|small|state|three|top|two|ultra|well|zero"
)
# Words that melt into the next one: "over" "view", "back" "ground".
_CLOSED = re.compile(
    r"any|back|be|bench|bottle|can|data|down|every|fore|for|frame|how|in|key|may|net|no|on|out|over|some|there|"
    r"through|time|under|up|what|where|with|work"
)
LONGEST_WORD = 100  # letters: so far back it is looked for, not through the whole paragraph at each of its lines
LEAST_PART = 3  # letters of a word that may stand alone on either side of a hyphen


class Vocabulary:
    """The words of a paper, which tell how a cut one is spelt."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.words: Counter[str] = Counter()
        self.parts: set[str] = set()
        for line in lines:
            # The last word of a line may be cut, and the first the rest of one.
            words = _WORD.findall(line.casefold())[1 : -1 if line.endswith(HYPHENS) else None]
            self.words.update(words)
            self.parts.update(part for word in words for part in word.split("-"))

    def joined(self, texts: Sequence[str]) -> str:
        """The lines of a paragraph as one."""
        whole = ""
        for text in texts:
            whole = self._appended(whole, text.strip()) if whole else text.strip()
        return tidy(whole)

    def _appended(self, whole: str, text: str) -> str:
        if not text:
            return whole
        if whole.endswith(HYPHENS):
            start = whole[:-1]
            return start + ("-" if self._keeps_hyphen(start, text) else "") + text
        return whole + ("" if _WIDE.match(whole[-1]) and _WIDE.match(text[0]) else " ") + text

    def _keeps_hyphen(self, start: str, text: str) -> bool:
        last, first = _LAST.search(start, max(0, len(start) - LONGEST_WORD)), _FIRST.match(text)
        if not last or not first:
            return True
        left, right = last[0].casefold(), first[0].casefold()
        with_hyphen, without = self.words[f"{left}-{right}"], self.words[left + right]
        if with_hyphen or without:
            return with_hyphen > without
        if not (first[0][0].islower() and last[0][-1].islower()):
            return True  # "Swin-" "T", "4-" "bit"
        left, right = left.rpartition("-")[2], right.partition("-")[0]
        if (left, right) != (last[0].casefold(), first[0].casefold()):
            return not self.words[left + right]  # "state-of-" "the-art" and "high-resolu-" "tion"
        if _ENDINGS.fullmatch(right) or (_OPENINGS.fullmatch(left) and right in self.parts):
            return True
        whole_words = min(len(left), len(right)) >= LEAST_PART and {left, right} <= self.parts
        return whole_words and not _CLOSED.fullmatch(left)


def tidy(text: str) -> str:
    """One line of printable text: ligatures as letters, no control characters, single spaces."""
    text = text.replace(HYPHEN, "-").translate(_LIGATURES)
    if not text.isprintable():
        text = "".join(" " if unicodedata.category(c) in _UNPRINTABLE else c for c in text)
    return " ".join(text.split())
