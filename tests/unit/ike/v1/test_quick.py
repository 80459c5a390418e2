# SPDX-License-Identifier: GPL-2.0-or-later
"""Quick Mode from end to end: every kind of SA and of client, forward secrecy, NATs, and what is refused."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from openswan.base.address import Endpoint, parse_address
from openswan.base.errors import IkeError
from openswan.crypto import modp
from openswan.ike.effects import ChildEstablished, RequestFailed, SpiOffered
from openswan.ike.events import CreateChild
from openswan.ike.v1 import quick as quicks
from openswan.ike.v1.life import Life
from openswan.ike.v1.phase2 import Terms, offer
from openswan.ike.v1.policy import QuickPolicy
from openswan.ike.v1.states import State
from openswan.plane.commands import Encap
from openswan.policy.algorithms import parse_ah, parse_esp
from openswan.policy.selector import Selector
from openswan.wire.v1.ident import Id
from openswan.wire.v1.ke import Ke
from openswan.wire.v1.natd import NatOa
from openswan.wire.v1.nonce import Nonce
from openswan.wire.v1.numbers import Encapsulation, ExchangeType, IdType, NotifyType
from openswan.wire.v1.sa import Sa
from tests.unit.ike.v1.pair import Pair, mirrored, net, opened, policy, quick

BOX = Endpoint(parse_address("203.0.113.9"), 1024)
HOSTS = {"mine": "192.0.2.1/32", "theirs": "192.0.2.2/32", "transport": True}


def pair_for(ours: QuickPolicy, theirs: QuickPolicy | None = None, **more: Any) -> Pair:
    pair = Pair(**more).up()
    pair.asked.quick = [theirs or mirrored(ours)]
    return pair.ask(pair.a, CreateChild(ours, 7))


def made(pair: Pair) -> tuple[ChildEstablished, ChildEstablished]:
    """What the two ends have; their keys and numbers fit together."""
    assert pair.a.seen(ChildEstablished), pair.a.lines() + pair.b.lines()
    one, other = pair.a.seen(ChildEstablished)[-1], pair.b.seen(ChildEstablished)[-1]
    assert (one.enc_in, one.auth_in) == (other.enc_out, other.auth_out)
    assert (one.enc_out, one.auth_out) == (other.enc_in, other.auth_in)
    assert (one.spi_in, one.spi_out) == (other.spi_out, other.spi_in) and one.spi_in != one.spi_out
    assert one.chosen == other.chosen and one.initiator and not other.initiator
    assert (one.extras.cpi_in, one.extras.cpi_out) == (other.extras.cpi_out, other.extras.cpi_in)
    assert one.extras.transport is other.extras.transport
    return one, other


def refusal(pair: Pair) -> RequestFailed:
    [failed] = pair.a.seen(RequestFailed)
    assert not pair.a.seen(ChildEstablished) and not pair.b.seen(ChildEstablished)
    assert not pair.a.sa.children and not pair.b.sa.children
    return failed


@pytest.mark.parametrize(
    ("esp", "encr", "integ"),
    [
        ("aes128-sha1", 16, 20),
        ("aes256-sha2_256", 32, 32),
        ("aes192-sha2_512", 24, 64),
        ("3des-md5", 24, 16),
        ("aes_gcm_c-256-null", 36, 0),
        ("null-sha1", 0, 20),
    ],
)
def test_keys_are_as_long_as_their_algorithms_want(esp: str, encr: int, integ: int) -> None:
    one, _ = made(pair_for(quick(esp=esp)))
    assert {len(key) for key in (one.enc_in, one.enc_out)} == {encr}
    assert {len(key) for key in (one.auth_in, one.auth_out)} == {integ}
    assert one.enc_in + one.auth_in != one.enc_out + one.auth_out


def test_ah() -> None:
    one, _ = made(pair_for(replace(quick(), proposals=parse_ah("sha2_256", ikev1=True).proposals)))
    assert one.chosen.encr is None and (len(one.enc_in), len(one.auth_in)) == (0, 32)


def test_keymat_by_the_letter() -> None:
    """RFC 2409 5.5: prf(SKEYID_d, [g(qm)^xy |] protocol | SPI | Ni_b | Nr_b), each block over the one before."""
    for pfs in (True, False):
        pair = Pair().up()
        pair.asked.quick = [mirrored(quick(esp="aes256-sha2_256", pfs=pfs))]
        seen: list[quicks.Agreement] = []
        pair.collect(pair.a, pair.a.sa.request(CreateChild(quick(esp="aes256-sha2_256", pfs=pfs)), pair.now))
        pair.deliver(*pair.wire.pop(0))
        [one] = pair.b.sa.quicks.values()
        assert one.agreement is not None
        seen.append(one.agreement)
        pair.run()
        child, _ = made(pair)
        [agreed] = seen
        assert bool(agreed.shared) is pfs
        skeyid_d = bytes(pair.a.sa.need_keys().skeyid.d.data)
        seed = agreed.shared + b"\3" + child.spi_in.to_bytes(4, "big") + agreed.nonce_i + agreed.nonce_r
        out, block = b"", b""
        while len(out) < 64:
            block = hmac.new(skeyid_d, block + seed, hashlib.sha1).digest()
            out += block
        assert child.enc_in + child.auth_in == out[:64]


@pytest.mark.parametrize("group", ["modp2048", "modp3072", "ecp256", "ecp384", "ecp521", "modp1536", "modp1024"])
def test_forward_secrecy_by_a_group_both_name(group: str) -> None:
    one, _ = made(pair_for(quick(esp=f"aes128-sha1;{group}")))
    assert one.chosen.dh is not None and one.chosen.dh.name == group


def test_a_group_nobody_names_is_phase_1s_or_the_peers() -> None:
    one, _ = made(pair_for(quick(), mirrored(quick(pfs=False))))
    assert one.chosen.dh is not None and one.chosen.dh.name == "ecp256"
    one, _ = made(pair_for(quick(esp="aes128-sha1;modp2048"), mirrored(quick())))
    assert one.chosen.dh is not None and one.chosen.dh.name == "modp2048"
    assert made(pair_for(quick(pfs=False), mirrored(quick(pfs=False))))[0].chosen.dh is None
    assert made(pair_for(quick(pfs=False), mirrored(quick(pfs_optional=True))))[0].chosen.dh is None


@pytest.mark.parametrize("group", ["modp1536", "modp1024", "dh24"])
def test_a_weak_group_that_phase_1_has_by_name_does_for_phase_2_too(group: str) -> None:
    ike = f"aes128-sha1-{group}"
    one, _ = made(pair_for(quick(), first=policy(ike=ike), second=policy("@b", "@a", ike=ike)))
    assert one.chosen.dh is not None and one.chosen.dh.name == group


def test_weak_groups_are_taken_only_by_name() -> None:
    pair = pair_for(quick(esp="aes128-sha1;modp1536"), mirrored(quick()))
    assert refusal(pair).notify == NotifyType.NO_PROPOSAL_CHOSEN
    assert any('OAKLEY_GROUP_MODP1536 is not what policy for "test" wants' in line for line in pair.b.lines())


def test_no_forward_secrecy_where_it_is_wanted() -> None:
    pair = pair_for(quick(pfs=False), mirrored(quick()))
    assert refusal(pair).notify == NotifyType.NO_PROPOSAL_CHOSEN
    lines = pair.b.lines()
    assert "we require PFS but Quick I1 SA specifies no GROUP_DESCRIPTION" in lines
    assert "no acceptable Proposal in IPsec SA" in lines
    assert "sending encrypted notification NO_PROPOSAL_CHOSEN to 192.0.2.1:500" in lines


def test_algorithms_nobody_shares() -> None:
    failed = refusal(pair_for(quick(esp="aes256-sha2_256"), mirrored(quick())))
    assert failed.reason == "the peer refuses our Quick Mode: NO_PROPOSAL_CHOSEN"
    assert failed.request == CreateChild(quick(esp="aes256-sha2_256"), 7)


def test_clients_nobody_knows() -> None:
    pair = pair_for(quick("10.9.0.0/16"), mirrored(quick()))
    assert refusal(pair).notify == NotifyType.INVALID_ID_INFORMATION
    assert "cannot respond to IPsec SA request because no connection is known" in pair.b.lines()


@pytest.mark.parametrize(
    ("mine", "theirs", "kinds"),
    [
        (net("10.1.0.0/16"), net("10.2.3.4/32"), (4, 1)),
        (net("10.1.0.0/16", 17, 1701), net("10.2.0.0/16", 17), (4, 4)),
        (net("10.1.0.0/16", 6), net("10.2.0.0/16", 6, 443), (4, 4)),
        (Selector(ip_address("10.1.0.3"), ip_address("10.1.0.9")), net("0.0.0.0/0"), (7, 4)),
        (net("2001:db8:1::/48"), net("2001:db8:2::1/128"), (6, 5)),
        (Selector(ip_address("2001:db8::3"), ip_address("2001:db8::9")), net("::/0"), (8, 6)),
    ],
)
def test_clients_of_every_form(mine: Selector, theirs: Selector, kinds: tuple[int, int]) -> None:
    pair = pair_for(replace(quick(), mine=(mine,), theirs=(theirs,)))
    one, other = made(pair)
    assert (one.mine, one.theirs) == ((mine,), (theirs,)) == (other.theirs, other.mine)
    [first] = [data for data in pair.a.sent() if data[18] == ExchangeType.QUICK][:1]
    assert tuple(one.kind for one in opened(pair.a.sa, first).all(Id)) == kinds


def test_only_the_whole_of_a_policys_clients_unless_it_may_be_less() -> None:
    part = quick("10.1.7.0/24")
    pair = pair_for(part, mirrored(quick()))
    assert refusal(pair).notify == NotifyType.INVALID_ID_INFORMATION
    one, _ = made(pair_for(part, mirrored(quick(narrowing=True))))
    assert one.mine == (net("10.1.7.0/24"),)


def test_what_quick_mode_cannot_say() -> None:
    for bad, words in (
        ({"mine": (net("10.1.0.0/16"), net("10.3.0.0/16"))}, "one selector on each side"),
        ({"mine": (replace(net("10.1.0.0/16", 6), first_port=1, last_port=9),)}, "cannot say ports 1-9"),
    ):
        pair = pair_for(replace(quick(), **bad), quick())
        assert words in refusal(pair).reason
        assert not pair.a.sa.quicks


def test_the_lines() -> None:
    pair = pair_for(quick())
    message_id = next(iter(pair.a.sa.quicks))
    assert pair.a.lines()[15:] == [
        f"initiating Quick Mode PSK+ENCRYPT+TUNNEL+PFS+UP {{using isakmp#0 msgid:{message_id:08x}"
        " proposal=aes_cbc_128-hmac_sha1_96 pfsgroup=OAKLEY_GROUP_ECP256}",
        "STATE_QUICK_I1: initiate",
        "transition from state STATE_QUICK_I1 to state STATE_QUICK_I2",
    ]
    assert pair.b.lines()[-7:] == [
        "the peer proposed: 10.2.0.0/16:0/0 -> 10.1.0.0/16:0/0",
        f"responding to Quick Mode proposal {{msgid:{message_id:08x}}}",
        "    us: 10.2.0.0/16:0/0",
        "  them: 10.1.0.0/16:0/0",
        "transition from state STATE_QUICK_R0 to state STATE_QUICK_R1",
        "STATE_QUICK_R1: sent QR1, expecting QI2",
        "transition from state STATE_QUICK_R1 to state STATE_QUICK_R2",
    ]


def test_packets_may_come_before_either_end_has_heard_the_other() -> None:
    """Responders send by their new pair before we have QR1, initiators before QI2 is here: what comes waits."""
    pair = pair_for(quick())
    for end in (pair.a, pair.b):
        [offered], [child] = end.seen(SpiOffered), end.seen(ChildEstablished)
        assert offered.spi_in == child.spi_in and not offered.withdrawn
        kinds = [type(one).__name__ for one in end.effects]
        assert kinds.index("SpiOffered") < len(kinds) - 1 - kinds[::-1].index("Send")
    kinds = [type(one).__name__ for one in pair.a.effects]
    assert kinds.index("ChildEstablished") < len(kinds) - 1 - kinds[::-1].index("Send"), "installed before QI2 goes"


def test_nothing_waits_for_an_initiator_that_is_refused() -> None:
    pair = pair_for(quick(), mirrored(quick(pfs=False), proposals=parse_ah("sha1", ikev1=True).proposals))
    offered, withdrawn = pair.a.seen(SpiOffered)
    assert offered.spi_in == withdrawn.spi_in and withdrawn.withdrawn and not offered.withdrawn


def test_compression() -> None:
    both = quick(compress=True)
    one, _ = made(pair_for(both))
    assert 256 <= one.extras.cpi_in != one.extras.cpi_out >= 256
    assert made(pair_for(both, mirrored(quick())))[0].extras.cpi_in == 0
    assert made(pair_for(quick(), mirrored(both)))[0].extras.cpi_out == 0


def test_transport_mode() -> None:
    one, other = made(pair_for(quick(**HOSTS)))
    assert one.extras.transport and one.extras.original is None and one.encap is None
    assert refusal(pair_for(quick(**HOSTS), mirrored(quick(**{**HOSTS, "transport": False})))).notify == 14
    assert refusal(pair_for(quick(transport=True))).notify == NotifyType.INVALID_ID_INFORMATION
    assert other.extras.original is None


@pytest.mark.parametrize("wanted", quicks.natt.METHODS, ids=lambda method: method.name.split()[0])
def test_esp_in_udp_behind_a_nat(wanted: quicks.natt.Method) -> None:
    pair = Pair(box=BOX)
    pair.up()
    pair.a.sa.method = pair.b.sa.method = wanted
    pair.asked.quick = [mirrored(quick())]
    pair.ask(pair.a, CreateChild(quick(), 7))
    one, other = made(pair)
    assert one.encap == Encap(4500, 4500) and other.encap == Encap(4500, 1025)
    first = next(data for data in pair.a.sent() if data[18] == ExchangeType.QUICK)
    sa = opened(pair.a.sa, first).first(Sa)
    assert sa is not None
    said = {a.type: a.value for a in sa.proposals[0].transforms[0].attributes}
    assert said[4] == wanted.tunnel and (said[4] == Encapsulation.UDP_TUNNEL) is (wanted is quicks.natt.METHODS[0])


@pytest.mark.parametrize("count", [2, 1, 0])
def test_transport_mode_behind_a_nat(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """NAT-OA payloads: two, the sender's alone as early drafts have it, or none, when the identities have to do."""
    whole = quicks._originals
    monkeypatch.setattr(quicks, "_originals", lambda *args, **more: whole(*args, **more)[:count])
    pair = Pair(box=BOX).up()
    pair.asked.quick = [quick("192.0.2.2/32", "203.0.113.9/32", transport=True)]
    pair.ask(pair.a, CreateChild(quick(**HOSTS), 7))
    one, other = made(pair)
    assert one.extras.transport and one.encap == Encap(4500, 4500)
    assert other.theirs == (net("203.0.113.9/32"),) and other.mine == (net("192.0.2.2/32"),)
    assert other.extras.original == (ip_address("192.0.2.1"), ip_address("192.0.2.2"))
    assert one.mine == (net("192.0.2.1/32"),)
    if count == 2:
        assert one.extras.original == (ip_address("192.0.2.2"), ip_address("203.0.113.9"))


