"""Measures of an order of papers and of deep dives, and the commands that print them."""

import json
from collections.abc import Mapping
from math import log2, sqrt
from pathlib import Path

import pytest

import config
from bot.__main__ import main, parser
from bot.analysis.evaluation import measures, ranking
from bot.analysis.evaluation.measures import chance, ndcg, precision, tau
from bot.analysis.evaluation.proofs import Grounds, grounds
from bot.analysis.evaluation.ranking import Judged, Run
from bot.analysis.extractive import ExtractiveAnalyst
from bot.interfaces import Brief
from bot.models import ArxivId, DeepDiveSection, Meter, PointKind, Section
from bot.terminal import COMMANDS, tables
from bot.terminal.evaluation import judged
from tests.arxiv_standin import Entry
from tests.fakes import SHARED_DATA, a_deep_dive, a_paper, a_point, a_profile
from tests.model_standin import Fault
from tests.world import World, a_world

FOLDER = SHARED_DATA / "ranking"
LONG = "It is tried on everything that stands in the kitchen, by day and by night, and compared with what was there. "
ROWS = [
    {"title": "Deblurring", "abstract": f"We propose image restoration. {LONG * 3}", "upvotes": 1, "relevant": 1},
    {"title": "Chess", "abstract": f"We propose a chess engine. {LONG * 3}", "upvotes": 9, "relevant": 0},
    {"title": "Tea", "abstract": f"We propose tea. {LONG * 3}", "upvotes": 5, "relevant": 0},
]

# --- measures


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
    assert precision([1, 0, 1, 1]) == 0.5
    assert precision([1]) == 1.0


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([1, 2, 3], [10, 20, 30], 1.0),
        ([1, 2, 3], [3, 2, 1], -1.0),
        ([1, 2, 3], [1, 3, 2], 1 / 3),  # two pairs agree, one does not
        ([1, 2, 2, 3], [1, 3, 2, 4], 5 / sqrt(5 * 6)),  # five pairs agree, one is tied in the first
        ([1, 1, 2, 2], [1, 2, 1, 2], 0.0),
        ([1, 1, 1], [1, 2, 3], None),
        ([1], [1], None),
        ([], [], None),
    ],
)
def test_tau_counts_pairs_that_agree_and_allows_for_ties(one, other, expected):
    found = tau(one, other)
    assert found == (None if expected is None else pytest.approx(expected))


def test_an_interval_holds_the_mean_narrows_with_the_days_and_is_always_the_same():
    few, many = measures.mean([0.0, 1.0] * 5), measures.mean([0.0, 1.0] * 50)
    assert few.low < few.value == 0.5 < few.high
    assert few.high - few.low > 2 * (many.high - many.low)
    # The mean of 100 draws of 0 or 1 has a standard error of 0.05.
    assert many.low == pytest.approx(0.4, abs=0.02)
    assert many.high == pytest.approx(0.6, abs=0.02)
    assert measures.mean([0.0, 1.0] * 5) == few
    assert measures.mean([0.25]) == measures.Measured(0.25, 0.25, 0.25)


# --- ways to rank


def some_days(*counts: int) -> Mapping[str, tuple[Judged, ...]]:
    papers = iter(a_paper(number) for number in range(1, sum(counts) + 1))
    return {
        f"2026-02-{day:02}": tuple(Judged(next(papers), int(place == 0)) for place in range(count))
        for day, count in enumerate(counts, start=2)
    }


def test_a_paper_that_could_not_be_scored_comes_last_and_is_counted():
    days = some_days(3)
    worst = Run((((), (10, 1), (20, 1)),))
    assert worst.failed == 1
    assert ranking.quality(days, worst).ndcg.value == pytest.approx(ndcg([0, 0, 1]))
    assert ranking.quality(days, Run((((20, 1), (10, 1), ()),))).ndcg.value == 1.0


def test_equal_worth_is_ordered_by_upvotes_then_id():
    papers = [Judged(a_paper(number, upvotes=up), up) for number, up in ((3, 1), (2, 1), (1, 7), (4, 9))]
    days = {"2026-02-25": tuple(papers)}
    run = Run((((5,), (5,), (5,), (5,)),))
    assert ranking.quality(days, run).ndcg.value == pytest.approx(ndcg([9, 7, 1, 1]))


