"""What the image adds to Debian: its files, and the units that a machine does without."""

from __future__ import annotations

SUITE = "bookworm"
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "openssh-server", "git", "sudo", "ca-certificates", "iproute2", "curl", "procps",
    "unzip", "zstd", "age", "python3", "postgresql-client",
)  # fmt: skip
BUN_VERSION = "1.4.5"
BUN_CACHE = "/var/cache/bun"

MASKED = (
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer",
    "systemd-tmpfiles-clean.timer", "console-getty.service", "getty.target", "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service", "e2scrub_reap.service", "systemd-timesyncd.service",
)  # fmt: skip
"""Units that only cost boots their time, or wake up now and then on every machine at once. The clock is the host's."""
ENABLED = ("cloud-init.service", "cloud-final.service")

_STAGE = """\
[Unit]
Description={description}
{order}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/cloud-init/stage {name}
TimeoutStartSec=infinity

[Install]
WantedBy=multi-user.target
"""

PROGRAMS = {
    "usr/bin/cloud-init": """\
#!/bin/sh
# Answers `cloud-init status [--wait]`, as the real one does.
state() { systemctl show --property=ActiveState --value cloud-final.service; }

[ "$1" = status ] || { echo "usage: cloud-init status [--wait]" >&2; exit 2; }
while [ "$2" = --wait ]; do
  case $(state) in active | failed) break ;; esac
  sleep 0.1
done
if systemctl --quiet is-failed cloud-init.service cloud-final.service; then
  echo "status: error"
  exit 1
fi
[ "$(state)" = active ] && echo "status: done" || echo "status: running"
""",
    "usr/lib/cloud-init/stage": """\
#!/bin/sh
# Runs a stage of the first boot, once: one that was cut off is not begun again, as with cloud-init.
mkdir -p /var/lib/cloud/sem
mkdir "/var/lib/cloud/sem/$1" 2>/dev/null || exit 0
exec "/var/lib/cloud/instance/$1" >>/var/log/cloud-init-output.log 2>&1
""",
}
"""Those that can be run, by path."""

FILES = {
    "etc/systemd/system/cloud-init.service": _STAGE.format(
        description="First boot, before anybody can log in",
        order="Before=ssh.service",
        name="init",
    ),
    "etc/systemd/system/cloud-final.service": _STAGE.format(
        description="First boot, once the machine is up",
        order="After=network-online.target cloud-init.service ssh.service",
        name="final",
    ),
    "etc/ssh/sshd_config.d/scaleway.conf": """\
# Public keys only. Whoever deploys opens a connection for each of its commands.
PasswordAuthentication no
UseDNS no
MaxStartups 100:30:200
MaxSessions 100
""",
    # Machines share the host's memory.
    "etc/systemd/journald.conf.d/small.conf": "[Journal]\nRuntimeMaxUse=16M\n",
}


def settings(registry: str) -> dict[str, str]:
    """Where Bun finds packages, for everybody who logs in and for every service.

    Args:
        registry: npm's. It is part of the names in Bun's cache, so nodes have to ask the one that filled it.
    """
    variables = {"BUN_INSTALL_CACHE_DIR": BUN_CACHE, "NPM_CONFIG_REGISTRY": registry}
    quoted = " ".join(f'"{name}={value}"' for name, value in variables.items())
    return {
        "etc/environment": "".join(f"{name}={value}\n" for name, value in variables.items()),
        "etc/systemd/system.conf.d/bun.conf": f"[Manager]\nDefaultEnvironment={quoted}\n",
    }
