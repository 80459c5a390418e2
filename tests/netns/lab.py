# SPDX-License-Identifier: GPL-2.0-or-later
"""A small internet of network namespaces, built for one test and gone after it.

    direct:  sunset ----lan---- west =======wan======= east ----lan---- sunrise
             10.1.0.2      10.1.0.1 192.0.2.1   192.0.2.2 10.2.0.1      10.2.0.2
             2001:db8:1::2      ::1 2001:db8::1       ::2 2001:db8:2::1      ::2

    nat:     sunset ----lan---- west ====wan==== in [nat] out ====wan==== east ----lan---- sunrise
                    192.168.7.2/24   192.168.7.1   192.0.2.1   192.0.2.2        (masquerading, IPv4)
                                     in2 192.168.8.1
                    192.168.8.2 road ====wan==='

    routed:  sunset --lan-- west ===wan=== left [r1] mid ====mid==== mid [r2] right ===wan=== east --lan-- sunrise
                            192.0.2.1  192.0.2.254 203.0.113.1       .2 198.51.100.254 198.51.100.2
                            2001:db8::1       ::fe 2001:db8:5::1    ::2 2001:db8:9::fe          ::2

    vm:      as direct, without east and sunrise: west's wan is a TAP on which a virtual machine plays east.

    empty:   nothing yet.

Namespaces carry the process id in their names, so several labs stand side by side and a crashed run's remains are known
as such. Nothing outside these namespaces is touched.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

PREFIX = "osw"
T = TypeVar("T")
_serial = itertools.count(1)
_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000

ADDRESSES = {
    "direct": """
        west wan 192.0.2.1/24 2001:db8::1/64
        east wan 192.0.2.2/24 2001:db8::2/64
        west lan 10.1.0.1/24 2001:db8:1::1/64
        east lan 10.2.0.1/24 2001:db8:2::1/64
        sunset lan 10.1.0.2/24 2001:db8:1::2/64
        sunrise lan 10.2.0.2/24 2001:db8:2::2/64
        """,
    "nat": """
        west wan 192.168.7.2/24 2001:db8:7::2/64
        nat in 192.168.7.1/24 2001:db8:7::1/64
        road wan 192.168.8.2/24 2001:db8:8::2/64
        nat in2 192.168.8.1/24 2001:db8:8::1/64
        nat out 192.0.2.1/24 2001:db8::1/64
        east wan 192.0.2.2/24 2001:db8::2/64
        west lan 10.1.0.1/24 2001:db8:1::1/64
        east lan 10.2.0.1/24 2001:db8:2::1/64
        sunset lan 10.1.0.2/24 2001:db8:1::2/64
        sunrise lan 10.2.0.2/24 2001:db8:2::2/64
        """,
    "routed": """
        west wan 192.0.2.1/24 2001:db8::1/64
        r1 left 192.0.2.254/24 2001:db8::fe/64
        r1 mid 203.0.113.1/24 2001:db8:5::1/64
        r2 mid 203.0.113.2/24 2001:db8:5::2/64
        r2 right 198.51.100.254/24 2001:db8:9::fe/64
        east wan 198.51.100.2/24 2001:db8:9::2/64
        west lan 10.1.0.1/24 2001:db8:1::1/64
        east lan 10.2.0.1/24 2001:db8:2::1/64
        sunset lan 10.1.0.2/24 2001:db8:1::2/64
        sunrise lan 10.2.0.2/24 2001:db8:2::2/64
        """,
    "vm": """
        west lan 10.1.0.1/24 2001:db8:1::1/64
        sunset lan 10.1.0.2/24 2001:db8:1::2/64
        """,
    "empty": "",
}
WIRES = {
    "direct": [("west", "wan", "east", "wan"), ("west", "lan", "sunset", "lan"), ("east", "lan", "sunrise", "lan")],
    "nat": [
        ("west", "wan", "nat", "in"),
        ("road", "wan", "nat", "in2"),
        ("nat", "out", "east", "wan"),
        ("west", "lan", "sunset", "lan"),
        ("east", "lan", "sunrise", "lan"),
    ],
    "routed": [
        ("west", "wan", "r1", "left"),
        ("r1", "mid", "r2", "mid"),
        ("r2", "right", "east", "wan"),
        ("west", "lan", "sunset", "lan"),
        ("east", "lan", "sunrise", "lan"),
    ],
    "vm": [("west", "lan", "sunset", "lan")],
    "empty": [],
}
DEFAULT_ROUTES = {
    "direct": """
        sunset 10.1.0.1 2001:db8:1::1
        sunrise 10.2.0.1 2001:db8:2::1
        west 192.0.2.2 2001:db8::2
        east 192.0.2.1 2001:db8::1
        """,
    "nat": """
        sunset 10.1.0.1 2001:db8:1::1
        sunrise 10.2.0.1 2001:db8:2::1
        west 192.168.7.1 2001:db8:7::1
        road 192.168.8.1 2001:db8:8::1
        east 192.0.2.1 2001:db8::1
        """,
    "routed": """
        sunset 10.1.0.1 2001:db8:1::1
        sunrise 10.2.0.1 2001:db8:2::1
        west 192.0.2.254 2001:db8::fe
        east 198.51.100.254 2001:db8:9::fe
        r1 203.0.113.2 2001:db8:5::2
        r2 203.0.113.1 2001:db8:5::1
        """,
    "vm": """
        sunset 10.1.0.1 2001:db8:1::1
        """,
    "empty": "",
}


class LabError(AssertionError):
    """A command of the lab's own failed; the message holds what it printed."""


