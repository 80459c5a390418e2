# SPDX-License-Identifier: GPL-2.0-or-later
"""Causes when the tunnel is up and what should go through it does not, or is changed before it gets there."""

from __future__ import annotations

from collections.abc import Iterator

from openswan.base.address import Address, Subnet, host_subnet
from openswan.diagnosis.facts import Facts
from openswan.diagnosis.finding import Finding, Kind
from openswan.diagnosis.firewall import Packet
from openswan.policy.connection import Auth, Connection

MACHINE, TRAFFIC, NETWORK = Kind.MACHINE, Kind.TRAFFIC, Kind.NETWORK
NARROW = 1200
"""A path that takes less than this is worth a word."""
LOSSES = 20
"""Packets refused for one reason from which on it is worth a word."""


def _flows(facts: Facts) -> Iterator[tuple[Connection, Subnet, Subnet, str]]:
    """Conns with both clients known, and the ipsecN they use."""
    for conn in facts.config.conns:
        ends = facts.ours(conn)
        if ends is None or conn.auth & Auth.NEVER:
            continue
        mine = ends[0].subnet or (host_subnet(ends[0].host.address) if ends[0].host.address else None)
        his = ends[1].subnet or (host_subnet(ends[1].host.address) if ends[1].host.address else None)
        row = facts.loaded(conn.name)
        if mine is not None and his is not None:
            yield conn, mine, his, (row or {}).get("device") or "ipsec0"


def _some(net: Subnet) -> Address:
    """An address in a net that is neither its first nor its last, when it has such."""
    return net[1] if net.num_addresses > 2 else net[0]


def translated(facts: Facts) -> Iterator[Finding]:
    """NAT changes addresses before the tunnel sees them."""
    for conn, mine, his, device in _flows(facts):
        rule = facts.firewall.translates(Packet("tcp", _some(mine), _some(his), outward=device))
        if rule is not None:
            exempt = f"iptables -t nat -I POSTROUTING -s {mine} -d {his} -j ACCEPT"
            if "nft" in rule.remove:
                exempt = f'name the outer device in that rule (oifname != "{device}"), or take it out: {rule.remove}'
            yield Finding(
                "masquerade",
                MACHINE,
                67,
                f"a NAT rule changes the source of what conn {conn.name} should carry",
                (rule.text,),
                exempt,
                conn.name,
            )


def dropped(facts: Facts) -> Iterator[Finding]:
    """The firewall drops what goes into the tunnel or comes out of it."""
    for conn, mine, his, device in _flows(facts):
        local = [address for address, _ in facts.machine.addresses]
        host_only = mine.num_addresses == 1
        lan = next(
            (name for address, name in facts.machine.addresses if address.version == mine.version and address in mine),
            "",
        )
        for src, dst, inward, outward, way in (
            (_some(mine), _some(his), lan, device, "into"),
            (_some(his), _some(mine), device, lan, "out of"),
        ):
            hook = "forward"
            if host_only or (mine[0] in local and mine.num_addresses == 1):
                hook = "output" if way == "into" else "input"
            for protocol in ("tcp", "icmp"):
                rule = facts.firewall.stops(hook, Packet(protocol, src, dst, inward=inward, outward=outward))
                if rule is not None:
                    remedy = rule.remove
                    if "policy" in rule.text and "nft" not in rule.remove:
                        side = ("-i" if way == "out of" else "-o") + f" {device}"
                        remedy = f"iptables -I {hook.upper()} {side} -j ACCEPT"
                    yield Finding(
                        "forward-drop" if hook == "forward" else "inner-drop",
                        MACHINE,
                        68,
                        f"this host's firewall drops what conn {conn.name} carries {way} the tunnel",
                        (rule.text,),
                        remedy,
                        conn.name,
                    )
                    break


def one_way(facts: Facts) -> Iterator[Finding]:
    """Counters of the two directions."""
    for conn in facts.config.conns:
        children = facts.children(conn.name)
        if not children or max(row["age"] for row in children) < 1.0:
            continue
        outward, inward = facts.counted(conn.name, "out"), facts.counted(conn.name, "in")
        counters = (f"{outward} packets out, {inward} packets in",)
        if outward >= 3 and inward == 0:
            yield Finding(
                "nothing-in",
                TRAFFIC,
                48,
                f"conn {conn.name} sends, and nothing comes back",
                counters,
                "on the peer: ipsec diagnose; ESP may be blocked on the way there or back, its hosts may not have it "
                "as their gateway, or its firewall may drop what comes out of the tunnel",
                conn.name,
            )
        elif inward >= 3 and outward == 0:
            yield Finding(
                "nothing-out",
                TRAFFIC,
                48,
                f"conn {conn.name} receives, and nothing goes back",
                counters,
                "the hosts behind this gateway must have it as their way back: on them, ip route get "
                "an address of the peer's subnet; or a firewall here drops it",
                conn.name,
            )


def refused(facts: Facts) -> Iterator[Finding]:
    """Packets that came and were not taken."""
    causes = (
        ("auth_failures", "are damaged on the way, or forged", "look for a device on the way that rewrites packets"),
        (
            "selector_failures",
            "carry addresses outside the conn's subnets",
            "masquerading on the peer? its NAT rules must exempt the tunnel",
        ),
        ("replays", "come twice or far too late", "replay-window=1024 in the conn, when the way reorders packets"),
    )
    for conn in facts.config.conns:
        serials = {row["serial"]: row for row in facts.children(conn.name)}
        for name, what, remedy in causes:
            total = sum(row[name] for row in facts.sas if row["serial"] in serials and row["direction"] == "in")
            taken = facts.counted(conn.name, "in")
            if total >= LOSSES and total * 20 > taken:
                yield Finding(
                    f"in-{name.replace('_', '-')}",
                    TRAFFIC,
                    52,
                    f"conn {conn.name}: packets of the peer {what}",
                    (f"{total} of {total + taken}",),
                    remedy,
                    conn.name,
                )


def narrow(facts: Facts) -> Iterator[Finding]:
    """A path that takes little."""
    for conn in facts.config.conns:
        serials = {row["serial"] for row in facts.children(conn.name)}
        sizes = [
            row["path_mtu"]
            for row in facts.sas
            if row["serial"] in serials and row["direction"] == "out" and row["path_mtu"]
        ]
        if sizes and min(sizes) < NARROW:
            yield Finding(
                "narrow-path",
                NETWORK,
                25,
                f"the path of conn {conn.name} takes only {min(sizes)} octets",
                ("larger packets are cut, and senders are told",),
                f"find the router that takes no more: tracepath PEER; mtu={min(sizes) - 100} in the conn helps hosts "
                "that do not listen",
                conn.name,
            )


def blocked_by_guard(facts: Facts) -> Iterator[Finding]:
    """The guard drops what the tunnel, which is down, should carry."""
    total = sum(facts.guard.values())
    for conn in facts.config.conns:
        row = facts.loaded(conn.name)
        if total >= LOSSES and row is not None and row["guarded"] and not facts.children(conn.name):
            yield Finding(
                "guarded",
                TRAFFIC,
                20,
                f"traffic of conn {conn.name} is dropped while its tunnel is down",
                (f"the leak guard has dropped {total} packets",),
                f"ipsec auto --up {conn.name}",
                conn.name,
            )


RULES = (translated, dropped, one_way, refused, narrow, blocked_by_guard)
