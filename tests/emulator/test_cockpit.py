"""Cockpit: data sources, tokens, alerts, Grafana, and what the SDK makes of them."""

from __future__ import annotations

from typing import Any

import pytest
from scaleway import Client
from scaleway.cockpit.v1 import CockpitV1GlobalAPI, CockpitV1RegionalAPI, ContactPointEmail, ExporterOTLPDestination

from tests.emulator.conftest import KEY, Api

COCKPIT = "/cockpit/v1/regions/fr-par"
DEFAULT = "11111111-1111-4111-8111-111111111111"


def ok(api: Api, method: str, path: str, json: Any = None, **query: Any) -> Any:
    """The body of a call that must succeed."""
    status, body = api.request(method, path, json=json, query=query)
    assert status in {200, 204}, body
    return body


def fresh_project(api: Api) -> str:
    """A project that owns nothing."""
    return str(ok(api, "POST", "/account/v3/projects", {"name": "watched"})["id"])


def test_data_source_life(api: Api) -> None:
    """Create, read, change, delete."""
    project = fresh_project(api)
    body = {"project_id": project, "name": "app-metrics", "type": "metrics", "retention_days": 31}
    made = ok(api, "POST", f"{COCKPIT}/data-sources", body)
    assert made["url"] == f"https://{made['id']}.metrics.cockpit.fr-par.scw.cloud"
    assert "current_month_usage" not in made
    path = f"{COCKPIT}/data-sources/{made['id']}"
    assert ok(api, "GET", path) == {**made, "current_month_usage": 0}
    assert ok(api, "PATCH", path, {"retention_days": 90})["retention_days"] == 90
    sources = ok(api, "GET", f"{COCKPIT}/data-sources", project_id=project)["data_sources"]
    assert [source["id"] for source in sources] == [made["id"]]
    assert api.request("GET", path.replace("fr-par", "nl-ams"))[0] == 404
    assert api.request("DELETE", path)[0] == 204
    assert api.request("GET", path)[1]["resource"] == "data source"


@pytest.mark.parametrize(
    ("change", "argument", "times"),
    [
        ({"retention_days": 0}, "retention_days", 1),
        ({"retention_days": 366}, "retention_days", 1),
        ({"type": "logs", "retention_days": 32}, "retention_days", 1),
        ({"type": "unknown_type"}, "type", 1),
        ({"name": "a/b"}, "name", 1),
        ({"name": ""}, "name", 2),
    ],
)
def test_data_sources_that_are_refused(api: Api, change: dict[str, Any], argument: str, times: int) -> None:
    """400 names the argument once for each rule that it breaks."""
    body = {"name": "app-metrics", "type": "metrics", "retention_days": 31, **change}
    status, answer = api.request("POST", f"{COCKPIT}/data-sources", json=body)
    assert (status, [detail["argument_name"] for detail in answer["details"]]) == (400, [argument] * times)


def test_scaleways_own_sources(api: Api) -> None:
    """They are there without being made, and cannot be deleted."""
    own = ok(api, "GET", f"{COCKPIT}/data-sources", project_id=DEFAULT, origin="scaleway", types="metrics")
    (source,) = own["data_sources"]
    assert (source["name"], source["retention_days"]) == ("Scaleway Metrics", 31)
    path = f"{COCKPIT}/data-sources/{source['id']}"
    assert ok(api, "GET", path) == source
    assert api.request("DELETE", path)[0] == 412


def test_a_token_tells_its_secret_once(api: Api) -> None:
    """Reading it again does not show the secret."""
    scopes = ["full_access_metrics_rules", "write_only_logs"]
    made = ok(api, "POST", f"{COCKPIT}/tokens", {"name": "rules", "token_scopes": scopes})
    assert len(made["secret_key"]) >= 32
    path = f"{COCKPIT}/tokens/{made['id']}"
    for shown in (ok(api, "GET", path), ok(api, "GET", f"{COCKPIT}/tokens")["tokens"][0]):
        assert shown == {**made, "secret_key": ""}
    assert api.request("POST", f"{COCKPIT}/tokens", json={"name": "x", "token_scopes": ["everything"]})[0] == 400
    assert api.request("DELETE", path)[0] == 204
    assert api.request("DELETE", path)[0] == 404


