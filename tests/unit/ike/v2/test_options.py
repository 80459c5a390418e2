# SPDX-License-Identifier: GPL-2.0-or-later
"""Transport mode, IPComp, AH and padding between two machines: agreed, declined, refused, rekeyed, behind a NAT."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from openswan.base.address import Endpoint, host_subnet, parse_address
from openswan.ike.effects import ChildEstablished, IkeFailed, RequestFailed, SpiOffered
from openswan.ike.events import CreateChild, DeleteChild, RekeyChild
from openswan.ike.policy import ChildPolicy, ChosenChild
from openswan.ike.v2.options import FIRST_CPI, LAST_CPI
from openswan.policy.proposal import Proposal, Transform
from openswan.policy.selector import Selector
from openswan.wire.v2.body import Payload
from openswan.wire.v2.ipcomp import IpcompOffer
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import IpcompId, NotifyType, ProtocolId
from tests.unit.ike.pair import (
    ADDRESS_A,
    ADDRESS_B,
    ESP_GCM,
    SHA2,
    X25519,
    Pair,
    Side,
    child_policy,
    ike_policy,
    mirrored,
)

HOST_A, HOST_B = (Selector.of(host_subnet(end.address)) for end in (ADDRESS_A, ADDRESS_B))
OUTSIDE, INSIDE_B = parse_address("203.0.113.9"), parse_address("10.9.0.2")
AH = Proposal(2, (), (SHA2, Transform("hmac_sha1_96")), esn=(True, False))


def hosts(**more: Any) -> ChildPolicy:
    """The policy of a child between the two ends."""
    return child_policy(**{"mine": (HOST_A,), "theirs": (HOST_B,), "transport": True, **more})


def tried(child: ChildPolicy, child_b: ChildPolicy | None = None, **ike: Any) -> Pair:
    """Two ends that have tried for a child."""
    pair = Pair(ike_policy(**ike), child=child, child_b=child_b)
    pair.start()
    pair.run()
    return pair


def only(side: Side) -> ChildEstablished:
    (child,) = side.installed.values()
    return child


# --- transport mode


@pytest.mark.parametrize("who", ["a", "b"])
def test_transport_mode_is_kept_through_rekeying_by_either_end(who: str) -> None:
    pair = tried(hosts())
    pair.agree()
    assert only(pair.a).extras.transport and only(pair.b).extras.transport and only(pair.a).extras.original is None
    side = pair.a if who == "a" else pair.b
    old = only(side)
    side.request(RekeyChild(old.spi_in))
    pair.run()
    pair.agree()
    assert only(side).replaces == old.spi_in and only(pair.a).extras.transport and only(pair.b).extras.transport


def test_both_rekey_at_once_in_transport_mode_with_compression() -> None:
    pair = tried(hosts(compress=True))
    for side in (pair.a, pair.b):
        side.request(RekeyChild(only(side).spi_in))
    pair.run()
    pair.agree()
    a, b = only(pair.a).extras, only(pair.b).extras
    assert a.transport and b.transport and (a.cpi_in, a.cpi_out) == (b.cpi_out, b.cpi_in) and a.cpi_in


def test_a_second_child_in_transport_mode() -> None:
    pair = Pair().up()
    pair.b.ask.children.insert(0, mirrored(hosts()))
    pair.a.request(CreateChild(hosts()))
    pair.run()
    pair.agree()
    assert sorted(c.extras.transport for c in pair.a.installed.values()) == [False, True]


def test_a_peer_that_declines_transport_mode_gets_no_tunnel() -> None:
    pair = tried(hosts(), mirrored(hosts(transport=False)))
    assert "the peer declines transport mode" in pair.a.seen(RequestFailed)[0].reason
    assert pair.a.sa.is_established and not pair.a.installed and not pair.b.installed
    assert any("transport mode is not followed" in line for line in pair.b.logs())


def test_a_peer_that_wants_a_tunnel_gets_no_transport_mode() -> None:
    pair = tried(hosts(transport=False), mirrored(hosts()))
    assert pair.a.seen(RequestFailed)[0].notify == NotifyType.NO_PROPOSAL_CHOSEN
    assert any("type=transport" in line and "wants a tunnel" in line for line in pair.b.logs())


def test_transport_mode_is_only_for_the_hosts_that_talk() -> None:
    other = Selector.of(host_subnet(OUTSIDE))
    pair = tried(hosts(mine=(other,)))
    assert pair.a.seen(RequestFailed)[0].notify == NotifyType.TS_UNACCEPTABLE
    assert any("where IKE runs" in line for line in pair.b.logs())


def natted(pair: Pair, *, both: bool = False) -> Pair:
    """a is seen at OUTSIDE; with `both`, b is INSIDE_B to itself and ADDRESS_B to a."""
    pair.nat = lambda end: Endpoint(OUTSIDE, end.port + 10000)
    pair.unnat = lambda end: Endpoint(ADDRESS_A.address, end.port - 10000)
    if both:
        deliver = pair.arrive

        def arrive(side: Side, data: bytes, local: Endpoint, remote: Endpoint) -> None:
            if side is pair.b:
                deliver(side, data, replace(local, address=INSIDE_B), remote)
            else:
                deliver(side, data, local, replace(remote, address=ADDRESS_B.address))

        pair.arrive = arrive  # type: ignore[method-assign]
    return pair


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("who", ["a", "b"])
def test_transport_mode_behind_nat(both: bool, who: str) -> None:
    seen = Selector.of(host_subnet(OUTSIDE))
    itself = Selector.of(host_subnet(INSIDE_B)) if both else HOST_B
    pair = natted(Pair(child=hosts(), child_b=hosts(mine=(itself,), theirs=(seen,))), both=both)
    pair.start()
    pair.run()
    side = pair.a if who == "a" else pair.b
    side.request(RekeyChild(only(side).spi_in))
    pair.run()
    a, b = only(pair.a), only(pair.b)
    assert a.replaces and a.spi_in == b.spi_out and a.enc_in == b.enc_out
    # Each end has its own view of the two hosts, and knows what the other had in mind.
    assert (a.mine, a.theirs) == ((HOST_A,), (HOST_B,))
    assert (b.mine, b.theirs) == ((itself,), (seen,))
    assert b.extras.original == (ADDRESS_A.address, ADDRESS_B.address)
    assert a.extras.original == (itself.first, OUTSIDE)


def test_a_tunnel_behind_nat_is_found_after_transport_mode_was_not() -> None:
    pair = natted(Pair(child=hosts(), child_b=mirrored(hosts(transport=False))))
    pair.start()
    pair.run()
    assert "the peer declines transport mode" in pair.a.seen(RequestFailed)[0].reason
    first, second = pair.b.ask.child_questions
    assert (first.transport, first.theirs[0].first) == (True, OUTSIDE)
    assert (second.transport, second.theirs[0].first) == (False, ADDRESS_A.address)


def test_a_nat_that_is_only_pretended_changes_no_address() -> None:
    pair = tried(hosts(), encapsulation="yes")
    assert only(pair.a).encap and only(pair.a).extras.original is None and only(pair.b).extras.original is None


# --- IPComp


def test_compression_both_ends_want() -> None:
    pair = tried(child_policy(compress=True))
    a, b = only(pair.a).extras, only(pair.b).extras
    assert (a.cpi_in, a.cpi_out) == (b.cpi_out, b.cpi_in) and a.cpi_in != a.cpi_out
    assert all(FIRST_CPI <= cpi <= LAST_CPI for cpi in (a.cpi_in, a.cpi_out))


def test_a_responder_without_compression() -> None:
    pair = tried(child_policy(compress=True), mirrored(child_policy()))
    assert only(pair.a).extras.cpi_in == only(pair.b).extras.cpi_out == 0
    assert any("does without compression" in line for line in pair.a.logs())
    assert any("compression proposed by" in line and "forbids it" in line for line in pair.b.logs())


def test_an_initiator_without_compression() -> None:
    pair = tried(child_policy(), mirrored(child_policy(compress=True)))
    assert only(pair.a).extras.cpi_in == only(pair.b).extras.cpi_in == 0


def at_answer(policy: ChildPolicy) -> tuple[Pair, list[Payload]]:
    """The answer to IKE_AUTH, taken off the wire and opened."""
    pair = Pair(child=policy)
    pair.start()
    for _ in range(3):
        pair.step()
    return pair, list(pair.peek(pair.wire.pop()))


def send(pair: Pair, answer: list[Payload]) -> None:
    assert pair.b.sa.channel is not None
    data = pair.b.sa.channel.seal(pair.b.sa.header(35, 1, response=True), answer, pair.rng_b)[0]  # type: ignore[arg-type]
    pair.arrive(pair.a, data, pair.a.sa.local, pair.a.sa.remote)
    pair.run()


def comp(cpi: int, transform: IpcompId = IpcompId.DEFLATE) -> Notify:
    return Notify(NotifyType.IPCOMP_SUPPORTED, IpcompOffer(cpi, transform).emit())


@pytest.mark.parametrize(
    ("compress", "extra"),
    [
        (False, [comp(300)]),
        (True, [comp(300)]),  # and the one that is in the answer already
        (True, [Notify(NotifyType.IPCOMP_SUPPORTED, b"\1")]),
    ],
)
def test_answers_about_compression_nobody_asked_for(compress: bool, extra: list[Notify]) -> None:
    pair, answer = at_answer(child_policy(compress=compress))
    send(pair, [*answer, *extra])
    assert pair.a.seen(RequestFailed) and pair.a.sa.is_established
    assert not pair.a.installed and not pair.b.installed


def test_another_algorithm_than_offered() -> None:
    pair, answer = at_answer(child_policy(compress=True))
    rest = [p for p in answer if not (isinstance(p, Notify) and p.kind == NotifyType.IPCOMP_SUPPORTED)]
    assert len(rest) < len(answer)
    send(pair, [*rest, comp(300, IpcompId.LZS)])
    assert "did not offer" in pair.a.seen(RequestFailed)[0].reason


def test_of_several_offers_deflate_is_taken_and_cpis_in_use_are_not() -> None:
    pair = Pair(child=child_policy(compress=True))
    pair.b.ask.taken_cpis = {cpi for cpi in range(FIRST_CPI, LAST_CPI + 1) if cpi % 100}
    pair.start()
    pair.step()
    pair.step()
    request = list(pair.peek(pair.wire.pop()))
    pair.inject(pair.a, pair.forge(pair.a, 35, [comp(99, IpcompId.LZS), *request], message_id=1))
    assert only(pair.b).extras.cpi_in % 100 == 0 and only(pair.b).extras.cpi_out > 99


def test_no_cpi_is_left() -> None:
    pair = Pair(child=child_policy(compress=True))
    pair.b.ask.taken_cpis = set(range(FIRST_CPI, LAST_CPI + 1))
    pair.start()
    pair.run()
    assert pair.a.seen(RequestFailed)[0].notify == NotifyType.NO_ADDITIONAL_SAS and not pair.b.installed


# --- AH


@pytest.mark.parametrize("transport", [False, True])
@pytest.mark.parametrize("who", ["a", "b"])
def test_ah(transport: bool, who: str) -> None:
    pair = tried(hosts(proposals=(AH,), transport=transport))
    side = pair.a if who == "a" else pair.b
    old = only(side)
    assert old.chosen == ChosenChild(None, SHA2, True) and str(old.chosen) == "hmac_sha2_256_128"
    assert old.chosen.protocol == ProtocolId.AH and not old.enc_in and len(old.auth_in) == 32 and old.encap is None
    side.request(RekeyChild(old.spi_in))
    pair.run()
    pair.agree()
    assert only(side).chosen.dh == X25519 and only(side).replaces == old.spi_in
    side.request(DeleteChild(only(side).spi_in))
    pair.run()
    assert not pair.a.installed and not pair.b.installed


def test_ah_stays_out_of_udp_between_our_own() -> None:
    pair = tried(hosts(proposals=(AH,)), own_vendor=True)
    assert pair.a.sa.encapsulate and pair.a.sa.local.port == 4500 and only(pair.a).encap is None


def test_ah_does_not_pass_a_nat() -> None:
    pair = natted(Pair(child=hosts(proposals=(AH,))))
    pair.start()
    pair.run()
    assert "AH cannot pass the NAT" in pair.a.seen(IkeFailed)[0].reason
    pair = natted(Pair().up())
    pair.a.sa.nat_here = True
    pair.a.request(CreateChild(hosts(proposals=(AH,))))
    pair.run()
    assert "AH cannot pass the NAT" in pair.a.seen(RequestFailed)[0].reason


def test_esp_and_ah_do_not_meet() -> None:
    pair = tried(hosts(proposals=(AH,)), mirrored(hosts()))
    assert pair.a.seen(RequestFailed)[0].notify == NotifyType.NO_PROPOSAL_CHOSEN
    assert any("offers no ESP" in line and "phase2=" in line for line in pair.b.logs())


# --- what the peer may send to before its answer is here


def test_every_offered_spi_is_announced_and_those_that_fail_are_withdrawn() -> None:
    pair = tried(child_policy())
    (offered,) = pair.a.seen(SpiOffered)
    assert (offered.protocol, offered.spi_in, offered.withdrawn) == (ProtocolId.ESP, only(pair.a).spi_in, False)
    order = [type(e) for e in pair.a.effects]
    assert order.index(SpiOffered) < order.index(ChildEstablished) and not pair.b.seen(SpiOffered)
    strange = replace(ESP_GCM, encr=(Transform("aes_gcm_16", 128),))
    pair.a.request(CreateChild(child_policy(proposals=(strange,))))
    pair.run()
    _, asked, gone = pair.a.seen(SpiOffered)
    assert gone == replace(asked, withdrawn=True)


def test_a_refused_first_child_is_withdrawn() -> None:
    pair = tried(hosts(), mirrored(hosts(transport=False)))
    asked, gone = pair.a.seen(SpiOffered)
    assert gone == replace(asked, withdrawn=True)
    pair = natted(Pair(ike_policy(psk=b"another"), ike_policy("@b", "@a"), hosts()))
    pair.start()
    pair.run()
    assert pair.a.seen(IkeFailed) and pair.a.seen(SpiOffered)[-1].withdrawn


# --- forward secrecy


@pytest.mark.parametrize("who", ["a", "b"])
def test_a_peer_without_groups_is_taken_unless_pfs_is_written(who: str) -> None:
    """The end under test prefers a group, the other refuses every one."""
    for optional in (True, False):
        policy = child_policy(pfs_optional=optional)
        pair = Pair(child=policy).up()
        me, him = (pair.a, pair.b) if who == "a" else (pair.b, pair.a)
        for child in him.sa.children.values():
            child.policy = replace(child.policy, pfs=False)
        old = only(me)
        him.request(RekeyChild(only(him).spi_in))
        pair.run()
        if optional:
            assert only(me).replaces == old.spi_in and only(me).chosen.dh is None
            assert any("no key exchange of its own" in line for line in me.logs())
            pair.agree()
        else:
            assert only(me) is old and any("we require PFS (pfs=yes" in line for line in me.logs())
            assert him.seen(RequestFailed)[0].notify == NotifyType.NO_PROPOSAL_CHOSEN


def test_groups_come_first_and_proposals_without_behind() -> None:
    pair = Pair(child=child_policy(pfs_optional=True)).up()
    pair.a.request(RekeyChild(only(pair.a).spi_in))
    pair.run()
    assert only(pair.a).chosen.dh == X25519
    pair.agree()


@pytest.mark.parametrize("who", ["a", "b"])
@pytest.mark.parametrize("rekeyed", [False, True])
def test_each_end_says_for_itself_whether_it_takes_padding(who: str, rekeyed: bool) -> None:
    """The other one knows, and knows again after a rekeying, whoever begins that (RFC 7296 3.10.1)."""
    plain, told = child_policy(), child_policy(unpadded=True)
    pair = Pair(child=told if who == "a" else plain, child_b=mirrored(told if who == "b" else plain)).up()
    if rekeyed:
        pair.b.request(RekeyChild(only(pair.b).spi_in))
        pair.run()
    assert (only(pair.a).extras.unpadded, only(pair.b).extras.unpadded) == (who == "b", who == "a")


def test_padding_is_an_affair_of_esp() -> None:
    """AH protects whole packets and hides nothing."""
    pair = Pair(child=child_policy(proposals=(AH,), unpadded=True)).up()
    request = next(d for d in pair.log if d.data[18] == 35)
    said = [p.kind for p in pair.peek(request) if isinstance(p, Notify)]
    assert NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED not in said
