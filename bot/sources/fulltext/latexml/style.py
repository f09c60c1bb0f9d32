"""What CSS makes of an element: gone, how large, in which colours. Only what can hide text is understood. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

SMALLEST = 4.0  # points; LaTeX's \\tiny is 5
BASE = 10.0  # points that 100 % stand for: LaTeXML's percentages refer to a 10-point document
ALIKE = 20  # of 255: two colours that differ by no more in any channel cannot be told apart by a reader
FAR = 400.0  # points: what is moved by more is off the page
FAR_SHIFT = 3_000.0  # points; LaTeXML shifts a shrunken table by hundreds
SMALLEST_SCALE = 0.1  # of ten points, one is left; wide tables are shrunken to a third
FAINT = 0.1  # opacity
MOST_RULES, MOST_CSS = 500, 200_000

Colour = tuple[int, int, int]
WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
_NAMES: dict[str, Colour] = {
    "white": WHITE,
    "snow": (255, 250, 250),
    "ivory": (255, 255, 240),
    "ghostwhite": (248, 248, 255),
    "whitesmoke": (245, 245, 245),
    "floralwhite": (255, 250, 240),
    "azure": (240, 255, 255),
    "mintcream": (245, 255, 250),
    "aliceblue": (240, 248, 255),
    "seashell": (255, 245, 238),
    "honeydew": (240, 255, 240),
    "lightyellow": (255, 255, 224),
    "black": BLACK,
    "red": (255, 0, 0),
    "blue": (0, 0, 255),
    "green": (0, 128, 0),
    "gray": (128, 128, 128),
    "grey": (128, 128, 128),
    "yellow": (255, 255, 0),
}
_POINTS = {
    "pt": 1.0,
    "px": 0.75,
    "mm": 2.835,
    "cm": 28.35,
    "in": 72.0,
    "pc": 12.0,
    "em": BASE,
    "rem": BASE,
    "ex": BASE / 2,
}
_LENGTH = re.compile(r"\s*((?:-?(?:\d{1,9}\.?\d{0,9}|\.\d{1,9})(?:e[+-]?\d{1,2})?)?)\s*([a-z%]*)")
_ESCAPE = re.compile(r"\\([0-9a-f]{1,6})\s?")
_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_SIDES = ("left", "top", "right", "bottom", "margin-left", "margin-top", "margin-right", "text-indent")
_SIZES = {"xx-small": 6.0, "x-small": 7.5, "small": 9.0, "medium": 10.0, "large": 12.0}


@dataclass(frozen=True, slots=True)
class Look:
    """What declarations say. `gone`: nothing in it can be seen. `size` in points, `scale` of the size around it.

    `ink` and `ground` are None where they say nothing; a ground that is no plain colour is ().
    """

    gone: bool = False
    size: float | None = None
    scale: float = 1.0
    ink: Colour | None = None
    ground: Colour | tuple[()] | None = None


PLAIN = Look()


@dataclass(frozen=True, slots=True)
class Setting:
    """What an element hands down to what stands in it."""

    size: float = BASE
    ink: Colour = BLACK
    ground: Colour | tuple[()] = WHITE

    def inside(self, look: Look) -> "Setting":
        size = look.size if look.size is not None else self.size * look.scale
        ground = self.ground if look.ground is None else look.ground
        return Setting(size, look.ink or self.ink, ground)

    @property
    def unseen(self) -> bool:
        """Too small to be read, or in the colour of what it stands on."""
        if self.size < SMALLEST:
            return True
        if self.ink is BLACK and self.ground is WHITE:
            return False
        return len(self.ground) == 3 and all(
            abs(ink - ground) <= ALIKE for ink, ground in zip(self.ink, self.ground, strict=True)
        )


@lru_cache(maxsize=2048)
def look(declarations: str) -> Look:
    """What a style attribute, or the body of a rule, makes of its element."""
    found = _declared(declarations)
    moved = (
        found.get("position") in ("absolute", "fixed", "relative") or "text-indent" in found or "margin-left" in found
    )
    size, scale = _font_size(found.get("font-size") or found.get("font", ""))
    ink, alpha = _colour(found.get("--ltx-fg-color") or found.get("color", ""))
    painted = found.get("--ltx-bg-color") or found.get("background-color") or found.get("background")
    ground, ground_alpha = _ground(painted or "")
    gone = (
        found.get("display") == "none"
        or found.get("visibility") in ("hidden", "collapse")
        or found.get("content-visibility") == "hidden"
        or _number(found.get("opacity", "1")) < FAINT
        or alpha < FAINT
        or (moved and any(abs(_points(found.get(side, "0"))) > FAR for side in _SIDES))
        or _clipped(found)
        or _transformed_away(found.get("transform", ""))
    )
    unknown: Colour | tuple[()] | None = () if painted and ground_alpha >= FAINT and painted not in _NO_GROUND else None
    return Look(gone, size, scale, ink, ground or unknown)


_NO_GROUND = ("none", "transparent", "inherit", "initial", "unset")


def _declared(declarations: str) -> dict[str, str]:
    text = _COMMENT.sub("", declarations).lower()
    if "\\" in text:
        text = _ESCAPE.sub(lambda code: chr(min(int(code[1], 16), 0x10FFFF)), text)
    pairs = (declaration.partition(":") for declaration in text.split(";"))
    return {name.strip(): value.replace("!important", "").strip() for name, _, value in pairs}


def _number(text: str) -> float:
    found = _LENGTH.match(text)
    try:
        value = float(found[1]) if found else 0.0
    except ValueError:
        return 1.0
    return value / 100 if found and found[2] == "%" else value


def _points(text: str) -> float:
    """A length in points; 0 for what is none, percentages taken of a page's width."""
    found = _LENGTH.match(text)
    if not found or found[1] in ("", "-", "."):
        return 0.0
    return float(found[1]) * {"%": 6.0, "": 0.75, "vw": 6.0, "vh": 8.0}.get(found[2], _POINTS.get(found[2], 0.75))


