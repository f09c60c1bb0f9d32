"""A small typesetter of invented papers as PDF files: columns, headings, captions, tables, heads and feet.

Courier, whose letters are all .6 of the size wide, makes exact line breaks possible without font metrics.
"""

import textwrap
from dataclasses import dataclass, field, replace

WIDTH, HEIGHT = 612.0, 792.0
TOP, BOTTOM, LEFT, GUTTER = 700.0, 90.0, 54.0, 20.0
SIZE, LEADING, INDENT = 8.0, 9.5, 10.0
LETTER = 0.6  # of the size
ROMAN, BOLD, ITALIC = "F1", "F2", "F3"
FONTS = {ROMAN: "Courier", BOLD: "Courier-Bold", ITALIC: "Courier-Oblique"}


@dataclass(frozen=True)
class Word:
    """Text at a place. `mode`, `colour`, `opaque` and `matrix` are what hides text in real files, and `said`: the words
    that the file gives for what it draws.
    """

    text: str
    x: float
    y: float
    size: float = SIZE
    font: str = ROMAN
    page: int = 0
    mode: int = 0
    colour: tuple[float, float, float] = (0, 0, 0)
    opaque: bool = True
    matrix: tuple[float, float, float, float] = (1, 0, 0, 1)
    form: bool = False
    said: str = ""

    def operators(self):
        if self.said:
            return f"/Span << /ActualText ({escaped(self.said)}) >> BDC {replace(self, said='').operators()} EMC"
        a, b, c, d = self.matrix
        state = "" if self.opaque else "/Clear gs "
        return (
            f"q {state}BT {' '.join(map(str, self.colour))} rg {self.mode} Tr /{self.font} {self.size} Tf "
            f"{a} {b} {c} {d} {self.x:.2f} {self.y:.2f} Tm ({escaped(self.text)}) Tj ET Q"
        )


def escaped(text):
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


@dataclass
class Paper:
    """Sets items one below the other in one or two columns; `words` is what stands on its pages so far."""

    columns: int = 2
    words: list[Word] = field(default_factory=list)
    page: int = 0
    column: int = 0
    y: float = TOP
    top: float = TOP

    @property
    def width(self):
        return (WIDTH - 2 * LEFT - (self.columns - 1) * GUTTER) / self.columns

    @property
    def x(self):
        return LEFT + self.column * (self.width + GUTTER)

    def wide(self, *lines, size=SIZE, font=ROMAN):
        """Lines over all columns, at the top of a page; the columns begin below."""
        for line in lines:
            self.words.append(Word(line, LEFT, self.y, size, font, self.page))
            self.y -= 1.2 * size
        self.y -= LEADING
        self.top = self.y
        return self

    def heading(self, text, size=SIZE + 2, font=BOLD):
        self._room(5 * LEADING)
        self.y -= 0.8 * LEADING
        for line in textwrap.wrap(text, int(self.width / (LETTER * size))):
            self._line(line, size=size, font=font)
        self.y -= 0.6 * LEADING
        return self

    def prose(self, text, *, indent=INDENT, size=SIZE, font=ROMAN, hyphens=True):
        for number, line in enumerate(broken(text, indent, int(self.width / (LETTER * size)), size, hyphens)):
            self._room(LEADING)
            self._line(line, size=size, font=font, indent=0 if number else indent)
        return self

    def caption(self, text):
        """In smaller type, with air around."""
        self.y -= 2 * LEADING
        self.prose(text, indent=0, size=SIZE - 1)
        self.y -= 2 * LEADING
        return self

    def table(self, rows, step=60):
        self.y -= LEADING
        for row in rows:
            self._room(LEADING)
            self.words += [
                Word(cell, self.x + number * step, self.y, SIZE - 1, page=self.page) for number, cell in enumerate(row)
            ]
            self.y -= LEADING
        return self

    def columns_end(self):
        """The next line stands in the next column."""
        self.column += 1
        self.y = self.top
        if self.column == self.columns:
            self.page, self.column, self.y, self.top = self.page + 1, 0, TOP, TOP
        return self

    def every_page(self, *words):
        """Heads and feet; "#" becomes the page's number."""
        self.words += [
            replace(word, page=page, text=word.text.replace("#", str(page + 1)))
            for page in range(self.page + 1)
            for word in words
        ]
        return self

    def _room(self, height):
        if self.y - height < BOTTOM:
            self.columns_end()

    def _line(self, text, *, size, font, indent=0.0):
        self.words.append(Word(text, self.x + indent, self.y, size, font, self.page))
        self.y -= max(LEADING, 1.2 * size)


def broken(text, indent, width, size, hyphens):
    """`text` in lines of `width` letters; a word that does not fit is cut, with a hyphen, as TeX does."""
    room = width - round(indent / (LETTER * size))
    line = ""
    for word in text.split():
        free = room - len(line) - (1 if line else 0)
        if len(word) <= free:
            line = f"{line} {word}".strip()
            continue
        if hyphens and free >= 5 and len(word) >= 7 and word.isalpha() and word.islower():
            cut = min(free - 1, len(word) - 3)
            yield f"{line} {word[:cut]}-".strip()
            line = word[cut:]
        else:
            yield line
            line = word
        room = width
    yield line


def row_by_row(words):
    """The same pages, written as some programs do: from top to bottom over both columns."""
    return sorted(words, key=lambda word: (word.page, -round(word.y), word.x))


def file_of(words, *, extra_objects=(), boxes="", trailer="", ground=""):
    """The bytes of a PDF. `extra_objects` are appended as they are, `boxes` to each page, `trailer` to the trailer;
    `ground` is what each page draws first.
    """
    count = max((word.page for word in words), default=-1) + 1
    fonts = " ".join(f"/{name} << /Type /Font /Subtype /Type1 /BaseFont /{base} >>" for name, base in FONTS.items())
    states = "/ExtGState << /Clear << /ca 0 /CA 0 >> >>"
    resources = f"/Resources << /Font << {fonts} >> {states} /XObject << /Form {3 + 2 * count} 0 R >> >>"
    pages = [
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {WIDTH} {HEIGHT}] {boxes} {resources}"
        f" /Contents {4 + 2 * number} 0 R >>"
        for number in range(count)
    ]
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {count} /Kids [{' '.join(f'{3 + 2 * n} 0 R' for n in range(count))}] >>".encode(),
    ]
    for number, page in enumerate(pages):
        here = [word for word in words if word.page == number]
        drawn = "\n".join([ground, *(word.operators() for word in here if not word.form)])
        formed = any(word.form for word in here)
        objects += [page.encode(), stream(drawn + ("\n/Form Do" if formed else ""))]
    form = "\n".join(word.operators() for word in words if word.form)
    objects.append(stream(form, f"/Type /XObject /Subtype /Form /BBox [0 0 {WIDTH} {HEIGHT}] {resources}"))
    return assembled([*objects, *extra_objects], trailer)


def stream(content, keys=""):
    data = content.encode("latin-1") if isinstance(content, str) else content
    return f"<< {keys} /Length {len(data)} >>\nstream\n".encode() + data + b"\nendstream"


def assembled(objects, trailer=""):
    """Objects, the table of their places, the trailer."""
    out = bytearray(b"%PDF-1.7\n")
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(len(out))
        out += f"{number} 0 obj\n".encode() + content + b"\nendobj\n"
    table = len(out)
    rows = "".join(f"{place:010} 00000 n \n" for place in places)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{rows}".encode()
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R {trailer} >>\nstartxref\n{table}\n%%EOF\n".encode()
    return bytes(out)
