"""What typed texts mean: commands, IDs, days and questions, in any shape that people type them."""

import time
from datetime import date

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.errors import InputError
from bot.models import ArxivId
from bot.report.compose.ranked import page_action, week_of
from bot.texts import languages, load
from handlers import parsing
from handlers.commands import COMMANDS
from handlers.parsing import Asking, Dives, PageTurn, Top, Typed

NAMES = {command.name for command in COMMANDS}
TODAY = date(2026, 2, 26)  # a Thursday
PAPER = ArxivId("2602.19089")


def said(error: InputError) -> tuple[str, dict[str, object]]:
    return error.key, dict(error.values)


@pytest.mark.parametrize(
    ("text", "command", "rest"),
    [
        ("/deepdive 2602.19089 en", "deepdive", "2602.19089 en"),
        ("/deepdive\n2602.19089", "deepdive", "2602.19089"),
        ("/DeepDive@paperboy_bot  2602.19089", "deepdive", "2602.19089"),
        ("deepdive 2602.19089", "deepdive", "2602.19089"),
        ("2602.19089", "deepdive", "2602.19089"),
        ("https://arxiv.org/abs/2602.19089v2 https://arxiv.org/abs/2602.19090", "deepdive", None),
        ("/top", "top", ""),
        ("top 5", "top", "5"),
        ("Top week", "top", "week"),
        ("/ask 2602.19089 why?", "ask", "2602.19089 why?"),
        ("ask: why?", "ask", "why?"),
        ("search 超分辨率", "search", "超分辨率"),
        ("/status", "status", ""),
        ("/start", "help", ""),
        ("help", "help", ""),
        ("", "help", ""),
        ("Hello!", "help", ""),
        ("你好", "help", ""),
        ("report", "report", ""),
        ("/cancel k3f7q", "cancel", "k3f7q"),
    ],
)
def test_a_command_is_read_with_or_without_its_slash(text: str, command: str, rest: str | None):
    typed = parsing.read(text, NAMES)
    assert (typed.command, typed.rest) == (command, text if rest is None else rest)


@pytest.mark.parametrize(
    "text",
    [
        "What is the loss?",
        "top-1 accuracy?",
        "Top performing baseline on Rain100?",
        "help me with the loss",
        "Status of the code release?",
        "report the numbers of table 2",
        "它和 2602.19089 有什么不同？",
        "如何训练",
        "?!",
        "state",
    ],
)
def test_what_is_no_command_is_a_question(text: str):
    assert parsing.read(text, NAMES) == Typed("ask", text, bare=True)


def test_a_day_without_a_list_is_no_question():
    assert parsing.read("top 2026-02-28", NAMES).command == "top"
    assert parsing.read("report 2026-02-28", NAMES).command == "report"


@pytest.mark.parametrize("filler", ["a", "-", "arxiv:", "https://", "cs/", "1234."])
def test_a_long_message_is_read_at_once(filler: str):
    text = f"2602.19089 {filler * 40_000}"[:40_000]  # Slack's longest
    began = time.perf_counter()
    parsing.read(text, NAMES)
    assert time.perf_counter() - began < 1.0


def test_a_word_alone_that_is_nearly_a_command_is_no_question():
    for text in ("hlep", "statsu"):
        with pytest.raises(InputError) as refused:
            parsing.read(text, NAMES)
        assert refused.value.key == "error.unknown_command_near"


def test_a_language_that_there_is_not_is_said():
    with pytest.raises(InputError) as refused:
        parsing.deepdive("2602.19089 fr")
    assert said(refused.value) == ("cli.no_language", {"name": "fr", "names": "en, zh"})


def test_an_unknown_command_says_which_one_may_be_meant():
    with pytest.raises(InputError) as refused:
        parsing.read("/deepdvie 2602.19089", NAMES)
    assert said(refused.value) == ("error.unknown_command_near", {"name": "deepdvie", "near": "deepdive"})
    with pytest.raises(parsing.ForeignError) as refused:
        parsing.read("/weather", NAMES)
    assert said(refused.value) == ("error.unknown_command", {"name": "weather"})


