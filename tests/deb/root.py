# SPDX-License-Identifier: GPL-2.0-or-later
"""Bare Debian 12 roots, and commands that run in them: nothing of this machine's but its kernel."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.netns.lab import Host, run

PLAIN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
ENTER = """
mount --make-rprivate /
mount --bind "$0" "$0"
mount -t proc proc "$0/proc"
mount --rbind /dev "$0/dev"
exec chroot "$0" "$@"
"""


def bare(archive: Path) -> None:
    """The smallest Debian 12 there is, as an archive; made once."""
    if not archive.exists():
        archive.parent.mkdir(parents=True, exist_ok=True)
        new = archive.with_name("new.tar")
        run("mmdebstrap", "--quiet", "--variant=minbase", "bookworm", new, timeout=1800)
        new.rename(archive)


class Root:
    """A root directory; `at` is the network namespace its commands run in, None: this machine's."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.at: Host | None = None

    @classmethod
    def unpacked(cls, archive: Path, path: Path) -> Root:
        """A fresh one."""
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        # Device files are bound from outside.
        run("tar", "-x", "-C", path, "-f", archive, "--exclude=./dev/*", timeout=300)
        shutil.copy("/etc/resolv.conf", path / "etc/resolv.conf")
        shutil.copytree("/etc/apt/apt.conf.d", path / "etc/apt/apt.conf.d", dirs_exist_ok=True)
        return cls(path)

    def copy(self, path: Path) -> Root:
        """Another one like it."""
        shutil.rmtree(path, ignore_errors=True)
        run("cp", "-a", "--reflink=auto", self.path, path, timeout=300)
        return Root(path)

    def run(self, *argv: str, check: bool = True, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        """A command in here to its end. Daemons it starts go on: every command sees the same files."""
        words = ("unshare", "--mount", "sh", "-ec", ENTER, str(self.path), *argv)
        if self.at is not None:
            return self.at.run(*words, check=check, timeout=timeout, env=PLAIN)
        return run(*words, check=check, timeout=timeout, env=PLAIN)

    def apt(self, *words: str) -> None:
        """apt-get, asking nothing."""
        keep = ("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold")
        self.run("apt-get", "-qq", "-y", "--no-install-recommends", *keep, *words)

    def names(self) -> set[str]:
        """Every file there is that has our name in its path; not what apt and a library of that name keep."""
        marks, others = ("ipsec", "openswan", "pluto"), ("tmp/", "proc/", "var/cache/apt/")
        found = (str(path.relative_to(self.path)) for path in self.path.rglob("*"))
        ours = (name for name in found if any(mark in name.replace("libipsec-mb", "") for mark in marks))
        return {name for name in ours if not name.startswith(others)}
