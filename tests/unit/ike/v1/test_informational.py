# SPDX-License-Identifier: GPL-2.0-or-later
"""Deletions and notifications behind a hash: whose they are, what they mean, and what bad ones do."""

from __future__ import annotations

import pytest

from openswan.ike.effects import ChildEstablished, ChildGone, Forget, Gone, IkeGone
from openswan.ike.v1 import informational
from openswan.ike.v1.effects import InitialContact
from openswan.ike.v1.informational import MOST_LINES
from openswan.policy.algorithms import parse_ah
from openswan.wire.v1.auth import Hash
from openswan.wire.v1.delete import Delete
from openswan.wire.v1.header import Flags
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import ExchangeType, NotifyType, ProtocolId
from openswan.wire.v1.vendor import VendorId
from tests.unit.ike.v1.pair import ADDRESS_A, ADDRESS_B, Pair, mirrored, opened, quick, sealed


def cookies(pair: Pair) -> bytes:
    return pair.b.sa.cookie_i + pair.b.sa.cookie_r


def test_our_own_messages_by_the_letter() -> None:
    """RFC 2409 5.7: HDR*, HASH(1), D; RFC 2408 3.15: SPIs of the sender's, of one protocol."""
    pair = Pair().tunnel()
    pair.asked.quick = [mirrored(quick("10.9.0.0/16", proposals=parse_ah("sha1", ikev1=True).proposals))]
    pair.tunnel(quick("10.9.0.0/16", proposals=parse_ah("sha1", ikev1=True).proposals), 8)
    informational.delete(pair.a.sa, pair.a.sa.children.values())
    informational.delete_self(pair.a.sa)
    pair.collect(pair.a, pair.a.sa.drain())
    both, last = pair.a.sent()[-2:]
    first = opened(pair.b.sa, both)
    assert isinstance(first.payloads[0], Hash)
    spis = {int(one.protocol): one.spis for one in first.all(Delete)}
    ours = {int(one.protocol): (one.spi_in.to_bytes(4, "big"),) for one in pair.a.sa.children.values()}
    assert spis == ours and sorted(spis) == [2, 3]
    [whole] = opened(pair.b.sa, last).all(Delete)
    assert (whole.protocol, whole.spis) == (ProtocolId.ISAKMP, (cookies(pair),))
    assert both[20:24] != last[20:24] != bytes(4) and both[18] == ExchangeType.INFORMATIONAL
    informational.delete(pair.a.sa, ())
    assert not pair.a.sa.drain()


def test_the_peer_deletes_a_pair() -> None:
    pair = Pair().tunnel()
    [child] = pair.b.sa.children.values()
    spi = child.spi_out.to_bytes(4, "big")
    pair.forge(pair.b, [Delete(ProtocolId.ESP, (spi,))])
    assert [(one.spi_in, one.reason) for one in pair.b.seen(ChildGone)] == [(child.spi_in, Gone.PEER)]
    assert pair.b.lines()[-1] == f"received Delete SA(0x{child.spi_out:08x}) payload: deleting IPSEC State #501"
    [ours] = pair.a.sa.children.values()
    pair.forge(pair.a, [Delete(ProtocolId.ESP, (ours.spi_out.to_bytes(4, "big"),))])
    assert pair.a.lines()[-1].endswith("payload: deleting IPSEC State #7")


@pytest.mark.parametrize("protocol", [ProtocolId.ESP, ProtocolId.AH])
def test_pairs_nobody_has(protocol: ProtocolId) -> None:
    pair = Pair().tunnel()
    [child] = pair.b.sa.children.values()
    own = child.spi_in.to_bytes(4, "big")
    pair.forge(pair.b, [Delete(protocol, (own,)), Delete(protocol, (b"\1\2\3\4",))])
    name = f"ignoring Delete SA payload: PROTO_IPSEC_{protocol.name}"
    assert pair.b.lines()[-2:] == [
        f"{name} SA(0x{child.spi_in:08x}) not found (our SPI - bogus implementation)",
        f"{name} SA(0x01020304) not found (maybe expired)",
    ]
    assert pair.b.sa.children


