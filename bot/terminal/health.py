"""`paperboy check`: one line a finding, each with its cure."""

import argparse
import asyncio
import errno
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
from yarl import URL

import config
from bot import check as checks
from bot import delivery
from bot.app import App, Parts, opened
from bot.app.places import Places
from bot.app.stores import store_place
from bot.app.wiring import catch_up
from bot.errors import BotError, SettingsError
from bot.models import ChannelPlan, Finding
from bot.report.document import is_web_url
from bot.schedule import default_day
from bot.sources.huggingface import HuggingFace
from bot.terminal.status import DONE, FAILED, USAGE
from bot.web import NAME

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
MARKS = {"ok": "✓", "warning": "!", "error": "✗"}
ANSWER_SECONDS = 2.0  # of who listens on our port
LEAST_INPUT_TOKENS = 3_000  # the prompt of a deep dive takes some 2,000 in Chinese
COLOURS = {"ok": "32", "warning": "33", "error": "31"}


def wrong_settings(error: SettingsError) -> int:
    """The settings cannot even be read: a line a problem."""
    for line in str(error).splitlines():
        _print(checks.named(SettingsError(line)))
    return USAGE


async def check(loaded: config.Loaded, arguments: argparse.Namespace) -> int:
    """Asks every part how it is; exit code 1 when one is in error, a warning keeps 0."""
    del arguments
    _print(Finding("ok", "settings", str(loaded.file or "defaults; copy config/example.toml to config/config.toml")))
    async with (
        _with_some_store(loaded) as (app, store),
        Places.opened(app.settings, app.clock, sys.stdout, app.pacing) as places,
    ):
        findings = await checks.run(_checks(app, store, places))
    for finding in findings:
        _print(finding)
    return FAILED if any(finding.level == "error" for finding in findings) else DONE


@asynccontextmanager
async def _with_some_store(loaded: config.Loaded) -> AsyncIterator[tuple[App, checks.Check]]:
    """The app and what is to say of its store. One that cannot be opened hides nothing else: an empty one stands in."""
    async with AsyncExitStack() as stack:
        try:
            app = await stack.enter_async_context(opened(loaded, Parts()))
        except BotError as error:
            trouble = Finding("error", "store.url", str(error).removeprefix("store.url: "))
        else:
            yield app, _store(app, loaded)
            return
        folder = stack.enter_context(TemporaryDirectory())
        yield await stack.enter_async_context(opened(loaded, Parts(store=Path(folder) / "check.db"))), _found(trouble)


def _store(app: App, loaded: config.Loaded) -> checks.Check:
    async def check() -> Sequence[Finding]:
        found = await checks.check_store(app.store, store_place(loaded))
        return [*found, *await checks.check_ledger(app.store)]

    return check


def _found(*findings: Finding) -> checks.Check:
    async def check() -> Sequence[Finding]:
        return findings

    return check


def _checks(app: App, store: checks.Check, places: Places) -> dict[str, checks.Check]:
    languages = sorted({plan.language for plan in app.plans})
    return {
        "prompts": lambda: checks.check_prompts(languages),
        "store.url": store,
        "llm.model": lambda: _model(app),
        **{f"channels.{plan.name}": _channel(plan, app, places) for plan in app.plans},
        "slack.app_token": lambda: _hears_slack(app),
        "web.port": lambda: _port(app),
        "web.public_url": lambda: _public_url(app),
        "web.token": lambda: _exposed(app),
        "sources.huggingface_url": lambda: _source(app),
    }


def _channel(plan: ChannelPlan, app: App, places: Places) -> checks.Check:
    async def check() -> Sequence[Finding]:
        address = await delivery.current_address(plan.address, app.store)
        findings = await places.at(address).check()
        if all(finding.level != "error" for finding in findings):
            await delivery.reopen(address, app.store, app.clock.now() - catch_up(app))
        subject = f"channels.{plan.name}.target"
        return [
            replace(finding, subject=subject) if finding.subject == str(address) else finding for finding in findings
        ]

    return check


