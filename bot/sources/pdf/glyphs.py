"""Text with its place and look, out of PDFium: visible runs in the order of the page, and what no reader can see."""

import ctypes
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, repeat
from math import hypot
from typing import Any, NamedTuple

import pypdfium2_raw as pdfium  # type: ignore[import-untyped]  # generated bindings; `pypdfium2` loads twice as long

SMALLEST = 4.0  # points; smaller type is there for machines
FAINTEST = 0.15  # of full opacity
NARROWEST = 0.12  # of the size, for a letter on average; "l" takes twice as much
LEAST_LETTERS = 4  # of a run whose letters are measured: a symbol may be spelled by three
WHITEST = 240  # of 255 in each of red, green and blue
LIKE = 12  # of 255: two colours closer than that are one to the eye
DARK = 128  # of 255: the brightest of a background on which white type is read
WHOLE = 0.8  # of the page's area: what covers that much is a background
PAINTED = 20  # objects from the first on, among which a background is
INVISIBLE_MODES = frozenset({3, 7})  # neither filled nor stroked; clipping only (ISO 32000-1, table 106)
STROKED_MODES = frozenset({1, 5})
UNKNOWN = "\ufffd"
HYPHEN = "\x02"  # what PDFium makes of a hyphen at the end of a line, as a character
LINE_END_HYPHEN = "\ufffe"  # and in a text
BOLD_NAMES = ("bold", "black", "heavy", "medi", "cmbx", "demi", "-bd", "sfbx", "ssbx")
FORCE_BOLD, ITALIC = 1 << 18, 1 << 6  # flags of a font descriptor (ISO 32000-1, table 123)
BOLD_WEIGHT = 600


class UnreadablePdfError(Exception):
    """PDFium cannot open it."""


class Run(NamedTuple):
    """Text of one look on one baseline: `x0` to `x1` and `y` in points, upwards, `size` as it is seen.

    `inside` a form: in a figure, mostly. `turned` by a right angle: `y` is its lower end then.
    """

    text: str
    x0: float
    x1: float
    y: float
    size: float
    bold: bool
    italic: bool
    inside: bool
    turned: bool


@dataclass(frozen=True, slots=True)
class Page:
    """The runs that a reader sees, those that none sees, and the page's box (left, bottom, right, top) in points."""

    runs: tuple[Run, ...]
    hidden: tuple[Run, ...]
    box: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Look:
    """What a font is like."""

    bold: bool
    italic: bool


_Address, _Index, _Size = ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t


def _direct(name: str, result: type, *arguments: type) -> Callable[..., Any]:
    """A function of PDFium that takes and gives addresses as numbers: four times as fast as with typed pointers."""
    address = ctypes.cast(getattr(pdfium, name), ctypes.c_void_p).value
    return ctypes.PYFUNCTYPE(result, *arguments)(address or 0)


_load_document = _direct("FPDF_LoadMemDocument64", _Address, _Address, _Size, _Address)
_close_document = _direct("FPDF_CloseDocument", ctypes.c_int, _Address)
_page_count = _direct("FPDF_GetPageCount", _Index, _Address)
_load_page = _direct("FPDF_LoadPage", _Address, _Address, _Index)
_close_page = _direct("FPDF_ClosePage", ctypes.c_int, _Address)
_bounds = _direct("FPDF_GetPageBoundingBox", _Index, _Address, _Address)
_count_objects = _direct("FPDFPage_CountObjects", _Index, _Address)
_page_object = _direct("FPDFPage_GetObject", _Address, _Address, _Index)
_kind = _direct("FPDFPageObj_GetType", _Index, _Address)
_object_bounds = _direct("FPDFPageObj_GetBounds", _Index, _Address, *[_Address] * 4)
_object_fill = _direct("FPDFPageObj_GetFillColor", _Index, _Address, *[_Address] * 4)
_load_text = _direct("FPDFText_LoadPage", _Address, _Address)
_close_text = _direct("FPDFText_ClosePage", ctypes.c_int, _Address)
_count = _direct("FPDFText_CountChars", _Index, _Address)
_whole_text = _direct("FPDFText_GetText", _Index, _Address, _Index, _Index, _Address)
_object_of = _direct("FPDFText_GetTextObject", _Address, _Address, _Index)
_character = _direct("FPDFText_GetUnicode", ctypes.c_uint, _Address, _Index)
_font_size = _direct("FPDFText_GetFontSize", ctypes.c_double, _Address, _Index)
_matrix = _direct("FPDFText_GetMatrix", _Index, _Address, _Index, _Address)
_origin = _direct("FPDFText_GetCharOrigin", _Index, _Address, _Index, _Address, _Address)
_box = _direct("FPDFText_GetLooseCharBox", _Index, _Address, _Index, _Address)
_fill = _direct("FPDFText_GetFillColor", _Index, _Address, _Index, *[_Address] * 4)
_stroke = _direct("FPDFText_GetStrokeColor", _Index, _Address, _Index, *[_Address] * 4)
_mode = _direct("FPDFTextObj_GetTextRenderMode", _Index, _Address)
_font = _direct("FPDFTextObj_GetFont", _Address, _Address)
_font_name = _direct("FPDFFont_GetBaseFontName", _Size, _Address, _Address, _Size)
_font_flags = _direct("FPDFFont_GetFlags", _Index, _Address)
_font_weight = _direct("FPDFFont_GetWeight", _Index, _Address)


