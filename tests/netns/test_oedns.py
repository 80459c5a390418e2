# SPDX-License-Identifier: GPL-2.0-or-later
"""Opportunistic encryption between hosts that have nothing of each other but what a signed DNS says.

west ========wan======= east ----lan---- sunrise        Unbound on west and east, NSD on ns;
192.0.2.1               192.0.2.2         10.2.0.2       sunrise knows nothing of IPsec
       \\= ns 172.16.0.53 =/
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from openswan.crypto.dnskey import record_octets
from tests.netns.capture import QUIET, Capture
from tests.netns.conns import conn
from tests.netns.dnsworld import DnsWorld
from tests.netns.gateway import Gateway
from tests.netns.keys import Key, pem
from tests.netns.lab import Host, Lab, wait_for
from tests.netns.traffic import Receiver, ping, udp_socket

HERE = {"left": "%defaultroute", "right": "%opportunisticgroup", "authby": "rsasig,ecdsa,eddsa", "keyingtries": "1"}
CONF = conn("private", HERE, failureshunt="drop", auto="route") + conn(
    "private-or-clear", HERE, failureshunt="passthrough", auto="route"
)
REVERSE, BEHIND = "2.0.192.in-addr.arpa", "100.51.198.in-addr.arpa"
LOCAL = "nameserver 127.0.0.1\n"
WEST, EAST, SERVER = "192.0.2.1", "192.0.2.2", "172.16.0.53"


def ipseckey(owner: int | str, key: Key, gateway: str = "", precedence: int = 10) -> str:
    """A line of a zone."""
    algorithm, data = record_octets(key.public_key())
    kind, name = (1, gateway) if gateway else (0, ".")
    return f"{owner} IPSECKEY {precedence} {kind} {algorithm} {name} {base64.b64encode(data).decode()}\n"


def txt(owner: int | str, key: Key, gateway: str) -> str:
    text = base64.b64encode(record_octets(key.public_key())[1]).decode()
    return f'{owner} TXT "X-IPsec-Server(10)={gateway} " "{text[:200]}" "{text[200:]}"\n'


def key_record(owner: int, key: Key) -> str:
    return f"{owner} KEY 16896 4 1 {base64.b64encode(record_octets(key.public_key())[1]).decode()}\n"


@dataclass
class World:
    """The lab, its DNS and the keys that are in it."""

    lab: Lab
    dns: DnsWorld

    def host(
        self, name: str, key: Key, resolv: str = LOCAL, more: str = "", conf: str = CONF, **groups: str
    ) -> Gateway:
        """One of our hosts with its key and these files of policy groups, started and trapping."""
        gateway = Gateway(self.lab[name], conf + more, f": RSA {name}.pem\n", resolv=resolv)
        private = gateway.dir / f"ipsec.d/private/{name}.pem"
        private.touch(mode=0o600)
        private.write_bytes(pem(key))
        for group, text in groups.items():
            (gateway.dir / "ipsec.d" / "policies" / group.replace("_", "-")).write_text(text)
        gateway.start()
        wait_for("the lines", lambda: "%trap" in gateway.ipsec("eroute").stdout, 5)
        return gateway


FIRST, SECOND = (rsa.generate_private_key(65537, 2048) for _ in range(2))
CURVE, EDWARDS = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
RECORDS = {
    "ipseckey-rsa": (SECOND, ipseckey(2, SECOND)),
    "ipseckey-ecdsa": (CURVE, ipseckey(2, CURVE, EAST)),
    "ipseckey-eddsa": (EDWARDS, ipseckey(2, EDWARDS)),
    "txt": (SECOND, txt(2, SECOND, EAST)),
    "txt-and-key": (SECOND, '2 TXT "X-IPsec-Server(10)=192.0.2.2"\n' + key_record(2, SECOND)),
}


def world_of(
    lab: Lab,
    records: str = ipseckey(2, SECOND),
    signed: bool = True,
    zones: Mapping[str, str] | None = None,
    servers: type[DnsWorld] = DnsWorld,
    asking: tuple[str, ...] = ("west", "east"),
) -> World:
    """West's record is there unless `zones` have another reverse zone; each of `asking` has an Unbound of its own."""
    lab.hosts["ns"] = ns = Host(lab, "ns")
    ns.ip("addr", "add", f"{SERVER}/32", "dev", "lo")
    for number, name in enumerate(asking, 1):
        lab.wire(name, "dns", "ns", name)
        lab.address(name, "dns", f"172.16.{number}.1/24")
        lab.address("ns", name, f"172.16.{number}.2/24")
        lab[name].ip("route", "add", SERVER, "via", f"172.16.{number}.2")
    all_zones = {REVERSE: ipseckey(1, FIRST) + records, BEHIND: ipseckey(9, SECOND, EAST), **(zones or {})}
    resolvers = dict.fromkeys(asking, ("127.0.0.1",))
    return World(lab, servers(lab, all_zones, tuple(all_zones) if signed else (), ("ns", SERVER), resolvers))


