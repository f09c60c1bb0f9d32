import asyncio
import logging
from argparse import Namespace
from pathlib import Path

import pytest

import config
import prompts
from bot import check
from bot.errors import SettingsError, SourceError, StoreError
from bot.models import Finding
from bot.terminal import health


async def fine():
    return [Finding("ok", "b", "fine")]


async def test_findings_come_in_the_order_of_the_checks_whatever_each_takes():
    async def slow():
        await asyncio.sleep(0.01)
        return [Finding("ok", "a", "slow")]

    assert [finding.subject for finding in await check.run({"a": slow, "b": fine, "c": fine})] == ["a", "b"]


async def test_a_check_that_hangs_fails_or_breaks_is_a_finding_and_hides_no_other(caplog):
    async def hangs():
        await asyncio.sleep(60)
        return []

    async def fails():
        raise SourceError("no route")

    async def breaks():
        raise RuntimeError("secret detail")

    with caplog.at_level(logging.ERROR):
        findings = await check.run({"x": hangs, "y": fails, "z": breaks, "b": fine}, seconds=0.01)
    assert [(finding.level, finding.subject) for finding in findings] == [
        ("error", "x"),
        ("error", "y"),
        ("error", "z"),
        ("ok", "b"),
    ]
    assert "no route" in findings[1].text
    assert "secret detail" not in findings[2].text


async def test_a_wrong_setting_is_the_subject_of_its_finding():
    async def unset():
        raise SettingsError("telegram.token: not set; put it in PAPERBOY_TELEGRAM__TOKEN")

    [finding] = await check.run({"channels.team": unset})
    assert (finding.subject, finding.text) == ("telegram.token", "not set; put it in PAPERBOY_TELEGRAM__TOKEN")


async def test_every_prompt_is_loaded_in_every_language(monkeypatch):
    findings = await check.check_prompts(["zh", "en"])
    assert [finding.level for finding in findings] == ["ok"] * 6

    def broken(name, language):
        raise SettingsError("prompts/score.zh.md: uses {{ papr }}, which it does not declare")

    monkeypatch.setattr(prompts, "load", broken)  # the files of the project are right, and have no folder to swap
    [finding, *_] = await check.check_prompts(["zh"])
    assert (finding.level, finding.subject) == ("error", "prompts/score.zh.md")
    assert finding.text == "uses {{ papr }}, which it does not declare"


async def test_a_store_that_cannot_be_written_is_named():
    class Full:
        async def ping(self):
            raise StoreError("disk full")

    [finding] = await check.check_store(Full(), "sqlite")  # type: ignore[arg-type]  # only ping is asked for
    assert (finding.level, finding.subject, finding.text) == ("error", "store.url", "disk full")


# --- the command: every part is asked, whatever another one's trouble


async def said(folder: Path, capsys: pytest.CaptureFixture[str], settings: str) -> dict[str, str]:
    """What `paperboy check` prints with these settings: subject -> level and text."""
    settings += '[sources]\nhuggingface_url = "http://127.0.0.1:9"\n'
    (folder / "config.toml").write_text(settings, encoding="utf-8")
    await health.check(config.load(folder / "config.toml"), Namespace())
    lines = (line[2:].split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    return {rest.partition(": ")[0]: f"{level} {rest.partition(': ')[2]}" for level, rest in lines}


@pytest.mark.parametrize("url", ["sqlite:///no/such/folder/paperboy.db", "mysql://here"])
async def test_a_store_that_cannot_be_opened_hides_no_other_answer(tmp_path, capsys, url):
    found = await said(tmp_path, capsys, f'[store]\nurl = "{url}"\n[web]\nport = 0\n')
    assert found["store.url"].startswith("error ")
    assert "store.url" not in found["store.url"]
    for subject in ("prompts/score.zh.md", "prompts/deep_dive.zh.md", "llm.model", "web.port"):
        assert found[subject].startswith("ok ")
    assert [file.name for file in tmp_path.iterdir()] == ["config.toml"]


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 64, "192.0.2.1"])
async def test_a_host_that_is_not_this_machine_is_not_blamed_on_the_port(tmp_path, capsys, host):
    found = await said(tmp_path, capsys, f'[web]\nhost = "{host}"\nport = 0\n')
    assert found["web.host"].startswith(f"error {host} is ")
    assert "web.port" not in found


async def test_a_public_address_that_no_chat_can_link_to_is_a_warning(tmp_path, capsys):
    found = await said(tmp_path, capsys, '[web]\nport = 0\npublic_url = "http://paperboy:8080"\n')
    assert found["web.public_url"].startswith("warning ")
    found = await said(tmp_path, capsys, '[web]\nport = 0\npublic_url = "http://papers.example.org:8080"\n')
    assert "web.public_url" not in found
