import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

import config
from bot.errors import SettingsError
from config.settings import DEFAULT_PROFILE, Settings, variable_names
from config.table import BEGIN, END, README, table

SECRET = "hush-hush-0123456789"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):  # the developer's own environment must not decide
    for name in [*variable_names(), "PAPERBOY_CONFIG"]:
        monkeypatch.delenv(name, raising=False)


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(text, encoding="utf-8")
    return file


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        config.load(written(tmp_path, text))
    assert SECRET not in str(caught.value)
    return str(caught.value).splitlines()


def test_without_any_file_the_defaults_hold(monkeypatch, tmp_path):
    monkeypatch.setattr(config, "DEFAULT_FILE", tmp_path / "none.toml")  # a developer may have a real one
    loaded = config.load()
    assert loaded.settings.report.papers == 15
    assert loaded.settings.profiles == (DEFAULT_PROFILE,)
    assert loaded.folder == config.PROJECT


def test_the_example_is_valid():
    settings = config.load(config.PROJECT / "config" / "example.toml").settings
    assert [channel.name for channel in settings.channels] == ["team", "lab"]
    assert settings.schedule.weekdays == (0, 1, 2, 3, 4, 5)


def test_a_variable_wins_over_the_file_and_leaves_its_neighbours(monkeypatch, tmp_path):
    monkeypatch.setenv("PAPERBOY_LLM__MODEL", "openai/b")
    monkeypatch.setenv("PAPERBOY_TELEGRAM__ALLOWED_CHATS", "-100, 5")
    monkeypatch.setenv("PAPERBOY_SLACK__ADMINS", '["U1", "U2"]')
    monkeypatch.setenv("PAPERBOY_SCHEDULE__WEEKDAYS", "mon,fri")
    settings = config.load(written(tmp_path, '[llm]\nmodel = "openai/a"\nconcurrency = 3')).settings
    assert (settings.llm.model, settings.llm.concurrency) == ("openai/b", 3)
    assert settings.telegram.allowed_chats == (-100, 5)
    assert settings.slack.admins == ("U1", "U2")
    assert settings.schedule.weekdays == (0, 4)


def test_the_config_variable_names_the_file_and_relative_paths_start_there(monkeypatch, tmp_path):
    monkeypatch.setenv("PAPERBOY_CONFIG", str(written(tmp_path, 'language = "en"')))
    loaded = config.load()
    assert loaded.settings.language == "en"
    assert loaded.folder == tmp_path


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('languag = "en"', "languag: unknown setting; did you mean language?"),
        ('[llm]\nmodle = "x"', "llm.modle: unknown setting; did you mean llm.model?"),
        ("[weather]\nsun = 1", "weather: unknown setting"),
        ('[schedule]\ntimezone = "Asia/Shanghia"', "schedule.timezone: unknown time zone 'Asia/Shanghia'"),
        ('[schedule]\ntimezone = "../../etc/passwd"', "schedule.timezone: unknown time zone"),
        ('[schedule]\ntime = "25:00"', "schedule.time: must be a time of day such as 09:30"),
        ('[schedule]\nweekdays = ["payday"]', "schedule.weekdays.0: "),
        ('language = "fr"', "language: unknown language 'fr'; there are en, zh"),
        ("[llm]\nconcurrency = 0", "llm.concurrency: "),
        ('[web]\npublic_url = "papers.example.org"', "web.public_url: "),
        (
            '[[channels]]\nname = "a"\nplatform = "console"\nprofile = "zzz"',
            "channels.a.profile: unknown profile 'zzz'; there are default",
        ),
        (
            '[[channels]]\nname = "a"\nplatform = "slack"\ntarget = "general"',
            "channels.a.target: slack needs a channel ID",
        ),
        ('[[channels]]\nname = "a"\nplatform = "telegram"', "channels.a.target: telegram needs a chat ID"),
        ('[[channels]]\nname = "a"\nplatform = "console"\ntopic = 3', "channels.a.topic: only Telegram has topics"),
        ('[[channels]]\nname = "A b"\nplatform = "console"', "channels.0.name: "),
        (2 * '[[profiles]]\nname = "a"\ninterests = ["x"]\n', "profiles: the name 'a' is given twice"),
        ('[operator]\nchannel = "ops"', "operator.channel: there is no channel named 'ops'"),
        ('[[profiles]]\nname = "a"\ninterests = []', "profiles.a.interests: "),
        (
            '[[channels]]\nname = "lab"\nplatform = "console"\ntimezone = "Mars/Olympus"',
            "channels.lab.timezone: unknown time zone 'Mars/Olympus'",
        ),
        ('[[channels]]\nplatform = "console"', "channels.0.name: "),
        ('channels = ["team"]', "channels.0: "),
        ('[channels]\nname = "team"', "channels: "),
        ("x = [", "not valid TOML"),
    ],
)
def test_a_wrong_setting_is_named_with_its_cure(tmp_path, text, line):
    assert any(line in problem for problem in problems(tmp_path, text))


