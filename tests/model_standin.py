"""A stand-in for an OpenAI-compatible chat API, strict about requests like the real one, with faults on demand.

Written after https://platform.openai.com/docs/api-reference/chat/create and
https://platform.openai.com/docs/guides/structured-outputs.
Alone: `python -m tests.model_standin --port 8001 --delay 1`.
"""

import argparse
import asyncio
import json
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from tests.model_answers import plausible
from tests.standin import StandIn, cut

JSON = dict[str, Any]
Kind = Literal[
    "status", "malformed", "truncated", "length", "wrong", "empty", "filtered", "hang", "trickle", "disconnect", "html"
]

_PARAMETERS = frozenset(
    """messages model store reasoning_effort metadata frequency_penalty logit_bias logprobs top_logprobs max_tokens
    max_completion_tokens n modalities prediction presence_penalty response_format seed service_tier stop stream
    stream_options temperature top_p tools tool_choice parallel_tool_calls user""".split()  # noqa: SIM905  # thirty lines of one word are no table
)
_CUT_AT = 0.6  # of a reply, where a truncated one ends
_SAYS = {
    400: "The request could not be processed.",
    401: "Incorrect API key provided: sk-stand*****************-key. You can find your API key in your settings.",
    402: "Insufficient Balance",
    403: "You are not allowed to sample from this model.",
    404: "The model does not exist or you do not have access to it.",
    429: "Rate limit reached for requests. Please slow down.",
    500: "The server had an error while processing your request. Sorry about that!",
    503: "The engine is currently overloaded, please try again later.",
}


@dataclass(frozen=True)
class Fault:
    """What goes wrong with every `every`th call, the first `after` calls excepted, at most `times` times.

    `status`: the service answers so, with `retry_after` as it stands in the header and `message` in the body.
    """

    kind: Kind
    every: int = 1
    after: int = 0
    times: int | None = None
    status: int = 500
    retry_after: str | None = None
    message: str | None = None
    code: str | None = None

    def meets(self, call: int) -> bool:
        turn, rest = divmod(call - self.after, self.every)
        return turn > 0 and rest == 0 and (self.times is None or turn <= self.times)


