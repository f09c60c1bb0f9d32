import asyncio
import logging

import prompts
from bot import check
from bot.errors import SettingsError, SourceError, StoreError
from bot.models import Finding


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
    assert [finding.level for finding in findings] == ["ok"] * 4

    def broken(name, language):
        raise SettingsError("prompts/score.zh.md: uses {{ papr }}, which it does not declare")

    monkeypatch.setattr(prompts, "load", broken)  # the files of the project are right, and have no folder to swap
    assert "papr" in (await check.check_prompts(["zh"]))[0].text


async def test_a_store_that_cannot_be_written_is_named():
    class Full:
        async def ping(self):
            raise StoreError("disk full")

    [finding] = await check.check_store(Full(), "sqlite")  # type: ignore[arg-type]  # only ping is asked for
    assert (finding.level, finding.subject, finding.text) == ("error", "store.url", "disk full")
