"""Load balancers: each real one has its HAProxy, and its instances and statistics say what that HAProxy says."""

from __future__ import annotations

import asyncio
import datetime
import errno
import logging
import shutil
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from emulator.products.lb.resources import BACKENDS, FOLLOWED, LBS, configured
from emulator.products.lb.resources import CERTIFICATES as CERTIFICATE_TABLE
from emulator.products.lb.stats import tell
from emulator.real.authority import Authority
from emulator.real.haproxy.configuration import CERTIFICATES, CONFIGURATION, render
from emulator.real.haproxy.documents import Documents, all_documents
from emulator.real.haproxy.master import Master, RefusedError
from emulator.real.haproxy.servers import handed_over, healths
from emulator.world import Document, World

LOOK = 0.3
"""Seconds between two looks at the health of the servers."""

log = logging.getLogger(__name__)


class LoadBalancers:
    """The follower of load balancers.

    Args:
        world: whose load balancers become real.
        folder: where the authority and, by id of the load balancer, configurations and logs are.
    """

    name: ClassVar[str] = "load balancers"
    needs: ClassVar[tuple[str, ...]] = ("haproxy",)

    def __init__(self, world: World, folder: Path) -> None:
        self._folder = folder
        self._authority = Authority(folder)
        self._balancers: dict[str, Balancer] = {}
        if self.obstacle() is None:
            FOLLOWED.add(world)

    def obstacle(self) -> str | None:
        """HAProxy that is not installed, or ports below 1024 that are not for us."""
        if shutil.which("haproxy") is None:
            return "load balancers need HAProxy: apt-get install haproxy"
        with socket.socket() as probe:
            try:
                probe.bind(("127.255.255.254", 80))
            except OSError as error:
                if error.errno in {errno.EACCES, errno.EPERM}:
                    advice = "run as root, or sysctl net.ipv4.ip_unprivileged_port_start=80"
                    return f"load balancers listen on port 80: {advice}"
                if error.errno != errno.EADDRINUSE:
                    return f"load balancers listen on addresses in 127.0.0.0/8, which cannot be used here: {error}"
        return None

    async def follow(self, world: World) -> None:
        """One HAProxy for each real load balancer; none for one that is gone."""
        wanted = {documents.id: documents for documents in all_documents(world)}
        for gone in self._balancers.keys() - wanted.keys():
            await self._balancers[gone].stop()
            shutil.rmtree(self._folder / gone, ignore_errors=True)
            del self._balancers[gone]
        for lb_id, documents in wanted.items():
            if lb_id not in self._balancers:
                self._balancers[lb_id] = Balancer(world, self._folder / lb_id, self._authority)
            self._balancers[lb_id].want(documents)

    async def stop(self) -> None:
        """End every HAProxy."""
        await asyncio.gather(*(balancer.stop() for balancer in self._balancers.values()))
        self._balancers.clear()

    def show(self) -> Any:
        """The authority to trust, and each load balancer with its process, addresses and files."""
        balancers = {lb_id: balancer.show() for lb_id, balancer in self._balancers.items()}
        return {"authority": str(self._authority.certificate_path), "balancers": balancers}


class Balancer:
    """One load balancer: its HAProxy is brought to the latest documents, then asked about its servers.

    Args:
        world: where its instances and statistics are told.
        folder: its own.
        authority: issues its certificates.
    """

    def __init__(self, world: World, folder: Path, authority: Authority) -> None:
        self._world = world
        self._master = Master(folder)
        self._authority = authority
        self._wanted: Documents | None = None
        self._text = ""
        self._error = ""
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def want(self, documents: Documents) -> None:
        """These are its documents now."""
        text = render(documents)
        waits = any(instance["status"] == "pending" for instance in documents.lb["instances"])
        if text != self._text or waits:
            self._woken.set()
        self._wanted, self._text = documents, text
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End its HAProxy."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._master.stop()

    def show(self) -> Document:
        """What runs, for people and tests."""
        assert self._wanted is not None
        return {
            "pid": self._master.pid if self._master.runs else None,
            "addresses": list(self._wanted.addresses),
            "ports": [frontend["inbound_port"] for frontend in self._wanted.frontends],
            "applied": self._applied,
            "error": self._error or None,
            "configuration": str(self._master.folder / CONFIGURATION),
        }

    @property
    def _applied(self) -> bool:
        return self._master.runs and self._master.applied == self._text

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            try:
                await self._step()
            except Exception as error:
                # Whatever it stumbles over must not end the watch: it is told, and tried again at the next look.
                told = str(error) or repr(error)
                if told != self._error:
                    log.warning("the load balancer in %s: %s", self._master.folder, told, exc_info=not _expected(error))
                self._error = told
                await asyncio.sleep(LOOK)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), LOOK)

    async def _step(self) -> None:
        assert self._wanted is not None
        documents, text = self._wanted, self._text
        if not self._applied:
            self._write_certificates(documents)
            try:
                await self._master.apply(text, lambda table: handed_over(table, documents))
            except RefusedError:
                self._acknowledge(documents, "error")
                raise
        self._error = ""
        self._observe(documents, await self._master.servers())
        self._acknowledge(documents, "ready")

    def _acknowledge(self, documents: Documents, status: str) -> None:
        # Not before the time that Scaleway takes: a transition of the load balancer is under way until then.
        if self._exists(LBS, documents.lb) and not self._world.pending(LBS, documents.id):
            configured(self._world, documents.lb, documents.configuration, status)

    def _observe(self, documents: Documents, table: str) -> None:
        told = healths(table)
        for backend, address in documents.servers():
            if (health := told.get((backend["id"], address))) and self._exists(BACKENDS, backend):
                tell(self._world, backend, address, health.state, health.check)

    def _exists(self, table: str, document: Document) -> bool:
        """Whether it is still there: what was deleted while HAProxy answered must not come back."""
        return self._world.find(table, document["id"]) is document

    def _write_certificates(self, documents: Documents) -> None:
        folder = self._master.folder / CERTIFICATES
        folder.mkdir(exist_ok=True)
        for certificate in documents.certificates:
            path = folder / f"{certificate['id']}.pem"
            if certificate["status"] == "ready" and not path.exists():
                path.touch(mode=0o600)
                path.write_text(certificate.get("_chain") or self._issue(certificate))

    def _issue(self, certificate: Document) -> str:
        names = [certificate["common_name"], *certificate["subject_alternative_name"]]
        start, end = (
            datetime.datetime.fromisoformat(certificate[moment]) for moment in ("not_valid_before", "not_valid_after")
        )
        chain, fingerprint = self._authority.issue(names, start, end)
        if self._exists(CERTIFICATE_TABLE, certificate):
            certificate["fingerprint"] = fingerprint
            self._world.put(CERTIFICATE_TABLE, certificate)
        return chain


def _expected(error: Exception) -> bool:
    return isinstance(error, (RefusedError, OSError))
