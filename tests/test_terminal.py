"""The commands inside this process, against stand-ins: what they print, and how they end."""

import json
import re
import signal
from pathlib import Path

import pytest

import config
import prompts
from bot.__main__ import main, parser
from bot.app.ending import EndedError
from bot.errors import BotError, InputError, SettingsError, StoreError
from bot.store.sqlite import SqliteStore
from bot.terminal import COMMANDS, health
from bot.web import serving
from tests.arxiv_standin import Entry
from tests.huggingface_standin import an_item
from tests.model_standin import Fault
from tests.slack_standin import says
from tests.telegram_standin import GROUP, Chat, kicked
from tests.test_web import a_site
from tests.world import CHANNELS, TODAY, World, a_world

TELEGRAM = CHANNELS.split("[[channels]]")[1]
SLACK = CHANNELS.split("[[channels]]")[2]


@pytest.fixture
async def world(tmp_path, monkeypatch):
    async with a_world(tmp_path, papers=4) as made:
        made.write(model=False)
        made.inside = monkeypatch
        yield made


async def do(world: World, *words: str) -> int:
    """Runs a command as the command line would, settings and variables of `world` included."""
    for name, value in world.environment().items():
        if name.startswith("PAPERBOY_") and world.inside:
            world.inside.setenv(name, value)
    arguments = parser().parse_args(words)
    return await COMMANDS[arguments.command](config.load(arguments.config), arguments)


async def findings(world: World, capsys) -> dict[str, tuple[str, str]]:
    """`check`: subject -> (level, text)."""
    await do(world, "check")
    lines = [re.fullmatch(r"\S (\w+) +(.+?): (.*)", line) for line in capsys.readouterr().out.splitlines()]
    assert all(lines)
    return {line[2]: (line[1], line[3]) for line in lines if line}


# --- check: one line each, naming the setting and the cure


async def test_all_is_well(world, capsys):
    world.write()
    found = await findings(world, capsys)
    assert {level for level, _ in found.values()} == {"ok"}
    assert {"settings", "store.url", "llm.model", "channels.team.target", "channels.lab.target", "web.port"} <= set(
        found
    )


async def test_a_wrong_token_is_found_on_both_platforms(world, capsys):
    world.variables["PAPERBOY_TELEGRAM__TOKEN"] = "123456789:AAGwrongwrongwrongwrongwrongwrongwrong"
    world.variables["PAPERBOY_SLACK__BOT_TOKEN"] = "xoxb-wrong"
    found = await findings(world, capsys)
    assert found["telegram.token"][0] == found["slack.bot_token"][0] == "error"
    assert await do(world, "check") == 1


async def test_a_missing_token_is_found(world, capsys):
    world.variables["PAPERBOY_TELEGRAM__TOKEN"] = ""
    world.variables["PAPERBOY_SLACK__BOT_TOKEN"] = ""
    found = await findings(world, capsys)
    assert "PAPERBOY_TELEGRAM__TOKEN" in found["telegram.token"][1]
    assert "PAPERBOY_SLACK__BOT_TOKEN" in found["slack.bot_token"][1]


async def test_a_bot_without_rights_is_found(world, capsys):
    world.telegram.chats[:] = [Chat(GROUP, type="channel", status="administrator", may_post=False)]
    world.slack.places["C0PAPERS"].member = False
    found = await findings(world, capsys)
    assert found["channels.team.target"][0] == "error"
    assert "/invite" in found["channels.lab.target"][1]


async def test_an_unknown_channel_is_found(world, capsys):
    world.telegram.chats.clear()
    world.slack.places.clear()
    found = await findings(world, capsys)
    assert found["channels.team.target"][0] == found["channels.lab.target"][0] == "error"


async def test_an_unreachable_platform_is_found(world, capsys):
    world.variables["PAPERBOY_TELEGRAM__API_URL"] = "http://127.0.0.1:9"
    world.variables["PAPERBOY_SLACK__API_URL"] = "http://127.0.0.1:9"
    found = await findings(world, capsys)
    assert found["telegram.api_url"][0] == found["slack.api_url"][0] == "error"