# --- deep dives


def test_several_papers_are_several_and_each_is_named_once():
    text = "2602.19089, https://arxiv.org/abs/2602.19090v2 和 arXiv:2602.19089v3 EN"
    assert parsing.deepdive(text) == Dives((ArxivId("2602.19089", 3), ArxivId("2602.19090", 2)), "en")


def test_a_message_that_is_replied_to_names_the_paper():
    assert parsing.deepdive("", "see https://arxiv.org/pdf/2602.19089 !") == Dives((PAPER,))
    assert parsing.deepdive("zh", "2602.19089") == Dives((PAPER,), "zh")
    assert parsing.deepdive("2602.19090", "2602.19089") == Dives((ArxivId("2602.19090"),))


@pytest.mark.parametrize(
    ("rest", "key"),
    [("", "error.no_id"), ("zh", "error.no_id"), ("hello world", "error.arxiv_id"), ("9999.12345", "error.arxiv_id")],
)
def test_without_a_paper_it_says_how_to_name_one(rest: str, key: str):
    with pytest.raises(InputError) as refused:
        parsing.deepdive(rest)
    assert refused.value.key == key


@pytest.mark.parametrize(
    ("typed", "near"),
    [
        ("260219089", "2602.19089"),
        ("2602,19089", "2602.19089"),
        ("2602-19089", "2602.19089"),
        ("arXiv 2602 19089", "2602.19089"),
        ("2602.190891", "2602.19089"),
        ("2602.1908", "2602.01908"),
        ("0808.53941", "0808.5394"),
    ],
)
def test_a_mistyped_id_is_answered_with_the_nearest_one(typed: str, near: str):
    with pytest.raises(InputError) as refused:
        parsing.deepdive(typed)
    assert said(refused.value) == ("error.arxiv_id_near", {"text": typed, "near": near})


def test_more_than_three_papers_are_too_many():
    with pytest.raises(InputError) as refused:
        parsing.deepdive(" ".join(f"2602.1908{n}" for n in range(4)))
    assert said(refused.value) == ("error.many_ids", {"count": 4, "most": 3})


# --- rankings and days


@pytest.mark.parametrize(
    ("rest", "wanted"),
    [
        ("", Top()),
        ("5", Top(count=5)),
        ("５", Top(count=5)),
        ("2026-02-25", Top(date(2026, 2, 25))),
        ("2026/2/25 10", Top(date(2026, 2, 25), count=10)),
        ("20260225", Top(date(2026, 2, 25))),
        ("2026年2月25日", Top(date(2026, 2, 25))),
        ("today", Top(TODAY)),
        ("昨天", Top(date(2026, 2, 25))),
        ("WEEK 20 en", Top(week=True, count=20, language="en")),
        ("本周", Top(week=True)),
    ],
)
def test_a_ranking_is_named_in_many_ways(rest: str, wanted: Top):
    assert parsing.top(rest, TODAY) == wanted


@pytest.mark.parametrize(
    ("rest", "key"),
    [
        ("2026-02-28", "error.future"),
        ("2026-02-22", "error.weekend"),
        ("2026-02-31", "error.top_usage"),
        ("0", "error.top_count"),
        ("1000", "error.top_count"),
        ("-5", "error.top_usage"),
        ("٣", "error.top_usage"),
        ("'; DROP TABLE ranking", "error.top_usage"),
    ],
)
def test_a_day_that_has_no_list_or_is_none_is_refused_in_words(rest: str, key: str):
    with pytest.raises(InputError) as refused:
        parsing.top(rest, TODAY)
    assert refused.value.key == key


