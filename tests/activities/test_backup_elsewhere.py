"""A backup restored into another environment: its server has other users, and gets nothing that is not masked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from activities.backup.on_node import MAINTENANCE
from activities.ssh.script import Script
from blueprint.backup.contract import MaskInput, SwapInput
from blueprint.backup.site import BackupSite, SecretPlace
from blueprint.errors import EngineError
from tests.activities.conftest import TARGET
from tests.activities.database_site import LIVE, OBSTACLE, PASSWORD, USER, DatabaseSite, database_site
from tests.activities.ssh_site import GW, INSTANCE, SECRETS, VPC
from tests.emulator.real.local import eventually, private_network

pytestmark = pytest.mark.skipif(OBSTACLE is not None, reason=OBSTACLE or "")
ADMIN, NODE = "lssm_stg_admin", "lssm-stg-core-01"


class Staging:
    """`lssm-stg` beside `lssm-prod`: a node, and a server with the database of the same name.

    Attributes:
        site: what it backs up.
        instance: its instance.
    """

    def __init__(self, prod: DatabaseSite) -> None:
        network, _ = private_network(prod.api)
        prod.call("PATCH", f"{VPC}/private-networks/{network}", {"name": "pn-lssm-stg-core"})
        body = {"name": "gw-lssm-stg", "type": "VPC-GW-S", "enable_bastion": True, "enable_smtp": False}
        gateway = prod.call("POST", f"{GW}/gateways", body)["id"]
        eventually(lambda: prod.call("GET", f"{GW}/gateways/{gateway}")["status"] == "running", "running")
        prod.call("POST", f"{GW}/gateway-networks", {"gateway_id": gateway, "private_network_id": network})
        place = {"name": "ssh-bastion-host-key", "path": "/lssm/stg", "project_id": prod.cloud.project_id}
        prod.call("POST", SECRETS, place)
        body = {"name": NODE, "commercial_type": "DEV1-S", "image": "debian_bookworm", "dynamic_ip_required": False}
        server = prod.call("POST", f"{INSTANCE}/servers", body)["server"]["id"]
        prod.call("POST", f"{INSTANCE}/servers/{server}/private_nics", {"private_network_id": network})
        prod.call("POST", f"{INSTANCE}/servers/{server}/action", {"action": "poweron"})
        self.instance = prod.made_instance("db-lssm-stg", ADMIN, network)
        for name in ("postgresql-lssm-stg-admin", f"postgresql-{USER}"):
            prod.secret(name, PASSWORD, "/lssm/stg")
        password = SecretPlace(path="/lssm/stg", name="postgresql-lssm-stg-admin")
        asset = prod.asset.model_copy(update={"instance": "db-lssm-stg", "user": ADMIN, "password": password})
        target = TARGET.model_copy(update={"env": "stg"})
        self.site: BackupSite = prod.site.model_copy(update={"target": target, "nodes": (NODE,), "databases": (asset,)})

        def lets_us_in() -> bool:
            try:
                prod.clouds.nodes.run(target, NODE, Script("test", "true"))
            except EngineError:
                return False
            return True

        eventually(lets_us_in, "the node lets us in")


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseSite]:
    """The environment whose backup it is."""
    with database_site(tmp_path_factory.mktemp("elsewhere")) as made:
        yield made


def test_staging_gets_production_masked(prod: DatabaseSite) -> None:
    """Everything belongs to staging's own user, who can use it once it has the live one's place."""
    stg = Staging(prod)
    prod.sql("CREATE ROLE auditor; GRANT auditor TO CURRENT_USER", MAINTENANCE, "lssm_prod_admin")
    prod.sql("GRANT CREATE ON SCHEMA public TO auditor", LIVE, "lssm_prod_admin")
    prod.sql("CREATE TABLE audit (n int); ALTER TABLE audit OWNER TO auditor", LIVE, "lssm_prod_admin")
    prod.sql("INSERT INTO audit VALUES (1)", LIVE, "lssm_prod_admin")
    entry = prod.backed_up()
    manifest = prod.store.manifest(entry.asset, entry.id)
    assert manifest.database
    assert {USER, "auditor"} <= set(manifest.database.owners)

    prod.load(entry, "restore_equitya_stg", on=stg.site)

    ask = "SELECT count(DISTINCT name) FROM customers"
    refused = prod.sql(ask, "restore_equitya_stg", instance=stg.instance)
    assert "permission denied for database" in refused, "nobody sees what is not masked"
    assert prod.verify(entry, "restore_equitya_stg", on=stg.site).findings == ()
    here = prod.changed(mask=("UPDATE customers SET name = 'somebody'",))
    request = MaskInput(site=here, database=LIVE, restored="restore_equitya_stg", on=stg.site)
    assert prod.step(prod.restoring.mask, request).findings == ()
    swap = SwapInput(
        site=prod.site, database=LIVE, restored="restore_equitya_stg", kept="before_equitya_stg", on=stg.site
    )
    prod.step(prod.restoring.swap, swap)
    ask = "SELECT count(DISTINCT name) FROM customers; INSERT INTO audit VALUES (2); SELECT count(*) FROM orders"
    assert prod.sql(ask, instance=stg.instance).split() == ["1", "20000"]
    assert prod.sql("CREATE TABLE more (n int); DROP TABLE more", instance=stg.instance) == ""
    assert prod.sql("SELECT count(DISTINCT name) FROM customers") == "100"
