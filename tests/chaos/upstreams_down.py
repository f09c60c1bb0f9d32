"""A whole day without the model, and Hugging Face down until noon."""

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from tests.chaos import aftermath
from tests.chaos.bystanders import PAPERS, PLATFORMS, Asking, Question
from tests.chaos.llm import AT_ONCE, Script
from tests.chaos.results import Row
from tests.chaos.scene import DAY, START, STORES, Ground, Scene, a_list, a_scene
from tests.chaos.scene import PAPERS as LISTED
from tests.chaos.trial import Trial
from tests.source_faults import CUT, Fault

NEXT = date(2026, 2, 26)
LISTS = {str(DAY): a_list(), str(NEXT): a_list(first=LISTED + 1)}
NOON = START.replace(hour=4, minute=0, second=0)  # in Shanghai
FAILURES = ("failure.timeout", "failure.unavailable", "failure.rate_limit")
LATE = "⏰"
SAID = {"zh": "未使用语言模型", "en": "No language model"}  # what begins all sentences that say so
ENDLESS = 100_000
STRIDE_SECONDS, STRIDE_TAKES = 60.0, 0.2  # simulated, and real: what time skips on Redis would take many minutes


async def model(ground: Ground, trial: Trial) -> Sequence[Row]:
    """Every call fails for a day: the extractive analyst takes over and says so. The next day the model is back."""
    row = trial.row("the model down for a day")
    down = Script(seconds=(0.1, 4.0), fails=1.0, failure=trial.random.choice(FAILURES))
    async with a_scene(ground, STORES[trial.number // 2 % 2], lists=LISTS, beside=PAPERS, script=down) as scene:
        asked = Asking(scene)
        async with scene.skipping():
            await scene.start()
            await scene.until(lambda: aftermath.is_done(scene))
            row.recovery.append(round((scene.time.now() - START).total_seconds(), 1))
            _say_so(scene, row, is_model_down=True)
            for platform in PLATFORMS:
                scene.time.jump(3600)
                asked.ask(Question(platform, trial.random.choice(PAPERS)))
                await scene.until(asked.is_settled)
                await scene.until(lambda on=platform: len(asked.shown(on)) > 0)  # type: ignore[misc]  # mypy wants no default here
            _no_silence(asked, row)
            scene.model.play(AT_ONCE)
            scene.time.jump_to(START + timedelta(days=1) - timedelta(seconds=10))
            await scene.until(lambda: aftermath.is_done(scene, 2 * aftermath.REPORTS))
            _say_so(scene, row, is_model_down=False)
            await scene.time.sleep(aftermath.AFTER_SECONDS)
        await aftermath.ends(scene, row)
        aftermath.enter(row, await aftermath.outcome_by_itself(scene))
    return [row]


def _no_silence(asked: Asking, row: Row) -> None:
    for platform in PLATFORMS:
        if not any(word in one.text for one in asked.shown(platform) for word in SAID.values()):
            row.failures.append(
                f"the answer on {platform} does not say that no model was used: {asked.shown(platform)}"
            )


def _say_so(scene: Scene, row: Row, *, is_model_down: bool) -> None:
    """The newest digests say that no model was used, or do not."""
    shown = {"zh": [one.text for one in scene.telegram.messages()], "en": [str(one) for one in scene.slack.posted()]}
    for language, posts in shown.items():
        newest = posts[-3:] if is_model_down else posts[3:]
        said = any(SAID[language] in post for post in newest)
        if said != is_model_down:
            row.failures.append(f"the {language} report {'does not say' if is_model_down else 'says'} so: {newest[0]}")


async def source(ground: Ground, trial: Trial) -> Sequence[Row]:
    """Hugging Face answers with errors until noon; then the report comes, late, once, and says that it is late."""
    expected = await aftermath.undisturbed(ground)
    fault = trial.random.choice(
        (Fault(503, b"down"), Fault(429, b"", {"Retry-After": "30"}), Fault(200, b"<html>"), CUT)
    )
    row = trial.row("Hugging Face down until noon")
    row.figures["fault"] = f"{fault.status} {fault.way}"
    async with a_scene(ground, STORES[trial.number // 2 % 2], beside=PAPERS, script=aftermath.SCRIPT) as scene:
        scene.huggingface.faults = deque([fault] * ENDLESS)
        async with scene.skipping():
            await scene.start()
            await _until(scene, NOON)
            if scene.telegram.messages() or scene.slack.posted():
                row.failures.append("something was posted before there was a list")
            row.figures["asked before noon"] = ENDLESS - len(scene.huggingface.faults)
            scene.huggingface.faults.clear()
            await scene.until(lambda: aftermath.is_done(scene))
            row.recovery.append(round((scene.time.now() - NOON).total_seconds(), 1))
            await scene.time.sleep(aftermath.AFTER_SECONDS)
        await aftermath.ends(scene, row)
        first = [scene.telegram.messages()[0].text, str(scene.slack.posted()[0])]
        row.failures += [f"it does not say that it is late: {post[:200]}" for post in first if LATE not in post]
        aftermath.enter(row, await aftermath.outcome(scene, expected))
        if row.failures:
            row.failures.append(scene.said(80))
    return [row]


async def _until(scene: Scene, moment: datetime) -> None:
    """Nobody holds anything that a jump could take from them: there is no list, so there is no report."""
    while (left := (moment - scene.time.now()).total_seconds()) > 0:
        if scene.store_url.startswith("redis"):
            scene.time.jump(min(left, STRIDE_SECONDS))
        await asyncio.sleep(STRIDE_TAKES)
