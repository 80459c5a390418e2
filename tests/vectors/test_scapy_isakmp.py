# SPDX-License-Identifier: GPL-2.0-or-later
"""scapy and tcpdump read the ISAKMP messages made here, and what scapy makes is read here."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.isakmp import (
    ISAKMP,
    ISAKMP_payload_Delete,
    ISAKMP_payload_Hash,
    ISAKMP_payload_ID,
    ISAKMP_payload_KE,
    ISAKMP_payload_Nonce,
    ISAKMP_payload_Notify,
    ISAKMP_payload_Proposal,
    ISAKMP_payload_SA,
    ISAKMP_payload_SIG,
    ISAKMP_payload_Transform,
    ISAKMP_payload_VendorID,
)
from scapy.packet import NoPayload, Packet, Raw
from scapy.utils import wrpcap

from openswan.base.address import Endpoint, parse_address
from openswan.ike.events import DeleteChild, DeleteIke, Probe
from openswan.ike.v1.keys import IsakmpKeys
from openswan.wire.attribute import Attribute
from openswan.wire.v1.auth import Hash, Sig
from openswan.wire.v1.body import Payload
from openswan.wire.v1.delete import Delete
from openswan.wire.v1.header import Flags, Header
from openswan.wire.v1.ident import Id
from openswan.wire.v1.ke import Ke
from openswan.wire.v1.message import Content, Message
from openswan.wire.v1.nonce import Nonce
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import ExchangeType, IdType
from openswan.wire.v1.payload import parse_chain
from openswan.wire.v1.sa import Sa
from openswan.wire.v1.vendor import VendorId
from tests.unit.ike.v1.pair import Pair, by_certificate, policy
from tests.unit.ike.v1.test_modecfg import pair_of as with_addresses
from tests.unit.ike.v1.test_xauth import judge
from tests.unit.ike.v1.test_xauth import pair_of as with_xauth
from tests.unit.wire.v1.samples import PAYLOADS

HEADER = Header(b"initiatr", b"responde", ExchangeType.MAIN, Flags.COMMIT, 77)


def layers(packet: Packet) -> Iterator[Packet]:
    while not isinstance(packet, NoPayload):
        yield packet
        packet = packet.payload


def seen(payloads: tuple[Payload, ...]) -> tuple[Packet, list[Packet]]:
    """scapy's header and payloads of a message; nothing may be left over as raw octets."""
    head, *found = layers(ISAKMP(Message.clear(HEADER, payloads).emit()))
    assert not any(isinstance(one, Raw) for one in found)
    return head, found


def test_all_payloads_in_one_message() -> None:
    head, found = seen(PAYLOADS)
    assert (head.init_cookie, head.resp_cookie, head.version) == (b"initiatr", b"responde", 0x10)
    assert (head.exch_type, int(head.flags), head.id, head.next_payload) == (2, 2, 77, 1)
    assert [one.length for one in found] == [len(payload.emit()) + 4 for payload in PAYLOADS]
    assert [one.next_payload for one in found] == [*(int(payload.type) for payload in PAYLOADS[1:]), 0]


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload.type.name)
def test_its_fields_are_ours(payload: Payload) -> None:
    _, (one,) = seen((payload,))
    match payload:
        case Sa():
            # Behind an SPI scapy mistakes the length of the transforms, and takes the next proposal for one.
            ours, theirs = payload.proposals[0], one.prop
            assert (theirs.proposal, theirs.proto, theirs.SPI) == (ours.num, ours.protocol, ours.spi)
            transforms = list(layers(theirs.trans))[: len(ours.transforms)]
            assert [(t.transform_count, t.transform_id) for t in transforms] == [(t.num, t.id) for t in ours.transforms]
        case Ke():
            assert one[ISAKMP_payload_KE].ke == payload.data
        case Nonce():
            assert one[ISAKMP_payload_Nonce].nonce == payload.data
        case Hash():
            assert one[ISAKMP_payload_Hash].hash == payload.data
        case Sig():
            assert one[ISAKMP_payload_SIG].sig == payload.data
        case VendorId():
            assert one[ISAKMP_payload_VendorID].VendorID == payload.data
        case Id():
            seen_id = one[ISAKMP_payload_ID]
            assert (seen_id.IDtype, seen_id.ProtoID, seen_id.Port) == (payload.kind, payload.protocol, payload.port)
            assert seen_id.IdentData == payload.body
        case Notify():
            told = one[ISAKMP_payload_Notify]
            assert (told.doi, told.proto, told.notify_msg_type) == (payload.doi, payload.protocol, payload.kind)
            assert (told.SPI, told.notify_data) == (payload.spi, payload.data)
        case Delete():
            gone = one[ISAKMP_payload_Delete]
            assert (gone.proto, gone.SPIsize, gone.SPIcount) == (payload.protocol, 4, len(payload.spis))
            assert tuple(gone.SPIs) == payload.spis
        case _:
            assert one.load == payload.emit()


