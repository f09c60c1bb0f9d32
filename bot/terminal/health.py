"""`paperboy check`: one line a finding, each with its cure."""

import argparse
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace

import config
from bot import check as checks
from bot import delivery
from bot.app import App, Parts, opened
from bot.app.places import Places
from bot.app.wiring import store_file
from bot.errors import BotError, SettingsError
from bot.models import ChannelPlan, Finding
from bot.terminal.status import DONE, FAILED, USAGE

MARKS = {"ok": "✓", "warning": "!", "error": "✗"}
COLOURS = {"ok": "32", "warning": "33", "error": "31"}


def wrong_settings(error: SettingsError) -> int:
    """The settings cannot even be read: a line a problem."""
    for line in str(error).splitlines():
        subject, _, text = line.partition(": ")
        _print(Finding("error", subject, text))
    return USAGE


async def check(loaded: config.Loaded, arguments: argparse.Namespace) -> int:
    """Asks every part how it is; exit code 1 when one is in error, a warning keeps 0."""
    del arguments
    _print(Finding("ok", "settings", str(loaded.file or "defaults; copy config/example.toml to config/config.toml")))
    try:
        async with opened(loaded, Parts()) as app, Places.opened(app.settings, app.clock, sys.stdout) as places:
            findings = await checks.run(_checks(loaded, app, places))
    except BotError as error:
        findings = (Finding("error", "store.url", str(error).removeprefix("store.url: ")),)
    for finding in findings:
        _print(finding)
    return FAILED if any(finding.level == "error" for finding in findings) else DONE


def _checks(loaded: config.Loaded, app: App, places: Places) -> dict[str, checks.Check]:
    languages = sorted({plan.language for plan in app.plans})
    return {
        "prompts": lambda: checks.check_prompts(languages),
        "store.url": lambda: checks.check_store(app.store, str(store_file(loaded))),
        "deliveries": lambda: checks.check_ledger(app.store),
        "llm.model": lambda: _model(app),
        **{f"channels.{plan.name}": _channel(plan, app, places) for plan in app.plans},
        "web.port": lambda: _port(app),
    }


def _channel(plan: ChannelPlan, app: App, places: Places) -> checks.Check:
    async def check() -> Sequence[Finding]:
        channel = places.at(plan.address)
        await delivery.reopen(channel, app.store)
        subject = f"channels.{plan.name}.target"
        return [
            replace(finding, subject=subject) if finding.subject == str(plan.address) else finding
            for finding in await channel.check()
        ]

    return check


async def _model(app: App) -> Sequence[Finding]:
    if app.llm is None:
        return [Finding("ok", "llm.model", "none: the extractive analyst works, and says so")]
    return await app.llm.probe()


async def _port(app: App) -> Sequence[Finding]:
    host, port = app.settings.web.host, app.settings.web.port
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        text = f"cannot listen on {host}:{port} ({error.strerror}); does Paperboy run already? else choose another port"
        return [Finding("error", "web.port", text)]
    return [Finding("ok", "web.port", f"{host}:{port} is free")]


def _print(finding: Finding) -> None:
    mark = MARKS[finding.level]
    if sys.stdout.isatty():
        mark = f"\033[{COLOURS[finding.level]}m{mark}\033[0m"
    print(f"{mark} {finding.level:<7} {finding.subject}: {finding.text}")
