# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates by hash and URL between whole daemons: lossy links, slow and silent servers, many at once."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from openswan.config.secrets import Secret, SecretKind, SecretStore
from openswan.crypto.revocation import Places
from openswan.engine.certificates import AGAIN, AT_ONCE, TIMEOUT
from openswan.engine.settings import Settings
from openswan.policy.connection import Auth
from openswan.wire.v2.cert import HashUrl
from tests.sim.net import PERFECT, Faults
from tests.sim.pair import EAST, EAST_NET, WEST, WEST_NET, Pair, SimHost, conn, end, make_pair
from tests.unit.ike.pki import Holder, authority, holder

BASE = "http://pki.test/certs/"
ON = Settings(hash_and_url=True)


def url(who: Holder) -> str:
    return HashUrl.of(BASE, who.der).url


def own(who: Holder) -> SecretStore:
    return SecretStore((Secret(SecretKind.PRIVATE_KEY, (), "test:1", b"", who.key),))


def trusting(host: SimHost, *served: Holder) -> None:
    """A host that trusts the authority, and knows where its certificates are."""
    ca = authority()
    host.authorities = (ca.der,)
    host.places = ((ca.cert.subject.public_bytes(), Places((), (), BASE)),)
    host.pages = {url(who): who.der for who in served}
    host.say("rereadcacerts")


def pair_of(seed: int = 0, faults: Faults = PERFECT, settings: Settings = ON) -> Pair:
    west, east = holder("west.test", "ecdsa"), holder("east.test", "ecdsa")
    pair = make_pair(seed, faults, west_secrets=own(west), east_secrets=own(east), settings=settings)
    left = end(WEST, WEST_NET, "@west.test", use_cert_key=True)
    right = end(EAST, EAST_NET, "@east.test", use_cert_key=True)
    for host, mine in ((pair.west, west), (pair.east, east)):
        trusting(host, west, east)
        ends = (replace(left, cert=mine.der), right) if mine is west else (left, replace(right, cert=mine.der))
        host.load(conn("net-net", *ends, auth=Auth.ECDSA, keying_tries=0, rekey=False))
    return pair


@pytest.mark.parametrize("seed", range(20))
def test_both_fetch_whatever_the_link_loses(seed: int) -> None:
    dice = Random(seed)
    faults = Faults(delay=(0.005, 0.2), loss=dice.choice((0.0, 0.1, 0.3)), duplicate=0.1)
    pair = pair_of(seed, faults)
    for host in (pair.west, pair.east):
        host.fetch_delay = dice.uniform(0.0, TIMEOUT)
    pair.west.request("initiate", name="net-net")
    assert pair.run(300, lambda: pair.up() and pair.agreed()), (pair.west.lines[-9:], pair.east.lines[-9:])
    assert pair.west.fetched == [url(holder("east.test", "ecdsa"))], "once, however often the message comes"
    assert pair.east.fetched == [url(holder("west.test", "ecdsa"))]
    pair.sane()


def test_who_has_not_switched_it_on_fetches_nothing() -> None:
    pair = pair_of(settings=Settings())
    pair.west.request("initiate", name="net-net")
    assert pair.run(5, lambda: pair.up() and pair.agreed())
    assert not pair.west.fetched and not pair.east.fetched


def test_a_server_that_falls_silent_is_asked_once_a_minute() -> None:
    pair = pair_of()
    pair.east.fetch_delay = 1e9
    pair.west.request("initiate", name="net-net")
    pair.run(AGAIN)
    assert len(pair.east.fetched) == 1 and not pair.up() and not pair.east.klips.sas
    assert any("no answer within 5 s" in line for line in pair.east.lines), pair.east.lines
    pair.east.fetch_delay = 0.1
    assert pair.run(900, lambda: pair.up() and pair.agreed()), pair.east.lines[-9:]
    assert len(pair.east.fetched) == 2
    pair.sane()


def test_many_behind_one_address_come_up_and_the_server_gets_a_few_requests_at_a_time() -> None:
    """Each with a certificate of its own; a server that takes its time has never more than eight of them to do."""
    clients = [holder(f"c{number}.test", "ecdsa") for number in range(24)]
    server = holder("east.test", "ecdsa")
    pair = make_pair(3, east_secrets=own(server), settings=ON)
    trusting(pair.east, *clients)
    pair.east.fetch_delay = 1.0
    road = end("%any", "", use_cert_key=True), end(EAST, EAST_NET, "@east.test", cert=server.der, use_cert_key=True)
    pair.east.load(conn("road", *road, auth=Auth.ECDSA, rekey=False))
    hosts = []
    for number, who in enumerate(clients):
        host = SimHost(pair.net, f"c{number}", f"203.0.113.{number + 1}", number, own(who))
        trusting(host, server)
        mine = end(f"203.0.113.{number + 1}", "", f"@c{number}.test", cert=who.der, use_cert_key=True)
        host.load(conn("road", mine, replace(road[1], cert=b""), auth=Auth.ECDSA, rekey=False))
        host.request("initiate", name="road")
        hosts.append(host)
    most = 0

    def done() -> bool:
        nonlocal most
        most = max(most, len(pair.east.pluto.brain.fetches.under_way))
        return all(host.up() for host in hosts)

    assert pair.run(30, done), [host.lines[-3:] for host in hosts if not host.up()]
    assert most == AT_ONCE and len(pair.east.fetched) == len(clients)
    assert not pair.east.pluto.brain.certificates.waiting
    pair.sane()


def test_a_stranger_with_many_names_is_soon_not_listened_to() -> None:
    """Forty IKE SAs of one address name certificates that are not there; a peer elsewhere is let in meanwhile."""
    pair = pair_of()
    here = end(EAST, EAST_NET, "@east.test", cert=holder("east.test", "ecdsa").der, use_cert_key=True)
    pair.east.load(conn("road", end("%any", "", use_cert_key=True), here, auth=Auth.ECDSA))
    for number in range(40):
        who = holder(f"s{number}.test", "ecdsa")
        host = SimHost(pair.net, f"s{number}", "203.0.113.9", number, own(who))
        trusting(host)
        mine = end("203.0.113.9", "", f"@s{number}.test", cert=who.der, use_cert_key=True)
        road = end(EAST, EAST_NET, "@east.test", use_cert_key=True)
        host.load(conn("road", mine, road, auth=Auth.ECDSA, keying_tries=1))
        host.request("initiate", name="road")
        pair.run(1)
    assert len(pair.east.fetched) <= 8 + 4
    assert any("named too many certificates" in line for line in pair.east.lines), pair.east.lines
    pair.west.request("initiate", name="net-net")
    assert pair.run(5, lambda: pair.up() and pair.agreed())
