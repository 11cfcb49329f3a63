"""Policies and their rules: what a principal may do, and where."""

from __future__ import annotations

from typing import Any

from emulator.auth import open_window
from emulator.errors import invalid_arguments, not_found
from emulator.products.iam.api import IAM, change, check_quota, listing, new, select
from emulator.products.iam.permission_sets import SCOPES
from emulator.routing import Answer, Call
from emulator.world import DEFAULT_ORGANIZATION, Document, public

PRINCIPALS = {"application_id": "application", "group_id": "group", "user_id": "user"}


@IAM.post("/policies", call_ms=155)
def create_policy(call: Call) -> Answer:
    """Make a policy with its rules. The answer counts none of them yet; the next read does."""
    check_quota(call, "IamPolicies")
    rules = [_rule(call, number, rule) for number, rule in enumerate(call.body.get("rules") or [])]
    policy = new(call, nb_rules=0, nb_scopes=0, nb_permission_sets=0)
    _set_principal(call, policy)
    open_window(call.world, policy)
    answer = public(policy)
    _store(call, policy, rules)
    return answer


@IAM.get("/policies", call_ms=113)
def list_policies(call: Call) -> Answer:
    """Policies by name, tag, principal or ids."""
    found = select(
        call,
        call.world.all("iam.policies"),
        policy_ids="id",
        application_ids="application_id",
        group_ids="group_id",
        user_ids="user_id",
    )
    if name := call.arg("policy_name"):
        found = [policy for policy in found if name in policy["name"]]
    if (without := call.flag("no_principal")) is not None:
        found = [policy for policy in found if policy.get("no_principal", False) is without]
    return listing(call, found, "policies")


@IAM.get("/policies/{policy_id}", call_ms=57)
def get_policy(call: Call) -> Answer:
    """One policy."""
    return public(_policy(call))


@IAM.patch("/policies/{policy_id}", call_ms=122)
def update_policy(call: Call) -> Answer:
    """Change name, description, tags or principal."""
    policy = _policy(call)
    _set_principal(call, policy)
    change(call, policy, "name", "description", "tags")
    return public(call.world.put("iam.policies", policy))


@IAM.delete("/policies/{policy_id}", call_ms=103)
def delete_policy(call: Call) -> Answer:
    """Remove a policy and its rules."""
    policy_id = _policy(call)["id"]
    _drop_rules(call, policy_id)
    call.world.remove("iam.policies", policy_id)
    return None


@IAM.post("/policies/{policy_id}/clone")
def clone_policy(call: Call) -> Answer:
    """Make another policy with the same rules and no principal."""
    check_quota(call, "IamPolicies")
    source = _policy(call)
    rules = [{**rule, "id": call.world.new_id()} for rule in call.world.where("iam.rules", _policy_id=source["id"])]
    clone = {**public(source), "id": call.world.new_id(), "name": f"{source['name']} (copy)", "no_principal": True}
    for field in PRINCIPALS:
        clone.pop(field, None)
    _store(call, clone, rules)
    return public(clone)


@IAM.get("/rules", call_ms=54)
def list_rules(call: Call) -> Answer:
    """The rules of one policy."""
    policy_id = call.arg("policy_id")
    if not policy_id:
        raise invalid_arguments(("policy_id", "required", ""))
    call.require("iam.policies", policy_id, "policy")
    return listing(call, call.world.where("iam.rules", _policy_id=policy_id), "rules")


@IAM.put("/rules", call_ms=120)
def set_rules(call: Call) -> Answer:
    """Replace all rules of a policy; each gets a new id."""
    policy = call.require("iam.policies", str(call.body.get("policy_id")), "policy")
    rules = [_rule(call, number, rule) for number, rule in enumerate(call.body.get("rules") or [])]
    _drop_rules(call, policy["id"])
    open_window(call.world, policy)
    _store(call, policy, rules)
    return {"rules": [public(rule) for rule in rules]}


def _policy(call: Call) -> Document:
    return call.require("iam.policies", call.params["policy_id"], "policy")


def _set_principal(call: Call, policy: Document) -> None:
    """Take the principal that the body names; a policy shows no more than one."""
    named = [field for field in (*PRINCIPALS, "no_principal") if call.body.get(field)]
    if not named and any(field in policy for field in (*PRINCIPALS, "no_principal")):
        return
    if len(named) != 1:
        raise invalid_arguments(("principal", "constraint", "exactly one principal must be given"))
    field = named[0]
    if field in PRINCIPALS and call.world.find(f"iam.{PRINCIPALS[field]}s", call.body[field]) is None:
        raise not_found(PRINCIPALS[field], call.body[field])
    for other in (*PRINCIPALS, "no_principal"):
        policy.pop(other, None)
    policy[field] = call.body[field]


def _rule(call: Call, number: int, rule: Any) -> Document:
    names = rule.get("permission_set_names") or []
    if not names:
        raise invalid_arguments((f"rules.{number}.permission_set_names", "required", ""))
    for name in names:
        if name not in SCOPES:
            raise not_found("permission_set", name)
    document: Document = {
        "id": call.world.new_id(),
        "permission_set_names": list(names),
        "permission_sets_scope_type": SCOPES[names[0]],
        "condition": rule.get("condition") or "",
    }
    if projects := rule.get("project_ids"):
        for project_id in projects:
            if call.world.find("account.projects", project_id) is None:
                raise not_found("project", project_id)
        return document | {"project_ids": list(projects)}
    if not rule.get("organization_id"):
        raise invalid_arguments((f"rules.{number}.scope", "required", "project_ids or organization_id must be given"))
    return document | {"organization_id": DEFAULT_ORGANIZATION}


def _drop_rules(call: Call, policy_id: str) -> None:
    for rule in list(call.world.where("iam.rules", _policy_id=policy_id)):
        call.world.remove("iam.rules", rule["id"])


def _store(call: Call, policy: Document, rules: list[Document]) -> None:
    for rule in rules:
        call.world.put("iam.rules", {**rule, "_policy_id": policy["id"]})
    policy["nb_rules"] = len(rules)
    policy["nb_scopes"] = len({scope for rule in rules for scope in rule.get("project_ids") or [DEFAULT_ORGANIZATION]})
    policy["nb_permission_sets"] = len({name for rule in rules for name in rule["permission_set_names"]})
    call.world.put("iam.policies", policy)