def test_a_report_is_of_a_day_or_of_the_newest():
    assert parsing.day_of("", TODAY) is None
    assert parsing.day_of("yesterday", TODAY) == date(2026, 2, 25)
    with pytest.raises(InputError) as refused:
        parsing.day_of("soon", TODAY)
    assert refused.value.key == "error.day_usage"


# --- questions


@pytest.mark.parametrize(
    ("rest", "wanted"),
    [
        ("2602.19089 How many GPUs?", Asking("How many GPUs?", PAPER)),
        ("https://arxiv.org/abs/2602.19089v2\nwhy?", Asking("why?", ArxivId("2602.19089", 2))),
        ("why?", Asking("why?")),
        ("How does 2602.19089 train?", Asking("How does 2602.19089 train?", PAPER)),
        ("Is 2602.19089 better than 2602.19090?", Asking("Is 2602.19089 better than 2602.19090?")),
    ],
)
def test_a_question_may_name_its_paper(rest: str, wanted: Asking):
    assert parsing.ask(rest) == wanted


@pytest.mark.parametrize("rest", ["", "   ", "?!…", "2602.19089", "\u202e"])
def test_no_question_is_refused(rest: str):
    with pytest.raises(InputError) as refused:
        parsing.ask(rest)
    assert refused.value.key == "error.no_question"


def test_a_question_ends_somewhere():
    assert len(parsing.ask("why " * 2000).question) == parsing.QUESTION_CHARACTERS


# --- buttons


def test_a_page_button_is_read_back():
    day = date(2026, 2, 25)
    assert parsing.page_turn(page_action("2026-02-25", "zh", 10, 5)) == PageTurn(day, "zh", 10, 5)
    week = parsing.page_turn(page_action(week_of(day), "en", None, 0))
    assert week == PageTurn(day, "en", None, 0, week=True)
    assert week.of == week_of(day)
    assert parsing.as_command(week) == "/top week en"


def test_votes_and_second_opinions_are_read_back():
    assert parsing.vote("vote up 2602.19089") == (1, PAPER)
    assert parsing.vote("vote down hep-th/9901001") == (-1, ArxivId("hep-th/9901001"))
    assert parsing.again("again 2602.19089 en") == Dives((PAPER,), "en")


@pytest.mark.parametrize(
    "forged",
    [
        "page x zh 0 0",
        "page week:2026-02-25 xx 0 0",
        "page week zh 0 0",
        "page 2026-99-99 zh 0 5",
        "vote up",
        "vote up x",
        "again x zh",
        "",
    ],
)
def test_forged_buttons_mean_nothing(forged: str):
    assert parsing.page_turn(forged) is None
    assert parsing.vote(forged) is None
    assert parsing.again(forged) is None


TEXTS = st.text(max_size=300) | st.builds(
    "{}{} {}".format,
    st.sampled_from(["", "/", "//", "@x /"]),
    st.sampled_from([*sorted(NAMES), "start", "nothing", "TOP", "２６０２"]),
    st.text(max_size=60)
    | st.lists(st.sampled_from(["2602.19089", "week", "5", "zh", "today", "，", "<!channel>"])).map(" ".join),
)


@settings(max_examples=1000, deadline=None)
@given(TEXTS, st.text(max_size=100))
@example("/top \ud800", "")
@example("/deepdive %ff%fe", "%")
def test_no_text_crashes_and_what_is_refused_is_refused_in_words(text: str, quoted: str):
    try:
        typed = parsing.read(text, NAMES)
        match typed.command:
            case "deepdive":
                parsing.deepdive(typed.rest, quoted)
            case "top":
                parsing.top(typed.rest, TODAY)
            case "report":
                parsing.day_of(typed.rest, TODAY)
            case "ask":
                parsing.ask(typed.rest)
    except InputError as error:
        for language in languages():
            load(language).error(error)  # a wording that lacks a value would fail
    parsing.page_turn(text)
    parsing.vote(text)
    parsing.again(text)
