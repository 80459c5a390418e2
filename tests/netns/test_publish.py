# SPDX-License-Identifier: GPL-2.0-or-later
"""`ipsec publish` and `ipsec verify --oe` against servers of others: Knot takes the updates, Unbound validates.

west 192.0.2.1 ===wan=== 192.0.2.2 east         Unbound on west and east, Knot on ns
       \\= ns 172.16.0.53 =/
"""

from __future__ import annotations

import dns.message
import dns.query
import dns.rdatatype
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from tests.netns.capture import Capture
from tests.netns.gateway import Gateway
from tests.netns.keys import Key, pem
from tests.netns.knotworld import BIND_KEY, KnotWorld
from tests.netns.lab import Lab
from tests.netns.test_oedns import EAST, FIRST, REVERSE, SECOND, SERVER, WEST, World, clear_between, ipseckey, world_of
from tests.netns.traffic import ping

CLASSLESS = "0-15.3.0.192.in-addr.arpa"
ZONES = {
    CLASSLESS: "",
    REVERSE: '1 TXT "something else"\n' + ipseckey(1, SECOND, EAST),
    "3.0.192.in-addr.arpa": f"8 CNAME 8.{CLASSLESS}.\n0-15 NS ns.3.0.192.in-addr.arpa.\n",
    "example": "",
    "kept": "",
}


@pytest.fixture
def world(lab: Lab) -> World:
    """Nothing but what others have published, signed."""
    return world_of(lab, zones=ZONES, servers=KnotWorld)


def with_key(world: World, name: str, key: Key, **groups: str) -> Gateway:
    gateway = world.host(name, key, **groups)
    (gateway.dir / "tsig.key").touch(mode=0o600)
    (gateway.dir / "tsig.key").write_text(BIND_KEY)
    return gateway


def publish(at: Gateway, *more: str, key: str = "tsig.key", server: str = SERVER) -> tuple[int, str]:
    """Its status and what it said."""
    args = ("--server", server, "--key", str(at.dir / key), "--host", "gw")
    done = at.ipsec("publish", *args, *more, check=False)
    return done.returncode, done.stdout + done.stderr


def known(world: World, owner: str, kind: str = "IPSECKEY") -> list[str]:
    """Records as the server has them."""
    with world.lab["ns"].inside():
        answer = dns.query.tcp(dns.message.make_query(owner, kind), SERVER, 2)
    return sorted(data.to_text() for rrset in answer.answer if rrset.rdtype != dns.rdatatype.CNAME for data in rrset)


@pytest.mark.long
def test_two_hosts_publish_and_encrypt(world: World) -> None:
    lab = world.lab
    east = with_key(world, "east", SECOND, private=f"{WEST}\n")
    west = with_key(world, "west", FIRST, private=f"{EAST}\n")
    for at, address in ((east, EAST), (west, WEST)):
        status, said = publish(at, "--ip", address)
        assert status == 0, said
        assert f"published IPSECKEY of {address.split('.')[-1]}.{REVERSE} (zone {REVERSE})" in said
    with Capture(lab.west) as wire:
        assert ping(lab.west, EAST, 3, wait=5).received == 3, west.log() + east.log()
        assert clear_between(wire, WEST, EAST) == []
    done = west.ipsec("verify", "--oe", "--ip", WEST, "--host", "gw", check=False).stdout
    assert f"IPSECKEY: {WEST}, precedence 10, signed" in done, done


def test_a_new_key_follows_the_old_one_and_what_others_have_there_stays(world: World) -> None:
    west = with_key(world, "west", FIRST, private=f"{EAST}\n")
    before = known(world, f"1.{REVERSE}")
    assert publish(west, "--ip", WEST)[0] == 0
    first = known(world, f"1.{REVERSE}")
    assert len(first) == 2 and set(before) < set(first)
    assert len(known(world, f"1.{REVERSE}", "TXT")) == 2
    (west.dir / "ipsec.d/private/west.pem").write_bytes(pem(rsa.generate_private_key(65537, 2048)))
    assert publish(west, "--ip", WEST)[0] == 0
    second = known(world, f"1.{REVERSE}")
    assert len(second) == 2 and set(before) == set(first) & set(second)
    status, said = publish(west, "--ip", WEST, "--remove")
    assert status == 0 and f"removed TXT of 1.{REVERSE}" in said
    assert known(world, f"1.{REVERSE}") == before
    assert "something else" in "".join(known(world, f"1.{REVERSE}", "TXT"))