def test_two_runs_agree_over_days_on_what_both_could_score():
    one = Run((((1,), (2,), (3,)), ((1,), (1,))))
    assert ranking.agreement(one, one) == 1.0
    other = Run((((3,), (), (1,)), ((1,), (2,))))
    assert ranking.agreement(one, other) == -1.0
    assert ranking.agreement(Run((((), ()),)), Run((((1,), (2,)),))) is None


async def test_the_extractive_analyst_ranks_by_score_and_tells_of_each_paper():
    days, told = some_days(3, 2), []
    run = await ranking.by_analyst(days, ExtractiveAnalyst(), Brief(a_profile(), "en", Meter()), lambda: told.append(1))
    assert [len(day) for day in run.days] == [3, 2]
    assert len(told) == 5
    assert all(0 <= worth[0] <= 100 for day in run.days for worth in day)


# --- what deep dives rest on


def test_grounds_count_top_sections_of_the_main_text_and_numbers():
    outline = (
        Section("S0", "", "Abstract", ""),
        *(Section(f"S{number}", number, "Title", "") for number in ("1", "2", "3", "3.1", "3.2", "4")),
        Section("S7", "A", "Proofs", ""),
        Section("S8", "A.1", "More proofs", ""),
    )
    points = (
        a_point("用 12 张图，快 3 倍。", section="S0"),
        a_point("到 31.4 dB。", section="S3.2"),
        a_point("另有 5 步。", section="S8"),
        a_point("可试 2 步。", section="S4", quote="", kind=PointKind.INFERRED),
    )
    dive = a_deep_dive(outline=outline, sections=(DeepDiveSection("method", "x", points),))
    assert grounds(dive) == Grounds(numbers=5, covered=1, sections=4)


@pytest.mark.parametrize(
    "section",
    [
        Section("S2", "B", "Data", ""),
        Section("S2", "", "Data", "", anchor="A1"),
        Section("S2", "", "Appendix: data", ""),
        Section("S2", "", "附录", ""),
    ],
)
def test_an_appendix_is_no_main_text(section):
    outline = (Section("S0", "", "Abstract", ""), Section("S1", "I", "Introduction", ""), section)
    assert grounds(a_deep_dive(outline=outline)).sections == 1


def test_of_a_mere_abstract_the_abstract_is_the_section():
    assert grounds(a_deep_dive()) == Grounds(numbers=4, covered=1, sections=1)


# --- files


def written(folder: Path, rows: list[dict[str, object]] | None = None) -> tuple[str, str]:
    file, profile = folder / "judged.jsonl", folder / "profile.toml"
    lines = [
        json.dumps({"day": day, "id": f"2602.0000{number}", **row})
        for day in ("2026-02-25", "2026-02-24")
        for number, row in enumerate(rows or ROWS, start=1)
    ]
    file.write_text("\n".join([*lines, "", ""]), encoding="utf-8")
    profile.write_text('name = "x"\ninterests = ["Image Restoration", "Diffusion"]\n', encoding="utf-8")
    return str(file), str(profile)


def test_days_are_read_in_order(tmp_path):
    days = judged.days(Path(written(tmp_path)[0]))
    assert [(day, len(papers)) for day, papers in days.items()] == [("2026-02-24", 3), ("2026-02-25", 3)]
    assert days["2026-02-24"][0].paper.arxiv_id == ArxivId("2602.00001")


# --- the commands


@pytest.fixture
async def world(tmp_path, monkeypatch):
    async with a_world(tmp_path, papers=2) as made:
        made.write(model=False, top='language = "en"')
        made.inside = monkeypatch
        yield made


async def do(world: World, *words: str) -> int:
    """`paperboy eval`, settings and variables of `world` included."""
    assert world.inside
    for name, value in world.environment().items():
        if name.startswith("PAPERBOY_"):
            world.inside.setenv(name, value)
    arguments = parser().parse_args(["eval", *words])
    return await COMMANDS[arguments.command](config.load(arguments.config), arguments)


