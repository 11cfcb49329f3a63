"""The way to nodes: through the bastion, to machines known by their host keys, and what is said otherwise."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from temporalio import activity
from temporalio.testing import ActivityEnvironment

from activities.ssh.connections import LONGEST_LINE
from activities.ssh.fingerprints import published
from activities.ssh.script import Script
from blueprint.errors import CommandFailed, Gone, HostKeyChanged, NotReady, SshKeyMissing, SshUnreachable
from tests.activities.conftest import TARGET
from tests.activities.ssh_site import INSTANCE, NODE, SshSite, ssh_site
from tests.emulator.real.local import eventually

ONE, TWO = "SHA256:" + "a" * 43, "SHA256:" + "B+/" * 14 + "1"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"256 {ONE} root@host (ED25519)", {ONE}),
        (f"256 {ONE} root@host (ED25519)\n3072 {TWO} root@host (RSA)\n", {ONE, TWO}),
        (f"  256 {ONE} no comment (ECDSA)\r\n", {ONE}),
        (f"256 {ONE}= root@host (ED25519-CERT)", {ONE}),
        ("256 MD5:aa:bb root@host (RSA)", set()),
        (f"{ONE}", set()),
        ("", set()),
    ],
)
def test_published_fingerprints(text: str, found: set[str]) -> None:
    """What is no fingerprint of a host key counts for nothing."""
    assert published(text) == found


def test_a_script_is_one_group_with_its_parameters_quoted() -> None:
    """Values stay values, whatever is in them."""
    nasty = 'it\'s $(touch /tmp/x) `id`; "q"\nline'
    script = Script(
        "x", 'printf "%s|" "$one" "${many[@]}" "$number"; cat', {"one": nasty, "many": [nasty, ""], "number": 5}
    )
    sent = script.rendered() + b"the data"
    ran = _bash(sent)
    assert ran == f"{nasty}|{nasty}||5|the data"


def test_half_a_script_runs_nothing() -> None:
    """A connection that breaks while the script is on its way leaves the node as it was."""
    sent = Script("x", "echo one\necho two").rendered()
    for length in range(len(sent) - 1):
        assert _bash(sent[:length]) == "", sent[:length]
    assert _bash(sent) == "one\ntwo\n"


def _bash(sent: bytes) -> str:
    return subprocess.run(["bash", "-s"], input=sent, capture_output=True, check=False).stdout.decode()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SshSite]:
    """A node behind a bastion."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("needs Linux, and root for port 22 of a node")
    with ssh_site(tmp_path) as here:
        yield here


def test_a_script_on_a_node(site: SshSite, caplog: pytest.LogCaptureFixture) -> None:
    """Its result comes line by line, what it says goes to the log with the node's name; argv tells nothing."""
    caplog.set_level(logging.INFO)
    lines: list[str] = []
    text = 'echo "$word"; echo careful >&2; tr "\\0" " " < /proc/$$/cmdline; echo; cat'
    script = Script("greet", text, {"word": "hello"}, data=b"from stdin\n")

    outcome = site.nodes.run(TARGET, NODE, script, lines.append)

    assert outcome.output == ("hello", "bash -s ", "from stdin")
    assert tuple(lines) == outcome.output
    assert outcome.tail == "careful"
    assert abs(outcome.asked - time.time()) < 30
    assert f"{NODE} greet: careful" in caplog.text


def test_connections_are_kept_and_made_anew(site: SshSite) -> None:
    """Ten scripts, one login; the next after a break logs in again; an idle connection is closed."""
    for number in range(10):
        assert site.nodes.run(TARGET, NODE, Script("count", f"echo {number}")).output == (str(number),)
    assert site.machine.logins == 1

    site.machine.drop()
    eventually(lambda: not site.machine.connections, "broken")

    def again() -> bool:
        try:
            return site.nodes.run(TARGET, NODE, Script("again", "echo again")).output == ("again",)
        except SshUnreachable:
            return False

    eventually(again, "logged in again")
    assert site.machine.logins == 2


def test_a_command_that_fails_says_its_last_words(site: SshSite) -> None:
    """Exit code and the last line, then the nineteen lines before it."""
    script = Script("count", "for i in $(seq 30); do echo line $i >&2; done; exit 3")
    with pytest.raises(CommandFailed, match="exit code 3") as caught:
        site.nodes.run(TARGET, NODE, script)
    first, *others = caught.value.message.splitlines()
    assert first == "count ended with exit code 3: line 30"
    assert others == [f"line {i}" for i in range(11, 30)]
    assert site.nodes.run(TARGET, NODE, script, ok=(3,)).status == 3
    with pytest.raises(CommandFailed) as caught:
        site.nodes.run(TARGET, NODE, Script("long", "printf '%05000d\\n' 1 >&2; exit 3"))
    assert caught.value.message.splitlines()[0] == f"long ended with exit code 3: {'0' * LONGEST_LINE}"


