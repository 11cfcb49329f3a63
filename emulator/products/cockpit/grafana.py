"""Grafana with its users and dashboards, plans, and what Cockpit tells about itself."""

from __future__ import annotations

import string

from emulator.errors import already_exists, invalid_arguments, not_found
from emulator.paging import page
from emulator.products.cockpit.scope import (
    DEFAULT_RETENTION,
    GLOBAL,
    LONGEST_RETENTION,
    REGIONAL,
    catalogue,
    order,
    project_of,
)
from emulator.products.cockpit.sources import synchronize
from emulator.routing import Answer, Call, Product
from emulator.world import Document

product = Product("cockpit", GLOBAL, resource="cockpit")
regional = Product("cockpit", REGIONAL, resource="cockpit")

USERS = "cockpit.grafana_users"
COUNTERS = "_cockpit.grafana"
PLANS_CHOSEN = "_cockpit.plans"
FIRST_USER = 2
"""The first user of a Grafana is Scaleway's own."""

PLANS = {
    name: {
        "name": name,
        "sample_ingestion_price": 15,
        "logs_ingestion_price": 35,
        "traces_ingestion_price": 35,
        "monthly_price": price,
        "retention_metrics_interval": metrics,
        "retention_logs_interval": others,
        "retention_traces_interval": others,
    }
    for name, price, metrics, others in (
        ("custom", 29, "31536000s", "2678400s"),
        ("free", 0, "2678400s", "604800s"),
        ("premium", 29, "31536000s", "2678400s"),
    )
}


@product.get("/grafana", call_ms=71)
def get_grafana(call: Call) -> Answer:
    """Where a project's Grafana is."""
    return {"grafana_url": _url(project_of(call))}


def _url(project: str) -> str:
    return f"https://{project}.dashboard.cockpit.scaleway.com"


@product.post("/grafana/sync-data-sources", call_ms=6103)
def sync_data_sources(call: Call) -> Answer:
    """Let Grafana look for data sources now."""
    synchronize(call.world, project_of(call))
    return None


# -- users -----------------------------------------------------------------------------------------------------


def _password(call: Call) -> str:
    return "".join(call.world.random.choices(string.ascii_letters + string.digits, k=24))


def _user_of(call: Call, project: str) -> Document:
    user = call.world.find(USERS, f"{project}/{call.params['grafana_user_id']}")
    if user is None:
        raise not_found("grafana user", call.params["grafana_user_id"])
    return user


def _shown(user: Document, password: str = "") -> Document:
    return {"id": user["id"], "login": user["login"], "role": user["role"], "password": password}


@product.post("/grafana/users", call_ms=21762)
def create_grafana_user(call: Call) -> Answer:
    """Make a user of a project's Grafana, with a password that is told once. Slow: 22 s and more."""
    project, world, login = project_of(call), call.world, str(call.body.get("login") or "")
    role = str(call.body.get("role") or "")
    if not login:
        raise invalid_arguments(("login", "required", "a login is needed"))
    if role not in {"editor", "viewer"}:
        raise invalid_arguments(("role", "constraint", "must be editor or viewer"))
    if any(user["login"] == login for user in world.where(USERS, _project_id=project)):
        raise already_exists("grafana user", login, "logins must be unique")
    counter = world.find(COUNTERS, project) or {"id": project, "next": FIRST_USER}
    user = {"id": counter["next"], "login": login, "role": role, "_project_id": project}
    world.put(COUNTERS, {**counter, "next": counter["next"] + 1})
    world.put(USERS, user, key=f"{project}/{user['id']}")
    return _shown(user, _password(call))


@product.get("/grafana/users", call_ms=140)
def list_grafana_users(call: Call) -> Answer:
    """Users of a project's Grafana, without passwords."""
    found = list(call.world.where(USERS, _project_id=project_of(call)))
    return page(call, order(call, found, "login_asc"), "grafana_users", show=_shown)


@product.delete("/grafana/users/{grafana_user_id}", call_ms=231)
def delete_grafana_user(call: Call) -> Answer:
    """Delete a user of a project's Grafana."""
    project = project_of(call)
    call.world.remove(USERS, f"{project}/{_user_of(call, project)['id']}")
    return None


