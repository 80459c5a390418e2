# SPDX-License-Identifier: GPL-2.0-or-later
"""Throws damaged messages at every wire parser: `python -m tests.fuzz.wire [SECONDS [SEED]]`, 60 seconds by default.

Only WireError may leave a parser, and what does parse must come out again as it went in. Every input depends on SEED
and its index alone; a failure prints both.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from random import Random

from openswan.base.errors import WireError
from openswan.wire import ip, oerecord
from openswan.wire.cursor import Reader
from openswan.wire.esp import EspPacket, strip_trailer
from openswan.wire.header import NO_SPI, Flags, Header, classify_4500
from openswan.wire.message import Message
from openswan.wire.payload import REGISTRY, emit_chain, parse_chain
from openswan.wire.v2.auth import Auth, DigitalSignature
from openswan.wire.v2.body import Payload
from openswan.wire.v2.cert import Cert, CertReq
from openswan.wire.v2.cp import Cp, CpAttribute
from openswan.wire.v2.delete import Delete
from openswan.wire.v2.fragment import Skf
from openswan.wire.v2.ident import IdI, IdR
from openswan.wire.v2.ke import Ke
from openswan.wire.v2.nonce import Nonce
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import (
    AuthMethod,
    CertEncoding,
    CfgAttribute,
    CfgType,
    DhId,
    ExchangeType,
    IdType,
    NotifyType,
    PayloadType,
    ProtocolId,
    TransformType,
)
from openswan.wire.v2.sa import Proposal, Sa, Transform
from openswan.wire.v2.sk import Sk, unpad
from openswan.wire.v2.ts import TrafficSelector, TsI, TsR
from openswan.wire.v2.vendor import VendorId

V4 = TrafficSelector.of(ip_address("192.0.2.0"), ip_address("192.0.2.255"), 17, 500, 500)
V6 = TrafficSelector.of(ip_address("2001:db8::"), ip_address("2001:db8::ff"))
TRANSFORMS = (
    Transform(TransformType.ENCR, 12, 256),
    Transform(TransformType.INTEG, 12),
    Transform(TransformType.DH, 31),
)
PAYLOADS: tuple[Payload, ...] = (
    Sa((Proposal(1, ProtocolId.IKE, b"", TRANSFORMS), Proposal(2, ProtocolId.ESP, b"spi!", TRANSFORMS))),
    Ke(DhId.X25519, bytes(32)),
    Nonce(bytes(range(32))),
    IdI(IdType.FQDN, b"east.example"),
    IdR(IdType.IPV4_ADDR, bytes(4)),
    Cert(CertEncoding.X509_SIGNATURE, b"\x30\x03\x02\x01\x01"),
    CertReq(CertEncoding.X509_SIGNATURE, bytes(40)),
    Auth(AuthMethod.SHARED_KEY, bytes(32)),
    Notify(NotifyType.REKEY_SA, b"", ProtocolId.ESP, b"spi!"),
    Notify(NotifyType.COOKIE, b"cookie"),
    Delete(ProtocolId.ESP, (b"spi1", b"spi2")),
    TsI((V4, V6)),
    TsR((V6,)),
    Cp(CfgType.REQUEST, (CpAttribute(CfgAttribute.INTERNAL_IP4_ADDRESS), CpAttribute(CfgAttribute.INTERNAL_IP4_DNS))),
    VendorId(b"vendor"),
)
HEADER = Header(b"initiatr", NO_SPI, ExchangeType.IKE_SA_INIT, Flags.INITIATOR)
ENDINGS: tuple[Payload, ...] = (Sk(PayloadType.ID_I, bytes(60)), Skf(PayloadType.NONE, 1, 2, bytes(60)))
PACKETS = (
    bytes.fromhex("4500001c00010000401100000a0000010a000002 d431 0050 0008 0000"),
    bytes.fromhex("46000020 00010000 40010000 0a000001 0a000002 01010101 0800 0000 00010001"),
    bytes.fromhex("6000000000100040" + "00" * 32) + bytes.fromhex("1100000000000000 d431005000080000"),
    bytes.fromhex("600000000018 2c40" + "00" * 32)
    + bytes.fromhex("3c00000000000001 06000000 00000000 d431005000080000"),
)
RECORDS = (
    bytes([10, 0, 2]) + b"\3\1\0\1key",
    bytes([10, 1, 2, 192, 0, 2, 1]) + b"\3\1\0\1key",
    bytes([10, 2, 0]) + bytes(15) + b"\1",
    bytes([10, 3, 3]) + b"\2gw\7example\0key",
    b"\x2cX-IPsec-Server(10)=192.0.2.1 AwEAAcHBwcHBwcHB",
    b"\x0fX-IPsec-Server(\x105)=@gw.a AwEAAcE",
    bytes.fromhex("42000401") + b"\3\1\0\1key",
)
"""Data of IPSECKEY, TXT and KEY."""
EDGES = (0, 1, 2, 3, 4, 7, 8, 15, 16, 0x7F, 0x80, 0xFE, 0xFF)


def seeds(random: Random) -> bytes:
    """A good message of randomly chosen payloads, or just octets behind a good header."""
    if random.random() < 0.1:
        body = random.randbytes(random.randrange(random.choice((300, 300, 10000))))
        return HEADER.with_length(28 + len(body), PayloadType(random.randrange(256))).emit() + body
    chosen = [random.choice(PAYLOADS) for _ in range(random.randrange(1, 8))]
    if random.random() < 0.3:
        chosen.append(random.choice(ENDINGS))
    return Message(HEADER, tuple(chosen)).emit()


def damaged(random: Random, data: bytes) -> bytes:
    """The octets with a few of them changed, removed, doubled or put in."""
    octets = bytearray(data)
    for _ in range(random.choice((0, 1, 1, 1, 2, 3, 8))):
        at = random.randrange(len(octets)) if octets else 0
        kind = random.randrange(6)
        if kind <= 2 and octets:
            octets[at] = random.choice(EDGES) if kind else random.randrange(256)
        elif kind == 3:
            del octets[at : at + random.choice((1, 2, 4, 40))]
        elif kind == 4:
            octets[at:at] = octets[at : at + random.choice((1, 4, 16))]
        else:
            octets[at:at] = random.randbytes(random.choice((1, 2, 8)))
    return bytes(octets)


def parse_message(random: Random, data: bytes) -> None:
    """A whole message, its length field mended most times so that the damage reaches the payloads."""
    if random.random() < 0.8 and len(data) >= 28:
        data = data[:24] + len(data).to_bytes(4, "big") + data[28:]
    message = Message.parse(data)
    sealed = message.encrypted
    if sealed is not None:
        assert message.associated(data) + sealed.body == data
        unpad(sealed.split(8, 16).ciphertext)
    # Reserved fields and critical bits do not survive, nor do skipped selectors: compare what was understood.
    understood = tuple(p for p in message.payloads if not (isinstance(p, TsI | TsR) and p.skipped))
    assert Message.parse(Message(message.header, understood).emit()).payloads == understood


def parse_bodies(random: Random, data: bytes) -> None:
    """One body class on arbitrary octets."""
    random.choice(list(REGISTRY.values())).parse(Reader(data[28:]))


def parse_inner(random: Random, data: bytes) -> None:
    """A decrypted chain."""
    first, chain = emit_chain([random.choice(PAYLOADS) for _ in range(3)])
    parse_chain(first, damaged(random, chain))


def parse_packet(random: Random, data: bytes) -> None:
    """A first packet, an ESP packet, a digital signature, a datagram on 4500."""
    packet = damaged(random, random.choice(PACKETS))
    classify_4500(packet)
    for parse in (ip.parse, lambda octets: EspPacket.parse(octets, 8, 16), strip_trailer):
        try:
            parse(packet)  # type: ignore[operator]
        except WireError:
            continue
    DigitalSignature.parse(Reader(data))


def parse_records(random: Random, data: bytes) -> None:
    """A DNS record that names a gateway or a key."""
    kind = random.choice(list(oerecord.PARSERS))
    oerecord.PARSERS[kind](damaged(random, random.choice(RECORDS)))


TARGETS: tuple[Callable[[Random, bytes], None], ...] = (
    parse_message,
    parse_message,
    parse_message,
    parse_bodies,
    parse_inner,
    parse_packet,
    parse_records,
)


def run(seed: int, until: Callable[[int], bool]) -> Iterator[bool]:
    """Try inputs 0, 1, 2 ... until told to stop; True for each that parsed, False for each refused."""
    index = 0
    while not until(index):
        random = Random(f"{seed}.{index}")
        data = damaged(random, seeds(random))
        target = random.choice(TARGETS)
        try:
            target(random, data)
            yield True
        except WireError:
            yield False
        except Exception:
            print(f"seed {seed} input {index}: {target.__name__}({data.hex()})", file=sys.stderr)
            raise
        index += 1


def main(argv: list[str]) -> int:
    """Run for so many seconds and say how much was tried."""
    seconds = float(argv[0]) if argv else 60.0
    seed = int(argv[1]) if len(argv) > 1 else int(time.time())
    end = time.monotonic() + seconds
    results = list(run(seed, lambda _: time.monotonic() > end))
    print(f"seed {seed}: {len(results)} inputs, {sum(results)} parsed, no other error than WireError")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