@pytest.mark.parametrize(
    ("variables", "subject"),
    [
        ({"PAPERBOY_LLM__MODEL": "nobody/knows"}, "llm.model"),
        ({"PAPERBOY_LLM__API_BASE": "http://127.0.0.1:9/v1"}, "llm.api_base"),
    ],
)
async def test_a_wrong_model_key_or_address_is_found(world, capsys, variables, subject):
    world.write()
    world.variables.update(variables)
    assert (await findings(world, capsys))[subject][0] == "error"


async def test_a_limit_in_which_no_paper_fits_is_found(world, capsys):
    world.write()
    world.variables["PAPERBOY_LLM__MAX_INPUT_TOKENS"] = "2000"
    level, text = (await findings(world, capsys))["llm.max_input_tokens"]
    assert level == "warning"
    assert "3000" in text


async def test_a_missing_key_is_found_without_a_call(world, capsys, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    world.write(model=False, more='[llm]\nmodel = "openai/gpt-4o-mini"\n')
    world.variables["PAPERBOY_LLM__API_KEY"] = ""
    assert (await findings(world, capsys))["llm.api_key"][0] == "error"


async def test_a_prompt_with_a_wrong_variable_is_found(world, capsys, monkeypatch, tmp_path):
    def broken(name, language):
        file = tmp_path / f"{name}.{language}.md"
        content = Path(prompts.__file__).with_name(file.name).read_text(encoding="utf-8")
        file.write_text(content.replace("{{ title }}", "{{ titel }}"), encoding="utf-8")
        return real(name, language, tmp_path)

    real = prompts.load
    monkeypatch.setattr(prompts, "load", broken)  # the project's own prompts are right
    level, text = (await findings(world, capsys))["prompts/score.zh.md"]
    assert level == "error"
    assert "titel" in text


async def test_a_store_that_cannot_be_written_is_found(world, capsys, tmp_path):
    (tmp_path / "file").write_text("in the way")
    world.variables["PAPERBOY_STORE__URL"] = f"sqlite:///{tmp_path}/file/paperboy.db"
    assert (await findings(world, capsys))["store.url"][0] == "error"
    world.variables["PAPERBOY_STORE__URL"] = "mysql://here"
    with pytest.raises(SettingsError, match=r"store\.url"):
        await do(world, "report")


async def test_a_taken_port_is_found(world, capsys):
    world.variables["PAPERBOY_WEB__PORT"] = str(world.telegram.port)
    assert (await findings(world, capsys))["web.port"][0] == "error"


async def test_a_port_that_paperboy_itself_has_taken_is_well(world, capsys, tmp_path):
    async with SqliteStore.open(tmp_path / "archive.db") as store, serving(a_site(store), "127.0.0.1", 0) as port:
        world.variables["PAPERBOY_WEB__PORT"] = str(port)
        assert (await findings(world, capsys))["web.port"] == ("ok", f"Paperboy runs, on 127.0.0.1:{port}")


async def test_what_moves_a_store_that_was_never_there_is_told_so(world, capsys, tmp_path):
    world.variables["PAPERBOY_STORE__URL"] = f"sqlite:///{tmp_path}/mistyped.db"
    with pytest.raises(InputError, match=r"there is no store at .*mistyped"):
        await do(world, "store", "export", str(tmp_path / "out.jsonl"))
    assert not (tmp_path / "mistyped.db").exists()


async def test_an_unknown_part_is_a_warning_and_no_error(world, capsys):
    world.telegram.faults.append(kicked())
    await do(world, "report", "--channel", "team")
    capsys.readouterr()
    found = await findings(world, capsys)
    assert found["channels.team.target"][0] == "ok"


def test_settings_that_cannot_be_read_are_a_line_a_problem(capsys):
    code = health.wrong_settings(SettingsError("llm.modle: unknown setting\nschedule.timezone: unknown time zone"))
    assert code == 2
    assert capsys.readouterr().out.splitlines() == [
        "✗ error   llm.modle: unknown setting",
        "✗ error   schedule.timezone: unknown time zone",
    ]


def test_marks_have_colours_in_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)  # capsys is no terminal
    health.wrong_settings(SettingsError("a: b"))
    assert "\033[31m✗\033[0m" in capsys.readouterr().out


