r"""TeX as a paper prints it: commands as the characters that they stand for, so that "\alpha_t" and "αₜ" compare. Pure.

Full texts hold formulas as $TeX$ (from HTML) or in Unicode (from PDF), and models write either.
"""

import re
from collections.abc import Mapping

COMMAND = re.compile(r"\\([A-Za-z]+)")

_GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon phi"
_LETTERS = dict(zip(f"{_GREEK} chi psi omega".split(), "αβγδεζηθικλμνξοπρστυφχψω", strict=True))
_SIGNS = """
    varepsilonε varthetaθ varpiπ varrhoρ varsigmaσ varphiφ ellℓ times× cdot· div÷ pm± mp∓ ast* circ∘ infty∞ le≤ leq≤
    leqslant≤ ge≥ geq≥ geqslant≥ ne≠ neq≠ lt< gt> ll≪ gg≫ approx≈ sim~ simeq≃ equiv≡ propto∝ in∈ notin∉ subset⊂ cup∪
    cap∩ forall∀ exists∃ mid| to→ rightarrow→ leftarrow← Rightarrow⇒ mapsto↦ uparrow↑ downarrow↓ sum∑ prod∏ int∫ sqrt√
    partial∂ nabla∇ odot⊙ otimes⊗ oplus⊕ top⊤ prime′ langle⟨ rangle⟩ star⋆ ldots… dots… cdots… vdots…
    Vert‖ lVert‖ rVert‖
"""
SYMBOLS: Mapping[str, str] = {
    **_LETTERS,
    **{name.capitalize(): letter.upper() for name, letter in _LETTERS.items()},
    **dict(re.findall(r"([A-Za-z]+)(\S)", _SIGNS)),
}

# What says only how the rest looks; accents are here because folding drops them from Unicode letters as well.
LOOKS = frozenset(
    """mathbf mathcal mathrm mathbb mathit mathsf mathtt mathfrak mathscr boldsymbol bm bf it rm cal text textbf textit
    textrm textsf texttt textsc textup textnormal emph operatorname mathop mbox left right middle big Big bigg Bigg bigl
    bigr Bigl Bigr biggl biggr displaystyle textstyle scriptstyle limits nolimits quad qquad hspace frac dfrac tfrac
    cfrac hat widehat bar overline underline tilde widetilde vec dot ddot check breve acute grave underbrace overbrace
    mathstrut phantom nonumber""".split()  # noqa: SIM905 - fifty lines of one word are no table
)

_FRACTION = re.compile(r"\\[dtc]?frac\s*\{([^{}]{1,40})\}\s*\{([^{}]{1,40})\}")
_GROUPED = re.compile(r"(?<=\d)(?:\\,|\{,\}|[\u2009\u202f])(?=\d{3}(?!\d))")  # 12\,000
_SPACE = re.compile(r"\\[,;:! ]|~")


def said(command: str) -> str:
    r"""What `\command` prints: its symbol, nothing for what is only looks, else its name ("\log", a macro)."""
    return "" if command in LOOKS else SYMBOLS.get(command, command)


def spelled(text: str) -> str:
    """`text` without TeX marks: symbols for commands, "a/b" for fractions; "^" and "_" stay."""
    if "\\" in text or "{" in text:
        text = _GROUPED.sub(",", text)
        text = _SPACE.sub(" ", _FRACTION.sub(r" \1/\2 ", text))
        text = COMMAND.sub(lambda found: said(found[1]), text)
    return text.translate(_MARKS)


_MARKS = {ord(mark): None for mark in "$\\{}"}
