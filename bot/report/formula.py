"""LaTeX made readable as Unicode, for places that show plain text. Any input gives an answer."""

import re
import unicodedata
from functools import cache

MAX_LENGTH = 1000  # characters; a longer "formula" is no formula, and reading it would take long
MAX_DEPTH = 16  # nested groups; real formulas stay below ten

_OPEN, _CLOSE = "{", "}"
_TOKEN = re.compile(r"\\[A-Za-z]+\*?|\\.|\s+|.", re.DOTALL)
_SIMPLE = re.compile(r"[\w.′\u0300-\u036f\u20d7]*")

_RAISED = dict(
    zip(
        "0123456789+-−×=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVWαβγδεθφχ∗*′⊤",
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻ˣ⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂᵅᵝᵞᵟᵋᶿᵠᵡ**′ᵀ",
        strict=True,
    )
) | {"∘": "°"}
_LOWERED = dict(zip("0123456789+-−=()aehijklmnoprstuvxβγρφχ", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ", strict=True))
_DOUBLE_STRUCK = dict(zip("CHNPQRZ", "ℂℍℕℙℚℝℤ", strict=True))
_SCRIPT = dict(zip("BEFHILMR", "ℬℰℱℋℐℒℳℛ", strict=True))
_ACCENTS = {
    "hat": "\u0302", "widehat": "\u0302", "tilde": "\u0303", "widetilde": "\u0303", "bar": "\u0304",
    "overline": "\u0304", "vec": "\u20d7", "dot": "\u0307", "ddot": "\u0308", "mathring": "\u030a",
    "check": "\u030c", "breve": "\u0306", "acute": "\u0301", "grave": "\u0300", "underline": "\u0332",
}  # fmt: skip
_TEXT_ACCENTS = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307",
    "c": "\u0327", "v": "\u030c", "u": "\u0306", "H": "\u030b", "k": "\u0328", "r": "\u030a", "d": "\u0323",
}  # fmt: skip
_ROOTS = {"": "√", "2": "√", "3": "∛", "4": "∜"}
_OWN = {
    "le": "≤", "ge": "≥", "ne": "≠", "to": "→", "sim": "~", "ast": "*", "star": "⋆", "mid": " | ", "vert": "|",
    "Vert": "‖", "lVert": "‖", "rVert": "‖", "lvert": "|", "rvert": "|", "prime": "′", "epsilon": "ε",
    "varepsilon": "ε", "phi": "φ", "varphi": "φ", "dots": "…", "cdots": "⋯", "colon": ":", "lbrace": "{",
    "rbrace": "}", "langle": "⟨", "rangle": "⟩", "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉", "iff": "⇔",
    "implies": "⇒", "land": "∧", "lor": "∨", "bmod": "mod", "dagger": "†", "triangleq": "≜", "coloneqq": "≔",
    "quad": " ", "qquad": " ", "|": "‖", ",": " ", ";": " ", ":": " ", " ": " ", "!": "", "\\": "; ", "\n": " ",
}  # fmt: skip
_RELATIONS = frozenset("=<>≤≥≪≫≈≃≅≡≠∝∈∉⊂⊆⊃⊇→←↔↦⇒⇔⟶⟵≜≔≲≳")
_BIG = frozenset("∑∏∐∫∮⋃⋂")
_UPRIGHT = ("text", "textrm", "textbf", "textit", "texttt", "textsf", "mathrm", "mbox", "operatorname", "mathop")
_SILENT = (
    "left", "right", "middle", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr", "biggl", "biggr",
    "displaystyle", "textstyle", "scriptstyle", "limits", "nolimits", "nonumber", "rm", "bf", "it", "cal",
)  # fmt: skip
FUNCTIONS = (
    "log", "ln", "exp", "sin", "cos", "tan", "tanh", "min", "max", "arg", "inf", "sup", "lim", "det", "dim", "ker",
    "Pr", "gcd", "deg", "argmin", "argmax", "softmax",
)  # fmt: skip


def readable(tex: str) -> str:
    """`tex` (without its dollars) as Unicode: "x² ≤ α", "a/b"; the source itself where nothing readable comes out."""
    if len(tex) > MAX_LENGTH:
        return tex
    try:
        text = _Reader(tex).group()
    except ValueError:
        return tex
    text = re.sub(r"\s+([,;)\]}])", r"\1", re.sub(r"\s+", " ", text)).strip()
    return unicodedata.normalize("NFC", re.sub(r"^~ ", "~", text)) or tex


def readable_text(text: str) -> str:
    r"""Running text with TeX in it, as titles have it: `Schr\"odinger`, `\textit{in vivo}`, `V^3`, `2^{128}`."""
    text = re.sub(r"(?<=\w)\^(?:\{([^{}\s]{1,8})\}|(\d))", lambda found: _script(found[1] or found[2], "^"), text)
    text = text.replace(" -- ", " – ").replace(" --- ", " — ")
    if "\\" not in text:
        return text
    text = re.sub(
        r"\\(['`^\"~=.]|[cvuHkrd](?![A-Za-z]))\s*(?:\{\\?([A-Za-z])\}|\\?([A-Za-z]))",
        lambda found: (found[2] or found[3]) + _TEXT_ACCENTS[found[1]],
        text,
    )
    text = re.sub(r"\\(?:emph|text[a-z]*|math[a-z]*|mbox)\s*(?=\{)", "", text)
    text = re.sub(r"\\([A-Za-z]+)\s?", lambda found: _symbol(found[1]) or found[0], text)
    text = re.sub(r"\\([^A-Za-z0-9\s])", r"\1", re.sub(r"(?<!\\)[{}]", "", text))
    return unicodedata.normalize("NFC", text)


class _Reader:
    """A lenient recursive reader of TeX math. Raises ValueError for nesting that no person writes."""

    def __init__(self, tex: str) -> None:
        self._tokens: list[str] = _TOKEN.findall(tex)
        self._next = 0
        self._depth = 0

    def group(self, end: str = "") -> str:
        """Everything up to the token `end` ("" for the end of the source), which is consumed."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ValueError("nested too deeply")
        parts: list[str] = []
        while (token := self._take()) not in ("", end):
            if token in ("^", "_"):
                script = _script(self._argument(), token)
                # A space that a relation or function left does not belong between a symbol and its script.
                parts[-1:] = [parts[-1].rstrip(" ") + script + " " * parts[-1].endswith(" ")] if parts else [script]
            else:
                parts.append(self._atom(token, after=parts[-1] if parts else ""))
        self._depth -= 1
        return "".join(parts)

    def _take(self) -> str:
        if self._next >= len(self._tokens):
            return ""
        self._next += 1
        return self._tokens[self._next - 1]

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _skip_space(self) -> None:
        while self._peek().isspace():
            self._next += 1

    def _argument(self) -> str:
        self._skip_space()
        token = self._take()
        return self._atom(token, after="").strip() if token else ""

    def _atom(self, token: str, after: str) -> str:
        if token == _OPEN:
            return self.group(_CLOSE)
        if token == _CLOSE or token.isspace():
            return ""
        if token.startswith("\\") and len(token) > 1:
            return self._macro(token[1:].rstrip("*") or "*", after)
        if token in _RELATIONS:
            return f" {token} "
        if token.startswith(","):
            return "," if self._peek().isdigit() else ", "
        return {"-": "−", "'": "′", "~": " ", "&": " "}.get(token, token)

    def _macro(self, name: str, after: str) -> str:
        if name in _SILENT:
            if name in ("left", "right") and self._peek() == ".":
                self._take()
            return ""
        if name in ("begin", "end"):
            self._argument()
            return ""
        if name in ("frac", "dfrac", "tfrac", "cfrac"):
            return f"{_wrapped(self._argument())}/{_wrapped(self._argument())}"
        if name in ("binom", "dbinom"):
            return f"C({self._argument()}, {self._argument()})"
        if name == "sqrt":
            return self._root()
        if name in _ACCENTS:
            return _accented(self._argument(), _ACCENTS[name])
        if name in ("mathbb", "mathcal", "mathscr"):
            letters = _DOUBLE_STRUCK if name == "mathbb" else _SCRIPT
            return "".join(letters.get(letter, letter) for letter in self._argument())
        if name in _UPRIGHT:
            return self._verbatim()
        if name in FUNCTIONS:
            space = " " if after[-1:].isalnum() else ""
            return f"{space}{name} " if self._peek() not in ("(", "\\left") else space + name
        if name.startswith(("math", "bold")) or name in ("bm", "pmb"):
            return self._argument()
        symbol = _symbol(name) or name
        if symbol in _BIG:
            return f" {symbol} " if after[-1:].isalnum() else f"{symbol} "
        return f" {symbol} " if symbol in _RELATIONS or symbol == "~" else symbol

    def _root(self) -> str:
        self._skip_space()
        degree = ""
        if self._peek() == "[":
            self._take()
            degree = self.group("]").strip()
        sign = _ROOTS.get(degree) or _script(degree, "^") + "√"
        return sign + _wrapped(self._argument())

    def _verbatim(self) -> str:
        r"""The argument with its spaces: \text{ if } keeps them."""
        self._skip_space()
        if self._peek() != _OPEN:
            return self._argument()
        self._take()
        inside: list[str] = []
        depth = 1
        while token := self._take():
            depth += (token == _OPEN) - (token == _CLOSE)
            if depth == 0:
                break
            inside.append(_symbol(token[1:]) or token[1:] if token.startswith("\\") else token.strip("{}$"))
        return "".join(inside)


def _script(content: str, sign: str) -> str:
    table = _RAISED if sign == "^" else _LOWERED
    content = content.replace(" ", "")
    if content and all(letter in table for letter in content):
        return "".join(table[letter] for letter in content)
    return sign + _wrapped(content) if content else ""


def _wrapped(content: str) -> str:
    content = content.strip()
    return content if _SIMPLE.fullmatch(content) or len(content) == 1 else f"({content})"


def _accented(content: str, accent: str) -> str:
    return content + accent if len(content) == 1 else content


def _symbol(name: str) -> str:
    if name in _OWN:
        return _OWN[name]
    return _symbols().get(name, "")


@cache
def _symbols() -> dict[str, str]:
    """The table in pylatexenc of macros that stand for one symbol."""
    from pylatexenc.latex2text import get_default_latex_context_db  # type: ignore[import-untyped]  # it ships no types

    known = get_default_latex_context_db()
    specs = (spec for spec in known.iter_macro_specs())
    return {
        spec.macroname: spec.simplify_repl
        for spec in specs
        if isinstance(spec.simplify_repl, str) and "%" not in spec.simplify_repl and spec.macroname != "today"
    }
