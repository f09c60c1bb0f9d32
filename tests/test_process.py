"""Whole processes against stand-ins of every service: what a user types, and what stands in the channels after it."""

import signal

import pytest

from tests.fakes import wait_until
from tests.model_standin import Fault
from tests.slack_standin import says
from tests.telegram_standin import dropped, hang, kicked, slow
from tests.world import CHANNELS, TODAY, World, a_world, just_now

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

PATIENCE = 20.0  # seconds
KEYS = {"day", "report", "listed", "scored", "failed", "chosen", "deliveries", "llm", "seconds"}


@pytest.fixture
async def world(tmp_path):
    async with a_world(tmp_path) as made:
        yield made


def states(ended) -> dict[str, str]:
    return {line["channel"]: line["state"] for line in ended.object["deliveries"]}


async def test_a_day_stands_in_both_channels_once_in_two_languages(world: World):
    first = await world.paperboy("report", "--json")
    assert first.code == 0, first.err
    assert set(first.object) == KEYS
    assert (first.object["listed"], first.object["scored"], first.object["failed"]) == (15, 15, 0)
    assert first.object["llm"]["calls"] == 34
    assert states(first) == {"team": "sent", "lab": "sent"}
    assert [line["parts"] for line in first.object["deliveries"]] == [3, 3]
    digest, *dives = world.telegram.messages()
    assert digest.text.startswith(f"🚀 CV 论文日报 | {TODAY}")
    assert [link for link in digest.links.values() if link.startswith("https://t.me/c/")]
    assert len(dives) == 2
    root, *replies = world.slack.posted()
    assert [reply["thread_ts"] for reply in replies] == [root["ts"]] * 2
    assert "CV Paper Digest" in world.slack.show()

    calls, sends = world.model.calls, world.telegram.sends
    again = await world.paperboy("report", "--json")
    assert (again.code, states(again)) == (0, {"team": "sent", "lab": "sent"})
    assert again.object["llm"]["calls"] == 0
    assert (world.model.calls, world.telegram.sends, len(world.slack.posted())) == (calls, sends, 3)

    known = await world.paperboy("deepdive", first.object["chosen"][0], "--json")
    assert (known.code, world.model.calls) == (0, calls)


async def test_a_question_is_answered_by_the_model_once_and_what_the_paper_does_not_say_is_said(world: World):
    asked = await world.paperboy("ask", "2602.00001", "Which", "photographs?", "--json")
    assert asked.code == 0, asked.err
    made = asked.object
    assert (made["model"], made["language"], made["answerable"]) == ("openai/stand-in", "zh", True)
    assert [point["kind"] for point in made["points"]] == ["stated", "inferred"]
    assert "photographs" in made["points"][0]["quote"]
    assert made["counts"] == {"written": 2, "verified": 2, "dropped": 0, "repaired": 0}
    assert made["prompt"].startswith("answer.zh@")
    assert world.model.by_name == {"answer": 1}

    shown = await world.paperboy("ask", "2602.00001", "Which photographs?")
    assert (shown.code, world.model.calls) == (0, 1)
    assert "Which photographs?" in shown.out
    assert "推断" in shown.out

    unknown = await world.paperboy("ask", "2602.00001", "France?", "--language", "en")
    assert unknown.code == 0, unknown.err
    assert "does not say" in unknown.out


async def test_without_settings_the_terminal_gets_the_report(world: World):
    world.write(model=False, channels="")
    ended = await world.paperboy("report")
    assert ended.code == 0, ended.err
    assert f"CV 论文日报 | {TODAY}" in ended.out
    assert "未使用语言模型" in ended.out
    assert "\x1b" not in ended.out


async def test_with_the_model_down_a_labelled_report_is_delivered_after_few_calls(tmp_path):
    async with a_world(tmp_path, faults=(Fault("status", status=503),)) as world:
        ended = await world.paperboy("report", "--json", "--channel", "team")
        assert ended.code == 3
        assert states(ended) == {"team": "sent"}
        assert world.model.calls <= 30
        assert "未使用语言模型" in world.texts()[0]


async def test_one_platform_in_trouble_does_not_stop_the_other(world: World):
    world.write(model=False)
    world.telegram.faults.append(kicked())
    ended = await world.paperboy("report", "--json")
    assert ended.code == 1
    assert states(ended) == {"team": "failed", "lab": "sent"}
    healed = await world.paperboy("report", "--json", "--channel", "team", "--again")
    assert states(healed) == {"team": "sent"}


async def test_a_missing_token_is_named_and_costs_the_other_channel_nothing(world: World):
    world.write(model=False)
    world.variables["PAPERBOY_TELEGRAM__TOKEN"] = ""
    ended = await world.paperboy("report", "--json")
    assert (ended.code, states(ended)) == (1, {"team": "failed", "lab": "sent"})
    assert "telegram.token" in ended.err