def pages(content: bytes, limit: int, characters: int) -> Iterator[Page]:
    """The first `limit` pages, as far as `characters` reach. Raises UnreadablePdfError for a broken or locked file."""
    pdfium.FPDF_InitLibrary()
    memory = ctypes.c_char_p(content)  # PDFium reads from it until the document is closed
    document = _load_document(ctypes.cast(memory, ctypes.c_void_p), len(content), None)
    if not document:
        raise UnreadablePdfError(f"PDFium's error {pdfium.FPDF_GetLastError()}")
    looks: dict[int, Look] = {}
    try:
        for index in range(min(limit, _page_count(document))):
            if characters <= 0:
                return
            page = _page(document, index, looks, characters)
            characters -= sum(len(run.text) for run in (*page.runs, *page.hidden))
            yield page
    finally:
        _close_document(document)


def _page(document: int, index: int, looks: dict[int, Look], characters: int) -> Page:
    page = _load_page(document, index)
    if not page:
        return Page((), (), (0.0, 0.0, 0.0, 0.0))
    text_page = _load_text(page)
    try:
        return _Reader(page, text_page, looks).page(characters)
    finally:
        _close_text(text_page)
        _close_page(page)


class _Reader:
    """One page; the arrays are memory that PDFium fills."""

    def __init__(self, page: int, text_page: int, looks: dict[int, Look]) -> None:
        self.page_address, self.text_page, self.looks = page, text_page, looks
        self.matrix, self.rectangle = (ctypes.c_float * 6)(), (ctypes.c_float * 4)()
        self.point, self.colour = (ctypes.c_double * 2)(), (ctypes.c_uint * 4)()
        self.at_matrix, self.at_rectangle = ctypes.addressof(self.matrix), ctypes.addressof(self.rectangle)
        self.at_x, self.at_y = (ctypes.addressof(self.point) + 8 * index for index in range(2))
        self.at_sides = [self.at_rectangle + 4 * index for index in range(4)]
        self.at_channels = [ctypes.addressof(self.colour) + 4 * index for index in range(4)]
        self.background = (255, 255, 255)
        _bounds(page, self.at_rectangle)
        left, top, right, bottom = self.rectangle
        self.box = (left, bottom, right, top)

    def page(self, characters: int) -> Page:
        count = min(characters, max(0, _count(self.text_page))) if self.text_page else 0
        owners = list(map(_object_of, repeat(self.text_page), range(count)))
        text = self._text(count)
        objects = list(map(_page_object, repeat(self.page_address), range(_count_objects(self.page_address))))
        outer, self.background = frozenset(objects), self._background_of(objects[:PAINTED])
        runs: list[Run] = []
        hidden: list[Run] = []
        first = 0
        for last in [*(index for index, (left, right) in enumerate(pairwise(owners), 1) if left != right), count]:
            owner, words = owners[first] if count else None, text[first:last]
            if owner and not words.isspace():
                run, visible = self._run(words, first, last - 1, owner)
                kept = runs if visible else hidden
                kept.append(run if owner in outer else run._replace(inside=True))
            elif runs and "\n" not in words and not runs[-1].text.endswith(" "):
                runs[-1] = runs[-1]._replace(text=runs[-1].text + " ")
            first = last
        return Page(tuple(runs), tuple(hidden), self.box)

    def _text(self, count: int) -> str:
        """One character for each index. PDFium's whole text has them all, unless a glyph has no or a rare character."""
        units = (ctypes.c_ushort * (count + 1))()
        if _whole_text(self.text_page, 0, count, ctypes.addressof(units)) == count + 1:
            return "".join(map(chr, units[:count])).replace(LINE_END_HYPHEN, HYPHEN)
        return "".join(map(_printed, map(_character, repeat(self.text_page), range(count))))

    def _background_of(self, objects: Sequence[int]) -> tuple[int, int, int]:
        """The colour of the last of `objects` that covers the page; paper is white."""
        found = (255, 255, 255)
        left, bottom, right, top = self.box
        for painted in objects:
            if _kind(painted) == pdfium.FPDF_PAGEOBJ_PATH and _object_bounds(painted, *self.at_sides):
                x0, y0, x1, y1 = self.rectangle
                width, height = min(x1, right) - max(x0, left), min(y1, top) - max(y0, bottom)
                is_whole = width > 0 < height and width * height > WHOLE * (right - left) * (top - bottom)
                if is_whole and _object_fill(painted, *self.at_channels) and self.colour[3] == 255:
                    found = (self.colour[0], self.colour[1], self.colour[2])
        return found

    def _run(self, text: str, first: int, last: int, owner: int) -> tuple[Run, bool]:
        """The run, and whether a reader sees it."""
        _origin(self.text_page, first, self.at_x, self.at_y)
        _box(self.text_page, last, self.at_rectangle)
        _matrix(self.text_page, first, self.at_matrix)
        (x, y), (_, _, right, _) = self.point, self.rectangle
        a, b, c, d, _, _ = self.matrix
        size = abs(_font_size(self.text_page, first))
        high, wide = size * hypot(c, d), size * hypot(a, b)
        left, bottom, far, top = self.box
        look = self._look(owner)
        run = Run(text, x, right, y, high, look.bold, look.italic, inside=False, turned=abs(b) > abs(a) or a < 0)
        is_on_page = left <= x <= far and bottom <= y <= top
        is_legible = min(high, 2 * wide) >= SMALLEST and (run.turned or _has_room(text, abs(right - x), wide))
        return run, is_on_page and is_legible and self._inked(first, owner)

    def _inked(self, first: int, owner: int) -> bool:
        """Is this drawn, and in another colour than what it stands on?"""
        mode = _mode(owner)
        if mode in INVISIBLE_MODES:
            return False
        (_stroke if mode in STROKED_MODES else _fill)(self.text_page, first, *self.at_channels)
        red, green, blue, alpha = self.colour
        if alpha < FAINTEST * 255 or (min(red, green, blue) >= WHITEST and max(self.background) >= DARK):
            return False
        paper_red, paper_green, paper_blue = self.background
        return max(abs(red - paper_red), abs(green - paper_green), abs(blue - paper_blue)) > LIKE

    def _look(self, owner: int) -> Look:
        font = _font(owner)
        if font not in self.looks:
            self.looks[font] = _look_of(font) if font else Look(bold=False, italic=False)
        return self.looks[font]


def _has_room(text: str, width: float, size: float) -> bool:
    """Can `width` hold these letters? A file may give PDFium other words for what it draws (/ActualText)."""
    letters = len(text.strip())
    return letters < LEAST_LETTERS or width >= NARROWEST * size * letters


def _look_of(font: int) -> Look:
    name_buffer = ctypes.create_string_buffer(128)
    _font_name(font, ctypes.addressof(name_buffer), len(name_buffer))
    name = name_buffer.value.decode("utf-8", "replace").lower()
    flags = max(0, _font_flags(font))
    bold = any(word in name for word in BOLD_NAMES) or bool(flags & FORCE_BOLD) or _font_weight(font) >= BOLD_WEIGHT
    return Look(bold=bold, italic=bool(flags & ITALIC) or "ital" in name or "obli" in name)


def _printed(code: int) -> str:
    return chr(code) if code < sys.maxunicode else UNKNOWN
