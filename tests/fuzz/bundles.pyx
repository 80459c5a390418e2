# SPDX-License-Identifier: GPL-2.0-or-later
"""Fuzz targets for AH, IPComp, transport mode and bundles, and for what waits or is handed over between workers.

Inputs are lists of pieces as tests/fuzz/paths.pyx has them. What goes out here comes in again by the SAs of the other
end, so that everything behind authentication is reached, and that what we make is what we take.
"""
from cpython.pycapsule cimport PyCapsule_GetPointer, PyCapsule_New
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcmp, memcpy, memset

from _fast.ah cimport AH_FIXED, AH_SLACK, ah_check, ah_length, ah_plausible, ah_seal, ah_strip
from _fast.bench cimport bench_of
from _fast.bundle_out cimport bundle_out
from _fast.cipher cimport key_seal
from _fast.coalesce cimport merge_flush
from _fast.crypt cimport esp_job_t
from _fast.epoch cimport epoch_leave, epoch_reclaim
from _fast.esp cimport esp_frame
from _fast.expect cimport (MOST_ALL_OCTETS, MOST_KEPT, MOST_KEPT_OCTETS, expect_close, expect_deliver, expect_drop,
                           expect_keep, expect_open)
from _fast.handoff cimport INBOUND, OUTBOUND, hand_empty, hand_next, hand_over, hand_release, hand_wake, parcel_t
from _fast.ipcomp cimport COMP_LEN, comp_pack, comp_unpack
from _fast.iphdr cimport parse_packet, put_ip_sum
from _fast.mail cimport mail_t, mail_take
from _fast.octets cimport get16, le16, put16, put32
from _fast.plant cimport *
from _fast.radij cimport flow_from, radij_match
from _fast.rcv cimport rcv_open, rcv_take
from _fast.send cimport seal_outbox, send_outbox
from _fast.sysio cimport *
from _fast.tally cimport tally_settle
from _fast.types cimport *
from _fast.wrap cimport packed_t, wrap_close, wrap_grow, wrap_next, wrap_outer, wrap_split

cdef extern from "<sys/socket.h>" nogil:
    ssize_t recv(int fd, void *buf, size_t n, int flags)

cdef enum:
    MOST_BUNDLES = 32
    MOST_PIECES = 32
    FRONT = 1024
    ESP = 50
    AH = 51
    COMP = 108
    IPIP = 4

cdef worker_t *w = NULL
cdef sa_t *bundles[MOST_BUNDLES]
cdef sa_t *signers[MOST_BUNDLES]       # AH SAs, outermost or not
cdef uint32_t bundle_count = 0
cdef uint32_t signer_count = 0
cdef uint32_t WRONG = 0xFFFFFFFF
cdef int host_fd[2]
cdef uint8_t remote[28]
cdef uint8_t near4[28]                 # who raw packets come from
cdef uint8_t near6[28]
cdef const char *complaint = ""
cdef uint8_t scratch[70000]
cdef uint8_t room[1024 + 70000]


cdef int fail(const char *why) noexcept nogil:
    global complaint
    complaint = why
    return 1


cdef struct piece_t:
    uint8_t control
    uint32_t length
    const uint8_t *data


cdef bint next_piece(const uint8_t **at, size_t *left, piece_t *p) noexcept nogil:
    cdef uint32_t n
    if left[0] < 3:
        return False
    p.control = at[0][0]
    n = le16(at[0] + 1)
    at[0] += 3
    left[0] -= 3
    p.length = n if n < left[0] else <uint32_t>left[0]
    p.data = at[0]
    at[0] += p.length
    left[0] -= p.length
    return True


# --- AH alone -----------------------------------------------------------------------------------------------------

cdef uint8_t *roomy(const uint8_t *packet, uint32_t length, packed_t *p) noexcept nogil:
    # Memory that ends where AH says it needs no more.
    cdef uint8_t *memory = <uint8_t *>malloc(FRONT + length + AH_SLACK)
    memcpy(memory + FRONT, packet, length)
    p.at = memory + FRONT
    p.length = length
    p.version = p.at[0] >> 4
    return memory


