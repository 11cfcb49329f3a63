"""SAML and SCIM: logins and users that come from the organization's own directory."""

from __future__ import annotations

from datetime import timedelta

from emulator.errors import already_exists, invalid_arguments, not_found
from emulator.products.iam.api import IAM, listing
from emulator.routing import Answer, Call
from emulator.world import Document, public

YEAR_S = timedelta(days=365).total_seconds()


def _enabled(call: Call, kind: str) -> Document | None:
    return next(call.world.where(f"iam.{kind}s", _organization_id=call.params["organization_id"]), None)


def _refuse_second(call: Call, kind: str) -> None:
    if (there := _enabled(call, kind)) is not None:
        raise already_exists(f"organization_{kind}", there["id"])


@IAM.post("/organizations/{organization_id}/saml", call_ms=179)
def enable_saml(call: Call) -> Answer:
    """Start to accept SAML logins."""
    _refuse_second(call, "saml")
    key = call.world.new_id()
    saml = {
        "id": key,
        "status": "missing_certificate",
        "service_provider": {
            "entity_id": f"https://iam.scaleway.com/saml/{key}",
            "assertion_consumer_service_url": f"https://api.scaleway.com/iam/v1/saml/{key}/login",
        },
        "entity_id": "",
        "single_sign_on_url": "",
        "_organization_id": call.params["organization_id"],
    }
    return public(call.world.put("iam.samls", saml))


@IAM.get("/organizations/{organization_id}/saml", call_ms=177)
def get_saml(call: Call) -> Answer:
    """The organization's SAML configuration."""
    saml = _enabled(call, "saml")
    if saml is None:
        raise not_found("organization_saml", call.params["organization_id"])
    return public(saml)


@IAM.patch("/saml/{saml_id}", call_ms=191)
def update_saml(call: Call) -> Answer:
    """Name the identity provider."""
    saml = call.require("iam.samls", call.params["saml_id"], "saml")
    for field in ("entity_id", "single_sign_on_url"):
        if call.body.get(field) is not None:
            saml[field] = call.body[field]
    return public(_assess(call, saml))


@IAM.delete("/saml/{saml_id}", call_ms=168)
def disable_saml(call: Call) -> Answer:
    """Stop accepting SAML logins."""
    saml = call.require("iam.samls", call.params["saml_id"], "saml")
    for certificate in list(call.world.where("iam.saml_certificates", _saml_id=saml["id"])):
        call.world.remove("iam.saml_certificates", certificate["id"])
    call.world.remove("iam.samls", saml["id"])
    return None


@IAM.post("/saml/{saml_id}/certificates", call_ms=220)
def add_certificate(call: Call) -> Answer:
    """Add a certificate of the identity provider."""
    saml = call.require("iam.samls", call.params["saml_id"], "saml")
    content = call.body.get("content")
    if not isinstance(content, str) or "BEGIN CERTIFICATE" not in content:
        raise invalid_arguments(("content", "format", "must be a certificate in PEM"))
    certificate = {
        "id": call.world.new_id(),
        "type": call.body.get("type") or "signing",
        "origin": "identity_provider",
        "content": content,
        "expires_at": call.world.timestamp(call.world.now() + YEAR_S),
        "_saml_id": saml["id"],
    }
    call.world.put("iam.saml_certificates", certificate)
    _assess(call, saml)
    return public(certificate)


@IAM.get("/saml/{saml_id}/certificates", call_ms=179)
def list_certificates(call: Call) -> Answer:
    """All certificates of the identity provider."""
    saml = call.require("iam.samls", call.params["saml_id"], "saml")
    found = call.world.where("iam.saml_certificates", _saml_id=saml["id"])
    return {"certificates": [public(certificate) for certificate in found]}


@IAM.get("/saml-certificates/{certificate_id}", call_ms=180)
def get_certificate(call: Call) -> Answer:
    """One certificate."""
    return public(call.require("iam.saml_certificates", call.params["certificate_id"], "saml_certificate"))


@IAM.delete("/saml-certificates/{certificate_id}", call_ms=192)
def delete_certificate(call: Call) -> Answer:
    """Remove a certificate."""
    certificate = call.require("iam.saml_certificates", call.params["certificate_id"], "saml_certificate")
    call.world.remove("iam.saml_certificates", certificate["id"])
    _assess(call, call.require("iam.samls", certificate["_saml_id"], "saml"))
    return None


def _assess(call: Call, saml: Document) -> Document:
    """Set the status: the first thing that is missing."""
    has_certificate = any(call.world.where("iam.saml_certificates", _saml_id=saml["id"]))
    if not has_certificate:
        saml["status"] = "missing_certificate"
    elif not saml["entity_id"]:
        saml["status"] = "missing_entity_id"
    else:
        saml["status"] = "valid" if saml["single_sign_on_url"] else "missing_single_sign_on_url"
    return call.world.put("iam.samls", saml)


@IAM.post("/organizations/{organization_id}/scim", call_ms=184)
def enable_scim(call: Call) -> Answer:
    """Start to accept users by SCIM."""
    _refuse_second(call, "scim")
    scim = {
        "id": call.world.new_id(),
        "created_at": call.world.timestamp(),
        "_organization_id": call.params["organization_id"],
    }
    return public(call.world.put("iam.scims", scim))


@IAM.get("/organizations/{organization_id}/scim", call_ms=56)
def get_scim(call: Call) -> Answer:
    """The organization's SCIM configuration."""
    scim = _enabled(call, "scim")
    if scim is None:
        raise not_found("organization_scim", call.params["organization_id"])
    return public(scim)


@IAM.delete("/scim/{scim_id}", call_ms=162)
def disable_scim(call: Call) -> Answer:
    """Stop accepting users by SCIM."""
    scim = call.require("iam.scims", call.params["scim_id"], "scim")
    for token in list(call.world.where("iam.scim_tokens", scim_id=scim["id"])):
        call.world.remove("iam.scim_tokens", token["id"])
    call.world.remove("iam.scims", scim["id"])
    return None


@IAM.post("/scim/{scim_id}/tokens", call_ms=595)
def create_scim_token(call: Call) -> Answer:
    """Make a token for the directory; it is shown this once."""
    scim = call.require("iam.scims", call.params["scim_id"], "scim")
    world = call.world
    token = {
        "id": world.new_id(),
        "scim_id": scim["id"],
        "created_at": world.timestamp(),
        "expires_at": world.timestamp(world.now() + YEAR_S),
    }
    return {"token": public(world.put("iam.scim_tokens", token)), "bearer_token": world.new_id()}


@IAM.get("/scim/{scim_id}/tokens", call_ms=55)
def list_scim_tokens(call: Call) -> Answer:
    """The tokens of one configuration."""
    scim = call.require("iam.scims", call.params["scim_id"], "scim")
    return listing(call, call.world.where("iam.scim_tokens", scim_id=scim["id"]), "scim_tokens")


@IAM.delete("/scim-tokens/{token_id}", call_ms=70)
def delete_scim_token(call: Call) -> Answer:
    """Revoke a token."""
    token = call.require("iam.scim_tokens", call.params["token_id"], "scim_token")
    call.world.remove("iam.scim_tokens", token["id"])
    return None
