"""The language of the env file, and the text that systemd and a shell read back."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from blueprint.release.env_file import Placeholder, compose, pieces, render, secrets_of
from blueprint.resource import secret

PASSWORD = secret("/lssm/prod", "db", "password")


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("", []),
        ("plain $5 {x} $(y)", ["plain $5 {x} $(y)"]),
        ("${node.name}", [Placeholder("node", "name")]),
        (
            "a${postgresql.address}:${postgresql.port}/b",
            ["a", Placeholder("postgresql", "address"), ":", Placeholder("postgresql", "port"), "/b"],
        ),
        ("${redis.port}${sqs.endpoint}", [Placeholder("redis", "port"), Placeholder("sqs", "endpoint")]),
        ("${queue:lssm/jobs}", [Placeholder("queue", "lssm/jobs")]),
        ("${bucket:lssm/core|url}", [Placeholder("bucket", "lssm/core", for_url=True)]),
        ("${secret:session-key}", [Placeholder("secret", "session-key")]),
        ("${secret:sqs-backend:secret_key|url}", [Placeholder("secret", "sqs-backend", "secret_key", True)]),
    ],
)
def test_pieces(template: str, expected: list[str | Placeholder]) -> None:
    """Text and placeholders, in order."""
    assert list(pieces(template)) == expected


@pytest.mark.parametrize(
    "template",
    [
        "${}",
        "${HOME}",
        "${node}",
        "${node.port}",
        "${queue:jobs}",
        "${secret:}",
        "${secret:a:b:c}",
        "${node.name|shell}",
        "${node.name|}",
        "${ node.name }",
        "a ${node.name",
        "${a${node.name}}",
    ],
)
def test_what_stands_for_nothing(template: str) -> None:
    """A slip is an error: left as it is it would reach the application."""
    with pytest.raises(ValueError, match=r"\$\{"):
        list(pieces(template))


@pytest.mark.parametrize(
    ("parts", "value"),
    [
        ([], ""),
        (["postgresql://", "10.0.0.4", ":", 5432], "postgresql://10.0.0.4:5432"),
        ([{"url": "a/b@c:ä &%"}, "@", {"url": 5432}], "a%2Fb%40c%3A%C3%A4%20%26%25@5432"),
    ],
)
def test_compose(parts: list[object], value: str) -> None:
    """Known parts become one value; only what asks for it is quoted."""
    assert compose(parts) == value


def test_secrets_are_known_by_name() -> None:
    """Wherever in a value they stand."""
    assert secrets_of({"A": ["x", PASSWORD], "B": [{"url": secret("/lssm/prod", "key")}], "C": ["${secret:no}"]}) == {
        "db",
        "key",
    }


VALUES = {
    "PLAIN": "a b=c#d;e",
    "EMPTY": "",
    "QUOTES": 'it\'s "so"',
    "DOLLAR": "$HOME ${HOME} $$ $(id) `id`",
    "BACKSLASH": "a\\b \\n \\\\ \\",
    "LINES": "one\ntwo\n\nthree \\\nfour",
    "SPACES": "  \t around  ",
    "UNICODE": "naïve ✓",
    "LIKE_A_COMMENT": "# ; no comment",
    "JSON": '{"a": ["b\\n", null]}',
}


def test_a_shell_reads_it_back() -> None:
    """The same quoting holds in a shell, for people who source the file by hand."""
    bash = shutil.which("bash")
    if not bash:
        pytest.skip("there is no bash")
    script = render(VALUES) + "".join(f'printf "%s\\0" "${name}"\n' for name in VALUES)
    read = subprocess.run([bash, "-s"], input=script.encode(), capture_output=True, check=True, env={}).stdout
    assert dict(zip(VALUES, read.decode().split("\0"), strict=False)) == VALUES


@pytest.mark.parametrize("value", ["a\rb", "\x00", "\x1b[0m", "\x7f", "\x85"])
def test_what_systemd_would_ignore_is_refused(value: str) -> None:
    """Systemd drops such a variable with no more than a line in its log. The message does not repeat the value."""
    with pytest.raises(ValueError, match="the value of BAD has a control character") as caught:
        render({"GOOD": "x", "BAD": value})
    assert value not in str(caught.value)
