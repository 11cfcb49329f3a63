"""GitHub's REST API, as much of it as a report needs: comments of pull requests, issues, who merged a commit.

A report is level-triggered: it is looked for by its marker and written if it is not what it should be. So an answer
that was lost, and a job that is run again, leave one comment and one issue.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import requests

from blueprint.errors import EngineError
from blueprint.plan_markdown import LONGEST_COMMENT

T = TypeVar("T")
Document = dict[str, Any]
AUTHOR = "github-actions[bot]"
"""Who writes with a job's own token. What anybody else writes is no report, whatever marker it carries."""
PAGE = 100
"""Entries of a page; GitHub gives no more."""
_ATTEMPTS = 5
_TIMEOUT = (5, 30)
"""Seconds to connect, and between two pieces of an answer."""
_LONGEST_PAUSE = 60.0
"""Seconds. A job that is told to wait for longer costs more than one that is run again."""


class GitHubFailed(EngineError):
    """GitHub did not take a report, or does not tell what was reported."""

    code = "github_failed"


class _Later(Exception):
    """It may go well in so many seconds."""

    def __init__(self, why: str, seconds: float | None) -> None:
        super().__init__(why)
        self.seconds = seconds


@dataclass(frozen=True)
class Marker:
    """The first line of a report, which nobody sees: what it is about, and the plan that it shows."""

    about: str
    """plan or drift."""
    environment: str
    """Name of the environment's file."""
    fingerprint: str = ""
    """Of the plan; empty if there is none to approve."""

    def __str__(self) -> str:
        return f"<!-- scaleway-infra {self.about} {self.environment} fingerprint={self.fingerprint} -->"

    @classmethod
    def of(cls, body: str) -> Marker | None:
        """The marker of a report, None if it is none."""
        found = re.match(r"<!-- scaleway-infra (\w+) (\S+) fingerprint=([0-9a-f]*) -->", body)
        return cls(*found.groups()) if found else None

    def marks(self, document: Document) -> bool:
        """Whether a comment or issue is the report that this marker belongs to, whichever plan it shows."""
        found = Marker.of(document.get("body") or "")
        ours = found is not None and (found.about, found.environment) == (self.about, self.environment)
        return ours and document["user"]["login"] == AUTHOR


