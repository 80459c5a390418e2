# SPDX-License-Identifier: GPL-2.0-or-later
"""Set-ups with nothing wrong in them: `ipsec diagnose` must be silent there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.netns.conns import NET4, NET6, conn
from tests.netns.diagnosing import NAME, Fault, World, diagnose
from tests.netns.faults import ip, nft, rule, steps, sysctl
from tests.netns.keys import Authority
from tests.netns.lab import wait_for

V6 = {key: value for key, value in NET6.items() if key != "authby"}
HOSTS = {"leftsubnet": "", "rightsubnet": ""}
ROUTED = {"right": "198.51.100.2"}
EXEMPT = steps(
    rule("west", "-A", "POSTROUTING", "-s", "10.1.0.0/24", "-d", "10.2.0.0/24", "-j", "ACCEPT", table="nat"),
    rule("west", "-A", "POSTROUTING", "-o", "wan", "-j", "MASQUERADE", table="nat"),
)
CAREFUL = steps(
    *(rule("west", "-A", "INPUT", "-p", "udp", "--dport", port, "-j", "ACCEPT") for port in ("500", "4500")),
    rule("west", "-A", "INPUT", "-p", "esp", "-j", "ACCEPT"),
    rule("west", "-A", "INPUT", "-i", "ipsec+", "-j", "ACCEPT"),
    rule("west", "-A", "INPUT", "-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED", "-j", "ACCEPT"),
    rule("west", "-P", "INPUT", "DROP"),
    rule("west", "-A", "FORWARD", "-i", "ipsec0", "-j", "ACCEPT"),
    rule("west", "-A", "FORWARD", "-o", "ipsec0", "-j", "ACCEPT"),
    rule("west", "-P", "FORWARD", "DROP"),
)


def mended(world: World) -> None:
    """Packets pass again."""
    ping = ("ping", "-c", "1", "-W", "1", "10.2.0.2")
    wait_for("the daemon to mend it", lambda: "1 received" in world.lab.sunset.run(*ping, check=False).stdout, 15)


def healthy(name: str, **more: object) -> Fault:
    """One set-up."""
    return Fault(name, "", "", **more)  # type: ignore[arg-type]


HEALTHY = (
    healthy("plain"),
    healthy("with traffic", late=lambda world: world.ping()),
    healthy("IPv6", both=V6),
    healthy("host to host", both=HOSTS),
    healthy("transport mode", both={**HOSTS, "type": "transport"}),
    healthy("raw ESP", both={"encapsulation": "no"}, late=lambda world: world.ping()),
    healthy("forced encapsulation", both={"encapsulation": "yes"}, late=lambda world: world.ping()),
    healthy("certificates", certs=True),
    healthy("ids", both={"leftid": "@west", "rightid": "@east"}),
    healthy("AH", both={"phase2": "ah"}),
    healthy("compression", both={"compress": "yes"}),
    healthy("own algorithms", both={"ike": "aes256-sha2_256-modp2048", "esp": "aes128-sha1"}),
    healthy("narrowing", both={"narrowing": "yes"}),
    healthy("mobike", both={"mobike": "yes"}),
    healthy("dpd", both={"dpddelay": "2s", "dpdaction": "restart"}),
    healthy("no pfs", both={"pfs": "no"}),
    healthy("auto=route, waiting", both={"auto": "route"}, up=False),
    healthy("auto=route, used", both={"auto": "route"}, up=False, after=lambda world: world.ping()),
    healthy("auto=start", west={"auto": "start"}),
    healthy("through routers", shape="routed", both=ROUTED, late=lambda world: world.ping()),
    healthy("own masquerading of the rest", late=EXEMPT),
    healthy("a careful firewall", after=CAREFUL, late=lambda world: world.ping()),
    healthy(
        "a careful firewall of nft",
        after=nft(
            "west",
            "table inet mine {",
            "chain incoming {",
            "type filter hook input priority 0; policy drop;",
            "ct state established,related accept",
            "udp dport { 500, 4500 } accept",
            "ip protocol esp accept",
            'iifname { "lo", "ipsec0", "lan" } accept',
            "ip protocol icmp accept",
            "}",
            "}",
        ),
    ),
    healthy(
        "strict filters, marks count",
        late=sysctl("west", ipv4__conf__all__src_valid_mark=1, ipv4__conf__all__rp_filter=1),
    ),
    healthy("ipsec0 was deleted: it is made anew", late=steps(ip("west", "link", "del", "ipsec0"), mended)),
    healthy("the route was flushed: it is put back", late=steps(ip("west", "route", "flush", "table", "50"), mended)),
    healthy("the rule was deleted: it is put back", late=steps(ip("west", "rule", "del", "pref", "5000"), mended)),
    healthy(
        "other conns not loaded", more=conn("spare", NET4, right="192.0.2.99", rightsubnet="10.9.0.0/24", auto="ignore")
    ),
)
"""Each is looked at from both ends: by name, and as a whole."""


def look(one: Fault, authority: Callable[[], Authority]) -> Iterator[str]:
    """What is said although nothing is wrong."""
    with World(one, authority) as world:
        for side in ("east", "west"):
            world.gateway(side).start()
        one.after(world)
        if one.up:
            world.up()
        one.late(world)
        for side, target in (("west", NAME), ("east", "")):
            outcome = diagnose(world.gateway(side), target, one)
            if outcome.first or outcome.status:
                yield f"{side} {target or 'all'}: {outcome.first.get('code', outcome.text.strip()[-300:])}"