def _font_size(text: str) -> tuple[float | None, float]:
    """(points, 1) or (None, share of the size around it)."""
    if text in _SIZES:
        return _SIZES[text], 1.0
    for word in text.split()[:8]:
        found = _LENGTH.match(word)
        if found and found[1] not in ("", "-", ".") and (found[2] or float(found[1]) == 0):
            value = float(found[1])
            share = {"%": 0.01, "em": 1.0, "ex": 0.5}.get(found[2])
            return (None, value * share) if share else (value * _POINTS.get(found[2], 1.0), 1.0)
    return None, 1.0


def _colour(text: str) -> tuple[Colour | None, float]:
    """(red, green, blue) with opacity; (None, 1) for what is no plain colour."""
    text = text.strip()
    if text == "transparent":
        return None, 0.0
    if text in _NAMES:
        return _NAMES[text], 1.0
    if re.fullmatch(r"#[0-9a-f]{3,4}|#[0-9a-f]{6}|#[0-9a-f]{8}", text):
        digits = text[1:] if len(text) > 5 else "".join(digit * 2 for digit in text[1:])
        channels = [int(digits[place : place + 2], 16) for place in range(0, len(digits), 2)]
        return (channels[0], channels[1], channels[2]), channels[3] / 255 if len(channels) == 4 else 1.0
    return _functional(text)


def _ground(text: str) -> tuple[Colour | None, float]:
    """The colour of a background, which may say more than that ("#fff no-repeat"); None for one with an image."""
    colours = [_colour(text), *map(_colour, text.split() if "(" not in text else ())]
    return next((found for found in colours if found[0] is not None), colours[0])


