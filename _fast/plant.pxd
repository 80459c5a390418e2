# SPDX-License-Identifier: GPL-2.0-or-later
# The engine's working state: what all threads share, and what belongs to one.
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t

from _fast.atomic cimport pthread_mutex_t
from _fast.cipher cimport crypt_t
from _fast.epoch cimport epoch_t
from _fast.join cimport join_t
from _fast.mail cimport mailbox_t
from _fast.radij cimport cached_t, radij_t
from _fast.sadb cimport sadb_t
from _fast.sysio cimport iovec, mmsghdr
from _fast.types cimport eroute_t, flow_t, path_t, sa_t, selectors_t

cdef enum:
    OUT_ROOM = 393216          # octets of sealed packets before a flush must come
    OUT_FLUSH = 270336         # octets after which a flush is worth its system call
    OUT_PACKETS = 1024
    RX_MESSAGES = 32
    RING_OCTETS = 1048576
    FRAMES = 64                # read from a device before they are worked on,
    FRAME_OCTETS = 32768       # or octets of them
    MERGE_SLOTS = 16
    MERGE_PIECES = 128         # packets of one super-packet; the kernel takes no more for UDP
    CACHE_FLOWS = 4096
    PAIR_BUCKETS = 4096
    PIECES_OF_ONE = 98304      # fragments of one system call, or of the largest packet
    PIECES_ROOM = 164352       # and behind them, that packet: `whole` may be in use by what is flushed for its sake
    EXPECTED = 1024            # SPIs that are waited for
    MOST_BARE = 64             # IPComp SAs with nothing round them whose peers' incompressible packets are known

# Each worker has a descriptor of its own where the kernel gave that many (a queue of the TUN, a socket of a SO_REUSEPORT
# group); else some are shared. Worker 0, the control thread, writes to the first.
cdef struct device_t:
    int32_t fd                 # -1: slot free, else the first queue
    int32_t queue[9]
    uint32_t mtu
    uint32_t pass_mtu          # of the physical interface below: what leaves in clear must fit; 0: unknown
    uint8_t offload            # takes TSO super-packets
    uint8_t uso                # and USO ones: of so many datagrams
    uint8_t strikes            # super-packets refused since one was taken

cdef struct socket_t:
    int32_t fd                 # -1: slot free, else the first lane
    int32_t lane[9]
    int32_t spread             # lanes the kernel chooses from by SPI; 0: one worker reads all
    int32_t reader             # that worker
    uint8_t version
    uint8_t udp                # or what is like it: a marker before IKE, ports
    uint8_t stream             # a stand-in for TCP streams: KEY_OCTETS of streams.pxd before each packet
    uint8_t proto              # of a raw socket: 50, 51, 108; 0: UDP
    uint8_t gso                # packets of one UDP_SEGMENT message, 0: it knows none
    uint8_t wildcard           # bound to no address: what it receives came to any
    uint8_t local[16]
    uint16_t port
    uint32_t mtu
    uint32_t load              # raw ESP: packets read since
    uint64_t load_since        # then, ns; its reader's alone
    uint64_t load_told

# Packets as they come off an interface, laid down by the kernel in blocks of memory that both share (TPACKET_V3).
cdef struct intake_t:
    int32_t fd
    int32_t reader             # the worker
    uint8_t *memory
    uint32_t block             # octets of one block
    uint32_t blocks
    uint32_t at                # the one that is filled next; the reader's alone
    uint64_t packets

# A packet waiting for policy, as it was read: vnet header first.
cdef struct pair_t

cdef struct held_t:
    held_t *next               # of its pair
    held_t *prev
    held_t *younger            # of all
    held_t *older
    pair_t *pair
    held_t *chain              # of its bucket, a SYN's
    flow_t flow
    uint32_t length
    int32_t device
    uint8_t syn
    uint8_t data[1]

cdef struct pair_t:
    pair_t *next               # of its eroute
    pair_t *prev
    pair_t *chain              # of its bucket
    eroute_t *eroute
    uint64_t src[2]
    uint64_t dst[2]
    held_t *head
    held_t *tail
    uint32_t count
    uint64_t octets

cdef struct hold_t:
    held_t *oldest
    held_t *youngest
    eroute_t *eroutes          # every %hold in the table
    uint64_t count
    uint64_t octets
    uint64_t narrow            # holds the engine made itself
    uint64_t seed[2]           # so that whoever sends the packets cannot choose collisions
    pair_t *buckets[4096]
    held_t *syns[4096]

# A datagram whose SA is not there yet, and the SPI it is for.
cdef struct kept_t:
    kept_t *next
    uint64_t stamp             # when it came, ns
    int32_t slot
    uint32_t length
    uint8_t tos
    uint8_t remote[28]
    uint8_t data[1]

cdef struct expected_t:
    kept_t *head
    kept_t *tail
    uint32_t spi
    uint32_t count
    uint32_t octets
    uint8_t proto              # 0: nothing is expected here

cdef struct expect_t:
    uint32_t lock
    uint64_t live              # places in use
    uint64_t octets            # kept in all
    expected_t places[1024]