async def test_rankings_are_compared_in_a_table(world, capsys, tmp_path):
    file, profile = written(tmp_path)
    assert await do(world, "ranking", file, "--profile", profile, "--without-each") == 0
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split("  ")[0]: line.split() for line in lines}
    assert rows["Ranker"][1:3] == ["nDCG@5", "P@2"]
    assert rows["upvotes"][1] == "0.500"
    assert rows["extractive"][1] == rows["phrase count"][2] == "1.000"
    assert rows["extractive"][-1] == "1.000"
    assert rows["chance"][1] == f"{chance([1, 0, 0]):.3f}"
    assert "extractive without Diffusion" in rows
    assert lines[-2].startswith("6 papers of 2 days, profile x")


async def test_rankings_are_compared_as_json_for_the_first_profile(world, capsys, tmp_path):
    file, _ = written(tmp_path)
    assert await do(world, "ranking", file, "--json", "--limit-days", "1") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["profile"], found["days"], found["papers"], found["failed"]) == ("default", 1, 3, 0)
    by_name = {ranker["name"]: ranker for ranker in found["rankers"]}
    assert set(by_name) == {"chance", "upvotes", "phrases", "extractive"}
    assert by_name["extractive"]["tau_repeat"] == 1.0
    assert by_name["upvotes"]["ndcg_5"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert found["llm"]["calls"] == 0
    assert found["tau_model_extractive"] is None


async def test_a_model_is_asked_twice_and_once_where_its_scores_are_kept(world, capsys, tmp_path):
    world.write(top='language = "en"')
    file, profile = written(tmp_path)
    assert await do(world, "ranking", file, "--profile", profile, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    model = found["rankers"][-1]
    assert (model["name"], model["tau_repeat"]) == ("openai/stand-in", 1.0)
    assert -1 <= found["tau_model_extractive"] <= 1
    # The two days hold the same papers, and who asks at the same time shares a call.
    assert (found["llm"]["calls"], found["llm"]["cached"]) == (6, 6)
    assert await do(world, "ranking", file, "--profile", profile) == 0
    said = capsys.readouterr().out
    assert "Kendall τ of model and extractive: " in said
    assert "LLM calls: 3, from the cache: 9, " in said


async def test_papers_that_the_model_cannot_score_are_told(tmp_path, monkeypatch, capsys):
    file, profile = written(tmp_path)
    async with a_world(tmp_path, papers=2, faults=(Fault("status", status=401),)) as world:
        world.inside = monkeypatch
        world.write(top='language = "en"')
        assert await do(world, "ranking", file, "--profile", profile) == 3
    assert "Papers that openai/stand-in could not score (ranked last): 12" in capsys.readouterr().out


async def test_deep_dives_are_measured_in_a_table(world, capsys):
    world.arxiv.known.append(Entry("1706.03762", version=7))
    assert await do(world, "grounding", "1706.03762", "https://arxiv.org/abs/1706.03762", "2602.00001") == 0
    head, first, second, total, _, spent = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["Paper", "Basis", "Sections", "Points"]
    assert first.startswith("1706.03762v7")
    assert second.startswith("2602.00001")
    written_points = [int(row.split("(")[0].split("/")[-1]) for row in (first, second, total)]
    assert written_points[0] + written_points[1] == written_points[2]
    assert spent.startswith("LLM calls: 0")


async def test_deep_dives_of_a_model_are_measured_as_json(world, capsys):
    world.write(top='language = "en"')
    assert await do(world, "grounding", "2602.00001", "--json", "--language", "zh") == 0
    found = json.loads(capsys.readouterr().out)
    [paper] = found["papers"]
    assert paper["id"] == "2602.00001"
    assert paper["model"] == "openai/stand-in"
    assert paper["points"]["verified"] == paper["points"]["written"] - paper["points"]["dropped"] > 0
    assert paper["verified_share"] == paper["points"]["verified"] / paper["points"]["written"]
    assert 0 < paper["coverage"] <= 1
    assert found["total"]["points"] == paper["points"]
    assert found["total"]["llm"]["calls"] >= 1


async def test_a_paper_that_is_not_there_costs_no_other_its_line(world, capsys):
    assert await do(world, "grounding", "2602.00001", "2201.99999", "--json") == 1
    said = capsys.readouterr()
    there, missing = json.loads(said.out)["papers"]
    assert (there["error"], missing["error"]) == (None, "error.not_found")
    assert missing["coverage"] is missing["verified_share"] is missing["basis"] is None
    assert "2201.99999" in said.err
    assert await do(world, "grounding", "2201.99999") == 1


async def test_a_model_that_is_down_leaves_the_extractive_deep_dive_and_a_mark(tmp_path, monkeypatch, capsys):
    async with a_world(tmp_path, papers=2, faults=(Fault("status", status=401),)) as world:
        world.inside = monkeypatch
        world.write(top='language = "en"')
        assert await do(world, "grounding", "2602.00001") == 3
    assert "the model's key is invalid" in capsys.readouterr().out


@pytest.fixture
def at_home(monkeypatch, tmp_path, own_logging):
    """`main` with a store of its own and no service within reach."""
    monkeypatch.setenv("PAPERBOY_CONFIG", "")
    monkeypatch.setenv("PAPERBOY_LANGUAGE", "en")
    monkeypatch.setenv("PAPERBOY_STORE__URL", f"sqlite:///{tmp_path}/paperboy.db")


GOOD = json.dumps({"day": "2026-02-25", "id": "2602.00001", **ROWS[0]})


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "Cannot read"),
        ("", "no judged papers"),
        ("\n\n", "no judged papers"),
        (f"{GOOD}\n{{", "line 2: JSON"),
        (f"{GOOD}\n[1]", "line 2: JSON"),
        (f'{GOOD}\n\n{{"day": "2026-02-25"}}', "line 3: id, title, abstract, relevant"),
        (GOOD.replace('"relevant": 1', '"relevant": -1'), "line 1: relevant"),
        (GOOD.replace("2602.00001", "tea"), "line 1: id"),
        (GOOD.replace("2026-02-25", "yesterday"), "line 1: day"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line_that_names_the_place(tmp_path, capsys, content, said):
    file = tmp_path / "judged.jsonl"
    if content is not None:
        file.write_text(content)
    assert main(["eval", "ranking", str(file)]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1
    assert said in told.err
    assert str(file) in told.err


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "Cannot read"),
        (b"name = ", "TOML"),
        (b'name = "x"', "interests"),
        (b'name = "x"\ninterests = ["a"]\ncolour = 1', "colour"),
        (b"\xff\xfe\x00", "UTF-8"),
    ],
)
def test_a_profile_that_cannot_be_used_is_one_line(tmp_path, capsys, content, said):
    file, _ = written(tmp_path)
    profile = tmp_path / "other.toml"
    if content is not None:
        profile.write_bytes(content)
    assert main(["eval", "ranking", file, "--profile", str(profile)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert said in line
    assert str(profile) in line


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["2602.00001", "not-a-paper"], "not-a-paper"),
        (["2602.00001", "--profile", "nobody"], "nobody"),
        (["2602.00001", "--language", "fr"], "fr"),
    ],
)
def test_wrong_words_behind_eval_grounding_are_one_line(capsys, arguments, said):
    assert main(["eval", "grounding", *arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    [line] = told.err.splitlines()
    assert said in line


@pytest.mark.parametrize("arguments", [["eval"], ["eval", "ranking"], ["eval", "grounding"]])
def test_eval_wants_to_know_of_what(arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_columns_are_as_wide_as_chinese_is():
    assert tables.lines([("排序", "分"), ("a", "0.5")]) == ("排序   分", "a     0.5")


@pytest.mark.shared_data
async def test_the_extractive_analyst_ranks_real_days_far_better_than_upvotes():
    days, profile = judged.days(FOLDER / "dev.jsonl"), judged.profile(FOLDER / "profile.toml")
    brief = Brief(profile, "en", Meter())
    extractive = ranking.quality(days, await ranking.by_analyst(days, ExtractiveAnalyst(), brief)).ndcg
    phrases = ranking.quality(days, ranking.by_phrases(days, profile)).ndcg
    upvotes = ranking.quality(days, ranking.by_upvotes(days)).ndcg
    assert len(days) == 40
    assert extractive.value >= 0.80
    assert extractive.low > upvotes.high
    assert extractive.value > phrases.value
