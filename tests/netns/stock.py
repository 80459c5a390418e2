# SPDX-License-Identifier: GPL-2.0-or-later
"""This project on a stock Debian kernel, in an emulated machine, behind links that our own kernel may not have.

sunset ----lan---- west (ours) =======wan======= isp                                road (ours) --- 10.2.0.1
10.1.0.2                       192.0.2.1   192.0.2.2 203.0.113.1 ====link==== 203.0.113.N
                               `---- lab ----'       `--- emulated machine: two network namespaces ---'

The machine is the one of guest.py with Debian's ordinary kernel (the one for clouds has no PPP), with the programs of
PROGRAMS, and with the interpreter, the packages and the libraries that run this very test, at the paths they have here.
Our gateway has its files in /etc/road and /run/road: /etc and /run/pluto are libreswan's, where a test starts it.
"""

from __future__ import annotations

import compileall
import fcntl
import hashlib
import importlib.metadata
import os
import re
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

from tests.netns.gateway import IPSEC
from tests.netns.guest import Guest, build
from tests.netns.lab import Host, run

ROOT = Path(__file__).resolve().parents[2]
BASE = Path(os.environ.get("PEER_CACHE", "/var/tmp/ipsec-kernelpeer"))
CACHES = Path("/var/tmp/openswan-stock-kernel")
MODULES = ("net", "lib", "crypto", "arch", "drivers/virtio", "drivers/net/ppp", "drivers/net/slip", "drivers/net/*.ko")

PROGRAMS = ("ppp", "xl2tpd")
"""Packages that are unpacked into the machine."""

NOT_NEEDED = ("test", "idlelib", "tkinter", "lib2to3", "ensurepip", "dist-packages", "site-packages")
"""Of the standard library."""

KERNEL = r"""
set -euo pipefail
cache=$1 base=$2 stage=$3 programs=$4; shift 4
cd "$stage"
mkdir root kernel
image=$(apt-cache depends linux-image-amd64 | awk '/Depends:/{print $2; exit}')
apt-get -qq -o APT::Sandbox::User=root download "$image" $programs > log 2>&1 ||
  { echo "the package mirror does not give what the emulated machine needs: $image $programs"; cat log; exit 1; }
version=${image#linux-image-}
zcat "$base/rootfs.gz" | (cd root && cpio -idm 2>/dev/null)
rm -rf root/usr/lib/modules/*
dpkg-deb --fsys-tarfile "$image"_*.deb | tar -x -C kernel --wildcards --no-wildcards-match-slash \
  './boot/vmlinuz*' './lib/modules/*/modules.*' $(printf " ./lib/modules/*/kernel/%s" "$@")
mv kernel/lib/modules/* root/usr/lib/modules/
depmod -b root "$version"
for program in $programs; do
  dpkg-deb --fsys-tarfile "$program"_*.deb | tar -x -C root --keep-directory-symlink --exclude './usr/share/*'
done
mkdir -p root/etc/ppp "$cache"
: > root/etc/ppp/options
cp kernel/boot/vmlinuz-"$version" "$cache/vmlinuz"
(cd root && find . -xdev | cpio -o -H newc 2>/dev/null) > "$cache/rootfs.gz.part"
mv "$cache/rootfs.gz.part" "$cache/rootfs.gz"
"""
"""Not compressed, whatever its name: the emulated processor takes longer to unpack it than to read it."""

ROAD = "IPSEC_CONFS=/etc/road IPSEC_RUNDIR=/run/road; export PATH IPSEC_CONFS IPSEC_RUNDIR"
START = """
if [ -d /cfg/root/tmp ]; then cp -a /cfg/root/tmp/. /tmp; rm -rf /cfg/root/tmp; fi # another file system: no links
cp -al --remove-destination /cfg/root/. /
perl /cfg/shell.pl &
mount -t devpts devpts /dev/pts
modprobe ppp_generic
ip link del lan
ip netns add road
ip -n road link set lo up
ip -n road link add lan type dummy
ip -n road addr add 10.2.0.1/24 dev lan
ip -n road link set lan up
ip netns exec road sysctl -qw net.ipv4.ip_forward=1
mkdir -p /etc/road/ipsec.d /run/road
"""


def build_kernel() -> Path:
    """Where the image with the other kernel is; it is made unless it is there."""
    build()
    recipe = hashlib.sha256(repr((KERNEL, MODULES, PROGRAMS)).encode()).hexdigest()[:12]
    cache = CACHES / recipe
    with open("/tmp/openswan-kernelpeer.lock", "w") as lock, tempfile.TemporaryDirectory() as stage:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (cache / "rootfs.gz").exists():
            run("bash", "-c", KERNEL, "bash", cache, BASE, stage, " ".join(PROGRAMS), *MODULES, timeout=300)
    return cache


def distributions(name: str) -> set[str]:
    """A distribution and all that it requires."""
    found, left = set(), [name]
    while left:
        this = left.pop()
        if this in found:
            continue
        found.add(this)
        for text in importlib.metadata.requires(this) or ():
            wanted = Requirement(text)
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                left.append(wanted.name)
    return found


def project_files() -> Iterator[Path]:
    """Every file that `ipsec` needs, libraries excepted."""
    yield Path(sys.executable)
    yield Path(sys.prefix, "pyvenv.cfg")
    for name in distributions("openswan"):
        for file in importlib.metadata.files(name) or ():
            yield Path(os.path.abspath(str(file.locate())))
    for package in ("openswan", "_fast"):
        yield from (p for p in (ROOT / package).rglob("*") if p.suffix in (".py", ".pyc", ".so"))
    stdlib = Path(sysconfig.get_path("stdlib"))
    for directory, below, files in os.walk(stdlib):
        here = Path(directory).relative_to(stdlib).parts
        if not here:
            below[:] = [name for name in below if name not in NOT_NEEDED and not name.startswith("config-")]
        yield from (Path(directory, name) for name in files)


def libraries(files: list[Path]) -> set[Path]:
    """The shared libraries of programs and modules, and the loader."""
    said = run("ldd", *files, check=False).stdout
    return {Path(found) for found in re.findall(r"(/\S+) \(0x", said)}


def install(into: Path) -> None:
    """Lay this project and all that it runs on below a directory, each file at its own path."""
    compileall.compile_dir(ROOT / "openswan", quiet=2)
    files = [path for path in project_files() if path.is_file()]
    binaries = [path for path in files if ".so" in path.suffixes or path == Path(sys.executable)]
    for path in (*files, *libraries(binaries)):
        there = into / (path.parent.resolve() / path.name).relative_to("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, there)


class Stock(Guest):
    """The machine; our gateway in it lives in its namespace `road`, the rest of it is the provider."""

    def __init__(self, host: Host) -> None:
        cache = build_kernel()
        directory = host.lab.dir / "stock"
        install(directory / "root")
        super().__init__(host, directory, {"start": START}, cache)

    def road(self, order: str, timeout: float = 60, check: bool = True) -> str:
        """Run an order where our gateway is."""
        self.put("/tmp/order", f"PATH={IPSEC.parent}:$PATH {ROAD}\n{order}".encode())
        return self.sh("ip netns exec road sh -e /tmp/order", timeout, check)

    def log(self) -> str:
        """The end of our daemon's log."""
        return "--- road\n" + self.sh("tail -n 60 /run/road/*.log", check=False)
