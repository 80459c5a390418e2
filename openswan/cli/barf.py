# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec barf`: all that somebody who helps from afar may want to see, under the classic headings, without a secret."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from openswan.base import paths
from openswan.base.errors import HostError
from openswan.cli.censor import censor_keys, censor_secrets
from openswan.cli.include import expand
from openswan.cli.ipsec import execdir, libdir
from openswan.cli.syntax import Given, Option, Syntax, run
from openswan.cli.talk import request
from openswan.config import places
from openswan.host import clock, process
from openswan.host.machine import Machine

SHORT, MOST = 500, 20000
"""Lines of a log with --short, and without."""
TOOL_SECONDS = 10.0
POLICIES = ("block", "clear", "clear-or-private", "private", "private-or-clear")
RULE = "+ _________________________ "
NEEDED = "CONFIG_(TUN|NF_TABLES|NETFILTER_NETLINK_QUEUE|NETFILTER_XT_TARGET_NFQUEUE|XFRM|INET_ESP)="
"""What the kernel was built with that matters here."""

SYNTAX = Syntax(
    "barf",
    "print everything somebody who helps from afar may want to see",
    (
        Option("--short", f"only the last {SHORT} lines of the log"),
        Option("--maxlines", "at most so many lines of each section", "N"),
    ),
    details=(
        "Each section begins with a line of a plus sign, underscores and its name, as it always has; the next line, "
        "with a plus sign too, says what is printed. Configuration goes through _keycensor, secrets through "
        "_secretcensor: keys and secrets are never shown, addresses and names are. Redirect it into a file, and "
        "look through it before you give it away. On a terminal it says on standard error which section it is at.",
        "ipsec diagnose says more in fewer lines.",
    ),
    statuses={0: "printed", 2: "usage error"},
    see=("ipsec_diagnose(8)", "ipsec_verify(8)", "ipsec_look(8)"),
)