class Refused(Exception):  # noqa: N818  # a reply, not a failure of the stand-in
    """The request breaks a rule of the API."""

    def __init__(self, message: str, *, status: int = 400, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.param, self.code = status, param, code


@dataclass
class ModelStandIn(StandIn):
    """`answer(name, body)` makes the reply's text; `name` is the JSON schema's, "" without one.

    `delay`: seconds a good reply takes. `key`: the one key that is accepted (any, when None); `keyless` asks for none.
    `refuse`: response formats, or "temperature" or "max_tokens", that the model does not take, refused in the wording
    of the real service. `context`: tokens, where limited.
    """

    answer: Callable[[str, JSON], str] = plausible
    delay: float = 0.0
    faults: tuple[Fault, ...] = ()
    refuse: frozenset[str] = frozenset()
    key: str | None = None
    keyless: bool = False
    context: int | None = None
    usage: bool = True
    calls: int = 0
    peak: int = 0
    running: int = 0
    by_name: Counter[str] = field(default_factory=Counter)
    bodies: list[JSON] = field(default_factory=list)
    replies: Counter[int] = field(default_factory=Counter)

    def routes(self, app: web.Application) -> None:
        for path in ("/v1/chat/completions", "/chat/completions"):
            app.router.add_post(path, self._complete)

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        with self._counted():
            response = await self._respond(request, self.calls)
        self.replies[response.status] += 1
        return response

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.calls += 1
        self.running += 1
        self.peak = max(self.peak, self.running)
        try:
            yield
        finally:
            self.running -= 1

    async def _respond(self, request: web.Request, call: int) -> web.StreamResponse:
        try:
            self._check_key(request)
            body = _checked(await request.text())
            self.bodies.append(body)
            name = (body.get("response_format") or {}).get("json_schema", {}).get("name", "")
            self.by_name[name] += 1
            self._check_support(body)
        except Refused as refused:
            return _error(refused.status, str(refused), param=refused.param, code=refused.code)
        fault = next((fault for fault in self.faults if fault.meets(call)), None)
        if fault and (response := await self._broken(request, fault)):
            return response
        await asyncio.sleep(self.delay)
        text, finish = _spoilt(self.answer(name, body), fault)
        return web.json_response(_completion(call, body, text, finish, usage=self.usage))

    def _check_key(self, request: web.Request) -> None:
        if self.keyless:
            return
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not key:
            message = "You didn't provide an API key. You need to provide your API key in an Authorization header."
            raise Refused(message, status=401)
        if self.key is not None and key != self.key:
            raise Refused(f"Incorrect API key provided: {key[:8]}***.", status=401, code="invalid_api_key")

    def _check_support(self, body: JSON) -> None:
        kind = (body.get("response_format") or {"type": "text"})["type"]
        if kind in self.refuse:
            raise Refused(
                f"Invalid parameter: 'response_format' of type '{kind}' is not supported with this model. Learn more "
                "about supported models at the Structured Outputs guide.",
                param="response_format",
            )
        if "temperature" in self.refuse and "temperature" in body:
            message = (
                "Unsupported value: 'temperature' does not support 0 with this model. Only the default is supported."
            )
            raise Refused(message, param="temperature", code="unsupported_value")
        if "max_tokens" in self.refuse and "max_tokens" in body:
            message = (
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'."
            )
            raise Refused(message, param="max_tokens", code="unsupported_parameter")
        tokens = _tokens(body)
        if self.context is not None and tokens > self.context:
            message = (
                f"This model's maximum context length is {self.context} tokens. However, your messages resulted in "
                f"{tokens} tokens. Please reduce the length of the messages."
            )
            raise Refused(message, param="messages", code="context_length_exceeded")

    async def _broken(self, request: web.Request, fault: Fault) -> web.StreamResponse | None:
        match fault.kind:
            case "status":
                headers = {"Retry-After": fault.retry_after} if fault.retry_after else None
                message = fault.message or _SAYS.get(fault.status, "Something went wrong.")
                return _error(fault.status, message, code=fault.code, headers=headers)
            case "hang":
                while request.transport is not None:  # noqa: ASYNC110  # aiohttp has no event for a client that left
                    await asyncio.sleep(0.01)
            case "trickle":
                return await _trickled(request)
            case "disconnect":
                return cut(request)
            case "html":
                return web.Response(text="<html><body>Welcome to the proxy</body></html>", content_type="text/html")
        return None


async def _trickled(request: web.Request) -> web.StreamResponse:
    """Spaces, which JSON allows, one by one until the client goes away."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    while request.transport is not None:
        await response.write(b" ")
        await asyncio.sleep(0.02)
    return response


def _checked(text: str) -> JSON:
    """The request's body, or what the real API says against it."""
    try:
        body: JSON = json.loads(text)
    except ValueError:
        raise Refused("We could not parse the JSON body of your request.") from None
    if unknown := sorted(body.keys() - _PARAMETERS):
        raise Refused(f"Unrecognized request argument supplied: {unknown[0]}")
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise Refused("you must provide a model parameter")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refused("Missing required parameter: 'messages'.", param="messages", code="missing_required_parameter")
    for index, message in enumerate(messages):
        _check_message(message, index)
    for name in ("max_tokens", "max_completion_tokens"):
        if name in body and (type(body[name]) is not int or body[name] < 1):
            raise Refused(f"Invalid type for '{name}': expected a positive integer.", param=name)
    if not 0 <= body.get("temperature", 1) <= 2:
        raise Refused("Invalid 'temperature': decimal out of range.", param="temperature")
    if body.get("stream"):
        raise Refused("This stand-in does not stream.")
    if (form := body.get("response_format")) is not None:
        _check_format(form, messages)
    return body


def _check_message(message: JSON, index: int) -> None:
    role, content = message.get("role"), message.get("content")
    if role not in {"system", "developer", "user", "assistant"}:
        raise Refused(f"Invalid value: '{role}' for messages[{index}].role.", param=f"messages[{index}].role")
    if not isinstance(content, str) or not content:
        raise Refused(f"Invalid value for 'content': expected a string at messages[{index}].", param="messages")


def _check_format(form: JSON, messages: list[JSON]) -> None:
    match form.get("type"):
        case "text":
            return
        case "json_object":
            if not any("json" in message["content"].lower() for message in messages):
                text = (
                    "'messages' must contain the word 'json' in some form, to use 'response_format' of 'json_object'."
                )
                raise Refused(text, param="messages")
        case "json_schema":
            schema = form.get("json_schema") or {}
            name = schema.get("name")
            if not isinstance(name, str) or not name.replace("_", "a").replace("-", "a").isalnum() or len(name) > 64:
                raise Refused("Missing or invalid 'response_format.json_schema.name'.", param="response_format")
            if schema.get("strict"):
                _check_strict(name, schema.get("schema") or {}, ())
        case other:
            raise Refused(f"Invalid value: '{other}' for response_format.type.", param="response_format.type")


_STRICT_WORDS = frozenset(
    """type description properties required additionalProperties items enum const anyOf $ref $defs minimum maximum
    exclusiveMinimum exclusiveMaximum multipleOf minItems maxItems pattern format title""".split()  # noqa: SIM905  # as above
)


def _check_strict(name: str, node: JSON, context: tuple[str, ...]) -> None:
    """The strict subset: closed objects, everything required, no keyword outside the list."""
    where = f"Invalid schema for response_format '{name}': In context={context}, "
    if unknown := sorted(node.keys() - _STRICT_WORDS):
        raise Refused(f"{where}'{unknown[0]}' is not permitted.", param="response_format")
    if not context and node.get("type") != "object":
        raise Refused(f"{where}schema must be of type 'object'.", param="response_format")
    if node.get("type") == "object":
        if node.get("additionalProperties") is not False:
            raise Refused(f"{where}'additionalProperties' is required to be false.", param="response_format")
        if missing := sorted(node.get("properties", {}).keys() - set(node.get("required", []))):
            text = f"{where}'required' must include every key in properties. Missing '{missing[0]}'."
            raise Refused(text, param="response_format")
    for key, child in node.get("properties", {}).items():
        _check_strict(name, child, (*context, "properties", key))
    for key in ("$defs",):
        for child_name, child in node.get(key, {}).items():
            _check_strict(name, child, (*context, key, child_name))
    if isinstance(node.get("items"), dict):
        _check_strict(name, node["items"], (*context, "items"))
    for index, child in enumerate(node.get("anyOf", [])):
        _check_strict(name, child, (*context, "anyOf", str(index)))


def _spoilt(text: str, fault: Fault | None) -> tuple[str | None, str]:
    """The reply's text and finish reason, as far as a fault spoils them."""
    match fault.kind if fault else None:
        case "malformed":
            return "Certainly! Here is what I think: this paper is good.", "stop"
        case "truncated":
            return text[: int(len(text) * _CUT_AT)], "stop"
        case "length":
            return text[: int(len(text) * _CUT_AT)], "length"
        case "wrong":
            return json.dumps({"verdict": "accept"}), "stop"
        case "empty":
            return None, "stop"
        case "filtered":
            return None, "content_filter"
    return text, "stop"


def _completion(call: int, body: JSON, text: str | None, finish: str, *, usage: bool) -> JSON:
    reply: JSON = {
        "id": f"chatcmpl-{call}",
        "object": "chat.completion",
        "created": 1_772_000_000,
        "model": body["model"],
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": None},
                "logprobs": None,
                "finish_reason": finish,
            }
        ],
        "system_fingerprint": "fp_standin",
    }
    if usage:
        prompt, completion = _tokens(body), len(text or "") // 3
        reply["usage"] = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        }
    return reply


