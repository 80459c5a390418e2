# SPDX-License-Identifier: GPL-2.0-or-later
"""A root that boots: its own systemd as init of namespaces of its own, with no network until somebody plugs one in."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

from tests.netns.lab import Host, alive, run, wait_for

BOOT = r"""
echo $$ >"$2/cgroup.procs"
exec unshare --mount --pid --fork --net --uts --ipc --cgroup --kill-child sh -euc '
mount --make-rprivate /
mount --bind "$0" "$0"
cd "$0"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/net dev/pts dev/shm
for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0 net/tun:10:200; do
	name=${node%%:*} number=${node#*:}
	mknod -m 666 "dev/$name" c "${number%:*}" "${number#*:}"
done
ln -s /proc/self/fd dev/fd
ln -s pts/ptmx dev/ptmx
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
for place in dev/shm run tmp; do mount -t tmpfs -o mode=1777 tmpfs $place; done
chmod 755 run
ip link set lo up
pivot_root . mnt
cd /
umount -l mnt
exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --show-status=no
' "$1"
"""


def hierarchy() -> Path:
    """Where this machine keeps its control groups of version 2."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    raise AssertionError("systemd needs control groups of version 2")


class Machine:
    """A root as a machine of its own; a context manager."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.group = hierarchy() / f"osw-boot-{os.getpid()}"
        self.pid = 0

    def __enter__(self) -> Machine:
        self.group.mkdir()
        words = ["sh", "-euc", BOOT, "boot", str(self.root), str(self.group)]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL)
        # unshare waits for its child, which becomes systemd.
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        self.pid = int(wait_for("systemd", lambda: children.read_text().split(), 20)[0])
        return self

    def __exit__(self, *_: object) -> None:
        # unshare's end is that of its child too, and with it of all that runs in there.
        self.process.kill()
        self.process.wait(10)
        wait_for("the end of systemd", lambda: not alive(self.pid), 10)
        for path in sorted(self.group.rglob("*/"), reverse=True):
            with suppress(OSError):
                path.rmdir()
        with suppress(OSError):
            self.group.rmdir()

    def run(self, *argv: str, check: bool = True, timeout: float = 60) -> str:
        """A command in there; its output."""
        enter = ("nsenter", "-t", str(self.pid), "-a", "-r", "-w")
        return run(
            *enter, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *argv, check=check, timeout=timeout
        ).stdout

    def state(self, unit: str, field: str) -> str:
        """A property of a unit; empty while systemd does not answer."""
        return self.run("systemctl", "show", "--value", "-p", field, unit, check=False).strip()

    def plug(self, host: Host, device: str) -> None:
        """Take a device out of a namespace; its own network manager does the rest."""
        host.ip("link", "set", device, "netns", str(self.pid))
