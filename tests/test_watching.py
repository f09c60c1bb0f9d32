"""What the operator's dashboards and log say of deliveries, requests, jobs, models and others' services."""

import asyncio
import json
import logging
import signal
from dataclasses import replace
from datetime import timedelta

import aiohttp
import pytest
from aiohttp import web

from bot import delivery
from bot.app.counting import http_trace
from bot.app.jobs import Jobs
from bot.app.watching import watched
from bot.channels.slack import slack_client
from bot.channels.telegram import telegram_bot
from bot.context import worked_on
from bot.daily import Job
from bot.engine.on_docket import DocketEngine
from bot.errors import Outcome, SendError, StoreError
from bot.interfaces import no_progress
from bot.models import Message, PartKind
from bot.schedule import Schedule
from bot.store.redis import RedisStore
from bot.store.sqlite import SqliteStore
from bot.telemetry import Metrics
from tests.fakes import DAY, NOW, FakeClock, a_request, wait_until
from tests.standin import StandIn, cut
from tests.telegram_standin import hang
from tests.test_answering import House, a_house
from tests.test_daily import LAB, TEAM, Town
from tests.test_ending import free_port
from tests.test_telemetry import value
from tests.world import a_world, just_now

TOKEN = "archive-token-0123456789"


@pytest.fixture
async def store(tmp_path):
    async with SqliteStore.open(tmp_path / "paperboy.db") as opened:
        yield opened


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def town(store, metrics):
    made = Town(store)
    courier = replace(made.daily.courier, telemetry=metrics)
    reporter = replace(made.daily.reporter, telemetry=metrics)
    made.daily = replace(made.daily, courier=courier, reporter=reporter)
    return made


# --- reports and deliveries


async def test_a_report_is_counted_once_a_channel_by_how_it_went(town, metrics):
    town.at(LAB.address).trouble = SendError("read timeout", Outcome.UNKNOWN)
    await town.daily.run(Job(DAY, (TEAM, LAB)))
    await town.daily.run(Job(DAY, (TEAM, LAB)))
    assert value(metrics, "reports_delivered_total", state="sent", platform="telegram") == 1
    assert value(metrics, "reports_delivered_total", state="unknown", platform="telegram") == 1
    assert value(metrics, "parts_unknown_total", platform="telegram") == 3
    assert value(metrics, "delivery_seconds_count", kind="report", platform="telegram") == 2
    assert value(metrics, "reports_late_total") == 0
    for step in ("list", "score", "deep_dive"):
        assert value(metrics, "report_seconds_count", step=step) == 1


async def test_a_late_report_is_counted_as_late(town, metrics):
    await town.daily.run(Job(DAY, (TEAM,), due={TEAM.name: NOW - timedelta(hours=1)}))
    assert value(metrics, "reports_late_total") == 1
    assert value(metrics, "reports_delivered_total", state="late", platform="telegram") == 1


async def test_a_part_that_a_dead_process_held_is_a_lease_taken_over(town, metrics, store):
    [made] = await town.daily.prepare(Job(DAY, (TEAM,)), _nothing)
    [planned] = made.planned
    first = (await store.delivery(planned.key))[0]
    assert await store.claim(first.key, "a dead one", town.clock.now(), town.clock.now() + timedelta(seconds=30))
    town.clock.time += timedelta(seconds=31)
    await delivery.deliver(planned.key, town.daily.courier)
    assert value(metrics, "lease_takeovers_total", lease="part") == 1


async def test_the_log_calls_delivered_only_what_has_come_to_its_end(town, store, caplog):
    caplog.set_level(logging.INFO, "bot.app.jobs")
    [made] = await town.daily.prepare(Job(DAY, (TEAM,)), _nothing)
    [planned] = made.planned
    jobs, channel = Jobs(None, town.daily), town.at(TEAM.address)  # type: ignore[arg-type]  # delivering asks no App
    for channel.trouble in (SendError("connection refused", Outcome.NOT_SENT), None):
        await jobs.deliver({"delivery": planned.key})
    assert [record.getMessage() for record in caplog.records] == ["delivery waits", "report delivered"]
    assert caplog.records[-1].state == "sent"


async def test_the_log_tells_answers_from_reports(town, store, caplog):
    caplog.set_level(logging.INFO, "bot.app.jobs")
    request = a_request(address=TEAM.address)
    key = delivery.answer_key(request)
    messages = [Message(PartKind.POST, "answer", "{}")]
    await store.plan(None, delivery.plan_messages(key, town.at(TEAM.address), messages, request, NOW))
    await Jobs(None, town.daily).deliver({"delivery": key})  # type: ignore[arg-type]  # delivering asks no App
    assert [record.getMessage() for record in caplog.records] == ["answer delivered"]


