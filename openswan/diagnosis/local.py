# SPDX-License-Identifier: GPL-2.0-or-later
"""Causes on this host: the daemon, the kernel, addresses, routes, forwarding."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from openswan.diagnosis.facts import Facts
from openswan.diagnosis.finding import Finding, Kind
from openswan.policy.connection import Auth, HostKind

DAEMON, MACHINE = Kind.DAEMON, Kind.MACHINE


def not_running(facts: Facts) -> Iterator[Finding]:
    """No pluto."""
    if facts.daemon.alive:
        return
    if facts.daemon.orphan:
        yield Finding(
            "daemon-died",
            DAEMON,
            92,
            "pluto has died: its pid file is there, its process is not",
            ("what it protected stays guarded: nothing of it leaves in clear",),
            "ipsec setup restart",
        )
    else:
        yield Finding("daemon-not-running", DAEMON, 92, "pluto is not running", (), "ipsec setup start")


def deaf(facts: Facts) -> Iterator[Finding]:
    """pluto runs, and does not answer or listen."""
    if facts.daemon.alive and not facts.daemon.answers:
        yield Finding(
            "daemon-silent",
            DAEMON,
            92,
            "pluto runs but does not answer on its control socket",
            (),
            "ipsec setup restart",
        )
    elif facts.daemon.alive and not facts.daemon.listening:
        weight = 70 if facts.machine.owners else 91
        yield Finding("not-listening", DAEMON, weight, "pluto does not listen for IKE", (), "ipsec auto --ready")


def not_loaded(facts: Facts) -> Iterator[Finding]:
    """A conn of the file that the daemon has not."""
    if not (facts.daemon.alive and facts.daemon.answers):
        return
    for conn in facts.config.conns:
        if facts.loaded(conn.name) is None and conn.name not in facts.config.manual:
            auto = facts.config.automatic.get(conn.name) or "ignore"
            if auto == "ignore" and not facts.target:
                continue
            evidence = (f"{facts.config.path} says auto={auto}",)
            yield Finding(
                "not-loaded",
                DAEMON,
                90,
                f"conn {conn.name} is not loaded",
                evidence,
                f"ipsec auto --add {conn.name}",
                conn.name,
            )


def stale(facts: Facts) -> Iterator[Finding]:
    """The daemon has another version of a conn than the file."""
    if not facts.daemon.alive:
        return
    for conn in facts.config.conns:
        row = facts.loaded(conn.name)
        if row is None:
            continue
        wrong = _differences(facts, conn.name)
        if wrong:
            up = bool(facts.children(conn.name))
            yield Finding(
                "conf-unread",
                DAEMON,
                35 if up else 80,
                f"pluto has an older version of conn {conn.name}",
                tuple(wrong),
                f"ipsec auto --replace {conn.name}",
                conn.name,
            )


def _differences(facts: Facts, name: str) -> list[str]:
    conn = next(one for one in facts.config.conns if one.name == name)
    row, ends = facts.loaded(name), facts.ours(conn)
    found: list[str] = []
    if row is None or ends is None or not row["oriented"]:
        return found
    mine, his = ends
    for word, end, loaded in (("our", mine, row["local"]), ("the peer's", his, row["remote"])):
        if end.subnet is not None and loaded and _net(loaded) != str(end.subnet):
            found.append(f"{word} subnet: {end.subnet} in the file, {loaded} in pluto")
    if his.host.address is not None and row["peer"] and row["peer"] != str(his.host.address):
        found.append(f"the peer: {his.host.address} in the file, {row['peer']} in pluto")
    if row["ike_life"] != conn.ike_lifetime or row["ipsec_life"] != conn.ipsec_lifetime:
        found.append("lifetimes differ")
    policy = f"+{row['policy']}+"
    if ("+PFS+" in policy) != (conn.pfs and not conn.auth & Auth.NEVER) and "NEVER" not in policy:
        found.append("pfs= differs")
    if ("+TUNNEL+" in policy) != conn.tunnel:
        found.append("type= differs")
    return found


def _net(selector: str) -> str:
    """The subnet of `SUBNET` or `SUBNET:PROTOCOL/PORT`, of either family."""
    return re.sub(r"(/[0-9]+):.*", r"\1", selector)


def tun(facts: Facts) -> Iterator[Finding]:
    """No TUN device, no ipsecN."""
    if facts.machine.tun:
        yield Finding(
            "no-tun",
            MACHINE,
            97,
            "there is no usable /dev/net/tun",
            (facts.machine.tun,),
            "modprobe tun; in a container: give it /dev/net/tun and CAP_NET_ADMIN",
        )


def queue(facts: Facts) -> Iterator[Finding]:
    """No NFQUEUE: policy groups cannot hold first packets."""
    groups = [
        conn.name
        for conn in facts.config.conns
        if {conn.left.host.kind, conn.right.host.kind} & {HostKind.GROUP, HostKind.OPPORTUNISTIC_GROUP}
    ]
    if facts.machine.queueing and groups:
        yield Finding(
            "no-nfqueue",
            MACHINE,
            65,
            "the kernel has no NFQUEUE: first packets of policy groups cannot wait",
            (facts.machine.queueing,),
            "modprobe nfnetlink_queue",
        )


def ports(facts: Facts) -> Iterator[Finding]:
    """Another program has port 500 or 4500."""
    for port, owner in sorted(facts.machine.owners.items()):
        yield Finding(
            "port-in-use",
            MACHINE,
            96,
            f"UDP port {port} is used by {owner}",
            (f"ss -lunp sport = :{port}",),
            f"stop {owner} (systemctl disable --now, or kill), then: ipsec setup restart",
        )


def shared(facts: Facts) -> Iterator[Finding]:
    """One address on two interfaces."""
    for address, count in Counter(address for address, _ in facts.machine.addresses).items():
        if count > 1 and not address.is_link_local and not address.is_loopback:
            devices = [device for one, device in facts.machine.addresses if one == address]
            yield Finding(
                "shared-address",
                MACHINE,
                75,
                f"interfaces {' and '.join(devices)} share address {address}",
                (),
                f"ip addr del {address} dev {devices[-1]}",
            )


def down(facts: Facts) -> Iterator[Finding]:
    """The interface of our end has no carrier, or ipsecN is down."""
    for conn in facts.config.conns:
        ends = facts.ours(conn)
        mine = ends[0].host.address if ends else None
        device = next((device for address, device in facts.machine.addresses if address == mine), "")
        link = facts.machine.links.get(device)
        if link is not None and not link.up:
            yield Finding(
                "link-down",
                MACHINE,
                88,
                f"{device}, which has {mine}, is down or has no carrier",
                (),
                f"ip link set {device} up, and look at its cable",
                conn.name,
            )
    if facts.daemon.alive and facts.config.conns and facts.machine.seen:
        for tunnel in facts.machine.tunnels.values():
            if not tunnel.up:
                yield Finding(
                    "tunnel-down",
                    MACHINE,
                    87,
                    f"{tunnel.name} is down",
                    (),
                    f"ip link set {tunnel.name} up && ipsec setup restart",
                )
        if not facts.machine.tunnels and facts.connections and not facts.machine.tun:
            yield Finding(
                "no-tunnel-device",
                MACHINE,
                87,
                "there is no ipsecN: somebody has deleted it",
                (),
                "ipsec setup restart",
            )


def forwarding(facts: Facts) -> Iterator[Finding]:
    """A gateway for a network that does not forward."""
    for conn in facts.config.conns:
        ends = facts.ours(conn)
        if ends is None or ends[0].subnet is None or ends[0].subnet.prefixlen == ends[0].subnet.max_prefixlen:
            continue
        version = ends[0].subnet.version
        if not facts.machine.forwarding.get(version, True):
            setting = "net.ipv4.ip_forward" if version == 4 else "net.ipv6.conf.all.forwarding"
            yield Finding(
                "no-forwarding",
                MACHINE,
                66,
                f"this host does not forward IPv{version}, and conn {conn.name} is for {ends[0].subnet}",
                (f"{setting} = 0",),
                f"sysctl -w {setting}=1",
                conn.name,
            )
            return


def filtering(facts: Facts) -> Iterator[Finding]:
    """Strict reverse-path filters take what comes out of a tunnel for forged."""
    for link in (*facts.machine.tunnels.values(), *facts.machine.links.values()):
        if link.strict and facts.config.conns:
            yield Finding(
                "rp-filter",
                MACHINE,
                64,
                f"the reverse-path filter of {link.name} is strict",
                ("packets whose way back leads into a tunnel are dropped without a word",),
                f"sysctl -w net.ipv4.conf.{link.name}.rp_filter=0 net.ipv4.conf.all.rp_filter=0",
            )


def routes(facts: Facts) -> Iterator[Finding]:
    """Our routes or the rule that leads to them are gone."""
    if not (facts.daemon.alive and facts.machine.seen):
        return
    for conn in facts.config.conns:
        row = facts.loaded(conn.name)
        if row is None or "unrouted" in row["routing"] or not row["remote"] or "NEVER" in row["policy"]:
            continue
        if facts.match and "route" in facts.match and "not" in facts.match:
            continue
        net = _net(row["remote"])
        if row["routing"] in ("unrouted",) or not facts.children(conn.name):
            continue
        version = 6 if "." not in net else 4
        if not facts.machine.rules.get(version, True):
            yield Finding(
                "rule-gone",
                MACHINE,
                82,
                "the routing rule that leads into tunnels is gone",
                (f"ip {'-6 ' if version == 6 else ''}rule show",),
                "ipsec setup restart",
                conn.name,
            )
        elif net not in facts.machine.routed and f"{net}/32" not in facts.machine.routed:
            yield Finding(
                "route-gone",
                MACHINE,
                82,
                f"the route to {net} into the tunnel is gone",
                ("ip route show table 50",),
                f"ipsec auto --route {conn.name}, or ipsec setup restart",
                conn.name,
            )


RULES = (not_running, deaf, not_loaded, stale, tun, queue, ports, shared, down, forwarding, filtering, routes)
