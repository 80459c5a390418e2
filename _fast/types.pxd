# SPDX-License-Identifier: GPL-2.0-or-later
# The structures every module shares, and the limits. Multi-octet fields are in host order unless said otherwise.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from _fast.atomic cimport pthread_mutex_t

cdef enum:
    MAX_WORKERS = 9            # eight pumps and the control thread, which is number 0
    MAX_DEVICES = 64
    MAX_SOCKETS = 256
    MAX_INTAKES = 64
    MAX_PACKET = 65535
    VNET_LEN = 10              # struct virtio_net_hdr
    FRAME_ROOM = 66048         # vnet header, the largest packet, slack
    FRAME_SLACK = 16           # octets behind a frame that are the engine's: an ESP trailer is written there
    MAX_WINDOW = 4096
    SLOT_DETACHED = -1
    CHAIN_BROKEN = 2           # sa_t.chained: a member of its bundle is gone, so it carries nothing any more

# Why a packet stops; the numbers of openswan.base.drops.Drop.
cdef enum:
    PASSED = 0
    DROP_MALFORMED = 1
    DROP_NO_EROUTE = 2
    DROP_SHUNT_DROP = 3
    DROP_SHUNT_REJECT = 4
    DROP_HOLD_OVERFLOW = 5
    DROP_HOLD_DISCARDED = 6
    DROP_NO_SA = 7
    DROP_SA_EXPIRED = 8
    DROP_SEQUENCE_EXHAUSTED = 9
    DROP_TOO_BIG = 10
    DROP_FRAGMENT_LOST = 11
    DROP_REPLAY = 12
    DROP_AUTH_FAILED = 13
    DROP_BAD_PADDING = 14
    DROP_SOURCE_MISMATCH = 15
    DROP_SELECTOR_MISMATCH = 16
    DROP_DUMMY = 17
    DROP_UNKNOWN_NEXT_HEADER = 18
    DROP_SEND_FAILED = 19
    DROP_TUN_FAILED = 20
    DROP_NO_MEMORY = 21
    DROP_ICMP_ERROR_FOREIGN = 22
    DROP_KEEPALIVE = 23
    DROP_IKE_OVERFLOW = 24
    DROP_UNEXPECTED_SA = 25
    DROP_MODE_MISMATCH = 26
    DROP_BAD_COMPRESSION = 27
    DROP_FRAGMENT = 28
    DROP_WORKER_BUSY = 29
    DROP_CONGESTED = 30
    DROP_FRAGMENT_OVERLAP = 31
    DROP_STREAM_FULL = 32
    DROP_STREAM_GONE = 33
    DROP_STREAM_BROKEN = 34
    DROP_KINDS = 48

# What carries an SA's ESP: protocol 50, UDP (RFC 3948), or a TCP stream (RFC 9329).
cdef enum:
    ENCAP_RAW = 0
    ENCAP_UDP = 1
    ENCAP_STREAM = 2

# What an eroute does; the numbers of openswan.base.said.Shunt, 0 for an SA.
cdef enum:
    ACT_SA = 0
    ACT_PASS = 256
    ACT_DROP = 257
    ACT_REJECT = 258
    ACT_HOLD = 259
    ACT_TRAP = 260

# A concrete packet's key. Addresses as in the packet; an IPv4 address fills the first four octets, the rest is zero.
# 40 octets without holes, so two flows are equal when their memory is.
cdef struct flow_t:
    uint64_t src[2]
    uint64_t dst[2]
    uint16_t sport
    uint16_t dport
    uint8_t version
    uint8_t proto
    uint8_t fragment           # 1: not the first fragment, so ports are 0
    uint8_t spare

# Where the parts of a parsed packet are.
cdef struct packet_info_t:
    flow_t flow
    uint32_t length            # total, from the IP header
    uint32_t l4                # offset of the transport header
    uint8_t tos
    uint8_t dont_fragment      # IPv4 DF, or IPv6
    uint8_t fragmented         # any fragment, the first too
    uint8_t icmp_error         # ICMP or ICMPv6 error message
    uint8_t narrow             # OUT: its eroute names ports
    uint16_t piece             # put together from fragments of up to so many octets (join.pxd); 0: it was not
    uint32_t ident             # which had this identification

cdef struct selector_t:
    uint8_t version
    uint8_t proto
    uint16_t sport_low
    uint16_t sport_high
    uint16_t dport_low
    uint16_t dport_high
    uint8_t src_first[16]
    uint8_t src_last[16]
    uint8_t dst_first[16]
    uint8_t dst_last[16]

# What an SA may carry: any of these; replaced whole when it changes.
cdef struct selectors_t:
    uint32_t count
    selector_t items[1]        # `count` of them

# RFC 6479: a ring of 64-bit words, one more than the window needs.
cdef struct replay_t:
    uint64_t top               # highest accepted, 0: none yet
    uint32_t window
    uint32_t mask              # words - 1, words a power of two
    uint64_t *bits