def run(
    *argv: str | os.PathLike[str], check: bool = True, timeout: float = 60, **options: object
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; LabError with all it printed when it fails and `check` says so."""
    done = subprocess.run(
        [os.fspath(a) for a in argv],
        stdin=options.pop("stdin", subprocess.DEVNULL) if "input" not in options else None,
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout,
        **options,  # type: ignore[call-overload]
    )
    if check and done.returncode:
        raise LabError(f"{' '.join(map(str, argv))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done  # type: ignore[no-any-return]


def wait_for(what: str, probe: Callable[[], T], timeout: float = 10.0, step: float = 0.05) -> T:
    """Poll until `probe` returns something true and return that; LabError naming `what` after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        if answer := probe():
            return answer
        if time.monotonic() > end:
            raise LabError(f"waited {timeout:g} s in vain for {what}")
        time.sleep(step)


def alive(pid: int) -> bool:
    """Does that process exist and is it no zombie?"""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def end_process(pid: int, patience: float = 3.0) -> None:
    """SIGTERM, and SIGKILL when that does not help."""
    for sig, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, 3.0)):
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            return
        limit = time.monotonic() + wait
        while time.monotonic() < limit:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                pass
            if not alive(pid):
                return
            time.sleep(0.02)


class Host:
    """One namespace."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.lab = lab
        self.name = name
        self.ns = f"{lab.prefix}-{name}"
        self.children: list[subprocess.Popen[str]] = []
        run("ip", "netns", "add", self.ns)
        self.path = f"/run/netns/{self.ns}"
        # Without this a link-local address is tentative for a second, and neighbour discovery with it.
        self.sysctl(ipv6__conf__default__accept_dad=0, ipv6__conf__default__dad_transmits=0)
        self.ip("link", "set", "lo", "up")

    def ip(self, *args: str, check: bool = True) -> str:
        """`ip ARGS` in here; its output."""
        return run("ip", "-n", self.ns, *args, check=check).stdout

    def run(
        self, *argv: str | os.PathLike[str], check: bool = True, timeout: float = 60, **options: object
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in here to its end."""
        return run("ip", "netns", "exec", self.ns, *argv, check=check, timeout=timeout, **options)

    def start(self, *argv: str | os.PathLike[str], **options: object) -> subprocess.Popen[str]:
        """Start a command in here; it is ended with the lab at the latest. Its pid is the command's own."""
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.STDOUT)
        child = subprocess.Popen(
            ["ip", "netns", "exec", self.ns, *map(os.fspath, argv)],
            text=True,
            **options,  # type: ignore[call-overload]
        )
        self.children.append(child)
        return child  # type: ignore[no-any-return]

    def sysctl(self, **settings: int) -> None:
        """Set net.* values: sysctl(ipv4__ip_forward=1)."""
        with self.inside():
            for name, value in settings.items():
                Path("/proc/sys/net", *name.split("__")).write_text(str(value))

    @contextmanager
    def inside(self) -> Iterator[None]:
        """The calling thread is in here meanwhile: sockets it makes stay here for good."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        there = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _libc.setns(there, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"setns {self.ns}")
            try:
                yield
            finally:
                if _libc.setns(home, CLONE_NEWNET):
                    os.abort()
        finally:
            os.close(there)
            os.close(home)

    def pids(self) -> list[int]:
        """Every process whose main thread lives in here."""
        return [int(p) for p in run("ip", "netns", "pids", self.ns, check=False).stdout.split()]

    def remove(self) -> None:
        """End what runs in here and delete it."""
        for child in self.children:
            end_process(child.pid)
            child.wait()
            for pipe in (child.stdin, child.stdout, child.stderr):
                if pipe:
                    pipe.close()
        for pid in self.pids():
            if pid != os.getpid():
                end_process(pid, 1.0)
        run("ip", "netns", "del", self.ns, check=False)


class Lab:
    """Namespaces and the wires between them; a context manager, and `close` may be called twice."""

    def __init__(self, shape: str = "direct", mtu: int = 1500) -> None:
        sweep()
        self.shape = shape
        self.prefix = f"{PREFIX}{os.getpid()}x{next(_serial)}"
        self.dir = Path(tempfile.mkdtemp(prefix=f"{self.prefix}-", dir="/tmp"))
        self.hosts: dict[str, Host] = {}
        self._at_close: list[Callable[[], None]] = []
        try:
            self._build(mtu)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getitem__(self, name: str) -> Host:
        return self.hosts[name]

    def __getattr__(self, name: str) -> Host:
        try:
            return self.__dict__["hosts"][name]  # type: ignore[no-any-return]
        except KeyError:
            raise AttributeError(name) from None

    def _build(self, mtu: int) -> None:
        wires = WIRES[self.shape]
        for a, _, b, _ in wires:
            for name in (a, b):
                if name not in self.hosts:
                    self.hosts[name] = Host(self, name)
        for a, a_dev, b, b_dev in wires:
            self.wire(a, a_dev, b, b_dev, mtu if "wan" in (a_dev, b_dev) else 1500)
        for line in ADDRESSES[self.shape].strip().splitlines():
            self.address(*line.split())
        for line in DEFAULT_ROUTES[self.shape].strip().splitlines():
            name, v4, v6 = line.split()
            self[name].ip("route", "add", "default", "via", v4)
            self[name].ip("-6", "route", "add", "default", "via", v6)
        for name in ("west", "east", "nat", "r1", "r2"):
            if name in self.hosts:
                self.make_router(name)
        if self.shape == "nat":
            self["nat"].run("iptables", "-t", "nat", "-A", "POSTROUTING", "-o", "out", "-j", "MASQUERADE")
            new = ("-i", "out", "-m", "conntrack", "--ctstate", "NEW")
            self["nat"].run("iptables", "-A", "FORWARD", *new, "-j", "DROP")
            self["east"].ip("-6", "route", "add", "2001:db8:7::/64", "via", "2001:db8::1")

    def wire(self, a: str, a_dev: str, b: str, b_dev: str, mtu: int = 1500) -> None:
        """A veth pair between two hosts."""
        run("ip", "link", "add", a_dev, "netns", self[a].ns, "mtu", str(mtu),
            "type", "veth", "peer", "name", b_dev, "netns", self[b].ns)  # fmt: skip
        self[b].ip("link", "set", b_dev, "mtu", str(mtu))

    def address(self, name: str, dev: str, *nets: str) -> None:
        """Give a device its addresses and bring it up."""
        for net in nets:
            self[name].ip("addr", "add", net, "dev", dev, *(["nodad"] if ":" in net else []))
        self[name].ip("link", "set", dev, "up")

    def make_router(self, name: str) -> None:
        """Forwarding on, reverse path filter off."""
        self[name].sysctl(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1, ipv4__conf__all__rp_filter=0)
        for dev in ("wan", "lan", "in", "out", "left", "mid", "right"):
            if Path(f"/proc/sys/net/ipv4/conf/{dev}").exists():
                self[name].sysctl(**{f"ipv4__conf__{dev}__rp_filter": 0})

    def add_host(self, name: str, gateway: str, dev: str, net4: str, net6: str) -> Host:
        """One more host on a wire of its own to `gateway`, which becomes .1 of both /24 and /64; the host is .2."""
        self.hosts[name] = Host(self, name)
        self.wire(gateway, dev, name, "lan")
        self.address(gateway, dev, f"{net4}.1/24", f"{net6}::1/64")
        self.address(name, "lan", f"{net4}.2/24", f"{net6}::2/64")
        self[name].ip("route", "add", "default", "via", f"{net4}.1")
        self[name].ip("-6", "route", "add", "default", "via", f"{net6}::1")
        return self[name]

    def at_close(self, action: Callable[[], None]) -> None:
        """Run `action` before the namespaces go, last registered first."""
        self._at_close.append(action)

    def close(self) -> None:
        """Stop everything and leave nothing behind."""
        while self._at_close:
            try:
                self._at_close.pop()()
            except (OSError, LabError, subprocess.SubprocessError):
                pass  # the namespaces' end takes care of what is left
        for host in self.hosts.values():
            host.remove()
        self.hosts.clear()
        if not os.environ.get("KEEP_LAB"):
            shutil.rmtree(self.dir, ignore_errors=True)


_swept = False


def sweep() -> None:
    """Once a process: remove what labs of dead processes left behind."""
    global _swept
    if _swept:
        return
    _swept = True
    for name in leftovers():
        for pid in run("ip", "netns", "pids", name, check=False).stdout.split():
            end_process(int(pid), 1.0)
        run("ip", "netns", "del", name, check=False)
    for directory in Path("/tmp").glob(f"{PREFIX}[0-9]*x*"):
        if not _owned(directory.name):
            shutil.rmtree(directory, ignore_errors=True)


def _owned(name: str) -> bool:
    """Does the process a name of ours speaks of live?"""
    owner = name[len(PREFIX) :].partition("x")[0]
    return not owner.isdigit() or alive(int(owner))


def leftovers() -> list[str]:
    """Namespaces of labs whose process is gone."""
    return [name for name in namespaces() if name.startswith(PREFIX) and not _owned(name)]


def namespaces() -> Sequence[str]:
    """Names of all network namespaces that have one."""
    try:
        return sorted(os.listdir("/run/netns"))
    except FileNotFoundError:
        return []
