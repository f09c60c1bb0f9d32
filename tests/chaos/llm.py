"""A model by script: it answers out of the paper's own text, at once or slowly, or fails, as the experiment says.

No model library is loaded. What it answers passes the proof, and is the same for the same question, in every process.
Calls are counted over all processes in a file, one line a call.
"""

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bot.errors import ModelError
from bot.interfaces import Clock, Reply, ReplyT, Turn
from bot.models import Finding, Meter, Usage
from tests.model_answers import plausible

MODEL = "scripted/model"
COST_USD = 0.001


@dataclass(frozen=True)
class Script:
    """How the model behaves, until the experiment writes another one.

    `seconds` (simulated) is how long an answer takes, from and to; `fails` the share of calls that do, with `failure`.
    """

    seconds: tuple[float, float] = (0.0, 0.0)
    fails: float = 0.0
    failure: str = "failure.timeout"


AT_ONCE = Script()


class Model:
    """The experiment's side: the script as a file that is read at every call, and the calls."""

    def __init__(self, folder: Path, script: Script = AT_ONCE) -> None:
        self._folder = folder
        self.play(script)

    def play(self, script: Script) -> None:
        """From the next call on, in every process."""
        new = self._folder / "script.new"
        new.write_text(json.dumps(asdict(script)))
        new.replace(self._folder / "script.json")

    @property
    def calls(self) -> Counter[str]:
        """By name: score, deep_dive, answer; those that failed too."""
        path = self._folder / "calls"
        return Counter(path.read_text().split()) if path.exists() else Counter()


class ScriptedLLM:
    """`bot.interfaces.RunningModel` of a process."""

    model = MODEL
    max_input_tokens: int | None = None

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._random = random.Random(os.getpid())

    async def ask(self, name: str, turns: Sequence[Turn], schema: type[ReplyT], meter: Meter) -> Reply[ReplyT]:
        with (self._folder / "calls").open("a") as calls:
            calls.write(f"{name}\n")
        script = Script(**json.loads((self._folder / "script.json").read_text()))
        meter.add(Usage(calls=1, cost_usd=COST_USD, input_tokens=100, output_tokens=50))
        await self._clock.sleep(self._random.uniform(*script.seconds))
        if self._random.random() < script.fails:
            raise ModelError("the script says so", key=script.failure)
        text = await asyncio.to_thread(_answer, name, turns)
        return Reply(schema.model_validate_json(text), text, self.model, COST_USD)

    async def context(self) -> int | None:
        return None

    async def warm_up(self) -> None: ...

    async def probe(self) -> Sequence[Finding]:
        return ()

    async def aclose(self) -> None: ...


def _answer(name: str, turns: Sequence[Turn]) -> str:
    body: dict[str, Any] = {"messages": [{"role": turn.role, "content": turn.content} for turn in turns]}
    return plausible(name, body)
