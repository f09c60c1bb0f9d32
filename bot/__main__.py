"""The command line: `paperboy …` is `python -m bot …`.

Only the parser lives here, and nothing heavy is imported before a command is known, so that `--help` answers at once.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TypeAlias

DESCRIPTION = "Paperboy delivers the day's computer-vision papers to a team's channels."
EXIT_CODES = (
    "exit codes: 0 done; 3 done but degraded (a paper unscored, extractive because the model failed, a part unknown); "
    "1 failed; 2 usage or settings"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code (0, 1, 2 or 3)."""
    arguments = parser().parse_args(argv)
    from bot import terminal

    return terminal.run(arguments)


def parser() -> argparse.ArgumentParser:
    """The whole command line (DESIGN section 6)."""
    top = argparse.ArgumentParser(prog="paperboy", description=DESCRIPTION, epilog=EXIT_CODES)
    top.add_argument(
        "--config", type=Path, metavar="FILE", help="settings (TOML); else $PAPERBOY_CONFIG, config/config.toml"
    )
    top.add_argument("--verbose", action="store_true", help="log every step to stderr")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_demo(commands)
    commands.add_parser("run", help="the bot: scheduler, delivery and web archive")
    commands.add_parser("worker", help="only the work of `run`, beside it: model work in processes of its own")
    _add_report(commands)
    _add_deliveries(commands)
    _add_deepdive(commands)
    _add_ask(commands)
    _add_top(commands)
    _add_search(commands)
    _add_status(commands)
    commands.add_parser("check", help="settings, prompts, store, tokens and model: what is wrong and how to mend it")
    _add_store(commands)
    _add_eval(commands)
    return top


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name


def _add_demo(commands: Commands) -> None:
    demo = commands.add_parser("demo", help="a whole day with no account and no key, in the terminal and as a web page")
    demo.add_argument("--list", type=Path, metavar="FILE", help="a saved reply of the Hugging Face daily papers API")
    demo.add_argument(
        "--output", type=Path, metavar="DIR", default=Path("demo"), help="where the pages go (default: demo)"
    )
    _add_json(demo)


def _add_report(commands: Commands) -> None:
    report = commands.add_parser("report", help="one day's job now")
    report.add_argument(
        "--date", type=_day, metavar="D", help="day of the list, YYYY-MM-DD (default: the last complete one)"
    )
    report.add_argument("--profile", metavar="P", help="only channels of this profile")
    report.add_argument("--channel", action="append", metavar="NAME", help="only this channel; may be repeated")
    report.add_argument(
        "--preview",
        type=Path,
        nargs="?",
        const=Path("preview"),
        metavar="DIR",
        help="post nowhere, write the pages to DIR",
    )
    report.add_argument("--again", action="store_true", help="ask the model anew and post marked as a correction")
    _add_json(report)


def _add_deliveries(commands: Commands) -> None:
    deliveries = commands.add_parser("deliveries", help="what was sent, when and to whom; settles an unknown part")
    settle = deliveries.add_mutually_exclusive_group()
    settle.add_argument("--send", metavar="KEY", help="send this unknown or failed part again")
    settle.add_argument("--drop", metavar="KEY", help="give this unknown or failed part up")


def _add_deepdive(commands: Commands) -> None:
    deepdive = commands.add_parser("deepdive", help="read one paper, any arXiv ID or link")
    deepdive.add_argument("id", metavar="ID", help="2602.19089, arXiv:…, or a link to the paper")
    _add_reader(deepdive)
    _add_json(deepdive)


def _add_ask(commands: Commands) -> None:
    ask = commands.add_parser("ask", help="ask a paper a question")
    ask.add_argument("id", metavar="ID", help="2602.19089, arXiv:…, or a link to the paper")
    ask.add_argument("question", nargs="+", metavar="QUESTION", help="in Chinese or in English, with or without quotes")
    _add_reader(ask)
    _add_json(ask)


def _add_top(commands: Commands) -> None:
    top = commands.add_parser("top", help="the ranking of a day")
    top.add_argument("--date", type=_day, metavar="D", help="YYYY-MM-DD (default: the newest ranked day)")
    _add_reader(top)
    top.add_argument("--count", type=_count, metavar="N", help="only the best N")
    _add_json(top)


def _add_search(commands: Commands) -> None:
    search = commands.add_parser("search", help="papers that reports have scored")
    search.add_argument("words", nargs="+", metavar="WORD", help="in title, abstract or reason; Chinese or English")
    _add_reader(search)
    _add_json(search)


def _add_status(commands: Commands) -> None:
    status = commands.add_parser("status", help="the last report, the next one, open requests, today's spending")
    _add_reader(status)
    _add_json(status)


def _add_store(commands: Commands) -> None:
    store = commands.add_parser("store", help="moves everything that is kept; end the bot first").add_subparsers(
        dest="moving", required=True, metavar="COMMAND"
    )
    to_file = store.add_parser("export", help="everything into a file of JSON lines")
    from_file = store.add_parser("import", help="an export into the store; what it has that is not older stays")
    for command in (to_file, from_file):
        command.add_argument("file", type=Path, metavar="FILE")
    migrate = store.add_parser("migrate", help="everything into another store")
    migrate.add_argument("--to", required=True, metavar="URL", help="like store.url; its password is store.password")


def _add_eval(commands: Commands) -> None:
    subjects = commands.add_parser("eval", help="how good the rankings and the deep dives are").add_subparsers(
        dest="subject", required=True, metavar="SUBJECT"
    )
    ranking = subjects.add_parser("ranking", help="ways to rank, compared on days of judged papers")
    ranking.add_argument(
        "file", type=Path, metavar="FILE", help="JSON lines: day, id, title, abstract, upvotes, relevant (0 or 1)"
    )
    ranking.add_argument(
        "--profile", type=Path, metavar="FILE", help="a profile of its own (TOML; default: the settings' first)"
    )
    ranking.add_argument("--limit-days", type=_count, metavar="N", help="only the newest N days")
    ranking.add_argument("--without-each", action="store_true", help="also leave out one interest at a time")
    _add_json(ranking)
    grounding = subjects.add_parser("grounding", help="how well the points of deep dives rest on their papers")
    grounding.add_argument("ids", nargs="+", metavar="ID", help="2602.19089, arXiv:…, or a link to the paper")
    _add_reader(grounding)
    _add_json(grounding)


def _add_reader(command: argparse.ArgumentParser) -> None:
    command.add_argument("--profile", metavar="P", help="for which profile (default: the first)")
    command.add_argument("--language", metavar="L", help="zh or en (default: the settings' language)")


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print one JSON object on stdout and nothing else")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date; write it as 2026-02-25") from None


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no count; write a whole number from 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