def test_ah_does_not_pass_a_nat() -> None:
    ah = replace(quick(), proposals=parse_ah("sha1", ikev1=True).proposals)
    pair = pair_for(ah, box=BOX)
    assert "AH cannot pass the NAT" in refusal(pair).reason
    assert not pair.a.sa.quicks


def qi1(*ids: Id, extra: tuple[Any, ...] = (), esp: str = "aes128-sha1", mode: int = 1) -> list[Any]:
    """A first message as somebody else would write it, without forward secrecy."""
    terms = Terms("x", "x", parse_esp(esp, ikev1=True).proposals, (Encapsulation(mode),), Life(3600))
    return [offer(terms, 0xABCDEF01), Nonce(b"n" * 16), *ids, *extra]


def answered(pair: Pair, payloads: list[Any], message_id: int = 7) -> list[str]:
    """What the responder says to a forged QI1."""
    pair.asked.quick = [mirrored(quick(pfs=False))]
    pair.forge(pair.b, payloads, message_id, exchange=ExchangeType.QUICK)
    return pair.b.lines()


CLIENTS = (Id(IdType.IPV4_ADDR_SUBNET, bytes([10, 1, 0, 0, 255, 255, 0, 0])),
           Id(IdType.IPV4_ADDR_SUBNET, bytes([10, 2, 0, 0, 255, 255, 0, 0])))  # fmt: skip