# --- the other commands


async def test_report_says_what_it_did(world, capsys):
    assert await do(world, "report") == 0
    said = capsys.readouterr().err
    assert f"{TODAY}/default.zh" in said
    assert "team" in said
    assert "lab" in said


async def test_a_preview_writes_pages_and_posts_nothing(world, capsys, tmp_path):
    assert await do(world, "report", "--preview", str(tmp_path / "pages"), "--json") == 0
    assert json.loads(capsys.readouterr().out)["deliveries"] == []
    assert {file.suffix for file in (tmp_path / "pages").iterdir()} == {".html", ".md"}
    assert (world.telegram.messages(), world.slack.posted()) == ([], [])
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError):
        await do(world, "report", "--preview", str(tmp_path / "file"))


async def test_a_preview_for_a_profile_that_no_channel_wants(world, capsys, tmp_path):
    more = '[[profiles]]\nname = "default"\ninterests = ["x"]\n[[profiles]]\nname = "other"\ninterests = ["Agents"]\n'
    world.write(model=False, more=more)
    assert await do(world, "report", "--profile", "other", "--preview", str(tmp_path / "pages")) == 0
    with pytest.raises(InputError) as caught:
        await do(world, "report", "--profile", "other")
    assert caught.value.key == "cli.no_channel_of_profile"
    assert await do(world, "report", "--profile", "default", "--json") == 0


async def test_an_empty_day_by_name_is_said(world, capsys):
    assert await do(world, "report", "--date", "2026-01-06") == 0
    assert "2026-01-06" in capsys.readouterr().err
    assert await do(world, "top", "--date", "2026-01-06") == 0
    assert "2026-01-06" in capsys.readouterr().out
    assert await do(world, "top", "--date", "2026-01-06", "--json") == 0
    assert json.loads(capsys.readouterr().out)["ranking"] == []


async def test_top_ranks_the_newest_day_and_then_remembers_it(world, capsys):
    assert await do(world, "top", "--json") == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["day"], first["analyst"], len(first["ranking"])) == (str(TODAY), "extractive", 4)
    assert await do(world, "top", "--count", "2") == 0
    assert "2602.00001" in capsys.readouterr().out
    assert len([asked for asked in world.huggingface.asked if asked.path == "/api/daily_papers"]) == 1


async def test_deepdive_reads_any_paper_that_arxiv_knows(world, capsys):
    world.arxiv.known.append(Entry("1706.03762", version=7))
    assert await do(world, "deepdive", "https://arxiv.org/abs/1706.03762", "--json", "--language", "en") == 0
    dive = json.loads(capsys.readouterr().out)
    assert (dive["id"], dive["version"], dive["language"], dive["basis"]) == ("1706.03762", 7, "en", "abstract")
    assert [section["key"] for section in dive["sections"]] == ["contribution", "method", "takeaways", "limitations"]
    assert await do(world, "deepdive", "1706.03762") == 0
    assert "核心创新点" in capsys.readouterr().out
    with pytest.raises(BotError) as caught:
        await do(world, "deepdive", "2201.99999")
    assert caught.value.key == "error.not_found"


async def test_deepdive_with_the_model_down_is_extractive_and_says_so(tmp_path, monkeypatch, capsys):
    async with a_world(tmp_path, papers=2, faults=(Fault("status", status=401),)) as world:
        world.inside = monkeypatch
        assert await do(world, "deepdive", "2602.00001", "--json") == 3
    dive = json.loads(capsys.readouterr().out)
    assert (dive["model"], dive["flags"]) == ("", ["failure.auth"])