@pytest.fixture
def world(lab: Lab) -> World:
    """Both ends have IPSECKEY records, signed."""
    return world_of(lab)


def clear_between(wire: Capture, one: str, other: str) -> list[str]:
    """Packets between two hosts that are not ours."""
    return [str(s) for s in wire.packets(lambda s: {s.src, s.dst} == {one, other} and s.kind not in QUIET)]


@pytest.mark.matrix
@pytest.mark.parametrize("records", RECORDS, ids=str)
def test_the_first_ping_waits_for_dns_and_ike(lab: Lab, records: str) -> None:
    key, text = RECORDS[records]
    world = world_of(lab, text)
    east = world.host("east", key, private=f"{WEST}\n")
    west = world.host("west", FIRST, private=f"{EAST}\n")
    with Capture(lab.west) as wire:
        assert ping(lab.west, EAST, 3, wait=5).received == 3, west.log() + east.log()
        assert clear_between(wire, WEST, EAST) == []
    assert ping(lab.east, WEST, 1, wait=2).received == 1


FORWARD = "corp.example"
NAMED = {"key-with-it": True, "txt": True, "unsigned": False}
"""Whether it is signed, by the record that names a host."""


def naming(record: str, owner: int, host: str, key: Key) -> str:
    """A line of a reverse zone that names a gateway; ldns reads no IPSECKEY without a key."""
    if record == "txt":
        return f'{owner} TXT "X-IPsec-Server(10)=@{host}.{FORWARD}"\n'
    if record == "unsigned":
        return f"{owner} IPSECKEY 10 3 0 {host}.{FORWARD}.\n"
    algorithm, data = record_octets(key.public_key())
    return f"{owner} IPSECKEY 10 3 {algorithm} {host}.{FORWARD}. {base64.b64encode(data).decode()}\n"


def by_name(host: str) -> str:
    """The usual file, of a host that calls itself by its name."""
    more = {**HERE, "leftid": f"@{host}.{FORWARD}"}
    return conn("private", more, failureshunt="drop", auto="route")


@pytest.mark.parametrize("records", NAMED, ids=str)
def test_hosts_that_go_by_their_names(lab: Lab, records: str) -> None:
    """The reverse tree has their names, and it or the forward tree their keys."""
    signed = NAMED[records]
    keyed = ipseckey if records != "key-with-it" else lambda name, key: ""
    hosts = {"west": (1, WEST, FIRST), "east": (2, EAST, SECOND)}
    zones = {
        REVERSE: "".join(naming(records, number, name, key) for name, (number, _, key) in hosts.items()),
        FORWARD: "".join(f"{name} A {address}\n{keyed(name, key)}" for name, (_, address, key) in hosts.items()),
    }
    world = world_of(lab, signed=signed, zones=zones)
    east = world.host("east", SECOND, conf=by_name("east"), private=f"{WEST}\n")
    west = world.host("west", FIRST, conf=by_name("west"), private=f"{EAST}\n")
    with Capture(lab.west) as wire:
        assert ping(lab.west, EAST, 3, wait=5).received == 3, west.log() + east.log()
        assert clear_between(wire, WEST, EAST) == []
    assert ping(lab.east, WEST, 1, wait=2).received == 1
    grade = "dnssec" if signed else "dns"
    for gateway, pair in ((west, f"{WEST} {EAST}"), (east, f"{EAST} {WEST}")):
        status = gateway.ipsec("auto", "--status").stdout
        assert any(pair in each and f"grade {grade}" in each for each in status.splitlines()), status


