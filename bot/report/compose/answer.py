"""The answer to a question about a paper: its points with what they rest on, or that the paper does not say."""

from collections.abc import Iterator

from bot.analysis import untrusted
from bot.models import AnalystKind, Answer, Basis
from bot.report import document
from bot.report.compose.parts import beginning, footer, notice, part_label, plain
from bot.report.compose.places import left_out
from bot.report.compose.proof import items, proof, writer
from bot.report.document import NO_LINKS, Document, Links, Span, text_of
from bot.report.inline import spans, title_spans
from bot.texts import Texts

QUESTION_SHOWN = 120  # characters of the title
SAID_CHARACTERS = 600


def answer(made: Answer, texts: Texts, *, links: Links = NO_LINKS) -> Document:  # noqa: ARG001 - as of every document
    """The question as title, the paper, and the points, marked as in a deep dive. No page of ours holds answers."""
    question = _question(made)
    paper = made.paper
    title = text_of(title_spans(paper.title))
    named = document.Fields(((texts("ask.paper"), (Span(title, href=paper.arxiv_id.abs_url),)),))
    blocks: list[document.Block] = [named, *_warnings(made, texts)]
    if made.points:
        blocks += [items(made.points, made, texts), footer(proof(made.points, made.counts, made, texts))]
    else:
        blocks += [document.Paragraph(plain(_nothing(made, texts))), footer(_small_print(made, texts))]
    return Document(
        paper.arxiv_id.id,
        plain(texts("ask.title", question=question)),
        tuple(blocks),
        texts("ask.summary", question=question, title=title),
        texts.language,
        part_label(texts),
        (document.Button(texts("button.arxiv"), paper.arxiv_id.abs_url),),
    )


def said(made: Answer, texts: Texts) -> str:
    """What the answer said, in plain words: what the next question of the talk may refer to."""
    points = (text_of(spans(point.text)) for point in made.points)
    return beginning(" ".join(points) or _nothing(made, texts), SAID_CHARACTERS)


def _question(made: Answer) -> str:
    """As plain text in which nothing comes to life, on any platform."""
    shown = untrusted.defang(made.question, len(made.question) + 1)
    return beginning(shown, QUESTION_SHOWN)


def _warnings(made: Answer, texts: Texts) -> Iterator[document.Note]:
    if made.analyst is AnalystKind.EXTRACTIVE and made.points:
        yield notice(texts("ask.extractive"))
    if made.basis is Basis.ABSTRACT:
        yield notice(texts("ask.abstract_only"), "warning")
    for flag in made.flags:
        own = f"ask.flag_{flag.rpartition('.')[2]}"
        if own in texts:
            yield notice(texts(own), "warning")
        elif flag.startswith("failure.") and flag in texts:
            yield notice(texts("ask.fallback", reason=texts(flag)), "warning")


def _nothing(made: Answer, texts: Texts) -> str:
    """That there is no answer, and of which text that is said."""
    if made.analyst is AnalystKind.EXTRACTIVE:
        return texts("ask.unmatched")
    if made.basis is Basis.ABSTRACT:
        return texts("ask.unanswered_abstract")
    places = left_out(made, texts)
    return texts("ask.unanswered") if places is None else texts("ask.unanswered_part", places=places)


def _small_print(made: Answer, texts: Texts) -> Iterator[str]:
    if made.counts.dropped:
        yield texts("dive.dropped", count=made.counts.dropped)
    yield writer(made, texts)
