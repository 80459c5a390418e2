# SPDX-License-Identifier: GPL-2.0-or-later
"""Main Mode from end to end: preshared keys and RSA, whom each end takes, NATs, and every message bent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openswan.base.address import Endpoint, parse_address
from openswan.crypto import rsakey
from openswan.ike.effects import Forget, IkeFailed, IkeGone, Send
from openswan.ike.v1 import main, natt, proof
from openswan.ike.v1.effects import IsakmpEstablished
from openswan.ike.v1.states import State
from openswan.policy.identity import parse_identity
from openswan.wire.v1.header import Header
from openswan.wire.v1.ident import Id
from openswan.wire.v1.ke import Ke
from openswan.wire.v1.message import Message
from openswan.wire.v1.numbers import IdType, NotifyType
from openswan.wire.v1.vendor import DPD, OWN, VendorId
from tests.unit.crypto.keys import rsa_key
from tests.unit.ike.v1.pair import ADDRESS_A, ADDRESS_B, Pair, by_rsa, policy


def stands(pair: Pair) -> bool:
    return (pair.a.sa.state, pair.b.sa.state) == (State.MAIN_I4, State.MAIN_R3)


@pytest.mark.parametrize(
    "ike",
    [
        "aes128-sha1-ecp256",
        "aes256-sha2_256-modp2048",
        "3des-md5-modp1024",
        "aes192-sha2_512-modp1536",
        "aes-sha2_384-ecp521",
    ],
)
def test_preshared_keys(ike: str) -> None:
    pair = Pair(policy(ike=ike), policy("@b", "@a", ike=ike)).up()
    [one], [other] = pair.a.seen(IsakmpEstablished), pair.b.seen(IsakmpEstablished)
    assert one.chosen == other.chosen
    assert (str(one.peer_id), str(other.peer_id)) == ("@b", "@a")
    assert one.initiator and not other.initiator and not other.initial_contact
    ours, theirs = pair.a.sa.need_keys(), pair.b.sa.need_keys()
    assert ours.skeyid.d.data == theirs.skeyid.d.data and ours.last_block == theirs.last_block
    assert len(pair.a.sent()) == len(pair.b.sent()) == 3
    assert pair.a.sa.next_timer() is None and pair.b.sa.next_timer() is None


def test_rsa_signatures() -> None:
    pair = Pair(policy(**by_rsa(1, 2)), policy("@b", "@a", **by_rsa(2, 1))).up()
    assert "auth=OAKLEY_RSA_SIG" in pair.a.lines()[-1]
    assert pair.asked.questions[0].peer_id == parse_identity("@a")


def test_one_of_several_keys_is_enough() -> None:
    theirs = by_rsa(2, 1)
    theirs["peer_keys"] = (rsakey.encode_public(rsa_key(2048, 65537, 3).public_key()), *theirs["peer_keys"])
    Pair(policy(**by_rsa(1, 2)), policy("@b", "@a", **theirs)).up()


def test_the_lines_of_a_negotiation() -> None:
    pair = Pair().up()
    assert pair.a.lines() == [
        "initiating Main Mode",
        "STATE_MAIN_I1: initiate",
        "received Vendor ID payload [Openswan]",
        "received Vendor ID payload [Dead Peer Detection]",
        "received Vendor ID payload [FRAGMENTATION]",
        "received Vendor ID payload [RFC 3947 (NAT-Traversal)]",
        "enabling possible NAT-traversal with method RFC 3947 (NAT-Traversal)",
        "transition from state STATE_MAIN_I1 to state STATE_MAIN_I2",
        "STATE_MAIN_I2: sent MI2, expecting MR2",
        "NAT-Traversal: Result using RFC 3947 (NAT-Traversal): no NAT detected",
        "transition from state STATE_MAIN_I2 to state STATE_MAIN_I3",
        "STATE_MAIN_I3: sent MI3, expecting MR3",
        "Main mode peer ID is ID_FQDN: '@b'",
        "transition from state STATE_MAIN_I3 to state STATE_MAIN_I4",
        "STATE_MAIN_I4: ISAKMP SA established {auth=OAKLEY_PRESHARED_KEY cipher=aes_128 prf=sha1 group=ecp256}",
    ]
    assert pair.b.lines()[0] == "responding to Main Mode"
    assert pair.b.lines()[-1].startswith("STATE_MAIN_R3: sent MR3, ISAKMP SA established {auth=OAKLEY_PRESHARED_KEY ")


def test_who_comes_from_anywhere_is_an_unknown_peer() -> None:
    pair = Pair(None, policy("@b", "@a", unknown_peer=True)).up()
    assert pair.b.lines()[0] == "responding to Main Mode from unknown peer 192.0.2.1"


def test_another_secret_is_noticed_and_nobody_gets_anywhere() -> None:
    pair = Pair(policy(psk=b"another")).start().run()
    assert (pair.a.sa.state, pair.b.sa.state) == (State.MAIN_I3, State.MAIN_R2)
    assert any("probable authentication failure (mismatch of preshared secrets?)" in line for line in pair.b.lines())
    while pair.a.sa.state is not State.GONE or pair.b.sa.state is not State.GONE:
        pair.tick().run()
    assert any("Possible authentication failure" in line for line in pair.a.lines())
    assert not pair.a.seen(IsakmpEstablished) + pair.b.seen(IsakmpEstablished)
    assert [one.timeout for one in pair.a.seen(IkeFailed) + pair.b.seen(IkeFailed)] == [True, True]


def test_no_secret_at_all() -> None:
    """CVE-2024-2357's case: a connection by secret and none that fits."""
    for first, second in ((b"", b"s"), (b"s", b"")):
        pair = Pair(policy(psk=first), policy("@b", "@a", psk=second)).start().run()
        assert "no preshared key is known for this peer's addresses" in pair.a.lines() + pair.b.lines()
        assert not stands(pair)


