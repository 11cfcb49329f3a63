"""An environment that everything there are rules about is declared in."""

from __future__ import annotations

from typing import Any

from blueprint.environment import Environment, parse


def declared(**changes: Any) -> Environment:
    """The environment `lssm-prod`: two nodes with an agent, health, and backups at their usual times.

    Args:
        changes: sections of the file that are others.
    """
    file: dict[str, Any] = {
        "org": "lssm",
        "env": "prod",
        "network": {"cidr": "10.0.0.0/24", "gateway": {"bastion": {"allowed": ["198.51.100.7"]}}},
        "ssh_keys": {"ops": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMGNLLS+fff+KI2famqoCS4BgHPhndTisOgqjpq9CNPm"},
        "security_groups": {"backend": {}},
        "nodes": {"core": {"count": 2}},
        "buckets": {"lssm/backups": {}},
        "backup": {"bucket": "lssm/backups"},
        "health": {"url": "https://api.example.org"},
        "monitoring": {
            "data_sources": {"metrics": {"type": "metrics"}, "logs": {"type": "logs"}},
            "tokens": {
                "nodes": ["write_only_metrics", "write_only_logs"],
                "rules": ["full_access_metrics_rules"],
            },
            "alert_manager": True,
            "alert_rules": "metrics",
            "agent": {"token": "nodes", "metrics": "metrics", "logs": "logs"},
        },
    }
    return parse(file | changes)