def test_no_identities_mean_the_hosts() -> None:
    pair = Pair().up()
    pair.asked.quick = [quick("192.0.2.2/32", "192.0.2.1/32", pfs=False)]
    pair.forge(pair.b, qi1(), exchange=ExchangeType.QUICK)
    assert pair.asked.asked[0].mine == net("192.0.2.2/32") and pair.asked.asked[0].theirs == net("192.0.2.1/32")
    assert next(iter(pair.b.sa.quicks.values())).state is State.QUICK_R1


def test_identities_of_every_type() -> None:
    """CVE-2023-38711: a name where addresses are wanted."""
    pair = Pair().up()
    for kind in range(256):
        for body in (b"\x0a\1\0\1", b"example.org", bytes(16), bytes([10, 1, 0, 0, 255, 255, 0, 0])):
            pair.b.sa.quicks.clear()
            answered(pair, qi1(Id(IdType(kind), body), CLIENTS[1]), kind * 8 + len(body))
            assert all(one.state in (State.GONE, State.QUICK_R1) for one in pair.b.sa.quicks.values())
    assert len(pair.asked.asked) == 3, "an address, a subnet and a range"


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        ((CLIENTS[0],), "with 1 ID payloads"),
        ((*CLIENTS, CLIENTS[0]), "with 3 ID payloads"),
        ((replace(CLIENTS[0], port=80), CLIENTS[1]), "port 80 without a protocol"),
        ((Id(IdType.IPV4_ADDR_SUBNET, bytes([10, 1, 0, 0, 255, 0, 255, 0])), CLIENTS[1]), "mask has holes"),
        ((Id(IdType.IPV4_ADDR_RANGE, bytes([10, 1, 0, 9, 10, 1, 0, 1])), CLIENTS[1]), "ends before it starts"),
        ((Id(IdType.IPV6_ADDR, bytes(16)), CLIENTS[1]), "two address families"),
        ((Id(IdType.FQDN, b"x"), CLIENTS[1]), "unsupported ID type FQDN in Phase 2 ID Payload"),
    ],
)
def test_clients_that_are_none(ids: tuple[Id, ...], words: str) -> None:
    pair = Pair().up()
    assert any(words in line for line in answered(pair, qi1(*ids)))
    assert len(pair.b.sent()) == 4 and pair.b.sent()[-1][18] == ExchangeType.INFORMATIONAL