def test_a_name_of_ones_own_is_not_the_address_of_another(world: World) -> None:
    """Its zone is signed, has its key, and says that the address is its own; the records of the address do not."""
    east = world.host("east", SECOND, private=f"{WEST}\n")
    world.host("west", FIRST, conf=by_name("west"), private=f"{EAST}\n")
    assert ping(world.lab.west, EAST, 2, wait=1).received == 0
    wait_for("the refusal", lambda: f"the records of {WEST} do not name west.{FORWARD}" in east.log(), 5)


EITHER = conn("private", {**HERE, "authby": "rsasig,ecdsa,eddsa,null"}, failureshunt="drop", auto="route")


@pytest.mark.parametrize(("records", "grade"), [(ipseckey(2, SECOND), "dnssec"), ("", "null")], ids=["both", "one"])
def test_a_key_in_the_dns_or_nothing(lab: Lab, records: str, grade: str) -> None:
    """Who is in the DNS proves himself by that, who is not is encrypted with all the same, as nobody."""
    world = world_of(lab, records)
    east = world.host("east", SECOND, conf=EITHER, private=f"{WEST}\n")
    west = world.host("west", FIRST, conf=EITHER, private=f"{EAST}\n")
    with Capture(lab.west) as wire:
        assert ping(lab.west, EAST, 3, wait=5).received == 3, west.log() + east.log()
        assert clear_between(wire, WEST, EAST) == []
    wait_for("what west's peer has proved", lambda: f"grade {grade}" in west.ipsec("auto", "--status").stdout, 10)
    assert "grade dnssec" in east.ipsec("auto", "--status").stdout


def test_a_burst_loses_nothing(world: World) -> None:
    """What is sent while DNS and IKE are at work arrives, in order, and none of it in clear."""
    world.host("east", SECOND, private=f"{WEST}\n")
    world.host("west", FIRST, private=f"{EAST}\n")
    heard = Receiver(world.lab.east, EAST, 7001)
    s = udp_socket(world.lab.west, WEST)
    with Capture(world.lab.west) as wire:
        for number in range(40):
            s.sendto(b"<<burst>>" + number.to_bytes(8, "big") + bytes(500), (EAST, 7001))
        wait_for("forty datagrams", lambda: len(heard.got) >= 40, 8)
        assert clear_between(wire, WEST, EAST) == []
    s.close()
    assert heard.numbers(b"<<burst>>") == list(range(40))


def test_a_host_without_a_record_goes_the_way_of_its_group(world: World) -> None:
    """Signed denials are answers: nobody waits, and nobody is called."""
    west = world.host("west", FIRST, private="10.2.0.2\n", private_or_clear="10.2.0.1\n")
    with Capture(world.lab.west) as wire:
        begun = time.monotonic()
        assert ping(world.lab.west, "10.2.0.1", 3, wait=5).received == 3
        assert time.monotonic() - begun < 2, "the first ping is not held for longer than the answer takes"
        assert ping(world.lab.west, "10.2.0.2", 2, wait=2).received == 0
        assert clear_between(wire, WEST, "10.2.0.2") == []
        assert not wire.packets(lambda s: s.kind == "ike")
    assert "%pass" in west.ipsec("eroute").stdout and "%drop" in west.ipsec("eroute").stdout


BEHIND_EAST = "198.51.100.9"


def behind_east(world: World) -> None:
    """198.51.100.9 has east as its gateway; east lets west in there by a conn of its own."""
    world.lab.east.ip("addr", "add", f"{BEHIND_EAST}/32", "dev", "lan")
    mine = "0s" + base64.b64encode(record_octets(FIRST.public_key())[1]).decode()
    ends = {"left": EAST, "leftsubnet": f"{BEHIND_EAST}/32", "right": WEST, "rightrsasigkey": mine}
    world.host("east", SECOND, more=conn("behind", ends, authby="rsasig", auto="add"), private="192.0.2.77\n")


def test_a_host_behind_the_gateway_that_its_record_names(world: World) -> None:
    lab = world.lab
    behind_east(world)
    world.host("west", FIRST, private="198.51.100.0/24\n")
    with Capture(lab.west) as wire:
        assert ping(lab.west, BEHIND_EAST, 3, wait=5).received == 3
        assert clear_between(wire, WEST, BEHIND_EAST) == []


def tried_anew(west: Gateway) -> bool:
    """Whatever was decided before."""
    west.ipsec("whack", "--oppohere", WEST, "--oppothere", BEHIND_EAST, check=False)
    return True


