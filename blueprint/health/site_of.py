"""What of an environment is checked from outside, from its environment file."""

from __future__ import annotations

from blueprint.backup.site import DatabaseAsset, SecretPlace
from blueprint.contract import Target
from blueprint.environment import Environment
from blueprint.environment.dns import RecordSet, full_name
from blueprint.environment.dns_values import canonical
from blueprint.environment.health import Health
from blueprint.health.contract import Cache, HealthSite, Host, Inside, Queues, Records, Traffic, Zone


def health_site(environment: Environment, target: Target) -> HealthSite:
    """Everything that is checked: what the section `health` names, and what follows from the rest of the file.

    Without that section nothing is checked by the clock, and there is no queue to put a message into.
    """
    health = environment.health or Health()
    return HealthSite(
        target=target,
        timeout=health.timeout,
        zones=_zones(environment),
        traffic=_traffic(environment, health),
        queues=_queues(environment),
        inside=_inside(environment),
    )


def _zones(environment: Environment) -> tuple[Zone, ...]:
    ipv6 = bool(environment.load_balancer and environment.load_balancer.ipv6)
    return tuple(
        Zone(
            name=name,
            records=tuple(_records(name, found) for found in zone.record_sets(ipv6=ipv6)),
        )
        for name, zone in environment.dns.items()
        if zone.records
    )


def _records(zone: str, found: RecordSet) -> Records:
    values = tuple(canonical(found.type, value, zone, found.priority) for value in found.values)
    return Records(name=full_name(found.name, zone), type=found.type, values=values)


def _traffic(environment: Environment, health: Health) -> Traffic | None:
    hosts = _hosts(environment)
    if not environment.health_url and not hosts:
        return None
    return Traffic(
        url=environment.health_url,
        path=health.path,
        rest=health.rest or "",
        graphql=health.graphql or "",
        websocket=health.websocket or "",
        hosts=hosts,
        certificate_days=health.certificate_days,
    )


def _hosts(environment: Environment) -> tuple[Host, ...]:
    """The names that somebody who connects can ask for: one of a wildcard is none."""
    balancer = environment.load_balancer
    shown = {
        (domain, frontend.port): Host(name=domain, port=frontend.port)
        for frontend in (balancer.frontends.values() if balancer else ())
        for label in frontend.certificates
        for domain in (balancer.certificates[label].domains if balancer else ())
        if not domain.startswith("*")
    }
    return tuple(shown.values())


def _queues(environment: Environment) -> Queues | None:
    sqs, names = environment.sqs, environment.names
    if not sqs:
        return None
    own = names.health_queue if environment.health else ""
    found = tuple(names.queue(key, fifo=queue.fifo) for key, queue in sqs.queues.items())
    return Queues(names=found, own=own) if found or own else None


def _inside(environment: Environment) -> Inside | None:
    role, names = environment.backup_role, environment.names
    if not role or not environment.enters_nodes:
        return None
    admin = names.postgresql_admin
    databases = tuple(
        DatabaseAsset(
            name=name,
            instance=names.postgresql,
            user=admin,
            password=SecretPlace(path=names.secret_path, name=names.postgresql_secret(admin)),
        )
        for name in (environment.postgresql.databases if environment.postgresql else ())
    )
    cache = None
    if environment.redis:
        place = SecretPlace(path=names.secret_path, name=names.redis_secret)
        cache = Cache(name=names.redis, user=names.redis_user, password=place)
    nodes = tuple(environment.node_names(role))
    return Inside(nodes=nodes, databases=databases, cache=cache) if nodes and (databases or cache) else None