def _functional(text: str) -> tuple[Colour | None, float]:
    found = re.fullmatch(r"(rgb|hsl)a?\(([^()]{1,80})\)", text)
    values = re.findall(r"-?\d{1,4}(?:\.\d{0,8})?%?", found[2]) if found else []
    if not found or len(values) < 3:
        return None, 1.0
    alpha = _number(values[3]) if len(values) > 3 else 1.0
    if found[1] == "hsl":
        return (WHITE if _number(values[2]) > 0.93 else None), alpha  # light enough to be white, whatever the hue
    red, green, blue = (round(_number(v) * 255) if v.endswith("%") else int(float(v)) for v in values[:3])
    return (red, green, blue), alpha


def _clipped(found: dict[str, str]) -> bool:
    """Is there no room for anything to be seen?"""
    room = [_points(found[side]) for side in ("width", "height", "max-width", "max-height") if side in found]
    if "hidden" in found.get("overflow", "") + found.get("overflow-x", "") + found.get("overflow-y", ""):
        return any(size <= 1 for size in room)
    clip = found.get("clip", "").replace(",", " ")
    inset = re.fullmatch(r"inset\(\s*(\d{1,3})%.*\)", found.get("clip-path", ""))
    circle = re.match(r"(?:circle|ellipse)\(\s*0", found.get("clip-path", ""))
    return bool(re.match(r"rect\((?:\s*[01](?:px|pt)?){4}\s*\)", clip) or (inset and int(inset[1]) >= 50) or circle)


def _transformed_away(text: str) -> bool:
    factors = [factor for scale in re.findall(r"scale[xy]?\(([^()]{1,80})\)", text) for factor in scale.split(",")]
    moves = re.findall(r"translate[xy]?\(([^()]{1,80})\)", text)
    shrunken = any(abs(_number(factor)) < SMALLEST_SCALE for factor in factors)
    return shrunken or any(abs(_points(step)) > FAR_SHIFT for move in moves for step in move.split(","))


@dataclass(frozen=True, slots=True)
class Rules:
    """The simple rules of a page's own style sheets: declarations by "x", ".x", "#x" and "tag.x"."""

    by_selector: dict[str, str] = field(default_factory=dict)

    def declarations(self, tag: str, identity: str, names: list[str], own: str) -> str:
        """All that applies to an element; its own come last, as they win."""
        if not self.by_selector:
            return own
        asked = [tag, *(f".{name}" for name in names), *(f"{tag}.{name}" for name in names)]
        asked += [f"#{identity}", f"{tag}#{identity}"] if identity else []
        return ";".join([*(self.by_selector[key] for key in asked if key in self.by_selector), own])


_SELECTOR = re.compile(r"[a-z0-9]*[.#][\w-]+|[a-z][a-z0-9]*")


def rules(sheets: Iterator[str]) -> Rules:
    """Simple selectors of style sheets, at most MOST_RULES out of MOST_CSS characters; those for print are left out."""
    css = _COMMENT.sub("", "\n".join(sheet[:MOST_CSS] for sheet in sheets)[:MOST_CSS])
    found: dict[str, str] = {}
    open_preludes: list[tuple[str, bool]] = []  # with: are the rules in it for print?
    rest = ""
    for piece in re.split(r"([{}])", css):
        if piece == "{":
            prelude = rest.rpartition(";")[2].strip()
            open_preludes.append((prelude, _in_print(open_preludes) or "print" in prelude))
        elif piece == "}":
            prelude, _ = open_preludes.pop() if open_preludes else ("", False)
            if len(found) < MOST_RULES and not _in_print(open_preludes):
                _add(found, prelude, rest)
        rest = piece if piece not in "{}" else ""
    return Rules(found)


def _in_print(open_preludes: Sequence[tuple[str, bool]]) -> bool:
    return bool(open_preludes) and open_preludes[-1][1]


def _add(found: dict[str, str], prelude: str, declarations: str) -> None:
    for selector in prelude.split(",")[:20]:
        selector = selector.strip()
        if _SELECTOR.fullmatch(selector) and selector not in ("html", "body"):
            found[selector] = found.get(selector, "") + ";" + declarations
