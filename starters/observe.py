"""`scaleway-infra dev --observe`: the dashboards of the stack for a team, on this computer, by Prometheus alone.

The worker sends its metrics to a collector in this process, and Prometheus reads them there: Debian's is older than its
receiver of OTLP. What Grafana draws from the files in `deploy/grafana`, Prometheus' own page draws too, one link for
each row of a dashboard.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import requests
import yaml

from starters.child import HOST, Child, StartError, free_port
from starters.collector import collecting

DASHBOARDS = Path(__file__).resolve().parents[1] / "deploy" / "grafana" / "dashboards"
PROGRAM = "prometheus"
ENGINE = "engine"
"""The data source whose figures are here. Those of nodes and of Scaleway's products are in Cockpit."""
INTERVAL = 2
"""Seconds between two looks: somebody is watching."""
RANGE = "15m"
"""What a graph shows at first."""
_PATIENCE = 30.0
_RATE = "$__rate_interval"
"""Grafana's own word for a range that holds a few points."""


@dataclass(frozen=True)
class Observed:
    """What a local environment shows of itself."""

    variables: Mapping[str, str]
    """For the worker's environment: where its metrics go."""
    prometheus_url: str
    links: Mapping[str, str]
    """A page for each row of a dashboard, by its title."""


@contextmanager
def observing(state_dir: Path) -> Iterator[Observed]:
    """With a collector and Prometheus.

    Args:
        state_dir: where Prometheus keeps its data and its log.

    Raises:
        StartError: it is not installed, or does not start.
    """
    if shutil.which(PROGRAM) is None:
        raise StartError("is not installed", subject=PROGRAM, remedy="install Debian's package `prometheus`")
    port = free_port()
    url = f"http://{HOST}:{port}"
    with collecting() as collector:
        folder = state_dir.resolve() / PROGRAM
        folder.mkdir(parents=True, exist_ok=True)
        settings = folder / "prometheus.yml"
        settings.write_text(yaml.safe_dump(_settings(collector.url.removeprefix("http://"))))
        command = [PROGRAM, f"--config.file={settings}", f"--storage.tsdb.path={folder / 'data'}"]
        command += [f"--web.listen-address={HOST}:{port}", "--log.level=warn"]
        child = Child("Prometheus", command, folder / "prometheus.log")
        child.start()
        try:
            _await(child, url)
            variables = {
                "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{collector.url}/v1/metrics",
                "OTEL_METRIC_EXPORT_INTERVAL": str(INTERVAL * 1000),
            }
            yield Observed(variables, url, {title: f"{url}{page}" for title, page in pages()})
        finally:
            child.stop()


def pages() -> Iterator[tuple[str, str]]:
    """Title and path of a page of Prometheus for each row of each dashboard, as far as the engine tells the figures.

    A row and no more: of many queries the page in Debian's package shows the first ten, most of them empty.
    """
    for path in sorted(DASHBOARDS.glob("*.json")):
        dashboard = json.loads(path.read_text())
        rows: dict[str, list[Mapping[str, Any]]] = {}
        title = dashboard["title"]
        for panel in dashboard["panels"]:
            if panel["type"] == "row":
                title = f"{dashboard['title']}: {panel['title']}"
            elif panel["datasource"]["uid"] == ENGINE:
                rows.setdefault(title, []).append(panel)
        yield from ((title, _page(panels)) for title, panels in rows.items())


def _page(panels: Sequence[Mapping[str, Any]]) -> str:
    drawn = [(panel["title"], target["expr"]) for panel in panels for target in panel["targets"]]
    asked: dict[str, str] = {}
    for number, (title, query) in enumerate(drawn):
        # The page has no titles, but shows a query's comment.
        shown = f"# {title}\n{plain(query)}"
        asked |= {f"g{number}.expr": shown, f"g{number}.tab": "0", f"g{number}.range_input": RANGE}
    return f"/graph?{urlencode(asked)}"


def queries(dashboard: Mapping[str, Any]) -> Sequence[str]:
    """Every query for figures of a dashboard, in its panels' order: those for traces are not Prometheus' to answer."""
    targets = (target for panel in dashboard["panels"] for target in panel.get("targets", ()))
    return [target["expr"] for target in targets if "expr" in target]


def plain(query: str) -> str:
    """A query without Grafana's variables: those that choose stand for everything."""
    return query.replace(_RATE, "1m").replace("$environment", ".*")


def _settings(target: str) -> dict[str, Any]:
    every = f"{INTERVAL}s"
    return {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
        "scrape_configs": [{"job_name": "scaleway-infra", "static_configs": [{"targets": [target]}]}],
    }


def _await(child: Child, url: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and child.returncode is None:
        try:
            if requests.get(f"{url}/-/ready", timeout=2).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.1)
    raise StartError(f"did not start; its log says:\n{child.last_words()}", subject=child.name)
