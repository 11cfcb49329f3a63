"""What user data asks of a first boot, how that becomes shell, and what is done next about a machine."""

from __future__ import annotations

import base64
import gzip
import subprocess
from pathlib import Path

import pytest

from emulator.real.machines.cloud_config import FirstBoot, User, WrittenFile, first_boot
from emulator.real.machines.documents import Move, move
from emulator.real.machines.stages import before_login, once_up

B64 = base64.b64encode(b"hello").decode()
GZIP = base64.b64encode(gzip.compress(b"hello")).decode()


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("", FirstBoot()),
        ("hostname: a", FirstBoot(hostname="a")),
        ("preserve_hostname: false\npackage_update: true", FirstBoot()),
        ("ssh_authorized_keys: [ssh-ed25519 AAAA]", FirstBoot(keys=("ssh-ed25519 AAAA",))),
        ("users: [default, lssm]", FirstBoot(users=(User("lssm"),))),
        ("users: [{name: a, groups: 'x, y'}]", FirstBoot(users=(User("a", groups=("x", "y")),))),
        ("users: [{name: a, groups: [x], lock_passwd: true}]", FirstBoot(users=(User("a", groups=("x",)),))),
        (
            "users: [{name: a, system: true, shell: /bin/false, homedir: /srv/a}]",
            FirstBoot(users=(User("a", system=True, create_home=False, shell="/bin/false", home="/srv/a"),)),
        ),
        ("users: [{name: a, sudo: 'ALL=(ALL) ALL'}]", FirstBoot(users=(User("a", sudo=("ALL=(ALL) ALL",)),))),
        ("users: [{name: a, sudo: false, uid: 900}]", FirstBoot(users=(User("a", uid=900),))),
        ("users: [{name: a, ssh_authorized_keys: [k1, k2]}]", FirstBoot(users=(User("a", keys=("k1", "k2")),))),
        ("write_files: [{path: /a, content: x}]", FirstBoot(files=(WrittenFile("/a", b"x"),))),
        ("write_files: [{path: /a}]", FirstBoot(files=(WrittenFile("/a", b""),))),
        (
            "write_files: [{path: /a, content: x, permissions: 0600, owner: 'a:b', append: true, defer: true}]",
            FirstBoot(files=(WrittenFile("/a", b"x", "0600", "a:b", append=True, defer=True),)),
        ),
        (
            f"write_files: [{{path: /a, content: {B64}, encoding: b64}}]",
            FirstBoot(files=(WrittenFile("/a", b"hello"),)),
        ),
        (
            f"write_files: [{{path: /a, content: {GZIP}, encoding: gz+b64}}]",
            FirstBoot(files=(WrittenFile("/a", b"hello"),)),
        ),
        (
            "write_files: [{path: /a, content: 'aGVs bG8=\n\n', encoding: base64}]",
            FirstBoot(files=(WrittenFile("/a", b"hello"),)),
        ),
        ("write_files: [{path: /a, content: !!binary aGVsbG8=}]", FirstBoot(files=(WrittenFile("/a", b"hello"),))),
        ("packages: [curl, [git, '1.0']]", FirstBoot(packages=("curl", "git=1.0"))),
        ("runcmd: ['a && b', [touch, 'a file', 1]]", FirstBoot(commands=("a && b", "touch 'a file' 1"))),
        ("bootcmd: [a]\nntp: {}", FirstBoot(ignored=("bootcmd", "ntp"))),
    ],
)
def test_a_document_becomes_a_first_boot(document: str, expected: FirstBoot) -> None:
    """Each of cloud-init's forms."""
    assert first_boot(f"#cloud-config\n{document}".encode()) == expected


@pytest.mark.parametrize(
    ("user_data", "problem"),
    [
        ("hello", "neither with #cloud-config nor with #!"),
        ("#cloud-config\n- a", "not a mapping"),
        ("#cloud-config\n{", "cannot be read"),
        ("#cloud-config\nusers: lssm", "users is not a list"),
        ("#cloud-config\nusers: [{}]", "users[0] makes no sense: KeyError: 'name'"),
        ("#cloud-config\nwrite_files: [{path: /a, content: é, encoding: b64}]", "write_files[0] makes no sense"),
        ("#cloud-config\nwrite_files: [{path: /a, content: YQ==, encoding: gz+b64}]", "write_files[0] makes no sense"),
    ],
)
def test_nonsense_is_told_and_stops_no_boot(user_data: str, problem: str) -> None:
    """The rest of the document counts."""
    found = first_boot(f"{user_data}\n".encode())
    assert len(found.problems) == 1
    assert problem in found.problems[0]
    assert first_boot(b"#cloud-config\nusers: [{}, a]").users == (User("a"),)


