# SPDX-License-Identifier: GPL-2.0-or-later
"""Ways to prove oneself, or not, between two whole daemons: who may displace whom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openswan.engine.dpd import FIRST_WORD
from openswan.ike.v2.tasks import ike_delete, natd
from openswan.policy.connection import Auth
from openswan.policy.identity import NOBODY
from openswan.wire.v2.body import Payload
from openswan.wire.v2.delete import Delete
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType, ProtocolId
from tests.sim.net import Faults
from tests.sim.pair import (
    EAST,
    EAST_NET,
    WEST,
    WEST_NET,
    Pair,
    SimHost,
    conn,
    end,
    make_pair,
    psk,
    rfc3110,
    rsa_key,
    tunnel,
)


def test_null_on_both_sides() -> None:
    pair = make_pair()
    for host, it in zip((pair.west, pair.east), tunnel(auth=Auth.NULL), strict=True):
        host.load(replace(it, left=replace(it.left, id=NOBODY), right=replace(it.right, id=NOBODY)))
    pair.west.request("initiate", name="net-net")
    assert pair.run(5, pair.up) and pair.agreed()
    pair.sane()
    assert not pair.east.pluto.core.states.peers, "nobody is nobody's older self"


def server(auth: Auth = Auth.PSK | Auth.NULL) -> Pair:
    """East lets in whoever comes, better if it has the key; both present the same selectors."""
    pair = make_pair(east_secrets=psk("@east", "%any"), west_secrets=psk("%any", "@east"))
    pair.east.load(conn("road", end("%any"), end(EAST, EAST_NET, "@east", auth=Auth.PSK), auth=auth))
    return pair


def client(name: str, auth: Auth, address: str = WEST) -> object:
    me = end(address, "", "%null" if auth is Auth.NULL else f"@{name}", auth=auth)
    return conn(name, me, end(EAST, EAST_NET, "@east", auth=Auth.PSK))


def test_nobody_does_not_take_what_somebody_has() -> None:
    """West is up with its key; then it asks once more without, as anybody on the path could: refused."""
    pair = server()
    pair.west.load(client("joe", Auth.PSK))
    pair.west.request("initiate", name="joe")
    assert pair.run(5, pair.up)
    held = set(pair.east.klips.sas)
    again = SimHost(pair.net, "again", WEST, 7, psk("%any", "@east"))
    again.load(replace(client("nobody", Auth.NULL), rekey=False, keying_tries=1))
    again.request("initiate", name="nobody")
    pair.run(8)
    assert held <= set(pair.east.klips.sas) and not again.up()


def test_somebody_does_take_what_nobody_has() -> None:
    pair = server()
    pair.west.load(client("nobody", Auth.NULL))
    pair.west.request("initiate", name="nobody")
    assert pair.run(5, pair.up)
    again = SimHost(pair.net, "again", WEST, 7, psk("%any", "@east"))
    again.load(client("joe", Auth.PSK))
    again.request("initiate", name="joe")
    assert pair.run(8, again.up)


def test_a_stranger_elsewhere_takes_nothing() -> None:
    """The conn names what the peer protects; whoever proves nothing gets its own address and no other."""
    pair = make_pair(east_secrets=psk("@east", "%any"))
    pair.east.load(conn("road", end("%any", WEST_NET, auth=Auth.PSK | Auth.NULL), end(EAST, EAST_NET, "@east")))
    me = end(WEST, WEST_NET, "%null", auth=Auth.NULL)
    pair.west.load(conn("nobody", me, end(EAST, EAST_NET, "@east"), keying_tries=1))
    pair.west.request("initiate", name="nobody")
    pair.run(8)
    assert not pair.up()


def test_a_session_lost_is_resumed() -> None:
    """The line is cut until west begins anew; when it is back the ticket spares both the key exchange."""
    pair = make_pair()
    west, east = (replace(it, resumption=True, retransmit_timeout=8.0, dpd_delay=5.0) for it in tunnel())
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    assert pair.run(5, pair.up)
    pair.net.cut.add(pair.east.address)
    assert pair.run(60, lambda: any("beginning anew" in line for line in pair.west.lines))
    pair.net.cut.clear()
    assert pair.run(60, lambda: any("resumed" in line for line in pair.east.lines)), pair.east.lines[-20:]
    assert pair.run(60, lambda: pair.up() and pair.agreed())
    pair.sane()


def test_who_logs_out_does_not_resume() -> None:
    pair = make_pair()
    west, east = (replace(it, resumption=True) for it in tunnel())
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    assert pair.run(5, pair.up) and pair.west.pluto.core.states.tickets
    pair.west.request("terminate", name="net-net")
    pair.run(5)
    assert not pair.west.pluto.core.states.tickets


REFUSAL = Notify(NotifyType.AUTHENTICATION_FAILED)


@pytest.mark.parametrize("said", [(REFUSAL,), (REFUSAL, Delete(ProtocolId.IKE)), (Delete(ProtocolId.IKE),)])
@pytest.mark.parametrize("seed", range(4))
def test_an_initiator_that_refuses_us_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, said: tuple[Payload, ...], seed: int
) -> None:
    """East has established both SAs when west tells it, in one word or the other, that its proof is no good."""
    monkeypatch.setattr(ike_delete.IkeDelete, "build", lambda self, sa, now: said)
    pair = make_pair(seed, Faults(loss=0.1 * seed))
    west, east = tunnel(keying_tries=1, rekey=False, dpd_delay=0.0)
    # West wants a signature, east has but the secret.
    theirs = replace(west.right, auth=Auth.RSASIG, rsa_keys=(rfc3110(rsa_key(1)),))
    pair.west.load(replace(west, left=replace(west.left, auth=Auth.PSK), right=theirs))
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    established = []

    def over() -> bool:
        established.extend(pair.east.klips.sas)
        return bool(established) and pair.west.empty() and not pair.east.klips.sas

    assert pair.run(25.0, over), (pair.west.lines[-5:], pair.east.lines[-5:])
    assert not pair.east.up() and pair.run(30.0, pair.east.empty)
    pair.sane()


@pytest.mark.parametrize("kindred", [False, True])
def test_an_initiator_that_says_nothing_after_our_proof_is_asked_whether_it_is_there(
    monkeypatch: pytest.MonkeyPatch, kindred: bool
) -> None:
    """libreswan 4.10 refuses with one Delete or without a word; the SAs end then, though nothing asks for DPD."""
    if not kindred:
        monkeypatch.setattr(natd, "vendor", lambda policy: [])
    pair = make_pair(1)
    for host, it in zip((pair.west, pair.east), tunnel(rekey=False, dpd_delay=0.0), strict=True):
        host.load(replace(it, retransmit_timeout=10.0))
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, lambda: bool(pair.east.klips.sas))
    pair.net.cut.add(pair.west.address)
    assert not pair.run(FIRST_WORD - 1.0, pair.east.empty)
    assert pair.run(15.0, pair.east.empty) is not kindred, pair.east.lines[-5:]
    pair.sane()


def test_who_has_said_anything_since_is_not_asked() -> None:
    """Two of ours test the path as soon as they are up: nothing further is said."""
    pair = make_pair(1)
    for host, it in zip((pair.west, pair.east), tunnel(rekey=False, dpd_delay=0.0), strict=True):
        host.load(it)
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, pair.up)
    pair.run(10.0)
    before = len(pair.net.transcript)
    pair.run(FIRST_WORD + 60.0)
    assert not [row for row in pair.net.transcript[before:] if row[1].startswith(EAST)]
    assert pair.up() and pair.agreed()
