# SPDX-License-Identifier: GPL-2.0-or-later
"""Set-ups with nothing wrong in them: `ipsec diagnose` must be silent there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.netns import healthysteps as once
from tests.netns.conns import NET4, NET6, SECRETS, conn, setup
from tests.netns.diagnosing import Fault, World, diagnose
from tests.netns.faultsteps import ip, nft, rule, steps, sysctl
from tests.netns.keys import Authority
from tests.netns.lab import LabError
from tests.netns.oefaults import ALIVE

V6 = {key: value for key, value in NET6.items() if key != "authby"}
HOSTS = {"leftsubnet": "", "rightsubnet": ""}
V1 = {"ikev2": "no"}
IDS = {"leftid": "@west", "rightid": "@east"}
ROAD = {**IDS, "leftsubnet": ""}
POOL = "10.9.0.10-10.9.0.20"
EAP = {"authby": "", "leftauth": "eap-mschapv2", "rightauth": "rsasig"}
GROUP = {"left": "%defaultroute", "right": "%opportunisticgroup", "keyingtries": "1", "auto": "route"}
CLOSED = (("clear", "passthrough"), ("block", "reject"))
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


def both_sides(text: str) -> dict[str, str]:
    """One ipsec.conf for either."""
    return dict.fromkeys(("west", "east"), setup() + text)


def healthy(name: str, **more: object) -> Fault:
    """One set-up."""
    return Fault(name, "", "", **more)  # type: ignore[arg-type]


HEALTHY = (
    healthy("plain"),
    healthy("with traffic", late=once.passes),
    healthy("IPv6", both=V6),
    healthy("host to host", both=HOSTS),
    healthy("transport mode", both={**HOSTS, "type": "transport"}),
    healthy("raw ESP", both={"encapsulation": "no"}, late=once.passes),
    healthy("forced encapsulation", both={"encapsulation": "yes"}, late=once.passes),
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
    healthy("auto=route, used", both={"auto": "route"}, up=False, after=once.passes),
    healthy("auto=start", west={"auto": "start"}),
    healthy("through routers", shape="routed", both=ROUTED, late=once.passes),
    healthy("own masquerading of the rest", late=EXEMPT),
    healthy("a careful firewall", after=CAREFUL, late=once.passes),
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
    healthy("ipsec0 was deleted: it is made anew", late=steps(ip("west", "link", "del", "ipsec0"), once.passes)),
    healthy(
        "the route was flushed: it is put back", late=steps(ip("west", "route", "flush", "table", "50"), once.passes)
    ),
    healthy("the rule was deleted: it is put back", late=steps(ip("west", "rule", "del", "pref", "5000"), once.passes)),
    healthy(
        "other conns not loaded", more=conn("spare", NET4, right="192.0.2.99", rightsubnet="10.9.0.0/24", auto="ignore")
    ),
    healthy("IKEv1", both=V1, late=once.passes),
    healthy("written for IKEv1, as its group shows", both={"ike": "aes128-sha1;modp1536"}, late=once.passes),
    healthy("IKEv1, certificates", both=V1, certs=True, late=once.passes),
    healthy("IKEv1, raw keys", both={**V1, "authby": "rsasig"}, before=once.raw_keys, late=once.passes),
    healthy("IKEv1, Aggressive Mode", both={"aggrmode": "yes", "ike": "aes256-sha2_256-modp2048"}, late=once.passes),
    healthy(
        "IKEv1, user name and password, address assigned",
        both={**V1, **ROAD, "leftxauthclient": "yes", "rightxauthserver": "yes"},
        west={"leftsourceip": "%config", "leftxauthname": "carla"},
        east={"leftaddresspool": POOL},
        secrets=f'{SECRETS}\n@carla : XAUTH "open sesame"',
        before=once.users,
        late=once.passes_from_west,
    ),
    healthy(
        "an address of a pool",
        both=ROAD,
        west={"leftsourceip": "%config"},
        east={"left": "%any", "leftaddresspool": POOL},
        late=once.passes_from_west,
    ),
    healthy(
        "EAP",
        certs=True,
        west={**EAP, "eap_identity": "joe"},
        east=EAP,
        before=once.password,
        late=once.passes,
    ),
    healthy("nobody proves who he is", both={"authby": "null"}, late=once.passes),
    healthy(
        "through a NAT", shape="nat", both=IDS, west={"left": "192.168.7.2"}, east={"left": "%any"}, late=once.passes
    ),
    healthy(
        "a NAT before each end",
        shape="routed",
        both=IDS,
        west={"right": "203.0.113.2"},
        east={"left": "%any", "right": "198.51.100.2"},
        before=steps(
            rule("r1", "-A", "POSTROUTING", "-o", "mid", "-j", "MASQUERADE", table="nat"),
            *(
                rule(
                    "r2",
                    "-A",
                    "PREROUTING",
                    "-i",
                    "mid",
                    "-p",
                    "udp",
                    "--dport",
                    port,
                    "-j",
                    "DNAT",
                    "--to",
                    "198.51.100.2",
                    table="nat",
                )
                for port in ("500", "4500")
            ),
        ),
        late=once.passes,
    ),
    healthy(
        "IPv6 in IPv4",
        both={"leftsubnet": NET6["leftsubnet"], "rightsubnet": NET6["rightsubnet"]},
        late=once.passes6,
    ),
    healthy("IPv4 in IPv6", both={"left": NET6["left"], "right": NET6["right"]}, late=once.passes),
    healthy("IPv6 from host to host, raw ESP", both={**V6, **HOSTS, "type": "transport", "encapsulation": "no"}),
    healthy(
        "policy groups, a pair encrypted",
        text=both_sides(conn("private", GROUP, authby="null")),
        target="private",
        up=False,
        before=once.group("private", "192.0.2.0/24"),
        after=once.pair_meets,
    ),
    healthy(
        "policy groups in clear and blocked",
        text=both_sides("".join(conn(name, GROUP, right="%group", authby="never", type=kind) for name, kind in CLOSED)),
        target="",
        up=False,
        before=steps(once.group("clear", "192.0.2.0/24"), once.group("block", "10.66.0.0/16")),
        after=once.pair_meets,
    ),
    healthy("manual keys", text=both_sides(once.keyed()), up=False, after=once.manual),
    healthy("several subnets", both={"leftsubnet": "", "leftsubnets": "{10.1.0.0/24 10.3.0.0/24}"}, late=once.passes),
    healthy("revocation lists", certs=True, setup={"strictcrlpolicy": "yes"}, before=once.lists, late=once.passes),
    healthy("an authority below the one that is known", certs=True, before=once.chain, late=once.passes),
    healthy(
        "moved to another address",
        both={**IDS, "mobike": "yes"},
        west={"left": "%defaultroute"},
        east={"left": "%any"},
        before=ip("west", "route", "replace", "default", "via", "192.0.2.2", "dev", "wan", "src", "192.0.2.1"),
        late=once.moves,
    ),
    healthy("TCP", setup={"listen-tcp": "yes"}, both={"enable-tcp": "yes"}, late=once.passes),
    healthy(
        "TCP, where nothing else passes",
        shape="routed",
        setup={"listen-tcp": "yes"},
        both={**ROUTED, "enable-tcp": "yes"},
        after=steps(*(rule("r1", "-A", "FORWARD", "-p", kind, "-j", "DROP") for kind in ("udp", "esp"))),
        late=once.passes,
    ),
    healthy(
        "two uplinks, a conn by each",
        more=conn(
            "second",
            NET4,
            left="203.0.113.1",
            right="203.0.113.2",
            leftsubnet="10.1.1.0/24",
            rightsubnet="10.2.1.0/24",
            auto="add",
        ),
        before=once.uplink,
        late=lambda world: world.west.up("second"),
    ),
    healthy("never renewed", both={"rekey": "no"}, late=once.passes),
    healthy(
        "an updown command that opens what is closed",
        west={"leftfirewall": "yes", "lefthostaccess": "yes"},
        before=steps(rule("west", "-P", "FORWARD", "DROP"), once.opens),
        late=once.passes,
    ),
    healthy(
        "masquerading by nft on the outer device alone",
        late=nft(
            "west",
            "table ip mynat {",
            "chain post {",
            "type nat hook postrouting priority srcnat;",
            'oifname "wan" masquerade',
            "}",
            "}",
        ),
    ),
    healthy(
        "a hole in a wide tunnel",
        both={"rightsubnet": "10.0.0.0/8"},
        more=conn("hole", NET4, rightsubnet="10.2.9.0/24", authby="never", type="passthrough", auto="route"),
        late=once.passes,
    ),
    healthy("all traffic by the peer", both={"rightsubnet": "0.0.0.0/0"}, late=once.passes),
    healthy("loaded, nobody has asked for it yet", up=False, target=""),
    healthy("a server nobody calls", east={"left": "%any", **IDS}, west={"auto": "ignore"}, up=False, target=""),
    healthy("an updown command of its own", west={"leftupdown": '"/usr/bin/env ipsec _updown"'}, late=once.passes),
    healthy("the peer was started anew", late=once.restart),
    healthy(
        "rules in chains of their own, as front ends write them",
        before=steps(
            *(rule("west", "-N", name) for name in ("before-input", "user-input", "not-local")),
            *(rule("west", "-A", "INPUT", "-j", name) for name in ("before-input", "user-input")),
            rule("west", "-A", "before-input", "-i", "lo", "-j", "ACCEPT"),
            rule("west", "-A", "before-input", "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"),
            rule("west", "-A", "before-input", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP"),
            rule("west", "-A", "before-input", "-j", "not-local"),
            rule("west", "-A", "not-local", "-m", "addrtype", "--dst-type", "LOCAL", "-j", "RETURN"),
            rule("west", "-A", "not-local", "-m", "limit", "--limit", "3/min", "-j", "RETURN"),
            rule("west", "-A", "not-local", "-m", "addrtype", "--dst-type", "UNICAST", "-j", "DROP"),
            rule("west", "-A", "user-input", "-p", "udp", "-m", "multiport", "--dports", "500,4500", "-j", "ACCEPT"),
            rule("west", "-A", "user-input", "-p", "esp", "-j", "ACCEPT"),
            rule("west", "-A", "user-input", "-i", "ipsec+", "-j", "ACCEPT"),
            rule("west", "-P", "INPUT", "DROP"),
        ),
        late=once.passes,
    ),
    healthy(
        "key exchanges against quantum computers",
        both={"ike": "aes_gcm256-sha2_512-x25519-addke1-mlkem768"},
        late=once.passes,
    ),
    healthy(
        "a narrow way that says so",
        shape="routed",
        both=ROUTED,
        before=steps(ip("r1", "link", "set", "mid", "mtu", "1280"), ip("r2", "link", "set", "mid", "mtu", "1280")),
        late=once.passes,
    ),
    healthy("large packets from end to end", late=once.passes_large),
    healthy("certificates that end soon", certs=True, before=once.ending, late=once.passes),
    healthy(
        "two clients behind one NAT",
        shape="nat",
        both={**IDS, "leftsubnet": ""},
        west={"left": "192.168.7.2", "leftsourceip": "%config"},
        east={"left": "%any", "leftid": "%any", "leftaddresspool": POOL},
        late=once.second_client,
    ),
    healthy(
        "the kernel's own IPsec for others",
        late=steps(
            ip("west", "xfrm", "policy", "add", "src", "10.66.0.0/24", "dst", "10.67.0.0/24", "dir", "out"),
            once.passes,
        ),
    ),
    healthy(
        "a NAT that is reminded more often than need be",
        shape="nat",
        both=IDS,
        west={"left": "192.168.7.2"},
        east={"left": "%any"},
        setup={"keep_alive": "5"},
        late=once.passes,
    ),
    *ALIVE,
)
"""Each is looked at from both ends: by name, and as a whole."""


def look(one: Fault, authority: Callable[[], Authority]) -> Iterator[str]:
    """What is said although nothing is wrong. LabError when something is wrong."""
    with World(one, authority) as world:
        sides = [world.gateway(side) for side in ("east", "west")]
        one.before(world)
        for gateway in sides:
            gateway.start()
        one.after(world)
        if one.up:
            world.up()
        one.late(world)
        if one.up and not world.west.tunnels():
            raise LabError(f"no tunnel: {one.name}\n{world.west.log()}{world.east.log()}")
        for side, target in (("west", one.target), ("east", "")):
            outcome = diagnose(world.gateway(side), target, one)
            if outcome.first or outcome.status:
                yield f"{side} {target or 'all'}: {outcome.first.get('code', outcome.text.strip()[-300:])}"
