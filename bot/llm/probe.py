"""What `paperboy check` says of the models: from their names and keys alone, and from one tiny call (pure)."""

from bot.interfaces import Turn
from bot.llm.endpoint import Endpoint
from bot.llm.failure import AUTH, RATE_LIMIT, TIMEOUT, Blame, Failure
from bot.models import Finding

TURNS = (Turn("user", "Reply with the word OK."),)
MAX_TOKENS = 16  # some services refuse less
SECONDS = 20.0

NO_MODEL = Finding(
    "warning",
    "llm.model",
    'none is set, so papers are ranked and read without a model; set one, such as "gemini/gemini-2.5-flash"',
)
NO_ROOM = Finding(
    "warning", "llm.daily_budget_usd", "today's budget is spent; reports go on without a model until 00:00 UTC"
)
_ANOTHER_KEY = "top it up or use another key"
_CHECK_BASE = "check llm.api_base and the network"


def by_name(endpoint: Endpoint, setting: str, *, budgeted: bool) -> list[Finding]:
    """What is wrong with a configured model before anything is called. `setting` names where it stands."""
    model, card = endpoint.model, endpoint.card
    if card.provider is None:
        text = f'"{model}" names no provider that litellm knows; write provider/model, such as "openai/gpt-4o-mini"'
        return [Finding("error", setting, text)]
    findings = []
    keys = [key for key in card.missing_keys if key.endswith("_API_KEY")]
    if keys and not endpoint.access.api_key and not endpoint.access.api_base:
        first = setting == "llm.model"  # llm.api_key serves its provider only
        names = " or ".join(["PAPERBOY_LLM__API_KEY", *keys] if first else keys)
        text = f"{model} needs a key; set {names} in the environment"
        findings.append(Finding("error", "llm.api_key" if first else setting, text))
    if budgeted and endpoint.price(1, 1) is None:
        text = (
            f"the price of {model} is unknown, so the budget forbids its calls; remove the budget or change the model"
        )
        findings.append(Finding("error", "llm.daily_budget_usd", text))
    return findings


def by_call(endpoint: Endpoint, failure: Failure | None) -> Finding:
    """What the tiny call showed; None means that it was answered."""
    model = endpoint.model
    if failure is None or failure.refused is not None:  # refusing a parameter takes a reachable model and a good key
        return Finding("ok", "llm.model", f"{model} answers")
    answer = f"(HTTP {failure.status})"
    if failure.key == AUTH:
        names = " or ".join(("PAPERBOY_LLM__API_KEY", *endpoint.card.missing_keys))
        return Finding("error", "llm.api_key", f"{model} refuses the key {answer}; put a valid one into {names}")
    if failure.key == RATE_LIMIT and failure.blame is Blame.MODEL:
        return Finding("error", "llm.api_key", f"the account of {model} has no quota left; {_ANOTHER_KEY}")
    if failure.key == RATE_LIMIT:
        cure = "lower llm.concurrency if that stays so"
        return Finding("warning", "llm.model", f"{model} is at its rate limit {answer}; {cure}")
    if failure.status == 402:  # Payment Required, as DeepSeek and OpenRouter use it
        return Finding("error", "llm.api_key", f"the account of {model} has no credit {answer}; {_ANOTHER_KEY}")
    if failure.status == 404:  # Not Found: the model, or the path
        cure = "check its name, and that llm.api_base ends in the API's path (often /v1)"
        return Finding("error", "llm.model", f"{model} is not known there {answer}; {cure}")
    if failure.key == TIMEOUT:
        return Finding("error", "llm.api_base", f"{model} did not answer within {SECONDS:g} s; {_CHECK_BASE}")
    if failure.retryable and failure.status is None:
        return Finding("error", "llm.api_base", f"{model} cannot be reached; {_CHECK_BASE}")
    if failure.retryable:
        return Finding("error", "llm.api_base", f"{model} is out of order {answer}; check llm.api_base or wait")
    return Finding("error", "llm.model", f"{model} refuses a simple call: {failure.text}")
