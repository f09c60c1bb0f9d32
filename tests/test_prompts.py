"""Prompts are files: what the loader accepts, what it refuses and how it says so."""

import re
from pathlib import Path

import pytest

import prompts
from bot.analysis.points import Rule
from bot.analysis.proofs import Violation
from bot.errors import SettingsError
from bot.models import Exchange

GOOD = """+++
version = 3
inputs = ["paper"]

[[sections]]
key = "idea"
title = "The idea"
+++
Read it. {% for key, title in sections %}{{ key }}={{ title }}{% endfor %}

=== user ===
<{{ tag }}>{{ paper }}</{{ tag }}>
"""
VALUES = {
    "interests": ("Image Restoration", "Diffusion"),
    "exclude": ("Speech",),
    "audience": "restorers",
    "title": "A Title",
    "authors": ("Ada Example",),
    "abstract": "An abstract.",
    "basis": "abstract",
    "text": "[[S0]] Abstract\nAn abstract.",
    "question": "How many GPUs?",
    "earlier": (Exchange("Which loss?", "A contrastive one."),),
}
OWN = [(name, language) for name in ("score", "deep_dive", "answer") for language in ("zh", "en")]
# The rules that the points of a reply can break, by prompt.
RULES = {
    "deep_dive": set(Rule) - {Rule.ALONE, Rule.ECHO},
    "answer": set(Rule) - {Rule.RESTATED},
}


def write(folder: Path, text: str, name: str = "digest.en.md") -> None:
    (folder / name).write_text(text, encoding="utf-8")


def refusal(folder: Path, text: str, name: str = "digest") -> str:
    write(folder, text, f"{name}.en.md")
    with pytest.raises(SettingsError) as caught:
        prompts.load(name, "en", folder)
    assert f"prompts/{name}.en.md" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("name", "language"), OWN)
def test_our_own_prompts_render_the_profile_for_the_system_and_the_paper_for_the_user(name, language):
    system, user = prompts.load(name, language).render(**VALUES)
    assert "Image Restoration" in system
    assert "restorers" in system
    assert "A Title" not in system
    assert "An abstract." not in system
    assert "A Title" in user
    assert "An abstract." in user


@pytest.mark.parametrize(("name", "language"), OWN)
def test_the_paper_stands_between_delimiters_that_are_new_for_every_request(name, language):
    prompt = prompts.load(name, language)
    (system, first), (_, second) = prompt.render(**VALUES), prompt.render(**VALUES)
    tag = first.split(">>>")[0].split()[-1]
    assert len(tag) == 2 * prompts.TAG_BYTES
    assert tag in system
    assert first.index(tag) < first.index("An abstract.") < first.rindex(tag)
    assert tag not in second


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_question_and_the_talk_before_it_stand_behind_a_delimiter_of_their_own(language):
    prompt = prompts.load("answer", language)
    system, user = prompt.render(**VALUES)
    paper, question = (found[1] for found in re.finditer(r"<<<(?:paper|question) ([0-9a-f]{16})>>>", user))
    assert paper != question
    assert {paper, question} <= set(re.findall(r"[0-9a-f]{16}", system))
    inside = user[user.index(question) : user.rindex(question)]
    assert user.rindex(paper) < user.index(question)
    for value in ("How many GPUs?", "Which loss?", "A contrastive one."):
        assert value in inside
        assert user.count(value) == 1
        assert value not in system


@pytest.mark.parametrize("language", ["zh", "en"])
def test_of_a_talk_is_only_spoken_where_there_is_one(language):
    systems = [
        prompts.load("answer", language).render(**{**VALUES, "earlier": earlier})[0]
        for earlier in ((), VALUES["earlier"])
    ]
    assert len(systems[0]) < len(systems[1])
    assert "\n\n\n" not in systems[0]


def test_a_question_outside_its_delimiters_is_refused(tmp_path):
    text = GOOD.replace('inputs = ["paper"]', 'inputs = ["paper", "question"]').replace(
        "{{ paper }}", "{{ paper }}{{ question }}"
    )
    assert "question_tag" in refusal(tmp_path, text)


def test_the_four_sections_are_titled_as_readers_know_them():
    assert prompts.load("deep_dive", "zh").sections == (
        ("contribution", "核心创新点 (Key Contribution)"),
        ("method", "技术细节 (Methodology)"),
        ("takeaways", "对我的启发 (Takeaway)"),
        ("limitations", "潜在缺陷 (Limitations)"),
    )
    titles = [title for _, title in prompts.load("deep_dive", "en").sections]
    assert titles == ["Key Contribution", "Methodology", "Takeaway", "Limitations"]


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("name", RULES)
def test_a_repair_turn_has_words_for_every_rule(name, language):
    prompt = prompts.load(name, language)
    for rule in RULES[name]:
        turn = prompt.repair(violations=(Violation("method", 2, rule, "S7"),))
        assert "method" in turn
        assert "S7" in turn


def test_a_value_is_never_read_as_a_template():
    _, user = prompts.load("score", "en").render(**{**VALUES, "abstract": "{{ 1 + 1 }} === user === {% raw %}"})
    assert "{{ 1 + 1 }} === user === {% raw %}" in user