@product.post("/grafana/users/{grafana_user_id}/reset-password")
def reset_grafana_user_password(call: Call) -> Answer:
    """Give a user another password."""
    return _shown(_user_of(call, project_of(call)), _password(call))


# -- dashboards ------------------------------------------------------------------------------------------------


def _dashboards(project: str) -> list[Document]:
    """Scaleway's dashboards: those that the preconfigured alerts point at."""
    paths = {
        alert["dashboard"]: alert for alert in catalogue()["alerts"] if (alert["dashboard"] or "").startswith("/d/")
    }
    return [
        {
            "name": path.split("/")[2],
            "title": f"{alert['product_name']} Overview",
            "url": f"{_url(project)}{path}",
            "tags": ["scaleway", alert["product_name"].lower()],
            "variables": ["region"],
        }
        for path, alert in sorted(paths.items())
    ]


@product.get("/grafana/product-dashboards")
def list_dashboards(call: Call) -> Answer:
    """Scaleway's dashboards, by tags."""
    wanted = set(call.args("tags"))
    found = [d for d in _dashboards(project_of(call)) if wanted <= set(d["tags"])]
    return page(call, found, "dashboards")


@product.get("/grafana/product-dashboards/{dashboard_name}")
def get_dashboard(call: Call) -> Answer:
    """One of Scaleway's dashboards."""
    name = call.params["dashboard_name"]
    for dashboard in _dashboards(project_of(call)):
        if dashboard["name"] == name:
            return dashboard
    raise not_found("dashboard", name)


# -- plans -----------------------------------------------------------------------------------------------------


@product.get("/plans")
def list_plans(call: Call) -> Answer:
    """The plans on offer."""
    return page(call, order(call, list(PLANS.values()), "name_asc"), "plans")


@product.patch("/plans", call_ms=85)
def select_plan(call: Call) -> Answer:
    """Choose a project's plan."""
    project, name = project_of(call), str(call.body.get("plan_name") or "")
    if name not in PLANS:
        raise invalid_arguments(("plan_name", "constraint", f"unknown plan {name!r}"))
    call.world.put(PLANS_CHOSEN, {"id": project, "name": name})
    return PLANS[name]


@product.get("/current-plan")
def get_current_plan(call: Call) -> Answer:
    """A project's plan: free unless it chose another."""
    chosen = call.world.find(PLANS_CHOSEN, project_of(call)) or {"name": "free"}
    return PLANS[chosen["name"]]


# -- about Cockpit ---------------------------------------------------------------------------------------------


@regional.get("/products")
def list_products(call: Call) -> Answer:
    """The products whose metrics and logs Cockpit receives."""
    return page(call, order(call, catalogue()["products"], "display_name_asc"), "products_list", default_size=100)


@regional.get("/config")
def get_config(call: Call) -> Answer:
    """The bounds of retention."""

    def bounds(kind: str) -> Document:
        return {"min_days": 1, "max_days": LONGEST_RETENTION[kind], "default_days": DEFAULT_RETENTION[kind]}

    return {
        "custom_metrics_retention": bounds("metrics"),
        "custom_logs_retention": bounds("logs"),
        "custom_traces_retention": bounds("traces"),
        "product_metrics_retention": bounds("metrics"),
        "product_logs_retention": bounds("logs"),
    }


@regional.get("/usage-overview")
def get_usage_overview(call: Call) -> Answer:
    """What a project sent: nothing is measured here."""
    project = project_of(call)

    def usage(origin: str, kind: str) -> Document:
        return {
            "data_source_id": None,
            "project_id": project,
            "data_source_origin": origin,
            "data_source_type": kind,
            "unit": "samples" if kind == "metrics" else "bytes",
            "interval": call.arg("interval"),
            "quantity_over_interval": 0,
            "region": call.params["region"],
        }

    pairs = [("scaleway", "metrics"), ("scaleway", "logs")]
    pairs += [("external", kind) for kind in ("metrics", "logs", "traces")]
    return {f"{origin}_{kind}_usage": usage(origin, kind) for origin, kind in pairs}
