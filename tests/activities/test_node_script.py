"""What is sent to a node to set it up, and how its answers are read."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from activities.kinds.node.script import EnvText, look_script, setup_of, setup_script

FIELDS: dict[str, Any] = {
    "hostname": "lssm-prod-core-01",
    "users": {"lssm": {"home": "/home/lssm", "shell": "/bin/bash", "groups": ["adm", "video"]}},
    "packages": {"git": True},
    "directories": {"/srv/lssm": {"mode": "0755", "owner": "lssm:lssm"}},
    "files": {"/opt/it's mine": {"mode": "0640", "owner": "root:lssm", "digest": "0123456789abcdef"}},
    "units": {"app": "enabled"},
    "app": {"drain": 30.0},
    "env_file": {"path": "/etc/app.env", "variables": ["A"], "values": {"A": ["x"]}, "secrets": "", "untouched": True},
}
CONTENTS = {"/opt/it's mine": "END\n$(touch /tmp/never)\n"}
ENV = EnvText('A="secret-of-the-env-file"\n', {"key": 3})
RECORD = {
    "app": {"drain": 30.0},
    "env_file": {
        "path": "/etc/app.env",
        "variables": ["A"],
        "values": {"A": ["x"]},
        "digest": "d",
        "versions": {"k": 3},
    },
}


def told(*lines: str, record: Any = RECORD) -> Any:
    """What a look with these lines found."""
    return setup_of("\n".join([*(line.replace("|", "\t") for line in lines), f"record\t{json.dumps(record)}"]))


@pytest.mark.parametrize("script", [setup_script(FIELDS, CONTENTS, ENV), look_script()], ids=["setup", "look"])
def test_bash_understands_it(script: str) -> None:
    """As a whole, whatever the names and contents are."""
    subprocess.run(["bash", "-n"], input=script.encode(), check=True)


def test_no_content_is_a_word_of_a_command() -> None:
    """Contents go to standard input, encoded: none can end its own text, or stand in a list of processes."""
    script = setup_script(FIELDS, CONTENTS, ENV)
    assert "secret-of" not in script
    assert "touch" not in script
    assert "put '/opt/it'\"'\"'s mine' 0640 root:lssm <<'END'\n" in script


def test_half_a_script_does_nothing() -> None:
    """A connection that breaks on the way leaves a function that was never called, or not even that."""
    script = setup_script(FIELDS, CONTENTS, ENV).removesuffix("setup </dev/null\n")
    for length in range(len(script) // 2, len(script), 97):
        cut = subprocess.run(["bash", "-s"], input=script[:length].encode(), capture_output=True, check=False)
        assert cut.stdout == b""


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("hostname|a, b after a boot", "hostname", "a, b after a boot"),
        (
            "user|lssm|/home/lssm|/bin/bash|",
            "users",
            {"lssm": {"home": "/home/lssm", "shell": "/bin/bash", "groups": []}},
        ),
        ("user|u|/h|/s|adm,video", "users", {"u": {"home": "/h", "shell": "/s", "groups": ["adm", "video"]}}),
        ("package|git", "packages", {"git": True}),
        ("directory|/srv/a b|0755|a:b", "directories", {"/srv/a b": {"mode": "0755", "owner": "a:b"}}),
        (f"file|/x|0644|a:b|{'0' * 64}", "files", {"/x": {"mode": "0644", "owner": "a:b", "digest": "0" * 16}}),
        ("unit|app|disabled", "units", {"app": "disabled"}),
        ("unit|app|", "units", {"app": ""}),
    ],
)
def test_answers(line: str, field: str, value: Any) -> None:
    """Each line is one thing that is there; what is not there has none."""
    assert told(line).fields[field] == value
    assert told().fields[field] in (None, {})


@pytest.mark.parametrize(
    ("line", "untouched"),
    [
        ("env|/etc/app.env|0600|root:root|d", True),
        ("env|/etc/app.env|0644|root:root|d", False),
        ("env|/etc/app.env|0600|lssm:root|d", False),
        ("env|/etc/app.env|0600|root:root|e", False),
        ("package|git", False),
    ],
)
def test_an_env_file_is_as_it_was_written(line: str, untouched: bool) -> None:
    """Or it is not: nobody else may read it, and its text is the one that was sent."""
    found = told(line)
    assert found.fields["env_file"] == {
        "path": "/etc/app.env",
        "variables": ["A"],
        "values": {"A": ["x"]},
        "untouched": untouched,
    }
    assert found.versions == {"k": 3}


def test_before_the_first_setup() -> None:
    """A node that was never set up says nothing; one without an env file has none."""
    assert setup_of("") is None
    assert "env_file" not in told(record={"app": {}}).fields