cdef int sign(const uint8_t *data, size_t size) noexcept nogil:
    # SA, position of a bit to turn (2), packet: checked as it is; then signed, checked, bent, stripped.
    cdef packet_info_t info
    cdef packed_t p
    cdef sa_t *sa
    cdef uint8_t *memory
    cdef uint8_t *was
    cdef uint32_t at, n, seal
    cdef int bad = 0
    if size < 3 or size > 40000:
        return 0
    sa = signers[data[0] % signer_count]
    at = le16(data + 1)
    data += 3
    if parse_packet(data, <uint32_t>size - 3, &info) != PASSED:
        return 0
    memory = roomy(data, info.length, &p)
    if wrap_split(&p) == PASSED and wrap_next(&p) == AH and ah_plausible(
            sa.key, p.at + p.head, p.length - p.head, p.version):
        if ah_check(&w.crypt, sa.key, &p, at) == PASSED:
            ah_strip(&p)
    free(memory)
    memory = roomy(data, info.length, &p)
    if wrap_split(&p) == PASSED:
        wrap_close(&p, wrap_next(&p))
        was = <uint8_t *>malloc(p.length)
        memcpy(was, p.at, p.length)
        n = p.length
        sa.sequence += 1
        seal = ah_length(sa.key, p.version)
        if n + seal <= MAX_PACKET and ah_seal(&w.crypt, sa.key, &p, sa.spi, sa.sequence) == PASSED:
            if p.length != n + seal or wrap_next(&p) != AH:
                bad = fail("an AH that is not there")
            elif not ah_plausible(sa.key, p.at + p.head, p.length - p.head, p.version):
                bad = fail("our own AH is not plausible")
            elif ah_check(&w.crypt, sa.key, &p, sa.sequence) != PASSED:
                bad = fail("our own AH does not authenticate")
            else:
                at %= (p.length - p.head) * 8
                p.at[p.head + at // 8] ^= <uint8_t>(1 << (at & 7))
                if ah_plausible(sa.key, p.at + p.head, p.length - p.head, p.version) and ah_check(
                        &w.crypt, sa.key, &p, sa.sequence) == PASSED:
                    bad = fail("a bent packet passes AH")
                p.at[p.head + at // 8] ^= <uint8_t>(1 << (at & 7))
                ah_strip(&p)
                if p.length != n or memcmp(p.at, was, n):
                    bad = fail("AH changed the packet it signed")
        free(was)
    free(memory)
    return bad


# --- IPComp alone -------------------------------------------------------------------------------------------------

cdef int squeeze(const uint8_t *data, size_t size) noexcept nogil:
    # Room (2), how often what follows stands there (1), octets: inflated into no more than the room; deflated and back.
    cdef uint32_t want, n, got, times, i
    cdef uint8_t *came
    cdef uint8_t *out
    cdef uint8_t *back
    cdef int bad = 0
    if size < 4:
        return 0
    want = le16(data) + 1
    times = data[2] & 15
    data += 3
    n = <uint32_t>size - 3
    came = <uint8_t *>malloc(n)
    memcpy(came, data, n)
    out = <uint8_t *>malloc(want)
    got = comp_unpack(bench_of(w).squeeze, came, n, out, want)
    if got > want:
        bad = fail("more was inflated than there is room for")
    free(out)
    free(came)
    n *= times + 1
    if n > MAX_PACKET:
        return bad
    came = <uint8_t *>malloc(n)
    for i in range(times + 1):
        memcpy(came + i * (n // (times + 1)), data, n // (times + 1))
    out = <uint8_t *>malloc(n)
    got = comp_pack(bench_of(w).squeeze, came, n, out)
    if got:
        if got + COMP_LEN >= n:
            bad = fail("compression won nothing")
        back = <uint8_t *>malloc(n)
        if comp_unpack(bench_of(w).squeeze, out, got, back, n) != n or memcmp(back, came, n):
            bad = fail("what was compressed is not what comes back")
        if comp_unpack(bench_of(w).squeeze, out, got, back, n - 1):
            bad = fail("a stream longer than its room was taken")
        if got > 1 and comp_unpack(bench_of(w).squeeze, out, got - 1, back, n):
            bad = fail("a stream without its end was taken")
        free(back)
    free(out)
    free(came)
    return bad


# --- into the engine ----------------------------------------------------------------------------------------------

cdef uint64_t dropped() noexcept nogil:
    cdef uint64_t total = 0
    cdef int i
    for i in range(DROP_KINDS):
        total += w.drops[i]
    return total


cdef uint64_t delivered() noexcept nogil:
    return w.to_host[0] + w.to_host[1]


cdef uint64_t own_fault() noexcept nogil:
    # Reasons for which a packet of our own making may never be dropped.
    return (w.drops[DROP_REPLAY] + w.drops[DROP_AUTH_FAILED] + w.drops[DROP_BAD_PADDING] + w.drops[DROP_BAD_COMPRESSION]
            + w.drops[DROP_NO_SA] + w.drops[DROP_SOURCE_MISMATCH] + w.drops[DROP_SELECTOR_MISMATCH])


cdef void settle() noexcept nogil:
    cdef mail_t *m = mail_take(&w.engine.mail)
    while m:
        free(m)
        m = mail_take(&w.engine.mail)
    tally_settle(w)
    epoch_leave(&w.engine.epoch, w.index)
    epoch_reclaim(&w.engine.epoch)


cdef int drain_hosts() noexcept nogil:
    cdef ssize_t n
    cdef packet_info_t info
    cdef int i, bad = 0
    for i in range(2):
        while True:
            n = recv(host_fd[i], scratch, sizeof(scratch), MSG_DONTWAIT)
            if n < 0:
                break
            if n < VNET_LEN + 20 or parse_packet(scratch + VNET_LEN, <uint32_t>n - VNET_LEN, &info) != PASSED:
                bad |= fail("a packet that does not parse went into the TUN")
            elif info.length != <uint32_t>n - VNET_LEN:
                bad |= fail("a frame into the TUN is longer than its packet")
    return bad


cdef int32_t slot_of(uint8_t version, uint8_t proto) noexcept nogil:
    cdef int32_t i
    for i in range(MAX_SOCKETS):
        if w.engine.sockets[i].fd >= 0 and not w.engine.sockets[i].udp and w.engine.sockets[i].version == version and (
                w.engine.sockets[i].proto == proto):
            return i
    return -1


cdef void arrive(int32_t slot, const uint8_t *head, uint32_t front, const uint8_t *data, uint32_t length,
                 uint8_t tos) noexcept nogil:
    # One packet of one socket, in memory of its size.
    cdef uint8_t *memory = <uint8_t *>malloc(VNET_LEN + length)
    cdef uint8_t *before = <uint8_t *>malloc(front) if front else NULL
    cdef const uint8_t *source = remote
    memcpy(memory + VNET_LEN, data, length)
    if front:
        memcpy(before, head, front)
    if not w.engine.sockets[slot].udp:
        source = &near4[0] if w.engine.sockets[slot].version == 4 else &near6[0]
    rcv_take(w, slot, source, before, front, memory + VNET_LEN, length, tos)
    rcv_open(w, slot)
    merge_flush(w)
    free(before)
    free(memory)


cdef bint arrive_whole(packed_t *p) noexcept nogil:
    # False: no socket would have got it.
    cdef int32_t slot
    if wrap_split(p) != PASSED:
        return False
    slot = slot_of(p.version, wrap_next(p))
    if slot < 0:
        return False
    # IPv6's raw sockets do not tell of the header with ESP.
    if wrap_next(p) == ESP and p.version == 6:
        arrive(slot, NULL, 0, p.at + p.head, p.length - p.head, 0)
    else:
        arrive(slot, p.at, p.head, p.at + p.head, p.length - p.head, 0)
    return True


cdef void between(uint8_t *ip, uint8_t version, const path_t *path) noexcept nogil:
    if version == 4:
        memcpy(ip + 12, path.local, 4)
        memcpy(ip + 16, path.remote + 4, 4)
        put_ip_sum(ip)
    else:
        memcpy(ip + 8, path.local, 16)
        memcpy(ip + 24, path.remote + 8, 16)


cdef bint ours(uint8_t kind) noexcept nogil:
    return kind == ESP or kind == AH or kind == COMP or kind == 59


cdef int outward(const uint8_t *data, size_t size) noexcept nogil:
    # Packets into bundles, and what leaves in again. Control: bits 0-4 the bundle; bit 5: the addresses are made those of
    # the ends, as transport mode wants them; bit 6: a vnet header is in front; bit 7: it is sent instead.
    cdef piece_t p
    cdef packet_info_t info
    cdef packed_t came
    cdef outgoing_t *o
    cdef sa_t *sa
    cdef uint8_t *frame
    cdef uint32_t length, lead, i, count = 0
    cdef uint64_t before, fault, fed
    cdef bint odd
    cdef int bad = 0
    w.now += 1000000000
    while count < MOST_PIECES and next_piece(&data, &size, &p) and not bad:
        count += 1
        sa = bundles[(p.control & 31) % bundle_count]
        lead = 0 if p.control & 0x40 else VNET_LEN
        length = lead + p.length
        if length < VNET_LEN + 20:
            continue
        frame = <uint8_t *>malloc(length)
        memset(frame, 0, lead)
        memcpy(frame + lead, p.data, p.length)
        if parse_packet(frame + VNET_LEN, length - VNET_LEN, &info) != PASSED:
            free(frame)
            continue
        if p.control & 0x20 and info.flow.version == sa.path.version:
            between(frame + VNET_LEN, info.flow.version, sa.path)
            parse_packet(frame + VNET_LEN, length - VNET_LEN, &info)
        came.at, came.length, came.version = frame + VNET_LEN, info.length, info.flow.version
        odd = wrap_split(&came) != PASSED or ours(wrap_next(&came)) or ours(info.flow.proto)
        bundle_out(w, 0, sa, frame, length, &info, False)
        free(frame)
        if p.control & 0x80:
            send_outbox(w)
            continue
        seal_outbox(w)
        fed = 0
        fault = own_fault()
        before = dropped() + delivered()
        for i in range(w.out_count):
            o = &w.sent[i]
            if o.sa != NULL:
                if not o.ok:
                    bad = fail("a packet was not sealed")
                elif o.path.encap:
                    arrive(0, NULL, 0, o.data, o.length, o.tos)
                    fed += 1
                else:
                    arrive(slot_of(o.path.version, ESP), NULL, 0, o.data, o.length, o.tos)
                    fed += 1
            else:
                # In memory that lets headers move.
                memcpy(room + FRONT, o.data, o.length)
                came.at, came.length, came.version = room + FRONT, o.length, o.version
                if parse_packet(came.at, came.length, &info) != PASSED or info.length != came.length:
                    bad = fail("a packet that does not parse leaves")
                elif arrive_whole(&came):
                    fed += 1
        w.out_count = w.out_used = 0
        if dropped() + delivered() - before != fed:
            bad = fail("packets were neither delivered nor dropped for a named reason")
        if not odd and own_fault() != fault:
            bad = fail("a packet of our own is refused")
    settle()
    return bad | drain_hosts()


cdef int wrapped(packed_t *p, sa_t *sa) noexcept nogil:
    # One SA round the packet, as `apply` of the engine does it but for anything that is in it.
    cdef esp_job_t job
    cdef uint32_t got
    cdef uint8_t kind
    if sa.proto == IPIP or not sa.transport:
        wrap_outer(p, sa.path.version, sa.path.local, sa.path.remote + (4 if sa.path.version == 4 else 8), 0, 64, 7)
    if p.length > 60000 or wrap_split(p) != PASSED:
        return 1
    kind = wrap_next(p)
    if sa.proto == COMP:
        if p.length - p.head < 16:
            return 0
        got = comp_pack(bench_of(w).squeeze, p.at + p.head, p.length - p.head, scratch)
        if got:
            p.at[p.head] = kind
            p.at[p.head + 1] = 0
            put16(p.at + p.head + 2, <uint16_t>sa.spi)
            memcpy(p.at + p.head + COMP_LEN, scratch, got)
            p.length = p.head + COMP_LEN + got
            wrap_close(p, COMP)
    elif sa.proto == AH:
        sa.sequence += 1
        return ah_seal(&w.crypt, sa.key, p, sa.spi, sa.sequence)
    elif sa.proto == ESP:
        sa.sequence += 1
        got = p.length - p.head
        wrap_grow(p, 8 + sa.key.iv_len)
        job.data = p.at + p.head
        job.sequence = sa.sequence
        job.length = esp_frame(&w.crypt, sa.key, job.data, got, kind, sa.spi, sa.sequence)
        key_seal(&w.crypt, sa.key, &job, 1)
        p.length = p.head + job.length
        wrap_close(p, ESP)
        return not job.ok
    return 0


cdef int inward(const uint8_t *data, size_t size) noexcept nogil:
    # Anything, sealed with valid keys. Control: bits 0-4 the bundle; bits 5-6: how many of its SAs, from the innermost
    # on, leave it alone; bit 7: the octets are a packet, else the kind of a payload and the payload.
    cdef piece_t p
    cdef packed_t whole
    cdef packet_info_t info
    cdef sa_t *chain[4]
    cdef sa_t *sa
    cdef uint32_t count = 0, n, i
    cdef uint64_t before
    cdef int32_t slot
    cdef int bad = 0, why
    w.now += 1000000000
    while count < MOST_PIECES and next_piece(&data, &size, &p) and not bad:
        count += 1
        n = 0
        sa = bundles[(p.control & 31) % bundle_count]
        while sa != NULL and n < 4:
            chain[n] = sa
            n += 1
            sa = sa.next
        whole.at = room + FRONT
        whole.version = chain[0].path.version
        if p.control & 0x80:
            if parse_packet(p.data, p.length, &info) != PASSED:
                continue
            memcpy(whole.at, p.data, info.length)
            whole.length, whole.version = info.length, info.flow.version
            if whole.version == chain[0].path.version:
                between(whole.at, whole.version, chain[0].path)
            wrap_split(&whole)
        else:
            if p.length < 1:
                continue
            memcpy(whole.at, p.data + 1, p.length - 1)
            whole.length = p.length - 1
            wrap_outer(&whole, whole.version, chain[0].path.local,
                       chain[0].path.remote + (4 if whole.version == 4 else 8), 0, 64, 7)
            wrap_close(&whole, p.data[0])
        why = 0
        for i in range((p.control >> 5 & 3) % n, n):
            if why == 0:
                why = wrapped(&whole, chain[i])
        if why or wrap_split(&whole) != PASSED:
            continue
        before = dropped() + delivered()
        if chain[n - 1].path.encap and wrap_next(&whole) == ESP:
            arrive(0, NULL, 0, whole.at + whole.head, whole.length - whole.head, 0)
        elif not arrive_whole(&whole):
            continue
        if dropped() + delivered() - before != 1:
            bad = fail("packets were neither delivered nor dropped for a named reason")
    settle()
    return bad | drain_hosts()


# --- datagrams kept for promised SPIs -----------------------------------------------------------------------------

cdef int expect(const uint8_t *data, size_t size) noexcept nogil:
    # Steps of 4 octets: 0 open, 1-4 keep, 5 close and drop, 6 close and hand over, 7 an age passes; the SPI; the length (2).
    # SPIs 0x9000 + n of which some share a place.
    cdef expect_t *x = &w.engine.expect
    cdef worker_t *control = w.engine.crew[0]
    cdef ring_t *inbox = w.inbox[0]
    cdef kept_t *k
    cdef parcel_t *parcel
    cdef uint64_t at, end, before, total = 0, last
    cdef uint32_t spi, length, steps = 0, i, count, octets, live, came
    cdef uint8_t proto
    cdef bint aged
    cdef int bad = 0
    w.now += 1000000000
    while size >= 4 and steps < 500 and not bad:
        steps += 1
        # A place is a hash's upper ten bits; some of 1024 SPIs share one.
        spi = 0x9000 + (data[1] & 15) + (<uint32_t>(data[1] >> 4 & 3) << 10)
        proto = 51 if data[1] & 0x80 else 50
        length = 8 + le16(data + 2)
        control.now = w.now
        if data[0] & 7 == 0:
            expect_open(x, proto, spi)
        elif data[0] & 7 < 5:
            total += 1
            memset(scratch, data[0], length)
            put32(scratch, spi)
            put32(scratch + 4, <uint32_t>total)
            expect_keep(w, proto, spi, 0, remote, 0, scratch, length)
        elif data[0] & 7 == 7:
            w.now += 400000000
        else:
            k = expect_close(x, proto, spi)
            count = octets = 0
            last = 0
            i = 0
            if data[0] & 7 == 5:
                came = expect_drop(k)
                if came > MOST_KEPT:
                    bad = fail("more datagrams were kept than may be")
            else:
                before = control.drops[DROP_NO_SA] + control.drops[DROP_WORKER_BUSY]
                # Looked at before it is given away.
                count = listed(k, spi, &octets)
                if count > MOST_KEPT or octets > MOST_KEPT_OCTETS or count == WRONG:
                    bad = fail("what was kept is too much, out of order or for another SPI")
                expect_deliver(control, k)
                at, end = inbox.tail, inbox.head
                came = 0
                parcel = hand_next(inbox, &at, end)
                while parcel != NULL:
                    came += 1
                    if parcel.kind != INBOUND or parcel.slot != 0 or get16((<uint8_t *>parcel) + sizeof(parcel_t) + 2) != (
                            spi & 0xFFFF):
                        bad = fail("what was kept arrives as something else")
                    parcel = hand_next(inbox, &at, end)
                hand_release(inbox, at)
                before = control.drops[DROP_NO_SA] + control.drops[DROP_WORKER_BUSY] - before
                if not bad and came + before != count:
                    bad = fail("what was kept was neither handed over nor counted")
        data += 4
        size -= 4
        if steps & 15 and size >= 4:
            continue
        live = octets = 0
        for i in range(EXPECTED):
            if x.places[i].proto:
                live += 1
                octets += x.places[i].octets
                if x.places[i].count > MOST_KEPT or x.places[i].octets > MOST_KEPT_OCTETS:
                    bad = fail("a place keeps too much")
        if x.live != live or x.octets != octets or octets > MOST_ALL_OCTETS:
            bad = fail("the octets kept do not add up")
    for i in range(64):
        for proto in range(50, 52):
            expect_drop(expect_close(x, proto, 0x9000 + (i & 15) + ((i >> 4) << 10)))
    if x.live or x.octets:
        bad |= fail("something is kept for nobody")
    settle()
    return bad


cdef uint32_t listed(kept_t *k, uint32_t spi, uint32_t *octets) noexcept nogil:
    cdef uint32_t count = 0, number, last = 0
    while k != NULL:
        number = <uint32_t>get16(k.data + 4) << 16 | get16(k.data + 6)
        if get16(k.data + 2) != (spi & 0xFFFF) or number <= last:
            return WRONG
        last = number
        count += 1
        octets[0] += k.length
        k = k.next
    return count


# --- rings between workers ----------------------------------------------------------------------------------------

cdef int handoff(const uint8_t *data, size_t size) noexcept nogil:
    # Steps of 3 octets: what (0-4 put, 5-6 take some, 7 take all) and a fill, a length or a number (2).
    cdef worker_t *control = w.engine.crew[0]
    cdef ring_t *inbox = w.inbox[0]
    cdef parcel_t *parcel
    cdef uint8_t *octets
    cdef uint64_t at, end, need
    cdef uint32_t lengths[4096]
    cdef uint8_t fills[4096]
    cdef uint32_t first = 0, last = 0, length, n, steps = 0
    cdef int bad = 0
    while size >= 3 and steps < 1000 and not bad:
        steps += 1
        length = le16(data + 1)
        if data[0] & 7 < 5:
            memset(scratch, data[0], length)
            # What takes a parcel out may write behind it.
            need = (sizeof(parcel_t) + length + FRAME_SLACK + 63) // 64 * 64
            if hand_over(control, 1, OUTBOUND if data[0] & 8 else INBOUND, data[0] & 1, remote, 3, scratch, length):
                lengths[last % 4096], fills[last % 4096] = length, data[0]
                last += 1
            elif inbox.head - inbox.tail + 2 * need <= RING_OCTETS:
                bad = fail("a ring with room refuses a parcel")
            if inbox.head - inbox.tail > RING_OCTETS:
                bad = fail("a ring holds more than it can")
        else:
            n = WRONG if data[0] & 7 == 7 else length & 63
            at, end = inbox.tail, inbox.head
            while n and not bad:
                n -= 1
                parcel = hand_next(inbox, &at, end)
                if parcel == NULL:
                    if first != last:
                        bad = fail("a parcel was lost")
                    break
                if first == last:
                    bad = fail("a parcel came twice")
                    break
                octets = <uint8_t *>parcel + sizeof(parcel_t)
                if parcel.length != lengths[first % 4096] or parcel.slot != (fills[first % 4096] & 1):
                    bad = fail("a parcel is not the one that was handed over")
                    break
                if parcel.length and (octets[0] != fills[first % 4096] or memcmp(octets, octets + 1, parcel.length - 1)):
                    bad = fail("a parcel's octets are others")
                first += 1
            hand_release(inbox, at)
            if hand_empty(inbox) != (first == last):
                bad = fail("a ring is wrong about being empty")
        data += 3
        size -= 3
    hand_wake(control)
    # The ring goes round between inputs too.
    hand_release(inbox, inbox.head)
    return bad


# --- for Python ---------------------------------------------------------------------------------------------------

cdef void name_of(uint8_t *to, tuple address) except *:
    cdef bytes octets = address[0]
    memset(to, 0, 28)
    (<uint16_t *>to)[0] = <uint16_t>(AF_INET if len(octets) == 4 else AF_INET6)
    to[2], to[3] = address[1] >> 8, address[1] & 255
    memcpy(to + (4 if len(octets) == 4 else 8), <const uint8_t *>octets, len(octets))


def bind(object worker, list flows, tuple hosts, tuple addresses):
    """Use this worker and the bundles that these flows (of `flow_from`) lead to; addresses of peer, and ours, IPv4, IPv6."""
    global w, bundle_count, signer_count
    cdef flow_t f
    cdef sa_t *sa
    w = <worker_t *>PyCapsule_GetPointer(worker, "_fast.worker")
    if bench_of(w) == NULL:
        raise MemoryError
    host_fd[0], host_fd[1] = hosts
    name_of(remote, addresses[0])
    name_of(near4, addresses[1])
    name_of(near6, addresses[2])
    for flow in flows:
        flow_from(&f, flow)
        sa = <sa_t *>radij_match(&w.engine.radij, &f, True).sa
        if sa == NULL or not sa.chained or bundle_count == MOST_BUNDLES:
            raise ValueError(f"bundle {bundle_count} is not there")
        bundles[bundle_count] = sa
        bundle_count += 1
        while sa != NULL:
            if sa.proto == AH and signer_count < MOST_BUNDLES:
                signers[signer_count] = sa
                signer_count += 1
            sa = sa.next


TARGETS = {
    "ah": PyCapsule_New(<void *>sign, "fuzz", NULL),
    "ipcomp": PyCapsule_New(<void *>squeeze, "fuzz", NULL),
    "outward": PyCapsule_New(<void *>outward, "fuzz", NULL),
    "inward": PyCapsule_New(<void *>inward, "fuzz", NULL),
    "expect": PyCapsule_New(<void *>expect, "fuzz", NULL),
    "handoff": PyCapsule_New(<void *>handoff, "fuzz", NULL),
}
COMPLAINT = PyCapsule_New(<void *>&complaint, "complaint", NULL)


def replay(object target, bytes data):
    """Run one input; answers what went wrong, empty for nothing."""
    cdef int (*run)(const uint8_t *, size_t) noexcept nogil
    run = <int (*)(const uint8_t *, size_t) noexcept nogil>PyCapsule_GetPointer(target, "fuzz")
    return (<bytes>complaint).decode() if run(data, len(data)) else ""
