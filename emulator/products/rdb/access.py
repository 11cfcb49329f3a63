"""Who may connect to an instance, how, and with which settings: ACL, certificate, engine settings."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from emulator.errors import invalid_arguments, quotas_exceeded, transient_state
from emulator.paging import page
from emulator.products.rdb import catalogue
from emulator.products.rdb.endpoints import served
from emulator.products.rdb.instances import settings_of
from emulator.products.rdb.model import (
    INSTANCES,
    PREFIX,
    RECONFIGURED_AFTER,
    become,
    instance_of,
    ready_instance_of,
)
from emulator.routing import Answer, Call, Product
from emulator.world import Document, World

product = Product("rdb", PREFIX)

ACL_AFTER = 10.0
MOST_RULES = 50
CERTIFICATE_DAYS = 3650

# -- ACL -------------------------------------------------------------------------------------------------------


def _rules(instance: Document, rules: Iterable[Document]) -> list[Document]:
    """ACL rules as shown: they filter the public endpoint only, on its port."""
    port = next((e["port"] for e in instance["endpoints"] if "load_balancer" in e), None)
    fixed = {"protocol": "tcp", "direction": "inbound", "action": "allow"}
    return [{**rule, "port": port, **fixed} for rule in rules]


def _wanted(call: Call) -> list[Document]:
    """The rules of the body, checked: {"ip", "description"}."""
    wanted = []
    for rule in call.body.get("rules") or []:
        try:
            network = ipaddress.ip_network(str(rule.get("ip") or ""))
        except ValueError:
            raise invalid_arguments(("ip", "format", "must be a network in CIDR notation")) from None
        wanted.append({"ip": str(network), "description": rule.get("description") or "IP allowed"})
    return wanted


def _store(call: Call, instance: Document, rules: list[Document]) -> None:
    if len(rules) > MOST_RULES:
        raise quotas_exceeded("rdb_acl_rules", MOST_RULES, len(instance["_acl"]))
    instance["_acl"] = rules
    become(call.world, instance, "configuring", ACL_AFTER)


@product.get("/instances/{instance_id}/acls")
def list_acl_rules(call: Call) -> Answer:
    """The rules of the public endpoint."""
    instance = instance_of(call)
    return page(call, _rules(instance, instance["_acl"]), "rules")


@product.put("/instances/{instance_id}/acls")
def set_acl_rules(call: Call) -> Answer:
    """Replace all rules."""
    instance, rules = ready_instance_of(call), _wanted(call)
    _store(call, instance, rules)
    return {"rules": _rules(instance, rules)}


@product.post("/instances/{instance_id}/acls")
def add_acl_rules(call: Call) -> Answer:
    """Add rules; one for the same network is replaced."""
    instance, added = ready_instance_of(call), _wanted(call)
    networks = {rule["ip"] for rule in added}
    _store(call, instance, [rule for rule in instance["_acl"] if rule["ip"] not in networks] + added)
    return {"rules": _rules(instance, instance["_acl"])}


@product.delete("/instances/{instance_id}/acls", call_ms=226)
def delete_acl_rules(call: Call) -> Answer:
    """Remove the rules of these networks; the answer names those removed."""
    instance = ready_instance_of(call)
    gone = set(call.body.get("acl_rule_ips") or [])
    removed = [rule for rule in instance["_acl"] if rule["ip"] in gone]
    _store(call, instance, [rule for rule in instance["_acl"] if rule["ip"] not in gone])
    return {"rules": _rules(instance, removed)}


# -- settings --------------------------------------------------------------------------------------------------


def _apply(call: Call, instance: Document, shown: dict[str, str], own: dict[str, str]) -> list[Document]:
    catalogue.check_settings(instance["engine"], [{"name": name, "value": value} for name, value in own.items()])
    instance["_settings"] = own
    instance["settings"] = settings_of(shown)
    become(call.world, instance, "configuring", RECONFIGURED_AFTER)
    return list(instance["settings"])


def _given(call: Call) -> dict[str, str]:
    return {str(setting["name"]): str(setting["value"]) for setting in call.body.get("settings") or []}


@product.put("/instances/{instance_id}/settings", call_ms=327)
def set_settings(call: Call) -> Answer:
    """Replace the settings; the instance then shows just these."""
    given = _given(call)
    _apply(call, ready_instance_of(call), given, given)
    return {"settings": [{"name": name, "value": value} for name, value in given.items()]}


@product.post("/instances/{instance_id}/settings")
def add_settings(call: Call) -> Answer:
    """Set some settings and leave the others."""
    instance, given = ready_instance_of(call), _given(call)
    shown = {setting["name"]: setting["value"] for setting in instance["settings"]}
    return {"settings": _apply(call, instance, {**shown, **given}, {**instance.get("_settings", {}), **given})}


@product.delete("/instances/{instance_id}/settings")
def delete_settings(call: Call) -> Answer:
    """Forget settings, which return to the engine's defaults."""
    instance, gone = ready_instance_of(call), set(call.body.get("setting_names") or [])
    own = {name: value for name, value in instance.get("_settings", {}).items() if name not in gone}
    shown = {s["name"]: s["value"] for s in instance["settings"] if s["name"] not in gone}
    return {"settings": _apply(call, instance, shown, own)}


# -- certificate -----------------------------------------------------------------------------------------------


@product.get("/instances/{instance_id}/certificate", call_ms=115)
def get_certificate(call: Call) -> Answer:
    """The certificate that clients check the instance's by; 409 before the instance was ever there."""
    instance = instance_of(call)
    if instance["status"] == "provisioning":
        raise transient_state("instance", instance["id"], instance["status"])
    certificate, _ = certified(call.world, instance)
    content = base64.b64encode(certificate.encode()).decode()
    return {"name": "ssl_certificate", "content_type": "application/x-pem-file", "content": content}


@product.post("/instances/{instance_id}/renew-certificate", call_ms=335)
def renew_certificate(call: Call) -> Answer:
    """Issue another certificate."""
    _certify(call.world, ready_instance_of(call))
    return None


def certified(world: World, instance: Document) -> tuple[str, str]:
    """The certificate of an instance and its key, both PEM; made when an endpoint first needs it."""
    addresses = {endpoint["ip"] for endpoint in served(instance)}
    if "_certificate" not in instance or not addresses <= set(instance["_certified"]):
        _certify(world, instance)
    return instance["_certificate"], instance["_certificate_key"]


def _certify(world: World, instance: Document) -> None:
    """Give an instance a self-signed certificate for the addresses of its endpoints."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, instance["id"])])
    now = datetime.now(UTC)
    served_at = [endpoint["ip"] for endpoint in served(instance)]
    addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in served_at]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(f"{instance['id']}.rdb"), *addresses]), critical=False)
        .sign(key, hashes.SHA256())
    )
    instance["_certified"] = served_at
    instance["_certificate"] = certificate.public_bytes(serialization.Encoding.PEM).decode()
    instance["_certificate_key"] = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    world.put(INSTANCES, instance)
