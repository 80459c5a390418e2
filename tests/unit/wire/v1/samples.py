# SPDX-License-Identifier: GPL-2.0-or-later
"""One good payload of every IKEv1 class."""

from __future__ import annotations

from ipaddress import ip_address

from openswan.wire.attribute import Attribute
from openswan.wire.v1.auth import Hash, Sig
from openswan.wire.v1.body import Payload
from openswan.wire.v1.cert import Cert, CertReq
from openswan.wire.v1.delete import Delete
from openswan.wire.v1.fragment import Fragment
from openswan.wire.v1.ident import Id
from openswan.wire.v1.ke import Ke
from openswan.wire.v1.modecfg import Attributes
from openswan.wire.v1.natd import NatD, NatDDraft, NatOa, NatOaDraft
from openswan.wire.v1.nonce import Nonce
from openswan.wire.v1.notify import Notify
from openswan.wire.v1.numbers import CertEncoding, CfgAttribute, CfgType, IdType, NotifyType, ProtocolId
from openswan.wire.v1.sa import Proposal, Sa, Transform
from openswan.wire.v1.vendor import DPD, VendorId

PHASE1 = tuple(Attribute(*one) for one in ((11, 1), (12, b"\0\0\x0e\x10"), (1, 7), (14, 256), (2, 4), (3, 1), (4, 14)))
PHASE2 = tuple(Attribute(*one) for one in ((4, 1), (1, 1), (2, 3600), (5, 5), (6, 256)))

PAYLOADS: tuple[Payload, ...] = (
    Sa((Proposal(0, ProtocolId.ISAKMP, b"", (Transform(0, 1, PHASE1), Transform(1, 1, PHASE1))),)),
    Sa((Proposal(1, ProtocolId.ESP, b"spi!", (Transform(1, 12, PHASE2),)),
        Proposal(1, ProtocolId.IPCOMP, b"\1\2", (Transform(1, 2, PHASE2[:1]),)))),
    Ke(bytes(range(256))),
    Nonce(bytes(range(20))),
    Id(IdType.FQDN, b"east.example"),
    Id(IdType.IPV4_ADDR_SUBNET, bytes.fromhex("c0000200ffffff00"), 17, 1701),
    Cert(CertEncoding.X509_SIGNATURE, b"\x30\x03\x02\x01\x01"),
    CertReq(CertEncoding.X509_SIGNATURE, b"\x30\x00"),
    Hash(bytes(range(32))),
    Sig(bytes(256)),
    Notify(NotifyType.INITIAL_CONTACT, b"", ProtocolId.ISAKMP, b"initiatrresponde"),
    Notify.dpd(NotifyType.R_U_THERE, b"initiatrresponde", 1000),
    Delete(ProtocolId.ESP, (b"spi1", b"spi2")),
    VendorId(DPD),
    Attributes(CfgType.SET, 7, (Attribute(CfgAttribute.XAUTH_STATUS, 1), Attribute(CfgAttribute.XAUTH_MESSAGE, b"hi"))),
    NatD(bytes(32)),
    NatDDraft(bytes(20)),
    NatOa(ip_address("192.0.2.1")),
    NatOaDraft(ip_address("2001:db8::1")),
    Fragment(1, 1, True, b"piece"),
)  # fmt: skip
