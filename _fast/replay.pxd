# SPDX-License-Identifier: GPL-2.0-or-later
from libc.stdint cimport uint32_t, uint64_t

from _fast.types cimport replay_t

# window: 0 (no protection) to MAX_WINDOW packets. Without a `ring` it is a number and no more. 0, or -1 without memory.
cdef int replay_init(replay_t *r, uint32_t window, bint ring) noexcept nogil
cdef void replay_free(replay_t *r) noexcept nogil

# The 64-bit sequence number behind the 32 bits on the wire (RFC 4303 appendix A2.2); False when it lies before 0.
cdef bint replay_infer(replay_t *r, uint32_t low, uint64_t *sequence) noexcept nogil

# May this number still come? Changes nothing: called before the packet is authenticated. It and replay_infer may run beside
# a replay_mark of another thread: what they find then is as good as a moment before or after; marks are one at a time.
cdef bint replay_check(replay_t *r, uint64_t sequence) noexcept nogil

# Check again and mark as seen: called once the packet is authenticated. False: another thread was first, or too old.
cdef bint replay_mark(replay_t *r, uint64_t sequence) noexcept nogil
