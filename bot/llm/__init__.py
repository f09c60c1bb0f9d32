"""A language model behind the `LLM` port: litellm, and what it takes to rely on it.

`adapter` asks; `client` is the one file that imports litellm; `structured` makes schemas and reads replies; `retry`,
`breaker` and `budget` decide whether a call is made at all; `dialect` remembers what an endpoint turned out to accept;
`probe` is the part of `paperboy check` that is about models.
"""

from bot.llm.adapter import LiteLLM, LLMStore, ModelOptions

__all__ = ["LLMStore", "LiteLLM", "ModelOptions"]