def test_what_scapy_makes_is_read_here() -> None:
    transforms = [("Encryption", "AES-CBC"), ("KeyLength", 256), ("Hash", "SHA2-256"), ("Authentication", "PSK"),
                  ("GroupDesc", "2048MODPgr"), ("LifeType", "Seconds"), ("LifeDuration", 86400)]  # fmt: skip
    transform = ISAKMP_payload_Transform(transform_count=1, transforms=transforms)
    offer = ISAKMP_payload_SA(prop=ISAKMP_payload_Proposal(trans_nb=1, trans=transform))
    rest = ISAKMP_payload_Nonce(nonce=bytes(16)) / ISAKMP_payload_ID(IDtype=2, IdentData=b"east.example")
    made = ISAKMP(init_cookie=b"initiatr", resp_cookie=bytes(8), exch_type=4) / offer / rest
    sa, nonce, identity = Message.parse(bytes(made)).content.payloads
    assert isinstance(sa, Sa)
    assert sa.proposals[0].transforms[0].attributes == (
        *(Attribute(*one) for one in ((1, 7), (14, 256), (2, 4), (3, 1), (4, 14), (11, 1))),
        Attribute(12, b"\1\x51\x80"),
    )
    assert (nonce, identity) == (Nonce(bytes(16)), Id(IdType.FQDN, b"east.example"))
    first = Message.parse(bytes(made)).first
    assert parse_chain(first, Message.parse(bytes(made)).content.octets)[0] == (sa, nonce, identity)


TOLD = (
    "isakmp 1.0 msgid 0000004d cookie 696e697469617472->726573706f6e6465",
    "(type=lifeduration len=4 value=00000e10)(type=enc value=aes)(type=keylen value=0100)(type=hash value=sha2-256)"
    "(type=auth value=preshared)(type=group desc value=modp2048)",
    "(p: #1 protoid=ipsec-esp transform=1 spi=73706921",
    "(p: #1 protoid=ipcomp transform=1 spi=0102",
    "(id: idtype=FQDN protoid=0 port=0 len=12 east.example)",
    "(id: idtype=IPv4net protoid=17 port=1701 len=8 192.0.2.0/255.255.255.0)",
    "(n: doi=ipsec proto=isakmp type=INITIAL-CONTACT spi=696e697469617472726573706f6e6465",
    "(d: doi=ipsec proto=ipsec-esp spilen=4 nspi=2 spi=73706931,73706932)",
)


def test_tcpdump_reads_them_to_the_end(tmp_path: Path) -> None:
    file = tmp_path / "isakmp.pcap"
    wrpcap(str(file), IP() / UDP(sport=500, dport=500) / Raw(Message.clear(HEADER, PAYLOADS).emit()))
    argv = ["tcpdump", "-nvvr", str(file)]
    text = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout
    assert "[|" not in text, "a mark of tcpdump's where something is cut short"
    for words in TOLD:
        assert words in text
    assert text.count("(") == text.count(")")


A, B = "@a.example", "@b.example"


def main_mode() -> Pair:
    """And a Quick Mode behind a NAT, a question whether the peer lives, and the end of all."""
    pair = Pair(box=Endpoint(parse_address("203.0.113.9"), 1024)).tunnel()
    pair.ask(pair.a, Probe()).ask(pair.b, DeleteChild(next(iter(pair.b.sa.children)))).ask(pair.a, DeleteIke())
    return pair


def with_certificates() -> Pair:
    return Pair(policy(A, B, **by_certificate("a.example")), policy(B, A, **by_certificate("b.example"))).tunnel()


def aggressive_mode() -> Pair:
    return Pair(policy(aggressive=True), policy("@b", "@a", aggressive=True)).tunnel()


def users() -> Pair:
    pair = with_xauth()
    pair.start().run()
    judge(pair, pair.b)
    return pair.tunnel()


def addresses() -> Pair:
    return with_addresses().tunnel()


@pytest.mark.parametrize("play", [main_mode, with_certificates, aggressive_mode, users, addresses])
def test_whole_exchanges(play: Callable[[], Pair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that two machines say: as it is on the wire, and decrypted."""
    clear: list[bytes] = []
    opened = IsakmpKeys.open

    def open_(keys: IsakmpKeys, message: Message, iv: bytes) -> tuple[Content, bytes]:
        content, after = opened(keys, message, iv)
        flags = message.header.flags & ~Flags.ENCRYPTION
        clear.append(Message.clear(replace(message.header, flags=flags), content.payloads).emit())
        return content, after

    monkeypatch.setattr(IsakmpKeys, "open", open_)
    pair = play()
    said = pair.a.sent() + pair.b.sent()
    assert len(said) >= 6 and len(clear) >= 4
    for data in (*said, *clear):
        head, *found = layers(ISAKMP(data))
        assert head.length == len(data) and found
        if not head.flags & Flags.ENCRYPTION:
            assert not any(isinstance(one, Raw) for one in found), data.hex()
    file = tmp_path / "exchanges.pcap"
    wrpcap(str(file), [IP() / UDP(sport=500, dport=500) / Raw(data) for data in (*said, *clear)])
    text = subprocess.run(["tcpdump", "-nvvr", file], capture_output=True, text=True, check=True, timeout=60).stdout
    assert "[|" not in text and "bad " not in text and text.count("isakmp 1.0 msgid") == len(said) + len(clear)
