# SPDX-License-Identifier: GPL-2.0-or-later
"""What ISAKMP SAs are told of connections: which one, by addresses, by name, by clients."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openswan.config.secrets import SecretStore
from openswan.policy.connection import Auth, Connection
from tests.sim.pair import EAST, EAST_NET, WEST, Pair, conn, end, psk, rfc3110, rsa_key, rsa_secrets, tunnel
from tests.sim.test_ikev1 import isakmp
from tests.sim.v1 import V1, v1_pair, v1_tunnel


def site(name: str, who: str, net: str, host: str = WEST, **more: object) -> Connection:
    """A connection of the east with somebody."""
    return conn(name, end(host, net, who), end(EAST, EAST_NET, "@east"), **{**V1, **more})


def asked(pair: Pair, west: Connection, *east: Connection) -> list[str]:
    """The west brings up its connection, the east has those; the east's lines."""
    pair.west.load(west)
    pair.east.load(*east)
    client = pair.west.request("initiate", name=west.name)
    pair.run(20.0, lambda: client in pair.west.finished)
    pair.run(1.0)
    return pair.east.lines


def test_the_name_leads_to_another_connection_than_the_addresses() -> None:
    pair = v1_pair()
    pair.east.secrets = psk("@east", "%any")
    lines = asked(
        pair, v1_tunnel()[0], site("first", "@stranger", "10.9.0.0/16"), site("meant", "@west", "10.1.0.0/16")
    )
    assert pair.agreed() and pair.up()
    assert any('switched from "first" to "meant"' in line for line in lines)
    assert isakmp(pair.east)[0].conn is pair.east.pluto.core.conns.named["meant"]


def test_a_name_nobody_has() -> None:
    pair = v1_pair()
    lines = asked(pair, v1_tunnel(keying_tries=1, retransmit_timeout=4.0)[0], site("x", "@stranger", "10.1.0.0/16"))
    # The key is looked up by the connection that the addresses lead to.
    assert any("no suitable connection for peer '@west'" in line for line in lines) or any(
        "mismatch of preshared secrets" in line or "no preshared key" in line for line in lines
    )
    assert not pair.up()


def test_clients_of_nobody_get_the_classic_words() -> None:
    pair = v1_pair()
    west = replace(v1_tunnel(keying_tries=1)[0], left=end(WEST, "10.77.0.0/16", "@west"))
    lines = asked(pair, west, v1_tunnel()[1])
    text = (
        "cannot respond to IPsec SA request because no connection is known for "
        f"10.2.0.0/16==={EAST}[@east]...{WEST}[@west]===10.77.0.0/16"
    )
    assert any(text in line for line in lines)
    assert any("sending encrypted notification INVALID_ID_INFORMATION to 192.0.2.1:500" in line for line in lines)
    assert any("INVALID_ID_INFORMATION" in line for line in pair.west.lines)
    assert not pair.up()


def test_wider_clients_than_the_connections_are_refused_and_with_narrowing_smaller_ones_taken() -> None:
    for net, narrowing, good in (
        ("10.0.0.0/8", True, False),
        ("10.1.5.0/24", False, False),
        ("10.1.5.0/24", True, True),
    ):
        pair = v1_pair()
        west = replace(v1_tunnel(keying_tries=1)[0], left=end(WEST, net, "@west"))
        asked(pair, west, v1_tunnel(narrowing=narrowing)[1])
        assert (pair.up() and pair.agreed()) is good, (net, narrowing)


def test_several_connections_with_one_peer_share_an_isakmp_sa() -> None:
    pair = v1_pair()
    more = [site(f"net{n}", "@west", f"10.{n}.0.0/16") for n in range(4, 8)]
    pair.west.load(*more)
    pair.east.load(*more)
    for one in more:
        pair.west.request("initiate", name=one.name)
    assert pair.run(20.0, lambda: len(pair.east.pluto.core.states.children) == 4)
    assert len(isakmp(pair.west)) == 1 and pair.agreed()
    names = {child.conn.name for child in pair.east.pluto.core.states.children.values()}
    assert names == {one.name for one in more}
    assert any('"net7" #' in line and "initiating Quick Mode" in line for line in pair.west.lines)


def test_a_road_warrior_is_an_instance() -> None:
    pair = v1_pair()
    asked(pair, v1_tunnel()[0], site("rw", "@west", "10.1.0.0/16", "%any"))
    assert pair.up() and pair.agreed()
    [child] = pair.east.pluto.core.states.children.values()
    assert child.conn.instance == 1 and any('"rw"[1] 192.0.2.1 #' in line for line in pair.east.lines)


def test_either_proof_where_connections_differ() -> None:
    """One of two connections between the same addresses goes by signature, the other by a key."""
    store = SecretStore((*psk("@east", "@west").secrets, *rsa_secrets(2).secrets))
    signed = replace(
        site("signed", "@signer", "10.9.0.0/16"),
        auth=Auth.RSASIG,
        left=replace(end(WEST, "10.9.0.0/16", "@signer"), rsa_keys=(rfc3110(rsa_key(1)),)),
        right=replace(end(EAST, EAST_NET, "@east"), rsa_keys=(rfc3110(rsa_key(2)),)),
    )
    for which in (0, 1):
        pair = v1_pair()
        pair.east.secrets = store
        pair.west.secrets = SecretStore((*psk("@west", "@east").secrets, *rsa_secrets(1).secrets))
        asked(pair, (v1_tunnel()[0], signed)[which], v1_tunnel()[1], signed)
        assert pair.up() and pair.agreed(), (which, pair.east.lines[-10:])
        assert isakmp(pair.east)[0].conn is pair.east.pluto.core.conns.named[("net-net", "signed")[which]]


@pytest.mark.parametrize("version", [1, 2])
def test_connections_of_the_other_version_are_none_of_its_business(version: int) -> None:
    pair = v1_pair()
    west = (v1_tunnel if version == 1 else tunnel)(keying_tries=1, retransmit_timeout=3.0)[0]
    east = (tunnel if version == 1 else v1_tunnel)()[1]
    lines = asked(pair, west, east)
    assert not pair.up() and pair.east.empty()
    assert any("no connection has been authorized" in line for line in lines)
    there, here = {
        1: ('say ikev2=no in "net-net"', "leave ikev2=no (keyexchange=ikev1, aggrmode=yes) out of this conn"),
        2: ('leave ikev2=no out of "net-net"', "say ikev2=no in this conn"),
    }[version]
    assert [line for line in lines if line.endswith(f"if {WEST} speaks IKEv{version} alone: {there}")], lines[-4:]
    # Whoever began it does not know whether anybody is there at all.
    assert [line for line in pair.west.lines if line.endswith(f"if {EAST} speaks IKEv{3 - version} alone: {here}")]
