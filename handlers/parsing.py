"""What a typed text means: which command, with which arguments. Pure; every error says what to type instead."""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, timedelta
from difflib import get_close_matches

from bot import texts
from bot.delivery import Settling
from bot.errors import InputError
from bot.lists import SATURDAY
from bot.models import ArxivId, shown
from bot.report import compose

MOST_PAPERS = 3  # of one message
MOST_ROWS = 100  # of a ranking
CLOSE = 0.75  # of a word alone to a command: "statsu" is one, "state" is not
GREETINGS = frozenset({"hello", "hi", "hey", "你好", "您好", "嗨", "在吗"})
QUESTION_CHARACTERS = 1_000
MENU_WORDS = {"start": "help"}  # what Telegram sends when a chat with the bot is opened
_FIRST_WORD = re.compile(r"(?P<slash>/?)(?P<name>[A-Za-z_]{1,32})(?:@\w+)?(?=[\s:：]|$)[\s:：]*(?P<rest>.*)", re.DOTALL)
# A run of letters is looked at from its beginning alone: from each of its letters, a long one would take for ever.
_LINKS_AND_IDS = re.compile(
    r"https?://\S+|(?:arxiv:)?(?:(?<![a-z-])[a-z-]+)?/?[0-9]{4}[.]?[0-9]{3,5}(?:v[0-9]+)?", re.IGNORECASE
)
_DAY = re.compile(r"(?P<year>20\d\d)[-/.年]?(?P<month>\d\d?)[-/.月]?(?P<day>\d\d?)日?", re.ASCII)
_PAGE = re.compile(
    rf"page (?P<week>{compose.WEEK}:)?(?P<day>\d{{4}}-\d\d-\d\d) (?P<language>\w{{2,8}})"
    r" (?P<count>\d{1,3}) (?P<first>\d{1,3})",
    re.ASCII,
)
_SETTLE = re.compile(r"settle (?P<word>send|drop) (?P<code>[a-z2-7]{6}) (?P<attempts>[0-9]{1,9})", re.ASCII)
_LANGUAGE = re.compile(r"[a-z]{2}")
_COUNT = re.compile(r"[0-9]{1,5}", re.ASCII)
_WORDS_FOR_DAYS = {"today": 0, "今天": 0, "今日": 0, "yesterday": 1, "昨天": 1, "昨日": 1}
_WORDS_FOR_WEEK = frozenset({"week", "本周", "这周", "一周", "近一周"})


@dataclass(frozen=True, slots=True)
class Typed:
    """A command and its arguments as typed. `bare`: no slash stood before it, so it may be a sentence after all."""

    command: str
    rest: str
    bare: bool = False


def read(text: str, names: Collection[str]) -> Typed:
    """The command of `names` that `text` begins with; bare IDs are to be deep-dived, anything else is a question.

    Raises InputError for an unknown command behind a slash.
    """
    text = text.strip()
    if not text or text.casefold().strip("!！~.。 ") in GREETINGS:
        return Typed("help", "", bare=True)
    if ArxivId.all_in(text) and not any(map(str.isalnum, _LINKS_AND_IDS.sub(" ", text))):
        return Typed("deepdive", text, bare=True)
    match = _FIRST_WORD.match(text)
    if match is None:
        return Typed("ask", text, bare=True)
    name = MENU_WORDS.get(match["name"].lower(), match["name"].lower())
    rest = match["rest"].strip()
    if match["slash"]:
        if name not in names:
            raise _unknown_command(name, names)
        return Typed(name, rest)
    if name in names and not _is_sentence(name, rest):
        return Typed(name, rest, bare=True)
    if name == text.lower() and (near := get_close_matches(name, names, n=1, cutoff=CLOSE)):
        raise InputError(f"no command {name}", key="error.unknown_command_near", name=shown(name), near=near[0])
    return Typed("ask", text, bare=True)


