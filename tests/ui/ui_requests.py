"""The requests that Temporal's UI makes, without a browser: what they give is all that its pages show."""

from __future__ import annotations

import base64
import json
import time
import uuid
from typing import Any
from urllib.parse import quote

import requests

Json = dict[str, Any]


class UiRequests:
    """What somebody with the UI and nothing else can see and do.

    Args:
        address: of the UI.
    """

    def __init__(self, address: str) -> None:
        self._base = f"{address}/api/v1/namespaces/default"
        self._session = requests.Session()
        self._session.get(f"{self._base}", timeout=10)
        self._session.headers["X-CSRF-TOKEN"] = self._session.cookies.get("_csrf") or ""

    def find(self, query: str) -> list[Json]:
        """The list of runs, with a filter."""
        found: list[Json] = self._ask("GET", "/workflows", params={"query": query}).get("executions", [])
        return found

    def until(self, query: str, patience: float = 40.0) -> Json:
        """The newest run that a filter finds, once it finds one.

        Args:
            query: the filter.
            patience: seconds.
        """
        deadline = time.monotonic() + patience
        while not (found := self.find(query)):
            assert time.monotonic() < deadline, query
            time.sleep(0.1)
        return found[0]

    def current_details(self, run: Json) -> str:
        """The run's page, under *User Metadata*."""
        body = {"query": {"queryType": "__temporal_workflow_metadata"}, "execution": run["execution"]}
        path = f"{self._path(run)}/query/__temporal_workflow_metadata"
        [payload] = self._ask("POST", path, body)["queryResult"]["payloads"]
        return str(_plain(payload).get("currentDetails", ""))

    def user_metadata(self, run: Json) -> tuple[str, str]:
        """Summary and details from the start of the run."""
        config = self._described(run)["executionConfig"]["userMetadata"]
        return _plain(config["summary"]), _plain(config["details"])

    def memo(self, run: Json) -> Json:
        """The run's memo."""
        fields = self._described(run)["workflowExecutionInfo"]["memo"].get("fields", {})
        return {name: _plain(payload) for name, payload in fields.items()}

    def failed_activities(self, run: Json) -> dict[str, str]:
        """Types of activities that failed, with what the history says of the latest failure of each."""
        events = self._history(run)
        types = {
            event["eventId"]: event["activityTaskScheduledEventAttributes"]["activityType"]["name"]
            for event in events
            if "activityTaskScheduledEventAttributes" in event
        }
        failures = [
            event["activityTaskFailedEventAttributes"]
            for event in events
            if "activityTaskFailedEventAttributes" in event
        ]
        return {types[item["scheduledEventId"]]: item["failure"]["message"] for item in failures}

    def failure(self, run: Json) -> str:
        """Why a run failed, with the causes, as its last event says."""
        failure = self._history(run)[-1]["workflowExecutionFailedEventAttributes"]["failure"]
        words = []
        while failure:
            words.append(failure["message"])
            failure = failure.get("cause")
        return ": ".join(words)

    def without_summary(self, run: Json) -> list[str]:
        """Activities, timers and children in a run's history that do not say what they are for."""
        kinds = ("activityTaskScheduledEventAttributes", "timerStartedEventAttributes")
        return [
            event["eventType"]
            for event in self._history(run)
            if any(kind in event for kind in kinds) and not event.get("userMetadata", {}).get("summary")
        ]

    def update(self, run: Json, name: str, data: Any = None) -> str:
        """*Send an Update*. Returns why it was refused; empty if it was not."""
        sent = None if data is None else {"payloads": [_payload(data)]}
        body = {
            "request": {"meta": {"updateId": str(uuid.uuid4())}, "input": {"name": name, "args": sent}},
            "workflowExecution": run["execution"],
            "waitPolicy": {"lifecycleStage": "UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED"},
        }
        answer = self._ask("POST", f"{self._path(run)}/update/{name}", body)
        return str(answer.get("outcome", {}).get("failure", {}).get("message", ""))

    def start_like(self, run: Json) -> None:
        """*Start Workflow Like This One*: everything is as the form has it, and is sent as it is."""
        started = self._history(run)[0]["workflowExecutionStartedEventAttributes"]
        body = {
            "workflowId": run["execution"]["workflowId"],
            "taskQueue": {"name": run["taskQueue"]},
            "workflowType": run["type"],
            "input": started["input"],
            "userMetadata": self._described(run)["executionConfig"]["userMetadata"],
            "searchAttributes": {"indexedFields": started["searchAttributes"]["indexedFields"]},
        }
        self._ask("POST", self._path(run), body)

    def _described(self, run: Json) -> Json:
        return self._ask("GET", self._path(run), params={"execution.runId": run["execution"]["runId"]})

    def _history(self, run: Json) -> list[Json]:
        params = {"execution.runId": run["execution"]["runId"]}
        events: list[Json] = self._ask("GET", f"{self._path(run)}/history", params=params)["history"]["events"]
        return events

    def _path(self, run: Json) -> str:
        return f"/workflows/{quote(run['execution']['workflowId'], safe='')}"

    def _ask(self, method: str, path: str, body: Json | None = None, params: Any = None) -> Json:
        answer = self._session.request(method, self._base + path, json=body, params=params, timeout=30)
        assert answer.ok, (method, path, answer.status_code, answer.text)
        content: Json = answer.json()
        return content


def _payload(value: Any) -> Json:
    data = base64.b64encode(json.dumps(value).encode()).decode()
    return {"metadata": {"encoding": base64.b64encode(b"json/plain").decode()}, "data": data}


def _plain(payload: Json) -> Any:
    return json.loads(base64.b64decode(payload["data"]))
