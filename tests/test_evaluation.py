"""Measures of an order of papers, and the runner that compares rankers."""

import json
from math import log2
from pathlib import Path

import pytest

from bot.analysis import evaluation
from bot.analysis.evaluation import chance, ndcg, precision
from tests.fakes import SHARED_DATA, a_paper, a_profile

JUDGED = SHARED_DATA / "ranking" / "dev.jsonl"
PROFILE = SHARED_DATA / "ranking" / "profile.toml"


def test_ndcg_is_one_for_the_best_order_and_falls_with_the_place():
    assert ndcg([1, 1, 0, 0]) == 1.0
    assert ndcg([0, 1, 0]) == pytest.approx(1 / log2(3))
    assert ndcg([0, 0, 0, 0, 0, 1]) == 0.0
    assert ndcg([0, 1], k=1) == 0.0


def test_ndcg_knows_degrees_of_relevance():
    assert ndcg([1, 2]) == pytest.approx((1 + 2 / log2(3)) / (2 + 1 / log2(3)))


def test_a_day_without_a_relevant_paper_cannot_be_ranked_wrongly():
    assert ndcg([0, 0]) == chance([0, 0]) == 1.0


def test_chance_is_the_mean_over_all_orders():
    assert chance([1, 0]) == pytest.approx((ndcg([1, 0]) + ndcg([0, 1])) / 2)


def test_precision_counts_the_relevant_among_the_first():
    assert precision([1, 0, 2, 0, 0, 1], k=5) == pytest.approx(0.4)


def judged_days(folder: Path) -> tuple[Path, Path]:
    rows = [
        {"title": "Deblurring with Masks", "abstract": "We propose image restoration.", "upvotes": 1, "relevant": 1},
        {"title": "Chess", "abstract": "We propose a chess engine.", "upvotes": 9, "relevant": 0},
        {"title": "Tea", "abstract": "We propose tea.", "upvotes": 5, "relevant": 0},
    ]
    judged, profile = folder / "judged.jsonl", folder / "profile.toml"
    lines = [
        json.dumps({"day": day, "id": f"2602.0000{number}", **row})
        for day in ("2026-02-25", "2026-02-24")
        for number, row in enumerate(rows)
    ]
    judged.write_text("\n".join(lines), encoding="utf-8")
    profile.write_text('name = "x"\ninterests = ["Image Restoration", "Diffusion"]\n', encoding="utf-8")
    return judged, profile


def test_the_runner_compares_the_rankers(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    judged, profile = judged_days(tmp_path)
    evaluation.main([str(judged), "--profile", str(profile), "--without-each"])
    rows = {line[:30].strip(): line[30:].split() for line in capsys.readouterr().out.splitlines()}
    assert rows[""] == ["nDCG@5", "P@5", "half", "A", "half", "B"]
    assert float(rows["upvotes"][0]) == pytest.approx(0.5)
    assert float(rows["extractive"][0]) == float(rows["phrases"][0]) == 1.0
    assert float(rows["chance"][0]) == pytest.approx(chance([1, 0, 0]), abs=0.001)
    assert {"without Image Restoration", "without Diffusion"} <= set(rows)


def test_interests_are_left_out_only_when_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    judged, profile = judged_days(tmp_path)
    evaluation.main([str(judged), "--profile", str(profile)])
    assert "without" not in capsys.readouterr().out


def test_days_are_read_in_order(tmp_path: Path):
    days = evaluation.read_judged(judged_days(tmp_path)[0])
    assert [(day, len(papers)) for day, papers in days.items()] == [("2026-02-24", 3), ("2026-02-25", 3)]


def test_equal_scores_are_ordered_by_upvotes_then_id():
    papers = [
        evaluation.Judged(a_paper(number, title="Tea", abstract="", upvotes=up), 0)
        for number, up in ((3, 1), (2, 1), (1, 7), (4, 9))
    ]
    for rank in evaluation.RANKERS.values():
        order = [judged.paper.arxiv_id.id for judged in rank(papers, a_profile())]
        assert order == ["2602.00004", "2602.00001", "2602.00002", "2602.00003"]


@pytest.mark.shared_data
@pytest.mark.skipif(not JUDGED.exists(), reason=f"no judged papers at {JUDGED}")
def test_the_extractive_analyst_ranks_real_days_far_better_than_upvotes():
    days, profile = evaluation.read_judged(JUDGED), evaluation.read_profile(PROFILE)
    found = {
        name: [ndcg(order) for order in evaluation.ranked(days, profile, rank)]
        for name, rank in evaluation.RANKERS.items()
    }
    mean = {name: sum(gains) / len(gains) for name, gains in found.items()}
    assert len(days) == 40
    assert mean["extractive"] >= 0.80
    assert mean["upvotes"] < 0.25
    assert mean["extractive"] > mean["phrases"]
