"""What `paperboy check` does: ask every part how it is, all at once, and lose no answer to another part's trouble."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

import prompts
from bot.analysis.analyst import PROMPTS
from bot.delivery import TROUBLED_LOOKED_AT
from bot.errors import BotError, SettingsError
from bot.interfaces import Ledger, Store
from bot.models import Finding, PartState

logger = logging.getLogger(__name__)

CHECK_SECONDS = 30.0  # no part may hold the others' answers longer

Check = Callable[[], Awaitable[Sequence[Finding]]]


async def run(checks: Mapping[str, Check], seconds: float = CHECK_SECONDS) -> tuple[Finding, ...]:
    """All findings, in the order of `checks`, each once. A check that fails or hangs is a finding itself."""
    found = await asyncio.gather(*(_one(subject, check, seconds) for subject, check in checks.items()))
    return tuple(dict.fromkeys(finding for findings in found for finding in findings))


async def _one(subject: str, check: Check, seconds: float) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(seconds):
            return await check()
    except TimeoutError:
        return [Finding("error", subject, f"no answer within {seconds:.0f} s; is the service reachable from here?")]
    except SettingsError as error:
        return [named(error)]
    except BotError as error:
        return [Finding("error", subject, str(error))]
    except Exception:
        logger.exception("check failed", extra={"subject": subject})
        return [Finding("error", subject, "the check itself failed; the log says why")]


def named(error: SettingsError) -> Finding:
    """A wrong setting or file under its own name, with which the message begins."""
    subject, _, text = str(error).partition(": ")
    return Finding("error", subject, text)


async def check_prompts(languages: Sequence[str]) -> Sequence[Finding]:
    """Every prompt in every language loads, and uses exactly the variables that it declares."""
    found = []
    for language in languages:
        for name in PROMPTS:
            try:
                found.append(Finding("ok", f"prompts/{name}.{language}.md", prompts.load(name, language).ref))
            except SettingsError as error:
                found.append(named(error))
    return found


async def check_store(store: Store, place: str) -> Sequence[Finding]:
    """Can the store be read and written, and will it keep what it is told?"""
    try:
        await store.ping()
        found = await store.check()
    except BotError as error:
        return [Finding("error", "store.url", str(error))]
    if any(finding.level == "error" for finding in found):
        return found
    return [Finding("ok", "store.url", place), *found]


async def check_ledger(store: Ledger) -> Sequence[Finding]:
    """Parts that nobody knows the fate of want a word from the operator."""
    troubled = await store.troubled(TROUBLED_LOOKED_AT)
    unknown = [part.key for part in troubled if part.state is PartState.UNKNOWN]
    if not unknown:
        return []
    text = f"{len(unknown)} unknown, the newest {unknown[0]}; `paperboy deliveries` lists all of them first"
    return [Finding("warning", "deliveries", text)]
