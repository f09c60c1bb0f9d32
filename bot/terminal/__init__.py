"""What the commands of the command line do, and what they print.

stdout holds the answer, stderr progress and the log; with `--json`, stdout holds one object and nothing else.
"""

import argparse
import asyncio
import io
import logging
import os
import sys
from collections.abc import Coroutine
from typing import Any

import config
from bot import logs, texts
from bot.app.ending import EndedError, until_ended
from bot.app.wiring import secrets
from bot.errors import BotError, InputError, SettingsError
from bot.terminal import commands, evaluation, health, standing, storing
from bot.terminal.status import DONE, FAILED, SIGNALLED, USAGE

logger = logging.getLogger(__name__)

THREAD_SECONDS = 0.5  # for threads that end by themselves

COMMANDS = {
    "demo": commands.demo,
    "run": commands.run,
    "worker": commands.worker,
    "report": commands.report,
    "deliveries": commands.deliveries,
    "deepdive": commands.deep_dive,
    "ask": commands.ask,
    "top": commands.top,
    "search": standing.search,
    "status": standing.status,
    "check": health.check,
    "store": storing.store,
    "eval": evaluation.evaluate,
}

SERVING = frozenset({"run", "worker"})  # commands that go on until a signal ends them


def run(arguments: argparse.Namespace) -> int:
    """Runs the command and returns its exit code; every error is a line on stderr that says what to do."""
    logs.start(_level(arguments), ())
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no Chinese shows marks, and loses nothing else
    try:
        loaded = config.load(arguments.config)
    except SettingsError as error:
        return health.wrong_settings(error) if arguments.command == "check" else _say(str(error), USAGE)
    form = logs.form_of(loaded.settings.log.format, serves=arguments.command in SERVING)
    logs.start(_level(arguments), secrets(loaded.settings), form)
    words = texts.load(loaded.settings.language)
    try:
        command = COMMANDS[arguments.command](loaded, arguments)
        return asyncio.run(_to_the_end(command if arguments.command in SERVING else until_ended(command)))
    except EndedError as error:
        return SIGNALLED + error.number
    except SettingsError as error:
        return _say(str(error), USAGE)
    except InputError as error:
        return _say(words.error(error), USAGE)
    except BotError as error:
        return _say(f"{words.error(error)} ({error})", FAILED)
    except BrokenPipeError:
        # Whoever read our output has seen enough; what is still buffered must not fail at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception:
        logger.exception("command failed")
        return _say(words("error.internal"), FAILED)


async def _to_the_end(command: Coroutine[Any, Any, int]) -> int:
    """Runs the command; a name look-up that still hangs in a thread then does not hold the process up."""
    code = await command
    threads = asyncio.ensure_future(asyncio.get_running_loop().shutdown_default_executor())
    await asyncio.wait({threads}, timeout=THREAD_SECONDS)
    if not threads.done():
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)
    return code


def _level(arguments: argparse.Namespace) -> int:
    if arguments.verbose:
        return logging.INFO
    return logging.INFO if arguments.command in SERVING else logging.ERROR


def _say(text: str, code: int) -> int:
    for line in text.splitlines():
        print(f"paperboy: {line}", file=sys.stderr)
    return code