async def _nothing(_: object) -> None: ...


class Idle(DocketEngine):
    """An engine that takes jobs and runs none."""

    async def submit(self, job, key, arguments):
        return True


async def test_a_report_that_should_be_there_by_now_is_overdue_until_it_is(town, metrics):
    idle = Idle({})
    schedule = Schedule(
        (TEAM,), timedelta(hours=12), "previous", town.store, idle, town.clock, town.tell, telemetry=metrics
    )
    await schedule.reconcile()
    assert value(metrics, "reports_overdue") == 0
    town.clock.time += timedelta(minutes=11)
    await schedule.reconcile()
    assert value(metrics, "reports_overdue") == 1
    await town.daily.run(Job(DAY, (TEAM,)))
    await schedule.reconcile()
    assert value(metrics, "reports_overdue") == 0


# --- requests


async def test_a_request_is_timed_from_its_question_to_its_answer_and_named_in_the_log(store, metrics, caplog):
    caplog.set_level(logging.INFO)
    said: list[tuple[str, dict[str, str]]] = []

    class Listening(logging.Handler):
        def emit(self, record):
            said.append((record.getMessage(), dict(worked_on())))

    listening = Listening()
    logging.getLogger("bot").addHandler(listening)
    try:
        async with a_house(store, {}) as house:
            assert isinstance(house, House)
            house.answering.courier = replace(house.answering.courier, telemetry=metrics)
            request = await house.ask(command="top", text="5", job="top:1")
            await house.closed(request)
            await wait_until(lambda: value(metrics, "request_seconds_count", command="top", state="answered") == 1)
    finally:
        logging.getLogger("bot").removeHandler(listening)
    about = [keys for event, keys in said if event in ("request answered", "part sent")]
    about = [keys for keys in about if not keys.get("delivery", "").startswith("wait/")]  # its place, on a slow machine
    assert len(about) == 2
    assert {keys["request"] for keys in about} == {request.code}
    assert about[1]["delivery"].startswith("ask/")
    assert value(metrics, "delivery_seconds_count", kind="answer", platform="telegram") == 1


# --- jobs


async def test_a_job_is_counted_by_its_end_and_known_to_whatever_it_logs(metrics):
    seen: list[dict[str, str]] = []
    gate = asyncio.Event()

    async def deliver(arguments, progress):
        seen.append(dict(worked_on()))
        assert value(metrics, "jobs_running", job="deliver") == 1
        if arguments["delivery"] == "bad":
            raise StoreError("locked")
        if arguments["delivery"] == "slow":
            await gate.wait()

    jobs = watched({"deliver": deliver}, metrics, FakeClock())
    await jobs["deliver"]({"delivery": "good"}, no_progress)
    with pytest.raises(StoreError):
        await jobs["deliver"]({"delivery": "bad"}, no_progress)
    slow = asyncio.ensure_future(jobs["deliver"]({"delivery": "slow"}, no_progress))
    await wait_until(lambda: len(seen) == 3)
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    assert [keys["job"] for keys in seen] == ["deliver:good", "deliver:bad", "deliver:slow"]
    for outcome in ("done", "failed", "cancelled"):
        assert value(metrics, "jobs_total", job="deliver", outcome=outcome) == 1
    assert value(metrics, "jobs_running", job="deliver") == 0
    assert value(metrics, "job_seconds_count", job="deliver") == 3
    assert worked_on() == {}


# --- others' services


class Flaky(StandIn):
    """Answers with the status that its path names, or drops the connection."""

    def routes(self, app: web.Application) -> None:
        async def answer(request: web.Request) -> web.StreamResponse:
            wanted = request.match_info["status"]
            return cut(request) if wanted == "cut" else web.Response(status=int(wanted))

        app.router.add_route("*", "/{status:cut|\\d+}", answer)
        app.router.add_route("*", "/{rest:.*}", broken)


async def broken(_: web.Request) -> web.Response:
    return web.Response(status=503, text="{}")


async def test_requests_of_a_session_are_counted_whatever_becomes_of_them(metrics):
    async with (
        Flaky() as server,
        aiohttp.ClientSession(trace_configs=[http_trace(metrics, "arxiv")]) as session,
    ):
        for wanted in ("200", "404", "503", "503"):
            (await session.get(f"{server.url}/{wanted}")).release()
        with pytest.raises(aiohttp.ClientError):
            await session.get(f"{server.url}/cut")
        with pytest.raises(aiohttp.ClientError):
            await session.get("http://127.0.0.1:9/")
    counted = {
        status: value(metrics, "http_requests_total", upstream="arxiv", status=status)
        for status in ("2xx", "4xx", "5xx", "error")
    }
    assert counted == {"2xx": 1, "4xx": 1, "5xx": 2, "error": 2}
    assert value(metrics, "http_seconds_count", upstream="arxiv") == 6