@pytest.mark.long
def test_one_on_our_own_link_is_not_reached_by_that_gateway(world: World) -> None:
    """West's routes say where it is, and are followed: on the link its group decides, past a router its gateway is
    called, and what was built so ends when it is on the link after all."""
    lab = world.lab
    behind_east(world)
    lab.west.ip("route", "add", "198.51.100.0/24", "dev", "wan")
    west = world.host("west", FIRST, private="198.51.100.0/24\n")
    with Capture(lab.west) as wire:
        assert ping(lab.west, BEHIND_EAST, 1, wait=1).received == 0
        assert not wire.packets(lambda s: s.kind == "ike")
        assert west.logged(f"its records name {EAST}, but it is on our own link")
        lab.west.ip("route", "add", f"{BEHIND_EAST}/32", "via", EAST, "dev", "wan")
        wait_for("the tunnel", lambda: tried_anew(west) and ping(lab.west, BEHIND_EAST, 1, wait=1).received == 1)
        lab.west.ip("route", "del", f"{BEHIND_EAST}/32")
        wait_for("the end of the tunnel", lambda: ping(lab.west, BEHIND_EAST, 1, wait=1).received == 0)
        assert clear_between(wire, WEST, BEHIND_EAST) == []


@pytest.mark.matrix
@pytest.mark.parametrize("gateway", ["", EAST], ids=["itself", "another"])
def test_unsigned_records_delegate_to_themselves_alone(lab: Lab, gateway: str) -> None:
    """198.51.100.9 names east as its gateway, but nobody has signed that; east's own record will do."""
    world = world_of(lab, signed=False)
    world.host("east", SECOND, private=f"{WEST}\n")
    west = world.host("west", FIRST, private=f"{EAST}\n198.51.100.9\n")
    target = "198.51.100.9" if gateway else EAST
    with Capture(lab.west) as wire:
        assert ping(lab.west, target, 2, wait=4).received == (0 if gateway else 2)
        assert clear_between(wire, WEST, target) == []
    assert ("it is unsigned and delegates to 192.0.2.2" in west.log()) is bool(gateway)


def test_a_record_that_was_tampered_with_denies_in_every_group(lab: Lab) -> None:
    world = world_of(lab, '2 TXT "X-IPsec-Server(10)=192.0.2.9 true"\n')
    west = world.host("west", FIRST, private_or_clear=f"{EAST}\n")
    with Capture(lab.west) as wire:
        assert ping(lab.west, EAST, 2, wait=4).received == 0
        assert clear_between(wire, WEST, EAST) == []
    assert "%drop" in west.ipsec("eroute").stdout


@pytest.mark.matrix
@pytest.mark.parametrize("resolv", ["nameserver 192.0.2.99\n", "nameserver 127.0.0.9\n"], ids=["silent", "down"])
def test_a_resolver_that_is_silent_or_down(world: World, resolv: str) -> None:
    """As good as no record: clear where the group says so, after holdtimeout= at most, and dropped elsewhere."""
    lab = world.lab
    world.host("west", FIRST, resolv, private="10.2.0.1\n", private_or_clear=f"{EAST}\n")
    with Capture(lab.west) as wire:
        begun = time.monotonic()
        assert ping(lab.west, EAST, 2, wait=6).received == 2
        took = time.monotonic() - begun
        assert took < 2 if "127" in resolv else 2.5 < took < 4.5, took
        assert ping(lab.west, "10.2.0.1", 2, wait=4).received == 0
        assert clear_between(wire, WEST, "10.2.0.1") == []


@pytest.mark.long
def test_an_answer_that_comes_late_is_used(world: World) -> None:
    """The DNS is away for a while: the group's failure shunt meanwhile, the tunnel once it is back."""
    lab = world.lab
    lab["ns"].ip("link", "set", "west", "down")
    world.host("east", SECOND, private=f"{WEST}\n")
    west = world.host("west", FIRST, private=f"{EAST}\n")
    assert ping(lab.west, EAST, 2, wait=4).received == 0
    lab["ns"].ip("link", "set", "west", "up")
    # An answer that failed is remembered for five seconds, and a pair that got no tunnel is tried again after a minute.
    west.ipsec("auto", "--rereadgroups")
    wait_for("the tunnel", lambda: ping(lab.west, EAST, 1, wait=1).received == 1, 90, 1.0)
