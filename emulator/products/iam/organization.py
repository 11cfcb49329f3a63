"""The organization as a whole: quotas and security settings."""

from __future__ import annotations

from emulator.errors import not_found
from emulator.paging import page
from emulator.products.account import QUOTA
from emulator.products.iam.api import IAM, QUOTAS
from emulator.routing import Answer, Call
from emulator.world import DEFAULT_ORGANIZATION, Document, public

SECURITY_SETTINGS: Document = {
    "enforce_password_renewal": False,
    "grace_period_duration": "0s",
    "login_attempts_before_locked": 0,
    "max_login_session_duration": "0s",
    "max_api_key_expiration_duration": "0s",
}


def _quotum(name: str, limit: int) -> Document:
    return {
        "name": name,
        "limit": limit,
        "unlimited": False,
        "pretty_name": name,
        "unit": "",
        "description": "",
        "locality_type": "global",
        "limits": [{"global": True, "limit": limit, "unlimited": False}],
    }


def _quotas() -> list[Document]:
    limits = {"UsrProjectsWidth": QUOTA, **{name: limit for name, (_, limit) in QUOTAS.items()}}
    return [_quotum(name, limit) for name, limit in sorted(limits.items())]


@IAM.get("/quota")
def list_quotas(call: Call) -> Answer:
    """The quotas that the emulator enforces."""
    chosen = set(call.args("quotum_names"))
    found = [quotum for quotum in _quotas() if not chosen or quotum["name"] in chosen]
    return page(call, found, "quota")


@IAM.get("/quota/{quotum_name}")
def get_quotum(call: Call) -> Answer:
    """One quota."""
    name = call.params["quotum_name"]
    for quotum in _quotas():
        if quotum["name"] == name:
            return quotum
    raise not_found("quotum", name)


@IAM.get("/organizations/{organization_id}/security-settings")
def get_security_settings(call: Call) -> Answer:
    """How members must log in."""
    return public(_settings(call))


@IAM.patch("/organizations/{organization_id}/security-settings")
def update_security_settings(call: Call) -> Answer:
    """Change how members must log in."""
    settings = _settings(call)
    settings.update({name: call.body[name] for name in SECURITY_SETTINGS if call.body.get(name) is not None})
    return public(call.world.put("_iam.security_settings", settings, DEFAULT_ORGANIZATION))


def _settings(call: Call) -> Document:
    return call.world.find("_iam.security_settings", DEFAULT_ORGANIZATION) or dict(SECURITY_SETTINGS)