cdef struct crypt_key_t

# Outer addresses of an SA; replaced whole when they change.
cdef struct path_t:
    uint8_t remote[28]         # sockaddr_in or sockaddr_in6: where OUT goes, where IN should come from
    uint32_t remote_len
    uint8_t local[16]
    uint8_t was[16]            # our address before this path: what is still under way to it is taken too
    uint8_t hop[6]             # raw ESP past the kernel's IP layer: the next hop's address on `link`
    uint16_t local_port
    uint8_t was_version        # 0: none
    uint8_t version
    uint8_t encap              # ENCAP_...
    uint8_t no_gso             # the kernel refused segments on this way: its MTU is smaller than we know
    int32_t sock               # slot of the socket, SLOT_DETACHED: none
    uint32_t outer_mtu         # largest packet the path takes; 0: unknown
    uint32_t inner_mtu         # largest inner packet that needs no outer fragment; 0: unknown
    uint32_t cut               # IPv6: outer packets above this leave in fragments of this size; 0: never
    # Raw ESP: what a worker changes are these two alone, and any order will do.
    int32_t link               # index of the ethernet interface; 0: by the socket
    uint64_t due               # when a packet goes by the socket all the same; without `link`, when to ask for one again

# When an SA ends by use (RFC 4301 4.4.2.1); all ones: never.
cdef struct life_t:
    uint64_t soft_octets       # of inner packets
    uint64_t hard_octets
    uint64_t soft_packets
    uint64_t hard_packets

cdef struct eroute_t

cdef struct sa_t:
    uint32_t spi
    uint8_t proto              # 50 ESP, 51 AH, 108 IPComp, 4 IPIP: the protocol number its packets carry outside
    uint8_t inbound
    uint8_t transport          # mode: 0 tunnel, 1 transport
    uint8_t chained            # 1: not a lone ESP SA in tunnel mode, so its packets go by bundle_out and bundle_in
    uint8_t enclosed           # IN: comes only inside another SA of its bundle
    uint8_t aliased            # the peer knows us by another address: alias.pxd
    uint8_t repair             # IN, transport: checksums were made over `original`
    uint8_t original[32]       # source and destination as the peers see themselves, 4 or 16 octets each at 0 and 16
    uint8_t alias[32]          # our own address and the one it has given us, 4 or 16 octets each at 0 and 16
    uint32_t comp_misses       # OUT IPComp: packets in a row that would not shrink,
    uint32_t comp_rest         # and how many more not to try
    uint8_t esn
    uint8_t first_used
    uint8_t copy_dscp          # OUT: the inner DSCP goes outside; IN: the outer one inside
    uint16_t tfc               # OUT: pad inner packets to this many octets (RFC 4303 2.7); 0: not
    life_t life
    uint64_t id
    sa_t *next                 # OUT: what goes round this SA's packets; IN: what must be inside them; NULL: nothing
    crypt_key_t *key
    path_t *path
    uint64_t sequence          # OUT: last used
    uint64_t soft
    uint64_t limit
    uint32_t soft_told
    uint32_t hard_told
    uint32_t first_told
    uint32_t lock              # guards replay
    replay_t replay
    int32_t device
    selectors_t *selectors
    int32_t owner              # OUT: the worker that seals its packets, so that they leave in order; 0: who comes first
    uint8_t mapping[28]        # last reported other source of an IN SA
    uint64_t packets
    uint64_t octets
    uint64_t replays
    uint64_t auth_failures
    uint64_t selector_failures
    uint64_t ecn_alarms        # impossible pairs of inner and outer ECN (RFC 6040 4.2)
    uint64_t last_use          # monotonic ns, 0: never
    uint64_t added
    # What only the control thread reads.
    uint8_t name[16]           # the destination it was given with its SPI, which stays when the path moves
    uint8_t name_version
    uint8_t cipher             # of suite.pxd, as asked for
    uint8_t integ
    uint8_t unproven           # the path's MTU is still to be told
    uint16_t mtu               # of the path, learned or given; 0: neither
    uint32_t partner           # SPI of the SA of the other direction, 0: none
    eroute_t *eroutes          # OUT: that name it, by next_hold
    void *note                 # a Python object, the owner's

cdef struct eroute_t:
    uint64_t src[2]            # masked
    uint64_t dst[2]
    uint16_t sport
    uint16_t dport
    uint8_t version
    uint8_t proto
    uint8_t srclen
    uint8_t dstlen
    int32_t action
    int32_t device
    sa_t *sa
    uint64_t cookie
    uint64_t trap_cookie       # of the trap that made this narrow hold; 0: made by command
    uint64_t packets
    uint64_t last_use
    uint64_t held
    uint64_t held_octets
    void *pairs                # pair_t of plant.pxd
    eroute_t *next_hold        # of all holds; of an SA's eroutes when action is ACT_SA
    eroute_t *prev_hold