def test_a_name_with_its_address_beside_it() -> None:
    """Some peers behind a NAT say their name and, as NAT-OA, their address."""
    pair = Pair(box=BOX).up()
    pair.asked.quick = [quick("192.0.2.2/32", "203.0.113.9/32", transport=True, pfs=False)]
    ids = (Id(IdType.FQDN, b"laptop", 17, 1701), Id(IdType.IPV4_ADDR, bytes([192, 0, 2, 2]), 17, 1701))
    pair.asked.quick = [
        replace(
            pair.asked.quick[0],
            mine=(net("192.0.2.2/32", 17, 1701),),
            theirs=(net("203.0.113.9/32", 17, 1701),),
        )
    ]
    natoa = NatOa(ip_address("192.168.7.7"))
    pair.forge(pair.b, qi1(*ids, extra=(natoa,), mode=Encapsulation.UDP_TRANSPORT), exchange=ExchangeType.QUICK)
    [one] = pair.b.sa.quicks.values()
    assert one.agreement is not None, pair.b.lines()
    assert one.agreement.original == (ip_address("192.168.7.7"), ip_address("192.0.2.2"))
    said = [line for line in pair.b.lines() if "FQDN" in line or "MS-818043" in line][1:]
    assert said == [
        "Applying workaround for MS-818043 NAT-T bug",
        "peer client type is FQDN",
        "IDci was FQDN: laptop, using NAT_OA=192.168.7.7 0 as IDci",
    ]


