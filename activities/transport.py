"""HTTP under the Scaleway SDK: time-outs, connections that are kept, and errors with a meaning.

The SDK's own transport has none of these (Scaleway SDK behaviour, section 2.2), and logs request bodies, secrets
included, at debug level. This one takes its place in every API class.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Mapping
from typing import Any, TypeVar

import requests
from scaleway_core.api import API, Body
from scaleway_core.client import Client

from activities.classify import classify
from blueprint.errors import Refused, Unavailable
from telemetry import calls

CONNECT_SECONDS = 5.0
READ_SECONDS = 40.0
"""Above the 30 s after which Scaleway's gateway gives up: otherwise every slow create is an unknown outcome."""

_local = threading.local()


def _session() -> requests.Session:
    """One session for each thread: requests does not promise that sharing one is safe."""
    session: requests.Session | None = getattr(_local, "session", None)
    if session is None:
        session = requests.Session()
        session.trust_env = False
        _local.session = session
    return session


class SturdyTransport(API):
    """Mixed into an SDK API class, it carries that class's calls."""

    def _request(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] = {},
        headers: dict[str, str] = {},  # noqa: B006
        body: Body | None = None,
    ) -> requests.Response:
        call = f"{method.upper()} {path}"
        url = f"{self.client.api_url}{path}"
        # The method of the SDK that asks for it: paths hold ids, and there is no end of those.
        operation = f"{type(self).__name__}/{sys._getframe(1).f_code.co_name}"
        try:
            with calls.http(operation, method.upper(), url, system="scaleway") as made:
                response = _session().request(
                    method.upper(),
                    url,
                    params=[(name, _plain(value)) for name, values in params.items() for value in _each(values)],
                    headers={
                        "Accept": "application/json",
                        "Content-Type": "application/json; charset=utf-8",
                        "User-Agent": self.client.user_agent,
                        "X-Auth-Token": self.client.secret_key or "",
                    }
                    | headers,
                    data=None if body is None else body if isinstance(body, bytes) else json.dumps(body),
                    timeout=(CONNECT_SECONDS, READ_SECONDS),
                    allow_redirects=False,
                )
                made.answered(response.status_code)
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            raise Unavailable(
                f"{call}: no answer from {self.client.api_url} ({type(error).__name__})",
                remedy="check SCW_API_URL and the network",
            ) from None
        except requests.Timeout:
            raise Unavailable(f"{call}: no answer within {READ_SECONDS:.0f} s") from None
        if _is_of_another_server(response):
            raise Refused(
                f"{call}: {response.status_code} from {self.client.api_url}, but not as Scaleway's API answers",
                remedy="check SCW_API_URL",
            )
        if response.status_code >= 400:
            raise classify(response.status_code, _json_of(response), call)
        total = response.headers.get("X-Total-Count")
        if total is not None:
            # Instance counts in a header; the SDK's types expect it in the body.
            response._content = json.dumps(response.json() | {"total_count": int(total)}).encode()
        return response

    def _throw_on_error(self, response: requests.Response) -> None:
        """Every failure was raised by `_request` already."""


def _each(values: Any) -> list[Any]:
    if values is None:
        return []
    return values if isinstance(values, list) else [values]


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_of_another_server(response: requests.Response) -> bool:
    """Redirects and web pages: a mistyped address. Its 404 must not be taken for an object that is gone."""
    is_page = response.headers.get("Content-Type", "").startswith("text/html")
    return 300 <= response.status_code < 400 or (is_page and response.status_code < 500)


def _json_of(response: requests.Response) -> Mapping[str, Any] | None:
    try:
        body = response.json()
    except requests.JSONDecodeError:
        return None
    return body if isinstance(body, Mapping) else None


A = TypeVar("A", bound=API)


def sturdy(api: type[A], client: Client) -> A:
    """An instance of an SDK API class that speaks through `SturdyTransport`."""
    return type(api.__name__, (SturdyTransport, api), {})(client)  # type: ignore[no-any-return]
