# SPDX-License-Identifier: GPL-2.0-or-later
"""The way out without a copy: AES-GCM reads a packet in the frame and writes it where it leaves from.

    frame:   | headers | payload 1 | payload 2 | payload 3 |        what the TUN gave, a super-packet here
                    | headers | payload 2 |t|                       each segment gets its headers over what has left, and
                                                                    its trailer over what comes, which is then put back
    outbox:  ... | SPI, sequence, IV | sealed 1 | ICV | SPI, sequence, IV | sealed 2 | ICV |
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from _fast.cipher cimport key_iv
from _fast.ecn cimport tos_outside
from _fast.esp cimport esp_length
from _fast.iphdr cimport clamp_mss
from _fast.life cimport life_lease
from _fast.mbside cimport mb_seal_apart
from _fast.octets cimport put32, put64
from _fast.outbox cimport out_lead, out_reserve
from _fast.plant cimport outgoing_t, worker_t
from _fast.segment cimport segment_count, segment_place, segment_placeable, segmenter_t
from _fast.tally cimport tallied_octets, tallied_packets
from _fast.types cimport packet_info_t, path_t, sa_t

cdef enum:
    HEAD = 16                  # SPI, sequence number, IV (RFC 4106 3)
    TRAILER = 8                # octets saved behind a packet: padding of 3 at most, pad length, next header
    MOST_AT_ONCE = 1024        # sequence numbers taken together


cdef bint onepass(worker_t *w, sa_t *sa, path_t *path, segmenter_t *s, packet_info_t *info, uint32_t limit,
                  uint32_t most, uint64_t *packets, uint64_t *octets) noexcept nogil:
    cdef uint64_t total, sequence, kept
    cdef uint32_t count = segment_count(s, &total), inner, pad
    cdef uint32_t lead = out_lead(path)
    cdef uint32_t room = esp_length(sa.key, most) + lead
    cdef uint8_t *packet
    cdef uint8_t *at
    cdef outgoing_t *o
    cdef uint8_t tos = tos_outside(sa, info.tos), next_header = 4 if info.flow.version == 4 else 41
    cdef bint tcp = info.flow.proto == 6 and limit and not info.flow.fragment
    if sa.tfc or count > MOST_AT_ONCE or not segment_placeable(s):
        return False
    if not life_lease(sa, tallied_packets(w, sa), tallied_octets(w, sa), count, total, &sequence):
        return False
    packets[0], octets[0] = count, total
    while True:
        inner = segment_place(s, &packet)
        if inner == 0:
            return True
        at = out_reserve(w, room) + lead
        if tcp and packet[info.l4 + 13] & 2:
            info.length = inner
            clamp_mss(packet, info, limit - (40 if info.flow.version == 4 else 60))
        put32(at, sa.spi)
        put32(at + 4, <uint32_t>sequence)
        put64(at + 8, key_iv(sa.key, sequence))
        pad = ~(inner + 1) & 3
        memcpy(&kept, packet + inner, TRAILER)
        # RFC 4303 2.4: 1, 2, 3.
        put32(packet + inner, 0x01020300)
        packet[inner + pad] = <uint8_t>pad
        packet[inner + pad + 1] = next_header
        mb_seal_apart(&w.crypt, sa.key, packet, inner + pad + 2, at, sequence)
        memcpy(packet + inner, &kept, TRAILER)
        o = &w.sent[w.out_count]
        o.data = at
        o.length = HEAD + inner + pad + 2 + sa.key.icv_len
        o.sa = sa
        o.path = path
        o.sequence = sequence
        o.tos = tos
        o.version = path.version
        o.ok = 1
        w.out_used = <uint32_t>(at - w.out) + o.length
        w.out_count += 1
        sequence += 1
