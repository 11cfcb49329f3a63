"""Data sources, the tokens that open them, and exporters."""

from __future__ import annotations

import re
import string

from emulator.errors import invalid_arguments, not_found, precondition_failed
from emulator.paging import page
from emulator.products.cockpit.scope import (
    DEFAULT_RETENTION,
    LONGEST_RETENTION,
    REGIONAL,
    fed,
    order,
    project_of,
    scaleway_sources,
    shown_source,
    url_of,
)
from emulator.routing import Answer, Call, Product
from emulator.world import Document, World, public

product = Product("cockpit", REGIONAL, resource="cockpit")

SOURCES = "cockpit.data_sources"
TOKENS = "cockpit.tokens"
EXPORTERS = "cockpit.exporters"
RULES = "cockpit.rules"

SYNCHRONIZED_AFTER = 6.0
EXPORTING_AFTER = 16.0

NAME = re.compile(r"[A-Za-z0-9-_. ]+")
SCOPES = {
    "read_only_metrics",
    "write_only_metrics",
    "full_access_metrics_rules",
    "read_only_logs",
    "write_only_logs",
    "full_access_logs_rules",
    "full_access_alert_manager",
    "read_only_traces",
    "write_only_traces",
}
RULES_SCOPE = "full_access_metrics_rules"
DEFAULT_SCOPES = ["write_only_metrics", "write_only_logs"]
SECRET_LENGTH = 64


def _in_region(call: Call, table: str, key: str, resource: str) -> Document:
    document = call.world.find(table, key)
    if document is None or document.get("region", document.get("_region")) != call.params["region"]:
        raise not_found(resource, key)
    return document


# -- data sources ----------------------------------------------------------------------------------------------


def _checked_name(name: str) -> str:
    wrong = []
    if not 3 <= len(name) <= 50:
        wrong.append(("name", "constraint", "value length must be between 3 and 50 runes, inclusive"))
    if not NAME.fullmatch(name):
        wrong.append(("name", "constraint", f'value does not match regex pattern "^{NAME.pattern}$"'))
    if wrong:
        raise invalid_arguments(*wrong)
    return name


def _retention(call: Call, kind: str) -> int:
    days, longest = call.body.get("retention_days"), LONGEST_RETENTION[kind]
    if days is None:
        return DEFAULT_RETENTION[kind]
    if not 1 <= int(days) <= longest:
        raise invalid_arguments(("retention_days", "constraint", f"must be between 1 and {longest}"))
    return int(days)


def source_of(call: Call, key: str) -> Document:
    """A data source of the region, a project's own or Scaleway's; 404 if there is none."""
    source = find_source(call.world, call.params["region"], key)
    if source is None:
        raise not_found("data source", key)
    return source


def find_source(world: World, region: str, key: str) -> Document | None:
    """A data source of a region, a project's own or Scaleway's."""
    for project in world.all("account.projects"):
        for source in scaleway_sources(world, project["id"], region):
            if source["id"] == key:
                return source
    own = world.find(SOURCES, key)
    return own if own and own["region"] == region else None


def _own_source_of(call: Call) -> Document:
    source = source_of(call, call.params["data_source_id"])
    if source["origin"] == "scaleway":
        raise precondition_failed("resource_not_usable", "data sources of Scaleway cannot be changed")
    return source


@product.post("/data-sources", call_ms=270)
def create_data_source(call: Call) -> Answer:
    """Make a data source for metrics, logs or traces."""
    project, world = project_of(call), call.world
    kind = str(call.body.get("type") or "")
    if kind not in DEFAULT_RETENTION:
        raise invalid_arguments(("type", "constraint", "must be metrics, logs or traces"))
    name, days, now = _checked_name(str(call.body.get("name") or "")), _retention(call, kind), world.timestamp()
    key = world.new_id()
    source: Document = {
        "id": key,
        "project_id": project,
        "name": name,
        "url": url_of(world, kind, key, call.params["region"]),
        "type": kind,
        "origin": "custom",
        "created_at": now,
        "updated_at": now,
        "synchronized_with_grafana": False,
        "retention_days": days,
        "region": call.params["region"],
    }
    return public(world.put(SOURCES, source))


@product.get("/data-sources", call_ms=219)
def list_data_sources(call: Call) -> Answer:
    """Data sources of a project, by origin and type."""
    project, region = project_of(call), call.params["region"]
    found = list(call.world.where(SOURCES, project_id=project, region=region))
    origin = call.arg("origin") or "unknown_origin"
    if origin == "scaleway" or fed(call.world, project, region):
        found = scaleway_sources(call.world, project, region) + found
    if origin != "unknown_origin":
        found = [source for source in found if source["origin"] == origin]
    if types := [kind for kind in call.args("types") if kind != "unknown_type"]:
        found = [source for source in found if source["type"] in types]
    return page(call, order(call, found, "created_at_asc"), "data_sources", show=shown_source)


@product.get("/data-sources/{data_source_id}", call_ms=83)
def get_data_source(call: Call) -> Answer:
    """One data source."""
    return shown_source(source_of(call, call.params["data_source_id"]))


@product.patch("/data-sources/{data_source_id}")
def update_data_source(call: Call) -> Answer:
    """Change a data source's name or retention."""
    source = _own_source_of(call)
    if call.body.get("name") is not None:
        source["name"] = _checked_name(str(call.body["name"]))
    if call.body.get("retention_days") is not None:
        source["retention_days"] = _retention(call, source["type"])
    source["updated_at"] = call.world.timestamp()
    return public(call.world.put(SOURCES, source))