def test_lost_on_the_way(site: SshSite, tmp_path: Path) -> None:
    """What broke off can be tried again, and so can a machine that is not there."""
    began = tmp_path / "began"

    def cut() -> None:
        eventually(began.exists, "the script began")
        site.machine.drop()

    thread = threading.Thread(target=cut)
    thread.start()
    with pytest.raises(SshUnreachable) as caught:
        site.nodes.run(TARGET, NODE, Script("wait", f"touch {began}; sleep 30"))
    thread.join()
    assert caught.value.retryable
    site.machine.stop()
    with pytest.raises(SshUnreachable, match="does not answer over SSH"):
        eventually(lambda: not site.nodes.run(TARGET, NODE, Script("hello", "echo")), "")


def test_another_host_key_is_refused(site: SshSite) -> None:
    """A node is who it said it was at its first boot; one that has not said so yet is waited for."""
    site.nodes.run(TARGET, NODE, Script("hello", "echo"))
    site.machine.stop()
    site.machine.key = asyncssh.generate_private_key("ssh-ed25519")
    site.machine.start()
    with pytest.raises(HostKeyChanged, match="shows the host key SHA256:") as caught:
        eventually(lambda: _tried(site), "refused")
    assert not caught.value.retryable
    assert "replace" in caught.value.remedy

    site.publish()
    assert site.nodes.run(TARGET, NODE, Script("hello", "echo hi")).output == ("hi",)

    site.machine.stop()
    path = f"{INSTANCE}/servers/{site.node['id']}/user_data/ssh-host-fingerprints"
    site.emulator.call("DELETE", path)
    with pytest.raises(NotReady, match="first boot"):
        eventually(lambda: _tried(site), "not told")


def _tried(site: SshSite) -> bool:
    try:
        site.nodes.run(TARGET, NODE, Script("hello", "echo"))
    except SshUnreachable:
        return False
    return False


def test_the_bastion_is_pinned_when_first_met(site: SshSite) -> None:
    """Refused with another key, unless the API says that it is another gateway."""
    assert site.nodes.run(TARGET, NODE, Script("hello", "echo hi")).output == ("hi",)
    pinned = site.cloud.secrets
    place = {"$secret": site.cloud.names.secret_path, "name": site.cloud.names.bastion_secret}
    value = json.loads(pinned.reveal(place))
    assert value == {"gateway": site.gateway["id"], "fingerprint": site.bastion()["fingerprint"]}

    other = asyncssh.generate_private_key("ssh-ed25519").get_fingerprint()
    _pin(site, value | {"fingerprint": other})
    with _another(site) as nodes, pytest.raises(HostKeyChanged, match="bastion of gw-lssm-prod") as caught:
        nodes.run(TARGET, NODE, Script("hello", "echo"))
    assert "/lssm/prod/ssh-bastion-host-key" in caught.value.remedy

    _pin(site, {"gateway": "another one", "fingerprint": other})
    with _another(site) as nodes:
        assert nodes.run(TARGET, NODE, Script("hello", "echo hi")).output == ("hi",)
    assert json.loads(pinned.reveal(place)) == value


def _pin(site: SshSite, value: Any) -> None:
    site.cloud.secrets.store(site.cloud.names.secret_path, site.cloud.names.bastion_secret, json.dumps(value))


def _another(site: SshSite, **changes: Any) -> Any:
    return closing(site.connect(**changes))


def test_keys(site: SshSite, tmp_path: Path) -> None:
    """None, a bad one, one that nobody knows: each with what to do about it."""
    hello = Script("hello", "echo hi")
    with _another(site, SCALEWAY_INFRA_SSH_KEY_FILE=None) as nodes, pytest.raises(SshKeyMissing) as caught:
        nodes.run(TARGET, NODE, hello)
    assert "SCALEWAY_INFRA_SSH_KEY_FILE" in caught.value.remedy

    bad = tmp_path / "bad"
    bad.write_text("no key")
    with _another(site, SCALEWAY_INFRA_SSH_KEY_FILE=bad) as nodes, pytest.raises(SshKeyMissing, match="no usable"):
        nodes.run(TARGET, NODE, hello)

    bad.write_bytes(asyncssh.generate_private_key("ssh-ed25519").export_private_key("openssh"))
    with (
        _another(site, SCALEWAY_INFRA_SSH_KEY_FILE=bad) as nodes,
        pytest.raises(SshUnreachable, match="none of our keys"),
    ):
        nodes.run(TARGET, NODE, hello)


def test_no_such_node(site: SshSite) -> None:
    """Nothing to wait for."""
    with pytest.raises(Gone, match="lssm-prod-core-02"):
        site.nodes.run(TARGET, "lssm-prod-core-02", Script("hello", "echo"))


def test_a_cancelled_activity_does_not_wait(site: SshSite, tmp_path: Path) -> None:
    """The wait ends, whatever the node does."""
    began = tmp_path / "began"
    environment = ActivityEnvironment()

    def cancel() -> None:
        eventually(began.exists, "the script began")
        environment.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()

    @activity.defn(no_thread_cancel_exception=True)
    def wait() -> None:
        site.nodes.run(TARGET, NODE, Script("wait", f"touch {began}; sleep 20"))

    with pytest.raises(NotReady, match="is to end"):
        environment.run(wait)
    thread.join()
