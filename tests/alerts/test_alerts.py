"""Every rule fires on the series of its trouble, is silent where all is well, and has its on-call page."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from blueprint import alerts
from tests.alerts.declared import declared
from tests.telemetry.asked import OWN, unknown

SERIES = Path(__file__).parent
OPERATIONS = SERIES.parent.parent / "docs/operations.md"
GROUPS = {group.name: group for group in alerts.groups(declared())}
RULES = [(group.name, alert) for group in GROUPS.values() for alert in group.rules]
SCALEWAYS = "an alert of scaleway's own"
PARTS = ("**means**", "**look**", "**do**")
"""Of an on-call page."""

needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not there: package prometheus")


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A folder with the rules of `lssm-prod`, a file for each group."""
    folder = tmp_path / "rules"
    folder.mkdir()
    for group in GROUPS.values():
        write(folder, group.name, group.rules)
    return folder


def write(folder: Path, group: str, rules: Mapping[str, Mapping[str, Any]]) -> None:
    """Rules as a file of Prometheus has them."""
    listed = [{"alert": alert, **rule} for alert, rule in rules.items()]
    (folder / f"{group}.yaml").write_text(yaml.safe_dump({"groups": [{"name": group, "rules": listed}]}))


def promtool(*words: str) -> None:
    """Run it; what it says is the reason of a failure."""
    done = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
@pytest.mark.parametrize("group", GROUPS)
def test_rules_fire_on_their_series_and_are_silent_on_others(rules: Path, group: str) -> None:
    """Promtool's unit tests."""
    test = rules.parent / f"{group}.yaml"
    test.write_text((SERIES / test.name).read_text())
    promtool("check", "rules", str(rules / test.name))
    promtool("test", "rules", str(test))


@needs_promtool
@pytest.mark.parametrize("broken", ["vector(1) > 2", "vector(1)"], ids=["never fires", "always fires"])
@pytest.mark.parametrize("group", GROUPS)
def test_a_broken_rule_fails_the_test(rules: Path, group: str, broken: str) -> None:
    """The tests above could fail, for each rule and both ways."""
    test = rules.parent / f"{group}.yaml"
    test.write_text((SERIES / test.name).read_text())
    write(rules, group, {alert: rule | {"expr": broken, "for": "0s"} for alert, rule in GROUPS[group].rules.items()})
    with pytest.raises(AssertionError) as failure:
        promtool("test", "rules", str(test))
    failed = re.findall(r"alertname: (\w+),", str(failure.value))
    assert set(failed) == set(GROUPS[group].rules)


@pytest.mark.parametrize(("group", "alert"), RULES)
def test_every_rule_is_tested_both_ways(group: str, alert: str) -> None:
    """It fires in one of the tests, and has to be silent in the first, where all is well."""
    tests: list[dict[str, Any]] = yaml.safe_load((SERIES / f"{group}.yaml").read_text())["tests"]
    expected = [[check for check in test["alert_rule_test"] if check["alertname"] == alert] for test in tests]
    assert expected[0]
    assert not any(check.get("exp_alerts") for check in expected[0])
    assert any(check.get("exp_alerts") for checks in expected[1:] for check in checks)


@pytest.mark.parametrize(("group", "alert"), RULES)
def test_every_rule_says_how_urgent_it_is_and_what_to_do(group: str, alert: str) -> None:
    """Severity, summary, and a page in the operations manual: what it means, what to look at, what to do."""
    rule = GROUPS[group].rules[alert]
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"]["summary"]
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert page == "docs/operations.md"
    assert [word for word in PARTS if word not in _pages()[anchor].lower()] == []


@pytest.mark.parametrize(("group", "alert"), RULES)
def test_what_a_rule_asks_the_engine_for_is_exported(group: str, alert: str) -> None:
    """Metrics and labels are in the catalogue: a rule about others would never fire. `test_dashboards` sees it fail."""
    assert not unknown(GROUPS[group].rules[alert]["expr"])


@pytest.mark.parametrize("group", GROUPS)
def test_series_of_tests_are_those_that_are_exported(group: str) -> None:
    """With the label that tells workers apart: a rule that is right without it may be wrong with it."""
    tests: list[dict[str, Any]] = yaml.safe_load((SERIES / f"{group}.yaml").read_text())["tests"]
    series = [item["series"] for test in tests for item in test["input_series"] if item["series"].startswith(OWN)]
    assert [item for item in series if unknown(item) or "instance=" not in item] == []


def test_every_page_is_about_a_rule() -> None:
    """None is left over from a rule that is gone. Scaleway's own rules, which nobody here knows, share one page."""
    pages = _pages()
    assert set(pages) == {alert.lower() for _, alert in RULES} | {SCALEWAYS}
    assert [word for word in PARTS if word not in pages[SCALEWAYS].lower()] == []


def _pages() -> dict[str, str]:
    """The on-call pages of the operations manual, by anchor."""
    on_call = OPERATIONS.read_text().split("\n## On call\n")[1].split("\n## ")[0]
    _, *pages = on_call.split("\n### ")
    return {title.lower(): text for title, _, text in (page.partition("\n") for page in pages)}


def test_rules_are_of_one_environment() -> None:
    """Two environments of a project share rulers: neither answers for the other's objects."""
    for group in alerts.groups(declared(env="stg")):
        text = str(group.rules)
        assert "prod" not in text
        assert "${" not in text
        if group.name != "engine":
            assert all("stg" in rule["expr"] for rule in group.rules.values()), group.name
