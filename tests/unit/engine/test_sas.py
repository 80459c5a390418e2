# SPDX-License-Identifier: GPL-2.0-or-later
"""What a child is in the packet engine: tunnel and transport, ESP and AH, alone and with IPComp inside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from openswan.base.numbers import IpProtocol
from openswan.engine.children import established_line
from openswan.engine.sas import moved
from openswan.engine.settings import LINGER
from openswan.engine.statedb import ChildState
from openswan.plane.commands import AddSa, Direction, Mode
from openswan.policy.algorithms import DEFAULT_AH
from openswan.policy.proposal import Proposal, Transform
from tests.sim.pair import EAST, OUTSIDE, WEST, Pair, SimHost, conn, end, make_pair, tunnel

CBC = (Proposal(3, (Transform("aes_cbc", 128),), (Transform("hmac_sha2_256_128"),)),)


def started(hosts: bool = False, **more: Any) -> Pair:
    pair = make_pair(1)
    west, east = tunnel(**more)
    if hosts:
        west, east = (replace(c, left=end(WEST, "", "@west"), right=end(EAST, "", "@east")) for c in (west, east))
    pair.west.load(west)
    pair.east.load(east)
    pair.west.request("initiate", name="net-net")
    assert pair.run(5.0, pair.up), pair.west.lines
    return pair


def sa(host: SimHost, direction: Direction, proto: IpProtocol) -> AddSa:
    (found,) = (s for s in host.klips.sas.values() if s.direction is direction and s.said.proto == proto)
    return found


def child(host: SimHost) -> ChildState:
    (found,) = host.pluto.core.states.children.values()
    return found


@pytest.mark.parametrize("proto", [IpProtocol.ESP, IpProtocol.AH])
@pytest.mark.parametrize("tunnelled", [True, False])
@pytest.mark.parametrize("compress", [True, False])
def test_every_shape(proto: IpProtocol, tunnelled: bool, compress: bool) -> None:
    proposals = {"esp_proposals": DEFAULT_AH} if proto is IpProtocol.AH else {}
    pair = started(hosts=not tunnelled, tunnel=tunnelled, compress=compress, **proposals)
    mode = Mode.TUNNEL if tunnelled else Mode.TRANSPORT
    for host in (pair.west, pair.east):
        pair.sane()
        for direction in Direction:
            outer = sa(host, direction, proto)
            assert bool(outer.cipher) == bool(outer.enc_key) == (proto is IpProtocol.ESP)
            assert (outer.integ, len(outer.auth_key)) == (
                ("hmac_sha2_512_256", 64) if proto is IpProtocol.AH else ("", 0)
            )
            if not compress:
                assert outer.mode is mode and outer.selectors and not host.klips.groups
                continue
            inner = sa(host, direction, IpProtocol.COMP)
            assert (inner.cipher, inner.mode, outer.mode) == ("deflate", mode, Mode.TRANSPORT)
            assert inner.selectors and not outer.selectors and (inner.said, outer.said) in host.klips.groups
            assert inner.encap is None and inner.peer_said in host.klips.sas
        target = next(e.target for e in host.klips.eroutes.values())
        out = sa(host, Direction.OUT, IpProtocol.COMP if compress else proto)
        assert target == out.said
        line = established_line(child(host))
        name = "tunnel" if tunnelled else "transport"
        assert f"{name} mode {{{proto}" in line and ("IPCOMP=>0x" in line) == compress
    west, east = child(pair.west), child(pair.east)
    if compress:
        assert west.comp_in and east.comp_out and west.comp_in.spi == east.comp_out.spi


def test_everything_goes_again() -> None:
    pair = started(compress=True)
    cpis = {child(host).comp_in for host in (pair.west, pair.east)}
    assert len(cpis) == 2 and pair.west.pluto.core.states.cpis
    pair.west.say("terminate", name="net-net")
    pair.run(LINGER + 5)
    pair.sane()
    for host in (pair.west, pair.east):
        assert not host.klips.sas and not host.pluto.core.states.cpis and not host.klips.expected


def test_rekeying_with_compression_and_transport_mode_loses_nothing() -> None:
    pair = started(hosts=True, tunnel=False, compress=True, ipsec_lifetime=60.0, rekey_margin=20.0)
    for _ in range(400):
        pair.send(pair.west, WEST, EAST)
        pair.send(pair.east, EAST, WEST)
        pair.run(0.5)
    pair.run(2)
    pair.sane()
    assert not pair.missing()
    assert pair.west.pluto.core.states.counter > 4, "no rekeying took place"
    inward = [s.said.spi for s in pair.west.klips.sas.values() if s.cipher == "deflate" and s.direction is Direction.IN]
    assert set(inward) == pair.west.pluto.core.states.cpis and len(inward) <= 2


def test_the_old_truncation_is_an_affair_of_the_engine_alone() -> None:
    pair = started(esp_proposals=CBC, sha2_truncbug=True)
    for host in (pair.west, pair.east):
        assert {s.integ for s in host.klips.sas.values()} == {"hmac_sha2_256_96"}
        assert "hmac_sha2_256_128" in str(child(host).chosen)


def test_what_comes_early_waits_for_its_sa() -> None:
    """The responder's first packet overtakes its own answer."""
    pair = started()
    west = pair.west.klips
    assert "ExpectSpi" in west.history and not west.expected
    pair.west.say("terminate", name="net-net")
    pair.run(5)
    assert not west.expected


def test_transport_mode_behind_nat_knows_how_the_peer_sees_it() -> None:
    pair = make_pair(1, nat=True)
    left, right = end(WEST, "", "@west"), end(EAST, "", "@east")
    pair.west.load(conn("host", left, right, tunnel=False))
    pair.east.load(conn("host", end("%any", "", "@west"), right, tunnel=False))
    pair.west.request("initiate", name="host")
    assert pair.run(5.0, pair.up), (pair.west.lines, pair.east.lines)
    inward = sa(pair.east, Direction.IN, IpProtocol.ESP)
    assert inward.original is not None and [str(a) for a in inward.original] == [WEST, EAST]
    assert inward.mode is Mode.TRANSPORT and inward.encap is not None
    ((src, dst),) = inward.selectors
    assert (str(src.first), str(dst.first)) == (OUTSIDE, EAST)
    back = sa(pair.west, Direction.IN, IpProtocol.ESP)
    assert back.original is not None and [str(a) for a in back.original] == [EAST, OUTSIDE]
    assert sa(pair.west, Direction.OUT, IpProtocol.ESP).original is None
    assert f"NATOA={WEST}" in established_line(child(pair.east))


def test_all_sas_of_a_bundle_move() -> None:
    pair = started(compress=True)
    one = child(pair.west)
    found = list(moved(one, one.local, one.remote))
    assert [said for said, _, _ in found] == [one.said_in, one.comp_in, one.said_out, one.comp_out]
    assert found[1][1:] == (one.remote, one.local) and found[3][1:] == (one.local, one.remote)