class ForeignError(InputError):
    """A command that looks like none of ours: in a group it may be another bot's."""


def _unknown_command(name: str, names: Collection[str]) -> InputError:
    near = get_close_matches(name, names, n=1)
    if not near:
        return ForeignError(f"no command {name}", key="error.unknown_command", name=shown(name))
    return InputError(f"no command {name}", key="error.unknown_command_near", name=shown(name), near=near[0])


def _is_sentence(name: str, rest: str) -> bool:
    """Is "top …" or "report …" the beginning of a question rather than a command?"""
    try:
        match name:
            case "top":
                top(rest, date.max)
            case "report":
                day_of(rest, date.max)
            case "help" | "status" | "retry":
                return bool(rest)
            case "deepdive" | "cancel":
                return len(rest.split()) > 2 * MOST_PAPERS
            case _:
                return False
    except InputError as error:
        return error.key != "error.weekend"  # a day was named, if one without a list
    return False


@dataclass(frozen=True, slots=True)
class Dives:
    """Papers to deep-dive, and the language where one was named."""

    papers: tuple[ArxivId, ...]
    language: str | None = None


def deepdive(rest: str, quoted: str = "") -> Dives:
    """`rest` as typed behind the command; without an ID in it, `quoted` (a message replied to) is looked into."""
    words = rest.split()
    language = next((word.lower() for word in words if word.lower() in texts.languages()), None)
    named = " ".join(word for word in words if word.lower() != language)
    found = ArxivId.all_in(named)
    if not found and named:
        raise unknown_id(named)
    if found and (other := next((word for word in words if _LANGUAGE.fullmatch(word.lower())), None)) and not language:
        known = ", ".join(texts.languages())
        raise InputError(f"no language {other}", key="cli.no_language", name=shown(other), names=known)
    found = found or ArxivId.all_in(quoted)
    if not found:
        raise InputError("no arXiv ID", key="error.no_id")
    if len(found) > MOST_PAPERS:
        raise InputError("too many papers", key="error.many_ids", count=len(found), most=MOST_PAPERS)
    return Dives(found, language)


def unknown_id(text: str) -> InputError:
    """What is no arXiv ID, with the one that may be meant."""
    near = ArxivId.near(text)
    if near is None:
        return InputError("no arXiv ID", key="error.arxiv_id", text=shown(text))
    return InputError("a mistyped arXiv ID", key="error.arxiv_id_near", text=shown(text), near=str(near))


@dataclass(frozen=True, slots=True)
class Top:
    """Which ranking: of a day (None: the newest), or of the last seven lists; how many of its papers (None: all)."""

    day: date | None = None
    week: bool = False
    count: int | None = None
    language: str | None = None


def top(rest: str, today: date) -> Top:
    """`today` is the UTC date. Raises InputError for days without a list and for what cannot be understood."""
    found = Top()
    for word in unicodedata.normalize("NFKC", rest).lower().split():
        if word in _WORDS_FOR_WEEK:
            found = replace(found, day=None, week=True)
        elif word in texts.languages():
            found = replace(found, language=word)
        elif _COUNT.fullmatch(word):
            if not 1 <= int(word) <= MOST_ROWS:
                raise InputError("no such count", key="error.top_count", most=MOST_ROWS)
            found = replace(found, count=int(word))
        elif (day := _day(word, today)) is not None:
            found = replace(found, day=day, week=False)
        else:
            raise InputError("no ranking is named so", key="error.top_usage", text=shown(word))
    if found.day:
        refuse_days_without_lists(found.day, today)
    return found


def day_of(rest: str, today: date) -> date | None:
    """The day that `/report` names, None for the newest."""
    if not rest:
        return None
    day = _day(rest.strip().lower(), today)
    if day is None:
        raise InputError("no day", key="error.day_usage", text=shown(rest))
    refuse_days_without_lists(day, today)
    return day