def test_a_script_is_run_as_it_is() -> None:
    """Its first line says by what."""
    assert first_boot(b"#!/usr/bin/env bash\necho hello\n") == FirstBoot(script="#!/usr/bin/env bash\necho hello\n")
    assert first_boot(b"") == FirstBoot()


@pytest.mark.parametrize(
    ("boot", "early", "late"),
    [
        (
            FirstBoot(users=(User("a", groups=("x", "y")),)),
            ["try groupadd --force x", "try user a --create-home --shell /bin/bash --user-group --groups x,y"],
            [],
        ),
        (
            FirstBoot(
                users=(User("a", system=True, create_home=False, home="/srv/a", uid=900, group="x", gecos="A b"),)
            ),
            [
                "try user a --no-create-home --shell /bin/bash --gid x --system --home-dir /srv/a --uid 900 "
                "--comment 'A b'"
            ],
            [],
        ),
        (FirstBoot(files=(WrittenFile("/a b", b""),)), ["try put '/a b' 0644 root:root <<'END'"], []),
        (FirstBoot(files=(WrittenFile("/a", b"", defer=True),)), [], ["try put /a 0644 root:root <<'END'"]),
        (FirstBoot(files=(WrittenFile("/a", b"", append=True),)), ["try append /a 0644 root:root <<'END'"], []),
        (FirstBoot(packages=("curl", "git=1.0")), [], ["try install_packages curl git=1.0"]),
        (FirstBoot(commands=("a",)), [], ["try /var/lib/cloud/instance/scripts/runcmd </dev/null"]),
        (FirstBoot(script="#!/bin/sh"), [], ["try /var/lib/cloud/instance/scripts/part-001 </dev/null"]),
        (FirstBoot(problems=("it's wrong",)), ["""try false 'it'"'"'s wrong'"""], []),
        (FirstBoot(ignored=("ntp",)), ["note 'not understood here:' ntp"], []),
    ],
)
def test_a_first_boot_becomes_two_scripts(boot: FirstBoot, early: list[str], late: list[str]) -> None:
    """Before anybody can log in, and once the machine is up; both are what bash understands."""
    for script, lines in ((before_login(boot), early), (once_up(boot), late)):
        assert [line for line in lines if line not in script.splitlines()] == []
        assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
        assert bool(lines) == (script not in (before_login(FirstBoot()), once_up(FirstBoot())))


def test_what_fails_does_not_keep_the_rest_from_being_done(tmp_path: Path) -> None:
    """The script says so in the end."""
    files = (
        WrittenFile("/proc/nowhere/a", b"x", owner=":"),
        WrittenFile(f"{tmp_path}/it's a/file", b"first\n", "0600", ":"),
        WrittenFile(f"{tmp_path}/it's a/file", b"END\n", "0640", ":", append=True),
    )
    script = before_login(FirstBoot(files=files))
    done = subprocess.run(["bash"], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cloud-init: failed: put /proc/nowhere/a" in done.stderr
    written = tmp_path / "it's a" / "file"
    assert written.read_text() == "first\nEND\n"
    assert written.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("wanted", "booted", "runs", "rebooted", "expected"),
    [
        (1, None, False, False, Move.BOOT),
        (1, 1, True, False, Move.NOTHING),
        (1, 1, False, False, Move.NOTHING),
        (1, 1, False, True, Move.BOOT),
        (2, 1, True, False, Move.SHUT_DOWN),
        (2, 1, False, False, Move.BOOT),
        (None, 1, True, False, Move.SHUT_DOWN),
        (None, 1, False, False, Move.NOTHING),
        (None, 1, False, True, Move.NOTHING),
        (None, None, False, False, Move.NOTHING),
    ],
    ids=[
        "first",
        "up",
        "dead",
        "rebooted-itself",
        "reboot",
        "second",
        "off",
        "is-off",
        "rebooted-into-off",
        "never-on",
    ],
)
def test_the_next_move(wanted: int | None, booted: int | None, runs: bool, rebooted: bool, expected: Move) -> None:
    """What has died stays dead; every boot of the server is one of the machine."""
    assert move(wanted, booted, runs=runs, rebooted=rebooted) == expected
