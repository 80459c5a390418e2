# SPDX-License-Identifier: GPL-2.0-or-later
"""Every reason for which a packet is dropped: a name, a number and a counter of its own."""

from __future__ import annotations

from enum import IntEnum


class Drop(IntEnum):
    """Why a packet went no further. `_fast` uses the same numbers (0 means it did go further); a test compares them."""

    NONE = 0
    MALFORMED = 1  # inner or outer header that does not parse: version, lengths, truncation
    NO_EROUTE = 2  # outbound: no eroute covers the packet
    SHUNT_DROP = 3  # an eroute says %drop
    SHUNT_REJECT = 4  # an eroute says %reject; the sender gets ICMP administratively prohibited
    HOLD_OVERFLOW = 5  # a held packet made room for a newer one, per pair or in total
    HOLD_DISCARDED = 6  # held, then the policy said drop, or the eroute went away
    NO_SA = 7  # outbound: the eroute names an SA that is not there; inbound: unknown SPI
    SA_EXPIRED = 8  # hard lifetime reached
    SEQUENCE_EXHAUSTED = 9  # the SA's sequence numbers or IVs are used up
    TOO_BIG = 10  # does not fit the path and must not be fragmented; the sender was told
    FRAGMENT_LOST = 11  # of a datagram that was not complete in time or made room for another, or there twice
    REPLAY = 12  # sequence number seen before or left of the window
    AUTH_FAILED = 13  # integrity check value does not match
    BAD_PADDING = 14  # ESP padding or pad length is not as RFC 4303 2.4 says
    SOURCE_MISMATCH = 15  # outer source is not the SA's peer
    SELECTOR_MISMATCH = 16  # decrypted packet is outside the SA's selectors
    DUMMY = 17  # ESP next header 59, a traffic-flow-confidentiality dummy (not an error)
    UNKNOWN_NEXT_HEADER = 18  # decrypted payload is neither IPv4 nor IPv6
    SEND_FAILED = 19  # the outer socket refused
    TUN_FAILED = 20  # the virtual interface refused
    NO_MEMORY = 21
    ICMP_ERROR_FOREIGN = 22  # an ICMP error whose quoted packet belongs to no SA
    KEEPALIVE = 23  # NAT keepalive octet (not an error)
    IKE_OVERFLOW = 24  # the queue of IKE datagrams to pluto is full
    UNEXPECTED_SA = 25  # inside a bundle: not the SA that belongs there, or a protocol where none belongs
    MODE_MISMATCH = 26  # a tunnel-mode SA with transport payload or the other way round; not between the SA's two ends
    BAD_COMPRESSION = 27  # IPComp payload that does not inflate, or to more than a packet may have
    FRAGMENT = 28  # a fragment where only whole packets may be (RFC 4303 3.1.1, RFC 4302 3.3.4, RFC 3173 2)
    WORKER_BUSY = 29  # the worker that has the SA did not keep up with what others handed over to it
    CONGESTED = 30  # congestion mark outside on a packet whose transport cannot hear of it (RFC 6040 4.2)
    FRAGMENT_OVERLAP = 31  # of a datagram whose fragments overlap or contradict each other (RFC 5722)
    STREAM_FULL = 32  # a TCP stream takes no more at present (RFC 9329)
    STREAM_GONE = 33  # outbound: the TCP stream of the SA is not there
    STREAM_BROKEN = 34  # a TCP stream that was none of IKE and ESP, or said nothing in time, and was closed
