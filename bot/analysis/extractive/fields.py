"""Which data a text is about (images, video, language ...), and how near two such mixtures are (pure)."""

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources

from bot.analysis.extractive.words import Words, stems


def fields_of(text: Words) -> Counter[str]:
    """How many words of each field stand in `text`."""
    terms, _ = _known()
    counts = Counter({field: sum(text.count(term) for term in known) for field, known in terms.items()})
    return +counts


def nearness(own: Iterable[str], found: Mapping[str, float]) -> float | None:
    """How far (0 to 1) `found` lies in the fields of `own` or beside them; None where either says nothing.

    Half of the words is all of it: what turns text into images is on images in full.
    """
    _, neighbours = _known()
    wanted = set(own)
    total = sum(found.values())
    if not wanted or not total:
        return None
    reach = {field: max(1.0 if field == one else neighbours[one].get(field, 0.0) for one in wanted) for field in found}
    return min(1.0, 2 * sum(reach[field] * count for field, count in found.items()) / total)


@cache
def _known() -> tuple[Mapping[str, tuple[tuple[str, ...], ...]], Mapping[str, Mapping[str, float]]]:
    content = tomllib.loads(resources.files(__package__).joinpath("lexicon.toml").read_text(encoding="utf-8"))
    terms = {field: tuple(dict.fromkeys(stems(term) for term in known)) for field, known in content["fields"].items()}
    return terms, {field: content["neighbours"].get(field, {}) for field in terms}