def test_names_and_keys_that_are_not_rsa(world: World) -> None:
    west = with_key(world, "west", ed25519.Ed25519PrivateKey.generate(), private=f"{EAST}\n")
    status, said = publish(west, "--ip", WEST)
    assert (status, "TXT" in said) == (0, False)
    args = ("--server", SERVER, "--key", str(west.dir / "tsig.key"), "--ip", WEST, "--host", "west.example")
    assert "IPSECKEY of west.example (zone example)" in west.ipsec("publish", *args).stdout
    assert len(known(world, "west.example")) == 1


def test_a_classless_reverse_zone(world: World) -> None:
    """RFC 2317: the name is a CNAME, the records are where it leads."""
    west = with_key(world, "west", FIRST, private=f"{EAST}\n")
    status, said = publish(west, "--ip", "192.0.3.8")
    assert status == 0 and f"published IPSECKEY of 8.{CLASSLESS} (zone {CLASSLESS})" in said
    assert len(known(world, f"8.{CLASSLESS}")) == 1


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("spoil", "more", "why"),
    [
        (("hosts.", "others."), (), "does not know the key others."),
        (('secret "AAEC', 'secret "AAAA'), (), "has another secret for the key hosts."),
        (("hmac-sha256", "hmac-md5"), (), "algorithm hmac-md5 is not used"),
        (("", ""), ("--ip", "198.18.0.1"), "has no zone for 1.0.18.198.in-addr.arpa."),
        (("", ""), ("--ip", "198.18.0.1", "--zone", "example"), "answers without a signature, as servers refuse"),
        (("", ""), ("--host", "west.kept"), "or does not let it change that"),
        (("", ""), ("--port", "54"), "Connection refused"),
    ],
    ids=["unknown-key", "wrong-secret", "weak", "no-zone", "other-zone", "not-allowed", "nobody-there"],
)
def test_what_goes_wrong_is_said(world: World, spoil: tuple[str, str], more: tuple[str, ...], why: str) -> None:
    west = with_key(world, "west", FIRST, private=f"{EAST}\n")
    (west.dir / "tsig.key").write_text(BIND_KEY.replace(*spoil) if spoil[0] else BIND_KEY)
    args = ("--server", SERVER, "--key", str(west.dir / "tsig.key"), *(() if "--ip" in more else ("--ip", WEST)))
    host = () if "--host" in more else ("--host", "gw")
    done = west.ipsec("publish", *args, *host, *more, check=False)
    assert done.returncode == 1 and why in done.stderr, done.stdout + done.stderr


@pytest.mark.long
def test_verify_says_what_peers_would_find(world: World) -> None:
    """A record of another gateway; none; another key; a daemon that is down."""
    west = with_key(world, "west", FIRST, private=f"{EAST}\n")

    def said(*more: str) -> str:
        return west.ipsec("verify", "--oe", "--ip", WEST, "--host", "gw", *more, check=False).stdout

    assert f"peers reach it through {EAST}" in said()
    assert "NFQUEUE" in said() or "by the route into ipsecN" in said()
    lines = [line.strip() for line in said().splitlines() if "IN\t" in line]
    assert [line.split("\t")[2] for line in lines] == ["IPSECKEY", "TXT"]
    assert publish(west, "--ip", WEST)[0] == 0
    world.dns.end("west")
    assert "no answer" in said() or "refused" in said()
    world.dns.restart("west")
    assert f"IPSECKEY: {WEST}, precedence 10, signed" in said()
    world.lab.west.run("iptables", "-A", "INPUT", "-i", "wan", "-p", "tcp", "--dport", "80", "-j", "DROP")
    assert "comes out of ipsec1, which these rules do not mean" in said()
    west.stop()
    assert "the DNS tells peers that this host encrypts, and pluto is not running" in said()
    (west.dir / "ipsec.d/private/west.pem").write_bytes(pem(SECOND))
    assert "another key than the one ipsec.secrets has for it" in said()
