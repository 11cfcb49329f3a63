"""An environment file becomes one for this computer."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

from blueprint.environment import parse
from blueprint.environment.loader import read
from starters.localized import KEY, localized

PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMGNLLS+fff+KI2famqoCS4BgHPhndTisOgqjpq9CNPm rehearsal"


LOCAL: dict[str, Any] = {
    "folder": Path("/a"),
    "public_key": PUBLIC,
    "repository": "git://127.0.0.1:9418/a.git",
    "sqs_endpoint": "http://127.0.0.1:8092",
}


def of_prod(folder: str = "/a") -> dict[str, Any]:
    """The file of production, for a rehearsal in that folder."""
    return localized(read("prod", Path("environments")), **{**LOCAL, "folder": Path(folder)})


def test_prod() -> None:
    """It is a valid file, on loopback, that nobody has to be asked for."""
    environment = parse(of_prod())

    assert ipaddress.ip_network(environment.network.cidr).subnet_of(ipaddress.ip_network("127.0.0.0/8"))  # type: ignore[arg-type]
    assert environment.network.gateway.bastion
    assert environment.network.gateway.bastion.allowed == ["127.0.0.1/32"]
    assert KEY in environment.ssh_keys
    assert not environment.production
    assert not any(secret.external or secret.env for secret in environment.secrets.values())
    assert environment.app
    assert environment.app.repository == "git://127.0.0.1:9418/a.git"
    assert environment.app.env_file
    assert environment.app.env_file.values["SQS_ENDPOINT"] == "http://127.0.0.1:8092"


def test_backups_stay_here() -> None:
    """What the real environment keeps elsewhere is kept in a bucket of its own, and no alarm is kept quiet by it."""
    data = read("prod", Path("environments"))
    data["backup"] = {"store": {"bucket": "vault", "region": "nl-ams"}, "dead_man": "https://alarm.example.org/1"}
    backup = parse(localized(data, **LOCAL)).backup

    assert backup
    assert (backup.bucket, backup.store, backup.dead_man) == ("rehearsal/backups", None, None)
    assert of_prod()["backup"] == read("prod", Path("environments"))["backup"]


def test_nothing_is_fetched() -> None:
    """The machines have what the first boot would fetch from the internet."""
    environment = parse(of_prod())

    assert not any(role.cloud_init.runcmd for role in environment.nodes.values())


def test_the_original_is_left_alone() -> None:
    """The file that was read stays what it was."""
    data = read("prod", Path("environments"))
    before = str(data)
    localized(data, **LOCAL)

    assert str(data) == before


def test_networks_of_two_rehearsals() -> None:
    """Two folders, two networks; the same folder, the same network."""
    assert of_prod("/a")["network"]["cidr"] != of_prod("/b")["network"]["cidr"]
    assert of_prod("/a")["network"]["cidr"] == of_prod("/a")["network"]["cidr"]
