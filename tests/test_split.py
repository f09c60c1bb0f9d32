"""Breaking text where it reads well, for every platform's limits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.channels.split import Border, Piece, cut, merged, pack
from bot.report.document import Span, Spans, text_of


def within(limit: int):
    return lambda spans: len(text_of(spans)) <= limit


def texts(runs: tuple[Spans, ...]) -> list[str]:
    return [text_of(run) for run in runs]


@pytest.mark.parametrize(
    ("text", "limit", "runs"),
    [
        ("fits", 10, ["fits"]),
        ("One is. Two is. Three is.", 18, ["One is. Two is. ", "Three is."]),
        ("第一句。第二句！第三句", 9, ["第一句。第二句！", "第三句"]),
        ("他说：“好。”然后走了", 8, ["他说：“好。”", "然后走了"]),
        ("first, then second, then third", 20, ["first, then second, ", "then third"]),
        ("see 3.14 and e.g. this", 9, ["see 3.14 ", "and e.g. ", "this"]),
        ("一二三四五，六", 5, ["一二三四", "五，六"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("a. bcdefghijklmnop", 10, ["a. bcdefgh", "ijklmnop"]),
        ("e\u0301e\u0301e\u0301", 3, ["e\u0301", "e\u0301", "e\u0301"]),
        ("👩‍🔬👩‍🔬", 5, ["👩‍🔬", "👩‍🔬"]),
        ("ab", 0, ["a", "b"]),
    ],
)
def test_text_is_cut_at_the_best_border_that_leaves_little_room_empty(text: str, limit: int, runs: list[str]):
    assert texts(cut((Span(text),), within(limit))) == runs


def test_looks_survive_a_cut_and_a_cut_formula_keeps_only_its_readable_form():
    spans = (Span("bold words", bold=True), Span(" "), Span("αβγδ", tex=r"\alpha\beta\gamma\delta"))

    assert cut(spans, within(6)) == (
        (Span("bold ", bold=True),),
        (Span("words", bold=True), Span(" ")),
        (Span("αβγδ", tex=r"\alpha\beta\gamma\delta"),),
    )
    assert cut(spans[2:], within(2)) == ((Span("αβ"),), (Span("γδ"),))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.lists(st.text("ab 。，,. \n字😀\u200d\u0301", max_size=12), max_size=5), st.integers(1, 20))
def test_a_cut_loses_nothing_and_every_run_fits(parts: list[str], limit: int):
    spans = tuple(Span(part, bold=number % 2 == 0) for number, part in enumerate(parts))

    runs = cut(spans, within(limit))

    assert "".join(texts(runs)) == text_of(spans)
    assert all(len(text) <= limit for text in texts(runs))


def test_neighbours_of_the_same_look_become_one_span_and_formulas_stay_apart():
    formula = Span("x", tex="x")

    assert merged((Span("a"), Span("b"), Span("c", bold=True), formula, formula)) == (
        Span("ab"),
        Span("c", bold=True),
        formula,
        formula,
    )


def pieces(*specs: tuple[str, int, Border]) -> list[Piece[str]]:
    return [Piece(name, (size,), border) for name, size, border in specs]


GOOD, POOR, NEVER = Border.GOOD, Border.POOR, Border.NEVER


@pytest.mark.parametrize(
    ("specs", "messages"),
    [
        ([], []),
        ([("a", 5, POOR), ("b", 5, POOR)], ["ab"]),
        ([("a", 6, POOR), ("b", 5, POOR)], ["a", "b"]),
        ([("a", 99, POOR), ("b", 5, POOR)], ["a", "b"]),
        ([("a", 4, POOR), ("H", 2, GOOD), ("b", 5, NEVER)], ["a", "Hb"]),
        ([("a", 2, POOR), ("b", 2, POOR), ("c", 2, GOOD), ("d", 2, POOR), ("e", 4, POOR)], ["ab", "cde"]),
        ([("a", 4, POOR), ("b", 4, POOR), ("c", 4, POOR), ("d", 4, POOR)], ["ab", "cd"]),
        ([("a", 3, POOR), ("b", 3, POOR), ("c", 3, POOR), ("d", 3, POOR)], ["ab", "cd"]),
        ([("H", 6, POOR), ("b", 6, NEVER)], ["H", "b"]),
    ],
)
def test_pieces_are_packed_into_few_even_messages_at_good_borders(
    specs: list[tuple[str, int, Border]], messages: list[str]
):
    assert ["".join(message) for message in pack(pieces(*specs), (10,))] == messages


def test_every_limit_counts():
    two = [Piece("a", (1, 3)), Piece("b", (1, 3))]

    assert pack(two, (10, 5)) == (("a",), ("b",))