def test_alerts_and_contact_points(api: Api) -> None:
    """Nothing before the alert manager is enabled, everything gone after it is disabled."""
    project = fresh_project(api)
    manager = f"{COCKPIT}/alert-manager"
    body = {"project_id": project}
    contact = {**body, "email": {"to": "ops@example.com"}}
    assert api.request("POST", f"{manager}/contact-points", json=contact)[0] == 412
    assert ok(api, "POST", f"{manager}/enable", body)["managed_alerts_enabled"] is False
    assert ok(api, "GET", f"{COCKPIT}/alerts", project_id=project)["total_count"] == 0
    ok(api, "POST", f"{manager}/managed-alerts/enable", body)
    alerts = ok(api, "GET", f"{COCKPIT}/alerts", project_id=project, is_preconfigured="true")["alerts"]
    assert {alert["rule_status"] for alert in alerts} == {"enabled"}
    rule = alerts[0]["preconfigured_data"]["preconfigured_rule_id"]
    off = ok(api, "POST", f"{manager}/disable-alert-rules", {**body, "rule_ids": [rule]})
    assert off == {"disabled_rule_ids": [rule]}
    assert ok(api, "GET", f"{COCKPIT}/alerts", project_id=project, rule_status="disabled")["total_count"] == 1
    assert ok(api, "POST", f"{manager}/contact-points", contact)["send_resolved_notifications"] is True
    assert api.request("POST", f"{manager}/contact-points", json=contact)[0] == 409
    assert ok(api, "GET", f"{manager}/contact-points", project_id=project)["total_count"] == 1
    assert api.request("POST", f"{manager}/contact-points/delete", json=contact)[0] == 204
    shown = ok(api, "POST", f"{manager}/disable", body)
    assert (shown["alert_manager_enabled"], shown["alert_manager_url"]) == (False, None)
    ok(api, "DELETE", f"/account/v3/projects/{project}")
    assert ok(api, "GET", manager, project_id=project) == shown
    assert api.request("GET", f"{manager}?project_id={KEY}")[0] == 403


def test_grafana_users_are_numbered_and_keep_their_password_to_themselves(api: Api) -> None:
    """Numbers begin at 2 and are not used again."""
    project = fresh_project(api)
    users = "/cockpit/v1/grafana/users"
    body = {"project_id": project, "login": "dev", "role": "editor"}
    made = ok(api, "POST", users, body)
    assert (made["id"], bool(made["password"])) == (2, True)
    assert api.request("POST", users, json=body)[0] == 409
    assert ok(api, "GET", users, project_id=project)["grafana_users"] == [{**made, "password": ""}]
    assert api.request("DELETE", f"{users}/2?project_id={project}")[0] == 204
    assert ok(api, "POST", users, body)["id"] == 3
    assert ok(api, "GET", "/cockpit/v1/grafana", project_id=project)["grafana_url"].startswith(f"https://{project}.")


def test_the_sdk_reads_every_answer(api: Api) -> None:
    """The calls that an engine makes, through Scaleway's own library."""
    client = Client(
        api_url=api.url,
        access_key="SCWLOCAL000000000000",
        secret_key="22222222-2222-4222-8222-222222222222",
        default_project_id=DEFAULT,
        default_region="fr-par",
    )
    cockpit, everywhere = CockpitV1RegionalAPI(client), CockpitV1GlobalAPI(client)
    source = cockpit.create_data_source(name="app-logs", type_="logs")  # type: ignore[arg-type]
    assert source.retention_days == 7
    exporter = cockpit.create_exporter(
        datasource_id=source.id,
        exported_products=["all"],
        name="elsewhere",
        otlp_destination=ExporterOTLPDestination(endpoint="https://otlp.example.com", headers={}),
    )
    assert cockpit.wait_for_exporter(exporter_id=exporter.id).status == "ready"
    assert cockpit.create_token(name="t", token_scopes=["write_only_logs"]).secret_key  # type: ignore[list-item]
    cockpit.enable_alert_manager()
    cockpit.create_contact_point(email=ContactPointEmail(to="ops@example.com"))
    cockpit.enable_managed_alerts()
    assert len(cockpit.list_alerts().alerts) == 22
    assert len(cockpit.list_contact_points_all()) == 1
    assert cockpit.get_rules_count().preconfigured_rules_count == 22
    assert cockpit.get_config().custom_logs_retention is not None
    assert cockpit.get_usage_overview().scaleway_metrics_usage is not None
    assert len(cockpit.list_data_sources_all()) == 3
    assert len(everywhere.list_plans_all()) == 3
    assert everywhere.get_current_plan().name == "free"
    assert everywhere.list_grafana_product_dashboards_all()
