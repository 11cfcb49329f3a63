"""Checks of the way in: DNS records, certificates, the load balancer, the nodes behind it."""

from __future__ import annotations

from collections.abc import Iterator

from blueprint.environment.checks import records
from blueprint.environment.environment import Environment
from blueprint.environment.load_balancer import LoadBalancer
from blueprint.environment.problems import Problem, listing, unknown

Path = tuple[str | int, ...]


def check(environment: Environment) -> Iterator[Problem]:
    """Problems between a client and a node."""
    yield from records.check(environment)
    balancer = environment.load_balancer
    if not balancer:
        return
    for name, backend in balancer.backends.items():
        path: Path = ("load_balancer", "backends", name)
        if backend.nodes not in environment.nodes:
            yield Problem((*path, "nodes"), unknown(backend.nodes, environment.nodes, "nodes"))
        elif not environment.nodes[backend.nodes].count:
            yield Problem((*path, "nodes"), f"nodes.{backend.nodes}.count is 0, so nobody would answer; 1 or more fits")
    yield from _frontends(balancer)
    yield from _certificates(environment, balancer)


def _frontends(balancer: LoadBalancer) -> Iterator[Problem]:
    path: Path = ("load_balancer", "frontends")
    if not balancer.frontends:
        yield Problem(path, "the load balancer would not listen; leave the key out for 80 and 443, or declare one")
    ports: dict[int, str] = {}
    https = [name for name, frontend in balancer.frontends.items() if frontend.certificates]
    for name, frontend in balancer.frontends.items():
        if frontend.port in ports:
            yield Problem((*path, name, "port"), f"{frontend.port} is the port of {ports[frontend.port]} already")
        ports.setdefault(frontend.port, name)
        if frontend.backend is None and len(balancer.backends) > 1:
            message = f"required, as there are several; one of {listing(balancer.backends)} fits"
            yield Problem((*path, name, "backend"), message)
        elif frontend.backend is not None and frontend.backend not in balancer.backends:
            message = unknown(frontend.backend, balancer.backends, "load_balancer.backends")
            yield Problem((*path, name, "backend"), message)
        for index, certificate in enumerate(frontend.certificates):
            if certificate not in balancer.certificates:
                message = unknown(certificate, balancer.certificates, "load_balancer.certificates")
                yield Problem((*path, name, "certificates", index), message)
        if frontend.redirect_https and name in https:
            message = "is HTTPS already and would redirect to itself; false fits, or no certificates"
            yield Problem((*path, name, "redirect_https"), message)
        elif frontend.redirect_https and not https:
            message = "there is no HTTPS to redirect to; a frontend with certificates is needed"
            yield Problem((*path, name, "redirect_https"), message)
    used = {frontend.backend for frontend in balancer.frontends.values()}
    for name in balancer.backends:
        if None not in used and name not in used:
            yield Problem(("load_balancer", "backends", name), "no frontend leads to it; name it in one, or remove it")


def _certificates(environment: Environment, balancer: LoadBalancer) -> Iterator[Problem]:
    """Let's Encrypt asks at port 80 of the address that the name resolves to (Scaleway load balancer FAQ)."""
    if balancer.certificates and all(frontend.port != 80 for frontend in balancer.frontends.values()):
        message = "certificates need a frontend on port 80, where Let's Encrypt looks; http: {port: 80} fits"
        yield Problem(("load_balancer", "frontends"), message)
    used = {name for frontend in balancer.frontends.values() for name in frontend.certificates}
    owners: dict[str, str] = {}
    leading = records.leading_to_load_balancer(environment)
    for name, certificate in balancer.certificates.items():
        path: Path = ("load_balancer", "certificates", name)
        if name not in used:
            yield Problem(path, "no frontend shows it; name it in a frontend's certificates, or remove it")
        for index, domain in enumerate(certificate.domains):
            place = (*path, "domains", index)
            if domain in owners:
                yield Problem(place, f"{domain} is in certificate {owners[domain]} already; once is enough")
            owners.setdefault(domain, name)
            yield from _domain(environment, domain, place, leads=domain in leading)


def _domain(environment: Environment, domain: str, place: Path, *, leads: bool) -> Iterator[Problem]:
    if domain.startswith("*."):
        yield Problem(
            place, f"{domain}: Let's Encrypt gives no wildcard for a load balancer; every name by itself fits"
        )
        return
    zone = records.zone_of(domain, environment)
    if zone is None:
        zones = f"dns has {listing(environment.dns)}" if environment.dns else "dns is empty"
        yield Problem(place, f"{domain} is in no zone of dns; {zones}")
    elif not leads:
        name = domain.removesuffix(zone).removesuffix(".") or "@"
        yield Problem(
            place,
            f"{domain} does not lead to the load balancer, so Let's Encrypt would refuse; "
            f"{{name: {name}, target: load_balancer}} in dns.{zone}.records fits",
        )