async def test_ask_answers_a_question_about_any_paper(world, capsys):
    words = (
        "ask",
        "https://arxiv.org/abs/2602.00001",
        "Which",
        "photographs",
        "does",
        "it",
        "restore?",
        "--language",
        "en",
    )
    assert await do(world, *words, "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert list(made) == [
        "id",
        "version",
        "title",
        "basis",
        "language",
        "model",
        "prompt",
        "question",
        "answerable",
        "points",
        "counts",
        "flags",
        "cost_usd",
    ]
    assert (made["id"], made["question"], made["model"], made["answerable"]) == (
        "2602.00001",
        "Which photographs does it restore?",
        "",
        True,
    )
    assert made["points"][0]["quote"] == "We restore photographs taken through rain & haze."
    assert set(made["points"][0]) == {"kind", "section", "quote", "text"}
    assert await do(world, *words) == 0
    said = capsys.readouterr().out
    assert "Which photographs does it restore?" in said
    assert "In the paper's words: “" in said
    assert await do(world, "ask", "2602.00001", "What is the capital of France?") == 0
    assert "没有找到与问题用词相近的句子" in capsys.readouterr().out
    with pytest.raises(InputError) as caught:
        await do(world, "ask", "2602.00001", " ")
    assert caught.value.key == "ask.no_question"


async def test_ask_with_the_model_down_quotes_and_says_so(tmp_path, monkeypatch, capsys):
    async with a_world(tmp_path, papers=2, faults=(Fault("status", status=401),)) as world:
        world.inside = monkeypatch
        assert await do(world, "ask", "2602.00001", "Which photographs does it restore?", "--json") == 3
        made = json.loads(capsys.readouterr().out)
        assert (made["model"], made["flags"], made["answerable"]) == ("", ["failure.auth"], True)
        assert await do(world, "ask", "2602.00001", "Which photographs does it restore?") == 3
        assert "语言模型这次没能用上：模型密钥无效" in capsys.readouterr().out


async def test_a_slack_that_cannot_be_heard_is_found(world, capsys):
    world.variables["PAPERBOY_SLACK__APP_TOKEN"] = ""
    found = await findings(world, capsys)
    assert found["slack.app_token"][0] == "warning"
    assert "xapp-" in found["slack.app_token"][1]


async def test_a_wrong_app_token_of_slack_is_found(world, capsys):
    world.variables["PAPERBOY_SLACK__APP_TOKEN"] = "xapp-wrong"
    assert (await findings(world, capsys))["slack.app_token"][0] == "error"


async def test_search_finds_what_was_scored(world, capsys):
    assert await do(world, "search", "rain", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"words": "rain", "papers": []}
    assert await do(world, "top", "--json") == 0
    ranked = json.loads(capsys.readouterr().out)
    assert await do(world, "search", "RAIN", "--json") == 0
    papers = json.loads(capsys.readouterr().out)["papers"]
    assert [(paper["id"], paper["score"]) for paper in papers] == [
        (one["id"], one["score"]) for one in ranked["ranking"]
    ]
    assert {paper["day"] for paper in papers} == {str(TODAY)}
    assert await do(world, "search", "rain", "--language", "en") == 0
    assert "Search: rain" in capsys.readouterr().out