# What one worker hands over to another: a ring with one writer and one reader.
cdef struct ring_t:
    uint64_t head              # octets written so far
    uint64_t away[7]           # the two ends write to cache lines of their own
    uint64_t tail              # octets taken so far
    uint64_t back[7]
    uint8_t data[1048576]

cdef struct worker_t

cdef struct engine_t:
    pthread_mutex_t lock       # writers: control thread, and a worker that holds a packet
    epoch_t epoch
    sadb_t sadb
    radij_t radij
    mailbox_t mail
    hold_t hold
    expect_t expect
    device_t devices[64]
    socket_t sockets[256]
    intake_t *intakes[64]      # NULL: slot free
    int32_t pass_fd[2]         # IPv4, IPv6; -1: none
    int32_t link_fd            # a packet socket; -1: none
    uint64_t stop
    uint64_t icmp_second       # rate limits: the second, and how many in it
    uint64_t icmp_count
    uint64_t spi_second
    uint64_t spi_count
    uint64_t next_cookie
    sa_t *bare[64]             # inbound IPComp in tunnel mode: what would not shrink comes as IP in IP (RFC 3173 2.2)
    uint64_t narrow            # an eroute with ports has been set: fragments are looked at whole
    int32_t provider
    int32_t workers
    worker_t *crew[9]

cdef struct outgoing_t:
    uint8_t *data              # not in UDP: 64 octets before it are free, for link and IP headers or a stream's key
    uint32_t length
    sa_t *sa                   # NULL: in clear, for %pass
    path_t *path
    uint64_t sequence
    uint8_t tos
    uint8_t version
    uint8_t ok

cdef struct incoming_t:
    uint8_t *data
    uint32_t length
    sa_t *sa
    uint64_t sequence
    const uint8_t *remote
    const uint8_t *head        # IPv4 header it came under, `front` octets; 0: the socket does not tell
    uint32_t front
    uint8_t tos
    uint8_t ok

# What the packet before was let in for; good while one batch is opened.
cdef struct known_t:
    sa_t *sa                   # with `remote`: came from where it may,
    const uint8_t *remote
    const selectors_t *selectors    # which allow `flow`; NULL: nothing is known
    flow_t flow

cdef struct merge_t:
    flow_t flow
    uint8_t *first             # first packet; at least VNET_LEN octets before it are ours
    uint32_t head              # IP and transport headers
    uint32_t l4
    uint32_t segment           # payload of all but the last
    uint32_t total
    uint32_t next_sequence
    uint16_t next_id
    uint8_t kind               # 0: slot free, else TCP or UDP
    uint8_t push
    int32_t device
    uint32_t pieces
    iovec iov[128]

# Sent by one eroute and one SA (NULL: none), and not in their counters yet: see tally.pxd.
cdef struct tally_t:
    eroute_t *eroute
    uint64_t frames
    sa_t *sa
    uint64_t packets
    uint64_t octets

cdef struct worker_t:
    engine_t *engine
    int32_t index
    int32_t epoll
    int32_t wake
    uint64_t turns             # times it has looked for work: who gets none of them after a nudge is stuck
    uint64_t now
    crypt_t crypt
    cached_t *cache
    flow_t flow                # of the frame before, and its eroute; good while the table is of this generation
    uint64_t generation
    eroute_t *eroute           # NULL: no frame before
    tally_t tally
    uint64_t drops[48]
    uint64_t to_host[64]       # packets to the host and from it, by device: each worker counts its own
    uint64_t from_host[64]
    ring_t *inbox[9]           # by sender
    uint8_t owes[9]            # workers that have something new in their inbox from here
    uint64_t asleep
    bint lone                  # the last visit to a device found one small frame and nothing behind it
    uint8_t *frame             # FRAME_OCTETS of frames end to end, and room for the largest
    uint8_t *frames[64]
    uint32_t lengths[64]
    uint8_t *out
    uint32_t out_used
    uint32_t out_count
    outgoing_t sent[1024]
    mmsghdr tx[1024]
    iovec txiov[1024]
    uint8_t txctl[1024][64]
    uint32_t txfirst[1024]
    uint32_t txcount[1024]
    uint8_t *rx
    void *bench                # bench_t of bench.pxd, once there was need of one
    join_t *joins[2]           # fragments going out and coming in, likewise
    uint8_t *room              # for one generated ICMP message
    uint8_t *whole             # one packet about to be cut into fragments
    uint8_t *pieces            # its fragments
    mmsghdr rxmsg[32]
    iovec rxiov[32]
    uint8_t rxname[32][28]
    uint8_t rxctl[32][512]
    uint32_t rxwant
    uint8_t sources[80][28]    # of packets from an intake: more than wait to be opened at any time
    uint32_t source            # the last that a packet waits under
    int32_t endpoint           # slot of the socket the last of them was for
    uint16_t link_id           # IPv4 identification of the last packet put on a link
    incoming_t came[64]
    uint32_t came_count
    known_t known
    merge_t merge[16]
    uint32_t merges
