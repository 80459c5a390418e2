# SPDX-License-Identifier: GPL-2.0-or-later
"""More faults for `ipsec diagnose`, as people meet them in the field: see faults.py."""

from __future__ import annotations

import time

from tests.netns.conns import conn, setup
from tests.netns.diagnosing import NAME, Fault, World
from tests.netns.faultsteps import hide, ip, lie, rule, steps, sysctl
from tests.netns.gateway import Gateway

DAY = 86400
ROUTED = {"right": "198.51.100.2"}
V1 = {"ikev2": "no"}
IDS = {"leftid": "@west", "rightid": "@east"}
GROUP = {"left": "%defaultroute", "right": "%opportunisticgroup", "keyingtries": "1", "auto": "route"}


def ping(world: World, count: int = 6) -> None:
    """Some traffic, and the second an SA has to be old for its counters to say something."""
    world.ping(count)
    time.sleep(1.0)


def reborn(world: World) -> None:
    """East's machine starts anew, and nobody has told it to start IPsec."""
    world.east.kill()
    ping(world)


def twins(world: World) -> None:
    """Another client comes with west's identity, and each calls again when the other has thrown it out."""
    twin = Gateway(world.lab.road, world.text("west").replace("192.168.7.2", "192.168.8.2"), world.secrets["west"])
    twin.start()
    for client in (twin, world.west, twin):
        client.up(NAME)


def renumbered(world: World) -> None:
    """DHCP gives west another address."""
    world.lab.west.sysctl(ipv4__conf__all__promote_secondaries=1)
    world.lab.west.ip("addr", "add", "192.0.2.50/24", "dev", "wan")
    world.lab.west.ip("addr", "del", "192.0.2.1/24", "dev", "wan")


def stale_list(side: str):  # type: ignore[no-untyped-def]
    """A step: a revocation list of the authority's whose next one is overdue."""
    return lambda world: (world.gateway(side).dir / "ipsec.d/crls/lab.crl").write_bytes(
        world.authority().revoked(days=-1)
    )


def anonymous(side: str):  # type: ignore[no-untyped-def]
    """A step: a certificate for a side that bears its address instead of its name."""

    def step(world: World) -> None:
        made = world.authority().issue("192.0.2.2")
        folder = world.gateway(side).dir / "ipsec.d"
        (folder / f"certs/{side}.pem").write_bytes(made.cert)
        (folder / f"private/{side}.key").write_bytes(made.key)

    return step


