# SPDX-License-Identifier: GPL-2.0-or-later
"""Openings in the table `filter` of iptables and ip6tables: chains of ours, called first by FORWARD, INPUT and OUTPUT.

Both kinds of iptables may be in use at once, and packets pass the filters of both: whichever has a table `filter` is
opened. A table that is not there needs no opening, and is not made.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from openswan.base.errors import HostError
from openswan.base.numbers import IpProtocol
from openswan.host.guard.iptables import PATH, TOOLS, run
from openswan.host.nftables import legacy_table
from openswan.host.openings.model import CHAINS, REMARK, Accept, Opening, by_hook

BUILTIN = {"forward": "FORWARD", "input": "INPUT", "output": "OUTPUT"}
NAMES = {IpProtocol.TCP: "tcp", IpProtocol.UDP: "udp", 132: "sctp", 33: "dccp"}
"""Protocols whose ports have a match of their own, which goes by this name."""
ICMP = {4: ("icmp", "icmp-type"), 6: ("icmp6", "icmpv6-type")}


def rule_text(accept: Accept) -> str:
    """The rule without its chain."""
    words = [f"-s {accept.source} -d {accept.target} {'-i' if accept.way == 'iifname' else '-o'} {accept.device}"]
    if accept.protocol:
        words.append(f"-p {NAMES.get(accept.protocol, accept.protocol)}")
    if accept.icmp is not None:
        match, option = ICMP[accept.source.version]
        words.append(f"-m {match} --{option} {accept.icmp[0]}/{accept.icmp[1]}")
    if accept.source_port or accept.target_port:
        own = accept.protocol in NAMES
        words.append(f"-m {NAMES[accept.protocol] if own else 'multiport'}")
        plural = "" if own else "s"
        words += [f"--sport{plural} {accept.source_port}"] if accept.source_port else []
        words += [f"--dport{plural} {accept.target_port}"] if accept.target_port else []
    return " ".join([*words, f'-m comment --comment "{accept.remark}" -j ACCEPT'])


class Xtables:
    """The table `filter` of one IP version, by the tool that speaks to it; calls raise HostError."""

    def __init__(self, version: int, tool: str) -> None:
        self.version, self.tool = version, tool

    def __str__(self) -> str:
        return f"the table filter of {self.tool}"

    def check(self, openings: Sequence[Opening]) -> bool:
        """Are the rules there, and called?"""
        saved = self._save()
        wanted = by_hook(openings, (self.version,))
        held = Counter(line.split()[1] for line in saved if line.startswith("-A "))
        return all(
            held[chain] == len(wanted[hook]) and any(_jumps(hook, saved)) == bool(wanted[hook])
            for hook, chain in CHAINS.items()
        )

    def load(self, openings: Sequence[Opening]) -> None:
        """Have exactly these openings, in one step."""
        lines = list(self._change(self._save(), by_hook(openings, (self.version,))))
        if lines:
            run((f"{self.tool}-restore", "-w", "--noflush"), "\n".join(["*filter", *lines, "COMMIT", ""]))

    def _save(self) -> list[str]:
        return run((f"{self.tool}-save", "-t", "filter")).splitlines()

    def _change(self, saved: list[str], wanted: dict[str, list[Accept]]) -> Iterator[str]:
        present = {line.split()[0][1:] for line in saved if line.startswith(":ipsec-fw-")}
        for hook, chain in CHAINS.items():
            jumps = list(_jumps(hook, saved))
            if wanted[hook]:
                yield f":{chain} - [0:0]"
                yield from (f"-A {chain} {rule_text(accept)}" for accept in wanted[hook])
                if not jumps:
                    yield f'-I {BUILTIN[hook]} 1 -m comment --comment "{REMARK}" -j {chain}'
            elif chain in present:
                yield from (jump.replace("-A", "-D", 1) for jump in jumps)
                yield f":{chain} - [0:0]"
                yield f"-X {chain}"


class NoTool:
    """The table `filter` of the older iptables of one IP version, where no command speaks to it: it stays as it is."""

    def __init__(self, version: int) -> None:
        self.version = version

    def __str__(self) -> str:
        return f"the table filter of {TOOLS[self.version]}-legacy"

    def check(self, openings: Sequence[Opening]) -> bool:
        """Is nothing to be open?"""
        return not any(by_hook(openings, (self.version,)).values())

    def load(self, openings: Sequence[Opening]) -> None:
        """HostError, unless nothing is to be open."""
        if not self.check(openings):
            raise HostError("there is no such command here")


def _jumps(hook: str, saved: Iterable[str]) -> Iterator[str]:
    return (line for line in saved if line.startswith(f"-A {BUILTIN[hook]} ") and line.endswith(f"-j {CHAINS[hook]}"))


def legacy_loaded(version: int) -> bool:
    """Has the older iptables a table `filter`?"""
    return legacy_table(version, "filter")


def tool_of(version: int, kind: str) -> str:
    """The command for one kind of iptables, `legacy` or `nft`; empty: there is none."""
    for name in (f"{TOOLS[version]}-{kind}", TOOLS[version]):
        path = shutil.which(name, path=PATH)
        if path and _kind(name, os.path.realpath(path)) == kind:
            return name
    return ""


@cache
def _kind(name: str, place: str) -> str:
    """Which kind a command is of; empty: it does not say. `place`: what the name leads to, which may change."""
    try:
        return "nft" if "nf_tables" in run((name, "-V")) else "legacy"
    except HostError:
        return ""


def legacy_tables() -> Iterator[Xtables | NoTool]:
    """Those of the older iptables."""
    for version in (4, 6):
        if legacy_loaded(version):
            tool = tool_of(version, "legacy")
            yield Xtables(version, tool) if tool else NoTool(version)