def test_a_signature_by_another_key() -> None:
    pair = Pair(policy(**by_rsa(3, 2)), policy("@b", "@a", **by_rsa(2, 1))).start().run()
    assert pair.b.sa.state is State.MAIN_R2
    assert "Signature check (on @a) failed: tried 1 keys but none worked." in pair.b.lines()
    none = {**by_rsa(2, 1), "peer_keys": ()}
    pair = Pair(policy(**by_rsa(1, 2)), policy("@b", "@a", **none)).start().run()
    assert "no RSA public key known for '@a'" in pair.b.lines()
    keyless = {**by_rsa(1, 2), "private_key": None}
    pair = Pair(policy(**keyless), policy("@b", "@a", **by_rsa(2, 1))).start().run()
    assert "unable to locate my private key for RSA Signature of '@a'" in pair.a.lines()


def test_an_identity_nobody_waits_for() -> None:
    pair = Pair(policy("@c"), policy("@b", "@a")).start().run()
    assert "no suitable connection for peer '@c'" in pair.b.lines()
    pair = Pair(policy(peer="@x"), policy("@b", "@a")).start().run()
    assert "we require peer to have ID '@x', but peer declares '@b'" in pair.a.lines()
    assert pair.a.sa.state is State.MAIN_I3


def test_the_identity_leads_to_another_connection() -> None:
    pair = Pair(None, policy("@b", "@z"), policy("@b", "@a", name="second")).up()
    assert 'switched from "test" to "second"' in pair.b.lines()
    assert pair.b.sa.need_policy().name == "second"


@pytest.mark.parametrize("change", [{"psk": b"another"}, {"ike": "aes256-sha1-ecp256"}, by_rsa(2, 1)])
def test_but_never_to_one_that_would_have_agreed_otherwise(change: dict[str, object]) -> None:
    pair = Pair(None, policy("@b", "@z"), policy("@b", "@a", **change)).start().run()  # type: ignore[arg-type]
    assert "no suitable connection for peer '@a'" in pair.b.lines()
    assert not pair.b.seen(IsakmpEstablished)


def test_no_connection_and_no_proposal_leave_nothing_behind() -> None:
    pair = Pair()
    pair.asked.policies = []
    for wanted in ("no connection has been authorized", "no acceptable Oakley Transform"):
        pair.start().run()
        assert any(wanted in line for line in pair.b.lines())
        assert "sending notification NO_PROPOSAL_CHOSEN to 192.0.2.1:500" in pair.b.lines()
        assert pair.b.seen(IkeGone) and pair.b.seen(Forget) and pair.b.sa.next_timer() is None
        assert any(
            line.startswith("ignoring informational payload, type NO_PROPOSAL_CHOSEN") for line in pair.a.lines()
        )
        assert pair.a.sa.state is State.MAIN_I1
        pair = Pair(policy(ike="aes256-sha1-ecp256"))


@pytest.mark.parametrize("method", natt.METHODS, ids=lambda method: method.name.split()[0])
def test_a_nat_moves_both_to_port_4500(method: natt.Method) -> None:
    """By RFC 3947 and by each of the drafts 03, 02 with a line feed in its vendor ID, and 02."""
    pair = Pair(box=Endpoint(parse_address("203.0.113.9"), 1024))
    pair.bend = lambda sent: [replace(sent, data=_only(method, sent.data))]
    pair.up()
    assert pair.a.sa.local.port == pair.a.sa.remote.port == 4500
    assert pair.b.sa.remote == Endpoint(parse_address("203.0.113.9"), 1025) and pair.b.sa.local.port == 4500
    assert any(line.endswith("i am NATed") for line in pair.a.lines())
    assert any(line.endswith("peer is NATed") for line in pair.b.lines())
    assert pair.a.sa.method is pair.b.sa.method is method


def _only(method: natt.Method, data: bytes) -> bytes:
    """MI1 of a peer that knows one dialect of NAT traversal alone."""
    message = Message.parse(data)
    if not message.content.all(VendorId) or message.header.cookie_r != bytes(8):
        return data
    rest = [one for one in message.content.payloads if not isinstance(one, VendorId)]
    return Message.clear(message.header, [*rest, VendorId(method.vendor)]).emit()