async def test_status_says_how_things_stand(world, capsys):
    assert await do(world, "status", "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert (made["last_report"], made["open_requests"], made["unknown_parts"]) == (None, [], 0)
    assert made["next_report"]
    assert await do(world, "report", "--channel", "team", "--json") == 0
    capsys.readouterr()
    assert await do(world, "status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["last_report"] == str(TODAY)
    assert await do(world, "status") == 0
    assert str(TODAY) in capsys.readouterr().out


async def test_deliveries_are_listed_and_settled(world, capsys):
    assert await do(world, "deliveries") == 0
    assert "还没有" in capsys.readouterr().out
    world.telegram.faults.append(kicked())
    assert await do(world, "report", "--channel", "team") == 1
    capsys.readouterr()
    await do(world, "deliveries")
    failed = [line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("    失败")]
    assert len(failed) == 3
    assert await do(world, "deliveries", "--send", failed[0].rpartition("~")[0]) == 0
    assert len(world.telegram.messages()) == 3
    assert await do(world, "report", "--channel", "team") == 0


async def test_what_failed_in_a_closed_channel_is_to_be_sent_again_when_check_finds_it_well(world, capsys):
    world.telegram.faults.append(kicked())
    assert await do(world, "report", "--channel", "team") == 1
    await do(world, "check")
    capsys.readouterr()
    await do(world, "deliveries")
    shown = capsys.readouterr().out
    assert "失败" not in shown.partition("\n")[2]
    assert shown.count("    未发完") == 3


async def test_the_operator_hears_of_a_closed_channel(world, capsys):
    world.write(model=False, more='[operator]\nchannel = "lab"\n')
    world.telegram.faults.append(kicked())
    assert await do(world, "report", "--channel", "team") == 1
    assert "team" in world.slack.show()


async def test_the_operators_own_trouble_is_not_told_to_itself(world, capsys):
    world.write(model=False, more='[operator]\nchannel = "lab"\n')
    world.slack.fail("chat.postMessage", says("is_archived"))
    assert await do(world, "report", "--channel", "lab") == 1
    assert world.slack.posted() == []


async def test_the_demo_takes_a_saved_list(world, capsys, tmp_path):
    world.write(model=False, channels="")
    saved = tmp_path / "list.json"
    saved.write_text(json.dumps([an_item(1), an_item(2)]))
    assert await do(world, "demo", "--list", str(saved), "--output", str(tmp_path / "demo")) == 0
    assert "Seeing Through Rain" in capsys.readouterr().out
    for content in ("", "[", "{}", "<html>", "[]"):
        saved.write_text(content)
        with pytest.raises(InputError):
            await do(world, "demo", "--list", str(saved), "--output", str(tmp_path / "demo"))


async def test_the_demo_shows_the_real_list_where_it_comes_in_time(world, capsys, tmp_path):
    world.write(model=False, channels="")
    assert await do(world, "demo", "--output", str(tmp_path / "demo"), "--json") == 0
    assert json.loads(capsys.readouterr().out)["day"] == str(TODAY)


@pytest.fixture
def at_home(monkeypatch, tmp_path, own_logging):
    """`main` with a store of its own and no service within reach."""
    monkeypatch.setenv("PAPERBOY_CONFIG", "")
    monkeypatch.setenv("PAPERBOY_STORE__URL", f"sqlite:///{tmp_path}/paperboy.db")
    monkeypatch.setenv("PAPERBOY_SOURCES__HUGGINGFACE_URL", "http://127.0.0.1:9")


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["report", "--channel", "nobody"], "nobody"),
        (["report", "--profile", "nobody"], "nobody"),
        (["report", "--date", "2026-02-28"], "2026-02-28"),
        (["report", "--date", "2999-01-01"], "2999-01-01"),
        (["deepdive", "not-a-paper"], "2602.19089"),
        (["ask", "not-a-paper", "why?"], "2602.19089"),
        (["top", "--language", "fr"], "fr"),
        (["demo", "--list", "/nowhere.json"], "/nowhere.json"),
        (["demo", "--output", "/dev/null"], "/dev/null"),
        (["deliveries", "--send", "nothing"], "nothing"),
    ],
)
def test_wrong_input_gets_one_line_that_says_what_to_do(capsys, arguments, words):
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert words in said.err


@pytest.mark.usefixtures("at_home")
def test_main_turns_errors_into_lines_and_codes(capsys, monkeypatch, tmp_path):
    assert main(["deliveries"]) == 0
    monkeypatch.setenv("PAPERBOY_CONFIG", str(tmp_path / "none.toml"))
    assert main(["report"]) == 2
    assert main(["check"]) == 2
    assert all(line for line in capsys.readouterr().err.splitlines())


@pytest.mark.usefixtures("at_home")
def test_what_nobody_foresaw_is_logged_and_told_without_details(capsys, monkeypatch):
    async def broken(loaded, arguments):
        raise RuntimeError("details for the log alone")

    monkeypatch.setitem(COMMANDS, "deliveries", broken)  # a fault of our own, on purpose
    assert main(["deliveries"]) == 1
    assert "details" not in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize(("raised", "code"), [(EndedError(signal.SIGTERM), 143), (StoreError("disk full"), 1)])
def test_a_command_that_is_ended_or_fails_says_so_by_its_code(capsys, monkeypatch, raised, code):
    async def ends(loaded, arguments):
        raise raised

    monkeypatch.setitem(COMMANDS, "deliveries", ends)  # the moment of a signal, or of a full disk
    assert main(["deliveries"]) == code
