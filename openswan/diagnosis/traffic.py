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
ANSWER_SECONDS = 3.0
"""In which traffic that goes out should have brought something in."""
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


def taken(facts: Facts) -> Iterator[Finding]:
    """The kernel has IPsec policies of another program for what a conn carries, and they come first."""
    for conn, mine, his, _ in _flows(facts):
        for policy in facts.machine.policies:
            if policy.takes(mine, his):
                yield Finding(
                    "kernel-policy",
                    MACHINE,
                    78,
                    f"the kernel's own IPsec takes what conn {conn.name} should carry: a policy of another program's",
                    (f"ip xfrm policy: src {policy.src} dst {policy.dst} dir {policy.direction}",),
                    f"stop that program (systemctl status strongswan ipsec); {policy.remove}, or all of them: "
                    "ip xfrm policy flush",
                    conn.name,
                )
                break


def unmapped(facts: Facts) -> Iterator[Finding]:
    """The tunnel is up and no eroute leads into it."""
    if not facts.daemon.answers:
        return
    serials = {row["serial"] for row in facts.eroutes}
    for conn in facts.config.conns:
        row, children = facts.loaded(conn.name), facts.children(conn.name)
        if not children or row is None or row["kind"] != "CK_PERMANENT":
            continue
        if not any(child["serial"] in serials for child in children):
            yield Finding(
                "no-eroute",
                TRAFFIC,
                83,
                f"conn {conn.name} is up, and no eroute leads into its tunnel",
                (f"ipsec eroute shows none for {row['remote']}",),
                f"ipsec auto --down {conn.name} && ipsec auto --up {conn.name}; if that does not help: "
                "ipsec setup restart",
                conn.name,
            )


def outside(facts: Facts) -> Iterator[Finding]:
    """This host itself has no address in its client, so its own packets belong to no tunnel."""
    if facts.address is None:
        return
    for conn, mine, his, _ in _flows(facts):
        here = [address for address, _ in facts.machine.addresses if address.version == mine.version]
        if facts.address.version != his.version or facts.address not in his or any(one in mine for one in here):
            continue
        if not facts.children(conn.name) or facts.counted(conn.name, "out"):
            continue
        side = "left" if conn.left is (facts.ours(conn) or (None,))[0] else "right"
        yield Finding(
            "own-address",
            Kind.CONFIG,
            46,
            f"conn {conn.name} is for {mine}, and this host has no address in it: its own packets go by no tunnel",
            (f"addresses here: {', '.join(str(one) for one in here if not one.is_loopback)}",),
            f"to reach {facts.address} from this host itself write {side}sourceip={_some(mine)} (an address of {mine} "
            "that nobody else has); or try from a host behind it",
            conn.name,
        )


def one_way(facts: Facts) -> Iterator[Finding]:
    """Counters of the two directions."""
    for conn in facts.config.conns:
        children = facts.children(conn.name)
        if not children or max(row["age"] for row in children) < 1.0:
            continue
        outward, inward = facts.counted(conn.name, "out"), facts.counted(conn.name, "in")
        counters = (f"{outward} packets out, {inward} packets in",)
        peer = facts.peers.get(conn.name)
        if (
            outward >= 3
            and peer is not None
            and peer.answers
            and not any(peer.answers.values())
            and _one_sided(facts, conn)
        ):
            yield Finding(
                "stale-sa",
                Kind.PEER,
                63,
                f"conn {conn.name} is up here alone: the peer {peer.address} has ended, or been started anew without "
                "IPsec",
                ("it does not answer an IKE ping", *counters),
                "start IPsec on the peer (ipsec setup start; in its conn auto=start); dpddelay=10s dpdtimeout=60s "
                "dpdaction=restart in the conn notices by itself",
                conn.name,
            )
        elif outward >= 3 and inward == 0:
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


def _one_sided(facts: Facts, conn: Connection) -> bool:
    """Has nothing come in since packets went out?"""
    serials = {row["serial"] for row in facts.children(conn.name)}
    quiet = {"in": float("inf"), "out": float("inf")}
    for row in facts.sas:
        if row["serial"] in serials and row["packets"]:
            quiet[row["direction"]] = min(quiet[row["direction"]], row["idle"])
    return quiet["in"] > quiet["out"] + ANSWER_SECONDS


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
        if not sizes or min(sizes) >= NARROW:
            continue
        row = facts.loaded(conn.name)
        found = [
            line.text for line in facts.log if line.text.startswith(f"path to {row and row['peer']} takes packets")
        ]
        if found and not any(text.endswith("says a router") for text in found):
            yield Finding(
                "black-hole",
                NETWORK,
                41,
                f"the way of conn {conn.name} loses packets of more than {min(sizes)} octets, and no router says so",
                (found[-1],),
                f"find the router that takes no more, or drops ICMP: tracepath PEER; mtu={min(sizes) - 100} in the "
                "conn helps hosts that do not listen",
                conn.name,
            )
        else:
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
    late = sum(count for name, count in facts.guard.items() if name.startswith("last"))
    evidence = [f"the leak guard has dropped {total} packets"]
    if late:
        evidence.append(
            f"{late} of them at the last guard: offloaded, redirected or sent past the first one (ipsec status)"
        )
    for conn in facts.config.conns:
        row = facts.loaded(conn.name)
        if total >= LOSSES and row is not None and row["guarded"] and not facts.children(conn.name):
            yield Finding(
                "guarded",
                TRAFFIC,
                20,
                f"traffic of conn {conn.name} is dropped while its tunnel is down",
                tuple(evidence),
                f"ipsec auto --up {conn.name}",
                conn.name,
            )


RULES = (translated, dropped, taken, unmapped, outside, one_way, refused, narrow, blocked_by_guard)
