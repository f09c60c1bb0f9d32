"""A paper's sections among one another: their headings, which stands inside which, and which one a name means. Pure."""

import re
from collections.abc import Iterator, Sequence

from bot.models import Section

_ID = re.compile(r"\W*(S[0-9]+)(?![0-9]|\.[0-9])", re.IGNORECASE)  # "[[S3]]", "s3 Method"; "S3.2" is a printed number
_PRINTED = re.compile(
    r"\W*(?:(?i:S(?=[0-9])|sec(?:tion|t|s)?\b\.?|第))?[\s§]*"
    r"(?P<number>[0-9]+(?:\.[0-9]+)*|[IVX]+-[A-Z](?:-?[0-9]+)?|[A-Z](?:\.[0-9]+)+|(?:[IVX]+|[A-Z])(?=[.:)\]]|\s*$))"
    r"(?!\.?[0-9]|[A-Za-z-])|\W*(?i:appendix|附录)\s*(?P<letter>[A-Z](?:\.[0-9]+)*)\b"
)


def heading(section: Section) -> str:
    """As the paper prints it: "3.2 Mask network"."""
    return f"{section.number} {section.title}".strip()


def line(section: Section) -> str:
    """The line under which a model is given the section's text."""
    return f"[[{section.id}]] {heading(section)}".strip()


def is_inside(inner: Section, outer: Section) -> bool:
    """Is `inner` a subsection of `outer`, by the number or the place that it has?"""
    return any(
        bool(above) and below.startswith((f"{above}.", f"{above}-"))
        for above, below in ((outer.number, inner.number), (outer.anchor, inner.anchor))
    )


def parents(index: int, sections: Sequence[Section]) -> tuple[int, ...]:
    """The places in `sections` of those around section `index`, outermost first."""
    return tuple(at for at in range(index) if is_inside(sections[index], sections[at]))


def named(name: str, sections: Sequence[Section]) -> tuple[Section, ...]:
    """Those that a model may mean by "S3", "[[S3]]", "S3 Method", "3.2", "§3.2", "S3.2" or a title, likeliest first."""
    if found := _ID.match(name):
        by_id = tuple(section for section in sections if section.id == found[1].upper())
        if by_id:
            return by_id
    return tuple(dict.fromkeys(_otherwise(name, sections)))


def _otherwise(name: str, sections: Sequence[Section]) -> Iterator[Section]:
    number = (found["number"] or found["letter"]) if (found := _PRINTED.match(name)) else ""
    if number:
        yield from (section for section in sections if section.number.rstrip(".") == number)
    words = _words(name)
    yield from (section for section in sections if words and words in (_words(section.title), _words(heading(section))))
    # "3" where the paper prints no numbers is an ID without its letter.
    if number.isdecimal() and not any(section.number for section in sections):
        yield from (section for section in sections if section.id == f"S{number}")


def with_subsections(named_sections: Sequence[Section], sections: Sequence[Section]) -> tuple[Section, ...]:
    """`named_sections` and what stands inside them."""
    inside = (section for section in sections for outer in named_sections if is_inside(section, outer))
    return tuple(dict.fromkeys((*named_sections, *inside)))


def _words(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))