FIELD = (
    Fault("there is no /dev/net/tun", "no-tun", "modprobe tun", before=hide("west", "/dev/net"), up=False),
    Fault(
        "the clock is behind",
        "clock-behind",
        "set the clock",
        certs=True,
        before=lie("west", LAB_CLOCK=str(-400 * DAY)),
    ),
    Fault(
        "the same network on both sides",
        "same-subnet",
        "another network",
        both={"leftsubnet": "10.1.0.0/24", "rightsubnet": "10.1.0.0/24"},
    ),
    Fault(
        "another program's policies in the kernel",
        "kernel-policy",
        "ip xfrm policy",
        late=steps(
            ip(
                "west",
                "xfrm",
                "policy",
                "add",
                "src",
                "10.1.0.0/24",
                "dst",
                "10.2.0.0/24",
                "dir",
                "out",
                "tmpl",
                "src",
                "192.0.2.1",
                "dst",
                "192.0.2.2",
                "proto",
                "esp",
                "mode",
                "tunnel",
            ),
            ping,
        ),
    ),
    Fault("the peer's machine was started anew, without IPsec", "stale-sa", "start IPsec on the peer", late=reborn),
    Fault("another address after DHCP", "not-ours", "192.0.2.50", late=renumbered),
    Fault("the peer does not forward", "nothing-in", "firewall", late=steps(sysctl("east", ipv4__ip_forward=0), ping)),
    Fault(
        "the peer does not forward, seen there",
        "no-forwarding",
        "ip_forward=1",
        late=steps(sysctl("east", ipv4__ip_forward=0), ping),
        at="east",
    ),
    Fault(
        "the remote host's own firewall",
        "nothing-in",
        "firewall",
        late=steps(rule("sunrise", "-A", "INPUT", "-p", "icmp", "-j", "DROP"), ping),
    ),
    Fault(
        "a router prohibits port 500",
        "peer-port-closed peer-unreachable udp-500-blocked",
        ".",
        shape="routed",
        both=ROUTED,
        after=rule(
            "r1",
            "-A",
            "FORWARD",
            "-p",
            "udp",
            "--dport",
            "500",
            "-j",
            "REJECT",
            "--reject-with",
            "icmp-admin-prohibited",
        ),
    ),
    Fault(
        "IKEv2 asked of a peer that has IKEv1 alone",
        "peer-version peer-refuses-ike",
        "ikev2=",
        east=V1,
        west={"ikev2": "insist"},
    ),
    Fault(
        "the wrong secret for anybody",
        "psk-mismatch",
        "PSK of both ends",
        both=IDS,
        east={"left": "%any"},
        east_secrets='%any : PSK "something else"',
        at="east",
    ),
    Fault(
        "the revocation list is out of date",
        "crl-expired",
        "crls",
        certs=True,
        setup={"strictcrlpolicy": "yes"},
        before=stale_list("east"),
        at="east",
    ),
    Fault(
        "the peer's certificate has no name but its address",
        "peer-cert-name",
        "subjectAltName",
        certs=True,
        before=anonymous("east"),
    ),
    Fault(
        "a middlebox drops large IKE messages",
        "large-ike",
        "fragmentation=yes",
        shape="routed",
        certs=True,
        both={**ROUTED, "fragmentation": "no"},
        after=rule("r1", "-A", "FORWARD", "-p", "udp", "-m", "length", "--length", "1000:65535", "-j", "DROP"),
    ),
    Fault(
        "a black hole for large packets",
        "black-hole",
        "drops ICMP",
        shape="routed",
        both=ROUTED,
        after=rule("r1", "-A", "FORWARD", "-m", "length", "--length", "1151:65535", "-j", "DROP"),
        late=ping,
    ),
    Fault(
        "no eroute",
        "no-eroute",
        "--up net-net",
        late=steps(lambda world: world.west.ipsec("eroute", "--clear"), ping),
    ),
    Fault(
        "the gateway's own packets do not fit",
        "own-address",
        "leftsourceip=10.9.0.1",
        both={"leftsubnet": "10.9.0.0/24"},
        late=lambda world: world.lab.west.run("ping", "-c", "3", "-i", "0.1", "-W", "1", "10.2.0.2", check=False),
        target="10.2.0.2",
    ),
    Fault(
        "a NAT before each end, and no port forwarded",
        "peer-silent peer-port-closed peer-unreachable",
        "UDP|NAT",
        shape="routed",
        both=IDS,
        west={"right": "203.0.113.2"},
        east={"left": "%any", "right": "198.51.100.2"},
        before=steps(
            rule("r1", "-A", "POSTROUTING", "-o", "mid", "-j", "MASQUERADE", table="nat"),
            rule("r2", "-A", "INPUT", "-i", "mid", "-p", "udp", "-j", "DROP"),
        ),
    ),
    Fault(
        "behind a NAT with addresses for ids",
        "id-mismatch peer-refuses-auth",
        "id",
        shape="nat",
        west={"left": "192.168.7.2"},
        east={"left": "%any", "leftid": "192.0.2.1"},
        at="east",
    ),
    Fault(
        "the NAT forgets before it is reminded",
        "no-keepalive",
        "keep_alive=20",
        shape="nat",
        both=IDS,
        setup={"keep_alive": "3600"},
        west={"left": "192.168.7.2"},
        east={"left": "%any"},
        late=ping,
    ),
    Fault(
        "a strict filter where packets come another way than they go",
        "rp-filter",
        "rp_filter=0",
        shape="routed",
        both=ROUTED,
        after=sysctl("west", ipv4__conf__wan__rp_filter=1, ipv4__conf__all__src_valid_mark=0),
    ),
    Fault(
        "the kernel has no NFQUEUE",
        "no-nfqueue",
        "modprobe nfnetlink_queue",
        before=lie("west", LAB_NO_NFQUEUE="1"),
        text=dict.fromkeys(("west", "east"), setup() + conn("private", GROUP, authby="null")),
        target="private",
        up=False,
    ),
    Fault(
        "two clients with one identity",
        "duplicate-id",
        "id of its own",
        shape="nat",
        both={**IDS, "leftsubnet": ""},
        west={"left": "192.168.7.2", "leftsourceip": "%config"},
        east={"left": "%any", "leftaddresspool": "10.9.0.10-10.9.0.20"},
        late=twins,
        at="east",
        target="",
    ),
)