@product.delete("/data-sources/{data_source_id}", call_ms=244)
def delete_data_source(call: Call) -> Answer:
    """Delete a data source and what is in it."""
    source = _own_source_of(call)
    for rules in list(call.world.where(RULES, _source=source["id"])):
        call.world.remove(RULES, rules["id"])
    call.world.remove(SOURCES, source["id"])
    return None


def synchronize(world: World, project: str) -> None:
    """Let Grafana see the data sources of a project, shortly."""
    for source in world.where(SOURCES, project_id=project):
        world.later(SYNCHRONIZED_AFTER, SOURCES, source["id"], change={"synchronized_with_grafana": True})


# -- tokens ----------------------------------------------------------------------------------------------------


@product.post("/tokens", call_ms=117)
def create_token(call: Call) -> Answer:
    """Make a token. Its secret is told here and never again."""
    project, world, name = project_of(call), call.world, str(call.body.get("name") or "")
    if not name:
        raise invalid_arguments(("name", "required", "a name is needed"))
    scopes = list(call.body.get("token_scopes") or DEFAULT_SCOPES)
    if unknown := set(scopes) - SCOPES:
        raise invalid_arguments(("token_scopes", "constraint", f"unknown scopes {sorted(unknown)}"))
    now = world.timestamp()
    token: Document = {
        "id": world.new_id(),
        "project_id": project,
        "name": name,
        "created_at": now,
        "updated_at": now,
        "scopes": scopes,
        "secret_key": "",
        "region": call.params["region"],
    }
    secret = "".join(world.random.choices(string.ascii_letters + string.digits + "-_", k=SECRET_LENGTH))
    world.put(TOKENS, {**token, "_secret_key": secret})
    return {**token, "secret_key": secret}


@product.get("/tokens")
def list_tokens(call: Call) -> Answer:
    """Tokens of a project, by scopes."""
    found = call.world.where(TOKENS, project_id=project_of(call), region=call.params["region"])
    wanted = set(call.args("token_scopes"))
    tokens = [token for token in found if wanted <= set(token["scopes"])]
    return page(call, order(call, tokens, "created_at_asc"), "tokens")


@product.get("/tokens/{token_id}", call_ms=57)
def get_token(call: Call) -> Answer:
    """One token, without its secret."""
    return public(_in_region(call, TOKENS, call.params["token_id"], "token"))


@product.delete("/tokens/{token_id}", call_ms=58)
def delete_token(call: Call) -> Answer:
    """Delete a token."""
    call.world.remove(TOKENS, _in_region(call, TOKENS, call.params["token_id"], "token")["id"])
    return None


# -- exporters -------------------------------------------------------------------------------------------------


def _destination(body: Document) -> Document:
    """The one destination of the body; Datadog's API key is kept but never shown."""
    given = {key: body[key] for key in ("datadog_destination", "otlp_destination") if body.get(key)}
    if len(given) != 1:
        raise invalid_arguments(("destination", "constraint", "exactly one destination must be given"))
    if "datadog_destination" in given:
        datadog = given["datadog_destination"]
        return {
            "datadog_destination": {"endpoint": datadog.get("endpoint") or "https://api.datadoghq.com"},
            "_datadog_key": datadog.get("api_key"),
        }
    otlp = given["otlp_destination"]
    return {"otlp_destination": {"endpoint": otlp.get("endpoint"), "headers": otlp.get("headers") or {}}}


def _start(world: World, exporter: Document) -> Answer:
    exporter.update(status="creating", updated_at=world.timestamp())
    world.put(EXPORTERS, exporter)
    world.later(EXPORTING_AFTER, EXPORTERS, exporter["id"], change={"status": "ready"})
    return public(exporter)


@product.post("/exporters")
def create_exporter(call: Call) -> Answer:
    """Send what a data source receives elsewhere as well."""
    body, world = call.body, call.world
    source = source_of(call, str(body.get("datasource_id") or ""))
    now = world.timestamp()
    exporter: Document = {
        "id": world.new_id(),
        "name": _checked_name(str(body.get("name") or "")),
        "description": body.get("description") or "",
        "datasource_id": source["id"],
        "exported_products": body.get("exported_products") or ["all"],
        "created_at": now,
        **_destination(body),
        "_region": call.params["region"],
        "_project_id": source["project_id"],
    }
    return _start(world, exporter)


@product.get("/exporters")
def list_exporters(call: Call) -> Answer:
    """Exporters of a project."""
    found = list(call.world.where(EXPORTERS, _project_id=project_of(call), _region=call.params["region"]))
    return page(call, order(call, found, "created_at_asc"), "exporters")


@product.get("/exporters/{exporter_id}", call_ms=151)
def get_exporter(call: Call) -> Answer:
    """One exporter."""
    return public(_in_region(call, EXPORTERS, call.params["exporter_id"], "exporter"))


@product.patch("/exporters/{exporter_id}")
def update_exporter(call: Call) -> Answer:
    """Change an exporter, which starts anew."""
    exporter, body = _in_region(call, EXPORTERS, call.params["exporter_id"], "exporter"), call.body
    for field in ("name", "description", "exported_products"):
        if body.get(field) is not None:
            exporter[field] = body[field]
    if body.get("datadog_destination") or body.get("otlp_destination"):
        for old in ("datadog_destination", "otlp_destination"):
            exporter.pop(old, None)
        exporter.update(_destination(body))
    return _start(call.world, exporter)


@product.delete("/exporters/{exporter_id}")
def delete_exporter(call: Call) -> Answer:
    """Stop an exporter."""
    exporter = _in_region(call, EXPORTERS, call.params["exporter_id"], "exporter")
    call.world.remove(EXPORTERS, exporter["id"])
    return None
