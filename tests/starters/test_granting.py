"""The policy in the manual is the one that the engine takes."""

from __future__ import annotations

import pytest

from starters.cli.app import invoke
from starters.rehearsal import ROOT


def test_the_documented_policy_is_the_printed_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of production's file, on a computer that knows no ids; the manual leads to the page."""
    monkeypatch.chdir(ROOT)
    for setting in ("SCW_DEFAULT_PROJECT_ID", "SCW_DEFAULT_ORGANIZATION_ID"):
        monkeypatch.delenv(setting, raising=False)
    assert invoke(["iam-policy", "prod"]) == 0
    _, documented, _ = (ROOT / "docs/iam-policy.md").read_text().split("```")
    assert documented == f"sh\n{capsys.readouterr().out}"
    assert "(iam-policy.md)" in (ROOT / "docs/operations.md").read_text()
