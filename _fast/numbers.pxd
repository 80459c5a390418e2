# SPDX-License-Identifier: GPL-2.0-or-later
# Numbers on the wire and in front of frames that more than one module knows.

# IP protocols and IPv6 extension headers (IANA).
cdef enum:
    ICMP = 1
    TCP = 6
    UDP = 17
    DCCP = 33
    ROUTING = 43
    FRAGMENT = 44
    ESP = 50
    AH = 51
    ICMP6 = 58
    UDPLITE = 136

# struct virtio_net_hdr (virtio 1.1, 5.1.6): a flag, and kinds of super-packets.
cdef enum:
    NEEDS_CSUM = 1
    GSO_NONE = 0
    GSO_TCPV4 = 1
    GSO_TCPV6 = 4
    GSO_UDP_L4 = 5
    GSO_ECN = 0x80