async def test_a_lost_answer_is_looked_up_on_slack_and_settled_by_hand_on_telegram(world: World):
    world.write(model=False)
    world.telegram.faults.append(dropped(handled=True))
    world.slack.fail("chat.postMessage", says("internal_error"))
    ended = await world.paperboy("report", "--json")
    assert ended.code == 3
    assert states(ended) == {"team": "unknown", "lab": "sent"}
    assert len(world.slack.posted()) == 3
    listed = await world.paperboy("deliveries")
    [line] = [line for line in listed.out.splitlines() if line.startswith("    结果不明")]
    key = line.split()[1]
    assert (await world.paperboy("deliveries", "--drop", key)).code == 0
    assert (await world.paperboy("deliveries", "--send", key)).code == 2
    assert states(await world.paperboy("report", "--json"))["team"] == "sent"


async def test_run_posts_what_is_due_serves_the_archive_and_ends_at_sigterm(world: World):
    world.write(model=False, more=f'[schedule]\ntime = "{just_now()}"\ntimezone = "UTC"\n[web]\nport = 0\n')
    async with world.running("run") as process:
        await wait_until(lambda: len(world.telegram.messages()) == 3 and len(world.slack.posted()) == 3, PATIENCE)
        await wait_until(lambda: world.telegram.messages()[0].edits == 1, PATIENCE)
        process.send_signal(signal.SIGTERM)
        ended = await world.end(process)
    assert ended.code == 0, ended.err
    assert [line for line in ended.log if line["level"] in ("error", "critical")] == []
    delivered = [line for line in ended.log if line["event"] == "report delivered"]
    assert {line["job"] for line in delivered} == {f"deliver:{line['delivery']}" for line in delivered}
    sent = [line for line in ended.log if line["event"] == "part sent"]
    assert {line["delivery"] for line in sent} == {line["delivery"] for line in delivered}


async def test_run_with_one_platform_unreachable_serves_the_other(world: World):
    world.write(model=False, more=f'[schedule]\ntime = "{just_now()}"\ntimezone = "UTC"\n[web]\nport = 0\n')
    world.variables["PAPERBOY_TELEGRAM__API_URL"] = "http://127.0.0.1:9"
    async with world.running("run") as process:
        await wait_until(lambda: len(world.slack.posted()) == 3, PATIENCE)
        process.send_signal(signal.SIGTERM)
        assert (await world.end(process)).code == 0


async def test_killed_in_a_send_the_report_is_completed_after_the_restart(world: World):
    """The part in its send window on Telegram is unknown; no other is lost, and none is posted twice."""
    world.write(model=False, more=f'[schedule]\ntime = "{just_now()}"\ntimezone = "UTC"\n[web]\nport = 0\n')
    world.telegram.faults.extend([slow(0), hang()])
    async with world.running("run") as process:
        await wait_until(lambda: world.telegram.sends == 2 and len(world.slack.posted()) == 3, PATIENCE)
        process.kill()
        await process.communicate()
    ended = await world.paperboy("report", "--json")
    assert (ended.code, states(ended)) == (3, {"team": "unknown", "lab": "sent"})
    assert len(world.telegram.messages()) == 2
    assert len(world.slack.posted()) == 3


async def test_the_demo_needs_nothing_and_leaves_a_page(world: World, tmp_path):
    world.write(channels="", model=False)
    world.variables["PAPERBOY_SOURCES__HUGGINGFACE_URL"] = "http://127.0.0.1:9"
    ended = await world.paperboy("demo", "--output", str(tmp_path / "demo"))
    assert ended.code == 0, ended.err
    assert "示例日" in ended.out
    [page] = (tmp_path / "demo").glob("*.html")
    assert "核心创新点" in page.read_text(encoding="utf-8")
    live = await world.paperboy("demo", "--output", str(tmp_path / "live"), "--json")
    assert set(live.object) == KEYS


async def test_with_the_source_down_run_tries_on_and_the_operator_hears_of_it(world: World):
    more = f'[schedule]\ntime = "{just_now()}"\ntimezone = "UTC"\n[web]\nport = 0\n[operator]\nchannel = "lab"\n'
    world.write(model=False, channels=CHANNELS.split('language = "en"')[0], more=more)
    world.variables["PAPERBOY_SOURCES__HUGGINGFACE_URL"] = "http://127.0.0.1:9"
    async with world.running("run") as process:
        await wait_until(lambda: len(world.slack.posted()) == 1, PATIENCE)
        process.send_signal(signal.SIGTERM)
        ended = await world.end(process)
    assert ended.code == 0
    assert "Traceback" not in ended.err
    assert str(TODAY) in world.slack.show()
    assert world.telegram.messages() == []
