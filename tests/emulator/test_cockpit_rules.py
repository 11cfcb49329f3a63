"""Cockpit's data sources: their rulers, and what is written into them."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import yaml

from tests.emulator.conftest import Api
from tests.emulator.test_cockpit import ok

COCKPIT = "/cockpit/v1/regions/fr-par"
RULE = {"alert": "Down", "expr": "up == 0", "for": "5m", "labels": {"severity": "critical"}}


class Ruler:
    """The ruler of a data source, as a client with a token sees it."""

    def __init__(self, api: Api, source: dict[str, Any], token: str) -> None:
        self._url = api.emulator.planes["cockpit"].url + "/prometheus/config/v1/rules"
        self._headers = {"Host": source["url"].removeprefix("https://"), "X-Token": token}

    def ask(self, method: str, path: str = "", body: Any = None) -> tuple[int, Any]:
        """Status and body of an answer."""
        data = body if body is None or isinstance(body, bytes) else yaml.safe_dump(body)
        answer = requests.request(method, f"{self._url}{path}", headers=self._headers, data=data, timeout=5)
        return answer.status_code, yaml.safe_load(answer.content)


def source(api: Api, name: str = "lssm-prod-metrics", type_: str = "metrics") -> dict[str, Any]:
    """A new data source."""
    made: dict[str, Any] = ok(api, "POST", f"{COCKPIT}/data-sources", {"name": name, "type": type_})
    return made


def token(api: Api, *scopes: str) -> str:
    """The secret half of a new token."""
    made = ok(api, "POST", f"{COCKPIT}/tokens", {"name": "rules", "token_scopes": list(scopes)})
    return str(made["secret_key"])


def test_groups_are_set_listed_and_deleted(api: Api) -> None:
    """By namespace; a group that is set again is another one, and what is not there is not found."""
    ruler = Ruler(api, source(api), token(api, "full_access_metrics_rules"))
    assert ruler.ask("GET", "/lssm-prod")[0] == 404
    for name in ("nodes", "engine", "nodes"):
        assert ruler.ask("POST", "/lssm-prod", {"name": name, "rules": [RULE]})[0] == 202
    assert ruler.ask("POST", "/lssm-stg", {"name": "nodes", "rules": [RULE]})[0] == 202
    status, listed = ruler.ask("GET", "/lssm-prod")
    assert (status, [group["name"] for group in listed["lssm-prod"]]) == (200, ["nodes", "engine"])
    assert listed["lssm-prod"][0]["rules"] == [RULE]
    assert set(ruler.ask("GET")[1]) == {"lssm-prod", "lssm-stg"}
    assert ruler.ask("GET", "/lssm-prod/nodes")[1] == {"name": "nodes", "rules": [RULE]}
    assert ok(api, "GET", f"{COCKPIT}/rules/count")["custom_rules_count"] == 3
    assert ruler.ask("DELETE", "/lssm-prod/nodes")[0] == 202
    assert ruler.ask("DELETE", "/lssm-prod/nodes")[0] == 404
    assert ruler.ask("DELETE", "/lssm-stg")[0] == 202
    assert set(ruler.ask("GET")[1]) == {"lssm-prod"}


def test_rules_belong_to_their_data_source(api: Api) -> None:
    """Scaleway's own has a ruler, too; one that is deleted takes its rules along; logs have none here."""
    secret = token(api, "full_access_metrics_rules")
    made = source(api)
    (scaleways,) = ok(api, "GET", f"{COCKPIT}/data-sources", origin="scaleway", types="metrics")["data_sources"]
    ours, theirs = Ruler(api, made, secret), Ruler(api, scaleways, secret)
    for ruler in (ours, theirs):
        assert ruler.ask("POST", "/lssm-prod", {"name": "nodes", "rules": [RULE]})[0] == 202
    assert api.request("DELETE", f"{COCKPIT}/data-sources/{made['id']}")[0] == 204
    assert ours.ask("GET")[0] == 404
    assert theirs.ask("GET")[0] == 200
    assert ok(api, "GET", f"{COCKPIT}/rules/count")["custom_rules_count"] == 1
    assert Ruler(api, source(api, "lssm-prod-logs", "logs"), secret).ask("GET")[0] == 404


def test_only_tokens_with_the_scope_are_let_in(api: Api) -> None:
    """Scaleway's keys open nothing there, and a token that was deleted opens nothing any more."""
    made = source(api)
    assert Ruler(api, made, "").ask("GET")[0] == 401
    assert Ruler(api, made, "22222222-2222-4222-8222-222222222222").ask("GET")[0] == 401
    assert Ruler(api, made, token(api, "write_only_metrics")).ask("GET")[0] == 403


@pytest.mark.parametrize(
    "body",
    [
        b"[",
        {"rules": [RULE]},
        {"name": "nodes"},
        {"name": "nodes", "rules": [{"alert": "Down"}]},
        {"name": "nodes", "rules": [{**RULE, "record": "down"}]},
    ],
    ids=["no yaml", "no name", "no rules", "no expression", "alert and record"],
)
def test_what_is_no_group_is_refused(api: Api, body: Any) -> None:
    """With a 400, and nothing is kept."""
    ruler = Ruler(api, source(api), token(api, "full_access_metrics_rules"))
    assert ruler.ask("POST", "/lssm-prod", body)[0] == 400
    assert ruler.ask("GET", "/lssm-prod")[0] == 404


@pytest.mark.parametrize(
    ("path", "type_"),
    [
        ("/api/v1/push", "metrics"),
        ("/otlp/v1/metrics", "metrics"),
        ("/otlp/v1/logs", "logs"),
        ("/otlp/v1/traces", "traces"),
    ],
)
def test_a_token_that_may_writes_into_its_type(api: Api, path: str, type_: str) -> None:
    """By the data source's name, and by its path; another type, another scope or no token is refused."""
    sources = {name: source(api, f"lssm-prod-{name}", name) for name in ("metrics", "logs", "traces")}
    tokens = {name: token(api, f"write_only_{name}") for name in sources}

    def push(name: str, secret: str) -> tuple[int, int]:
        url = api.emulator.planes["cockpit"].url
        named = {"Host": sources[name]["url"].removeprefix("https://"), "X-Token": secret}
        by_name = requests.post(f"{url}{path}", headers=named, data=b"", timeout=5)
        prefix = f"{url}/fr-par/{sources[name]['id']}"
        by_path = requests.post(f"{prefix}{path}", headers={"X-Token": secret}, data=b"", timeout=5)
        return by_name.status_code, by_path.status_code

    other = "logs" if type_ == "metrics" else "metrics"
    assert push(type_, tokens[type_]) == (200, 200)
    assert push(type_, tokens[other]) == (403, 403)
    assert push(type_, "") == (401, 401)
    assert push(other, tokens[other]) == (404, 404)
