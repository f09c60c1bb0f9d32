"""From the bytes of a page to the full text: is it the paper, is it whole, which version, what does it say?"""

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from bot.errors import InputError
from bot.models import ArxivId, Basis, FullText
from bot.sources.fulltext import sections
from bot.sources.fulltext.latexml import blocks, hidden, style
from bot.sources.fulltext.latexml.floats import Images
from bot.sources.fulltext.latexml.tree import Node, kind, parsed
from bot.sources.fulltext.latexml.writer import Draft, Writer
from bot.sources.fulltext.sections import UnreadableError

END = 20_000  # bytes at a page's end, within which a whole one closes
ABSTRACT = 200  # characters; less before the first heading is a notice, not an abstract
MAIN_TEXT = 1_500  # characters; more than that before the first heading is the paper itself
MOST_AROUND = 50_000  # nodes of the page's frame that are looked at
_FAILED = re.compile(r"fatal error|conversion (?:to html )?(?:has |had )?failed|exited abruptly", re.IGNORECASE)


def read(content: bytes, arxiv_id: ArxivId) -> FullText:
    """The paper on a page of arXiv (or ar5iv), with the version that the page names. Blocking: call it in a thread.

    Raises UnreadableError for a page that is cut off, failed to convert, is another paper's or version's, or is none.
    """
    tail = content[-END:].lower()
    if b"</html>" not in tail or b"</article>" not in content:
        raise UnreadableError(f"{arxiv_id}: a page that does not end")
    root = parsed(content)
    article = next((node for node in root.iter("article") if kind(node, "ltx_document")), None)
    if article is None:
        raise UnreadableError(f"{arxiv_id}: a page without a paper")
    _refuse_failures(root, article)
    named = _named(root, arxiv_id)
    base = next((node.get("href") or "" for node in root.iter("base")), "")
    rules = style.rules("".join(node.itertext()) for node in root.iter("style"))
    suspicious = hidden.strip(article, rules)
    abstract, drafts = _fronted(blocks.written(article, Images(named, base)))
    parts = [draft.part for draft in drafts]
    return sections.assembled(named, Basis.HTML, abstract, parts, suspicious=suspicious)


def _refuse_failures(root: Node, article: Node) -> None:
    """Banners stand around the article (ar5iv: "Conversion to HTML had a Fatal error and exited abruptly")."""
    if any(kind(node, "ltx_FATAL") for node in article.iter("span", "div")):
        raise UnreadableError("a page whose conversion failed")
    if any(_FAILED.search(text) for text in _around(root, article)):
        raise UnreadableError("a page whose conversion failed")


def _around(root: Node, article: Node) -> Iterator[str]:
    """The texts of a page outside its article, without scripts."""
    waiting = [root]
    for _ in range(MOST_AROUND):
        if not waiting:
            return
        node = waiting.pop()
        if node is article:
            continue
        if node.tag not in ("script", "style", "head", "svg"):
            yield node.text or ""
            waiting += list(node)
        yield node.tail or ""


def _named(root: Node, arxiv_id: ArxivId) -> ArxivId:
    """The ID with the version that the page gives itself. Raises UnreadableError where it is not the one asked for."""
    found = arxiv_id
    for text in _own_names(root):
        try:
            named = ArxivId.parse(text)
        except InputError:
            continue
        if named.id != arxiv_id.id or (named.version and found.version and named.version != found.version):
            raise UnreadableError(f"{arxiv_id}: the page of {named}")
        found = replace(found, version=named.version or found.version)
    return found


def _own_names(root: Node) -> Iterator[str]:
    """Where a page says what it is: the mark in its margin, its base, its canonical address, the link to its log."""
    for node in islice(root.iter("div", "base", "link", "a"), MOST_AROUND):
        if node.get("id") == "watermark-tr":
            yield "".join(node.itertext()).strip().partition(" ")[0]
        elif node.tag == "base" or (node.tag == "link" and node.get("rel") == "canonical"):
            yield node.get("href") or ""
        elif node.tag == "a" and (node.get("href") or "").endswith("/__stdout.txt"):
            yield (node.get("href") or "").removesuffix("/__stdout.txt")


def _fronted(writer: Writer) -> tuple[str, list[Draft]]:
    """The abstract and the parts. What stands before the first heading is sorted to where it belongs.

    A figure there (a teaser) goes to the first part; prose is the abstract where the page marks none, or the whole
    text of a letter without headings, else a notice that is left out.
    """
    front, *drafts = writer.drafts
    abstract = "\n\n".join(writer.abstract)
    for place, draft in enumerate(drafts):
        if not abstract and draft.title.casefold().strip(" .:—-") in ("abstract", "摘要"):
            abstract = "\n\n".join(draft.paragraphs)
            del drafts[place]
            break
    captions = {f"{figure.label}: {figure.caption}" for figure in front.figures}
    prose = [paragraph for paragraph in front.paragraphs if paragraph not in captions]
    length = sum(map(len, prose))
    if not abstract and length >= ABSTRACT:
        abstract, prose = "\n\n".join(prose), []
    if length >= MAIN_TEXT and prose:
        drafts.insert(0, replace(front, title="Main text"))
    elif drafts:
        first = drafts[0]
        shown = [paragraph for paragraph in front.paragraphs if paragraph in captions]
        first.paragraphs[:0], first.figures[:0] = shown, front.figures
    return abstract, drafts