def test_the_ref_names_the_version_and_changes_with_every_letter(tmp_path):
    write(tmp_path, GOOD)
    first = prompts.load("digest", "en", tmp_path)
    write(tmp_path, GOOD.replace("Read it.", "Read this."))
    second = prompts.load("digest", "en", tmp_path)
    assert first.ref.startswith("digest.en@3#")
    assert len(first.ref) == len("digest.en@3#") + 8
    assert first.ref != second.ref


def test_line_endings_do_not_change_a_prompt(tmp_path):
    write(tmp_path, GOOD)
    first = prompts.load("digest", "en", tmp_path)
    (tmp_path / "digest.en.md").write_bytes(GOOD.replace("\n", "\r\n").encode())
    assert prompts.load("digest", "en", tmp_path) == first


def test_the_header_tells_the_sections_to_the_body(tmp_path):
    write(tmp_path, GOOD)
    prompt = prompts.load("digest", "en", tmp_path)
    assert prompt.render(paper="P")[0] == "Read it. idea=The idea"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_limitations_begin_with_what_the_authors_state(language):
    assert prompts.load("deep_dive", language).stated_first == {"limitations"}
    assert prompts.load("score", language).stated_first == frozenset()


def test_a_section_may_want_what_is_stated_first(tmp_path):
    write(tmp_path, GOOD.replace('title = "The idea"', 'title = "The idea"\nstated_first = true'))
    assert prompts.load("digest", "en", tmp_path).stated_first == {"idea"}
    write(tmp_path, GOOD)
    assert prompts.load("digest", "en", tmp_path).stated_first == frozenset()


def test_a_value_that_was_not_given_is_named(tmp_path):
    write(tmp_path, GOOD)
    with pytest.raises(SettingsError, match=r"digest\.en\.md, user turn: 'paper' is undefined"):
        prompts.load("digest", "en", tmp_path).render()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('inputs = ["paper"]', 'inputs = ["paper", "mood"]', "inputs declares mood"),
        ('inputs = ["paper"]', "inputs = []", "the body uses paper"),
        ("{{ paper }}", "{{ papr }}", "the body uses papr"),
        ("version = 3", 'version = "3"', "version: Input should be a valid integer"),
        ("version = 3", "version = 0", "version: Input should be greater than or equal to 1"),
        ("version = 3", "version = 3\nmodel = 'x'", "model: Extra inputs are not permitted"),
        ("version = 3\n", "", "version: Field required"),
        ("version = 3", "version == 3", "the header is not TOML"),
        ("+++\nversion", "version", "no header"),
        ('[[sections]]\nkey = "idea"\ntitle = "The idea"\n', "", "sections is missing"),
        ('key = "idea"', 'key = "the idea"', "sections.0.key: String should match pattern"),
        ('title = "The idea"', 'title = ""', "sections.0.title"),
        ('title = "The idea"', 'title = "The idea"\nstated_first = "yes"', "sections.0.stated_first"),
        ("+++\nRead", '\n[[sections]]\nkey = "idea"\ntitle = "Again"\n+++\nRead', "two sections have the same key"),
        ("=== user ===", "=== usr ===", "no user turn"),
        ("Read it. ", "=== repair ===\nRead it. ", "no system turn"),
        ("=== user ===", "=== repair ===\nMore\n=== user ===", "unknown turn 'repair'"),
        ("{{ paper }}", "{{ paper", "user turn, line 1"),
        ("{{ paper }}", "{{ paper | shout }}", "No filter named 'shout'"),
        ("{{ tag }}", "tag", "delimiters"),
    ],
)
def test_a_broken_prompt_is_refused_by_name_with_the_cure(tmp_path, old, new, said):
    assert said in refusal(tmp_path, GOOD.replace(old, new))


def test_a_prompt_may_only_ask_for_what_the_code_gives(tmp_path):
    text = GOOD.replace('inputs = ["paper"]', 'inputs = ["paper", "title"]').replace(
        "{{ paper }}", "{{ paper }}{{ title }}"
    )
    assert "nobody gives paper to this prompt" in refusal(tmp_path, text, "score")


def test_a_deep_dive_without_sections_is_refused(tmp_path):
    text = "+++\nversion = 1\ninputs = []\n+++\nx\n=== user ===\n{{ tag }}\n=== repair ===\ny\n"
    assert "sections is missing" in refusal(tmp_path, text, "deep_dive")


def test_a_missing_prompt_is_named(tmp_path):
    with pytest.raises(SettingsError, match=r"prompts/score\.fr\.md: there is no such prompt"):
        prompts.load("score", "fr", tmp_path)
    with pytest.raises(SettingsError, match=r"prompts/score\.fr\.md"):
        prompts.load("score", "fr")


def test_a_prompt_that_is_not_text_is_named(tmp_path):
    (tmp_path / "score.en.md").write_bytes(b"\xff\xfe+++")
    with pytest.raises(SettingsError, match="not UTF-8"):
        prompts.load("score", "en", tmp_path)
