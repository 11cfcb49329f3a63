"""A stand-in for GitHub's REST API: comments, issues, and who merged what, as strict and as moody as the real one."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starters.child import HOST

Document = dict[str, Any]
REPOSITORY = "lssm/infra"
TOKEN = "token-of-the-job"
ACTIONS = "github-actions[bot]"
LONGEST_BODY = 65_536


class GitHubApi:
    """One repository.

    Attributes:
        comments: of every pull request, the oldest first.
        issues: of the repository.
        pulls: pull requests by the commit that brought them to their branch.
        moods: how the next requests go wrong, in order: `limit` (403 with Retry-After), `broken` (502 before anything
            is done), `lost` (502 after it is done), `forbidden` (403 for good).
        requests: "POST /issues/7/comments" for each request.
    """

    def __init__(self) -> None:
        self.comments: list[Document] = []
        self.issues: list[Document] = []
        self.pulls: dict[str, list[Document]] = {}
        self.moods: list[str] = []
        self.requests: list[str] = []
        self.url = ""
        self._lock = threading.Lock()
        self._number = 100

    def merge(self, number: int, commit: str) -> None:
        """A pull request was merged as this commit."""
        pull = {"number": number, "merged_at": "2026-11-26T12:00:00Z", "merge_commit_sha": commit}
        self.pulls.setdefault(commit, []).append(pull)

    def say(self, pull: int, body: str, login: str = ACTIONS) -> Document:
        """Somebody comments on a pull request."""
        self._number += 1
        comment = {"id": self._number, "pull": pull, "body": body, "user": {"login": login}}
        self.comments.append(comment)
        return comment

    def told(self, environment: str) -> list[str]:
        """What jobs have said about an environment in pull requests."""
        marker = f"<!-- scaleway-infra plan {environment} "
        ours = [comment for comment in self.comments if comment["user"]["login"] == ACTIONS]
        return [comment["body"] for comment in ours if comment["body"].startswith(marker)]

    def answer(self, method: str, target: str, body: Document) -> tuple[int, Any, dict[str, str]]:
        """Status, document and headers."""
        with self._lock:
            url = urlsplit(target)
            path = url.path.removeprefix(f"/repos/{REPOSITORY}")
            self.requests.append(f"{method} {path}")
            mood = self.moods.pop(0) if self.moods else ""
            if mood == "limit":
                return 403, {"message": "You have exceeded a secondary rate limit"}, {"Retry-After": "1"}
            if mood == "forbidden":
                return 403, {"message": "Resource not accessible by integration"}, {}
            if mood == "broken":
                return 502, {"message": "Server Error"}, {}
            if len(body.get("body") or "") > LONGEST_BODY:
                return 422, {"message": "Validation Failed: body is too long (maximum is 65536 characters)"}, {}
            query = {key: values[0] for key, values in parse_qs(url.query).items()}
            status, document = self._route(method, path, query, body)
            return (502, {"message": "Server Error"}, {}) if mood == "lost" else (status, document, {})

    def _route(self, method: str, path: str, query: dict[str, str], body: Document) -> tuple[int, Any]:
        if found := re.fullmatch(r"/issues/(\d+)/comments", path):
            pull = int(found[1])
            if method == "GET":
                return 200, _page([comment for comment in self.comments if comment["pull"] == pull], query)
            return 201, self.say(pull, body["body"])
        if (found := re.fullmatch(r"/issues/comments/(\d+)", path)) and method == "PATCH":
            return 200, self._changed(self.comments, "id", int(found[1]), body)
        if (found := re.fullmatch(r"/commits/(\w+)/pulls", path)) and method == "GET":
            return 200, _page(self.pulls.get(found[1], []), query)
        if path == "/issues" and method == "GET":
            wanted = (query.get("state", "open"), query.get("creator", ACTIONS))
            fitting = [issue for issue in self.issues if (issue["state"], issue["user"]["login"]) == wanted]
            return 200, _page(fitting, query)
        if path == "/issues" and method == "POST":
            self._number += 1
            issue = {"number": self._number, "state": "open", "user": {"login": ACTIONS}, **body}
            self.issues.append(issue | {"html_url": f"https://github.test/{REPOSITORY}/issues/{self._number}"})
            return 201, self.issues[-1]
        if (found := re.fullmatch(r"/issues/(\d+)", path)) and method == "PATCH":
            return 200, self._changed(self.issues, "number", int(found[1]), body)
        return 404, {"message": "Not Found"}

    @staticmethod
    def _changed(documents: list[Document], key: str, value: int, body: Document) -> Document:
        document = next(item for item in documents if item[key] == value)
        document.update(body)
        return document


def _page(documents: list[Document], query: dict[str, str]) -> list[Document]:
    size = min(int(query.get("per_page", 30)), 100)
    start = (int(query.get("page", 1)) - 1) * size
    return documents[start : start + size]


@contextmanager
def github_api() -> Iterator[GitHubApi]:
    """The stand-in, on a free port."""
    api = GitHubApi()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_PATCH(self) -> None:
            self._answer()

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else {}
            status: int
            headers: dict[str, str]
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                status, document, headers = 401, {"message": "Bad credentials"}, {}
            else:
                status, document, headers = api.answer(self.command, self.path, body)
            content = json.dumps(document).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: `requests` has them."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    api.url = f"http://{HOST}:{server.server_port}"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
