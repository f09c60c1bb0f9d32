"""Schemas that every provider's strict mode accepts, and replies read and judged by ourselves (pure).

No provider's promise is relied on: litellm hands over truncated JSON as a success.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from bot import tokens
from bot.interfaces import ReplyT, Turn
from bot.llm.failure import INVALID, Blame, CallError, Failure, for_log

JSON = dict[str, Any]

# Keywords that strict modes refuse (https://platform.openai.com/docs/guides/structured-outputs#supported-schemas):
# dropped, or told in words, and checked by our own validation.
_IN_WORDS = {"minLength": "at least {} characters", "maxLength": "at most {} characters"}
_DROPPED = {"default", "title", "$defs", *_IN_WORDS}
# OpenAI's word for a reply that a filter held back: a judgement of this request, which another try meets again.
_FILTERED: Final = "content_filter"
_NO_JSON: Final = "json_invalid"  # pydantic's word
_PROBLEMS = 12  # lines; a reply that is wrong everywhere needs no longer list
_REPLY_CHARACTERS = 20_000  # of an invalid reply that are sent back

_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_FENCED = re.compile(r"```[\w-]*\s*\n(.*?)\n?\s*```", re.DOTALL)


def strict_schema(model: type[BaseModel]) -> JSON:
    """The JSON schema of `model` without references, every object closed and every property required."""
    schema = model.model_json_schema()
    strict: JSON = _strict(schema, schema.get("$defs", {}))
    return strict


def _strict(node: Any, definitions: Mapping[str, Any]) -> Any:  # noqa: ANN401  # JSON is any nesting of lists and dicts
    if isinstance(node, list):
        return [_strict(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if reference := node.get("$ref"):
        named = definitions[reference.removeprefix("#/$defs/")]
        return _strict(named | {key: value for key, value in node.items() if key != "$ref"}, definitions)
    strict = {key: _strict(value, definitions) for key, value in node.items() if key not in _DROPPED | {"properties"}}
    if words := [text.format(node[key]) for key, text in _IN_WORDS.items() if key in node]:
        strict["description"] = "; ".join([*([node["description"]] if "description" in node else []), *words])
    if "properties" in node:
        strict["properties"] = {name: _strict(value, definitions) for name, value in node["properties"].items()}
        strict |= {"required": list(node["properties"]), "additionalProperties": False}
    return strict


def response_format(name: str, schema: JSON) -> JSON:
    """OpenAI's form, which litellm translates for the other providers."""
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}


def described(turns: Sequence[Turn], name: str, schema: JSON) -> tuple[Turn, ...]:
    """`turns` with the schema in words, in the system turn, for endpoints that do not enforce it."""
    text = (
        "Reply with one JSON object and nothing else: no Markdown fence, no comment. "
        f'It must match this JSON schema, named "{name}":\n{json.dumps(schema, ensure_ascii=False)}'
    )
    if turns and turns[0].role == "system":
        return Turn("system", f"{turns[0].content}\n\n{text}"), *turns[1:]
    return Turn("system", text), *turns


def read(text: str | None, finish: str | None, schema: type[ReplyT]) -> tuple[ReplyT, str]:
    """The validated reply and its JSON. Raises CallError, with the problems listed where asking again may help."""
    reply = text or ""
    if finish == "length":
        raise CallError(Failure(INVALID, "the length limit ended the reply", reply=reply, garbled=True, cut=True))
    if finish == _FILTERED:
        raise CallError(Failure(INVALID, f"the reply ended with {finish!r}", blame=Blame.REQUEST))
    if finish != "stop":
        raise CallError(Failure(INVALID, f"the reply ended with {for_log(str(finish))}", reply=reply, garbled=True))
    content = _json_of(reply)
    try:
        return schema.model_validate_json(content), content
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)[:_PROBLEMS]
    problems = tuple(f"{'.'.join(str(part) for part in one['loc']) or 'reply'}: {one['msg']}" for one in found)
    text = f"the reply is invalid, {len(problems)} problems"
    garbled = found[0]["type"] == _NO_JSON
    raise CallError(Failure(INVALID, text, reply=reply, problems=problems, garbled=garbled))


def _json_of(reply: str) -> str:
    """The JSON in `reply` without thoughts, fences and words around it; the reply itself where there is none."""
    text = _THOUGHT.sub("", reply).strip()
    if text.startswith("{"):
        return text
    if fenced := _FENCED.search(text):
        text = fenced[1].strip()
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text


def asked_again(turns: Sequence[Turn], failure: Failure) -> tuple[Turn, ...]:
    """The same conversation, the invalid reply as the model's turn, and what was wrong with it."""
    if failure.cut:
        request = "Your reply was cut off at the length limit. Reply again with the whole JSON object, more briefly, "
    elif not failure.problems:
        request = "Your reply was not complete. Reply again with the whole JSON object, "
    else:
        problems = "\n".join(f"- {problem}" for problem in failure.problems)
        request = (
            f"Your reply was not valid:\n{problems}\nReply again with the whole JSON object, corrected, "
            "keeping what was right and its language, "
        )
    # Some services refuse an empty turn.
    reply = failure.reply[:_REPLY_CHARACTERS].strip() or "(empty)"
    return *turns, Turn("assistant", reply), Turn("user", f"{request}and nothing else.")


def tokens_at_most(turns: Sequence[Turn]) -> int:
    """A cheap upper estimate of input tokens."""
    return tokens.at_most("".join(turn.content for turn in turns)) + 8 * len(turns) + 8
