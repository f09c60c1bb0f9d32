from datetime import date

from bot.models import Ranked, SubScores
from bot.ranking import Rules, candidates, mark_chosen, mark_reported, order, take_over
from tests.fakes import a_paper, a_profile, a_ranking, a_score


def ids(entries):
    return [entry.paper.arxiv_id.id for entry in entries]


def test_papers_stand_by_score_and_failed_ones_last_in_list_order():
    entries = [
        Ranked(a_paper(1), failure="failure.timeout"),
        Ranked(a_paper(2), a_score(40)),
        Ranked(a_paper(3), a_score(90)),
    ]
    entries.append(Ranked(a_paper(4), failure="failure.model"))
    assert ids(order(entries)) == ["2602.00003", "2602.00002", "2602.00001", "2602.00004"]


def test_ties_go_by_topic_then_votes_then_id():
    def tied(number: int, topic: int, upvotes: int) -> Ranked:
        return Ranked(a_paper(number, upvotes=upvotes), a_score(80, sub=SubScores(topic, 8, 7, 8)))

    entries = [tied(4, 8, 9), tied(3, 8, 9), tied(2, 8, 30), tied(1, 9, 1)]
    assert ids(order(entries)) == ["2602.00001", "2602.00002", "2602.00003", "2602.00004"]


def test_only_good_unreported_papers_may_be_chosen():
    entries = mark_reported(
        order([Ranked(a_paper(1), a_score(95)), Ranked(a_paper(2), a_score(60)), Ranked(a_paper(3), a_score(59))]),
        {"2602.00001": date(2026, 2, 20)},
    )
    assert ids(candidates(entries, Rules())) == ["2602.00002"]
    assert entries[0].reported_on == date(2026, 2, 20)


def test_choosing_marks_and_unmarks():
    entries = mark_chosen([Ranked(a_paper(1), chosen=True), Ranked(a_paper(2))], ["2602.00002"])
    assert [entry.chosen for entry in entries] == [False, True]


def test_another_language_keeps_order_scores_and_choice_and_has_its_own_words():
    base = a_ranking(count=4, chosen=1)
    words = [
        Ranked(a_paper(1), a_score(10, sub=SubScores(1, 1, 1, 1), reason="Restores rainy photos.")),
        Ranked(a_paper(2), failure="failure.timeout"),
        Ranked(a_paper(3), a_score(99, reason="Flow matching.")),
        Ranked(a_paper(4), a_score(99, reason="Scored now, failed in the first language.")),
    ]
    entries = take_over(base, words)
    assert ids(entries) == ids(base.entries)
    assert [entry.score and entry.score.value for entry in entries] == [89, 83, 77, None]
    assert [entry.score and entry.score.reason for entry in entries] == [
        "Restores rainy photos.",
        "",
        "Flow matching.",
        None,
    ]
    assert [entry.chosen for entry in entries] == [True, False, False, False]
    assert base.profile == a_profile()
