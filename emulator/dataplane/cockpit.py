"""Cockpit's data sources: what is written into them, and of Mimir's HTTP API what is about rules.

Every data source has a host name of its own, and all are behind this one port: the Host header tells them apart. Where
things are real nobody could resolve such a name; there a data source's address is this port, and its path its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import unquote

import yaml

from emulator.dataplane.plane import Answer, Message, Plane
from emulator.products.cockpit.sources import RULES, RULES_SCOPE, TOKENS, find_source
from emulator.world import Document

_HOST = re.compile(r"(?P<id>[0-9a-f-]{36})\.[a-z]+\.cockpit\.(?P<region>[a-z]+-[a-z]+)\.scw\.cloud")
_PREFIX = re.compile(r"/(?P<region>[a-z]+-[a-z]+)/(?P<id>[0-9a-f-]{36})(?=/)")
_PATH = re.compile(r"/prometheus/config/v1/rules(?:/(?P<namespace>[^/]+)(?:/(?P<group>[^/]+))?)?")
_OPERATIONS = {
    ("GET", 0): "ListRules",
    ("GET", 1): "ListRules",
    ("GET", 2): "GetRuleGroup",
    ("POST", 1): "SetRuleGroup",
    ("DELETE", 1): "DeleteNamespace",
    ("DELETE", 2): "DeleteRuleGroup",
}
"""By method and how much the path names: nothing, a namespace, a group in it."""
_WRITES = {
    "/api/v1/push": ("metrics", "PushMetrics"),
    "/otlp/v1/metrics": ("metrics", "PushMetrics"),
    "/otlp/v1/logs": ("logs", "PushLogs"),
    "/otlp/v1/traces": ("traces", "PushTraces"),
}
"""By path: the type that a data source must have, and the operation."""


class CockpitError(Exception):
    """A refusal in Prometheus' form."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Cockpit(Plane):
    """What Cockpit's tokens open. Rules are kept, and never evaluated; what is written is taken, and forgotten."""

    label: ClassVar[str] = "Cockpit"

    def name(self, message: Message) -> tuple[str, bool]:
        """Those of `_OPERATIONS` and `_WRITES`."""
        if message.method == "POST" and (write := _WRITES.get(_path(message))):
            return write[1], True
        names = _names(message)
        operation = _OPERATIONS.get((message.method, len(names))) if names is not None else None
        return operation or f"{message.method} {message.path}", message.method != "GET"

    def refusal(self, kind: str) -> Answer:
        """429 for too many requests, else 503 or 500."""
        status = {"throttled": 429, "internal_error": 500}.get(kind, 503)
        return _status(status, "the ruler does not answer")

    async def answer(self, message: Message, operation: str) -> Answer:
        """Carry out the request."""
        try:
            type_, _ = _WRITES.get(_path(message), ("metrics", ""))
            source = self._source(message, type_)
            if operation.startswith("Push"):
                return self._take(message, source)
            self._admit(message, source, RULES_SCOPE)
            names = _names(message)
            if names is None or operation not in _OPERATIONS.values():
                raise CockpitError(404, "page not found")
            return self._carry_out(operation, source["id"], *names, body=message.body)
        except CockpitError as error:
            return _status(error.status, error.message)

    def _source(self, message: Message, type_: str) -> Document:
        told = _PREFIX.match(message.path) or _HOST.fullmatch(message.headers.get("Host", "").partition(":")[0])
        source = find_source(self.world, told["region"], told["id"]) if told else None
        if source is None or source["type"] != type_:
            raise CockpitError(404, "no such data source")
        return source

    def _take(self, message: Message, source: Document) -> Answer:
        self._admit(message, source, f"write_only_{source['type']}")
        if source["origin"] == "scaleway":
            raise CockpitError(403, "data sources of Scaleway are written by its products only")
        return Answer(200, headers={"Content-Type": message.headers.get("Content-Type", "application/x-protobuf")})

    def _admit(self, message: Message, source: Document, scope: str) -> None:
        secret = message.headers.get("X-Token", "")
        token = next((token for token in self.world.all(TOKENS) if secret and token["_secret_key"] == secret), None)
        if token is None or (token["project_id"], token["region"]) != (source["project_id"], source["region"]):
            raise CockpitError(401, "unauthorized")
        if scope not in token["scopes"]:
            raise CockpitError(403, "forbidden")

    def _carry_out(self, operation: str, source: str, *names: str, body: bytes) -> Answer:
        found = [
            rules
            for rules in self.world.where(RULES, _source=source)
            if (rules["_namespace"], rules["name"])[: len(names)] == names
        ]
        if operation == "SetRuleGroup":
            group = _checked(body)
            key = f"{source}/{names[0]}/{group['name']}"
            self.world.put(RULES, {"id": key, "_source": source, "_namespace": names[0], **group})
            return _status(202)
        if not found:
            raise CockpitError(404, "no rule groups found")
        if operation == "GetRuleGroup":
            return _yaml(_shown(found[0]))
        if operation == "ListRules":
            spaces: dict[str, list[Any]] = {}
            for rules in found:
                spaces.setdefault(rules["_namespace"], []).append(_shown(rules))
            return _yaml(spaces)
        for rules in found:
            self.world.remove(RULES, rules["id"])
        return _status(202)


def _path(message: Message) -> str:
    """What is asked of a data source."""
    return _PREFIX.sub("", message.path)


def _names(message: Message) -> tuple[str, ...] | None:
    """Namespace and group, as far as the path names them; None for another path."""
    match = _PATH.fullmatch(_path(message))
    return match and tuple(unquote(name) for name in match.groups() if name)


def _checked(body: bytes) -> dict[str, Any]:
    """A group of rules that Mimir would take; what is in an expression is not looked at."""
    try:
        group = yaml.safe_load(body)
    except yaml.YAMLError:
        group = None
    if not isinstance(group, Mapping) or not group.get("name"):
        raise CockpitError(400, "unable to decode rule group")
    rules = group.get("rules")
    if not isinstance(rules, list) or not rules:
        raise CockpitError(400, "rule group has no rules")
    for rule in rules:
        if not isinstance(rule, Mapping) or not rule.get("expr") or bool(rule.get("alert")) == bool(rule.get("record")):
            raise CockpitError(400, "a rule has an expression, and is either an alert or a record")
    return dict(group)


def _shown(rules: Document) -> dict[str, Any]:
    return {name: value for name, value in rules.items() if name != "id" and not name.startswith("_")}


def _yaml(value: Any) -> Answer:
    return Answer(200, yaml.safe_dump(value, sort_keys=False).encode(), {"Content-Type": "application/yaml"})


def _status(status: int, message: str = "") -> Answer:
    kind = {"status": "error", "errorType": "bad_data"} if status >= 400 else {"status": "success", "errorType": ""}
    return Answer(status, json.dumps({**kind, "error": message}).encode(), {"Content-Type": "application/json"})