def test_the_shorter_life_is_agreed_and_the_initiator_told() -> None:
    pair = pair_for(quick(life=Life(28800)), mirrored(quick(life=Life(600, 5000))))
    lives = [child.policy for child in made(pair)]
    assert [one.life for one in lives if isinstance(one, QuickPolicy)] == [Life(600, 5000)] * 2
    pair = pair_for(quick(life=Life(600)), mirrored(quick(life=Life(28800))))
    assert [c.policy.life for c in made(pair) if isinstance(c.policy, QuickPolicy)] == [Life(600)] * 2


@pytest.mark.parametrize("value", [bytes(64), b"\1" * 64, b"\2" * 63, b"\2" * 65, b"\2", None])
def test_public_values_that_are_none(value: bytes | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2015-3240, CVE-2023-41913: of a curve and of a wrong length; or no value at all."""
    whole = quicks.begin

    def begin(*args: Any) -> list[Any]:
        found = whole(*args)
        return [Ke(value) if isinstance(one, Ke) else one for one in found if value or not isinstance(one, Ke)]

    monkeypatch.setattr(quicks, "begin", begin)
    pair = pair_for(quick())
    assert refusal(pair).notify == NotifyType.INVALID_KEY_INFORMATION


@pytest.mark.parametrize("value", [0, 1, -1, -2, -3])
def test_public_values_of_a_prime_group_that_are_none(value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2015-3240: 0, 1 and those around the prime."""
    number = value if value >= 0 else modp.prime(2048) + value + 2
    whole = quicks.begin
    bad = Ke(number.to_bytes(256, "big"))
    monkeypatch.setattr(quicks, "begin", lambda *a: [bad if isinstance(p, Ke) else p for p in whole(*a)])
    assert refusal(pair_for(quick(esp="aes128-sha1;modp2048"))).notify == NotifyType.INVALID_KEY_INFORMATION


def test_a_key_exchange_nobody_agreed_to_changes_nothing() -> None:
    pair = Pair().up()
    answered(pair, qi1(*CLIENTS, extra=(Ke(b"\2" * 64),)))
    [one] = pair.b.sa.quicks.values()
    assert one.state is State.QUICK_R1 and one.agreement is not None and not one.agreement.shared


@pytest.mark.parametrize("missing", [0, 1])
def test_a_first_message_without_what_it_needs(missing: int) -> None:
    pair = Pair().up()
    payloads = qi1(*CLIENTS)
    del payloads[missing]
    answered(pair, payloads)
    [one] = pair.b.sa.quicks.values()
    assert one.state is State.GONE and len(pair.b.sent()) == 4


def test_the_order_of_payloads() -> None:
    pair = Pair().up()
    sa, nonce, *rest = qi1(*CLIENTS)
    assert "the SA payload does not follow the HASH in Quick Mode" in answered(pair, [nonce, sa, *rest])


def test_every_esp_transform() -> None:
    """CVE-2024-3652: NULL with GMAC and others without key material."""
    pair = Pair().up()
    sa, *rest = qi1(*CLIENTS)
    [proposal] = sa.proposals
    for number in range(256):
        bad = replace(proposal, transforms=tuple(replace(one, id=number) for one in proposal.transforms))
        pair.b.sa.quicks.clear()
        answered(pair, [Sa((bad,)), *rest], number + 1)
        [one] = pair.b.sa.quicks.values()
        assert one.state is (State.QUICK_R1 if number == 12 else State.GONE)


def test_no_more_pairs_than_one_isakmp_sa_may_hold() -> None:
    pair = Pair(None, policy("@b", "@a", max_children=1)).up()
    pair.asked.quick = [mirrored(quick()), mirrored(quick("10.3.0.0/16"))]
    pair.ask(pair.a, CreateChild(quick(), 1)).ask(pair.a, CreateChild(quick("10.3.0.0/16"), 2))
    assert [one.request for one in pair.a.seen(RequestFailed)] == [CreateChild(quick("10.3.0.0/16"), 2)]


def test_spis_that_are_taken_are_not_named() -> None:
    pair = Pair().up()

    class Full(set[int]):
        def __contains__(self, spi: object) -> bool:
            return True

    pair.asked.taken = Full()
    with pytest.raises(IkeError, match="no SPI is free"):
        quicks.new_spi(pair.b.sa)
    with pytest.raises(IkeError, match="no Compression Parameter Index is free"):
        quicks.new_cpi(pair.b.sa)
    assert quicks.new_spi(pair.a.sa) >= 256 and 256 <= quicks.new_cpi(pair.a.sa) <= 61439
