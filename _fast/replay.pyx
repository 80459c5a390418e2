# SPDX-License-Identifier: GPL-2.0-or-later
"""Anti-replay window: the ring of words of RFC 6479, with extended sequence numbers (RFC 4303 3.4.3 and appendix A)."""
from libc.stdint cimport uint32_t, uint64_t

from _fast.atomic cimport alloc_zeroed, load, load_acquire, store, store_release, wipe_free
from _fast.types cimport MAX_WINDOW, replay_t

cdef enum:
    INFER_WINDOW = 64          # how far back a number may lie when replay protection is off


cdef int replay_init(replay_t *r, uint32_t window, bint ring) noexcept nogil:
    cdef uint32_t words = 2
    if window > MAX_WINDOW:
        window = MAX_WINDOW
    # One word more than the window: the newest word may be partly empty.
    while words * 64 < window + 64:
        words *= 2
    r.top = 0
    r.window = window
    r.mask = words - 1
    r.bits = <uint64_t *>alloc_zeroed(words * 8) if ring else NULL
    return -1 if ring and r.bits == NULL else 0


cdef void replay_free(replay_t *r) noexcept nogil:
    wipe_free(r.bits, (r.mask + 1) * 8)
    r.bits = NULL


cdef bint replay_infer(replay_t *r, uint32_t low, uint64_t *sequence) noexcept nogil:
    cdef uint32_t window = r.window if r.window else INFER_WINDOW
    cdef uint64_t top = load(&r.top)
    cdef uint32_t top_low = <uint32_t>top
    cdef uint64_t high = top >> 32
    cdef uint32_t left = top_low - window + 1          # modulo 2^32, as the RFC's Bl
    if top_low >= window - 1:
        if low < left:                                 # case A: below the window means the next subspace
            if high == <uint32_t>0xFFFFFFFF:
                return False                           # past the last there is
            high += 1
    elif low >= left:                                  # case B: the window reaches back into the subspace before
        if high == 0:
            return False
        high -= 1
    sequence[0] = (high << 32) | low
    return True


cdef bint replay_check(replay_t *r, uint64_t sequence) noexcept nogil:
    cdef uint64_t top
    if sequence == 0:
        return False                                   # never sent (RFC 4303 3.3.3)
    # The words a new top brings into the window are cleared before it is stored.
    top = load_acquire(&r.top)
    if r.window == 0 or sequence > top:
        return True
    if top - sequence >= r.window:
        return False
    return not (load(&r.bits[(sequence >> 6) & r.mask]) >> (sequence & 63)) & 1


cdef bint replay_mark(replay_t *r, uint64_t sequence) noexcept nogil:
    cdef uint64_t word, last, step
    if sequence == r.top + 1 and sequence & 63 and r.window:
        # The next one, in the same word.
        word = (sequence >> 6) & r.mask
        store(&r.bits[word], r.bits[word] | (<uint64_t>1) << (sequence & 63))
        store_release(&r.top, sequence)
        return True
    if not replay_check(r, sequence):
        return False
    if sequence > r.top:
        word = sequence >> 6
        last = r.top >> 6
        step = word - last
        if step > r.mask + 1:
            step = r.mask + 1
        while step:
            store(&r.bits[(word - step + 1) & r.mask], 0)
            step -= 1
        store_release(&r.top, sequence)
    if r.window:
        word = (sequence >> 6) & r.mask
        store(&r.bits[word], r.bits[word] | (<uint64_t>1) << (sequence & 63))
    return True


cdef class Window:
    """One replay window; raced against klips.slow.replay."""

    cdef replay_t r

    def __cinit__(self, uint32_t window):
        if replay_init(&self.r, window, True):
            raise MemoryError

    def infer(self, uint32_t low):
        """The 64-bit number behind `low`, or None."""
        cdef uint64_t sequence
        return sequence if replay_infer(&self.r, low, &sequence) else None

    def check(self, uint64_t sequence):
        """Would it be accepted now?"""
        return replay_check(&self.r, sequence)

    def mark(self, uint64_t sequence):
        """Accept it; False for a replay."""
        return replay_mark(&self.r, sequence)

    @property
    def top(self):
        """Highest number accepted."""
        return self.r.top

    def __dealloc__(self):
        replay_free(&self.r)
