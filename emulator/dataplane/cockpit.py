"""Cockpit's data sources for metrics: Mimir's HTTP API, as far as it is about rules.

Every data source has a host name of its own, and all are behind this one port: the Host header tells them apart.
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

_HOST = re.compile(r"(?P<id>[0-9a-f-]{36})\.metrics\.cockpit\.(?P<region>[a-z]+-[a-z]+)\.scw\.cloud")
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


class CockpitError(Exception):
    """A refusal in Prometheus' form."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Cockpit(Plane):
    """`/prometheus/config/v1/rules`, opened by Cockpit's tokens. Rules are kept, and never evaluated."""

    label: ClassVar[str] = "Cockpit"

    def name(self, message: Message) -> tuple[str, bool]:
        """ListRules, GetRuleGroup, SetRuleGroup, DeleteRuleGroup, DeleteNamespace."""
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
            source = self._source(message)
            self._admit(message, source)
            names = _names(message)
            if names is None or operation not in _OPERATIONS.values():
                raise CockpitError(404, "page not found")
            return self._carry_out(operation, source["id"], *names, body=message.body)
        except CockpitError as error:
            return _status(error.status, error.message)

    def _source(self, message: Message) -> Document:
        host = _HOST.fullmatch(message.headers.get("Host", "").partition(":")[0])
        source = find_source(self.world, host["region"], host["id"]) if host else None
        if source is None or source["type"] != "metrics":
            raise CockpitError(404, "no such data source")
        return source

    def _admit(self, message: Message, source: Document) -> None:
        secret = message.headers.get("X-Token", "")
        token = next((token for token in self.world.all(TOKENS) if secret and token["_secret_key"] == secret), None)
        if token is None or (token["project_id"], token["region"]) != (source["project_id"], source["region"]):
            raise CockpitError(401, "unauthorized")
        if RULES_SCOPE not in token["scopes"]:
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


def _names(message: Message) -> tuple[str, ...] | None:
    """Namespace and group, as far as the path names them; None for another path."""
    match = _PATH.fullmatch(message.path)
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