class GitHub:
    """The repository that a job belongs to.

    Args:
        api: address of the REST API.
        repository: "owner/name".
        token: the job's own.
    """

    def __init__(self, api: str, repository: str, token: str) -> None:
        self._base = f"{api.rstrip('/')}/repos/{repository}"
        self._token = token

    @classmethod
    def here(cls) -> GitHub | None:
        """GitHub, if this is one of its jobs.

        Raises:
            GitHubFailed: it is, but without a token.
        """
        if "GITHUB_ACTIONS" not in os.environ:
            return None
        if not os.environ.get("GITHUB_TOKEN"):
            raise GitHubFailed(
                "GITHUB_TOKEN is not set", remedy="give the step `env: {GITHUB_TOKEN: ${{ github.token }}}`"
            )
        return cls(os.environ["GITHUB_API_URL"], os.environ["GITHUB_REPOSITORY"], os.environ["GITHUB_TOKEN"])

    # -- reports -----------------------------------------------------------------------------------------------

    def comment(self, pull: int, marker: Marker, text: str) -> None:
        """Say it in the one comment of a pull request that is about this environment.

        Raises:
            GitHubFailed: GitHub does not take it.
        """
        body = _body(marker, text)

        def say() -> None:
            if found := self._comment(pull, marker):
                if found["body"] != body:
                    self._call("PATCH", f"/issues/comments/{found['id']}", {"body": body})
            else:
                self._call("POST", f"/issues/{pull}/comments", {"body": body})

        _patiently(say)

    def approved(self, commit: str, environment: str) -> tuple[int, str] | None:
        """The pull request that brought a commit to its branch, and the plan that it showed; "" if it showed none.

        Raises:
            GitHubFailed: GitHub does not tell.
        """

        def look() -> tuple[int, str] | None:
            merged = [pull for pull in self._pages(f"/commits/{commit}/pulls") if pull["merged_at"]]
            brought = [pull for pull in merged if pull["merge_commit_sha"] == commit] or merged
            if not brought:
                return None
            pull = brought[0]["number"]
            found = self._comment(pull, Marker("plan", environment))
            marker = Marker.of(found["body"]) if found else None
            return pull, marker.fingerprint if marker else ""

        return _patiently(look)

    def issue(self, marker: Marker, title: str, text: str) -> str:
        """Say it in the one open issue that is about this environment; its address.

        Raises:
            GitHubFailed: GitHub does not take it.
        """
        wanted = {"title": title, "body": _body(marker, text)}

        def say() -> str:
            found = self._issue(marker)
            if found is None:
                found = self._call("POST", "/issues", wanted)
            elif any(found[key] != value for key, value in wanted.items()):
                found = self._call("PATCH", f"/issues/{found['number']}", wanted)
            return str(found["html_url"])

        return _patiently(say)

    def close(self, marker: Marker) -> None:
        """Close the issue that is about this environment, if one is open.

        Raises:
            GitHubFailed: GitHub does not take it.
        """

        def say() -> None:
            if found := self._issue(marker):
                self._call("PATCH", f"/issues/{found['number']}", {"state": "closed", "state_reason": "completed"})

        _patiently(say)

    # -- plumbing ----------------------------------------------------------------------------------------------

    def _comment(self, pull: int, marker: Marker) -> Document | None:
        """The oldest, should an answer that came late have left two."""
        return next(filter(marker.marks, self._pages(f"/issues/{pull}/comments")), None)

    def _issue(self, marker: Marker) -> Document | None:
        return next(filter(marker.marks, self._pages("/issues", state="open", creator=AUTHOR)), None)

    def _pages(self, path: str, **query: str) -> Iterator[Document]:
        number = 1
        while True:
            page: list[Document] = self._call("GET", path, query={**query, "per_page": str(PAGE), "page": str(number)})
            yield from page
            if len(page) < PAGE:
                return
            number += 1

    @cached_property
    def _session(self) -> requests.Session:
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {self._token}"
        session.headers["Accept"] = "application/vnd.github+json"
        session.headers["X-GitHub-Api-Version"] = "2022-11-28"
        return session

    def _call(self, method: str, path: str, body: Document | None = None, query: dict[str, str] | None = None) -> Any:
        try:
            answer = self._session.request(method, self._base + path, params=query, json=body, timeout=_TIMEOUT)
        except requests.RequestException as error:
            raise _Later(f"{method} {path}: {type(error).__name__}", None) from None
        if answer.ok:
            return answer.json()
        why = f"{method} {path}: {answer.status_code} {_message(answer)}"
        if answer.status_code >= 500 or _is_limit(answer):
            raise _Later(why, _asked_pause(answer))
        remedy = {
            401: "the token is not valid",
            403: "give the job the permission: `pull-requests: write`, `issues: write`",
        }
        raise GitHubFailed(why, remedy=remedy.get(answer.status_code, ""))


def pull_request() -> int | None:
    """Number of the pull request that a job was started for, or None."""
    path = os.environ.get("GITHUB_EVENT_PATH")
    event: Document = json.loads(Path(path).read_text()) if path else {}
    return event["pull_request"]["number"] if "pull_request" in event else None


def _body(marker: Marker, text: str) -> str:
    body = f"{marker}\n{text}"
    # What makes a report keeps it short; a reason of many pages is cut all the same, not refused.
    return body if len(body) <= LONGEST_COMMENT else f"{body[: LONGEST_COMMENT - 2]}\n…"


def _patiently(attempt: Callable[[], T]) -> T:
    """Try again from the look on, so that nothing is said twice after an answer that was lost.

    Raises:
        GitHubFailed: it does not go well in time.
    """
    for number in range(_ATTEMPTS):
        try:
            return attempt()
        except _Later as later:
            pause = 2.0**number if later.seconds is None else later.seconds
            if number == _ATTEMPTS - 1 or pause > _LONGEST_PAUSE:
                raise GitHubFailed(str(later), remedy="run the job again later; nothing is said twice") from None
            time.sleep(pause)
    raise AssertionError("unreachable")


def _is_limit(answer: requests.Response) -> bool:
    """Whether it is refused for its rate, not for good: both have 403."""
    return answer.status_code == 429 or (
        answer.status_code == 403
        and ("Retry-After" in answer.headers or answer.headers.get("X-RateLimit-Remaining") == "0")
    )


def _asked_pause(answer: requests.Response) -> float | None:
    """Seconds that GitHub asks to wait, if it does: for the secondary limits, or until the hour's are new."""
    if after := answer.headers.get("Retry-After"):
        return float(after) if after.isdigit() else max(0.0, parsedate_to_datetime(after).timestamp() - time.time())
    if answer.headers.get("X-RateLimit-Remaining") == "0":
        return max(1.0, float(answer.headers.get("X-RateLimit-Reset", 0)) - time.time())
    return None


def _message(answer: requests.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.reason