Source: TypeAlias = Callable[["Scene"], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Scene:
    """What the sections look at."""

    machine: Machine
    log_lines: int


@dataclass(frozen=True, slots=True)
class Section:
    """One section."""

    name: str
    """As support people search for it."""
    shown: str
    """What it prints: a command or a file."""
    source: Source


def _tool(name: str, *argv: str) -> Section:
    def source(scene: Scene) -> Iterable[str]:
        if not scene.machine.tool(argv[0]):
            return [f"{argv[0]}: not installed"]
        return scene.machine.output(*argv, timeout=TOOL_SECONDS)[1].splitlines()

    return Section(name, " ".join(argv), source)


def _file(name: str, path: str) -> Section:
    return Section(name, f"cat {path}", lambda scene: (scene.machine.text(path) or f"{path}: not there").splitlines())


def _settings(name: str, folder: str) -> Section:
    def source(scene: Scene) -> Iterable[str]:
        below = scene.machine.root / folder.lstrip("/")
        try:
            files = sorted(path for path in below.iterdir() if path.is_file())
        except OSError:
            return [f"{folder}: not there"]
        texts = ((path.name, scene.machine.text(f"{folder}/{path.name}")) for path in files)
        return [f"{each}={(text or '').strip()}" for each, text in texts]

    return Section(name, f"cat {folder}/*", source)


def _per_device(name: str, setting: str) -> Section:
    def source(scene: Scene) -> Iterable[str]:
        return [
            f"{each}/{setting}={scene.machine.number(f'ipv4/conf/{each}/{setting}')}"
            for each in ("all", "default", *scene.machine.interfaces())
        ]

    return Section(name, f"cat /proc/sys/net/ipv4/conf/*/{setting}", source)


def _daemon(name: str, verb: str) -> Section:
    def source(scene: Scene) -> Iterable[str]:
        try:
            return [text for _, text in request(verb, timeout=30.0)]
        except HostError as why:
            return [str(why)]

    return Section(name, f"ipsec {verb}", source)


def _command(name: str, *argv: str) -> Section:
    """Another of our commands."""

    def source(scene: Scene) -> Iterable[str]:
        return process.command(process.ipsec_argv(*argv), 60.0)[1].splitlines()

    return Section(name, " ".join(("ipsec", *argv)), source)


def _none(name: str, why: str) -> Section:
    return Section(name, name, lambda scene: [why])


def _listing(name: str, path: Callable[[], Path]) -> Section:
    def source(scene: Scene) -> Iterable[str]:
        try:
            return sorted(each.name for each in path().iterdir())
        except OSError as why:
            return [f"{path()}: {why.strerror}"]

    return Section(name, f"ls {name}", source)


def _configuration(scene: Scene) -> Iterator[str]:
    """ipsec.conf with its includes, keys censored."""
    return censor_keys(expand(str(paths.conf_file())))


def _secrets(scene: Scene) -> Iterable[str]:
    text = scene.machine.text(str(places.secrets_file()))
    return ["no such file"] if text is None else censor_secrets(text.splitlines())


def _group(name: str) -> Section:
    path = places.ipsec_d() / "policies" / name
    return Section(
        f"ipsec/policies/{name}", f"cat {path}", lambda scene: (scene.machine.text(str(path)) or "").splitlines()
    )


def _log(scene: Scene) -> Iterable[str]:
    """The daemon's own latest lines; they are the same wherever its log goes."""
    try:
        lines = [text for _, text in request("events", timeout=30.0)]
    except HostError as why:
        return [str(why)]
    return lines[-scene.log_lines :]


def sections() -> tuple[Section, ...]:
    """All of them, in the classic order."""
    old = "the packet engine runs in the daemon: the kernel has no such table"
    no_kernel_log = "the packet engine runs in the daemon: what it has to say is in plog"
    return (
        _command("version", "--version"),
        _file("/proc/version", "/proc/version"),
        _daemon("/proc/net/ipsec_eroute", "eroute"),
        _tool("netstat-rn", "ip", "route", "show"),
        _daemon("/proc/net/ipsec_spi", "spi"),
        _daemon("/proc/net/ipsec_spigrp", "spigrp"),
        _daemon("/proc/net/ipsec_tncfg", "tncfg"),
        _none("/proc/net/pfkey", old),
        _tool("ip-xfrm-state", "sh", "-c", "ip xfrm state | grep -vE '(auth|enc|aead|comp|auth-trunc) '"),
        _tool("ip-xfrm-policy", "ip", "xfrm", "policy"),
        _file("/proc/crypto", "/proc/crypto"),
        _settings("/proc/sys/net/core/xfrm-star", "/proc/sys/net/core"),
        _none("/proc/sys/net/ipsec-star", old),
        _daemon("ipsec/status", "status"),
        _daemon("ipsec/counters", "counters"),
        _tool("/sbin/ifconfig-a", "ip", "-s", "link", "show"),
        _tool("ip-addr-list", "ip", "addr", "list"),
        _tool("ip-route-list", "ip", "route", "list", "table", "all"),
        _tool("ip-6-route-list", "ip", "-6", "route", "list", "table", "all"),
        _tool("ip-rule-list", "ip", "rule", "list"),
        _tool("ip-6-rule-list", "ip", "-6", "rule", "list"),
        _command("ipsec_verify", "verify", "--nocolour"),
        _command("ipsec/diagnose", "diagnose", "--all"),
        _tool("mii-tool", "mii-tool", "-v"),
        _command("ipsec/directory", "--directory"),
        Section("hostname/fqdn", "hostname --fqdn", lambda scene: [process.hostname()]),
        Section(
            "hostname/ipaddress",
            "hostname --ip-address",
            lambda scene: [str(address) for address, _ in scene.machine.addresses()],
        ),
        _file("/proc/uptime", "/proc/uptime"),
        _tool("ps", "ps", "-eo", "pid,ppid,stat,etime,comm"),
        _command("ipsec/showdefaults", "showdefaults"),
        Section("ipsec/conf", "ipsec _include | ipsec _keycensor", _configuration),
        Section("ipsec/secrets", "ipsec _secretcensor", _secrets),
        _daemon("ipsec/listall", "listall"),
        *(_group(name) for name in POLICIES),
        _listing("ipsec/ls-certs", lambda: places.ipsec_d() / "certs"),
        _listing("ipsec/ls-cacerts", lambda: places.ipsec_d() / "cacerts"),
        _listing("ipsec/ls-libdir", lambda: Path(libdir())),
        _listing("ipsec/ls-execdir", lambda: Path(execdir())),
        _file("/proc/net/dev", "/proc/net/dev"),
        _file("/proc/net/route", "/proc/net/route"),
        _file("/proc/sys/net/ipv4/ip_no_pmtu_disc", "/proc/sys/net/ipv4/ip_no_pmtu_disc"),
        _file("/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/ip_forward"),
        _file("/proc/sys/net/ipv4/tcp_ecn", "/proc/sys/net/ipv4/tcp_ecn"),
        _per_device("/proc/sys/net/ipv4/conf/star-rp_filter", "rp_filter"),
        _tool("uname-a", "uname", "-a"),
        _tool(
            "config-built-with", "sh", "-c", f"zcat -f /proc/config.gz /boot/config-$(uname -r) | grep -E '{NEEDED}'"
        ),
        _file("distro-release", "/etc/os-release"),
        _command("ipsec_version", "--versioncode"),
        _tool("iptables", "iptables", "-L", "-v", "-n"),
        _tool("iptables-nat", "iptables", "-t", "nat", "-L", "-v", "-n"),
        _tool("iptables-mangle", "iptables", "-t", "mangle", "-L", "-v", "-n"),
        _tool("nft", "nft", "list", "ruleset"),
        _file("/proc/modules", "/proc/modules"),
        _file("/proc/meminfo", "/proc/meminfo"),
        _none("/proc/net/ipsec-ls", old),
        _file("etc/syslog.conf", "/etc/syslog.conf"),
        _file("etc/resolv.conf", "/etc/resolv.conf"),
        _listing("lib/modules-ls", lambda: Path("/lib/modules")),
        _none("fipscheck", "there is no FIPS mode"),
        _none("kern.debug", no_kernel_log),
        _none("klog", no_kernel_log),
        Section("plog", "ipsec whack --events", _log),
        Section("date", "date", lambda scene: [clock.calendar()]),
    )


def barf(scene: Scene, most: int, progress: bool) -> Iterator[str]:
    """Every line. A section that fails says so and never stops the next."""
    for section in sections():
        if progress:
            print(f"\r\033[K{section.name}", end="", file=sys.stderr, flush=True)
        yield f"{RULE}{section.name}"
        yield f"+ {section.shown}"
        try:
            lines = list(section.source(scene))
        except (OSError, HostError, ValueError) as why:
            lines = [f"{section.name}: {why}"]
        yield from lines[:most]
        if len(lines) > most:
            yield f"({len(lines) - most} more lines: --maxlines)"
    if progress:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _act(given: Given) -> int:
    most = given.number("--maxlines", MOST, 1, 10_000_000)
    scene = Scene(Machine(), SHORT if "--short" in given else MOST)
    progress = sys.stderr.isatty() and not sys.stdout.isatty()
    for line in barf(scene, most, progress):
        print(line)
    return 0


def main(argv: list[str]) -> int:
    """Print it all."""
    return run(SYNTAX, argv, _act)