def _day(word: str, today: date) -> date | None:
    if word in _WORDS_FOR_DAYS:
        return today - timedelta(days=_WORDS_FOR_DAYS[word])
    if match := _DAY.fullmatch(word):
        try:
            return date(int(match["year"]), int(match["month"]), int(match["day"]))
        except ValueError:
            return None
    return None


def refuse_days_without_lists(day: date, today: date) -> None:
    """Raises InputError for what can have no list."""
    if day > today:
        raise InputError(f"{day} is not there yet", key="error.future", day=str(day))
    if day.weekday() >= SATURDAY:
        raise InputError(f"{day} is a weekend day", key="error.weekend", day=str(day))


@dataclass(frozen=True, slots=True)
class Asking:
    """A question, and the paper that it names, if it does."""

    question: str
    paper: ArxivId | None = None


def ask(rest: str) -> Asking:
    """`/ask [<ID>] <question>`: an ID stands at the beginning, or as the only one anywhere in the text."""
    first, *later = rest.split(None, 1)[:2] or [""]
    leading = ArxivId.all_in(first)
    if len(leading) == 1 and later:
        return Asking(_question(later[0]), leading[0])
    ids = ArxivId.all_in(rest)
    if len(ids) == 1 and len(rest.split()) == 1:
        raise InputError("no question", key="error.no_question")
    return Asking(_question(rest), ids[0] if len(ids) == 1 else None)


def _question(text: str) -> str:
    text = " ".join(text.split())[:QUESTION_CHARACTERS]
    if not any(character.isalnum() for character in text):
        raise InputError("no question", key="error.no_question")
    return text


@dataclass(frozen=True, slots=True)
class PageTurn:
    """A button that leads to a page of a ranking: of a day, or of the week of lists up to it."""

    day: date
    language: str
    count: int | None
    first: int
    week: bool = False

    @property
    def of(self) -> str:
        return compose.week_of(self.day) if self.week else str(self.day)


def page_turn(action: str) -> PageTurn | None:
    """Reads `compose.ranked.page_action`; None for what is none (buttons can be forged)."""
    match = _PAGE.fullmatch(action)
    day = _day(match["day"], date.min) if match else None
    if match is None or day is None or match["language"] not in texts.languages():
        return None
    return PageTurn(day, match["language"], int(match["count"]) or None, int(match["first"]), bool(match["week"]))


def as_command(turn: PageTurn) -> str:
    """What somebody would type for the ranking that the button leads to."""
    of = compose.WEEK if turn.week else str(turn.day)
    return " ".join(["/top", of, turn.language, *([str(turn.count)] if turn.count else [])])


@dataclass(frozen=True, slots=True)
class Word:
    """What a button says of the part that has a code and was sent so many times."""

    settling: Settling
    code: str
    attempts: int


def settling(action: str) -> Word | None:
    """Reads what the buttons under a doubtful part say; None for what is none."""
    match = _SETTLE.fullmatch(action)
    return Word(Settling(match["word"]), match["code"], int(match["attempts"])) if match else None


def vote(action: str) -> tuple[int, ArxivId] | None:
    """The value and the paper of a vote, None for what is none."""
    match = re.fullmatch(r"vote (up|down) (\S{4,40})", action)
    ids = ArxivId.all_in(match[2]) if match else ()
    return (1 if match[1] == "up" else -1, ids[0]) if match and ids else None


def again(action: str) -> Dives | None:
    """The paper that is to be deep-dived anew."""
    return _dive("again", action)


def is_dive(action: str) -> bool:
    """Is it what the button of a paper says?"""
    return _dive("deepdive", action) is not None


def _dive(word: str, action: str) -> Dives | None:
    match = re.fullmatch(rf"{word} (\S{{4,40}}) (\w{{2,8}})", action)
    ids = ArxivId.all_in(match[1]) if match else ()
    return Dives(ids[:1], match[2]) if match and ids and match[2] in texts.languages() else None
