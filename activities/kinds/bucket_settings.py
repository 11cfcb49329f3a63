"""Life cycle, CORS and Object Lock of a bucket: between the file's form and that of S3. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from types_boto3_s3.type_defs import (
        BucketLifecycleConfigurationTypeDef,
        CORSConfigurationTypeDef,
        LifecycleRuleTypeDef,
        ObjectLockConfigurationTypeDef,
        ObjectLockRuleTypeDef,
    )


def lifecycle_wanted(rules: Sequence[Mapping[str, Any]]) -> BucketLifecycleConfigurationTypeDef:
    """The rules as S3 takes them."""
    return {"Rules": [_rule_wanted(number, rule) for number, rule in enumerate(rules, 1)]}


def _rule_wanted(number: int, rule: Mapping[str, Any]) -> LifecycleRuleTypeDef:
    wanted: LifecycleRuleTypeDef = {
        "ID": f"rule-{number:03d}",
        "Status": "Enabled",
        "Filter": {"Prefix": rule["prefix"]},
    }
    if rule["expire_days"]:
        wanted["Expiration"] = {"Days": rule["expire_days"]}
    if rule["expire_noncurrent_days"]:
        wanted["NoncurrentVersionExpiration"] = {"NoncurrentDays": rule["expire_noncurrent_days"]}
    if rule["transition_days"]:
        wanted["Transitions"] = [{"Days": rule["transition_days"], "StorageClass": rule["transition_class"]}]
    if rule["abort_multipart_days"]:
        wanted["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": rule["abort_multipart_days"]}
    return wanted


def lifecycle_shown(answer: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The rules as the file declares them, in the order of their ids."""
    rules = sorted((answer or {}).get("Rules", []), key=lambda rule: str(rule.get("ID", "")))
    return [_rule_shown(rule) for rule in rules]


def _rule_shown(rule: Mapping[str, Any]) -> dict[str, Any]:
    transition = (rule.get("Transitions") or [{}])[0]
    shown = {
        "prefix": rule.get("Filter", {}).get("Prefix", rule.get("Prefix", "")),
        "expire_days": rule.get("Expiration", {}).get("Days"),
        "expire_noncurrent_days": rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays"),
        "transition_days": transition.get("Days"),
        "transition_class": transition.get("StorageClass"),
        "abort_multipart_days": rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation"),
    }
    return shown if rule.get("Status") == "Enabled" else shown | {"status": rule.get("Status")}


def cors_wanted(rules: Sequence[Mapping[str, Any]]) -> CORSConfigurationTypeDef:
    """The rules as S3 takes them."""
    return {
        "CORSRules": [
            {
                "AllowedOrigins": rule["origins"],
                "AllowedMethods": rule["methods"],
                "AllowedHeaders": rule["headers"],
                "ExposeHeaders": rule["expose_headers"],
                "MaxAgeSeconds": rule["max_age"],
            }
            for rule in rules
        ]
    }


def cors_shown(answer: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """The rules as the file declares them."""
    return [
        {
            "origins": rule.get("AllowedOrigins", []),
            "methods": sorted(rule.get("AllowedMethods", [])),
            "headers": rule.get("AllowedHeaders", []),
            "expose_headers": rule.get("ExposeHeaders", []),
            "max_age": rule.get("MaxAgeSeconds", 0),
        }
        for rule in (answer or {}).get("CORSRules", [])
    ]


def lock_wanted(retention: Mapping[str, Any]) -> ObjectLockConfigurationTypeDef:
    """The default retention as S3 takes it."""
    mode: Literal["GOVERNANCE", "COMPLIANCE"] = "COMPLIANCE" if retention["mode"] == "compliance" else "GOVERNANCE"
    rule: ObjectLockRuleTypeDef = {"DefaultRetention": {"Mode": mode, "Days": retention["days"]}}
    return {"ObjectLockEnabled": "Enabled", "Rule": rule}


def retention_shown(answer: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The default retention as the file declares it; None if there is none."""
    found = (answer or {}).get("ObjectLockConfiguration", {}).get("Rule", {}).get("DefaultRetention")
    if not found:
        return None
    return {"mode": found["Mode"].lower(), "days": found.get("Days") or 365 * found["Years"]}
