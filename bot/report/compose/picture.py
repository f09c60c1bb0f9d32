"""The paper's overview figure at the head of a deep dive, its caption made short."""

import re
from collections.abc import Iterator
from dataclasses import replace

from bot.models import Figure
from bot.report import document
from bot.report.compose.parts import TRAILING, beginning
from bot.report.document import Span, Spans, is_picture_url, text_of
from bot.report.inline import title_spans, visible
from bot.texts import Texts

CAPTION_CHARACTERS = 200  # three lines on a phone
LEAST_SENTENCE = 20  # characters; a caption that ends in "Overview." says less than half a sentence more would
_NUMBERED = re.compile(r"(?:fig(?:ure)?\.?|图|圖)\s*(?P<number>[0-9A-Z][0-9A-Za-z.\-]{0,7}?)[.:：]?", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?](?=\s)|[。！？]")
_ABBREVIATED = re.compile(
    r"(?:\b(?:e\.g|i\.e|vs|cf|al|etc|figs?|eqs?|secs?|tabs?|refs?|resp|w\.r\.t|approx)|\W(?-i:[A-Z]))\.$", re.I
)


def picture(figure: Figure | None, texts: Texts) -> document.Picture | None:
    """The figure as a picture; None where there is none that may be shown."""
    if figure is None or not is_picture_url(figure.url):
        return None
    label = _label(figure.label, texts)
    caption = shortened(title_spans(figure.caption))
    spans = (Span(label, href=figure.url), *((Span(texts("dive.joint")), *caption) if caption else ()))
    return document.Picture(figure.url, spans, text_of(spans))


def _label(printed: str, texts: Texts) -> str:
    """The number in the reader's language ("图 2"); a label of another form as it is printed."""
    found = _NUMBERED.fullmatch(printed.strip())
    if found is not None:
        return texts("dive.figure", number=found["number"])
    return beginning(visible(printed).rstrip(" .:："), LEAST_SENTENCE) or texts("dive.unnumbered_figure")


def shortened(caption: Spans) -> Spans:
    """The whole caption, as many of its sentences as fit, or as many of its words; no formula is broken."""
    text = text_of(caption)
    if len(text) <= CAPTION_CHARACTERS:
        return caption
    # One character more shows whether a blank follows.
    ends = (found.end() for found in _SENTENCE_END.finditer(text[: CAPTION_CHARACTERS + 1]))
    end = max((end for end in ends if not _ABBREVIATED.search(text[:end])), default=0)
    if LEAST_SENTENCE <= end <= CAPTION_CHARACTERS:
        return _until(caption, end)
    kept = beginning(text, CAPTION_CHARACTERS)
    return (*_until(caption, len(kept) - 1), Span("…"))


def _until(spans: Spans, end: int) -> Spans:
    """The spans of the first `end` characters, without a formula that goes on behind them."""
    kept = tuple(_cut(spans, end))
    if kept and kept[-1].tex is None:
        return (*kept[:-1], replace(kept[-1], text=kept[-1].text.rstrip(TRAILING)))
    return kept


def _cut(spans: Spans, end: int) -> Iterator[Span]:
    for span in spans:
        if len(span.text) <= end:
            yield span
        elif span.tex is None and end > 0:
            yield replace(span, text=span.text[:end])
        end -= len(span.text)
