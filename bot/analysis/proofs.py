"""A reply's points, all proved: what the model is asked to repair, and what of two replies is published. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bot.analysis import points, wording
from bot.analysis.points import Fault, PointReply, Proof, Reading, Rule
from bot.models import Point, PointCounts

MAX_POINTS = 10  # in a section; nobody reads more, and a runaway reply ends here

Proofs = Mapping[str, Sequence[Proof]]
"""The proofs of a reply's points, under the keys of its sections."""


@dataclass(frozen=True, slots=True)
class Violation:
    """Point `number` (from 1; 0 is the section itself) of the reply's section `key` breaks `rule`."""

    key: str
    number: int
    rule: Rule
    detail: str = ""


def prove(
    written: Mapping[str, Sequence[PointReply]], reading: Reading, language: str, exempt: Collection[Rule] = ()
) -> Proofs:
    """The proof of every point; one that says over again what an earlier one said falls. `exempt`: see points.prove."""
    standing: list[Point] = []
    proofs: dict[str, tuple[Proof, ...]] = {}
    for key, replies in written.items():
        section: list[Proof] = []
        for reply in replies:
            proof = _unless_said(points.prove(reply, reading, language, exempt), standing)
            standing += [proof.point] if proof.point else []
            section.append(proof)
        proofs[key] = tuple(section)
    return proofs


def violations(proofs: Proofs) -> Iterator[Violation]:
    """Everything that the model is asked to repair."""
    for key, section in proofs.items():
        if not section:
            yield Violation(key, 0, Rule.EMPTY)
        for number, proof in enumerate(section, start=1):
            yield from (Violation(key, number, fault.rule, fault.detail) for fault in proof.faults)


def merged(
    first: Proofs, second: Proofs, most: int = MAX_POINTS
) -> tuple[Mapping[str, tuple[Point, ...]], PointCounts]:
    """What stands of the first reply, its gaps filled from the second, at most `most` points under a key."""
    stands: dict[str, tuple[Point, ...]] = {}
    published = [proof.point for section in first.values() for proof in section if proof.point]
    written = verified = repaired = 0
    for key in dict.fromkeys((*first, *second)):
        before, after = first.get(key, ()), second.get(key, ())
        standing, mended = _mended(before, after, published)
        published += mended
        stands[key] = standing[:most]
        written += len(before) or len(after)
        verified += len(stands[key])
        repaired += sum(point in stands[key] for point in mended)
    return stands, PointCounts(written, verified, written - verified, repaired)


def _mended(
    first: Sequence[Proof], second: Sequence[Proof], published: Sequence[Point]
) -> tuple[tuple[Point, ...], tuple[Point, ...]]:
    """The points that stand, those that fell replaced by repaired ones, and the repaired ones.

    A second reply of the same length is read by position; from another, what is new fills the gaps in its order.
    """
    kept = [proof.point for proof in first if proof.point]
    gaps = len(first) - len(kept) if first else len(second)
    same = len(first) == len(second)
    offered = [after for before, after in zip(first, second, strict=True) if not before.point] if same else second
    fresh = tuple(
        proof.point
        for proof in offered
        if proof.point and _is_new(proof.point, kept) and not _is_said(proof.point, published)
    )[:gaps]
    if not first:
        return fresh, fresh
    fill = iter(fresh)
    filled = (proof.point or next(fill, None) for proof in first)
    return tuple(point for point in filled if point), fresh


def _is_new(point: Point, kept: Sequence[Point]) -> bool:
    return all(point.text != other.text and (not point.quote or point.quote != other.quote) for other in kept)


def _unless_said(proof: Proof, standing: Sequence[Point]) -> Proof:
    if proof.point is None or not _is_said(proof.point, standing):
        return proof
    return replace(proof, point=None, faults=(*proof.faults, Fault(Rule.DUPLICATE)))


def _is_said(point: Point, others: Sequence[Point]) -> bool:
    """Does one of `others` rest on the same quote and say the same? Inferred points rest on none."""
    return any(point.quote == other.quote and wording.is_repeated(point.text, other.text) for other in others)