async def test_what_is_asked_of_telegram_and_slack_is_counted(metrics):
    from slack_sdk.errors import SlackApiError
    from telegram.error import NetworkError

    async with Flaky() as server:
        bot = telegram_bot("123456789:AAGfakefakefakefakefakefakefakefake", server.url, metrics)
        with pytest.raises(NetworkError):
            await bot.get_me()
        with pytest.raises(NetworkError):
            await bot.get_updates()
        for request in bot._request:  # `shutdown` of the bot itself wants it initialized
            await request.shutdown()
        async with slack_client("xoxb-fake", f"{server.url}/api/", [http_trace(metrics, "slack")]) as client:
            with pytest.raises(SlackApiError):
                await client.auth_test()
    assert value(metrics, "http_requests_total", upstream="telegram", status="5xx") == 2
    assert value(metrics, "http_seconds_count", upstream="telegram") == 1, "a poll waits: that says nothing"
    assert value(metrics, "http_requests_total", upstream="slack", status="5xx") == 1


async def test_a_store_that_cannot_be_used_is_counted(tmp_path, metrics):
    with pytest.raises(StoreError):
        async with SqliteStore.open(tmp_path / "no folder" / "paperboy.db", telemetry=metrics):
            pass
    with pytest.raises(StoreError):
        async with RedisStore.open("redis://127.0.0.1:9/0", telemetry=metrics):
            pass
    assert value(metrics, "store_errors_total", store="sqlite") == 1
    assert value(metrics, "store_errors_total", store="redis") == 1


# --- the whole process


@pytest.mark.slow
@pytest.mark.timeout(90)
async def test_run_shows_its_metrics_to_who_has_the_token_and_is_not_ready_while_it_ends(tmp_path):
    async with a_world(tmp_path) as world, aiohttp.ClientSession() as session:
        port = free_port()
        world.write(more=f'[schedule]\ntime = "{just_now()}"\ntimezone = "UTC"\n[web]\nport = {port}\n')
        world.variables["PAPERBOY_WEB__TOKEN"] = TOKEN
        base, bearer = f"http://127.0.0.1:{port}", {"Authorization": f"Bearer {TOKEN}"}

        async def ready() -> tuple[int, dict[str, str]]:
            async with session.get(f"{base}/readyz") as answer:
                return answer.status, await answer.json()

        world.telegram.faults.append(hang())
        async with world.running("run") as process:
            await wait_until(lambda: world.telegram.sends == 1 and len(world.slack.posted()) == 3, 45.0)
            code, states = await ready()
            assert (code, states["status"], states["lab"]) == (200, "ready", "ok")
            async with session.get(f"{base}/metrics") as refused:
                assert refused.status == 401
            async with session.get(f"{base}/metrics", headers=bearer) as answer:
                assert answer.headers["Content-Type"].startswith("text/plain")
                page = await answer.text()
            for line in (
                'paperboy_reports_delivered_total{platform="slack",state="sent"} 1.0',
                "paperboy_deliveries_open 1.0",
                'paperboy_jobs_running{job="deliver"} 1.0',
                'paperboy_jobs_total{job="report",outcome="done"} 2.0',
                'paperboy_http_requests_total{status="2xx",upstream="huggingface"}',
                'paperboy_http_requests_total{status="2xx",upstream="slack"}',
                'paperboy_http_requests_total{status="2xx",upstream="model"} 34.0',
                'paperboy_model_calls_total{model="openai/stand-in",outcome="ok"} 34.0',
                'paperboy_pass_age_seconds{loop="requests"}',
                'paperboy_pass_age_seconds{loop="schedule"}',
                "paperboy_build_info{",
            ):
                assert line in page
            assert not [text for text in (TOKEN, "2602.0", "-100", "C0PAPERS") if text in page]
            process.send_signal(signal.SIGTERM)
            code, states = 200, {}
            for _ in range(100):
                code, states = await ready()
                if code == 503:
                    break
            assert (code, states["status"], states["process"]) == (503, "not ready", "ending")
            ended = await world.end(process)
    assert ended.code == 0, ended.err
    assert [line["event"] for line in ended.log].count("stopping") == 1
    assert json.loads(ended.err.splitlines()[0])["logger"].startswith("bot")