def test_without_nat_traversal_nothing_is_said_of_addresses() -> None:
    pair = Pair(
        policy(nat_traversal=False, dpd=False, fragmentation=False), box=Endpoint(parse_address("203.0.113.9"), 500)
    ).up()
    assert pair.a.sa.method is pair.b.sa.method is None
    assert pair.a.sa.local.port == 500
    assert pair.b.sa.announced == {OWN} and pair.a.sa.announced == {OWN, DPD}


def test_initial_contact() -> None:
    [seen] = Pair(policy(initial_contact=True)).up().b.seen(IsakmpEstablished)
    assert seen.initial_contact


def test_initial_contact_is_not_said_when_the_peer_has_come_up_with_one_of_its_own_meanwhile() -> None:
    pair = Pair(policy(initial_contact=True)).start()
    pair.a.sa.ask.another = True  # type: ignore[attr-defined]
    [seen] = pair.run().b.seen(IsakmpEstablished)
    assert not seen.initial_contact


@pytest.mark.parametrize("value", [bytes(64), b"\1" * 64, b"\2" * 63, b"\2" * 65, b"\2"])
def test_public_values_that_are_none(value: bytes) -> None:
    """CVE-2015-3240, CVE-2023-41913."""

    def bend(sent: Send) -> list[Send]:
        message = Message.parse(sent.data)
        if message.content.first(Ke) is None:
            return [sent]
        rest = [Ke(value) if isinstance(one, Ke) else one for one in message.content.payloads]
        return [replace(sent, data=Message.clear(message.header, rest).emit())]

    pair = Pair()
    pair.bend = bend
    pair.start().run()
    assert pair.b.sa.state is State.MAIN_R1
    assert "sending notification INVALID_KEY_INFORMATION to 192.0.2.1:500" in pair.b.lines()


@pytest.mark.parametrize("kind", [0, 4, 7, 10, 12, 99])
def test_identities_that_are_nobody(kind: int) -> None:
    """CVE-2023-38711, here of phase 1."""
    pair = Pair()
    claimed = Id(IdType(kind), b"\x0a\1\0\0\xff\xff\0\0")
    original = proof.identity_payload
    try:
        proof.identity_payload = lambda _: claimed
        pair.start()
        while pair.a.sa.state is not State.MAIN_I3:
            sender, sent = pair.wire.pop(0)
            pair.deliver(sender, sent)
    finally:
        proof.identity_payload = original
    pair.run()
    assert any("Unacceptable identity type" in line for line in pair.b.lines())
    assert pair.b.sa.state is State.MAIN_R2


def steps(pair: Pair) -> int:
    return ("R0", "R1", "R2", "R3").index(pair.b.sa.state.label[-2:]) if pair.b.sa.state is not State.GONE else -1


@pytest.mark.parametrize("which", range(6))
def test_each_message_without_each_of_its_payloads_and_twice_with_it(which: int) -> None:
    """CVE-2013-6466's way: nothing is taken for granted. Messages in clear; what is encrypted is not to be bent."""
    for action in ("drop", "double"):
        for index in range(8):
            number = 0

            def bend(sent: Send, index: int = index, action: str = action) -> list[Send]:
                nonlocal number
                number += 1
                message = Message.parse(sent.data)
                if number - 1 != which or message.header.is_encrypted or index >= len(message.content.payloads):
                    return [sent]
                payloads = list(message.content.payloads)
                if action == "drop":
                    del payloads[index]
                else:
                    payloads.insert(index, payloads[index])
                if not payloads:
                    return []
                return [replace(sent, data=Message.clear(message.header, payloads).emit())]

            pair = Pair()
            pair.bend = bend
            pair.start().run()
            for end in (pair.a, pair.b):
                assert len(end.sent()) <= 8
                assert end.sa.state is not State.GONE or end.seen(Forget)


@pytest.mark.parametrize("which", range(6))
def test_each_message_with_each_octet_changed_does_no_harm(which: int) -> None:
    """Whatever is done to one message, its repetition, whole, leads on."""
    for at in range(0, 400, 7):
        number = 0

        def bend(sent: Send, at: int = at) -> list[Send]:
            nonlocal number
            number += 1
            if number - 1 != which or at >= len(sent.data):
                return [sent]
            data = bytearray(sent.data)
            data[at] ^= 0x5A
            return [replace(sent, data=bytes(data)), sent]

        pair = Pair()
        pair.bend = bend
        pair.start().run()
        ended = pair.b.sa.state is State.GONE
        assert ended or stands(pair) or which in (0, 1, 2, 3), pair.a.lines() + pair.b.lines()
        assert len(pair.a.sent()) + len(pair.b.sent()) < 20


def test_the_shape_of_a_message_is_checked_before_anything_else() -> None:
    for step in main.STEPS.values():
        assert step.target and step.shape.once
    assert Header(b"\1" * 8, bytes(8), Message.parse(Pair().start().a.sent()[0]).header.exchange)
    assert NotifyType.PAYLOAD_MALFORMED.is_error
    assert ADDRESS_A != ADDRESS_B
