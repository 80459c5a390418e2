# SPDX-License-Identifier: GPL-2.0-or-later
"""Steps that make a set-up what it is, and prove that it works."""

from __future__ import annotations

import os
from collections.abc import Callable

from openswan.host.login import crypt
from tests.netns.conns import NET4, conn
from tests.netns.diagnosing import NAME, World
from tests.netns.gateway import Gateway
from tests.netns.lab import Host, wait_for


def _reaches(host: Host, target: str) -> None:
    ping = ("ping", "-c", "1", "-W", "1", target)
    wait_for(f"an answer of {target}", lambda: "1 received" in host.run(*ping, check=False).stdout, 15)


def passes(world: World) -> None:
    """From lan to lan."""
    _reaches(world.lab.sunset, "10.2.0.2")


def passes6(world: World) -> None:
    """The same of IPv6."""
    _reaches(world.lab.sunset, "2001:db8:2::2")


def passes_from_west(world: World) -> None:
    """From the gateway itself, which has an address of the peer's."""
    _reaches(world.lab.west, "10.2.0.2")


def append(gateway: Gateway, name: str, text: str) -> None:
    """More lines for one of its files."""
    path = gateway.dir / name
    path.write_text(f"{path.read_text().rstrip()}\n{text}\n")


def raw_keys(world: World) -> None:
    """Each end has an RSA key of its own, and the conn both public ones."""
    lines = []
    for side, name in (("left", "west"), ("right", "east")):
        gateway = world.gateway(name)
        path = gateway.dir / "ipsec.secrets"
        path.unlink()
        gateway.ipsec("newhostkey", "--output", str(path), "--bits", "2192", "--quiet")
        shown = gateway.ipsec("showhostkey", f"--{side}").stdout
        lines += [f"    {line.strip()}" for line in shown.splitlines() if "rsasigkey=" in line]
        lines.append(f"    {side}id=@{name}")
    for name in ("west", "east"):
        append(world.gateway(name), "ipsec.conf", "\n".join(lines))


def users(world: World) -> None:
    """East's file of users."""
    made = crypt(b"open sesame", b"$6$abcdefgh$")
    assert made is not None
    (world.east.dir / "ipsec.d/passwd").write_text(f"carla:{made.decode()}\n")


def password(world: World) -> None:
    """Both know the same one for EAP."""
    for gateway in (world.west, world.east):
        append(gateway, "ipsec.secrets", 'joe : EAP "pass word"')


def group(name: str, text: str) -> Callable[[World], None]:
    """A step: both have this file of a policy group."""

    def step(world: World) -> None:
        for gateway in (world.west, world.east):
            (gateway.dir / "ipsec.d/policies" / name).write_text(text + "\n")

    return step


def pair_meets(world: World) -> None:
    """The two gateways meet under the policy of a group."""
    for gateway in (world.east, world.west):
        wait_for("the group", lambda gateway=gateway: "%" in gateway.ipsec("eroute").stdout, 8)  # type: ignore[misc]
    _reaches(world.lab.west, "192.0.2.2")


def keyed() -> str:
    """A conn with keys that are made now."""
    values = {name: value for name, value in NET4.items() if name != "authby"}
    keys = {"espenckey": "0x" + os.urandom(32).hex(), "espauthkey": "0x" + os.urandom(32).hex()}
    return conn(NAME, {**values, **keys, "spibase": "0x200", "esp": "aes256-sha2_256"})


def manual(world: World) -> None:
    """Both ends use them."""
    for gateway in (world.east, world.west):
        gateway.ipsec("manual", "--up", NAME)
    passes(world)


def lists(world: World) -> None:
    """Both have the authority's list, which names nobody."""
    for gateway in (world.west, world.east):
        (gateway.dir / "ipsec.d/crls/lab.crl").write_bytes(world.authority().revoked())


def chain(world: World) -> None:
    """West's certificate comes with the one above it."""
    below = world.authority().subordinate("West CA")
    made = below.issue("west.test")
    (world.west.dir / "ipsec.d/certs/west.pem").write_bytes(made.cert + below.pem)
    (world.west.dir / "ipsec.d/private/west.key").write_bytes(made.key)


def moves(world: World) -> None:
    """West gets another address and loses the old one."""
    passes(world)
    world.lab.west.sysctl(ipv4__conf__all__promote_secondaries=1)
    world.lab.west.ip("addr", "add", "192.0.2.11/24", "dev", "wan")
    world.lab.west.ip("route", "replace", "default", "via", "192.0.2.2", "dev", "wan", "src", "192.0.2.11")
    wait_for("east to follow", lambda: "to 192.0.2.11:" in world.east.log(), 15)
    world.lab.west.ip("addr", "del", "192.0.2.1/24", "dev", "wan")
    passes(world)


def opens(world: World) -> None:
    """West's updown command opens FORWARD for its two nets."""
    script = world.west.dir / "updown"
    between = '-s "$PLUTO_PEER_CLIENT" -d "$PLUTO_MY_CLIENT"', '-s "$PLUTO_MY_CLIENT" -d "$PLUTO_PEER_CLIENT"'
    rules = "".join(f'iptables "$do" FORWARD {one} -j ACCEPT\n' for one in between)
    cases = 'case "$PLUTO_VERB" in up-client) do=-I ;; down-client) do=-D ;; *) exec ipsec _updown ;; esac\n'
    script.write_text(f"#!/bin/sh\n{cases}{rules}")
    script.chmod(0o755)
    append(world.west, "ipsec.conf", f"    leftupdown={script}")


def uplink(world: World) -> None:
    """A second wire between the gateways."""
    world.lab.wire("west", "wan2", "east", "wan2")
    for name, number in (("west", 1), ("east", 2)):
        world.lab.address(name, "wan2", f"203.0.113.{number}/24")


def restart(world: World) -> None:
    """East begins anew, west calls it again."""
    world.east.ipsec("setup", "restart")
    world.up()
    passes(world)


def passes_large(world: World) -> None:
    """Datagrams as large as the wires of the two lans."""
    passes(world)
    large = ("ping", "-c", "3", "-i", "0.1", "-W", "1", "-s", "1472", "10.2.0.2")
    wait_for("large answers", lambda: "3 received" in world.lab.sunset.run(*large, check=False).stdout, 15)


def ending(world: World) -> None:
    """Both certificates are good for a day."""
    for side in ("west", "east"):
        made = world.authority().issue(f"{side}.test", days=1)
        folder = world.gateway(side).dir / "ipsec.d"
        (folder / f"certs/{side}.pem").write_bytes(made.cert)
        (folder / f"private/{side}.key").write_bytes(made.key)


def second_client(world: World) -> None:
    """Another client comes through the same NAT, with an id of its own; neither minds the other."""
    text = world.text("west").replace("192.168.7.2", "192.168.8.2").replace("@west", "@road")
    road = Gateway(world.lab.road, text, world.secrets["west"])
    road.start()
    road.up(NAME)
    passes_from_west(world)
    _reaches(world.lab.road, "10.2.0.2")
