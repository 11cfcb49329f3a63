"""Names by rule, as the infrastructure document lists them."""

from __future__ import annotations

import pytest

from blueprint.names import Names

PROD = Names("lssm", "prod")


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        (PROD.stem, "lssm-prod"),
        (PROD.vpc, "vpc-lssm-prod"),
        (PROD.private_network, "pn-lssm-prod-core"),
        (PROD.security_group("backend"), "sg-lssm-prod-backend"),
        (PROD.node("core", 1), "lssm-prod-core-01"),
        (PROD.node("core", 12), "lssm-prod-core-12"),
        (Names("lssm", "stg").node("core", 1), "lssm-stg-core-01"),
        (PROD.bucket("lssm/core"), "lssm-prod-core"),
        (PROD.bucket("equitya/files"), "equitya-prod-files"),
        (PROD.queue("artisanos/jobs"), "artisanos-prod-jobs"),
        (PROD.queue("artisanos/jobs", fifo=True), "artisanos-prod-jobs.fifo"),
        (PROD.dead_letter_queue("artisanos/jobs"), "artisanos-prod-jobs-dlq"),
        (PROD.dead_letter_queue("artisanos/jobs", fifo=True), "artisanos-prod-jobs-dlq.fifo"),
        (PROD.gateway, "gw-lssm-prod"),
        (PROD.load_balancer, "lb-lssm-prod"),
        (PROD.postgresql, "db-lssm-prod"),
        (PROD.postgresql_admin, "lssm_prod_admin"),
        (PROD.redis, "redis-lssm-prod"),
        (PROD.redis_user, "lssm_prod"),
        (PROD.secret_path, "/lssm/prod"),
        (PROD.postgresql_secret("contractspec_engine"), "postgresql-contractspec-engine"),
        (PROD.redis_secret, "redis"),
        (PROD.api_key_secret("backend"), "backend-api-key"),
        (PROD.sqs_secret("backend"), "sqs-backend"),
        (PROD.cockpit_secret("backend"), "cockpit-backend"),
    ],
)
def test_name(actual: str, expected: str) -> None:
    """Every name follows its pattern."""
    assert actual == expected


@pytest.mark.parametrize("rule", ["application", "certificate", "cockpit_token", "data_source", "policy", "ssh_key"])
def test_objects_of_the_organisation_carry_its_stem(rule: str) -> None:
    """What has no pattern of its own is the stem and its name in the file."""
    assert getattr(PROD, rule)("backend") == "lssm-prod-backend"


def test_tags() -> None:
    """The tags say who manages an object and to which environment it belongs."""
    assert PROD.tags == ["managed-by=scaleway-infra", "environment=lssm-prod"]