def test_thousands_of_spis_leave_a_few_lines() -> None:
    pair = Pair().up()
    before = len(pair.b.lines())
    pair.forge(pair.b, [Delete(ProtocolId.ESP, tuple(n.to_bytes(4, "big") for n in range(1000, 9000)))])
    assert len(pair.b.lines()) == before + MOST_LINES


def test_the_peer_deletes_the_isakmp_sa_and_nothing_behind_it_counts() -> None:
    """CVE-2023-38712."""
    pair = Pair().tunnel()
    pair.b.sa.serial = 3
    again = Delete(ProtocolId.ISAKMP, (cookies(pair),))
    probe = Notify.dpd(NotifyType.R_U_THERE, cookies(pair), 5)
    before = len(pair.b.sent())
    pair.forge(pair.b, [again, again, probe, again, Notify(NotifyType.INITIAL_CONTACT)])
    assert [one.reason for one in pair.b.seen(IkeGone)] == [Gone.PEER] and len(pair.b.seen(Forget)) == 1
    assert [one.reason for one in pair.b.seen(ChildGone)] == [Gone.IKE_GONE]
    assert len(pair.b.sent()) == before and not pair.b.seen(InitialContact)
    assert "received Delete SA payload: deleting ISAKMP State #3" in pair.b.lines()


def test_an_isakmp_sa_that_is_another() -> None:
    pair = Pair().up()
    pair.forge(pair.b, [Delete(ProtocolId.ISAKMP, (bytes(16), cookies(pair)[::-1]))])
    assert pair.b.lines()[-1] == "ignoring Delete SA payload: ISAKMP SA not found (maybe expired)"
    assert pair.b.sa.is_established


def test_initial_contact() -> None:
    pair = Pair().up()
    pair.forge(pair.b, [Notify(NotifyType.INITIAL_CONTACT, spi=cookies(pair))])
    assert pair.b.seen(InitialContact)


def test_other_notifications_and_payloads_are_told() -> None:
    pair = Pair().up()
    pair.forge(pair.b, [Notify(NotifyType.INVALID_SPI), Notify(NotifyType.REPLAY_STATUS), VendorId(b"x")])
    assert pair.b.lines()[-2:] == [
        "ignoring informational payload, type INVALID_SPI",
        "received and ignored informational message",
    ]


def test_every_bit_of_an_informational() -> None:
    """CVE-2019-10155: no deletion without the right hash; and a recorded one does nothing a second time."""
    pair = Pair().tunnel()
    [child] = pair.b.sa.children.values()
    data = sealed(pair.b.sa, [Delete(ProtocolId.ESP, (child.spi_out.to_bytes(4, "big"),))])
    for at in range(28, len(data) - 16):
        bad = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        pair.b.effects += pair.b.sa.receive(bad, ADDRESS_B, ADDRESS_A, pair.now)
    assert list(pair.b.sa.children) == [child.spi_in]
    for _ in range(3):
        pair.b.effects += pair.b.sa.receive(data, ADDRESS_B, ADDRESS_A, pair.now)
    assert len(pair.b.seen(ChildGone)) == 1 and len(pair.b.seen(ChildEstablished)) == 1


def test_a_hash_that_is_missing_or_not_first() -> None:
    pair = Pair().tunnel()
    gone = Delete(ProtocolId.ISAKMP, (cookies(pair),))
    for payloads in ([gone], [gone, Hash(bytes(20))], [Hash(b"\0"), gone], [Hash(bytes(20)), gone]):
        pair.forge(pair.b, list(payloads), hashed=False)
    assert pair.b.sa.is_established and not pair.b.sa.spent - {next(iter(pair.a.sa.spent))}


def test_in_clear_with_the_flag_for_that() -> None:
    """RFC 2408 3.1: authentication only; nobody does, and no more do we."""
    pair = Pair().tunnel()
    data = bytearray(sealed(pair.b.sa, [Delete(ProtocolId.ISAKMP, (cookies(pair),))]))
    data[19] = Flags.AUTH_ONLY
    pair.b.effects += pair.b.sa.receive(bytes(data), ADDRESS_B, ADDRESS_A, pair.now)
    assert pair.b.sa.is_established
