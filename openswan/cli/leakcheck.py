# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec verify --leak`: does anything of what is protected get onto the wire in clear? Marked packets tell."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

from openswan.base import paths
from openswan.base.address import Subnet, any_subnet, host_subnet
from openswan.base.errors import HostError
from openswan.base.numbers import IpProtocol
from openswan.base.said import Shunt
from openswan.cli.talk import request
from openswan.cli.verdict import FAILED, NOTHING, OK, WARNING, Finding
from openswan.host.entropy import SystemRng
from openswan.host.fromlan import FromLan
from openswan.host.guard.guard import STATE_FILE
from openswan.host.guard.journal import read
from openswan.host.leakear import MARK_OCTETS, Ear, Heard, marked, send_packet
from openswan.host.machine import Machine
from openswan.policy.leakprobe import FROM, Probe, probes
from openswan.policy.selector import FlowKey
from openswan.wire.probe import finished, probe_packet

LISTEN = 1.0
"""Seconds: a next hop may have to be found first."""
AT_ONCE = 50
MOST = 10_000
"""Flows that are tried."""
SHOWN = 20
"""Of those that leak, and of those that do not."""
LOOPBACK = ip_address("127.0.0.1")
NAMES = {IpProtocol.UDP: "udp", IpProtocol.TCP: "tcp", IpProtocol.ICMP: "icmp", IpProtocol.ICMP6: "icmp"}


@dataclass(frozen=True, slots=True)
class Protected:
    """What should stay off the wire."""

    flows: tuple[tuple[str, FlowKey], ...]
    """(conn, flow)"""
    guarded: frozenset[FlowKey]
    """Those that the leak guard holds, by its own account."""
    clear: frozenset[Subnet]
    """Where a policy lets packets pass."""
    daemon: bool
    """Is there one that answers?"""


def protected() -> Protected:
    """What the guard's journal holds, and every flow that has an SA."""
    held: dict[FlowKey, str] = {}
    for name, one in read(paths.rundir() / STATE_FILE).held.items():
        held |= {entry.key: name for entry in one.entries}
        held |= {FlowKey(any_subnet(version), any_subnet(version)): name for version in one.block_families}
    try:
        answer = "".join(text for _, text in request("eroute", timeout=30.0, json=True))
    except HostError:
        return Protected(tuple((name, key) for key, name in held.items()), frozenset(held), frozenset(), False)
    wanted, clear = dict(held), set()
    for row in json.loads(answer or "[]"):
        key = _key(row)
        if row["target"] == str(Shunt.PASS):
            clear.add(key.dst)
        elif not row["target"].startswith("%"):
            wanted.setdefault(key, row["owner"])
    return Protected(tuple((name, key) for key, name in wanted.items()), frozenset(held), frozenset(clear), True)


