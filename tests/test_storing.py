"""`store.url` on the command line: which store is opened, what is said of it, and how one moves to another."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import config
from bot.__main__ import main
from bot.app.stores import opened_store, store_place
from bot.app.wiring import secrets
from bot.errors import SettingsError
from bot.store.redis import RedisStore
from bot.store.sqlite import SqliteStore
from tests import redis_standin
from tests.fakes import a_request
from tests.redis_standin import RedisProcess
from tests.test_store import REPORT, some_parts
from tests.world import a_world

SECRET = "hush-hush-0123456789"


@pytest.fixture
def own_server(redis_server: str) -> Iterator[RedisProcess]:
    """A command takes the usual namespace, so each test has a server to itself."""
    with redis_standin.running("--requirepass", SECRET) as process:
        yield process


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_logging: None):
    """Writes settings, with English words, and makes every command read them."""

    def write(url: str) -> Path:
        file = tmp_path / "config.toml"
        closed = '[sources]\nhuggingface_url = "http://127.0.0.1:9"\n[web]\nport = 0\n'
        file.write_text(f'language = "en"\n[store]\nurl = "{url}"\n{closed}', encoding="utf-8")
        monkeypatch.setenv("PAPERBOY_CONFIG", str(file))
        return file

    return write


def put_something_into(file: Path) -> None:
    async def put() -> None:
        async with SqliteStore.open(file) as store:
            await store.plan(REPORT, some_parts())
            await store.admit([a_request()])

    asyncio.run(put())


async def test_each_url_opens_its_store(settings, own_server: RedisProcess, monkeypatch: pytest.MonkeyPatch):
    loaded = config.load(settings("sqlite:///kept.db"))
    async with opened_store(loaded) as store:
        assert isinstance(store, SqliteStore)
    assert store_place(loaded) == str(loaded.folder / "kept.db")
    monkeypatch.setenv("PAPERBOY_STORE__PASSWORD", SECRET)
    loaded = config.load(settings(own_server.url))
    async with opened_store(loaded) as store:
        assert isinstance(store, RedisStore)
    assert store_place(loaded) == own_server.url


@pytest.mark.parametrize("url", ["mysql://here", "sqlite:///", "redis://host:port/0", "paperboy.db"])
def test_a_url_that_nobody_knows_is_named_with_those_that_there_are(settings, url: str):
    with pytest.raises(SettingsError, match=r"store\.url: must be .*redis://host:6379/0"):
        store_place(config.load(settings(url)))


def test_passwords_of_the_store_are_blotted_out_of_the_log(settings, monkeypatch: pytest.MonkeyPatch):
    assert set(secrets(config.load(settings("redis://:p%40ss-word@host")).settings)) == {"p@ss-word", "p%40ss-word"}
    monkeypatch.setenv("PAPERBOY_STORE__PASSWORD", SECRET)
    assert secrets(config.load(settings("redis://host")).settings) == (SECRET,)
    assert secrets(config.load(settings("redis://:un/escaped@host:port")).settings) == (SECRET, "un/escaped")
    assert secrets(config.load(settings("sqlite:///a:b@c.db")).settings) == (SECRET,)


def test_check_says_how_the_server_is(settings, own_server: RedisProcess, capsys: pytest.CaptureFixture[str]):
    settings(own_server.url.replace("redis://", f"redis://:{SECRET}@"))
    main(["check"])
    assert f"ok      store.url: {own_server.url}" in (out := capsys.readouterr().out)
    assert SECRET not in out
    settings(own_server.url)
    assert main(["check"]) == 1
    assert "asks for a password: set store.password" in capsys.readouterr().out
    own_server.kill()
    settings(own_server.url)
    assert main(["check"]) == 1
    assert "cannot be reached" in capsys.readouterr().out


def test_check_warns_of_what_may_be_lost(settings, redis_server: str, capsys: pytest.CaptureFixture[str]):
    with redis_standin.running("--appendfsync", "everysec") as server:
        settings(server.url)
        assert main(["check"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "store.url" in line]
    assert [line[2:9].strip() for line in lines] == ["ok", "warning"]


def test_a_store_moves_to_redis_and_back(
    settings,
    own_server: RedisProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setenv("PAPERBOY_STORE__PASSWORD", SECRET)
    put_something_into(tmp_path / "paperboy.db")
    settings("sqlite:///paperboy.db")
    assert main(["store", "migrate", "--to", own_server.url]) == 0
    assert "5 entries written, 0 in the place of older ones; 0 were there already." in capsys.readouterr().out
    settings(own_server.url)
    assert main(["store", "export", str(tmp_path / "out.jsonl")]) == 0
    assert f"{tmp_path}/out.jsonl: 5 entries." in capsys.readouterr().out
    assert main(["store", "import", str(tmp_path / "out.jsonl")]) == 0
    assert "0 entries written, 0 in the place of older ones; 5 were there already." in capsys.readouterr().out
    assert main(["store", "migrate", "--to", "sqlite:///back.db"]) == 0
    settings("sqlite:///back.db")
    assert main(["store", "export", str(tmp_path / "back.jsonl")]) == 0
    assert (tmp_path / "back.jsonl").read_bytes() == (tmp_path / "out.jsonl").read_bytes()


def test_what_differs_is_left_and_said(settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    put_something_into(tmp_path / "paperboy.db")
    settings("sqlite:///paperboy.db")
    assert main(["store", "export", str(tmp_path / "out.jsonl")]) == 0
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").replace("论文日报", "另一份")
    (tmp_path / "out.jsonl").write_text(lines, encoding="utf-8")
    assert main(["store", "import", str(tmp_path / "out.jsonl")]) == 3
    out = capsys.readouterr().out
    assert "2 were there already" in out
    assert "Left as they are there, for they differ: part 3." in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["migrate", "--to", f"redis://:{SECRET}@127.0.0.1:9/0"], "PAPERBOY_STORE__PASSWORD"),
        (["migrate", "--to", "sqlite:///paperboy.db"], "this is the store of the settings"),
        (["migrate", "--to", "mysql://here"], "must be sqlite:///file.db"),
        (["import", "none.jsonl"], "none.jsonl"),
        (["export", "no/such/folder.jsonl"], "no/such/folder.jsonl"),
    ],
)
def test_a_move_that_cannot_be_meant_is_one_line(
    settings, capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], said: str
):
    settings("sqlite:///paperboy.db")
    (tmp_path / "paperboy.db").touch()
    assert main(["store", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert SECRET not in printed.err
    assert len(printed.err.splitlines()) == 1


def test_a_server_that_is_gone_is_one_line(settings, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    settings("sqlite:///paperboy.db")
    (tmp_path / "paperboy.db").touch()
    assert main(["store", "migrate", "--to", f"redis://127.0.0.1:{redis_standin.free_port()}/0"]) == 1
    assert "cannot be reached" in capsys.readouterr().err


@pytest.mark.slow
async def test_a_day_on_redis_is_reported_once(tmp_path: Path, own_server: RedisProcess):
    async with a_world(tmp_path, papers=4) as world:
        world.variables["PAPERBOY_STORE__URL"] = own_server.url
        world.variables["PAPERBOY_STORE__PASSWORD"] = SECRET
        first = json.loads((await world.paperboy("report", "--json")).out)
        posted = world.texts()
        again = await world.paperboy("report", "--json")
        assert [delivery["state"] for delivery in first["deliveries"]] == ["sent", "sent"]
        assert json.loads(again.out)["deliveries"] == first["deliveries"]
        assert world.texts() == posted != []
        assert SECRET not in again.err
        found = await world.paperboy("search", "rain")
        assert found.code == 0
        assert not (tmp_path / "paperboy.db").exists()
