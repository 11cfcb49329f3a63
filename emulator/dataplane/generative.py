"""The generative APIs in OpenAI's form: models, and chat completions that answer with what they were told."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, ClassVar

from emulator.auth import authenticate, granted
from emulator.dataplane.plane import Answer, Message, Plane
from emulator.errors import ApiError
from emulator.permissions import EVERYTHING_READ
from emulator.world import Document

OPENING = ("GenerativeApisModelAccess", "GenerativeApisFullAccess", *EVERYTHING_READ)
"""The permission sets that let a key ask a model."""
MODELS = (
    "gpt-oss-120b",
    "llama-3.1-8b-instruct",
    "llama-3.3-70b-instruct",
    "mistral-nemo-instruct-2407",
    "mistral-small-3.2-24b-instruct-2506",
    "qwen3-235b-a22b-instruct-2507",
    "qwen3-coder-30b-a3b-instruct",
)
REQUESTS_A_MINUTE = 300
TOKENS_A_MINUTE = 200_000
_PATH = re.compile(r"(?:/[0-9a-f-]{36})?/v1(?P<rest>/.*)")
"""Scaleway's base address may name the project before `/v1`."""
_CREATED = 1_751_328_000


class GenerativeError(Exception):
    """A refusal in OpenAI's form."""

    def __init__(self, status: int, kind: str, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


class Generative(Plane):
    """`/v1/models` and `/v1/chat/completions`. Nothing is kept."""

    label: ClassVar[str] = "Generative"
    read_ms: ClassVar[float] = 600.0

    def name(self, message: Message) -> tuple[str, bool]:
        """ListModels, GetModel, CreateChatCompletion; none of them changes anything."""
        match = _PATH.fullmatch(message.path)
        rest = match["rest"].rstrip("/") if match else ""
        if message.method == "GET" and rest == "/models":
            return "ListModels", False
        if message.method == "GET" and rest.startswith("/models/"):
            return "GetModel", False
        if message.method == "POST" and rest == "/chat/completions":
            return "CreateChatCompletion", False
        return f"{message.method} {message.path}", False

    def refusal(self, kind: str) -> Answer:
        """429 for too many requests, else 503 or 500."""
        if kind == "throttled":
            return _error(GenerativeError(429, "rate_limit_error", "Rate limit reached", code="rate_limit_exceeded"))
        status = 500 if kind == "internal_error" else 503
        return _error(GenerativeError(status, "server_error", "The server had an error processing your request"))

    async def answer(self, message: Message, operation: str) -> Answer:
        """Answer as the named model would, if it only repeated."""
        try:
            self._admit(message)
            if operation == "ListModels":
                return _json({"object": "list", "data": [_model(name) for name in MODELS]})
            if operation == "GetModel":
                return _json(_model(_known(message.path.rstrip("/").rpartition("/")[2])))
            if operation == "CreateChatCompletion":
                return self._complete(message)
            raise GenerativeError(404, "invalid_request_error", f"Invalid URL ({operation})")
        except GenerativeError as error:
            return _error(error)

    def _admit(self, message: Message) -> None:
        scheme, _, token = message.headers.get("Authorization", "").partition(" ")
        try:
            key = authenticate(self.world, token if scheme.lower() == "bearer" else "")
        except ApiError:
            raise GenerativeError(
                401, "invalid_request_error", "Incorrect API key provided", code="invalid_api_key"
            ) from None
        if key is not None and not granted(self.world, key, OPENING):
            raise GenerativeError(403, "permission_error", "Insufficient permissions")

    def _complete(self, message: Message) -> Answer:
        request = _parse(message.body)
        model, messages = _known(request.get("model")), request.get("messages")
        if not isinstance(messages, list) or not messages:
            raise GenerativeError(400, "invalid_request_error", "messages must be a list that is not empty", "messages")
        words = _reply_to(messages).split(" ")
        most = request.get("max_completion_tokens") or request.get("max_tokens") or len(words)
        reason = "length" if most < len(words) else "stop"
        words = words[: int(most)]
        asked = sum(len(_text(entry).split()) for entry in messages)
        usage = {"prompt_tokens": asked, "completion_tokens": len(words), "total_tokens": asked + len(words)}
        head = {
            "id": "chatcmpl-" + hashlib.sha256(message.body).hexdigest()[:29],
            "created": int(self.world.now()),
            "model": model,
        }
        headers = _limits(usage["total_tokens"])
        if request.get("stream"):
            wanted = (request.get("stream_options") or {}).get("include_usage")
            return _stream(head, words, reason, usage if wanted else None, headers)
        choice = {"index": 0, "message": {"role": "assistant", "content": " ".join(words)}, "finish_reason": reason}
        return _json({**head, "object": "chat.completion", "choices": [choice], "usage": usage}, headers)


def _parse(body: bytes) -> Document:
    try:
        request = json.loads(body)
    except ValueError:
        request = None
    if not isinstance(request, dict):
        raise GenerativeError(400, "invalid_request_error", "We could not parse the JSON body of your request.")
    return request


def _known(model: Any) -> str:
    if not isinstance(model, str) or not model:
        raise GenerativeError(400, "invalid_request_error", "you must provide a model parameter", "model")
    if model not in MODELS:
        raise GenerativeError(
            404, "invalid_request_error", f"The model `{model}` does not exist", "model", "model_not_found"
        )
    return model


def _text(entry: Any) -> str:
    """The text of a message, whose content is a string or a list of parts."""
    content = entry.get("content") if isinstance(entry, dict) else None
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")


def _reply_to(messages: list[Any]) -> str:
    asked = [entry for entry in messages if isinstance(entry, dict) and entry.get("role") == "user"]
    return f"You said: {_text(asked[-1])}" if asked else "You said nothing."


def _model(name: str) -> Document:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "scaleway"}


def _limits(tokens: int) -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": str(REQUESTS_A_MINUTE),
        "x-ratelimit-remaining-requests": str(REQUESTS_A_MINUTE - 1),
        "x-ratelimit-reset-requests": "200ms",
        "x-ratelimit-limit-tokens": str(TOKENS_A_MINUTE),
        "x-ratelimit-remaining-tokens": str(max(TOKENS_A_MINUTE - tokens, 0)),
        "x-ratelimit-reset-tokens": "1s",
    }


def _stream(head: Document, words: list[str], reason: str, usage: Document | None, headers: dict[str, str]) -> Answer:
    """The completion as server-sent events, a word each."""
    deltas: list[Document] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word if number == 0 else f" {word}"} for number, word in enumerate(words)]
    chunks: list[Document] = [
        {**head, "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in deltas
    ]
    last = {"index": 0, "delta": {}, "finish_reason": reason}
    chunks.append({**head, "object": "chat.completion.chunk", "choices": [last]})
    if usage:
        chunks.append({**head, "object": "chat.completion.chunk", "choices": [], "usage": usage})
    events = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    body = "".join([*events, "data: [DONE]\n\n"]).encode()
    return Answer(200, body, {**headers, "Content-Type": "text/event-stream"})


def _json(body: Document, headers: dict[str, str] | None = None) -> Answer:
    return Answer(200, json.dumps(body).encode(), {**_limits(0), **(headers or {}), "Content-Type": "application/json"})


def _error(error: GenerativeError) -> Answer:
    return Answer(error.status, json.dumps(error.body).encode(), {"Content-Type": "application/json"})
