# SPDX-License-Identifier: GPL-2.0-or-later
"""NAT detection, moving to UDP 4500, and who wants ESP in UDP (RFC 7296 2.23)."""

from __future__ import annotations

import hashlib
import hmac

from openswan.base.address import Endpoint
from openswan.base.log import Rc
from openswan.ike.policy import IkePolicy
from openswan.ike.v2.core import Core
from openswan.plane.commands import Encap
from openswan.wire.message import Message
from openswan.wire.v2.body import Payload
from openswan.wire.v2.notify import Notify
from openswan.wire.v2.numbers import NotifyType
from openswan.wire.v2.vendor import VendorId

OWN_VENDOR = hashlib.sha256(b"Openswan, packets in UDP preferred, 1").digest()[:16]
"""Says: built from this project, and taking ESP in UDP even without NAT."""
PROBE_VENDOR = hashlib.sha256(b"Openswan, INFORMATIONAL in fragments answered, 1").digest()[:16]
"""Says: its path may be probed by fragments of growing number."""
NEVER, ALWAYS = "no", "yes"


def endpoint_hash(spi_i: bytes, spi_r: bytes, end: Endpoint) -> bytes:
    """SHA-1(SPIi | SPIr | address | port)."""
    return hashlib.sha1(
        spi_i + spi_r + end.address.packed + end.port.to_bytes(2, "big"), usedforsecurity=False
    ).digest()


def announce(sa: Core, policy: IkePolicy, spi_r: bytes) -> list[Payload]:
    """What an IKE_SA_INIT message says about addresses; a false source hash makes the peer believe in a NAT."""
    return _hashes(sa, policy, spi_r, sa.local, sa.remote)


def announce_between(sa: Core, policy: IkePolicy, local: Endpoint, remote: Endpoint) -> list[Payload]:
    """The same of two other ends, in the answer to such hashes on an established IKE SA (RFC 4555 3.8).

    Also of an end that never encapsulates: libreswan takes an answer without them for one to something else.
    """
    return _both(sa, policy, sa.spi_r, local, remote)


def beside_cookie(sa: Core) -> list[Payload]:
    """The same for a question with COOKIE2 (RFC 4555 3.8), also of an end that never encapsulates.

    libreswan returns a COOKIE2 only beside such hashes.
    """
    return _both(sa, sa.need_policy(), sa.spi_r, sa.local, sa.remote)


def _hashes(sa: Core, policy: IkePolicy, spi_r: bytes, local: Endpoint, remote: Endpoint) -> list[Payload]:
    return [] if policy.encapsulation == NEVER else _both(sa, policy, spi_r, local, remote)


def _both(sa: Core, policy: IkePolicy, spi_r: bytes, local: Endpoint, remote: Endpoint) -> list[Payload]:
    source = sa.rng.octets(20) if policy.encapsulation == ALWAYS else endpoint_hash(sa.spi_i, spi_r, local)
    return [
        Notify(NotifyType.NAT_DETECTION_SOURCE_IP, source),
        Notify(NotifyType.NAT_DETECTION_DESTINATION_IP, endpoint_hash(sa.spi_i, spi_r, remote)),
    ]


def vendor(policy: IkePolicy) -> list[Payload]:
    """Our vendor ID, unless UDP encapsulation is not wanted."""
    own = [VendorId(OWN_VENDOR)] if policy.own_vendor and policy.encapsulation != NEVER else []
    return [*own, *([VendorId(PROBE_VENDOR)] if policy.own_vendor else [])]


def detect(sa: Core, policy: IkePolicy, message: Message, spi_r: bytes) -> None:
    """Find out who is behind NAT from the peer's IKE_SA_INIT message, and whether ESP will travel in UDP."""
    sa.takes_probes = any(hmac.compare_digest(v.data, PROBE_VENDOR) for v in message.all(VendorId))
    sa.own_peer = policy.own_vendor and any(hmac.compare_digest(v.data, OWN_VENDOR) for v in message.all(VendorId))
    look_again(sa, policy, message, spi_r)


def look_again(sa: Core, policy: IkePolicy, message: Message, spi_r: bytes | None = None) -> None:
    """Who is behind NAT by a message's hashes, and whether ESP travels in UDP; without hashes nothing changes."""
    if policy.encapsulation == NEVER:
        return
    begins = spi_r is not None
    spi_r = sa.spi_r if spi_r is None else spi_r
    sources = [n.data for n in message.all(Notify) if n.kind == NotifyType.NAT_DETECTION_SOURCE_IP]
    target = message.notify(NotifyType.NAT_DETECTION_DESTINATION_IP)
    if sources and target is not None:
        # A peer on several addresses sends a source hash for each; one that fits is enough.
        expected = endpoint_hash(sa.spi_i, spi_r, sa.remote)
        sa.nat_there = not any(hmac.compare_digest(data, expected) for data in sources)
        sa.nat_here = not hmac.compare_digest(target.data, endpoint_hash(sa.spi_i, spi_r, sa.local))
        sa.log(f"NAT-Traversal: Result using RFC 3947 (NAT-Traversal): {describe(sa)}", Rc.LOG)
    # A peer that has understood the forged hash in the beginning takes ESP in UDP for good.
    sa.forced = sa.forced or (begins and policy.encapsulation == ALWAYS and bool(sources))
    sa.encapsulate = sa.nat_here or sa.nat_there or sa.own_peer or sa.forced


def describe(sa: Core) -> str:
    """The classic words for what was found."""
    if sa.nat_here and sa.nat_there:
        return "both are NATed"
    if sa.nat_here:
        return "i am NATed"
    return "peer is NATed" if sa.nat_there else "no NAT detected"


def float_ports(sa: Core, policy: IkePolicy, offered: bool) -> None:
    """As initiator: go on from and to the NAT traversal ports when ESP will travel in UDP, or may after a move.

    In TCP everything stays in its connection (RFC 9329 6.5). `offered`: the peer can traverse NATs (RFC 4555 3.3).
    """
    if sa.local.stream:
        return
    if sa.encapsulate or (policy.mobike and offered and policy.encapsulation != NEVER):
        sa.local = Endpoint(sa.local.address, policy.local_natt_port)
        sa.remote = Endpoint(sa.remote.address, policy.remote_natt_port)


def encap(sa: Core) -> Encap | None:
    """The ports ESP uses at this moment, of TCP if IKE does; None for raw protocol 50.

    A responder's peer that stayed on port 500 does not want UDP.
    """
    if sa.local.stream:
        return Encap(sa.local.port, sa.remote.port, stream=True)
    policy = sa.need_policy()
    if not sa.encapsulate or sa.local.port != policy.local_natt_port:
        return None
    return Encap(sa.local.port, sa.remote.port)
