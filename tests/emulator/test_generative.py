"""The generative APIs, asked by the openai package."""

from __future__ import annotations

import openai
import pytest

from tests.emulator.conftest import KEY, Api

MODEL = "llama-3.3-70b-instruct"
HELLO: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "good morning to you"}]


def client(api: Api, key: str = KEY) -> openai.OpenAI:
    """A client of the generative APIs."""
    url = api.emulator.planes["generative"].url
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=10)


def test_models_and_completions(api: Api) -> None:
    """Answers can be predicted, and tell the limits."""
    models = [model.id for model in client(api).models.list()]
    assert MODEL in models
    raw = client(api).chat.completions.with_raw_response.create(model=MODEL, messages=HELLO)
    assert int(raw.headers["x-ratelimit-remaining-requests"]) < int(raw.headers["x-ratelimit-limit-requests"])
    answer = raw.parse()
    assert answer.choices[0].message.content == "You said: good morning to you"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 4
    again = client(api).chat.completions.create(model=MODEL, messages=HELLO)
    assert again.id == answer.id
    short = client(api).chat.completions.create(model=MODEL, messages=HELLO, max_tokens=2)
    assert (short.choices[0].message.content, short.choices[0].finish_reason) == ("You said:", "length")


def test_stream(api: Api) -> None:
    """The same words, one event each."""
    chunks = list(
        client(api).chat.completions.create(
            model=MODEL, messages=HELLO, stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "You said: good morning to you"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None


def test_refusals(api: Api) -> None:
    """In OpenAI's form, so that its package raises its own errors."""
    with pytest.raises(openai.AuthenticationError):
        client(api, "not-a-key").models.list()
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client(api).chat.completions.create(model="gpt-none", messages=HELLO)
    with pytest.raises(openai.BadRequestError, match="messages"):
        client(api).chat.completions.create(model=MODEL, messages=[])
    fault = {"operation": "Generative CreateChatCompletion", "kind": "throttled"}
    api.request("PUT", "/_emulator/faults", {"faults": [fault]})
    with pytest.raises(openai.RateLimitError):
        client(api).chat.completions.create(model=MODEL, messages=HELLO)
    assert client(api).chat.completions.create(model=MODEL, messages=HELLO).choices


def test_an_application_needs_the_permission(api: Api) -> None:
    """A key without a policy is refused."""
    _, application = api.request("POST", "/iam/v1alpha1/applications", {"name": "backend"})
    _, key = api.request("POST", "/iam/v1alpha1/api-keys", {"application_id": application["id"]})
    with pytest.raises(openai.PermissionDeniedError):
        client(api, key["secret_key"]).models.list()