def _tokens(body: JSON) -> int:
    """About what a tokenizer would count."""
    return sum(len(message["content"]) for message in body["messages"]) // 4


def _error(
    status: int,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    headers: dict[str, str] | None = None,
) -> web.Response:
    kind = "server_error" if status >= 500 else "requests" if status == 429 else "invalid_request_error"
    error = {"message": message, "type": kind, "param": param, "code": code}
    return web.json_response({"error": error}, status=status, headers=headers)


def _faults(options: argparse.Namespace) -> Iterator[Fault]:
    if options.every_429:
        yield Fault("status", options.every_429, status=429, retry_after=options.retry_after)
    if options.status:
        yield Fault("status", status=options.status, retry_after=options.retry_after)
    for kind in ("malformed", "truncated", "length"):
        if every := getattr(options, f"every_{kind}"):
            yield Fault(kind, every)
    if options.hang:
        yield Fault("hang")
    if options.disconnect:
        yield Fault("disconnect")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.model_standin", description="A model API for trying out.")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--delay", type=float, default=0.0, metavar="SECONDS", help="that a good reply takes")
    parser.add_argument("--every-429", type=int, metavar="N", help="every Nth call is refused")
    parser.add_argument("--retry-after", metavar="SECONDS", help="header of refusals")
    parser.add_argument("--status", type=int, help="every call fails with it")
    for kind in ("malformed", "truncated", "length"):
        parser.add_argument(f"--every-{kind}", type=int, metavar="N", help=f"every Nth reply is {kind}")
    parser.add_argument("--hang", action="store_true", help="no call is ever answered")
    parser.add_argument("--disconnect", action="store_true", help="every connection is dropped after the request")
    parser.add_argument("--refuse", action="append", default=[], metavar="FORMAT", help="json_schema, json_object")
    parser.add_argument("--keyless", action="store_true", help="no key is asked for")
    return parser.parse_args()


async def _serve(options: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    server = ModelStandIn(
        port=options.port,
        delay=options.delay,
        faults=tuple(_faults(options)),
        refuse=frozenset(options.refuse),
        keyless=options.keyless,
    )
    async with server:
        print(server.url, flush=True)
        await stopped.wait()
    print(f"{server.calls} calls, {server.peak} at once at most, {dict(server.replies)}", flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(_options()))