def test_a_missing_or_unreadable_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match="no such settings file"):
        config.load(tmp_path / "none.toml")
    with pytest.raises(SettingsError, match="cannot be read"):
        config.load(tmp_path)


def test_a_misspelt_variable_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("PAPERBOY_LLM__MODLE", "x")
    [line] = problems(tmp_path, "")
    assert line == "PAPERBOY_LLM__MODLE: unknown setting; did you mean PAPERBOY_LLM__MODEL?"


@pytest.mark.parametrize("name", ["PAPERBOY_FOO", "PAPERBOY_HOME", "PAPERBOY_DEBUG"])
def test_a_variable_that_resembles_no_setting_is_not_taken_for_one(monkeypatch, tmp_path, name):
    monkeypatch.setenv(name, "x")
    assert problems(tmp_path, "") == [f"{name}: unknown setting"]


def test_tables_of_channels_come_from_the_file_only(monkeypatch, tmp_path):
    monkeypatch.setenv("PAPERBOY_CHANNELS", "[]")
    assert any("PAPERBOY_CHANNELS: unknown setting" in line for line in problems(tmp_path, ""))


def test_a_variable_for_a_whole_section_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("PAPERBOY_LLM", SECRET)
    assert any("PAPERBOY_LLM" in line for line in problems(tmp_path, ""))


def test_a_secret_comes_from_a_file(tmp_path):
    secret = tmp_path / "token"
    secret.write_text(f"{SECRET}\n")
    settings = config.load(written(tmp_path, f'[telegram]\ntoken_file = "{secret}"')).settings
    assert settings.telegram.token is not None
    assert settings.telegram.token.get_secret_value() == SECRET
    assert SECRET not in repr(settings)


def test_a_secret_beside_its_file_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("PAPERBOY_TELEGRAM__TOKEN", SECRET)
    [line] = problems(tmp_path, '[telegram]\ntoken_file = "x"')
    assert line == "telegram: token and token_file are both given; keep one of them"


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path):
    [line] = problems(tmp_path, '[slack]\nbot_token_file = "/nowhere/token"')
    assert line == "slack.bot_token_file: cannot read the file it names (FileNotFoundError)"


def test_an_empty_variable_is_no_secret(monkeypatch, tmp_path):
    monkeypatch.setenv("PAPERBOY_TELEGRAM__TOKEN", "")
    assert config.load(written(tmp_path, "")).settings.telegram.token is None


def test_no_settings_error_prints_what_was_written(tmp_path):
    for text in (f'[telegram]\ntoken = ["{SECRET}"]', f'[llm]\napi_base = "{SECRET}"', f'llm = "{SECRET}"'):
        assert problems(tmp_path, text)
    with pytest.raises(ValidationError) as caught:
        Settings(telegram={"token": [SECRET]})
    assert SECRET not in str(caught.value)


def test_the_readme_lists_every_setting():
    readme = README.read_text(encoding="utf-8")
    assert readme.split(BEGIN)[1].split(END)[0].strip() == table()


def test_every_setting_says_what_it_does():
    assert all(not row.rstrip().endswith("|  |") for row in table().splitlines())
    assert tomllib.loads((config.PROJECT / "config" / "example.toml").read_text(encoding="utf-8"))