def _key(row: Mapping[str, Any]) -> FlowKey:
    return FlowKey(ip_network(row["src"]), ip_network(row["dst"]), row["protocol"], row["src_port"], row["dst_port"])


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of some probes; their numbers are their places."""

    probes: Sequence[Probe]
    heard: Mapping[int, Sequence[Heard]]
    refused: Mapping[int, str]
    """Why some could not even be sent."""
    blind: str
    """Why the ear cannot be relied on; empty: it can."""
    unplayed: Mapping[str, str] = field(default_factory=dict)
    """Devices whose hosts could not be played, and why; their probes are not among those above."""


def attempt(wanted: Sequence[Probe]) -> Trial:
    """Send all and listen; one more, over lo, proves that packets are heard. HostError when nothing can be heard."""
    mark = SystemRng().octets(MARK_OCTETS)
    heard: dict[int, list[Heard]] = {}
    refused: dict[int, str] = {}
    flow = FlowKey(host_subnet(LOOPBACK), host_subnet(LOOPBACK))
    control = Probe("", flow, LOOPBACK, LOOPBACK, IpProtocol.UDP, (FROM, FROM))
    with Ear(mark) as ear, ExitStack() as stack:
        inner, unplayed = _players({one.device for one in wanted} - {""}, stack)
        wanted = [each for each in wanted if each.device not in unplayed]
        for number, each in enumerate((*wanted, control)):
            packet = probe_packet(each.src, each.dst, each.protocol, each.ports, marked(mark, number))
            player = inner.get(each.device)
            if why := player.send(finished(packet)) if player else send_packet(each.src, each.dst, packet):
                refused[number] = why
            last = number == len(wanted)
            for one in ear.listen(LISTEN if last else 0.0) if last or not number % AT_ONCE else ():
                heard.setdefault(one.number, []).append(one)
        lost = ear.lost()
    if lost:
        blind = f"{lost} packets were missed: try again when there is less to do"
    else:
        blind = "" if len(wanted) in heard else "a packet over lo was not heard: is lo up?"
    return Trial(wanted, heard, refused, blind, unplayed)


def _players(devices: Collection[str], stack: ExitStack) -> tuple[dict[str, FromLan], dict[str, str]]:
    """What puts packets into each device, and why some have nothing that does."""
    inner: dict[str, FromLan] = {}
    unplayed: dict[str, str] = {}
    for device in sorted(devices):
        try:
            inner[device] = stack.enter_context(FromLan(device))
        except HostError as why:
            unplayed[device] = str(why)
    return inner, unplayed


def _outcome(heard: Sequence[Heard], why: str) -> tuple[bool, str]:
    """(did it leak?, where the packet went)."""
    leaks = sorted({f"{one.device} as {one.src} > {one.dst}" for one in heard if not _harmless(one.device)})
    if leaks:
        return True, "LEFT IN CLEAR through " + ", ".join(leaks)
    into = sorted({one.device for one in heard if one.device != "lo"})
    return False, f"into {', '.join(into)}" if into else f"held back ({why})" if why else "held back"


def _harmless(device: str) -> bool:
    return device == "lo" or device.startswith("ipsec")


def outcomes(trial: Trial) -> tuple[list[tuple[Probe, str]], list[str]]:
    """(a probe and a line for each flow that leaks, lines for those that do not)."""
    found: dict[tuple[str, FlowKey, str, bool, str], list[Probe]] = {}
    for number, each in enumerate(trial.probes):
        leaked, where = _outcome(trial.heard.get(number, ()), trial.refused.get(number, ""))
        found.setdefault((each.owner, each.key, each.device, leaked, where), []).append(each)
    leaks: list[tuple[Probe, str]] = []
    quiet: list[str] = []
    for (owner, _, device, leaked, where), some in found.items():
        origin = f" from {device}" if device else ""
        kinds = ", ".join(NAMES.get(IpProtocol(one.protocol), f"protocol {one.protocol}") for one in some)
        line = f'"{owner}": {some[0].src} > {some[0].dst} {kinds}{origin}: {where}'
        if leaked:
            leaks.append((some[0], line))
        else:
            quiet.append(line)
    return leaks, quiet


def _remedy(scene: Protected, probe: Probe) -> str:
    if not scene.daemon:
        return "pluto does not run and its guard has been taken away: ipsec setup guard puts it back"
    if probe.key not in scene.guarded:
        owner = probe.owner
        return f'"{owner}" has no leak guard: take leakguard=no out of it, then ipsec auto --replace {owner}'
    return "another program has taken the guard out of nftables or iptables: ipsec setup restart puts it back"


def _cut(lines: Sequence[str]) -> tuple[str, ...]:
    return (*lines[:SHOWN], *((f"... and {len(lines) - SHOWN} more",) if len(lines) > SHOWN else ()))


def leakcheck(machine: Machine) -> Iterator[Finding]:
    """Send marked packets for each protected flow, listen on every device; FAILED names what got out, and where."""
    try:
        scene = protected()
        own = [address for address, _ in machine.addresses()]
        wanted = list(probes(scene.flows[:MOST], own, scene.clear, machine.homes()))
        if not wanted:
            yield Finding("Leak probes", NOTHING, ("nothing is guarded and no tunnel is up: nothing to try",))
            return
        trial = attempt(wanted)
    except HostError as why:
        yield Finding("Leak probes", FAILED, (str(why), "root is needed (CAP_NET_RAW)"))
        return
    leaks, quiet = outcomes(trial)
    if len(scene.flows) > MOST:
        yield Finding(f"Leak probes: the first {MOST} of {len(scene.flows)} flows", WARNING)
    for device, reason in trial.unplayed.items():
        yield Finding(f"Leak probes as from hosts behind {device}: not tried", WARNING, (reason,))
    if trial.blind:
        yield Finding("Listening on the wire", FAILED, (trial.blind,))
    text = f"Leak probes: {len(trial.probes)} of {len({one.key for one in trial.probes})} flows"
    if leaks:
        remedies = dict.fromkeys(_remedy(scene, probe) for probe, _ in leaks)
        yield Finding(text, FAILED, (*_cut([line for _, line in leaks]), *_cut(list(remedies))))
    elif not trial.blind:
        yield Finding(text, OK, _cut(quiet))