async def _hears_slack(app: App) -> Sequence[Finding]:
    """Reports go out without it; what people type and tap does not come in."""
    slack = app.settings.slack
    if slack.bot_token is None or slack.mode != "socket":
        return []
    if slack.app_token is not None:
        from bot.channels.slack import check_app_token

        return await check_app_token(slack.app_token.get_secret_value(), slack.api_url)
    text = "not set, so no command or button of Slack arrives; put the app-level token (xapp-…) there"
    return [Finding("warning", "slack.app_token", text)]


async def _model(app: App) -> Sequence[Finding]:
    if app.llm is None:
        return [Finding("ok", "llm.model", "none: the extractive analyst works, and says so")]
    limit = app.llm.max_input_tokens
    findings = list(await app.llm.probe())
    if limit is not None and limit < LEAST_INPUT_TOKENS:
        text = f"{limit} leave no room for a paper beside the prompt; set {LEAST_INPUT_TOKENS} or more, or nothing"
        findings.append(Finding("warning", "llm.max_input_tokens", text))
    return findings


async def _port(app: App) -> Sequence[Finding]:
    host, port = app.settings.web.host, app.settings.web.port
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # a label of more than 63 characters is a UnicodeError
        text = f"{host} is no address or name of this machine; listen on 127.0.0.1, or 0.0.0.0 for every network"
        return [Finding("error", "web.host", text)]
    family, kind, _, _, address = found[0]
    try:
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and await _is_ours(host, port):
            return [Finding("ok", "web.port", f"Paperboy runs, on {host}:{port}")]
        return [_unbound(host, port, error)]
    return [Finding("ok", "web.port", f"{host}:{port} is free")]


async def _is_ours(host: str, port: int) -> bool:
    """Is it Paperboy who listens there?"""
    near = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - asked about, not listened on
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(ANSWER_SECONDS)) as session,
            session.get(URL.build(scheme="http", host=near, port=port, path="/healthz")) as answer,
        ):
            return answer.headers.get("Server") == NAME
    except (aiohttp.ClientError, OSError):  # TimeoutError is an OSError
        return False


def _unbound(host: str, port: int, error: OSError) -> Finding:
    if error.errno == errno.EADDRNOTAVAIL:
        text = f"{host} is not this machine's; listen on 127.0.0.1, or 0.0.0.0 for every network"
        return Finding("error", "web.host", text)
    text = f"cannot listen on {host}:{port} ({error.strerror}); does Paperboy run already? else choose another port"
    return Finding("error", "web.port", text)


async def _exposed(app: App) -> Sequence[Finding]:
    web = app.settings.web
    if web.token or web.host in LOOPBACK:
        return []
    return [
        Finding(
            "warning", "web.token", f"none, and {web.host} may be reached from outside: anyone can read the archive"
        )
    ]


async def _source(app: App) -> Sequence[Finding]:
    day = default_day(app.clock.now(), app.settings.report.list_day)
    try:
        source = HuggingFace(app.session, app.settings.sources.huggingface_url, app.clock, tries=1)
        found = await source.list_day(day)
    except BotError as error:
        return [Finding("warning", "sources.huggingface_url", f"no list could be fetched: {error}")]
    return [Finding("ok", "sources.huggingface_url", f"{len(found.papers)} papers listed for {day}")]


async def _public_url(app: App) -> Sequence[Finding]:
    url = app.settings.web.public_url
    if url is None or is_web_url(url):
        return []
    text = "chats make no link of it, so messages get no button to the archive; use a host name with a dot"
    return [Finding("warning", "web.public_url", text)]


def _print(finding: Finding) -> None:
    mark = MARKS[finding.level]
    if sys.stdout.isatty():
        mark = f"\033[{COLOURS[finding.level]}m{mark}\033[0m"
    print(f"{mark} {finding.level:<7} {finding.subject}: {finding.text}")
