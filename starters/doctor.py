"""What a run needs, checked one by one, each with the way to mend it."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import requests
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest

from blueprint.environment import load
from blueprint.environment.loader import available
from blueprint.errors import EngineError
from starters.engine import Engine
from starters.worker_versions import explained, versions
from workflows.identity import SEARCH_ATTRIBUTES
from workflows.versioning import deployment_name

SECONDS = 5.0
"""How long any check may take."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check."""

    what: str
    """What was checked."""
    good: bool
    """Whether it is as it has to be."""
    found: str
    """What is there."""
    remedy: str = ""
    """How to mend it."""

    def as_dict(self) -> dict[str, Any]:
        """For programs."""
        return asdict(self)


async def diagnose(directory: Path) -> list[Finding]:
    """Every check, in the order in which they build on each other.

    Args:
        directory: folder of the environment files.
    """
    findings = [_python(), *_files(directory), _scaleway()]
    try:
        engine = await Engine.connect()
    except EngineError as error:
        return [*findings, Finding("Temporal", False, error.message, error.remedy)]
    checks: tuple[Callable[[Engine], Awaitable[Finding]], ...] = (_temporal, _search_attributes, _worker, _versions)
    return [*findings, *[await check(engine) for check in checks]]


def _python() -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Finding("Python", sys.version_info >= (3, 11), version, "install Python 3.11 or newer")


def _files(directory: Path) -> list[Finding]:
    names = available(directory)
    if not names:
        return [Finding("environment files", False, f"none in {directory}/", "write one, or change --directory")]
    findings = []
    for name in names:
        try:
            load(name, directory)
            findings.append(Finding(f"environments/{name}", True, "valid"))
        except EngineError as error:
            findings.append(Finding(f"environments/{name}", False, error.message, f"scaleway-infra validate {name}"))
    return findings


def _scaleway() -> Finding:
    """Only the worker needs a key; from here the address is checked, if there is one."""
    url = os.environ.get("SCW_API_URL")
    if not url:
        return Finding("Scaleway API", True, "the real one (SCW_API_URL is not set)")
    try:
        requests.get(url, timeout=SECONDS)
    except requests.RequestException as error:
        return Finding("Scaleway API", False, f"{url}: {type(error).__name__}", "check SCW_API_URL")
    return Finding("Scaleway API", True, f"{url} answers")


async def _temporal(engine: Engine) -> Finding:
    return Finding("Temporal", True, f"{engine.client.service_client.config.target_host}, {engine.client.namespace}")


async def _search_attributes(engine: Engine) -> Finding:
    request = ListSearchAttributesRequest(namespace=engine.client.namespace)
    known = set((await engine.client.operator_service.list_search_attributes(request)).custom_attributes)
    missing = [attribute for attribute in SEARCH_ATTRIBUTES if attribute.name not in known]
    remedy = "temporal operator search-attribute create" + "".join(
        f" --name {attribute.name} --type {attribute.indexed_value_type.name.title()}" for attribute in missing
    )
    names = ", ".join(attribute.name for attribute in missing)
    return Finding("search attributes", not missing, f"missing: {names}" if missing else "all there", remedy)


async def _worker(engine: Engine) -> Finding:
    there = await engine.has_worker()
    found = f"listens on {engine.task_queue}" if there else f"none listens on {engine.task_queue}"
    return Finding("worker", there, found, "`scaleway-infra dev` has one, or start `python -m worker`")


async def _versions(engine: Engine) -> Finding:
    """A version that nobody runs any more leaves its runs waiting without a word."""
    good, found, remedy = explained(await versions(engine, deployment_name(os.environ)))
    return Finding("worker versions", good, found, remedy)
